"""Outcomes → rows of a case: the only writer. One transaction a file."""

from __future__ import annotations

import fcntl
import json
import os
import pwd
import socket
import sqlite3
import stat
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar

from forensic_emotion import __version__
from forensic_emotion.case import audit
from forensic_emotion.case.audit_file import audit_fault, put_aside, write_audit_file
from forensic_emotion.case.database import Database
from forensic_emotion.case.digest import (
    Digests,
    face_key,
    file_digests,
    is_as_ended,
    is_as_written,
    run_digests,
    run_row,
)
from forensic_emotion.case.integrity import refuse_triggers, refuse_what_acts
from forensic_emotion.case.queries import (
    Changes,
    LookedAt,
    Summary,
    is_first_there,
    read_changes,
    read_evidence_roots,
    read_finished,
    read_first,
    read_looked_at,
    read_summary,
)
from forensic_emotion.case.reviews import Judgement, check_judgement
from forensic_emotion.case.rows import MEDIA_COLUMNS, looked_at_json
from forensic_emotion.case.schema import MIGRATIONS
from forensic_emotion.case.version import (
    check_is_case,
    check_is_current,
    check_is_database,
    held,
    refuse_foreign_journal,
    refuse_odd_files,
)
from forensic_emotion.errors import CaseError, FemoError, ModelError, UsageError
from forensic_emotion.paths import (
    SQLITE_BESIDE,
    as_text,
    beside,
    read_only,
    refuse_inside,
    refuse_second_name,
    sqlite_name,
)
from forensic_emotion.records import (
    CLASSES,
    SYSTEM,
    Evidence,
    FaceResult,
    Kind,
    MediaFacts,
    Outcome,
    Problem,
    Run,
    Track,
)
from forensic_emotion.settings import option

T = TypeVar("T")

# A case grows by one transaction a file; a reader beside it waits at most so long.
BUSY_SECONDS = 30.0
CACHE_KIB = 512
"""Pages of the case that SQLite keeps in memory. Its own default of 2 MiB fills only as a case grows,
which is late in a scan of long videos; rows are written in order and gain next to nothing by it."""

CANNOT_BE_HELD = (
    *(sqlite3.DataError, sqlite3.ProgrammingError, sqlite3.InterfaceError),
    *(OverflowError, UnicodeEncodeError),
)
"""What SQLite raises of values too long, too large, of a type that it does not know, or of no text."""


DAMAGED = "It is damaged: femo verify says where. Scan into another case, or use an intact copy."


