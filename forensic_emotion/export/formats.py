"""The formats by name: the one list. Each is a file beside this one with a function ``write``.

``write(job, out)`` writes one run: to ``out``, a file opened for bytes, or into ``out``, an empty
folder, as its entry here says. It takes what it writes from ``job``, row by row, and gathers none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from forensic_emotion.export.job import Job


@dataclass(frozen=True)
class Format:
    """A format of export."""

    name: str
    """Also of its file in ``export/``."""
    folder: bool = False
    """Whether it is a folder of files, not one file."""
    faces: bool = True
    """Whether it tells of faces, and not of files alone."""
    passes: int = 1
    """How often it goes through the rows; for the progress only."""

    def writer(self) -> Callable[[Job, Any], None]:
        """Its function ``write``."""
        # By name and only now: each format may want libraries that the others do without.
        write: Callable[[Job, Any], None] = import_module(f"forensic_emotion.export.{self.name}").write
        return write


FORMATS = {
    format.name: format
    for format in (
        Format("csv"),
        Format("jsonl"),
        Format("parquet"),
        Format("timesketch"),
        Format("case", passes=2),
        Format("dfxml"),
        Format("coco", passes=2),
        Format("vtt", folder=True),
        Format("frames", folder=True),
        Format("manifest", faces=False),
        Format("hashdeep", faces=False),
        Format("bodyfile", faces=False),
    )
}
