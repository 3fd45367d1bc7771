from dataclasses import replace

import numpy as np
import pytest
from layout import all_text, unreadable
from matplotlib.axes import Axes

from flare.errors import InputInvalid
from flare.plots.samples import (
    COLORMAPS,
    Row,
    SampleForecast,
    sample_grid,
    sample_predictions,
    side_by_side,
)
from flare.sample import CHANNELS, N_CHANNELS, PIXEL_SCALES, physical_values


@pytest.fixture
def cube() -> np.ndarray:
    return np.random.default_rng(0).integers(1, 256, (4, 10, 32, 32), dtype=np.uint8)


def picture(cube: np.ndarray, present: np.ndarray) -> np.ndarray:
    """The image of each step and channel, (4, 10, 33, 33, 3): the last row and column are gap."""
    array = np.asarray(sample_grid(cube, present).axes[0].images[0].get_array())
    return array.reshape(4, 33, 10, 33, 3).swapaxes(1, 2)


def test_every_image_is_in_its_row_and_column_in_the_colours_of_its_channel(cube):
    image = picture(cube, np.ones((4, 10), dtype=bool))
    for step, channel in np.ndindex(4, 10):
        colours = COLORMAPS[CHANNELS[channel]](cube[step, channel], bytes=True)[..., :3]
        np.testing.assert_array_equal(image[step, channel, :32, :32], colours)


def test_a_gap_says_missing_and_is_not_drawn_as_a_black_image(cube):
    present = np.ones((4, 10), dtype=bool)
    present[2, 9] = present[0, 3] = False
    cube[~present] = 0
    figure = sample_grid(cube, present)
    places = {text.get_position() for text in figure.axes[0].texts}
    assert places == {(9.5, 2.5), (3.5, 0.5)}
    assert picture(cube, present)[2, 9].min() > 200


def test_rows_are_named_by_their_time_before_the_window(cube):
    axes = sample_grid(cube, np.ones((4, 10), dtype=bool)).axes[0]
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels == ["12 h", "5 h", "1.5 h", "10 min"]


def test_a_field_of_zero_gauss_is_mid_grey():
    np.testing.assert_allclose(COLORMAPS["magnetogram"](128)[:3], 128 / 255, atol=0.01)


@pytest.mark.parametrize("channel", CHANNELS)
def test_colours_grow_brighter_with_the_grey_level(channel):
    colours = COLORMAPS[channel](np.arange(256))[:, :3]
    luminance = colours @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(luminance) >= 0).all()


def test_what_is_not_a_sample_is_refused(cube):
    with pytest.raises(InputInvalid, match=r"\(3, 10, 32, 32\)"):
        sample_grid(cube[:3], np.ones((3, 10), dtype=bool))
    with pytest.raises(InputInvalid, match=r"present has shape \(10, 4\)"):
        sample_grid(cube, np.ones((10, 4), dtype=bool))


def bars(cube: np.ndarray) -> dict[str, Axes]:
    """The colour bar below each column."""
    figure = sample_grid(cube, np.ones((4, 10), dtype=bool))
    return dict(zip(CHANNELS, figure.axes[0].child_axes, strict=True))


@pytest.mark.parametrize("channel", CHANNELS)
def test_a_tick_stands_at_the_colour_of_its_physical_value(cube, channel):
    bar = bars(cube)[channel]
    labels = [label.get_text().replace("\N{MINUS SIGN}", "-") for label in bar.get_xticklabels()]
    values = [float(label.replace("k", "e3")) for label in labels]
    scale = PIXEL_SCALES[channel]
    assert bar.get_xlabel() == {"continuum": "counts", "magnetogram": "gauss"}.get(channel, "DN/s")
    assert len(values) >= 2
    assert scale.low <= min(values) < max(values) <= scale.high
    levels = bar.get_xticks()
    assert physical_values(levels, channel) == pytest.approx(values, rel=1e-4, abs=1e-3)


def row(dataset: str, *, missing: int | None = None) -> Row:
    planes = np.random.default_rng(0).integers(0, 256, (N_CHANNELS, 16, 16), dtype=np.uint8)
    return Row(dataset, "12345, 2014: C1.0", planes, np.arange(N_CHANNELS) != missing)


@pytest.fixture(scope="module")
def figure():
    counts = {name: np.full((N_CHANNELS, 256), k) for k, name in enumerate(("a", "b"), start=1)}
    return side_by_side([row("a", missing=4), row("b"), row("b")], counts)


def test_every_sample_has_a_line_and_the_grey_levels_are_below_them(figure):
    assert len(figure.axes) == 4 * N_CHANNELS


def test_a_channel_that_is_missing_says_so_and_shows_no_image(figure):
    gap = figure.axes[4]
    assert not gap.images
    assert [text.get_text() for text in gap.texts] == ["missing"]


def test_grey_levels_are_shares_so_that_sets_of_other_sizes_lie_upon_each_other(figure):
    a, b = figure.axes[-1].lines
    np.testing.assert_allclose(a.get_ydata(), b.get_ydata())
    assert a.get_ydata().sum() == pytest.approx(1)


CUBE = np.random.default_rng(0).integers(1, 255, (4, 10, 32, 32), dtype=np.uint8)
ONE = SampleForecast(
    "AR 11158\n2011-02-14", CUBE, np.ones((4, 10), dtype=bool), -5.5, -6.0, -4.9, 0.31, -4.7
)


@pytest.mark.parametrize("n", [1, 3, 6])
def test_every_text_can_be_read_however_many_samples_there_are(n):
    assert unreadable(sample_predictions([ONE] * n, level=0.9)) == []


def test_forecast_probability_and_what_came_are_said_in_words():
    text = all_text(sample_predictions([ONE], level=0.9))
    assert "C3.1, P(M1.0) 31%; observed M1.9" in text
    assert "AR 11158" in text
    assert "90%" in text


def test_the_last_image_of_a_channel_stands_in_its_place():
    picture = np.asarray(sample_predictions([ONE], level=0.9).axes[0].images[0].get_array())
    image = COLORMAPS["magnetogram"](CUBE[-1, CHANNELS.index("magnetogram")], bytes=True)[..., :3]
    np.testing.assert_array_equal(picture[:32, 99:131], image)


def test_a_gap_says_missing():
    present = ONE.present.copy()
    present[-1, CHANNELS.index("131")] = False
    figure = sample_predictions([replace(ONE, present=present)], level=0.9)
    assert all_text(figure).count("missing") == 1


def test_an_interval_beyond_the_axis_ends_at_it():
    figure = sample_predictions([replace(ONE, lower=-20.0, upper=3.0)], level=0.9)
    assert list(figure.axes[1].lines[0].get_xdata()) == [-8.5, -3.0]


def test_no_samples_give_no_figure():
    with pytest.raises(InputInvalid):
        sample_predictions([], level=0.9)
