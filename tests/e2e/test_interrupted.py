"""Ctrl-C and SIGTERM end a training in order: exit code 130, the run KILLED, its state left."""

import os
import signal
import time

import pytest
from mlflow import MlflowClient

from flare.datasets.pack.writer import ensure_pack

from workplace import tree


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_training_is_killed_and_leaves_nothing_but_its_state(place, number):
    small = {"data_dir": place.data, "image_size": 32, "width": 2, "hidden": 4, "processes": 1}
    ensure_pack(place.data, place.data / "packed-32", image_size=32)
    before = tree(place.folder)
    command = place.entry("train", **small, epochs=10_000, patience=10_000, accelerator="cpu")
    with place.start(*command) as process:
        seen = []
        for line in process.stderr:
            seen.append(line)
            if line.startswith("epoch  2"):
                break
        os.killpg(process.pid, number)  # as a terminal does: to every process of the command
        _, rest = process.communicate(timeout=60)
    assert process.returncode == 130, "".join(seen) + rest
    assert rest.splitlines()[-1] == "train: stopped"
    assert "Traceback" not in rest
    assert tree(place.folder) == before
    assert place.leftovers() == []
    client = MlflowClient(f"sqlite:///{place.folder}/mlflow.db")
    (run,) = client.search_runs(["0"], "tags.`flare.entry` = 'train'", max_results=1)
    assert run.info.status == "KILLED"
    states = place.folder / "ml-runs" / run.info.run_id / "checkpoints"
    assert [file.name for file in states.iterdir()] == ["network.pt"]
    assert run.data.metrics["epoch/train/loss"] > 0
    assert client.search_model_versions() == []


@pytest.mark.slow
@pytest.mark.parametrize("devices", [1, 2])
def test_a_signal_after_the_last_epoch_is_obeyed_and_the_network_not_trained_again(place, devices):
    small = {"data_dir": place.data, "image_size": 32, "width": 2, "hidden": 4, "processes": 1}
    few = {"epochs": 2, "batch_size": 2, "folds": 2, "resamples": 100, "validation_share": 0.4}
    command = place.entry("train", **small, **few, accelerator="cpu", devices=devices)
    with place.start(*command) as process:
        seen = []
        for line in process.stderr:
            seen.append(line)
            if line.startswith("epoch  2"):
                break
        os.killpg(process.pid, signal.SIGTERM)
        _, rest = process.communicate(timeout=60)
    assert process.returncode == 130, "".join(seen) + rest
    assert "Traceback" not in rest
    done = place.call(*command, "--resume=true")
    assert done.returncode == 0, done.stderr
    assert "resuming after 2 epochs and 0 steps" in done.stderr
    assert "epoch  2 " not in done.stderr


@pytest.mark.slow
def test_a_synthesis_that_was_killed_is_made_again(place):
    made = place.folder / "invented"
    command = place.entry("synthesize", samples=40, data_dir=made, processes=2)
    with place.start(*command) as process:
        regions = made.with_name(".invented.partial") / "training"
        while process.poll() is None and not any(regions.glob("3*")):
            time.sleep(0.05)
        process.kill()  # it alone: its workers must end by themselves, not race with the next run
        process.communicate(timeout=60)
    assert not made.exists()
    done = place.call(*command)
    assert done.returncode == 0, done.stderr
    images = list(made.rglob("*.jpg"))
    assert len(images) > 40 * 35
    assert sorted(path.name for path in made.iterdir()) == [
        "dataset.json", "oracle", "test", "training",
    ]  # fmt: skip
    assert not list(made.parent.glob(".invented*"))
