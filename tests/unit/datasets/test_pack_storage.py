"""Both storages hold what the reader reads, for every sample, size and kind of damage."""

import io
import os
import shutil
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from flare.datasets.audit.planes import planes_of
from flare.datasets.pack.reader import Pack, open_pack, verify_pack
from flare.datasets.pack.rows import read_rows
from flare.datasets.pack.writer import ensure_pack, pack
from flare.datasets.sdobenchmark.fingerprint import content_fingerprint
from flare.datasets.sdobenchmark.labels import read_table
from flare.datasets.sdobenchmark.sample_images import read_sample
from flare.errors import DatasetInvalid, DiskTooSmall
from flare.features.table import compute_features
from flare.sample import CHANNELS, STEP_OFFSETS_MINUTES, reduce_cubes

from tiny import sample_folder, table_row, tiny_jpeg, write_table

STORAGES = ("raw", "jpeg")
SIZES = (32, 64, 128, 256)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def flagged() -> Image.Exif:
    exif = Image.Exif()
    exif[0x010E] = "flagged"
    return exif


_RNG = np.random.default_rng(0)
_NOISE = Image.fromarray(_RNG.integers(0, 256, (256, 256), dtype=np.uint8))

#: Files as they occur, and as they do not; None where there is no file.
FILES = {
    "whole": tiny_jpeg(90, _RNG),
    "another": tiny_jpeg(130, _RNG),
    "noise": encoded(_NOISE, "JPEG", quality=30),
    "progressive": encoded(_NOISE, "JPEG", progressive=True),
    "png": encoded(_NOISE, "PNG"),
    "long": tiny_jpeg(90, _RNG) + b"more",
    "missing": None,
    "cut": tiny_jpeg(90, _RNG)[:900],
    "empty": b"",
    "colour": encoded(_NOISE.convert("RGB"), "JPEG"),
    "small": tiny_jpeg(90, _RNG, size=128),
    "uniform": encoded(Image.new("L", (256, 256), 128), "JPEG"),
    "flagged": encoded(_NOISE, "JPEG", exif=flagged()),
}
GOOD = ("whole", "another", "noise", "progressive", "png", "long")


def write_samples(dataset: Path, samples: list[list[tuple[int, str, str, int]]]) -> None:
    """Write training samples of (step, channel, kind, seconds late), the first with one more."""
    rows, begin = [], datetime(2012, 1, 1)
    for k, images in enumerate(samples):
        start = begin + timedelta(days=k)
        sample_id = f"{11000 + k}_{start:%Y_%m_%d_%H_%M_%S}_0"
        folder = sample_folder(dataset, "training", sample_id)
        folder.mkdir(parents=True)
        first = [(0, "94", "whole", 0)] if k == 0 else []
        for step, channel, kind, late in first + images:
            time = start + timedelta(minutes=STEP_OFFSETS_MINUTES[step], seconds=late)
            if FILES[kind] is not None:
                (folder / f"{time:%Y-%m-%dT%H%M%S}__{channel}.jpg").write_bytes(FILES[kind])
        rows.append(table_row(sample_id, start, 1e-9))
    write_table(dataset, "training", rows)


images = st.tuples(
    st.integers(0, 3),
    st.sampled_from(CHANNELS),
    st.sampled_from(list(FILES)),
    st.sampled_from([0, 0, 300, 1200]),
)


