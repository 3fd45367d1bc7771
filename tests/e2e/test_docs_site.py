"""The site is made as by `make docs`: a link to what is not there is a warning, and an error."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from flare.config import ENTRY_POINTS
from serving.settings import variables

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.slow


def test_the_site_is_made_without_a_warning_and_has_the_reference(tmp_path: Path) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    (command,) = re.findall(r"^\tsphinx-build (.*)$", makefile, re.MULTILINE)
    words = command.replace("outputs/", f"{tmp_path}/").split()
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", *words],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    site = tmp_path / "site"
    pages = {path.stem for path in (ROOT / "docs").glob("*.md")}
    assert pages <= {path.stem for path in site.glob("*.html")}
    assert pages & {"search", "genindex"} == set()  # Sphinx writes its own over these
    entry_points = (site / "reference" / "entry-points.html").read_text(encoding="utf-8")
    assert [name for name in ENTRY_POINTS if f'id="{name}"' not in entry_points] == []
    settings = (site / "reference" / "settings.html").read_text(encoding="utf-8")
    assert [name for name, _, _ in variables() if name not in settings] == []
    assert "/predict_npy" in (site / "reference" / "rest.html").read_text(encoding="utf-8")
    python = (site / "reference" / "python.html").read_text(encoding="utf-8")
    assert 'id="flare.workflows.train.run"' in python
    assert len(list((site / "notebooks").glob("*.html"))) == 5
