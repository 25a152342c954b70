"""``femo models``: the models that are installed."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from forensic_emotion.cli import app, examples
from forensic_emotion.cli.options import Format
from forensic_emotion.cli.rows import told_or_not, wide_console
from forensic_emotion.settings import ScanSettings


@app.command(
    epilog=examples(
        ("What is installed", "femo models"),
        ("The same with every figure, for scripts", "femo models --format json"),
    )
)
def models(
    format: Annotated[Format, typer.Option("--format", help="How to print the list.")] = Format.table,
) -> None:
    """List the installed models: which is the default, its measured accuracy, its hash.

    Any of them, or any folder that femo train wrote, can be used with femo scan --model.
    """
    from rich.table import Table

    from forensic_emotion.emotions.card import ModelCard

    cards = [_facts(card) for card in ModelCard.shipped()]
    with told_or_not():
        if format is Format.json:
            print(json.dumps(cards, indent=1))
            return
        table = Table("model", "bytes (ONNX)", "PublicTest accuracy")
        table.add_column("SHA-256 (ONNX)", overflow="fold")
        for card in cards:
            accuracy = card["figures"].get("PublicTest", {}).get("accuracy")
            measured = "not measured"
            if accuracy:
                measured = "{value:.4f} (95% {low:.4f}-{high:.4f}, n={n})".format(**accuracy)
            name = card["name"] + (" (default)" if card["default"] else "")
            table.add_row(name, str(card["size"]), measured, card["sha256"])
        wide_console().print(table)
        for card in cards:
            print(f"{card['name']}: {card['path']}")
            for paragraph in card["licence"].splitlines():
                print(f"  {paragraph}")


def _facts(card: Any) -> dict[str, Any]:
    onnx = card.facts["files"]["model.onnx"]
    return {
        "name": card.name,
        "path": str(card.folder),
        "default": card.name == ScanSettings.model,
        "sha256": onnx["sha256"],
        "size": onnx["size"],
        "figures": card.facts.get("metrics", {}),
        "licence": card.licence(),
    }
