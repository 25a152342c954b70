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
        ("Train the network that the project grew from", "femo train fer2013.csv --out my_model"),
        ("Go on after it was stopped", "femo train fer2013.csv --out my_model --resume"),
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
        bool, typer.Option("--resume", help="Go on with the run in --out that was stopped.")
    ] = False,
    ferplus: FerplusVotes = None,
    init: Annotated[
        Path | None,
        typer.Option(
            "--init",
            help="Start from an earlier model of that network (.h5 or .keras); face_resnet also from"
            " dlib's face identity network, by the name of its file (docs/training.md).",
        ),
    ] = None,
    distill: Annotated[
        list[Path] | None,
        typer.Option(
            "--distill", help="Learn from the mean answer of this trained model too; may be repeated."
        ),
    ] = None,
    *,
    settings: TrainSettings,
) -> None:
    """Train an expression model; a checkpoint after each epoch lets it go on when stopped.

    Writes model.h5, model.onnx, model.json, history.csv, pictures.csv (which were fitted, and which held
    out) and curves.png. Needs the extra 'train'.
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
        text = "its last whole epoch is kept; the same command with --resume goes on from there"
        none = "no epoch was through, so that nothing of it is kept; start it again"
        print(f"{visible(str(out))}: {text if kept else none}.", file=sys.stderr)
        raise
    console.print(f"Model: {folder}")
