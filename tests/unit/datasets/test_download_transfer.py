"""A file arrives whole over HTTP: broken, slow, busy, changed and lying servers."""

import base64
import random
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import pytest
import requests

from flare.datasets.download import transfer as module
from flare.datasets.download.transfer import MirrorFailed, Transfer
from flare.errors import DiskTooSmall

from archive_server import Served, Status, redirect

CONTENT = random.Random(0).randbytes(700_001)
OTHER = random.Random(1).randbytes(700_001)


@dataclass
class Client:
    """A folder to download to, with every pause recorded instead of slept."""

    folder: Path
    pauses: list[float] = field(default_factory=list)
    reports: list[tuple[int, int | None]] = field(default_factory=list)

    def transfer(self, url: str, **more) -> Transfer:
        options = {"attempts": 4, "timeout": 5.0, "report": lambda *one: self.reports.append(one)}
        return Transfer(url, self.folder / "archive", **(options | more))

    def get(self, url: str, **more) -> bytes:
        self.transfer(url, **more).run()
        return (self.folder / "archive").read_bytes()


@pytest.fixture
def client(tmp_path, monkeypatch) -> Client:
    client = Client(tmp_path)
    monkeypatch.setattr(module, "sleep", client.pauses.append)
    return client


def test_a_file_arrives_whole_and_leaves_no_other_file(server, client):
    assert client.get(server.tell("/a", Served(CONTENT))) == CONTENT
    assert [path.name for path in client.folder.iterdir()] == ["archive"]
    assert client.pauses == []
    assert client.reports[0] == (0, len(CONTENT))
    assert client.reports[-1] == (len(CONTENT), len(CONTENT))
    assert server.seen[0].headers["Accept-Encoding"] == "identity"


def test_an_announced_size_that_does_not_fit_is_refused_before_it_is_written(
    server, client, monkeypatch
):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=len(CONTENT)))
    with pytest.raises(DiskTooSmall, match="archive with its unpacked files"):
        client.get(server.tell("/a", Served(CONTENT)))
    assert not (client.folder / "archive").exists()
    assert client.reports == []


def test_a_file_of_unknown_size_arrives_whole(server, client):
    """GitHub's archives are chunked, without a length."""
    assert client.get(server.tell("/a", Served(CONTENT, chunked=True))) == CONTENT
    assert client.reports[-1] == (len(CONTENT), None)


DATE = "Wed, 01 Jan 2020 00:00:00 GMT"


@pytest.mark.parametrize(
    ("validators", "if_range"),
    [
        ({"etag": '"one"'}, '"one"'),
        ({"etag": '"one"', "last_modified": DATE}, '"one"'),
        ({"etag": 'W/"weak"', "last_modified": DATE}, DATE),
    ],
)
def test_a_broken_transfer_resumes_and_received_bytes_are_not_sent_again(
    server, client, validators, if_range
):
    cut = Served(CONTENT, stop_after=300_000, **validators)
    assert client.get(server.tell("/a", cut, Served(CONTENT, **validators))) == CONTENT
    assert server.ranges == [None, "bytes=300000-"]
    assert server.seen[1].headers["If-Range"] == if_range
    assert server.sent == [300_000, len(CONTENT) - 300_000]


@pytest.mark.parametrize(
    ("first", "then"),
    [
        ({"etag": None}, {"etag": None}),  # nothing says whether it is the same file
        ({}, {"etag": '"two"'}),
        ({}, {"etag": '"two"', "always_part": True}),  # a server that ignores If-Range
        ({"ranges": False}, {"ranges": False}),
    ],
)
def test_a_file_that_changed_is_never_mixed_with_the_old_one(server, client, first, then):
    cut = Served(CONTENT, stop_after=300_000, **first)
    assert client.get(server.tell("/a", cut, Served(OTHER, **then))) == OTHER


def spoil_validator(folder: Path) -> None:
    (folder / "archive.validator").unlink()


def write_whole(folder: Path) -> None:
    (folder / "archive.partial").write_bytes(CONTENT)  # as if killed before the file was renamed


@pytest.mark.parametrize("spoil", [spoil_validator, write_whole])
def test_what_an_earlier_run_left_in_another_state_is_not_trusted(server, client, spoil):
    url = server.tell("/a", Served(CONTENT, stop_after=9), Status(404))
    with pytest.raises(MirrorFailed):
        client.get(url)
    spoil(client.folder)
    server.tell("/a", Served(CONTENT))
    assert client.get(url) == CONTENT
    assert server.ranges[-1] is None


def test_a_part_that_is_longer_than_it_says_is_discarded(server, client):
    def longer(handler) -> None:
        part = f"bytes 9-{len(CONTENT) - 1}/{len(CONTENT)}"
        handler.begin(206, {"Content-Range": part, "ETag": '"one"'}, len(CONTENT) - 9 + 4)
        handler.send(CONTENT[9:] + b"more")

    url = server.tell("/a", Served(CONTENT, stop_after=9), longer, Served(CONTENT))
    assert client.get(url) == CONTENT
    assert server.ranges == [None, "bytes=9-", None]


@pytest.mark.parametrize("part", ["bytes 5-9/10", "", f"bytes 9-{'9' * 5000}/1"])
def test_a_part_that_was_not_requested_is_not_added(server, client, part):
    def wrong(handler) -> None:
        handler.begin(206, {"Content-Range": part, "ETag": '"one"'}, 5)
        handler.send(b"wrong")

    url = server.tell("/a", Served(CONTENT, stop_after=300_000), wrong, Served(CONTENT))
    assert client.get(url) == CONTENT
    assert server.ranges[-1] is None


