"""Statistics from a histogram are those of the pixels."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy.stats import skew

from flare.features.statistics import (
    INTENSITY_NAMES,
    STATISTIC_NAMES,
    histograms,
    intensities,
    statistics,
)
from flare.sample import physical_values

planes = arrays(np.uint8, st.tuples(st.integers(1, 3), st.integers(1, 9), st.integers(1, 9)))


def of_plane(plane: NDArray[np.uint8]) -> dict[str, float]:
    return dict(zip(STATISTIC_NAMES, statistics(histograms(plane[None]))[0], strict=True))


@given(planes)
def test_a_histogram_counts_every_pixel_once(images):
    counts = histograms(images)
    assert (counts.sum(axis=1) == images[0].size).all()
    for level in np.unique(images):
        assert counts[:, level].tolist() == (images == level).sum(axis=(1, 2)).tolist()


@given(planes)
def test_mean_std_and_maximum_equal_numpys(images):
    for image in images:
        result = of_plane(image)
        assert result["mean"] == pytest.approx(image.mean(), rel=1e-12, abs=1e-12)
        assert result["std"] == pytest.approx(image.std(), rel=1e-9, abs=1e-9)
        assert result["max"] == image.max()


@given(planes)
def test_percentiles_equal_numpys_inverted_cdf(images):
    for image in images:
        result = of_plane(image)
        for percentile in (1, 50, 95, 99):
            expected = np.percentile(image, percentile, method="inverted_cdf")
            assert result[f"p{percentile}"] == expected


def test_skewness_equals_scipys():
    image = np.random.default_rng(0).gamma(2, 20, (64, 64)).clip(0, 255).astype(np.uint8)
    assert of_plane(image)["skewness"] == pytest.approx(skew(image.ravel()), rel=1e-9)


def test_an_image_and_its_negative_have_opposite_skewness():
    image = np.random.default_rng(0).gamma(2, 20, (64, 64)).clip(0, 255).astype(np.uint8)
    assert of_plane(255 - image)["skewness"] == pytest.approx(-of_plane(image)["skewness"])


def test_a_uniform_image_has_no_spread_and_no_skewness():
    result = of_plane(np.full((8, 8), 77, dtype=np.uint8))
    assert (result["mean"], result["std"], result["skewness"], result["max"]) == (77, 0, 0, 77)


def intensities_of(plane: NDArray[np.uint8], channel: str) -> dict[str, float]:
    values = intensities(histograms(plane[None]), channel)[0]
    return dict(zip(INTENSITY_NAMES, values, strict=True))


@given(planes)
def test_intensity_is_the_logarithm_of_the_mean_in_dn_per_second(images):
    for channel in ("94", "1700"):
        expected = np.log10(physical_values(images[0], channel).astype(np.float64).mean())
        assert intensities_of(images[0], channel)["intensity"] == pytest.approx(expected)


def test_excess_and_peak_are_in_units_of_the_median():
    plane = np.full((100, 100), 50, dtype=np.uint8)
    plane[:10, :10] = 200
    dark, bright = physical_values(np.array([50, 200], dtype=np.uint8), "131").astype(np.float64)
    result = intensities_of(plane, "131")
    assert result["excess"] == pytest.approx(np.log10(1e-3 + 0.01 * (bright - dark) / dark))
    assert result["peak"] == pytest.approx(np.log10(bright / dark))


def test_a_uniform_image_has_no_excess_and_no_peak():
    result = intensities_of(np.full((8, 8), 77, dtype=np.uint8), "94")
    assert (result["excess"], result["peak"]) == (pytest.approx(-3), 0)


def test_dimming_by_a_factor_changes_the_intensity_alone():
    image = np.random.default_rng(0).integers(100, 200, (64, 64), dtype=np.uint8)
    before, after = intensities_of(image, "304"), intensities_of(image - 40, "304")
    assert after["intensity"] < before["intensity"] - 0.5
    assert after["excess"] == pytest.approx(before["excess"], abs=1e-5)
    assert after["peak"] == pytest.approx(before["peak"], abs=1e-5)
