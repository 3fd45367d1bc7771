"""Every figure of an evaluation can be drawn and read, whatever was forecast of whatever."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from layout import unreadable

from flare.forecast import Forecast
from flare.plots.style import mark_synthetic
from flare.verification.inputs import Observations
from flare.workflows.evaluation.comparison import CLIMATOLOGY, FOREST, compare
from flare.workflows.evaluation.figures import CAPTIONS, figures_of

LONG = "a network of convolutions, version 12 (trained on SYNTHETIC data), of $5 and _more_"


def evaluated(n: int, *, around: float = -5.6, constant: bool = False) -> SimpleNamespace:
    """Return an evaluation of n samples of n / 4 regions, of flares around a flux."""
    generator = np.random.default_rng(n)
    spread = generator.normal(0, 0.9, n)
    flux = 10 ** np.clip(around + spread, -9, -3.5)
    flux[flux < 2e-7] = 1e-9
    table = pd.DataFrame({"peak_flux": flux, "active_region": np.arange(n) // 4})
    guess = 0 if constant else 0.6 * spread + generator.normal(0, 0.4, n)
    log10_flux = np.full(n, -5.8) + guess
    chance = 1 / (1 + np.exp(-3 * (log10_flux + 5)))
    events = ("C1.0", "M1.0")

    def forecast(share: float) -> Forecast:
        probability = share * np.column_stack([chance**0.5, chance])
        thresholds = dict.fromkeys(events, 0.2)
        return Forecast(log10_flux, log10_flux - 1, log10_flux + 1, probability, events, thresholds)

    own = forecast(1.0)
    comparison = compare(
        {LONG: own, f"2 {LONG}": forecast(0.8), FOREST: forecast(0.9), CLIMATOLOGY: forecast(0)},
        Observations.from_table(table),
        resamples=40,
        subsets={name: np.ones(n, dtype=np.bool_) for name in ("all", LONG, "year_2014")},
        in_subsets=[LONG],
    )
    present = np.arange(40) >= np.minimum(generator.geometric(0.4, n) - 1, 40)[:, None]
    return SimpleNamespace(
        comparison=comparison,
        forecast=own,
        forecaster=SimpleNamespace(spec=SimpleNamespace(interval_level=0.9)),
        rows=SimpleNamespace(table=table, present=present.reshape(n, 4, 10)),
        scale="raw",
    )


@pytest.mark.parametrize(
    "given",
    [{"n": 120}, {"n": 1}, {"n": 40, "around": -8.0}, {"n": 60, "constant": True}],
    ids=["as usual", "one sample", "no events", "constant"],
)
def test_every_text_can_be_read(given):
    figures = figures_of(evaluated(**given))
    assert list(figures) == list(CAPTIONS)
    problems = {name: unreadable(mark_synthetic(one.figure)) for name, one in figures.items()}
    assert {name: texts for name, texts in problems.items() if texts} == {}
