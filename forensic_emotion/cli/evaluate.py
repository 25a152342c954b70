"""``femo evaluate``: model and labelled faces → its figures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from forensic_emotion.cli import app, examples
from forensic_emotion.cli.options import FerplusVotes, takes
from forensic_emotion.paths import visible
from forensic_emotion.settings import EvaluateSettings


@app.command(
    epilog=examples(
        ("Measure the default model", "femo evaluate face_resnet fer2013.csv"),
        (
            "Measure your own model; figures and pictures go to a folder",
            "femo evaluate my_model fer2013.csv --out my_figures",
        ),
    )
)
@takes(EvaluateSettings)
def evaluate(
    model: Annotated[
        str,
        typer.Argument(
            help="Name of a shipped model (femo models lists them), or a model's folder; ./NAME for"
            " a folder with the name of a shipped model."
        ),
    ],
    data: Annotated[
        Path, typer.Argument(help="fer2013.csv, icml_face_data.csv, or a folder split/class/picture.")
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder to write figures and pictures to.")] = Path(
        "evaluation"
    ),
    ferplus: FerplusVotes = None,
    *,
    settings: EvaluateSettings,
) -> None:
    """Measure a model on labelled faces it was not trained on.

    Prints accuracy with its 95 % interval, calibration, coverage and error at the model's threshold,
    and accuracy and error on degraded pictures; writes evaluation.html with all of this, metrics.json,
    classes.csv, confusion_matrix.csv, and the pictures. First finds landmarks in every picture of the
    data, including Training, and caches them under ~/.cache/femo (XDG_CACHE_HOME). Needs the extra
    'train'.
    """
    from rich.console import Console
    from rich.progress import Progress

    from forensic_emotion.training.extra import require_train_extra

    require_train_extra("femo evaluate")
    from forensic_emotion.emotions.card import ModelCard
    from forensic_emotion.training.evaluate import evaluate as run_evaluation

    console = Console(highlight=False, soft_wrap=True, markup=False, emoji=False)
    folder = visible(str(ModelCard.find(model).folder))
    console.print(f"model {folder}, split {visible(settings.split)}")
    with Progress(console=console, disable=not console.is_terminal, transient=True) as progress:
        evaluation = run_evaluation(model, data, out, settings, progress, ferplus)
    if evaluation.caution:
        console.print(evaluation.caution)
    figures = evaluation.whole
    console.print(f"accuracy {figures.accuracy}")
    console.print(f"loss {figures.loss:.4f}")
    console.print(f"macro-F1 {figures.macro_f1:.4f}  ECE {figures.ece:.4f}  Brier {figures.brier:.4f}")
    if evaluation.without_twins:
        console.print(
            f"without pixel-identical twins in Training: accuracy {evaluation.without_twins.accuracy}"
        )
    for c in figures.classes:
        precision = "never answered" if c.precision is None else f"precision {c.precision:.4f}"
        recall = "no pictures" if c.recall is None else f"recall {c.recall:.4f}"
        console.print(f"  {c.label:<9} {precision}  {recall}  n={c.n}")
    answered = evaluation.answered
    console.print(f"answered, above {answered.threshold:.4f}: {answered.coverage}")
    console.print(f"wrong among the answered: {answered.error or 'none answered'}")
    for c in answered.classes:
        if c.wrong:
            console.print(f"  {c.label:<9} {c.wrong}")
    for coverage, accuracy in evaluation.at_coverage.items():
        console.print(f"accuracy of the surest {coverage:.0%}: {accuracy}")
    for name, accuracy in evaluation.ablation.items():
        console.print(f"accuracy with {name}: {accuracy}")
    if evaluation.ferplus:
        console.print(f"FER+ majority met by the output for FER+: {evaluation.ferplus}")
    elif ferplus:
        console.print(
            "FER+ majority: not measured for an output for FER+; the model learnt from no votes, or"
            " no picture has one"
        )
    if evaluation.ferplus_of_output:
        console.print(
            f"FER+ majority met by the output whose scores scans store: {evaluation.ferplus_of_output}"
        )
    if evaluation.ten_crop:
        console.print(f"accuracy over ten crops: {evaluation.ten_crop}")
    for name, found in evaluation.robustness.items():
        console.print(f"accuracy, {name}: {found.accuracy}")
        console.print(f"  wrong among the answered: {found.answered.error or 'none answered'}")
    console.print(f"Everything, with pictures: {out / 'evaluation.html'}")
