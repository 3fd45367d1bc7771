"""The table of features: stable columns, rows of their own, NaN where nothing was seen."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from flare.features import table
from flare.features.table import FEATURE_NAMES, compute_features
from flare.sample import CHANNELS, MAGNETOGRAM, Cube, Present

masks = arrays(np.bool_, (2, 4, 10))


@pytest.fixture(scope="module")
def cubes() -> Cube:
    return np.random.default_rng(0).integers(0, 256, (5, 4, 10, 16, 16), dtype=np.uint8)


@pytest.fixture(scope="module")
def present(cubes: Cube) -> Present:
    return np.random.default_rng(1).random(cubes.shape[:3]) < 0.6


def column(features: NDArray[np.float64], name: str) -> NDArray[np.float64]:
    return features[:, FEATURE_NAMES.index(name)]


def test_names_are_unique_and_say_channel_measure_and_time(cubes, present):
    assert compute_features(cubes, present).shape == (5, len(FEATURE_NAMES))
    assert len(set(FEATURE_NAMES)) == len(FEATURE_NAMES)
    assert {
        "171_mean_last",
        "94_p99_last",
        "304_mean_change",
        "131_excess_last",
        "211_contrast_4_last",
        "335_line_change",
        "magnetogram_r_last",
        "magnetogram_overlap_8_change",
    } <= set(FEATURE_NAMES)


def test_a_row_does_not_depend_on_its_neighbours_or_on_chunks(cubes, present, monkeypatch):
    together = compute_features(cubes, present)
    monkeypatch.setattr(table, "_CHUNK", 1)
    assert np.array_equal(compute_features(cubes, present), together, equal_nan=True)
    assert compute_features(cubes[:0], present[:0]).shape == (0, len(FEATURE_NAMES))


@settings(deadline=None, max_examples=20)
@given(masks, st.integers(0, 255))
def test_a_missing_image_is_not_looked_at(present, grey):
    cubes = np.random.default_rng(2).integers(0, 256, (2, 4, 10, 8, 8), dtype=np.uint8)
    other = np.where(present[..., None, None], cubes, np.uint8(grey))
    assert np.array_equal(
        compute_features(cubes, present), compute_features(other, present), equal_nan=True
    )


@settings(deadline=None, max_examples=20)
@given(masks)
def test_exactly_what_was_not_seen_is_nan(present):
    cubes = np.random.default_rng(2).integers(0, 256, (2, 4, 10, 8, 8), dtype=np.uint8)
    features = compute_features(cubes, present)
    images = present.sum(axis=1)  # (2, 10)
    for name in FEATURE_NAMES[:-1]:
        channel, when = CHANNELS.index(name.split("_")[0]), name.rsplit("_", 1)[1]
        needed = {"last": 1, "change": 2}[when]
        expected = images[:, channel] < needed
        if "_line_" in name:  # where the polarities overlap, only the magnetogram says
            expected |= images[:, MAGNETOGRAM] < needed
        assert np.array_equal(np.isnan(column(features, name)), expected), name


def test_last_is_the_last_image_present_and_change_its_difference_from_the_first(cubes):
    present = np.ones((5, 4, 10), dtype=np.bool_)
    present[:, 3] = present[0, 2] = present[:, 0] = False
    features = compute_features(cubes, present)
    images = cubes[:, :, CHANNELS.index("304")].astype(np.float64).mean(axis=(2, 3))
    last, change = (column(features, f"304_mean_{when}") for when in ("last", "change"))
    assert last == pytest.approx([images[0, 1], *images[1:, 2]])
    assert change[1:] == pytest.approx(images[1:, 2] - images[1:, 1])
    assert column(features, "present_share") == pytest.approx(present.sum(axis=(1, 2)) / 40)


def test_an_emerging_bipole_raises_r_over_the_window():
    cubes = np.full((1, 4, 10, 128, 128), 128, dtype=np.uint8)
    for step, width in enumerate((0, 2, 6, 12)):
        cubes[0, step, MAGNETOGRAM, 50:70, 64 - width : 64] = 250
        cubes[0, step, MAGNETOGRAM, 50:70, 64 : 64 + width] = 5
    features = compute_features(cubes, np.ones((1, 4, 10), dtype=np.bool_))
    assert column(features, "magnetogram_r_change")[0] > 1
    assert column(features, "magnetogram_unsigned_flux_change")[0] > 1
    assert column(features, "magnetogram_overlap_8_change")[0] > 1


def test_the_line_is_the_brightness_between_the_polarities():
    cubes = np.full((1, 4, 10, 64, 64), 128, dtype=np.uint8)
    cubes[:, :, MAGNETOGRAM, 24:40, 16:30], cubes[:, :, MAGNETOGRAM, 24:40, 34:48] = 250, 5
    hot = CHANNELS.index("131")
    cubes[:, :, hot] = 50
    cubes[:, 3, hot, :, 26:38] = 180
    features = compute_features(cubes, np.ones((1, 4, 10), dtype=np.bool_))
    assert column(features, "131_line_last")[0] > 120 > column(features, "131_mean_last")[0]
    assert column(features, "131_line_change")[0] > 70


@pytest.mark.parametrize("edge", [8, 16, 32])
def test_small_images_have_finite_features(edge):
    images = np.random.default_rng(0).integers(0, 256, (1, 4, 10, edge, edge), dtype=np.uint8)
    assert np.isfinite(compute_features(images, np.ones((1, 4, 10), dtype=np.bool_))).all()
