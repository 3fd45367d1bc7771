"""What every kind of forecaster promises."""

from dataclasses import replace

import numpy as np
import pytest
from small_forecasters import (
    CUBES,
    ORIGIN,
    POSTPROCESSING,
    PRESENT,
    SIZE,
    SPEC,
    N,
    assert_same,
    numbers,
    small,
)

from flare.errors import InputInvalid
from flare.forecasters.postprocessing.apply import PostProcessing
from flare.goes import EVENTS
from flare.sample import reduce_cubes


def test_a_forecast_has_a_row_for_each_sample_of_finite_float64(forecaster):
    forecast = forecaster.predict(CUBES, PRESENT)
    assert len(forecast) == N
    assert forecast.events == EVENTS
    assert forecast.probability.shape == (N, len(EVENTS))
    for part in (forecast.log10_flux, forecast.lower, forecast.upper, forecast.probability):
        assert part.dtype == np.float64
        assert part.shape[:1] == (N,)
        assert np.isfinite(part).all()


def test_the_interval_holds_its_forecast_and_stronger_events_are_never_more_probable(forecaster):
    forecast = forecaster.predict(CUBES, PRESENT)
    assert (forecast.lower <= forecast.log10_flux).all()
    assert (forecast.log10_flux <= forecast.upper).all()
    assert ((forecast.probability >= 0) & (forecast.probability <= 1)).all()
    assert (np.diff(forecast.probability, axis=1) <= 0).all()


def test_no_samples_get_no_forecasts_and_a_sample_without_images_gets_one(forecaster):
    assert numbers(forecaster.predict(CUBES[:0], PRESENT[:0])).shape == (0, 3 + len(EVENTS))
    without = forecaster.predict(CUBES[:1], np.zeros_like(PRESENT[:1]))
    assert np.isfinite(numbers(without)).all()


def test_batches_and_the_neighbours_in_them_do_not_change_an_answer(forecaster):
    together = numbers(forecaster.predict(CUBES, PRESENT))
    parts = [
        numbers(forecaster.predict(CUBES[k : k + 17], PRESENT[k : k + 17])) for k in range(0, N, 17)
    ]
    np.testing.assert_allclose(np.concatenate(parts), together, rtol=0, atol=1e-6)
    cubes, present = CUBES.copy(), PRESENT.copy()
    cubes[1:], present[1:] = 255, True
    np.testing.assert_array_equal(numbers(forecaster.predict(cubes, present))[0], together[0])


def test_what_lies_under_the_mask_is_not_looked_at(forecaster):
    cubes = CUBES.copy()
    cubes[~PRESENT] = np.random.default_rng(2).integers(0, 256, (SIZE, SIZE), dtype=np.uint8)
    assert (cubes != CUBES).any()
    assert_same(forecaster.predict(cubes, PRESENT), forecaster.predict(CUBES, PRESENT))


def test_larger_images_are_averaged_down_first(forecaster):
    large = np.random.default_rng(3).integers(0, 256, (2, 4, 10, 256, 256), dtype=np.uint8)
    reduced = reduce_cubes(large, SIZE)
    one, two = (forecaster.predict(cubes, PRESENT[:2]) for cubes in (large, reduced))
    assert_same(one, two)


def test_a_memory_mapped_pack_is_read_like_any_array_and_never_written(forecaster, tmp_path):
    np.save(tmp_path / "cubes.npy", CUBES[:3])
    mapped, present = np.load(tmp_path / "cubes.npy", mmap_mode="r"), PRESENT[:3].copy()
    present.flags.writeable = False
    assert_same(forecaster.predict(mapped, present), forecaster.predict(CUBES[:3], PRESENT[:3]))


def test_postprocessing_is_replaced_in_a_copy(forecaster):
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


def test_the_probability_of_an_event_is_known_by_its_name():
    forecast = small("forest").predict(CUBES[:5], PRESENT[:5])
    shuffled = replace(forecast, probability=forecast.probability[:, ::-1], events=EVENTS[::-1])
    for event in EVENTS:
        np.testing.assert_array_equal(
            forecast.probability_of(event), shuffled.probability_of(event)
        )
