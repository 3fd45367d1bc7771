import io

import numpy as np
import pytest
from PIL import Image

from flare.errors import DatasetNotFound
from flare.sample import CHANNELS, N_CHANNELS
from serving.routes.information import EXAMPLES, example_npy
from serving.uploads.samples import sample_of_npy

TIMES = ("2012-01-15T000000", "2012-01-15T070000", "2012-01-15T103000", "2012-01-15T115000")


def write_image(path, grey: int) -> None:
    """Write an image whose mean is this grey; one of that value alone would be no image."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.full((256, 256), grey, dtype=np.uint8)
    pixels[:128] -= 4
    pixels[128:] += 4
    Image.fromarray(pixels).save(path)


@pytest.fixture
def sample(tmp_path):
    for step, time in enumerate(TIMES):
        for index, channel in enumerate(CHANNELS):
            write_image(tmp_path / "a" / f"{time}__{channel}.jpg", 10 + step * N_CHANNELS + index)
    return tmp_path


def test_each_image_stands_at_its_step_and_channel(sample):
    planes = np.load(io.BytesIO(example_npy(sample)))
    assert planes.shape == (40, 256, 256)
    assert planes.dtype == np.uint8
    assert planes.mean(axis=(1, 2)).round().tolist() == list(range(10, 50))


def test_an_image_a_few_minutes_late_still_belongs_to_its_step(sample):
    path = sample / "a" / f"{TIMES[1]}__131.jpg"
    path.rename(path.with_name("2012-01-15T070900__131.jpg"))
    assert np.load(io.BytesIO(example_npy(sample)))[11].mean() == pytest.approx(21, abs=1)


def test_an_image_that_is_damaged_or_not_there_is_missing(sample):
    (sample / "a" / f"{TIMES[0]}__94.jpg").write_bytes(b"damaged")
    (sample / "a" / f"{TIMES[3]}__magnetogram.jpg").unlink()
    planes = np.load(io.BytesIO(example_npy(sample)))
    assert np.flatnonzero(~planes.any(axis=(1, 2))).tolist() == [0, 39]


@pytest.mark.parametrize("grey", [0, 128])
def test_an_image_of_one_value_is_missing(sample, grey):
    Image.new("L", (256, 256), grey).save(sample / "a" / f"{TIMES[0]}__94.jpg")
    planes = np.load(io.BytesIO(example_npy(sample)))
    assert np.flatnonzero(~planes.any(axis=(1, 2))).tolist() == [0]


def test_only_the_first_sample_and_only_its_channels_are_read(sample):
    write_image(sample / "b" / f"{TIMES[0]}__94.jpg", 250)
    write_image(sample / "a" / f"{TIMES[0]}__1600.jpg", 250)
    planes = np.load(io.BytesIO(example_npy(sample)))
    assert planes.max() < 60


def test_without_images_the_folder_is_named(tmp_path):
    with pytest.raises(DatasetNotFound, match=str(tmp_path)):
        example_npy(tmp_path)


def test_every_image_of_the_committed_example_is_in_it():
    cube = sample_of_npy(bytearray(example_npy(EXAMPLES)), "").cubes[0]
    images = len(list(EXAMPLES.glob("*/*.jpg")))
    assert cube.any(axis=(2, 3)).sum() == images > N_CHANNELS
