"""`mlflow run` in the active environment: what it passes on, and what it says of bad input."""

import pytest
from mlflow import MlflowClient

pytestmark = pytest.mark.slow


def mlflow_run(place, entry: str, **parameters: object):
    words = [word for key, value in parameters.items() for word in ("-P", f"{key}={value}")]
    return place.call("mlflow", "run", place.project, "-e", entry, "--env-manager", "local", *words)


def newest(place):
    client = MlflowClient(f"sqlite:///{place.folder}/mlflow.db")
    return client.search_runs(["0"], max_results=1)[0]


def test_a_bad_parameter_is_one_line_of_ours_and_a_failed_run(place):
    done = mlflow_run(place, "train", epochs="abc")
    assert done.returncode != 0
    (line,) = [text for text in done.stderr.splitlines() if text.startswith("train: ")]
    assert "epochs=abc" in line
    assert "Traceback" not in done.stderr
    assert newest(place).info.status == "FAILED"


def test_a_parameter_that_is_none_is_refused(place):
    done = mlflow_run(place, "train", nonsense=3)
    assert done.returncode != 0
    assert "train: unrecognized arguments: --nonsense 3" in done.stderr


def test_a_run_is_one_run_that_keeps_the_users_spelling(place):
    small = {"data_dir": place.data, "image_size": 32, "trees": 5, "processes": 1}
    done = mlflow_run(place, "baseline", **small, max_features="3e-1", validation_share=0.4)
    assert done.returncode == 0, done.stderr
    assert "solar-flare version 1 (forest)" in done.stdout
    run = newest(place)
    assert run.info.status == "FINISHED"
    assert run.data.params["max_features"] == "3e-1"
    assert run.data.tags["flare.entry"] == "baseline"
