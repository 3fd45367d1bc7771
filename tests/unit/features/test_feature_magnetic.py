"""Magnetic proxies on planted fields whose answer is known."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from flare.features.magnetic import PROXY_NAMES, magnetic_proxies

MM_ACROSS = 307.2 * 0.725


def grey(field_gauss: NDArray[np.float64]) -> NDArray[np.uint8]:
    return np.rint(np.clip((field_gauss + 250) / 500 * 255, 0, 255)).astype(np.uint8)


def bipole(
    separation_mm: float, *, size: int = 128, radius_mm: float = 8, angle: float = 0.0
) -> NDArray[np.float64]:
    """Return the field in gauss of two round polarities of +-230 G."""
    axis = (np.arange(size) + 0.5) * MM_ACROSS / size - MM_ACROSS / 2
    y, x = np.meshgrid(axis, axis, indexing="ij")
    along_x, along_y = separation_mm / 2 * math.cos(angle), separation_mm / 2 * math.sin(angle)
    field = np.zeros((size, size))
    field[np.hypot(x + along_x, y + along_y) < radius_mm] = 230
    field[np.hypot(x - along_x, y - along_y) < radius_mm] = -230
    return field


def proxies(field_gauss: NDArray[np.float64]) -> dict[str, float]:
    return dict(zip(PROXY_NAMES, magnetic_proxies(grey(field_gauss)[None])[0], strict=True))


def test_r_of_touching_polarities_is_larger_than_of_separated_ones() -> None:
    assert proxies(bipole(16))["r"] > 3
    assert proxies(bipole(60))["r"] == 0


def test_moving_polarities_apart_leaves_their_unsigned_flux() -> None:
    near, far = proxies(bipole(17)), proxies(bipole(60))
    assert near["unsigned_flux"] == pytest.approx(far["unsigned_flux"], abs=0.02)


def test_unsigned_flux_is_field_times_area() -> None:
    area = 2 * math.pi * 8**2  # Mm^2
    assert proxies(bipole(60))["unsigned_flux"] == pytest.approx(math.log10(230 * area), abs=0.02)


def test_r_of_a_long_straight_line_is_field_times_length_times_the_width_of_the_line() -> None:
    # The weights of a line two pixels wide sum to two pixels per unit of its length.
    field = np.full((128, 128), 230.0)
    field[:, 64:] = -230
    pixel = MM_ACROSS / 128
    expected = 230 * (128 * pixel) * (2 * pixel)
    # The kernel hangs over the upper and lower edge by some Mm of two hundred.
    assert 10 ** proxies(field)["r"] == pytest.approx(expected, rel=0.05)


def test_the_length_of_a_straight_line_is_the_width_of_the_image() -> None:
    field = np.full((128, 128), 230.0)
    field[64:] = -230
    assert 10 ** proxies(field)["inversion_line"] - 1 == pytest.approx(MM_ACROSS)


def test_the_gradient_is_in_gauss_per_megametre() -> None:
    field = np.full((128, 128), 230.0)
    field[64:] = -230
    # Central differences see the step of 460 G over two pixels.
    expected = 460 / (2 * MM_ACROSS / 128)
    assert proxies(field)["gradient"] == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize("quarter_turns", [1, 2, 3])
def test_turning_the_image_by_quarters_changes_no_proxy(quarter_turns: int) -> None:
    field = bipole(16, angle=0.4) + bipole(50, angle=2.0)
    turned = np.rot90(field, quarter_turns).copy()
    assert proxies(turned) == pytest.approx(proxies(field), rel=1e-5)


def test_swapping_the_polarities_changes_no_proxy() -> None:
    field = bipole(16, angle=0.4) + bipole(50, angle=2.0)
    assert proxies(-field) == pytest.approx(proxies(field), rel=1e-5)


def test_opposite_polarities_of_equal_flux_are_balanced() -> None:
    assert proxies(bipole(60))["imbalance"] == pytest.approx(0, abs=0.01)


def test_a_single_polarity_is_fully_imbalanced_and_has_no_inversion_line() -> None:
    found = proxies(np.maximum(bipole(60), 0))
    assert found["imbalance"] == pytest.approx(1)
    assert (found["r"], found["inversion_line"], found["gradient"]) == (0, 0, 0)


def test_a_field_within_the_noise_has_no_flux() -> None:
    noise = np.random.default_rng(0).normal(0, 7, (128, 128))
    assert proxies(noise) == dict.fromkeys(PROXY_NAMES, 0.0)


def test_both_image_sizes_find_the_same_flux_and_line() -> None:
    # A patch 96 pixels wide at 128, one half of either polarity, whose pixels are split in four.
    small = np.zeros((128, 128))
    small[40:64, 16:112], small[64:88, 16:112] = 230, -230
    large = small.repeat(2, axis=0).repeat(2, axis=1)
    coarse, fine = proxies(small), proxies(large)
    assert coarse["unsigned_flux"] == pytest.approx(fine["unsigned_flux"])
    assert coarse["inversion_line"] == pytest.approx(fine["inversion_line"], abs=0.01)
