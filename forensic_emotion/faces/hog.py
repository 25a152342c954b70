"""dlib's frontal face detector: histograms of oriented gradients and a linear classifier.

Method: Dalal & Triggs 2005; King 2015, "Max-margin object detection". Finds upright faces that look
towards the camera, from about 80 pixels, or 40 when the picture is enlarged once.
"""

from __future__ import annotations

import dlib

from forensic_emotion.records import RGB, Box, Detection


class HogDetector:
    """``hog``: the detector of the student project from which femo grew.

    Args:
        upsample: how often the picture is enlarged to twice its size first; each time finds faces
            of half the size and takes four times as long.
    """

    name = "hog"

    def __init__(self, upsample: int) -> None:
        self._upsample = upsample
        self._detector = dlib.get_frontal_face_detector()

    def detect(self, image: RGB) -> list[Detection]:
        rectangles, scores, _ = self._detector.run(image, self._upsample, 0.0)
        found = [
            # dlib counts right and bottom in, a Box does not.
            Detection(Box(r.left(), r.top(), r.right() + 1, r.bottom() + 1), float(score))
            for r, score in zip(rectangles, scores, strict=True)
        ]
        return sorted(found, key=lambda d: (-d.score, d.box.left, d.box.top))
