"""``femo query``: a preset or SQL over a case → rows."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from forensic_emotion.cli import app, examples
from forensic_emotion.cli.options import RunNumber
from forensic_emotion.cli.rows import Row, RowFormat, print_rows
from forensic_emotion.errors import UsageError
from forensic_emotion.paths import visible
from forensic_emotion.settings import option

MOST_ROWS = 2**63 - 1
"""As many as SQLite can count; whoever asks for more gets all there are."""

SQL = re.compile(r"\s|^(select|with|pragma|values|explain)\b", re.IGNORECASE)
"""What tells SQL from the name of a preset: more than one word, or a word that SQL begins with."""


CLOCK = re.compile(r"(-?)(?:(?:([0-9]{1,9}):)?([0-9]{1,9}):)?([0-9]{1,12}\.?[0-9]*|\.[0-9]+)")
"""Sign, hours, minutes, seconds: 83.5, 1:23.5 and 0:01:23.5 are the same."""


def _on_clock(text: str) -> float:
    """A time on the recording's own clock, as a person writes it or a report shows it, in seconds."""
    told = CLOCK.fullmatch(text.strip())
    if told is not None:
        hours, minutes, seconds = int(told[2] or 0), int(told[3] or 0), float(told[4])
        if (told[3] is None or seconds < 60) and (told[2] is None or minutes < 60):
            whole = hours * 3600 + minutes * 60 + seconds
            return -whole if told[1] else whole
    raise UsageError(
        f"{text!r} is not a time in a recording.", "Give seconds, or a time such as 0:01:23.5."
    )


def _preset_names(incomplete: str) -> list[tuple[str, str]]:
    """For shells that complete."""
    from forensic_emotion.case.presets import PRESETS

    return [(p.name, p.title) for p in PRESETS.values() if p.name.startswith(incomplete)]


@app.command(
    epilog=examples(
        ("List the presets", "femo query case.db"),
        ("Summary of a run", "femo query case.db summary"),
        (
            "Faces labelled happy in one folder, for a spreadsheet",
            "femo query case.db faces --label happy --path 'camera1/*' --format csv > faces.csv",
        ),
        (
            "Faces that are neither small nor blurred, dark, bright, turned nor cut off",
            "femo query case.db faces --fault none",
        ),
        (
            "When faces appear in a video, in intervals of ten seconds",
            "femo query case.db timeline --path '*recording.mp4' --step 10",
        ),
        ("What was not analysed, and why", "femo query case.db problems --format markdown"),
        (
            "Anything else, with SQL",
            "femo query case.db \"select path, seconds from face_results where label = 'happy'\"",
        ),
    )
)
def query(
    case: Annotated[Path, typer.Argument(help="Case file.")],
    what: Annotated[
        str | None,
        typer.Argument(
            help="Name of a preset, or one SQL statement. Default: list the presets.",
            metavar="PRESET|SQL",
            autocompletion=_preset_names,
        ),
    ] = None,
    format: Annotated[
        RowFormat, typer.Option("--format", help="How to print the rows.")
    ] = RowFormat.table,
    run: RunNumber = None,
    label: Annotated[
        str | None,
        typer.Option("--label", help="Only faces with this label: a class, or uncertain."),
    ] = None,
    min_confidence: Annotated[
        float | None,
        typer.Option(
            "--min-confidence",
            min=0,
            max=1,
            help="Only faces whose highest probability is at least this.",
        ),
    ] = None,
    fault: Annotated[
        str | None,
        typer.Option(
            "--fault",
            help="Only faces with this fault (small, blurred, dark, bright, turned, cut, landmarks),"
            " with any, or with none.",
        ),
    ] = None,
    path: Annotated[
        str | None,
        typer.Option(
            "--path",
            help="Only paths matching this pattern; * (which also matches /) and ? are wildcards.",
        ),
    ] = None,
    state: Annotated[
        str | None, typer.Option("--state", help="Only paths in this state, such as failed.")
    ] = None,
    from_: Annotated[
        float | None,
        typer.Option(
            "--from",
            parser=_on_clock,
            metavar="TIME",
            help="Only from this time in the recording (seconds, or 0:01:23.5); leaves out stills.",
        ),
    ] = None,
    to: Annotated[
        float | None,
        typer.Option(
            "--to",
            parser=_on_clock,
            metavar="TIME",
            help="Only up to this time in the recording; leaves out stills.",
        ),
    ] = None,
    step: Annotated[
        float | None,
        typer.Option("--step", min=0.001, help="Seconds per row of the timeline. Default: 1."),
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="Print at most this many rows.")
    ] = None,
) -> None:
    """Query a case: by the name of a preset, or with SQL. The case is opened read-only.

    Each preset takes some of the options below; the list of presets says which. SQL takes only
    --format. The view face_results has one row per face and path; docs/database.md explains all tables,
    docs/querying.md shows other tools.

    In CSV, text that a spreadsheet would take for a formula is prefixed with an apostrophe.
    """
    from forensic_emotion.case.presets import PRESETS, find_preset
    from forensic_emotion.case.queries import opened_case, read_run, run_sql
    from forensic_emotion.cli.noting import tell_incomplete, tell_other_evidence, tell_reviews_elsewhere
    from forensic_emotion.paths import in_utf8

    chosen = {
        "run": run,
        "label": label,
        "min_confidence": min_confidence,
        "fault": fault,
        "path": None if path is None else in_utf8(path),  # as the case has it
        "state": state,
        "from": from_,
        "to": to,
        "step": step,
        "limit": limit and min(limit, MOST_ROWS),
    }
    given = {name: value for name, value in chosen.items() if value is not None}
    with opened_case(case) as opened:
        if what is None:
            _refuse_more(given, (), "The list of presets")
            listed = [(p.name, p.title, " ".join(map(option, p.parameters))) for p in PRESETS.values()]
            print_rows(format, ["preset", "what it shows", "options"], listed)
        elif not what or SQL.search(what):
            _refuse_more(given, (), "SQL")
            print_rows(format, *run_sql(opened, what))
        else:
            preset = find_preset(what)
            _refuse_more(given, preset.parameters, f"The preset {preset.name!r}")
            _check(given)
            asked = read_run(opened, run)
            values = {**dict.fromkeys(preset.parameters), **given, "run": asked.id}
            names, rows = run_sql(opened, preset.sql, values)
            count = _Counted(rows)
            print_rows(format, names, count)
            if format is RowFormat.table:
                _tell_less(count.n, given)
            tell_incomplete(asked)
            if run is None:
                tell_other_evidence(opened, asked)
            if preset.name == "reviews":
                tell_reviews_elsewhere(opened, asked.id)


