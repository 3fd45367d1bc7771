"""From mirrors to a dataset in its folder: never a half-made one, and every failure is named."""

import hashlib
import json
import logging
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from entrypoints.download import show_downloaded
from flare.config import DownloadConfig
from flare.datasets.download import dataset as dataset_module
from flare.datasets.download.dataset import Downloaded, archive_name, download
from flare.datasets.download.sources import Mirror
from flare.datasets.sdobenchmark.census import take_census
from flare.datasets.sdobenchmark.fingerprint import content_fingerprint
from flare.datasets.sdobenchmark.labels import dataset_identity
from flare.errors import (
    ArchiveInvalid,
    ConfigInvalid,
    DatasetInvalid,
    DiskTooSmall,
    DownloadFailed,
    PlaceInUse,
)
from flare.files import locked

from archive_server import Served, Status, redirect
from archives_of_all_kinds import archive_of, archive_of_folder, zip_of
from tiny import write_tiny_dataset
from workplace import tree

#: Intact archives: one of something else, and one of a dataset whose table cannot be read.
WRONG = zip_of({"README.md": b"moved"})
UNREADABLE = zip_of({"a/training/meta_data.csv": b"id,start\n1,2\n", "a/training/1/2/x.jpg": b"x"})


@pytest.fixture(scope="session")
def small(tmp_path_factory) -> Path:
    """A dataset of two samples."""
    folder = tmp_path_factory.mktemp("small") / "data"
    return write_tiny_dataset(folder, training_regions=1, test_regions=1, samples_per_region=1)


@pytest.fixture(scope="session")
def archive(tmp_path_factory, small) -> Path:
    """The small dataset as an archive, nested as it may be on Kaggle."""
    path = tmp_path_factory.mktemp("archives") / "full.zip"
    return archive_of_folder(path, "zip", small, prefix="SDOBenchmark-data-full/SDOBenchmark/")


@pytest.fixture(scope="session")
def content(archive) -> bytes:
    return archive.read_bytes()


@pytest.fixture(scope="session")
def other_content(tmp_path_factory) -> bytes:
    """Another dataset than `content`."""
    folder = tmp_path_factory.mktemp("other")
    other = write_tiny_dataset(
        folder / "data", training_regions=1, test_regions=1, samples_per_region=1, seed=5
    )
    return archive_of_folder(folder / "zip", "zip", other, prefix="").read_bytes()


@pytest.fixture
def get(tmp_path, monkeypatch):
    """Return a function that downloads from addresses and files to ``data/raw``."""
    monkeypatch.setattr("flare.datasets.download.transfer.sleep", lambda _seconds: None)

    def run(*sources: str | Path, mirrors=(), **more) -> Downloaded:
        options = {"what": "full", "dest": tmp_path / "data/raw", "processes": 1, "attempts": 2}
        config = DownloadConfig(**options | {"timeout": 5.0} | more)
        files = [one if isinstance(one, Path) else None for one in sources]
        return download(config, mirrors or list(map(Mirror, map(str, sources), files)))

    return run


@pytest.fixture
def data(tmp_path) -> Path:
    return tmp_path / "data"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_an_archive_becomes_a_dataset_with_a_record_of_where_it_came_from(
    server, get, data, content, small, capsys
):
    url = server.tell("/full", redirect(server.address("/moved")))
    server.tell("/moved", Served(content))
    downloaded = get(url)
    assert names(data) == ["checksums.json", "raw"]
    assert names(data / "raw") == ["dataset.json", "test", "training"]
    assert dataset_identity(data / "raw").name == "sdobenchmark-full"
    assert downloaded.fresh
    assert downloaded.census.as_dict() == take_census(data / "raw", processes=1).as_dict()
    record = json.loads((data / "raw/dataset.json").read_text())
    assert record == downloaded.record.model_dump()
    assert record["name"] == "sdobenchmark-full"
    assert record["synthetic"] is False
    assert (record["source"], record["bytes"]) == (url, len(content))
    assert record["sha256"] == sha256(content)
    fingerprints = {content_fingerprint(folder) for folder in (small, data / "raw")}
    assert fingerprints == {record["fingerprint"]}
    assert record["downloaded_at"].endswith("+00:00")
    assert record["census"]["splits"]["training"]["counts"]["samples"] == 1
    assert record["census"]["splits"]["training"]["published"]["samples"] == 8336
    show_downloaded(downloaded)
    assert "CAUTION: what=full" in capsys.readouterr().out


def test_a_synthetic_dataset_from_an_archive_stays_synthetic(get, data, tmp_path, small, capsys):
    made = shutil.copytree(small, tmp_path / "made")
    for split, first in (("training", "30001"), ("test", "90001")):
        table = made / split / "meta_data.csv"
        region = "11000" if split == "training" else "12000"
        table.write_text(table.read_text().replace(region, first))
        (made / split / region).rename(made / split / first)
    downloaded = get(archive_of_folder(tmp_path / "a.zip", "zip", made, prefix=""))
    assert downloaded.record.synthetic
    assert downloaded.census.synthetic
    assert dataset_identity(data / "raw").synthetic
    show_downloaded(downloaded)
    assert "SYNTHETIC" in capsys.readouterr().out


