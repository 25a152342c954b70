"""A case → typed rows: all reading goes through here, read-only."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from forensic_emotion.case.alterations import faults_of
from forensic_emotion.case.database import Database
from forensic_emotion.case.integrity import refuse_what_acts
from forensic_emotion.case.rows import (
    FACE_COLUMNS,
    MEDIA_COLUMNS,
    FaceRow,
    FileRow,
    looked_at_from,
    select_files,
)
from forensic_emotion.case.selection import ALL, Selection
from forensic_emotion.case.version import (
    check_is_case,
    check_is_current,
    check_is_database,
    has_log,
    held,
    refuse_odd_files,
)
from forensic_emotion.errors import CaseError, UsageError
from forensic_emotion.paths import as_text, beside, read_only, refuse_inside, refuse_names_of_case
from forensic_emotion.records import (
    CLASSES,
    STATES,
    SYSTEM,
    UNCERTAIN,
    MediaFacts,
    Outcome,
    Problem,
    RecordedTime,
    Run,
    Stamp,
    State,
)

ROOM = 1 << 17
"""Bytes: twice what SQLite's shared memory beside a case takes, rounded up."""


def _wants_room(path: Path, told: str) -> bool:
    """Whether a case cannot be read for its disk is full: SQLite needs some room beside it. Images that
    are mounted to be read have none, and need none."""
    if not any(words in told for words in ("disk I/O", "unable to open", "is full")):
        return False
    disk = os.statvfs(path.parent)
    return disk.f_bavail * disk.f_frsize < ROOM and not disk.f_flag & os.ST_RDONLY


@contextmanager
def opened_case(path: Path, *, to_verify: bool = False) -> Iterator[sqlite3.Connection]:
    """A case opened so that nothing can be written to it.

    Args:
        path: the case file.
        to_verify: whether what is in the place of femo's own views and the like is to be named, not
            refused.

    Raises:
        CaseError: it is missing, no case, from a newer femo, or holds what may act on who reads it.
    """
    if path.is_dir():
        raise CaseError(
            f"{path} is a folder, not a case.", "Give the case file; a scan prints its path."
        )
    if not path.is_file():
        raise CaseError(
            f"There is no case {path}.",
            "Check the spelling of its path. The case is a command's first argument; femo scan"
            " creates one.",
        )
    check_is_database(path)
    refuse_odd_files(path)
    try:
        connection = sqlite3.connect(read_only(path), uri=True)
    except sqlite3.Error as error:
        raise CaseError(
            f"The case {path} cannot be opened: {error}.", "Check that you may read it and its folder."
        ) from error
    try:
        with held(path):
            check_is_case(Database(connection), path)
            check_is_current(Database(connection), path)
            if not to_verify:
                refuse_what_acts(connection, path)
            connection.row_factory = sqlite3.Row
            yield connection
    except sqlite3.DatabaseError as error:
        if _wants_room(path, str(error)):
            raise CaseError(
                f"The case {path} cannot be read: its disk is full ({error}).", "Free up space there."
            ) from error
        remedy = "If it is damaged, use an intact copy. If it is locked, another program is using it."
        wal = beside(path, "-wal")
        if wal.exists() and not os.access(wal.parent, os.W_OK):
            remedy = f"Part of it is in {wal.name}: copy both to a folder that you may write to."
        elif not wal.exists() and has_log(path):
            remedy = (
                "It was copied while being written, or after a scan was killed, without"
                f" {wal.name}: copy that too, and open both in a folder that you may write to."
            )
        elif (journal := beside(path, "-journal")).exists():
            remedy = f"{journal.name} shows that a change to it was cut short. Use an intact copy."
        raise CaseError(f"The case {path} cannot be read: {error}.", remedy) from error
    except (TypeError, ValueError, LookupError, AttributeError) as error:
        # Values of other types than femo writes fail wherever they are used; that is the case's fault.
        if (fault := next(faults_of(connection), None)) is None:
            raise
        raise CaseError(
            f"The case {path} is not as femo wrote it: {fault}. This caused:"
            f" {type(error).__name__}: {error}.",
            f"femo verify {path} lists all that was changed; use an intact copy.",
        ) from error
    finally:
        connection.close()


