from dataclasses import replace

import numpy as np
import pytest
from layout import all_text, unreadable
from matplotlib.figure import Figure

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

CUBE = np.random.default_rng(0).integers(1, 256, (4, 10, 32, 32), dtype=np.uint8)
PRESENT = np.ones((4, 10), dtype=bool)
PRESENT[2, 9] = PRESENT[0, 3] = False


@pytest.fixture(scope="module")
def grid() -> Figure:
    """One sample that lacks two images."""
    return sample_grid(np.where(PRESENT[..., None, None], CUBE, 0).astype(np.uint8), PRESENT)


def test_every_image_is_in_its_row_and_column_in_the_colours_of_its_channel(grid):
    array = np.asarray(grid.axes[0].images[0].get_array())
    picture = array.reshape(4, 33, 10, 33, 3).swapaxes(1, 2)  # the last row and column are gap
    for step, channel in np.argwhere(PRESENT):
        colours = COLORMAPS[CHANNELS[channel]](CUBE[step, channel], bytes=True)[..., :3]
        np.testing.assert_array_equal(picture[step, channel, :32, :32], colours)
    assert picture[2, 9].min() > 200  # a gap is not drawn as a black image


def test_a_gap_says_missing_and_rows_are_named_by_their_time_before_the_window(grid):
    axes = grid.axes[0]
    assert {text.get_position() for text in axes.texts} == {(9.5, 2.5), (3.5, 0.5)}
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels == ["12 h", "5 h", "1.5 h", "10 min"]


def test_a_tick_of_a_colour_bar_stands_at_the_colour_of_its_physical_value(grid):
    for channel, bar in zip(CHANNELS, grid.axes[0].child_axes, strict=True):
        texts = [label.get_text().replace("\N{MINUS SIGN}", "-") for label in bar.get_xticklabels()]
        values = [float(text.replace("k", "e3")) for text in texts]
        scale, unit = PIXEL_SCALES[channel], {"continuum": "counts", "magnetogram": "gauss"}
        assert bar.get_xlabel() == unit.get(channel, "DN/s")
        assert len(values) >= 2
        assert scale.low <= min(values) < max(values) <= scale.high
        levels = physical_values(bar.get_xticks(), channel)
        assert levels == pytest.approx(values, rel=1e-4, abs=1e-3)


def test_a_field_of_zero_gauss_is_mid_grey():
    np.testing.assert_allclose(COLORMAPS["magnetogram"](128)[:3], 128 / 255, atol=0.01)


@pytest.mark.parametrize("channel", CHANNELS)
def test_colours_grow_brighter_with_the_grey_level(channel):
    colours = COLORMAPS[channel](np.arange(256))[:, :3]
    luminance = colours @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(luminance) >= 0).all()


def test_what_is_not_a_sample_is_refused():
    with pytest.raises(InputInvalid, match=r"\(3, 10, 32, 32\)"):
        sample_grid(CUBE[:3], PRESENT[:3])
    with pytest.raises(InputInvalid, match=r"present has shape \(10, 4\)"):
        sample_grid(CUBE, PRESENT.T)


def row(dataset: str, *, missing: int | None = None) -> Row:
    planes = np.random.default_rng(0).integers(0, 256, (N_CHANNELS, 16, 16), dtype=np.uint8)
    return Row(dataset, "12345, 2014: C1.0", planes, np.arange(N_CHANNELS) != missing)


def test_two_datasets_are_drawn_sample_under_sample_over_their_grey_levels():
    counts = {name: np.full((N_CHANNELS, 256), k) for k, name in enumerate(("a", "b"), start=1)}
    figure = side_by_side([row("a", missing=4), row("b"), row("b")], counts)
    assert len(figure.axes) == 4 * N_CHANNELS
    gap = figure.axes[4]
    assert not gap.images
    assert [text.get_text() for text in gap.texts] == ["missing"]
    # Shares, so that sets of other sizes lie upon each other.
    a, b = figure.axes[-1].lines
    np.testing.assert_allclose(a.get_ydata(), b.get_ydata())
    assert a.get_ydata().sum() == pytest.approx(1)


ONE = SampleForecast(
    "AR 11158\n2011-02-14", CUBE, np.ones((4, 10), dtype=bool), -5.5, -6.0, -4.9, 0.31, -4.7
)


@pytest.mark.parametrize("n", [1, 6])
def test_every_text_can_be_read_however_many_samples_there_are(n):
    assert unreadable(sample_predictions([ONE] * n, level=0.9)) == []


def test_forecast_probability_and_what_came_stand_in_words_beside_the_last_images():
    figure = sample_predictions([ONE], level=0.9)
    for text in ("C3.1, P(M1.0) 31%; observed M1.9", "AR 11158", "90%"):
        assert text in all_text(figure)
    picture = np.asarray(figure.axes[0].images[0].get_array())
    image = COLORMAPS["magnetogram"](CUBE[-1, CHANNELS.index("magnetogram")], bytes=True)[..., :3]
    np.testing.assert_array_equal(picture[:32, 99:131], image)


def test_a_gap_says_missing_and_an_interval_beyond_the_axis_ends_at_it():
    present = ONE.present.copy()
    present[-1, CHANNELS.index("131")] = False
    odd = replace(ONE, present=present, lower=-20.0, upper=3.0)
    figure = sample_predictions([odd], level=0.9)
    assert all_text(figure).count("missing") == 1
    assert list(figure.axes[1].lines[0].get_xdata()) == [-8.5, -3.0]
