"""Forms: what browsers, curl and httpx send, and what only an attacker would."""

import numpy as np
import pytest

from serving.http.problems import Refused
from serving.uploads.upload import MAX_BOUNDARIES, MAX_PARTS, parts_of

TYPE = "multipart/form-data; boundary=xyz"


def part(data: bytes, disposition: str = 'name="file"; filename="a.npy"', more: str = "") -> bytes:
    head = f"--xyz\r\nContent-Disposition: form-data; {disposition}\r\n{more}\r\n"
    return head.encode() + data + b"\r\n"


def form(*parts: bytes) -> bytes:
    return b"".join(parts) + b"--xyz--\r\n"


def read(body: bytes, content_type: str = TYPE) -> list[tuple[str, str | None, bytes]]:
    result = parts_of(body, content_type)
    return [(one.name, one.filename, bytes(one.data)) for one in result]


def refusal(body: bytes, content_type: str = TYPE) -> str:
    with pytest.raises(Refused) as raised:
        parts_of(body, content_type)
    assert (raised.value.status, raised.value.code) == (400, "bad_form")
    assert raised.value.hint
    return raised.value.detail


BROWSER = (
    b"------WebKitFormBoundary7MA4YWxkTrZu0gW\r\n"
    b'Content-Disposition: form-data; name="file"; filename="s.npy"\r\n'
    b"Content-Type: application/octet-stream\r\n\r\n"
    b"\x00\r\n\xff\r\n"
    b"------WebKitFormBoundary7MA4YWxkTrZu0gW--\r\n"
)
CURL = (
    b"--------------------------d74496d66958873e\r\n"
    b'Content-Disposition: form-data; name="file"; filename="s.npy"\r\n'
    b"Content-Type: application/octet-stream\r\n\r\n"
    b"\x00\r\n\xff"
    b"\r\n--------------------------d74496d66958873e--\r\n"
)


@pytest.mark.parametrize(
    ("body", "boundary", "data"),
    [
        (BROWSER, "----WebKitFormBoundary7MA4YWxkTrZu0gW", b"\x00\r\n\xff"),
        (CURL, "------------------------d74496d66958873e", b"\x00\r\n\xff"),
    ],
    ids=["browser", "curl"],
)
def test_a_form_of_a_common_client_is_read(body, boundary, data):
    result = read(body, f"multipart/form-data; boundary={boundary}")
    assert result == [("file", "s.npy", data)]


@pytest.mark.parametrize(
    ("disposition", "name", "filename"),
    [
        ('name="file"', "file", None),
        ('name="file"; filename=""', "file", ""),
        ("name=file; filename=plain.npy", "file", "plain.npy"),
        ('name="file"; filename="with; semicolon.npy"', "file", "with; semicolon.npy"),
        ('name="file"; filename="a \\"quoted\\" name.npy"', "file", 'a "quoted" name.npy'),
        ('name="file"; filename="größer-太陽.npy"', "file", "größer-太陽.npy"),
        ('name="file"; filename="C:\\\\data\\\\a.npy"', "file", "a.npy"),
        ('filename="a.npy"', "", "a.npy"),
    ],
)  # fmt: skip
def test_names_and_filenames_are_read(disposition, name, filename):
    assert read(form(part(b"x", disposition))) == [(name, filename, b"x")]


def test_a_part_may_have_many_headers():
    assert read(form(part(b"x", more="X-Many: 1\r\n" * 60)))[0][2] == b"x"


def test_a_quoted_boundary_is_read():
    assert read(form(part(b"1")), 'multipart/form-data; boundary="xyz"')[0][2] == b"1"


@pytest.mark.parametrize("padding", [b" ", b"\t", b" \t " * 10])
def test_padding_after_a_boundary_is_not_data(padding):
    body = form(part(b"one"), part(b"two"), part(b"3"))
    padded = body.replace(b"\r\n--xyz\r\n", b"\r\n--xyz" + padding + b"\r\n")
    assert padded != body
    assert [one[2] for one in read(padded)] == [b"one", b"two", b"3"]


