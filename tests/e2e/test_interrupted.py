"""Ctrl-C and SIGTERM end a training in order: exit code 130, the run KILLED, its state left."""

import os
import signal
import time

import pytest
from mlflow import MlflowClient

from flare.datasets.pack.writer import ensure_pack

from workplace import tree

SMALL = {"image_size": 32, "width": 2, "hidden": 4, "processes": 1, "accelerator": "cpu"}


def stopped_after(place, command: list[str], line: str, number: signal.Signals) -> str:
    """Signal every process of a command after a line, as a terminal does; return what follows."""
    with place.start(*command) as process:
        seen = []
        for one in process.stderr:
            seen.append(one)
            if one.startswith(line):
                break
        os.killpg(process.pid, number)
        _, rest = process.communicate(timeout=60)
    assert process.returncode == 130, "".join(seen) + rest
    assert "Traceback" not in rest
    return rest


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_training_is_killed_and_leaves_nothing_but_its_state(place, number):
    ensure_pack(place.data, place.data / "packed-32", image_size=32)
    before = tree(place.folder)
    command = place.entry("train", **SMALL, data_dir=place.data, epochs=10_000, patience=10_000)
    rest = stopped_after(place, command, "epoch  2", number)
    assert rest.splitlines()[-1] == "train: stopped"
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
def test_two_processes_obey_a_signal_after_the_last_epoch_and_do_not_train_it_again(place):
    few = {"epochs": 1, "batch_size": 2, "folds": 0, "resamples": 100, "validation_share": 0.4}
    command = place.entry("train", **SMALL, **few, data_dir=place.data, devices=2)
    stopped_after(place, command, "epoch  1", signal.SIGTERM)
    done = place.call(*command, "--resume=true")
    assert done.returncode == 0, done.stderr
    assert "resuming after 1 epochs and 0 steps" in done.stderr
    assert "epoch  1 " not in done.stderr


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