@dataclass(frozen=True)
class RunInfo:
    """A run as it stands in the case."""

    id: int
    state: str
    evidence_root: str
    evidence_root_bytes: bytes
    started_at: str
    ended_at: str | None
    arguments: list[str]
    settings: dict[str, Any]
    versions: dict[str, str]
    machine: dict[str, Any] | None
    """See ``machine.py``; None in a run of an older femo."""
    host: str
    user: str
    discovered: int | None
    model_sha256: str
    model_name: str
    model_runtime: str
    model_card: dict[str, Any]
    threshold: float | None
    """A face is answered if its highest probability is above it; None in a run that answered all."""
    coverage: float | None
    """Share of the held-out pictures that the model answers at it."""
    case_number: str | None
    """What the examiner said of the case; None in a run of femo 0.1."""
    examiner: str | None
    agency: str | None
    note: str | None
    row_digest: str | None
    """See ``case/digest.py``; None while the run goes on, and in a run of femo 0.1."""
    results_digest: str | None


def read_run(case: sqlite3.Connection, run_id: int | None = None) -> RunInfo:
    """A run by its number, or the latest.

    Raises:
        UsageError: the case has no such run.
        CaseError: what it says of the run cannot be read.
    """
    row = case.execute(
        """
        SELECT runs.*, models.runtime AS model_runtime
        FROM runs JOIN models ON models.sha256 = runs.model_sha256
        WHERE ? IS NULL OR runs.id = ? ORDER BY runs.id DESC LIMIT 1
        """,
        (run_id, run_id),
    ).fetchone()
    if row is None:
        numbers = [str(r["id"]) for r in case.execute("SELECT id FROM runs ORDER BY id")]
        raise UsageError(
            f"The case has no run {run_id}." if run_id is not None else "The case holds no run yet.",
            f"It has the runs: {', '.join(numbers) or 'none'}.",
        )
    values = dict(row)
    for name in ("arguments", "settings", "versions", "machine", "model_card"):
        if name == "machine" and values[name] is None:
            continue
        try:
            values[name] = json.loads(values[name])
        except (ValueError, TypeError, RecursionError) as error:
            raise CaseError(
                f"The case is damaged: {name} of run {row['id']} is not JSON.",
                "femo verify lists what else is damaged. Use an intact copy.",
            ) from error
    return RunInfo(**values)


def read_evidence_roots(case: sqlite3.Connection) -> list[Path]:
    """The evidence folders of all runs."""
    rows = case.execute("SELECT DISTINCT evidence_root_bytes FROM runs")
    return [Path(os.fsdecode(root)) for (root,) in rows]


def differing(one: Mapping[str, object], other: Mapping[str, object]) -> Iterator[str]:
    """The names whose values are not the same in both, in their order."""
    yield from (name for name in dict.fromkeys((*one, *other)) if one.get(name) != other.get(name))


def stopped_otherwise(case: sqlite3.Connection, run: Run) -> str | None:
    """That the last run over a folder was stopped and cannot go on as this one, in words, with what is
    another one now; None if it can, or was not stopped."""
    row = case.execute(
        "SELECT id, state FROM runs WHERE evidence_root_bytes = ? ORDER BY id DESC LIMIT 1",
        (run.evidence_root,),
    ).fetchone()
    if row is None:
        return _stopped_elsewhere(case)
    if row[1] == "done":
        return None
    stopped = read_run(case, row[0])
    differ = ["model"] if stopped.model_sha256 != run.model.sha256 else []
    differ += differing(stopped.settings, run.settings)
    differ += (name for name in differing(stopped.versions, run.versions) if name != SYSTEM)
    if not differ:
        return None
    return (
        f"Run {stopped.id} over this folder was stopped and cannot be resumed; a new run begins."
        f" What differs: {', '.join(differ)}."
    )


def _stopped_elsewhere(case: sqlite3.Connection) -> str | None:
    """That the last run of a case was stopped, over a folder that lies nowhere any more."""
    row = case.execute(
        "SELECT id, state, evidence_root_bytes FROM runs ORDER BY id DESC LIMIT 1"
    ).fetchone()
    if row is None or row[1] == "done" or os.path.exists(row[2]):
        return None
    return (
        f"Run {row[0]}, over {as_text(row[2])}, was stopped and can be resumed only with its"
        " evidence in that place; a new run begins for this folder."
    )


