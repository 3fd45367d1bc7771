import numpy as np
import pytest
from matplotlib.axes import Axes

from flare.errors import InputInvalid
from flare.plots.samples import COLORMAPS, sample_grid
from flare.sample import CHANNELS, PIXEL_SCALES, physical_values


@pytest.fixture
def cube() -> np.ndarray:
    return np.random.default_rng(0).integers(1, 256, (4, 10, 32, 32), dtype=np.uint8)


def picture(cube: np.ndarray, present: np.ndarray) -> np.ndarray:
    """The image of each step and channel, (4, 10, 33, 33, 3): the last row and column are gap."""
    array = np.asarray(sample_grid(cube, present).axes[0].images[0].get_array())
    return array.reshape(4, 33, 10, 33, 3).swapaxes(1, 2)


def test_every_image_is_in_its_row_and_column_in_the_colours_of_its_channel(
    cube: np.ndarray,
) -> None:
    image = picture(cube, np.ones((4, 10), dtype=bool))
    for step, channel in np.ndindex(4, 10):
        colours = COLORMAPS[CHANNELS[channel]](cube[step, channel], bytes=True)[..., :3]
        np.testing.assert_array_equal(image[step, channel, :32, :32], colours)


def test_a_gap_says_missing_and_is_not_drawn_as_a_black_image(cube: np.ndarray) -> None:
    present = np.ones((4, 10), dtype=bool)
    present[2, 9] = present[0, 3] = False
    cube[~present] = 0
    figure = sample_grid(cube, present)
    places = {text.get_position() for text in figure.axes[0].texts}
    assert places == {(9.5, 2.5), (3.5, 0.5)}
    assert picture(cube, present)[2, 9].min() > 200


def test_rows_are_named_by_their_time_before_the_window(cube: np.ndarray) -> None:
    axes = sample_grid(cube, np.ones((4, 10), dtype=bool)).axes[0]
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels == ["12 h", "5 h", "1.5 h", "10 min"]


def test_a_field_of_zero_gauss_is_mid_grey() -> None:
    np.testing.assert_allclose(COLORMAPS["magnetogram"](128)[:3], 128 / 255, atol=0.01)


@pytest.mark.parametrize("channel", CHANNELS)
def test_colours_grow_brighter_with_the_grey_level(channel: str) -> None:
    colours = COLORMAPS[channel](np.arange(256))[:, :3]
    luminance = colours @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(luminance) >= 0).all()


def test_channels_have_different_colours() -> None:
    middles = {tuple(np.round(COLORMAPS[channel](128)[:3], 2)) for channel in CHANNELS}
    assert len(middles) == 10


def test_what_is_not_a_sample_is_refused(cube: np.ndarray) -> None:
    with pytest.raises(InputInvalid, match=r"\(3, 10, 32, 32\)"):
        sample_grid(cube[:3], np.ones((3, 10), dtype=bool))
    with pytest.raises(InputInvalid, match=r"present has shape \(10, 4\)"):
        sample_grid(cube, np.ones((10, 4), dtype=bool))


def bars(cube: np.ndarray) -> dict[str, Axes]:
    """The colour bar below each column."""
    figure = sample_grid(cube, np.ones((4, 10), dtype=bool))
    return dict(zip(CHANNELS, figure.axes[0].child_axes, strict=True))


@pytest.mark.parametrize("channel", CHANNELS)
def test_a_tick_stands_at_the_colour_of_its_physical_value(cube: np.ndarray, channel: str) -> None:
    bar = bars(cube)[channel]
    labels = [label.get_text().replace("\N{MINUS SIGN}", "-") for label in bar.get_xticklabels()]
    values = [float(label.replace("k", "e3")) for label in labels]
    scale = PIXEL_SCALES[channel]
    assert len(values) >= 2
    assert scale.low <= min(values) < max(values) <= scale.high
    levels = bar.get_xticks()
    assert physical_values(levels, channel) == pytest.approx(values, rel=1e-4, abs=1e-3)


def test_bars_lie_below_their_columns_and_say_the_unit(cube: np.ndarray) -> None:
    figure = sample_grid(cube, np.ones((4, 10), dtype=bool))
    figure.draw_without_rendering()
    grid = figure.axes[0]
    for column, (channel, bar) in enumerate(zip(CHANNELS, grid.child_axes, strict=True)):
        box = bar.get_position()
        left, right = ((grid.get_position().width * (column + k) / 10) for k in (0, 1))
        assert left < box.x0 - grid.get_position().x0 < box.x1 - grid.get_position().x0 < right
        assert box.y1 < grid.get_position().y0
        unit = {"continuum": "counts", "magnetogram": "gauss"}.get(channel, "DN/s")
        assert bar.get_xlabel() == unit
