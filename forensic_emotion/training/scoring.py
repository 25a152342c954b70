"""A classifier on many labelled faces, batch by batch."""

from __future__ import annotations

import numpy as np
from rich.progress import Progress

from forensic_emotion.chips import Inputs
from forensic_emotion.emotions.classifier import Classifier, Probabilities

BATCH = 256


def score_inputs(classifier: Classifier, inputs: Inputs, progress: Progress) -> dict[str, Probabilities]:
    """All that the model answers to inputs: name of the output → (n, its classes)."""
    starts = range(0, len(inputs["images"]), BATCH)
    found = [
        classifier.answers({name: values[start : start + BATCH] for name, values in inputs.items()})
        for start in progress.track(starts, description="scoring")
    ]
    return {name: np.concatenate([answer[name] for answer in found]) for name in found[0]}
