"""A face in a picture → the input of a network: the one preprocessing of training and scanning.

A chip is what the network sees: a grey picture of 48x48 and the 68 landmarks in its coordinates.
In FER2013 the whole picture is the chip. In a photograph the chip is a square around the detected
box, placed as FER2013 frames its faces: CHIP_SIDE and CHIP_SHIFT were measured on it.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from forensic_emotion.records import LANDMARKS, Box, Points

SIDE = 48
"""Width and height of a chip in pixels."""

PREPROCESSING = "grey48-landmarks01-v1"
"""Names what this file does; stored with a model, which refuses chips made in another way."""

# Means over the 21,127 FER2013 Training pictures in which dlib's HOG detector finds the face
# (python -m benchmark framing fer2013.csv; docs/log.md, 2026-11-22).
CHIP_SIDE = 1.15
"""Side of a chip, in sides of the detected box."""
CHIP_SHIFT = (0.0, -0.07)
"""From the middle of the box to the middle of the chip, x and y, in the same unit."""

Images = npt.NDArray[np.float32]
"""(n, 48, 48, 1), grey from 0 (black) to 1 (white)."""
PointSets = npt.NDArray[np.float32]
"""(n, 68, 2), x and y as a share of the chip's side, 0 at its left or top edge."""


Inputs = dict[str, npt.NDArray[np.float32]]
"""``images``, ``landmarks``, and ``landmarks_valid`` (n, 1): 1 where the landmarks are those of a
detected face, 0 where they must not count. A network takes those of them that it has inputs for."""


@dataclass(frozen=True, eq=False)
class Chip:
    """One face as a network takes it."""

    grey: npt.NDArray[np.uint8]
    """(48, 48)."""
    landmarks: Points
    """(68, 2), as a share of the chip's side."""
    fits: bool = True
    """Whether the landmarks are those of a face that is seen well, and may count."""


def whole_picture(image: npt.NDArray[np.uint8]) -> Box:
    """The region of a picture that is all face already, as those of FER2013 are."""
    height, width = image.shape[:2]
    return Box(0, 0, width, height)


def region_around(box: Box) -> Box:
    """The square region around a detected box that shows the face as FER2013 does."""
    size = max(box.width, box.height)
    side = max(2, round(size * CHIP_SIDE))
    left = round((box.left + box.right) / 2 + CHIP_SHIFT[0] * size - side / 2)
    top = round((box.top + box.bottom) / 2 + CHIP_SHIFT[1] * size - side / 2)
    return Box(left, top, left + side, top + side)


def cut(image: npt.NDArray[np.uint8], region: Box) -> npt.NDArray[np.uint8]:
    """The pixels of a region; beyond the border the nearest pixel is repeated.

    Args:
        image: (height, width) or (height, width, channels).
        region: may reach over the border, or lie wholly outside.
    """
    height, width = image.shape[:2]
    if region.left >= 0 and region.top >= 0 and region.right <= width and region.bottom <= height:
        return image[region.top : region.bottom, region.left : region.right]
    rows = np.clip(np.arange(region.top, region.bottom), 0, height - 1)
    columns = np.clip(np.arange(region.left, region.right), 0, width - 1)
    return image[rows[:, None], columns]


def resize(image: npt.NDArray[np.uint8], width: int, height: int) -> npt.NDArray[np.uint8]:
    """Scale a picture; by area when it shrinks, so that no detail turns into noise."""
    if image.shape[:2] == (height, width):
        return image
    shrinks = image.shape[0] > height or image.shape[1] > width
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (width, height), interpolation=how), dtype=np.uint8)


def make_chip(
    image: npt.NDArray[np.uint8], region: Box, landmarks: Points, *, fits: bool = True
) -> Chip:
    """Cut a region out of a picture and scale it, landmarks with it, to what a network takes.

    Args:
        image: RGB (height, width, 3) or grey (height, width).
        region: what becomes the chip: ``whole_picture`` or ``region_around``.
        landmarks: (68, 2), in pixels of ``image``.
        fits: whether they may count.
    """
    pixels = cut(image, region)
    if pixels.ndim == 3:
        pixels = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), dtype=np.uint8)
    origin = np.array([region.left, region.top], np.float32)
    size = np.array([region.width, region.height], np.float32)
    placed = ((landmarks - origin) / size).astype(np.float32)
    return Chip(resize(pixels, SIDE, SIDE), placed, fits)


def to_inputs(chips: list[Chip]) -> Inputs:
    """Stack chips into the inputs of a network."""
    return as_inputs(
        np.stack([chip.grey for chip in chips]),
        np.stack([chip.landmarks for chip in chips]),
        np.array([chip.fits for chip in chips]),
    )


def as_inputs(grey: npt.NDArray[np.uint8], landmarks: PointSets, valid: npt.NDArray[np.bool_]) -> Inputs:
    """The inputs of a network, for chips that are stacked already.

    Args:
        grey: (n, 48, 48).
        landmarks: (n, 68, 2), as a share of the chip's side.
        valid: (n,), whether the landmarks are those of a detected face.
    """
    return {
        "images": grey[..., None].astype(np.float32) / np.float32(255),
        "landmarks": landmarks,
        "landmarks_valid": valid[:, None].astype(np.float32),
    }


def _mirror_order() -> npt.NDArray[np.intp]:
    """For each of the 68 points the one that takes its place in a mirror (iBUG 300-W order)."""
    order = np.arange(LANDMARKS)
    mirrored_runs = [(0, 17), (17, 27), (31, 36), (48, 55), (55, 60), (60, 65), (65, 68)]
    for start, end in mirrored_runs:  # jaw, brows, nostrils, lips: each run reads backwards
        order[start:end] = np.arange(start, end)[::-1]
    order[36:42] = [45, 44, 43, 42, 47, 46]
    order[42:48] = [39, 38, 37, 36, 41, 40]
    return order


MIRROR_ORDER = _mirror_order()


def mirror(images: Images, landmarks: PointSets) -> tuple[Images, PointSets]:
    """Mirror pictures left to right, the landmarks with them (left points become right ones)."""
    flipped = landmarks[:, MIRROR_ORDER].copy()
    flipped[..., 0] = 1 - flipped[..., 0]
    return images[:, :, ::-1], flipped
