"""Archives for tests: zip, tar and tar.gz of a few files or of a folder, honest and hostile."""

import io
import tarfile
import warnings
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from flare.datasets.download.unpack import Unpacked, unpack

KINDS = ("zip", "tar", "tar.gz")

#: What every one of them holds at least.
FILES = {
    "SDO-full/README.md": b"read me",
    "SDO-full/training/meta_data.csv": b"id,start,end,peak_flux\n",
    "SDO-full/training/11402/2012_01_15_12_00_00_0/2012-01-15T000000__131.jpg": b"\xff\xd8one",
    "SDO-full/test/meta_data.csv": b"id,start,end,peak_flux\n" * 3,
}

#: The path of the image within the dataset.
IMAGE = "training/11402/2012_01_15_12_00_00_0/2012-01-15T000000__131.jpg"

Entries = Mapping[str, bytes] | Sequence[tuple[str, bytes]]


def archive_of(path: Path, kind: str, entries: Entries = FILES) -> Path:
    """Write an archive of files; entries of one name may follow each other."""
    rows = list(entries.items()) if isinstance(entries, Mapping) else list(entries)
    if kind == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file, warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of a second entry of one name
            for name, content in rows:
                file.writestr(zip_info(name), content)
    else:
        with tarfile.open(path, "w:gz" if kind == "tar.gz" else "w") as tar:
            for name, content in rows:
                add_to_tar(tar, name, content)
    return path


def archive_of_folder(path: Path, kind: str, folder: Path, *, prefix: str) -> Path:
    """Write an archive of everything in a folder, below a folder of another name."""
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    names = [f"{prefix}{file.relative_to(folder).as_posix()}" for file in files]
    contents = [file.read_bytes() for file in files]
    return archive_of(path, kind, list(zip(names, contents, strict=True)))


def zip_info(name: str, mode: int = 0o100644) -> zipfile.ZipInfo:
    """Describe a member of a zip that Unix wrote; ``mode`` says whether it is a link."""
    info = zipfile.ZipInfo("x", (2018, 1, 1, 0, 0, 0))
    info.filename = info.orig_filename = name  # as it is: ZipInfo would mend it
    info.external_attr = mode << 16
    info.compress_type = zipfile.ZIP_DEFLATED
    return info


def add_to_tar(
    tar: tarfile.TarFile,
    name: str,
    content: bytes = b"",
    kind: bytes = tarfile.REGTYPE,
    target: str = "",
) -> None:
    """Add a file, or a link or device, to a tar."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, target, len(content)
    tar.addfile(info, io.BytesIO(content))


def zip_of(entries: Mapping[str, bytes]) -> bytes:
    """Return the bytes of a zip."""
    with TemporaryDirectory() as folder:
        return archive_of(Path(folder) / "a", "zip", entries).read_bytes()


def contents(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder, by its path."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def unpack_to(folder: Path, archive: Path, **more: Any) -> Unpacked:
    """Unpack an archive to a new folder."""
    folder.mkdir(parents=True)
    return unpack(archive, folder, report=lambda *_report: None, **more)
