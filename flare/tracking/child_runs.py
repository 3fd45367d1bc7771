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
    """
    child = {
        "key": uuid.uuid4().hex,
        "name": name,
        "params": {key: str(value) for key, value in params.items()},
        "metrics": [{key: float(v) for key, v in values.items()} for values in metrics],
        "tags": {key: str(value) for key, value in tags.items()},
        "status": status,
        "started": int(started * 1000),
        "ended": int(time.time() * 1000),
    }
    parent.outbox.append({"child": child})
