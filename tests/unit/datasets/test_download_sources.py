"""Names, addresses and files become mirrors; the checksums of addresses are recorded."""

import json

import pytest

from flare.datasets.download.sources import KAGGLE, Checksums, mirrors_of
from flare.errors import ConfigInvalid, DatasetInvalid

GITHUB = [
    "https://github.com/i4Ds/SDOBenchmark/archive/refs/heads/data-{}.zip",
    "https://codeload.github.com/i4Ds/SDOBenchmark/zip/refs/heads/data-{}",
]


@pytest.mark.parametrize(("what", "others"), [("full", [KAGGLE]), ("example", [])])
def test_both_sets_are_on_github_and_the_full_one_on_kaggle_too(what, others):
    addresses = [mirror.address for mirror in mirrors_of(what, "github,kaggle", {})]
    assert addresses == [*(address.format(what) for address in GITHUB), *others]


def test_names_addresses_and_files_are_tried_in_their_order(tmp_path):
    (tmp_path / "a.zip").touch()
    mirrors = mirrors_of("full", f" http://x.org/a.zip, {tmp_path}/a.zip ,kaggle,", {})
    addresses = ["http://x.org/a.zip", f"{tmp_path}/a.zip", KAGGLE]
    assert [mirror.address for mirror in mirrors] == addresses
    assert [mirror.file is not None for mirror in mirrors] == [False, True, False]
    assert [mirror.published for mirror in mirrors] == [False, False, True]


@pytest.mark.parametrize(
    ("environment", "login"),
    [
        ({"KAGGLE_USERNAME": "someone", "KAGGLE_KEY": "secret"}, ("someone", "secret")),
        ({"KAGGLE_USERNAME": "someone"}, None),
        ({"KAGGLE_USERNAME": "", "KAGGLE_KEY": "secret"}, None),
    ],
)
def test_a_complete_kaggle_login_is_for_kaggle_alone_and_does_not_show(environment, login):
    mirrors = mirrors_of("full", f"github,kaggle,{KAGGLE}", environment)
    assert [mirror.login for mirror in mirrors] == [None, None, login, None]
    assert "secret" not in repr(mirrors)


@pytest.mark.parametrize(
    ("what", "source", "says"),
    [
        ("example", "kaggle", "Kaggle has only what=full, github has both"),
        ("full", " , ", "source="),
        ("full", "github,githb", "source=githb: choose from github, kaggle"),
        ("full", "no/such.zip", "source=no/such.zip"),
        ("full", "ftp://x.org/a.zip", "is not an address"),
        ("full", "http://", "is not an address"),
        ("full", "http://x:y/a", "is not an address"),
        ("full", "https://me:secret@x.org/a.zip", "~/.netrc"),
    ],
)
def test_an_unusable_source_is_refused_before_anything_is_tried(what, source, says):
    with pytest.raises(ConfigInvalid) as raised:
        mirrors_of(what, source, {})
    assert says in str(raised.value)
    assert "secret" not in str(raised.value)


def test_the_first_checksum_of_an_address_is_recorded_with_its_date(tmp_path):
    path = tmp_path / "checksums.json"
    checksums = Checksums(path)
    assert checksums.get("http://x.org/a") is None
    entry = {"sha256": "0" * 64, "bytes": 5, "first_seen": "2018-01-01T00:00:00+00:00"}
    path.write_text(json.dumps({"http://x.org/a": entry}))
    checksums.put("http://x.org/a", "0" * 64, 5)
    checksums.put("http://x.org/b", "1" * 64, 6)
    assert checksums.get("http://x.org/a") == entry
    assert json.loads(path.read_text())["http://x.org/b"]["bytes"] == 6
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("text", ["", "[]", "1", '{"a": 1}', '{"a": {"sha256": "x"}}'])
def test_damaged_checksums_are_reported_and_not_overwritten(tmp_path, text):
    path = tmp_path / "checksums.json"
    path.write_text(text)
    for use in (lambda: Checksums(path).get("a"), lambda: Checksums(path).put("a", "0" * 64, 1)):
        with pytest.raises(DatasetInvalid, match="correct it, or delete it"):
            use()
    assert path.read_text() == text
