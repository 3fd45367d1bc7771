import io
import struct

import httpx
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from serving_fakes import CUBE, NPY, npy

from flare.errors import InputInvalid
from flare.sample import CUBE_SHAPE
from serving.http.problems import UploadRejected
from serving.uploads.samples import sample_of_npy

PLANES = CUBE.reshape(40, 256, 256)


def cube_of_upload(data: bytes | bytearray) -> np.ndarray:
    body = data if isinstance(data, bytearray) else bytearray(data)
    return sample_of_npy(body, "application/octet-stream").cubes[0]


HEADER_BYTES = len(NPY) - CUBE.size


def file_of(header: str, data: bytes = b"", *, version: tuple[int, int] = (1, 0)) -> bytes:
    length = struct.pack("<H" if version == (1, 0) else "<I", len(header) + 1)
    return b"\x93NUMPY" + bytes(version) + length + header.encode("latin-1") + b"\n" + data


def header_of(descr: str = "'|u1'", shape: str = "(40, 256, 256)", order: str = "False") -> str:
    return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}"


def with_value(dtype: str, value: float) -> bytes:
    array = np.full(CUBE_SHAPE, 7, dtype=dtype)
    array[1, 2, 3, 4] = value
    return npy(array)


def test_planes_and_cubes_are_the_same_sample():
    np.testing.assert_array_equal(cube_of_upload(NPY), CUBE)
    np.testing.assert_array_equal(cube_of_upload(npy(CUBE)), CUBE)


def test_a_uint8_sample_is_viewed_where_it_lies():
    buffer = bytearray(NPY)
    cube = cube_of_upload(buffer)
    buffer[HEADER_BYTES] ^= 0xFF
    assert cube[0, 0, 0, 0] == CUBE[0, 0, 0, 0] ^ 0xFF


@pytest.mark.parametrize("dtype", ["<u2", ">u2", "<i4", "<i8", "<f2", ">f4", "<f4", "<f8"])
def test_grey_levels_mean_the_same_in_every_type(dtype):
    np.testing.assert_array_equal(cube_of_upload(npy(PLANES.astype(dtype))), CUBE)


@pytest.mark.parametrize("dtype", ["<f2", "<f4", "<f8"])
def test_floats_up_to_one_are_fractions_of_255(dtype):
    fractions = (PLANES / 255).astype(dtype)
    np.testing.assert_array_equal(cube_of_upload(npy(fractions)), CUBE)


def test_integers_up_to_one_are_grey_levels():
    dark = (CUBE > 127).astype(np.int64)
    np.testing.assert_array_equal(cube_of_upload(npy(dark)), dark)


def test_floats_are_rounded_to_the_nearest_level():
    cube = cube_of_upload(npy(np.minimum(CUBE + 0.4, 200.6).astype(np.float32)))
    np.testing.assert_array_equal(cube, np.where(CUBE > 200, 201, CUBE))


def test_fortran_order_is_refused_with_what_to_do():
    with pytest.raises(UploadRejected, match="ascontiguousarray") as raised:
        cube_of_upload(npy(np.asfortranarray(CUBE)))
    assert (raised.value.status, raised.value.code) == (422, "fortran_order")


def test_format_2_is_read():
    file = io.BytesIO()
    np.lib.format.write_array(file, CUBE, version=(2, 0))
    np.testing.assert_array_equal(cube_of_upload(file.getvalue()), CUBE)


def test_a_header_in_another_writers_spelling_is_read():
    header = '{"shape":(40,256,256),"descr":"<u1","fortran_order":False}'
    np.testing.assert_array_equal(cube_of_upload(file_of(header, PLANES.tobytes())), CUBE)


def npz() -> bytes:
    file = io.BytesIO()
    np.savez(file, PLANES)
    return file.getvalue()


