"""What a face detector is: Frame → detections. A second one joins as a file beside ``hog.py``."""

from __future__ import annotations

from typing import Protocol

from forensic_emotion.records import RGB, Detection


class Detector(Protocol):
    """Finds faces in a picture."""

    name: str
    """As stored with each face."""

    def detect(self, image: RGB) -> list[Detection]:
        """The faces in a picture, by falling score (then left to right, top to bottom).

        Boxes are in the pixels of ``image`` and keep the part of a face that lies outside it.
        """
        ...
