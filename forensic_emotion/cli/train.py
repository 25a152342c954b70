"""``femo train``: labelled faces → model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from forensic_emotion.cli import app
from forensic_emotion.cli.options import option
from forensic_emotion.settings import TrainSettings as S


@app.command()
def train(
    data: Annotated[Path, typer.Argument(help="The official fer2013.csv.")],
    out: Annotated[Path, typer.Option("--out", help="Folder to write the model to.")],
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run in --out that was stopped.")
    ] = False,
    network: Annotated[str, option(S, "network")] = S.network,
    epochs: Annotated[int, option(S, "epochs")] = S.epochs,
    batch_size: Annotated[int, option(S, "batch_size")] = S.batch_size,
    learning_rate: Annotated[float, option(S, "learning_rate")] = S.learning_rate,
    validation_share: Annotated[float, option(S, "validation_share")] = S.validation_share,
    flip: Annotated[bool, option(S, "flip")] = S.flip,
    precision: Annotated[str, option(S, "precision")] = S.precision,
    seed: Annotated[int, option(S, "seed")] = S.seed,
) -> None:
    """Train an expression model; a checkpoint after each epoch lets it go on when stopped.

    Writes model.h5, model.onnx, model.json, history.csv and curves.png. Needs the extra 'train'.
    """
    settings = S(network, epochs, batch_size, learning_rate, validation_share, flip, precision, seed)

    from rich.console import Console
    from rich.progress import Progress

    from forensic_emotion.training.extra import require_train_extra

    require_train_extra("femo train")
    from forensic_emotion.training.train import train as run_training

    console = Console(highlight=False, soft_wrap=True)
    with Progress(console=console, disable=not console.is_terminal, transient=True) as progress:
        folder = run_training(data, out, settings, resume=resume, console=console, progress=progress)
    console.print(f"Model: {folder}")
