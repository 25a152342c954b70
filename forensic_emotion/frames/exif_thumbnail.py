"""The thumbnail in a still's EXIF, beside the picture: does it show the same?

A camera writes it with the picture. Programs that crop or paint over the picture may leave it as it was,
so that it still shows what was there.
"""

from __future__ import annotations

import io
from collections.abc import Iterator

import cv2
import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image

from forensic_emotion.frames.media import DECODER_ERRORS
from forensic_emotion.records import RGB

SIDE = 32
"""Pixels along a side that are enough to tell whether two pictures are of one thing."""
ALIKE = 0.8
"""Correlation of grey values from which on they are; a picture and its own thumbnail have 0.99."""
FAINT = 8.0
"""Standard deviation of grey values, of 255, up to which noise outweighs what there is to compare."""

Grey = npt.NDArray[np.uint8]


def unlike_thumbnail(exif: object, pixels: RGB) -> str | None:
    """That the thumbnail in a picture's EXIF shows something else, in words; None if it does not.

    Also None without a thumbnail, or with one that is not a JPEG, which no camera of today writes.

    Args:
        exif: the block as Pillow has it in a picture's ``info``.
        pixels: the picture as displayed.
    """
    data = _jpeg(exif)
    if data is None:
        return None
    try:
        with Image.open(io.BytesIO(data), formats=["JPEG"]) as image:
            small = np.asarray(image.convert("L"))
    except DECODER_ERRORS:
        return "a thumbnail in its EXIF, which cannot be decoded"
    if _alike(small, np.asarray(Image.fromarray(pixels).convert("L"))):
        return None
    height, width = small.shape
    size = f"{width}x{height} pixels"
    return f"a thumbnail in its EXIF of {size}, which shows something other than the picture"


def _jpeg(exif: object) -> bytes | None:
    """The thumbnail's file, in the second directory of EXIF (EXIF 2.32, 4.5.8)."""
    if not isinstance(exif, bytes):
        return None
    tag = ExifTags.Base
    try:
        block = Image.Exif()
        block.load(exif)
        directory = block.get_ifd(ExifTags.IFD.IFD1)
        start, length = (int(directory[each]) for each in (tag.JpegIFOffset, tag.JpegIFByteCount))
    except DECODER_ERRORS:  # there is none, or it is told with the tags that it cannot be read
        return None
    return exif.removeprefix(b"Exif\0\0")[start:][:length] if length > 0 else None


def _alike(small: Grey, picture: Grey) -> bool:
    """Whether they show the same, turned in any way and with or without bars at two sides."""
    for one, other in _framings(small, picture):
        first, second = (
            cv2.resize(each, (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(np.float64)
            for each in (one, other)
        )
        spread = (first.std(), second.std())
        if max(spread) <= FAINT:
            return True
        if min(spread) <= FAINT / 2:
            continue
        for turned in (first, first.T):
            for mirrored in (turned, turned[::-1], turned[:, ::-1], turned[::-1, ::-1]):
                if np.corrcoef(mirrored.ravel(), second.ravel())[0, 1] >= ALIKE:
                    return True
    return False


def _framings(small: Grey, picture: Grey) -> Iterator[tuple[Grey, Grey]]:
    """Both as they are, and each as much of its middle as has the other's shape.

    Cameras fill a thumbnail of 160x120 pixels with bars, or leave out what it has no room for.
    """
    yield small, picture
    for upright in (picture, picture.T):
        shape = upright.shape[0] / upright.shape[1]
        own = small.shape[0] / small.shape[1]
        yield _middle(small, shape), picture
        yield small, _middle(picture, own if upright is picture else 1 / own)


def _middle(grey: Grey, shape: float) -> Grey:
    """As much of a picture's middle as has such a height for its width."""
    height, width = grey.shape
    kept_height, kept_width = min(height, round(width * shape)), min(width, round(height / shape))
    top, left = (height - kept_height) // 2, (width - kept_width) // 2
    return grey[top : top + max(1, kept_height), left : left + max(1, kept_width)]
