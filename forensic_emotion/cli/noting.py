"""What commands say of a case: to its audit table what they did with it, to the user its state."""

from __future__ import annotations

import os
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from forensic_emotion.paths import as_typed, visible

if TYPE_CHECKING:
    from forensic_emotion.case.alterations import Altered
    from forensic_emotion.case.queries import RunInfo
    from forensic_emotion.case.selection import Selection


def arguments() -> tuple[str, ...]:
    """The command line, as a case keeps it."""
    from forensic_emotion.paths import in_utf8

    return tuple(map(in_utf8, sys.argv))


def writable(case: Path) -> bool:
    """May a case be written, and beside it what SQLite and the audit need there?"""
    return os.access(case, os.W_OK) and os.access(case.absolute().parent, os.W_OK)


def tell_audit_fault(fault: str | None) -> None:
    """Tell the user, once, before a file that is missing is made anew."""
    if fault is not None:
        print(f"Note: {visible(fault)}. The next entry of the audit table will say so.", file=sys.stderr)


def tell_altered(case: Path, altered: Altered) -> None:
    """Tell the user that a run, or what was done with its case, is not what femo wrote."""
    how = [f"paths whose rows are not what the scan wrote: {altered.paths}"] if altered.paths else []
    how += map(visible, altered.faults)
    text = f"The case was altered: {'; '.join(how)}. Details: femo verify {as_typed(case)}"
    print(text, file=sys.stderr)


def tell_selection(case: Path, run_id: int, selection: Selection) -> None:
    """Tell the user how much a selection has; of nothing the reason may be how a path is given."""
    from forensic_emotion.case.queries import opened_case
    from forensic_emotion.case.selection import selected_faces, selected_paths

    with opened_case(case) as opened:
        paths = selected_paths(opened, run_id, selection)
        faces = sum(selected_faces(opened, run_id, selection).values())
    text = f"A selection: {selection.words()}. Faces: {faces}"
    if paths is not None:
        text += f", paths: {len(paths)}"
    if paths is not None and not paths and selection.path is not None:
        text += ". --path takes a whole path; for what is in a folder give 'folder/*'"
    print(f"{visible(text)}.", file=sys.stderr)


def tell_incomplete(run: RunInfo) -> None:
    """Tell the user that a run has not come to its end, if it has not."""
    from forensic_emotion.export.words import state_line

    if incomplete := state_line(run):
        print(f"{incomplete}.", file=sys.stderr)


def tell_other_evidence(case: sqlite3.Connection, run: RunInfo) -> None:
    """Tell the user of runs of other folders: what is of one run says nothing of them."""
    from forensic_emotion.case.queries import other_evidence

    for number, root in other_evidence(case, run):
        text = f"Run {number} is of other evidence and is not included: {root} (--run {number})."
        print(visible(text), file=sys.stderr)


def tell_reviews_elsewhere(case: sqlite3.Connection, run_id: int) -> None:
    """Tell the user where people's reviews are, if a run has none and others have."""
    from forensic_emotion.case.reviews import reviewed_runs

    runs = reviewed_runs(case)
    if runs and run_id not in runs:
        where = ", ".join(f"run {run} ({n})" for run, n in runs.items())
        text = "each run has its own reviews"
        print(
            visible(f"Run {run_id} has no reviews; {text}. Reviewed: {where}; see --run."),
            file=sys.stderr,
        )


def tell_of_run(case: Path, run: RunInfo, asked: int | None) -> None:
    """Tell the user what is not in that which was made of a run.

    Args:
        case: its file.
        run: the run.
        asked: its number, if the user gave it.
    """
    from forensic_emotion.case.queries import opened_case

    tell_incomplete(run)
    with opened_case(case) as opened:
        tell_reviews_elsewhere(opened, run.id)
        if asked is None:
            tell_other_evidence(opened, run)


def note(
    case: Path, action: str, run_id: int | None, detail: dict[str, Any], evidence: Path | None = None
) -> str | None:
    """Add the entry; a case that cannot be written stays as it is, and the user is told.

    So does one that lies in the folder in which the user says that the evidence is now.

    Returns:
        The head of the audit chain with the entry; None if it could not be added.
    """
    from forensic_emotion.case.store import CaseStore
    from forensic_emotion.errors import CaseError, UsageError
    from forensic_emotion.moments import utc_now
    from forensic_emotion.paths import refuse_inside

    if not writable(case):
        print("Not recorded in the audit table: the case is read-only.", file=sys.stderr)
        return None
    try:
        if evidence is not None:
            refuse_inside(evidence, case, "case")
        with closing(CaseStore(case)) as store:
            tell_audit_fault(store.audit_fault)
            return store.note(action, run_id, utc_now(), arguments(), detail)
    except (CaseError, UsageError) as error:  # what the command found stands all the same
        print(
            f"Not recorded in the audit table: {visible(f'{error.text} {error.remedy}')}",
            file=sys.stderr,
        )
        return None
