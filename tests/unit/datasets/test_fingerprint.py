"""Fingerprints name the content of a dataset, wherever it lies."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from flare.datasets.sdobenchmark.fingerprint import content_fingerprint, listing_fingerprint
from flare.datasets.sdobenchmark.labels import available_splits
from flare.errors import DatasetNotFound
from flare.files import combine_digests, digest

from tiny import write_tiny_dataset


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    return write_tiny_dataset(
        tmp_path / "raw", training_regions=1, test_regions=1, samples_per_region=1
    )


def test_bytes_and_names_of_images_are_the_content_and_its_place_is_not(dataset, tmp_path):
    before = content_fingerprint(dataset)
    copy = shutil.copytree(dataset, tmp_path / "copy", copy_function=shutil.copyfile)
    assert content_fingerprint(copy) == before
    image = next(copy.glob("test/*/*/*__94.jpg"))
    image.write_bytes(image.read_bytes() + b"\0")
    assert content_fingerprint(copy) != before
    renamed = next(dataset.glob("test/*/*/*__94.jpg"))
    renamed.rename(renamed.with_name(renamed.name.replace("__94", "__131")))
    assert content_fingerprint(dataset) != before


def test_touching_a_file_changes_the_listing_and_not_the_content(dataset):
    content, listing = content_fingerprint(dataset), listing_fingerprint(dataset)
    os.utime(next(dataset.glob("training/*/*/*.jpg")), ns=(1, 1))
    assert content_fingerprint(dataset) == content
    assert listing_fingerprint(dataset) != listing


def test_combining_is_what_sha256sum_prints_of_what_sha256sum_prints(tmp_path):
    files = {"b": b"second", "a": b"first"}
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    printed = subprocess.run(
        "sha256sum a b | sha256sum", shell=True, cwd=tmp_path, capture_output=True, check=True
    )
    expected = printed.stdout.decode().split()[0]
    assert combine_digests({name: digest(data) for name, data in files.items()}) == expected


def test_splits_are_those_that_have_a_table(dataset):
    assert available_splits(dataset) == ("training", "test")
    shutil.rmtree(dataset / "training")
    assert available_splits(dataset) == ("test",)
    with pytest.raises(DatasetNotFound, match=r"no training/meta_data\.csv"):
        available_splits(dataset / "test" / "12000")
