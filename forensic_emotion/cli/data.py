"""``femo data``: labelled faces → what they hold and what is wrong with them."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from forensic_emotion.cli import app, examples
from forensic_emotion.cli.options import Format
from forensic_emotion.cli.rows import wide_console
from forensic_emotion.paths import visible


@app.command(
    epilog=examples(
        ("Check a data set before training on it", "femo data fer2013.csv"),
    )
)
def data(
    source: Annotated[
        Path,
        typer.Argument(help="fer2013.csv, icml_face_data.csv, or a folder split/class/picture."),
    ],
    format: Annotated[Format, typer.Option("--format", help="How to print the counts.")] = Format.table,
) -> None:
    """Count the pictures of a data set by split and class, and list its faults.

    Faults are pictures with a pixel-identical twin, in the same split or in another (which lets a
    model be tested on what it was trained on), twins with different labels, and blank pictures.
    """
    from rich.markup import escape
    from rich.table import Table

    from forensic_emotion.training.census import take_census
    from forensic_emotion.training.sources import LABELS, read_labelled

    census = take_census(read_labelled(source))
    if format is Format.json:
        print(json.dumps(asdict(census), indent=1))
        return
    console = wide_console()
    table = Table("class", *(escape(visible(split)) for split in census.counts))
    for name in LABELS:
        table.add_row(name, *(str(counts[name]) for counts in census.counts.values()))
    table.add_section()
    table.add_row("all", *(str(sum(counts.values())) for counts in census.counts.values()))
    table.add_row("with a twin in the split", *map(str, census.duplicates.values()))
    console.print(table)
    for pair, n in census.leaks.items():
        if n:
            console.print(f"{visible(pair)}: {n} pictures have a twin in the other split", markup=False)
    console.print(
        f"{census.pictures} pictures, {census.duplicate_groups} groups of twins,"
        f" {census.contradicting} of them with contradicting labels, {census.blank} blank pictures"
    )
    console.print(f"SHA-256 {census.sha256}")
