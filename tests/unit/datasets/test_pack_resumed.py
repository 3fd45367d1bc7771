"""A pack that was interrupted goes on where it was, and is the same byte by byte in the end."""

import json
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from flare.datasets.pack import writer
from flare.datasets.pack.reader import Pack, open_pack, verify_pack
from flare.datasets.pack.storage import BULK
from flare.datasets.pack.unfinished import workshop_of
from flare.datasets.pack.writer import pack
from flare.errors import DatasetInvalid, DiskTooSmall, PlaceInUse
from flare.files import locked

from tiny import copy_without_packs

ROOT = Path(__file__).parents[3]
STORAGES = ("raw", "jpeg")


@pytest.fixture(scope="module", params=STORAGES)
def whole(request, tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Pack:
    """A pack that nothing interrupted."""
    dest = tmp_path_factory.mktemp("whole") / "pack"
    return pack(tiny_dataset, dest, image_size=64, storage=request.param, processes=1)


@contextmanager
def interrupted_after(samples: int, error: type[BaseException] = KeyboardInterrupt) -> Iterator:
    """Give a progress that raises once so many samples are stored."""

    def progress(done: int, total: int) -> None:
        if done >= samples:
            raise error

    with pytest.raises(error):
        yield progress


def interrupt(dataset: Path, dest: Path, like: Pack, *, after: int = 8, size: int = 64) -> Path:
    with interrupted_after(after) as progress:
        pack(
            dataset,
            dest,
            image_size=size,
            storage=like.storage,
            processes=1,
            progress=progress,
        )
    return workshop_of(dest)


def go_on(dataset: Path, dest: Path, like: Pack) -> tuple[Pack, list[int]]:
    """Pack again; return the pack, and how many samples were stored at each time."""
    told: list[int] = []
    made = pack(
        dataset,
        dest,
        image_size=64,
        storage=like.storage,
        processes=1,
        progress=lambda done, _: told.append(done),
    )
    return made, told


def assert_same_files(one: Path, two: Path) -> None:
    names = sorted(path.relative_to(one) for path in one.rglob("*") if path.is_file())
    assert names == sorted(path.relative_to(two) for path in two.rglob("*") if path.is_file())
    for name in names:
        assert (one / name).read_bytes() == (two / name).read_bytes(), name


@pytest.mark.parametrize("after", [8, 16, 24])
def test_an_interrupted_pack_goes_on_and_is_the_same(tiny_dataset, whole, tmp_path, after, caplog):
    interrupt(tiny_dataset, tmp_path / "pack", whole, after=after)
    assert not (tmp_path / "pack").exists()
    with caplog.at_level(logging.INFO, logger="flare"):
        made, told = go_on(tiny_dataset, tmp_path / "pack", whole)
    assert told[0] == after
    assert f"{after} of 24 samples were packed already" in caplog.text
    assert made.pack_fingerprint == whole.pack_fingerprint
    assert_same_files(made.folder, whole.folder)
    assert list(tmp_path.iterdir()) == [made.folder]
    verify_pack(made)


def test_it_may_be_interrupted_again_and_again(tiny_dataset, whole, tmp_path):
    for after in (8, 16, 24):
        interrupt(tiny_dataset, tmp_path / "pack", whole, after=after)
    made, told = go_on(tiny_dataset, tmp_path / "pack", whole)
    assert told == [24]
    assert_same_files(made.folder, whole.folder)


def test_where_to_find_what_was_kept_is_said(tiny_dataset, whole, tmp_path, caplog):
    with caplog.at_level(logging.INFO, logger="flare"):
        workshop = interrupt(tiny_dataset, tmp_path / "pack", whole)
    assert f"what was packed is kept in {workshop}; the same command goes on" in caplog.text


def test_an_interruption_before_the_first_sample_leaves_nothing(tiny_dataset, whole, tmp_path):
    interrupt(tiny_dataset, tmp_path / "pack", whole, after=0)
    assert list(tmp_path.iterdir()) == []


def cut_line(workshop: Path, storage: str) -> None:
    """As a process does that is killed while it writes."""
    path = workshop / "journal.jsonl"
    os.truncate(path, path.stat().st_size - 5)


def cut_bytes(workshop: Path, storage: str) -> None:
    """As a machine does that loses its power before everything is on the disk."""
    path = workshop / "set" / "training" / BULK[storage]
    os.truncate(path, 5 * path.stat().st_size // (16 if storage == "raw" else 8))


def change_byte(workshop: Path, storage: str) -> None:
    path = workshop / "set" / "training" / BULK[storage]
    content = bytearray(path.read_bytes())
    content[len(content) // (4 if storage == "raw" else 2)] ^= 1
    path.write_bytes(content)


def more_bytes(workshop: Path, storage: str) -> None:
    """As a process does that is killed before it writes the journal."""
    with (workshop / "set" / "training" / BULK[storage]).open("ab") as file:
        file.write(b"more")


def lose_bytes(workshop: Path, storage: str) -> None:
    shutil.rmtree(workshop / "set")


def lose_journal(workshop: Path, storage: str) -> None:
    (workshop / "journal.jsonl").unlink()


@pytest.mark.parametrize(
    ("damage", "kept"),
    [
        (cut_line, 7),
        (cut_bytes, 5),
        (change_byte, 4),
        (more_bytes, 8),
        (lose_bytes, 0),
        (lose_journal, 0),
    ],
)
def test_what_is_not_as_it_was_stored_is_stored_again(tiny_dataset, whole, tmp_path, damage, kept):
    damage(interrupt(tiny_dataset, tmp_path / "pack", whole), whole.storage)
    made, told = go_on(tiny_dataset, tmp_path / "pack", whole)
    assert told[0] == kept
    assert_same_files(made.folder, whole.folder)


def test_a_source_that_changed_since_is_packed_from_the_beginning(tiny_dataset, whole, tmp_path):
    data = copy_without_packs(tiny_dataset, tmp_path / "data")
    interrupt(data, tmp_path / "pack", whole)
    image = sorted(data.glob("training/*/*/*.jpg"))[0]
    image.write_bytes(sorted(data.glob("training/*/*/*.jpg"))[-1].read_bytes())
    made, told = go_on(data, tmp_path / "pack", whole)
    assert told[0] == 0
    assert made.fingerprint != whole.fingerprint
    verify_pack(open_pack(made.folder, source=data))


def test_another_image_size_is_packed_from_the_beginning(tiny_dataset, tmp_path, whole):
    interrupt(tiny_dataset, tmp_path / "pack", whole, size=32)
    told = go_on(tiny_dataset, tmp_path / "pack", whole)[1]
    # Images that are kept as they are serve every size.
    assert told[0] == (0 if whole.storage == "raw" else 8)


def test_the_other_storage_is_packed_from_the_beginning(tiny_dataset, tmp_path, whole):
    interrupt(tiny_dataset, tmp_path / "pack", whole)
    (other,) = set(STORAGES) - {whole.storage}
    told: list[int] = []
    pack(
        tiny_dataset,
        tmp_path / "pack",
        image_size=64,
        storage=other,
        progress=lambda done, _: told.append(done),
    )
    assert told[0] == 0


def test_a_second_packer_of_the_same_place_is_told_so(tiny_dataset, whole, tmp_path):
    workshop = interrupt(tiny_dataset, tmp_path / "pack", whole)
    taken = pytest.raises(PlaceInUse, match=r"another process is packing to .*pack; wait")
    with locked(workshop / "lock", busy="this test is first"), taken:
        go_on(tiny_dataset, tmp_path / "pack", whole)
    assert go_on(tiny_dataset, tmp_path / "pack", whole)[1][0] == 8


def test_a_disk_that_fills_up_on_the_way_keeps_what_is_there(
    tiny_dataset, whole, tmp_path, monkeypatch
):
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(writer, "describe", full)
        with pytest.raises(DiskTooSmall, match="is full; make room, and the same command goes on"):
            go_on(tiny_dataset, tmp_path / "pack", whole)
    assert go_on(tiny_dataset, tmp_path / "pack", whole)[1] == [24]


def test_a_pack_that_is_refused_leaves_nothing(tiny_dataset, whole, tmp_path):
    data = copy_without_packs(tiny_dataset, tmp_path / "data")
    for image in data.glob("test/*/*/*.jpg"):
        image.write_bytes(b"")
    with pytest.raises(DatasetInvalid, match="can be used"):
        go_on(data, tmp_path / "pack", whole)
    assert list(tmp_path.iterdir()) == [data]


def test_a_finished_pack_that_was_not_put_in_place_yet_only_needs_its_name(
    tiny_dataset, whole, tmp_path, monkeypatch
):
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(writer, "_put_in_place", killed)
        with pytest.raises(KeyboardInterrupt):
            go_on(tiny_dataset, tmp_path / "pack", whole)
    made, told = go_on(tiny_dataset, tmp_path / "pack", whole)
    assert told == [24]
    assert_same_files(made.folder, whole.folder)


def test_the_journal_is_written_while_samples_are_stored(
    tiny_dataset, whole, tmp_path, monkeypatch
):
    monkeypatch.setattr("flare.datasets.pack.journal._FLUSH_SECONDS", 0)
    seen = []

    def progress(done: int, total: int) -> None:
        path = workshop_of(tmp_path / "pack") / "journal.jsonl"
        lines = path.read_text(encoding="utf-8").splitlines()
        seen.append((done, [json.loads(line)["name"] for line in lines]))

    pack(tiny_dataset, tmp_path / "pack", storage=whole.storage, processes=1, progress=progress)
    assert [(done, len(names)) for done, names in seen] == [(k, k) for k in (0, 8, 16, 24)]


#: Packs, says how far it is, and stands still after the sixteenth sample until it is killed.
_STANDS_STILL = """
import sys, threading
from pathlib import Path
from flare.datasets import pack_journal
from flare.datasets.pack.writer import pack

def progress(done, total):
    print(done, flush=True)
    if done >= 16:
        threading.Event().wait()

if __name__ == "__main__":
    pack_journal._FLUSH_SECONDS = 0
    data, dest, storage, processes = sys.argv[1:]
    pack(Path(data), Path(dest), image_size=64, storage=storage,
         processes=int(processes), progress=progress)
"""


@pytest.mark.parametrize("processes", [1, 2])
def test_a_pack_that_was_killed_goes_on_and_is_the_same(tiny_dataset, whole, tmp_path, processes):
    program = tmp_path / "program.py"
    program.write_text(_STANDS_STILL, encoding="utf-8")
    given = [tiny_dataset, tmp_path / "packs" / "pack", whole.storage, processes]
    with subprocess.Popen(
        [sys.executable, str(program), *map(str, given)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        for line in process.stdout:
            if int(line) >= 16:
                process.kill()
    assert process.returncode == -9
    made, told = go_on(tiny_dataset, tmp_path / "packs" / "pack", whole)
    assert told[0] == 16
    assert_same_files(made.folder, whole.folder)
    assert list((tmp_path / "packs").iterdir()) == [made.folder]