@settings(max_examples=40)
@given(st.lists(st.lists(images, max_size=6), min_size=1, max_size=3), st.sampled_from(SIZES))
def test_a_pack_is_what_the_reader_reads_of_any_dataset(tmp_path_factory, samples, size):
    place = tmp_path_factory.mktemp("any")
    write_samples(place / "data", samples)
    table = read_table(place / "data", "training")
    read = [read_sample(row["folder"], row["start"]) for _, row in table.iterrows()]
    wanted = np.stack([reduce_cubes(sample.cube, size) for sample in read])
    present = np.stack([sample.present for sample in read])
    rejected = [
        ("training", key, *entry)
        for key, sample in zip(table["id"], read, strict=True)
        for entry in sample.rejected
    ]
    for storage in STORAGES:
        if not present.any():
            with pytest.raises(DatasetInvalid, match=r"no image in .* can be used"):
                pack(place / "data", place / storage, image_size=size, storage=storage, processes=1)
            continue
        made = pack(place / "data", place / storage, image_size=size, storage=storage, processes=1)
        packed = made.split("training")
        np.testing.assert_array_equal(packed.cubes[:], wanted)
        np.testing.assert_array_equal(packed.present, present)
        assert list(made.rejected_images().itertuples(index=False, name=None)) == rejected
        assert made.fingerprint == content_fingerprint(place / "data")
        verify_pack(open_pack(made.folder, source=place / "data"))
    shutil.rmtree(place)


@pytest.fixture(scope="module")
def packs(tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Pack]:
    place = tmp_path_factory.mktemp("packs")
    return {
        storage: pack(tiny_dataset, place / storage, image_size=64, storage=storage, processes=1)
        for storage in STORAGES
    }


@pytest.mark.parametrize(
    "rows",
    [
        3,
        -1,
        np.int64(2),
        slice(2, 9, 3),
        slice(None, None, -5),
        [4, 4, 0],
        np.array([5, 1], dtype=np.intp),
        np.array([], dtype=np.intp),
        np.arange(16) % 7 == 0,
    ],
)
def test_rows_of_a_jpeg_pack_are_chosen_like_those_of_an_array(packs, rows):
    raw, jpeg = (packs[storage].split("training").cubes for storage in STORAGES)
    np.testing.assert_array_equal(jpeg[rows], raw[rows])


@pytest.mark.parametrize("rows", [16, [0, 16], -17])
def test_a_row_that_a_jpeg_pack_has_not_is_an_index_error(packs, rows):
    with pytest.raises(IndexError):
        packs["jpeg"].split("training").cubes[rows]


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("size", SIZES)
def test_threads_decode_into_a_kept_array(packs, tiny_dataset, threads, size):
    cubes = open_pack(packs["jpeg"].folder, image_size=size).cubes("training", threads=threads)
    rows, out = np.array([6, 2, 9]), np.full((4, *cubes.shape[1:]), 7, dtype=np.uint8)
    read_rows(cubes, rows, out)
    table = read_table(tiny_dataset, "training")
    for place, row in enumerate(rows):
        sample = read_sample(table["folder"][row], table["start"][row])
        np.testing.assert_array_equal(out[place], reduce_cubes(sample.cube, size))
    assert (out[3] == 7).all()


def test_features_are_the_same_from_both_storages(packs):
    raw, jpeg = (packs[storage].split("training") for storage in STORAGES)
    np.testing.assert_array_equal(
        compute_features(jpeg.cubes[:], jpeg.present), compute_features(raw.cubes[:], raw.present)
    )
    np.testing.assert_array_equal(jpeg.present, raw.present)


@pytest.mark.parametrize("processes", [1, 2])
def test_an_audit_sees_the_same_images_in_both_storages(packs, processes):
    raw, jpeg = (planes_of(packs[storage], processes=processes) for storage in STORAGES)
    for split in raw:
        np.testing.assert_array_equal(jpeg[split].digests, raw[split].digests)
        np.testing.assert_array_equal(jpeg[split].uniform, raw[split].uniform)


def test_a_jpeg_pack_has_no_sums_because_its_images_have_any_size(packs):
    assert packs["jpeg"].split("training").sums is None


def test_one_jpeg_pack_serves_every_size(packs, tiny_dataset, tmp_path):
    folder = tmp_path / "packed-jpeg"
    made = {
        size: ensure_pack(tiny_dataset, folder, image_size=size, storage="jpeg", progress=None)
        for size in SIZES
    }
    written = (folder / "pack.json").stat().st_mtime_ns
    assert {pack.split("test").cubes.shape[-1] for pack in made.values()} == set(SIZES)
    assert {pack.pack_fingerprint for pack in made.values()} == {packs["jpeg"].pack_fingerprint}
    assert (folder / "pack.json").stat().st_mtime_ns == written


