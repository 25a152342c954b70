"""Faces of a video → tracks: which of them lie where one and the same face would have moved to.

Plain matching by overlap and motion from one looked-at frame to the next. It says nothing of identity:
two people who change places, or a cut of the film, may share a track, and one person may have many.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np
import numpy.typing as npt

from forensic_emotion.records import UNCERTAIN, Box, FaceResult, Track

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
    box: Box
    moment: float
    velocity: tuple[float, float] = (0.0, 0.0)
    """Pixels a second, or a frame."""


def link(
    results: Iterable[FaceResult], interval: float, labels: tuple[str, ...], threshold: float
) -> tuple[list[int], tuple[Track, ...]]:
    """The number of each face's track, in the order of the faces of a video, and the tracks summed up.

    Args:
        results: in order of stream and presentation; gone through once, for they may be many.
        interval: between two frames that are looked at, in seconds; 0 if that is not fixed.
        labels: of the probabilities.
        threshold: confidence above which a label is given.
    """
    numbers: list[int] = []
    sums: dict[int, _Sum] = {}
    for _, of_stream in groupby(results, lambda r: r.stream):
        open_tracks: list[_Open] = []
        for _, of_frame in groupby(of_stream, lambda r: (r.frame_index, r.time)):
            faces = list(of_frame)
            timed = faces[0].time is not None
            moment = faces[0].time.seconds if faces[0].time else float(faces[0].frame_index)
            gap = max(GAP_SECONDS, 2 * interval) if timed else GAP_FRAMES
            open_tracks = [t for t in open_tracks if 0 <= moment - t.moment <= gap]
            pairs = _pairs([f.face.box for f in faces], open_tracks, moment)
            for number, face in enumerate(faces):
                track = pairs.get(number)
                if track is None:
                    track = _Open(len(sums), face.face.box, moment)
                    open_tracks.append(track)
                    sums[track.number] = _Sum(_plain(face))
                else:
                    _move(track, face.face.box, moment)
                numbers.append(track.number)
                sums[track.number].add(face)
    return numbers, tuple(_track(n, of_track, labels, threshold) for n, of_track in sums.items())


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


def _move(track: _Open, box: Box, moment: float) -> None:
    passed = moment - track.moment
    if passed > 0:
        track.velocity = (
            (box.left + box.right - track.box.left - track.box.right) / 2 / passed,
            (box.top + box.bottom - track.box.top - track.box.bottom) / 2 / passed,
        )
    track.box, track.moment = box, moment


@dataclass
class _Sum:
    """What a track comes to so far."""

    first: FaceResult
    last: FaceResult | None = None
    faces: int = 0
    probabilities: npt.NDArray[np.float64] | None = None

    def add(self, face: FaceResult) -> None:
        own = np.array(face.probabilities)
        self.probabilities = own if self.probabilities is None else self.probabilities + own
        self.last = _plain(face)
        self.faces += 1


def _plain(face: FaceResult) -> FaceResult:
    """Without its picture, of which a track needs none."""
    return replace(face, thumbnail=b"")


def _track(number: int, found: _Sum, labels: tuple[str, ...], threshold: float) -> Track:
    assert found.probabilities is not None, "a track begins with a face"
    assert found.last is not None
    mean = found.probabilities / found.faces
    best = int(mean.argmax())
    confidence = float(mean[best])
    return Track(
        number=number,
        stream=found.first.stream,
        first=found.first,
        last=found.last,
        faces=found.faces,
        probabilities=tuple(float(p) for p in mean),
        top_class=labels[best],
        confidence=confidence,
        label=labels[best] if confidence > threshold else UNCERTAIN,
    )
