"""dlib's frontal face detector: histograms of oriented gradients and a linear classifier.

Method: Dalal & Triggs 2005; King 2015, "Max-margin object detection". Finds upright faces that look
towards the camera.
"""

from __future__ import annotations

import dlib

from forensic_emotion.chips import resize
from forensic_emotion.faces.detector import by_score, margin_for, scale_for
from forensic_emotion.records import RGB, Box, Detection
from forensic_emotion.settings import DLIB_FACE, ScanSettings

NATIVE = float(DLIB_FACE)
"""Side of the detector's window."""


class HogDetector:
    """``hog``: the detector of the student project from which femo grew."""

    name = "hog"
    weights_sha256: str | None = None

    def __init__(self, settings: ScanSettings) -> None:
        self._settings = settings
        self._margin = margin_for(settings.confidence_in_force)
        self._detector = dlib.get_frontal_face_detector()

    def smallest(self, width: int, height: int) -> float:
        return NATIVE / scale_for(width, height, self._settings, NATIVE)

    def detect(self, image: RGB) -> list[Detection]:
        height, width = image.shape[:2]
        scale = scale_for(width, height, self._settings, NATIVE)
        scaled = resize(image, max(1, round(width * scale)), max(1, round(height * scale)))
        rectangles, scores, _ = self._detector.run(scaled, 0, self._margin)
        return by_score(
            [
                Detection(box, float(score), square=box)
                for box, score in zip(boxes(rectangles, scale), scores, strict=True)
            ]
        )


def boxes(rectangles: list[dlib.rectangle], scale: float) -> list[Box]:
    """dlib's rectangles in a scaled picture → boxes in the picture itself."""
    return [
        # dlib counts right and bottom in, a Box does not.
        Box(*(round(side / scale) for side in (r.left(), r.top(), r.right() + 1, r.bottom() + 1)))
        for r in rectangles
    ]
