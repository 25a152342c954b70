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
    there is nothing to take. Where timestamps jump back, the stretch they jump to is taken anew. A
    frame without a timestamp cannot be placed and is always taken.
    """

    def moment(time: FrameTime) -> Fraction:
        return time.pts * time.time_base

    first = None if beginning is None else moment(beginning)
    current = None if first is None or before is None else (moment(before) - first) // step

    def wanted(time: FrameTime | None, picture: VideoFrame) -> bool:
        nonlocal first, current
        if time is None:
            return True
        if first is None:
            first = moment(time)
        stretch = (moment(time) - first) // step
        if stretch == current:
            return False
        current = stretch
        return True

    return wanted


def _scenes() -> Sampler:
    """The first frame, and each that differs much from the one before it."""
    last: npt.NDArray[np.int16] | None = None

    def wanted(time: FrameTime | None, picture: VideoFrame) -> bool:
        nonlocal last
        width, height = SCENE_SIZE
        small = picture.reformat(width, height, "gray").to_ndarray().astype(np.int16)
        changed = last is None or float(np.abs(small - last).mean()) > SCENE_CHANGE
        last = small
        return changed

    return wanted
