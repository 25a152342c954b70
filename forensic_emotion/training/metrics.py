"""Probabilities and true labels → the figures by which a model is judged."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from forensic_emotion.intervals import Z95, Interval, wilson


@dataclass(frozen=True)
class ClassFigures:
    """How one class fares. A share of nothing (no such picture, no such answer) is None."""

    label: str
    n: int
    """Pictures that truly are of the class."""
    answered: int
    """Pictures that the model called so."""
    precision: float | None
    """Right ones among the answered."""
    recall: float | None
    """Right ones among the true."""
    wrong: Interval | None
    """Share of wrong ones among the answered."""


@dataclass(frozen=True)
class ReliabilityBin:
    """The pictures whose highest probability lies between two bounds."""

    low: float
    high: float
    right: Interval
    """Share of right answers among them."""
    confidence: float
    """Mean of those probabilities."""


@dataclass(frozen=True, eq=False)
class Figures:
    """The figures of a model on one set of pictures."""

    accuracy: Interval
    loss: float
    """Mean cross-entropy in nats: of the probabilities alone, without the weights' penalty."""
    macro_f1: float
    """Mean over the classes of the harmonic mean of precision and recall; 0 for a class never hit."""
    ece: float
    """Expected calibration error, 15 bins of equal width: how far confidence and share of right answers
    lie apart on average, 0 to 1."""
    brier: float
    """Mean squared distance of the probabilities from the true class, 0 to 2."""
    reliability: tuple[ReliabilityBin, ...]
    """How often answers of some confidence are right."""
    classes: tuple[ClassFigures, ...]
    confusion: npt.NDArray[np.int64]
    """(classes, classes): rows are true labels, columns the model's."""


def measure(
    probabilities: npt.NDArray[np.float32],
    labels: npt.NDArray[np.int64],
    names: tuple[str, ...],
) -> Figures:
    """Judge probabilities (n, classes) against true labels (n,)."""
    confusion = confusion_matrix(probabilities, labels, len(names))
    of_truth = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    # As Keras does, so that one certain and wrong answer does not make the mean infinite.
    loss = -np.log(np.clip(of_truth, 1e-7, 1)).mean()
    return Figures(
        accuracy=wilson(int(np.trace(confusion)), len(labels)),
        loss=float(loss),
        macro_f1=_macro_f1(confusion),
        ece=expected_calibration_error(probabilities, labels),
        brier=float(((probabilities - np.eye(len(names))[labels]) ** 2).sum(axis=1).mean()),
        reliability=reliability(probabilities, labels),
        classes=tuple(_class_figures(i, name, confusion) for i, name in enumerate(names)),
        confusion=confusion,
    )


def confusion_matrix(
    probabilities: npt.NDArray[np.float32], labels: npt.NDArray[np.int64], classes: int
) -> npt.NDArray[np.int64]:
    """(classes, classes): rows are the labels, columns the highest-scoring classes."""
    confusion = np.zeros((classes, classes), np.int64)
    np.add.at(confusion, (labels, probabilities.argmax(axis=1)), 1)
    return confusion


def expected_calibration_error(
    probabilities: npt.NDArray[np.float32], labels: npt.NDArray[np.int64]
) -> float:
    """Over bins of confidence: distance of mean confidence and accuracy, weighted by their pictures.

    Method: Naeini et al. 2015, with bins of equal width as in Guo et al. 2017.
    """
    bins = 15
    confidence, right, which = _binned(probabilities, labels, bins)
    gaps = np.bincount(which, confidence, bins) - np.bincount(which, right, bins)
    return float(np.abs(gaps).sum() / len(labels))


def reliability(
    probabilities: npt.NDArray[np.float32], labels: npt.NDArray[np.int64]
) -> tuple[ReliabilityBin, ...]:
    """How often answers of some confidence are right, in bins of equal width without the empty ones."""
    bins = 10
    confidence, right, which = _binned(probabilities, labels, bins)
    return tuple(
        ReliabilityBin(
            b / bins,
            (b + 1) / bins,
            wilson(int(right[which == b].sum()), int((which == b).sum())),
            float(confidence[which == b].mean()),
        )
        for b in map(int, np.unique(which))
    )


