"""A face in a picture → a small JPEG of it, encoded anew from the pixels."""

from __future__ import annotations

from forensic_emotion.records import RGB, Box

SIDE = 192
"""Longest side of a thumbnail in pixels; a smaller face is not enlarged."""
MARGIN = 0.35
"""Surroundings on each side, as a share of the box."""
QUALITY = 85


def shown_part(box: Box, width: int, height: int) -> Box:
    """The part of a picture of that size that a face's thumbnail shows."""
    across, down = round(box.width * MARGIN), round(box.height * MARGIN)
    left = min(max(box.left - across, 0), width - 1)
    top = min(max(box.top - down, 0), height - 1)
    right = max(left + 1, min(box.right + across, width))
    bottom = max(top + 1, min(box.bottom + down, height))
    return Box(left, top, right, bottom)


def thumbnail(image: RGB, box: Box) -> bytes:
    """JPEG of a face with some surroundings; what lies outside the picture is not made up."""
    # Here, for a report only asks which part is shown.
    import cv2
    import numpy as np

    from forensic_emotion.chips import resize

    height, width = image.shape[:2]
    shown = shown_part(box, width, height)
    part = image[shown.top : shown.bottom, shown.left : shown.right]
    scale = min(1.0, SIDE / max(part.shape[:2]))
    small = resize(part, max(1, round(part.shape[1] * scale)), max(1, round(part.shape[0] * scale)))
    _, encoded = cv2.imencode(
        ".jpg", np.ascontiguousarray(small[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, QUALITY]
    )
    return encoded.tobytes()
