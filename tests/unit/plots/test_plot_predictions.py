from dataclasses import replace

import numpy as np
import pytest
from layout import all_text, unreadable

from flare.errors import InputInvalid
from flare.plots.samples import COLORMAPS, SampleForecast, sample_predictions
from flare.sample import CHANNELS

CUBE = np.random.default_rng(0).integers(1, 255, (4, 10, 32, 32), dtype=np.uint8)
ONE = SampleForecast(
    "AR 11158\n2011-02-14", CUBE, np.ones((4, 10), dtype=bool), -5.5, -6.0, -4.9, 0.31, -4.7
)


@pytest.mark.parametrize("n", [1, 3, 6])
def test_every_text_can_be_read_however_many_samples_there_are(n: int) -> None:
    assert unreadable(sample_predictions([ONE] * n, level=0.9)) == []


def test_forecast_probability_and_what_came_are_said_in_words() -> None:
    text = all_text(sample_predictions([ONE], level=0.9))
    assert "C3.1, P(M1.0) 31%; observed M1.9" in text
    assert "AR 11158" in text
    assert "90%" in text


def test_the_last_image_of_a_channel_stands_in_its_place() -> None:
    picture = np.asarray(sample_predictions([ONE], level=0.9).axes[0].images[0].get_array())
    image = COLORMAPS["magnetogram"](CUBE[-1, CHANNELS.index("magnetogram")], bytes=True)[..., :3]
    np.testing.assert_array_equal(picture[:32, 99:131], image)


def test_a_gap_says_missing() -> None:
    present = ONE.present.copy()
    present[-1, CHANNELS.index("131")] = False
    figure = sample_predictions([replace(ONE, present=present)], level=0.9)
    assert all_text(figure).count("missing") == 1


def test_an_interval_beyond_the_axis_ends_at_it() -> None:
    figure = sample_predictions([replace(ONE, lower=-20.0, upper=3.0)], level=0.9)
    assert list(figure.axes[1].lines[0].get_xdata()) == [-8.5, -3.0]


def test_no_samples_give_no_figure() -> None:
    with pytest.raises(InputInvalid):
        sample_predictions([], level=0.9)
