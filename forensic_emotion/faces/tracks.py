"""Faces of a video → tracks: which of them lie where one and the same face would have moved to.

Plain matching by overlap and motion from one looked-at frame to the next. It says nothing of identity:
two people who change places, or a cut of the film, may share a track, and one person may have many.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import numpy.typing as npt

from forensic_emotion.records import Box, FaceResult, FrameTime, Track, answer

GAP_SECONDS = 2.0
"""Longest time between two faces of a track, or twice the sampling interval if that is longer."""
GAP_FRAMES = 2
"""The same in frames, where frames have no time."""
CLOSENESS = 0.25
"""Least intersection over union of a face with the place where it is expected."""
NEARNESS = 0.6
"""Or: greatest distance of the middles, in sides of the face, ..."""
LIKENESS = 1.5
"""... for faces that differ in size by no more than this factor."""


@dataclass
class _Open:
    """A track that may go on."""

    number: int
    stream: int
    box: Box
    moment: float
    first: FrameTime | None
    last: FrameTime | None
    probabilities: npt.NDArray[np.float64]
    """The sum of those of its faces."""
    faces: int = 0
    velocity: tuple[float, float] = (0.0, 0.0)
    """Pixels a second, or a frame."""

    def add(self, face: FaceResult, moment: float) -> None:
        box, passed = face.face.box, moment - self.moment
        if self.faces and passed > 0:
            self.velocity = (
                (box.left + box.right - self.box.left - self.box.right) / 2 / passed,
                (box.top + box.bottom - self.box.top - self.box.bottom) / 2 / passed,
            )
        self.box, self.moment, self.last = box, moment, face.time
        self.probabilities += face.probabilities
        self.faces += 1


def link(
    results: Iterable[FaceResult],
    interval: float,
    labels: tuple[str, ...],
    threshold: float,
    ended: Callable[[Track], None],
) -> array[int]:
    """The number of each face's track, in the order of the faces of a video.

    Nothing else is kept of what has ended: an hour of a crowd has thousands of tracks.

    Args:
        results: in order of stream and presentation; gone through once, for they may be many.
        interval: between two frames that are looked at, in seconds; 0 if that is not fixed.
        labels: of the probabilities.
        threshold: confidence above which a label is given.
        ended: takes each track, summed up, when no face can be added to it any more.
    """
    numbers = array("q")
    count = 0

    def end(track: _Open) -> None:
        ended(_summed_up(track, labels, threshold))

    for stream, of_stream in groupby(results, lambda r: r.stream):
        tracks: list[_Open] = []
        moment: float | None = None  # of the last frame that had a time
        for _, of_frame in groupby(of_stream, lambda r: (r.frame_index, r.time)):
            faces = list(of_frame)
            time = faces[0].time
            if time is not None:
                moment = time.seconds
            # A frame without a time, among others that have one, is shown right behind the one before.
            now = float(faces[0].frame_index) if moment is None else moment
            # A sample is the first frame behind its time, up to a frame late.
            gap = GAP_FRAMES if moment is None else max(GAP_SECONDS, 2 * interval) + interval / 2
            before, tracks = tracks, []
            for each in before:
                if 0 <= now - each.moment <= gap:
                    tracks.append(each)
                else:
                    end(each)
            pairs = _pairs([f.face.box for f in faces], tracks, now)
            for number, face in enumerate(faces):
                track = pairs.get(number)
                if track is None:
                    nothing = np.zeros(len(labels))
                    track = _Open(count, stream, face.face.box, now, time, time, nothing)
                    count += 1
                    tracks.append(track)
                track.add(face, now)
                numbers.append(track.number)
        for each in tracks:
            end(each)
    return numbers


def _summed_up(track: _Open, labels: tuple[str, ...], threshold: float) -> Track:
    mean = track.probabilities / track.faces
    top_class, confidence, label = answer(mean, labels, threshold)
    return Track(
        number=track.number,
        stream=track.stream,
        first=track.first,
        last=track.last,
        faces=track.faces,
        probabilities=tuple(float(p) for p in mean),
        top_class=top_class,
        confidence=confidence,
        label=label,
    )


def _pairs(boxes: list[Box], tracks: list[_Open], moment: float) -> dict[int, _Open]:
    """Which face goes on with which track: the closest first, each at most once."""
    found = []
    for number, box in enumerate(boxes):
        for track in tracks:
            passed = moment - track.moment
            expected = [
                _shifted(track.box, track.velocity[0] * passed, track.velocity[1] * passed),
                track.box,  # or it has stopped
            ]
            closeness = max(_closeness(box, place) for place in expected)
            if closeness > 0:
                found.append((-closeness, number, track.number, track))
    pairs: dict[int, _Open] = {}
    taken = set()
    for _, number, key, track in sorted(found, key=lambda p: p[:3]):
        if number not in pairs and key not in taken:
            pairs[number] = track
            taken.add(key)
    return pairs


def _closeness(a: Box, b: Box) -> float:
    """1 for the same place, 0 for a place that is too far."""
    across = min(a.right, b.right) - max(a.left, b.left)
    down = min(a.bottom, b.bottom) - max(a.top, b.top)
    both = max(0, across) * max(0, down)
    overlap = both / (a.width * a.height + b.width * b.height - both)
    if overlap >= CLOSENESS:
        return overlap
    size = (a.width + b.width) / 2
    x = (a.left + a.right - b.left - b.right) / 2
    y = (a.top + a.bottom - b.top - b.bottom) / 2
    distance = (x * x + y * y) ** 0.5 / size
    alike = max(a.width / b.width, b.width / a.width) <= LIKENESS
    return CLOSENESS * (1 - distance / (2 * NEARNESS)) if alike and distance <= NEARNESS else 0.0


def _shifted(box: Box, x: float, y: float) -> Box:
    dx, dy = round(x), round(y)
    return Box(box.left + dx, box.top + dy, box.right + dx, box.bottom + dy)
