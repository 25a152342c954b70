"""Which paths and faces of a run a report or an export tells of."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, fields
from typing import Any

from forensic_emotion.case.presets import path_like
from forensic_emotion.errors import UsageError
from forensic_emotion.paths import in_utf8
from forensic_emotion.records import CLASSES, UNCERTAIN
from forensic_emotion.settings import SelectionSettings

REVIEWED, UNREVIEWED = "reviewed", "unreviewed"


@dataclass(frozen=True)
class Selection:
    """All of a run, where nothing narrows it."""

    path: str | None = None
    """Only paths like this; ``*`` and ``?`` stand for anything."""
    notable: bool = False
    """Only files that a list of notable hashes has."""
    label: str | None = None
    """Only faces with this label."""
    min_confidence: float | None = None
    """Only faces whose highest probability is at least this."""
    verdict: str | None = None
    """Only faces of which a person said this last, or ``REVIEWED``, or ``UNREVIEWED``."""

    def __post_init__(self) -> None:
        labels = (*CLASSES, UNCERTAIN)
        if self.label is not None and self.label not in labels:
            raise UsageError(
                f"--label: there is no label {self.label!r}.", f"One of: {', '.join(labels)}."
            )

    @classmethod
    def of(cls, settings: SelectionSettings) -> Selection:
        """What the settings of a report or an export ask for.

        Raises:
            UsageError: there is no such label.
        """
        told = {spec.name: getattr(settings, spec.name) for spec in fields(cls)}
        if settings.path is not None:
            told["path"] = in_utf8(settings.path)  # as paths stand in the case
        return cls(**told)

    @property
    def of_paths(self) -> bool:
        """Whether it leaves out paths."""
        return self.path is not None or self.notable

    @property
    def of_faces(self) -> bool:
        """Whether it leaves out faces of the paths that it has."""
        return not (self.label is None and self.min_confidence is None and self.verdict is None)

    def __bool__(self) -> bool:
        return self.of_paths or self.of_faces

    def words(self) -> str:
        """What it asks for."""
        told = {
            "path": self.path,
            "notable": "yes" if self.notable else None,
            "label": self.label,
            "highest score at least": self.min_confidence,
            "review": self.verdict,
        }
        return ", ".join(f"{name} {value}" for name, value in told.items() if value is not None)

    def faces(self) -> tuple[str, tuple[Any, ...]]:
        """What rows of ``faces`` have to meet, as SQL to be put behind other conditions; its values."""
        sql, values = "", []
        for condition, value in (("label = ?", self.label), ("confidence >= ?", self.min_confidence)):
            if value is not None:
                sql += f" AND faces.{condition}"
                values.append(value)
        said = "SELECT face_id FROM face_reviews WHERE face_reviews.run_id = faces.run_id"
        if self.verdict in (REVIEWED, UNREVIEWED):
            sql += f" AND faces.id {'NOT ' if self.verdict == UNREVIEWED else ''}IN ({said})"
        elif self.verdict is not None:
            sql += f" AND faces.id IN ({said} AND verdict = ?)"
            values.append(self.verdict)
        return sql, tuple(values)

    def files(self) -> tuple[str, tuple[Any, ...]]:
        """The same of rows of ``files``."""
        notable = " AND files.notable IS NOT NULL" if self.notable else ""
        if self.path is None:
            return notable, ()
        return f" AND {path_like('files.path', '?')}{notable}", (self.path,)


ALL = Selection()


def selected_paths(case: sqlite3.Connection, run_id: int, selection: Selection) -> set[int] | None:
    """The numbers of a run's selected paths; None for all."""
    if not selection.of_paths:
        return None
    narrowed, values = selection.files()
    rows = case.execute(f"SELECT id FROM files WHERE run_id = ?{narrowed}", (run_id, *values))
    return {number for (number,) in rows}


def selected_faces(case: sqlite3.Connection, run_id: int, selection: Selection) -> dict[str, int]:
    """Content → how many of its faces are selected; contents under selected paths that have some."""
    of_faces, values = selection.faces()
    of_files, more = selection.files()
    path = "files.run_id = faces.run_id AND files.sha256 = faces.sha256"
    rows = case.execute(
        f"SELECT faces.sha256, COUNT(*) FROM faces WHERE faces.run_id = ?{of_faces}"
        f" AND EXISTS (SELECT 1 FROM files WHERE {path}{of_files}) GROUP BY faces.sha256",
        (run_id, *values, *more),
    )
    return dict(rows.fetchall())


def selected_tracks(case: sqlite3.Connection, run_id: int, selection: Selection) -> set[tuple[str, int]]:
    """Content and number of each track that a selected face is of."""
    of_faces, values = selection.faces()
    rows = case.execute(
        f"SELECT DISTINCT sha256, track FROM faces WHERE run_id = ? AND track NOT NULL{of_faces}",
        (run_id, *values),
    )
    return {(sha256, track) for sha256, track in rows}


def first_paths(
    case: sqlite3.Connection, run_id: int, selection: Selection
) -> dict[str, tuple[int, str]]:
    """Content → number and path of the selected one that has its faces.

    That is the one that was analysed, or else the first.
    """
    of_files, values = selection.files()
    rows = case.execute(
        f"SELECT sha256, id, path FROM files WHERE run_id = ? AND sha256 IS NOT NULL{of_files}"
        " ORDER BY same_as IS NOT NULL, path_bytes",
        (run_id, *values),
    )
    found: dict[str, tuple[int, str]] = {}
    for sha256, number, path in rows:
        found.setdefault(sha256, (number, path))
    return found
