"""Which frames of a video are looked at: by presentation time or by content, never by number."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from forensic_emotion.records import FrameTime
from forensic_emotion.settings import ScanSettings, sampling_step

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

Sampler = Callable[["FrameTime | None", "VideoFrame"], bool]
"""Asked for each decoded frame in order of presentation, with its time: is it looked at?"""

MILLISECOND = Fraction(1, 1000)
TINY = Fraction(1, 1_000_000)
SCENE_CHANGE = 30.0
"""Mean difference of two frames in grey levels that counts as a change of the scene."""
SCENE_SIZE = (64, 36)
"""Frames are compared at this size, in which noise and small movements vanish."""


def sampler(
    settings: ScanSettings, first: FrameTime | None = None, before: FrameTime | None = None
) -> Sampler:
    """The rule that the settings name.

    Args:
        settings: see ``ScanSettings.sample``.
        first: time of the stream's first frame; None if the first frame asked for is that.
        before: time of the frame before the first one that is asked for, if there is one.
    """
    step = sampling_step(asdict(settings))
    if step is not None:
        return _every(step, first, before)
    return _scenes() if settings.sample == "scenes" else _all


def _all(time: FrameTime | None, picture: VideoFrame) -> bool:
    """Also for key frames: no others are decoded."""
    return True


def _every(step: Fraction, beginning: FrameTime | None, before: FrameTime | None) -> Sampler:
    """The first frame of each stretch of ``step`` seconds, counted from the first frame.

    The stretches lie on a fixed grid, so that the choice does not drift. In a stretch without a frame
    there is nothing to take. Where timestamps jump back, the stretch they jump to is taken anew, also
    if it is the one they jump from. A frame without a timestamp cannot be placed and is always taken.

    A clock of milliseconds cuts off what is less than one, so that a frame may seem to lie in the
    stretch before its own; it is held against times that are cut off like it. A coarser clock counts
    frames, and is exact.
    """

    def moment(time: FrameTime) -> Fraction:
        return time.pts * time.time_base

    def stretch(now: Fraction, beginning: Fraction, unit: Fraction) -> int:
        cut_off = unit * (1 - TINY) if unit <= MILLISECOND else 0
        return (now - beginning + cut_off) // step

    first = None if beginning is None else moment(beginning)
    last = None if before is None else moment(before)

    def wanted(time: FrameTime | None, picture: VideoFrame) -> bool:
        nonlocal first, last
        if time is None:
            return True
        now, unit = moment(time), time.time_base
        first = now if first is None else first
        earlier, last = last, now
        if earlier is None or now < earlier:
            return True
        return stretch(now, first, unit) != stretch(earlier, first, unit)

    return wanted


def _scenes() -> Sampler:
    """The first frame, and each that differs much from the one before it, as behind a cut, or from the
    one that was taken last, as where a scene is faded in."""
    last: npt.NDArray[np.int16] | None = None
    taken: npt.NDArray[np.int16] | None = None

    def wanted(time: FrameTime | None, picture: VideoFrame) -> bool:
        nonlocal last, taken
        width, height = SCENE_SIZE
        small = picture.reformat(width, height, "gray").to_ndarray().astype(np.int16)
        others = [each for each in (last, taken) if each is not None]
        changed = not others or any(np.abs(small - each).mean() > SCENE_CHANGE for each in others)
        last, taken = small, small if changed else taken
        return changed

    return wanted