REJECTED = {
    "nothing": (b"", 400, "empty"),
    "text": (b"not an array", 415, "not_npy"),
    "npz": (npz(), 415, "npz"),
    "format 3.0": (b"\x93NUMPY\x03\x00" + NPY[8:], 415, "not_npy"),
    "magic only": (NPY[:6], 415, "not_npy"),
    "version only": (NPY[:8], 400, "bad_header"),
    "half a header": (NPY[:40], 400, "bad_header"),
    "no dictionary": (file_of("[1, 2]"), 400, "bad_header"),
    "no literal": (file_of("__import__('os').system('true')"), 400, "bad_header"),
    "deep nesting": (file_of("[" * 1000), 400, "bad_header"),
    "many minuses": (file_of("-" * 3900 + "1"), 400, "bad_header"),
    "open string": (file_of("{'descr': '"), 400, "bad_header"),
    "no text": (file_of("\xff\xfe\0\0", version=(2, 0)), 400, "bad_header"),
    "long header": (file_of(header_of() + " " * 9000, PLANES.tobytes()), 400, "bad_header"),
    "claimed header": (b"\x93NUMPY\x02\x00\xff\xff\xff\xff{}", 400, "bad_header"),
    "truncated": (NPY[:-1], 400, "wrong_length"),
    "no data": (NPY[:HEADER_BYTES], 400, "wrong_length"),
    "trailing byte": (NPY + b"\0", 400, "wrong_length"),
    "a wider type claimed": (file_of(header_of("'<f8'"), PLANES.tobytes()), 400, "wrong_length"),
    "objects": (npy(np.array([{}], dtype=object)), 422, "wrong_dtype"),
    "object planes": (file_of(header_of("'|O'"), b"cos\nsystem\n"), 422, "wrong_dtype"),
    "structured": (file_of(header_of("[('a', '<u1')]")), 422, "wrong_dtype"),
    "text array": (file_of(header_of("'<U4'")), 422, "wrong_dtype"),
    "complex": (file_of(header_of("'<c8'")), 422, "wrong_dtype"),
    "booleans": (npy(PLANES > 9), 422, "wrong_dtype"),
    "zero-width text": (file_of(header_of("'|S0'")), 422, "wrong_dtype"),
    "one image": (npy(PLANES[0]), 422, "wrong_shape"),
    "ten images": (npy(PLANES[:10]), 422, "wrong_shape"),
    "a batch": (npy(CUBE[None]), 422, "wrong_shape"),
    "channels last": (npy(PLANES.transpose(1, 2, 0).copy()), 422, "wrong_shape"),
    "smaller images": (npy(PLANES[:, :128, :128]), 422, "wrong_shape"),
    "negative shape": (file_of(header_of(shape="(-40, -256, 256)")), 422, "wrong_shape"),
    "terabytes": (file_of(header_of(shape="(40, 1000000000, 256)")), 422, "wrong_shape"),
    "a long shape": (file_of(header_of(shape="(" + "1," * 1500 + ")")), 422, "wrong_shape"),
    "NaN": (with_value("<f4", np.nan), 422, "not_finite"),
    "infinity": (with_value("<f8", np.inf), 422, "not_finite"),
    "minus infinity": (with_value("<f2", -np.inf), 422, "not_finite"),
    "negative float": (with_value("<f4", -0.5), 422, "out_of_range"),
    "negative integer": (with_value("<i2", -1), 422, "out_of_range"),
    "above 255": (with_value("<u2", 256), 422, "out_of_range"),
    "a little above 255": (with_value("<f4", 255.5), 422, "out_of_range"),
    "floats of both scales": (npy(CUBE / 255 * 1.001), 422, "ambiguous_scale"),
    "all of one value": (npy(np.full(CUBE_SHAPE, 9, dtype=np.uint8)), 422, "all_missing"),
    "all zero": (npy(np.zeros(CUBE_SHAPE, dtype=np.uint8)), 422, "all_missing"),
    "rounds to zero": (npy(np.full(CUBE_SHAPE, 0.001)), 422, "all_missing"),
}  # fmt: skip


