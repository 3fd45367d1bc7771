import shutil
from collections import Counter
from pathlib import Path

import pytest

from contract.layers import cycles, violations

ROOT = Path(__file__).parents[2]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for room in ("flare", "entrypoints", "serving"):
        shutil.copytree(ROOT / room, tmp_path / room, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def test_every_import_points_down():
    assert violations(ROOT) == []


def test_no_modules_import_each_other_in_a_circle():
    assert cycles(ROOT) == []


PLANTED = [
    ("flare/goes.py", "from flare.datasets import packed", "lies above"),
    (
        "flare/datasets/pack/reader.py",
        "import flare.features.table",
        "do not import one another",
    ),
    (
        "flare/plots/style.py",
        "from flare.training.loop import fit",
        "do not import one another",
    ),
    ("flare/goes.py", "from . import datasets", "lies above"),
    ("flare/plots/style.py", "from .. import tracking", "lies above"),
    ("flare/plots/style.py", "from ..training import loop", "not import one another"),
    ("flare/verification/flux.py", "import torch", "torch belongs into"),
    ("flare/workflows/train.py", "import mlflow", "mlflow belongs into"),
    ("flare/workflows/train.py", "from optuna import Trial", "optuna belongs into"),
    ("entrypoints/train.py", "from fastapi import FastAPI", "fastapi belongs into"),
    ("entrypoints/train.py", "from serving.app import create_app", "not import one another"),
    (
        "flare/workflows/fitting/network.py",
        "from flare.workflows.evaluation import comparison",
        "lies above",
    ),
    ("serving/app.py", "from flare.training import loop", "serving uses"),
    ("serving/app.py", "from flare.datasets import packed", "serving uses"),
    ("flare/tracking/runs.py", "def f():\n    from flare.workflows import train", "lies above"),
]


def test_every_import_planted_the_wrong_way_is_named(copy):
    for file, line, _ in PLANTED:
        with (copy / file).open("a", encoding="utf-8") as module:
            module.write(f"\n{line}\n")
    result = violations(copy)
    assert len(result) == len(PLANTED)
    for file, line, says in PLANTED:
        assert any(file in one and says in one for one in result), line


def test_a_planted_circle_is_named(copy):
    for file, line in (
        ("flare/goes.py", "import flare.images.planes"),
        ("flare/images/planes.py", "import flare.goes"),
    ):
        with (copy / file).open("a", encoding="utf-8") as module:
            module.write(f"\n{line}\n")
    assert {"flare.goes", "flare.images.planes"} <= set(cycles(copy))


def test_no_file_holds_more_than_it_should():
    long = {
        str(path.relative_to(ROOT)): lines
        for room in ("flare", "entrypoints", "serving")
        for path in (ROOT / room).rglob("*.py")
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > 350
    }
    assert long == {}


def test_no_folder_has_more_files_than_one_can_keep_in_mind():
    files = [path for room in ("flare", "serving") for path in (ROOT / room).rglob("*.py")]
    folders = Counter(str(path.parent.relative_to(ROOT)) for path in files)
    assert {folder: count for folder, count in folders.items() if count > 16} == {}
