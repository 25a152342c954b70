"""Faces → the same faces as bad evidence has them: hidden, blurred, compressed, small, dark, turned."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt

from forensic_emotion.chips import SIDE, PointSets

Grey = npt.NDArray[np.uint8]
EYES, MOUTH = slice(36, 48), slice(48, 68)
"""Points in the order of iBUG 300-W."""


def _fingers(points: slice) -> Callable[[Grey, PointSets], Grey]:
    """Four bars of the face's own brightness across a part of it, as fingers of a hand before it.

    Drawn: what a real hand does to an answer was not measured.
    """

    def cover(grey: Grey, landmarks: PointSets) -> Grey:
        covered = grey.copy()
        for picture, face in zip(covered, landmarks, strict=True):
            middle = face[points].mean(axis=0) * SIDE
            skin = float(np.percentile(picture, 70))
            finger = SIDE * 0.09
            for i in range(4):
                y = round(float(middle[1] + (i - 1.5) * finger))
                ends = (
                    (round(float(middle[0] - SIDE * 0.4)), y),
                    (round(float(middle[0] + SIDE * 0.4)), y),
                )
                cv2.line(picture, *ends, skin * 0.75, round(finger) + 1)
                cv2.line(picture, *ends, skin, round(finger) - 1)
        return covered

    return cover


def _each(change: Callable[[Grey], npt.NDArray[np.uint8]]) -> Callable[[Grey, PointSets], Grey]:
    def all_of(grey: Grey, _: PointSets) -> Grey:
        return np.stack([change(picture) for picture in grey])

    return all_of


def _jpeg(picture: Grey) -> Grey:
    _, coded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 30])
    return np.asarray(cv2.imdecode(coded, cv2.IMREAD_GRAYSCALE), np.uint8)


def _half(picture: Grey) -> Grey:
    small = cv2.resize(picture, (SIDE // 2, SIDE // 2), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR), np.uint8)


def _turned(degrees: float) -> Callable[[Grey], Grey]:
    matrix = cv2.getRotationMatrix2D(((SIDE - 1) / 2, (SIDE - 1) / 2), degrees, 1)

    def turn(picture: Grey) -> Grey:
        turned = cv2.warpAffine(picture, matrix, (SIDE, SIDE), borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(turned, np.uint8)

    return turn


DISTURBANCES: dict[str, Callable[[Grey, PointSets], Grey]] = {
    "drawn fingers over the eyes": _fingers(EYES),
    "drawn fingers over the mouth": _fingers(MOUTH),
    "blur (Gaussian, 1.5 pixels)": _each(
        lambda p: np.asarray(cv2.GaussianBlur(p, (0, 0), 1.5), np.uint8)
    ),
    "JPEG quality 30": _each(_jpeg),
    "half size (24x24)": _each(_half),
    "darkness (0.3 of the light)": _each(lambda p: np.round(p * 0.3).astype(np.uint8)),
    "turned 20° to the left": _each(_turned(20)),
    "turned 20° to the right": _each(_turned(-20)),
}
"""Name → what it does to pictures (n, 48, 48) with landmarks (n, 68, 2) as a share of their side."""
