"""Reading the labels of a split: what is accepted, and what is refused with which words."""

import pandas as pd
import pytest

from flare.datasets.sdobenchmark.labels import dataset_identity, has_header, read_table
from flare.errors import ConfigInvalid, DatasetInvalid, DatasetNotFound

from tiny import write_table

# Rows as the published files have them; the second opens a fraction of a second late.
ROW = (
    "12545_2016_05_15_04_42_01_0,"
    "2016-05-14 16:42:01.000000000,2016-05-15 04:42:01.000000000,7.0588e-07"
)
OTHER = (
    "11402_2012_01_15_12_00_00_1,2012-01-15 00:00:00.250000000,2012-01-15 12:00:00.250000000,1e-09"
)


def test_a_row_becomes_region_times_flux_and_folder(tmp_path):
    write_table(tmp_path, "test", [ROW, OTHER])
    table = read_table(tmp_path, "test")
    assert table["window_index"].to_list() == [0, 1]
    assert table["start"][1] == pd.Timestamp("2012-01-15 00:00:00.25")  # not that of the id
    row = table.iloc[0]
    assert row["id"] == "12545_2016_05_15_04_42_01_0"
    assert row["active_region"] == 12545
    assert row["start"] == pd.Timestamp("2016-05-14 16:42:01")
    assert row["end"] == pd.Timestamp("2016-05-15 04:42:01")
    assert row["peak_flux"] == 7.0588e-07
    assert row["window_index"] == 0
    assert row["folder"] == tmp_path / "test" / "12545" / "2016_05_15_04_42_01_0"


def test_times_with_a_zone_are_turned_into_utc(tmp_path):
    row = "11402_2012_01_15_12_00_00_1,2012-01-15T01:00:00+01:00,2012-01-15T12:00:00Z,1e-09"
    write_table(tmp_path, "test", [row])
    assert read_table(tmp_path, "test")["start"][0] == pd.Timestamp("2012-01-15")


@pytest.mark.parametrize("place", ["training/train.csv", "train.csv", "training/meta_data.csv"])
def test_copies_without_a_header_are_read(tmp_path, place):
    path = tmp_path / place
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"{ROW}\n{OTHER}\n")
    assert read_table(tmp_path, "training")["active_region"].to_list() == [12545, 11402]


def test_columns_may_come_in_another_order_and_with_others_between(tmp_path):
    sample_id, start, end, flux = ROW.split(",")
    (tmp_path / "test.csv").write_text(
        f"peak_flux,note,id,end,start\n{flux},quiet,{sample_id},{end},{start}\n"
    )
    assert read_table(tmp_path, "test")["peak_flux"][0] == 7.0588e-07


def spoilt(text: str) -> bytes:
    """Turn a table into what a spreadsheet would make of it."""
    return b"\xef\xbb\xbf" + f"{text}\n \n,,,\n\n".replace("\n", "\r\n").encode()


HEADER = "id,start,end,peak_flux"


@pytest.mark.parametrize(
    "text",
    [
        f"{HEADER}\n{ROW}\n{OTHER}",
        f"{ROW}\n{OTHER}",
        f"{HEADER},note\n{ROW},first\n{OTHER},second",
        f",{HEADER}\n0,{ROW}\n1,{OTHER}",
        f"0,{ROW}\n1,{OTHER}",
        f"{ROW},first\n{OTHER},second",
        f"0,{ROW},first\n1,{OTHER},second",
        f"{HEADER}\n\n{ROW}\n\n{OTHER}",
        f"{HEADER.replace(',', ', ')}\n{ROW.replace(',', ' , ')}\n{OTHER}",
        f"{HEADER}\n" + ",".join(f'"{cell}"' for cell in ROW.split(",")) + f"\n{OTHER}",
    ],
)
@pytest.mark.parametrize("spoil", [str.encode, spoilt], ids=["plain", "spreadsheet"])
def test_tables_of_many_copies_hold_the_same_two_samples(tmp_path, text, spoil):
    (tmp_path / "test.csv").write_bytes(spoil(text))
    table = read_table(tmp_path, "test")
    assert table["active_region"].to_list() == [12545, 11402]
    assert table["peak_flux"].to_list() == [7.0588e-07, 1e-09]
    assert table["start"][1] == pd.Timestamp("2012-01-15 00:00:00.25")
    assert has_header(tmp_path / "test.csv") == ("peak_flux" in text)


def test_of_two_tables_the_published_name_is_read(tmp_path):
    write_table(tmp_path, "test", [ROW])
    (tmp_path / "test" / "test.csv").write_text(OTHER)
    assert read_table(tmp_path, "test")["active_region"].to_list() == [12545]


def test_a_headerless_table_without_an_id_is_refused(tmp_path):
    (tmp_path / "test.csv").write_text("a,b,c,d,e\n")
    with pytest.raises(DatasetInvalid, match="has no single column id, start, end, peak_flux"):
        read_table(tmp_path, "test")


