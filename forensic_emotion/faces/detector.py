"""What a face detector is: Frame → detections. Another one joins as a file beside ``hog.py``."""

from __future__ import annotations

import math
from typing import Protocol

from forensic_emotion.records import RGB, Detection
from forensic_emotion.settings import ScanSettings


class Detector(Protocol):
    """Finds faces in a picture."""

    name: str
    """As stored with each face."""
    weights_sha256: str | None
    """Of its file of weights, if it has one."""

    def detect(self, image: RGB) -> list[Detection]:
        """The faces in a picture, by falling score (then left to right, top to bottom).

        Boxes are in the pixels of ``image`` and keep the part of a face that lies outside it.
        """
        ...

    def smallest(self, width: int, height: int) -> float:
        """The side in pixels of the smallest face that can be found in a picture of this size."""
        ...


def load_detector(settings: ScanSettings) -> Detector:
    """The detector that the settings name.

    Raises:
        ModelError: its weights are missing or damaged.
    """
    if settings.detector == "centerface":
        from forensic_emotion.faces.centerface import CenterFaceDetector

        return CenterFaceDetector(settings)
    if settings.detector == "mmod":
        from forensic_emotion.faces.mmod import MmodDetector

        return MmodDetector(settings)
    if settings.detector == "hog":
        from forensic_emotion.faces.hog import HogDetector

        return HogDetector(settings)
    raise ValueError(f"DETECTORS has {settings.detector}, which is loaded by no line here")


def scale_for(width: int, height: int, settings: ScanSettings, native: float) -> float:
    """How much to enlarge (above 1) or shrink a picture before detection.

    Args:
        width: of the picture.
        height: of the picture.
        settings: have the smallest face that is wanted, and the longest side that is affordable.
        native: side in pixels of the smallest face that the detector finds.
    """
    return min(native / settings.smallest_face, settings.long_side / max(width, height))


def margin_for(confidence: float) -> float:
    """The margin of a linear classifier that counts as a confidence: the logistic function, inverted."""
    return math.log(confidence / (1 - confidence))


def by_score(found: list[Detection]) -> list[Detection]:
    """In the order that ``Detector.detect`` promises."""
    return sorted(found, key=lambda d: (-d.score, d.box.left, d.box.top))
