"""The scores of a verification as metrics and as the score table of its run."""

import math
import re
from dataclasses import replace

from flare.verification.scores import Score
from flare.verification.table import score_rows
from flare.workflows.verifying.verification import Verification

#: In the place of the split in the names of metrics.
SPLIT = "verify"

#: The scores that are metrics; the score table has all.
HEADLINE = (
    "brier_skill_score",
    "brier_skill_score_vs_climatology",
    "true_skill_statistic",
    "heidke_skill_score",
    "gilbert_skill_score",
    "roc_area",
)


def headline_metrics(result: Verification) -> dict[str, float]:
    """Return the headline of all methods as ``verify/EVENT/SCORE/METHOD``, with intervals."""
    metrics: dict[str, float] = {}
    for event in result.events:
        for name, scores in result.scores[event].items():
            # MLflow's names take no other signs.
            of = re.sub(r"[^\w .\-]", "_", name)
            for score in scores:
                if score.name in HEADLINE:
                    metrics |= finite(score).metrics(SPLIT, of=of)
    return metrics


def table_rows(result: Verification) -> list[dict[str, object]]:
    """Return the rows of the score table: all scores, and the differences of all pairs."""
    rows = [
        row
        for of in result.scores.values()
        for name, scores in of.items()
        for row in score_rows((finite(one) for one in scores), split=SPLIT, forecaster=name)
    ]
    for pairs in result.pairs.values():
        for (one, other), scores in pairs.items():
            numbers = (finite(score) for score in scores)
            rows += score_rows(numbers, split=SPLIT, forecaster=f"{one} - {other}")
    return rows


def finite(score: Score) -> Score:
    """Return a score with NaN for what is infinite, which JSON does not have."""
    value, low, high = (
        math.nan if math.isinf(number) else number
        for number in (score.value, score.low, score.high)
    )
    return replace(score, value=value, low=low, high=high)
