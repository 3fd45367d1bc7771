"""Several forecasters on the same samples: scores, subsets of the samples, paired differences.

A score on all samples hides where it comes from: SDOBenchmark's samples of index 1 and above often
end inside the flare that they should forecast, some lack images, and solar activity changes with
the years.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from flare.forecast import Forecast
from flare.goes import CLASS_LETTERS, HEADLINE_EVENT, LABEL_SCALES, QUIET_FLUX, class_index
from flare.sample import Present
from flare.verification.inputs import Observations
from flare.verification.resampling import TrueProbabilities, noise_free_scores, paired_differences
from flare.verification.scorecard import Scorecard, score_forecasts
from flare.verification.scores import FLUX, Score
from flare.verification.table import score_rows

Rows = NDArray[np.bool_]

ALL, FORECAST_CLEAN, COMPLETE = "all", "forecast_clean", "complete"

#: Descriptions of the subsets; years and classes need none.
MEANING = {
    ALL: "every sample of the split, whatever images it lacks",
    FORECAST_CLEAN: "without flaring samples of index 1 and above, whose last image may show the "
    "flare itself",
    COMPLETE: "all 40 images present",
}


def subsets_of(table: pd.DataFrame, present: Present, *, scale: str = "raw") -> dict[str, Rows]:
    """Return which of N samples belong to each subset, in the order of the report.

    ``table`` has N labels as ``read_table`` returns them, ``present`` is bool (N, T, C), and
    ``scale`` the label scale on which the observed classes are meant.

    Returns
    -------
    From the name - ``all``, ``forecast_clean``, ``complete``, ``class_quiet``, ``class_B`` to
    ``class_X``, ``year_2014`` ... - to booleans (N,). Subsets without a sample are left out.
    """
    flux = table["peak_flux"].to_numpy(dtype=np.float64)
    flaring = flux > QUIET_FLUX
    classes = class_index(flux * LABEL_SCALES[scale])
    years = pd.DatetimeIndex(table["end"]).year.to_numpy()
    # The number of a sample within its range is the last part of its id.
    index = table["id"].str.rpartition("_")[2].to_numpy(dtype=np.str_).astype(np.intp)
    subsets = {
        ALL: np.ones(len(table), dtype=np.bool_),
        FORECAST_CLEAN: ~(flaring & (index >= 1)),
        COMPLETE: np.asarray(present.all(axis=(1, 2))),
        "class_quiet": ~flaring,
        **{
            f"class_{letter}": flaring & (classes == place)
            for place, letter in enumerate(CLASS_LETTERS)
        },
        **{f"year_{year}": years == year for year in np.unique(years)},
    }
    return {name: rows for name, rows in subsets.items() if rows.any()}


CLIMATOLOGY = "climatology"

#: The reference forest: fitted for every evaluation, whatever is registered.
FOREST = "forest"

#: The forecaster that uses the true rates of a synthetic dataset: an upper bound on skill.
ORACLE = "oracle"

#: The scores of paired differences, the headline first: event and score.
COMPARED = (
    (HEADLINE_EVENT, "brier_skill_score"),
    (HEADLINE_EVENT, "true_skill_statistic"),
    (HEADLINE_EVENT, "roc_area"),
    ("C1.0", "brier_skill_score"),
    ("C1.0", "true_skill_statistic"),
    (FLUX, "log10_flux_mae"),
    (FLUX, "ranked_probability_score"),
)


#: The events that are also scored against true probabilities.
NOISE_FREE_EVENTS = (HEADLINE_EVENT, "C1.0")


@dataclass(frozen=True)
class Comparison:
    """Forecasts and scores by the name of the forecaster, the evaluated ``model`` first.

    ``subsets`` holds the scorecards of some forecasters on subsets of the samples.
    ``above_climatology`` is the paired difference of the headline's Brier skill score, for all but
    climatology; ``against`` holds the differences model minus other of ``COMPARED``. Where the
    interval of a difference excludes 0, the two differ. ``fitted`` is the number of active regions
    that each was fitted on, if any. ``noise_free`` holds, by event and forecaster, the scores
    against true probabilities, where these are known.
    """

    model: str
    forecasts: dict[str, Forecast]
    scorecards: dict[str, Scorecard]
    subsets: dict[str, dict[str, Scorecard]]
    above_climatology: dict[str, Score]
    against: dict[str, tuple[Score, ...]]
    fitted: dict[str, int] = field(default_factory=dict)
    noise_free: dict[str, dict[str, tuple[Score, ...]]] = field(default_factory=dict)

    def lines(self) -> list[str]:
        """Describe the differences in skill, a line each."""
        lines = [
            f"{name}: {score.event} BSS above climatology's by {_signed(score)}"
            for name, score in self.above_climatology.items()
        ]
        lines += [
            f"{self.model} - {other}: {HEADLINE_EVENT} BSS {_signed(scores[0])}"
            for other, scores in self.against.items()
            if other != CLIMATOLOGY
        ]
        if self.fitted:
            lines.append(f"active regions used for fitting: {self._fitted_line()}")
        if ORACLE in self.scorecards:
            lines.append(f"{ORACLE}: uses the generator's true rates; an upper bound on skill")
        return lines + self._noise_free_lines()

    def rows(self, split: str) -> list[dict[str, object]]:
        """Return ``score_rows`` of all forecasters, subsets and paired differences."""
        rows = [
            row
            for subset, cards in {**self.subsets, ALL: self.scorecards}.items()
            for name, card in cards.items()
            for row in score_rows(card.scores, split=split, forecaster=name, subset=subset)
        ]
        for name, scores in self.against.items():
            rows += score_rows(scores, split=split, forecaster=f"{self.model} - {name}")
        return rows

    def _noise_free_lines(self) -> list[str]:
        """Compare the headline's noise-free scores with the oracle's, a line each."""
        scores = self.noise_free.get(HEADLINE_EVENT, {})
        if ORACLE not in scores:
            return []
        best = scores[ORACLE][0].value
        lines = [f"noise-free (against the true probabilities of {HEADLINE_EVENT}):"]
        for name, (skill, tss, area) in scores.items():
            share = f", {100 * skill.value / best:.0f} % of the oracle's" if best > 0 else ""
            lines.append(
                f"  {name}: BSS {skill.text()}{share}; TSS {tss.text()}; ROC area {area.value:.3f}"
            )
        return lines

    def _fitted_line(self) -> str:
        """List the forecasters by the number of active regions that they were fitted on."""
        by_number: dict[int, list[str]] = {}
        for name, number in self.fitted.items():
            by_number.setdefault(number, []).append(name)
        return "; ".join(f"{number}: {', '.join(names)}" for number, names in by_number.items())


def _signed(score: Score) -> str:
    """Return a difference with its interval as text."""
    return "undefined" if np.isnan(score.value) else score.text("+.3f")


def compare(
    forecasts: Mapping[str, Forecast],
    observations: Observations,
    *,
    resamples: int,
    scale: str = "raw",
    climatology: Mapping[str, float] | None = None,
    subsets: Mapping[str, Rows],
    in_subsets: Sequence[str],
    fitted: Mapping[str, int] | None = None,
    true_probabilities: TrueProbabilities | None = None,
) -> Comparison:
    """Score forecasts of the same N samples by name.

    The evaluated model is the first of the ``forecasts``; climatology is among them. ``scale`` is
    the label scale of the scores, and ``climatology`` maps events to their rates in the training
    split. ``subsets`` maps names to booleans (N,), ``all`` among them; the forecasters
    ``in_subsets`` are scored on these too. ``fitted`` is the number of active regions that each
    was fitted on.
    """
    model = next(iter(forecasts))
    bootstrap: dict[str, Any] = {"n_resamples": resamples, "scale": scale}

    def card(forecast: Forecast, observed: Observations) -> Scorecard:
        return score_forecasts(forecast, observed, climatology=climatology, **bootstrap)

    def minus(one: str, other: str, wanted: Sequence[tuple[str, str]]) -> tuple[Score, ...]:
        pair = forecasts[one], forecasts[other]
        return tuple(paired_differences(*pair, observations, wanted=wanted, **bootstrap))

    cards = {name: card(one, observations) for name, one in forecasts.items()}
    of_subsets = {ALL: {name: cards[name] for name in in_subsets}}
    for subset, rows in subsets.items():
        if subset != ALL:
            observed = observations.take(rows)
            of_subsets[subset] = {
                name: card(forecasts[name].take(rows), observed) for name in in_subsets
            }
    noise_free = {}
    if true_probabilities is not None:
        noise_free = {
            event: noise_free_scores(
                forecasts, true_probabilities, event=event, n_resamples=resamples
            )
            for event in NOISE_FREE_EVENTS
        }
    return Comparison(
        model=model,
        forecasts=dict(forecasts),
        scorecards=cards,
        subsets=of_subsets,
        above_climatology={
            name: minus(name, CLIMATOLOGY, COMPARED[:1])[0]
            for name in forecasts
            if name != CLIMATOLOGY
        },
        against={name: minus(model, name, COMPARED) for name in forecasts if name != model},
        fitted=dict(fitted or {}),
        noise_free=noise_free,
    )
