"""Intact archives are unpacked whole; hostile and damaged ones are one line and do no harm."""

import io
import os
import stat
import tarfile
import zipfile
from types import SimpleNamespace

import pytest

from flare.datasets.download.unpack import Limits, Unpacked, unpack
from flare.errors import DatasetInvalid, DiskTooSmall
from flare.files import SPARE_BYTES

from archives_of_all_kinds import FILES, IMAGE, KINDS, add_to_tar, archive_of, contents, zip_info

WANTED = {
    name.removeprefix("SDO-full/"): data for name, data in FILES.items() if "READ" not in name
}
SMALL_RATIO = Limits(ratio_from=1_000_000)


@pytest.mark.parametrize("kind", KINDS)
def test_only_tables_images_and_texts_of_the_splits_come_out(tmp_path, kind):
    others = ["a.py", "b.exe", "c.sh", "d", "e.jpg.exe", ".hidden.csv", "__MACOSX/f.csv"]
    entries = {f"a/b/{name}": data for name, data in FILES.items()}
    entries |= {f"a/b/SDO-full/training/{name}": b"no" for name in others}
    entries |= {"a/b/SDO-full/test/g.PNG": b"yes", "a/b/SDO-full/test/h.txt": b"yes", "i.csv": b"n"}
    wanted = WANTED | {"test/g.PNG": b"yes", "test/h.txt": b"yes"}
    reports = []
    (tmp_path / "out").mkdir()
    archive = archive_of(tmp_path / "a", kind, entries)
    done = unpack(archive, tmp_path / "out", report=lambda *one: reports.append(one))
    assert contents(tmp_path / "out") == wanted
    assert done == Unpacked(5, sum(map(len, wanted.values())), ignored=9)
    assert reports == [(n, 5) for n in range(6)]


@pytest.mark.parametrize("prefix", ["", "./", "a/b/c/", "training/"])
def test_the_root_may_be_nested_as_on_kaggle(tmp_path, unpacked, prefix):
    entries = {f"{prefix}{name}": data for name, data in WANTED.items() if "test" not in name}
    written = unpacked(archive_of(tmp_path / "a", "zip", entries))
    assert written
    assert written.items() <= WANTED.items()


@pytest.mark.parametrize("root", ["./", "a/b/c/"])
@pytest.mark.parametrize("last", [False, True])
def test_tables_next_to_the_split_folders_come_out(tmp_path, unpacked, root, last):
    tables = {"training.csv": b"one", "train.csv": b"two", "test.csv": b"three"}
    wanted = WANTED | tables if last else tables | WANTED
    entries = {f"{root}{name}": data for name, data in wanted.items()}
    assert unpacked(archive_of(tmp_path / "a", "zip", entries)) == wanted


def test_tables_of_these_names_in_other_folders_are_left_out(tmp_path, unpacked):
    others = ["docs/test.csv", "SDO-full/code/test.csv", "SDO-full/.x/test.csv"]
    entries = dict.fromkeys(others, b"no") | FILES | {"SDO-full/test.csv": b"yes"}
    assert unpacked(archive_of(tmp_path / "a", "zip", entries)) == WANTED | {"test.csv": b"yes"}


def test_an_odd_name_of_a_file_that_is_left_out_does_no_harm(tmp_path, unpacked):
    odd = dict.fromkeys(["SDO-full/training/~$meta_data.xlsx", "SDO-full/test/a[1] & é.doc"], b"no")
    assert unpacked(archive_of(tmp_path / "a", "zip", FILES | odd)) == WANTED


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_permissions_of_the_archive_are_not_copied(tmp_path, unpacked, kind):
    path = tmp_path / "a"
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as file:
            file.writestr(zip_info(IMAGE, 0o106777), b"x")
    else:
        with tarfile.open(path, "w") as tar:
            info = tarfile.TarInfo(IMAGE)
            info.mode, info.size = 0o6777, 1
            tar.addfile(info, io.BytesIO(b"x"))
    unpacked(path)
    mode = (tmp_path / "out/here" / IMAGE).stat().st_mode
    assert not mode & (stat.S_ISUID | stat.S_ISGID | stat.S_IXUSR)


@pytest.mark.parametrize("kind", ["zip", "tar"])
@pytest.mark.parametrize(
    "name",
    [
        "/etc/training/a.csv",
        "//host/training/a.csv",
        "../training/a.csv",
        "training/../../a.csv",
        "training/..",
        "C:/training/a.csv",
        "c:training/a.csv",
        "training/C:/a.csv",
        "training\\a.csv",
        "training/..\\..\\a.csv",
        "\\\\host\\training\\a.csv",
        "training/a\nb.csv",
        "training/a\x1b[2Jb.csv",
        "training/é.csv",  # two names on some file systems, one on others
        "training/" + "a" * 300 + ".csv",
        "training/" + "a/" * 20 + "b.csv",
        "/etc/passwd",
        "../../.bashrc",
        "docs/../../x",
    ],
)
def test_a_name_that_leads_elsewhere_refuses_the_archive(tmp_path, refused, kind, name):
    message = refused(archive_of(tmp_path / "a", kind, {**FILES, name: b"harm"}))
    assert repr(name) in message


