"""``femo manifest``: the hashes of a run's files, for ``sha256sum -c``."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from forensic_emotion.cli import app, examples
from forensic_emotion.cli.options import RunNumber
from forensic_emotion.errors import FemoError
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
    """Write the SHA-256 of every file of a run, as sha256sum does, names below the evidence folder."""
    from forensic_emotion.case.queries import opened_case, read_evidence_roots, read_manifest, read_run
    from forensic_emotion.hashes import sum_line
    from forensic_emotion.paths import refuse_inside, written_whole

    with opened_case(case) as opened:
        if out is not None:
            for root in read_evidence_roots(opened):
                refuse_inside(root, out, "manifest")
        content = b"".join(sum_line(s, p) for p, s in read_manifest(opened, read_run(opened, run).id))
    if out is None:
        sys.stdout.buffer.write(content)
        return
    if os.path.lexists(out):
        raise FemoError(
            f"The manifest {out} cannot be written: File exists.",
            "Name a file that is not there yet, in a folder that you may write to, with --out.",
        )
    with written_whole(out, "manifest") as unfinished:  # sha256sum takes half of one for a whole
        unfinished.write_bytes(content)
    print(f"Manifest: {visible(str(out))}")
