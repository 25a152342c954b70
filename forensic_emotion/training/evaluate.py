"""``femo evaluate``: a model on labelled pictures → figures, pictures, and one page with all of it."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from rich.progress import Progress

from forensic_emotion import chips
from forensic_emotion.emotions.card import ModelCard, write_card
from forensic_emotion.emotions.classifier import Classifier, load_classifier
from forensic_emotion.errors import DataError, FemoError, UsageError
from forensic_emotion.intervals import Interval, wilson
from forensic_emotion.paths import refuse_inside
from forensic_emotion.settings import EvaluateSettings
from forensic_emotion.training import data
from forensic_emotion.training.disturb import DISTURBANCES
from forensic_emotion.training.evaluation_page import write_page
from forensic_emotion.training.metrics import (
    Answered,
    Figures,
    Lost,
    answered_above,
    lost,
    measure,
    surest_first,
)
from forensic_emotion.training.pictures import (
    draw_confusion,
    draw_gallery,
    draw_reliability,
    draw_risk_coverage,
)
from forensic_emotion.training.provenance import certain
from forensic_emotion.training.scoring import score_inputs
from forensic_emotion.training.sources import FERPLUS, FERPLUS_OF, LABELS, TRAINING, digests

CROP = 44
"""Side of the ten crops, in pixels of the 48."""
HELD_OUT = "validation"
"""Under which a card has the figures of the held-out part of training."""
COVERAGES = (1.0, 0.8, 0.6)
"""Where the accuracy among the surest answers is given."""


@dataclass(frozen=True)
class Disturbed:
    """What was measured on the same faces made worse; their landmarks are found anew."""

    accuracy: Interval
    lost: Lost
    """Of the accuracy on the faces as they are."""
    answered: Answered


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What was measured of a model on one split."""

    whole: Figures
    without_twins: Figures | None
    """On the part that has no pixel-identical picture in Training, if the data hold Training."""
    answered: Answered
    """At the model's own threshold for ``uncertain``."""
    at_coverage: dict[float, Interval]
    """Accuracy among the surest such share of the answers."""
    ablation: dict[str, Interval]
    """Accuracy with both inputs, and with each alone, the other one being that of an average face."""
    ferplus: Interval | None
    """Share of FER+ majorities that the model's second output meets; None without votes or output."""
    ferplus_of_output: Interval | None
    """The same of its first output, whose scores a scan stores; None without votes."""
    ten_crop: Interval | None
    robustness: dict[str, Disturbed]
    caution: str | None
    """That the model may know the pictures, in a sentence; None if its own data held them back."""


def evaluate(
    model: str,
    source: Path,
    out: Path,
    settings: EvaluateSettings,
    progress: Progress,
    ferplus: Path | None = None,
) -> Evaluation:
    """Measure a model on one split and write what was found.

    Args:
        model: a shipped model's name, or a model's folder.
        source: CSV or folder; see ``sources.read_labelled``.
        out: folder for ``evaluation.html``, ``metrics.json``, and the tables and pictures it shows.
        settings: see ``EvaluateSettings``.
        progress: shows how far it is.
        ferplus: the FER+ votes of the same pictures, or None.

    Raises:
        ModelError: the model cannot be used.
        DataError: the data cannot be read, or have no such split, or other classes.
        UsageError: the figures of such a split cannot be recorded, or those of other data were.
        FemoError: the figures cannot be written.
    """
    if settings.record and settings.split == TRAINING:
        raise UsageError(
            "Figures of Training cannot be recorded: the model was fitted to most of these pictures.",
            "Leave out --record, or name another --split.",
        )
    if settings.record and settings.split == HELD_OUT:
        raise UsageError(
            f"Figures of the split {settings.split} cannot be recorded: under that name the model"
            " card has the figures of the training's own held-out part.",
            "Leave out --record, or rename the split's folder.",
        )
    classifier = load_classifier(model, settings.runtime)
    if classifier.card.labels != LABELS:
        raise DataError(
            f"The model {model} has the classes {', '.join(classifier.card.labels)}; the data have"
            f" {', '.join(LABELS)}.",
            "Choose a model that was trained on such data.",
        )
    if source.is_dir():
        refuse_inside(source, out, "evaluation")
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out} is not a folder.", "Name another one with --out.")
    pictures = data.read(source, ferplus, lambda p: progress.track(p, description="landmarks"))
    if settings.record:
        _refuse_to_replace(classifier.card, settings.split, pictures.sha256)
    chosen = pictures.split(settings.split)
    answers = score_inputs(classifier, chosen.inputs(), progress)
    probabilities = answers["output"]
    whole = measure(probabilities, chosen.labels, LABELS)
    evaluation = Evaluation(
        whole=whole,
        without_twins=_without_twins(pictures, chosen, probabilities),
        answered=answered_above(probabilities, chosen.labels, LABELS, classifier.card.threshold),
        at_coverage=_at_coverage(probabilities, chosen.labels),
        ablation={"both": whole.accuracy}
        | {
            name: _accuracy(score_inputs(classifier, inputs, progress)["output"], chosen.labels)
            for name, inputs in ablated(chosen)
        },
        ferplus=_ferplus(classifier.card, answers, chosen),
        ferplus_of_output=_ferplus_of_output(probabilities, chosen),
        ten_crop=_ten_crop(classifier, chosen, progress) if settings.ten_crop else None,
        robustness=_robustness(classifier, chosen, probabilities, progress)
        if settings.robustness
        else {},
        caution=_caution(classifier.card, pictures.sha256, settings.split),
    )

    measured_on = {"data": source.name, "data_sha256": pictures.sha256}
    summary = {
        **as_facts(evaluation),
        **measured_on,
        "faces_detected": round(float(chosen.detected.mean()), 4),
        "runtime": settings.runtime,
    }
    about = {
        "model": classifier.card.name,
        "model_sha256": classifier.weights_sha256,
        **measured_on,
        "split": settings.split,
    }
    try:
        out.mkdir(parents=True, exist_ok=True)
        # All of it or nothing: figures of two models, or half a page, would be taken for one evaluation.
        with TemporaryDirectory(prefix=".femo-", dir=out) as unfinished:
            beside = Path(unfinished)
            _write_json(beside / "metrics.json", {**about, **summary})
            _write_tables(beside, whole)
            draw_confusion(beside / "confusion_matrix.png", whole, LABELS)
            draw_reliability(beside / "reliability.png", whole.reliability, whole.ece)
            answered = evaluation.answered
            draw_risk_coverage(beside / "risk_coverage.png", probabilities, chosen.labels, answered)
            draw_gallery(beside / "gallery.png", chosen.grey, chosen.labels, probabilities, LABELS)
            write_page(beside / "evaluation.html", about, evaluation)
            for written in beside.iterdir():
                written.replace(out / written.name)
    except OSError as error:
        raise FemoError(
            f"The figures cannot be written: {error.filename or out}: {error.strerror}.",
            "Free up space there, or choose another folder with --out.",
        ) from error
    if settings.record:
        record(classifier.card, settings.split, summary)
    return evaluation


