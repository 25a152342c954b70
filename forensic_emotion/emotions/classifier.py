"""What a classifier is, and how a model's folder becomes one: chips → probabilities."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from forensic_emotion.chips import SIDE, Chip, Inputs, to_inputs
from forensic_emotion.emotions.card import RESTORE, ModelCard
from forensic_emotion.errors import ModelError
from forensic_emotion.records import LANDMARKS

Probabilities = npt.NDArray[np.float32]
"""(n, classes), each row sums to 1, in the order of the card's labels."""


class Classifier(Protocol):
    """Scores the expression of faces."""

    card: ModelCard
    weights_sha256: str
    """Of the very file that is computed with."""

    def probabilities(self, inputs: Inputs) -> Probabilities:
        """Score a batch of chips, as ``chips.to_inputs`` stacks them."""
        ...

    def answers(self, inputs: Inputs) -> dict[str, Probabilities]:
        """The same, and what further outputs say: ``output`` and, if the network has it, ``ferplus``."""
        ...


def load_classifier(model: str | Path, runtime: str, *, threads: int = 0) -> Classifier:
    """Load a model by name or folder.

    Args:
        model: the name of a shipped model, or a folder that ``femo train`` wrote (``ModelCard.find``).
        runtime: ``onnx`` or ``tensorflow``.
        threads: that ONNX Runtime computes with; 0 for as many as there are cores for femo.

    Raises:
        ModelError: it is missing, damaged, or made for other chips.
        MissingExtra: the runtime is not installed.
    """
    card = ModelCard.find(model)
    classifier: Classifier
    if runtime == "tensorflow":
        from forensic_emotion.emotions.keras_runtime import KerasClassifier

        classifier = KerasClassifier(card)
    else:
        from forensic_emotion.emotions.onnx_runtime import OnnxClassifier

        classifier = OnnxClassifier(card, threads)
    _try_out(classifier)
    return classifier


def _try_out(classifier: Classifier) -> None:
    """See that a model computes, before the first face depends on it."""
    chance = np.random.default_rng(0)
    chips = [
        Chip(
            chance.integers(0, 256, (SIDE, SIDE), dtype=np.uint8),
            chance.random((LANDMARKS, 2), dtype=np.float32),
        )
        for _ in range(3)
    ]
    try:
        found = [classifier.probabilities(to_inputs(chips[:n])) for n in (1, 3)]
    except Exception as error:  # runtimes raise kinds of their own
        raise ModelError(
            f"The model {classifier.card.name} cannot be run: {error}.",
            RESTORE,
        ) from error
    classes = len(classifier.card.labels)
    if [each.shape for each in found] != [(1, classes), (3, classes)]:
        raise ModelError(
            f"The model {classifier.card.name} gives output of shape {found[1].shape} for three"
            f" faces; its card names {classes} classes.",
            RESTORE,
        )
    every = np.concatenate(found)
    if not (every >= 0).all() or not np.allclose(every.sum(axis=1), 1, atol=1e-3):
        raise ModelError(
            f"The output of the model {classifier.card.name} is not probabilities.",
            "Export it with its softmax, or choose another model; femo models lists the shipped ones.",
        )
