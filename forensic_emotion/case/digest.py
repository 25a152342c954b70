"""The rows of a file in a case → digests that show whether one of them was changed.

Both are SHA-256 over the rows as JSON, columns by name, binary as hex, floating-point numbers as the
shortest text that gives them back. The *row digest* covers all that the case holds of a path; the
*results digest* leaves out what the file system says (times, owner, inode), so that it is the same for
every repetition, wherever the evidence lies.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain

FILE_SYSTEM = frozenset(
    (
        *("modified_at", "changed_at", "born_at", "accessed_at", "access_time_kept"),
        *("mode", "uid", "gid", "inode", "device", "stat_size", "link_target"),
    )
)
"""Columns of ``files`` that are the file system's word."""
OWN = frozenset(("id", "run_id", "file_id", "same_as", "row_digest", "results_digest"))
"""Columns that only tie rows together, or are digests."""


OF_CONTENT = "SELECT * FROM {} WHERE run_id = ? AND sha256 = ? ORDER BY"


@dataclass(frozen=True)
class Digests:
    """Of one path."""

    rows: str
    results: str


Row = dict[str, object]
"""By column."""


@dataclass(frozen=True)
class FileRows:
    """All that a case holds of a path."""

    file: Row
    first: list[Row] = field(default_factory=list)
    """The path that has the same bytes and was analysed, if it is a copy."""
    evidence: list[Row] = field(default_factory=list)
    faces: list[Row] = field(default_factory=list)
    """A copy's are those of the first path, and stand there."""
    tracks: list[Row] = field(default_factory=list)
    problems: list[Row] = field(default_factory=list)


def file_rows(case: sqlite3.Connection, file_id: int) -> FileRows:
    """A path's rows as a case holds them now."""
    (file,) = _select(case, "SELECT * FROM files WHERE id = ?", file_id)
    return FileRows(file, **{name: list(rows) for name, rows in _parts(case, file)})


def _parts(case: sqlite3.Connection, file: Row) -> Iterator[tuple[str, Iterator[Row]]]:
    """What a case holds of a path besides its own row, part by part, a row at a time."""
    yield "first", _select(case, "SELECT path_bytes FROM files WHERE id = ?", file["same_as"])
    yield "evidence", _select(case, "SELECT * FROM evidence WHERE sha256 = ?", file["sha256"])
    if file["same_as"] is None:
        content = (file["run_id"], file["sha256"])
        faces = f"{OF_CONTENT.format('faces')} stream, frame_index, face"
        yield "faces", _select(case, faces, *content)
        yield "tracks", _select(case, f"{OF_CONTENT.format('tracks')} track", *content)
    problems = "SELECT * FROM problems WHERE file_id = ? ORDER BY id"
    yield "problems", _select(case, problems, file["id"])


def digests_of(rows: FileRows) -> Digests:
    """The digests of a path's rows: file, content, faces, tracks, problems."""
    return _digests(rows.file, chain(rows.first, rows.evidence, rows.faces, rows.tracks, rows.problems))


def file_digests(case: sqlite3.Connection, file_id: int) -> Digests:
    """The digests of a path's rows as a case holds them now; read one by one, for they may be many."""
    (file,) = _select(case, "SELECT * FROM files WHERE id = ?", file_id)
    return _digests(file, chain.from_iterable(rows for _, rows in _parts(case, file)))


def is_as_written(case: sqlite3.Connection, file_id: int) -> bool:
    """Whether a path's rows are what they were when they were written; they are read one by one."""
    (stored,) = case.execute("SELECT row_digest, results_digest FROM files WHERE id = ?", (file_id,))
    return file_digests(case, file_id) == Digests(*stored)


def is_as_ended(case: sqlite3.Connection, run_id: int) -> bool:
    """Whether a run's paths are those that it had when it ended; not if it has not."""
    (stored,) = case.execute("SELECT row_digest, results_digest FROM runs WHERE id = ?", (run_id,))
    return run_digests(case, run_id) == Digests(*stored)


