import numpy as np
import pandas as pd
import pytest

from flare.errors import DatasetInvalid
from flare.forecasters.references.persistence import earlier_flux, persistence
from flare.goes import EVENTS, event_outcomes

QUIET, C, M, X = 1e-9, 3e-6, 2e-5, 1.5e-4
THREE = ("C1.0", "M1.0", "X1.0")  # of the hand-written tables, whatever others there are


def labels(*rows):
    """Return a table of (region, range, hours of the end, peak flux), windows numbered in turn."""
    table = pd.DataFrame(rows, columns=["active_region", "range", "hours", "peak_flux"])
    numbers = table.groupby(["active_region", "range"]).cumcount()
    begin = pd.Timestamp("2014-01-01")
    table["id"] = [
        f"{row.active_region}_2014_01_01_00_00_{row.range:02d}_{number}"
        for row, number in zip(table.itertuples(), numbers, strict=True)
    ]
    table["end"] = (begin + pd.to_timedelta(table["hours"], unit="h")).astype("datetime64[ns]")
    table["start"] = table["end"] - pd.Timedelta(hours=12)
    return table


def pairs(region, count, first, then):
    """Return rows of regions that did one thing and 48 h later another."""
    return [
        row for k in range(region, region + count) for row in ((k, 1, 0, first), (k, 2, 48, then))
    ]


#: After an M: M 3 of 4 times. After quiet: M 1 of 10 times. All 14 first windows as they are.
TRAINING = labels(
    *pairs(100, 3, M, M), *pairs(200, 1, M, QUIET), *pairs(300, 9, QUIET, QUIET),
    *pairs(400, 1, QUIET, M),
)  # fmt: skip


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        # The latest window that is over counts, for the first there is none.
        ([(1, 1, 0, C), (1, 2, 30, M), (1, 3, 60, QUIET), (1, 4, 90, X)], [np.nan, C, M, QUIET]),
        # One that is still open does not count.
        ([(1, 1, 0, C), (1, 2, 40, X), (1, 3, 60, QUIET)], [np.nan, C, C]),
        # A window is over when its 24 hours are.
        ([(1, 1, 0, M), (1, 2, 23.999, C)], [np.nan, np.nan]),
        ([(1, 1, 0, M), (1, 2, 24, C)], [np.nan, M]),
        ([(1, 1, 0, M), (1, 2, 24.001, C)], [np.nan, M]),
        # Other regions do not count, nor other samples of one range,
        ([(1, 1, 0, M), (2, 1, 100, C)], [np.nan, np.nan]),
        ([(1, 1, 0, M), (1, 1, 36, M)], [np.nan, np.nan]),
        # which all count for later ranges.
        ([(1, 1, 0, M), (1, 1, 10, M), (1, 2, 34, C)], [np.nan, np.nan, M]),
        # Of windows that end together the stronger counts.
        ([(1, 1, 0, M), (1, 2, 0, C), (1, 3, 48, QUIET)], [np.nan, np.nan, M]),
        ([(1, 1, 0, C), (1, 2, 0, M), (1, 3, 48, QUIET)], [np.nan, np.nan, M]),
    ],
)
def test_the_earlier_flux_is_that_of_the_last_window_that_is_over(rows, expected):
    np.testing.assert_array_equal(earlier_flux(labels(*rows)), expected)


def test_a_later_window_never_changes_an_earlier_forecast():
    table = labels((1, 1, 0, M), (1, 2, 48, C), (1, 3, 96, QUIET))
    changed = table.assign(peak_flux=[M, X, X])
    np.testing.assert_array_equal(earlier_flux(changed)[:2], earlier_flux(table)[:2])


def test_the_order_of_the_rows_does_not_matter():
    table = labels(*pairs(1, 2, M, C), *pairs(5, 2, X, QUIET), (1, 3, 90, QUIET), (5, 4, 75, C))
    order = np.random.default_rng(0).permutation(len(table))
    shuffled = table.iloc[order]
    np.testing.assert_array_equal(earlier_flux(shuffled), earlier_flux(table)[order])
    np.testing.assert_array_equal(
        persistence(shuffled, TRAINING).probability,
        persistence(table, TRAINING).probability[order],
    )


