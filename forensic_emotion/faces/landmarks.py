"""A face's box → its 68 landmarks, by dlib's shape predictor.

Method: Kazemi & Sullivan 2014, "One millisecond face alignment with an ensemble of regression
trees". The weights come in the package ``face_recognition_models``; they were trained on iBUG 300-W,
whose licence excludes commercial use.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import dlib
import numpy as np

from forensic_emotion.errors import ModelError
from forensic_emotion.hashes import file_sha256
from forensic_emotion.records import LANDMARKS, RGB, Box, Points

WEIGHTS = "shape_predictor_68_face_landmarks.dat"


def weights_path() -> Path:
    """Where the 68-point weights lie.

    The package that carries them cannot be imported on a current Python (it asks for the removed
    ``pkg_resources``), so only its folder is looked up.

    Raises:
        ModelError: the package or the file in it is missing.
    """
    spec = find_spec("face_recognition_models")
    for folder in (spec.submodule_search_locations if spec else None) or ():
        path = Path(folder) / "models" / WEIGHTS
        if path.is_file():
            return path
    raise ModelError(
        f"The landmark weights {WEIGHTS} were not found.",
        "Install them with: pip install face_recognition_models",
    )


class LandmarkPredictor:
    """Places 68 points on a face; the box it expects is the one of dlib's HOG detector."""

    def __init__(self) -> None:
        path = weights_path()
        self.weights_sha256 = file_sha256(path)
        self._predict = dlib.shape_predictor(str(path))

    def place(self, image: RGB, box: Box) -> Points:
        """The landmarks of the face in a box, in pixels of the picture; they may lie outside it."""
        shape = self._predict(image, dlib.rectangle(box.left, box.top, box.right - 1, box.bottom - 1))
        points = [(shape.part(i).x, shape.part(i).y) for i in range(LANDMARKS)]
        return np.array(points, dtype=np.float32)
