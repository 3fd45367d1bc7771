"""The body of a request comes into one buffer, in time, or not at all."""

import asyncio
from functools import partial
from sys import getrefcount

import pytest
from starlette.requests import Request

from serving.body import drop_body, read_body
from serving.rejections import UploadRejected

LIMIT = 1000


def request(*chunks: bytes | None, length: int | None = None) -> Request:
    """Make a request of these chunks; None among them is a client that goes away."""
    headers = [] if length is None else [(b"content-length", str(length).encode())]
    left = list(chunks)

    async def receive():
        if not left:
            await asyncio.Event().wait()  # a client that is silent
        chunk = left.pop(0)
        if chunk is None:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": chunk, "more_body": bool(left) or chunk != b""}

    return Request({"type": "http", "headers": headers}, receive)


def read(given: Request, seconds: float = 60.0) -> bytes | bytearray:
    return asyncio.run(read_body(given, seconds=seconds, max_bytes=LIMIT))


@pytest.mark.parametrize("length", [None, 0, 3, 6, 7, 5000])
@pytest.mark.parametrize("chunks", [(b"abcdef",), (b"a", b"bcde", b"f"), (b"", b"abcdef")])
def test_the_body_is_whole_whatever_its_length_is_said_to_be(chunks, length):
    assert read(request(*chunks, b"", length=length)) == bytearray(b"abcdef")


def test_an_empty_body_is_empty():
    assert read(request(b"")) == read(request(b"", length=9)) == bytearray()


def test_no_more_memory_is_taken_for_a_claim_than_a_body_may_have():
    taken = read(request(b"a", b"", length=10**15))
    assert taken.__sizeof__() < 2 * LIMIT


def test_a_body_of_one_piece_is_that_piece():
    piece = b"abcd"
    assert read(request(piece, length=4)) is piece
    assert read(request(piece, b"", length=4)) is piece
    assert read(request(piece, b"e", b"", length=4)) == b"abcd"  # more than was said


@pytest.mark.parametrize("reads", [partial(read_body, max_bytes=LIMIT), drop_body])
def test_no_piece_is_kept_while_the_next_one_is_waited_for(reads):
    pieces = [bytes(100), bytes(200), bytes(300)]
    kept = []

    async def receive():
        number = len(kept)
        # One reference is the list's, one getrefcount's own.
        kept.append([getrefcount(pieces[k]) for k in range(number)])
        return {"type": "http.request", "body": pieces[number], "more_body": number < 2}

    asyncio.run(reads(Request({"type": "http", "headers": []}, receive), seconds=60))
    assert kept == [[], [2], [2, 2]]


def test_a_client_that_is_too_slow_is_408():
    with pytest.raises(
        UploadRejected, match=r"longer than 0.01 s \(FLARE_UPLOAD_SECONDS\)"
    ) as slow:
        read(request(b"half", length=8), seconds=0.01)
    assert (slow.value.status, slow.value.code) == (408, "too_slow")


def test_a_client_that_goes_away_is_400():
    with pytest.raises(UploadRejected) as gone:
        read(request(b"half", None, length=8))
    assert (gone.value.status, gone.value.code) == (400, "cut_off")


def test_a_body_that_nobody_wants_is_read_to_its_end():
    given = request(b"ab", b"cd", b"")
    asyncio.run(drop_body(given, seconds=60))
    with pytest.raises(UploadRejected) as silent:
        read(given, seconds=0.01)
    assert silent.value.status == 408


@pytest.mark.parametrize("given", [request(b"half", None), request(b"half")])
def test_dropping_a_body_ends_with_the_client_or_the_time(given):
    asyncio.run(drop_body(given, seconds=0.01))