def other_evidence(case: sqlite3.Connection, run: RunInfo) -> Iterator[tuple[int, str]]:
    """The latest run of each other folder of evidence in a case, with the folder."""
    yield from case.execute(
        "SELECT MAX(id), evidence_root FROM runs WHERE evidence_root_bytes <> ?"
        " GROUP BY evidence_root_bytes ORDER BY 1",
        (run.evidence_root_bytes,),
    )


@dataclass(frozen=True)
class OtherRun:
    """Another run over the same folder of evidence."""

    id: int
    state: str
    model: str
    faces: int


def other_runs(case: sqlite3.Connection, run: RunInfo) -> Iterator[OtherRun]:
    """Every other run over the folder of evidence of a run."""
    rows = case.execute(
        "SELECT id, state, model_name, (SELECT COUNT(*) FROM faces WHERE run_id = runs.id) FROM runs"
        " WHERE evidence_root_bytes = ? AND id <> ? ORDER BY id",
        (run.evidence_root_bytes, run.id),
    )
    for row in rows:
        yield OtherRun(*row)


def refuse_output(connection: sqlite3.Connection, case: Path, out: Path, what: str) -> None:
    """Refuse to write what is made of a case into the evidence of a run of it, or in the case's place.

    Args:
        connection: to the case.
        case: its file.
        out: the file or folder that is to be written.
        what: it is, for people.

    Raises:
        UsageError: it would lie there.
    """
    for root in read_evidence_roots(connection):
        refuse_inside(root, out, what)
    refuse_names_of_case(case, out)


def read_files(case: sqlite3.Connection, run_id: int) -> list[FileRow]:
    """Every discovered path, in the order of the walk."""
    return [FileRow(**values) for values in select_files(case, run_id)]


@dataclass(frozen=True, kw_only=True)
class FaceInfo(FaceRow):
    """A face of a run with its scores and its picture."""

    probabilities: dict[str, float]
    thumbnail: bytes
    landmarks: str
    """JSON, 68 points in pixels of the picture."""


def read_faces(
    case: sqlite3.Connection, run_id: int, limit: int, selection: Selection = ALL
) -> Iterator[FaceInfo]:
    """The first faces of a run, one by one, for they may be many: by path, then by frame and number."""
    of_faces, values = selection.faces()
    of_files, more = selection.files()
    first = "files.same_as IS NULL"
    if selection.of_paths:  # the first one may be none of them
        first = (
            "files.id = (SELECT id FROM files WHERE files.run_id = faces.run_id"
            f" AND files.sha256 = faces.sha256{of_files}"
            " ORDER BY same_as IS NOT NULL, path_bytes LIMIT 1)"
        )
    rows = case.execute(
        f"""
        SELECT faces.* FROM faces JOIN files
            ON files.run_id = faces.run_id AND files.sha256 = faces.sha256 AND {first}
        WHERE faces.run_id = ?{of_faces}
        ORDER BY files.path_bytes, faces.stream, faces.frame_index, faces.face LIMIT ?
        """,
        (*(more if selection.of_paths else ()), run_id, *values, limit),
    )
    for row in rows:
        yield FaceInfo(
            **{name: row[name] for name in (*FACE_COLUMNS, "thumbnail", "landmarks")},
            probabilities={name: row[name] for name in CLASSES},
        )


@dataclass(frozen=True)
class TrackInfo:
    """A track of a run; see ``docs/database.md``."""

    sha256: str
    track: int
    faces: int
    top_class: str
    label: str
    confidence: float


def read_tracks(case: sqlite3.Connection, run_id: int) -> list[TrackInfo]:
    """By content, then by number."""
    names = ", ".join(TrackInfo.__dataclass_fields__)
    rows = case.execute(f"SELECT {names} FROM tracks WHERE run_id = ? ORDER BY sha256, track", (run_id,))
    return [TrackInfo(**dict(row)) for row in rows]


@dataclass(frozen=True)
class Counts:
    """What a run came to; the same bytes under several paths count once in frames and faces."""

    states: dict[str, int]
    frames_decoded: int
    frames_hidden: int
    frames: int
    faces: int
    labels: dict[str, int]
    """Faces by their label: each class, and those that are uncertain."""
    poor: dict[str, int]
    """Those of them that have a fault, such as being small or blurred."""


