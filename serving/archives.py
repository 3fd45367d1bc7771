"""The files in a zip that a stranger sent: in memory, bounded, and by harmless names."""

import io
import stat
import zipfile
import zlib
from pathlib import PurePosixPath, PureWindowsPath

from serving.rejections import UploadRejected

#: Files in a zip: a sample's images of eleven channels, folders, what a desktop leaves behind.
MAX_ENTRIES = 1000

_HINT = "make it with a common zip program, without a password"


def files_of_zip(data: memoryview | bytes, *, max_bytes: int) -> dict[str, bytes]:
    """Return the files of a zip by their full names, unpacked.

    Parameters
    ----------
    data
        The zip.
    max_bytes
        How much all of it may take unpacked; what the directory claims is added up first.

    Raises
    ------
    UploadRejected
        400: no zip or a damaged one; 413: too much; 422: names that lead elsewhere, links, a
        password.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = [one for one in archive.infolist() if not one.is_dir()]
            _check(entries, max_bytes)
            return {one.filename: archive.read(one) for one in entries}
    # On purpose all that reading a hostile zip can raise.
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, OverflowError) as error:
        detail = f"the zip is damaged: {error}"
        raise UploadRejected(400, "bad_zip", detail, hint=_HINT) from None
    except (NotImplementedError, RuntimeError) as error:
        detail = f"the zip cannot be read: {error}"
        raise UploadRejected(422, "bad_zip", detail, hint=_HINT) from None


def _check(entries: list[zipfile.ZipInfo], max_bytes: int) -> None:
    if len(entries) > MAX_ENTRIES:
        detail = f"the zip holds {len(entries)} files; at most {MAX_ENTRIES}"
        raise UploadRejected(413, "too_many_files", detail, hint="send one sample's images")
    claimed = sum(one.file_size for one in entries)
    if claimed > max_bytes:
        detail = f"the zip unpacks to {claimed} bytes; at most {max_bytes}"
        raise UploadRejected(413, "too_large", detail, hint="send one sample's images")
    for one in entries:
        name = one.filename
        parts = PurePosixPath(name).parts
        windows = PureWindowsPath(name)
        if ".." in parts or "/" in parts[:1] or "\\" in name or windows.drive or "\0" in name:
            detail = f"the name {name[:80]!r} leads out of the zip"
            raise UploadRejected(422, "bad_name", detail, hint=_HINT)
        if stat.S_ISLNK(one.external_attr >> 16):
            detail = f"{name[:80]!r} is a link"
            raise UploadRejected(422, "bad_name", detail, hint="zip the files themselves")