class CaseStore:
    """A case opened for writing: made if it is not there.

    Its ``audit_fault`` says why the hashes beside it, as they were found, show nothing of its audit
    table; None if they do. Whoever opens it tells the user, for a file that is missing is made anew.

    Args:
        path: the case file.
        brought_up: bring a case of an older femo up to date, at this time, by this command line.

    Raises:
        CaseError: it is no case, a newer or an older femo made it, or it cannot be written.
        UsageError: it lies inside the evidence of one of its runs, or has a second name that may.
    """

    def __init__(self, path: Path, brought_up: tuple[str, tuple[str, ...]] | None = None) -> None:
        self.path = path
        self._locked: int | None = None
        self._reader: sqlite3.Connection | None = None
        self._reading = Lock()
        self.audit_fault: str | None = None
        self._untold: str | None = None
        """The same, until an entry of the audit table has it; so long the file stays as it is."""
        self._noted = False
        """An entry was added in the transaction that is open."""
        self._again: Collection[bytes] = ()
        """See ``unread``."""
        self._taken_back = 0
        if not path.parent.is_dir():
            raise CaseError(
                f"The case {path} cannot be created: there is no folder {path.parent}.",
                "Create the folder, or check the spelling of its path.",
            )
        check_is_database(path)
        refuse_second_name(path)
        refuse_odd_files(path)
        refuse_foreign_journal(path)
        self._fresh = not path.exists() or path.stat().st_size == 0
        try:
            self._connection = sqlite3.connect(
                sqlite_name(path), timeout=BUSY_SECONDS, isolation_level=None
            )
        except sqlite3.Error as error:
            raise CaseError(
                f"The case {path} cannot be opened: {error}.",
                "Its folder must exist, and you must be allowed to write to it.",
            ) from error
        self._db = Database(self._connection)
        self._holding = ExitStack()
        try:
            if self._db.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()[0]:
                check_is_case(self._db, path)
                if brought_up is None:
                    check_is_current(self._db, path)
                    refuse_what_acts(self._connection, path)
                    self._look_around()
            # Readers may look on while it is written; each commit is on the disk before the next file.
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
            self._connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
            with self._db.atomic():  # a case is made whole or not at all
                MIGRATIONS.apply(self._db)
                if brought_up is not None:
                    refuse_what_acts(self._connection, path)
                    self._look_around()
                    self.seal(*brought_up)
            if self._noted:
                self._untold, self._noted = None, False
            self._connection.execute("PRAGMA foreign_keys = ON")
            self._holding.enter_context(held(path))
        except sqlite3.Error as error:
            self._connection.close()
            # A disk that is full before the first table would leave a file that is no case. If it is
            # locked, another process makes it right now.
            if self._fresh and "locked" not in str(error):
                for left in (beside(path, end) for end in ("", *SQLITE_BESIDE)):
                    left.unlink(missing_ok=True)
            remedy = "Free up space, and check that you may write to it and to its folder."
            if "locked" in str(error):
                remedy = "Another program is using it: close that, or wait until it ends."
            raise CaseError(f"The case {path} cannot be written: {error}.", remedy) from error
        except FemoError:
            self._connection.close()
            raise

    def _look_around(self) -> None:
        """See where the case lies, and what lies beside it."""
        for root in read_evidence_roots(self._connection):  # it may have been moved there
            refuse_inside(root, self.path, "case")
        self.audit_fault = audit_fault(self._connection, self.path)
        self._untold = self.audit_fault

    def close(self) -> None:
        """Leave one file that can be read from a read-only place, and the audit's hashes beside it."""
        failed = None
        with self._reading:
            if self._reader is not None:  # journal_mode stays as it is while another one is open
                self._reader.close()
        try:
            self._connection.rollback()  # what an interruption left half done is no entry
            try:
                self._connection.execute("PRAGMA journal_mode = DELETE")
            except sqlite3.OperationalError as error:
                if "locked" not in str(error):  # else another one reads it; whoever is last does this
                    failed = error
            self._write_audit_file()
        except sqlite3.DatabaseError as error:
            raise CaseError(f"The case {self.path} cannot be written: {error}.", DAMAGED) from error
        finally:
            self._connection.close()
            self._holding.close()
            # Last: closing any descriptor of a file drops the locks that SQLite holds on it.
            if self._locked is not None:
                os.close(self._locked)
            if failed is not None and self._wal.exists() and self._wal.stat().st_size:
                raise CaseError(
                    f"The case {self.path} cannot be written: {failed}.",
                    f"Part of it is in {self._wal.name}: keep both together. Free up space; the"
                    " next femo command that writes to the case merges them.",
                ) from failed

    @property
    def folder(self) -> Path:
        """Where the case lies; where that is a link, what it leads to."""
        return self._wal.parent

    @property
    def _wal(self) -> Path:
        return beside(self.path, SQLITE_BESIDE[0])

    # ---- a run ----------------------------------------------------------------------------------

    def begin(self, run: Run) -> int:
        """Go on with the run like this one that was stopped, or start a new one; its id.

        Like this one is a run over the same folder with the same settings, model, lists and libraries;
        anything else would be a mixture.

        Raises:
            ModelError: the model has other classes than a case has columns.
            CaseError: another scan is writing to the case.
            UsageError: the run that would go on has another case number, examiner, agency or note.
        """
        self.lock()
        last = self._read(_last_like, run)
        stopped = last if last and last[1] != "done" else None
        if stopped:
            _refuse_other_words(stopped[0], stopped[2:], run)
        # Before the run: a disk that is full now must not leave a case that misses it.
        if self._fresh and (kept := put_aside(self._connection, self.path)):
            self._untold = f"hashes of another case were here; they are kept as {kept.name}"
        self._write_audit_file()
        self._fresh = False
        run_id = self._go_on(stopped[0], stopped[1], run) if stopped else self._start_run(run)
        # At once: a disk that fills during the scan must not leave a case without it.
        self._write_audit_file()
        return run_id

    def is_latest(self, run_id: int) -> bool:
        """Whether no later run is in the case."""
        return self._read(_latest) == run_id

    def _write_audit_file(self) -> None:
        """Also that it is missing shows something, until an entry says so."""
        if self._untold is None:
            write_audit_file(self._connection, self.path)

    def _go_on(self, run_id: int, was: str, run: Run) -> int:
        with self._transaction():
            detail: dict[str, Any] = {"was": was, "machine": run.machine}
            if was != "running" and not is_as_ended(self._connection, run_id):
                # The digests that show it are of the end that is taken back here.
                text = "paths were added, removed or changed after it stopped and before it was resumed"
                detail["changed_before"] = text
            self._change_run(
                run_id, state="running", ended_at=None, row_digest=None, results_digest=None
            )
            detail["begun_digest"] = run_row(self._connection, run_id).begun
            self.note("resume", run_id, run.started_at, run.arguments, detail)
        return run_id

    def lock(self) -> None:
        """Keep other scans out, until this process ends, however it ends.

        Raises:
            CaseError: another scan is writing to the case.
        """
        if self._locked is not None:
            return
        self._locked = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.flock(self._locked, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise CaseError(
                f"Another scan is writing to the case {self.path}.",
                "Wait for it, or scan into another case.",
            ) from error
        except OSError as error:
            raise CaseError(
                f"The case {self.path} cannot be locked against other scans: {error.strerror}.",
                "Its file system does not support locks; keep the case on a local disk.",
            ) from error

    def _start_run(self, run: Run) -> int:
        """Write down how the run is done, before anything is looked at; returns its id."""
        model = run.model
        if model.labels != CLASSES:
            raise ModelError(
                f"The model {model.name} has the classes {', '.join(model.labels)}; a case has"
                f" columns for {', '.join(CLASSES)}.",
                "Choose a model with those classes with --model; femo models lists the shipped ones.",
            )
        with self._transaction():
            self._insert(
                "models",
                {
                    "sha256": model.sha256,
                    "runtime": model.runtime,
                    "labels": _json(model.labels),
                },
                unless_there=True,
            )
            run_id = self._insert(
                "runs",
                {
                    "state": "running",
                    "evidence_root": as_text(run.evidence_root),
                    "evidence_root_bytes": run.evidence_root,
                    "started_at": run.started_at,
                    "arguments": _json(run.arguments),
                    "settings": _json(run.settings),
                    "versions": _json(run.versions),
                    "machine": _json(run.machine),
                    "model_sha256": model.sha256,
                    # As it stood: the same weights may be measured, or named, anew between two runs.
                    "model_name": model.name,
                    "model_card": _json(model.card),
                    "threshold": model.threshold,
                    "coverage": model.coverage,
                    "host": socket.gethostname(),
                    "user": account(),
                    **asdict(run.about),
                },
            )
            begun = run_row(self._connection, run_id).begun
            detail = {"settings": run.settings, "begun_digest": begun}
            self.note("scan", run_id, run.started_at, run.arguments, detail)
            return run_id

    def set_discovered(self, run_id: int, paths: int) -> None:
        """How many paths the walk found: what the files' states must add up to."""
        with self._transaction():
            self._change_run(run_id, discovered=paths)

    def end_run(
        self, run_id: int, state: str, ended_at: str, arguments: tuple[str, ...]
    ) -> tuple[str, str]:
        """Close a run: its state, and the digests of all that it wrote.

        Returns:
            The results digest and the head of the audit chain.
        """
        states = "SELECT state, COUNT(*) FROM files WHERE run_id = ? GROUP BY state ORDER BY state"
        with self._transaction():
            digests = run_digests(self._connection, run_id)
            detail = {
                "state": state,
                "paths": dict(self._connection.execute(states, (run_id,)).fetchall()),
                **_columns(digests),
                **({"looked_at_again": self._taken_back} if self._taken_back else {}),
            }
            self._change_run(run_id, state=state, ended_at=ended_at, **_columns(digests))
            detail["run_digest"] = run_row(self._connection, run_id).whole
            self.note("scan ended", run_id, ended_at, arguments, detail)
        return digests.results, self._read(audit.head)

    def _change_run(self, run_id: int, **columns: object) -> None:
        assignments = ", ".join(f"{name} = ?" for name in columns)
        self._connection.execute(
            f"UPDATE runs SET {assignments} WHERE id = ?", (*columns.values(), run_id)
        )

    def finished(self, run_id: int) -> set[bytes]:
        """Each path that a run has dealt with."""
        return self._read(read_finished, run_id)

    def unread(self, run_id: int) -> dict[bytes, str]:
        """The paths that a run could not read and may look at again (a loose cable costs thousands), and
        those that were links, pipes and the like, which it did not open; each with its state.

        Not those whose bytes changed or that cost their process: what was told of these stays. Nor those
        whose rows are not as they were written, for new ones would hide it.
        """
        unread = self._read(_unread_rows, run_id)
        found = {path: state for file_id, path, state in unread if self._read(is_as_written, file_id)}
        self._again = found.keys()
        return found

    def take_back(self, run_id: int, folders: Collection[bytes]) -> None:
        """Forget folders that could not be listed, whose paths are in the case by now."""
        with self._transaction():
            for path in folders:
                self._forget(run_id, path)
        self._taken_back += len(folders)

    def _forget(self, run_id: int, path: bytes) -> None:
        file = "SELECT id FROM files WHERE run_id = ? AND path_bytes = ?"
        self._connection.execute(f"DELETE FROM problems WHERE file_id = ({file})", (run_id, path))
        self._connection.execute(f"DELETE FROM files WHERE id = ({file})", (run_id, path))

    def looked_at(self, run_id: int, path: bytes) -> LookedAt | None:
        """What a run keeps of a path; None if it has not dealt with it, or not read it."""
        return self._read(read_looked_at, run_id, path)

    def mark_changed(self, run_id: int, file_id: int, text: str) -> None:
        """Add to a file that was dealt with that it has changed since.

        Rows that are not as they were written stay so: new digests would hide it.
        """
        with self._transaction():
            if not is_as_written(self._connection, file_id):
                return
            self._add_problem(run_id, file_id, Problem("read", "changed", text))
            self._connection.execute(
                "UPDATE files SET state = 'partial' WHERE id = ? AND frames > 0", (file_id,)
            )
            self._seal_file(file_id)

    def first_with(self, run_id: int, sha256: str) -> Outcome | None:
        """What became of the first path of a run with these bytes, without its faces; None if none has.

        Not of files that a list of hashes names as known, which were not looked at.
        """
        return self._read(read_first, run_id, sha256)

    def has(self, run_id: int, sha256: str) -> bool:
        """Whether there is a first path with these bytes (see ``first_with``); for any thread.

        Raises:
            CaseError: the case cannot be read.
        """
        try:
            with self._reading:  # by itself: another thread may be amid a transaction
                if self._reader is None:
                    self._reader = sqlite3.connect(
                        read_only(self.path), uri=True, timeout=BUSY_SECONDS, check_same_thread=False
                    )
                    self._reader.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
                return is_first_there(self._reader, run_id, sha256)
        except sqlite3.Error as error:
            raise CaseError(
                f"The case {self.path} cannot be read: {error}.", "Check that it is still there."
            ) from error

    def count(self, run_id: int) -> Summary:
        """What a run has come to so far."""
        return self._read(read_summary, run_id)

    def changes(self, run_id: int) -> Changes | None:
        """What is other than in the run before over the same folder; None if there is none."""
        return self._read(read_changes, run_id)

    # ---- the audit table ------------------------------------------------------------------------

    def note(
        self,
        action: str,
        run_id: int | None,
        at: str,
        arguments: tuple[str, ...],
        detail: dict[str, Any],
    ) -> str:
        """Add to the audit table what was done with the case; within a transaction as a part of it.

        Returns:
            The head of the chain now.
        """
        if self._untold is not None and not self._noted:
            detail = {**detail, "audit_file": self._untold}
        with self._transaction():
            audit.append(
                self._connection,
                at=at,
                action=action,
                run_id=run_id,
                user=account(),
                host=socket.gethostname(),
                femo=__version__,
                arguments=arguments,
                detail=detail,
            )
            self._noted = True
            return audit.head(self._connection)

    # ---- what people say --------------------------------------------------------------------------

    def add_review(
        self, run_id: int, said: Judgement, reviewer: str, at: str, arguments: tuple[str, ...]
    ) -> None:
        """Write down what a reviewer says of a face, in ``reviews`` and in the audit table.

        What the machine said stays as it is, and so does what was said before; the last word counts.

        Raises:
            UsageError: see ``check_judgement``.
            CaseError: it could not be written.
        """
        with self._transaction():
            check_judgement(self._connection, run_id, said)
            row = {**asdict(said), "reviewer": reviewer}
            number = self._insert("reviews", {"run_id": run_id, "at": at, **row})
            # Numbers of rows are in no digest: this says which face it was.
            face = face_key(self._connection, said.face_id)
            self.note("review", run_id, at, arguments, {"review": number, **row, "face": face})

    # ---- a file ---------------------------------------------------------------------------------

    def add(self, run_id: int, outcome: Outcome) -> None:
        """Write all of one path in one transaction: all of it is in the case, or nothing.

        What breaks the rules of the tables, or does not fit in them, is a fault of femo: it costs this
        path only, and it shows.
        """
        try:
            self._add(run_id, outcome)
        except (sqlite3.IntegrityError, *CANNOT_BE_HELD) as error:
            broken = isinstance(error, sqlite3.IntegrityError)
            how = "contradicts itself" if broken else "cannot be stored"
            text = f"bug in femo: what was found in it {how}: {error}"
            problems = (*outcome.problems, Problem("analyse", "fault", text))
            bare = replace(outcome, state="failed", media=None, frames=0, faces=0, results=(), tracks=())
            self._add(run_id, replace(bare, problems=problems))
        self._taken_back += outcome.path in self._again

    def _add(self, run_id: int, outcome: Outcome) -> None:
        evidence = outcome.evidence
        with self._transaction():
            if outcome.path in self._again:
                self._forget(run_id, outcome.path)
            if evidence is not None:
                self._insert("evidence", _evidence_row(evidence, outcome.kind), unless_there=True)
            same_as = None
            if outcome.same_as is not None:
                (same_as,) = self._connection.execute(
                    "SELECT id FROM files WHERE run_id = ? AND path_bytes = ?",
                    (run_id, outcome.same_as),
                ).fetchone()
            file_row = {"run_id": run_id, "same_as": same_as, **_file_row(outcome)}
            file_id = self._insert("files", file_row)
            for result in outcome.results:
                assert evidence is not None, "a face comes from bytes that were read"
                self._insert("faces", _face_row(run_id, evidence.sha256, result))
            for track in outcome.tracks:
                assert evidence is not None, "a track is made of faces"
                self._insert("tracks", _track_row(run_id, evidence.sha256, track))
            for problem in outcome.problems:
                self._add_problem(run_id, file_id, problem)
            self._seal_file(file_id)

    def _add_problem(self, run_id: int, file_id: int, problem: Problem) -> None:
        row = {
            "run_id": run_id,
            "file_id": file_id,
            "stage": problem.stage,
            "class": problem.problem,
            "message": problem.message,
        }
        self._insert("problems", row)

    def _seal_file(self, file_id: int) -> None:
        digests = file_digests(self._connection, file_id)
        self._connection.execute(
            "UPDATE files SET row_digest = ?, results_digest = ? WHERE id = ?",
            (digests.rows, digests.results, file_id),
        )

    def seal(self, at: str, arguments: tuple[str, ...]) -> None:
        """Give the rows of an older femo digests of their new columns; the audit keeps the old ones."""
        with self._transaction():
            for (file_id,) in self._connection.execute("SELECT id FROM files").fetchall():
                self._seal_file(file_id)
            runs = "SELECT id, state, row_digest, results_digest FROM runs"
            for run_id, state, rows, results in self._connection.execute(runs).fetchall():
                digests = run_digests(self._connection, run_id)
                self._change_run(run_id, **_columns(digests))
                before = {"row_digest": rows, "results_digest": results}
                row = run_row(self._connection, run_id)
                now = {"begun_digest": row.begun, "run_digest": row.whole}
                detail = {"state": state, **_columns(digests), **now, "before": before}
                self.note("migrate", run_id, at, arguments, detail)

    def _read(self, read: Callable[..., T], *arguments: object) -> T:
        """What a query of the case gives.

        Raises:
            CaseError: SQLite could not read it.
        """
        try:
            return read(self._connection, *arguments)
        except sqlite3.DatabaseError as error:
            remedy = DAMAGED
            if isinstance(error, sqlite3.OperationalError):
                remedy = "Check that it is still there and that no other program is using it."
            raise CaseError(f"The case {self.path} cannot be read: {error}.", remedy) from error

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """All or nothing; within a transaction a part of it.

        Raises:
            CaseError: SQLite could not write it, as on a full disk.
        """
        try:
            if self._connection.in_transaction:
                with self._db.atomic():
                    yield
                return
            self._noted = False
            with self._connection:  # commits, or rolls back
                # Begun for writing: if another process writes, such as a review beside a scan, this one
                # waits here. One that reads first and writes then could be refused without a wait.
                self._connection.execute("BEGIN IMMEDIATE")
                yield
            if self._noted:
                self._untold = None
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                remedy = f"{self._kept()} Free up space, or check that no other program is using it."
            elif isinstance(error, (sqlite3.IntegrityError, *CANNOT_BE_HELD)):
                raise
            else:
                remedy = DAMAGED
            raise CaseError(f"The case {self.path} cannot be written: {error}.", remedy) from error

    def _kept(self) -> str:
        """What a writing that failed left in the case, in a sentence."""
        try:
            (some,) = self._connection.execute("SELECT EXISTS (SELECT 1 FROM files)").fetchone()
        except sqlite3.Error:
            some = False
        if not some:
            return "No file is in it yet."
        if not self._wal.exists():
            return "What was finished is in it."
        return (
            f"What was finished is in it and in {self._wal.name} beside it, as long as that exists:"
            " keep both together."
        )

    def _insert(self, table: str, row: dict[str, Any], *, unless_there: bool = False) -> int:
        names = ", ".join(f'"{name}"' for name in row)
        marks = ", ".join("?" * len(row))
        how = "INSERT OR IGNORE" if unless_there else "INSERT"
        cursor = self._connection.execute(
            f'{how} INTO "{table}" ({names}) VALUES ({marks})', tuple(row.values())
        )
        return cursor.lastrowid or 0


def _evidence_row(evidence: Evidence, kind: Kind | None) -> dict[str, Any]:
    return {
        "sha256": evidence.sha256,
        "sha1": evidence.sha1,
        "md5": evidence.md5,
        "size": evidence.facts.size,
        "media_type": evidence.media_type,
        "kind": kind,
    }


def _file_row(outcome: Outcome) -> dict[str, Any]:
    facts = outcome.evidence.facts if outcome.evidence else outcome.unread
    media = outcome.media or MediaFacts()
    return {
        "path": outcome.path_text,
        "path_bytes": outcome.path,
        "sha256": outcome.evidence.sha256 if outcome.evidence else None,
        "state": outcome.state,
        "reason": outcome.reason,
        "modified_at": facts.modified if facts else None,
        "changed_at": facts.changed if facts else None,
        "born_at": facts.born if facts else None,
        "accessed_at": facts.accessed if facts else None,
        "access_time_kept": facts.access_time_kept if facts else None,
        "mode": facts.mode if facts else None,
        "uid": facts.uid if facts else None,
        "gid": facts.gid if facts else None,
        # As text: file systems have inodes that are wider than SQLite's integers.
        "inode": str(facts.inode) if facts else None,
        "device": facts.device if facts else None,
        "stat_size": facts.size if facts else None,
        "link_target": as_text(facts.link_target) if facts and facts.link_target else None,
        "name_fits": outcome.evidence.name_fits if outcome.evidence else None,
        "exif": _json(media.exif) if media.exif is not None else None,
        "metadata": _json(media.metadata) if media.metadata is not None else None,
        "looked_at": looked_at_json(media),
        "recorded": media.recorded.raw if media.recorded else None,
        "recorded_tag": media.recorded.tag if media.recorded else None,
        "recorded_zone": media.recorded.zone if media.recorded else None,
        "zone_source": media.recorded.zone_source if media.recorded else None,
        "known": outcome.known,
        "notable": outcome.notable,
        **{name: getattr(media, name) for name in MEDIA_COLUMNS},
        "frames": outcome.frames,
        "faces": outcome.faces,
    }


def _face_row(run_id: int, sha256: str, result: FaceResult) -> dict[str, Any]:
    face, time, quality = result.face, result.time, result.quality
    return {
        "run_id": run_id,
        "sha256": sha256,
        "stream": result.stream,
        "frame_index": result.frame_index,
        "pts": time.pts if time else None,
        "time_base": str(time.time_base) if time else None,
        "seconds": time.seconds if time else None,
        "face": face.number,
        "left": face.box.left,
        "top": face.box.top,
        "right": face.box.right,
        "bottom": face.box.bottom,
        "detector": face.detector,
        "score": face.score,
        "landmarks": _json([[round(x, 2), round(y, 2)] for x, y in face.landmarks.tolist()]),
        **dict(zip(CLASSES, result.probabilities, strict=True)),
        "top_class": result.top_class,
        "label": result.label,
        "confidence": result.confidence,
        "thumbnail": result.thumbnail,
        "track": result.track,
        "size": quality.size,
        "blur": quality.blur,
        "brightness": quality.brightness,
        "yaw": quality.yaw,
        "pitch": quality.pitch,
        "roll": quality.roll,
        "outside": quality.outside,
        "landmark_spread": round(face.spread, 4),
        "faults": " ".join(quality.faults),
        "frame_width": result.frame_size[0],
        "frame_height": result.frame_size[1],
    }


NOT_READ = ("unreadable", "no_permission", "vanished")
"""Classes of problems that are no matter of a file's bytes."""


def _unread_rows(case: sqlite3.Connection, run_id: int) -> list[tuple[Any, ...]]:
    """Number, path and state of each that was not read, and has no other problem."""
    marks = ", ".join("?" * len(NOT_READ))
    return case.execute(
        "SELECT id, path_bytes, state FROM files"
        " WHERE run_id = ? AND sha256 IS NULL AND state IN ('failed', 'skipped') AND NOT EXISTS ("
        f" SELECT 1 FROM problems WHERE file_id = files.id AND class NOT IN ({marks}))",
        (run_id, *NOT_READ),
    ).fetchall()


def _last_like(case: sqlite3.Connection, run: Run) -> tuple[Any, ...] | None:
    """The latest run over a folder with these settings, versions and model."""
    row: tuple[Any, ...] | None = case.execute(
        "SELECT id, state, case_number, examiner, agency, note FROM runs"
        " WHERE evidence_root_bytes = :root AND settings = :settings AND model_sha256 = :model"
        " AND CASE WHEN json_valid(versions) THEN"
        " json_remove(versions, :system) = json_remove(:versions, :system) END"
        " ORDER BY id DESC LIMIT 1",
        {
            "root": run.evidence_root,
            "settings": _json(run.settings),
            "versions": _json(run.versions),
            "system": f"$.{SYSTEM}",
            "model": run.model.sha256,
        },
    ).fetchone()
    return row


def _latest(case: sqlite3.Connection) -> int | None:
    (latest,) = case.execute("SELECT MAX(id) FROM runs").fetchone()
    return latest if isinstance(latest, int) else None


def _refuse_other_words(run_id: int, before: tuple[str | None, ...], run: Run) -> None:
    """What is said of a run is said when it begins, and held by the digest of that."""
    for (name, said), was in zip(asdict(run.about).items(), before, strict=True):
        if said and said != (was or ""):
            flag = option(name)
            raise UsageError(
                f"Run {run_id}, which would be resumed, has {flag} {was or ''!r}.",
                f"Leave {flag} out, or give it as it was; the audit table records who resumes the run.",
            )


def _track_row(run_id: int, sha256: str, track: Track) -> dict[str, Any]:
    first, last = track.first, track.last
    return {
        "run_id": run_id,
        "sha256": sha256,
        "track": track.number,
        "stream": track.stream,
        "first_pts": first.pts if first else None,
        "last_pts": last.pts if last else None,
        "time_base": str(first.time_base) if first else None,
        "first_seconds": first.seconds if first else None,
        "last_seconds": last.seconds if last else None,
        "faces": track.faces,
        **dict(zip(CLASSES, track.probabilities, strict=True)),
        "top_class": track.top_class,
        "label": track.label,
        "confidence": track.confidence,
    }


def _columns(digests: Digests) -> dict[str, str]:
    return {"row_digest": digests.rows, "results_digest": digests.results}


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def account() -> str:
    """The account that works with the case, as the system knows it; what the environment says does not
    count, for anybody may set it."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:  # an account without a name, as in containers
        return f"uid {os.geteuid()}"


def migrate(path: Path, at: str, arguments: tuple[str, ...]) -> Path | None:
    """Bring a case of an older femo up to date.

    Returns:
        The copy of what it was; None if it is up to date already, and was left as it is.

    Raises:
        CaseError: it is no case, a newer femo made it, or it or the copy cannot be written.
    """
    if not path.is_file():
        raise CaseError(f"There is no case {path}.", "Give the case file that the older femo wrote.")
    check_is_database(path)
    refuse_odd_files(path)
    refuse_foreign_journal(path)
    try:
        with closing(sqlite3.connect(sqlite_name(path), timeout=BUSY_SECONDS)) as connection:
            db = Database(connection)
            check_is_case(db, path)
            for root in read_evidence_roots(connection):  # before a copy is laid beside it
                refuse_inside(root, path, "case")
            refuse_second_name(path)
            refuse_triggers(connection, path)
            pending = [step.name for step in MIGRATIONS.pending(db)]
            if not pending:
                return None
            kept = beside(path, f".before-{pending[0]}")
            if kept.exists():
                raise CaseError(f"{kept} exists already.", "Move it away: the copy goes there.")
            os.close(os.open(kept, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            with closing(sqlite3.connect(sqlite_name(kept))) as copy:
                connection.backup(copy)
            kept.chmod(stat.S_IMODE(path.stat().st_mode))  # it shows no more people what they may see
    except (sqlite3.Error, OSError) as error:
        raise CaseError(
            f"The case {path} cannot be copied: {error}.",
            "It is unchanged. Its folder must have room for a copy; remove any unfinished copy.",
        ) from error
    try:
        store = CaseStore(path, brought_up=(at, arguments))  # all of it, or as it was
    except (CaseError, UsageError):
        kept.unlink()  # the case is as it was
        raise
    store.close()
    return kept
