"""Names, addresses and files become mirrors; the checksums of addresses are recorded."""

import json
from types import SimpleNamespace

import pytest

from flare.datasets.download.records import Checksums
from flare.datasets.download.sources import KAGGLE, mirrors_of
from flare.errors import ConfigInvalid, DatasetInvalid, DiskTooSmall
from flare.files import SPARE_BYTES, require_space, size_text

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


def test_kaggle_for_the_example_is_refused_with_the_alternative():
    with pytest.raises(ConfigInvalid, match="Kaggle has only what=full, github has both"):
        mirrors_of("example", "kaggle", {})


def test_names_addresses_and_files_are_tried_in_their_order(tmp_path):
    (tmp_path / "a.zip").touch()
    source = f" http://x.org/a.zip, {tmp_path}/a.zip ,kaggle,"
    mirrors = mirrors_of("full", source, {})
    assert [mirror.name for mirror in mirrors] == [
        "http://x.org/a.zip",
        f"{tmp_path}/a.zip",
        "kaggle",
    ]
    assert [mirror.file is not None for mirror in mirrors] == [False, True, False]
    assert [mirror.published for mirror in mirrors] == [False, False, True]


@pytest.mark.parametrize(
    ("environment", "login"),
    [
        ({"KAGGLE_USERNAME": "someone", "KAGGLE_KEY": "secret"}, ("someone", "secret")),
        ({"KAGGLE_USERNAME": "someone"}, None),
        ({"KAGGLE_USERNAME": "", "KAGGLE_KEY": "secret"}, None),
        ({}, None),
    ],
)
def test_a_complete_kaggle_login_is_for_kaggle_alone_and_does_not_show(environment, login):
    mirrors = mirrors_of("full", f"github,kaggle,{KAGGLE}", environment)
    assert [mirror.login for mirror in mirrors] == [None, None, login, None]
    assert "secret" not in repr(mirrors)


@pytest.mark.parametrize(
    "source", ["githb", "no/such.zip", "ftp://x.org/a.zip", "http://", "http://x:y/a"]
)
def test_an_unknown_source_is_refused_before_anything_is_tried(source):
    with pytest.raises(ConfigInvalid, match="source="):
        mirrors_of("full", f"github,{source}", {})


def test_a_password_within_an_address_is_refused_and_not_repeated():
    with pytest.raises(ConfigInvalid, match=r"~/\.netrc") as raised:
        mirrors_of("full", "https://me:secret@x.org/a.zip", {})
    assert "secret" not in str(raised.value)


def test_no_source_at_all_is_refused():
    with pytest.raises(ConfigInvalid):
        mirrors_of("full", " , ", {})


def test_the_first_checksum_of_an_address_is_recorded_with_its_date(tmp_path):
    checksums = Checksums(tmp_path / "checksums.json")
    assert checksums.get("http://x.org/a") is None
    entry = {"sha256": SHA256, "bytes": 5, "first_seen": "2018-01-01T00:00:00+00:00"}
    (tmp_path / "checksums.json").write_text(json.dumps({"http://x.org/a": entry}))
    checksums.put("http://x.org/a", SHA256, 5)
    checksums.put("http://x.org/b", "1" * 64, 6)
    assert checksums.get("http://x.org/a") == entry
    assert json.loads((tmp_path / "checksums.json").read_text())["http://x.org/b"]["bytes"] == 6
    assert [path.name for path in tmp_path.iterdir()] == ["checksums.json"]


@pytest.mark.parametrize("text", ["", "[]", "1", '{"a": 1}', '{"a": {"sha256": "x"}}'])
def test_damaged_checksums_are_reported_and_not_overwritten(tmp_path, text):
    path = tmp_path / "checksums.json"
    path.write_text(text)
    for use in (lambda: Checksums(path).get("a"), lambda: Checksums(path).put("a", SHA256, 1)):
        with pytest.raises(DatasetInvalid, match="correct it, or delete it"):
            use()
    assert path.read_text() == text


def test_free_space_is_measured_where_the_folder_will_be(tmp_path, monkeypatch):
    places = []

    def usage(place):
        places.append(place)
        return SimpleNamespace(free=SPARE_BYTES + 1000)

    monkeypatch.setattr("shutil.disk_usage", usage)
    require_space(tmp_path / "not/yet", 1000, "it", instead="")
    with pytest.raises(
        DiskTooSmall, match=r"it takes 1\.00 kB and .* has .* free; make room, or wait"
    ):
        require_space(tmp_path / "not/yet", 1001, "it", instead="or wait")
    assert places == [tmp_path, tmp_path]


@pytest.mark.parametrize(
    ("n_bytes", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (1000, "1.00 kB"), (4_100_000_000, "4.10 GB")],
)
def test_sizes_are_written_with_a_unit(n_bytes, text):
    assert size_text(n_bytes) == text
