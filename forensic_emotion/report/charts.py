"""Rows → the geometry of inline SVG; the template draws it."""

from __future__ import annotations

from dataclasses import dataclass

from forensic_emotion.case.queries import FaceInfo
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


@dataclass(frozen=True)
class Strip:
    """The faces of a video over time, one row a class."""

    start: float
    """Seconds at the left edge."""
    end: float
    dots: list[Dot]
    rows: tuple[str, ...] = CLASSES


def time_strip(faces: list[FaceInfo]) -> Strip | None:
    """The strip of one file's faces; None if they have no times, or all the same one."""
    timed = [(face.seconds, face) for face in faces if face.seconds is not None]
    if not timed:
        return None
    start, end = min(s for s, _ in timed), max(s for s, _ in timed)
    if start == end:
        return None
    return Strip(
        start,
        end,
        [
            Dot((s - start) / (end - start), CLASSES.index(f.label), f.confidence, f.id, s)
            for s, f in timed
        ],
    )
