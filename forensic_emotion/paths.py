"""Where femo may write: never into the evidence."""

from __future__ import annotations

import os
from pathlib import Path

from forensic_emotion.errors import UsageError


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
