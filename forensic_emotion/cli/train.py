"""``femo train``: labelled faces → model."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from forensic_emotion.cli import app, examples
from forensic_emotion.cli.options import FerplusVotes, takes
from forensic_emotion.paths import visible
from forensic_emotion.settings import TrainSettings


@app.command(
    epilog=examples(
        ("Train the project's original network", "femo train fer2013.csv --out my_model"),
        ("Resume after it was stopped", "femo train fer2013.csv --out my_model --resume"),
        ("Scan with the result", "femo scan evidence/ --case case.db --model my_model"),
    )
)
@takes(TrainSettings)
def train(
    data: Annotated[
        Path, typer.Argument(help="fer2013.csv, icml_face_data.csv, or a folder split/class/picture.")
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder to write the model to.")],
    resume: Annotated[
        bool, typer.Option("--resume", help="Resume the stopped training in --out.")
    ] = False,
    ferplus: FerplusVotes = None,
    init: Annotated[
        Path | None,
        typer.Option(
            "--init",
            help="Start from an earlier model of the same network (.h5 or .keras); for face_resnet,"
            " dlib's face identity network is also accepted, under its file name"
            " (docs/training.md).",
        ),
    ] = None,
    distill: Annotated[
        list[Path] | None,
        typer.Option(
            "--distill",
            help="Also learn from the answers of this trained model; may be repeated,"
            " then from their mean.",
        ),
    ] = None,
    *,
    settings: TrainSettings,
) -> None:
    """Train an expression model; with a checkpoint after each epoch, to resume if stopped.

    Writes model.h5, model.onnx, model.json, history.csv, pictures.csv (which were used for fitting, and
    which held out) and curves.png. Needs the extra 'train'.
    """
    from rich.console import Console
    from rich.progress import Progress

    from forensic_emotion.training.extra import require_train_extra

    require_train_extra("femo train")
    from forensic_emotion.training.checkpoint import STATE
    from forensic_emotion.training.train import train as run_training

    console = Console(highlight=False, soft_wrap=True, markup=False, emoji=False)
    try:
        with Progress(console=console, disable=not console.is_terminal, transient=True) as progress:
            folder = run_training(
                data,
                out,
                settings,
                ferplus=ferplus,
                init=init,
                distill=distill or (),
                resume=resume,
                console=console,
                progress=progress,
            )
    except KeyboardInterrupt:
        kept = (out / "checkpoint" / STATE).exists()
        text = "the last complete epoch is kept; the same command with --resume continues"
        none = "no epoch was completed, so nothing is kept; start again"
        print(f"{visible(str(out))}: {text if kept else none}.", file=sys.stderr)
        raise
    console.print(f"Model: {folder}")
