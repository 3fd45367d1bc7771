"""The body of a request is in memory as it arrives, in time and within limits, or not at all."""

import asyncio
from sys import getrefcount

import pytest
from starlette.requests import Request

from serving.http.problems import Refused
from serving.settings import Settings
from serving.uploads.body import CONNECTION_BYTES, Buffers, read_body

BODY = 1_000_000
TOTAL = 4 * (BODY + CONNECTION_BYTES)


@pytest.fixture
def buffers():
    return Buffers(max_bytes=TOTAL, max_body_bytes=BODY)


def request(*chunks: bytes | float | None, length: int | None = None) -> Request:
    """Make a request of these chunks; None is a client that goes away, a number a pause."""
    headers = [] if length is None else [(b"content-length", str(length).encode())]
    left = list(chunks)

    async def receive():
        while left and isinstance(left[0], float):
            await asyncio.sleep(left.pop(0))
        if not left:
            await asyncio.Event().wait()  # a client that is silent
        chunk = left.pop(0)
        if chunk is None:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": chunk, "more_body": bool(left) or chunk != b""}

    return Request({"type": "http", "headers": headers}, receive)


def read(given: Request, *, buffers: Buffers | None = None, **pace: float) -> bytes:
    """Read a body; the pace is (seconds, grace, rate), patient unless given."""
    buffers = buffers or Buffers(max_bytes=10**9, max_body_bytes=10**9)
    settings = Settings(
        upload_seconds=pace.get("seconds", 60),
        upload_grace_seconds=pace.get("grace", 60),
        min_upload_rate=pace.get("rate", 0),
    )
    with buffers.upload("192.0.2.1") as count:
        return asyncio.run(read_body(given, count, settings))


@pytest.mark.parametrize("length", [None, 0, 3, 6, 5000])
@pytest.mark.parametrize("chunks", [(b"abcdef",), (b"a", b"bcde", b"f"), (b"", b"abcdef")])
def test_the_body_is_complete_whatever_content_length_says(chunks, length):
    assert read(request(*chunks, b"", length=length)) == b"abcdef"


def test_memory_follows_the_bytes_and_not_content_length():
    buffers = Buffers(max_bytes=10**9, max_body_bytes=10**9)
    amounts = []

    async def receive():
        amounts.append(buffers.bytes - CONNECTION_BYTES)
        return {"type": "http.request", "body": b"ab", "more_body": len(amounts) < 3}

    scope = {"type": "http", "headers": [(b"content-length", b"900000000")]}
    assert read(Request(scope, receive), buffers=buffers) == b"ababab"
    assert amounts == [0, 2, 4]
    assert buffers.bytes == 0


def test_no_piece_is_held_while_waiting_for_the_next():
    pieces = [bytes(100), bytes(200), bytes(300)]
    references = []

    async def receive():
        number = len(references)
        # One reference is the list's, one getrefcount's own.
        references.append([getrefcount(pieces[k]) for k in range(number)])
        return {"type": "http.request", "body": pieces[number], "more_body": number < 2}

    read(Request({"type": "http", "headers": []}, receive))
    assert references == [[], [2], [2, 2]]


DRIP = [part for _ in range(100) for part in (b"x", 0.01)]


@pytest.mark.parametrize(
    ("chunks", "pace", "status", "code", "says"),
    [
        ([b"half"], {"seconds": 0.01}, 408, "too_slow", r"longer than 0.01 s \(FLARE_UPLOAD_"),
        ([b"x", *DRIP], {"grace": 0.05, "rate": 1000}, 408, "too_slow", "fewer than 50 bytes of"),
        # Also after a burst.
        ([bytes(1000), *DRIP], {"grace": 0.05, "rate": 1000}, 408, "too_slow", "fewer than 50 "),
        ([b"half", None], {}, 400, "cut_off", "the upload broke off"),
    ],
    ids=["too long", "below the rate", "after a burst", "gone"],
)
def test_a_client_that_is_too_slow_or_goes_away_is_refused(chunks, pace, status, code, says):
    with pytest.raises(Refused, match=says) as refused:
        read(request(*chunks), **pace)
    assert (refused.value.status, refused.value.code) == (status, code)


def test_a_client_above_the_minimum_rate_may_take_several_grace_periods():
    parts = [part for _ in range(20) for part in (bytes(200), 0.01)]
    assert len(read(request(*parts, b""), grace=0.1, rate=10)) == 4000


def test_more_than_all_uploads_may_have_is_busy_and_is_free_again_afterwards():
    buffers = Buffers(max_bytes=1, max_body_bytes=1000)
    with pytest.raises(Refused, match="FLARE_MAX_BUFFERED_BYTES"):
        read(request(bytes(600), bytes(600), b""), buffers=buffers)
    assert buffers.bytes == 0
    assert len(read(request(bytes(1000), b""), buffers=buffers)) == 1000


def test_one_address_has_half_and_another_one_has_the_rest(buffers):
    with buffers.upload("192.0.2.1") as one, buffers.upload("192.0.2.1") as two:
        one(BODY)
        two(BODY)
        with pytest.raises(Refused, match=r"192\.0\.2\.1 are at the limit"):
            two(1)
        with buffers.upload("192.0.2.2") as three, buffers.upload("192.0.2.2") as four:
            three(BODY)
            four(BODY)
            with (
                pytest.raises(Refused, match=f"limit of {TOTAL} bytes"),
                buffers.upload("192.0.2.3"),
            ):
                pass
    assert buffers.bytes == 0


def test_refused_bytes_are_not_counted_and_the_largest_body_has_room_under_any_limit(buffers):
    with buffers.upload("192.0.2.1") as count:
        with pytest.raises(Refused):
            count(TOTAL)
        assert buffers.bytes == CONNECTION_BYTES
    with Buffers(max_bytes=1, max_body_bytes=BODY).upload("192.0.2.1") as count:
        count(BODY)


def test_other_networks_of_ipv6_are_other_clients(buffers):
    with buffers.upload("2001:db8:1:2::1") as one, buffers.upload("2001:db8:1:3::1") as other:
        one(2 * BODY)
        other(BODY)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("", ""),
    ],
)
def test_addresses_of_one_client_share_its_half(buffers, one, other):
    with buffers.upload(one) as first:
        first(2 * BODY)
        with pytest.raises(Refused), buffers.upload(other) as second:
            second(BODY)
