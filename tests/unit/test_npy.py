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


def claiming(shape: str, descr: str = "'|u1'") -> bytes:
    """Return a .npy file of a header and no data."""
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header


def read(data: bytes | bytearray) -> np.ndarray:
    return cube_of_npy(data).cubes


def code(data: bytes) -> str:
    with pytest.raises(NpyRejected) as rejected:
        cube_of_npy(data)
    return rejected.value.code


NPY = saved(PLANES)


@pytest.mark.parametrize("array", [PLANES, CUBE], ids=["planes", "cube"])
def test_planes_and_a_cube_are_the_same_sample(array):
    np.testing.assert_array_equal(read(saved(array)), CUBE)


@pytest.mark.parametrize("dtype", ["<u1", "<i2", ">u2", "<i4", ">i8", ">f2", "<f4", ">f8"])
def test_grey_levels_are_the_same_in_every_type_and_byte_order(dtype):
    cube = read(saved(PLANES.astype(dtype)))
    assert cube.dtype == np.uint8
    np.testing.assert_array_equal(cube, CUBE)


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
def test_floats_up_to_one_are_fractions_of_255_in_every_width(dtype):
    np.testing.assert_array_equal(read(saved((PLANES / 255).astype(dtype))), CUBE)


def test_an_array_in_fortran_order_is_the_same_sample():
    assert b"'fortran_order': True" in saved(np.asfortranarray(PLANES))
    np.testing.assert_array_equal(read(saved(np.asfortranarray(PLANES))), CUBE)
    np.testing.assert_array_equal(read(saved(np.asfortranarray(CUBE))), CUBE)


def test_a_uint8_sample_is_not_copied():
    buffer = bytearray(NPY)
    cube = read(buffer)
    buffer[-1] ^= 0xFF
    assert cube[-1, -1, -1, -1] == CUBE[-1, -1, -1, -1] ^ 0xFF


def test_a_view_of_read_only_bytes_is_read_only():
    assert not read(NPY).flags.writeable


def test_a_file_that_claims_a_terabyte_is_refused_without_taking_memory():
    tracemalloc.start()
    try:
        assert code(claiming("(40, 160000, 160000)")) == "wrong_shape"
        assert code(claiming("(40, 256, 256)", "'<f8'")) == "wrong_length"
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_a_file_that_is_cut_short_and_one_with_trailing_bytes_are_named():
    with pytest.raises(NpyRejected, match=r"is cut short: .* takes 2621440 bytes, 2621439 came"):
        cube_of_npy(NPY[:-1])
    with pytest.raises(NpyRejected, match="has bytes after its end"):
        cube_of_npy(NPY + b"\n")


def test_an_array_of_objects_is_refused_and_not_unpickled():
    class Harmful:
        def __reduce__(self):
            return pytest.fail, ("unpickled",)

    array = np.empty((40, 256, 256), dtype=object)
    array[0, 0, 0] = Harmful()
    assert code(saved(array)) == "wrong_dtype"


@pytest.mark.parametrize("dtype", ["bool", "c8", "U1", "S1", "M8[s]", "V4", "g"])
def test_a_type_that_is_not_a_number_of_up_to_8_bytes_is_refused(dtype):
    assert code(saved(np.zeros(CUBE_SHAPE, dtype=dtype))) == "wrong_dtype"


@pytest.mark.parametrize(("dtype", "value"), [("f2", np.nan), ("f4", np.inf), ("f8", -np.inf)])
def test_a_value_that_is_not_finite_is_refused(dtype, value):
    array = CUBE.astype(dtype)
    array[1, 2, 3, 4] = value
    assert code(saved(array)) == "not_finite"


@pytest.mark.parametrize(
    ("dtype", "value"),
    [("i1", -1), ("i2", 256), ("u8", 2**64 - 1), ("i8", -(2**63)), ("f4", -1e-3), ("f8", 255.001)],
)
def test_a_value_outside_0_to_255_is_refused(dtype, value):
    array = np.ones(CUBE_SHAPE, dtype=dtype)
    array[3, 9, 255, 255] = value
    assert code(saved(array)) == "out_of_range"


