"""The history of Production: each promotion is one tag of the registered model.

The key is ``flare.promotion/`` and the time, so a record is never changed, and two people who
promote at once overwrite nothing.
"""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.tracking.context import registry as run_context

from flare.errors import ModelNotFound
from flare.tracking.mlflow_errors import answering, is_absent

_KEY = "flare.promotion/"
_LONGEST_REASON = 3000  # characters: the database of MLflow holds 5,000 of a tag


@dataclass(frozen=True)
class Promotion:
    """One move of the alias Production, from version ``before`` to ``version``.

    ``before`` is None if nothing was Production. ``at`` is the time, ISO 8601 in UTC. ``rollback``
    means that it went back to an earlier version. ``scores`` holds validation scores with their
    intervals: of the ``candidate``, the ``incumbent``, and their difference, the ``gain``.
    """

    at: str
    who: str
    before: int | None
    version: int
    why: str = ""
    rollback: bool = False
    run_id: str | None = None
    scores: Mapping[str, Any] = field(default_factory=dict)


def record_promotion(
    name: str,
    *,
    before: int | None,
    version: int,
    why: str,
    rollback: bool,
    run_id: str | None,
    scores: Mapping[str, Any],
) -> None:
    """Add a promotion to the history of a registered model."""
    at = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    content = {
        "who": run_context.resolve_tags().get("mlflow.user", "unknown"),
        "from": before,
        "to": version,
        "why": why[:_LONGEST_REASON],
        "rollback": rollback,
        "run_id": run_id,
        "scores": dict(scores),
    }
    with answering():
        MlflowClient().set_registered_model_tag(
            name, _KEY + at, json.dumps(content, ensure_ascii=False)
        )


def promotion_history(name: str) -> list[Promotion]:
    """Return all promotions of a registered model, the oldest first.

    Raises ModelNotFound: there is no such registered model.
    """
    with answering():
        try:
            tags = MlflowClient().get_registered_model(name).tags
        except MlflowException as error:
            if not is_absent(error):
                raise
            raise ModelNotFound(
                f"no model {name!r} is registered; run `mlflow run . -e train`"
            ) from error
    history = []
    for key in sorted(key for key in tags if key.startswith(_KEY)):
        with suppress(ValueError, KeyError, TypeError):  # a tag that was edited by hand
            history.append(_parsed(key.removeprefix(_KEY), json.loads(tags[key])))
    return history


def _parsed(at: str, content: Mapping[str, Any]) -> Promotion:
    return Promotion(
        at,
        str(content["who"]),
        None if content["from"] is None else int(content["from"]),
        int(content["to"]),
        str(content["why"]),
        bool(content["rollback"]),
        content["run_id"],
        dict(content["scores"]),
    )


def versions_before(history: Sequence[Promotion], current: int) -> list[int]:
    """Return the versions to which rollbacks from ``current`` lead, one after another.

    A rollback undoes promotions: after 1, 2, 3 they lead to 2 and then to 1, and a version from
    which Production was rolled back is not returned to.
    """
    stack: list[int] = []

    def push(version: int | None) -> None:
        if version is not None and stack[-1:] != [version]:
            stack.append(version)

    for promotion in history:
        push(promotion.before)  # differs from the last one where the alias was moved by hand
        while promotion.rollback and stack and stack[-1] != promotion.version:
            stack.pop()
        push(promotion.version)
    push(current)
    return stack[-2::-1]
