"""A file over HTTP, whole in the end: broken, slow, busy, changed and lying servers."""

import base64
import hashlib
import json
import random
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from flare.datasets.download.partial import Partial
from flare.datasets.download.patience import Patience
from flare.datasets.download.sources import MirrorFailed
from flare.datasets.download.transfer import Transfer
from flare.errors import DiskTooSmall

from archive_server import Served, Status, redirect

CONTENT = random.Random(0).randbytes(700_001)
OTHER = random.Random(1).randbytes(700_001)


@dataclass
class Client:
    """A place to download to, with every pause written down instead of slept."""

    folder: Path
    pauses: list[float] = field(default_factory=list)
    reports: list[tuple[int, int | None]] = field(default_factory=list)
    rooms: list[tuple[int | None, int]] = field(default_factory=list)

    def get(self, url: str, *, attempts: int = 4, read_s: float = 5.0, **more) -> bytes:
        dest = self.folder / "archive"
        transfer = Transfer(
            self.partial,
            Patience(attempts, 2.0, read_s, sleep=self.pauses.append, jitter=lambda: 1.0),
            lambda *report: self.reports.append(report),
            more.pop("require_room", lambda *room: self.rooms.append(room)),
            **more,
        )
        transfer(url, str(dest), None)
        assert transfer.sha256 == hashlib.sha256(dest.read_bytes()).hexdigest()
        return dest.read_bytes()

    @property
    def partial(self) -> Partial:
        return Partial(self.folder / "archive.partial")


@pytest.fixture
def client(tmp_path) -> Client:
    return Client(tmp_path)


def md5(content: bytes) -> str:
    return base64.b64encode(hashlib.md5(content).digest()).decode()


def test_a_file_arrives_whole_and_leaves_nothing_beside_it(server, client):
    assert client.get(server.tell("/a", Served(CONTENT))) == CONTENT
    assert [path.name for path in client.folder.iterdir()] == ["archive"]
    assert client.pauses == []


def test_progress_is_told_up_to_the_announced_size(server, client):
    client.get(server.tell("/a", Served(CONTENT)))
    assert client.reports[0] == (0, len(CONTENT))
    assert client.reports[-1] == (len(CONTENT), len(CONTENT))


def test_a_file_of_unknown_size_arrives_whole(server, client):
    """GitHub's archives are chunked, without a length."""
    assert client.get(server.tell("/a", Served(CONTENT, chunked=True))) == CONTENT
    assert client.reports[-1] == (len(CONTENT), None)


def test_a_broken_transfer_goes_on_and_bytes_that_were_had_are_not_sent_again(server, client):
    url = server.tell("/a", Served(CONTENT, stop_after=300_000), Served(CONTENT))
    assert client.get(url) == CONTENT
    assert server.ranges == [None, "bytes=300000-"]
    assert server.seen[1].headers["If-Range"] == '"one"'
    assert server.sent == [300_000, len(CONTENT) - 300_000]


def test_a_later_run_goes_on_where_an_earlier_one_stopped(server, client):
    url = server.tell("/a", Served(CONTENT, stop_after=250_000), Status(404))
    with pytest.raises(MirrorFailed):
        client.get(url)
    server.tell("/a", Served(CONTENT))
    assert Client(client.folder).get(url) == CONTENT
    assert server.ranges[-1] == "bytes=250000-"
    assert server.sent[-1] == len(CONTENT) - 250_000


def test_last_modified_serves_where_there_is_no_strong_etag(server, client):
    date = "Wed, 01 Jan 2020 00:00:00 GMT"
    served = Served(CONTENT, etag='W/"weak"', last_modified=date)
    cut = Served(CONTENT, etag='W/"weak"', last_modified=date, stop_after=400_000)
    assert client.get(server.tell("/a", cut, served)) == CONTENT
    assert server.seen[1].headers["If-Range"] == date
    assert server.sent[1] == len(CONTENT) - 400_000


def test_without_a_validator_a_broken_transfer_starts_over(server, client):
    url = server.tell("/a", Served(CONTENT, etag=None, stop_after=9), Served(OTHER, etag=None))
    assert client.get(url) == OTHER
    assert server.ranges == [None, None]