def test_a_dataset_one_folder_further_down_is_pointed_at(tmp_path):
    write_table(tmp_path / "SDOBenchmark_full", "test", [ROW])
    write_table(tmp_path / ".half-made", "test", [ROW])
    with pytest.raises(
        DatasetNotFound, match=f"; pass -P data_dir={tmp_path}/SDOBenchmark_full or"
    ):
        read_table(tmp_path, "test")


@pytest.mark.parametrize("column", ["id", "start", "end", "peak_flux"])
def test_a_missing_column_is_named(tmp_path, column):
    path = write_table(tmp_path, "test", [ROW])
    path.write_text(path.read_text().replace(column, "other", 1))
    with pytest.raises(DatasetInvalid, match=rf"meta_data\.csv has no single column {column};"):
        read_table(tmp_path, "test")


@pytest.mark.parametrize("label", ["", "nan", "0", "-1e-06", "inf", "M1.0", "5"])
def test_a_label_that_is_not_a_positive_number_is_refused_with_its_id(tmp_path, label):
    write_table(tmp_path, "test", [OTHER, ROW.replace("7.0588e-07", label)])
    with pytest.raises(DatasetInvalid, match=r"12545_2016_05_15_04_42_01_0: peak_flux is '"):
        read_table(tmp_path, "test")


@pytest.mark.parametrize(
    "time", ["", "yesterday", "2016-13-14 16:42:01", "3000-01-01", "1816-05-14 16:42:01"]
)
def test_a_time_that_cannot_be_read_is_refused_with_its_id(tmp_path, time):
    write_table(tmp_path, "test", [ROW.replace("2016-05-14 16:42:01.000000000", time)])
    with pytest.raises(DatasetInvalid, match=r"12545_2016_05_15_04_42_01_0: start is '"):
        read_table(tmp_path, "test")


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([ROW.replace("2016-05-15 04:42", "2016-05-13 04:42")], "end is .* must come after start"),
        ([ROW, OTHER, ROW], "12545_2016_05_15_04_42_01_0.*twice"),
    ],
)
def test_a_window_that_ends_before_it_starts_and_an_id_twice_are_refused(tmp_path, rows, words):
    write_table(tmp_path, "test", rows)
    with pytest.raises(DatasetInvalid, match=words):
        read_table(tmp_path, "test")


@pytest.mark.parametrize(
    "sample_id",
    ["", "../../etc", "12545", "AR_12545_2016_05_15_04_42_01_0", f"{9**30}_2016_05_15_04_42_01_0"],
)
def test_an_id_of_another_form_is_refused(tmp_path, sample_id):
    write_table(tmp_path, "test", [ROW.replace("12545_2016_05_15_04_42_01_0", sample_id)])
    with pytest.raises(DatasetInvalid, match=r"id is .* write <region>_"):
        read_table(tmp_path, "test")


@pytest.mark.parametrize("text", ["", "\n", "id,start,end,peak_flux\n"])
def test_an_empty_table_is_refused(tmp_path, text):
    (tmp_path / "test.csv").write_text(text)
    with pytest.raises(DatasetInvalid, match="has no rows"):
        read_table(tmp_path, "test")


@pytest.mark.parametrize("data", [b"\xff\xfe\x00\x01\x80", b'"a,b\nc', b"a,b\nc,d,e,f,g\n"])
def test_bytes_that_are_not_a_table_are_refused_in_one_line(tmp_path, data):
    (tmp_path / "test.csv").write_bytes(data)
    with pytest.raises(DatasetInvalid) as refusal:
        read_table(tmp_path, "test")
    assert "\n" not in str(refusal.value)


def test_a_missing_dataset_says_which_file_and_what_to_run(tmp_path):
    with pytest.raises(DatasetNotFound) as refusal:
        read_table(tmp_path / "raw", "training")
    assert str(refusal.value) == (
        f"no training/meta_data.csv in {tmp_path / 'raw'}; "
        "pass -P data_dir=... or run `mlflow run . -e synthesize`"
    )


def test_a_split_of_another_name_is_refused_with_the_choices(tmp_path):
    with pytest.raises(ConfigInvalid, match=r"'validation'.*training, test"):
        read_table(tmp_path, "validation")


def test_a_dataset_without_a_description_is_real_and_called_after_its_folder(tmp_path):
    identity = dataset_identity(tmp_path)
    assert (identity.name, identity.synthetic) == (tmp_path.name, False)
    (tmp_path / "dataset.json").write_text('{"name": "made up", "synthetic": true, "seed": 0}')
    identity = dataset_identity(tmp_path)
    assert (identity.name, identity.synthetic) == ("made up", True)


@pytest.mark.parametrize("text", ["{", "[]", '{"name": "x"}'])
def test_a_damaged_description_is_refused(tmp_path, text):
    (tmp_path / "dataset.json").write_text(text)
    with pytest.raises(DatasetInvalid, match=r"dataset\.json is not a JSON object"):
        dataset_identity(tmp_path)