def test_a_name_with_a_zero_byte_is_refused(tmp_path, refused):
    archive = archive_of(tmp_path / "a", "zip", {**FILES, "training/a.csvQ.exe": b"harm"})
    archive.write_bytes(archive.read_bytes().replace(b"a.csvQ", b"a.csv\0"))
    refused(archive)


@pytest.mark.parametrize(
    "second",
    [
        ["SDO-full/training/meta_data.csv"],
        ["SDO-full/training/META_DATA.CSV"],
        ["other/training/meta_data.csv"],
        ["SDO-full/training/meta_data.csv/a.csv"],
        ["SDO-full/training/./meta_data.csv"],
        ["training/a.csv/b.csv", "training/a.csv"],
        ["SDO-full/train.csv", "SDO-full/./train.csv"],
        ["SDO-full/train.csv", "other/train.csv", "other/test/a.csv"],
    ],
)
@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_a_second_file_of_one_place_is_refused(tmp_path, refused, kind, second):
    entries = [*FILES.items(), *((name, b"another") for name in second)]
    assert "would overwrite" in refused(archive_of(tmp_path / "a", kind, entries))


@pytest.mark.parametrize("mode", [0o120777, 0o060644, 0o020644, 0o010644, 0o140644])
def test_a_link_or_device_in_a_zip_is_refused(tmp_path, refused, mode):
    path = archive_of(tmp_path / "a", "zip")
    with zipfile.ZipFile(path, "a") as file:
        file.writestr(zip_info("SDO-full/training/link.csv", mode), b"/etc/passwd")
    assert "not a file" in refused(path)


@pytest.mark.parametrize("name", ["SDO-full/training/link.csv", "SDO-full/training", "training"])
@pytest.mark.parametrize(
    "what",
    [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE,
     tarfile.CONTTYPE, tarfile.GNUTYPE_SPARSE],
)  # fmt: skip
def test_a_link_or_device_in_a_tar_is_refused(tmp_path, refused, name, what):
    with tarfile.open(tmp_path / "a", "w") as tar:
        add_to_tar(tar, name, kind=what, target="/etc/passwd")
        add_to_tar(tar, IMAGE, b"x")
    refused(tmp_path / "a")


def test_a_link_outside_of_the_splits_is_left_out_and_not_followed(tmp_path, unpacked):
    away = tmp_path / "away"
    away.mkdir()
    with tarfile.open(tmp_path / "a", "w:gz") as tar:
        add_to_tar(tar, "root", kind=tarfile.SYMTYPE, target=str(away))
        add_to_tar(tar, f"root/{IMAGE}", b"x")
    assert unpacked(tmp_path / "a") == {IMAGE: b"x"}
    assert list(away.iterdir()) == []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("limits", "says"),
    [
        (Limits(members=3), "more than 3 members"),
        (Limits(total_bytes=60_000), "more than"),
        (Limits(file_bytes=20), "at most 20 bytes"),
    ],
)
def test_an_archive_beyond_a_limit_is_refused(tmp_path, refused, kind, limits, says):
    big = {"SDO-full/test/big.txt": os.urandom(70_000)} if limits.total_bytes == 60_000 else {}
    assert says in refused(archive_of(tmp_path / "a", kind, FILES | big), limits=limits)


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
@pytest.mark.parametrize("n_files", [1, 30])
def test_a_bomb_is_refused_by_its_ratio(tmp_path, refused, kind, n_files):
    bomb = {f"training/{n}.txt": bytes(3_000_000 // n_files) for n in range(n_files)}
    refused(archive_of(tmp_path / "a", kind, FILES | bomb), limits=SMALL_RATIO)
    assert contents(tmp_path / "out") == {}


def test_a_bomb_that_nobody_would_unpack_is_refused_while_it_is_skipped(tmp_path, refused):
    bomb = archive_of(tmp_path / "a", "tar.gz", {"bomb.bin": bytes(3_000_000), **FILES})
    assert "unpacks to more than 1.00 MB" in refused(bomb, limits=SMALL_RATIO)


def test_an_intact_archive_without_a_dataset_says_so(tmp_path, refused):
    archive = archive_of(tmp_path / "a", "zip", {"README.md": b"x", "a/train.csv": b"x"})
    message = refused(archive, DatasetInvalid)
    assert message == "it holds no table or image in a folder training or test"


def test_too_small_a_disk_is_reported_before_anything_is_written(tmp_path, refused, monkeypatch):
    free = SimpleNamespace(free=SPARE_BYTES + 8192)
    monkeypatch.setattr("shutil.disk_usage", lambda _place: free)
    message = refused(archive_of(tmp_path / "a", "zip"), DiskTooSmall)
    assert "unpacking takes 12.29 kB" in message
    assert contents(tmp_path / "out") == {}