def test_a_server_that_ignores_range_starts_over(server, client):
    url = server.tell(
        "/a", Served(CONTENT, stop_after=9, ranges=False), Served(CONTENT, ranges=False)
    )
    assert client.get(url) == CONTENT
    assert server.sent == [9, len(CONTENT)]


def test_a_file_that_changed_meanwhile_is_never_mixed_with_the_old_one(server, client):
    url = server.tell("/a", Served(CONTENT, stop_after=300_000), Served(OTHER, etag='"two"'))
    assert client.get(url) == OTHER


@pytest.mark.parametrize("change", [OTHER[:200_000], OTHER + b"longer", OTHER])
def test_not_even_by_a_server_that_ignores_if_range(server, client, change):
    new = Served(change, etag='"two"', always_part=True)
    url = server.tell("/a", Served(CONTENT, stop_after=300_000), new)
    assert client.get(url) == change
    assert client.pauses == [1.0]  # after the break, not after the change


def test_a_file_that_was_whole_when_the_last_run_was_killed_is_not_sent_again(server, client):
    url = server.tell("/a", Served(CONTENT, stop_after=9), Status(404))
    with pytest.raises(MirrorFailed):
        client.get(url)
    client.partial.path.write_bytes(CONTENT)
    server.tell("/a", Served(CONTENT))
    assert client.get(url) == CONTENT
    assert server.sent[-1] == 0


@pytest.mark.parametrize("damage", ["", "[]", '{"url": 1}', None])
def test_a_partial_file_whose_description_is_lost_is_not_trusted(server, client, damage):
    url = server.tell("/a", Served(CONTENT, stop_after=300_000), Status(404))
    with pytest.raises(MirrorFailed):
        client.get(url)
    about = client.folder / "archive.partial.json"
    about.unlink() if damage is None else about.write_text(damage)
    server.tell("/a", Served(OTHER))
    assert client.get(url) == OTHER
    assert server.ranges[-1] is None


def test_the_part_of_another_address_is_not_gone_on_with(server, client):
    with pytest.raises(MirrorFailed):
        client.get(server.tell("/a", Served(CONTENT, stop_after=300_000), Status(404)))
    assert client.get(server.tell("/b", Served(OTHER))) == OTHER


def test_a_file_of_another_size_under_the_same_tag_is_not_mixed_with_the_old_one(server, client):
    grown = Served(OTHER + b"more", always_part=True)
    assert client.get(server.tell("/a", Served(CONTENT, stop_after=9), grown)) == OTHER + b"more"


def test_a_part_that_is_longer_than_it_says_is_thrown_away(server, client):
    def longer(handler) -> None:
        rest = len(CONTENT) - 9
        part = f"bytes 9-{len(CONTENT) - 1}/{len(CONTENT)}"
        handler.begin(206, {"Content-Range": part, "ETag": '"one"'}, rest + 4)
        handler.send(CONTENT[9:] + b"more")

    url = server.tell("/a", Served(CONTENT, stop_after=9), longer, Served(CONTENT))
    assert client.get(url) == CONTENT
    assert server.ranges == [None, "bytes=9-", None]


def wrong_part(handler) -> None:
    handler.begin(206, {"Content-Range": "bytes 5-9/10", "ETag": '"one"'}, 5)
    handler.send(b"wrong")


def test_a_part_that_was_not_asked_for_is_not_added(server, client):
    url = server.tell("/a", Served(CONTENT, stop_after=300_000), wrong_part, Served(CONTENT))
    assert client.get(url) == CONTENT
    assert server.ranges[-1] is None


def test_pauses_double_after_each_failure(server, client):
    client.get(server.tell("/a", Status(500), Status(502), Status(503), Served(CONTENT)))
    assert client.pauses == [1.0, 2.0, 4.0]


def test_half_of_a_pause_is_left_to_chance():
    assert Patience(jitter=lambda: 0.0).pause(3) == 2.0
    assert Patience(jitter=lambda: 1.0).pause(3) == 4.0
    assert Patience(jitter=lambda: 1.0).pause(30) == 60.0


