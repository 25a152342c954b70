"""What every format is given: one run of an opened case, streamed, and what was asked for."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from forensic_emotion.case.listing import ListedFace, ListedFile, faces_of, list_files
from forensic_emotion.case.queries import RunInfo
from forensic_emotion.settings import ExportSettings


@dataclass(frozen=True)
class Job:
    """One run to be written in one format."""

    case: sqlite3.Connection
    run: RunInfo
    settings: ExportSettings
    evidence: Path
    """Where the run's evidence lies now; only ``frames`` looks at it."""
    on_row: Callable[[], None]
    """Called for each file and each face that is taken."""
    tell: Callable[[str], None]
    """Called with whatever the export could not do; the rest goes on."""

    def files(self) -> Iterator[ListedFile]:
        """Every path of the run, in the order of the paths' bytes."""
        for file in list_files(self.case, self.run.id):
            yield file
            self.on_row()

    def faces_of(self, file: ListedFile, *, by_time: bool = False) -> Iterator[ListedFace]:
        """The faces under a path; those of the same bytes under another one are the same."""
        for face in faces_of(self.case, self.run.id, file.sha256, by_time=by_time):
            yield face
            self.on_row()

    def rows(self) -> Iterator[tuple[ListedFile, ListedFace]]:
        """Every face under each path that has it."""
        for file in self.files():
            for face in self.faces_of(file):
                yield file, face
