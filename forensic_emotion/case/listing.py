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
from typing import Any

from forensic_emotion.case.schema import CLASSES


@dataclass(frozen=True)
class ListedProblem:
    """What kept femo from looking at all of a file."""

    stage: str
    problem: str
    message: str


@dataclass(frozen=True)
class ListedFile:
    """A discovered path; columns as in ``files`` and ``evidence``, see ``docs/database.md``."""

    id: int
    run_id: int
    path: str
    path_bytes: bytes
    sha256: str | None
    sha1: str | None
    md5: str | None
    size: int | None
    """Bytes; None if they could not be had."""
    media_type: str | None
    kind: str | None
    state: str
    reason: str | None
    same_as: str | None
    """The path under which the same bytes were analysed."""
    modified_at: str | None
    changed_at: str | None
    accessed_at: str | None
    mode: str | None
    uid: int | None
    gid: int | None
    inode: str | None
    recorded: str | None
    recorded_tag: str | None
    recorded_zone: str | None
    zone_source: str | None
    latitude: float | None
    longitude: float | None
    exif: dict[str, Any] | None
    known: str | None
    notable: str | None
    width: int | None
    height: int | None
    time_base: str | None
    first_pts: int | None
    stream: int | None
    frames: int
    problems: tuple[ListedProblem, ...]


@dataclass(frozen=True)
class Review:
    """What a person said of a face last, unless it was withdrawn; as in ``face_reviews``."""

    at: str
    reviewer: str
    verdict: str
    label: str | None
    note: str


@dataclass(frozen=True)
class ListedFace:
    """A face of some content; columns as in ``face_results``, see ``docs/database.md``."""

    id: int
    sha256: str
    stream: int
    frame_index: int
    pts: int | None
    time_base: str | None
    seconds: float | None
    face: int
    left: int
    top: int
    right: int
    bottom: int
    detector: str
    score: float
    probabilities: dict[str, float]
    top_class: str
    label: str
    confidence: float
    track: int | None
    size: float | None
    blur: float | None
    brightness: float | None
    yaw: float | None
    pitch: float | None
    roll: float | None
    outside: float | None
    landmark_spread: float | None
    faults: str | None
    frame_width: int | None
    frame_height: int | None
    landmarks: list[list[float]]
    """68 points, x and y."""
    review: Review | None


_OF_EVIDENCE = ("sha1", "md5", "size", "media_type", "kind")
_OF_FILE = [
    name
    for name in ListedFile.__dataclass_fields__
    if name not in (*_OF_EVIDENCE, "same_as", "exif", "problems")
]
_OF_FACE = [
    name
    for name in ListedFace.__dataclass_fields__
    if name not in ("probabilities", "landmarks", "review")
]


def list_files(case: sqlite3.Connection, run_id: int) -> Iterator[ListedFile]:
    """Every discovered path of a run with its problems."""
    columns = [f"files.{name}" for name in _OF_FILE] + [f"evidence.{name}" for name in _OF_EVIDENCE]
    rows = case.execute(
        f"""
        SELECT {", ".join(columns)}, files.exif, first.path AS same_as
        FROM files LEFT JOIN evidence ON evidence.sha256 = files.sha256
            LEFT JOIN files AS first ON first.id = files.same_as
        WHERE files.run_id = ? ORDER BY files.path_bytes
        """,
        (run_id,),
    )
    # In step with the files: both come in the order of the paths.
    grouped = groupby(_problems(case, run_id), key=lambda pair: pair[0])
    owner, problems = next(grouped, (None, iter(())))
    for row in rows:
        values = dict(row)
        values["exif"] = json.loads(values["exif"]) if values["exif"] else None
        own: tuple[ListedProblem, ...] = ()
        if values["id"] == owner:
            own = tuple(problem for _, problem in problems)
            owner, problems = next(grouped, (None, iter(())))
        yield ListedFile(**values, problems=own)


def _problems(case: sqlite3.Connection, run_id: int) -> Iterator[tuple[int, ListedProblem]]:
    rows = case.execute(
        "SELECT files.id, problems.stage, problems.class, problems.message"
        " FROM problems JOIN files ON files.id = problems.file_id"
        " WHERE problems.run_id = ? ORDER BY files.path_bytes, problems.id",
        (run_id,),
    )
    for file_id, stage, problem, message in rows:
        yield file_id, ListedProblem(stage, problem, message)


def faces_of(
    case: sqlite3.Connection, run_id: int, sha256: str | None, *, by_time: bool = False
) -> Iterator[ListedFace]:
    """The faces of some content, by stream, frame and number; or by time, those without one left out."""
    if sha256 is None:
        return
    order = "stream, frame_index, face"
    chosen = "run_id = ? AND sha256 = ?"
    if by_time:
        order, chosen = f"seconds, {order}", f"{chosen} AND seconds NOT NULL"
    yield from _faces(case, chosen, order, run_id, sha256)


def faces_in(
    case: sqlite3.Connection, run_id: int, sha256: str, stream: int, frame_index: int
) -> list[ListedFace]:
    """The faces of one frame."""
    chosen = "run_id = ? AND sha256 = ? AND stream = ? AND frame_index = ?"
    return list(_faces(case, chosen, "face", run_id, sha256, stream, frame_index))


def frames_with_faces(case: sqlite3.Connection, run_id: int, sha256: str) -> set[tuple[int, int]]:
    """Stream and number of every frame of some content in which there is a face."""
    rows = case.execute(
        "SELECT DISTINCT stream, frame_index FROM faces WHERE run_id = ? AND sha256 = ?",
        (run_id, sha256),
    )
    return {(stream, index) for stream, index in rows}


def labels_of(case: sqlite3.Connection, run_id: int, sha256: str | None) -> dict[str, int]:
    """How many faces of some content have which label, by the label's name."""
    return dict(
        case.execute(
            "SELECT label, COUNT(*) FROM faces WHERE run_id = ? AND sha256 = ?"
            " GROUP BY label ORDER BY label",
            (run_id, sha256),
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
        face_id: Review(*said)
        for face_id, *said in case.execute(
            "SELECT face_id, at, reviewer, verdict, label, note FROM face_reviews"
            f" WHERE face_id IN (SELECT id FROM faces WHERE {chosen})",
            values,
        )
    }
    columns = ", ".join(f'"{name}"' for name in (*_OF_FACE, *CLASSES, "landmarks"))
    for row in case.execute(f"SELECT {columns} FROM faces WHERE {chosen} ORDER BY {order}", values):
        yield ListedFace(
            **{name: row[name] for name in _OF_FACE},
            probabilities={name: row[name] for name in CLASSES},
            landmarks=json.loads(row["landmarks"]),
            review=reviews.get(row["id"]),
        )
