"""A stored frame of a video → the displayed one: whole lines, square pixels, upright."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import cast

import numpy as np
from av.container import InputContainer
from av.sidedata.sidedata import SideData
from av.sidedata.sidedata import Type as SideDataType
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from forensic_emotion.chips import resize
from forensic_emotion.errors import UndecodableMedia
from forensic_emotion.frames.video_formats import format_of
from forensic_emotion.records import RGB, MediaFacts
from forensic_emotion.settings import ScanSettings


def pixels_of(
    picture: VideoFrame, stream: VideoStream, settings: ScanSettings, facts: MediaFacts
) -> RGB:
    """A decoded frame as RGB, as stored; what is transparent over white, which is noted."""
    if picture.width * picture.height > settings.max_pixels:
        raise UndecodableMedia(
            "too_large",
            f"a frame has {picture.width}x{picture.height} pixels (--max-pixels)",
        )
    if any(component.is_alpha for component in picture.format.components):
        image = _over_white(picture, facts)
    else:
        image = cast(RGB, picture.to_ndarray(format="rgb24"))
    if picture.interlaced_frame and stream.codec_context.name == "hevc":
        # Of HEVC, FFmpeg gives each half picture as a frame of its own.
        image = resize(image, image.shape[1], 2 * image.shape[0])
    elif picture.interlaced_frame and len(image) > 1:
        # Two moments in alternate lines: one of them, at its own moment, with the lines between made up.
        image = resize(image[::2], image.shape[1], image.shape[0])
    return image


def _over_white(picture: VideoFrame, facts: MediaFacts) -> RGB:
    layers = cast(RGB, picture.to_ndarray(format="rgba"))
    alpha = layers[..., 3:].astype(np.uint16)
    # A fourth byte that is not used is 0 everywhere, as in uncompressed AVI: players show the picture.
    if (alpha == 255).all() or not alpha.any():
        return np.ascontiguousarray(layers[..., :3])
    text = "what its transparent parts show on a dark background"
    if all(problem.message != text for problem in facts.problems):
        facts.note("not_looked_at", text)
    return ((layers[..., :3] * alpha + 255 * (255 - alpha)) // 255).astype(np.uint8)


def pixel_aspect(container: InputContainer, stream: VideoStream, facts: MediaFacts) -> Fraction:
    """Width of a stored pixel to its height; 1 if nothing says it, or says what cannot be.

    Of the frame that was decoded last. What cannot be is noted, for a player may follow it.
    """
    of_file, of_picture = stream.sample_aspect_ratio, stream.codec_context.sample_aspect_ratio
    said = of_file or of_picture
    if of_picture and not format_of(container).describes_pixels:
        said = of_picture
    if not said:
        return Fraction(1)
    if not Fraction(1, WIDEST) <= said <= WIDEST:
        if all(problem.problem != "pixel_aspect" for problem in facts.problems):
            text = (
                f"pixels are said to be {said.numerator}:{said.denominator}; they were treated as square"
            )
            facts.note("pixel_aspect", text)
        return Fraction(1)
    return Fraction(said)


WIDEST = 8
"""Greatest stretch of a pixel that is taken for meant."""


@dataclass(frozen=True)
class Shape:
    """How stored frames become displayed ones."""

    turn: Turn
    aspect: Fraction
    """Width of a stored pixel to its height."""

    def apply(self, image: RGB) -> RGB:
        """Stretched to square pixels, never shrunk; then turned."""
        height, width = image.shape[:2]
        if self.aspect > 1:
            width = round(width * self.aspect)
        elif self.aspect < 1:
            height = round(height / self.aspect)
        return self.turn.apply(resize(image, width, height))


@dataclass(frozen=True)
class Turn:
    """How a stored frame becomes the displayed one."""

    orientation: int | None
    """The same as an EXIF orientation, 1 to 8; None if the stream does not say."""
    mirrored: bool
    """Left to right, before it is turned."""
    quarters: int
    """Turns by 90 degrees counter-clockwise, 0 to 3."""

    def apply(self, image: RGB) -> RGB:
        if not self.mirrored and not self.quarters:
            return image
        image = image[:, ::-1] if self.mirrored else image
        return np.ascontiguousarray(np.rot90(image, self.quarters))


AS_STORED = Turn(None, False, 0)

TURNS = {
    # a, b, c, d of the display matrix: a stored pixel (x, y) is shown at (a x + c y, b x + d y).
    (1, 0, 0, 1): Turn(1, False, 0),
    (-1, 0, 0, 1): Turn(2, True, 0),
    (-1, 0, 0, -1): Turn(3, False, 2),
    (1, 0, 0, -1): Turn(4, True, 2),
    (0, 1, 1, 0): Turn(5, True, 1),
    (0, 1, -1, 0): Turn(6, False, 3),
    (0, -1, -1, 0): Turn(7, True, 3),
    (0, -1, 1, 0): Turn(8, False, 1),
}


def _unnamed(kinds: type[SideDataType], value: object) -> SideDataType:
    """A kind of side data that FFmpeg knows and PyAV does not yet.

    For want of its name PyAV would give none of a frame's: not of one with EXIF (MJPEG), nor of one that
    was taken for both eyes (MV-HEVC).
    """
    kind = object.__new__(kinds)
    kind._name_, kind._value_ = f"KIND_{value}", value  # type: ignore[assignment]
    return kind


SideDataType._missing_ = classmethod(_unnamed)  # type: ignore[assignment, method-assign]


def display_turn(picture: VideoFrame, facts: MediaFacts, before: Turn) -> Turn:
    """What a frame's display matrix asks for (ISO 14496-12, 8.3.2); as before if it has none."""
    data = cast("SideData | None", picture.side_data.get("DISPLAYMATRIX"))
    if data is None:
        return before
    a, b, _, c, d, *_ = np.frombuffer(bytes(data), np.int32).tolist()
    turn = TURNS.get((_sign(a), _sign(b), _sign(c), _sign(d)))
    if turn is None:
        if all(problem.problem != "display_matrix" for problem in facts.problems):
            text = "is to be shown at an angle or distorted; it was analysed as stored"
            facts.note("display_matrix", text)
        return AS_STORED
    return turn


def _sign(fixed: int) -> int:
    """-1, 0 or 1 of a 16.16 fixed-point number; what is next to nothing counts as nothing."""
    return 0 if abs(fixed) < 1 << 8 else (1 if fixed > 0 else -1)
