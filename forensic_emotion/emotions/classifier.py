"""What a classifier is, and how a model's folder becomes one: chips → probabilities."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from forensic_emotion.chips import Images, PointSets
from forensic_emotion.emotions.card import ModelCard

Probabilities = npt.NDArray[np.float32]
"""(n, classes), each row sums to 1, in the order of the card's labels."""


class Classifier(Protocol):
    """Scores the expression of faces."""

    card: ModelCard
    weights_sha256: str
    """Of the very file that is computed with."""

    def probabilities(self, images: Images, landmarks: PointSets) -> Probabilities:
        """Score a batch of chips, as ``chips.to_input`` stacks them."""
        ...


def load_classifier(model: str, runtime: str) -> Classifier:
    """Load a model by name or folder.

    Args:
        model: the name of a shipped model, or a folder that ``femo train`` wrote.
        runtime: ``onnx`` or ``tensorflow``.

    Raises:
        ModelError: it is missing, damaged, or made for other chips.
        MissingExtra: the runtime is not installed.
    """
    card = ModelCard.find(model)
    if runtime == "tensorflow":
        from forensic_emotion.emotions.keras_runtime import KerasClassifier

        return KerasClassifier(card)
    from forensic_emotion.emotions.onnx_runtime import OnnxClassifier

    return OnnxClassifier(card)
