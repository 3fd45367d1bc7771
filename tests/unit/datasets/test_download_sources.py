"""Names, addresses and files become mirrors; what is known of their bytes is kept and compared."""

import json
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
import requests

from flare.datasets.download.answers import check_origin
from flare.datasets.download.checksums import Pin, Pins
from flare.datasets.download.patience import retry_after_seconds
from flare.datasets.download.sources import KAGGLE, Mirror, MirrorFailed, mirrors_of
from flare.datasets.download.space import SPARE_BYTES, require_space, size_text
from flare.errors import ConfigInvalid, DatasetInvalid, DiskTooSmall

DEFAULT = "github,kaggle"
SHA256 = "0" * 64


def addresses(what: str, source: str) -> list[str]:
    return [mirror.address for mirror in mirrors_of(what, source, {})]


def test_the_full_set_is_looked_for_on_github_and_then_on_kaggle():
    assert addresses("full", DEFAULT) == [
        "https://github.com/i4Ds/SDOBenchmark/archive/refs/heads/data-full.zip",
        "https://codeload.github.com/i4Ds/SDOBenchmark/zip/refs/heads/data-full",
        "https://www.kaggle.com/api/v1/datasets/download/fhnw-i4ds/sdobenchmark",
    ]


def test_the_example_is_on_github_alone():
    assert addresses("example", DEFAULT) == [
        "https://github.com/i4Ds/SDOBenchmark/archive/refs/heads/data-example.zip",
        "https://codeload.github.com/i4Ds/SDOBenchmark/zip/refs/heads/data-example",
    ]


def test_asking_kaggle_for_the_example_says_who_has_it():
    with pytest.raises(ConfigInvalid, match="Kaggle has only what=full, github has both"):
        mirrors_of("example", "kaggle", {})


def test_names_addresses_and_files_are_tried_in_their_order(tmp_path):
    (tmp_path / "a.zip").touch()
    source = f" http://x.org/a.zip, {tmp_path}/a.zip ,kaggle,"
    found = mirrors_of("full", source, {})
    assert [mirror.name for mirror in found] == [
        "http://x.org/a.zip",
        f"{tmp_path}/a.zip",
        "kaggle",
    ]
    assert [mirror.file is not None for mirror in found] == [False, True, False]
    assert [mirror.published for mirror in found] == [False, False, True]


@pytest.mark.parametrize(
    ("environment", "login"),
    [
        ({"KAGGLE_USERNAME": "someone", "KAGGLE_KEY": "secret"}, ("someone", "secret")),
        ({"KAGGLE_USERNAME": "someone"}, None),
        ({"KAGGLE_USERNAME": "", "KAGGLE_KEY": "secret"}, None),
        ({}, None),
    ],
)
def test_a_kaggle_login_is_taken_when_it_is_whole_and_for_kaggle_alone(environment, login):
    found = mirrors_of("full", f"github,kaggle,{KAGGLE}", environment)
    assert [mirror.login for mirror in found] == [None, None, login, None]
    assert "secret" not in repr(found)


@pytest.mark.parametrize(
    "source", ["githb", "no/such.zip", "ftp://x.org/a.zip", "http://", "http://x:y/a", "file:///a"]
)
def test_a_word_that_is_no_source_is_told_before_anything_is_tried(source):
    with pytest.raises(ConfigInvalid, match="source="):
        mirrors_of("full", f"github,{source}", {})


def test_a_password_within_an_address_is_refused_and_not_repeated():
    with pytest.raises(ConfigInvalid, match=r"~/\.netrc") as raised:
        mirrors_of("full", "https://me:secret@x.org/a.zip", {})
    assert "secret" not in str(raised.value)


def test_no_source_at_all_is_refused():
    with pytest.raises(ConfigInvalid):
        mirrors_of("full", " , ", {})


def test_a_mirror_does_not_show_its_login():
    assert "secret" not in repr(Mirror("kaggle", KAGGLE, login=("someone", "secret")))


