"""Rows → a table, CSV, JSON, JSON lines or Markdown on standard output; an object → JSON for scripts.

Rows hold text from evidence. In none of these forms does it steer a terminal.
"""

from __future__ import annotations

import csv
import json
import math
import re
import sys
from collections.abc import Iterable, Iterator
from enum import Enum
from typing import Annotated, Any

import typer
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
    writers[format](names, iter(rows))


def wide_console() -> Console:
    """As wide as the terminal; where nobody's window sets a width, nothing is cut to one."""
    return Console(width=None if sys.stdout.isatty() else 100_000, emoji=False, highlight=False)


def as_table(names: list[str], rows: Iterator[Row]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table()
    for name in names:
        table.add_column(Text(visible(name)), overflow="fold")
    for row in rows:
        table.add_row(*(Text(_shown(value)) for value in row))
    wide_console().print(table)


def _shown(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bytes):
        return f"<{len(value)} bytes>"
    # Enough digits that no score is shown as certain that is not.
    return f"{value:.7g}" if isinstance(value, float) else visible(str(value))


def as_csv(names: list[str], rows: Iterator[Row]) -> None:
    """Bytes are written as hex; text that a spreadsheet would compute gets an apostrophe before it."""
    plain = csv.writer(sys.stdout, lineterminator="\n")
    quoted = csv.writer(sys.stdout, lineterminator="\n", quoting=csv.QUOTE_ALL)
    plain.writerow(map(cell, names))
    for row in rows:
        values = [cell(value) for value in row]
        # Readers take a carriage return for the end of a row; the writer does not quote it by itself.
        carriage = any(isinstance(value, str) and "\r" in value for value in values)
        (quoted if carriage else plain).writerow(values)


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
        raise UsageError("Two columns have the same name.", "Name them apart: select x as a, y as b.")
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
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def print_json(facts: dict[str, Any]) -> None:
    """One object on one line: what a command did, for scripts."""
    print(_json(facts))
