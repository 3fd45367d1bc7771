"""Several forecasters on the same samples: scores, subsets, and who beats whom."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from flare.forecast import Forecast
from flare.goes import HEADLINE_EVENT
from flare.verification.inputs import Observations
from flare.verification.noise_free import TrueProbabilities, noise_free_scores
from flare.verification.resampling import paired_differences
from flare.verification.scorecard import Scorecard, score_forecasts
from flare.verification.scores import FLUX, Score
from flare.workflows.evaluation.subsets import ALL, Rows

CLIMATOLOGY = "climatology"

#: The reference forest: fitted afresh for every evaluation, whatever is registered.
FOREST = "forest"

#: The forecaster that knows the true rates of a synthetic dataset: an upper bound on skill.
ORACLE = "oracle"

#: What is compared pair by pair, the headline first: event and score.
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
class Settings:
    """How scores are computed: the same for all that are compared.

    ``climatology`` maps events to their rates in the training split.
    """

    resamples: int
    scale: str = "raw"
    climatology: Mapping[str, float] | None = None


@dataclass(frozen=True)
class Comparison:
    """Forecasters by name, the model that it is about first.

    ``subsets`` holds the scorecards of some of them on parts of the samples. ``above_climatology``
    is the paired difference of the headline's Brier skill score, for all but climatology itself;
    ``against`` holds the differences model minus rival of ``COMPARED``. Where the interval of a
    difference holds no 0, the two differ. ``fitted`` says on how many active regions each was
    fitted, where it was fitted at all. ``noise_free`` holds, by event and forecaster, the scores
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
        """Say who beats climatology and whom the model beats, a line each."""
        said = [
            f"{name}: {score.event} BSS above climatology's by {signed(score)}"
            for name, score in self.above_climatology.items()
        ]
        said += [
            f"{self.model} - {rival}: {HEADLINE_EVENT} BSS {signed(scores[0])}"
            for rival, scores in self.against.items()
            if rival != CLIMATOLOGY
        ]
        if self.fitted:
            said.append(f"active regions that each was fitted on: {self._fitted_line()}")
        if ORACLE in self.scorecards:
            said.append(f"{ORACLE}: uses the generator's true rates; an upper bound on skill")
        return said + self._noise_free_lines()

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
                f"  {name}: BSS {skill.value:.3f} [{skill.low:.3f}, {skill.high:.3f}]{share}; "
                f"TSS {tss.value:.3f} [{tss.low:.3f}, {tss.high:.3f}]; ROC area {area.value:.3f}"
            )
        return lines

    def _fitted_line(self) -> str:
        """Say on how many active regions each was fitted, with those of one number together."""
        by_number: dict[int, list[str]] = {}
        for name, number in self.fitted.items():
            by_number.setdefault(number, []).append(name)
        return "; ".join(f"{number}: {', '.join(names)}" for number, names in by_number.items())


def signed(score: Score) -> str:
    """Return a difference with its interval as text."""
    if np.isnan(score.value):
        return "undefined"
    return f"{score.value:+.3f} [{score.low:+.3f}, {score.high:+.3f}]"


def compare(
    forecasts: Mapping[str, Forecast],
    truth: Observations,
    *,
    settings: Settings,
    subsets: Mapping[str, Rows],
    in_subsets: Sequence[str],
    fitted: Mapping[str, int] | None = None,
    true_probabilities: TrueProbabilities | None = None,
) -> Comparison:
    """Score forecasts of the same N samples by name.

    Parameters
    ----------
    forecasts
        The model that it is about first; climatology must be among them.
    subsets
        From names to booleans (N,); ``all`` is among them.
    in_subsets
        Who is scored on the subsets too.
    fitted
        From names to the number of active regions that a forecaster was fitted on.
    true_probabilities
        Of the N samples, where they are known.
    """
    model = next(iter(forecasts))
    cards = {name: _card(one, truth, settings) for name, one in forecasts.items()}
    parts = {
        subset: {
            name: _card(forecasts[name].take(rows), truth.take(rows), settings)
            for name in in_subsets
        }
        for subset, rows in subsets.items()
        if subset != ALL
    }
    headline = COMPARED[:1]
    return Comparison(
        model,
        dict(forecasts),
        cards,
        {ALL: {name: cards[name] for name in in_subsets}, **parts},
        {
            name: _differences(one, forecasts[CLIMATOLOGY], truth, settings, headline)[0]
            for name, one in forecasts.items()
            if name != CLIMATOLOGY
        },
        {
            name: _differences(forecasts[model], one, truth, settings, COMPARED)
            for name, one in forecasts.items()
            if name != model
        },
        dict(fitted or {}),
        {} if true_probabilities is None else _noise_free(forecasts, true_probabilities, settings),
    )


def _noise_free(
    forecasts: Mapping[str, Forecast], truth: TrueProbabilities, settings: Settings
) -> dict[str, dict[str, tuple[Score, ...]]]:
    return {
        event: noise_free_scores(forecasts, truth, event=event, n_resamples=settings.resamples)
        for event in NOISE_FREE_EVENTS
    }


def _card(forecast: Forecast, truth: Observations, settings: Settings) -> Scorecard:
    return score_forecasts(
        forecast,
        truth,
        n_resamples=settings.resamples,
        scale=settings.scale,
        climatology=settings.climatology,
    )


def _differences(
    one: Forecast,
    other: Forecast,
    truth: Observations,
    settings: Settings,
    wanted: Sequence[tuple[str, str]],
) -> tuple[Score, ...]:
    return tuple(
        paired_differences(
            one,
            other,
            truth,
            wanted=wanted,
            n_resamples=settings.resamples,
            scale=settings.scale,
        )
    )
