"""Rows → the geometry of inline SVG; the template draws it."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from forensic_emotion.case.queries import FaceInfo, FileInfo
from forensic_emotion.case.schema import CLASSES


@dataclass(frozen=True)
class Dot:
    """One face on a strip."""

    x: float
    """0 to 1 of the strip's width."""
    row: int
    """Index into the classes."""
    confidence: float
    face_id: int
    seconds: float
    answered: bool
    """False for a face that is uncertain."""


@dataclass(frozen=True)
class Strip:
    """The faces of a video over time, one row a class."""

    start: float
    """Seconds at the left edge."""
    end: float
    dots: list[Dot]
    rows: tuple[str, ...] = CLASSES


def time_strip(file: FileInfo, faces: list[FaceInfo]) -> Strip | None:
    """The strip of a file's faces over the whole of the recording; None if it has no length.

    An animation among the stills has no recording; its strip goes from the first face to the last.
    """
    timed = [(face.seconds, face) for face in faces if face.seconds is not None]
    moments = [seconds for seconds, _ in timed]
    if file.time_base is not None:
        unit = Fraction(file.time_base)
        moments += [float(pts * unit) for pts in (file.first_pts, file.last_pts) if pts is not None]
    if not timed or min(moments) == max(moments):
        return None
    start, end = min(moments), max(moments)
    return Strip(
        start,
        end,
        [
            Dot(
                (s - start) / (end - start),
                CLASSES.index(f.top_class),
                f.confidence,
                f.id,
                s,
                f.label == f.top_class,
            )
            for s, f in timed
        ],
    )
