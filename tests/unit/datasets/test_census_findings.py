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
from flare.datasets.sdobenchmark.findings import Finding
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


def add_fraction(data: Path) -> None:
    write_table(data, "test", [table_row(ID, START, 1e-9).replace(".000", ".250")])


def end_early(data: Path) -> None:
    write_table(data, "test", [f"{ID},{START},{START + timedelta(hours=11)},1e-09"])


def drop_header(data: Path) -> None:
    table = data / "test" / "meta_data.csv"
    table.write_text(table.read_text().split("\n", 1)[1])


def empty_folder(data: Path) -> None:
    for path in sample_folder(data, "test", ID).iterdir():
        path.unlink()


def flag(data: Path) -> None:
    exif = Image.Exif()
    exif[0x010E] = "flagged"
    Image.open(BytesIO(image(data).read_bytes())).save(image(data), "JPEG", exif=exif)


def colour(data: Path) -> None:
    Image.open(BytesIO(image(data).read_bytes())).convert("RGB").save(image(data))


def cut(data: Path) -> None:
    image(data).write_bytes(image(data).read_bytes()[:300])


def copied_as(name: str) -> Callable[[Path], object]:
    return lambda data: shutil.copy(image(data), image(data).with_name(name))


def moved(minutes: float) -> Callable[[Path], object]:
    return lambda data: image(data).rename(image(data, minutes))


def new_folder(name: str) -> Callable[[Path], object]:
    return lambda data: (data / "test" / name).mkdir(parents=True)


def new_file(name: str) -> Callable[[Path], object]:
    return lambda data: (data / name).write_text("whatever")


PLANTED: list[tuple[str, Callable[[Path], object], str]] = [
    (
        "other_table_name",
        lambda data: (data / "test" / "meta_data.csv").rename(data / "test" / "test.csv"),
        "test/test.csv",
    ),
    ("no_header", drop_header, "test/meta_data.csv"),
    ("second_table", new_file("test.csv"), "test.csv"),
    ("fractional_seconds", add_fraction, ID),
    ("other_window", end_early, ID),
    ("no_folder", lambda data: shutil.rmtree(sample_folder(data, "test", ID)), WHERE),
    ("no_images", empty_folder, WHERE),
    ("no_row", new_folder("12000/2014_01_09_00_00_00_0"), "12000/2014_01_09_00_00_00_0"),
    ("no_row", new_folder("13000"), "13000"),
    ("no_row", new_folder("13000/2014_01_09_00_00_00_0"), "13000/2014_01_09_00_00_00_0"),
    ("stray_file", new_file("test/12000/Thumbs.db"), "12000/Thumbs.db"),
    ("stray_file", new_file("test/notes.txt"), "notes.txt"),
    ("not_an_image", new_file(f"test/{WHERE}/._{named(0)}"), f"{WHERE}/._{named(0)}"),
    ("not_an_image", copied_as(f"{named(0)[:-4]} (1).jpg"), f"{WHERE}/{named(0)[:-4]} (1).jpg"),
    ("not_an_image", copied_as(named(0, "4500")), f"{WHERE}/{named(0, '4500')}"),
    ("ignored_channel", copied_as(named(0, "1600")), f"{WHERE}/{named(0, '1600')}"),
    ("off_step", moved(7), f"{WHERE}/{named(7)}"),
    ("off_schedule", moved(60), f"{WHERE}/{named(60)}"),
    ("duplicate", copied_as(named(3)), f"{WHERE}/{named(3)}"),
    ("duplicate", copied_as(named(0)[:-4] + ".JPG"), f"{WHERE}/{named(0)}"),
    ("flagged", flag, f"{WHERE}/{named(0)}"),
    ("unreadable", cut, f"{WHERE}/{named(0)}"),
    (
        "wrong_size",
        lambda data: image(data).write_bytes(tiny_jpeg(100, RNG, size=128)),
        f"{WHERE}/{named(0)}",
    ),
    ("not_grey", colour, f"{WHERE}/{named(0)}"),
    ("uniform", lambda data: Image.new("L", (256, 256)).save(image(data)), f"{WHERE}/{named(0)}"),
]
MASKED = {"off_schedule", "flagged", "unreadable", "wrong_size", "not_grey", "uniform"}


@pytest.mark.parametrize(
    ("check", "plant", "example"), PLANTED, ids=[check for check, _, _ in PLANTED]
)
def test_what_is_planted_is_counted_once_with_its_place_and_nothing_else_is(
    copy, plant, check, example
):
    plant(copy)
    split = test_split(copy)
    cases = {name: one for name, one in split.findings.items() if one.count}
    assert cases == {check: Finding(1, example)}
    absent = 40 if check in ("no_folder", "no_images") else int(check in MASKED)
    assert (~split.present).sum() == absent


def test_a_region_of_both_splits_is_named_in_both(copy):
    write_table(copy, "training", [table_row(ID, START, 1e-9)])
    for split in take_census(copy, processes=1).splits.values():
        assert split.findings["shared_region"] == Finding(1, "12000")


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
    copied_as(named(3))(copy)
    cut(copy)
    split = test_split(copy)
    assert split.present.all()
    assert split.findings["unreadable"].count == split.findings["off_step"].count == 1
    assert split.findings["duplicate"].count == 0


def test_upper_case_names_are_images(copy):
    image(copy).rename(image(copy).with_suffix(".JPG"))
    assert test_split(copy).present.all()


def test_the_fingerprint_of_an_odd_copy_is_that_of_its_content_too(copy):
    plants = {check: plant for check, plant, _ in PLANTED}
    for check in ("ignored_channel", "stray_file", "duplicate", "unreadable", "other_table_name"):
        plants[check](copy)
    assert take_census(copy).fingerprint == content_fingerprint(copy)


def test_a_copy_without_a_single_image_is_counted_and_not_refused(copy):
    for split in ("training", "test"):
        for folder in (copy / split).glob("*/*"):
            shutil.rmtree(folder)
    counted = take_census(copy)
    assert [not split.present.any() for split in counted.splits.values()] == [True, True]
    assert counted.fingerprint == content_fingerprint(copy)
