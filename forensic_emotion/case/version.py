"""Is this database a case that this femo can read?"""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock

from forensic_emotion.case.database import Database
from forensic_emotion.case.schema import MIGRATIONS
from forensic_emotion.errors import CaseError
from forensic_emotion.paths import AUDIT, SQLITE_HEADER, beside

_HELD: Counter[tuple[int, int]] = Counter()
"""Cases that this process has open, by device and inode, and how often.

Closing any descriptor of a file drops all locks that the process has on it (POSIX), those of SQLite too.
Another process would then take the case for one that nobody uses, and remove what is not in it yet.
"""


_COUNTING = Lock()


def _which(path: Path) -> tuple[int, int]:
    status = os.stat(path)
    return status.st_dev, status.st_ino


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Keep this process from opening a case by itself that SQLite has open."""
    case = _which(path)
    with _COUNTING:
        _HELD[case] += 1
    try:
        yield
    finally:
        with _COUNTING:
            _HELD[case] -= 1


def check_is_database(path: Path) -> None:
    """Refuse a file with content that is no SQLite database, before SQLite can take it for an empty one.

    Raises:
        CaseError: with the reason.
    """
    try:
        if _HELD[_which(path)]:
            return  # it was looked at when it was opened
        with path.open("rb") as source:
            head = source.read(len(SQLITE_HEADER))
    except FileNotFoundError:
        return
    except IsADirectoryError as error:
        raise CaseError(
            f"The case {path} is a folder; a case is a single file.", "Give a file, such as case.db."
        ) from error
    except OSError as error:
        raise CaseError(
            f"The case {path} cannot be read: {error.strerror}.", "Check that you may read it."
        ) from error
    if head not in (b"", SQLITE_HEADER):
        raise CaseError(f"{path} is not a femo case: it is not a database.", "Give another file.")


def has_log(path: Path) -> bool:
    """Whether a database that this process does not have open says that a log lies beside it."""
    with suppress(OSError):
        if not _HELD[_which(path)]:
            with path.open("rb") as source:
                return source.read(20)[18:] == b"\x02\x02"  # SQLite's file format, 1.3.3
    return False


TABLES = (
    *("models", "runs", "evidence", "files", "faces", "tracks", "problems", "audit", "reviews"),
    MIGRATIONS.migrations_table,
)
"""A view in place of one may compute without end."""
SUPER_JOURNAL = bytes.fromhex("d9d505f920a163d7")
"""What a rollback journal ends with that names another journal, of a change to several databases."""


def refuse_foreign_journal(case: Path) -> None:
    """Refuse to write to a case beside which a rollback journal lies that is none of femo's.

    SQLite deletes the file that such a journal names, whatever it is. The case may come from somebody
    else; femo never changes several databases at once.

    Raises:
        CaseError: there is one.
    """
    journal = beside(case, "-journal")
    try:
        with journal.open("rb") as source:
            source.seek(-len(SUPER_JOURNAL), os.SEEK_END)
            end = source.read()
    except OSError:  # none, or next to nothing in it
        return
    if end == SUPER_JOURNAL:
        raise CaseError(
            f"{journal} is not femo's journal: it names another file, which SQLite would delete.",
            "Find out where it comes from. Run femo verify on a copy without it to see whether the"
            " case is intact.",
        )


def refuse_odd_files(case: Path) -> None:
    """Refuse a case beside which something other than a file lies where SQLite keeps its log.

    Opening a pipe there waits for ever; the folder may come from somebody else.

    Raises:
        CaseError: it does.
    """
    for ending in ("-journal", "-wal", "-shm", AUDIT):
        there = beside(case, ending)
        try:
            is_file = stat.S_ISREG(os.lstat(there).st_mode)
        except OSError:
            continue
        if not is_file:
            raise CaseError(
                f"{there} is not a regular file, and is where a part of the case belongs.",
                "Find out where it comes from, and move it away.",
            )


def check_is_case(db: Database, path: Path) -> None:
    """Refuse what is no case, and a case from a newer femo.

    Raises:
        CaseError: with the reason.
        sqlite3.Error: the file cannot be read.
    """
    if not db.table_names():
        raise CaseError(
            f"{path} is an empty database: a case into which nothing was written.",
            "Scan into it with: femo scan EVIDENCE --case FILE, or remove it.",
        )
    shams = (  # names are the same in capitals and small letters
        "SELECT name FROM sqlite_master WHERE (type = 'view' OR sql LIKE '%VIRTUAL%')"
        " AND name COLLATE NOCASE IN ({})"
    )
    if sham := db.execute(shams.format(", ".join("?" * len(TABLES))), TABLES).fetchone():
        raise CaseError(
            f"{path} is not a femo case: its {sham[0]} is not a table.", "Find out where it comes from."
        )
    if MIGRATIONS.migrations_table not in db.table_names() or not MIGRATIONS.applied(db):
        raise CaseError(f"{path} is a database, but not a femo case.", "Give another file.")
    empty = Database(memory=True)
    known = {m.name for m in MIGRATIONS.pending(empty)}
    empty.close()
    newer = [m.name for m in MIGRATIONS.applied(db) if m.name not in known]
    if newer:
        raise CaseError(
            f"{path} was made by a newer femo: its schema has the step {newer[0]!r}, unknown here.",
            "Use that femo or a newer one; this one leaves the case unchanged.",
        )


def check_is_current(db: Database, path: Path) -> None:
    """Refuse a case from an older femo, which lacks what reading asks for.

    Raises:
        CaseError: it lacks a step.
        sqlite3.Error: the file cannot be read.
    """
    pending = [m.name for m in MIGRATIONS.pending(db)]
    if pending:
        raise CaseError(
            f"{path} was made by an older femo: its schema lacks the step {pending[0]!r}.",
            f"Bring it up to date with: femo migrate {path}  (a copy of it is kept)",
        )
