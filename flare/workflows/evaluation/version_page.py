"""What the registry's page of a version shows: its model card, and its scores as tags."""

import math

from flare.forecasters.base import Forecaster
from flare.goes import HEADLINE_EVENT
from flare.tracking.logged_models import describe_version
from flare.tracking.registry import (
    RegisteredVersion,
    put_run_text,
    run_commit,
    version_tags,
)
from flare.tracking.tags import MODEL_CARD
from flare.verification.scorecard import Scorecard
from flare.workflows.evaluation.model_card import model_card

#: What versions are tagged with, and promoted by: higher is better.
TAGGED_SCORES = ("brier_skill_score", "true_skill_statistic")

_LONGEST = 5000  # characters that a registry keeps of a description


def score_tags(card: Scorecard, split: str) -> dict[str, str]:
    """Return scores of the headline event as tags, such as ``flare.test_brier_skill_score``.

    With the number of its events; an undefined score is left out.
    """
    tags = {f"flare.{split}_n_events": str(card.get(HEADLINE_EVENT, TAGGED_SCORES[0]).n_events)}
    for name in TAGGED_SCORES:
        value = card.value(HEADLINE_EVENT, name)
        if not math.isnan(value):
            tags[f"flare.{split}_{name}"] = f"{value:.6f}"
    return tags


def description_of(card: str) -> str:
    """Return a model card as the description of a version; cut at a line where it is too long."""
    if len(card) <= _LONGEST:
        return card
    rest = f"\n\nThe rest is in `{MODEL_CARD}` among the artifacts of the source run."
    return card[: _LONGEST - len(rest)].rpartition("\n")[0] + rest


def put_card(
    version: RegisteredVersion,
    forecaster: Forecaster,
    *,
    validation: Scorecard | None,
    test: dict[str, Scorecard] | None = None,
    test_name: str = "test",
) -> None:
    """Write the model card of a version to the artifacts of its run and to its page."""
    card = model_card(
        forecaster,
        label=f"{version.name} version {version.version}",
        tags=version_tags(version),
        run_id=version.run_id,
        commit=run_commit(version),
        validation=validation,
        test=test,
        test_name=test_name,
    )
    put_run_text(version, card, MODEL_CARD)
    describe_version(version.name, version.version, description_of(card))
