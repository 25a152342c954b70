"""A model through ONNX Runtime: what scanning uses, for it starts at once and needs no TensorFlow."""

from __future__ import annotations

import os

import numpy as np

# ONNX Runtime's wheels report usage to their maker: they write a device number below the home folder and
# look up a host. A forensic tool must do neither; this has to be set before the library is loaded.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import onnxruntime

from forensic_emotion.chips import Inputs
from forensic_emotion.emotions.card import ModelCard
from forensic_emotion.emotions.classifier import Probabilities
from forensic_emotion.errors import ModelError

# What ONNX Runtime raises has no common base of its own but this.
RUNTIME_ERRORS = (Exception,)
QUIET = 3
"""Log level: errors only."""


class OnnxClassifier:
    """Computes ``model.onnx`` on the CPU."""

    def __init__(self, card: ModelCard, threads: int = 0) -> None:
        self.card = card
        path, self.weights_sha256 = card.weights("model.onnx")
        options = onnxruntime.SessionOptions()
        options.log_severity_level = QUIET
        options.intra_op_num_threads = threads
        try:
            self._session = onnxruntime.InferenceSession(
                path, options, providers=["CPUExecutionProvider"]
            )
        except RUNTIME_ERRORS as error:
            raise ModelError(f"{path} cannot be loaded by ONNX Runtime: {error}.") from error

    def probabilities(self, inputs: Inputs) -> Probabilities:
        return self._run(["output"], inputs)["output"]

    def answers(self, inputs: Inputs) -> dict[str, Probabilities]:
        return self._run([output.name for output in self._session.get_outputs()], inputs)

    def _run(self, names: list[str], inputs: Inputs) -> dict[str, Probabilities]:
        asked = {i.name: inputs[i.name] for i in self._session.get_inputs()}
        found = self._session.run(names, asked)
        return {name: np.asarray(f, dtype=np.float32) for name, f in zip(names, found, strict=True)}
