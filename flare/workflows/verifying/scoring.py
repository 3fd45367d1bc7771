"""Scores on resamples of blocks or regions, differences of any two methods, scores by month."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from flare.config.verify import VerifyConfig
from flare.errors import InputInvalid
from flare.verification.bootstrap import interval, region_weights
from flare.verification.contingency import ContingencyTable, true_skill_statistic
from flare.verification.corp import corp_decomposition
from flare.verification.flux import class_table, gandin_murphy_gerrity_score
from flare.verification.inputs import BoolArray, FloatArray, ratio
from flare.verification.probabilistic import brier_score
from flare.verification.scores import VS_CLIMATOLOGY, Score, class_scores, event_scores
from flare.workflows.verifying.samples import Samples

#: In place of an event, for scores over all forecast events at once.
ALL_EVENTS = "all"

Scores = tuple[Score, ...]
Values = dict[str, FloatArray]

#: Weights in memory at a time: R x N of one chunk of resamples, 160 MB.
_CHUNK = 20_000_000


@dataclass(frozen=True)
class Filled:
    """The forecasts of one event that are scored, by method: (N,), and which rows count, (n,)."""

    probability: dict[str, FloatArray]
    rows: dict[str, NDArray[np.intp]]
    missing: dict[str, int]


@dataclass(frozen=True)
class Resamples:
    """How often each of G blocks or regions counts in each resample, (1 + R, G), all once first.

    ``group`` is the block or region of each sample, (N,).
    """

    counts: FloatArray
    group: NDArray[np.intp]

    def scores(
        self,
        event: str,
        rows: NDArray[np.intp],
        reached: BoolArray,
        values_of: Callable[..., Values],
    ) -> Scores:
        """Return scores of some rows, (n,), with intervals.

        ``reached`` says which of them count as events, (n,); ``values_of`` returns the values of
        all scores on resamples from their ``weights``, (r, n).
        """
        step = max(1, _CHUNK // max(len(rows), 1))
        parts = [
            values_of(weights=self.counts[start : start + step][:, self.group[rows]])
            for start in range(0, len(self.counts), step)
        ]
        return tuple(
            make_score(event, name, np.concatenate([part[name] for part in parts]), reached)
            for name in parts[0]
        )


def resample(samples: Samples, config: VerifyConfig) -> Resamples:
    """Draw blocks of time or active regions with replacement, as many as there are.

    Raises InputInvalid: there is a single block or region, or samples have no region.
    """
    by_region = config.bootstrap == "region"
    if by_region and not samples.by_region:
        raise InputInvalid("bootstrap=region, but the forecasts have no regions; use time")
    length = np.timedelta64(round(config.block_days * 86_400), "s")
    blocks = ((samples.times - samples.times[0]) // length).astype(np.int64)
    names, index = np.unique(samples.regions if by_region else blocks, return_inverse=True)
    if len(names) < 2:
        what = "active region" if by_region else f"block of {config.block_days:g} days"
        raise InputInvalid(
            f"all samples are in one {what}, which gives no interval; score more of them"
            + ("" if by_region else " or pass a shorter -P block_days=")
        )
    drawn = region_weights(names, n_resamples=config.resamples, seed=config.seed)  # (R, G)
    return Resamples(np.vstack([np.ones((1, len(names))), drawn]), index)


def make_score(event: str, name: str, values: FloatArray, observed: BoolArray) -> Score:
    """Make a score of its values (1 + R,): the first is that of the samples themselves."""
    low, high = _interval(values[1:])
    n_events = int(np.count_nonzero(observed))
    return Score(event, name, float(values[0]), low, high, len(observed), n_events)


def _interval(values: FloatArray) -> tuple[float, float]:
    if not np.isinf(values).any():
        return interval(values)
    # Infinite logarithmic scores: the largest float stands for them between quantiles.
    largest = np.finfo(np.float64).max / 4
    ends = interval(np.nan_to_num(values, nan=np.nan, posinf=largest, neginf=-largest))
    low, high = (float(np.copysign(np.inf, end)) if abs(end) > 1e300 else end for end in ends)
    return low, high


def _skill_against(
    observed: BoolArray, own: FloatArray, climatology: FloatArray, weights: FloatArray
) -> FloatArray:
    return 1 - ratio(own, brier_score(observed, climatology, weights=weights))


def event_values(
    observed: BoolArray,
    probability: FloatArray,
    climatology: FloatArray,
    *,
    threshold: float,
    weights: FloatArray,
) -> Values:
    """Return all scores of one event on each resample: outcomes and probabilities (n,)."""
    values = event_scores(observed, probability, threshold=threshold, weights=weights)
    values[VS_CLIMATOLOGY] = _skill_against(observed, values["brier_score"], climatology, weights)
    values["roc_skill_score"] = 2 * values["roc_area"] - 1
    for name, parts in corp_decomposition(observed, probability, weights=weights).items():
        if name != "brier":
            values[f"{name}_{'score' if name == 'log' else 'rate'}"] = parts.score
        values[f"{name}_miscalibration"] = parts.miscalibration
        values[f"{name}_discrimination"] = parts.discrimination
        values[f"{name}_uncertainty"] = parts.uncertainty
    return values


def all_event_values(
    reached: BoolArray, probability: FloatArray, *, threshold: float, weights: FloatArray
) -> Values:
    """Return the scores over all K events on each resample: outcomes and probabilities (n, K).

    The forecast class of the GMGS is that of the strongest event at or above the threshold.
    """
    k = reached.shape[1]
    strongest = np.where(probability >= threshold, np.arange(1, k + 1), 0).max(axis=1)
    table = class_table(reached.sum(axis=1), strongest, n_classes=k + 1, weights=weights)
    return {
        "gandin_murphy_gerrity_score": gandin_murphy_gerrity_score(table),
        **class_scores(reached, probability, weights=weights),
    }


def paired_scores(
    event: str,
    observed: BoolArray,
    filled: Filled,
    resamples: Resamples,
    threshold: float,
) -> dict[tuple[str, str], Scores]:
    """Return the differences of all pairs, first minus second, on the samples that both have.

    Both are scored on the same resamples, so the interval is that of the difference. Pairs without
    a common sample are left out.
    """
    pairs = {}
    for one, other in combinations(filled.probability, 2):
        rows = np.intersect1d(filled.rows[one], filled.rows[other], assume_unique=True)
        if not len(rows):
            continue
        values = _differences(
            observed[rows],
            filled.probability[one][rows],
            filled.probability[other][rows],
            group=resamples.group[rows],
            counts=resamples.counts,
            threshold=threshold,
        )
        pairs[one, other] = tuple(
            make_score(event, f"{name}_difference", value, observed[rows])
            for name, value in values.items()
        )
    return pairs


def _differences(
    observed: BoolArray,
    one: FloatArray,
    other: FloatArray,
    *,
    group: NDArray[np.intp],
    counts: FloatArray,
    threshold: float,
) -> Values:
    """Return differences on each resample, from sums over the samples of each group.

    Both scores are functions of sums, so resamples need the weights of groups only.
    """
    alarms = [p >= threshold for p in (one, other)]
    columns = np.column_stack(
        [
            np.ones(len(observed)),
            observed,
            np.square(other - observed) - np.square(one - observed),
            *(column for alarm in alarms for column in (alarm & observed, alarm)),
        ]
    )
    sums = np.zeros((counts.shape[1], columns.shape[1]))
    np.add.at(sums, group, columns)
    total, events, gained, hits_one, alarms_one, hits_other, alarms_other = (counts @ sums).T
    rate = ratio(events, total)
    statistics = [
        true_skill_statistic(
            ContingencyTable(hits, events - hits, n - hits, total - events - n + hits)
        )
        for hits, n in ((hits_one, alarms_one), (hits_other, alarms_other))
    ]
    return {
        "brier_skill_score": ratio(ratio(gained, total), rate * (1 - rate)),
        "true_skill_statistic": statistics[0] - statistics[1],
    }


@dataclass(frozen=True)
class MonthScores:
    """Scores of the windows of one method that begin in one month, such as ``2026-01``.

    ``skill`` is against climatology, ``probability`` the mean forecast probability. Intervals are
    over the days of the month.
    """

    month: str
    event: str
    method: str
    brier: Score
    skill: Score
    probability: float

    @property
    def rate(self) -> float:
        """The share of windows with an event."""
        return self.brier.n_events / self.brier.n


def month_scores(
    event: str, samples: Samples, filled: Filled, climatology: str, config: VerifyConfig
) -> list[MonthScores]:
    """Score every method in every month in which it has forecasts of an event."""
    months = samples.starts.astype("datetime64[M]")
    days = samples.starts.astype("datetime64[D]").astype(np.int64)
    rows = []
    for name in samples.methods:
        own = filled.rows.get(name, np.empty(0, dtype=np.intp))
        for month in np.unique(months[own]):
            some = own[months[own] == month]
            observed = samples.outcomes[event][some]
            chance, reference = (filled.probability[of][some] for of in (name, climatology))
            drawn = region_weights(days[some], n_resamples=config.resamples, seed=config.seed)
            weights = np.vstack([np.ones((1, len(some))), drawn])
            brier = brier_score(observed, chance, weights=weights)
            skill = _skill_against(observed, brier, reference, weights)
            if len(np.unique(days[some])) == 1:  # one day has no interval
                brier[1:] = skill[1:] = np.nan
            rows.append(
                MonthScores(
                    str(month),
                    event,
                    name,
                    make_score(event, "brier_score", brier, observed),
                    make_score(event, VS_CLIMATOLOGY, skill, observed),
                    float(chance.mean()),
                )
            )
    return rows