def _accuracy(probabilities: npt.NDArray[np.float32], labels: npt.NDArray[np.int64]) -> Interval:
    return wilson(int((probabilities.argmax(axis=1) == labels).sum()), len(labels))


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


def _at_coverage(
    probabilities: npt.NDArray[np.float32], labels: npt.NDArray[np.int64]
) -> dict[float, Interval]:
    _, wrong = surest_first(probabilities, labels)
    found = {}
    for coverage in COVERAGES:
        n = max(1, round(coverage * len(labels)))
        found[coverage] = wilson(n - int(wrong[n - 1]), n)
    return found


def ablated(pictures: data.Pictures) -> Iterator[tuple[str, chips.Inputs]]:
    """The inputs with one of the two replaced by that of an average face."""
    both = pictures.inputs()
    average = {name: np.broadcast_to(v.mean(axis=0), v.shape) for name, v in both.items()}
    unseen = np.zeros_like(both["landmarks_valid"])
    yield "image only", {**both, "landmarks": average["landmarks"], "landmarks_valid": unseen}
    yield "landmarks only", {**both, "images": average["images"]}


def _caution(card: ModelCard, data_sha256: str, split: str) -> str | None:
    same = _data_of(card).get("sha256") == data_sha256
    if split == TRAINING and same:
        return (
            "The model was fitted to most of these pictures: the figures show how well it knows"
            " them, not how it performs on others."
        )
    if not same:
        return (
            "The model was trained on a different file: whether it was fitted to some of these"
            " pictures was not checked."
        )
    if not certain(card.facts):
        return (
            "The model's training started from weights of other or unknown data, or had a teacher that"
            " did: whether those were fitted to some of these pictures was not checked."
        )
    return None


def _refuse_to_replace(card: ModelCard, split: str, data_sha256: str) -> None:
    """Figures that were recorded of other data are not replaced.

    Raises:
        UsageError: there are such.
    """
    there = (card.facts.get("metrics") or {}).get(split)
    if isinstance(there, dict) and there.get("data_sha256", data_sha256) != data_sha256:
        n = there.get("accuracy", {}).get("n")
        raise UsageError(
            f"{card.folder / 'model.json'} has figures of {split} for other data"
            f" ({there.get('data')}, n = {n}), which are not replaced.",
            "Leave out --record, or record into a copy of the model's folder without them.",
        )


def _data_of(card: ModelCard) -> dict[str, Any]:
    """What a card says of the data; nothing if it does not."""
    found = card.facts.get("data")
    return found if isinstance(found, dict) else {}


def _ferplus(
    card: ModelCard, answers: dict[str, npt.NDArray[np.float32]], chosen: data.Pictures
) -> Interval | None:
    """None also for a network that has the output and never learnt from votes."""
    agreed, majority = data.ferplus_majority(chosen.votes)
    learnt = _data_of(card).get("ferplus_sha256") is not None
    if "ferplus" not in answers or not learnt or not agreed.any():
        return None
    return _accuracy(answers["ferplus"][agreed], majority[agreed])


