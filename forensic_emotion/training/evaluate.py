"""``femo evaluate``: a model on labelled pictures → figures, confusion matrix, gallery."""

from __future__ import annotations

import csv
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rich.progress import Progress

from forensic_emotion.emotions.card import ModelCard
from forensic_emotion.emotions.classifier import Classifier, load_classifier
from forensic_emotion.errors import DataError
from forensic_emotion.settings import EvaluateSettings
from forensic_emotion.training import data
from forensic_emotion.training.metrics import Figures, measure
from forensic_emotion.training.pictures import draw_confusion, draw_gallery, draw_reliability
from forensic_emotion.training.sources import LABELS, TRAINING, digests

BATCH = 256


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The figures of a model on one split."""

    whole: Figures
    without_twins: Figures | None
    """On the part that has no pixel-identical picture in Training, if the data hold Training."""


def evaluate(
    model: str, source: Path, out: Path, settings: EvaluateSettings, progress: Progress
) -> Evaluation:
    """Measure a model on one split and write what was found.

    Args:
        model: a shipped model's name, or a model's folder.
        source: CSV or folder; see ``sources.read_labelled``.
        out: folder for ``metrics.json``, ``classes.csv``, ``confusion_matrix.csv``,
            ``confusion_matrix.png``, ``reliability.png`` and ``gallery.png``.
        settings: see ``EvaluateSettings``.
        progress: shows how far it is.

    Raises:
        ModelError: the model cannot be used.
        DataError: the data cannot be read, or have no such split, or other classes.
    """
    classifier = load_classifier(model, settings.runtime)
    if classifier.card.labels != LABELS:
        raise DataError(
            f"The model {model} has the classes {', '.join(classifier.card.labels)}; the data have"
            f" {', '.join(LABELS)}."
        )
    pictures = data.read(source, None, lambda p: progress.track(p, description="landmarks"))
    chosen = pictures.split(settings.split)
    probabilities = score(classifier, chosen, progress)
    evaluation = Evaluation(
        measure(probabilities, chosen.labels, LABELS),
        _without_twins(pictures, chosen, probabilities),
    )
    figures = evaluation.whole

    out.mkdir(parents=True, exist_ok=True)
    summary = {
        **as_facts(figures),
        "without_twins": as_facts(evaluation.without_twins) if evaluation.without_twins else None,
        "data_sha256": pictures.sha256,
        "faces_detected": round(float(chosen.detected.mean()), 4),
        "runtime": settings.runtime,
    }
    about = {"model": classifier.card.name, "model_sha256": classifier.weights_sha256}
    _write_json(out / "metrics.json", {**about, "split": settings.split, **summary})
    _write_tables(out, figures)
    draw_confusion(out / "confusion_matrix.png", figures, LABELS)
    draw_gallery(out / "gallery.png", chosen.grey, chosen.labels, probabilities, LABELS)
    draw_reliability(out / "reliability.png", probabilities, chosen.labels, figures.ece)
    if settings.record:
        record(classifier.card, settings.split, summary)
    return evaluation


def _without_twins(
    pictures: data.Pictures, chosen: data.Pictures, probabilities: npt.NDArray[np.float32]
) -> Figures | None:
    """Figures on the pictures of a split that do not stand, pixel for pixel, in Training.

    None for Training itself, where the data hold no Training, and where nothing is left.
    """
    training = pictures.grey[pictures.usage == TRAINING]
    if not len(training) or chosen.usage[0] == TRAINING:
        return None
    own = ~np.isin(digests(chosen.grey), digests(training))
    return measure(probabilities[own], chosen.labels[own], LABELS) if own.any() else None


def as_facts(figures: Figures) -> dict[str, object]:
    """Figures as they stand in ``metrics.json`` and ``model.json``."""
    return {
        "accuracy": asdict(figures.accuracy),
        "loss": figures.loss,
        "macro_f1": figures.macro_f1,
        "ece": figures.ece,
        "brier": figures.brier,
        "classes": [asdict(c) for c in figures.classes],
        "confusion": figures.confusion.tolist(),
    }


def score(
    classifier: Classifier, pictures: data.Pictures, progress: Progress
) -> npt.NDArray[np.float32]:
    """The model's probabilities for each picture, (n, classes)."""
    rows = []
    starts = range(0, len(pictures), BATCH)
    for start in progress.track(starts, description="scoring"):
        batch = pictures.where(np.arange(start, min(start + BATCH, len(pictures))))
        rows.append(classifier.probabilities(batch.inputs()))
    return np.concatenate(rows)


def record(card: ModelCard, split: str, summary: dict[str, object]) -> None:
    """Write figures into ``model.json``, under ``metrics`` and the split's name."""
    metrics = {**card.facts.get("metrics", {}), split: summary}
    _write_json(card.folder / "model.json", {**card.facts, "metrics": metrics})


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _write_tables(out: Path, figures: Figures) -> None:
    with (out / "classes.csv").open("w", newline="", encoding="utf-8") as target:
        rows = csv.DictWriter(target, list(asdict(figures.classes[0])), lineterminator="\n")
        rows.writeheader()
        rows.writerows(asdict(c) for c in figures.classes)
    with (out / "confusion_matrix.csv").open("w", newline="", encoding="utf-8") as target:
        writer = csv.writer(target, lineterminator="\n")
        writer.writerow(["true \\ predicted", *LABELS])
        for label, row in zip(LABELS, figures.confusion.tolist(), strict=True):
            writer.writerow([label, *row])
