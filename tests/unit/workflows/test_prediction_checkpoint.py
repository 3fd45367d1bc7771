"""A checkpoint has the complete batches of one task after any end of the process."""

from dataclasses import replace
from pathlib import Path

import pytest

from flare.errors import ConfigInvalid, PlaceInUse
from flare.workflows.prediction.prediction_checkpoint import PredictionCheckpoint, Task

TASK = Task(model="m" * 64, data="d" * 64, split="test", samples=7, batch=3)


def batch(first: int, count: int = 3) -> list[dict[str, object]]:
    return [{"row": {"id": f"sample {k}", "value": k / 3}} for k in range(first, first + count)]


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "out" / "predictions.csv"


@pytest.fixture
def interrupted(output: Path) -> Path:
    """A checkpoint with two whole batches of three."""
    with PredictionCheckpoint(output, TASK) as checkpoint:
        checkpoint.append(batch(0))
        checkpoint.append(batch(3))
    return checkpoint.path


@pytest.mark.parametrize(
    "torn", [b"", b'[{"row": {"id": "sa', b'[{"row": {"id": "sample 6"}}]', b"\0\0\n"]
)
def test_a_checkpoint_goes_on_after_its_last_whole_batch(output, interrupted, torn):
    assert interrupted == output.with_name("predictions.csv.partial.jsonl")
    with interrupted.open("ab") as file:
        file.write(torn)
    for records in (batch(0) + batch(3), batch(0) + batch(3) + batch(6, 1)):
        with PredictionCheckpoint(output, TASK) as checkpoint:
            assert checkpoint.records == records
            checkpoint.append(batch(6, 1))


def test_a_first_line_that_is_torn_is_written_again(output, interrupted):
    interrupted.write_bytes(interrupted.read_bytes()[:20])
    for records in ([], batch(0)):
        with PredictionCheckpoint(output, TASK) as checkpoint:
            assert checkpoint.records == records
            checkpoint.append(batch(0))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": "x"}, "another model"),
        ({"data": "x"}, "other data, or files that changed"),
        ({"split": "training"}, "another split"),
        ({"batch": 4}, "another version of flare"),
    ],
)
def test_only_a_restart_discards_the_checkpoint_of_another_task(
    output, interrupted, change, message
):
    before = interrupted.read_bytes()
    with pytest.raises(ConfigInvalid, match=rf"{message}.*; pass -P restart=true"):
        PredictionCheckpoint(output, replace(TASK, **change))
    assert interrupted.read_bytes() == before
    with PredictionCheckpoint(output, replace(TASK, **change), restart=True) as checkpoint:
        assert checkpoint.records == []


@pytest.mark.parametrize("content", [b"my notes\n", b"[1, 2]\n", b"my notes"])
def test_a_file_of_something_else_is_refused(output, interrupted, content):
    interrupted.write_bytes(content)
    with pytest.raises(ConfigInvalid, match=r"something else.*restart=true"):
        PredictionCheckpoint(output, TASK)
    assert interrupted.read_bytes() == content


def test_two_processes_do_not_write_the_same_checkpoint_and_an_empty_one_is_not_left(output):
    with (
        PredictionCheckpoint(output, TASK),
        pytest.raises(PlaceInUse, match=r"is being written by another process; wait"),
    ):
        PredictionCheckpoint(output, TASK)
    assert list(output.parent.iterdir()) == []


def test_a_removed_checkpoint_is_gone(output, interrupted):
    with PredictionCheckpoint(output, TASK) as checkpoint:
        checkpoint.remove()
    assert list(output.parent.iterdir()) == []
