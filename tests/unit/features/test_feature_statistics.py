"""Statistics from a histogram are those of the pixels; contrast by scale about the centre."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy.stats import skew

from flare.features.statistics import (
    INTENSITY_NAMES,
    SCALES_MM,
    STATISTIC_NAMES,
    STRUCTURE_NAMES,
    blur,
    histograms,
    intensities,
    pixel_mm,
    shrunk,
    statistics,
    structure,
)
from flare.sample import physical_values

SIZE = 64
planes = arrays(np.uint8, st.tuples(st.integers(1, 3), st.integers(1, 9), st.integers(1, 9)))
UNIFORM = np.full((SIZE, SIZE), 77, dtype=np.uint8)


def of_plane(plane: NDArray[np.uint8]) -> dict[str, float]:
    return dict(zip(STATISTIC_NAMES, statistics(histograms(plane[None]))[0], strict=True))


def intensities_of(plane: NDArray[np.uint8], channel: str) -> dict[str, float]:
    values = intensities(histograms(plane[None]), channel)[0]
    return dict(zip(INTENSITY_NAMES, values, strict=True))


def contrasts(image: NDArray[np.uint8]) -> dict[str, float]:
    return dict(zip(STRUCTURE_NAMES, structure(shrunk(image)).tolist(), strict=True))


@given(planes)
def test_statistics_equal_those_of_numpy(images):
    counts = histograms(images)
    for image, row in zip(images, counts, strict=True):
        np.testing.assert_array_equal(row, np.bincount(image.ravel(), minlength=256))
        result = of_plane(image)
        assert result["mean"] == pytest.approx(image.mean(), rel=1e-12, abs=1e-12)
        assert result["std"] == pytest.approx(image.std(), rel=1e-9, abs=1e-9)
        assert result["max"] == image.max()
        for percentile in (1, 50, 95, 99):
            expected = np.percentile(image, percentile, method="inverted_cdf")
            assert result[f"p{percentile}"] == expected


def test_skewness_equals_scipys_and_is_opposite_for_the_negative():
    image = np.random.default_rng(0).gamma(2, 20, (64, 64)).clip(0, 255).astype(np.uint8)
    expected = skew(image.ravel())
    assert of_plane(image)["skewness"] == pytest.approx(expected, rel=1e-9)
    assert of_plane(255 - image)["skewness"] == pytest.approx(-expected)


def test_a_uniform_image_has_its_level_and_no_spread_skewness_excess_peak_or_contrast():
    result = of_plane(UNIFORM)
    assert (result["mean"], result["std"], result["skewness"], result["max"]) == (77, 0, 0, 77)
    result = intensities_of(UNIFORM, "94")
    assert (result["excess"], result["peak"]) == (pytest.approx(-3), 0)
    result = contrasts(UNIFORM)
    assert result.pop("core") == pytest.approx(77, rel=1e-5)
    assert list(result.values()) == pytest.approx([np.log10(0.3)] * len(SCALES_MM), abs=1e-3)


@given(planes)
def test_intensity_is_the_logarithm_of_the_mean_in_dn_per_second(images):
    for channel in ("94", "1700"):
        expected = np.log10(physical_values(images[0], channel).astype(np.float64).mean())
        assert intensities_of(images[0], channel)["intensity"] == pytest.approx(expected)


def test_excess_and_peak_are_in_units_of_the_median_and_do_not_change_with_dimming():
    plane = np.full((100, 100), 90, dtype=np.uint8)
    plane[:10, :10] = 200
    dark, bright = physical_values(np.array([90, 200], dtype=np.uint8), "131").astype(np.float64)
    result, dimmed = intensities_of(plane, "131"), intensities_of(plane - 40, "131")
    assert result["excess"] == pytest.approx(np.log10(1e-3 + 0.01 * (bright - dark) / dark))
    assert result["peak"] == pytest.approx(np.log10(bright / dark))
    assert dimmed["intensity"] < result["intensity"] - 0.5
    assert dimmed["excess"] == pytest.approx(result["excess"], abs=1e-5)
    assert dimmed["peak"] == pytest.approx(result["peak"], abs=1e-5)


def waves(length_mm: float, amplitude: float = 40) -> NDArray[np.uint8]:
    x = (np.arange(SIZE) + 0.5) * pixel_mm(SIZE)
    line = 128 + amplitude * np.sin(2 * np.pi * x / length_mm)
    return np.rint(np.tile(line, (SIZE, 1))).astype(np.uint8)


@pytest.mark.parametrize(("length", "scale"), [(12, 4), (36, 8), (72, 16), (150, 32)])
def test_waves_show_at_their_own_scale(length, scale):
    result = contrasts(waves(length))
    assert max(SCALES_MM, key=lambda one: result[f"contrast_{one}"]) == scale


def test_twice_the_amplitude_is_twice_the_contrast():
    weak, strong = contrasts(waves(36, 20)), contrasts(waves(36, 40))
    for scale in (4, 8, 16):
        ratio = 10 ** (strong[f"contrast_{scale}"] - weak[f"contrast_{scale}"])
        assert ratio == pytest.approx(2, rel=0.1)


def test_a_checkerboard_at_the_edge_counts_less_than_at_the_centre():
    centre, edge = (np.full((SIZE, SIZE), 100, dtype=np.uint8) for _ in range(2))
    board = (100 + 60 * (np.indices((12, 12)).sum(axis=0) % 2)).astype(np.uint8)
    centre[26:38, 26:38], edge[:12, :12] = board, board
    assert contrasts(centre)["contrast_4"] > contrasts(edge)["contrast_4"] + 0.5


def test_mirrors_a_transposition_and_256_pixels_change_nothing():
    fine = np.random.default_rng(0).integers(0, 256, (256, 256), dtype=np.uint8)
    image = np.ascontiguousarray(shrunk(fine).astype(np.uint8))
    assert contrasts(fine) == contrasts(image)
    image = np.ascontiguousarray(fine[:64, :64])
    expected = contrasts(image)
    for mirrored in (np.fliplr, np.flipud, np.transpose):
        result = contrasts(np.ascontiguousarray(mirrored(image)))
        assert result == pytest.approx(expected, rel=1e-5)


def test_a_blurred_point_is_a_gaussian_and_a_uniform_image_stays_up_to_its_edge():
    image = np.zeros((SIZE, SIZE), dtype=np.float32)
    image[32, 32] = 1
    result = blur(image, 8)
    x = (np.arange(SIZE) - 32) * 307.2 * 0.725 / SIZE
    assert result.sum() == pytest.approx(1, rel=1e-3)
    assert np.sqrt((result.sum(axis=0) * x**2).sum()) == pytest.approx(8, rel=0.02)
    np.testing.assert_allclose(blur(np.full((16, 16), 5, dtype=np.float32), 32), 5, rtol=1e-5)
