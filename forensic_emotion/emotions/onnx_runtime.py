"""A model through ONNX Runtime: what scanning uses, for it starts at once and needs no TensorFlow."""

from __future__ import annotations

import numpy as np
import onnxruntime

from forensic_emotion.chips import Images, PointSets
from forensic_emotion.emotions.card import ModelCard
from forensic_emotion.emotions.classifier import Probabilities
from forensic_emotion.errors import ModelError

# What ONNX Runtime raises has no common base of its own.
RUNTIME_ERRORS = (RuntimeError, ValueError, onnxruntime.capi.onnxruntime_pybind11_state.Fail)
QUIET = 3
"""Log level: errors only."""


class OnnxClassifier:
    """Computes ``model.onnx`` on the CPU."""

    def __init__(self, card: ModelCard) -> None:
        self.card = card
        path, self.weights_sha256 = card.weights("model.onnx")
        options = onnxruntime.SessionOptions()
        options.log_severity_level = QUIET
        try:
            self._session = onnxruntime.InferenceSession(
                path, options, providers=["CPUExecutionProvider"]
            )
        except RUNTIME_ERRORS as error:
            raise ModelError(f"{path} cannot be loaded by ONNX Runtime: {error}.") from error

    def probabilities(self, images: Images, landmarks: PointSets) -> Probabilities:
        (scores,) = self._session.run(["output"], {"images": images, "landmarks": landmarks})
        return np.asarray(scores, dtype=np.float32)
