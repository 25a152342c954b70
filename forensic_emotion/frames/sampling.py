"""Which frames of a video are looked at: by presentation time, never by number."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from forensic_emotion.records import FrameTime
from forensic_emotion.settings import ScanSettings

Sampler = Callable[[FrameTime | None], bool]
"""Asked for each frame in order of presentation: is it looked at?"""


def sampler(settings: ScanSettings) -> Sampler:
    """The rule that the settings name."""
    return _all if settings.all_frames else _every(Fraction(str(settings.every)))


def _all(time: FrameTime | None) -> bool:
    return True


def _every(step: Fraction) -> Sampler:
    """The first frame of each stretch of ``step`` seconds, counted from the first frame.

    The stretches lie on a fixed grid, so that the choice does not drift. In a stretch without a frame
    there is nothing to take. Where timestamps jump back, the stretch they jump to is taken anew. A
    frame without a timestamp cannot be placed and is always taken.
    """
    first: Fraction | None = None
    current: int | None = None

    def wanted(time: FrameTime | None) -> bool:
        nonlocal first, current
        if time is None:
            return True
        moment = time.pts * time.time_base
        if first is None:
            first = moment
        stretch = (moment - first) // step
        if stretch == current:
            return False
        current = stretch
        return True

    return wanted
