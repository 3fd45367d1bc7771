"""The rules of a .npy sample; tests/unit/serving/test_uploads.py adds hostile headers and HTTP."""

import ast
import io
import struct
import tracemalloc

import numpy as np
import pytest

from flare.errors import InputInvalid, NpyRejected
from flare.images.npy import cube_of_npy, header_of_batch, shape_of_npy
from flare.sample import CUBE_SHAPE

PLANES = np.random.default_rng(0).integers(1, 256, (40, 256, 256), dtype=np.uint8)
CUBE = PLANES.reshape(CUBE_SHAPE)


def saved(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def headed(header: str) -> bytes:
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode()


def claiming(shape: str, descr: str = "'|u1'") -> bytes:
    """Return a .npy file of a header and no data."""
    return headed(f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n")


def filled(dtype: str, value: float, fill: float = 1) -> bytes:
    """Return a sample of one value in all places but the last."""
    array = np.full(CUBE_SHAPE, fill, dtype=dtype)
    array[3, 9, 255, 255] = value
    return saved(array)


def shown(value: object) -> str | None:
    """Return the id of a parameter, without megabytes of data."""
    return "" if isinstance(value, bytes) else None


def read(data: bytes | bytearray) -> np.ndarray:
    return cube_of_npy(data).cubes


def code(data: bytes) -> str:
    with pytest.raises(NpyRejected) as rejected:
        cube_of_npy(data)
    return rejected.value.code


NPY = saved(PLANES)


@pytest.mark.parametrize(
    "array",
    [
        CUBE,
        np.asfortranarray(PLANES),
        np.asfortranarray(CUBE),
        *(PLANES.astype(dtype) for dtype in ("<i2", ">u2", "<i4", ">i8", ">f2", "<f4", ">f8")),
        *((PLANES / 255).astype(dtype) for dtype in ("f2", "f4", "f8")),
    ],
    ids=lambda array: f"{array.dtype.str}{array.ndim}{'F' if array.flags.f_contiguous else 'C'}",
)
def test_a_sample_is_the_same_in_every_shape_order_type_and_byte_order(array):
    cube = read(saved(array))
    assert cube.dtype == np.uint8
    np.testing.assert_array_equal(cube, CUBE)


def test_a_uint8_sample_is_a_view_and_read_only_as_its_bytes_are():
    buffer = bytearray(NPY)
    cube = read(buffer)
    buffer[-1] ^= 0xFF
    assert cube[-1, -1, -1, -1] == CUBE[-1, -1, -1, -1] ^ 0xFF
    assert not read(NPY).flags.writeable


def test_a_file_that_claims_a_terabyte_is_refused_without_taking_memory():
    tracemalloc.start()
    try:
        assert code(claiming("(40, 160000, 160000)")) == "wrong_shape"
        assert code(claiming("(40, 256, 256)", "'<f8'")) == "wrong_length"
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_an_array_of_objects_is_refused_and_not_unpickled():
    class Harmful:
        def __reduce__(self):
            return pytest.fail, ("unpickled",)

    array = np.empty((40, 256, 256), dtype=object)
    array[0, 0, 0] = Harmful()
    assert code(saved(array)) == "wrong_dtype"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        *(
            (saved(np.zeros(CUBE_SHAPE, dtype=dtype)), "wrong_dtype")
            for dtype in ("bool", "c8", "U1", "S1", "M8[s]", "V4", "g")
        ),
        *((filled(*given), "not_finite") for given in (("f2", np.nan), ("f8", -np.inf))),
        *(
            (filled(*given), "out_of_range")
            for given in (
                ("i1", -1), ("i2", 256), ("u8", 2**64 - 1), ("i8", -(2**63)), ("f4", -1e-3),
                ("f8", 255.001),
            )
        ),
        *((filled(*given), "all_missing") for given in (("u1", 0, 0), ("i4", 1), ("f8", 255, 255))),
        *(
            (saved(np.ones(shape, dtype=np.uint8)), "wrong_shape")
            for shape in ((256, 256), (39, 256, 256), (1, 40, 256, 256), (40, 128, 128))
        ),
        (b"", "empty"),
        (b"any bytes", "not_npy"),
        (NPY[:20], "bad_header"),
        (claiming("(5)"), "bad_header"),
        (claiming("(040, 256, 256)"), "bad_header"),
        (claiming("(40, 256 256)"), "bad_header"),
        (claiming("(-40, 256, 256)"), "wrong_shape"),
    ],
    ids=shown,
)  # fmt: skip
def test_what_cannot_be_read_has_a_code(data, expected):
    assert code(data) == expected


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (NPY[:-1], r"is cut short: .* takes 2621440 bytes, 2621439 came"),
        (NPY + b"\n", "has bytes after its end"),
        (saved(np.ones(40, dtype=np.uint8)), r"shape \(40,\); send \(40, 256, 256\)"),
        *(
            (data, f"the file is {kind}, not a .npy file")
            for data, kind in (
                (b"PK\x03\x04 an archive", "a zip archive"),
                (b"\x1f\x8b\x08", "compressed with gzip"),
                (b"\xff\xd8\xff\xe0", "a JPEG image"),
                (b"\x89PNG\r\n", "a PNG image"),
                (b"\x80\x04\x95", "a Python pickle"),
                (b'{"instances": []}', "JSON text"),
                (b"SIMPLE  =", "a FITS file"),
            )
        ),
    ],
    ids=shown,
)
def test_a_rejection_says_what_is_wrong_and_what_to_do(data, message):
    with pytest.raises(InputInvalid, match=message):
        cube_of_npy(data)


