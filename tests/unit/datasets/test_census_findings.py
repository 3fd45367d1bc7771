"""Each way in which copies differ is planted, read all the same, and counted with an example."""

import shutil
from collections.abc import Callable
from datetime import datetime, timedelta
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from flare.datasets.sdobenchmark.census import take_census
from flare.datasets.sdobenchmark.fingerprint import content_fingerprint

from tiny import sample_folder, table_row, tiny_jpeg, write_table, write_tiny_dataset

START = datetime(2014, 1, 1)
ID = "12000_2014_01_01_00_00_00_0"
WHERE = "12000/2014_01_01_00_00_00_0"
RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One sample in each split, with all its images."""
    return write_tiny_dataset(
        tmp_path_factory.mktemp("clean") / "raw",
        training_regions=1,
        test_regions=1,
        samples_per_region=1,
        missing=0,
    )


@pytest.fixture
def copy(clean: Path, tmp_path: Path) -> Path:
    return shutil.copytree(clean, tmp_path / "raw")


def test_split(dataset):
    return take_census(dataset, processes=1).splits["test"]


test_split.__test__ = False  # a helper, by pytest's rule of names a test


def named(minutes: float, channel: str = "171") -> str:
    return f"{START + timedelta(minutes=minutes):%Y-%m-%dT%H%M%S}__{channel}.jpg"


def image(dataset: Path, minutes: float = 0, channel: str = "171") -> Path:
    return sample_folder(dataset, "test", ID) / named(minutes, channel)


def rename_table(data: Path) -> None:
    (data / "test" / "meta_data.csv").rename(data / "test" / "test.csv")


def drop_header(data: Path) -> None:
    table = data / "test" / "meta_data.csv"
    table.write_text(table.read_text().split("\n", 1)[1])


def add_table(data: Path) -> None:
    (data / "test.csv").write_text("whatever")


def add_fraction(data: Path) -> None:
    write_table(data, "test", [table_row(ID, START, 1e-9).replace(".000", ".250")])


def end_early(data: Path) -> None:
    end = START + timedelta(hours=11)
    write_table(data, "test", [f"{ID},{START},{end},1e-09"])


def share_region(data: Path) -> None:
    write_table(data, "training", [table_row(ID, START, 1e-9)])


def lose_folder(data: Path) -> None:
    shutil.rmtree(sample_folder(data, "test", ID))


def empty_folder(data: Path) -> None:
    for path in sample_folder(data, "test", ID).iterdir():
        path.unlink()


def add_folder(data: Path) -> None:
    (data / "test" / "12000" / "2014_01_09_00_00_00_0").mkdir()


def add_region(data: Path) -> None:
    (data / "test" / "13000").mkdir()


def add_region_with_sample(data: Path) -> None:
    (data / "test" / "13000" / "2014_01_09_00_00_00_0").mkdir(parents=True)


def add_stray(data: Path) -> None:
    (data / "test" / "12000" / "Thumbs.db").touch()


def add_stray_to_split(data: Path) -> None:
    (data / "test" / "notes.txt").touch()


def add_note(data: Path) -> None:
    image(data).with_name("._" + image(data).name).touch()


def add_copy(data: Path) -> None:
    shutil.copy(image(data), image(data).with_stem(f"{image(data).stem} (1)"))


def add_unknown_channel(data: Path) -> None:
    shutil.copy(image(data), image(data, channel="4500"))


def add_1600(data: Path) -> None:
    shutil.copy(image(data), image(data, channel="1600"))


def shift(data: Path) -> None:
    image(data).rename(image(data, 7))


def shift_far(data: Path) -> None:
    image(data).rename(image(data, 60))


def add_second(data: Path) -> None:
    shutil.copy(image(data), image(data, 3))


def add_upper_case(data: Path) -> None:
    shutil.copy(image(data), image(data).with_suffix(".JPG"))


def flag(data: Path) -> None:
    exif = Image.Exif()
    exif[0x010E] = "flagged"
    Image.open(BytesIO(image(data).read_bytes())).save(image(data), "JPEG", exif=exif)


def cut(data: Path) -> None:
    image(data).write_bytes(image(data).read_bytes()[:300])


def shrink(data: Path) -> None:
    image(data).write_bytes(tiny_jpeg(100, RNG, size=128))


def colour(data: Path) -> None:
    Image.open(BytesIO(image(data).read_bytes())).convert("RGB").save(image(data))


def blank(data: Path) -> None:
    Image.new("L", (256, 256), 0).save(image(data))


PLANTED: list[tuple[Callable[[Path], None], str, str]] = [
    (rename_table, "other_table_name", "test/test.csv"),
    (drop_header, "no_header", "test/meta_data.csv"),
    (add_table, "second_table", "test.csv"),
    (add_fraction, "fractional_seconds", ID),
    (end_early, "other_window", ID),
    (lose_folder, "no_folder", WHERE),
    (empty_folder, "no_images", WHERE),
    (add_folder, "no_row", "12000/2014_01_09_00_00_00_0"),
    (add_region, "no_row", "13000"),
    (add_region_with_sample, "no_row", "13000/2014_01_09_00_00_00_0"),
    (add_stray, "stray_file", "12000/Thumbs.db"),
    (add_stray_to_split, "stray_file", "notes.txt"),
    (add_note, "not_an_image", f"{WHERE}/._{named(0)}"),
    (add_copy, "not_an_image", f"{WHERE}/2014-01-01T000000__171 (1).jpg"),
    (add_unknown_channel, "not_an_image", f"{WHERE}/{named(0, '4500')}"),
    (add_1600, "ignored_channel", f"{WHERE}/{named(0, '1600')}"),
    (shift, "off_step", f"{WHERE}/{named(7)}"),
    (shift_far, "off_schedule", f"{WHERE}/{named(60)}"),
    (add_second, "duplicate", f"{WHERE}/{named(3)}"),
    (flag, "flagged", f"{WHERE}/{named(0)}"),
    (cut, "unreadable", f"{WHERE}/{named(0)}"),
    (shrink, "wrong_size", f"{WHERE}/{named(0)}"),
    (colour, "not_grey", f"{WHERE}/{named(0)}"),
    (blank, "uniform", f"{WHERE}/{named(0)}"),
]
MASKED = {"off_schedule", "flagged", "unreadable", "wrong_size", "not_grey", "uniform"}


@pytest.mark.parametrize(
    ("plant", "check", "example"), PLANTED, ids=[plant.__name__ for plant, _, _ in PLANTED]
)
def test_what_is_planted_is_counted_once_with_its_place_and_nothing_else_is(
    copy, plant, check, example
):
    plant(copy)
    split = test_split(copy)
    met = {name: one for name, one in split.findings.items() if one.count}
    assert set(met) == {check}
    assert (met[check].count, met[check].example) == (1, example)
    absent = 40 if check in ("no_folder", "no_images") else int(check in MASKED)
    assert (~split.present).sum() == absent


def test_a_region_of_both_splits_is_named_in_both(copy):
    share_region(copy)
    for split in take_census(copy, processes=1).splits.values():
        assert (split.findings["shared_region"].count, split.findings["shared_region"].example) == (
            1,
            "12000",
        )


def test_the_furthest_used_image_is_reported_in_minutes(copy):
    image(copy).rename(image(copy, 2.5))
    image(copy, 420).rename(image(copy, 405))
    image(copy, 630).rename(image(copy, 646))  # a minute too far to be used
    split = test_split(copy)
    assert split.minutes_off == 15
    assert split.findings["off_step"].count == 2
    assert split.findings["off_schedule"].count == 1


def test_a_fraction_of_a_second_in_the_start_puts_no_image_off_its_step(copy):
    add_fraction(copy)
    split = test_split(copy)
    assert split.findings["off_step"].count == 0
    assert 0 < split.minutes_off < 1 / 60


def test_an_unusable_image_is_on_disk_and_missing(copy):
    last = image(copy, 710, "211")
    last.write_bytes(b"")
    split = test_split(copy)
    assert split.last_images["211"] == 1
    assert split.missing["211"] == [0, 0, 0, 1]


def test_a_usable_duplicate_stands_in_for_a_damaged_image(copy):
    add_second(copy)
    cut(copy)
    split = test_split(copy)
    assert split.present.all()
    assert split.findings["unreadable"].count == split.findings["off_step"].count == 1
    assert split.findings["duplicate"].count == 0


def test_upper_case_names_are_images(copy):
    image(copy).rename(image(copy).with_suffix(".JPG"))
    assert test_split(copy).present.all()


def test_the_same_image_in_upper_case_is_a_duplicate(copy):
    add_upper_case(copy)
    assert test_split(copy).findings["duplicate"].count == 1


def test_the_fingerprint_of_an_odd_copy_is_that_of_its_content_too(copy):
    for plant in (add_1600, add_stray, add_second, cut, rename_table):
        plant(copy)
    assert take_census(copy).fingerprint == content_fingerprint(copy)


def test_a_copy_without_a_single_image_is_counted_and_not_refused(copy):
    for split in ("training", "test"):
        for folder in (copy / split).glob("*/*"):
            shutil.rmtree(folder)
    counted = take_census(copy)
    assert [not split.present.any() for split in counted.splits.values()] == [True, True]
    assert counted.fingerprint == content_fingerprint(copy)
