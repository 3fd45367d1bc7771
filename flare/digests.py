"""SHA-256 of bytes, of many digests by name, and of one sample's files."""

import hashlib
from collections.abc import Mapping


def digest(*parts: bytes | memoryview) -> str:
    """Return the SHA-256 of bytes, one part after the other, as 64 hexadecimal digits."""
    state = hashlib.sha256()
    for part in parts:
        state.update(part)
    return state.hexdigest()


def combine(digests: Mapping[str, str]) -> str:
    """Return one digest of many, by name: SHA-256 of ``digest  name`` lines sorted by name.

    That is what ``sha256sum`` prints, so a fingerprint can be checked without this project.
    """
    state = hashlib.sha256()
    for name in sorted(digests):
        state.update(f"{digests[name]}  {name}\n".encode())
    return state.hexdigest()


def digest_of_files(files: Mapping[str, bytes] | None) -> str:
    """Return the digest of one sample's images, which depends on their names and bytes."""
    return combine({name: digest(data) for name, data in (files or {}).items()})