def _ferplus_of_output(probabilities: npt.NDArray[np.float32], chosen: data.Pictures) -> Interval | None:
    """A majority for contempt, which FER2013 does not have, is never met."""
    agreed, majority = data.ferplus_majority(chosen.votes)
    if not agreed.any():
        return None
    classes = np.array([FERPLUS.index(FERPLUS_OF[name]) for name in LABELS])
    return wilson(
        int((classes[probabilities[agreed].argmax(axis=1)] == majority[agreed]).sum()),
        int(agreed.sum()),
    )


def _ten_crop(classifier: Classifier, chosen: data.Pictures, progress: Progress) -> Interval:
    """The mean answer over the four corners and the middle, each with its mirror image."""
    far = chips.SIDE - CROP
    total = np.zeros((len(chosen), len(LABELS)), np.float32)
    for top, left in ((0, 0), (0, far), (far, 0), (far, far), (far // 2, far // 2)):
        cropped = chosen.grey[:, top : top + CROP, left : left + CROP]
        grey = np.stack([cv2.resize(picture, (chips.SIDE, chips.SIDE)) for picture in cropped])
        corner = np.array([left, top], np.float32)
        landmarks = (chosen.landmarks * np.float32(chips.SIDE) - corner) / np.float32(CROP)
        inputs = chips.as_inputs(grey, landmarks, chosen.detected)
        images, points = chips.mirror(inputs["images"], landmarks)
        for seen in (inputs, {**inputs, "images": images, "landmarks": points}):
            total += score_inputs(classifier, seen, progress)["output"]
    return _accuracy(total, chosen.labels)


def _robustness(
    classifier: Classifier,
    chosen: data.Pictures,
    undisturbed: npt.NDArray[np.float32],
    progress: Progress,
) -> dict[str, Disturbed]:
    found = {}
    before = undisturbed.argmax(axis=1) == chosen.labels
    for name, disturb in DISTURBANCES.items():
        grey = disturb(chosen.grey, chosen.landmarks)
        landmarks, detected = data.find_landmarks(
            grey,
            lambda p, name=name: progress.track(p, description=name),  # type: ignore[misc]
        )
        disturbed = replace(chosen, grey=grey, landmarks=landmarks, detected=detected)
        answers = score_inputs(classifier, disturbed.inputs(), progress)["output"]
        found[name] = Disturbed(
            _accuracy(answers, chosen.labels),
            lost(before, answers.argmax(axis=1) == chosen.labels),
            answered_above(answers, chosen.labels, LABELS, classifier.card.threshold),
        )
    return found


def as_facts(evaluation: Evaluation) -> dict[str, Any]:
    """Figures as they stand in ``metrics.json`` and ``model.json``."""
    without_twins = evaluation.without_twins
    return {
        **_figures(evaluation.whole),
        "without_twins": _figures(without_twins) if without_twins else None,
        "answered": asdict(evaluation.answered),
        "at_coverage": {str(c): asdict(accuracy) for c, accuracy in evaluation.at_coverage.items()},
        "ablation": {name: asdict(accuracy) for name, accuracy in evaluation.ablation.items()},
        "ferplus_majority": asdict(evaluation.ferplus) if evaluation.ferplus else None,
        "ferplus_majority_of_output": asdict(evaluation.ferplus_of_output)
        if evaluation.ferplus_of_output
        else None,
        "ten_crop": asdict(evaluation.ten_crop) if evaluation.ten_crop else None,
        "caution": evaluation.caution,
        "robustness": {
            name: {
                **asdict(each.accuracy),
                "lost": asdict(each.lost),
                "answered": asdict(each.answered),
            }
            for name, each in evaluation.robustness.items()
        },
    }


def _figures(figures: Figures) -> dict[str, Any]:
    return {
        "accuracy": asdict(figures.accuracy),
        "loss": figures.loss,
        "macro_f1": figures.macro_f1,
        "ece": figures.ece,
        "brier": figures.brier,
        "reliability": [asdict(each) for each in figures.reliability],
        "classes": [asdict(c) for c in figures.classes],
        "confusion": figures.confusion.tolist(),
    }


def record(card: ModelCard, split: str, summary: dict[str, Any]) -> None:
    """Write figures into ``model.json``, under ``metrics`` and the split's name."""
    now = ModelCard.find(card.folder).facts  # another evaluation may have recorded meanwhile
    before = now.get("metrics")
    metrics = {**(before if isinstance(before, dict) else {}), split: summary}
    write_card(card.folder, {**now, "metrics": metrics})


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _write_tables(out: Path, figures: Figures) -> None:
    with (out / "classes.csv").open("w", newline="", encoding="utf-8") as target:
        named = [{n: v for n, v in asdict(c).items() if n != "wrong"} for c in figures.classes]
        rows = csv.DictWriter(target, list(named[0]), lineterminator="\n")
        rows.writeheader()
        rows.writerows(named)
    with (out / "confusion_matrix.csv").open("w", newline="", encoding="utf-8") as target:
        writer = csv.writer(target, lineterminator="\n")
        writer.writerow(["label of the data \\ model's answer", *LABELS])
        for label, row in zip(LABELS, figures.confusion.tolist(), strict=True):
            writer.writerow([label, *row])
