"""What a folder holds to be forecast: a split in its table's order, or every folder of images."""

import json
import os
import shutil
from datetime import datetime
from pathlib import Path

import pytest

from flare.datasets.listing import list_samples
from flare.datasets.pack.writer import pack
from flare.datasets.sdobenchmark.labels import read_table
from flare.datasets.sdobenchmark.sample_images import read_files
from flare.errors import DatasetInvalid, DatasetNotFound
from flare.files import digest_of_images

from tiny import write_tiny_dataset


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    return write_tiny_dataset(
        tmp_path / "raw", training_regions=1, test_regions=2, samples_per_region=2
    )


def flat(dataset: Path, dest: Path) -> Path:
    """Copy the test samples next to one another, without a table."""
    for folder in read_table(dataset, "test")["folder"]:
        shutil.copytree(folder, dest / f"{folder.parent.name}_{folder.name}")
    return dest


def test_a_split_is_listed_in_the_order_of_its_table_with_its_labels(dataset):
    table = read_table(dataset, "test")
    listing = list_samples(dataset, "test")
    assert [entry.id for entry in listing.entries] == table["id"].tolist()
    assert [entry.peak_flux for entry in listing.entries] == table["peak_flux"].tolist()
    assert listing.entries[0].active_region == 12000
    assert listing.entries[0].end == datetime(2014, 1, 1, 12)
    assert (listing.name, listing.synthetic, listing.split) == ("tiny", True, "test")


def test_folders_nested_by_region_get_the_ids_of_the_table(dataset):
    (dataset / "test" / "meta_data.csv").unlink()
    listing = list_samples(dataset / "test", "test")
    assert {entry.id for entry in listing.entries} == {
        f"{region}_2014_01_{day}_00_00_00_{k}"
        for region, day in ((12000, "01"), (12010, "21"))
        for k in (0, 1)
    }
    assert {entry.active_region for entry in listing.entries} == {12000, 12010}
    assert {(entry.start, entry.peak_flux) for entry in listing.entries} == {(None, None)}
    assert listing.split == ""


def test_flat_folders_elsewhere_get_the_same_ids_and_are_of_unknown_origin(dataset, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    listing = list_samples(flat(dataset, tmp_path / "elsewhere" / "flat"), "test")
    assert [entry.id for entry in listing.entries] == sorted(read_table(dataset, "test")["id"])
    assert (listing.name, listing.synthetic) == ("flat", None)


def test_folders_of_any_name_are_known_by_their_path(dataset, tmp_path):
    for number, folder in enumerate(read_table(dataset, "test")["folder"][:2]):
        shutil.copytree(folder, tmp_path / "mine" / "today" / f"sample {number}")
    listing = list_samples(tmp_path / "mine", "test")
    assert [entry.id for entry in listing.entries] == ["today/sample 0", "today/sample 1"]
    assert {entry.active_region for entry in listing.entries} == {None}


def test_a_linked_folder_is_listed_and_a_circle_of_links_ends(dataset, tmp_path):
    place = tmp_path / "links"
    place.mkdir()
    (place / "one").symlink_to(read_table(dataset, "test")["folder"][0])
    (place / "round").symlink_to(place)
    assert [entry.id for entry in list_samples(place, "test").entries] == ["one"]


def test_a_folder_inside_a_synthetic_set_is_known_to_be_synthetic_with_its_seed(dataset):
    described = {"name": "made", "synthetic": True, "seed": 7}
    (dataset / "dataset.json").write_text(json.dumps(described), encoding="utf-8")
    listing = list_samples(dataset / "test" / "12000", "test")
    assert (listing.synthetic, listing.seed) == (True, 7)


def test_the_content_of_a_split_is_what_its_pack_says(dataset, tmp_path):
    listing = list_samples(dataset, "test")
    digests = {entry.id: digest_of_images(read_files(entry.folder)) for entry in listing.entries}
    made = pack(dataset, tmp_path / "pack", image_size=32, processes=1)
    assert listing.content(digests) == made.contents["test"]


def change_label(dataset: Path) -> None:
    table = dataset / "test" / "meta_data.csv"
    table.write_text(table.read_text().replace("e-06", "e-05"))


@pytest.mark.parametrize(
    ("change", "same"),
    [
        (lambda data: os.utime(next(data.glob("test/*/*/*.jpg")), ns=(1, 1)), False),
        (lambda data: shutil.rmtree(data / "test" / "12000"), False),
        (change_label, False),
        (lambda data: (data / "dataset.json").unlink(), False),
        (lambda data: shutil.rmtree(data / "training" / "11000"), True),
    ],
)
def test_any_change_of_the_samples_changes_the_state(dataset, change, same):
    before = list_samples(dataset, "test").state
    change(dataset)
    assert (list_samples(dataset, "test").state == before) == same


def test_the_same_sample_twice_is_refused_by_both_places(dataset):
    (dataset / "test" / "meta_data.csv").unlink()
    first = next(dataset.glob("test/12000/*"))
    shutil.copytree(first, dataset / "test/copy" / f"12000_{first.name}")
    with pytest.raises(DatasetInvalid, match=r"are both sample 12000_.*; remove one"):
        list_samples(dataset / "test", "test")


def test_a_folder_that_is_not_there_or_empty_is_named(tmp_path):
    with pytest.raises(DatasetNotFound, match=r"no folder .*/none; give a dataset"):
        list_samples(tmp_path / "none", "test")
    with pytest.raises(DatasetNotFound, match=r"neither a split's meta_data.csv nor a folder"):
        list_samples(tmp_path, "test")


def test_a_split_that_is_not_there_and_the_folder_of_one_say_what_to_pass(dataset):
    with pytest.raises(DatasetNotFound, match=f"pass -P data_dir={dataset} "):
        list_samples(dataset / "test", "test")
    shutil.rmtree(dataset / "test")
    with pytest.raises(DatasetNotFound, match=r"has no test split; pass -P split=training"):
        list_samples(dataset, "test")
