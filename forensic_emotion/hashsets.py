"""Lists of hashes → is this file in one of them? For files that are known, and for notable ones.

Known says nothing of good or bad: only that a list has the hash.
"""

from __future__ import annotations

import csv
import re
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from forensic_emotion.errors import FemoError, UsageError
from forensic_emotion.hashes import file_sha256
from forensic_emotion.paths import SQLITE_HEADER, in_utf8, read_only
from forensic_emotion.records import Evidence

BYTES = {"sha256": 32, "sha1": 20, "md5": 16}
"""Algorithm → length of its hashes; the surest first."""


KNOWN_FORMS = (
    "Accepted are one hash per line, sha256sum, sha1sum, md5sum, hashdeep, CSV with a SHA-256,"
    " SHA-1 or MD5 column, and NSRL RDSv3 (SQLite)."
)


@dataclass(frozen=True, eq=False)
class HashSet:
    """The hashes of one list."""

    name: str
    sha256: str
    """Of the list itself, so that a case says which one was used."""
    hashes: dict[str, set[bytes]] = field(default_factory=lambda: {name: set() for name in BYTES})
    """Algorithm → hashes."""
    database: sqlite3.Connection | None = None
    """An NSRL RDSv3 database, which is asked instead."""
    columns: tuple[str, ...] = ()
    """Of the database that are asked."""

    def __contains__(self, evidence: Evidence) -> bool:
        """Whether a file's hash is in the list.

        Raises:
            FemoError: the database cannot be asked any more.
        """
        for algorithm, known in self.hashes.items():
            digest: str = getattr(evidence, algorithm)
            if known and bytes.fromhex(digest) in known:
                return True
        for column in self.columns:
            assert self.database is not None, "columns are a database's"
            digest = getattr(evidence, column)
            # NSRL writes its hashes in capitals, others in small letters; both can use the index.
            asked = f"SELECT 1 FROM FILE WHERE {column} IN (?, ?)"
            try:
                found = self.database.execute(asked, (digest.upper(), digest.lower())).fetchone()
            except sqlite3.Error as error:
                raise FemoError(
                    f"The hash list {self.name} can no longer be read: {error}.",
                    "Check that it exists and is complete, then run the same command again to resume.",
                ) from error
            if found:
                return True
        return False


@dataclass(frozen=True)
class ListFile:
    """A list's file that was hashed once: NSRL's are so large that not every worker can do it."""

    path: Path
    size: int
    modified: int
    """Nanoseconds since 1970."""
    sha256: str

    @classmethod
    def of(cls, path: Path) -> ListFile:
        """Hash a list's file.

        Raises:
            UsageError: it cannot be read.
        """
        try:
            status = path.stat()
            return cls(path, status.st_size, status.st_mtime_ns, file_sha256(path))
        except OSError as error:
            raise _unreadable(path, error) from error

    def hash_now(self) -> str:
        """Its hash; computed anew if the file is another one than it was."""
        status = self.path.stat()
        same = (status.st_size, status.st_mtime_ns) == (self.size, self.modified)
        return self.sha256 if same else file_sha256(self.path)


def _unreadable(path: Path, error: OSError) -> UsageError:
    return UsageError(
        f"The hash list {path} cannot be read: {error.strerror}.",
        "Check the spelling of its path, and that you may read it.",
    )


def read_hash_set(file: ListFile) -> HashSet:
    """Read a list of hashes.

    Known are one hash a line, the formats of ``sha256sum``, ``sha1sum``, ``md5sum`` (BSD style too) and
    ``hashdeep``, CSV whose first line names a column of hashes (NSRL's RDSv2 too), and NSRL's RDSv3 as
    SQLite. The algorithm is told by a hash's length.

    Raises:
        UsageError: it cannot be read, or a line is none of that.
    """
    path = file.path
    try:
        sha256 = file.hash_now()
        with path.open("rb") as source:
            if source.read(len(SQLITE_HEADER)) == SQLITE_HEADER:
                return _database(path, sha256)
        with path.open(encoding="utf-8", errors="surrogateescape") as lines:
            found = HashSet(in_utf8(path.name), sha256)
            for digest in _digests(path, lines):
                algorithm = next(name for name, size in BYTES.items() if size == len(digest))
                found.hashes[algorithm].add(digest)
    except OSError as error:
        raise _unreadable(path, error) from error
    except csv.Error as error:
        raise UsageError(f"The hash list {path} cannot be read as CSV: {error}.", KNOWN_FORMS) from error
    if not any(found.hashes.values()):
        raise UsageError(f"The hash list {path} contains no hashes.", KNOWN_FORMS)
    return found


