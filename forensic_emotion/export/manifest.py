"""Files → the lines that ``sha256sum -c`` checks evidence with."""

from __future__ import annotations

from typing import BinaryIO

from forensic_emotion.export.job import Job


def write(job: Job, out: BinaryIO) -> None:
    for file in job.files():
        if file.sha256 is not None:
            out.write(line(file.sha256, file.path_bytes))


def line(sha256: str, path: bytes) -> bytes:
    """One line as coreutils write it: a name with a line break or a backslash is escaped and marked."""
    escaped = path.replace(b"\\", b"\\\\").replace(b"\n", b"\\n").replace(b"\r", b"\\r")
    return (b"\\" if escaped != path else b"") + sha256.encode() + b"  " + escaped + b"\n"
