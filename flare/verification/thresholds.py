"""From probability to alarm: an event is forecast where its probability is at or above a threshold.

A threshold is chosen on held-out training or validation regions, never on what is scored.
"""

import numpy as np

from flare.verification.contingency import ContingencyTable
from flare.verification.inputs import (
    BoolArray,
    FloatArray,
    number_array,
    outcome_array,
    probability_array,
)


def tables_at(
    observed: BoolArray, probability: FloatArray, thresholds: FloatArray
) -> ContingencyTable:
    """Return the contingency tables at K thresholds; the entries have shape (K,)."""
    observed = outcome_array("observed", observed)
    probability = probability_array("probability", probability, observed.shape)
    thresholds = number_array("thresholds", thresholds, np.shape(thresholds))

    def at_or_above(values: FloatArray) -> FloatArray:
        return (len(values) - np.searchsorted(np.sort(values), thresholds)).astype(np.float64)

    hits, false_alarms = at_or_above(probability[observed]), at_or_above(probability[~observed])
    n_events = np.count_nonzero(observed)
    return ContingencyTable(
        hits=hits,
        misses=n_events - hits,
        false_alarms=false_alarms,
        correct_negatives=len(observed) - n_events - false_alarms,
    )


def best_threshold(
    observed: BoolArray, probability: FloatArray, *, otherwise: float = 0.5
) -> float:
    """Return the threshold with the highest true skill statistic, for validation data only.

    All thresholds between two neighbouring issued probabilities give the same alarms, so the
    middle between them is returned. Where several such gaps have the highest score the widest is
    taken, and of equally wide ones the lowest: for a constant forecast below 0.5 that is never to
    raise an alarm.

    Parameters
    ----------
    otherwise
        What to return where the score is undefined: without events, or without non-events.
    """
    observed = outcome_array("observed", observed)
    if observed.all() or not observed.any():
        return otherwise
    issued = np.unique(probability)
    below, above = np.append(0.0, issued), np.append(issued, 1.0)
    middle = (below + above) / 2
    # The gap is open below: between neighbouring floats the middle may round onto its lower end.
    candidates = np.where(middle > below, middle, above)
    table = tables_at(observed, probability, candidates)
    # TSS * P * N, in whole numbers, so that equal scores are equal.
    skill = table.hits * table.non_events - table.false_alarms * table.events
    width = np.where(skill == np.max(skill), above - below, -1)
    return float(candidates[np.argmax(width)])
