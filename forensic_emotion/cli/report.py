"""``femo report``: case → HTML, and PDF."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from forensic_emotion.cli import EXIT_PROBLEMS, app, examples
from forensic_emotion.cli.options import RunNumber, takes
from forensic_emotion.cli.rows import AsJson, print_json
from forensic_emotion.errors import UsageError
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
        Path | None,
        typer.Option(
            "--out",
            help="HTML file to write. Default: beside the case, with its name (and -run-N,"
            " -selection, -redacted). An existing report is replaced.",
        ),
    ] = None,
    run: RunNumber = None,
    logo: Annotated[
        Path | None,
        typer.Option("--logo", help="Picture for the cover (PNG, JPEG, GIF, WebP); re-encoded."),
    ] = None,
    pdf: Annotated[
        bool, typer.Option("--pdf", help="Also print it to a PDF beside it; needs Chromium.")
    ] = False,
    as_json: AsJson = False,
    *,
    settings: ReportSettings,
) -> None:
    """Write one run of a case as a single HTML file that opens anywhere, offline.

    Its SHA-256 is written beside it, as is that of the PDF; the report is recorded in the case's audit
    table. The same case gives the same report, byte for byte. The rows are first checked against their
    digests; exit code 3 means that they were altered, and the report says so too.
    """
    from forensic_emotion.case.selection import Selection
    from forensic_emotion.cli.noting import note, tell_altered, tell_of_run, tell_selection
    from forensic_emotion.hashes import file_sha256
    from forensic_emotion.report.printing import find_browser, write_pdf
    from forensic_emotion.report.render import refuse_other_sums, write_report, write_sum

    selection = Selection.of(settings)
    if pdf:
        find_browser()  # before anything is written
    of_run, redacted = "" if run is None else f"-run-{run}", "-redacted" if settings.redact else ""
    part = "-selection" if selection else ""  # it takes no whole report's place
    target = out or case.parent / f"{case.stem}{of_run}{part}{redacted}.html"
    if out is None and target.is_symlink():  # the folder may come from somebody else
        raise UsageError(
            f"{target} is a link to another place.",
            "Use --out to say where to write the report.",
        )
    # Beside the report itself, not beside a link to it: that folder is checked.
    paper = target.resolve().with_suffix(".pdf") if pdf else None
    if paper:
        refuse_other_sums(paper)  # before anything is written
    before = file_sha256(target) if target.is_file() else None
    made = write_report(case, target, run, settings, logo)
    number = made.run.id
    written: dict[str, Any] = {"name": target.name, "sha256": file_sha256(target)}
    if settings.redact:
        written["redacted"] = True
    if selection:
        written["selection"] = selection.words()
    try:
        if paper:
            write_pdf(target, paper)
            written |= {"pdf": paper.name, "pdf_sha256": file_sha256(paper)}
            write_sum(paper, written["pdf_sha256"])
    finally:  # the report is there, also if it cannot be printed
        note(case, "report", number, written)
    if as_json:
        files = {"report": str(target), "pdf": str(paper) if paper else None}
        hashes = {name: value for name, value in written.items() if name.endswith("sha256")}
        told = {**made.altered.facts(), "redacted": settings.redact}
        facts: dict[str, Any] = {"case": str(case), "run": number, **told}
        facts["selection"] = selection.words() if selection else None
        print_json({**facts, **files, **hashes})
    else:
        print(f"Report: {visible(str(target))} (run {number}{', redacted' * settings.redact})")
        if paper:
            print(f"PDF: {visible(str(paper))}")
    if before is not None and before != written["sha256"]:
        print(f"An earlier report was replaced: SHA-256 {before}.", file=sys.stderr)
    if selection:
        tell_selection(case, number, selection)
    tell_of_run(case, made.run, run)
    if made.altered:
        tell_altered(case, made.altered)
        raise typer.Exit(EXIT_PROBLEMS)
