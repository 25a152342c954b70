"""Held-out probabilities → the temperature that makes them mean what they say, and the threshold below
which a model does better not to answer.

Temperature: Guo et al. 2017, "On calibration of modern neural networks". One number divides all logits:
the order of the classes, and so the accuracy, stays as it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from forensic_emotion.intervals import Interval, wilson
from forensic_emotion.training.metrics import surest_first

if TYPE_CHECKING:
    import keras

Probabilities = npt.NDArray[np.float32]
COLDEST, HOTTEST = 0.05, 20.0
"""Temperatures that are tried; beyond them something else is wrong."""
GOLDEN = (5**0.5 - 1) / 2


def soften(probabilities: Probabilities, temperature: float) -> Probabilities:
    """The probabilities (n, classes) that the logits behind them give at another temperature."""
    logits = np.log(np.maximum(probabilities.astype(np.float64), 1e-12)) / temperature
    logits -= logits.max(axis=1, keepdims=True)
    powers = np.exp(logits)
    return (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)


def fit_temperature(probabilities: Probabilities, labels: npt.NDArray[np.int64]) -> float:
    """The temperature with the least cross-entropy on held-out pictures.

    The cross-entropy has one minimum over the logarithm of the temperature: golden-section search.
    """
    rows = np.arange(len(labels))

    def loss(log_temperature: float) -> float:
        softened = soften(probabilities, float(np.exp(log_temperature)))[rows, labels]
        return float(-np.log(np.maximum(softened, 1e-12)).mean())

    low, high = np.log(COLDEST), np.log(HOTTEST)
    while high - low > 1e-4:
        left, right = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
        low, high = (low, right) if loss(left) < loss(right) else (left, high)
    return float(np.exp((low + high) / 2))


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
    """The lowest threshold that keeps the error among answered pictures under a rate.

    It is the upper end of the error's 95 % interval that is kept under it, not the error itself: what
    holds on a few thousand pictures by chance should hold on the next ones too.
    """
    confidence, wrong = surest_first(probabilities, labels)
    # A threshold lies between two confidences; equal ones are answered together or not at all.
    for answered in range(len(labels), 0, -1):
        below = confidence[answered] if answered < len(labels) else 0.0
        error = wilson(int(wrong[answered - 1]), answered)
        if below < confidence[answered - 1] and error.high <= max_error:
            return Abstention(max_error, float(below), answered / len(labels), error)
    return Abstention(max_error, 1.0, 0.0, None)


def build_in(model: keras.Model, temperature: float) -> None:
    """Divide the logits of a network's ``output`` by a temperature, in its last layer's weights."""
    layer = model.get_layer("output")
    layer.set_weights([values / np.float32(temperature) for values in layer.get_weights()])