@pytest.mark.parametrize(
    ("end", "refused"),
    [("https://x.org/b", False), ("http://x.org/b", True), ("https://y.org/b", False)],
)
def test_a_redirect_that_leaves_encryption_is_refused(end, refused):
    response = requests.Response()
    response.url = end
    if not refused:
        check_origin("https://x.org/a", response)
        return
    with pytest.raises(MirrorFailed, match=r"x\.org without encryption"):
        check_origin("https://x.org/a", response)


@pytest.mark.parametrize(
    ("between", "refused"), [("http://y.org/b", True), ("https://y.org/b", False)]
)
def test_a_redirect_that_leaves_encryption_and_comes_back_is_refused(between, refused):
    first, second, response = requests.Response(), requests.Response(), requests.Response()
    first.url, second.url, response.url = "https://x.org/a", between, "https://x.org/c"
    response.history = [first, second]
    if not refused:
        check_origin("https://x.org/a", response)
        return
    with pytest.raises(MirrorFailed, match=r"y\.org without encryption"):
        check_origin("https://x.org/a", response)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("120", 120.0),
        ("Wed, 01 Jan 2020 00:01:00 GMT", 60.0),
        ("Wed, 01 Jan 2020 00:01:00 -0000", 60.0),
        ("Tue, 31 Dec 2019 23:59:00 GMT", 0.0),
        ("-5", None),
        ("Wed, 21 Oct 99999999999999999999 07:28:00 GMT", None),
        ("Wed, 99999999999999999999 Oct 2015 07:28:00 GMT", None),
        ("Wed, 21 Oct 2015 07:28:00 +99999999999999999999", None),
        ("soon", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_is_read_as_seconds_or_as_a_date(header, seconds):
    assert retry_after_seconds(header, datetime(2020, 1, 1, tzinfo=UTC)) == seconds


def test_what_an_address_gave_first_is_remembered_with_its_date(tmp_path):
    pins = Pins(tmp_path / "checksums.json")
    assert pins.get("http://x.org/a") is None
    entry = {"sha256": SHA256, "bytes": 5, "first_seen": "2018-01-01T00:00:00+00:00"}
    (tmp_path / "checksums.json").write_text(json.dumps({"http://x.org/a": entry}))
    pins.put("http://x.org/a", SHA256, 5)
    pins.put("http://x.org/b", "1" * 64, 6)
    assert pins.get("http://x.org/a") == Pin(**entry)
    assert json.loads((tmp_path / "checksums.json").read_text())["http://x.org/b"]["bytes"] == 6
    assert [path.name for path in tmp_path.iterdir()] == ["checksums.json"]


@pytest.mark.parametrize("text", ["", "[]", "1", '{"a": 1}', '{"a": {"sha256": "x"}}'])
def test_damaged_checksums_are_told_and_not_overwritten(tmp_path, text):
    path = tmp_path / "checksums.json"
    path.write_text(text)
    for use in (lambda: Pins(path).get("a"), lambda: Pins(path).put("a", SHA256, 1)):
        with pytest.raises(DatasetInvalid, match="put it right, or delete it"):
            use()
    assert path.read_text() == text


def test_room_is_measured_where_the_folder_is_going_to_be(tmp_path, monkeypatch):
    asked = []

    def usage(place):
        asked.append(place)
        return SimpleNamespace(free=SPARE_BYTES + 1000)

    monkeypatch.setattr("shutil.disk_usage", usage)
    require_space(tmp_path / "not/yet", 1000, "it")
    with pytest.raises(
        DiskTooSmall, match=r"it takes about 1\.00 kB and .* has .* free; make room"
    ):
        require_space(tmp_path / "not/yet", 1001, "it")
    assert asked == [tmp_path, tmp_path]


@pytest.mark.parametrize(
    ("n_bytes", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (1000, "1.00 kB"), (4_100_000_000, "4.10 GB")],
)
def test_sizes_are_written_as_people_say_them(n_bytes, text):
    assert size_text(n_bytes) == text
