"""A case → what of it cannot be as femo wrote it, whatever its digests say: schema, what ties rows."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from forensic_emotion.case.database import Database
from forensic_emotion.case.schema import MIGRATIONS
from forensic_emotion.case.version import TABLES
from forensic_emotion.errors import CaseError

MOST = 20
"""Rows that are named one by one; more are counted."""

LOOSE = (
    (
        "faces WHERE NOT EXISTS (SELECT 1 FROM files"
        " WHERE files.run_id = faces.run_id AND files.sha256 = faces.sha256)",
        "faces belong to no path",
    ),
    (
        "tracks WHERE NOT EXISTS (SELECT 1 FROM files"
        " WHERE files.run_id = tracks.run_id AND files.sha256 = tracks.sha256)",
        "tracks belong to no path",
    ),
    (
        "evidence WHERE NOT EXISTS (SELECT 1 FROM files WHERE files.sha256 = evidence.sha256)",
        "rows of evidence belong to no path",
    ),
    (
        "models WHERE NOT EXISTS (SELECT 1 FROM runs WHERE runs.model_sha256 = models.sha256)",
        "models belong to no run",
    ),
    # The digests leave out the numbers that tie rows together.
    (
        "problems JOIN files ON files.id = problems.file_id WHERE files.run_id <> problems.run_id",
        "problems name another run than their path's",
    ),
    (
        "reviews JOIN faces ON faces.id = reviews.face_id WHERE faces.run_id <> reviews.run_id",
        "reviews are of a face of another run",
    ),
    (
        "files JOIN files AS first ON first.id = files.same_as"
        " WHERE first.run_id <> files.run_id OR first.sha256 IS NOT files.sha256",
        "paths are copies of a path of another run or with other bytes",
    ),
)
"""Rows that no case has, and what they are in words."""


def loose_rows(case: sqlite3.Connection) -> Iterator[str]:
    """Rows that belong to nothing, or to what they cannot belong to."""
    broken = case.execute("PRAGMA foreign_key_check").fetchall()
    for table, row, parent, _ in broken[:MOST]:
        yield f"row {row} of {table}: the row of {parent} that it refers to is missing"
    if len(broken) > MOST:
        yield f"{len(broken) - MOST} more rows refer to a missing row"
    for where, text in LOOSE:
        (count,) = case.execute(f"SELECT COUNT(*) FROM {where}").fetchone()
        if count:
            yield f"{count} {text}"
    yield from _confused_values(case)


def _confused_values(case: sqlite3.Connection) -> Iterator[str]:
    """Binary data where text belongs, and text where binary data do.

    To the digests binary data and the text of their hexadecimal digits are the same.
    """
    for table in TABLES:
        wrong = {"TEXT": "blob", "BLOB": "text"}
        columns = [
            (name, wrong[declared])
            for _, name, declared, *_ in case.execute(f"PRAGMA table_info({_quoted(table)})")
            if declared in wrong
        ]
        if not columns:
            continue
        counts = ", ".join(f"sum(typeof({_quoted(name)}) = '{kind}')" for name, kind in columns)
        found = case.execute(f"SELECT {counts} FROM {_quoted(table)}").fetchone()
        for (name, kind), count in zip(columns, found, strict=True):
            if count:
                what = "binary data" if kind == "blob" else "text"
                yield f"{count} values of {table}.{name} are {what}"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


@dataclass(frozen=True)
class SchemaFault:
    """A table, view, index or trigger that is not that of a case that was made now."""

    kind: str
    name: str
    what: Literal["is missing", "is not one of femo's", "is not as femo makes it"]

    def __str__(self) -> str:
        return f"schema: the {self.kind} {self.name} {self.what}"

    @property
    def acts(self) -> bool:
        """Whether it may change what femo reads or writes, or compute without end: a trigger, or what
        stands in the place of femo's own. What somebody adds to ask a case by themselves does not."""
        return self.what == "is not as femo makes it" or (
            self.kind == "trigger" and self.what == "is not one of femo's"
        )


