"""A face's box → its 68 landmarks, by dlib's shape predictor.

Method: Kazemi & Sullivan 2014, "One millisecond face alignment with an ensemble of regression
trees". The weights come in the package ``face_recognition_models``; they were trained on iBUG 300-W,
whose licence excludes commercial use.
"""

from __future__ import annotations

import dlib
import numpy as np

from forensic_emotion.faces.weights import weights_path
from forensic_emotion.hashes import file_sha256
from forensic_emotion.records import LANDMARKS, RGB, Box, Points

WEIGHTS = "shape_predictor_68_face_landmarks.dat"


class LandmarkPredictor:
    """Places 68 points on a face; the box it expects is the one of dlib's HOG detector."""

    def __init__(self) -> None:
        path = weights_path(WEIGHTS)
        self.weights_sha256 = file_sha256(path)
        self._predict = dlib.shape_predictor(str(path))

    def place(self, image: RGB, box: Box) -> Points:
        """The landmarks of the face in a box, in pixels of the picture; they may lie outside it."""
        shape = self._predict(image, dlib.rectangle(box.left, box.top, box.right - 1, box.bottom - 1))
        points = [(shape.part(i).x, shape.part(i).y) for i in range(LANDMARKS)]
        return np.array(points, dtype=np.float32)
