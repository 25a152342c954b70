"""Recall, precision and time of each detector on boxed faces.

usage: python -m benchmark detectors [--mmod]

A face is found where a detection and a box share three tenths of their union; what meets no box is a
false alarm. The pictures are also shown smaller, darker, in noise, half hidden and turned. Times are of
one core, detectors by turns on the same picture.
"""

from __future__ import annotations

import sys
import time
from statistics import median

import cv2

from benchmark import material
from benchmark.results import save
from forensic_emotion.faces.detector import Detector, load_detector
from forensic_emotion.settings import ScanSettings

CHOICES = {
    "centerface": ScanSettings(),
    "centerface, smallest face 40": ScanSettings(smallest_face=40),
    "hog, smallest face 80": ScanSettings(detector="hog", smallest_face=80),
    "hog, smallest face 40": ScanSettings(detector="hog", smallest_face=40),
    "hog": ScanSettings(detector="hog"),
}
MMOD = {"mmod, smallest face 80": ScanSettings(detector="mmod", smallest_face=80)}


def main() -> None:
    cv2.setNumThreads(1)
    choices = CHOICES | (MMOD if "--mmod" in sys.argv else {})
    detectors = {name: load_detector(settings) for name, settings in choices.items()}
    figures = {}
    for what, change in material.CHANGES.items():
        figures[what] = count(detectors, change)
        for name, figure in figures[what].items():
            print(f"{what:20} {name:30} {figure}", flush=True)
    frames = [cv2.resize(image, (640, 360)) for image, _ in material.boxed().values()]
    seconds = {name: [] for name in detectors}
    for _ in range(3):
        for frame in frames:
            for name, detector in detectors.items():
                started = time.process_time()
                detector.detect(frame)
                seconds[name].append(time.process_time() - started)
    each = {name: round(1000 * median(spent), 2) for name, spent in seconds.items()}
    print("ms of one core for a frame of 640x360:", each)
    save("detectors", {"faces": figures, "ms_640x360": each})


def count(detectors: dict[str, Detector], change: material.Change) -> dict[str, dict[str, int]]:
    figures = {name: {"faces": 0, "found": 0, "false": 0} for name in detectors}
    for image, boxes in material.boxed().values():
        shown, true = change(image, boxes)
        for name, detector in detectors.items():
            found = [d.square for d in detector.detect(shown)]
            met = material.matched(found, true)
            figures[name]["faces"] += len(true)
            figures[name]["found"] += met
            figures[name]["false"] += len(found) - met
    return figures