def test_a_jpeg_pack_takes_hardly_more_than_the_images(packs, tiny_dataset):
    images = sum(path.stat().st_size for path in tiny_dataset.glob("*/*/*/*.jpg"))
    folder = packs["jpeg"].folder
    assert sum(path.stat().st_size for path in folder.glob("*/images.bin")) == images


def test_the_other_storage_is_another_pack_of_the_same_dataset(packs):
    raw, jpeg = packs["raw"], packs["jpeg"]
    assert raw.fingerprint == jpeg.fingerprint
    assert raw.pack_fingerprint != jpeg.pack_fingerprint


def test_a_pack_of_the_other_storage_is_replaced(packs, tiny_dataset, tmp_path):
    copy = shutil.copytree(packs["raw"].folder, tmp_path / "pack")
    made = ensure_pack(tiny_dataset, copy, image_size=64, storage="jpeg")
    assert (made.storage, open_pack(copy).storage) == ("jpeg", "jpeg")
    assert not (copy / "test" / "cubes.u8").exists()


def test_two_processes_write_the_same_jpeg_pack_as_one(packs, tiny_dataset, tmp_path):
    made = pack(tiny_dataset, tmp_path / "pack", image_size=64, storage="jpeg", processes=2)
    files = [path.relative_to(made.folder) for path in made.folder.rglob("*") if path.is_file()]
    assert len(files) == 12
    for file in files:
        one, two = (folder / file for folder in (packs["jpeg"].folder, made.folder))
        assert one.read_bytes() == two.read_bytes()


@pytest.mark.parametrize("place", [0, 12345, -1])
def test_one_changed_byte_of_a_jpeg_pack_is_noticed_by_verifying(packs, tmp_path, place):
    copy = shutil.copytree(packs["jpeg"].folder, tmp_path / "pack")
    content = bytearray((copy / "test" / "images.bin").read_bytes())
    content[place] ^= 1
    (copy / "test" / "images.bin").write_bytes(content)
    with pytest.raises(DatasetInvalid, match=r"images\.bin is not what was packed; delete"):
        verify_pack(open_pack(copy))


@pytest.mark.parametrize("name", ["images.bin", "lengths.npy", "present.npy"])
def test_a_jpeg_pack_with_a_file_cut_short_is_refused(packs, tmp_path, name):
    copy = shutil.copytree(packs["jpeg"].folder, tmp_path / "pack")
    path = copy / "training" / name
    os.truncate(path, path.stat().st_size - 1)
    with pytest.raises(DatasetInvalid, match=r"bytes instead of|was changed"):
        open_pack(copy)


def test_an_image_that_is_none_any_more_is_named_and_not_zero(packs, tmp_path):
    copy = shutil.copytree(packs["jpeg"].folder, tmp_path / "pack")
    path = copy / "training" / "images.bin"
    path.write_bytes(b"\0" * path.stat().st_size)
    with pytest.raises(DatasetInvalid, match=r"an image of row 3 in .* is damaged .* delete"):
        open_pack(copy).split("training").cubes[3]


def test_a_disk_that_is_too_small_for_the_images_is_noticed_first(
    tiny_dataset, tmp_path, monkeypatch
):
    usage = shutil.disk_usage(tmp_path)._replace(free=10**6)
    monkeypatch.setattr("flare.datasets.pack.space.shutil.disk_usage", lambda _: usage)
    with pytest.raises(DiskTooSmall, match=r"the pack takes 0\.0\d GB .* make room"):
        pack(tiny_dataset, tmp_path / "packs" / "tiny", storage="jpeg")
    assert not (tmp_path / "packs").exists()
