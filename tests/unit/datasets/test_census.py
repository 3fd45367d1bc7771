"""A census counts what is there, reads it once, and calls it by the fingerprint of its content."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from flare.datasets.sdobenchmark import census as module
from flare.datasets.sdobenchmark import sample_images
from flare.datasets.sdobenchmark.census import (
    PUBLISHED,
    Census,
    SplitCensus,
    classes_of,
    take_census,
)
from flare.datasets.sdobenchmark.findings import CENSUS_CHECKS, Finding, gather, median_levels
from flare.datasets.sdobenchmark.fingerprint import content_fingerprint
from flare.datasets.sdobenchmark.labels import read_table
from flare.datasets.sdobenchmark.sample_images import read_sample
from flare.errors import DatasetInvalid, DatasetNotFound
from flare.sample import CHANNELS

from tiny import write_tiny_dataset

REAL = Path(os.environ.get("FLARE_REAL_SAMPLE", Path(__file__).parents[4] / "shared" / "real"))


@pytest.fixture(scope="module")
def counted(tiny_dataset: Path) -> Census:
    """A census, during which every image was opened once and progress was reported."""
    images: list[str] = []
    progress: list[tuple[int, int]] = []
    read = sample_images.read_whole
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sample_images, "read_whole", lambda path: images.append(path) or read(path))
        counted = take_census(
            tiny_dataset, processes=1, progress=lambda *done: progress.append(done)
        )
    assert len(images) == len(set(images)) == 24 * 40 - 2
    assert progress[-1] == (24, 24)
    assert len(progress) > 1
    return counted


def test_samples_regions_and_classes_are_counted_by_split(counted):
    # Labels in turn by region: quiet, C, M, B, M, quiet, C, X; two samples a region.
    assert counted.splits["training"].counts == {
        "samples": 16, "active_regions": 8,
        "quiet": 4, "a": 0, "b": 2, "below_c": 2, "c": 4, "m": 4, "x": 2,
    }  # fmt: skip
    assert counted.splits["test"].counts["samples"] == 8


def test_missing_images_are_counted_by_channel_and_step(counted):
    for split in counted.splits.values():
        expected = {channel: [0, 0, 0, int(channel == "211")] for channel in CHANNELS}
        assert split.missing == expected
        assert split.last_images == {"211": len(split) - 1, "magnetogram": len(split)}


def test_a_clean_copy_has_every_check_at_zero(counted):
    for split in counted.splits.values():
        assert split.findings == dict.fromkeys(CENSUS_CHECKS, Finding(0, None))
        assert list(split.findings) == list(CENSUS_CHECKS)


def test_levels_are_the_medians_of_the_images_that_are_there(counted, tiny_dataset):
    split = counted.splits["training"]
    for k, row in read_table(tiny_dataset, "training").iterrows():
        sample = read_sample(row["folder"], row["start"])
        assert np.array_equal(split.present[k], sample.present)
        medians = np.median(sample.cube, axis=(2, 3))
        assert np.abs(split.grey[k] - medians)[sample.present].max() <= 0.5
        assert np.array_equal(np.isfinite(split.grey[k]), sample.present)


@pytest.mark.parametrize(
    ("pixels", "median"), [([7, 7, 7, 7], 7), ([7, 8, 8, 9], 8), ([7, 7, 7, 8], 7.1667)]
)
def test_the_level_of_an_image_lies_within_its_middle_level(pixels, median):
    cube = np.array(pixels, dtype=np.uint8).reshape(1, 1, 2, 2)
    assert median_levels(cube, np.array([[True]])) == pytest.approx(median, abs=1e-4)
    assert np.isnan(median_levels(cube, np.array([[False]]))).all()


def test_the_table_stays_in_the_order_of_the_file(counted, tiny_dataset):
    read = read_table(tiny_dataset, "test").drop(columns="folder")
    pd.testing.assert_frame_equal(counted.splits["test"].table, read)


def test_two_processes_count_the_same_as_one(counted, tiny_dataset):
    parallel = take_census(tiny_dataset, processes=2)
    assert parallel.as_dict() == counted.as_dict()
    for name, split in counted.splits.items():
        assert np.array_equal(parallel.splits[name].grey, split.grey, equal_nan=True)


def test_the_counts_are_json_without_the_arrays(counted, tiny_dataset):
    content = json.loads(json.dumps(counted.as_dict(), allow_nan=False))
    assert content == counted.as_dict()
    assert content["fingerprint"] == content_fingerprint(tiny_dataset)
    assert (content["name"], content["synthetic"]) == ("tiny", True)
    assert content["splits"]["training"]["published"]["samples"] == 8336
    assert len(json.dumps(content)) < 10_000


def test_a_dataset_of_one_split_has_a_census_of_one_split(tiny_dataset, tmp_path):
    shutil.copytree(tiny_dataset / "test", tmp_path / "test")
    counted = take_census(tmp_path)
    assert list(counted.splits) == ["test"]
    assert counted.splits["test"].counts["samples"] == 8
    assert not counted.matches_published


def test_a_folder_that_is_not_a_dataset_is_refused(tmp_path):
    with pytest.raises(DatasetNotFound, match=r"no training/meta_data\.csv in"):
        take_census(tmp_path / "nowhere")


def test_a_table_that_cannot_be_trusted_is_refused_before_any_image_is_read(tmp_path, monkeypatch):
    data = write_tiny_dataset(tmp_path / "raw", training_regions=1, test_regions=1)
    table = data / "test" / "meta_data.csv"
    table.write_text(table.read_text().replace(",1e-09", ",nan"))
    monkeypatch.setattr(module, "map_in_order", lambda *_a, **_k: pytest.fail("too late"))
    with pytest.raises(DatasetInvalid, match="peak_flux is 'nan'"):
        take_census(data)


def published_split(name: str) -> SplitCensus:
    """A split with the published samples, regions and classes."""
    wanted = PUBLISHED[name]
    fluxes = {"quiet": 1e-9, "below_c": 5e-7, "c": 2e-6, "m": 3e-5, "x": 2e-4}
    flux = np.concatenate([np.full(wanted[key], value) for key, value in fluxes.items()])
    regions = np.arange(len(flux)) % wanted["active_regions"]
    table = pd.DataFrame({"active_region": regions, "peak_flux": flux})
    empty = np.zeros((len(flux), 4, 10), dtype=np.bool_)
    nothing = np.full(empty.shape, np.nan, dtype=np.float32)
    return SplitCensus(name, table, empty, nothing, empty.sum(axis=0), 0.0, gather([]))


def test_a_copy_with_the_published_counts_is_recognised_and_no_other():
    splits = {name: published_split(name) for name in PUBLISHED}
    assert Census("raw", False, "0" * 64, splits).matches_published
    splits["test"].table["peak_flux"] = splits["test"].table["peak_flux"].replace(2e-4, 3e-5)
    assert not Census("raw", False, "0" * 64, splits).matches_published
    assert splits["training"].matches_published


def test_published_classes_add_up_to_the_published_samples():
    for counts in PUBLISHED.values():
        assert sum(counts[key] for key in ("quiet", "below_c", "c", "m", "x")) == counts["samples"]


def test_boundaries_belong_to_the_class_above():
    flux = np.array([1e-9, 9e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-2])
    assert classes_of(flux) == {
        "quiet": 1, "a": 1, "b": 1, "below_c": 2, "c": 1, "m": 1, "x": 2,
    }  # fmt: skip


@pytest.mark.skipif(not REAL.is_dir(), reason="no real sample next to this checkout")
def test_the_real_sample_has_its_twenty_images_and_nothing_odd():
    counted = take_census(REAL)
    split = counted.splits["test"]
    assert split.present.sum(axis=(0, 2)).tolist() == [0, 5, 10, 5]
    assert {check: one.count for check, one in split.findings.items() if one.count} == {}
    assert split.minutes_off == 0
    assert (split.counts["samples"], split.counts["b"]) == (1, 1)
    assert not counted.synthetic
