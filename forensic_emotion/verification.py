"""A case → what holds of it and what does not: the database, its rows, its audit chain, the evidence."""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from forensic_emotion.case import audit
from forensic_emotion.case.alterations import faults_of, made
from forensic_emotion.case.audit_file import audit_fault
from forensic_emotion.case.digest import canonical, tolerant
from forensic_emotion.case.integrity import SchemaFault, schema_faults
from forensic_emotion.errors import EvidenceError, UsageError
from forensic_emotion.evidence import Found, discover, opened
from forensic_emotion.paths import as_text

Fate = Literal["unchanged", "changed", "missing", "new", "moved", "unreadable", "unhashed"]
FATES: tuple[Fate, ...] = get_args(Fate)
MOST_NOTED = 200
"""Faults, and files, that an entry of the audit table names."""
UNCHECKED = (
    "nothing else was checked and no evidence compared: whatever replaces femo's own views and"
    " tables could be run by reading rows"
)
HOLDING: tuple[Fate, ...] = ("unchanged", "unhashed")
"""``unhashed`` is what it was at the scan, a link or a file that cannot be read: as far as that goes."""


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
    sound: bool
    """Whether the database is whole and nothing in it acts by itself, so that it may be written to."""
    audit_holds: bool
    """Whether the chain and the hashes beside the case do."""
    notes: list[str]
    """Where an earlier command found them to be none of the case; what came before is not shown."""
    unfinished: list[str]
    """Runs that did not come to their end, in words; no fault, but not all of their evidence is in."""
    rows: int
    """Paths whose rows were checked."""
    head: str
    """Of the audit chain."""
    files: list[FileFate] | None
    """Of the evidence; None if it was not looked at."""

    def noted(self) -> dict[str, Any]:
        """What the audit table keeps: counts, and by name what does not hold, up to a number; the digest
        is over all of it."""
        failing = [[f.path, f.fate, f.text] for f in self.files or () if f.fate not in HOLDING]
        noted: dict[str, Any] = {
            "faults": len(self.faults),
            "evidence": dict(Counter(file.fate for file in self.files or ())),
            "holds": self.holds,
        }
        if self.faults or failing:
            whole = canonical([self.faults, failing]).encode()
            noted["failing"] = {
                "faults": self.faults[:MOST_NOTED],
                "files": failing[:MOST_NOTED],
                "sha256": hashlib.sha256(whole).hexdigest(),
            }
        return noted

    @property
    def holds(self) -> bool:
        return not self.faults and all(f.fate in HOLDING for f in self.files or ())


@dataclass(frozen=True)
class Chosen:
    """The run whose evidence is looked for; nothing more of it is taken for sound."""

    id: int
    results_digest: str | None
    paths: int


def choose_run(
    case: sqlite3.Connection, run_id: int | None, evidence: Path | None = None
) -> Chosen | None:
    """A run by its number, or the latest, of the folder in which its evidence is now if there is one of
    it; None if it is not there (any more).

    Raises:
        UsageError: the case never had a run of that number; or it has runs of several folders, none of
            them this one, and no number is given.
    """
    case.text_factory = tolerant
    try:
        row = case.execute(
            "SELECT id, results_digest, (SELECT COUNT(*) FROM files WHERE run_id = runs.id),"
            " (SELECT COUNT(DISTINCT evidence_root_bytes) FROM runs),"
            " evidence_root_bytes = :root AS is_there"
            " FROM runs WHERE :run IS NULL OR id = :run ORDER BY is_there DESC, id DESC LIMIT 1",
            {
                "run": run_id,
                "root": None if evidence is None else os.fsencode(os.path.realpath(evidence)),
            },
        ).fetchone()
    except sqlite3.OperationalError as error:
        if "no such" not in str(error):
            raise
        return None  # a table or column is missing, which the checks name
    if row is not None:
        *chosen, folders, is_there = row
        if evidence is not None and run_id is None and not is_there and folders > 1:
            raise UsageError(
                f"The case has runs of several folders, but none of {evidence}.",
                "Use --run to say which of them is there now; femo info lists them.",
            )
        return Chosen(*chosen)
    if run_id is not None and all(entry.run_id != run_id for entry in audit.entries(case)):
        raise UsageError(f"The case has no run {run_id}.", "femo info lists the runs of a case.")
    return None


def verify(
    case: sqlite3.Connection,
    path: Path,
    run_id: int | None,
    evidence: Path | None,
    on_file: Callable[[], None],
) -> Verification:
    """Check a case, and the evidence of one of its runs.

    Args:
        case: opened for reading.
        path: the case's own; the file with the audit's hashes lies beside it.
        run_id: the run whose files are looked for in ``evidence``; None if there is none.
        evidence: the folder, wherever it lies now; None to leave it.
        on_file: called after each file of evidence.
    """
    case.text_factory = tolerant  # damaged text is to be named, not to end the check
    unread: list[str] = []
    schema: list[SchemaFault] = []
    try:  # first, for what is somebody else's may act on whoever reads rows
        schema = list(schema_faults(case))
    except sqlite3.Error as error:
        unread = [f"database: its schema cannot be read: {error}"]
    if any(fault.acts and fault.kind != "trigger" for fault in schema):
        return Verification([*map(str, schema), UNCHECKED], False, False, [], [], 0, "", None)
    faults = unread + [
        f"database: {text}" for (text,) in case.execute("PRAGMA integrity_check") if text != "ok"
    ]
    beside = list(made(_beside(case, path)))
    case.execute("BEGIN")  # one view of the case, also while a scan writes to it
    sound = not faults
    if sound:  # what lies in a broken database is no statement of anyone
        faults += map(str, schema)
        faults += faults_of(case)
    of_audit = [*made(audit.broken_at(case)), *beside]
    case.rollback()
    files = None
    if evidence is not None and run_id is None:
        faults.append("the run whose evidence is to be compared is missing")
    elif evidence is not None and run_id is not None:
        files = list(_compare(case, run_id, evidence, on_file))
    notes = [] if of_audit else list(made(_made_anew(case)))
    unfinished, rows, head = _told(case)
    trusted = sound and not any(fault.acts for fault in schema)
    checked = rows if sound else 0
    return Verification(
        [*faults, *of_audit], trusted, not of_audit, notes, unfinished, checked, head, files
    )


