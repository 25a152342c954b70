"""What was done with a case, by whom and when: rows chained, each by the hash of the one before.

Whoever changes an older row has to make all later ones anew, and then the last hash, the head, is
another. The chain is worth as much as the place where its head was kept: printed, in the
file beside the case, in a report that has been handed over.
"""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from forensic_emotion.case.digest import canonical

BEGINNING = "0" * 64
"""What stands in the first row in place of a hash before it."""
LINE = re.compile(r"[0-9a-f]{64}  ")
"""How each line of the file beside a case begins."""
READING = ("report", "export", "verify")
"""Actions that leave the results as they are."""


@dataclass(frozen=True)
class Entry:
    """One thing that was done."""

    id: int
    at: str
    action: str
    run_id: int | None
    user: str
    host: str
    femo: str
    arguments: list[str]
    detail: dict[str, Any]
    previous: str
    sha256: str


Parsed = TypeVar("Parsed", list[Any], dict[str, Any])

COLUMNS = ("at", "action", "run_id", "user", "host", "femo", "arguments", "detail", "previous")


def append(
    case: sqlite3.Connection,
    *,
    at: str,
    action: str,
    run_id: int | None,
    user: str,
    host: str,
    femo: str,
    arguments: tuple[str, ...],
    detail: dict[str, Any],
) -> None:
    """Add an entry within the caller's transaction."""
    values = (
        *(at, action, run_id, user, host, femo, canonical(list(arguments)), canonical(detail)),
        head(case),
    )
    sha256 = _hash(values)
    marks = ", ".join("?" * (len(COLUMNS) + 1))
    case.execute(f"INSERT INTO audit ({', '.join(COLUMNS)}, sha256) VALUES ({marks})", (*values, sha256))


def head(case: sqlite3.Connection, *, results_only: bool = False) -> str:
    """The hash of the last entry; with ``results_only`` of the last that may have changed results."""
    marks = ", ".join("?" * len(READING))
    where = f"WHERE action NOT IN ({marks})" if results_only else ""
    row = case.execute(
        f"SELECT sha256 FROM audit {where} ORDER BY id DESC LIMIT 1", READING if results_only else ()
    ).fetchone()
    return str(row[0]) if row else BEGINNING


def entries(case: sqlite3.Connection) -> Iterator[Entry]:
    """Every entry, the first one first."""
    for row in case.execute(f"SELECT id, {', '.join(COLUMNS)}, sha256 FROM audit ORDER BY id"):
        id, at, action, run_id, user, host, femo, arguments, detail, previous, sha256 = row
        yield Entry(
            *(id, at, action, run_id, user, host, femo),
            _parsed(arguments, list) or [],
            _parsed(detail, dict) or {},
            previous,
            sha256,
        )


def _parsed(text: object, kind: type[Parsed]) -> Parsed | None:
    """What JSON says; None if it is damaged, which ``broken_at`` names."""
    try:
        value = json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, kind) else None


def lines(case: sqlite3.Connection) -> list[str]:
    """What the file beside the case says of every entry, the first one first."""
    rows = case.execute("SELECT sha256, at, action, run_id FROM audit ORDER BY id")
    return [f"{sha256}  {at}  {action}, run {run_id}" for sha256, at, action, run_id in rows]


def is_beginning(noted: list[str], there: list[str]) -> bool:
    """Whether a file with these lines can be one of the case with those.

    It may lag behind by what was done last, as when the disk was full. It cannot be empty: it is written
    before the second entry is.
    """
    return there[: len(noted)] == noted and (bool(noted) or len(there) < 2)


def broken_at(case: sqlite3.Connection) -> Iterator[str]:
    """Where the chain does not hold, in words."""
    previous, expected = BEGINNING, 1
    for row in case.execute(f"SELECT id, sha256, {', '.join(COLUMNS)} FROM audit ORDER BY id"):
        id, sha256, *values = row
        if id != expected:
            yield f"audit entry {expected} is missing"
        if values[-1] != previous:
            yield f"audit entry {id} does not follow the one before it"
        if _hash(tuple(values)) != sha256:
            yield f"audit entry {id} ({values[1]}, {values[0]}) was changed"
        elif _parsed(values[-3], list) is None or _parsed(values[-2], dict) is None:
            yield f"audit entry {id} ({values[1]}, {values[0]}) is not as femo writes it"
        previous, expected = sha256, id + 1


def _hash(values: tuple[Any, ...]) -> str:
    return hashlib.sha256(canonical(list(values)).encode()).hexdigest()