def test_pauses_double_after_each_failure_up_to_a_minute(server, client):
    client.get(server.tell("/a", *[Status(502)] * 8, Served(CONTENT)), attempts=9)
    assert client.pauses == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]


@pytest.mark.parametrize(
    ("header", "pause"),
    [("7", 7.0), ("86400", 300.0), ("9" * 5000, 300.0), ("soon", 1.0)],
)
def test_retry_after_is_honoured_up_to_five_minutes(server, client, header, pause):
    busy = Status(503, (("Retry-After", header),))
    assert client.get(server.tell("/a", busy, Served(CONTENT))) == CONTENT
    assert client.pauses == [pause]


def test_an_attempt_that_adds_enough_bytes_resets_the_count(server, client, monkeypatch):
    monkeypatch.setattr(module, "GOOD_PIECE_BYTES", 100_000)
    pieces = [Served(CONTENT, stop_after=100_000) for _ in range(6)]
    assert client.get(server.tell("/a", *pieces, Served(CONTENT)), attempts=2) == CONTENT


def test_a_server_that_always_starts_over_is_given_up(server, client, monkeypatch):
    monkeypatch.setattr(module, "GOOD_PIECE_BYTES", 100_000)
    url = server.tell("/a", Served(CONTENT, ranges=False, stop_after=300_000))
    with pytest.raises(MirrorFailed, match="broke off"):
        client.get(url)
    assert len(server.seen) == 4


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Status(401), "answered 401 "),
        (Status(404), "answered 404 "),
        (Served(b"<html>log in", kind="text/html; charset=utf-8"), "a web page"),
        (redirect("/a"), "redirects"),
    ],
)
def test_what_the_same_request_would_meet_again_is_not_retried(server, client, answer, words):
    with pytest.raises(MirrorFailed, match=words):
        client.get(server.tell("/a", answer))
    assert client.pauses == []


def test_a_stalled_transfer_is_resumed(server, client):
    url = server.tell("/a", Served(CONTENT, stop_after=1000, stall=True), Served(CONTENT))
    assert client.get(url, timeout=0.1) == CONTENT
    assert server.ranges == [None, "bytes=1000-"]


def test_a_server_that_is_silent_or_not_there_is_named_so(server, client):
    url = server.tell("/a", lambda handler: handler.owner.released.wait(5))
    with pytest.raises(MirrorFailed, match=r"the server sent nothing for 0\.05 s"):
        client.get(url, timeout=0.05, attempts=2)
    address = server.address("/a").replace(str(server.port), "9")  # discard: nobody serves it
    with pytest.raises(MirrorFailed, match=r"no connection \(Failed to establish"):
        client.get(address, attempts=2)


@pytest.mark.parametrize(
    "short", [{"announced": len(CONTENT) + 5}, {"chunked": True, "stop_after": 400_000}]
)
def test_a_file_that_is_cut_off_is_not_mistaken_for_the_whole(server, client, short):
    url = server.tell("/a", Served(CONTENT, **short), Served(CONTENT))
    assert client.get(url) == CONTENT


def test_a_resumed_transfer_follows_the_redirect_again_with_its_range(server, client):
    server.tell("/b", Served(CONTENT, stop_after=300_000), Served(CONTENT))
    url = server.tell("/a", redirect(server.address("/b")))
    assert client.get(url) == CONTENT
    assert [seen.path for seen in server.seen] == ["/a", "/b", "/a", "/b"]
    assert server.ranges[3] == "bytes=300000-"


@pytest.mark.parametrize(
    ("chain", "refused"),
    [
        (["https://x.org/b"], None),
        (["https://y.org/b", "https://x.org/c"], None),
        (["http://x.org/b"], "x.org"),
        (["http://y.org/b", "https://x.org/c"], "y.org"),
    ],
)
def test_a_redirect_that_leaves_encryption_is_refused(chain, refused):
    answers = []
    for address in ["https://x.org/a", *chain]:
        answers.append(requests.Response())
        answers[-1].url = address
    *answers[-1].history, response = answers
    if refused is None:
        module._check_redirects("https://x.org/a", response)
        return
    with pytest.raises(MirrorFailed, match=f"{refused} without encryption"):
        module._check_redirects("https://x.org/a", response)


def test_a_login_is_sent_to_its_own_host_alone_and_does_not_show(server, client):
    server.tell("/b", Served(CONTENT))
    url = server.tell("/a", redirect(server.address("/b", "localhost")))
    assert client.get(url, login=("someone", "secret")) == CONTENT
    sent = [seen.headers.get("Authorization") for seen in server.seen]
    assert sent == [f"Basic {base64.b64encode(b'someone:secret').decode()}", None]
    assert "secret" not in repr(client.transfer(url, login=("someone", "secret")))


@pytest.mark.parametrize("chunked", [False, True])
def test_a_file_far_too_large_is_given_up(server, client, chunked):
    url = server.tell("/a", Served(CONTENT, chunked=chunked))
    with pytest.raises(MirrorFailed, match=r"more than 500\.00 kB"):
        client.get(url, max_bytes=500_000)
    assert list(client.folder.iterdir()) == []


def test_an_interruption_keeps_the_received_bytes_for_the_next_run(server, client):
    url = server.tell("/a", Served(CONTENT))

    def interrupt(done: int, total: int | None) -> None:
        if done > 200_000:
            raise KeyboardInterrupt

    transfer = client.transfer(url, report=interrupt)
    with pytest.raises(KeyboardInterrupt):
        transfer.run()
    received = transfer.received
    assert received > 200_000
    assert client.get(url) == CONTENT
    assert server.ranges[-1] == f"bytes={received}-"
