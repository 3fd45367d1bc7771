"""Packs: the same pixels as the reader's, whole or not there at all, and never stale."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from flare.datasets.pack.reader import Pack, open_pack, verify_pack
from flare.datasets.pack.writer import ensure_pack, pack
from flare.datasets.sdobenchmark.fingerprint import content_fingerprint
from flare.datasets.sdobenchmark.labels import read_table
from flare.errors import ConfigInvalid, DatasetInvalid, DatasetNotFound, DiskTooSmall
from flare.sample import CHANNELS, plane_sums

from tiny import sample_folder, write_tiny_dataset

FIRST = "11000_2012_01_01_00_00_00_0"


@pytest.fixture(scope="module")
def tiny_pack(tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Pack:
    return pack(tiny_dataset, tmp_path_factory.mktemp("packs") / "tiny", image_size=64, processes=1)


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """Two samples, one in each split, to be spoilt."""
    return write_tiny_dataset(
        tmp_path / "raw", training_regions=1, test_regions=1, samples_per_region=1, missing=0
    )


@pytest.fixture
def copied_pack(tiny_pack: Pack, tmp_path: Path) -> Path:
    return shutil.copytree(tiny_pack.folder, tmp_path / "pack")


def first_image(dataset: Path) -> Path:
    return sorted(sample_folder(dataset, "training", FIRST).iterdir())[0]


def replace_text(path: Path, old: str, new: str) -> None:
    path.write_text(path.read_text().replace(old, new))


def named(made: Pack) -> list[tuple[str, ...]]:
    return list(made.rejected_images().itertuples(index=False, name=None))


@pytest.mark.parametrize("split", ["training", "test"])
def test_a_split_is_the_read_table_to_the_last_bit_and_the_sums_of_its_mapped_images(
    tiny_dataset, tiny_pack, split
):
    read = read_table(tiny_dataset, split).drop(columns="folder")
    rows = tiny_pack.split(split)
    pd.testing.assert_frame_equal(rows.table, read, check_exact=True)
    assert isinstance(rows.cubes, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        rows.cubes[0] = 0
    assert rows.sums is not None
    np.testing.assert_array_equal(rows.sums, plane_sums(np.asarray(rows.cubes)))


def test_a_pack_that_was_made_before_there_were_sums_opens_without(copied_pack):
    described = json.loads((copied_pack / "pack.json").read_text())
    for split in described["samples"]:
        (copied_pack / split / "sums.npy").unlink()
        del described["digests"][f"{split}/sums.npy"]
    (copied_pack / "pack.json").write_text(json.dumps(described))
    verify_pack(open_pack(copied_pack))
    assert open_pack(copied_pack).split("training").sums is None


def test_two_processes_write_the_same_pack_as_one(tiny_dataset, tiny_pack, tmp_path):
    parallel = pack(tiny_dataset, tmp_path / "pack", image_size=64, processes=2)
    for file in ("pack.json", "training/cubes.u8", "test/cubes.u8", "test/present.npy"):
        assert (parallel.folder / file).read_bytes() == (tiny_pack.folder / file).read_bytes()


def test_an_opened_pack_equals_the_one_that_was_made_and_counts_missing_images(tiny_pack):
    assert open_pack(tiny_pack.folder) == tiny_pack
    # One image in the first sample of either split.
    assert tiny_pack.missing == {channel: 2 * (channel == "211") for channel in CHANNELS}


@pytest.mark.parametrize(
    "name", ["2012-01-15 000000__131.jpg", "2012-01-15T000000__999.jpg", "IMG_0001.JPEG"]
)
def test_an_image_whose_name_cannot_be_read_is_named(dataset, tmp_path, name):
    spoilt = first_image(dataset)
    spoilt.rename(spoilt.with_name(name))
    for other in ("Thumbs.db", "._hidden.jpg", "2012-01-15T000000__1600.jpg"):
        spoilt.with_name(other).write_bytes(b"")
    made = pack(dataset, tmp_path / "pack", image_size=64)
    assert made.rejected_counts == {"unreadable name": 1}
    assert named(made) == [("training", FIRST, name, "unreadable name")]
    assert sum(made.missing.values()) == 1


def test_all_rejected_images_are_named(dataset, tmp_path):
    spoilt = sorted(sample_folder(dataset, "training", FIRST).iterdir())[:30]
    for image in spoilt:
        image.write_bytes(b"")
    made = pack(dataset, tmp_path / "pack", image_size=64, processes=1)
    assert made.rejected_counts == {"unreadable": 30}
    assert sorted(file for _, _, file, _ in named(made)) == [image.name for image in spoilt]
    first = (made.folder / "rejected.csv").read_text().splitlines()[:1]
    assert first == ["split,id,file,reason"]


def test_the_content_of_a_split_is_the_fingerprint_of_a_dataset_that_has_no_other(
    tiny_dataset, tiny_pack, tmp_path
):
    shutil.copytree(tiny_dataset / "test", tmp_path / "half" / "test")
    assert tiny_pack.contents["test"] == content_fingerprint(tmp_path / "half")


def test_another_image_size_or_label_is_another_pack(dataset, tmp_path):
    before = pack(dataset, tmp_path / "before", image_size=64)
    small = pack(dataset, tmp_path / "small", image_size=32)
    assert small.fingerprint == before.fingerprint
    assert small.pack_fingerprint != before.pack_fingerprint
    table = dataset / "training" / "meta_data.csv"
    table.write_text(table.read_text().replace("1e-09", "2e-09"))
    after = pack(dataset, tmp_path / "after", image_size=64)
    assert after.pack_fingerprint != before.pack_fingerprint


def test_a_pack_that_nobody_touched_is_verified_sample_by_sample(tiny_pack):
    reports: list[tuple[int, int]] = []
    verify_pack(tiny_pack, progress=lambda *report: reports.append(report))
    assert reports[-1] == (24, 24)


@pytest.mark.parametrize("place", [0, -1])
def test_one_changed_byte_is_noticed_by_verifying_and_its_sample_named(copied_pack, place):
    path = copied_pack / "test" / "cubes.u8"
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
    result = open_pack(copied_pack)  # the cheap checks look at sizes alone
    row = place % len(content) // (len(content) // result.samples["test"])
    name = result.split("test").table["id"][row]
    with pytest.raises(DatasetInvalid, match=rf"sample {name} .* is not what was packed; delete"):
        verify_pack(result)


def test_a_fingerprint_of_other_samples_is_noticed_by_verifying(copied_pack):
    path = copied_pack / "pack.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content | {"pack_fingerprint": "0" * 64}))
    with pytest.raises(DatasetInvalid, match=r"in .*/pack\.json is not that of its samples"):
        verify_pack(open_pack(copied_pack))


def test_a_pack_has_the_name_kind_and_seed_of_its_dataset(dataset, tmp_path):
    described = {"name": "made", "synthetic": True, "seed": 7}
    (dataset / "dataset.json").write_text(json.dumps(described))
    made = pack(dataset, tmp_path / "pack", image_size=64)
    assert open_pack(made.folder).synthetic_seed == made.synthetic_seed == 7
    assert (made.name, made.synthetic) == ("made", True)


@pytest.mark.parametrize("split", ["training", "test"])
def test_a_dataset_of_one_split_makes_a_pack_of_one_split(dataset, tmp_path, split):
    other = {"training": "test", "test": "training"}[split]
    shutil.rmtree(dataset / other)
    made = pack(dataset, tmp_path / "pack", image_size=64)
    assert len(made.split(split)) == 1
    with pytest.raises(DatasetNotFound, match=f"no {other} split, only {split}"):
        made.split(other)


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def test_an_interrupted_pack_leaves_nothing_and_a_killed_one_is_made_again(dataset, tmp_path):
    place = tmp_path / "packs" / "tiny"
    with pytest.raises(KeyboardInterrupt):
        pack(dataset, place, image_size=64, progress=interrupt)
    assert list(place.parent.iterdir()) == []
    left = place.with_name(".tiny.partial")  # what `kill -9` leaves
    shutil.copytree(dataset / "training", left / "training")
    seen: list[tuple[int, int]] = []
    made = pack(dataset, place, image_size=64, progress=lambda *done: seen.append(done))
    assert list(place.parent.iterdir()) == [place]
    assert seen[-1] == (2, 2)
    verify_pack(made)


@pytest.mark.parametrize(
    "change",
    [
        lambda data: os.utime(first_image(data), ns=(1, 1)),
        lambda data: first_image(data).unlink(),
        lambda data: shutil.copy(
            first_image(data), first_image(data).parent / "2012-01-01T000100__94.jpg"
        ),
        lambda data: replace_text(data / "training" / "meta_data.csv", ",1e-09", ",2e-06"),
        lambda data: replace_text(data / "dataset.json", '"tiny"', '"other"'),
    ],
)
def test_a_dataset_that_changed_is_noticed_and_packed_again(dataset, tmp_path, change):
    pack(dataset, tmp_path / "pack", image_size=64)
    change(dataset)
    with pytest.raises(DatasetInvalid, match="changed since it was packed"):
        open_pack(tmp_path / "pack", source=dataset)
    ensure_pack(dataset, tmp_path / "pack", image_size=64)
    assert open_pack(tmp_path / "pack", source=dataset).fingerprint == content_fingerprint(dataset)


def test_a_fresh_pack_is_opened_whatever_other_files_appear(dataset, tmp_path):
    made = pack(dataset, tmp_path / "pack", image_size=64)
    (dataset / "training" / ".DS_Store").touch()
    (dataset / "notes.txt").touch()
    assert ensure_pack(dataset, tmp_path / "pack", image_size=64, progress=interrupt) == made


@pytest.mark.parametrize(
    ("change", "words"), [({"format": 2}, r"2 \(raw\)"), ({"storage": "jpeg"}, r"4 \(jpeg\)")]
)
def test_a_pack_of_an_earlier_format_is_replaced(dataset, tmp_path, change, words):
    made = ensure_pack(dataset, tmp_path / "pack", image_size=64)
    content = json.loads((made.folder / "pack.json").read_text())
    (made.folder / "pack.json").write_text(json.dumps(content | change))
    with pytest.raises(DatasetInvalid, match=rf"has format {words}, .* run `mlflow run"):
        open_pack(made.folder)
    assert ensure_pack(dataset, made.folder, image_size=64) == made == open_pack(made.folder)


def test_a_pack_of_another_image_size_is_replaced_and_one_of_another_dataset_not_opened(
    dataset, tmp_path
):
    ensure_pack(dataset, tmp_path / "pack", image_size=64)
    made = ensure_pack(dataset, tmp_path / "pack", image_size=32)
    assert made.split("training").cubes.shape == (1, 4, 10, 32, 32)
    with pytest.raises(DatasetNotFound, match=r"no training/meta_data\.csv in .*rwa"):
        ensure_pack(tmp_path / "rwa", tmp_path / "pack", image_size=32)


def test_a_folder_without_a_pack_says_what_to_run(tmp_path):
    with pytest.raises(DatasetNotFound, match=r"run `mlflow run . -e pack`"):
        open_pack(tmp_path)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda made: os.truncate(made / "test" / "cubes.u8", 1000), "has 1000 bytes instead of"),
        (lambda made: os.truncate(made / "training" / "present.npy", 99), "was changed"),
        (lambda made: (made / "test" / "table.csv").unlink(), "is missing or was changed"),
        (lambda made: replace_text(made / "pack.json", '"samples"', '"others"'), "is damaged"),
        (lambda made: os.truncate(made / "pack.json", 40), "is damaged"),
    ],
)
def test_a_damaged_pack_is_refused(copied_pack, damage, words):
    damage(copied_pack)
    with pytest.raises(DatasetInvalid, match=words):
        open_pack(copied_pack)


def test_a_full_disk_is_noticed_before_anything_is_written(dataset, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=10**6)
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    with pytest.raises(DiskTooSmall, match=r"the pack takes .*; make room, halve image_size"):
        pack(dataset, tmp_path / "packs" / "tiny", image_size=64)
    assert not (tmp_path / "packs").exists()


def test_a_folder_of_other_files_is_not_overwritten(dataset, tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.tex").write_text("do not lose")
    with pytest.raises(DatasetInvalid, match="something other than a pack"):
        pack(dataset, tmp_path / "home", image_size=64)
    assert (tmp_path / "home" / "thesis.tex").read_text() == "do not lose"


def test_a_split_without_one_usable_image_is_refused_with_the_reason(dataset, tmp_path):
    for image in sample_folder(dataset, "training", FIRST).iterdir():
        image.write_bytes(b"")
    with pytest.raises(DatasetInvalid, match="can be used; most are rejected as 'unreadable'"):
        pack(dataset, tmp_path / "pack", image_size=64)
    shutil.rmtree(dataset / "training" / "11000")
    with pytest.raises(DatasetNotFound, match="lists 1 samples, but no folder of images"):
        pack(dataset, tmp_path / "pack", image_size=64)


@pytest.mark.parametrize("size", [0, -64, 100, 512])
def test_an_image_size_that_does_not_divide_256_is_refused(dataset, tmp_path, size):
    with pytest.raises(ConfigInvalid, match=f"image_size {size} does not divide 256"):
        pack(dataset, tmp_path / "pack", image_size=size)
