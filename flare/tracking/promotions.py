"""Moving the alias Production, and its history: each promotion is a tag of the registered model.

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
from mlflow.tracking.context import registry as run_context

from flare.errors import ModelNotFound
from flare.tracking.mlflow_errors import absent_as_none, as_unavailable
from flare.tracking.registry import RegisteredVersion, production_version, version_tags, versions
from flare.tracking.tags import PRODUCTION

_KEY = "flare.promotion/"
_LONGEST_REASON = 3000  # characters: the database of MLflow holds 5,000 of a tag

#: Tags on versions: when one became Production; and, where it did before there was a history,
#: which version it replaced.
_PROMOTED_AT = "flare.promoted_at"
_PREVIOUS = "flare.previous_production"


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


def move_production(
    version: RegisteredVersion,
    *,
    why: str = "",
    rollback: bool = False,
    run_id: str | None = None,
    scores: Mapping[str, Any] | None = None,
) -> int | None:
    """Point Production at a version, and record that; return the number it pointed at before.

    None if it pointed at nothing. See ``Promotion`` for the other arguments.
    """
    client, before = MlflowClient(), None
    with suppress(ModelNotFound):
        before = production_version(version.name).version
    if before == version.version:
        return before
    now = datetime.now(UTC)
    at = now.isoformat(timespec="microseconds").replace("+00:00", "Z")
    content = {
        "who": run_context.resolve_tags().get("mlflow.user", "unknown"),
        "from": before,
        "to": version.version,
        "why": why[:_LONGEST_REASON],
        "rollback": rollback,
        "run_id": run_id,
        "scores": dict(scores or {}),
    }
    with as_unavailable():
        number, text = str(version.version), f"{now:%Y-%m-%dT%H:%M:%SZ}"
        client.set_model_version_tag(version.name, number, _PROMOTED_AT, text)
        client.set_registered_model_alias(version.name, PRODUCTION, number)
        text = json.dumps(content, ensure_ascii=False)
        client.set_registered_model_tag(version.name, _KEY + at, text)
    return before


def promotion_history(name: str) -> list[Promotion]:
    """Return all promotions of a registered model, the oldest first.

    Raises ModelNotFound: there is no such registered model.
    """
    model = absent_as_none(lambda: MlflowClient().get_registered_model(name))
    if model is None:
        raise ModelNotFound(f"no model {name!r} is registered; run `mlflow run . -e train`")
    history = []
    for key in sorted(key for key in model.tags if key.startswith(_KEY)):
        with suppress(ValueError, KeyError, TypeError):  # a tag that was edited by hand
            history.append(_parsed(key.removeprefix(_KEY), json.loads(model.tags[key])))
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


def previous_production(current: RegisteredVersion) -> int | None:
    """Return the number to which a rollback from the Production version leads; None for none.

    Deleted versions are skipped.
    """
    existing = {one.version: one for one in versions(current.name)}
    before = versions_before(promotion_history(current.name), current.version)
    oldest = [current.version, *before][-1]
    return next((n for n in [*before, *_tagged_before(existing, oldest)] if n in existing), None)


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


def _tagged_before(existing: Mapping[int, RegisteredVersion], number: int) -> list[int]:
    """Return the versions that were Production before ``number``, by tags older than the history.

    Each version is named once: these tags hold only the last promotion of a version.
    """
    numbers = [number]
    while numbers[-1] in existing:
        before = version_tags(existing[numbers[-1]]).get(_PREVIOUS)
        if not before or int(before) in numbers:
            break
        numbers.append(int(before))
    return numbers[1:]
