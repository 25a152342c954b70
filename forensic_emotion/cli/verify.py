"""``femo verify``: does a case hold what it held, and is the evidence what was scanned?"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from forensic_emotion.cli import EXIT_PROBLEMS, app
from forensic_emotion.paths import visible


@app.command()
def verify(
    case: Annotated[Path, typer.Argument(help="Case file.")],
    evidence: Annotated[
        Path | None,
        typer.Option("--evidence", help="Hash the files in this folder anew and compare."),
    ] = None,
    run: Annotated[
        int | None,
        typer.Option("--run", min=1, max=2**31, help="Run to compare with. Default: the latest."),
    ] = None,
) -> None:
    """Check that a case is whole: its database, digests and audit chain; and the evidence, if given.

    Exit code 0 says that all holds, 3 that something does not; each fault is named. What this shows and
    what it does not: docs/evidence.md.
    """
    from rich.console import Console
    from rich.progress import Progress

    from forensic_emotion import verification
    from forensic_emotion.case.queries import opened_case, read_run
    from forensic_emotion.cli.noting import note

    console = Console(stderr=True)
    with opened_case(case) as opened:
        chosen = read_run(opened, run)
        with Progress(console=console, disable=not console.is_terminal, transient=True) as progress:
            total = opened.execute(
                "SELECT COUNT(*) FROM files WHERE run_id = ?", (chosen.id,)
            ).fetchone()
            task = progress.add_task("hashing", total=total[0])
            found = verification.verify(
                opened, case, chosen.id, evidence, lambda: progress.advance(task)
            )
    counts = Counter(f.fate for f in found.files or ())
    for fault in found.faults:
        print(f"FAULT  {visible(fault)}")
    for file in found.files or ():
        if file.fate != "unchanged":
            print(f"{file.fate.upper()}  {visible(file.path)}  {visible(file.text)}".rstrip())
    print(f"Rows of {found.rows} paths checked, faults: {len(found.faults)}. Audit head: {found.head}")
    if found.files is not None:
        fates = ", ".join(f"{counts[fate]} {fate}" for fate in verification.FATES)
        print(f"Evidence of run {chosen.id}: {fates}")
    print(f"Results digest of run {chosen.id}: {chosen.results_digest}")
    if not any(fault.startswith("database") for fault in found.faults):
        detail = {"faults": len(found.faults), "evidence": dict(counts), "holds": found.holds}
        note(case, "verify", chosen.id, detail)
    if not found.holds:
        raise typer.Exit(EXIT_PROBLEMS)
    print("All holds.")
