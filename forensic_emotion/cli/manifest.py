"""``femo manifest``: the hashes of a run's files, for ``sha256sum -c``."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from forensic_emotion.cli import EXIT_PROBLEMS, app, examples
from forensic_emotion.cli.options import RunNumber
from forensic_emotion.cli.rows import told_or_not
from forensic_emotion.errors import UsageError
from forensic_emotion.paths import visible


@app.command(
    epilog=examples(
        ("Write it", "femo manifest case.db --out evidence.sha256"),
        ("Check the evidence with it, without femo", "cd evidence/ && sha256sum -c ../evidence.sha256"),
    )
)
def manifest(
    case: Annotated[Path, typer.Argument(help="Case file.")],
    out: Annotated[Path | None, typer.Option("--out", help="File to write. Default: print it.")] = None,
    run: RunNumber = None,
) -> None:
    """Write the SHA-256 of every file of a run, as sha256sum does, with names relative to the evidence
    folder.

    Exit code 3 means that the case was altered: its rows are first checked against their digests.
    """
    from forensic_emotion.case.alterations import altered
    from forensic_emotion.case.listing import list_files
    from forensic_emotion.case.queries import opened_case, read_run, refuse_output
    from forensic_emotion.cli.noting import tell_altered, tell_incomplete
    from forensic_emotion.hashes import sum_line
    from forensic_emotion.paths import written_whole

    with opened_case(case) as opened:
        opened.execute("BEGIN")  # one view of the case, also while a scan writes to it
        if out is not None:
            refuse_output(opened, case, out, "manifest")
        chosen = read_run(opened, run)
        changed = altered(opened, chosen.id)
        files = [(file.path_bytes, file.sha256) for file in list_files(opened, chosen.id)]
    content = b"".join(sum_line(sha256, path) for path, sha256 in files if sha256)
    without = sum(sha256 is None for _, sha256 in files)
    if out is None:
        with told_or_not():
            sys.stdout.buffer.write(content)
            sys.stdout.buffer.flush()
    elif os.path.lexists(out):
        raise UsageError(
            f"{out} exists already; a manifest does not replace files.", "Name another file with --out."
        )
    else:
        with written_whole(out, "manifest") as unfinished:  # sha256sum takes half of one for a whole
            unfinished.write_bytes(content)
        print(f"Manifest: {visible(str(out))}")
    tell_incomplete(chosen)
    if without:
        print(f"Without a hash, so not in the manifest: {without} paths.", file=sys.stderr)
    if changed:
        tell_altered(case, changed)
        raise typer.Exit(EXIT_PROBLEMS)
