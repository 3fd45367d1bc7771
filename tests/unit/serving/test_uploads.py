import io
import struct

import httpx
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from serving_fakes import CUBE, NPY, npy

from flare.sample import CUBE_SHAPE
from serving.http.problems import Refused
from serving.uploads.arrays import sample_of_npy
from serving.uploads.upload import Upload

PLANES = CUBE.reshape(40, 256, 256)


def cube_of_upload(data: bytes | bytearray) -> np.ndarray:
    return sample_of_npy(Upload(bytes(data), "application/octet-stream")).cubes[0]


HEADER_BYTES = len(NPY) - CUBE.size


def file_of(header: str, data: bytes = b"", *, version: tuple[int, int] = (1, 0)) -> bytes:
    length = struct.pack("<H" if version == (1, 0) else "<I", len(header) + 1)
    return b"\x93NUMPY" + bytes(version) + length + header.encode("latin-1") + b"\n" + data


def header_of(descr: str = "'|u1'", shape: str = "(40, 256, 256)", order: str = "False") -> str:
    return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}"


def npz() -> bytes:
    file = io.BytesIO()
    np.savez(file, PLANES)
    return file.getvalue()


#: Hostile ones; `tests/unit/test_npy.py` has all others.
REJECTED = {
    "text": (b"not an array", 415, "not_npy"),
    "code": (file_of("__import__('os').system('true')"), 400, "bad_header"),
    "deep nesting": (file_of("[" * 1000), 400, "bad_header"),
    "objects": (file_of(header_of("'|O'"), b"cos\nsystem\n"), 422, "wrong_dtype"),
    "terabytes": (file_of(header_of(shape="(40, 1000000000, 256)")), 422, "wrong_shape"),
}


@pytest.mark.parametrize("case", REJECTED)
def test_a_file_that_is_not_a_sample_is_rejected_with_its_status_and_code(case):
    data, status, code = REJECTED[case]
    with pytest.raises(Refused) as raised:
        cube_of_upload(data)
    assert (raised.value.status, raised.value.code) == (status, code)


def test_an_npz_is_refused_with_the_endpoint_for_batches():
    with pytest.raises(Refused) as raised:
        cube_of_upload(npz())
    assert "POST /predict_batch" in raised.value.hint


def read_form(fields: dict[str, str], scale: str | None = None):
    request = httpx.Request("POST", "http://server", files={"file": NPY_FLOATS}, data=fields)
    stated = {"scale": [scale]} if scale else {}
    upload = Upload(request.read(), request.headers["content-type"], stated=stated)
    return sample_of_npy(upload)


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
    with pytest.raises(Refused) as raised:
        read_form(fields, query)
    assert raised.value.hint == "state one: fraction or level"
    assert (raised.value.status, raised.value.code) == (422, "wrong_scale")


def accepts_or_rejects(data: bytes) -> None:
    """Nothing but a cube or a 4xx may come out."""
    try:
        cube = cube_of_upload(data)
    except Refused as rejected:
        status = rejected.status
    else:
        status = 200
        assert (cube.shape, cube.dtype) == (CUBE_SHAPE, np.uint8)
    assert status in (200, 400, 415, 422)


@settings(deadline=None, max_examples=60)
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


@settings(deadline=None, max_examples=50)
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