def count(case: sqlite3.Connection, run_id: int) -> Counts:
    states = case.execute("SELECT state, COUNT(*) FROM files WHERE run_id = ? GROUP BY state", (run_id,))
    frames = case.execute(
        "SELECT TOTAL(frames_decoded), TOTAL(frames_hidden), TOTAL(frames), TOTAL(faces) FROM files"
        " WHERE run_id = ? AND same_as IS NULL",
        (run_id,),
    ).fetchone()
    found = case.execute(
        "SELECT label, COUNT(*), COUNT(NULLIF(faults, '')) FROM faces WHERE run_id = ? GROUP BY label",
        (run_id,),
    ).fetchall()
    labels, poor = ({label: row[n] for label, *row in found} for n in (0, 1))
    return Counts(
        states=dict(states.fetchall()),
        frames_decoded=int(frames[0]),
        frames_hidden=int(frames[1]),
        frames=int(frames[2]),
        faces=int(frames[3]),
        labels={name: labels.get(name, 0) for name in (*CLASSES, UNCERTAIN)},
        poor={name: poor.get(name, 0) for name in (*CLASSES, UNCERTAIN)},
    )


@dataclass(frozen=True)
class Summary:
    """What a run came to."""

    run_id: int
    discovered: int
    states: dict[State, int]
    """How many paths ended in each state; they add up to ``discovered``."""
    frames: int
    """The same bytes under several paths count once, here and in ``faces``."""
    faces: int
    problems: int
    known: int
    """Paths that were skipped as their hash is in a list of known ones."""
    notable: int
    """Paths whose hash is in a list of notable ones."""
    access_times_not_kept: int
    """Files whose access time the system may have changed when they were read."""


def read_summary(case: sqlite3.Connection, run_id: int) -> Summary:
    """What a run has come to so far."""
    states = dict(
        case.execute(
            "SELECT state, COUNT(*) FROM files WHERE run_id = ? GROUP BY state", (run_id,)
        ).fetchall()
    )
    paths, frames, faces, known, notable, not_kept = case.execute(
        "SELECT COUNT(*), TOTAL(CASE WHEN same_as IS NULL THEN frames END),"
        " TOTAL(CASE WHEN same_as IS NULL THEN faces END), COUNT(known), COUNT(notable),"
        " TOTAL(access_time_kept = 0) FROM files WHERE run_id = ?",
        (run_id,),
    ).fetchone()
    (problems,) = case.execute("SELECT COUNT(*) FROM problems WHERE run_id = ?", (run_id,)).fetchone()
    return Summary(
        run_id,
        paths,
        {state: states.get(state, 0) for state in STATES},
        int(frames),
        int(faces),
        problems,
        known,
        notable,
        int(not_kept),
    )


def read_finished(case: sqlite3.Connection, run_id: int) -> set[bytes]:
    """Each path of a run."""
    return {path for (path,) in case.execute("SELECT path_bytes FROM files WHERE run_id = ?", (run_id,))}


@dataclass(frozen=True)
class LookedAt:
    """What a run keeps of a file that it has dealt with."""

    id: int
    stamp: Stamp
    last_change: str
    """What was told last of its changes; empty if nothing was."""


def read_looked_at(case: sqlite3.Connection, run_id: int, path: bytes) -> LookedAt | None:
    """What a run keeps of a path; None if it has not dealt with it, or not read it."""
    row = case.execute(
        """
        SELECT files.id, evidence.size, files.modified_at, files.changed_at, (
            SELECT message FROM problems
            WHERE file_id = files.id AND stage = 'read' AND class = 'changed' ORDER BY id DESC LIMIT 1
        )
        FROM files JOIN evidence ON evidence.sha256 = files.sha256
        WHERE files.run_id = ? AND files.path_bytes = ?
        """,
        (run_id, path),
    ).fetchone()
    return None if row is None else LookedAt(row[0], (row[1], row[2], row[3]), row[4] or "")


FIRST = "files.sha256 = ? AND files.run_id = ? AND files.same_as IS NULL AND files.known IS NULL"
"""The first path of a run with some bytes, if it was looked at."""


def is_first_there(case: sqlite3.Connection, run_id: int, sha256: str) -> bool:
    """Whether a run has looked at a file with these bytes."""
    found = case.execute(f"SELECT 1 FROM files WHERE {FIRST}", (sha256, run_id))
    return found.fetchone() is not None


