"""A classifier, or a network in training, on many faces, batch by batch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from rich.progress import Progress

from forensic_emotion.chips import Inputs
from forensic_emotion.emotions.classifier import Classifier, Probabilities

if TYPE_CHECKING:
    import keras

    from forensic_emotion.training.checkpoint import Weights

BATCH = 256


def score_inputs(classifier: Classifier, inputs: Inputs, progress: Progress) -> dict[str, Probabilities]:
    """All that the model answers to inputs: name of the output → (n, its classes)."""
    starts = range(0, len(inputs["images"]), BATCH)
    found = [
        classifier.answers({name: values[start : start + BATCH] for name, values in inputs.items()})
        for start in progress.track(starts, description="scoring")
    ]
    return {name: np.concatenate([answer[name] for answer in found]) for name in found[0]}


def score_with(weights: Weights, model: keras.Model, inputs: Inputs) -> Probabilities:
    """The probabilities that a network gives with other weights than it has."""
    own = model.get_weights()
    model.set_weights(weights)
    found = score(model, inputs)
    model.set_weights(own)
    return found


def score(model: keras.Model, inputs: Inputs) -> Probabilities:
    """The probabilities that a network gives, (n, classes)."""
    found = model.predict({name: inputs[name] for name in model.input}, batch_size=BATCH, verbose=0)
    return np.asarray(found["output"] if isinstance(found, dict) else found, dtype=np.float32)
