"""A trained model's ``.h5`` or ``.keras`` → the Keras model, and the network in it that has weights."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np

from forensic_emotion.emotions import layers  # noqa: F401  (so that Keras knows them)
from forensic_emotion.emotions.card import RESTORE, ModelCard
from forensic_emotion.emotions.h5 import refuse_unsafe
from forensic_emotion.errors import ModelError
from forensic_emotion.training.calibrate import take_out
from forensic_emotion.training.checkpoint import DAMAGED


def load_trained(path: Path) -> keras.Model:
    """Load a model of one network, perhaps in its symmetric form, to go on from it.

    Raises:
        ModelError: the file is no model, or one of several networks; or it holds code.
    """
    refuse_unsafe(path)
    try:
        model = keras.models.load_model(path, compile=False)
    except DAMAGED as error:
        raise ModelError(
            f"{path} cannot be loaded as a Keras model: {error}.",
            "Give the model.h5 of a folder that femo train wrote.",
        ) from error
    several = len(_inner(model))
    if several > 1:
        raise ModelError(f"{path} is a merged model of {several} networks.", "Give its members instead.")
    return model


def load_uncalibrated(card: ModelCard) -> keras.Model:
    """A trained model, calibrated by its temperature alone."""
    path, _ = card.weights("model.h5")
    model = load_trained(path)
    try:
        take_out(innermost(model), card.facts["calibration"])
    except (KeyError, TypeError, ValueError, np.linalg.LinAlgError) as error:
        raise ModelError(
            f"{card.folder / 'model.json'} does not say how the model was calibrated:"
            f" {type(error).__name__}: {error}.",
            RESTORE,
        ) from error
    return model


def innermost(model: keras.Model) -> keras.Model:
    """The network that has the last layer: a symmetric model holds it as one of its layers."""
    inner = _inner(model)
    return innermost(inner[0]) if inner else model


def _inner(model: keras.Model) -> list[keras.Model]:
    return [layer for layer in model.layers if isinstance(layer, keras.Model)]
