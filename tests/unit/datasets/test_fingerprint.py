"""Fingerprints name the content of a dataset, wherever it lies."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from flare.datasets.sdobenchmark.fingerprint import content_fingerprint, listing_fingerprint, short
from flare.datasets.sdobenchmark.labels import available_splits
from flare.errors import DatasetNotFound
from flare.files import combine_digests, digest

from tiny import write_tiny_dataset


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    return write_tiny_dataset(
        tmp_path / "raw", training_regions=1, test_regions=1, samples_per_region=1
    )


def test_a_copy_elsewhere_has_the_same_content_fingerprint(dataset, tmp_path):
    copy = shutil.copytree(dataset, tmp_path / "copy", copy_function=shutil.copyfile)
    assert content_fingerprint(copy) == content_fingerprint(dataset)


def test_one_changed_byte_changes_the_content_fingerprint(dataset):
    before = content_fingerprint(dataset)
    image = next(dataset.glob("test/*/*/*.jpg"))
    image.write_bytes(image.read_bytes() + b"\0")
    assert content_fingerprint(dataset) != before


def test_an_image_under_another_name_changes_the_content_fingerprint(dataset):
    before = content_fingerprint(dataset)
    image = next(dataset.glob("test/*/*/*__94.jpg"))
    image.rename(image.with_name(image.name.replace("__94", "__131")))
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


def test_the_short_form_is_the_first_sixteen_digits():
    assert short("0123456789abcdef" + "0" * 48) == "0123456789abcdef"


def test_splits_are_those_that_have_a_table(dataset):
    assert available_splits(dataset) == ("training", "test")
    shutil.rmtree(dataset / "training")
    assert available_splits(dataset) == ("test",)


def test_a_folder_without_any_table_is_not_a_dataset(tmp_path):
    with pytest.raises(DatasetNotFound, match=r"no training/meta_data\.csv"):
        available_splits(tmp_path)
