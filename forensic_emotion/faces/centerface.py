"""CenterFace: a small convolutional network that marks the middle of each face on a heat map.

Method: Xu et al. 2019, "CenterFace: Joint Face Detection and Alignment Using Face as Point". The weights
ship with femo (``models/centerface/LICENSE`` has source, licence and hashes).
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from forensic_emotion.chips import resize
from forensic_emotion.errors import ModelError
from forensic_emotion.faces.detector import by_score, scale_for
from forensic_emotion.onnx_session import open_session
from forensic_emotion.records import RGB, Box, Detection
from forensic_emotion.settings import ScanSettings

WEIGHTS = Path(__file__).parent / "models" / "centerface" / "centerface.onnx"
SHA256 = "876658c9e4e7b85c6e00e08172ec6c76751c09327200efd6444952c4270057f4"

# Measured: python -m benchmark detectors (docs/performance.md).
NATIVE = 15.0
"""Side in pixels of the smallest face that it finds reliably."""
OVERLAP = 0.3
"""Two boxes with a greater intersection over union are one face."""
STRIDE = 4
"""Pixels of the picture for one of the heat map."""
MULTIPLE = 32
"""Width and height of its input are multiples of this."""

# How dlib's HOG detector frames what CenterFace finds (python -m benchmark framing --detector ...).
SQUARE_SIDE = 0.97
"""Side of dlib's square, in sides of a square with the area of CenterFace's box."""
SQUARE_SHIFT = 0.038
"""How much lower its middle lies, in heights of CenterFace's box."""

Floats = npt.NDArray[np.float32]


class CenterFaceDetector:
    """``centerface``: finds small, turned and half-hidden faces too.

    Raises:
        ModelError: the weights are missing, or are not those that were measured.
    """

    name = "centerface"
    weights_sha256: str | None = SHA256

    def __init__(self, settings: ScanSettings) -> None:
        self._settings = settings
        self._confidence = settings.confidence_in_force
        try:
            content = WEIGHTS.read_bytes()
        except OSError as error:
            raise ModelError(
                f"{WEIGHTS} cannot be read: {error.strerror}.", "Reinstall femo."
            ) from error
        found = hashlib.sha256(content).hexdigest()
        if found != SHA256:
            raise ModelError(
                f"{WEIGHTS} is damaged or another file: its SHA-256 is {found}, not {SHA256}.",
                "Reinstall femo.",
            )
        self._session = open_session(content, WEIGHTS, threads=1)

    def smallest(self, width: int, height: int) -> float:
        return NATIVE / scale_for(width, height, self._settings, NATIVE)

    def detect(self, image: RGB) -> list[Detection]:
        height, width = image.shape[:2]
        scale = scale_for(width, height, self._settings, NATIVE)
        across, down = (max(1, round(side * scale)) for side in (width, height))
        scaled = resize(image, across, down)
        # What is missing to a multiple is black; stretching the picture would distort the faces.
        padded = np.zeros((_whole(down), _whole(across), 3), np.uint8)
        padded[:down, :across] = scaled
        # Twice as quick as to transpose it.
        given = np.stack(cv2.split(padded))[None].astype(np.float32)
        heat, *maps = self._session.run(["heat", "size", "offset", "points"], {"input.1": given})
        size, offset, points = (each[0] for each in maps)
        found = read_heat_map(heat[0, 0], size, offset, points, self._confidence)
        back = np.array([width / across, height / down], np.float32)
        boxes, keypoints = found.boxes * np.tile(back, 2), found.keypoints * back
        kept = suppress_overlaps(boxes, found.scores)
        return by_score([_detection(boxes[i], float(found.scores[i]), keypoints[i]) for i in kept])


def _whole(side: int) -> int:
    return -(-side // MULTIPLE) * MULTIPLE


class Marked(NamedTuple):
    """The faces on the network's maps, in pixels of its input."""

    boxes: Floats
    """(n, 4), as left, top, right, bottom."""
    scores: Floats
    """(n,)."""
    keypoints: Floats
    """(n, 5, 2), see ``Detection.keypoints``."""


def read_heat_map(
    heat: Floats, size: Floats, offset: Floats, points: Floats, confidence: float
) -> Marked:
    """The network's maps → the faces that they mark; boxes may overlap.

    Args:
        heat: (h, w), from 0 to 1: how sure it is that a face has its middle there.
        size: (2, h, w), logarithms of height and width in units of the map.
        offset: (2, h, w), from the cell to the middle, down and across, in the same unit.
        points: (10, h, w), from the box's upper left corner to each, down and across, in its sides.
        confidence: lowest value of ``heat`` that counts.
    """
    rows, columns = np.nonzero(heat >= confidence)
    high, wide = np.exp(size[:, rows, columns]) * STRIDE
    middle_y, middle_x = (np.stack([rows, columns]) + offset[:, rows, columns] + 0.5) * STRIDE
    boxes = np.stack(
        [middle_x - wide / 2, middle_y - high / 2, middle_x + wide / 2, middle_y + high / 2], axis=1
    )
    downs, acrosses = points[0::2, rows, columns], points[1::2, rows, columns]
    keypoints = np.stack([boxes[:, 0] + acrosses * wide, boxes[:, 1] + downs * high], axis=2)
    return Marked(
        boxes.astype(np.float32),
        heat[rows, columns],
        keypoints.transpose(1, 0, 2).astype(np.float32),
    )


def suppress_overlaps(boxes: Floats, scores: Floats) -> list[int]:
    """Which boxes stay: the surest of those that overlap, the surest first."""
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    left = np.argsort(-scores, kind="stable")
    kept = []
    while len(left):
        best, left = left[0], left[1:]
        kept.append(int(best))
        corner = np.maximum(boxes[best, :2], boxes[left, :2])
        far = np.minimum(boxes[best, 2:], boxes[left, 2:])
        both = np.clip(far - corner, 0, None).prod(axis=1)
        left = left[both <= OVERLAP * (area[best] + area[left] - both)]
    return kept


def _detection(box: Floats, score: float, keypoints: Floats) -> Detection:
    left, top, right, bottom = (float(v) for v in box)
    side = SQUARE_SIDE * ((right - left) * (bottom - top)) ** 0.5
    x, y = (left + right) / 2, (top + bottom) / 2 + SQUARE_SHIFT * (bottom - top)
    return Detection(
        _box(left, top, right, bottom),
        score,
        square=_box(x - side / 2, y - side / 2, x + side / 2, y + side / 2),
        keypoints=keypoints,
    )


def _box(left: float, top: float, right: float, bottom: float) -> Box:
    """In whole pixels, at least one wide and high."""
    x, y = round(left), round(top)
    return Box(x, y, max(x + 1, round(right)), max(y + 1, round(bottom)))