def test_the_next_mirror_is_tried_and_the_run_says_why(
    server, get, data, content, caplog, tmp_path
):
    caplog.set_level(logging.INFO, "flare")
    hostile = zip_of({"../training/a.csv": b"x"})
    gone, bad = server.tell("/gone", Status(404)), server.tell("/bad", Served(hostile))
    here = server.tell("/here", Served(content))
    assert get(gone, bad, here).record.source == here
    assert not (tmp_path / "training").exists()
    assert f"{gone}: the server answered 404 Not Found; trying the next mirror" in caplog.text
    assert names(data) == ["checksums.json", "raw"]


def test_every_mirror_that_failed_is_named_with_its_reason(server, get, data):
    addresses = [server.tell("/a", Status(404)), server.tell("/b", Status(500))]
    addresses.append(server.tell("/c", Served(b"no archive")))
    with pytest.raises(DownloadFailed) as raised:
        get(*addresses)
    message = str(raised.value)
    assert "\n" not in message
    assert f"{addresses[0]}: the server answered 404 Not Found" in message
    assert f"{addresses[1]}: the server answered 500 Internal Server Error (2 attempts)" in message
    assert f"{addresses[2]}: this archive is unsafe or damaged: it is not a zip, tar" in message
    assert "pass -P source=FILE" in message


def test_the_next_run_resumes_one_that_was_cut_off(server, get, data, content):
    url = server.tell("/full", Served(content, stop_after=50_000), Status(404))
    with pytest.raises(DownloadFailed, match="404 Not Found; run it again to resume"):
        get(url)
    server.tell("/full", Served(content))
    get(url)
    assert server.ranges[-1] == "bytes=50000-"
    assert server.sent[-1] == len(content) - 50_000
    assert names(data) == ["checksums.json", "raw"]


def test_ctrl_c_while_unpacking_keeps_the_archive_and_nothing_else(
    server, get, data, content, monkeypatch
):
    url = server.tell("/full", Served(content))

    def interrupt(*_given, **_more):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(dataset_module, "take_census", interrupt)
        with pytest.raises(KeyboardInterrupt):
            get(url)
    assert names(data) == [".raw.download"]
    assert names(data / ".raw.download") == [archive_name(url)]
    left = data / ".raw.download/unpacked.partial/training"  # of a run that was killed
    left.mkdir(parents=True)
    (left / "stray.csv").write_text("stray")
    get(url)
    assert len(server.seen) == 1
    assert names(data) == ["checksums.json", "raw"]
    assert not (data / "raw/training/stray.csv").exists()


def test_a_dataset_that_is_there_is_verified_and_not_transferred_again(server, get, data, content):
    url = server.tell("/full", Served(content))
    (data / "raw").mkdir(parents=True)  # an empty folder may be dest
    first, before = get(url), tree(data)
    again = get(url)
    assert len(server.seen) == 1
    assert tree(data) == before
    assert not again.fresh
    assert again.record == first.record
    next((data / "raw/training").rglob("*.jpg")).unlink()
    with pytest.raises(DatasetInvalid, match=r"has changed since .* delete the folder"):
        get(url)


@pytest.mark.parametrize("record", [None, "[]", '{"name": "tiny", "synthetic": true}'])
def test_a_folder_of_something_else_is_refused_and_left_alone(server, get, data, content, record):
    (data / "raw").mkdir(parents=True)
    (data / "raw/mine.txt").write_text("mine")
    if record is not None:
        (data / "raw/dataset.json").write_text(record)
    before = tree(data)
    with pytest.raises(DatasetInvalid, match="exists and was not downloaded"):
        get(server.tell("/full", Served(content)))
    assert tree(data) == before
    assert server.seen == []


def test_the_full_set_does_not_replace_the_example(server, get, content):
    url = server.tell("/x", Served(content))
    get(url, what="example")
    with pytest.raises(DatasetInvalid, match="holds sdobenchmark-example, not sdobenchmark-full"):
        get(url)


