import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from entrypoints.command import parse
from flare.config import ENTRY_POINTS
from flare.config.groups import NO_RESULT, text_of
from flare.mlproject import mlproject_text

ROOT = Path(__file__).parents[2]
PROJECT = yaml.safe_load((ROOT / "MLproject").read_text(encoding="utf-8"))
NAMES = sorted(ENTRY_POINTS)


def test_the_file_is_what_the_configs_make_of_it():
    assert (ROOT / "MLproject").read_text(encoding="utf-8") == mlproject_text(), "make mlproject"


def test_every_entry_point_has_a_config_and_a_module_and_nothing_else_has():
    modules = {path.stem for path in (ROOT / "entrypoints").glob("*.py")}
    assert set(PROJECT["entry_points"]) == set(ENTRY_POINTS)
    shared = {name for name in modules if name.split("_")[0] in ("", "command", "show")}
    assert modules - shared == set(ENTRY_POINTS)


@pytest.mark.parametrize("name", NAMES)
def test_the_command_has_every_parameter_with_its_default_spelled_as_a_direct_run_logs_it(name):
    entry, fields = PROJECT["entry_points"][name], ENTRY_POINTS[name].model_fields
    words = shlex.split(entry["command"])
    assert words[:3] == ["python", "-m", f"entrypoints.{name}"]
    flags = dict(zip(words[3::2], words[4::2], strict=True))
    assert flags == {f"--{field}": f"{{{field}}}" for field in fields}
    spelled = {field: str(about["default"]) for field, about in entry["parameters"].items()}
    assert spelled == {field: text_of(about.default) for field, about in fields.items()}
    arguments = [word for field in spelled for word in (f"--{field}", spelled[field])]
    assert parse(name, ENTRY_POINTS[name], arguments) == ENTRY_POINTS[name]()


def test_what_changes_no_result_is_a_parameter_of_some_entry_point():
    fields = {field for config in ENTRY_POINTS.values() for field in config.model_fields}
    assert fields >= NO_RESULT


HELP = """
import contextlib, io, json, runpy, sys
texts = {}
for name in sys.argv[1:]:
    sys.argv = [name, "--help"]
    with contextlib.redirect_stdout(io.StringIO()) as said:
        try:
            runpy.run_module(f"entrypoints.{name}", run_name="__main__")
        except SystemExit as end:
            assert end.code == 0, end.code
    texts[name] = said.getvalue()
print(json.dumps([texts, list(sys.modules)]))
"""


def test_help_lists_every_parameter_without_heavy_imports():
    done = subprocess.run(
        [sys.executable, "-c", HELP, *NAMES], cwd=ROOT, capture_output=True, text=True, check=True
    )
    texts, modules = json.loads(done.stdout)
    heavy = {"torch", "mlflow", "sklearn", "pandas", "optuna", "fastapi", "matplotlib"}
    assert heavy & set(modules) == set()
    for name, text in texts.items():
        fields = ENTRY_POINTS[name].model_fields
        assert [field for field in fields if f"--{field} " not in text] == [], name
