"""The hidden folder beside a pack's place, where it is made and gone on with.

When a run goes on with the work of another one, every byte is compared with the digests in its
journal: what a run that was killed, or a machine that lost its power, left is whole, or done again.
"""

import json
import logging
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from flare.datasets.pack.decoding import Stored
from flare.datasets.pack.journal import read_journal, rewrite_journal, rows_of
from flare.datasets.pack.storage import BULK, Storage
from flare.errors import DiskTooSmall, FlareError
from flare.files import locked

log = logging.getLogger("flare")

_DESCRIPTION = "description.json"


def workshop_of(dest: Path) -> Path:
    """Return the folder in which a pack is made."""
    return dest.absolute().with_name(f".{dest.name}.packing")


@contextmanager
def unfinished_pack(dest: Path, description: Mapping[str, object]) -> Iterator[Path]:
    """Give a folder to make a pack in, to one process at a time.

    Work of an earlier run with the same description is still in it, that of any other is deleted.
    The folder is deleted in the end, unless there are samples in its journal and the end is an
    interruption or a full disk.

    Raises
    ------
    DatasetInvalid
        Another process is packing to the same place.
    """
    workshop = workshop_of(dest)
    workshop.mkdir(parents=True, exist_ok=True)
    taken = f"another process is packing to {dest}; wait for it, or choose another pack_dir"
    with locked(workshop / "lock", busy=taken):
        text = json.dumps(dict(description), indent=1)
        if not _has_text(workshop / _DESCRIPTION, text):
            shutil.rmtree(workshop / "set", ignore_errors=True)
            rewrite_journal(workshop, ())
            (workshop / _DESCRIPTION).write_text(text, encoding="utf-8")
        keep = False
        try:
            (workshop / "set").mkdir(exist_ok=True)
            yield workshop
        except BaseException as error:
            expected = isinstance(error, FlareError) and not isinstance(error, DiskTooSmall)
            keep = not expected and any(True for _ in read_journal(workshop))
            if keep:
                log.info("what was packed is kept in %s; the same command goes on", workshop)
            raise
        finally:
            if not keep:
                shutil.rmtree(workshop)


def take_up(
    workshop: Path, names: Mapping[str, Sequence[str]], *, storage: Storage, image_size: int
) -> int:
    """Return how many samples are there already, and forget those after the first that is not.

    Parameters
    ----------
    names
        ``split/id`` of the samples, by split, in their order.
    """
    kept: list[Stored] = []
    journal = read_journal(workshop)
    for split, wanted in names.items():
        own = list(islice(journal, len(wanted)))
        if [entry.name for entry in own] != list(wanted[: len(own)]):
            break
        whole = _whole(workshop / "set" / split / BULK[storage], own, storage, image_size)
        kept += own[:whole]
        if whole < len(wanted):
            break
    rewrite_journal(workshop, kept)
    return len(kept)


def _whole(path: Path, entries: Sequence[Stored], storage: Storage, image_size: int) -> int:
    """Count the samples before the first one whose bytes are not those that were stored."""
    if not entries or not path.is_file():
        return 0
    rows = rows_of(path, entries, storage=storage, image_size=image_size)
    found = zip(rows.digests(), entries, strict=True)
    return next((k for k, (have, entry) in enumerate(found) if have != entry.packed), len(entries))


def _has_text(path: Path, text: str) -> bool:
    try:
        return path.read_text(encoding="utf-8") == text
    except OSError:
        return False