@pytest.mark.parametrize("case", REJECTED)
def test_what_is_no_sample_is_rejected_with_its_status_and_kind(case):
    data, status, code = REJECTED[case]
    with pytest.raises(UploadRejected) as raised:
        cube_of_upload(data)
    assert (raised.value.status, raised.value.code) == (status, code)


def test_an_npz_is_sent_where_batches_go():
    with pytest.raises(UploadRejected, match="POST /predict_batch"):
        cube_of_upload(npz())


def read_form(fields: dict[str, str], scale: str | None = None):
    request = httpx.Request("POST", "http://server", files={"file": NPY_FLOATS}, data=fields)
    return sample_of_npy(request.read(), request.headers["content-type"], scale=scale)


NPY_FLOATS = npy((PLANES / 255).astype(np.float32))


@pytest.mark.parametrize(
    ("fields", "query"),
    [({}, "fraction"), ({"scale": "fraction"}, None), ({"scale": " fraction"}, "fraction")],
)
def test_a_form_and_the_query_can_state_the_scale(fields, query):
    samples = read_form(fields, query)
    assert samples.scales == ("fraction",)
    np.testing.assert_array_equal(samples.cubes[0], CUBE)


@pytest.mark.parametrize(
    ("fields", "query"), [({"scale": "levels"}, None), ({"scale": "level"}, "fraction")]
)
def test_another_scale_and_two_scales_are_refused(fields, query):
    with pytest.raises(UploadRejected, match="state one: fraction or level") as raised:
        read_form(fields, query)
    assert (raised.value.status, raised.value.code) == (422, "wrong_scale")


def test_a_rejection_is_an_invalid_input_that_says_what_came_and_what_to_do():
    with pytest.raises(InputInvalid, match=r"\(10, 256, 256\); send \(40, 256, 256\)"):
        cube_of_upload(npy(PLANES[:10]))


def test_a_rejection_stays_short_however_long_the_claim():
    with pytest.raises(UploadRejected) as raised:
        cube_of_upload(REJECTED["a long shape"][0])
    assert len(str(raised.value)) < 300


def accepts_or_rejects(data: bytes) -> None:
    """Nothing but a cube or a 4xx may come out."""
    try:
        cube = cube_of_upload(data)
    except UploadRejected as rejected:
        status = rejected.status
    else:
        status = 200
        assert (cube.shape, cube.dtype) == (CUBE_SHAPE, np.uint8)
    assert status in (200, 400, 415, 422)


@settings(deadline=None, max_examples=150)
@given(
    flips=st.lists(st.tuples(st.integers(0, HEADER_BYTES - 1), st.integers(1, 255)), max_size=4),
    cut=st.one_of(st.none(), st.integers(0, HEADER_BYTES + 10)),
    tail=st.binary(max_size=3),
)
def test_a_mutated_file_is_accepted_whole_or_rejected(flips, cut, tail):
    data = bytearray(NPY[:cut] + tail)
    for place, bits in flips:
        if place < len(data):
            data[place] ^= bits
    accepts_or_rejects(bytes(data))


@settings(deadline=None, max_examples=150)
@given(
    header=st.one_of(
        st.text(st.characters(max_codepoint=255), max_size=60),
        st.builds(
            header_of,
            descr=st.sampled_from(["'|u1'", "'<f4'", "'|O'", "'>M8[s]'", "('<f4', (2,))", "1"]),
            shape=st.sampled_from(["(40, 256, 256)", "()", "(True,)", "(0,)", "-1", "(40L, 256)"]),
            order=st.sampled_from(["False", "True", "0", "None"]),
        ),
    ),
    data=st.binary(max_size=20),
    version=st.sampled_from([(1, 0), (2, 0)]),
)  # fmt: skip
@example(header=header_of(shape="(40L, 256L, 256L)"), data=b"", version=(1, 0))
def test_any_header_is_accepted_or_rejected(header, data, version):
    accepts_or_rejects(file_of(header, data, version=version))
