from datetime import timedelta
from functools import cache
from itertools import groupby

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from flare.datasets.synthetic.flares import LEVELS
from flare.datasets.synthetic.region import (
    Latents,
    Region,
    Window,
    make_region,
    make_regions,
    make_skeleton,
)

TYPICAL = Latents(0, 0, 0, 0, 0)


@cache
def regions_of(kind: str) -> list[Region]:
    """Return regions: of training, by a level of difficulty, or of test, by how it is chosen."""
    if kind in LEVELS:
        n = 4500 if kind == "medium" else 3500
        return make_regions("training", n, seed=0, level=LEVELS[kind])
    return make_regions("test", 900 if kind == "selected" else 2000, seed=0, test=kind)


def windows_of(regions: list[Region]) -> list[Window]:
    return [window for region in regions for window in region.windows]


def labels_and_probabilities(kind: str) -> tuple[np.ndarray, np.ndarray]:
    windows = windows_of(regions_of(kind))
    fluxes = np.array([window.peak_flux for window in windows])
    return fluxes, np.array([window.flares.probability("M1.0") for window in windows])


@pytest.mark.parametrize(
    ("kind", "wanted", "tolerance"),
    [
        ("medium", [0.438, 0.154, 0.347, 0.057, 0.0042], [0.03, 0.03, 0.03, 0.015, 0.003]),
        ("selected", [0.280, 0.125, 0.396, 0.170, 0.028], [0.05, 0.03, 0.05, 0.05, 0.02]),
    ],
)
def test_the_splits_have_the_shares_of_quiet_below_c_c_m_and_x_of_sdobenchmark(
    kind, wanted, tolerance
):
    fluxes, _ = labels_and_probabilities(kind)
    shares = np.bincount(np.digitize(fluxes, [2e-9, 1e-6, 1e-5, 1e-4])) / len(fluxes)
    assert (np.abs(shares - wanted) < tolerance).all()


def test_true_probabilities_are_right_on_test_regions_as_observed_and_too_low_on_selected_ones():
    fluxes, probabilities = labels_and_probabilities("as_observed")
    rate = (fluxes >= 1e-5).mean()
    assert rate == pytest.approx(probabilities.mean(), abs=0.01)
    assert rate == pytest.approx((labels_and_probabilities("medium")[0] >= 1e-5).mean(), abs=0.012)
    fluxes, probabilities = labels_and_probabilities("selected")
    assert (fluxes >= 1e-5).mean() > 1.2 * probabilities.mean()


@pytest.mark.parametrize(("difficulty", "area"), [("easy", 0.98), ("medium", 0.93), ("hard", 0.82)])
def test_the_best_roc_area_of_m_flares_falls_with_difficulty_and_their_share_does_not(
    difficulty, area
):
    fluxes, probabilities = labels_and_probabilities(difficulty)
    events = fluxes >= 1e-5
    assert roc_auc_score(events, probabilities) == pytest.approx(area, abs=0.02)
    assert events.mean() == pytest.approx(0.0617, abs=0.02)
    assert events.mean() == pytest.approx(probabilities.mean(), abs=0.01)


def test_regions_look_the_same_at_every_difficulty():
    easy, hard = (make_region("training", 3, seed=0, level=LEVELS[d]) for d in ("easy", "hard"))
    assert [w.latents for w in easy.windows] == [w.latents for w in hard.windows]


def test_the_log_rate_is_standard_normal_after_standardising():
    activity = np.array([window.activity for window in windows_of(regions_of("medium"))])
    assert activity.mean() == pytest.approx(0, abs=0.1)
    assert activity.std() == pytest.approx(1, abs=0.1)


def test_a_smaller_set_is_the_beginning_of_a_larger_one_and_splits_share_no_region():
    few, many = (windows_of(make_regions("test", n, seed=3)) for n in (11, 30))
    assert few == many[:11]
    numbers = [{region.number for region in regions_of(kind)} for kind in ("medium", "selected")]
    assert len(numbers[0]) == len(regions_of("medium"))
    assert not numbers[0] & numbers[1]


def test_ranges_of_a_region_share_label_and_rate_and_are_at_least_a_day_apart():
    sizes = []
    for region in regions_of("medium"):
        ranges = [
            list(group)
            for _, group in groupby(region.windows, lambda one: one.sample_id.rpartition("_")[0])
        ]
        sizes += [len(group) for group in ranges]
        for group in ranges:
            assert len({(window.peak_flux, window.flares) for window in group}) == 1
        gaps = np.diff(np.array([group[0].end for group in ranges], dtype="datetime64[s]"))
        assert (gaps >= np.timedelta64(timedelta(days=1))).all()
        assert {(one.end.second, one.end.microsecond) for one in region.windows} == {(0, 0)}
    assert sum(size > 1 for size in sizes) > 300


def test_the_leading_polarity_follows_hale_in_cycle_24_and_on_average_joy():
    rng = np.random.default_rng(0)
    nearer = []
    for latitude in (20.0, -20.0) * 50:
        sources = make_skeleton(latitude, rng).place(TYPICAL, 0.0)
        leading = np.sign(sources.flux) == -np.sign(latitude)
        assert sources.u[leading].mean() > sources.u[~leading].mean()
        equatorward = sources.v * -np.sign(latitude)
        nearer.append(equatorward[leading].mean() - equatorward[~leading].mean())
    assert np.mean(nearer) > 0


def test_closer_polarities_have_more_contact_and_an_emerging_region_had_less_flux_before():
    skeleton = make_skeleton(10.0, np.random.default_rng(0))
    contacts = [skeleton.place(Latents(0, c, 0, 0, 0), 0.0).contact for c in (-2, 0, 2)]
    assert contacts == sorted(contacts)
    emerging = Latents(0, 0, 0, 1, 0)
    before, after = (np.abs(skeleton.place(emerging, h).flux).sum() for h in (-12, 0))
    assert before == pytest.approx(0.9 * after)
