"""What the limits of a poor face come from: how well landmarks fit, and the range of FER2013.

usage: python -m benchmark limits fer2013.csv [--pictures N]

Training pictures are enlarged to 200 pixels with a border, as they are, with a grey bar over a half,
and turned. Printed is how many of the faces that CenterFace finds are flagged by each opinion on the
landmarks (``faces/landmarks.py``), at its own limit and at the one that flags a tenth of the faces as
they are; and the quantiles of blur and light (``faces/quality.py``) over all Training pictures.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from forensic_emotion.faces import landmarks, quality
from forensic_emotion.faces.detector import load_detector
from forensic_emotion.records import RGB, Box, Detection
from forensic_emotion.settings import ScanSettings
from forensic_emotion.training.sources import TRAINING, read_labelled

FACE, BORDER = 200, 50
"""Pixels."""
GREY = 128
Faces = list[tuple[float, float]]
"""Of each: by the detector's points, by landmarks placed twice; shares of the square's side."""


def main() -> None:
    parser = argparse.ArgumentParser(prog=sys.argv[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--pictures", type=int, default=700)
    asked = parser.parse_args()
    source = read_labelled(asked.data)
    training = source.grey[source.usage == TRAINING]
    changes: dict[str, Callable[[RGB, Box], RGB]] = {
        "as they are": lambda image, _: image,
        "lower part hidden": lambda image, box: _hidden(image, box, 0.55, 1.05),
        "upper part hidden": lambda image, box: _hidden(image, box, 0.05, 0.5),
        "turned by 25 degrees": lambda image, _: _turned(image, 25),
        "turned by 45 degrees": lambda image, _: _turned(image, 45),
    }
    detector = load_detector(ScanSettings())
    predictor = landmarks.LandmarkPredictor()
    found: dict[str, Faces] = {name: [] for name in changes}
    for grey in training[: asked.pictures]:
        image = _enlarged(grey)
        plain = _best(detector.detect(image))
        if plain is None:
            continue
        for name, change in changes.items():
            changed = change(image, plain.box)
            face = _best(detector.detect(changed))
            if face is not None:
                points = predictor.place(changed, face.square)
                twice = replace(face, keypoints=None)
                fits = (predictor.fit(changed, each, points).spread for each in (face, twice))
                found[name].append(tuple(fits))
    plain_fits = np.array(found["as they are"])
    tenth = np.quantile(plain_fits, 0.9, axis=0)
    own = (landmarks.APART, landmarks.MOVED)
    print(
        f"limits that flag a tenth as they are: detector's points {tenth[0]:.3f}, twice {tenth[1]:.3f}"
    )
    print("flagged at those, and at femo's own limits (detector's points / placed twice):")
    for name, faces in found.items():
        fits = np.array(faces)
        at_tenth, at_own = (fits > tenth).mean(axis=0), (fits > own).mean(axis=0)
        print(
            f"  {name}, n={len(fits)}: {at_tenth[0]:.0%} / {at_tenth[1]:.0%},"
            f" {at_own[0]:.0%} / {at_own[1]:.0%}"
        )
    blur = [cv2.Laplacian(grey, cv2.CV_64F).var() for grey in training]
    light = training.mean(axis=(1, 2))
    print(f"blur: 0.5 % below {np.quantile(blur, 0.005):.0f}, median {np.median(blur):.0f};", end=" ")
    print(
        f"light: 0.5 % below {np.quantile(light, 0.005):.0f}, 1 % above {np.quantile(light, 0.99):.0f}"
    )
    print(f"femo's limits: {quality.BLURRED:.0f}; {quality.DARK:.0f}, {quality.BRIGHT:.0f}")


def _enlarged(grey: npt.NDArray[np.uint8]) -> RGB:
    large = cv2.resize(grey, (FACE, FACE), interpolation=cv2.INTER_LINEAR)
    large = cv2.copyMakeBorder(large, *(BORDER,) * 4, cv2.BORDER_REPLICATE)
    return np.asarray(cv2.cvtColor(large, cv2.COLOR_GRAY2RGB), np.uint8)


def _hidden(image: RGB, box: Box, start: float, end: float) -> RGB:
    """With a grey bar over a part of the box's height, wider than the box."""
    covered = image.copy()
    rows = slice(round(box.top + start * box.height), round(box.top + end * box.height))
    margin = box.width // 5
    covered[rows, max(0, box.left - margin) : box.right + margin] = GREY
    return covered


def _turned(image: RGB, degrees: float) -> RGB:
    side = len(image)
    matrix = cv2.getRotationMatrix2D((side / 2, side / 2), degrees, 1)
    turned = cv2.warpAffine(image, matrix, (side, side), borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(turned, np.uint8)


def _best(found: list[Detection]) -> Detection | None:
    return max(found, key=lambda each: each.score, default=None)
