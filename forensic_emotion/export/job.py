"""What every format is given: one run of an opened case, streamed, and what was asked for."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from forensic_emotion.case.listing import ListedFace, ListedFile, faces_of, list_files
from forensic_emotion.case.queries import RunInfo
from forensic_emotion.case.selection import Selection, first_paths, selected_paths
from forensic_emotion.export.words import NOTICE
from forensic_emotion.paths import visible
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

    @cached_property
    def selection(self) -> Selection:
        """Which paths and faces are asked for."""
        return Selection.of(self.settings)

    @cached_property
    def notice(self) -> str:
        """What goes with scores: what they are, and that this is not all that was found if it is not."""
        if not self.selection:
            return NOTICE
        return f"{NOTICE} A selection of what was found: {visible(self.selection.words())}."

    def files(self) -> Iterator[ListedFile]:
        """Every path of the run that is asked for, in the order of the paths' bytes.

        Of the same bytes the first one that is asked for has the faces, and copies name it.
        """
        chosen = selected_paths(self.case, self.run.id, self.selection)
        first = first_paths(self.case, self.run.id, self.selection) if chosen is not None else {}
        for file in list_files(self.case, self.run.id):
            if chosen is not None and file.id not in chosen:
                continue
            if file.same_as is not None and file.sha256 in first:
                number, path = first[file.sha256]
                yield replace(file, same_as=None if number == file.id else path)
            else:
                yield file
            self.on_row()

    def faces_of(self, file: ListedFile, *, by_time: bool = False) -> Iterator[ListedFace]:
        """The faces under a path; those of the same bytes under another one are the same."""
        for face in faces_of(self.case, self.run.id, file.sha256, self.selection, by_time=by_time):
            yield face
            self.on_row()

    def rows(self) -> Iterator[tuple[ListedFile, ListedFace]]:
        """Every face under each path that has it."""
        for file in self.files():
            for face in self.faces_of(file):
                yield file, face
