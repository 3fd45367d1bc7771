import numpy as np
import pytest

from flare.plots.samples import Row, side_by_side
from flare.sample import N_CHANNELS


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
