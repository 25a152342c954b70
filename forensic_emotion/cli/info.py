"""``femo info``: all about a case."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from forensic_emotion.cli import app, examples
from forensic_emotion.cli.options import Format
from forensic_emotion.cli.rows import told_or_not
from forensic_emotion.paths import visible


@app.command(
    epilog=examples(
        ("For people", "femo info case.db"),
        (
            "The results digest of the latest run, for a script",
            "femo info case.db --format json | jq -r .results_digest",
        ),
    )
)
def info(
    case: Annotated[Path, typer.Argument(help="Case file.")],
    format: Annotated[Format, typer.Option("--format", help="How to print it.")] = Format.table,
) -> None:
    """Show what a case holds: its runs with counts, settings and digests, and who did what with it, and
    when.

    --format json adds library versions and everything in the audit table. The SHA-256 is that of the
    file as it is now: each command that adds to the audit table changes it.
    """
    from forensic_emotion.case import audit
    from forensic_emotion.case.queries import opened_case
    from forensic_emotion.hashes import file_sha256

    with opened_case(case) as opened:
        numbers = [number for (number,) in opened.execute("SELECT id FROM runs ORDER BY id")]
        runs = [_run(opened, number) for number in numbers]
        entries = list(audit.entries(opened))
        head = audit.head(opened)
    sha256 = file_sha256(case)
    with told_or_not():
        if format is Format.json:
            facts: dict[str, Any] = {"case": str(case), "sha256": sha256, "audit_head": head}
            # That of the latest run, which is what a script asks for; each run has its own below.
            facts["results_digest"] = runs[-1]["results_digest"] if runs else None
            print(
                json.dumps(
                    {**facts, "runs": runs, "audit": [asdict(entry) for entry in entries]}, indent=1
                )
            )
            return
        print(f"Case        {visible(str(case))}\nSHA-256     {sha256}\nAudit head  {visible(head)}")
        for run in runs:
            print(f"\nRun {run['id']}, {visible(run['state'])}")
            for name, value in run.items():
                if name not in ("id", "state", "versions"):
                    print(f"  {name:<15} {visible(_text(value))}")
        print("\nAudit")
        for e in entries:
            state = e.detail.get("state", "done")
            how = e.action if state == "done" else f"{e.action} ({state})"
            text = f"{e.at}  {how}, run {e.run_id}, by {e.user}@{e.host}, femo {e.femo}"
            print(f"  {e.id:>4}  {visible(text)}")
            told = ((n, _text(v)) for n, v in e.detail.items() if n in TOLD)
            if said := ", ".join(f"{name} {text}" for name, text in told if text):
                print(f"        {visible(said)}")


TOLD = (
    "format",
    "name",
    "files",
    "sha256",
    "pdf",
    "pdf_sha256",
    "redacted",
    "selection",
    "holds",
    "faults",
    "evidence",
)
"""Of an entry's detail, what is told to people: what was written, or what a check came to."""


def _text(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {n}" for name, n in value.items() if n is not None)
    return "" if value is None else str(value)


def _run(opened: Any, number: int) -> dict[str, Any]:
    from forensic_emotion.case.queries import count, read_run

    run, counts = read_run(opened, number), count(opened, number)
    return {
        "id": run.id,
        "state": run.state,
        "case_number": run.case_number or "",
        "examiner": run.examiner or "",
        "agency": run.agency or "",
        "note": run.note or "",
        "evidence": run.evidence_root,
        "started_at": run.started_at,
        "ended_at": run.ended_at,
        "user": run.user,
        "host": run.host,
        "discovered": run.discovered,
        "states": counts.states,
        "frames": counts.frames,
        "faces": counts.faces,
        "labels": counts.labels,
        "model": run.model_name,
        "model_sha256": run.model_sha256,
        "threshold": run.threshold,
        "results_digest": run.results_digest,
        "row_digest": run.row_digest,
        "settings": run.settings,
        "versions": run.versions,
    }
