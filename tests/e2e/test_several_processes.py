"""Two processes learn nearly what one with twice the batch learns."""

import pytest
from mlflow import MlflowClient

#: Without dropout, which each process draws for itself; 5 samples in the last batch of 10.
SETTINGS = {
    "image_size": 32, "width": 4, "hidden": 8, "epochs": 4, "patience": 9, "dropout": 0,
    "processes": 1, "validation_share": 0.4, "accelerator": "cpu", "resamples": 100, "folds": 2,
    "learning_rate": 0.005, "precision": "32-true",
}  # fmt: skip
CURVES = (
    "epoch/train/loss",
    "epoch/validation/loss",
    "epoch/train/gradient_norm",
    "epoch/validation/flux/log10_flux_mae",
)


def curves(place) -> dict[str, list[float]]:
    """Return what the newest training has learned, epoch by epoch."""
    client = MlflowClient(f"sqlite:///{place.folder}/mlflow.db")
    (run,) = client.search_runs(["0"], "tags.`flare.entry` = 'train'", max_results=1)
    assert run.info.status == "FINISHED"
    return {
        name: [one.value for one in client.get_metric_history(run.info.run_id, name)]
        for name in CURVES
    }


@pytest.fixture(scope="module")
def alone(place):
    done = place.run("train", **SETTINGS, batch_size=6, data_dir=place.data)
    assert done.returncode == 0, done.stderr
    return curves(place)


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["devices", "torchrun"])
def test_two_processes_have_nearly_the_loss_curve_of_one_with_the_doubled_batch(
    place, alone, launcher
):
    command = place.entry("train", **SETTINGS, batch_size=3, data_dir=place.data)
    if launcher == "devices":
        done = place.call(*command, "--devices=2", "--strategy=ddp")
    else:
        done = place.call("torchrun", "--standalone", "--nproc-per-node=2", *command[1:])
    assert done.returncode == 0, done.stderr
    result = curves(place)
    for name in CURVES:
        assert len(result[name]) == SETTINGS["epochs"]
        # On CPUs each process normalises its own part of a batch: nearly, not exactly.
        assert result[name] == pytest.approx(alone[name], rel=0.25), (name, result, alone)
    client = MlflowClient(f"sqlite:///{place.folder}/mlflow.db")
    runs = client.search_runs(["0"], "tags.`flare.entry` = 'train'")
    assert len(runs) == len(client.search_model_versions())  # one each, whatever the processes
