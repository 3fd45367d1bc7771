"""Files and folders appear whole or not at all, one process at a time."""

import hashlib
import multiprocessing
import os
from pathlib import Path

import pytest

from flare.errors import ConfigInvalid, DiskTooSmall, PlaceInUse
from flare.files import (
    atomic_file,
    atomic_folder,
    check_folder,
    combine_digests,
    digest,
    digest_of_file,
    locked,
    require_space,
    write_atomically,
)


def fail_after(path: Path, error: type[BaseException]) -> None:
    path.write_text("half")
    raise error


def test_a_file_replaces_an_older_one_and_its_folders_are_made(tmp_path):
    path = tmp_path / "new" / "folder" / "a.txt"
    write_atomically(path, "one")
    write_atomically(path, b"two")
    assert path.read_text() == "two"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
@pytest.mark.parametrize("durable", [False, True])
def test_an_error_leaves_the_older_file_and_nothing_else(tmp_path, error, durable):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(error), atomic_file(path, durable=durable) as partial:
        fail_after(partial, error)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_appears_when_the_block_ends_and_replaces_an_older_one(tmp_path):
    dest = tmp_path / "parent" / "set"
    for name in ("old", "new"):
        with atomic_folder(dest) as folder:
            (folder / name).touch()
            assert (dest / "old").exists() == (name == "new")
            assert folder.parent == dest.parent
    assert [path.name for path in dest.iterdir()] == ["new"]
    assert list(dest.parent.iterdir()) == [dest]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_error_leaves_the_older_folder_and_nothing_else(tmp_path, error):
    dest = tmp_path / "set"
    dest.mkdir()
    (dest / "old").touch()
    with pytest.raises(error), atomic_folder(dest) as folder:
        fail_after(folder / "new", error)
    assert [path.name for path in dest.iterdir()] == ["old"]
    assert list(tmp_path.iterdir()) == [dest]


def _write_and_die(dest: Path) -> None:
    with atomic_folder(dest) as folder:
        (folder / "half").touch()
        os._exit(9)


def test_what_a_killed_process_left_is_deleted_by_the_next(tmp_path):
    dest = tmp_path / "set"
    process = multiprocessing.get_context("spawn").Process(target=_write_and_die, args=(dest,))
    process.start()
    process.join()
    assert process.exitcode == 9
    assert [path.name for path in tmp_path.glob("*")] != []
    assert not dest.exists()
    with atomic_folder(dest) as folder:
        (folder / "whole").touch()
    assert [path.name for path in dest.iterdir()] == ["whole"]
    assert list(tmp_path.iterdir()) == [dest]


def test_a_second_writer_of_a_folder_is_refused(tmp_path):
    with atomic_folder(tmp_path / "set"):
        second = atomic_folder(tmp_path / "set")
        with pytest.raises(PlaceInUse, match=r"another process is writing .*set; wait"), second:
            pass
    assert (tmp_path / "set").is_dir()


def test_a_lock_is_free_again_after_an_error(tmp_path):
    lock = tmp_path / "lock"
    for _ in range(2):
        with pytest.raises(RuntimeError), locked(lock, busy="held"):
            raise RuntimeError
    assert not lock.exists()


def _count(lock: Path, counter: Path) -> None:
    for _ in range(20):
        with locked(lock):
            counter.write_text(str(int(counter.read_text()) + 1))


def test_of_several_processes_that_wait_one_at_a_time_goes_on(tmp_path):
    counter = tmp_path / "counter"
    counter.write_text("0")
    context = multiprocessing.get_context("fork")
    processes = [
        context.Process(target=_count, args=(tmp_path / "lock", counter)) for _ in range(3)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert counter.read_text() == "60"


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigInvalid, match=r"output=.*file is not a folder .*; give another"):
        check_folder(tmp_path / "file" / "below", "output")
    check_folder(tmp_path / "new" / "below", "output")


def test_a_disk_that_is_too_small_is_named_before_anything_is_written(tmp_path):
    with pytest.raises(DiskTooSmall, match=r"the set takes 1000000000\.00 GB and .* make room, or"):
        require_space(tmp_path / "new", 10**18, "the set", instead="or give another folder")
    require_space(tmp_path / "new", 1, "the set", instead="or give another folder")
    assert list(tmp_path.iterdir()) == []


def test_digests_are_those_of_sha256sum(tmp_path):
    (tmp_path / "a").write_bytes(b"one two")
    assert digest(b"one", b" two") == digest_of_file(tmp_path / "a")
    names = {"b": digest(b"2"), "a": digest(b"1")}
    lines = f"{names['a']}  a\n{names['b']}  b\n".encode()
    assert combine_digests(names) == hashlib.sha256(lines).hexdigest()
