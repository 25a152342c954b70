"""A face → what tells how far its scores can be trusted: size, blur, light, pose, what is cut off.

Nothing is dropped by it: a poor face is marked, so that whoever looks can filter.
"""

from __future__ import annotations

import cv2
import numpy as np

from forensic_emotion.chips import Chip
from forensic_emotion.records import Box, Face, Points, Quality

# From the 28,709 Training pictures of FER2013 (docs/log.md, 2026-11-23): what lies outside is next to
# unknown to the networks.
BLURRED = 300.0
"""Variance of the Laplacian on the chip; 0.5 % of them lie below."""
DARK, BRIGHT = 45.0, 205.0
"""Mean grey of the chip; 0.5 % lie below, 1 % above."""
SMALL = 32
"""Side of the square in pixels; below, the chip is enlarged by more than a quarter."""
TURNED, TILTED = 30.0, 30.0
"""Degrees of yaw or pitch, and of roll, beyond which FER2013 has few faces to learn from."""
CUT_OFF = 0.1
"""Share of the box outside the picture."""

RIGID = (36, 39, 42, 45, 27, 30, 31, 33, 35)
"""Landmarks that an expression moves least: corners of the eyes, bridge, tip and wings of the nose."""
MODEL = np.array(
    # Across and down: the mean over the faces detected in FER2013's Training pictures, made symmetric.
    # To the front: proportions of the face after Farkas 1994, rounded. In distances of the outer corners
    # of the eyes; x to the right of the picture, y down, z away from the camera.
    [
        *((-0.50, 0.00, 0.00), (-0.21, 0.02, -0.08), (0.21, 0.02, -0.08), (0.50, 0.00, 0.00)),
        *((0.00, -0.02, -0.15), (0.00, 0.39, -0.38)),
        *((-0.16, 0.49, -0.18), (0.00, 0.54, -0.23), (0.16, 0.49, -0.18)),
    ]
)
DISTANCE = 6.0
"""Of the camera, in the same unit: about half a metre. The true one is unknown, and matters little."""


def assess(face: Face, chip: Chip, width: int, height: int) -> Quality:
    """What a face is worth to whoever judges it.

    Args:
        face: with box, square and landmarks.
        chip: what the network sees of it.
        width: of the picture in pixels.
        height: of the picture.
    """
    blur = float(cv2.Laplacian(chip.grey, cv2.CV_64F).var())
    brightness = float(chip.grey.mean())
    pose = head_pose(face.landmarks)
    yaw, pitch, roll = pose or (None, None, None)
    outside = 1 - _inside(face.box, width, height) / (face.box.width * face.box.height)
    faults = (
        ("small", face.square.width < SMALL),
        ("blurred", blur < BLURRED),
        ("dark", brightness < DARK),
        ("bright", brightness > BRIGHT),
        ("turned", pose is not None and _is_turned(*pose)),
        ("cut", outside > CUT_OFF),
        ("landmarks", not face.fits),
    )
    return Quality(
        size=face.square.width,
        blur=round(blur, 2),
        brightness=round(brightness, 2),
        yaw=yaw,
        pitch=pitch,
        roll=roll,
        outside=round(outside, 4),
        faults=tuple(name for name, is_so in faults if is_so),
    )


def _is_turned(yaw: float, pitch: float, roll: float) -> bool:
    return max(abs(yaw), abs(pitch)) > TURNED or abs(roll) > TILTED


def _inside(box: Box, width: int, height: int) -> int:
    """Pixels of a box that lie in the picture."""
    across = min(box.right, width) - max(box.left, 0)
    down = min(box.bottom, height) - max(box.top, 0)
    return max(0, across) * max(0, down)


def head_pose(points: Points) -> tuple[float, float, float] | None:
    """Yaw, pitch and roll of a head in degrees, roughly, from its 68 landmarks; None if none fits.

    As against the line from the camera to the face: yaw is positive for a face turned to the right of
    the picture, pitch for one that looks up, roll for one tilted clockwise in the picture.
    """
    seen = points[list(RIGID)].astype(np.float64)
    size = float(np.linalg.norm(seen[0] - seen[3]))
    if size < 1:
        return None
    camera = np.array([[DISTANCE, 0, 0], [0, DISTANCE, 0], [0, 0, 1]])
    try:
        found, rotation, _ = cv2.solvePnP(
            MODEL - MODEL.mean(axis=0),
            (seen - seen.mean(axis=0)) / size,
            camera,
            None,
            flags=cv2.SOLVEPNP_SQPNP,
        )
    except cv2.error:  # points that lie on a line
        return None
    if not found:
        return None
    turn, _ = cv2.Rodrigues(rotation)
    # Where the face looks: the model's -z.
    x, y, z = -turn[:, 2]
    yaw = np.degrees(np.arctan2(x, -z))
    pitch = np.degrees(np.arctan2(-y, np.hypot(x, z)))
    right = turn[:, 0]
    roll = np.degrees(np.arctan2(right[1], right[0]))
    return round(float(yaw), 2), round(float(pitch), 2), round(float(roll), 2)