HEX = r"([0-9a-fA-F]{64}|[0-9a-fA-F]{40}|[0-9a-fA-F]{32})"
PLAIN = re.compile(rf"\\?{HEX}(?:[ \t]+.*)?$")
BSD = re.compile(rf"\\?(?:SHA256|SHA1|MD5) ?\(.*\) ?= ?{HEX}$")


def _digests(path: Path, lines: Iterable[str]) -> Iterator[bytes]:
    deep: list[str] | None = None
    table: int | None = None
    for number, raw in enumerate(lines, 1):
        line = raw.strip("\r\n\ufeff ")
        if number == 1 and (table := _hash_column(line)) is not None:
            continue
        if line.startswith("%%%% "):
            if line[5:].startswith("size,"):
                deep = line[5:].split(",")[:-1]
        elif not line or line.startswith("#"):
            continue
        elif table is not None:
            cells = next(csv.reader([line]))
            digest = cells[table].strip() if table < len(cells) else ""
            if not re.fullmatch(HEX, digest):
                raise _no_hash(path, number)
            yield bytes.fromhex(digest)
        elif deep is not None:
            values = dict(zip(deep, line.split(","), strict=False))
            digest = next((values[name] for name in BYTES if name in values), "")
            if not re.fullmatch(HEX, digest):
                raise _no_hash(path, number)
            yield bytes.fromhex(digest)
        else:
            match = PLAIN.match(line) or BSD.match(line)
            if match is None:
                raise _no_hash(path, number)
            yield bytes.fromhex(match[1])


def _hash_column(line: str) -> int | None:
    """In which cell of a line a table of CSV has a hash, the surest that it has; None if it is none."""
    names = [name.strip().lower().replace("-", "") for name in next(csv.reader([line]), [])]
    return next((names.index(algorithm) for algorithm in BYTES if algorithm in names), None)


def _no_hash(path: Path, number: int) -> UsageError:
    return UsageError(
        f"The hash list {path}, line {number}: there is no hash where one is expected.",
        KNOWN_FORMS,
    )


def _is_indexed(connection: sqlite3.Connection, column: str) -> bool:
    """Whether a hash is found without a pass over any table; FILE may be a view of several."""
    plan = connection.execute(f"EXPLAIN QUERY PLAN SELECT 1 FROM FILE WHERE {column} = ''")
    return not any("SCAN" in detail for *_, detail in plan.fetchall())


def _database(path: Path, sha256: str) -> HashSet:
    """NSRL's RDSv3; only columns with an index are asked, for it has hundreds of millions of rows."""
    try:
        # Asked by one thread at a time, which need not be the one that opened it.
        connection = sqlite3.connect(f"{read_only(path)}&immutable=1", uri=True, check_same_thread=False)
        there = {row[1].lower() for row in connection.execute("PRAGMA table_info('FILE')")}
        indexed = tuple(name for name in BYTES if name in there and _is_indexed(connection, name))
    except sqlite3.Error as error:
        raise UsageError(
            f"The hash list {path} cannot be read as SQLite: {error}.",
            "Download it again, or give it as text.",
        ) from error
    if not there & set(BYTES):
        raise UsageError(
            f"The hash list {path} is a database without NSRL's FILE table and its hashes.", KNOWN_FORMS
        )
    if not indexed:
        raise UsageError(
            f"The hash list {path} has no index on its hashes: each file would require a full pass"
            " over it.",
            "Write them to a text list:"
            f' sqlite3 {path.name} "select distinct sha256 from FILE" > known.txt',
        )
    return HashSet(in_utf8(path.name), sha256, database=connection, columns=indexed)
