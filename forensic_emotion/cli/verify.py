"""``femo verify``: does a case hold what it held, and is the evidence what was scanned?"""

from __future__ import annotations

import os
import sys
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from forensic_emotion.cli import EXIT_PROBLEMS, app, examples
from forensic_emotion.cli.rows import AsJson, print_json, told_or_not
from forensic_emotion.paths import as_text, visible

if TYPE_CHECKING:
    from forensic_emotion.verification import Chosen, Verification


@app.command(
    epilog=examples(
        ("Is the case intact?", "femo verify case.db"),
        ("And is the evidence what was scanned?", "femo verify case.db --evidence /mnt/evidence"),
    )
)
def verify(
    case: Annotated[Path, typer.Argument(help="Case file.")],
    evidence: Annotated[
        Path | None,
        typer.Option("--evidence", help="Hash the files in this folder again and compare."),
    ] = None,
    run: Annotated[
        int | None,
        typer.Option(
            "--run",
            min=1,
            max=2**31,
            help="Run to compare with. Default: the latest, preferably one of that folder.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check the integrity of a case: its database, digests and audit chain; and of the evidence, if
    given.

    Exit code 0 means that all checks passed, 3 that one failed; each fault is listed, and each run that
    did not end. What this shows and what it does not: docs/evidence.md. The check itself is recorded in
    the case's audit table, which changes the SHA-256 of the case file.
    """
    from rich.console import Console
    from rich.progress import Progress

    from forensic_emotion import verification
    from forensic_emotion.case.audit_file import audit_file
    from forensic_emotion.case.queries import opened_case
    from forensic_emotion.cli.noting import note

    console = Console(stderr=True)
    with opened_case(case, to_verify=True) as opened:
        chosen = verification.choose_run(opened, run, evidence)
        number = chosen.id if chosen else None
        with Progress(console=console, disable=not console.is_terminal, transient=True) as progress:
            task = progress.add_task("hashing", total=chosen.paths if chosen else 0)
            found = verification.verify(opened, case, number, evidence, lambda: progress.advance(task))
    # First, for whoever reads what is printed may have seen enough before its end.
    head = None
    if not found.sound:
        pass  # nothing more is written to what may be beyond repair, or may act on it
    elif not found.audit_holds:
        # An entry more would make the file of hashes anew, from a table that is not what it was.
        name = visible(audit_file(case).name)
        print(
            f"Not recorded in the audit table: the table, or {name}, has been altered.", file=sys.stderr
        )
    else:
        detail = found.noted()
        if evidence is not None:  # the command line may name it from a folder that nobody knows later
            detail["folder"] = as_text(os.fsencode(os.path.realpath(evidence)))
        head = note(case, "verify", number, detail, evidence)
    with told_or_not():
        if as_json:
            print_json(_facts(case, chosen, found) | {"audit_head_now": head})
        else:
            _print(chosen, found, head)
    if not found.holds:
        raise typer.Exit(EXIT_PROBLEMS)


def _print(run: Chosen | None, found: Verification, now: str | None) -> None:
    from forensic_emotion.verification import HOLDING

    for fault in found.faults:
        print(f"FAULT  {visible(fault)}")
    for file in found.files or ():
        if file.fate not in HOLDING:
            print(f"{file.fate.upper()}  {visible(file.path)}  {visible(file.text)}".rstrip())
    print(f"Rows of {found.rows} paths checked, faults: {len(found.faults)}.")
    if found.head:
        print(f"Audit head checked: {visible(found.head)}")
    if now is not None:
        print(f"Audit head with the entry of this check: {now}")
    if run is not None and found.files is not None:
        fates = ", ".join(f"{n} {fate}" for fate, n in _fates(found).items())
        print(f"Evidence of run {run.id}: {fates}")
        if found.files and not any(file.fate in HOLDING for file in found.files):
            print("Nothing from that run is there: is it the wrong folder, or the wrong run (--run)?")
    if run is not None:
        digest = run.results_digest or "none yet: the run has not ended"
        print(f"Results digest of run {run.id}: {visible(digest)}")
    for text in found.notes:
        print(f"NOTE  {visible(text)}. What was there before that entry is not checked.")
    for text in found.unfinished:
        print(f"NOT FINISHED  {visible(text)}: not all of its evidence is in the case.")
    if run is None and not found.faults:
        print("The case holds no run.")
    if found.holds:
        finished = run is not None and not found.unfinished
        print("All checks passed." if finished else "What is there passed all checks.")
    else:
        files = sum(file.fate not in HOLDING for file in found.files or ())
        print(f"CHECKS FAILED: faults of the case: {len(found.faults)}, files: {files}; named above.")


def _facts(case: Path, run: Chosen | None, found: Verification) -> dict[str, Any]:
    return {
        "case": str(case),
        "run": run.id if run else None,
        "holds": found.holds,
        "notes": found.notes,
        "unfinished": found.unfinished,
        "rows": found.rows,
        "faults": found.faults,
        "evidence": None if found.files is None else _fates(found),
        "files": [asdict(file) for file in found.files or () if file.fate != "unchanged"],
        "results_digest": run.results_digest if run else None,
        "audit_head": found.head,
    }


def _fates(found: Verification) -> dict[str, int]:
    """How many files met which fate, those that none met too."""
    from forensic_emotion.verification import FATES

    counts = Counter(file.fate for file in found.files or ())
    return {fate: counts[fate] for fate in FATES}
