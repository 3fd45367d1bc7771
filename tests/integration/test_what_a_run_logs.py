"""What every training logs with MLflow apart from its scores."""

import io
import json
import time
from pathlib import Path

import mlflow
import pandas as pd
import pytest
from mlflow import MlflowClient
from PIL import Image

from flare.tracking.runs import start
from flare.workflows.fitting.registration import spread


@pytest.fixture(params=["forest", "network"])
def run_id(request, models, at_home) -> str:
    return getattr(models, request.param).version.run_id


def artifact(run_id: str, path: str) -> bytes:
    return Path(mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path=path)).read_bytes()


def test_the_load_of_the_machine_is_logged_as_system_metrics(at_home, monkeypatch):
    monkeypatch.setenv("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL", "0.1")
    with start("train", name="watched", watch=True) as run:
        time.sleep(1)
    metrics = MlflowClient().get_run(run.id).data.metrics
    for name in ("cpu_utilization_percentage", "system_memory_usage_megabytes"):
        assert metrics[f"system/{name}"] >= 0


def test_the_environment_names_python_processor_and_every_package(run_id):
    result = json.loads(artifact(run_id, "environment.json"))
    assert result["python"].startswith("3.")
    assert result["processor"]
    assert {"mlflow", "numpy", "torch"} <= set(result["packages"])
    assert result["torch"]["threads"] >= 1


def test_sample_predictions_are_a_figure_and_a_table_of_validation_samples(run_id):
    with Image.open(io.BytesIO(artifact(run_id, "figures/sample_predictions.png"))) as figure:
        assert min(figure.size) > 300
    table = pd.read_csv(io.BytesIO(artifact(run_id, "sample_predictions.csv")))
    held = pd.read_csv(io.BytesIO(artifact(run_id, "validation_forecasts.csv")))
    both = table.merge(held, on="id", suffixes=("", "_held"))
    assert len(both) == len(table) == min(6, len(held))
    assert (both["log10_flux"] - both["log10_flux_held"]).abs().max() < 1e-6
    assert table["peak_flux"].is_monotonic_decreasing
    assert {"lower", "upper", "probability_M1.0"} <= set(table)


def test_samples_are_of_all_strengths_the_strongest_first():
    flux = pd.Series([3.0, 9.0, 1.0, 5.0, 7.0, 2.0]).to_numpy()
    assert list(flux[spread(flux, 3)]) == [9.0, 5.0, 1.0] or list(flux[spread(flux, 3)])[1] == 3.0
    assert len(spread(flux, 10)) == 6
