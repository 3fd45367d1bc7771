"""Scores of yes-or-no forecasts, all of them functions of the 2 x 2 contingency table.

With P = hits + misses events and N = false alarms + correct negatives non-events. A score whose
denominator is 0 is undefined and NaN, never 0 or 1. Entries of shape (R,), one per bootstrap
resample, give scores of shape (R,). An event is forecast where its probability is at or above a
threshold; thresholds are chosen on out-of-fold forecasts, never on the scored samples.

Definitions: Jolliffe & Stephenson 2012, Forecast Verification, ch. 3 (doi:10.1002/9781119960003);
for flares Barnes et al. 2016 (doi:10.3847/0004-637X/829/2/89).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from flare.verification.inputs import (
    BoolArray,
    FloatArray,
    event_arrays,
    number_array,
    outcome_array,
    ratio,
    weight_array,
)


@dataclass(frozen=True)
class ContingencyTable:
    """Counts of forecasts against outcomes: numbers, or arrays of shape (R,) for R resamples."""

    hits: float | FloatArray
    misses: float | FloatArray
    false_alarms: float | FloatArray
    correct_negatives: float | FloatArray

    @property
    def events(self) -> float | FloatArray:
        """P: the number of events."""
        return self.hits + self.misses

    @property
    def non_events(self) -> float | FloatArray:
        """N: the number of non-events."""
        return self.false_alarms + self.correct_negatives

    @property
    def alarms(self) -> float | FloatArray:
        """The number of events that were forecast."""
        return self.hits + self.false_alarms

    @property
    def total(self) -> float | FloatArray:
        """The number of forecasts."""
        return self.events + self.non_events


def contingency_table(
    observed: BoolArray, forecast: BoolArray, *, weights: ArrayLike | None = None
) -> ContingencyTable:
    """Count hits, misses, false alarms and correct negatives.

    ``observed`` and ``forecast`` are booleans (N,); ``weights`` say how often each sample counts,
    (N,) or (R, N), None for once each.

    Raises VerificationInvalid: the arrays are empty, not boolean, or of different lengths.
    """
    observed = outcome_array("observed", observed)
    forecast = outcome_array("forecast", forecast)
    # Three sums, the fourth by difference: a forecast of another length fails in weight_array.
    counts = weight_array(weights, len(observed))
    alarms = weight_array(counts, len(forecast)) @ forecast
    events, hits = counts @ observed, counts @ (observed & forecast)
    return ContingencyTable(
        hits=hits,
        misses=events - hits,
        false_alarms=alarms - hits,
        correct_negatives=counts.sum(axis=-1) - events - alarms + hits,
    )


def probability_of_detection(table: ContingencyTable) -> FloatArray:
    """Return the share of events that were forecast, hits / P (POD, recall).

    Perfect 1; NaN without events.
    """
    return ratio(table.hits, table.events)


def probability_of_false_detection(table: ContingencyTable) -> FloatArray:
    """Return the share of non-events that were forecast, false alarms / N (POFD).

    Perfect 0; NaN without non-events. Not the false alarm ratio.
    """
    return ratio(table.false_alarms, table.non_events)


def false_alarm_ratio(table: ContingencyTable) -> FloatArray:
    """Return the share of alarms that were false, false alarms / alarms (FAR).

    Perfect 0; NaN without alarms.
    """
    return ratio(table.false_alarms, table.alarms)


def true_skill_statistic(table: ContingencyTable) -> FloatArray:
    """Return POD - POFD (TSS; Peirce skill score; Hanssen & Kuipers discriminant).

    In -1..1: perfect 1, any constant forecast 0; NaN without events or without non-events. The
    ratio of events to non-events does not change it: Bloomfield et al. 2012,
    doi:10.1088/2041-8205/747/2/L41.
    """
    return probability_of_detection(table) - probability_of_false_detection(table)


def heidke_skill_score(table: ContingencyTable) -> FloatArray:
    """Return the accuracy gained over random forecasts of the same frequency (HSS, HSS2).

    2 (hits * correct negatives - misses * false alarms) / [P (misses + correct negatives) +
    alarms * N]. In -1..1: perfect 1, any constant forecast 0; NaN where outcomes and forecasts
    are all the same. Barnes & Leka 2008, doi:10.1086/595550.
    """
    gained = table.hits * table.correct_negatives - table.misses * table.false_alarms
    expected = table.events * (table.misses + table.correct_negatives)
    return ratio(2 * gained, expected + table.alarms * table.non_events)


def critical_success_index(table: ContingencyTable) -> FloatArray:
    """Return hits / (hits + misses + false alarms) (CSI, threat score).

    Perfect 1; NaN where the event was neither observed nor forecast.
    """
    return ratio(table.hits, table.events + table.false_alarms)


def frequency_bias(table: ContingencyTable) -> FloatArray:
    """Return alarms / P: above 1 the event is forecast more often than it happens.

    Perfect 1; NaN without events.
    """
    return ratio(table.alarms, table.events)


def precision(table: ContingencyTable) -> FloatArray:
    """Return hits / alarms, 1 - FAR. Perfect 1; NaN without alarms."""
    return ratio(table.hits, table.alarms)


def recall(table: ContingencyTable) -> FloatArray:
    """Return hits / P, the machine-learning name of the POD. Perfect 1; NaN without events."""
    return probability_of_detection(table)


def f1_score(table: ContingencyTable) -> FloatArray:
    """Return 2 hits / (P + alarms), the harmonic mean of precision and recall.

    Perfect 1; 0 where events were never forecast; NaN where there were neither.
    """
    return ratio(2 * table.hits, table.events + table.alarms)


def accuracy(table: ContingencyTable) -> FloatArray:
    """Return the share of right forecasts.

    Perfect 1. Misleading for rare events: never forecasting one that happens in 1 % of the cases
    has 0.99.
    """
    return ratio(table.hits + table.correct_negatives, table.total)


def appleman_skill_score(table: ContingencyTable) -> FloatArray:
    """Return the gain over always forecasting the more frequent outcome (ApSS).

    (hits - false alarms) / P where P < N, else (correct negatives - misses) / N. Perfect 1; that
    constant forecast 0; NaN without events or without non-events. Barnes et al. 2016.
    """
    rare = ratio(table.hits - table.false_alarms, table.events)
    frequent = ratio(table.correct_negatives - table.misses, table.non_events)
    return np.where(np.less(table.events, table.non_events), rare, frequent)


def gilbert_skill_score(table: ContingencyTable) -> FloatArray:
    """Return CSI with the hits of random forecasts of the same frequency taken off (GSS, ETS).

    (hits - r) / (hits + misses + false alarms - r) with r = P * alarms / (P + N). In -1/3..1:
    perfect 1, any constant forecast 0; NaN where outcomes and forecasts are all the same.
    Schaefer 1990, doi:10.1175/1520-0434(1990)005<0570:TCSIAA>2.0.CO;2.
    """
    random = ratio(table.events * table.alarms, table.total)
    return ratio(table.hits - random, table.events + table.false_alarms - random)


def symmetric_extremal_dependence_index(table: ContingencyTable) -> FloatArray:
    """Return a score of rare events that does not vanish with their rate (SEDI).

    (ln POFD - ln POD - ln(1 - POFD) + ln(1 - POD)) / (the same with plus signs). In -1..1: perfect
    1, random forecasts 0; NaN where the POD or POFD is 0 or 1, except for a perfect forecast.
    Ferro & Stephenson 2011, doi:10.1175/WAF-D-10-05030.1.
    """
    pod, pofd = probability_of_detection(table), probability_of_false_detection(table)
    inside = (pod > 0) & (pod < 1) & (pofd > 0) & (pofd < 1)
    h, f = np.where(inside, pod, 0.5), np.where(inside, pofd, 0.5)
    top = np.log(f) - np.log(h) - np.log1p(-f) + np.log1p(-h)
    bottom = np.log(f) + np.log(h) + np.log1p(-f) + np.log1p(-h)
    perfect = (pod == 1) & (pofd == 0)
    return np.where(inside, top / bottom, np.where(perfect, 1.0, np.nan))


#: Every score of a contingency table, under the name that reports and MLflow show.
CONTINGENCY_SCORES: dict[str, Callable[[ContingencyTable], FloatArray]] = {
    score.__name__: score
    for score in (
        true_skill_statistic,
        heidke_skill_score,
        probability_of_detection,
        probability_of_false_detection,
        false_alarm_ratio,
        precision,
        recall,
        f1_score,
        accuracy,
        critical_success_index,
        frequency_bias,
        appleman_skill_score,
        gilbert_skill_score,
        symmetric_extremal_dependence_index,
    )
}


def tables_at(
    observed: BoolArray,
    probability: FloatArray,
    thresholds: FloatArray,
    *,
    weights: ArrayLike | None = None,
) -> ContingencyTable:
    """Return the contingency tables at K thresholds: entries are (K,), or (R, K) of R resamples."""
    observed, probability, counts = event_arrays(observed, probability, weights)
    thresholds = number_array("thresholds", thresholds, np.shape(thresholds))
    order = np.argsort(probability)
    n_below = np.searchsorted(probability[order], thresholds)
    ordered = counts[..., order]

    def at_or_above(counted: FloatArray) -> FloatArray:
        # Entry k: what the k samples of the lowest probabilities weigh.
        below = np.insert(np.cumsum(counted, axis=-1), 0, 0, axis=-1)
        return np.asarray(below[..., -1:] - below[..., n_below])

    hits = at_or_above(ordered * observed[order])
    false_alarms = at_or_above(ordered * ~observed[order])
    return ContingencyTable(
        hits=hits,
        misses=(counts @ observed)[..., None] - hits,
        false_alarms=false_alarms,
        correct_negatives=(counts @ ~observed)[..., None] - false_alarms,
    )


def best_threshold(
    observed: BoolArray, probability: FloatArray, *, otherwise: float = 0.5
) -> float:
    """Return the threshold with the highest true skill statistic; never for data that are scored.

    All thresholds between two neighbouring forecast probabilities give the same alarms, so the
    middle between them is returned. Of several such gaps with the highest score the widest is
    chosen, and of equally wide ones the lowest: a constant forecast below 0.5 then never raises an
    alarm.

    ``otherwise`` is returned where the score is undefined: without events, or without non-events.
    """
    observed = outcome_array("observed", observed)
    if observed.all() or not observed.any():
        return otherwise
    forecast = np.unique(probability)
    below, above = np.append(0.0, forecast), np.append(forecast, 1.0)
    middle = (below + above) / 2
    # The gap is open below: between neighbouring floats the middle may round onto its lower end.
    candidates = np.where(middle > below, middle, above)
    table = tables_at(observed, probability, candidates)
    # TSS * P * N, in whole numbers, so that equal scores are equal.
    skill = table.hits * table.non_events - table.false_alarms * table.events
    width = np.where(skill == np.max(skill), above - below, -1)
    return float(candidates[np.argmax(width)])