def _digests(file: Row, others: Iterable[Row]) -> Digests:
    """Over the JSON list of the rows, the file's first, without ever holding all of it."""
    own = list(_columns(file))
    hashes = []
    for columns in (own, [pair for pair in own if pair[0] not in FILE_SYSTEM]):
        hashes.append(hashlib.sha256(f"[{canonical(columns)}".encode()))
    for row in others:
        text = f",{canonical(list(_columns(row)))}".encode()
        for each in hashes:
            each.update(text)
    for each in hashes:
        each.update(b"]")
    return Digests(*(each.hexdigest() for each in hashes))


def run_digests(case: sqlite3.Connection, run_id: int) -> Digests:
    """The digests of a run: over the stored digests of its paths, in the order of the paths' bytes."""
    rows = list(
        _select(
            case,
            "SELECT row_digest, results_digest FROM files WHERE run_id = ? ORDER BY path_bytes",
            run_id,
        )
    )
    return Digests(
        _sha256(row["row_digest"] for row in rows), _sha256(row["results_digest"] for row in rows)
    )


def changed_paths(case: sqlite3.Connection, run_id: int) -> Iterator[int]:
    """Number of each path of a run whose rows are not what they were when they were written, in the
    order of the paths' bytes. Every row of the run is read."""
    paths = "SELECT id FROM files WHERE run_id = ? ORDER BY path_bytes"
    for (file_id,) in case.execute(paths, (run_id,)).fetchall():
        if not is_as_written(case, file_id):
            yield file_id


SETTLED_LATER = frozenset(("state", "ended_at", "discovered", "row_digest", "results_digest"))
"""Columns of ``runs`` that are not settled yet when a run begins."""


@dataclass(frozen=True)
class RunRow:
    """Digests of a run's own row, with that of its model."""

    begun: str
    """Over what is settled when it begins: folder, settings, versions, model, who and where."""
    whole: str
    """Over all of it, as it is once the run has ended."""


def run_row(case: sqlite3.Connection, run_id: int) -> RunRow:
    """The digests of a run's row as a case holds it now."""
    (run,) = _select(case, "SELECT * FROM runs WHERE id = ?", run_id)
    model = list(_select(case, "SELECT * FROM models WHERE sha256 = ?", run["model_sha256"]))
    begun = {name: value for name, value in run.items() if name not in SETTLED_LATER}
    return RunRow(_sha256([begun, *model]), _sha256([run, *model]))


FACE_KEY = ("sha256", "stream", "frame_index", "face")
"""What tells a face of a run from all others; its number in ``faces.id`` is no part of it."""


def face_key(case: sqlite3.Connection, face_id: int) -> dict[str, object] | None:
    """Which face has a number; None if none has."""
    return next(_select(case, f"SELECT {', '.join(FACE_KEY)} FROM faces WHERE id = ?", face_id), None)


def tolerant(raw: bytes) -> str:
    """Text of a case as Python has it, also where it was damaged and is no UTF-8 any more."""
    return raw.decode("utf-8", "surrogateescape")


def _select(case: sqlite3.Connection, sql: str, *values: object) -> Iterator[Row]:
    cursor = case.execute(sql, values)
    names = [column[0] for column in cursor.description]
    for row in cursor:
        yield dict(zip(names, row, strict=True))


def _columns(row: Row) -> Iterator[tuple[str, object]]:
    for name in sorted(row.keys() - OWN):
        value = row[name]
        yield name, value.hex() if isinstance(value, bytes) else value


def _sha256(rows: Iterable[object]) -> str:
    return hashlib.sha256(canonical(list(rows)).encode()).hexdigest()


def canonical(value: object) -> str:
    """JSON in one form only; binary as an object of its hexadecimal digits."""
    return json.dumps(value, ensure_ascii=True, sort_keys=True, separators=(",", ":"), default=_binary)


def _binary(value: object) -> dict[str, str]:
    if not isinstance(value, bytes):
        raise TypeError(f"{type(value).__name__} is nothing that a case holds")
    return {"hex": value.hex()}
