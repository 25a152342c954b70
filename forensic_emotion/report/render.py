"""ReportContext → one HTML file that loads nothing from anywhere."""

from __future__ import annotations

import os
import stat
from dataclasses import fields
from pathlib import Path

from forensic_emotion.case.queries import opened_case, read_evidence_roots
from forensic_emotion.errors import FemoError, UsageError
from forensic_emotion.pages import render_page
from forensic_emotion.paths import refuse_inside
from forensic_emotion.report.context import build_context
from forensic_emotion.settings import ReportSettings

FIRST_LINES = b"<!doctype html>\n<!-- femo report -->\n"
"""How every report begins."""


def write_report(case: Path, out: Path, run_id: int | None, settings: ReportSettings) -> int:
    """Write one run of a case as HTML.

    Args:
        case: the case file, only read.
        out: the file to write.
        run_id: which run; None for the latest.
        settings: see ``ReportSettings``.

    Returns:
        The number of the run.

    Raises:
        CaseError: the case cannot be read.
        UsageError: it has no such run, or the report would lie inside the evidence or on the case.
        FemoError: the file cannot be written.
    """
    with opened_case(case) as opened:
        for root in read_evidence_roots(opened):
            refuse_inside(root, out, "report")
        _refuse_to_replace(out)
        context = build_context(opened, case, run_id, settings)
        html = render_page("report.html", {s.name: getattr(context, s.name) for s in fields(context)})
    # Whole or not at all: a report cut off by a full disk must not stand in place of the last one.
    out = Path(os.path.realpath(out))  # through a link, to what it names
    unfinished = out.with_name(f".{out.name}.{os.getpid()}.new")
    try:
        unfinished.write_text(html, encoding="utf-8")
        unfinished.replace(out)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise FemoError(
            f"The report {out} cannot be written: {error.strerror}.",
            "Choose another place with --out, where there is room and you may write.",
        ) from error
    return context.run.id


def _refuse_to_replace(out: Path) -> None:
    """A report may be written over an older report, and over nothing else.

    Raises:
        UsageError: something else is there.
    """
    try:
        if not stat.S_ISREG(out.stat().st_mode):
            raise UsageError(f"{out} is no regular file.", "Choose another name for the report.")
        with out.open("rb") as there:
            head = there.read(len(FIRST_LINES))
    except FileNotFoundError:
        return
    except OSError as error:
        raise FemoError(
            f"The report {out} cannot be written: {error.strerror}.",
            "Choose another place with --out, where there is room and you may write.",
        ) from error
    if head not in (b"", FIRST_LINES):
        raise UsageError(f"{out} is there already, and is no report of femo.", "Choose another name.")
