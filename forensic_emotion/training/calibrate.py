"""Held-out probabilities → what makes them mean what they say, and the threshold below which a model
does better not to answer.

A temperature divides all logits (Guo et al. 2017, "On calibration of modern neural networks"), which
leaves the order of the classes as it is. Training also makes a network prefer some classes to others
that look like them; a matrix of classes by classes, shrunk towards that temperature, takes this back
(Kull et al. 2019, "Beyond temperature scaling"). Cross-validation says how far it is shrunk, up to the
temperature alone. Both are affine in the logits: built into the last layer they cost no time.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar

from forensic_emotion.intervals import Interval, wilson
from forensic_emotion.training.metrics import measure, surest_first
from forensic_emotion.training.regression import (
    SoftmaxRegression,
    centred_logits,
    chained,
    fit_softmax,
)
from forensic_emotion.training.scoring import score
from forensic_emotion.training.sources import LABELS

if TYPE_CHECKING:
    import keras

    from forensic_emotion.training.data import Pictures

Probabilities = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int64]
COLDEST, HOTTEST = 0.05, 20.0
"""Temperatures that are tried; beyond them something else is wrong."""
RIDGES = (None, 1.0, 0.3, 0.1, 0.03, 0.01)
"""How strongly the matrix is held to the temperature; None: there is the temperature alone."""
FOLDS = 5


@dataclass(frozen=True, eq=False)
class Calibration:
    """How a network's scores are corrected."""

    ridge: float | None
    """See ``RIDGES``."""
    correction: SoftmaxRegression
    """From centred logits to calibrated probabilities; a temperature is in it."""
    cross_fitted: Probabilities
    """(n, classes), what becomes of each held-out picture if the fit has not seen its fifth."""


def calibration(probabilities: Probabilities, labels: Labels) -> Calibration:
    """Fit temperature and matrix on held-out pictures (n, classes), (n,)."""
    # Of a class with next to no picture a matrix would learn that there is none.
    enough = np.bincount(labels, minlength=probabilities.shape[1]).min() >= FOLDS
    ridges = RIDGES if enough else RIDGES[:1]
    tried = [(ridge, _cross_fitted(probabilities, labels, ridge)) for ridge in ridges]
    ridge, cross_fitted = min(tried, key=lambda each: _cross_entropy(each[1], labels))
    return Calibration(ridge, _fit(probabilities, labels, ridge), cross_fitted)


def _fit(probabilities: Probabilities, labels: Labels, ridge: float | None) -> SoftmaxRegression:
    classes = probabilities.shape[1]
    if not len(labels):  # the other folds of a single picture
        return _cooled(classes, 1.0)
    cooled = _cooled(classes, fit_temperature(probabilities, labels))
    if ridge is None:
        return cooled
    return fit_softmax(centred_logits(probabilities), labels, cooled.kernel, ridge)


def _cooled(classes: int, temperature: float) -> SoftmaxRegression:
    """What a temperature alone does to logits."""
    return SoftmaxRegression(np.eye(classes) / temperature, np.zeros(classes))


def _cross_fitted(probabilities: Probabilities, labels: Labels, ridge: float | None) -> Probabilities:
    found = np.empty_like(probabilities)
    for fold in _folds(labels):
        fitted = _fit(probabilities[~fold], labels[~fold], ridge)
        found[fold] = fitted.applied_to(probabilities[fold])
    return found


def _folds(labels: Labels) -> Iterator[npt.NDArray[np.bool_]]:
    """Each picture is in one of them, and each class in all of them alike."""
    number = np.empty(len(labels), np.int64)
    number[np.argsort(labels, kind="stable")] = np.arange(len(labels)) % FOLDS
    return (number == fold for fold in range(FOLDS))


def _cross_entropy(probabilities: npt.NDArray[np.floating], labels: Labels) -> float:
    of_truth = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    return float(-np.log(np.maximum(of_truth, 1e-12)).mean())


def soften(probabilities: Probabilities, temperature: float) -> Probabilities:
    """The probabilities (n, classes) that the logits behind them give at another temperature."""
    return _cooled(probabilities.shape[1], temperature).applied_to(probabilities)


def fit_temperature(probabilities: Probabilities, labels: Labels) -> float:
    """The temperature with the least cross-entropy on held-out pictures.

    The cross-entropy has one minimum over the logarithm of the temperature.
    """
    best = minimize_scalar(
        lambda log_temperature: _cross_entropy(
            soften(probabilities, float(np.exp(log_temperature))), labels
        ),
        bounds=(np.log(COLDEST), np.log(HOTTEST)),
        method="bounded",
        options={"xatol": 1e-4},
    )
    return float(np.exp(best.x))


@dataclass(frozen=True)
class Abstention:
    """When a model answers ``uncertain``, and what that came to on the held-out pictures."""

    max_error: float
    """The error rate among answered faces that was asked for."""
    threshold: float
    """A face is answered if its highest probability is above this."""
    coverage: float
    """Share of the pictures that were answered."""
    error: Interval | None
    """Among the answered; None if none was."""


