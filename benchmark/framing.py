"""How FER2013 frames a face: what ``chips.CHIP_SIDE`` and ``chips.CHIP_SHIFT`` come from.

usage: python -m benchmark framing fer2013.csv

For each Training picture in which dlib's HOG detector finds a face: the picture's side and middle, in
units of the detected box and seen from its middle. A chip cut so around a box shows what FER2013 shows.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from forensic_emotion.chips import SIDE
from forensic_emotion.faces.hog import HogDetector
from forensic_emotion.training.data import AS_IT_IS, BORDER, ENLARGED, enlarge
from forensic_emotion.training.sources import TRAINING, read_labelled


def main() -> None:
    source = read_labelled(Path(sys.argv[1]))
    detector = HogDetector(AS_IT_IS)
    found = [detector.detect(enlarge(picture)) for picture in source.grey[source.usage == TRAINING]]
    boxes = [detections[0].box for detections in found if detections]
    size = np.array([box.width for box in boxes], float)
    middle = np.array([((b.left + b.right) / 2, (b.top + b.bottom) / 2) for b in boxes])
    # The detector's boxes come in steps of one sixth, so a mean says more than a median.
    side = np.exp(np.log(ENLARGED / size).mean())
    shift = ((BORDER + ENLARGED / 2 - middle) / size[:, None]).mean(axis=0)
    print(f"{len(found)} pictures of {SIDE}x{SIDE}, a face detected in {len(boxes)}")
    print(f"side of the picture in boxes: {side:.3f} (geometric mean)")
    print(f"middle of the picture from that of the box: x {shift[0]:+.3f}, y {shift[1]:+.3f}")
