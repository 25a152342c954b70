"""``femo report``: case → HTML."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from forensic_emotion.cli import app, examples
from forensic_emotion.cli.options import RunNumber, takes
from forensic_emotion.cli.rows import AsJson, print_json
from forensic_emotion.paths import visible
from forensic_emotion.settings import ReportSettings


@app.command(
    epilog=examples(
        ("The latest run, as case.html beside the case", "femo report case.db"),
        ("An earlier run, somewhere else", "femo report case.db --run 1 --out first.html"),
    )
)
@takes(ReportSettings)
def report(
    case: Annotated[Path, typer.Argument(help="Case file.")],
    out: Annotated[
        Optional[Path], typer.Option("--out", help="HTML file to write. Default: beside the case.")  # noqa: UP045
    ] = None,
    run: RunNumber = None,
    as_json: AsJson = False,
    *,
    settings: ReportSettings,
) -> None:
    """Write one run of a case as a single HTML file that opens anywhere, offline."""
    from forensic_emotion.cli.noting import note
    from forensic_emotion.hashes import file_sha256
    from forensic_emotion.report.render import write_report

    target = out or case.parent / f"{case.stem}.html"
    number = write_report(case, target, run, settings)
    sha256 = file_sha256(target)
    note(case, "report", number, {"name": target.name, "sha256": sha256})
    if as_json:
        print_json({"case": str(case), "run": number, "report": str(target), "sha256": sha256})
    else:
        print(f"Report: {visible(str(target))}")
