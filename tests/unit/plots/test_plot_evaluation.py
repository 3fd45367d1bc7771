"""Every figure of an evaluation can be drawn and read, whatever was forecast of whatever."""

from itertools import product

import numpy as np
import pytest
from layout import unreadable
from matplotlib.figure import Figure

from flare.forecast import Forecast
from flare.goes import event_outcomes
from flare.plots.comparison import paired_differences, skill_by_subset, skill_panels
from flare.plots.flux import confusion_matrix, interval_coverage, predicted_against_true
from flare.plots.reliability import error_against_missing, reliability_diagram
from flare.plots.roc import roc_curve, skill_against_threshold
from flare.plots.style import mark_synthetic
from flare.verification.bootstrap import region_weights
from flare.verification.flux import class_confusion
from flare.verification.inputs import Observations
from flare.verification.resampling import paired_differences as differences_of
from flare.verification.scorecard import Scorecard
from flare.verification.scorecard import score_forecasts as scored

LONG = "a network of convolutions, version 12 (trained on SYNTHETIC data), of $5 and _more_"
EVENTS = ("M1.0",)


class Case:
    """Forecasts of n samples of n / 4 regions, of flares around a flux, all constant or not."""

    def __init__(self, n: int, *, around: float = -5.6, constant: bool = False) -> None:
        generator = np.random.default_rng(n)
        spread = generator.normal(0, 0.9, n)
        self.peak_flux = 10 ** np.clip(around + spread, -9, -3.5)
        self.peak_flux[self.peak_flux < 2e-7] = 1e-9
        self.observed = Observations(self.peak_flux, np.arange(n) // 4)
        guess = 0 if constant else 0.6 * spread + generator.normal(0, 0.4, n)
        self.log10_flux = np.full(n, -5.8) + guess
        self.probability = 1 / (1 + np.exp(-3 * (self.log10_flux + 5)))
        self.outcomes = event_outcomes(self.peak_flux, EVENTS)[:, 0]
        self.weights = region_weights(self.observed.active_region, n_resamples=40, seed=0)
        self.n_missing = np.minimum(generator.geometric(0.4, n) - 1, 40)

    def forecasts(self, share: float = 1.0) -> Forecast:
        return Forecast(
            self.log10_flux, self.log10_flux - 1, self.log10_flux + 1,
            share * self.probability[:, None], EVENTS, {"M1.0": 0.2},
        )  # fmt: skip

    def cards(self) -> dict[str, Scorecard]:
        shares = {"own": 1.0, LONG: 0.8, "climatology": 0.0}
        return {
            name: scored(self.forecasts(share), self.observed, n_resamples=40)
            for name, share in shares.items()
        }


CASES = {
    "as usual": Case(120),
    "one sample": Case(1),
    "no events": Case(40, around=-8.0),
    "constant": Case(60, constant=True),
}


def reliability(case: Case) -> Figure:
    return reliability_diagram(case.outcomes, case.probability, event="M1.0", weights=case.weights)


def roc(case: Case) -> Figure:
    references = {f"{k} {LONG}": case.probability[::-1] * k / 9 for k in range(9)}
    return roc_curve(
        case.outcomes, case.probability, event="M1.0", threshold=0.2, weights=case.weights,
        name=LONG, references=references,
    )  # fmt: skip


def skill(case: Case) -> Figure:
    return skill_against_threshold(
        case.outcomes, case.probability, event="M1.0", threshold=0.2, weights=case.weights
    )


def flux(case: Case) -> Figure:
    forecasts = case.forecasts()
    return predicted_against_true(
        forecasts.log10_flux, forecasts.lower, forecasts.upper, case.peak_flux,
        alarm=case.probability >= 0.2, event="M1.0", level=0.9,
    )  # fmt: skip


def confusion(case: Case) -> Figure:
    return confusion_matrix(class_confusion(case.peak_flux, 10**case.log10_flux))


def panels(case: Case) -> Figure:
    return skill_panels(case.cards(), model=LONG)


def differences(case: Case) -> Figure:
    def of(event: str, name: str) -> dict:
        return {
            reference: differences_of(
                case.forecasts(), case.forecasts(share), case.observed, wanted=[(event, name)],
                n_resamples=40,
            )[0]
            for reference, share in ((LONG, 0.8), ("climatology", 0.0))
        }  # fmt: skip

    return paired_differences(
        of("M1.0", "brier_skill_score"), of("flux", "log10_flux_mae"), model=LONG
    )


def subsets(case: Case) -> Figure:
    card = case.cards()["own"]
    score, error = card.get("M1.0", "true_skill_statistic"), card.get("flux", "log10_flux_mae")
    names = ("all", LONG, "2014")
    return skill_by_subset(
        dict.fromkeys(names, score), dict.fromkeys(names, error), forecaster=LONG
    )


def missing(case: Case) -> Figure:
    error = np.abs(np.log10(case.peak_flux) - case.log10_flux)
    brier = np.square(case.probability - case.outcomes)
    return error_against_missing(case.n_missing, error, brier, event="M1.0", weights=case.weights)


def coverage(case: Case) -> Figure:
    forecasts = case.forecasts()
    return interval_coverage(
        forecasts.log10_flux, forecasts.lower, forecasts.upper, case.peak_flux, nominal=0.9,
        weights=case.weights,
    )  # fmt: skip


DRAW = [
    reliability, roc, skill, flux, confusion, panels, differences,
    subsets, missing, coverage,
]  # fmt: skip


ODD = [
    *product([reliability, roc, skill, panels, differences, flux], ["no events"]),
    *product([reliability, roc, skill, coverage], ["constant"]),
]


@pytest.mark.parametrize(("draw", "case"), [*product(DRAW, ["as usual", "one sample"]), *ODD])
def test_every_text_can_be_read(draw, case):
    assert unreadable(mark_synthetic(draw(CASES[case]))) == []  # warnings are errors