class _Counted:
    """Rows, and how many were taken."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self._rows, self.n = rows, 0

    def __iter__(self) -> Iterator[Row]:
        for row in self._rows:
            self.n += 1
            yield row


def _tell_less(n: int, given: dict[str, Any]) -> None:
    """That there is no row, or may be more: an empty table looks like an answer about the evidence."""
    path = given.get("path", "")
    if n == 0:
        name, whole = visible(path).rstrip("/"), ""
        if path and not set(path) & set("*?"):
            whole = (
                f" --path takes a whole path below the evidence folder: '*/{name}' finds it in any"
                f" folder. If it is a folder, '{name}/*' finds what is in it."
            )
        print(f"0 rows.{whole}", file=sys.stderr)
    elif n == given.get("limit"):
        print(f"{n} rows, as set by --limit; there may be more.", file=sys.stderr)


def _refuse_more(given: dict[str, Any], taken: tuple[str, ...], by: str) -> None:
    """An option without effect would let somebody believe in a narrower answer than there is."""
    more = [option(name) for name in given if name not in taken]
    if more:
        takes = f"It takes: {', '.join(map(option, taken))}." if taken else ""
        raise UsageError(
            f"{by} does not take {', '.join(more)}.",
            takes or "Options other than --format are for presets.",
        )


def _check(given: dict[str, Any]) -> None:
    """Refuse what could only give an empty answer that looks like a finding."""
    from forensic_emotion.case.presets import FAULT_CHOICES
    from forensic_emotion.records import CLASSES, STATES, UNCERTAIN

    choices = {"label": (*CLASSES, UNCERTAIN), "state": STATES, "fault": FAULT_CHOICES}
    for name, allowed in choices.items():
        if name in given and given[name] not in allowed:
            raise UsageError(
                f"--{name}: there is no {name} {given[name]!r}.", f"One of: {', '.join(allowed)}."
            )
    for name in ("step", "min_confidence"):
        if not math.isfinite(given.get(name, 0)):
            raise UsageError(
                f"{option(name)}: {given[name]} is not a finite number.",
                "Give a finite number.",
            )
    if given.get("from", -math.inf) > given.get("to", math.inf):
        raise UsageError(f"--from {given['from']:g} is after --to {given['to']:g}.", "Swap the two.")
