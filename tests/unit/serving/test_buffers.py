"""Uploads share a number of bytes, of which one address has half."""

import pytest

from serving.models.pool import Busy
from serving.uploads.body import CONNECTION_BYTES, Buffers

BODY = 1_000_000
TOTAL = 4 * (BODY + CONNECTION_BYTES)


@pytest.fixture
def buffers():
    return Buffers(max_bytes=TOTAL, max_body_bytes=BODY)


def test_one_address_has_half_and_another_one_has_the_rest(buffers):
    with buffers.upload("192.0.2.1") as one, buffers.upload("192.0.2.1") as two:
        one.add(BODY)
        two.add(BODY)
        with pytest.raises(Busy, match=r"192\.0\.2\.1 are at the limit"):
            two.add(1)
        with buffers.upload("192.0.2.2") as three, buffers.upload("192.0.2.2") as four:
            three.add(BODY)
            four.add(BODY)
            with pytest.raises(Busy, match=f"limit of {TOTAL} bytes"), buffers.upload("192.0.2.3"):
                pass
    assert buffers.bytes == 0


def test_what_was_refused_is_not_counted(buffers):
    with buffers.upload("192.0.2.1") as upload:
        with pytest.raises(Busy):
            upload.add(TOTAL)
        assert upload.bytes == buffers.bytes == CONNECTION_BYTES


def test_the_largest_body_has_room_whatever_the_limit_of_all():
    buffers = Buffers(max_bytes=1, max_body_bytes=BODY)
    with buffers.upload("192.0.2.1") as upload:
        upload.add(BODY)


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
        first.add(2 * BODY)
        with pytest.raises(Busy), buffers.upload(other) as second:
            second.add(BODY)


def test_other_networks_of_ipv6_are_other_clients(buffers):
    with buffers.upload("2001:db8:1:2::1") as one, buffers.upload("2001:db8:1:3::1") as other:
        one.add(2 * BODY)
        other.add(BODY)


def test_a_connection_that_sends_nothing_counts_too(buffers):
    with buffers.upload("192.0.2.1"):
        assert buffers.bytes == CONNECTION_BYTES
