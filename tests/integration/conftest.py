"""One small store with a trained forest and network, shared by all tests that only read it."""

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tiny import write_tiny_dataset
from workplace import SMALL_FOREST, SMALL_FOREST_SETTINGS, SMALL_NETWORK, working_in

if TYPE_CHECKING:
    from mlflow.entities import Run

    from flare.workflows.evaluate import Evaluation
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


@pytest.fixture(scope="session", autouse=True)
def rough_references() -> Iterator[None]:
    """Fit the reference forecasts of every evaluation in a second instead of twenty."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("flare.forecasters.references.logistic.INVERSE_PENALTIES", (1e-4, 1.0))
        patch.setattr(
            "flare.workflows.evaluation.references.FOREST_SETTINGS", SMALL_FOREST_SETTINGS
        )
        yield


@pytest.fixture(scope="session")
def new_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where MLflow's database as it is before the first run lies, once a test has set one up."""
    return tmp_path_factory.mktemp("store") / "mlflow.db"


@pytest.fixture(autouse=True)
def set_up(new_database: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """Copy each new database from the first one, a second faster; return what sets one up."""
    from flare.tracking import store

    real = store._set_up

    def copy(path: Path) -> None:
        if not new_database.exists():
            real(new_database)
        partial = path.with_suffix(".partial")
        shutil.copyfile(new_database, partial)
        with closing(sqlite3.connect(partial)) as database, database:
            location = str(Path.cwd() / "mlruns" / "0")  # where `real` puts it
            database.execute("UPDATE experiments SET artifact_location = ?", (location,))
        partial.rename(path)

    monkeypatch.setattr(store, "_set_up", copy)
    return real


@pytest.fixture(scope="session")
def models(home: Home) -> Models:
    from flare.config import BaselineConfig, EvaluateConfig, TrainConfig
    from flare.workflows import baseline, evaluate, train

    with working_in(home.folder):
        forest = baseline.run(BaselineConfig(**home.small, **SMALL_FOREST, resamples=100))
        network = train.run(TrainConfig(**home.small, **SMALL_NETWORK, resamples=100))
        evaluation = evaluate.run(
            EvaluateConfig(
                data_dir=home.data, model="2", resamples=100, output_dir=home.folder / "report"
            )
        )
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
