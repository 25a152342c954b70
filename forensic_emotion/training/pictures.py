"""Figures → pictures (PNG): curves of training, of reliability and of risk, confusion matrix, faces."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from forensic_emotion.training.metrics import Answered, Figures, ReliabilityBin, risk_coverage

if TYPE_CHECKING:  # it needs Keras, evaluation does not
    from forensic_emotion.training.checkpoint import Epoch

GALLERY_COLUMNS = 8
GALLERY_ROWS = 3
"""Of right ones, and as many of wrong ones."""


def draw_curves(path: Path, history: list[Epoch], kept: int) -> None:
    """Loss and accuracy over the epochs, training and validation, with the epoch that is kept."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    loss, accuracy = figure.subplots(1, 2)
    epochs = [e.epoch for e in history]
    taught, labelled = "training: what is taught, all outputs", "validation: the labels"
    loss.plot(epochs, [e.loss for e in history], label=taught)
    loss.plot(epochs, [e.validation_loss for e in history], label=labelled)
    loss.set(title="Loss", xlabel="epoch", ylabel="cross-entropy (nats)")
    accuracy.plot(epochs, [e.accuracy for e in history], label="training: what is taught")
    accuracy.plot(epochs, [e.validation_accuracy for e in history], label=labelled)
    accuracy.set(title="Agreement", xlabel="epoch", ylabel="share of the pictures")
    for axes in (loss, accuracy):
        axes.axvline(kept, color="grey", linestyle=":", label=f"kept: epoch {kept}")
        axes.legend()
        axes.grid(alpha=0.3)
    figure.savefig(path, dpi=120)


def draw_confusion(path: Path, figures: Figures, labels: tuple[str, ...]) -> None:
    """Rows the labels of the data, columns the model's answers; counts, shaded by their share."""
    shares = figures.confusion / np.maximum(figures.confusion.sum(axis=1, keepdims=True), 1)
    figure = Figure(figsize=(7, 6), layout="constrained")
    axes = figure.subplots()
    shaded = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(figures.confusion):
        colour = "white" if shares[row, column] > 0.5 else "black"
        text = f"{count}\n{shares[row, column]:.0%}"
        axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=8)
    axes.set_xticks(range(len(labels)), labels, rotation=30)
    axes.set_yticks(range(len(labels)), labels)
    axes.set(xlabel="model's answer", ylabel="label of the data")
    axes.set_title(f"accuracy {figures.accuracy}")
    figure.colorbar(shaded, label="share of the faces with that label")
    figure.savefig(path, dpi=120)


def draw_reliability(path: Path, bins: Sequence[ReliabilityBin], ece: float) -> None:
    """Share of right answers over mean confidence, with its 95 % interval and the number of pictures."""
    figure = Figure(figsize=(5.5, 5), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="grey", linestyle=":", label="as confident as right")
    for each in bins:
        right = each.right
        reach = [[right.value - right.low], [right.high - right.value]]
        axes.errorbar(each.confidence, right.value, reach, fmt="o", color="steelblue", capsize=3)
        axes.text(each.confidence, right.high + 0.01, str(right.n), ha="center", fontsize=8)
    axes.set(xlim=(0, 1), ylim=(0, 1.08), xlabel="confidence", ylabel="share of right answers")
    axes.set_title(f"Reliability: ECE (15 bins) {ece:.4f}, n={sum(each.right.n for each in bins)}")
    axes.legend(loc="upper left")
    figure.savefig(path, dpi=120)


def draw_risk_coverage(
    path: Path,
    probabilities: npt.NDArray[np.float32],
    labels: npt.NDArray[np.int64],
    answered: Answered,
) -> None:
    """The error among answered faces over the share that is answered, and the model's own threshold."""
    coverage, error = risk_coverage(probabilities, labels)
    figure = Figure(figsize=(5.5, 5), layout="constrained")
    axes = figure.subplots()
    axes.plot(coverage, error, color="steelblue")
    if answered.error is not None:
        axes.plot(
            answered.coverage.value,
            answered.error.value,
            "o",
            color="darkred",
            label=f"threshold {answered.threshold:.3f}",
        )
        axes.legend(loc="upper left")
    axes.set(xlim=(0, 1), ylim=(0, None), xlabel="share of faces answered", ylabel="error among them")
    axes.set_title(f"Risk and coverage, n={len(labels)}")
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=120)


def draw_gallery(
    path: Path,
    grey: npt.NDArray[np.uint8],
    labels: npt.NDArray[np.int64],
    probabilities: npt.NDArray[np.float32],
    names: tuple[str, ...],
) -> None:
    """Right ones above, wrong ones below, evenly taken from the split, each with both labels."""
    answers = probabilities.argmax(axis=1)
    shown = GALLERY_COLUMNS * GALLERY_ROWS
    # One pair of axes for all: one for each picture takes matplotlib seconds.
    figure = Figure(figsize=(1.9 * GALLERY_COLUMNS, 2.1 * 2 * GALLERY_ROWS), layout="constrained")
    axes = figure.subplots()
    axes.set(xlim=(0, GALLERY_COLUMNS), ylim=(2 * GALLERY_ROWS, 0), aspect="auto")
    axes.axis("off")
    for start, wanted in ((0, answers == labels), (shown, answers != labels)):
        rows = np.flatnonzero(wanted)
        rows = rows[np.linspace(0, len(rows) - 1, min(shown, len(rows))).astype(int)]
        for place, i in enumerate(rows, start):
            row, column = divmod(place, GALLERY_COLUMNS)
            shown_at = (column + 0.04, column + 0.96, row + 0.98, row + 0.14)
            axes.imshow(grey[i], cmap="gray", vmin=0, vmax=255, extent=shown_at, aspect="auto")
            axes.text(
                column + 0.5,
                row + 0.11,
                f"Label: {names[labels[i]]}, model: {names[answers[i]]}",
                fontsize=8,
                ha="center",
                color="darkgreen" if start == 0 else "darkred",
            )
    figure.savefig(path, dpi=110)
