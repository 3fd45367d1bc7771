import sys
from dataclasses import dataclass

import numpy as np
import pytest
from small_forecasters import CUBES, ORIGIN, PRESENT, SIZE, SPEC, small

from flare.errors import ConfigInvalid, InputInvalid
from flare.features.table import FEATURE_NAMES, compute_features
from flare.forecast import Forecast
from flare.forecasters.base import Forecaster
from flare.forecasters.explanation.gradients import integrate_gradients
from flare.forecasters.explanation.occlusion import Occlusion, occlude
from flare.goes import EVENTS

CHANNEL = 3


@dataclass(frozen=True, kw_only=True)
class UpperLeft(Forecaster):
    """P(M1.0) is the mean grey level of one channel's upper left quarter at two times."""

    kind = "upper left"

    def predict(self, cubes, present):
        shown = cubes[:, 1:3, CHANNEL, : SIZE // 2, : SIZE // 2] / 255
        chance = (shown.mean(axis=(2, 3)) * present[:, 1:3, CHANNEL]).mean(axis=1)
        probability = np.repeat(chance[:, None], len(EVENTS), axis=1)
        flux = np.full(len(cubes), -6.0)
        return Forecast(flux, flux, flux, probability, EVENTS)

    def save_parts(self, folder):
        raise NotImplementedError

    @classmethod
    def load_parts(cls, folder, parts):
        raise NotImplementedError


UPPER_LEFT = UpperLeft(spec=SPEC, origin=ORIGIN)


@pytest.fixture
def cube() -> np.ndarray:
    """Mostly 51, a fifth of white, with a white square in the upper left place of four by four."""
    cube = np.full((4, 10, SIZE, SIZE), 51, dtype=np.uint8)
    cube[:, :, : SIZE // 4, : SIZE // 4] = 255
    return cube


def test_occlusion_finds_the_place_channel_and_times_that_a_forecast_was_made_of(cube):
    result = occlude(UPPER_LEFT, cube, np.ones((4, 10), dtype=bool), grid=4)
    assert result.probability == pytest.approx(0.4)  # a quarter of it white, the rest a fifth
    assert result.places.argmax() == 0
    assert result.places[0, 0] == pytest.approx(20, rel=0.2)  # points: from 1 to 0.2, edges soft
    np.testing.assert_allclose(result.places[1:, 1:], 0, atol=2)
    np.testing.assert_allclose(result.places[2:], 0, atol=0.01)
    images = np.zeros((4, 10))
    images[1:3, CHANNEL] = 20.0
    np.testing.assert_allclose(result.images, images, atol=1e-9)
    np.testing.assert_allclose(result.channels, 40.0 * (np.arange(10) == CHANNEL), atol=1e-9)
    np.testing.assert_allclose(result.steps, [0, 20, 20, 0], atol=1e-9)


def test_what_is_missing_has_no_contribution(cube):
    present = np.ones((4, 10), dtype=bool)
    present[1], present[:, 7] = False, False
    result = occlude(UPPER_LEFT, cube, present)
    np.testing.assert_array_equal(np.isnan(result.images), ~present)
    assert np.flatnonzero(np.isnan(result.steps)).tolist() == [1]
    assert np.flatnonzero(np.isnan(result.channels)).tolist() == [7]
    assert result.values()["images"][1][0] is None


@pytest.mark.parametrize("kind", ["climatology", "ensemble", "logistic", "neural"])
def test_every_kind_of_forecaster_is_explained_at_the_probability_that_it_forecasts(kind):
    result = occlude(small(kind), CUBES[7], PRESENT[7], event="C1.0", grid=2)
    forecast = small(kind).predict(CUBES[7:8], PRESENT[7:8])
    assert result.probability == pytest.approx(forecast.probability_of("C1.0")[0], abs=1e-6)
    assert set(result.features) <= set(FEATURE_NAMES)


def test_a_forest_loses_what_its_strongest_features_gave():
    forest = small("forest")
    result = occlude(forest, CUBES[30], PRESENT[30], event="B1.0", grid=2)
    strengths = [abs(points) for points in result.features.values()]
    assert strengths
    assert strengths == sorted(strengths, reverse=True)
    name, points = next(iter(result.features.items()))
    row = compute_features(CUBES[30:31], PRESENT[30:31])
    row[:, FEATURE_NAMES.index(name)] = np.nan
    without = forest.predict_features(row).probability_of("B1.0")[0]
    assert points == pytest.approx(100 * (result.probability - without))


def test_a_hidden_place_fades_into_the_median_of_each_image_and_leaves_gaps_alone():
    occlusion = Occlusion(CUBES[7], PRESENT[7], grid=2)
    cubes, present = (np.concatenate(one) for one in zip(*occlusion.batches(7), strict=True))
    assert len(cubes) == len(occlusion) == 1 + 40 + 10 + 4 + 4
    np.testing.assert_array_equal(present[-1], PRESENT[7])
    last, whole, far = cubes[-1].astype(int), CUBES[7].astype(int), SIZE // 4
    np.testing.assert_array_equal(last[..., :far, :], whole[..., :far, :])
    medians = np.median(CUBES[7], axis=(2, 3)).astype(int)[..., None, None]
    assert np.abs(last - medians)[..., -far:, -far:].max() <= 1
    edge = last[..., SIZE // 2, -1:, None]  # half way
    assert (np.abs(edge - medians) <= np.abs(whole[..., SIZE // 2, -1:, None] - medians)).all()


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"event": "Z9.0"}, ConfigInvalid, "event is 'Z9.0'; the model forecasts B1.0"),
        ({"grid": 3}, ConfigInvalid, "grid is 3; choose one of"),
        ({"present": np.zeros((4, 10), dtype=bool)}, InputInvalid, "no image is present"),
    ],
)
def test_what_cannot_be_explained_is_refused_in_one_line(given, error, message):
    present = given.pop("present", PRESENT[0])
    with pytest.raises(error, match=message):
        occlude(small("climatology"), CUBES[0], present, **given)


def test_integrated_gradients_add_up_to_the_difference_from_images_without_contrast():
    cube = CUBES[5].copy()
    cube[0, 0], cube[1, 1] = 90, 90  # images of one grey level
    cube[1, 1, 0, 0] += 1
    result = integrate_gradients(small("neural"), cube, PRESENT[5])
    assert abs(result.log_odds - result.baseline) > 1e-3
    assert result.pixels.sum() == pytest.approx(result.log_odds - result.baseline, rel=0.01)
    assert not result.pixels[~PRESENT[5]].any()
    values = result.values(grid=4)
    assert np.sum(values["places"]) == pytest.approx(np.sum(values["images"]))


def test_integrated_gradients_need_a_single_network_and_captum(monkeypatch):
    with pytest.raises(ConfigInvalid, match="this model is of the kind ensemble; use method="):
        integrate_gradients(small("ensemble"), CUBES[0], PRESENT[0])
    monkeypatch.setitem(sys.modules, "captum.attr", None)
    with pytest.raises(ConfigInvalid, match="run `pip install captum` or use method=occlusion"):
        integrate_gradients(small("neural"), CUBES[0], PRESENT[0])
