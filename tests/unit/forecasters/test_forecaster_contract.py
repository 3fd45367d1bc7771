"""What every kind of forecaster promises."""

from dataclasses import replace

import numpy as np
import pytest
from small_forecasters import CUBES, ORIGIN, POSTPROCESSING, PRESENT, SIZE, SPEC, N, small

from flare.errors import InputInvalid
from flare.forecast import Forecast
from flare.forecasters.postprocessing.apply import PostProcessing
from flare.goes import EVENTS
from flare.sample import reduce_cubes


def numbers(forecast: Forecast) -> np.ndarray:
    """Return everything that a forecast says, one row a sample."""
    return np.column_stack(
        [forecast.log10_flux, forecast.lower, forecast.upper, forecast.probability]
    )


def test_a_forecast_has_a_row_for_each_sample_and_a_column_for_each_event(forecaster):
    forecast = forecaster.predict(CUBES, PRESENT)
    assert len(forecast) == N
    assert forecast.log10_flux.shape == forecast.lower.shape == forecast.upper.shape == (N,)
    assert forecast.probability.shape == (N, len(EVENTS))
    assert forecast.events == EVENTS


def test_a_forecast_is_float64_and_finite(forecaster):
    forecast = forecaster.predict(CUBES, PRESENT)
    for part in (forecast.log10_flux, forecast.lower, forecast.upper, forecast.probability):
        assert part.dtype == np.float64
        assert np.isfinite(part).all()


def test_the_interval_holds_its_forecast(forecaster):
    forecast = forecaster.predict(CUBES, PRESENT)
    assert (forecast.lower <= forecast.log10_flux).all()
    assert (forecast.log10_flux <= forecast.upper).all()


def test_a_stronger_event_is_never_more_probable(forecaster):
    probability = forecaster.predict(CUBES, PRESENT).probability
    assert ((probability >= 0) & (probability <= 1)).all()
    assert (np.diff(probability, axis=1) <= 0).all()


def test_no_samples_get_no_forecasts(forecaster):
    forecast = forecaster.predict(CUBES[:0], PRESENT[:0])
    assert len(forecast) == 0
    assert forecast.probability.shape == (0, len(EVENTS))


@pytest.mark.parametrize("batch", [1, 17])
def test_the_size_of_a_batch_does_not_change_an_answer(forecaster, batch):
    together = numbers(forecaster.predict(CUBES, PRESENT))
    parts = [
        numbers(forecaster.predict(CUBES[k : k + batch], PRESENT[k : k + batch]))
        for k in range(0, N, batch)
    ]
    np.testing.assert_allclose(np.concatenate(parts), together, rtol=0, atol=1e-6)


def test_the_neighbours_in_a_batch_do_not_change_an_answer(forecaster):
    cubes, present = CUBES.copy(), PRESENT.copy()
    cubes[1:], present[1:] = 255, True
    there = numbers(forecaster.predict(cubes, present))[0]
    np.testing.assert_array_equal(there, numbers(forecaster.predict(CUBES, PRESENT))[0])


def test_what_lies_under_the_mask_is_not_looked_at(forecaster):
    cubes = CUBES.copy()
    cubes[~PRESENT] = np.random.default_rng(2).integers(0, 256, (SIZE, SIZE), dtype=np.uint8)
    assert (cubes != CUBES).any()
    np.testing.assert_array_equal(
        numbers(forecaster.predict(cubes, PRESENT)), numbers(forecaster.predict(CUBES, PRESENT))
    )


def test_a_sample_without_any_image_still_gets_a_forecast(forecaster):
    forecast = forecaster.predict(CUBES[:1], np.zeros_like(PRESENT[:1]))
    assert np.isfinite(numbers(forecast)).all()


def test_larger_images_are_averaged_down_first(forecaster):
    large = np.random.default_rng(3).integers(0, 256, (2, 4, 10, 256, 256), dtype=np.uint8)
    np.testing.assert_array_equal(
        numbers(forecaster.predict(large, PRESENT[:2])),
        numbers(forecaster.predict(reduce_cubes(large, SIZE), PRESENT[:2])),
    )


def test_an_array_that_must_not_be_written_is_read_without_a_warning(forecaster):
    cubes, present = CUBES[:3].copy(), PRESENT[:3].copy()
    cubes.flags.writeable = present.flags.writeable = False
    assert len(forecaster.predict(cubes, present)) == 3


def test_a_memory_mapped_pack_is_read_like_any_array(forecaster, tmp_path):
    np.save(tmp_path / "cubes.npy", CUBES[:3])
    mapped = np.load(tmp_path / "cubes.npy", mmap_mode="r")
    np.testing.assert_array_equal(
        numbers(forecaster.predict(mapped, PRESENT[:3])),
        numbers(forecaster.predict(CUBES[:3], PRESENT[:3])),
    )


def test_predicting_leaves_the_input_as_it_was(forecaster):
    cubes, present = CUBES.copy(), PRESENT.copy()
    forecaster.predict(cubes, present)
    np.testing.assert_array_equal(cubes, CUBES)
    np.testing.assert_array_equal(present, PRESENT)


def test_tuning_is_replaced_in_a_copy(forecaster):
    other = forecaster.with_postprocessing(PostProcessing())
    assert (other.postprocessing, forecaster.postprocessing) == (PostProcessing(), POSTPROCESSING)
    assert (other.kind, other.spec, other.origin) == (forecaster.kind, SPEC, ORIGIN)


@pytest.mark.parametrize(
    ("cubes", "present", "message"),
    [
        (CUBES[0], PRESENT, "cubes have shape"),
        (CUBES[:, :3], PRESENT[:, :3], "cubes have shape"),
        (CUBES.swapaxes(1, 2), PRESENT.swapaxes(1, 2), "cubes have shape"),
        (CUBES, PRESENT[:-1], "present mask is bool"),
        (CUBES, PRESENT.astype(np.uint8), "present mask is uint8"),
    ],
)
def test_what_is_not_a_sample_is_refused(cubes, present, message):
    with pytest.raises(InputInvalid, match=message):
        small("climatology").predict(cubes, present)


def test_every_kind_checks_its_input(forecaster):
    with pytest.raises(InputInvalid, match="cubes are float64"):
        forecaster.predict(CUBES / 255, PRESENT)


@pytest.mark.parametrize("kind", ["forest", "logistic", "neural"])
@pytest.mark.parametrize("shape", [(48, 48), (32, 64)])
def test_images_that_cannot_be_averaged_down_are_refused(kind, shape):
    with pytest.raises(InputInvalid, match=f"{shape[0]} x {shape[1]} pixels"):
        small(kind).predict(np.ones((1, 4, 10, *shape), dtype=np.uint8), PRESENT[:1])


def test_a_forecast_finds_the_probability_of_an_event_by_its_name(forecaster):
    forecast = forecaster.predict(CUBES[:5], PRESENT[:5])
    shuffled = replace(forecast, probability=forecast.probability[:, ::-1], events=EVENTS[::-1])
    for event in EVENTS:
        np.testing.assert_array_equal(
            forecast.probability_of(event), shuffled.probability_of(event)
        )
