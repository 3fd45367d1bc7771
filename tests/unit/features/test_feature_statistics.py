"""Statistics from a histogram are those of the pixels."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy.stats import skew

from flare.features.statistics import STATISTIC_NAMES, histograms, statistics

planes = arrays(np.uint8, st.tuples(st.integers(1, 3), st.integers(1, 9), st.integers(1, 9)))


def of_plane(plane: NDArray[np.uint8]) -> dict[str, float]:
    return dict(zip(STATISTIC_NAMES, statistics(histograms(plane[None]))[0], strict=True))


@given(planes)
def test_a_histogram_counts_every_pixel_once(images: NDArray[np.uint8]) -> None:
    counts = histograms(images)
    assert (counts.sum(axis=1) == images[0].size).all()
    for level in np.unique(images):
        assert counts[:, level].tolist() == (images == level).sum(axis=(1, 2)).tolist()


@given(planes)
def test_mean_std_and_maximum_equal_numpys(images: NDArray[np.uint8]) -> None:
    for image in images:
        found = of_plane(image)
        assert found["mean"] == pytest.approx(image.mean(), rel=1e-12, abs=1e-12)
        assert found["std"] == pytest.approx(image.std(), rel=1e-9, abs=1e-9)
        assert found["max"] == image.max()


@given(planes)
def test_percentiles_equal_numpys_inverted_cdf(images: NDArray[np.uint8]) -> None:
    for image in images:
        found = of_plane(image)
        for percentile in (1, 50, 95, 99):
            expected = np.percentile(image, percentile, method="inverted_cdf")
            assert found[f"p{percentile}"] == expected


def test_skewness_equals_scipys() -> None:
    image = np.random.default_rng(0).gamma(2, 20, (64, 64)).clip(0, 255).astype(np.uint8)
    assert of_plane(image)["skewness"] == pytest.approx(skew(image.ravel()), rel=1e-9)


def test_an_image_and_its_negative_have_opposite_skewness() -> None:
    image = np.random.default_rng(0).gamma(2, 20, (64, 64)).clip(0, 255).astype(np.uint8)
    assert of_plane(255 - image)["skewness"] == pytest.approx(-of_plane(image)["skewness"])


def test_a_uniform_image_has_no_spread_and_no_skewness() -> None:
    found = of_plane(np.full((8, 8), 77, dtype=np.uint8))
    assert (found["mean"], found["std"], found["skewness"], found["max"]) == (77, 0, 0, 77)
