"""Ctrl-C in the middle of a prediction of many samples."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from flare.workflows.prediction import predict_many


def journal_of(output: Path) -> Path:
    """Return the path of the stored forecasts of an interrupted run."""
    return output.with_name(f"{output.name}.partial.jsonl")


@contextmanager
def stopped_after(batches: int, error: type[BaseException] = KeyboardInterrupt) -> Iterator[None]:
    """Let Ctrl-C come after so many batches, and expect it to come out."""
    real, done = predict_many._rows, []

    def rows(*given, **named):
        if len(done) == batches:
            raise error
        done.append(1)
        return real(*given, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(predict_many, "_rows", rows)
        try:
            yield
        except error:
            return
    pytest.fail("nothing was interrupted")
