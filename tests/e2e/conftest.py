"""The command line as a user types it: real processes in a folder with a store of its own."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tiny import write_tiny_dataset

ROOT = Path(__file__).resolve().parents[2]

#: How the tests start `python` and `mlflow`: those of this environment, whatever is active.
BIN = Path(sys.executable).parent


class Place:
    """A folder to run commands in; temporary files of theirs go below it too."""

    project = ROOT

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.temporary = folder / "ml-tmp"
        self.temporary.mkdir()
        self.data = write_tiny_dataset(folder / "tiny")

    @property
    def environment(self) -> Mapping[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW_", "FLARE_"))}
        return kept | {
            "PATH": f"{BIN}{os.pathsep}{kept['PATH']}",
            "PYTHONPATH": str(ROOT),
            "FLARE_RUNS_DIR": str(self.folder / "ml-runs"),
            "TMPDIR": str(self.temporary),
            "MLFLOW_TRACKING_URI": f"sqlite:///{self.folder}/mlflow.db",
        }

    def leftovers(self) -> list[Path]:
        """Return temporary files; torch's import makes an empty folder for its compiler there."""
        return [path for path in self.temporary.rglob("*") if path.is_file()]

    def start(self, *words: object) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [str(word) for word in words],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def entry(self, name: str, **parameters: object) -> list[str]:
        words = [f"--{key}={value}" for key, value in parameters.items()]
        return ["python", "-m", f"entrypoints.{name}", *words]

    def run(self, name: str, **parameters: object) -> subprocess.CompletedProcess[str]:
        return self.call(*self.entry(name, **parameters))

    def call(self, *words: object) -> subprocess.CompletedProcess[str]:
        with self.start(*words) as process:
            out, err = process.communicate(timeout=300)
        return subprocess.CompletedProcess(words, process.returncode, out, err)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("place"))
