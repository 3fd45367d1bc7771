"""Reading the images of a sample: which file goes where, and what happens to bad ones."""

import os
from datetime import datetime, timedelta
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from flare.datasets.sdobenchmark.labels import read_table
from flare.datasets.sdobenchmark.sample_images import infer_start, read_sample
from flare.errors import DatasetInvalid, DatasetNotFound
from flare.images.planes import sample_of_files
from flare.sample import CHANNELS, MAGNETOGRAM, STEP_OFFSETS_MINUTES

from tiny import tiny_jpeg, write_tiny_sample

START = datetime(2012, 1, 15)
RNG = np.random.default_rng(0)
GREY = tiny_jpeg(120, RNG)
OTHER_GREY = tiny_jpeg(60, RNG)

REAL = Path(os.environ.get("FLARE_REAL_SAMPLE", Path(__file__).parents[4] / "shared" / "real"))


def named(minutes: float, channel: str = "171", suffix: str = "jpg") -> str:
    return f"{START + timedelta(minutes=minutes):%Y-%m-%dT%H%M%S}__{channel}.{suffix}"


def decoded(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(BytesIO(data)))


@pytest.fixture(scope="module")
def whole_sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sample") / "0"
    write_tiny_sample(folder, START, grey=100, rng=np.random.default_rng(1))
    return folder


def test_each_plane_holds_the_pixels_of_the_file_of_its_step_and_channel(whole_sample):
    sample = read_sample(whole_sample, START)
    assert sample.present.all()
    assert sample.rejected == ()
    assert infer_start(whole_sample) == START
    cube = sample.cube
    for step, minutes in enumerate(STEP_OFFSETS_MINUTES):
        for index, channel in enumerate(CHANNELS):
            file = whole_sample / named(minutes, channel)
            assert np.array_equal(cube[step, index], decoded(file.read_bytes()))


def test_a_folder_that_is_not_there_is_a_sample_without_images(tmp_path):
    sample = read_sample(tmp_path / "none", START)
    assert not sample.present.any()
    assert not sample.cube.any()
    assert sample.rejected == (("", "no folder"),)


@pytest.mark.parametrize("minutes", [-16, 404, 436, 1440])
def test_an_image_further_from_every_step_is_off_schedule(minutes):
    name = named(minutes)
    sample = sample_of_files({name: GREY}, START)
    assert not sample.present.any()
    assert sample.rejected == ((name, "off schedule"),)


@example(420 - 15)
@example(420 + 15)
@given(st.floats(-60, 780))
def test_an_image_goes_to_the_nearest_step_or_nowhere(minutes):
    minutes = round(minutes * 60) / 60
    distances = [abs(minutes - offset) for offset in STEP_OFFSETS_MINUTES]
    steps, _ = sample_of_files({named(minutes): GREY}, START).present.nonzero()
    assert steps.tolist() == ([int(np.argmin(distances))] if min(distances) <= 15 else [])


@pytest.mark.parametrize("near_first", [True, False])
def test_of_two_images_for_one_place_the_nearer_is_chosen(near_first):
    near, far = (named(423), named(416)) if near_first else (named(417), named(424))
    sample = sample_of_files({near: GREY, far: OTHER_GREY}, START)
    assert np.array_equal(sample.cube[1, 2], decoded(GREY))
    assert sample.rejected == ((far, "duplicate"),)


@pytest.mark.parametrize("reason", ["unreadable", "uniform"])
def test_the_farther_image_is_chosen_where_the_nearer_cannot_be_used(reason):
    near, far = named(423), named(416)
    bad = GREY[:200] if reason == "unreadable" else uniform_jpeg(0)
    sample = sample_of_files({near: bad, far: OTHER_GREY}, START)
    assert np.array_equal(sample.cube[1, 2], decoded(OTHER_GREY))
    assert sample.rejected == ((near, reason),)


def test_fractions_of_a_second_in_the_start_move_no_image():
    sample = sample_of_files({named(710): GREY}, START + timedelta(seconds=0.9))
    assert sample.present[3, CHANNELS.index("171")]


def test_channels_that_a_sample_does_not_have_are_ignored(tmp_path):
    (tmp_path / named(0)).write_bytes(GREY)
    (tmp_path / named(0, "1600")).write_bytes(GREY)
    (tmp_path / "notes.txt").write_text("observed")
    sample = read_sample(tmp_path, START)
    assert sample.present.sum() == 1
    assert sample.rejected == ()


def flagged_jpeg() -> bytes:
    exif = Image.Exif()
    exif[0x010E] = "quality: FLAGGED"
    buffer = BytesIO()
    Image.open(BytesIO(GREY)).save(buffer, "JPEG", exif=exif)
    return buffer.getvalue()


def uniform_jpeg(grey: int) -> bytes:
    buffer = BytesIO()
    Image.new("L", (256, 256), grey).save(buffer, "JPEG")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "unreadable"),
        (tiny_jpeg(100, RNG, size=128), "wrong size"),
        (flagged_jpeg(), "flagged"),
        (uniform_jpeg(128), "uniform"),
    ],
)
def test_an_unusable_image_is_masked_and_listed_with_its_reason(data, reason):
    sample = sample_of_files({named(0): data, named(420): GREY}, START)
    assert sample.present.sum() == 1
    assert not sample.cube[0].any()
    assert sample.rejected == ((named(0), reason),)


def test_a_folder_named_like_an_image_is_an_unreadable_image(tmp_path):
    (tmp_path / named(0)).mkdir()
    assert read_sample(tmp_path, START).rejected == ((named(0), "unreadable"),)


@given(st.integers(0, len(GREY) - 1))
def test_a_jpeg_cut_anywhere_never_stops_the_reader(length):
    sample = sample_of_files({named(0): GREY[:length]}, START)
    assert sample.present.any() != bool(sample.rejected)


@given(
    st.sets(st.sampled_from(STEP_OFFSETS_MINUTES), min_size=2),
    st.lists(st.integers(0, 240), min_size=4, max_size=4),
)
def test_two_of_the_four_times_are_enough_to_infer_the_start(
    tmp_path_factory, offsets, late_seconds
):
    folder = tmp_path_factory.mktemp("lone")
    for offset, late in zip(sorted(offsets), late_seconds, strict=False):
        (folder / named(offset + late / 60)).touch()
    assert abs(infer_start(folder) - START) <= timedelta(minutes=4)


def test_images_of_one_time_count_as_the_newest_of_the_window(tmp_path):
    (tmp_path / named(710)).touch()
    (tmp_path / named(710, "94")).touch()
    assert infer_start(tmp_path) == START


def test_a_folder_without_images_has_no_start(tmp_path):
    (tmp_path / "photo.jpg").touch()
    with pytest.raises(DatasetInvalid, match=r"no image in .* has a name such as"):
        infer_start(tmp_path)
    with pytest.raises(DatasetNotFound, match="no folder"):
        infer_start(tmp_path / "none")


@pytest.mark.skipif(not REAL.is_dir(), reason="no real sample next to this checkout")
def test_the_real_sample_has_twenty_of_its_forty_images():
    row = read_table(REAL, "test").iloc[0]
    sample = read_sample(row["folder"], row["start"])
    assert sample.present.sum(axis=1).tolist() == [0, 5, 10, 5]
    assert sample.rejected == ()
    assert infer_start(row["folder"]) == row["start"]
    # Mostly quiet Sun: the field averages to none, which is grey 127.5.
    assert sample.cube[2, MAGNETOGRAM].mean() == pytest.approx(127.5, abs=3)
