"""What a forecaster records of its training inputs, what it finds of others, and drift."""

import json
from dataclasses import replace

import numpy as np
import pytest
from known_models import climatology_of

from flare.forecasters.drift import MOVED, drifts, population_stability
from flare.forecasters.storage import load, read_description, save
from flare.forecasters.training_inputs import (
    TrainingInputs,
    check_inputs,
    fit_training_inputs,
)
from flare.sample import CHANNELS, Cube, plane_sums

SIZE = 16
ALL = np.ones((4, 10), dtype=bool)


def cubes(n: int, *, mean: float = 100.0, seed: int = 0) -> Cube:
    """Return images (N, 4, 10, 16, 16) whose brightness varies by 10 and contrast is 20."""
    rng = np.random.default_rng(seed)
    level = rng.normal(mean, 10, (n, 4, 10, 1, 1))
    return np.clip(rng.normal(level, 20, (n, 4, 10, SIZE, SIZE)), 0, 255).astype(np.uint8)


def fitted(n: int = 200, *, present: np.ndarray | None = None) -> TrainingInputs:
    there = np.broadcast_to(ALL if present is None else present, (n, 4, 10))
    sums = plane_sums(cubes(n) * there[..., None, None].astype(np.uint8))
    chances = {"M1.0": np.random.default_rng(1).random(n)}
    return fit_training_inputs(sums, there, chances, size=SIZE)


def check(cube: Cube, training: TrainingInputs | None, present: np.ndarray = ALL):
    return check_inputs(cube[None], present[None], training, size=SIZE)[0]


def without(n: int) -> np.ndarray:
    present = ALL.copy()
    present.ravel()[:n] = False
    return present


def test_the_record_travels_in_the_forecasters_folder_and_older_folders_have_none(tmp_path):
    forecaster = replace(climatology_of(), training_inputs=fitted())
    assert load(save(forecaster, tmp_path / "new")).training_inputs == fitted()
    assert load(save(climatology_of(), tmp_path / "old")).training_inputs is None
    text = json.dumps(read_description(tmp_path / "new")["training_inputs"])
    assert len(text) < 30_000


def test_quantiles_are_those_of_the_samples_and_missing_shares_those_of_the_images():
    present = ALL.copy()
    present[1, 4] = False
    training = fitted(present=present)
    bright = cubes(200)[:, :, 0].mean(axis=(1, 2, 3))
    assert training.brightness["94"][50] == pytest.approx(np.median(bright))
    assert training.missing[1][4] == 1
    assert np.sum(training.missing) == 1
    assert (training.n_samples, training.n_forecasts) == (200, 200)


def test_an_input_like_those_of_the_training_is_normal():
    checks = check_inputs(cubes(50, seed=7), np.ones((50, 4, 10), bool), fitted(), size=SIZE)
    normal = [one for one in checks if one.status == "normal"]
    assert {one.reasons for one in normal} == {()}
    assert len(normal) >= 46  # one image in 2000 is outside: 1 of these 50 samples


def test_a_missing_image_and_one_out_of_range_degrade_and_are_named():
    cube = cubes(1, seed=7)[0]
    cube[3, 2] = np.where(np.arange(SIZE * SIZE).reshape(SIZE, SIZE) % 2, 255, 250)
    result = check(cube, fitted(), without(1))
    assert result.status == "degraded"
    assert result.out_of_range == ((3, "171"),)
    assert result.reasons == (
        "1 of 40 images are missing: 94 Å 12 h",
        "1 image is outside the range of the training images: 171 Å 10 min",
    )
    assert result.brightness["94"] is not None


@pytest.mark.parametrize(("missing", "status"), [(30, "degraded"), (31, "abstain")])
def test_fewer_than_ten_images_that_can_be_used_are_too_few(missing, status):
    result = check(cubes(1, seed=7)[0], fitted(), without(missing))
    assert result.status == status
    reasons = [one for one in result.reasons if "at least 10 are needed" in one]
    assert len(reasons) == (status == "abstain")


def test_an_input_that_is_out_of_range_as_a_whole_abstains():
    result = check(255 - cubes(1, seed=7)[0] // 4, fitted())
    assert result.status == "abstain"
    assert len(result.out_of_range) == 40


def test_images_that_no_training_sample_had_are_not_missed():
    only = np.zeros((4, 10), dtype=bool)
    only[3, 4] = True
    training = fitted(present=only)
    assert training.fewest_images == 1
    assert check(cubes(1, seed=7)[0], training, only).status == "normal"


def test_without_a_record_only_missing_images_count_and_the_reasons_say_so():
    result = check(255 - cubes(1)[0] // 4, None)
    assert (result.status, result.out_of_range) == ("normal", ())
    assert "no record of its training inputs" in result.reasons[0]
    assert check(cubes(1)[0], None, without(1)).status == "degraded"
    assert check(cubes(1)[0], None, without(31)).status == "abstain"


def drift_of(values: np.ndarray, n: int):
    """Return the drift of the first channel where its brightness is so, and of the forecasts."""
    brightness = np.random.default_rng(3).normal(100, 5, (n, 10))
    brightness[:, 0] = values
    rows = drifts(fitted(), brightness, np.zeros((n, 10)), np.random.default_rng(2).random(n))
    return rows[0], rows[-1]


def test_a_channel_that_moved_is_told_from_one_that_did_not():
    fresh = cubes(150, seed=9)[:, :, 0].mean(axis=(1, 2, 3))
    same, forecast = drift_of(fresh, 150)
    assert not same.moved
    assert same.psi < MOVED
    assert same.ks < 0.15
    assert (forecast.moved, same.missing) == (False, 0)
    moved, _ = drift_of(fresh - 20, 150)
    assert moved.moved
    assert moved.ks > 0.9
    assert [one.name for one in (same, forecast)] == [CHANNELS[0], "forecast M1.0"]


def test_few_samples_have_no_distance_and_do_not_count_as_moved():
    few, _ = drift_of(np.full(19, 0.0), 19)
    assert (few.n, few.moved) == (19, False)
    assert np.isnan(few.psi)


def test_population_stability_is_the_sum_over_deciles():
    before = np.linspace(0, 1, 101)
    assert population_stability(before, before)[0] == pytest.approx(0)
    low = np.full(95, 0.05)  # all in the first of ten bins
    p = (np.array([10] * 9 + [11]) + 0.5) / 106
    q = (np.array([95] + [0] * 9) + 0.5) / 100
    value, bins = population_stability(low, before)
    assert (value, bins) == (pytest.approx(np.sum((q - p) * np.log(q / p)), rel=0.01), 10)