@pytest.mark.parametrize("code", [429, 503])
@pytest.mark.parametrize(("asked", "waited"), [("7", 7.0), ("86400", 300.0), ("soon", 1.0)])
def test_retry_after_is_honoured_up_to_five_minutes(server, client, code, asked, waited):
    busy = Status(code, (("Retry-After", asked),))
    assert client.get(server.tell("/a", busy, Served(CONTENT))) == CONTENT
    assert client.pauses == [waited]


def test_attempts_are_bounded(server, client):
    with pytest.raises(MirrorFailed, match=r"answered 500 Internal Server Error \(4 attempts\)"):
        client.get(server.tell("/a", Status(500)))
    assert len(server.seen) == 4


def test_a_good_piece_makes_the_count_of_attempts_begin_again(server, client, monkeypatch):
    monkeypatch.setattr("flare.datasets.download.transfer.GOOD_PIECE", 100_000)
    pieces = [Served(CONTENT, stop_after=100_000) for _ in range(6)]
    url = server.tell("/a", *pieces, Served(CONTENT))
    assert client.get(url, attempts=2) == CONTENT


def test_a_server_that_starts_over_for_ever_is_given_up(server, client, monkeypatch):
    monkeypatch.setattr("flare.datasets.download.transfer.GOOD_PIECE", 100_000)
    url = server.tell("/a", Served(CONTENT, ranges=False, stop_after=300_000))
    with pytest.raises(MirrorFailed, match="broke off"):
        client.get(url)
    assert len(server.seen) == 4


@pytest.mark.parametrize("code", [400, 401, 403, 404, 410])
def test_a_refusal_that_will_not_change_is_not_asked_for_again(server, client, code):
    with pytest.raises(MirrorFailed, match=f"answered {code} "):
        client.get(server.tell("/a", Status(code)))
    assert len(server.seen) == 1


def test_a_stalled_server_is_left_and_gone_on_with(server, client):
    url = server.tell("/a", Served(CONTENT, stop_after=1000, stall=True), Served(CONTENT))
    assert client.get(url, read_s=0.1) == CONTENT
    assert server.ranges == [None, "bytes=1000-"]


def test_a_server_that_never_answers_is_told_as_silent(server, client):
    url = server.tell("/a", lambda handler: handler.owner.released.wait(5))
    with pytest.raises(MirrorFailed, match="the server fell silent"):
        client.get(url, read_s=0.05, attempts=2)


def test_nobody_listening_is_told_as_no_connection(client, server):
    address = server.address("/a").replace(str(server.port), "9")  # discard: nobody serves it
    with pytest.raises(MirrorFailed, match="no connection"):
        client.get(address, attempts=2)


def test_fewer_bytes_than_announced_are_asked_for_again(server, client):
    url = server.tell("/a", Served(CONTENT, announced=len(CONTENT) + 5), Served(CONTENT))
    assert client.get(url) == CONTENT


def test_more_bytes_than_announced_are_not_read(server, client):
    url = server.tell("/a", Served(CONTENT, announced=1000))
    assert client.get(url) == CONTENT[:1000]


def test_a_chunked_answer_that_is_cut_is_not_taken_for_whole(server, client):
    url = server.tell("/a", Served(CONTENT, chunked=True, stop_after=400_000), Served(CONTENT))
    assert client.get(url) == CONTENT


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_redirects_are_followed_and_lead_to_another_host_too(server, client, code):
    server.tell("/b", Served(CONTENT))
    url = server.tell("/a", redirect(server.address("/b", "localhost"), code))
    assert client.get(url) == CONTENT


def test_a_resumed_transfer_goes_through_the_redirect_again_with_its_range(server, client):
    server.tell("/b", Served(CONTENT, stop_after=300_000), Served(CONTENT))
    url = server.tell("/a", redirect(server.address("/b")))
    assert client.get(url) == CONTENT
    assert [seen.path for seen in server.seen] == ["/a", "/b", "/a", "/b"]
    assert server.ranges[3] == "bytes=300000-"


