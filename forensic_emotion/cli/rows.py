"""Rows → a table, CSV, JSON, JSON lines or Markdown on standard output; an object → JSON for scripts.

Rows hold text from evidence. In none of these forms does it steer a terminal.
"""

from __future__ import annotations

import csv
import html
import io
import json
import math
import os
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from enum import Enum
from typing import Annotated, Any, cast

import typer
from rich.cells import cell_len
from rich.console import Console

from forensic_emotion.errors import UsageError
from forensic_emotion.paths import visible
from forensic_emotion.spreadsheet import cell

Row = tuple[Any, ...]

AsJson = Annotated[
    bool,
    typer.Option("--json", help="For scripts: print one JSON object instead of sentences."),
]
"""The option of commands that do something, beside ``--format`` of those that list something."""


class RowFormat(str, Enum):
    """How rows are printed."""

    table = "table"
    csv = "csv"
    json = "json"
    jsonl = "jsonl"
    markdown = "markdown"


def print_rows(format: RowFormat, names: list[str], rows: Iterable[Row]) -> None:
    writers = {
        RowFormat.table: as_table,
        RowFormat.csv: as_csv,
        RowFormat.json: as_json,
        RowFormat.jsonl: as_json_lines,
        RowFormat.markdown: as_markdown,
    }
    if format is not RowFormat.table:
        _in_utf8()
    with told_or_not():
        writers[format](names, iter(rows))


def _in_utf8() -> None:
    """Data are UTF-8 whatever the terminal's own encoding is: what that lacks would be written as text
    that a name might have too, and breaks JSON."""
    cast(io.TextIOWrapper, sys.stdout).reconfigure(encoding="utf-8")


def wide_console() -> Console:
    """As wide as the terminal; where nobody's window sets a width, nothing is cut to one."""
    return Console(width=None if sys.stdout.isatty() else 100_000, emoji=False, highlight=False)


def as_table(names: list[str], rows: Iterator[Row]) -> None:
    """A table; a line a value where it would be wider than the terminal, for no column is squeezed."""
    from rich.table import Table
    from rich.text import Text

    every, heads = list(rows), [visible(name) for name in names]
    shown = [[_shown(value) for value in row] for row in every]
    console = wide_console()
    widths = [max(map(cell_len, column)) for column in zip(heads, *shown, strict=True)]
    if sum(widths) + 3 * len(widths) + 1 > console.width and shown:
        for number, values in enumerate(shown, 1):
            console.print(Text(f"--- {number}"))
            record = Table.grid(
                padding=(0, 2, 0, 0)
            )  # what goes on in a second line stands below the first
            record.add_column(width=max(map(cell_len, heads)))
            record.add_column(overflow="fold")
            for head, value in zip(heads, values, strict=True):
                record.add_row(Text(head), Text(value))
            console.print(record)
        return
    table = Table()
    for head, column in zip(
        heads, zip(*every, strict=True) if every else [()] * len(heads), strict=True
    ):
        numbers = all(value is None or isinstance(value, int | float) for value in column)
        table.add_column(Text(head), justify="right" if numbers and every else "left")
    for values in shown:
        table.add_row(*map(Text, values))
    console.print(table)


def _shown(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bytes):
        return f"<{len(value)} bytes>"
    if isinstance(value, float) and math.isfinite(value):
        return _number(value)
    return visible(str(value))


def _number(value: float) -> str:
    """With so many digits that no score that is not certain is shown so, and no moment as another."""
    if not 1e-4 <= abs(value) < 1e12:
        return f"{value:.7g}"
    text = f"{value:.7f}".rstrip("0").rstrip(".")
    return repr(value) if float(text) == 1 != value else text


def as_csv(names: list[str], rows: Iterator[Row]) -> None:
    """Bytes are written as hex; text that a spreadsheet would compute gets an apostrophe before it."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(map(cell, names))
    writer.writerows(map(cell, row) for row in rows)


def as_json(names: list[str], rows: Iterator[Row]) -> None:
    """A list of objects, one a line; bytes are written as hex, infinite numbers as null.

    Raises:
        UsageError: two columns have the same name, so that one would be lost.
    """
    separator = "["
    for record in _records(names, rows):
        sys.stdout.write(f"{separator}\n{_json(record)}")
        separator = ","
    sys.stdout.write("\n]\n" if separator == "," else "[]\n")


def as_json_lines(names: list[str], rows: Iterator[Row]) -> None:
    """The same without the list: each line stands for itself."""
    for record in _records(names, rows):
        sys.stdout.write(f"{_json(record)}\n")


def _records(names: list[str], rows: Iterator[Row]) -> Iterator[dict[str, object]]:
    if len(set(names)) < len(names):
        raise UsageError(
            "Two columns have the same name.", "Give them different names: select x as a, y as b."
        )
    for row in rows:
        yield dict(zip(names, map(_plain, row), strict=True))


def _plain(value: object) -> object:
    if isinstance(value, bytes):
        return value.hex()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _json(value: object) -> str:
    """Readable as it stands; what is invisible is escaped, as JSON allows for any character."""
    text = json.dumps(value, ensure_ascii=False)
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text)


MARKDOWN = re.compile(r"[\\`*_{}\[\]|~#@]|(?<=www)\.|:(?=//)")
"""What would make format, a table's cell, a link or a mention of a name from evidence."""


def as_markdown(names: list[str], rows: Iterator[Row]) -> None:
    """A table as GitHub and most editors show it."""
    for row in (names, ["---"] * len(names)):
        print(f"| {' | '.join(_escaped(text) if row is names else text for text in row)} |")
    for values in rows:
        print(f"| {' | '.join(_escaped(_shown(value)) for value in values)} |")


def _escaped(text: str) -> str:
    text = MARKDOWN.sub(lambda found: f"\\{found.group()}", visible(text))
    return html.escape(text, quote=False)


def print_json(facts: dict[str, Any]) -> None:
    """One object on one line: what a command did, for scripts."""
    _in_utf8()
    print(_json(facts))


@contextmanager
def told_or_not() -> Iterator[None]:
    """What is printed within, as far as somebody reads it: the work is done, and its exit code stays."""
    try:
        yield
        sys.stdout.flush()
    except (BrokenPipeError, SystemExit):  # rich makes the latter of it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
