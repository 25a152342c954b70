"""A run of a case → its files and faces, one after another: what every export is written from.

Nothing is gathered: a case of a million faces takes no more memory than one of ten. Paths come in the
order of their bytes, the faces of a path by stream, frame and number.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

from forensic_emotion.case.rows import FACE_COLUMNS, FaceRow, FileRow, problems_of, select_files
from forensic_emotion.case.selection import ALL, Selection
from forensic_emotion.records import CLASSES, Problem


@dataclass(frozen=True, kw_only=True)
class ListedFile(FileRow):
    """A discovered path with its problems."""

    problems: tuple[Problem, ...]


@dataclass(frozen=True)
class ListedReview:
    """What a person said of a face last, unless it was withdrawn; as in ``face_reviews``."""

    at: str
    reviewer: str
    verdict: str
    label: str | None
    note: str


@dataclass(frozen=True, kw_only=True)
class ListedFace(FaceRow):
    """A face with its scores, its points and what was said of it."""

    probabilities: dict[str, float]
    landmarks: list[list[float]]
    """68 points, x and y."""
    review: ListedReview | None


def list_files(case: sqlite3.Connection, run_id: int) -> Iterator[ListedFile]:
    """Every discovered path of a run with its problems."""
    # In step with the files: both come in the order of the paths.
    grouped = groupby(problems_of(case, run_id), key=lambda pair: pair[0])
    owner, problems = next(grouped, (None, iter(())))
    for values in select_files(case, run_id):
        found: tuple[Problem, ...] = ()
        if values["id"] == owner:
            found = tuple(problem for _, problem in problems)
            owner, problems = next(grouped, (None, iter(())))
        yield ListedFile(**values, problems=found)


def faces_of(
    case: sqlite3.Connection,
    run_id: int,
    sha256: str | None,
    selection: Selection = ALL,
    *,
    by_time: bool = False,
) -> Iterator[ListedFace]:
    """The faces of some content, by stream, frame and number; or by time, those without one left out."""
    if sha256 is None:
        return
    order = "stream, frame_index, face"
    chosen = "run_id = ? AND sha256 = ?"
    if by_time:
        order, chosen = f"seconds, {order}", f"{chosen} AND seconds NOT NULL"
    more, values = selection.faces()
    yield from _faces(case, chosen + more, order, run_id, sha256, *values)


def faces_in(
    case: sqlite3.Connection,
    run_id: int,
    sha256: str,
    stream: int,
    frame_index: int,
    selection: Selection = ALL,
) -> list[ListedFace]:
    """The faces of one frame."""
    more, values = selection.faces()
    chosen = f"run_id = ? AND sha256 = ? AND stream = ? AND frame_index = ?{more}"
    return list(_faces(case, chosen, "face", run_id, sha256, stream, frame_index, *values))


def frames_with_faces(
    case: sqlite3.Connection, run_id: int, sha256: str, selection: Selection = ALL
) -> set[tuple[int, int]]:
    """Stream and number of every frame of some content in which there is a face."""
    more, values = selection.faces()
    rows = case.execute(
        f"SELECT DISTINCT stream, frame_index FROM faces WHERE run_id = ? AND sha256 = ?{more}",
        (run_id, sha256, *values),
    )
    return {(stream, index) for stream, index in rows}


def labels_of(
    case: sqlite3.Connection, run_id: int, sha256: str | None, selection: Selection = ALL
) -> dict[str, int]:
    """How many faces of some content have which label, by the label's name."""
    more, values = selection.faces()
    return dict(
        case.execute(
            f"SELECT label, COUNT(*) FROM faces WHERE run_id = ? AND sha256 = ?{more}"
            " GROUP BY label ORDER BY label",
            (run_id, sha256, *values),
        ).fetchall()
    )


def verdicts_of(
    case: sqlite3.Connection, run_id: int, sha256: str | None, selection: Selection = ALL
) -> dict[str, int]:
    """How many faces of some content people gave which verdict, by the verdict's name."""
    more, values = selection.faces()
    return dict(
        case.execute(
            "SELECT verdict, COUNT(*) FROM face_reviews"
            f" WHERE face_id IN (SELECT id FROM faces WHERE run_id = ? AND sha256 = ?{more})"
            " GROUP BY verdict ORDER BY verdict",
            (run_id, sha256, *values),
        ).fetchall()
    )


def count_rows(case: sqlite3.Connection, run_id: int) -> tuple[int, int]:
    """How many paths a run has, and how many faces under them."""
    (files,) = case.execute("SELECT COUNT(*) FROM files WHERE run_id = ?", (run_id,)).fetchone()
    (faces,) = case.execute("SELECT COUNT(*) FROM face_results WHERE run_id = ?", (run_id,)).fetchone()
    return files, faces


def _faces(case: sqlite3.Connection, chosen: str, order: str, *values: object) -> Iterator[ListedFace]:
    # As many reviews as people had time for: these few are gathered.
    reviews = {
        face_id: ListedReview(*said)
        for face_id, *said in case.execute(
            "SELECT face_id, at, reviewer, verdict, label, note FROM face_reviews"
            f" WHERE face_id IN (SELECT id FROM faces WHERE {chosen})",
            values,
        )
    }
    names = ", ".join(f'"{name}"' for name in (*FACE_COLUMNS, *CLASSES, "landmarks"))
    for row in case.execute(f"SELECT {names} FROM faces WHERE {chosen} ORDER BY {order}", values):
        yield ListedFace(
            **{name: row[name] for name in FACE_COLUMNS},
            probabilities={name: row[name] for name in CLASSES},
            landmarks=json.loads(row["landmarks"]),
            review=reviews.get(row["id"]),
        )
