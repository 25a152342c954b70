"""ReportContext → one HTML file that loads nothing from anywhere."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import fields
from pathlib import Path

import jinja2

from forensic_emotion.case.queries import opened_case, read_run
from forensic_emotion.errors import FemoError
from forensic_emotion.paths import refuse_inside, visible
from forensic_emotion.report.context import ReportContext, build_context, clock
from forensic_emotion.settings import ReportSettings


def write_report(case: Path, out: Path, run_id: int | None, settings: ReportSettings) -> None:
    """Write one run of a case as HTML.

    Args:
        case: the case file, only read.
        out: the file to write.
        run_id: which run; None for the latest.
        settings: see ``ReportSettings``.

    Raises:
        CaseError: the case cannot be read.
        UsageError: it has no such run, or the report would lie inside the evidence or on the case.
        FemoError: the file cannot be written.
    """
    environment = _environment()
    css = environment.get_template("report.css").render()
    with opened_case(case) as opened:
        refuse_inside(Path(read_run(opened, run_id).evidence_root), out, "report")
        refuse_inside(case, out, "report")
        html = render(environment, build_context(opened, case, run_id, settings, css))
    try:
        out.write_text(html, encoding="utf-8")
    except OSError as error:
        raise FemoError(f"The report {out} cannot be written: {error.strerror}.") from error


def render(environment: jinja2.Environment, context: ReportContext) -> str:
    """Fill the template; a name that the template misspells is an error, not an empty place."""
    values = {spec.name: getattr(context, spec.name) for spec in fields(context)}
    style = base64.b64encode(hashlib.sha256(context.css.encode()).digest()).decode("ascii")
    return environment.get_template("report.html").render(values, style_hash=style)


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("forensic_emotion.templates", "."),
        # For every file, whatever its name: paths in evidence may be hostile.
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["percent"] = lambda share: f"{share * 100:.1f} %"
    environment.filters["clock"] = clock
    environment.filters["visible"] = visible
    return environment
