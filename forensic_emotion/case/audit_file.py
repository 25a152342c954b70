"""The file beside a case that lists the hashes of its audit table, so that entries cut off show."""

from __future__ import annotations

import os
import secrets
import sqlite3
from contextlib import suppress
from itertools import count
from pathlib import Path

from forensic_emotion.case import audit
from forensic_emotion.errors import CaseError
from forensic_emotion.paths import AUDIT, beside


def audit_file(case: Path) -> Path:
    """Where the audit's hashes lie beside a case."""
    return beside(case, AUDIT)


def audit_fault(connection: sqlite3.Connection, case: Path) -> str | None:
    """Why the hashes beside a case show nothing of its audit table, in words; None if they are of it."""
    target = audit_file(case)
    try:
        # Before the table: an entry that comes meanwhile is in the table first.
        lines = target.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        there = audit.lines(connection)
        text = (
            f"{target.name} is missing beside the case: entries removed from the end would go unnoticed"
        )
        return text if there else None
    except (OSError, UnicodeDecodeError) as error:
        return f"{target.name} cannot be read: {error}"
    if not audit.is_beginning(lines, audit.lines(connection)):
        return f"the audit table lacks entries that {target.name} lists"
    return None


def put_aside(connection: sqlite3.Connection, case: Path) -> Path | None:
    """Rename what a case of the same name left beside a case that was just made.

    Those hashes are what shows that there was another one; None if there are none.

    Raises:
        CaseError: something else lies there, or it cannot be renamed.
    """
    target = audit_file(case)
    there = _text_of(target)
    readable = there is not None or not os.path.lexists(target)
    if readable and (not there or audit.is_beginning(there.splitlines(), audit.lines(connection))):
        return None
    if there is None or not audit.LINE.match(there):
        raise CaseError(
            f"{target} is where the hashes of the case's audit belong, but is something else.",
            "Name another case, or move that file away.",
        )
    names = (target.with_name(f"{target.name}.before-{n}") for n in count(1))
    kept = next(name for name in names if not os.path.lexists(name))
    try:
        return target.rename(kept)
    except OSError as error:
        raise CaseError(
            f"The audit file {target} of another case cannot be renamed: {error.strerror}.",
            "Name another case, or move that file away.",
        ) from error


def _text_of(path: Path) -> str | None:
    """What a file holds, bytes that are no UTF-8 escaped; None if it cannot be read."""
    try:
        return path.read_bytes().decode("utf-8", "backslashreplace")
    except OSError:
        return None


def write_audit_file(connection: sqlite3.Connection, case: Path) -> None:
    """Write one line an audit entry, its hash first.

    A file that lists other entries stays as it is: it is what shows that some were cut off or replaced.

    Args:
        connection: to the case.
        case: where it lies.

    Raises:
        CaseError: it cannot be written.
    """
    lines = audit.lines(connection)
    text = "".join(f"{line}\n" for line in lines)
    target = audit_file(case)
    there = _text_of(target)
    if there is None and target.exists():
        return  # nobody can tell what it shows; femo verify says so
    if there == text:
        return  # so that a full disk does not matter where there is nothing to say
    if there is not None and not audit.is_beginning(there.splitlines(), lines):
        return  # it shows that the chain is another one; femo verify says so
    # A name that nobody can guess, and no link: the folder may come from somebody else.
    unfinished = target.with_name(f".{target.name}.{secrets.token_hex(8)}.new")
    try:
        with unfinished.open("x", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())  # else a power cut can leave an empty one, which shows another chain
        unfinished.replace(target)
    except OSError as error:
        raise CaseError(
            f"The audit file {target} cannot be written: {error.strerror}.",
            "Free up space there, or check that you may write to that folder.",
        ) from error
    finally:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)
