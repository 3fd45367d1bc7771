"""One small store with a trained forest and network, shared by all tests that only read it."""

import importlib
import logging
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from mlflow.exceptions import MlflowException

from entrypoints import command
from flare.config import ENTRY_POINTS
from flare.tracking import store

from tiny import write_tiny_dataset
from workplace import (
    SMALL_FOREST,
    SMALL_NETWORK,
    rough_fits_and_figures,
    working_in,
    write_store,
)

if TYPE_CHECKING:
    from mlflow.entities import Run
    from real_server import Server

    from flare.workflows.evaluation.report import Evaluation
    from flare.workflows.fitting.registration import Trained


@dataclass(frozen=True)
class Home:
    """Where the store lies, and the dataset that everything is trained on."""

    folder: Path
    data: Path

    @property
    def small(self) -> dict[str, Any]:
        """Settings that every workflow on this dataset shares."""
        return {"data_dir": self.data, "image_size": 32, "processes": 1, "validation_share": 0.4}


@dataclass(frozen=True)
class Models:
    """The forest, version 1, and the network, version 2, and the network's evaluation."""

    forest: "Trained"
    network: "Trained"
    evaluation: "Evaluation"


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    folder = tmp_path_factory.mktemp("home")
    return Home(folder, write_tiny_dataset(folder / "tiny"))


@pytest.fixture
def at_home(home: Home) -> Iterator[Home]:
    """Work in the shared store."""
    with working_in(home.folder):
        yield home


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Path]:
    """Work in an empty folder with a store of its own; making one takes two seconds."""
    with working_in(tmp_path):
        yield tmp_path


@pytest.fixture(scope="module", autouse=True)
def rough() -> Iterator[None]:
    """Fit roughly in the tests of this folder, and not in those that the process runs later."""
    with rough_fits_and_figures():
        yield


@pytest.fixture(autouse=True)
def copied_store(monkeypatch: pytest.MonkeyPatch) -> None:
    """Copy every new database from the first, a second faster."""
    monkeypatch.setattr(store, "_set_up", lambda path: write_store(path, Path.cwd()))


@pytest.fixture(scope="session")
def models(home: Home) -> Models:
    from flare.config import BaselineConfig, EvaluateConfig, TrainConfig
    from flare.workflows import baseline, evaluate, train

    with working_in(home.folder), rough_fits_and_figures():
        forest = baseline.run(BaselineConfig(**home.small, **SMALL_FOREST, resamples=100))
        network = train.run(TrainConfig(**home.small, **SMALL_NETWORK, resamples=100))
        config = EvaluateConfig(
            data_dir=home.data,
            model=str(network.version.version),
            resamples=100,
            output_dir=home.folder / "report",
        )
        evaluation = evaluate.run(config)
    return Models(forest, network, evaluation)


@pytest.fixture
def fetch(at_home: Home):
    """Return a function from a run id to the run."""
    from mlflow import MlflowClient

    def get(run_id: str) -> "Run":
        return MlflowClient().get_run(run_id)

    return get


@pytest.fixture
def newest(at_home: Home):
    """Return a function from an entry point to its newest run, whatever became of it."""
    from mlflow import MlflowClient

    def get(entry: str) -> "Run":
        wanted = f"tags.`flare.entry` = '{entry}'"
        return MlflowClient().search_runs(["0"], wanted, max_results=1)[0]

    return get


@pytest.fixture(scope="session")
def packaged(home: Home) -> str:
    """The address of a packaged climatology, to make versions of where its forecasts do not matter.

    To package one takes a second.
    """
    import numpy as np
    from known_models import climatology_of
    from mlflow import MlflowClient

    from flare.tracking.packaging import package
    from flare.tracking.runs import start

    example = np.ones((4, 10, 256, 256), dtype=np.uint8)
    with working_in(home.folder), start("baseline", name="packaged") as run:
        about = {"example": example, "family": "climatology", "model_name": "packaged", "tags": {}}
        version = package(run, climatology_of(), **about)
        return str(MlflowClient().get_model_version("packaged", str(version.version)).source)


@pytest.fixture
def make_version(at_home: Home, packaged: str):
    """Return a function that registers a version of the packaged model, and gives its number."""
    from mlflow import MlflowClient

    def make(name: str, tags: dict[str, str], run_id: str | None = None) -> int:
        with suppress(MlflowException):  # it is there already
            MlflowClient().create_registered_model(name)
        made = MlflowClient().create_model_version(name, packaged, run_id=run_id, tags=tags)
        return int(made.version)

    return make


@pytest.fixture(scope="session")
def climatology_server(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[Server]":
    """A real server of a climatology, which no test may stop or leave another than it was."""
    from known_models import climatology_of
    from real_server import serving

    from flare.forecasters.storage import save

    folder = save(climatology_of(), tmp_path_factory.mktemp("served") / "climatology")
    with serving(folder.with_name("state"), model=folder) as server:
        yield server


@pytest.fixture
def command_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Return a function that runs an entry point's command line and tells exit code and texts."""
    logger = logging.getLogger("flare")
    handlers, terminated = list(logger.handlers), signal.getsignal(signal.SIGTERM)

    def run(name: str, **parameters: object) -> tuple[int, str, str]:
        words = [f"--{key}={value}" for key, value in parameters.items()]
        monkeypatch.setattr(sys, "argv", [name, *words])
        main = importlib.import_module(f"entrypoints.{name}").main
        capsys.readouterr()
        code = 0
        try:
            command.run(name, ENTRY_POINTS[name], main)
        except SystemExit as end:
            code = end.code
        return code, *capsys.readouterr()

    yield run
    logger.handlers = handlers
    logger.setLevel(logging.NOTSET)
    signal.signal(signal.SIGTERM, terminated)
