"""A model through ONNX Runtime: what scanning uses, for it starts at once and needs no TensorFlow."""

from __future__ import annotations

import hashlib

import numpy as np

from forensic_emotion.chips import Inputs
from forensic_emotion.emotions.card import ModelCard
from forensic_emotion.emotions.classifier import Probabilities
from forensic_emotion.errors import ModelError
from forensic_emotion.onnx_session import open_session


class OnnxClassifier:
    """Computes ``model.onnx`` on the CPU."""

    def __init__(self, card: ModelCard, threads: int = 0) -> None:
        self.card = card
        path, self.weights_sha256 = card.weights("model.onnx")
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() != self.weights_sha256:
            raise ModelError(f"{path} is changing while being read.", "Wait until it is complete.")
        self._session = open_session(content, path, threads)

    def probabilities(self, inputs: Inputs) -> Probabilities:
        return self._run(["output"], inputs)["output"]

    def answers(self, inputs: Inputs) -> dict[str, Probabilities]:
        return self._run([output.name for output in self._session.get_outputs()], inputs)

    def _run(self, names: list[str], inputs: Inputs) -> dict[str, Probabilities]:
        asked = {i.name: inputs[i.name] for i in self._session.get_inputs()}
        found = self._session.run(names, asked)
        return {name: np.asarray(f, dtype=np.float32) for name, f in zip(names, found, strict=True)}