def test_a_circle_of_redirects_is_given_up_at_once(server, client):
    url = server.tell("/a", redirect(server.address("/a")))
    with pytest.raises(MirrorFailed, match="redirects"):
        client.get(url)
    assert client.pauses == []


def test_a_login_is_sent_to_its_own_host_alone(server, client):
    server.tell("/b", Served(CONTENT))
    url = server.tell("/a", redirect(server.address("/b", "localhost")))
    client.get(url, login=("someone", "secret"))
    sent = [seen.headers.get("Authorization") for seen in server.seen]
    assert sent == [f"Basic {base64.b64encode(b'someone:secret').decode()}", None]


def test_a_login_does_not_show(client):
    transfer = Transfer(client.partial, Patience(), print, print, login=("someone", "secret"))
    assert "secret" not in repr(transfer)


@pytest.mark.parametrize(
    "stated",
    [
        ("x-goog-hash", f"crc32c=AAAAAA==,md5={md5(CONTENT)}"),
        ("x-goog-hash", f"md5={md5(CONTENT)}"),
        ("Content-MD5", md5(CONTENT)),
        ("Content-MD5", "no base64"),
        ("x-goog-hash", "crc32c=AAAAAA=="),
    ],
)
def test_a_stated_md5_that_is_right_or_absent_lets_the_file_through(server, client, stated):
    assert client.get(server.tell("/a", Served(CONTENT, headers=(stated,)))) == CONTENT


@pytest.mark.parametrize("header", ["x-goog-hash", "Content-MD5"])
def test_bytes_that_are_not_those_of_the_stated_md5_are_deleted(server, client, header):
    value = md5(OTHER) if header == "Content-MD5" else f"md5={md5(OTHER)}"
    url = server.tell("/a", Served(CONTENT, headers=((header, value),)))
    with pytest.raises(MirrorFailed, match="states the MD5"):
        client.get(url)
    assert list(client.folder.iterdir()) == []


def test_the_md5_of_the_first_answer_is_compared_after_going_on_too(server, client):
    stated = (("x-goog-hash", f"md5={md5(OTHER)}"),)
    cut = Served(CONTENT, stop_after=300_000, headers=stated)
    with pytest.raises(MirrorFailed, match="states the MD5"):
        client.get(server.tell("/a", cut, Served(CONTENT)))


def test_a_web_page_is_not_taken_for_an_archive(server, client):
    url = server.tell("/a", Served(b"<html>log in", kind="text/html; charset=utf-8"))
    with pytest.raises(MirrorFailed, match="a web page"):
        client.get(url)


@pytest.mark.parametrize("chunked", [False, True])
def test_a_file_far_too_large_is_given_up(server, client, chunked):
    url = server.tell("/a", Served(CONTENT, chunked=chunked))
    with pytest.raises(MirrorFailed, match=r"more than 500\.00 kB"):
        client.get(url, most_bytes=500_000)
    assert list(client.folder.iterdir()) == []


def test_room_is_asked_for_before_the_first_byte_is_written(server, client):
    def no_room(total, here):
        assert (total, here, client.partial.size) == (len(CONTENT), 0, 0)
        raise DiskTooSmall("too small")

    with pytest.raises(DiskTooSmall):
        client.get(server.tell("/a", Served(CONTENT)), require_room=no_room)


def test_compression_on_the_way_is_not_asked_for(server, client):
    client.get(server.tell("/a", Served(CONTENT)))
    assert server.seen[0].headers["Accept-Encoding"] == "identity"


def test_an_interruption_keeps_what_has_arrived_for_the_next_run(server, client):
    url = server.tell("/a", Served(CONTENT))

    def interrupt(done: int, total: int | None) -> None:
        if done > 200_000:
            raise KeyboardInterrupt

    transfer = Transfer(client.partial, Patience(), interrupt, lambda *_room: None)
    with pytest.raises(KeyboardInterrupt):
        transfer(url, str(client.folder / "archive"), None)
    kept = client.partial.size
    assert kept > 200_000
    assert json.loads((client.folder / "archive.partial.json").read_text())["validator"] == '"one"'
    assert client.get(url) == CONTENT
    assert server.ranges[-1] == f"bytes={kept}-"
