"""Images that are on both sides, under two regions, or of nothing: planted and clean ones."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
from audit_tables import sample, table_of
from PIL import Image

from flare.datasets.audit.checks import Verdict
from flare.datasets.audit.images import (
    Planes,
    digest_images,
    identical_images,
    images_in_two_regions,
    masked_uniform_images,
    planes_of,
    uniform_images,
)
from flare.datasets.pack.writer import ensure_pack
from flare.datasets.sdobenchmark.labels import read_table
from flare.datasets.sdobenchmark.sample_images import read_sample
from flare.sample import MAGNETOGRAM, N_CHANNELS, N_PLANES, N_STEPS


def planes(*samples: tuple[int, list[int]], days: float = 20) -> Planes:
    """Return samples given as region and the digests of their first images; 0 is a uniform one."""
    digests = np.zeros((len(samples), N_STEPS, N_CHANNELS), dtype=np.uint64)
    present = np.zeros(digests.shape, dtype=np.bool_)
    for row, (_, values) in enumerate(samples):
        digests[row, 0, : len(values)] = values
        present[row, 0, : len(values)] = True
    table = table_of([sample(region, days * k) for k, (region, _) in enumerate(samples)])
    return Planes(table, digests, present)


def test_the_same_pixels_on_both_sides_are_invalid_and_both_are_named():
    left, right = planes((11000, [1, 2, 3])), planes((12000, [7, 2]), (12010, [8]))
    finding = identical_images(left, right, place="test")
    assert (finding.verdict, finding.count, finding.total) == (Verdict.INVALID, 1, 3)
    assert finding.examples == (
        "11000_2014_01_01_00_00_00_0 131 (12 h) | 12000_2014_01_01_00_00_00_0 131 (12 h)",
    )
    assert finding.note == "in 1 samples"


def test_an_image_is_the_same_in_another_channel_too_and_missing_and_uniform_ones_are_not():
    finding = identical_images(planes((11000, [1, 2])), planes((12000, [2])), place="test")
    assert finding.examples[0].endswith("131 (12 h) | 12000_2014_01_01_00_00_00_0 94 (12 h)")
    finding = identical_images(planes((11000, [1, 0])), planes((12000, [2, 0])), place="test")
    assert (finding.verdict, finding.count) == (Verdict.OK, 0)


def test_the_same_pixels_in_two_regions_are_a_warning_that_counts_all_of_them():
    finding = images_in_two_regions(
        planes((11000, [1, 5]), (11010, [2, 5]), (11020, [5, 3])), place="training_split"
    )
    assert (finding.verdict, finding.count, finding.total) == (Verdict.WARNING, 3, 6)
    (example,) = finding.examples
    assert [one.split("_")[0] for one in example.split(" | ")] == ["11000", "11020"]
    same = planes((11000, [1, 5]), (11000, [5, 6]), (11010, [7]))  # one region may share them
    assert images_in_two_regions(same, place="training_split").verdict is Verdict.OK


def test_uniform_images_that_count_as_present_are_invalid_and_counted_by_channel():
    finding = uniform_images(planes((11000, [1, 0]), (11010, [0, 0])), place="test_split")
    assert (finding.verdict, finding.count, finding.total) == (Verdict.INVALID, 3, 4)
    assert finding.figures == {"94": 1, "131": 2}
    assert finding.note == "1 of 94, 2 of 131"
    assert finding.examples[0] == "11000_2014_01_01_00_00_00_0 131 (12 h)"


@pytest.mark.parametrize("grey", [0, 128, 255])
def test_an_image_of_any_single_grey_level_is_uniform_and_a_missing_one_is_not_read(grey):
    pixels = np.full((N_PLANES, 16), grey, dtype=np.uint8)
    pixels[:20, 7] = 10
    present = np.ones((N_STEPS, N_CHANNELS), dtype=np.bool_)
    digests = digest_images(pixels, present).ravel()
    assert (digests[:20] > 0).all()
    assert not digests[20:].any()
    assert not digest_images(pixels, ~present).any()


@pytest.fixture
def spoiled(tiny_dataset, tmp_path):
    """Return a dataset with a test image copied from training, and one of zeros."""
    data = shutil.copytree(tiny_dataset, tmp_path / "data")
    original = next((data / "training").glob("11010/*_1/*__171.jpg"))
    copied = next((data / "test").glob("12010/*_0/*__171.jpg"))
    copied.write_bytes(original.read_bytes())
    zeros = sorted((data / "test").glob("12020/*_0/*__magnetogram.jpg"))[0]
    Image.new("L", (256, 256), 0).save(zeros)
    return data


@pytest.fixture
def foreign_pack(spoiled, tmp_path):
    """Return a pack whose maker took the image of zeros for present, as our reader does not."""
    made = ensure_pack(spoiled, tmp_path / "foreign", image_size=32, processes=1)
    test = made.split("test")
    (row,) = np.flatnonzero(test.table["id"].str.match("12020.*_0$"))
    assert not test.present[row, 0, MAGNETOGRAM]
    test.present[row, 0, MAGNETOGRAM] = True
    np.save(made.folder / "test" / "present.npy", test.present)
    (made.folder / "rejected.csv").write_text("split,id,file,reason\n")
    return replace(made, missing=made.missing | {"magnetogram": 0}, rejected_counts={})


def test_a_copied_image_and_a_zero_filled_one_are_found_in_a_foreign_pack(foreign_pack):
    calls = []
    planes = planes_of(foreign_pack, processes=2, progress=lambda *done: calls.append(done))
    same = identical_images(planes["training"], planes["test"], place="test")
    assert same.count == 1
    assert "11010_2012_01_21_00_00_00_1 171" in same.examples[0]
    uniform = uniform_images(planes["test"], place="test_split")
    assert (uniform.verdict, uniform.count) == (Verdict.INVALID, 1)
    assert uniform.figures == {"magnetogram": 1}
    assert masked_uniform_images(foreign_pack, place="dataset").verdict is Verdict.OK
    assert calls[-1] == (24, 24)


def test_an_untouched_pack_has_no_such_image(tiny_dataset, tmp_path):
    made = ensure_pack(tiny_dataset, tmp_path / "pack", image_size=32, processes=1)
    masked = masked_uniform_images(made, place="dataset")
    assert (masked.verdict, masked.count, masked.note) == (Verdict.OK, 0, "")
    planes = planes_of(made)
    assert identical_images(planes["training"], planes["test"], place="test").verdict is Verdict.OK
    for split, some in planes.items():
        place = f"{split}_split"
        assert uniform_images(some, place=place).verdict is Verdict.OK
        assert images_in_two_regions(some, place=place).verdict is Verdict.OK
        table = read_table(tiny_dataset, split)
        for row, (folder, start) in enumerate(zip(table["folder"], table["start"], strict=True)):
            np.testing.assert_array_equal(
                some.digests[row] > 0, read_sample(folder, start.to_pydatetime()).present
            )


def test_a_zero_filled_image_that_the_reader_masked_is_a_warning_and_not_present(spoiled, tmp_path):
    made = ensure_pack(spoiled, tmp_path / "pack", image_size=32, processes=1)
    seen = planes_of(made)
    assert uniform_images(seen["test"], place="test_split").verdict is Verdict.OK
    finding = masked_uniform_images(made, place="dataset")
    # 24 samples; one image of either split was never there.
    assert (finding.verdict, finding.count, finding.total) == (Verdict.WARNING, 1, 24 * 40 - 2)
    assert finding.note == "masked as missing, 1 images"
    assert finding.examples == ("12020_2014_02_10_00_00_00_0 2014-02-10T000000__magnetogram.jpg",)
