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
from forensic_emotion.training.provenance import trained
from forensic_emotion.training.regression import centred_logits, fit_softmax
from forensic_emotion.training.scoring import score_inputs
from forensic_emotion.training.sources import LABELS

RIDGE = 1e-4
"""Of the regression that joins answers and votes."""
LEAST = 1e-4
"""Probability below which a teacher's answer makes no difference to it."""


def load_teachers(
    folders: Sequence[Path], data_sha256: str, validation_share: float
) -> list[Classifier]:
    """Load teachers, and see that the weights of none were fitted to what the pupil is chosen by.

    Raises:
        ModelError: one cannot be used.
    """
    teachers = []
    for folder in folders:
        classifier = load_classifier(folder, "onnx")
        if classifier.card.labels != LABELS:
            raise ModelError(
                f"The teacher {folder} has different classes from the data.",
                "Choose one that was trained on such data.",
            )
        how = trained(classifier.card)
        if how.data_sha256 != data_sha256 or how.validation_share < validation_share:
            raise ModelError(
                f"The teacher {folder} was trained on other data, or with less of them held out.",
                "It may have been fitted to pictures that are held out here; train one on these data.",
            )
        teachers.append(classifier)
    return teachers


def mean_answers(
    teachers: list[Classifier], pictures: Pictures, progress: Progress
) -> dict[str, npt.NDArray[np.float32]]:
    """The mean of the teachers' probabilities: name of an output that all have → (n, its classes).

    Empty without teachers."""
    if not teachers:
        return {}
    inputs = pictures.inputs()
    answers = [score_inputs(teacher, inputs, progress) for teacher in teachers]
    shared = [name for name in answers[0] if all(name in answer for answer in answers)]
    return {name: np.mean([a[name] for a in answers], axis=0, dtype=np.float32) for name in shared}


def informed_by_votes(
    answers: dict[str, npt.NDArray[np.float32]], pictures: Pictures
) -> npt.NDArray[np.float32]:
    """What the labels are likely to be, given the teachers' answers and the FER+ votes, (n, classes).

    A FER2013 label is a search keyword; ten people have voted on the picture. Neither the votes nor the
    network alone tell the label as well as both together, and what they tell is no single person's slip.
    A logistic regression from both to the labels of the same pictures joins them: a few hundred numbers
    from thousands of pictures, so that it learns no picture by heart. Teachers that have done so are
    believed too much. Of a picture on which nobody has voted, the teachers' answer stays as it is.

    Without a teacher the votes alone are asked, and of a picture without votes the label stays.

    Method: Lopez-Paz et al. 2016, "Unifying distillation and privileged information".

    Args:
        answers: of ``mean_answers`` for the pictures; empty if there is no teacher.
        pictures: with their votes.
    """
    logits = [centred_logits(np.maximum(answer, LEAST)) for answer in _own_first(answers)]
    votes = np.log1p(pictures.votes.astype(np.float64))
    features = np.hstack([*logits, votes])
    shape = (features.shape[1], len(LABELS))
    start = np.eye(*shape) if answers else np.zeros(shape)
    joined = fit_softmax(features, pictures.labels, start, RIDGE)
    voted = pictures.votes.sum(axis=1, keepdims=True) > 0
    otherwise = answers["output"] if answers else np.eye(len(LABELS))[pictures.labels]
    return np.where(voted, joined.probabilities(features), otherwise).astype(np.float32)


def _own_first(answers: dict[str, npt.NDArray[np.float32]]) -> list[npt.NDArray[np.float32]]:
    """The answer in the classes of the data, then others."""
    return [answers[name] for name in sorted(answers, key=lambda name: (name != "output", name))]
