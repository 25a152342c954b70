"""Bytes → SHA-256, SHA-1 and MD5, in one pass."""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

CHUNK = 1 << 20
"""Bytes in one read."""
HEAD = 4096
"""Bytes kept from the start, enough to tell a file's type."""


@dataclass(frozen=True)
class Hashes:
    """What one pass over a file tells; hashes in lower-case hex."""

    sha256: str
    sha1: str
    """For matching hash sets that know nothing else, as MD5; neither is proof of identity by itself."""
    md5: str
    size: int
    head: bytes


OnRead = Callable[[int], None]
"""Told after each read of a file that is hashed how many bytes came."""


def unwatched(_: int) -> None:
    """For whoever does not want to be told."""


def hash_stream(source: BinaryIO, on_read: OnRead = unwatched) -> Hashes:
    """Read a file from where it stands to its end, once.

    Raises:
        OSError: the bytes cannot be read to the end.
    """
    sha256 = hashlib.sha256()
    sha1, md5 = hashlib.sha1(usedforsecurity=False), hashlib.md5(usedforsecurity=False)
    head, size = b"", 0
    while chunk := source.read(CHUNK):
        head = head or chunk[:HEAD]
        size += len(chunk)
        sha256.update(chunk)
        sha1.update(chunk)
        md5.update(chunk)
        on_read(len(chunk))
    return Hashes(sha256.hexdigest(), sha1.hexdigest(), md5.hexdigest(), size, head)


def file_sha256(path: Path) -> str:
    """SHA-256 of a file of ours (a model, a data set)."""
    if not path.is_file() and not path.is_dir() and path.exists():  # a pipe may never end
        raise OSError(errno.EINVAL, "Not a regular file", str(path))
    digest = hashlib.sha256()
    with path.open("rb") as source:
        while chunk := source.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def sum_line(sha256: str, path: bytes) -> bytes:
    """One line as coreutils write it: a name with a line break or a backslash is escaped and marked."""
    if path == b"-":  # which they take for standard input
        path = b"./-"
    escaped = path.replace(b"\\", b"\\\\").replace(b"\n", b"\\n").replace(b"\r", b"\\r")
    return (b"\\" if escaped != path else b"") + sha256.encode() + b"  " + escaped + b"\n"