@pytest.mark.parametrize(("dtype", "value"), [("u1", 0), ("u1", 128), ("i4", 1), ("f8", 255)])
def test_a_sample_whose_images_are_all_of_a_single_value_is_refused(value, dtype):
    assert code(saved(np.full(CUBE_SHAPE, value, dtype=dtype))) == "all_missing"


def test_one_image_is_enough():
    cube = np.zeros(CUBE_SHAPE, dtype=np.uint8)
    cube[3, 9, 0, 0] = 1
    np.testing.assert_array_equal(read(saved(cube)), cube)


@pytest.mark.parametrize("shape", [(256, 256), (39, 256, 256), (1, 40, 256, 256), (40, 128, 128)])
def test_another_shape_is_refused(shape):
    assert code(saved(np.ones(shape, dtype=np.uint8))) == "wrong_shape"


def test_what_is_not_an_npy_file_and_what_has_a_broken_header_are_distinguished():
    assert code(b"any bytes") == "not_npy"
    assert code(NPY[:20]) == "bad_header"


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"PK\x03\x04 an archive", "a zip archive"),
        (b"\x1f\x8b\x08", "compressed with gzip"),
        (b"\xff\xd8\xff\xe0", "a JPEG image"),
        (b"\x89PNG\r\n", "a PNG image"),
        (b"\x80\x04\x95", "a Python pickle"),
        (b'{"instances": []}', "JSON text"),
        (b"SIMPLE  =", "a FITS file"),
    ],
)
def test_a_file_of_another_kind_is_named(data, said):
    with pytest.raises(NpyRejected, match=f"the file is {said}, not a .npy file") as rejected:
        cube_of_npy(data)
    assert rejected.value.code == "not_npy"


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_an_npz_is_called_an_npz(save):
    file = io.BytesIO()
    save(file, sample=PLANES[:1])
    assert code(file.getvalue()) == "npz"


def test_an_empty_file_is_called_empty():
    assert code(b"") == "empty"


@pytest.mark.parametrize("dtype", ["u1", "<i2", ">f8"])
@pytest.mark.parametrize("shape", [(7,), (40, 256, 256), (3, 4, 10, 256, 256)])
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
    head = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode()
    np.testing.assert_array_equal(read(head + PLANES.tobytes()), CUBE)


@pytest.mark.parametrize("shape", ["(5)", "(040, 256, 256)", "(40, 256 256)", "(-40, 256, 256)"])
def test_a_shape_that_python_cannot_read_or_numpy_would_not_write_is_refused(shape):
    assert code(claiming(shape)) in ("bad_header", "wrong_shape")


@pytest.mark.parametrize("dtype", ["u1", ">f2"])
def test_the_header_of_a_batch_says_where_each_sample_is(dtype):
    batch = np.stack([CUBE, CUBE // 2 + 1]).astype(dtype)
    data = saved(batch)
    header = header_of_batch(data[:4096], size=len(data), most=2)
    assert header.samples == 2
    for number, cube in enumerate(batch):
        start = header.offset + number * header.sample_bytes
        sample = header.sample_header + data[start : start + header.sample_bytes]
        np.testing.assert_array_equal(cube_of_npy(sample).cubes, cube)


@pytest.mark.parametrize(
    ("array", "size", "code"),
    [
        (PLANES, 0, "wrong_shape"),
        (np.stack([CUBE] * 3), 0, "wrong_shape"),
        (np.asfortranarray(np.stack([CUBE] * 2)), 0, "fortran_order"),
        (np.stack([CUBE] * 2), -1, "wrong_length"),
        (np.stack([CUBE] * 2), 1, "wrong_length"),
    ],
)
def test_the_header_of_what_is_not_a_batch_is_refused(array, size, code):
    data = saved(array)
    with pytest.raises(NpyRejected) as raised:
        header_of_batch(data[:4096], size=len(data) + size, most=2)
    assert raised.value.code == code


def test_a_rejection_is_an_invalid_input_that_says_what_to_do():
    with pytest.raises(InputInvalid, match=r"shape \(40,\); send \(40, 256, 256\)"):
        cube_of_npy(saved(np.ones(40, dtype=np.uint8)))
