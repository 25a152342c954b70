"""Paths from evidence and to outputs: how they are shown, and where femo may write."""

from __future__ import annotations

import os
from pathlib import Path

from forensic_emotion.errors import UsageError


def visible(text: str) -> str:
    """Text from evidence for people to read: what is invisible in it is written out.

    A file's name may hold line breaks, terminal control sequences, or characters that turn the
    direction of reading.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text)


def refuse_inside(evidence: Path, output: Path, what: str) -> None:
    """Refuse to write a file into the evidence, however its path is spelt.

    Raises:
        UsageError: the file would lie below ``evidence``, or is it.
    """
    inside, root = os.path.realpath(output), os.path.realpath(evidence)
    if os.path.commonpath([inside, root]) == root:
        raise UsageError(
            f"The {what} {output} would lie inside {evidence}, which is only read.",
            "Choose another place for it.",
        )