def schema_faults(case: sqlite3.Connection) -> Iterator[SchemaFault]:
    """Where tables, views, indexes and triggers are not those of a case that was made now.

    A case that was brought up to date may spell a table otherwise; its columns and keys are compared.
    """
    fresh = Database(memory=True)
    MIGRATIONS.apply(fresh)
    names = _names(fresh.conn)
    expected, found = _objects(fresh.conn, names), _objects(case, names)
    fresh.close()
    for kind, name in sorted(expected.keys() | found.keys()):
        if (kind, name) not in found:
            yield SchemaFault(kind, name, "is missing")
        elif (kind, name) not in expected:
            yield SchemaFault(kind, name, "is not one of femo's")
        elif found[kind, name] != expected[kind, name]:
            yield SchemaFault(kind, name, "is not as femo makes it")


def refuse_what_acts(case: sqlite3.Connection, path: Path) -> None:
    """Refuse a case with a trigger of somebody else's, or with a view or table other than femo's.

    Raises:
        CaseError: it has one.
        sqlite3.Error: the file cannot be read.
    """
    if fault := next((fault for fault in schema_faults(case) if fault.acts), None):
        raise CaseError(
            f"{path} cannot be trusted: its {fault.kind} {fault.name} {fault.what}.",
            "It may change what is read or written. Find out where the case comes from; femo verify"
            " lists what else is not as femo makes it.",
        )


def refuse_triggers(case: sqlite3.Connection, path: Path) -> None:
    """Of a case of an older femo, whose tables and views are others, refuse one with a trigger under a
    name that is not one of femo's; ``refuse_what_acts`` is for when it has been brought up to date.

    Raises: CaseError: it has a trigger that is not one of femo's.
    """
    for fault in schema_faults(case):
        if fault.kind == "trigger" and fault.what == "is not one of femo's":
            raise CaseError(
                f"{path} cannot be trusted: its trigger {fault.name} is not one of femo's.",
                "It may change what is written. Find out where the case comes from.",
            )


OF_SQLITE = ("sqlite_sequence", "sqlite_stat1", "sqlite_stat4")
"""Tables that SQLite makes itself."""


def _names(case: sqlite3.Connection) -> set[str]:
    """Every name of something in a case, and of its columns."""
    names = {name for (name,) in case.execute("SELECT name FROM sqlite_master")}
    columns = (case.execute(f"PRAGMA table_xinfo({_quoted(name)})").fetchall() for name in set(names))
    return names.union(row[1] for rows in columns for row in rows)


def _objects(case: sqlite3.Connection, names: set[str]) -> dict[tuple[str, str], object]:
    rows = case.execute(
        "SELECT type, name, tbl_name, sql FROM sqlite_master WHERE sql NOT NULL"
    ).fetchall()
    return {
        (kind, name): _table(case, name) if kind == "table" else (table, _plain(sql, names))
        for kind, name, table, sql in rows
        # SQLite's own, and sqlite_utils' list of migrations, which its versions spell differently.
        if kind != "table" or name not in (*OF_SQLITE, MIGRATIONS.migrations_table)
    }


def _table(case: sqlite3.Connection, name: str) -> object:
    """A table's columns, foreign keys and unique constraints, in no order."""

    def told(pragma: str, of: str) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in case.execute(f"PRAGMA {pragma}({_quoted(of)})")]

    unique = {
        tuple(column for _, _, column in told("index_info", index))
        for _, index, is_unique, origin, *_ in told("index_list", name)
        if is_unique and origin != "c"
    }
    columns = {row[1:] for row in told("table_xinfo", name)}
    return columns, {row[2:] for row in told("foreign_key_list", name)}, unique


def _plain(sql: str, names: set[str]) -> str:
    """SQL without what the spelling leaves open: quotes of these names, blanks; not within texts.

    What stands in double quotes and is no name is a text to SQLite.
    """

    def plain(part: str) -> str:
        return re.sub(r"\s*([(),;=])\s*", r"\1", re.sub(r"\s+", " ", part))

    def unquoted(part: str) -> str:
        name = part[1:-1]
        return name if part[0] == '"' and name in names else part

    parts = re.split(r"""('(?:[^']|'')*'|"(?:[^"]|"")*")""", sql)  # each second one is quoted
    return "".join(unquoted(p) if i % 2 else plain(p) for i, p in enumerate(parts)).strip()