def test_empty_parts_an_empty_form_and_a_line_break_before_it_are_read():
    assert [one[2] for one in read(b"\r\n" + form(part(b""), part(b"x")))] == [b"", b"x"]
    assert read(b"--xyz--\r\n") == []


@pytest.mark.parametrize(
    "data",
    [
        b"\r\n",
        b"--xyz--",
        b"\r\n--xyZ\r\n",
        b"\r\n-\r\n--\r\n--x\r\n--xy",
        b"\r\n\r\n--xyw\r\r\n",
        b"\n--xyz\n",
        b"\r\n--xyza",
        b"\r\n--xyz-",
        b"\r\n--xyz-a\r\n--xyz\rb",
        bytes(range(256)) * 3,
    ],
)
def test_data_may_look_like_a_boundary(data):
    result = read(form(part(data), part(b"next")))
    assert result == [("file", "a.npy", data), ("file", "a.npy", b"next")]


def test_the_last_boundary_of_another_form_does_not_end_this_one():
    refusal(form(part(b"x")).replace(b"--xyz--", b"--xyzz--"))


def test_parts_are_views_of_the_body():
    body = form(part(b"abc"))
    (view,) = (one.data for one in parts_of(body, TYPE))
    assert np.shares_memory(np.frombuffer(view, "u1"), np.frombuffer(body, "u1"))


@pytest.mark.parametrize(
    "content_type",
    [
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary=" + "x" * 201,
        "multipart/form-data; charset=utf-8",
    ],
)
def test_without_a_usable_boundary_there_is_no_form(content_type):
    assert "no boundary" in refusal(form(part(b"x")), content_type)


def test_a_form_that_is_cut_anywhere_before_its_end_is_refused():
    body = bytes(form(part(b"a\r\nb", more="X-More: 1\r\n"), part(b"")))
    whole = body.rindex(b"--xyz--") + len(b"--xyz--")
    assert len(read(body[:whole])) == 2
    for end in range(whole):
        refusal(body[:end])


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no form at all",
        b"\r\n",
        b"text\r\n--xyz--",
        b"--other\r\n\r\n\r\n--other--",
        b"--xyz\r\nContent-Disposition: form-data; name=a\r\n\r\nx\r\n--xyz",
        b"--xyz\r\nno colon here\r\n\r\nx\r\n--xyz--",
        b"--xyz\r\n: no name\r\n\r\nx\r\n--xyz--",
        b"--xyz\r\nBad Name: 1\r\n\r\nx\r\n--xyz--",
        b"--xyz\nContent-Disposition: form-data; name=a\n\nx\n--xyz--",
        b"--xyz\r\n\r\nx\r\n--xyz--",
        b"--xyz\r\nContent-Type: a/b\r\n\r\nx\r\n--xyz--",
        b"--xyz\r\nContent-Disposition: attachment; name=a\r\n\r\nx\r\n--xyz--",
    ],
)
def test_a_damaged_form_is_refused(body):
    refusal(body)


def test_as_many_parts_as_a_sample_may_need_are_read_and_not_one_more():
    assert len(read(form(*[part(b"")] * MAX_PARTS))) == MAX_PARTS
    assert f"more than {MAX_PARTS} parts" in refusal(form(*[part(b"")] * (MAX_PARTS + 1)))


def test_data_that_looks_like_very_many_boundaries_is_refused():
    """Eight megabytes of them would take a loop in Python more than a second."""
    data = b"\r\n--xyza" * (MAX_BOUNDARIES - 1)
    assert read(form(part(data))) == [("file", "a.npy", data)]
    assert "in its data" in refusal(form(part(data + b"\r\n--xyza")))


def test_a_boundary_with_very_many_blanks_is_refused():
    two = form(part(b"one"), part(b"two"))
    blanks = b"\r\n--xyz" + b" " * 64 + b"\r\n"
    assert "too many blanks" in refusal(two.replace(b"\r\n--xyz\r\n", blanks))


@pytest.mark.parametrize(
    "more",
    ["X-Long: " + "a" * 5000 + "\r\n", "X" * 5000 + ": 1\r\n", "X-Many: 1\r\n" * 500],
    ids=["value", "name", "many"],
)
def test_headers_are_bounded(more):
    refusal(form(part(b"x", more=more)))