def _told(case: sqlite3.Connection) -> tuple[list[str], int, str]:
    """Runs that did not end, how many paths there are, and the head; of a damaged case what it gives."""
    try:
        unfinished = [
            f"run {id} is {state}" + (", or its process was killed" if state == "running" else "")
            for id, state in case.execute("SELECT id, state FROM runs WHERE state <> 'done' ORDER BY id")
        ]
        (rows,) = case.execute("SELECT COUNT(*) FROM files").fetchone()
        return unfinished, rows, audit.head(case)
    except sqlite3.Error:  # a table is missing; the checks named it
        return [], 0, ""


def _beside(case: sqlite3.Connection, path: Path) -> Iterator[str]:
    """Where the hashes that were written beside the case are not in it."""
    fault = audit_fault(case, path)
    if fault is not None:
        yield fault


def _made_anew(case: sqlite3.Connection) -> Iterator[str]:
    """When a command found that the hashes beside the case showed nothing of it."""
    for entry in audit.entries(case):
        if "audit_file" in entry.detail:
            yield f"audit entry {entry.id} ({entry.action}, {entry.at}): {entry.detail['audit_file']}"


def _compare(
    case: sqlite3.Connection, run_id: int, evidence: Path, on_file: Callable[[], None]
) -> Iterator[FileFate]:
    """Every path of a run and of the folder, each file hashed anew."""
    scanned = _as_scanned(case, run_id)
    now: dict[bytes, _State] = {}
    for found in discover(evidence):
        now[found.path] = _state(found)
        on_file()
    places: dict[str, list[bytes]] = defaultdict(list)
    for path, state in now.items():
        if state.sha256 is not None and path not in scanned:
            places[state.sha256].append(path)
    moved: set[bytes] = set()
    for path, was in sorted(scanned.items()):
        if path not in now and was.sha256 is not None and places[was.sha256]:
            target = places[was.sha256].pop(0)
            moved.add(target)
            yield FileFate(as_text(path), "moved", f"to {as_text(target)}")
        else:
            yield FileFate(as_text(path), *_fate(was, now.get(path) or _folder_at(evidence, path)))
    for path in sorted(now.keys() - scanned.keys() - moved):
        yield FileFate(as_text(path), "new", "" if now[path].sha256 else now[path].text)


@dataclass(frozen=True)
class _State:
    """What lies at a path: bytes, or something that has none to hash."""

    sha256: str | None
    text: str
    """What it is: a regular file, a link; or why it cannot be read."""
    unreadable: bool = False


FILE = "regular file"


def _as_scanned(case: sqlite3.Connection, run_id: int) -> dict[bytes, _State]:
    sql = """
        SELECT path_bytes, sha256, reason,
            (SELECT message FROM problems WHERE file_id = files.id ORDER BY id LIMIT 1)
        FROM files WHERE run_id = ?
        """
    return {
        path: _State(sha256, FILE if sha256 else reason or problem or "", sha256 is None and not reason)
        for path, sha256, reason, problem in case.execute(sql, (run_id,))
        if isinstance(path, bytes)  # else the case is damaged, which the checks of its rows name
    }


def _state(found: Found) -> _State:
    if found.skip is not None:
        return _State(None, found.skip)
    if found.error is not None:
        return _State(None, found.error, unreadable=True)
    try:
        with opened(found) as source:
            return _State(source.evidence.sha256, FILE)
    except EvidenceError as error:
        return _State(None, error.text, unreadable=True)


def _folder_at(evidence: Path, path: bytes) -> _State | None:
    """The walk names what lies in a folder, not the folder itself."""
    place = evidence / os.fsdecode(path)
    return _State(None, "folder") if place.is_dir() and not place.is_symlink() else None


def _fate(was: _State, now: _State | None) -> tuple[Fate, str]:
    if now is None:
        return "missing", "" if was.sha256 else was.text
    if was.sha256 is not None and now.sha256 is not None:
        if was.sha256 == now.sha256:
            return "unchanged", ""
        return "changed", f"SHA-256 {was.sha256} → {now.sha256}"
    if now.sha256 is not None:
        return "changed", f"{was.text} → {now.text}, SHA-256 {now.sha256}"
    if now.unreadable:
        return ("unhashed" if was.unreadable else "unreadable"), now.text
    if was.sha256 is None and was.text == now.text:
        return "unhashed", now.text
    return "changed", f"{was.text} → {now.text}"
