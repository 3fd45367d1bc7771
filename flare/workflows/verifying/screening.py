"""What looks too good to be a forecast: a verdict for each method and event."""

import numpy as np

from flare.verification.contingency import best_threshold, contingency_table, true_skill_statistic
from flare.verification.inputs import BoolArray, FloatArray
from flare.verification.probabilistic import brier_skill_score, roc_area

PLAUSIBLE, SUSPECT = "plausible", "suspect"

#: Above this Brier skill score nobody has forecast flares: the best of 19 operational methods in
#: 2016-2017 reach 0.35 at C1.0 and 0.44 at M1.0.
TOO_SKILFUL = 0.9

#: Digits of a threshold that was not chosen by a person.
_ROUND_DIGITS = 3


def screen(
    observed: BoolArray, probability: FloatArray, *, threshold: float, n_events_at_least: int = 5
) -> list[str]:
    """Return reasons to distrust the forecasts of one event: outcomes and probabilities (n,).

    Parameters
    ----------
    threshold
        Probability at and above which the event counts as forecast.
    n_events_at_least
        With fewer events a perfect order is chance.
    """
    n_events = int(np.count_nonzero(observed))
    reasons = []
    if n_events == len(observed):
        return ["there is no quiet sample: every outcome is an event"]
    if np.array_equal(probability, observed):
        reasons.append("probabilities are the outcomes themselves")
    if n_events >= n_events_at_least and not reasons:
        if roc_area(observed, probability) == 1:
            reasons.append("probabilities order events and quiet samples without an error")
        skill = float(brier_skill_score(observed, probability))
        if skill > TOO_SKILFUL:
            reasons.append(f"a Brier skill score of {skill:.3f} is above all known forecasts")
    if n_events and _fitted(observed, probability, threshold):
        reasons.append(
            f"the threshold {threshold!r} has the highest TSS of these samples to the last digit: "
            "it was chosen on them"
        )
    return reasons


def _fitted(observed: BoolArray, probability: FloatArray, threshold: float) -> bool:
    """Say whether an odd threshold has the highest TSS that any has."""
    if threshold == round(threshold, _ROUND_DIGITS):
        return False
    best = best_threshold(observed, probability)
    own, highest = (
        float(true_skill_statistic(contingency_table(observed, probability >= t)))
        for t in (threshold, best)
    )
    return own == highest
