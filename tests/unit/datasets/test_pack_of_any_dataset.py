"""A pack holds what the reader reads, for every sample, size and kind of damage."""

import io
import shutil
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from flare.datasets.pack.reader import open_pack, verify_pack
from flare.datasets.pack.writer import pack
from flare.datasets.sdobenchmark.fingerprint import content_fingerprint
from flare.datasets.sdobenchmark.labels import read_table
from flare.datasets.sdobenchmark.sample_images import read_sample
from flare.errors import DatasetInvalid
from flare.sample import CHANNELS, STEP_OFFSETS_MINUTES, reduce_cubes

from tiny import sample_folder, table_row, tiny_jpeg, write_table

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


@settings(max_examples=12)
@given(st.lists(st.lists(images, max_size=6), min_size=1, max_size=2), st.sampled_from(SIZES))
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
    try:
        if not present.any():
            with pytest.raises(DatasetInvalid, match=r"no image in .* can be used"):
                pack(place / "data", place / "pack", image_size=size, processes=1)
            return
        made = pack(place / "data", place / "pack", image_size=size, processes=1)
        packed = made.split("training")
        np.testing.assert_array_equal(packed.cubes[:], wanted)
        np.testing.assert_array_equal(packed.present, present)
        assert list(made.rejected_images().itertuples(index=False, name=None)) == rejected
        assert made.fingerprint == content_fingerprint(place / "data")
        verify_pack(open_pack(made.folder, source=place / "data"))
    finally:
        shutil.rmtree(place)
