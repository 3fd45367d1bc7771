"""Figures of a dataset show what is there, and stand when there is little or nothing."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
from layout import unreadable
from made_up_splits import made_up_split
from matplotlib.axes import Axes
from matplotlib.dates import date2num

from flare.datasets.sdobenchmark.census import SplitCensus
from flare.plots.census import census_figure, label_distributions
from flare.plots.over_time import (
    brightness,
    brightness_over_time,
    missing_over_time,
    missing_share,
)
from flare.plots.style import period_days
from flare.sample import CHANNELS, physical_values


def both(**given: object) -> dict[str, SplitCensus]:
    return {name: made_up_split(name, **given) for name in ("training", "test")}


def texts(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


YEARS, ONE = both(), {"test": made_up_split(samples=1, days=0)}
GAPS = (
    {"training": made_up_split("training", absent=("304", "magnetogram"))},
    {"test": made_up_split(samples=3, absent=CHANNELS)},
)


@pytest.mark.parametrize(
    ("draw", "splits"),
    [
        *product([brightness_over_time, missing_over_time], (both(samples=5, days=3), *GAPS)),
        *product([missing_over_time], (YEARS, ONE)),
        (census_figure, GAPS[1]),
    ],
)
def test_every_figure_can_be_drawn_of_any_dataset(draw, splits):
    draw(splits).draw_without_rendering()  # warnings are errors


@pytest.mark.parametrize("draw", [brightness_over_time, census_figure, label_distributions])
@pytest.mark.parametrize("splits", [YEARS, ONE])
def test_no_text_lies_on_another(draw, splits):
    assert unreadable(draw(splits)) == []


def test_the_share_of_missing_images_is_that_of_the_period():
    present = np.ones((3, 4, 10), dtype=np.bool_)
    present[0, :2, 0] = False  # half of the first sample's 94, the second has all
    present[2, :, 9] = False
    times = date2num(["2012-01-03", "2012-01-20", "2012-03-31 23:59"])
    edges = period_days(pd.period_range("2012-01", "2012-03", freq="M"))
    share = missing_share(present, times, edges)
    assert share[0].tolist() == pytest.approx([25, np.nan, 0], nan_ok=True)
    assert share[9].tolist() == pytest.approx([0, np.nan, 100], nan_ok=True)


@pytest.mark.parametrize(("days", "unit"), [(2500, "month"), (729, "week"), (40, "day")])
def test_the_map_is_finer_where_the_set_is_shorter(days, unit):
    figure = missing_over_time({"test": made_up_split(days=days)})
    assert figure.axes[0].get_title(loc="left").startswith(f"test, by {unit} ")


def test_the_map_of_time_steps_names_each_share():
    split = made_up_split()
    split.present[: len(split) // 4, 3, 9] = False
    by_step = missing_over_time({"test": split}).axes[1]
    assert texts(by_step)[:4] == ["10"] * 4  # 94
    assert texts(by_step)[-4:] == ["0", "0", "0", "25"]


def test_brightness_is_the_median_image_of_a_quarter_in_physical_units():
    times = pd.Series(pd.to_datetime(["2012-01-01", "2012-02-01", "2012-03-01", "2012-09-01"]))
    grey = np.array([[100, 100], [110, 110], [120, 120], [90, np.nan]], dtype=np.float32)
    result = brightness(times, np.isfinite(grey), grey, channel="171", frequency="Q")
    wanted = physical_values(np.array([110, np.nan, 90]), "171")
    assert result.median == pytest.approx(wanted, nan_ok=True)
    assert result.low[0] < result.median[0] < result.high[0]
    assert result.times.tolist() == date2num(["2012-02-15 12:00", "2012-05-16 12:00",
                                            "2012-08-16 00:00"]).tolist()  # fmt: skip


def panels_of(split: SplitCensus) -> dict[str, Axes]:
    return dict(zip(CHANNELS, brightness_over_time({"test": split}).axes, strict=True))


def test_an_instrument_that_fades_is_reported_from_first_to_last_year():
    split = made_up_split(samples=800, fading=0.5)
    when = split.table["end"].dt.year.to_numpy()
    split.grey[when == 2017, :, CHANNELS.index("continuum")] = 0  # zero-filled images
    panels = panels_of(split)
    level = split.grey[:, 0, CHANNELS.index("304")]
    first, last = (np.median(physical_values(level[when == year], "304")) for year in (2010, 2017))
    assert texts(panels["304"]) == [f"falls ×{first / last:.3g}, 2010\N{EN DASH}2017"]
    assert texts(panels["magnetogram"])[0].startswith("-")
    (counts,) = texts(panels["continuum"])
    assert counts.startswith("-")
    assert counts.endswith(" counts, 2010\N{EN DASH}2017")


def test_a_steady_instrument_is_as_before_and_a_channel_without_images_says_so():
    panels = panels_of(made_up_split(absent=("304",)))
    assert texts(panels["304"]) == ["no images"]
    assert texts(panels["94"]) == ["as before, 2010\N{EN DASH}2017"]


def test_counts_are_next_to_the_published_ones():
    counted, missing = census_figure({"test": made_up_split()}).axes
    assert texts(counted)[:3] == ["40 of 886", "20 of 91", "8 of 248"]
    assert texts(missing)[0] == "10.00"
    assert texts(missing)[1:] == ["0"] * 9


def test_labels_are_next_to_the_published_ones_and_quiet_samples_have_a_bar_of_their_own():
    quiet, flux, classes, _ = label_distributions({"test": made_up_split()}).axes
    assert texts(classes) == ["20.0"] * 5
    published = np.asarray(classes.lines[0].get_ydata())
    assert published == pytest.approx([100 * n / 886 for n in (248, 111, 351, 151, 25)])
    assert texts(quiet) == ["20 %"]
    assert flux.get_legend().get_texts()[0].get_text() == "test: 32 of 40 samples flare"
