"""Finished child runs, sent with their parent's journal: a search has hundreds of trials."""

import time
import uuid
from collections.abc import Mapping, Sequence

from flare.tracking.runs import Run


def log_child(
    parent: Run,
    *,
    name: str,
    params: Mapping[str, object],
    metrics: Sequence[Mapping[str, float]],
    tags: Mapping[str, object],
    status: str,
    started: float,
    times: Sequence[float] = (),
    scores: Mapping[str, float] | None = None,
) -> None:
    """Store a run that is already over below its parent.

    Parameters
    ----------
    metrics
        One mapping a step, from step 1.
    status
        ``FINISHED``, ``FAILED`` or ``KILLED``.
    started
        When it began, in seconds since 1970.
    times
        When each step ended; empty: now.
    scores
        Final metrics, of step 0 as those of every run.
    """
    ended = time.time()
    steps = zip(times or [ended] * len(metrics), metrics, strict=True)
    entries = [_metrics(one, when, step) for step, (when, one) in enumerate(steps, start=1)]
    child = {
        "key": uuid.uuid4().hex,
        "name": name,
        "params": {key: str(value) for key, value in params.items()},
        "metrics": [*entries, _metrics(scores or {}, ended, 0)],
        "tags": {key: str(value) for key, value in tags.items()},
        "status": status,
        "started": int(started * 1000),
        "ended": int(ended * 1000),
    }
    parent.outbox.append({"child": child})


def _metrics(values: Mapping[str, float], when: float, step: int) -> dict[str, object]:
    floats = {key: float(value) for key, value in values.items()}
    return {"metrics": floats, "time": int(when * 1000), "step": step}
