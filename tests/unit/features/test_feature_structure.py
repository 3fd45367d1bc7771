"""Contrast by scale, about the centre of an image."""

import numpy as np
import pytest
from numpy.typing import NDArray

from flare.features.statistics import SCALES_MM, STRUCTURE_NAMES, blur, pixel_mm, shrunk, structure

SIZE = 64
PIXEL = pixel_mm(SIZE)


def measures(image: NDArray[np.uint8]) -> dict[str, float]:
    return dict(zip(STRUCTURE_NAMES, structure(shrunk(image)).tolist(), strict=True))


def waves(length_mm: float, amplitude: float = 40, size: int = SIZE) -> NDArray[np.uint8]:
    x = (np.arange(size) + 0.5) * pixel_mm(size)
    line = 128 + amplitude * np.sin(2 * np.pi * x / length_mm)
    return np.rint(np.tile(line, (size, 1))).astype(np.uint8)


def test_an_image_is_307_arcsec_or_223_megametres_across():
    assert pixel_mm(64) * 64 == pytest.approx(307.2 * 0.725)


@pytest.mark.parametrize(("length", "scale"), [(12, 4), (36, 8), (72, 16), (150, 32)])
def test_waves_show_at_their_own_scale(length, scale):
    result = measures(waves(length))
    contrasts = {s: result[f"contrast_{s}"] for s in SCALES_MM}
    assert max(contrasts, key=lambda s: contrasts[s]) == scale


def test_twice_the_amplitude_is_twice_the_contrast():
    weak, strong = measures(waves(36, 20)), measures(waves(36, 40))
    for scale in (4, 8, 16):
        ratio = 10 ** (strong[f"contrast_{scale}"] - weak[f"contrast_{scale}"])
        assert ratio == pytest.approx(2, rel=0.1)


def test_a_uniform_image_has_its_level_at_the_core_and_no_contrast():
    result = measures(np.full((SIZE, SIZE), 77, dtype=np.uint8))
    assert result.pop("core") == pytest.approx(77, rel=1e-5)
    assert list(result.values()) == pytest.approx([np.log10(0.3)] * len(SCALES_MM), abs=1e-3)


def test_a_checkerboard_at_the_edge_counts_less_than_at_the_centre():
    centre, edge = (np.full((SIZE, SIZE), 100, dtype=np.uint8) for _ in range(2))
    board = (100 + 60 * (np.indices((12, 12)).sum(axis=0) % 2)).astype(np.uint8)
    centre[26:38, 26:38], edge[:12, :12] = board, board
    assert measures(centre)["contrast_4"] > measures(edge)["contrast_4"] + 0.5


@pytest.mark.parametrize("mirrored", [np.fliplr, np.flipud, np.transpose])
def test_mirrors_and_a_transposition_change_nothing(mirrored):
    image = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE), dtype=np.uint8)
    assert measures(np.ascontiguousarray(mirrored(image))) == pytest.approx(
        measures(image), rel=1e-5
    )


def test_256_pixels_measure_as_the_same_image_at_64():
    fine = np.random.default_rng(0).integers(0, 256, (256, 256), dtype=np.uint8)
    assert measures(fine) == measures(np.ascontiguousarray(shrunk(fine).astype(np.uint8)))


def test_a_blurred_point_is_a_gaussian_of_the_given_width():
    image = np.zeros((SIZE, SIZE), dtype=np.float32)
    image[32, 32] = 1
    result = blur(image, 8)
    x = (np.arange(SIZE) - 32) * PIXEL
    assert result.sum() == pytest.approx(1, rel=1e-3)
    assert np.sqrt((result.sum(axis=0) * x**2).sum()) == pytest.approx(8, rel=0.02)


def test_a_blur_leaves_a_uniform_image_as_it_is_up_to_its_edge():
    np.testing.assert_allclose(blur(np.full((16, 16), 5, dtype=np.float32), 32), 5, rtol=1e-5)