def _binned(
    probabilities: npt.NDArray[np.float32], labels: npt.NDArray[np.int64], bins: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_], npt.NDArray[np.int64]]:
    """Of each picture (n,): its highest probability, whether that answer is right, and its bin."""
    confidence = probabilities.max(axis=1).astype(np.float64)
    right = probabilities.argmax(axis=1) == labels
    return confidence, right, np.minimum((confidence * bins).astype(np.int64), bins - 1)


def _macro_f1(confusion: npt.NDArray[np.int64]) -> float:
    hits = np.diag(confusion)
    either = confusion.sum(axis=0) + confusion.sum(axis=1)
    met = either > 0  # a class that neither the labels nor the answers have says nothing
    return float((2 * hits[met] / either[met]).mean())


def _class_figures(i: int, name: str, confusion: npt.NDArray[np.int64]) -> ClassFigures:
    right, n, answered = int(confusion[i, i]), int(confusion[i].sum()), int(confusion[:, i].sum())
    return ClassFigures(
        name,
        n,
        answered,
        precision=right / answered if answered else None,
        recall=right / n if n else None,
        wrong=wilson(answered - right, answered) if answered else None,
    )


@dataclass(frozen=True)
class Answered:
    """What a model that may say ``uncertain`` comes to at one threshold."""

    threshold: float
    """Pictures are answered whose highest probability is above it."""
    coverage: Interval
    """Share of the pictures that are answered."""
    error: Interval | None
    """Share of wrong ones among them; None if none is answered."""
    classes: tuple[ClassFigures, ...]
    """Among the answered pictures."""
    confusion: tuple[tuple[int, ...], ...]
    """Of the answered pictures: a row a label, a column an answer. From it anybody can work out what the
    answers are worth with another mix of classes."""


def answered_above(
    probabilities: npt.NDArray[np.float32],
    labels: npt.NDArray[np.int64],
    names: tuple[str, ...],
    threshold: float,
) -> Answered:
    """Coverage and error at a threshold."""
    answered = probabilities.max(axis=1) > threshold
    confusion = confusion_matrix(probabilities[answered], labels[answered], len(names))
    n, right = int(confusion.sum()), int(np.trace(confusion))
    return Answered(
        threshold,
        coverage=wilson(n, len(labels)),
        error=wilson(n - right, n) if n else None,
        classes=tuple(_class_figures(i, name, confusion) for i, name in enumerate(names)),
        confusion=tuple(map(tuple, confusion.tolist())),
    )


@dataclass(frozen=True)
class Lost:
    """How much less often answers are right than others about the same pictures."""

    value: float
    """Share of right answers that is lost, -1 to 1."""
    low: float
    high: float
    """95 % interval of the difference of pairs: what both get right or wrong tells little."""


def lost(before: npt.NDArray[np.bool_], after: npt.NDArray[np.bool_]) -> Lost:
    """What the right answers (n,) of the same pictures lose from one to the other.

    Interval: Bonett & Price 2012, "Adjusted Wald confidence interval for a difference of binomial
    proportions based on paired data", which holds for few pairs, and for none that differ.
    """
    n = len(before)
    worse, better = int((before & ~after).sum()), int((after & ~before).sum())
    p, q = (worse + 1) / (n + 2), (better + 1) / (n + 2)
    reach = float(Z95 * np.sqrt((p + q - (p - q) ** 2) / (n + 2)))
    return Lost((worse - better) / n, p - q - reach, p - q + reach)


def surest_first(
    probabilities: npt.NDArray[np.float32], labels: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """The confidences in falling order (n,), and how many of the first k answers are wrong (n,)."""
    order = np.argsort(-probabilities.max(axis=1), kind="stable")
    wrong = probabilities.argmax(axis=1)[order] != labels[order]
    return probabilities.max(axis=1)[order].astype(np.float64), np.cumsum(wrong)


def risk_coverage(
    probabilities: npt.NDArray[np.float32], labels: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """The error among the k surest answers, for k from 1 to n: coverages (n,) and errors (n,).

    Method: El-Yaniv & Wiener 2010.
    """
    _, wrong = surest_first(probabilities, labels)
    k = np.arange(1, len(labels) + 1)
    return k / len(labels), wrong / k