def test_the_flux_is_the_earlier_one_and_the_probability_how_often_the_event_followed():
    table = labels((1, 1, 0, M), (1, 2, 48, C), (2, 1, 0, QUIET), (2, 2, 48, C))
    result = persistence(table, TRAINING, events=THREE)
    assert result.log10_flux[1] == np.log10(M)
    # 3 of 4 after an M, 1 of 10 after none, 4 of 14 where nothing was known
    expected = [4.5 / 15, 3.5 / 5, 4.5 / 15, 1.5 / 11]
    np.testing.assert_allclose(result.probability[:, 1], expected)


def test_the_alarm_is_that_it_occurred_in_the_earlier_window():
    table = labels(
        *[row for k, flux in enumerate((QUIET, C, M, X)) for row in pairs(k, 1, flux, C)]
    )
    result = persistence(table, TRAINING)
    for k, event in enumerate(EVENTS):
        alarm = result.probability[1::2, k] >= result.thresholds[event]
        outcomes = event_outcomes([QUIET, C, M, X], [event])[:, 0]
        np.testing.assert_array_equal(alarm, outcomes, err_msg=event)


def test_where_it_is_undefined_there_is_no_alarm_unless_such_samples_flare_as_often():
    often = labels(*pairs(1, 20, M, M), *pairs(50, 3, QUIET, QUIET), *pairs(60, 12, M, QUIET))
    for training, alarm in ((TRAINING, False), (often, True)):
        one = persistence(labels((1, 1, 0, M)), training, events=THREE)
        assert (one.probability[0, 1] >= one.thresholds["M1.0"]) == alarm


def test_where_flares_do_not_persist_none_is_an_alarm():
    training = labels(*pairs(1, 9, M, QUIET), *pairs(50, 4, QUIET, M), *pairs(60, 5, QUIET, QUIET))
    result = persistence(labels(*pairs(1, 1, M, C), *pairs(2, 1, QUIET, C)), training, events=THREE)
    assert result.thresholds["M1.0"] == 0.5
    assert (result.probability[1::2, 1] < 0.5).all()  # second windows


def test_an_undefined_sample_gets_the_median_and_quantiles_of_such_samples():
    first = 10 ** np.linspace(-8, -4, 101)
    rows = [row for k, flux in enumerate(first) for row in pairs(k, 1, flux, X)]
    result = persistence(labels((999, 1, 0, C)), labels(*rows))
    ends = (result.lower[0], result.log10_flux[0], result.upper[0])
    assert ends == pytest.approx((-7.8, -6, -4.2))


def test_the_interval_is_what_training_added_to_the_earlier_flux():
    added = np.linspace(-1, 1, 101)
    rows = [row for k, dex in enumerate(added) for row in pairs(k, 1, 1e-6, 10 ** (-6 + dex))]
    result = persistence(labels(*pairs(999, 1, M, C)), labels(*rows))
    ends = result.lower[1], result.upper[1]
    assert ends == pytest.approx((np.log10(M) - 0.9, np.log10(M) + 0.9))
    fell = persistence(labels(*pairs(99, 1, M, C)), labels(*pairs(1, 10, M, C)))
    assert fell.lower[1] < fell.log10_flux[1] == fell.upper[1]  # the forecast is inside


def test_a_stronger_event_is_never_more_probable():
    training = labels(*pairs(1, 5, C, QUIET), *pairs(20, 3, QUIET, QUIET))  # nothing of X after X
    table = labels(
        *[row for k, flux in enumerate((QUIET, C, M, X)) for row in pairs(k, 1, flux, C)]
    )
    assert (np.diff(persistence(table, training).probability, axis=1) <= 0).all()


def test_without_an_earlier_window_in_training_all_get_the_climatology():
    training = labels((1, 1, 0, M), (2, 1, 0, QUIET), (3, 1, 0, QUIET))
    result = persistence(labels(*pairs(9, 1, M, C)), training, events=THREE)
    np.testing.assert_allclose(result.probability[:, 1], 1.5 / 4)
    np.testing.assert_allclose(result.log10_flux, np.log10(QUIET))


def test_without_training_labels_there_is_nothing_to_learn():
    with pytest.raises(DatasetInvalid, match="no training labels"):
        persistence(TRAINING, TRAINING.iloc[:0])
