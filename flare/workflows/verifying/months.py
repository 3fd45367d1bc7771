"""The scores of each method month by month."""

from dataclasses import dataclass

import numpy as np

from flare.verification.bootstrap import region_weights
from flare.verification.inputs import BoolArray, FloatArray, ratio
from flare.verification.probabilistic import brier_score
from flare.verification.scores import VS_CLIMATOLOGY, Score
from flare.workflows.evaluation.report.render import Section, Table
from flare.workflows.evaluation.report.sections import Cells, interval_cell
from flare.workflows.verifying.scoring import Values, make_score
from flare.workflows.verifying.verification import Verification

#: Methods in the report; ``months.csv`` has all.
SHOWN = 3


@dataclass(frozen=True)
class MonthScores:
    """Scores of the windows of one method that begin in one month, such as ``2026-01``.

    ``probability`` is the mean forecast probability. Intervals are over the days of the month.
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


def by_month(result: Verification) -> list[MonthScores]:
    """Score every method in every month in which it has forecasts."""
    starts = result.samples.starts
    months = starts.astype("datetime64[M]")
    days = starts.astype("datetime64[D]").astype(np.int64)
    rows = []
    for event, filled in result.scored.items():
        climatology = filled.probability[result.climatology]
        for name in result.methods:
            if name not in filled.rows:
                continue
            own = filled.rows[name]
            for month in np.unique(months[own]):
                some = own[months[own] == month]
                observed, chance = result.samples.outcomes[event][some], filled.probability[name]
                weights = region_weights(
                    days[some], n_resamples=result.rules.resamples, seed=result.rules.seed
                )
                weights = np.vstack([np.ones((1, len(some))), weights])
                values = _values(observed, chance[some], climatology[some], weights)
                if len(np.unique(days[some])) == 1:  # one day has no interval
                    values = {key: of * _first(len(of)) for key, of in values.items()}
                brier, skill = (make_score(event, key, of, observed) for key, of in values.items())
                mean = float(chance[some].mean())
                rows.append(MonthScores(str(month), event, name, brier, skill, mean))
    return rows


def _values(
    observed: BoolArray, chance: FloatArray, climatology: FloatArray, weights: FloatArray
) -> Values:
    own = brier_score(observed, chance, weights=weights)
    against = brier_score(observed, climatology, weights=weights)
    return {"brier_score": own, VS_CLIMATOLOGY: 1 - ratio(own, against)}


def _first(n: int) -> FloatArray:
    """Return 1 and then NaN."""
    return np.where(np.arange(n) == 0, 1.0, np.nan)


def month_section(result: Verification, rows: list[MonthScores]) -> Section:
    """Return a table for each event and for the first methods."""
    tables = []
    header = ["month", "n", "events", "event rate", "mean probability", "Brier score",
              f"BSS vs {result.climatology}"]  # fmt: skip
    for event in reversed(result.events):
        for name in result.methods[:SHOWN]:
            cells: list[Cells] = [
                [
                    one.month,
                    str(one.brier.n),
                    str(one.brier.n_events),
                    f"{one.rate:.3f}",
                    f"{one.probability:.3f}",
                    interval_cell(one.brier),
                    interval_cell(one.skill, signed=True),
                ]
                for one in rows
                if (one.event, one.method) == (event, name)
            ]
            if cells:
                caption = f"{name}, {event}. Intervals are over the days of the month."
                tables.append(Table(caption, header, cells))
    return Section("Month by month", tables)