def choose_threshold(
    probabilities: Probabilities, labels: npt.NDArray[np.int64], max_error: float
) -> Abstention:
    """A threshold that keeps the error among answered pictures under a rate.

    It is the upper end of the error's 95 % interval that is kept under it, not the error itself, for of
    a few thousand pictures the error is right by chance to within two points. Thresholds are tried from
    the surest pictures downwards, and the last before the first that fails is taken: of hundreds that
    are all tried, one would pass by chance (fixed-sequence testing; Angelopoulos et al. 2021, "Learn
    then test"). The first has so many pictures above it that half of the rate would pass, or half of
    all. What it comes to on other pictures is for ``femo evaluate`` to tell.
    """
    confidence, wrong = surest_first(probabilities, labels)
    chosen = Abstention(max_error, 1.0, 0.0, None)
    first = max(1, min(_enough_to_pass(max_error), len(labels) // 2))
    for answered in range(first, len(labels) + 1):
        below = confidence[answered] if answered < len(labels) else 0.0
        # A threshold lies between two confidences; equal ones are answered together or not at all.
        if below < confidence[answered - 1]:
            error = wilson(int(wrong[answered - 1]), answered)
            if error.high > max_error:
                break
            chosen = Abstention(max_error, float(below), answered / len(labels), error)
    return chosen


def _enough_to_pass(max_error: float) -> int:
    """Pictures of which half of a rate may be wrong, for the interval's end to be under the rate."""
    return next(
        n for n in itertools.count(1) if wilson(math.floor(max_error * n / 2), n).high <= max_error
    )


def build_in(model: keras.Model, correction: SoftmaxRegression) -> None:
    """Give a network's last layer, ``output``, the weights that answer as corrected."""
    layer = model.get_layer("output")
    kernel, bias = (values.astype(np.float64) for values in layer.get_weights())
    classes = len(bias)
    turned = (np.eye(classes) - 1 / classes) @ correction.kernel
    corrected = (kernel @ turned, bias @ turned + correction.bias)
    layer.set_weights([values.astype(np.float32) for values in corrected])


def calibrate(
    networks: Sequence[keras.Model],
    served: keras.Model,
    held_out: Pictures,
    max_error: float,
    first: SoftmaxRegression | None = None,
) -> dict[str, Any]:
    """Fit calibration and threshold on the held-out pictures; what ``model.json`` says of them.

    The figures are those of pictures that the calibration was not fitted to (``cross_fitted``).

    Args:
        networks: those that have a last layer, into which the calibration is built.
        served: what answers: one of them, its symmetric form, or the mean of all.
        held_out: the pictures.
        max_error: see ``TrainSettings``.
        first: a correction that other pictures told, which this one is fitted behind.
    """
    labels = held_out.labels
    raw = score(served, held_out.inputs())
    fitted = calibration(first.applied_to(raw) if first else raw, labels)
    correction = chained(first, fitted.correction) if first else fitted.correction
    for network in networks:
        # A mean of logits is corrected by correcting each of them.
        build_in(network, correction)
    before, after = (measure(p, labels, LABELS) for p in (raw, fitted.cross_fitted))
    return {
        "calibration": {
            "temperature": fit_temperature(raw, labels),
            "ridge": fitted.ridge,
            "kernel": correction.kernel.tolist(),
            "bias": correction.bias.tolist(),
            "n": len(held_out),
            "ece_before": before.ece,
            "ece_after": after.ece,
            "loss_before": before.loss,
            "loss_after": after.loss,
        },
        "abstention": asdict(choose_threshold(fitted.cross_fitted, labels, max_error)),
        "metrics": {"validation": {"accuracy": asdict(after.accuracy), "loss": after.loss}},
    }


def told_of(card: Mapping[str, Any]) -> str:
    """What calibration came to: a model that answers nothing is one, too."""
    calibration, abstention = card["calibration"], card["abstention"]
    text = f"temperature {calibration['temperature']:.2f}"
    if abstention["coverage"] == 0:
        return (
            f"{text}; of the surest held-out faces too many are answered wrongly, or there are too few,"
            f" to keep the error under {abstention['max_error']:.0%}: every answer of this model will be"
            " uncertain"
        )
    return (
        f"{text}; above {abstention['threshold']:.4f} it answers {abstention['coverage']:.1%} of"
        " the held-out faces; the others are uncertain"
    )


def take_out(model: keras.Model, built_in: Mapping[str, Any]) -> None:
    """Leave of a network's calibration (``calibration`` in ``model.json``) the temperature alone.

    Its matrix knows the labels of the held-out pictures too well for these to judge what is made of the
    network.
    """
    if "kernel" not in built_in:
        return
    layer = model.get_layer("output")
    kernel, bias = (values.astype(np.float64) for values in layer.get_weights())
    back = np.linalg.inv(np.array(built_in["kernel"])) / built_in["temperature"]
    before = (kernel @ back, (bias - np.array(built_in["bias"])) @ back)
    layer.set_weights([values.astype(np.float32) for values in before])
