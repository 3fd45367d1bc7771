"""A folder of one's own with its own MLflow store, and settings small enough for a second."""

import functools
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from flare.tracking import store

SMALL_FOREST = {"trees": 10, "min_samples_leaf": 1}
#: The same in the words of ``fit_forest``.
SMALL_FOREST_SETTINGS = {"n_trees": 10, "min_samples_leaf": 1, "max_features": 0.3}
SMALL_NETWORK = {
    "epochs": 2,
    "width": 2,
    "hidden": 4,
    "batch_size": 4,
    "learning_rate": 1e-3,
    "accelerator": "cpu",
    "precision": "32-true",  # the same on every machine
}


def store_uri(folder: Path) -> str:
    """Return the address of the MLflow store of a folder."""
    return f"sqlite:///{folder}/mlflow.db"


@contextmanager
def working_in(folder: Path) -> Iterator[None]:
    """Work in a folder, and log to its own store; artifacts go next to it."""
    folder.mkdir(parents=True, exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("MLFLOW_TRACKING_URI", store_uri(folder))
        # `mlflow run` around the tests must not lend them its run.
        for name in ("MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID", "MLFLOW_EXPERIMENT_NAME"):
            patch.delenv(name, raising=False)
        for name in ("MAX_RETRIES", "TIMEOUT"):  # `connect` sets them where they are not set
            patch.setenv(f"MLFLOW_HTTP_REQUEST_{name}", "3")
        patch.setenv("FLARE_RUNS_DIR", str(folder / "ml-runs"))
        patch.setenv("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
        patch.setenv("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
        yield


#: What sets a database up; tests of integration have `write_store` in its place.
set_up_store = store._set_up


@functools.cache
def _empty_store() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mlflow.db"
        set_up_store(path)
        return path.read_bytes()


def write_store(path: Path, project: Path) -> None:
    """Write MLflow's database as it is before the first run in a folder; setting up takes 1.3 s."""
    partial = path.with_suffix(".partial")
    partial.write_bytes(_empty_store())
    with closing(sqlite3.connect(partial)) as database, database:
        location = str(project / "mlruns" / "0")
        database.execute("UPDATE experiments SET artifact_location = ?", (location,))
    partial.rename(path)


@contextmanager
def rough_fits_and_figures() -> Iterator[None]:
    """Evaluate in a second instead of half a minute, and train in one instead of four.

    References and a network's first forecast have fewer penalties to choose from, and fewer steps;
    the figures of reports are drawn, but empty ones are written: twenty take four of the five
    seconds of an evaluation.
    """
    from matplotlib.figure import Figure

    write = Figure.savefig

    def write_empty(figure: Figure, path: Path, **options: object) -> None:
        write(Figure() if path.parent.name == "figures" else figure, path, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Figure, "savefig", write_empty)
        patch.setattr("flare.forecasters.references.logistic.INVERSE_PENALTIES", (1e-4, 1.0))
        patch.setattr("flare.training.distribution.PENALTIES", (100.0, 1000.0))
        patch.setattr("flare.training.distribution._STEPS", 10)
        patch.setattr(
            "flare.workflows.evaluation.references.FOREST_SETTINGS", SMALL_FOREST_SETTINGS
        )
        yield


def tree(folder: Path) -> dict[str, int]:
    """Return the size of every file below a folder but those of MLflow's store."""
    return {
        str(path.relative_to(folder)): path.stat().st_size
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.relative_to(folder).parts[0].startswith("ml")
    }
