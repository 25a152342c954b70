"""A run of a case → one HTML file that loads nothing from anywhere; its SHA-256 beside it."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
from dataclasses import dataclass, fields
from pathlib import Path

from jinja2 import UndefinedError

from forensic_emotion.case.alterations import Altered
from forensic_emotion.case.queries import RunInfo, opened_case, refuse_output
from forensic_emotion.errors import UsageError
from forensic_emotion.hashes import sum_line
from forensic_emotion.pages import render_page
from forensic_emotion.paths import head_of, refuse_to_replace, written_whole
from forensic_emotion.report.context import ReportContext, build_context, check_zone
from forensic_emotion.report.texts import TEXTS
from forensic_emotion.settings import ReportSettings

FIRST_LINES = b"<!doctype html>\n<!-- femo report -->\n"
"""How every report begins."""
LOGO = (600, 240)
"""Pixels to which a logo is shrunk."""


@dataclass(frozen=True)
class Written:
    """Of which run a report is, and what whoever made it should know of that."""

    run: RunInfo
    altered: Altered
    """What of the run is not what femo wrote."""


def write_report(
    case: Path, out: Path, run_id: int | None, settings: ReportSettings, logo: Path | None = None
) -> Written:
    """Write one run of a case as HTML, and ``OUT.sha256`` beside it for ``sha256sum -c``.

    Args:
        case: the case file, only read.
        out: the file to write.
        run_id: which run; None for the latest.
        settings: see ``ReportSettings``.
        logo: a picture for the cover, encoded anew.

    Raises:
        CaseError: the case cannot be read.
        UsageError: it has no such run, there is no such time zone, the logo is no picture, or the report
            would lie inside the evidence or on something that is no report.
        FemoError: the file cannot be written.
    """
    if settings.tz is not None:
        check_zone(settings.tz)
    picture = _logo(logo) if logo else None
    with opened_case(case) as opened:
        target = Path(os.path.realpath(out))  # through a link, to what it names
        # What is written beside it too: one file may be all of the evidence.
        for path in (out, _sums(target), target.with_suffix(".pdf"), target.with_suffix(".pdf.sha256")):
            refuse_output(opened, case, path, "report")
        refuse_to_replace(out, "report of femo", FIRST_LINES)
        refuse_other_sums(target)
        opened.execute("BEGIN")  # one view of the case, also while a scan writes to it
        context = build_context(opened, case, run_id, settings, logo=picture)
        html = page(context).encode("utf-8")
    with written_whole(target, "report") as unfinished:
        unfinished.write_bytes(html)
    write_sum(target, hashlib.sha256(html).hexdigest())
    return Written(context.run, context.altered)


def write_sum(target: Path, sha256: str) -> None:
    """Write ``TARGET.sha256`` beside a file, for ``sha256sum -c``.

    Raises:
        UsageError: something else lies there.
        FemoError: it cannot be written.
    """
    refuse_other_sums(target)
    with written_whole(_sums(target), "checksum file") as unfinished:
        unfinished.write_bytes(sum_line(sha256, os.fsencode(target.name)))


def _sums(target: Path) -> Path:
    return target.with_name(f"{target.name}.sha256")


def refuse_other_sums(target: Path) -> None:
    """Refuse to write a file's checksum over anything but an older one of a file of that name.

    Raises:
        UsageError: something else lies there.
    """
    sums, line = _sums(target), sum_line("0" * 64, os.fsencode(target.name))
    there = head_of(sums, "report", len(line) + 1)
    if there and re.sub(rb"[0-9a-f]{64}", b"0" * 64, there, count=1) != line:
        raise UsageError(
            f"{sums} exists already, and does not belong to {target.name}.", "Choose another name."
        )


def page(context: ReportContext) -> str:
    """The HTML of a report, or of the page on which its faces are reviewed.

    Raises:
        TypeError: a value of the case is not of the type that femo writes.
    """
    try:
        return render_page(
            "report.html",
            {s.name: getattr(context, s.name) for s in fields(context)},
            script="report.js",
            page_css=_paper(context) + _narrow(),
            answers=context.reviewer is not None,
        )
    except UndefinedError as error:
        raise TypeError(str(error)) from error


REVIEWING = ReportSettings(picture_budget=512)
"""A face can be judged only by its picture, and the page goes no further than this machine."""


def review_page(case: Path, run_id: int, reviewer: str, known: Altered | None = None) -> bytes:
    """The page on which an examiner reviews the faces of a run; it sends what they say to ``reviews``.

    With what of the case is not as femo wrote it, if that is known; it takes long to look at.

    Raises:
        CaseError: the case cannot be read.
        UsageError: it has no such run.
    """
    with opened_case(case) as opened:
        opened.execute("BEGIN")
        context = build_context(opened, case, run_id, REVIEWING, reviewer=reviewer, known=known)
        return page(context).encode("utf-8")


def _paper(context: ReportContext) -> str:
    """What stands on each printed page: the digest, the case, the page's number."""
    # Into the style as it is: nothing but what a digest can be.
    digest = context.run.results_digest or ""
    digest = digest if re.fullmatch("[0-9a-f]{64}", digest) else "none"
    number = "".join(c for c in context.run.case_number or "" if c.isalnum() or c in " -_./")[:40]
    return (
        "@page { size: A4; margin: 16mm 14mm 18mm;"
        f' @bottom-left {{ content: "{number or "femo"} · results {digest}\\A scores of a'
        ' classifier, not findings about what anyone felt"; white-space: pre; font: 7pt monospace; }'
        ' @bottom-right { content: counter(page) " / " counter(pages); font: 8pt sans-serif; } }\n'
    )


EVIDENCE = ("path", "state", "type", "bytes", "looked_at", "faces", "times", "says")
"""Columns of the evidence table."""


def _narrow() -> str:
    """On a telephone the evidence table is a list, and each value has its column's name before it."""
    shown = (json.dumps(f"{TEXTS[key]}: ", ensure_ascii=False) for key in EVIDENCE[2:])
    names = (
        f".evidence td:nth-child({number})::before {{ content: {name}; }}"
        for number, name in enumerate(shown, 3)
    )
    return f"@media (max-width: 44rem) {{ {' '.join(names)} }}\n"


def _logo(path: Path) -> bytes:
    """A picture as a small PNG: what it was is not carried along."""
    from PIL import Image  # only a report with a logo needs it

    try:
        with Image.open(path, formats=("PNG", "JPEG", "GIF", "WEBP")) as image:
            image.thumbnail(LOGO)
            target = io.BytesIO()
            image.convert("RGBA").save(target, "PNG")
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise UsageError(
            f"The logo {path} cannot be read as a picture: {error}.", "Give a PNG, JPEG, GIF or WebP."
        ) from error
    return target.getvalue()
