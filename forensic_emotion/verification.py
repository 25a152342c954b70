"""A case → what holds of it and what does not: the database, its rows, its audit chain, the evidence."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from forensic_emotion.case import audit
from forensic_emotion.case.digest import file_digests, run_digests
from forensic_emotion.case.store import audit_file
from forensic_emotion.errors import EvidenceError
from forensic_emotion.evidence import Found, as_text, discover, opened

Fate = Literal["unchanged", "changed", "missing", "new", "moved", "unreadable"]
FATES: tuple[Fate, ...] = ("unchanged", "changed", "missing", "new", "moved", "unreadable")


@dataclass(frozen=True)
class FileFate:
    """What became of a file of evidence since it was scanned."""

    path: str
    fate: Fate
    text: str


@dataclass(frozen=True)
class Verification:
    """What was looked at and what does not hold."""

    faults: list[str]
    """Of the case itself, in words."""
    rows: int
    """Paths whose rows were checked."""
    head: str
    """Of the audit chain."""
    files: list[FileFate] | None
    """Of the evidence; None if it was not looked at."""

    @property
    def holds(self) -> bool:
        return not self.faults and all(f.fate == "unchanged" for f in self.files or ())


def verify(
    case: sqlite3.Connection,
    path: Path,
    run_id: int,
    evidence: Path | None,
    on_file: Callable[[], None],
) -> Verification:
    """Check a case, and the evidence of one of its runs.

    Args:
        case: opened for reading.
        path: the case's own; the file with the audit's hashes lies beside it.
        run_id: the run whose files are looked for in ``evidence``.
        evidence: the folder, wherever it lies now; None to leave it.
        on_file: called after each file of evidence.
    """
    faults = [f"database: {text}" for (text,) in case.execute("PRAGMA integrity_check") if text != "ok"]
    rows = case.execute("SELECT COUNT(*) FROM files").fetchone()[0]
    if not faults:  # what lies in a broken database is no statement of anyone
        faults += [*_broken_rows(case), *_broken_runs(case)]
        faults += [*audit.broken_at(case), *_beside(case, audit_file(path))]
        faults += _broken_reviews(case)
    files = None if evidence is None else list(_compare(case, run_id, evidence, on_file))
    return Verification(faults, rows, audit.head(case), files)


def _broken_rows(case: sqlite3.Connection) -> Iterator[str]:
    """Paths whose rows are not what they were when they were written."""
    for file_id, run_id, path, rows, results in case.execute(
        "SELECT id, run_id, path, row_digest, results_digest FROM files ORDER BY run_id, path_bytes"
    ).fetchall():
        now = file_digests(case, file_id)
        if (now.rows, now.results) != (rows, results):
            yield f"run {run_id}, {path}: its rows were changed after they were written"
    orphans = "SELECT COUNT(*) FROM faces WHERE NOT EXISTS (SELECT 1 FROM files WHERE {})".format(
        "files.run_id = faces.run_id AND files.sha256 = faces.sha256"
    )
    (lost,) = case.execute(orphans).fetchone()
    if lost:
        yield f"{lost} faces belong to no path"


def _broken_runs(case: sqlite3.Connection) -> Iterator[str]:
    """Runs that are not what they were when they ended, by their digests and by the audit table."""
    closing = ("scan ended", "migrate")
    ended = {e.run_id: e.detail for e in audit.entries(case) if e.action in closing}
    for run_id, state, rows, results in case.execute(
        "SELECT id, state, row_digest, results_digest FROM runs ORDER BY id"
    ).fetchall():
        if state == "running":
            continue
        now = run_digests(case, run_id)
        if (now.rows, now.results) != (rows, results):
            yield f"run {run_id}: paths were added, removed or changed after it ended"
        noted = ended.get(run_id, {})
        if (noted.get("state"), noted.get("row_digest")) != (state, rows):
            yield f"run {run_id}: the audit table notes another end of it"


def _broken_reviews(case: sqlite3.Connection) -> Iterator[str]:
    """Reviews that are not what the audit table says was written."""
    noted = {
        e.detail.get("review"): {"run_id": e.run_id, "at": e.at, **e.detail}
        for e in audit.entries(case)
        if e.action == "review"
    }
    columns = ("id", "run_id", "face_id", "at", "reviewer", "verdict", "label", "note")
    there = set()
    for values in case.execute(f"SELECT {', '.join(columns)} FROM reviews ORDER BY id"):
        row = dict(zip(("review", *columns[1:]), values, strict=True))
        there.add(row["review"])
        name = f"review {row['review']} of face {row['face_id']}"
        if row["review"] not in noted:
            yield f"{name}: the audit table does not know of it"
        elif row != noted[row["review"]]:
            yield f"{name}: it was changed after it was written"
    for number, detail in noted.items():
        if number not in there:
            yield f"review {number} of face {detail.get('face_id')} is missing"


def _beside(case: sqlite3.Connection, path: Path) -> Iterator[str]:
    """Where the hashes that were written beside the case are not in it."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        yield f"{path.name} is missing beside the case: entries cut off the audit's end would not show"
        return
    except (OSError, UnicodeDecodeError) as error:
        yield f"{path.name} cannot be read: {error}"
        return
    noted = [line.split(" ")[0] for line in lines]
    there = [entry.sha256 for entry in audit.entries(case)]
    if there[: len(noted)] != noted:
        yield f"the audit table has not the entries that {path.name} lists"


def _compare(
    case: sqlite3.Connection, run_id: int, evidence: Path, on_file: Callable[[], None]
) -> Iterator[FileFate]:
    """Every file of a run and of the folder, hashed anew."""
    scanned: dict[bytes, str] = dict(
        case.execute(
            "SELECT path_bytes, sha256 FROM files WHERE run_id = ? AND sha256 NOT NULL", (run_id,)
        )
    )
    skipped = {
        row[0]
        for row in case.execute(
            "SELECT path_bytes FROM files WHERE run_id = ? AND sha256 IS NULL", (run_id,)
        )
    }
    now: dict[bytes, str] = {}
    unreadable: dict[bytes, str] = {}
    for found in discover(evidence):
        try:
            hashed = _sha256(found)
        except EvidenceError as error:
            unreadable[found.path] = error.text
        else:
            if hashed is not None:
                now[found.path] = hashed
            elif found.path not in skipped:
                yield FileFate(found.path_text, "new", found.skip or found.error or "")
        on_file()
    places: dict[str, list[bytes]] = defaultdict(list)
    for path, sha256 in now.items():
        if path not in scanned:
            places[sha256].append(path)
    moved: set[bytes] = set()
    for path, sha256 in sorted(scanned.items()):
        if path in unreadable:
            yield FileFate(as_text(path), "unreadable", unreadable[path])
        elif path not in now and places[sha256]:
            target = places[sha256].pop(0)
            moved.add(target)
            yield FileFate(as_text(path), "moved", f"to {as_text(target)}")
        elif path not in now:
            yield FileFate(as_text(path), "missing", "")
        elif now[path] != sha256:
            yield FileFate(as_text(path), "changed", f"SHA-256 {sha256} → {now[path]}")
        else:
            yield FileFate(as_text(path), "unchanged", "")
    for path in sorted((now.keys() | unreadable.keys()) - scanned.keys() - moved - skipped):
        yield FileFate(as_text(path), "new", unreadable.get(path, ""))


def _sha256(found: Found) -> str | None:
    """Of a regular file; None for what is none.

    Raises:
        EvidenceError: it cannot be read.
    """
    if found.skip or found.error:
        return None
    with opened(found) as source:
        return source.evidence.sha256