def read_first(case: sqlite3.Connection, run_id: int, sha256: str) -> Outcome | None:
    """What became of the first path of a run with these bytes, without its faces."""
    cursor = case.execute(
        "SELECT files.*, evidence.kind FROM files JOIN evidence ON evidence.sha256 = files.sha256"
        f" WHERE {FIRST}",
        (sha256, run_id),
    )
    names = [column[0] for column in cursor.description]
    values = cursor.fetchone()
    if values is None:
        return None
    row = dict(zip(names, values, strict=True))
    problems = case.execute(
        "SELECT stage, class, message FROM problems WHERE file_id = ? ORDER BY id", (row["id"],)
    )
    return Outcome(
        path=row["path_bytes"],
        path_text=row["path"],
        state=row["state"],
        reason=row["reason"],
        kind=row["kind"],
        media=_media(row),
        frames=row["frames"],
        faces=row["faces"],
        problems=tuple(Problem(*problem) for problem in problems),
        known=row["known"],
        notable=row["notable"],
    )


def _media(row: dict[str, Any]) -> MediaFacts:
    recorded = None
    if row["recorded"] is not None:
        recorded = RecordedTime(
            row["recorded"], row["recorded_tag"], row["recorded_zone"], row["zone_source"]
        )
    return MediaFacts(
        **{name: row[name] for name in MEDIA_COLUMNS},
        exif=json.loads(row["exif"]) if row["exif"] else None,
        metadata=json.loads(row["metadata"]) if row["metadata"] else None,
        looked_at=looked_at_from(row["looked_at"]),
        recorded=recorded,
    )


@dataclass(frozen=True)
class Changes:
    """How a run's paths differ from those of the run before over the same folder."""

    since: int
    """The number of that run."""
    new: int
    changed: int
    missing: int


def read_changes(case: sqlite3.Connection, run_id: int) -> Changes | None:
    """What is other than in the last finished run before over the same folder; None if there is none."""
    (before,) = case.execute(
        "SELECT MAX(id) FROM runs WHERE id < ? AND state = 'done' AND evidence_root_bytes ="
        " (SELECT evidence_root_bytes FROM runs WHERE id = ?)",
        (run_id, run_id),
    ).fetchone()
    if before is None:
        return None
    only_in = (
        "SELECT COUNT(*) FROM files WHERE run_id = ? AND path_bytes NOT IN"
        " (SELECT path_bytes FROM files WHERE run_id = ?)"
    )
    (new,) = case.execute(only_in, (run_id, before)).fetchone()
    (missing,) = case.execute(only_in, (before, run_id)).fetchone()
    (changed,) = case.execute(
        "SELECT COUNT(*) FROM files AS now JOIN files AS old ON old.path_bytes = now.path_bytes"
        " WHERE now.run_id = ? AND old.run_id = ? AND old.sha256 IS NOT now.sha256",
        (run_id, before),
    ).fetchone()
    return Changes(before, new, changed, missing)


def _allow(action: int, *_: object) -> int:
    """Everything that stays within the opened case."""
    return sqlite3.SQLITE_DENY if action == sqlite3.SQLITE_ATTACH else sqlite3.SQLITE_OK


def run_sql(
    case: sqlite3.Connection, sql: str, values: Mapping[str, object] | None = None
) -> tuple[list[str], Iterator[tuple[Any, ...]]]:
    """Run one statement, with values for its parameters: its column names, and its rows as they come.

    Raises:
        UsageError: SQLite refuses it, also because it would write.
    """
    try:
        # So that a signal is heard while SQLite works: Python looks for one whenever this is called.
        case.set_progress_handler(lambda: 0, 100_000)
        # Opened read-only the case cannot be changed, but SQL could still attach and write other files.
        case.set_authorizer(_allow)
        cursor = case.execute(sql, values or {})
    except (sqlite3.Error, sqlite3.Warning, UnicodeEncodeError) as error:
        raise _query_error(error) from error
    if cursor.description is None:
        raise UsageError("The query is empty.", "Give one SQL statement: select ...")
    return [column[0] for column in cursor.description], _rows(cursor)


def _rows(cursor: sqlite3.Cursor) -> Iterator[tuple[Any, ...]]:
    try:
        for row in cursor:
            yield tuple(row)
    except (sqlite3.Error, sqlite3.Warning) as error:
        raise _query_error(error) from error


def _query_error(error: Exception) -> BaseException:
    if str(error) == "interrupted":
        return KeyboardInterrupt()
    return UsageError(
        f"The query failed: {str(error).rstrip('.')}.",
        'A case is opened read-only. To list its tables: femo query CASE "select sql from'
        ' sqlite_master"',
    )
