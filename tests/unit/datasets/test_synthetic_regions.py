from collections import defaultdict
from datetime import timedelta

import numpy as np
import pytest

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


@pytest.fixture(scope="module")
def training() -> list[Region]:
    return make_regions("training", 4500, seed=0)


@pytest.fixture(scope="module")
def observed_test() -> list[Region]:
    return make_regions("test", 2000, seed=0)


@pytest.fixture(scope="module")
def test_split():
    return make_regions("test", 900, seed=0, test="selected")


def windows_of(regions: list[Region]) -> list[Window]:
    return [window for region in regions for window in region.windows]


def fluxes_of(regions: list[Region]) -> np.ndarray:
    return np.array([window.peak_flux for window in windows_of(regions)])


def area_under_roc(score: np.ndarray, outcomes: np.ndarray) -> float:
    ranks = score.argsort().argsort()[outcomes] + 1
    hits = outcomes.sum()
    return float((ranks.sum() - hits * (hits + 1) / 2) / (hits * (~outcomes).sum()))


def ranges_of(region: Region) -> dict[str, list[Window]]:
    ranges = defaultdict(list)
    for window in region.windows:
        ranges[window.sample_id.rpartition("_")[0]].append(window)
    return ranges


def class_mix(regions: list[Region]) -> np.ndarray:
    """Return the shares of quiet, below C, C, M and X."""
    return np.bincount(np.digitize(fluxes_of(regions), [2e-9, 1e-6, 1e-5, 1e-4])) / len(
        fluxes_of(regions)
    )


def test_the_training_split_has_the_class_mix_of_sdobenchmark(training):
    wanted, tolerance = [0.438, 0.154, 0.347, 0.057, 0.0042], [0.03, 0.03, 0.03, 0.015, 0.003]
    assert (np.abs(class_mix(training) - wanted) < tolerance).all()


def test_a_selected_test_split_has_the_class_mix_of_the_stratified_real_one(test_split):
    wanted, tolerance = [0.280, 0.125, 0.396, 0.170, 0.028], [0.05, 0.03, 0.05, 0.05, 0.02]
    assert (np.abs(class_mix(test_split) - wanted) < tolerance).all()


def test_test_regions_as_observed_have_the_event_rate_of_the_training_split(
    training, observed_test
):
    rates = [(fluxes_of(split) >= 1e-5).mean() for split in (training, observed_test)]
    assert rates[0] == pytest.approx(rates[1], abs=0.012)


def test_the_true_probabilities_are_right_on_test_regions_as_observed_and_too_low_on_selected_ones(
    observed_test, test_split
):
    def expected_and_observed(regions):
        expected = np.mean([w.flares.probability("M1.0") for w in windows_of(regions)])
        return expected, (fluxes_of(regions) >= 1e-5).mean()

    expected, outcomes = expected_and_observed(observed_test)
    assert outcomes == pytest.approx(expected, abs=0.01)
    expected, outcomes = expected_and_observed(test_split)
    assert outcomes > 1.2 * expected


@pytest.mark.parametrize(("difficulty", "area"), [("easy", 0.98), ("medium", 0.93), ("hard", 0.82)])
def test_the_best_roc_area_of_m_flares_falls_with_difficulty_and_their_share_does_not(
    training, difficulty, area
):
    level = LEVELS[difficulty]
    regions = (
        training if difficulty == "medium" else make_regions("training", 3500, seed=0, level=level)
    )
    best = np.array([window.flares.probability("M1.0") for window in windows_of(regions)])
    outcomes = fluxes_of(regions) >= 1e-5
    assert area_under_roc(best, outcomes) == pytest.approx(area, abs=0.02)
    assert outcomes.mean() == pytest.approx(0.0617, abs=0.02)
    assert outcomes.mean() == pytest.approx(best.mean(), abs=0.01)


def test_regions_look_the_same_at_every_difficulty():
    easy, hard = (make_region("training", 3, seed=0, level=LEVELS[d]) for d in ("easy", "hard"))
    assert [w.latents for w in easy.windows] == [w.latents for w in hard.windows]


def test_the_log_rate_is_standard_normal_after_standardising(training):
    activity = np.array([window.activity for window in windows_of(training)])
    assert activity.mean() == pytest.approx(0, abs=0.1)
    assert activity.std() == pytest.approx(1, abs=0.1)


def test_a_smaller_set_is_the_beginning_of_a_larger_one():
    few, many = (windows_of(make_regions("test", n, seed=3)) for n in (11, 30))
    assert few == many[:11]


def test_no_region_is_in_both_splits(training, test_split):
    numbers = [{region.number for region in split} for split in (training, test_split)]
    assert len(numbers[0]) == len(training)
    assert not numbers[0] & numbers[1]


def test_ranges_of_a_region_share_label_and_rate_and_are_at_least_a_day_apart(training):
    shared = [group for region in training for group in ranges_of(region).values()]
    assert sum(len(group) > 1 for group in shared) > 300
    for group in shared:
        assert len({(window.peak_flux, window.flares) for window in group}) == 1
    for region in training:
        starts = [group[0].end for group in ranges_of(region).values()]
        gaps = np.diff(np.array(starts, dtype="datetime64[s]"))
        assert (gaps >= np.timedelta64(timedelta(days=1))).all()
        assert all(
            (window.end.second, window.end.microsecond) == (0, 0) for window in region.windows
        )


@pytest.mark.parametrize(("latitude", "sign"), [(15.0, -1), (-15.0, 1)])
def test_the_leading_polarity_follows_hale_in_cycle_24(latitude, sign):
    skeleton = make_skeleton(latitude, np.random.default_rng(1))
    sources = skeleton.place(TYPICAL, 0.0)
    assert np.sign(sources.flux[np.argmax(sources.u)]) == sign


def test_on_average_the_leading_polarity_is_nearer_the_equator():
    rng = np.random.default_rng(0)
    slopes = []
    for _ in range(100):
        sources = make_skeleton(20.0, rng).place(TYPICAL, 0.0)
        leading = sources.flux < 0  # in the north
        slopes.append(sources.v[leading].mean() - sources.v[~leading].mean())
    assert np.mean(slopes) < 0


def test_closer_polarities_have_more_flux_in_contact():
    skeleton = make_skeleton(10.0, np.random.default_rng(0))
    contacts = [skeleton.place(Latents(0, c, 0, 0, 0), 0.0).contact for c in (-2, 0, 2)]
    assert contacts == sorted(contacts)


def test_an_emerging_region_had_less_flux_before():
    skeleton = make_skeleton(10.0, np.random.default_rng(0))
    emerging = Latents(0, 0, 0, 1, 0)
    before, after = (np.abs(skeleton.place(emerging, h).flux).sum() for h in (-12, 0))
    assert before == pytest.approx(0.9 * after)
