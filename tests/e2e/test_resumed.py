"""A killed training resumes where it was, and ends with the same bits."""

import os
import signal
from pathlib import Path

import pytest
from mlflow import MlflowClient

SETTINGS = {
    "image_size": 32, "width": 2, "hidden": 4, "batch_size": 2, "epochs": 4, "patience": 9,
    "processes": 1, "validation_share": 0.4, "accelerator": "cpu", "resamples": 100, "folds": 2,
    "ema": 0.5, "accumulate": 2, "checkpoint_steps": 1,
}  # fmt: skip
#: What a clock or the machine says, or the registry.
_OTHERWISE = (
    "system/",
    "epoch/train/samples_per_second",
    "epoch/train/data_wait_share",
    "seconds",
)


class Store:
    """What a place's trainings have left."""

    def __init__(self, place) -> None:
        self.place = place

    @property
    def client(self) -> MlflowClient:
        # Not before a command has made the store: it would put models where the tests run.
        return MlflowClient(f"sqlite:///{self.place.folder}/mlflow.db")

    def newest(self):
        wanted = "tags.`flare.entry` = 'train'"
        return self.client.search_runs(["0"], wanted, max_results=1)[0]

    def history(self, run) -> dict[str, list[tuple[int, float]]]:
        """Return every value of the run's metrics but those that are of the clock."""
        result = {}
        for name in run.data.metrics:
            if not name.startswith(_OTHERWISE):
                history = self.client.get_metric_history(run.info.run_id, name)
                result[name] = [(one.step, one.value) for one in history]
        return result

    def weights(self) -> bytes:
        """Return the weights of the newest model."""
        files = (self.place.folder / "mlruns").rglob("weights.safetensors")
        return max(files, key=lambda file: file.stat().st_mtime).read_bytes()

    def states(self, run) -> list[Path]:
        return sorted((self.place.folder / "ml-runs" / run.info.run_id / "checkpoints").glob("*"))


@pytest.fixture(scope="module")
def store(place):
    return Store(place)


@pytest.fixture(scope="module")
def whole(place, store):
    """Return the history and the weights of a training that nobody interrupted."""
    done = place.run("train", **SETTINGS, data_dir=place.data)
    assert done.returncode == 0, done.stderr
    return store.history(store.newest()), store.weights()


def stop_at(place, line: str, number: signal.Signals) -> tuple[int, str]:
    """Start a training, and stop it as soon as it says something; return its exit code and end."""
    with place.start(*place.entry("train", **SETTINGS, data_dir=place.data)) as process:
        for said in process.stderr:
            if said.startswith(line):
                break
        os.kill(process.pid, number)
        _, rest = process.communicate(timeout=60)
    return process.returncode, rest


@pytest.mark.slow
@pytest.mark.parametrize(
    ("line", "number"),
    [("epoch  1", signal.SIGTERM), ("fold 2", signal.SIGKILL)],
)
def test_a_stopped_training_resumes_and_ends_with_the_same_bits(place, store, whole, line, number):
    code, _rest = stop_at(place, line, number)
    assert code == (130 if number == signal.SIGTERM else -number)
    stopped = store.newest()
    assert [file.suffix for file in store.states(stopped)] == (
        [".npz", ".pt"] if line == "fold 2" else [".pt"]
    )
    done = place.run("train", **SETTINGS, data_dir=place.data, resume="true")
    assert done.returncode == 0, done.stderr
    assert f"resuming run {stopped.info.run_id}" in done.stderr
    finished = store.client.get_run(stopped.info.run_id)
    assert finished.info.status == "FINISHED"
    assert store.history(finished) == whole[0]
    assert store.weights() == whole[1]
    assert store.states(finished) == []


@pytest.mark.slow
def test_other_parameters_do_not_go_on_with_a_run(place, store, whole):
    stop_at(place, "epoch  1", signal.SIGKILL)
    stopped = store.newest().info.run_id
    other = SETTINGS | {"epochs": 1, "data_dir": place.data}
    done = place.run("train", **other, resume="true")
    assert done.returncode == 0, done.stderr
    assert "no unfinished run has these parameters: starting a new one" in done.stderr
    refused = place.run("train", **other, resume=stopped)
    assert refused.returncode == 2
    assert "is of a training with other epochs; resume with the same parameters" in refused.stderr
