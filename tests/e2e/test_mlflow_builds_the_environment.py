"""The literal `mlflow run . -e ...`, in the environment that MLflow makes for it."""

import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.timeout(1500)
@pytest.mark.skipif(
    shutil.which("pyenv") is None, reason="MLflow builds environments with pyenv, and there is none"
)
def test_mlflow_run_without_flags_builds_an_environment_and_runs_inside(tmp_path, tiny_dataset):
    project = tmp_path / "project"
    tracked = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True
    ).stdout
    for name in filter(None, tracked.split("\0")):
        if (ROOT / name).is_file():
            (project / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, project / name)
    data = shutil.copytree(tiny_dataset, tmp_path / "tiny")
    environment = {
        **os.environ,
        "MLFLOW_ENV_ROOT": str(tmp_path / "environments"),
        # Not the .venv of these tests, or it would not matter what MLflow built.
        "PATH": os.pathsep.join(
            part
            for part in os.environ["PATH"].split(os.pathsep)
            if Path(part) != Path(sys.executable).parent
        ),
    }
    environment.pop("MLFLOW_TRACKING_URI", None)
    environment.pop("VIRTUAL_ENV", None)
    command = [Path(sys.executable).parent / "mlflow", "run", ".", "-e", "baseline"]
    for pair in (f"data_dir={data}", "trees=10", "image_size=32", "resamples=100"):
        command += ["-P", pair]
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    assert "solar-flare version 1 (forest)" in done.stdout
    built = list((tmp_path / "environments").glob("mlflow-*/bin/python"))
    assert len(built) == 1
    with sqlite3.connect(project / "mlflow.db") as database:
        assert database.execute("select status from runs").fetchall() == [("FINISHED",)]
