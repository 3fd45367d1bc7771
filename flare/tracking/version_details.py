"""What MLflow has of a model apart from its files: parameters, tags, scores, its card."""

import json
import logging
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Self

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Metric
from mlflow.exceptions import MlflowException

from flare.errors import TrackingUnavailable
from flare.tracking.mlflow_errors import as_unavailable, is_absent
from flare.tracking.registry import RegisteredVersion, run_text, tag_version, version_tags
from flare.tracking.tags import DATA_TAG, MODEL_CARD, SYNTHETIC_TAG, TEST_SCORES, VALIDATION_SCORES

log = logging.getLogger("flare")

#: Scores of the test split if it was evaluated, else of validation.
_SCORES = ((TEST_SCORES, "test"), (VALIDATION_SCORES, "validation"))


@dataclass(frozen=True)
class VersionDetails:
    """Parameters, tags, scores and card of a model.

    ``scores`` are those of a scorecard, each with event, name, value, low, high, n and n_events,
    and with data, split and label scale, which ``scores_on`` says in one line (None without
    scores). ``card`` is Markdown.
    """

    run_id: str | None = None
    parameters: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    scores: tuple[dict[str, Any], ...] = ()
    scores_on: str | None = None
    reliability: tuple[dict[str, Any], ...] = ()
    card: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return asdict(self)

    @classmethod
    def of_dict(cls, values: Mapping[str, Any]) -> Self:
        """Return the details with these values; empty ones if the values are damaged."""
        with suppress(TypeError, ValueError, KeyError):
            bins = tuple(map(dict, values.get("reliability", ())))  # versions before had none
            scores = tuple(map(dict, values["scores"]))
            return cls(**{**values, "scores": scores, "reliability": bins})
        return cls()


def details_of(run_id: str | None, *, version: RegisteredVersion | None = None) -> VersionDetails:
    """Return what MLflow has of the run that made a model, and of its registered version.

    What cannot be read is left out with a warning: a model is served without it.
    """
    tags: dict[str, str] = {}
    if version is not None:
        with suppress(TrackingUnavailable):
            tags = version_tags(version)
    details = VersionDetails(run_id=run_id, tags=tags)
    if run_id is None:
        return details
    try:
        with as_unavailable():
            parameters = dict(MlflowClient().get_run(run_id).data.params)
        scores, scores_on, reliability = _scores(run_id, tags)
        card = run_text(run_id, MODEL_CARD)
        return VersionDetails(run_id, parameters, tags, scores, scores_on, reliability, card)
    except TrackingUnavailable as error:
        reason = str(error).splitlines()[0]
        log.warning("run %s cannot be read in %s: %s", run_id, mlflow.get_tracking_uri(), reason)
        return details


def log_verification(
    version: RegisteredVersion,
    metrics: Mapping[str, float],
    monthly: Iterable[tuple[str, float, str]],
    tags: dict[str, str],
) -> None:
    """Log scores of a version's real forecasts: metrics of its run, and tags of the version.

    ``monthly`` has name, value and month (``2026-01``, which is step 202601 and the time).
    If that run is gone, this only warns.
    """
    now = int(time.time() * 1000)
    values = [Metric(name, value, now, 0) for name, value in metrics.items()]
    for name, value, month in monthly:
        begin = datetime.fromisoformat(f"{month}-01T00:00:00+00:00")
        step = int(month.replace("-", ""))
        values.append(Metric(name, value, int(begin.timestamp() * 1000), step))
    if version.run_id is not None:
        with as_unavailable():
            try:
                MlflowClient().log_batch(version.run_id, metrics=values)
            except MlflowException as error:
                if not is_absent(error):
                    raise
                log.warning("run %s is gone: its scores are only tags", version.run_id)
    tag_version(version, tags)


def _scores(
    run_id: str, tags: Mapping[str, str]
) -> tuple[tuple[dict[str, Any], ...], str | None, tuple[dict[str, Any], ...]]:
    for name, split in _SCORES:
        text = run_text(run_id, name)
        with suppress(ValueError, KeyError, TypeError):
            if text is not None:
                content = json.loads(text)
                about = {"split": split, "scale": content["scale"], **_data(split, content, tags)}
                scores = tuple({**score, **about} for score in content["scores"])
                bins = tuple(map(dict, content.get("reliability", ())))
                return scores, _described(about), bins
    return (), None, ()


def _data(split: str, content: Mapping[str, Any], tags: Mapping[str, str]) -> dict[str, Any]:
    """Return name and synthetic of the data; None in test scores of older versions."""
    if split == "validation":
        return {"data": tags.get(DATA_TAG), "synthetic": tags.get(SYNTHETIC_TAG) == "true"}
    data = content.get("data") or {}
    return {"data": data.get("name"), "synthetic": data.get("synthetic")}


def _described(about: Mapping[str, Any]) -> str:
    data = "" if about["data"] is None else f" of {about['data']}"
    synthetic = " (SYNTHETIC)" if about["synthetic"] else ""
    return f"{about['split']} split{data}{synthetic}, label scale {about['scale']}"
