"""Many samples in one upload: each is checked as it would be alone, and named if it is wrong."""

import gzip
import io
import tracemalloc
import zipfile

import numpy as np
import pytest
from sample_images import form_of, zip_of
from serving_fakes import npy

from flare.sample import CUBE_SHAPE
from serving.http.problems import Refused
from serving.uploads.arrays import PIECE, UNPACKED_RATIO, Samples, open_batch
from serving.uploads.upload import Upload

MOST = 4
MAX_BYTES = 20_000_000
PLANES_SHAPE = (40, 256, 256)
#: Small numbers compress and convert fast; each sample has its own.
BATCH = np.stack([np.full(CUBE_SHAPE, 10 + n, dtype=np.uint8) for n in range(MOST)])
BATCH[..., 0, 0] = 200  # a plane of a single value would be missing
BATCH[1, 2, 3] = 0
CUBE_OF_ONES = np.ones(CUBE_SHAPE, dtype=np.uint8)
CUBE_OF_ONES[..., 0, 0] = 2


def opened(data: bytes, content_type: str = "", *, most: int = MOST, max_bytes: int = MAX_BYTES):
    return open_batch(Upload(data, content_type, max_bytes), most=most)


def read(data: bytes, content_type: str = "", *, most: int = MOST) -> Samples:
    upload = opened(data, content_type, most=most)
    pieces = list(upload.pieces)
    assert [len(piece.ids) for piece in pieces[:-1]] == [PIECE] * (len(pieces) - 1)
    ids = tuple(name for piece in pieces for name in piece.ids)
    assert len(ids) == upload.n_samples
    cubes, present = zip(*((piece.cubes, piece.present) for piece in pieces), strict=True)
    scales = tuple(scale for piece in pieces for scale in piece.scales)
    return Samples(np.concatenate(cubes), np.concatenate(present), ids, scales, ())


def refusal(data: bytes, *, most: int = MOST) -> tuple[int, str, str]:
    with pytest.raises(Refused) as raised:
        read(data, most=most)
    assert raised.value.hint
    return raised.value.status, raised.value.code, raised.value.detail


def npz(*arrays: np.ndarray, compressed: bool = False, **named: np.ndarray) -> bytes:
    file = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(file, *arrays, **named)
    return file.getvalue()


@pytest.mark.parametrize("n", [1, 2, MOST])
@pytest.mark.parametrize("shape", [CUBE_SHAPE, PLANES_SHAPE], ids=["cubes", "planes"])
def test_an_array_of_n_samples_is_n_samples(n, shape):
    samples = read(npy(BATCH[:n].reshape(n, *shape)))
    np.testing.assert_array_equal(samples.cubes, BATCH[:n])
    assert samples.ids == tuple(map(str, range(n)))
    assert samples.present.shape == (n, 4, 10)
    if n > 1:
        assert np.argwhere(~samples.present).tolist() == [[1, 2, 3]]


def test_a_compressed_batch_takes_the_memory_of_a_piece():
    data = npz(np.stack([CUBE_OF_ONES] * 16), compressed=True)
    assert len(data) < CUBE_OF_ONES.size / 10
    tracemalloc.start()
    upload = opened(data, most=16, max_bytes=10 * MAX_BYTES)
    samples = sum(len(piece.ids) for piece in upload.pieces)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert samples == 16
    assert peak < 14 * CUBE_OF_ONES.size


def test_samples_before_a_wrong_one_are_read():
    upload = opened(npz(spoilt(np.nan)))
    assert next(upload.pieces).ids == ("0", "1")
    with pytest.raises(Refused, match="sample 2: "):
        next(upload.pieces)


@pytest.mark.parametrize("data", ["array", "zip", "form"])
def test_a_batch_compressed_with_gzip_is_415_and_says_so(data):
    packed = gzip.compress(npy(BATCH[:1]) if data == "array" else npz(BATCH[0]))
    body, kind = form_of({"batch.npy.gz": packed}, "file") if data == "form" else (packed, "")
    with pytest.raises(Refused, match="compressed with gzip") as raised:
        read(body, kind)
    assert raised.value.status == 415


def test_an_npz_of_one_array_of_all_is_the_same_batch():
    for data in (npz(BATCH), npz(samples=BATCH.reshape(-1, *PLANES_SHAPE))):
        samples = read(data)
        np.testing.assert_array_equal(samples.cubes, BATCH)
        assert samples.ids == ("0", "1", "2", "3")


@pytest.mark.parametrize("compressed", [False, True])
def test_an_npz_of_an_array_for_each_has_their_names(compressed):
    named = {"AR 11158": BATCH[0], "b": BATCH[1].reshape(PLANES_SHAPE), "ü.npy": BATCH[2]}
    samples = read(npz(**named, compressed=compressed), "application/zip")
    np.testing.assert_array_equal(samples.cubes, BATCH[:3])
    assert samples.ids == ("AR 11158", "b", "ü.npy")


def test_arrays_of_an_npz_have_a_scale_each_and_one_array_has_one():
    mixed = [BATCH[0] / 255, BATCH[1].astype(np.float32)]
    samples = read(npz(*mixed))
    assert samples.scales == ("fraction", "level")
    np.testing.assert_array_equal(samples.cubes, BATCH[:2])
    for data in (npy(np.stack(mixed)), npz(np.stack(mixed))):
        assert refusal(data)[:2] == (422, "ambiguous_scale")


@pytest.mark.parametrize(
    ("data", "most"),
    [
        (npy(BATCH), 3),
        (npz(BATCH), 3),
        (npz(*BATCH), 3),
        (npy(BATCH[:0]), MOST),
        (npz(), MOST),
    ],
    ids=["array", "one array", "arrays", "none", "no arrays"],
)
def test_too_many_samples_and_none_are_refused(data, most):
    assert refusal(data, most=most)[:2] == (422, "wrong_shape")


def spoilt(value: float) -> np.ndarray:
    array = BATCH[:3].astype(np.float32)
    array[2, 1, 1, 1, 1] = value
    return array


@pytest.mark.parametrize(
    ("value", "code"),
    [(np.nan, "not_finite"), (np.inf, "not_finite"), (-1, "out_of_range"), (256, "out_of_range")],
)
def test_a_wrong_sample_is_named(value, code):
    array = spoilt(value)
    for data, name in (
        (npy(array), "sample 2: "),
        (npz(array), "sample 2: "),
        (npz(a=array[0], bad=array[2]), "bad.npy: "),
    ):
        status, result, detail = refusal(data)
        assert (status, result) == (422, code)
        assert detail.startswith(name)


class Touch:
    """A pickle that makes a file where it is read."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_an_object_array_is_refused_and_never_unpickled(tmp_path):
    made = tmp_path / "made"
    objects = np.empty((1,), dtype=object)
    objects[0] = Touch(made)
    for data in (npy(objects), npz(a=objects), npz(a=BATCH[0], b=objects)):
        assert refusal(data)[:2] == (422, "wrong_dtype")
    assert not made.exists()


def test_an_npz_with_something_else_inside_says_which():
    status, code, detail = refusal(zip_of({"a.npy": npy(BATCH[0]), "readme.txt": b"hello"}))
    assert (status, code) == (415, "not_npy")
    assert detail.startswith("readme.txt: ")


def test_an_npz_that_unpacks_to_too_much_is_refused():
    many = {f"{n}.npy": bytes(MAX_BYTES) for n in range(UNPACKED_RATIO)} | {"last.npy": b"x"}
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in many.items():
            archive.writestr(name, data, compresslevel=1)
    status, code, _ = refusal(file.getvalue(), most=10)
    assert (status, code) == (413, "too_large")
