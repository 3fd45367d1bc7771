"""Zips and images that cannot be a sample, drawn by Hypothesis; see ``malformed``."""

import io
import struct
import zipfile

import numpy as np
from hypothesis import strategies as st
from malformed import set_byte
from PIL import Image

TIME = "2013-09-19T072600"


def zipped(*files: tuple[str, bytes], deflated: bool = True) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED if deflated else 0) as archive:
        for name, data in files:
            archive.writestr(name, data, compresslevel=1)
    return file.getvalue()


def wrong_zip(good: list[tuple[str, bytes]]) -> st.SearchStrategy[tuple[str, bytes]]:
    """Draw (what is wrong, a zip) from files that would be fine; each damage is one that matters.

    Only the fields are changed that a reader may not ignore: dates and attributes are not among
    them.
    """
    whole = zipped(*good)
    entry, end = whole.index(b"PK\1\2"), whole.rindex(b"PK\5\6")

    def patched(place: int, layout: str, value: int) -> bytes:
        return whole[:place] + struct.pack(layout, value) + whole[place + struct.calcsize(layout) :]

    data = good[0][1]
    bad_names = ["../a.npy", "/a.npy", "C:/a.npy", "a\\b.npy", "a/../../b.npy"]
    kinds = {
        "a zip cut": st.integers(2, len(whole) - 1).map(lambda n: whole[:n]),
        "another signature": st.sampled_from([0, entry + 2, end + 2]).flatmap(
            lambda at: st.integers(1, 255).map(
                lambda bits: set_byte(whole, at + 1, whole[at + 1] ^ bits)
            )
        ),
        "a wrong checksum": st.integers(1, 2**32 - 1).map(
            lambda bits: patched(
                entry + 16, "<I", struct.unpack("<I", whole[entry + 16 : entry + 20])[0] ^ bits
            )
        ),
        "a size below the true one": st.integers(1, len(data) - 1).map(
            lambda size: patched(entry + 24, "<I", size)
        ),
        "terabytes claimed": st.integers(2**31, 2**32 - 2).map(
            lambda size: patched(entry + 24, "<I", size)
        ),
        "an encrypted file": st.just(1).map(lambda flag: set_byte(whole, entry + 8, flag)),
        "an unknown compression": st.integers(1, 255)
        .filter(lambda kind: kind != zipfile.ZIP_DEFLATED)
        .map(lambda kind: set_byte(whole, entry + 10, kind)),
        "a newer format": st.integers(64, 255).map(lambda n: set_byte(whole, entry + 6, n)),
        "a name that leads elsewhere": st.sampled_from(bad_names).map(
            lambda bad: zipped((bad, data), *good[1:])
        ),
        "a name that is none": st.sampled_from(["\0", "\0/a.npy"]).map(
            lambda bad: zipped(("N" * len(bad), data)).replace(b"N" * len(bad), bad.encode())
        ),
        "too many files": st.integers(1001, 1100).map(
            lambda n: zipped(*[(f"{i}", b"") for i in range(n)], deflated=False)
        ),
        "nothing in it": st.just(zipped()),
        "garbage": st.binary(max_size=200).map(lambda more: b"PK" + more),
    }
    return st.one_of(*[strategy.map(lambda d, k=kind: (k, d)) for kind, strategy in kinds.items()])


def image(pixels: np.ndarray, kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


NOISE = np.random.default_rng(0).integers(0, 256, (256, 256), dtype=np.uint8)
GOOD_IMAGE = (f"{TIME}__131.png", image(NOISE))


def wrong_images() -> st.SearchStrategy[tuple[str, list[tuple[str, bytes]]]]:
    """Draw (what is wrong, named images), one of them or their company unusable."""
    name, good = GOOD_IMAGE
    jpeg = image(NOISE, "JPEG")
    channels = st.sampled_from(["94", "171", "193", "211", "304", "335", "continuum"])
    edges = st.integers(1, 600).filter(lambda edge: edge != 256)
    bad = {
        "cut": st.integers(0, len(good) // 2).map(lambda end: good[:end]),
        "a jpeg cut": st.integers(0, len(jpeg) // 2).map(lambda end: jpeg[:end]),
        "of another size": edges.map(lambda edge: image(np.resize(NOISE, (edge, edge)))),
        "not square": edges.map(lambda edge: image(np.resize(NOISE, (edge, 256)))),
        "in colour": st.just(image(np.stack([NOISE] * 3, axis=-1))),
        "of another format": st.sampled_from(["BMP", "GIF", "TIFF"]).map(
            lambda kind: image(NOISE, kind)
        ),
        "no image": st.binary(max_size=99).map(lambda data: b"x" + data),
    }
    one_bad = st.one_of(
        *[
            st.tuples(st.just(kind), channels, strategy).map(
                lambda d: (d[0], [GOOD_IMAGE, (f"{TIME}__{d[1]}.png", d[2])])
            )
            for kind, strategy in bad.items()
        ]
    )
    years = st.integers(1000, 2999).filter(lambda year: year != 2013)
    together = st.one_of(
        years.map(
            lambda year: ("two windows", [GOOD_IMAGE, (name.replace("2013", f"{year:04}"), good)])
        ),
        st.integers(0, 255).map(
            lambda grey: ("only gaps", [(name, image(NOISE * 0 + np.uint8(grey)))])
        ),
        st.integers(41, 60).map(
            lambda n: (
                "too many images",
                [(f"2013-09-19T07{i:02}00__131.png", good) for i in range(n)],
            )
        ),
    )
    return st.one_of(one_bad, together)
