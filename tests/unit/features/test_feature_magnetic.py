"""Magnetic proxies on planted fields whose answer is known."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from flare.features.magnetic import (
    OVERLAP_SCALES_MM,
    PROXY_NAMES,
    magnetic_proxies,
    overlap_weights,
    polarity_overlap,
    schrijver_r,
    unsigned_flux,
)
from flare.sample import reduce_cubes

MM_ACROSS = 307.2 * 0.725
NO_FLUX = 19.0  # log10(1e19 Mx)
FLUXES = [name for name in PROXY_NAMES if name == "r" or name.startswith(("overlap", "common"))]


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


def straight_line() -> NDArray[np.float64]:
    field = np.full((128, 128), 230.0)
    field[64:] = -230
    return field


def test_moving_polarities_apart_removes_r_and_leaves_their_unsigned_flux():
    near, far = proxies(bipole(16)), proxies(bipole(60))
    assert near["r"] > 19.3
    assert far["r"] == NO_FLUX
    area = 2 * math.pi * 8**2  # Mm^2
    expected = math.log10(230 * area * 1e16)
    assert near["unsigned_flux"] == pytest.approx(expected, abs=0.02)
    assert far["unsigned_flux"] == pytest.approx(expected, abs=0.02)
    assert far["imbalance"] == pytest.approx(0, abs=0.01)


def test_r_length_and_gradient_of_a_straight_line():
    result, pixel = proxies(straight_line()), MM_ACROSS / 128
    # The weights of a line two pixels wide sum to two pixels per unit of its length; the kernel
    # hangs over the edges by some Mm of two hundred.
    expected = 230 * (128 * pixel) * (2 * pixel) * 1e16
    assert 10 ** result["r"] == pytest.approx(expected, rel=0.05)
    assert 10 ** result["inversion_line"] - 1 == pytest.approx(MM_ACROSS)
    # Central differences see the step of 460 G over two pixels.
    assert result["gradient"] == pytest.approx(460 / (2 * pixel), rel=0.01)


def published_r(gauss: NDArray[np.float64], pixel_mm: float) -> float:
    """Compute R pixel by pixel from the words of Schrijver (2007), in Mx."""
    rows, columns = gauss.shape

    def near(mask: NDArray[np.bool_], row: int, column: int) -> bool:
        return bool(mask[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2].any())

    positive, negative = gauss > 150, gauss < -150
    sigma = 15 / 2.3548 / pixel_mm
    y, x = np.mgrid[:rows, :columns]
    weights = np.zeros(gauss.shape)
    for row in range(rows):
        for column in range(columns):
            if near(positive, row, column) and near(negative, row, column):
                distance2 = (y - row) ** 2 + (x - column) ** 2
                weights += np.exp(-distance2 / (2 * sigma**2)) / (2 * math.pi * sigma**2)
    return float((weights * np.abs(gauss)).sum() * pixel_mm**2 * 1e16)


def test_r_is_schrijvers():
    rng = np.random.default_rng(0)
    gauss = bipole(16, size=48, angle=0.4) + rng.normal(0, 60, (48, 48))
    pixel = MM_ACROSS / 48
    ours = schrijver_r(gauss[None].astype(np.float32), pixel)[0]
    assert ours == pytest.approx(published_r(gauss, pixel), rel=1e-3)


def test_flux_in_maxwells_is_gauss_times_square_centimetres():
    field = np.zeros((3, 4))
    field[1, 1:3] = 100, -200
    assert unsigned_flux(field, 0.5) == pytest.approx(300 * 0.5e8**2)


@pytest.mark.parametrize("scale", OVERLAP_SCALES_MM)
def test_polarities_overlap_the_more_the_nearer_they_are_up_to_the_weaker_flux(scale):
    results = [proxies(bipole(apart)) for apart in (17, 24, 32, 48, 90)]
    for name in (f"overlap_{scale}", f"common_{scale}"):
        values = [result[name] for result in results]
        assert values == sorted(values, reverse=True)
    assert 10 ** results[0][f"overlap_{scale}"] < 10 ** results[0]["unsigned_flux"] / 2


def test_the_lesser_of_two_blurred_points_is_the_flux_that_geometry_says():
    # Of two Gaussians of one width s, a distance d apart, it is erfc(d / (2 sqrt 2 s)) of a flux.
    positive, negative = np.zeros((2, 64, 64), dtype=np.float32)
    positive[32, 27], negative[32, 36] = 100, 100
    weaker, common = polarity_overlap(positive, negative, 16)
    apart = 9 * MM_ACROSS / 64
    expected = 100 * math.erfc(apart / (2 * math.sqrt(2) * 16))
    assert weaker.sum() == pytest.approx(expected, rel=0.02)
    assert common.sum() == pytest.approx(100 * math.exp(-(apart**2) / (8 * 16**2)), rel=0.02)


def test_weights_are_largest_between_the_polarities_sum_to_one_and_are_uniform_without():
    weights = overlap_weights(grey(bipole(30))[None])[0]
    row, column = np.unravel_index(weights.argmax(), weights.shape)
    assert (row, column) == (pytest.approx(31.5, abs=1), pytest.approx(31.5, abs=1))
    assert weights.sum() == pytest.approx(1, rel=1e-5)
    weights = overlap_weights(np.full((1, 64, 64), 128, dtype=np.uint8))
    np.testing.assert_allclose(weights, 1 / 64**2, rtol=1e-5)


@pytest.mark.parametrize(
    "changed", [lambda field: -field, np.rot90, lambda field: np.rot90(field, 2)]
)
def test_quarter_turns_and_swapped_polarities_change_no_proxy(changed):
    field = bipole(16, angle=0.4) + bipole(50, angle=2.0)
    assert proxies(changed(field).copy()) == pytest.approx(proxies(field), rel=1e-5)


def test_a_single_polarity_is_fully_imbalanced_and_has_no_inversion_line():
    result = proxies(np.maximum(bipole(60), 0))
    assert result["imbalance"] == pytest.approx(1)
    assert (result["inversion_line"], result["gradient"]) == (0, 0)
    assert [result[name] for name in FLUXES] == pytest.approx([NO_FLUX] * len(FLUXES), abs=1e-6)


def test_a_field_within_the_noise_has_no_flux():
    noise = np.random.default_rng(0).normal(0, 7, (128, 128))
    without = dict.fromkeys(("imbalance", "inversion_line", "gradient"), 0.0)
    assert proxies(noise) == without | dict.fromkeys(("unsigned_flux", *FLUXES), NO_FLUX)


def test_all_image_sizes_give_about_the_same_fluxes_and_128_pixels_the_same_r():
    field = bipole(18, size=256, radius_mm=9, angle=0.4)
    fine = grey(field + np.random.default_rng(0).normal(0, 8, field.shape))
    expected, at_128, at_64 = (
        magnetic_proxies(reduce_cubes(fine, size)[None])[0] for size in (256, 128, 64)
    )
    np.testing.assert_array_equal(at_128[2:5], expected[2:5])
    places = [PROXY_NAMES.index(name) for name in ("unsigned_flux", *FLUXES[1:])]
    for coarse in (at_128, at_64):
        np.testing.assert_allclose(coarse[places], expected[places], atol=0.1)
