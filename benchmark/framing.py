"""How FER2013 frames a face, and how dlib's detector frames what another one finds.

usage: python -m benchmark framing fer2013.csv [--detector centerface] [--pictures N]

For each Training picture, enlarged and bordered, in which dlib's HOG detector finds a face: the
picture's side and middle, in units of the detected box and seen from its middle, which is what
``chips.CHIP_SIDE`` and ``chips.CHIP_SHIFT`` come from; a chip cut so around a box shows what FER2013
shows. With another detector: the side of dlib's box, in sides of a square with the area of the other's,
and how much lower its middle lies, in heights of the other's; so that one can give the ``square`` that
``faces/detector.py`` asks for.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt

from forensic_emotion.chips import SIDE
from forensic_emotion.faces.detector import load_detector
from forensic_emotion.faces.hog import HogDetector
from forensic_emotion.records import RGB, Box
from forensic_emotion.settings import ScanSettings
from forensic_emotion.training.data import AS_IT_IS, BORDER, ENLARGED, enlarge
from forensic_emotion.training.sources import TRAINING, read_labelled


def main() -> None:
    parser = argparse.ArgumentParser(prog=sys.argv[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--detector")
    parser.add_argument("--pictures", type=int)
    asked = parser.parse_args()
    source = read_labelled(asked.data)
    pictures = [enlarge(grey) for grey in source.grey[source.usage == TRAINING][: asked.pictures]]
    detector = HogDetector(AS_IT_IS)
    found = [(picture, detector.detect(picture)) for picture in pictures]
    seen = [(picture, detections[0].box) for picture, detections in found if detections]
    print(f"{len(found)} pictures of {SIDE}x{SIDE}, dlib detects a face in {len(seen)}")
    if asked.detector is None:
        of_fer2013(seen)
    else:
        of_another(seen, ScanSettings(detector=asked.detector))


def of_fer2013(seen: list[tuple[RGB, Box]]) -> None:
    size = np.array([box.width for _, box in seen], float)
    middle = np.array([_middle(box) for _, box in seen])
    # The detector's boxes come in steps of one sixth, so a mean says more than a median.
    side = np.exp(np.log(ENLARGED / size).mean())
    shift = ((BORDER + ENLARGED / 2 - middle) / size[:, None]).mean(axis=0)
    print(f"side of the picture in boxes: {side:.3f} (geometric mean), {scatter(ENLARGED / size)}")
    print(f"middle of the picture from that of the box: x {shift[0]:+.3f}, y {shift[1]:+.3f}")


def of_another(seen: list[tuple[RGB, Box]], settings: ScanSettings) -> None:
    detector = load_detector(settings)
    sides, lower, right = [], [], []
    for picture, box in seen:
        other = max(detector.detect(picture), key=lambda found: found.score, default=None)
        if other is not None:
            sides.append(box.width / np.sqrt(other.box.width * other.box.height))
            lower.append((_middle(box)[1] - _middle(other.box)[1]) / other.box.height)
            right.append((_middle(box)[0] - _middle(other.box)[0]) / other.box.height)
    print(f"{settings.detector} detects one in {len(sides)} of those")
    mean = np.exp(np.log(sides).mean())
    print(f"side of dlib's box in sides of a square as large: {mean:.3f}, {scatter(np.array(sides))}")
    for name, values in (("lower", lower), ("further right", right)):
        print(
            f"its middle is {name} by, in heights of the other box: {np.mean(values):+.3f},"
            f" standard deviation {np.std(values):.3f}"
        )


def scatter(ratios: npt.NDArray[np.float64]) -> str:
    return f"standard deviation {np.log(ratios).std():.1%}"


def _middle(box: Box) -> tuple[float, float]:
    return (box.left + box.right) / 2, (box.top + box.bottom) / 2
