"""Trained models → what they answer on the mean, for another network to learn from.

Method: Hinton et al. 2015, "Distilling the knowledge in a neural network".
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rich.progress import Progress

from forensic_emotion.emotions.classifier import Classifier, load_classifier
from forensic_emotion.errors import ModelError
from forensic_emotion.training.data import Pictures
from forensic_emotion.training.scoring import score_pictures
from forensic_emotion.training.sources import LABELS


def load_teachers(
    folders: Sequence[Path], data_sha256: str, validation_share: float
) -> list[Classifier]:
    """Load teachers, and see that none has been fitted to what the pupil is chosen by.

    Raises:
        ModelError: one cannot be used.
    """
    teachers = []
    for folder in folders:
        classifier = load_classifier(str(folder), "onnx")
        facts = classifier.card.facts
        if classifier.card.labels != LABELS:
            raise ModelError(
                f"The teacher {folder} has other classes than the data.",
                "Name one that was trained on such data.",
            )
        held_out = (facts["data"]["sha256"], facts["settings"]["validation_share"])
        if held_out != (data_sha256, validation_share):
            raise ModelError(
                f"The teacher {folder} was trained on other data, or with another part held out.",
                "It may have been fitted to pictures that are held out here; train one on these data.",
            )
        teachers.append(classifier)
    return teachers


def mean_answer(
    teachers: list[Classifier], pictures: Pictures, progress: Progress
) -> npt.NDArray[np.float32]:
    """The mean of the teachers' probabilities for each picture, (n, classes)."""
    answers = [score_pictures(teacher, pictures, progress) for teacher in teachers]
    return np.mean(answers, axis=0, dtype=np.float32)
