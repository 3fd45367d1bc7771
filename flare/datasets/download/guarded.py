"""A file that is read with bounds: how much at once, how much in all, and never backwards."""

from io import BufferedIOBase

from flare.errors import ArchiveInvalid

_SKIP = 2**20


class Guarded:
    """What zipfile and tarfile need of a file, refusing what only a hostile archive asks for.

    Parameters
    ----------
    largest_read
        Bytes that may be asked for at once: a header of gigabytes would fill the memory.
    forward
        Whether positions may only grow: a negative size would make tarfile read in a circle.
    most_bytes
        Bytes that may pass in all, skipped ones too.
    """

    def __init__(
        self,
        file: BufferedIOBase,
        *,
        largest_read: int,
        forward: bool = False,
        most_bytes: int | None = None,
    ):
        self._file = file
        self._largest_read = largest_read
        self._forward = forward
        self._most_bytes = most_bytes
        self._position = 0
        self.last_read = b""

    def read(self, size: int = -1) -> bytes:
        """Read up to so many bytes; all that are left if negative."""
        if size > self._largest_read:
            raise ArchiveInvalid(f"a header of it claims {size} bytes")
        data = self._file.read(size if size >= 0 else self._largest_read + 1)
        if len(data) > self._largest_read:
            raise ArchiveInvalid(f"more than {self._largest_read} bytes of it are a header")
        self._position += len(data)
        self._check()
        self.last_read = data
        return data

    def seek(self, position: int, whence: int = 0) -> int:
        """Go to a position; forward-only files are read up to it, and counted."""
        if whence == 0 and position < 0:
            raise ArchiveInvalid("a header of it leads before its beginning")
        if not self._forward:
            self._position = self._file.seek(position, whence)
            return self._position
        if whence != 0 or position < self._position:
            raise ArchiveInvalid("a header of it leads backwards")
        while self._position < position:
            skipped = len(self._file.read(min(_SKIP, position - self._position)))
            if not skipped:
                break
            self._position += skipped
            self._check()
        return self._position

    def tell(self) -> int:
        """Return the position."""
        return self._position

    def seekable(self) -> bool:
        """Say yes: at least forward."""
        return True

    def _check(self) -> None:
        if self._most_bytes is not None and self._position > self._most_bytes:
            raise ArchiveInvalid(
                f"it unpacks to more than {self._most_bytes} bytes, far more than it should"
            )
