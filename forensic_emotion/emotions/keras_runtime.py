"""A model through Keras itself (``model.h5``): the check of what ONNX Runtime computes."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np

from forensic_emotion.backend import check_backend
from forensic_emotion.chips import Inputs
from forensic_emotion.emotions.card import RESTORE, ModelCard
from forensic_emotion.emotions.classifier import Probabilities
from forensic_emotion.emotions.h5 import refuse_unsafe
from forensic_emotion.errors import MissingExtra, ModelError
from forensic_emotion.terminal import silenced


class KerasClassifier:
    """Computes ``model.h5`` with Keras' backend (TensorFlow, unless ``KERAS_BACKEND`` names another)."""

    def __init__(self, card: ModelCard) -> None:
        try:
            if find_spec("keras") is not None:
                check_backend()
            with silenced():
                import keras

                from forensic_emotion.emotions import layers  # noqa: F401  (so that Keras knows them)
        except ImportError as error:
            raise MissingExtra("--runtime tensorflow", "train") from error
        self.card = card
        path, self.weights_sha256 = card.weights("model.h5")
        refuse_unsafe(path)
        try:
            self._model = keras.models.load_model(path, compile=False)
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise ModelError(
                f"{path} cannot be loaded by Keras: {error}.",
                RESTORE,
            ) from error

    def probabilities(self, inputs: Inputs) -> Probabilities:
        return self.answers(inputs)["output"]

    def answers(self, inputs: Inputs) -> dict[str, Probabilities]:
        asked = {tensor.name: inputs[tensor.name] for tensor in self._model.inputs}
        found = self._model.predict_on_batch(asked)
        outputs = found if isinstance(found, dict) else {"output": found}
        return {name: np.asarray(values, dtype=np.float32) for name, values in outputs.items()}
