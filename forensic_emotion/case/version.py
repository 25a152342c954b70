"""Is this database a case that this femo can read?"""

from __future__ import annotations

from pathlib import Path

from sqlite_utils import Database

from forensic_emotion.case.schema import MIGRATIONS
from forensic_emotion.errors import CaseError


def check_is_case(db: Database, path: Path) -> None:
    """Refuse what is no case, and a case from a newer femo.

    Raises:
        CaseError: with the reason.
        sqlite3.Error: the file cannot be read.
    """
    if MIGRATIONS.migrations_table not in db.table_names() or not MIGRATIONS.applied(db):
        raise CaseError(f"{path} is a database, but no case of femo.", "Name another file.")
    known = {m.name for m in MIGRATIONS.pending(Database(memory=True))}
    newer = [m.name for m in MIGRATIONS.applied(db) if m.name not in known]
    if newer:
        raise CaseError(
            f"{path} was made by a newer femo: its schema has the step {newer[0]!r}, unknown here.",
            "Use that femo or a newer one; this one leaves the case as it is.",
        )
