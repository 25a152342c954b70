"""``femo export``: case → what other programs read."""

from __future__ import annotations

import sys
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from forensic_emotion.cli import EXIT_PROBLEMS, app, examples
from forensic_emotion.cli.options import RunNumber, takes
from forensic_emotion.cli.rows import AsJson, print_json
from forensic_emotion.export.formats import FORMATS
from forensic_emotion.paths import visible
from forensic_emotion.settings import ExportSettings

Name = Enum("Name", {name: name for name in FORMATS}, type=str)  # type: ignore[misc]


@app.command(
    epilog=examples(
        ("For a spreadsheet", "femo export case.db csv --out faces.csv"),
        ("For other forensic tools", "femo export case.db case --out case.jsonld"),
        ("Subtitles to watch a video along with", "femo export case.db vtt --out subtitles/"),
        ("Pictures with boxes and landmarks drawn", "femo export case.db frames --out pictures/"),
    )
)
@takes(ExportSettings)
def export(
    case: Annotated[Path, typer.Argument(help="Case file.")],
    format: Annotated[Name, typer.Argument(help="Format to write; docs/export.md describes each.")],
    out: Annotated[
        Path, typer.Option("--out", help="File to write; for vtt and frames, a folder to create.")
    ],
    run: RunNumber = None,
    evidence: Annotated[
        Path | None,
        typer.Option(
            "--evidence", help="frames: where the evidence is now. Default: where it was scanned."
        ),
    ] = None,
    as_json: AsJson = False,
    *,
    settings: ExportSettings,
) -> None:
    """Write one run of a case in a format for other programs: csv, case, dfxml, coco and more.

    Existing files are never replaced, and no partial file is left behind. The export and its SHA-256
    are recorded in the case's audit table. Exit code 3 means that some items, which are listed, could
    not be exported while the rest was written; or that the case was altered: the rows are first checked
    against their digests.
    """
    from forensic_emotion.case.selection import Selection
    from forensic_emotion.cli.export_progress import RowProgress
    from forensic_emotion.cli.noting import note, tell_altered, tell_of_run, tell_selection
    from forensic_emotion.export.write import Order, export

    order = Order(case, FORMATS[format.value], out, run, settings, evidence)
    with RowProgress() as progress:
        written = export(order, progress)
    what = {"files": written.files} if written.sha256 is None else {"sha256": written.sha256}
    detail = {"format": format.value, "name": out.name, **what}
    if selection := Selection.of(settings):
        detail["selection"] = selection.words()
    note(case, "export", written.run.id, detail, evidence)
    if as_json:
        facts = {"case": str(case), "run": written.run.id, "format": format.value, "out": str(out)}
        asked = {"selection": selection.words() if selection else None}
        print_json({**facts, **what, **asked, **written.altered.facts(), "problems": progress.problems})
    else:
        print(f"Export: {visible(str(out))} (run {written.run.id})")
        print(f"SHA-256: {written.sha256}" if written.sha256 else f"Files: {written.files}")
    if selection:
        tell_selection(case, written.run.id, selection)
    tell_of_run(case, written.run, run)
    if progress.problems:
        print(f"Problems: {progress.problems}, listed above.", file=sys.stderr)
    if written.altered:
        tell_altered(case, written.altered)
    if progress.problems or written.altered:
        raise typer.Exit(EXIT_PROBLEMS)
