"""A case → what of it is not as femo wrote it: rows by their digests, the rest by the audit table."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from forensic_emotion.case import audit
from forensic_emotion.case.digest import changed_paths, face_key, is_as_ended, run_row
from forensic_emotion.case.integrity import loose_rows, schema_faults


@dataclass(frozen=True)
class Altered:
    """What of a run, and of what was done with its case, is not what femo wrote; false if all is."""

    paths: int
    """Whose rows are not what they were when they were written."""
    faults: tuple[str, ...]
    """Of the run's own row (settings, model, examiner), reviews, audit table and schema, in words."""

    def __bool__(self) -> bool:
        return self.paths > 0 or bool(self.faults)

    def facts(self) -> dict[str, object]:
        """For scripts."""
        return {"altered_paths": self.paths, "altered": list(self.faults)}


def altered(case: sqlite3.Connection, run_id: int) -> Altered:
    """Hold a run's rows against their digests, of which every one is read, and the rest of its case
    against the audit table: all of ``femo verify`` but the file beside the case and the evidence."""
    paths = sum(1 for _ in changed_paths(case, run_id))
    # What somebody added to ask the case by themselves alters nothing of it.
    schema = (str(f) for f in schema_faults(case) if f.acts or f.what == "is missing")
    checks = (
        *(schema, loose_rows(case), broken_runs(case, run_id)),
        *(broken_reviews(case), audit.broken_at(case)),
    )
    return Altered(paths, tuple(fault for check in checks for fault in made(check)))


def faults_of(case: sqlite3.Connection) -> Iterator[str]:
    """What of a whole case is not as femo wrote it, in words."""
    for check in (loose_rows, broken_rows, broken_runs, broken_reviews):
        yield from made(check(case))


def made(check: Iterable[str]) -> Iterator[str]:
    """What a check finds; where the case does not even let it be made, that is a fault too."""
    try:
        yield from check
    except (sqlite3.Error, TypeError, ValueError, LookupError, AttributeError) as error:
        # The latter where the audit table holds JSON of other types than femo writes.
        yield f"a check could not be carried out: {error}"


def broken_rows(case: sqlite3.Connection) -> Iterator[str]:
    """Paths whose rows are not what they were when they were written."""
    numbers = [number for (number,) in case.execute("SELECT DISTINCT run_id FROM files ORDER BY run_id")]
    for run_id in numbers:
        for file_id in changed_paths(case, run_id):
            (path,) = case.execute("SELECT path FROM files WHERE id = ?", (file_id,)).fetchone()
            yield f"run {run_id}, {path}: its rows were changed after they were written"


BEGINNING, ENDING = ("scan", "resume"), ("scan ended", "migrate")
"""Entries of the audit table that tell how a run stood."""


def broken_runs(case: sqlite3.Connection, only: int | None = None) -> Iterator[str]:
    """Runs that are not what the audit table says of them, or whose paths are not those they had.

    Args:
        case: opened for reading.
        only: one run, if not all.
    """
    told: dict[int, list[audit.Entry]] = defaultdict(list)
    for entry in audit.entries(case):
        if (
            only in (None, entry.run_id)
            and entry.run_id is not None
            and entry.action in (*BEGINNING, *ENDING)
        ):
            told[entry.run_id].append(entry)
    runs = case.execute(
        "SELECT id, state, row_digest, results_digest FROM runs WHERE ?1 IS NULL OR id = ?1 ORDER BY id",
        (only,),
    ).fetchall()
    for run_id in sorted(told.keys() - {run[0] for run in runs}):
        yield f"run {run_id} is missing, though the audit table has an entry for it"
    for run_id, state, rows, results in runs:
        history = told[run_id]
        if not history:
            yield f"run {run_id}: the audit table has no entry for it"
            continue
        last = history[-1]
        if state == "running" and last.action in BEGINNING:
            if (rows, results) != (None, None):
                yield (
                    f"run {run_id}: it has final digests, but the audit table has no entry for its end"
                )
        else:
            if not is_as_ended(case, run_id):
                yield f"run {run_id}: paths were added, removed or changed after it ended"
            noted = (last.detail.get("state"), last.detail.get("row_digest"))
            if last.action not in ENDING or noted != (state, rows):
                yield f"run {run_id}: its end differs from the one in the audit table"
        yield from _changed_run(case, run_id, history)
        for entry in history:
            if entry.action == "resume" and "changed_before" in entry.detail:
                yield f"run {run_id}: {entry.detail['changed_before']}"


def _changed_run(case: sqlite3.Connection, run_id: int, history: list[audit.Entry]) -> Iterator[str]:
    """Whether a run's own row is other than when it began, or when it ended.

    Entries of an older femo have no digests of it; those before a migration are of other columns.
    """
    migrations = [i for i, entry in enumerate(history) if entry.action == "migrate"]
    since = history[migrations[-1] if migrations else 0 :]
    now = run_row(case, run_id)
    begun = {entry.detail["begun_digest"] for entry in since if "begun_digest" in entry.detail}
    if begun - {now.begun}:
        yield (
            f"run {run_id}: folder, settings, versions, model, examiner or something else that is"
            " fixed when a run begins was changed"
        )
    elif since[-1].detail.get("run_digest", now.whole) != now.whole:
        yield f"run {run_id}: its row, such as end or number of paths, was changed after it ended"


def broken_reviews(case: sqlite3.Connection) -> Iterator[str]:
    """Reviews that are not what the audit table says was written."""
    noted = {
        e.detail.get("review"): {"run_id": e.run_id, "at": e.at, **e.detail}
        for e in audit.entries(case)
        if e.action == "review"
    }
    columns = ("id", "run_id", "face_id", "at", "reviewer", "verdict", "label", "note")
    there = set()
    for values in case.execute(f"SELECT {', '.join(columns)} FROM reviews ORDER BY id").fetchall():
        row = dict(zip(("review", *columns[1:]), values, strict=True))
        there.add(row["review"])
        name = f"review {row['review']} of face {row['face_id']}"
        if row["review"] not in noted:
            yield f"{name}: the audit table has no entry for it"
            continue
        detail = dict(noted[row["review"]])
        face = detail.pop("face", None)  # a review of an older femo does not have it
        detail.pop("audit_file", None)
        if row != detail:
            yield f"{name}: it was changed after it was written"
        elif face is not None and face != face_key(case, row["face_id"]):
            yield f"{name}: that number belonged to another face when it was written"
    for number, detail in noted.items():
        if number not in there:
            yield f"review {number} of face {detail.get('face_id')} is missing"
