"""The part of a file that has arrived, and what tells whether the rest still belongs to it."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Origin:
    """What a server said of the file whose first part is here.

    ``validator`` is its strong ETag or else its Last-Modified, for If-Range (RFC 9110, 13.1.5);
    empty when it gave neither. ``total`` is the whole file's bytes, None if unknown. ``md5`` is 32
    hexadecimal digits, or empty.
    """

    url: str
    validator: str
    total: int | None
    md5: str


class Partial:
    """A file that grows, and a small JSON beside it; both survive the process."""

    def __init__(self, path: Path):
        self.path = path
        self._about = path.with_name(f"{path.name}.json")

    @property
    def size(self) -> int:
        """Bytes that have arrived."""
        return self.path.stat().st_size if self.path.is_file() else 0

    def origin(self, url: str) -> Origin | None:
        """Return what the bytes are a part of, or None where that cannot be told."""
        try:
            found = Origin(**json.loads(self._about.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None
        texts = all(isinstance(text, str) for text in (found.url, found.validator, found.md5))
        sized = found.total is None or (isinstance(found.total, int) and found.total >= 0)
        return found if texts and sized and found.url == url else None

    def begin(self, origin: Origin) -> None:
        """Forget older bytes, then write down what the new ones will be a part of."""
        self.discard()  # first: old bytes under a new description would be taken for its part
        writing = self._about.with_suffix(".new")
        writing.write_text(json.dumps(asdict(origin)), encoding="utf-8")
        writing.replace(self._about)

    def discard(self) -> None:
        """Delete the bytes and what is known of them."""
        self.path.unlink(missing_ok=True)
        self._about.unlink(missing_ok=True)

    def finish(self, dest: Path) -> None:
        """Move the whole file to its place."""
        self.path.replace(dest)
        self.discard()
