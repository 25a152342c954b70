"""``femo query``: SQL over a case → table, CSV or JSON."""

from __future__ import annotations

import csv
import json
import math
import sys
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer

from forensic_emotion.cli import app
from forensic_emotion.errors import UsageError
from forensic_emotion.paths import visible

Row = tuple[Any, ...]


class Format(str, Enum):
    """How rows are printed."""

    table = "table"
    csv = "csv"
    json = "json"


@app.command()
def query(
    case: Annotated[Path, typer.Argument(help="Case file.")],
    sql: Annotated[
        str, typer.Argument(help="One SQL statement, such as: select path, label from face_results")
    ],
    format: Annotated[Format, typer.Option("--format", help="How to print the rows.")] = Format.table,
) -> None:
    """Ask a case with SQL. The case is opened read-only.

    The view face_results has one row a face and path; docs/database.md explains all tables.
    """
    from forensic_emotion.case.queries import opened_case, run_sql

    with opened_case(case) as opened:
        names, rows = run_sql(opened, sql)
        {Format.table: as_table, Format.csv: as_csv, Format.json: as_json}[format](names, rows)


def as_table(names: list[str], rows: Iterator[Row]) -> None:
    """A table as wide as the terminal; as wide as it needs to be where there is none."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table()
    for name in names:
        table.add_column(Text(visible(name)), overflow="fold")
    for row in rows:
        table.add_row(*(Text(_shown(value)) for value in row))
    # Where nobody's window sets a width, nothing is cut to one.
    Console(width=None if sys.stdout.isatty() else 100_000).print(table)


def _shown(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bytes):
        return f"<{len(value)} bytes>"
    # Enough digits that no score is shown as certain that is not.
    return f"{value:.7g}" if isinstance(value, float) else visible(str(value))


def as_csv(names: list[str], rows: Iterator[Row]) -> None:
    """Bytes are written as hex."""
    plain = csv.writer(sys.stdout, lineterminator="\n")
    quoted = csv.writer(sys.stdout, lineterminator="\n", quoting=csv.QUOTE_ALL)
    plain.writerow(names)
    for row in rows:
        values = [value.hex() if isinstance(value, bytes) else value for value in row]
        # Readers take a carriage return for the end of a row; the writer does not quote it by itself.
        carriage = any(isinstance(value, str) and "\r" in value for value in values)
        (quoted if carriage else plain).writerow(values)


def as_json(names: list[str], rows: Iterator[Row]) -> None:
    """A list of objects, one a line; bytes are written as hex, infinite numbers as null.

    Raises:
        UsageError: two columns have the same name, so that one would be lost.
    """
    if len(set(names)) < len(names):
        raise UsageError("Two columns have the same name.", "Name them apart: select x as a, y as b.")
    separator = "["
    for row in rows:
        record = dict(zip(names, map(_plain, row), strict=True))
        sys.stdout.write(f"{separator}\n{json.dumps(record, ensure_ascii=False)}")
        separator = ","
    sys.stdout.write("\n]\n" if separator == "," else "[]\n")


def _plain(value: object) -> object:
    if isinstance(value, bytes):
        return value.hex()
    return None if isinstance(value, float) and not math.isfinite(value) else value
