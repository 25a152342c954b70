"""``femo merge``: several models → one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from forensic_emotion.cli import app, examples


@app.command(
    epilog=examples(
        (
            "One model from two that were trained on the same data",
            "femo merge first second --data fer2013.csv --out both",
        ),
        (
            "The mean of a trained model and one that continued from it",
            "femo merge first second --weights --data fer2013.csv --out mean",
        ),
        (
            "The same, scoring the face and a slightly smaller mirror image",
            "femo merge first second --weights --mirror-size 0.93 --data fer2013.csv --out mean",
        ),
    )
)
def merge(
    models: Annotated[list[Path], typer.Argument(help="Folders of trained models, two or more.")],
    data: Annotated[
        Path, typer.Option("--data", help="What they were trained on: fer2013.csv or a folder.")
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder to write the model to.")],
    max_error: Annotated[
        float,
        typer.Option(
            "--max-error",
            min=0.01,
            max=1,
            help="Highest error rate that the threshold for 'uncertain' allows among answered"
            " held-out faces.",
        ),
    ] = 0.2,
    weights: Annotated[
        bool,
        typer.Option(
            "--weights",
            help="Average their weights instead, into one network as fast as each of them: for"
            " models of one network that continued training from one another.",
        ),
    ] = False,
    mirror_sizes: Annotated[
        list[float] | None,
        typer.Option(
            "--mirror-size",
            min=0.5,
            max=2,
            help="Let each network also score a mirror image of the face, scaled by this factor;"
            " may be repeated, each adds the time of one answer. Default: as the models do.",
        ),
    ] = None,
) -> None:
    """Make one model from several: it averages the answers of all of them for each face.

    With --weights it is one network with the mean of their weights. The models must have been trained
    on the same data. The pictures that all of them held out calibrate the result and set its threshold;
    those that only some held out are used for a correction beforehand. Needs the extra 'train'.
    """
    from rich.console import Console
    from rich.progress import Progress

    from forensic_emotion.training.extra import require_train_extra

    require_train_extra("femo merge")
    from forensic_emotion.emotions.card import ModelCard
    from forensic_emotion.training.calibrate import told_of
    from forensic_emotion.training.merge import merge as run_merge

    console = Console(highlight=False, soft_wrap=True, markup=False, emoji=False)
    with Progress(console=console, disable=not console.is_terminal, transient=True) as progress:
        folder = run_merge(
            models, data, out, max_error, progress, weights=weights, mirror_sizes=mirror_sizes or ()
        )
    console.print(told_of(ModelCard.find(folder).facts))
    console.print(f"Model: {folder}")
