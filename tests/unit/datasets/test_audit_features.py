"""Features that carry time, id or label, by name and by value; honest ones pass."""

import numpy as np
import pandas as pd
import pytest
from audit_tables import QUIET, C, M, sample, table_of
from numpy.typing import NDArray

from flare.datasets.audit.checks import AuditFinding, Verdict
from flare.datasets.audit.features import (
    MIN_SAMPLES,
    feature_names,
    feature_values,
    rank_correlation,
    read_feature_file,
)
from flare.errors import ConfigInvalid
from flare.features.table import FEATURE_NAMES


@pytest.mark.parametrize(
    "name",
    [
        *("id", "sample_id", "startHour", "t_rec", "NOAA_AR", "doy", "hours_of_day", "region"),
        *("fold", "log_peak_flux", "label", "Time", "year2014", "window_index"),
    ],
)
def test_a_name_of_time_id_or_label_is_invalid(name):
    finding = feature_names(["94_mean_last", name], place="features_csv")
    assert (finding.verdict, finding.count, finding.total) == (Verdict.INVALID, 1, 2)
    assert finding.examples == (name,)


def test_words_that_only_contain_such_a_name_and_the_projects_own_names_pass():
    names = ("unsigned_flux", "gradient", "latitude", "identity", "startle", "timely", "argmax")
    assert feature_names([*names, *FEATURE_NAMES], place="project").verdict is Verdict.OK


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    """Return 240 samples of 80 regions over seven years, in an order that is not that of time."""
    rng = np.random.default_rng(1)
    rows = [
        sample(
            11000 + 37 * k % 80,
            float(32 * k + rng.uniform(0, 6)) + day,
            index=day,
            flux=float(rng.choice([QUIET, C, M]) * rng.uniform(1, 2)),
        )
        for k in range(80)
        for day in range(3)
    ]
    return table_of(rows).sample(frac=1, random_state=0).reset_index(drop=True)


def looked(column: object, table: pd.DataFrame) -> AuditFinding:
    """Look at an honest column and another one."""
    honest = np.random.default_rng(2).normal(size=len(table))
    features = np.column_stack([honest, np.asarray(column, dtype=np.float64)])
    return feature_values(features, ["honest", "other"], table, place="project")


def seconds(table: pd.DataFrame) -> NDArray[np.float64]:
    return table["start"].astype("int64").to_numpy() / 1e9


@pytest.mark.parametrize(
    ("leak", "message"),
    [
        (lambda t: -np.log(seconds(t)), "-1.000 with time"),
        (lambda t: t["start"].dt.year, "with time"),
        (lambda t: t["active_region"] ** 2, "with the region's number"),
        (lambda t: np.arange(len(t)) / 7, "+1.000 with the row's number"),
        (lambda t: 3 - t["window_index"], "-1.000 with the sample's index"),
        (lambda t: t["start"].dt.hour, "with the hour"),
        (
            lambda t: np.sin(2 * np.pi * t["start"].dt.day_of_year / 366),
            "with the day of year's sine",
        ),
        (lambda t: np.log10(t["peak_flux"]), "+1.000 with the label"),
        (
            lambda t: np.random.default_rng(3).permutation(20000)[t["active_region"]],
            "one value for each active region, and none twice",
        ),
    ],
)
def test_a_column_in_the_order_of_time_id_or_label_is_invalid(table, leak, message):
    finding = looked(leak(table), table)
    assert (finding.verdict, finding.count, finding.total) == (Verdict.INVALID, 1, 2)
    (example,) = finding.examples
    assert example.startswith("other: ")
    assert example.endswith(message)


def test_gaps_in_a_column_do_not_hide_what_it_carries(table):
    column = np.where(np.arange(len(table)) % 3 == 0, np.nan, seconds(table))
    assert looked(column, table).verdict is Verdict.INVALID


def test_brightness_that_fades_as_much_as_304_did_is_not_a_clock(table):
    years = (seconds(table) - seconds(table).min()) / 3.156e7
    scatter = np.random.default_rng(4).normal(scale=0.3, size=len(table))
    faded = np.exp(-np.log(14.7) * years / 7 + scatter)
    finding = looked(faded, table)
    assert finding.verdict is Verdict.OK
    assert finding.figures["largest_clean_correlation"] > 0.85
    assert "; the largest of the others: other: rank correlation -0." in finding.note
    assert finding.note.endswith("with time")


def test_columns_that_reveal_nothing_or_know_much_of_the_label_pass(table):
    noise = np.random.default_rng(5).normal(scale=0.05, size=len(table))
    good = np.log10(table["peak_flux"]) + noise
    assert rank_correlation(good, table["peak_flux"]) > 0.98
    for column in (good, np.ones(len(table)), np.full(len(table), np.nan)):
        assert looked(column, table).verdict is Verdict.OK


def test_too_few_samples_are_skipped(table):
    few = table.iloc[: MIN_SAMPLES - 1].reset_index(drop=True)
    finding = looked(seconds(few), few)
    assert (finding.verdict, finding.note) == (Verdict.SKIPPED, "fewer than 12 samples")


def test_rank_correlation_is_spearmans_published_one():
    # IQ and hours of television, a textbook example without ties: rho = -29/165.
    iq = np.array([106, 100, 86, 101, 99, 103, 97, 113, 112, 110], dtype=np.float64)
    hours = np.array([7, 27, 2, 50, 28, 29, 20, 12, 6, 17], dtype=np.float64)
    assert rank_correlation(iq, hours) == pytest.approx(-29 / 165)


@pytest.fixture
def written(tmp_path):
    """Return a function that writes a CSV of features."""

    def write(text: str):
        path = tmp_path / "features.csv"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_a_file_is_put_next_to_its_samples_in_its_own_order(table, written):
    first, second = table["id"][0], table["id"][1]
    path = written(f"a,id,when\n1.5,{second},2014-02\n,{first},2014-01\n")
    features, names, samples = read_feature_file(path, [table.iloc[:1], table.iloc[1:]])
    assert names == ["a", "when"]
    assert samples["id"].tolist() == [second, first]
    np.testing.assert_array_equal(features, [[1.5, 1], [np.nan, 0]])


def test_nan_in_a_file_is_a_gap_and_no_text(table, written):
    path = written(f"id,a\n{table['id'][0]},NaN\n{table['id'][1]},2\n")
    features, _, _ = read_feature_file(path, [table])
    np.testing.assert_array_equal(features[:, 0], [np.nan, 2])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n", "has no column id"),
        ("id\n11000_2014_01_01_00_00_00_0\n", "has no column id, no other column"),
        ("", "cannot be read as CSV: No columns"),
        ("id,a\nnonsense,1\n", "id 'nonsense' is not a sample of the dataset; write one row"),
        ("id,a\nID,1\nID,1\n", "occurs twice; write one row"),
        (None, "cannot be read as CSV: [Errno 2] No such file"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_line(table, written, text, message):
    path = written((text or "").replace("ID", str(table["id"][0])))
    if text is None:
        path.unlink()
    with pytest.raises(ConfigInvalid, match=r"features_csv=.*features\.csv") as refusal:
        read_feature_file(path, [table])
    assert message in str(refusal.value)
    assert "\n" not in str(refusal.value)