def test_one_image_is_enough():
    cube = np.zeros(CUBE_SHAPE, dtype=np.uint8)
    cube[3, 9, 0, 0] = 1
    np.testing.assert_array_equal(read(saved(cube)), cube)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_an_npz_is_called_an_npz(save):
    file = io.BytesIO()
    save(file, sample=PLANES[:1])
    assert code(file.getvalue()) == "npz"


@pytest.mark.parametrize("dtype", ["u1", "<i2", ">f8"])
@pytest.mark.parametrize("shape", [(7,), (3, 4, 10, 256, 256)])
def test_what_numpy_writes_is_read_without_evaluating_it(dtype, shape, monkeypatch):
    data = saved(np.broadcast_to(np.zeros((), dtype), shape))
    with monkeypatch.context() as patch:
        patch.setattr(ast, "literal_eval", None)  # fails in threads, python/cpython#106905
        assert shape_of_npy(data) == shape


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '|u1', 'fortran_order': False, 'shape': (40,256,256)}",
        "{'descr': '|u1', 'shape': (40, 256, 256), 'fortran_order': False}",
        '{ "descr" : "|u1", "fortran_order": False, "shape": (40, 256, 256,) } ',
    ],
)
def test_another_spelling_of_the_header_is_the_same_sample(header):
    np.testing.assert_array_equal(read(headed(header) + PLANES.tobytes()), CUBE)


@pytest.mark.parametrize("dtype", ["u1", ">f2"])
def test_the_header_of_a_batch_says_where_each_sample_is(dtype):
    batch = np.stack([CUBE, CUBE // 2 + 1]).astype(dtype)
    data = saved(batch)
    header = header_of_batch(data[:4096], size=len(data), most=2)
    assert header.samples == 2
    for number, cube in enumerate(batch):
        start = header.offset + number * header.sample_bytes
        sample = header.sample_header + data[start : start + header.sample_bytes]
        np.testing.assert_array_equal(read(sample), cube)


@pytest.mark.parametrize(
    ("array", "more", "code"),
    [
        (PLANES, 0, "wrong_shape"),
        (np.stack([CUBE] * 3), 0, "wrong_shape"),
        (np.asfortranarray(np.stack([CUBE] * 2)), 0, "fortran_order"),
        (np.stack([CUBE] * 2), -1, "wrong_length"),
        (np.stack([CUBE] * 2), 1, "wrong_length"),
    ],
)
def test_the_header_of_what_is_not_a_batch_is_refused(array, more, code):
    data = saved(array)
    with pytest.raises(NpyRejected) as raised:
        header_of_batch(data[:4096], size=len(data) + more, most=2)
    assert raised.value.code == code
