from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flare.datasets.synthetic.flares import FlareProcess, rounded
from flare.goes import EVENTS, QUIET_FLUX, flux_of_class

processes = st.builds(
    FlareProcess,
    rate=st.floats(1e-3, 50),
    slope=st.floats(1.0, 1.3),
    corner=st.floats(1e-6, 1e-2),
)
seeds = st.integers(0, 2**32 - 1)

#: Hardly tapered, so that sizes follow the power law alone.
PLAIN = FlareProcess(rate=3.0, slope=1.2, corner=1.0)
TAPERED = FlareProcess(rate=3.0, slope=1.2, corner=1e-5)


@cache
def many_fluxes(process: FlareProcess, n: int = 8000) -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.array([process.draw_peak_flux(rng) for _ in range(n)])


@given(processes, seeds)
def test_a_label_is_quiet_or_a_tenth_of_a_noaa_class_divided_by_085(process, seed):
    flux = process.draw_peak_flux(np.random.default_rng(seed))
    if flux != QUIET_FLUX:
        noaa = flux * 0.85
        tenths = noaa / 10.0 ** np.floor(np.log10(noaa) + 1e-9) * 10
        assert tenths == pytest.approx(round(tenths), abs=1e-6)


def test_labels_are_rounded_to_a_tenth_of_a_noaa_class():
    assert rounded(8.52e-6 / 0.85) == 1e-5  # C8.5 exactly
    assert rounded(9.97e-6 / 0.85) == pytest.approx(1e-5 / 0.85)  # up to the next class


@pytest.mark.parametrize("process", [PLAIN, TAPERED])
@pytest.mark.parametrize("event", EVENTS)
def test_the_probability_of_an_event_is_its_frequency(process, event):
    outcomes = many_fluxes(process) >= flux_of_class(event)
    probability = process.probability(event)
    error = np.sqrt(probability * (1 - probability) / outcomes.size)
    assert outcomes.mean() == pytest.approx(probability, abs=4 * error + 1e-9)


def test_sizes_follow_a_power_law_and_are_rarer_by_an_e_fold_for_each_corner_flux():
    assert PLAIN.above(1e-6) / PLAIN.above(1e-5) == pytest.approx(10**1.2, rel=0.01)
    assert TAPERED.above(2e-5) / PLAIN.above(2e-5) == pytest.approx(np.exp(-2), rel=0.01)


def test_no_label_lies_between_quiet_and_b1_or_above_the_largest_flare():
    fluxes = many_fluxes(FlareProcess(rate=0.05, slope=1.2, corner=1.0))
    assert 1e-7 / 0.85 * 0.999 < fluxes[fluxes > QUIET_FLUX].min() < 2e-7
    assert many_fluxes(FlareProcess(2000.0, 1.2, 1.0), 2000).max() <= rounded(2e-3)


@pytest.mark.parametrize(
    "process",
    [PLAIN, TAPERED, FlareProcess(0.1, 1.15, 1e-5), FlareProcess(8.0, 1.15, 1e-4)],
)
def test_the_quantiles_of_the_label_are_those_of_many_draws(process):
    sampled = np.log10(many_fluxes(process))
    for level, quantile in zip(
        (0.05, 0.5, 0.95), process.log10_flux_quantiles((0.05, 0.5, 0.95)), strict=True
    ):
        assert np.quantile(sampled, level) == pytest.approx(quantile, abs=0.05)


@given(processes)
def test_larger_events_are_rarer(process):
    truth = process.truth()
    assert truth["p_B1.0"] >= truth["p_C1.0"] > truth["p_M1.0"] >= truth["p_X1.0"] >= 0
    assert truth["log10_flux_q05"] <= truth["log10_flux_q50"] <= truth["log10_flux_q95"]