@pytest.mark.parametrize("name", ["", ".", "..", "/", "link"])
def test_a_dest_without_a_name_or_a_link_is_refused(get, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    Path("link").symlink_to(tmp_path)
    with pytest.raises(ConfigInvalid, match="dest="):
        get("http://127.0.0.1:9/a", dest=Path(name))


def test_two_downloads_to_one_folder_are_refused(get, data):
    data.mkdir()
    refused = pytest.raises(PlaceInUse, match="another download")
    with locked(data / ".raw.download.lock"), refused:
        get("http://127.0.0.1:9/a")


def test_a_wrong_sha256_deletes_the_archive_and_the_next_try_is_fresh(
    server, get, data, content, other_content
):
    url = server.tell("/full", Served(other_content), Served(content))
    with pytest.raises(DownloadFailed, match=f"{sha256(other_content)} and not {sha256(content)}"):
        get(url, sha256=sha256(content))
    assert names(data) == []
    get(url, sha256=sha256(content))
    assert server.ranges == [None, None]


def test_other_bytes_from_the_same_address_are_refused_until_their_sha256_is_passed(
    server, get, data, content, other_content
):
    url = server.tell("/full", Served(content), Served(other_content))
    get(url)
    shutil.rmtree(data / "raw")
    with pytest.raises(DownloadFailed, match="it sent other bytes") as raised:
        get(url)
    assert f"pass -P sha256={sha256(other_content)}" in str(raised.value)
    assert not (data / "raw").exists()
    assert json.loads((data / "checksums.json").read_text())[url]["sha256"] == sha256(content)
    get(url, sha256=sha256(other_content))
    assert json.loads((data / "checksums.json").read_text())[url]["sha256"] == sha256(other_content)


@pytest.mark.parametrize("wrong", ["cut", "no dataset"])
def test_an_archive_that_does_not_unpack_is_deleted_and_requested_again(
    server, get, data, content, wrong
):
    bad = Served(content[:-9], chunked=True) if wrong == "cut" else Served(WRONG)
    url = server.tell("/full", bad, Served(content))
    with pytest.raises(ArchiveInvalid if wrong == "cut" else DatasetInvalid, match="it is deleted"):
        get(url)
    assert names(data) == []
    assert get(url).fresh


@pytest.mark.parametrize(
    ("sent", "keep", "words"),
    [
        (WRONG, True, "it holds no table or image"),
        (UNREADABLE, False, "cannot be read: training/meta_data.csv"),
    ],
)
def test_an_archive_that_stays_is_named_with_how_to_discard_it(
    server, get, data, content, sent, keep, words
):
    url = server.tell("/full", Served(sent), Served(content))
    archive = data / ".raw.download" / archive_name(url)
    with pytest.raises(DatasetInvalid, match=words) as raised:
        get(url, keep_archive=keep)
    assert "unpacked.partial" not in str(raised.value)
    assert f"stays as {archive} (delete it to ask the server again" in str(raised.value)
    assert archive.read_bytes() == sent
    archive.unlink()
    assert get(url).fresh
    assert json.loads((data / "checksums.json").read_text())[url]["sha256"] == sha256(content)


def test_the_archive_stays_when_asked_and_serves_again_without_a_transfer(
    server, get, data, content
):
    url = server.tell("/full", Served(content))
    downloaded = get(url, keep_archive=True)
    assert downloaded.archive is not None
    assert downloaded.archive.read_bytes() == content
    shutil.rmtree(data / "raw")
    get(url)
    assert len(server.seen) == 1
    assert names(data) == ["checksums.json", "raw"]


def test_a_damaged_list_of_checksums_is_an_error_before_any_transfer(server, get, data, content):
    data.mkdir(exist_ok=True)
    (data / "checksums.json").write_text("{")
    with pytest.raises(DatasetInvalid, match="is not a list of checksums"):
        get(server.tell("/full", Served(content)))
    assert server.seen == []


def test_a_local_archive_goes_through_the_same_and_is_never_deleted(get, data, archive, content):
    downloaded = get(archive)
    assert archive.read_bytes() == content
    assert downloaded.record.source == str(archive)
    assert downloaded.archive is None
    assert names(data) == ["raw"]


@pytest.mark.parametrize("wrong", ["hostile", "cut", "sha256", "no dataset"])
def test_a_bad_local_archive_is_one_line_and_stays(get, data, tmp_path, content, wrong):
    file = tmp_path / "mine.zip"
    file.write_bytes(content[:-100])
    if wrong == "hostile":
        archive_of(file, "zip", {"training/../../a.csv": b"x"})
    elif wrong == "no dataset":
        file.write_bytes(WRONG)
    before = file.read_bytes()
    with pytest.raises(DatasetInvalid) as raised:
        get(file, sha256="0" * 64 if wrong == "sha256" else "")
    assert str(file) in str(raised.value)
    assert "\n" not in str(raised.value)
    assert "deleted" not in str(raised.value)
    assert file.read_bytes() == before
    assert not (data / "raw").exists()


def test_too_small_a_disk_is_reported_before_a_known_mirror_is_asked(get, data, monkeypatch):
    free = SimpleNamespace(free=8_000_000_000)
    monkeypatch.setattr("shutil.disk_usage", lambda _place: free)
    known = Mirror("http://127.0.0.1:9/full", published=True)
    with pytest.raises(DiskTooSmall, match=r"takes 9\.00 GB and .* has 8\.00 GB free"):
        get(mirrors=[known])
