"""The records that flow: Evidence → Frame → Face → FaceResult, and Problem beside them.

Coordinates everywhere are pixels of the picture as displayed (after EXIF or display-matrix
rotation), x to the right, y down, the centre of the first pixel at 0. Times are UTC.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

RGB = npt.NDArray[np.uint8]
"""A picture, uint8, (height, width, 3), red-green-blue."""

Points = npt.NDArray[np.float32]
"""Landmarks, float32, (68, 2): x and y of each point, in the order of iBUG 300-W."""

LANDMARKS = 68
KEYPOINTS = 5

UNCERTAIN = "uncertain"
"""The label of a face whose scores are too low to name a class."""


def answer(
    probabilities: npt.NDArray[np.floating], labels: tuple[str, ...], threshold: float
) -> tuple[str, float, str]:
    """The class that scores highest, its probability, and the label: that class if it is above the
    threshold, else ``UNCERTAIN``."""
    best = int(probabilities.argmax())
    confidence = float(probabilities[best])
    return labels[best], confidence, labels[best] if confidence > threshold else UNCERTAIN


CLASSES = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
"""Expressions as FER2013 names them, by its label numbers 0 to 6; models tell them apart, and a case has
columns for them."""

Kind = Literal["still", "video"]

State = Literal[
    "faces", "no_face", "partial", "skipped", "failed", "crashed", "timeout", "out_of_memory"
]
"""How the work on one path ended; each discovered path has exactly one.

``faces``: wholly looked at, at least one face. ``no_face``: wholly looked at, none detected at these
settings. ``partial``: looked at in part, or its times are missing or go back, or it changed meanwhile or
since; a problem says so.
``skipped``: not looked at, for the reason given. ``failed``: should have been looked at and could not
be. ``crashed``, ``timeout``, ``out_of_memory``: the same, as it cost the process that looked at it,
twice.
"""
STATES: tuple[State, ...] = get_args(State)
LOOKED_AT: tuple[State, ...] = ("faces", "no_face", "partial")
"""Of paths whose faces were looked for."""


Stamp = tuple[int, str, str]
"""What a file's status tells of its content: size, when it was modified, and when it was changed."""


@dataclass(frozen=True)
class FileFacts:
    """What the file system says of a file; times as UTC text with nanoseconds."""

    size: int
    """Bytes: that were read and hashed, or that the file system claims where they could not be."""
    modified: str
    changed: str
    """When its inode last changed."""
    born: str | None
    """When its inode was made; None where the file system does not keep that."""
    accessed: str
    access_time_kept: bool | None
    """Whether femo could read it without touching its access time; None if it was not opened."""
    mode: str
    """Type and permissions, as ``-rw-r--r--``."""
    uid: int
    """Number of its owner; whose that is depends on the system it comes from."""
    gid: int
    inode: int
    device: str
    """Of its file system, as ``major:minor``."""
    link_target: bytes | None = None
    """Of a symbolic link, where it could be read without touching the link's access time."""


@dataclass(frozen=True)
class Evidence:
    """One file's identity."""

    sha256: str
    sha1: str
    md5: str
    media_type: str | None
    """By content; None if it is no media type that femo knows."""
    name_fits: bool | None
    """Whether the file's name ends as that type's names do; None if either is unknown."""
    facts: FileFacts


@dataclass(frozen=True)
class Identified:
    """What is known of a file before it is decoded."""

    evidence: Evidence
    notable: str | None
    """See ``Outcome``."""


@dataclass(frozen=True)
class Problem:
    """Something that kept femo from looking at all of a file; never silent."""

    stage: Literal["discover", "read", "identify", "decode", "analyse"]
    problem: str
    """The class, one word: ``empty``, ``truncated``, ``unreadable``, ..."""
    message: str


ZoneSource = Literal["offset_tag", "in_value", "format", "gps", "none"]
"""What says the zone of a time: a tag of its own, the value itself, the format's rule that it be UTC,
how far it is from the satellites' time in the same file, or nothing."""


@dataclass(frozen=True)
class RecordedTime:
    """When a file says that it was recorded: by the camera's clock, and anyone may change it."""

    raw: str
    """As it stands in the file."""
    tag: str
    """Where."""
    zone: str | None
    """Offset from UTC, as ``+02:00`` or ``Z``; None if the file does not say."""
    zone_source: ZoneSource


@dataclass
class LookedAt:
    """The frames of a stream in which faces were looked for; compact, for an hour may have 90,000."""

    time_base: Fraction | None
    """None if none has a time."""
    numbers: array[int] = field(default_factory=lambda: array("q"))
    times: array[int] = field(default_factory=lambda: array("q"))
    """Presentation timestamps, ``NO_TIME`` for none."""

    def __iter__(self) -> Iterator[tuple[int, int | None]]:
        """Number and timestamp of each."""
        for number, time in zip(self.numbers, self.times, strict=True):
            yield number, None if time == NO_TIME else time

    def add(self, number: int, pts: int | None) -> None:
        self.numbers.append(number)
        self.times.append(NO_TIME if pts is None else pts)


NO_TIME = -(2**63)
"""As FFmpeg's AV_NOPTS_VALUE: no timestamp is so early."""


@dataclass
class MediaFacts:
    """What decoding tells of one file; filled in as it goes on, hence not frozen."""

    width: int | None = None
    """Pixels of the first frame as displayed."""
    height: int | None = None
    orientation: int | None = None
    """What was applied, as an EXIF orientation, 1 to 8: that of a still's EXIF, or the equal one of a
    video's display matrix. None if the file does not say, and for HEIF, which is turned as its
    container says."""
    time_base: str | None = None
    """Video: seconds per unit of its timestamps, as ``1/24000``."""
    frames_decoded: int = 0
    """Frames or pages that could be decoded, looked at or not; of key frames only where no others are
    asked for."""
    first_pts: int | None = None
    """Video: the earliest timestamp of a decoded frame of any of its streams, in units of
    ``time_base``."""
    last_pts: int | None = None
    """Video: the latest; where only key frames are decoded, that of any frame that is shown."""
    frames_hidden: int = 0
    """Frames that are in the file and that its edit list keeps from being shown; not looked at."""
    exif: dict[str, Any] | None = None
    """Stills: every tag; see ``frames/exif.py``. None if there is none."""
    metadata: dict[str, Any] | None = None
    """Videos, also one within a still: what container and streams say of themselves."""
    recorded: RecordedTime | None = None
    gps_at: str | None = None
    """UTC by the satellites' clock, as the file says; that of the last fix, which may be older than the
    picture."""
    latitude: float | None = None
    """Degrees, north positive, as the file says."""
    longitude: float | None = None
    """Degrees, east positive."""
    stream: int | None = None
    """Video: number of the stream whose facts these are but for first and last: the first one."""
    pixel_aspect: str | None = None
    """Video: width of a stored pixel to its height, as ``64:45``, where it is not square."""
    frames_interlaced: int = 0
    """Frames that are two half pictures; of those that were looked at, one half was."""
    smallest_face: float | None = None
    """Side in pixels of the smallest face that could have been found, in the largest frame."""
    looked_at: dict[int, LookedAt] = field(default_factory=dict)
    """Stream → its frames in which faces were looked for; of stills none, for their number tells all."""
    problems: list[Problem] = field(default_factory=list)
    """What kept frames from being decoded without ending the work on the file."""

    def saw(self, frame: Frame) -> None:
        """Take down that faces were looked for in a frame."""
        time = frame.time
        own = self.looked_at.setdefault(frame.stream, LookedAt(time.time_base if time else None))
        if own.time_base is None and time:
            own.time_base = time.time_base
        own.add(frame.index, time.pts if time else None)

    def span(self, other: MediaFacts) -> None:
        """Let the earliest and the latest timestamp be those of another part or stream too, rounded
        outward to a whole unit where that counts in other ones."""
        if other.first_pts is None or other.last_pts is None or other.time_base is None:
            return
        if self.first_pts is None or self.last_pts is None or self.time_base is None:
            self.first_pts, self.last_pts = other.first_pts, other.last_pts
            self.time_base = other.time_base
            return
        unit = Fraction(other.time_base) / Fraction(self.time_base)
        first = min(self.first_pts, math.floor(other.first_pts * unit))
        last = max(self.last_pts, math.ceil(other.last_pts * unit))
        if max(-first, last) >= 2**63:
            self.note("no_timestamp", "the times of a further stream are beyond what 64 bits hold")
            return
        self.first_pts, self.last_pts = first, last

    def take_in(self, part: MediaFacts, name: str = "") -> None:
        """Count the frames of a part of the file too, and note its problems under its name."""
        self.frames_decoded += part.frames_decoded
        self.frames_hidden += part.frames_hidden
        self.frames_interlaced += part.frames_interlaced
        for problem in part.problems:
            self.note(problem.problem, name + problem.message)

    def note(self, problem: str, message: str) -> None:
        """Record a problem that leaves the other frames of the file usable."""
        self.problems.append(Problem("decode", problem, message))


@dataclass(frozen=True)
class FrameTime:
    """When a frame is shown, as its container says it."""

    pts: int
    """Presentation timestamp, in units of ``time_base``, on the stream's own clock."""
    time_base: Fraction
    """Seconds per unit of ``pts``."""

    @property
    def seconds(self) -> float:
        """``pts * time_base``: the same clock, in seconds."""
        return float(self.pts * self.time_base)


@dataclass(frozen=True)
class Piece:
    """A part of a video stream that is looked at by itself."""

    stream: int
    """Its number in the container."""
    key: int
    """Timestamp of the key frame from which it is decoded."""
    start: int
    """Timestamp of its first frame."""
    end: int | None
    """Timestamp of the first frame behind it; None at the end of the stream."""
    index: int
    """Of its first frame in the stream."""
    count: int
    """Frames in it."""
    first_pts: int
    """Of the stream."""
    before: int | None
    """Timestamp of the frame before it; None at the beginning of the stream."""
    keys: tuple[int, ...] = ()
    """With key frames only: the number in the stream of each."""


@dataclass(frozen=True, eq=False)
class Frame:
    """One picture to look for faces in; lives in memory only."""

    index: int
    """0 for a still; the page of a TIFF, the frame of a video stream in the order of presentation."""
    time: FrameTime | None
    """None for a still or a page, which have no time."""
    image: RGB
    stream: int = 0
    """Of a video: the number of the stream in its container; of one within a still's file, plus one."""


@dataclass(frozen=True)
class Box:
    """A rectangle; left and top inclusive, right and bottom exclusive; may reach over the border."""

    left: int
    top: int
    right: int
    bottom: int

    def __post_init__(self) -> None:
        if self.right <= self.left or self.bottom <= self.top:
            raise ValueError(f"a box needs left < right and top < bottom, got {self}")

    @property
    def width(self) -> int:
        return self.right - self.left

    @property
    def height(self) -> int:
        return self.bottom - self.top


@dataclass(frozen=True, eq=False)
class Detection:
    """What a face detector reports."""

    box: Box
    score: float
    """The detector's own scale; higher is surer. ``hog``, ``mmod``: the margin of the classifier.
    ``centerface``: 0 to 1."""
    square: Box
    """The same face as dlib's HOG detector frames it: what landmarks and chip are made from."""
    keypoints: Points | None = None
    """(5, 2), in pixels: the eyes, the tip of the nose, the corners of the mouth, the left one in the
    picture first; None if the detector gives none."""

    def __post_init__(self) -> None:
        if self.keypoints is not None and self.keypoints.shape != (KEYPOINTS, 2):
            raise ValueError(f"keypoints: expected shape (5, 2), got {self.keypoints.shape}")


@dataclass(frozen=True, eq=False)
class Face:
    """A detected face with its landmarks."""

    number: int
    """0, 1, ... within the frame, by falling score."""
    box: Box
    square: Box
    """See ``Detection``."""
    detector: str
    score: float
    landmarks: Points
    """May lie outside the box and outside the picture."""
    spread: float
    """How badly the landmarks fit, see ``landmarks.Fit``: 0 is well."""
    fits: bool
    """Whether the landmarks may count."""

    def __post_init__(self) -> None:
        if self.landmarks.shape != (LANDMARKS, 2):
            raise ValueError(f"landmarks: expected shape (68, 2), got {self.landmarks.shape}")


FAULTS = ("small", "blurred", "dark", "bright", "turned", "cut", "landmarks")
"""What may be poor about a face."""


@dataclass(frozen=True)
class Quality:
    """What tells how far a face's scores can be trusted; see ``faces/quality.py``."""

    size: int
    """Side in pixels of the square around the face."""
    blur: float
    """Variance of the Laplacian on the chip; low is blurred."""
    brightness: float
    """Mean grey of the chip, 0 to 255."""
    yaw: float | None
    """Degrees; positive is turned to the right of the picture. None if no pose fits the landmarks."""
    pitch: float | None
    """Degrees; positive is up."""
    roll: float | None
    """Degrees; positive is clockwise in the picture."""
    outside: float
    """Share of the box that lies outside the picture."""
    faults: tuple[str, ...]
    """What is poor, of ``FAULTS``."""


@dataclass(frozen=True, eq=False)
class FaceResult:
    """A face without its pixels, as it goes into the case."""

    stream: int
    """Of a video; 0 for a still."""
    frame_index: int
    frame_size: tuple[int, int]
    """Width and height in pixels of the picture that the face is in, as displayed."""
    time: FrameTime | None
    face: Face
    quality: Quality
    probabilities: tuple[float, ...]
    """One a class, in the model's label order; they sum to 1."""
    top_class: str
    """The class with the highest probability."""
    confidence: float
    """That probability."""
    label: str
    """``top_class`` where the confidence is above the model's threshold, else ``uncertain``."""
    thumbnail: bytes
    """A small JPEG of the face and its surroundings, encoded anew from the pixels."""
    track: int | None = None
    """Of a video: the number of its track in the file."""


@dataclass(frozen=True, eq=False)
class Track:
    """Faces of a video stream that follow one another; see ``faces/tracks.py``. No identity."""

    number: int
    """0, 1, ... within the file."""
    stream: int
    first: FrameTime | None
    """When its first face is shown; None if its frames have no time."""
    last: FrameTime | None
    faces: int
    probabilities: tuple[float, ...]
    """The mean of those of its faces."""
    top_class: str
    confidence: float
    label: str


@dataclass(frozen=True)
class Planned:
    """A long video that can be looked at in pieces, after its first look."""

    evidence: Evidence
    pieces: tuple[Piece, ...]
    notable: str | None = None
    """See ``Outcome``."""
    seconds: dict[str, float] = field(default_factory=dict)
    """See ``Outcome``."""


@dataclass(frozen=True, eq=False)
class Outcome:
    """What became of one discovered path."""

    path: bytes
    path_text: str
    state: State
    reason: str | None = None
    """Why it was skipped."""
    evidence: Evidence | None = None
    """None if its bytes could not be had, or were not asked for."""
    kind: Kind | None = None
    media: MediaFacts | None = None
    """None if decoding was not tried."""
    frames: int = 0
    """Frames in which faces were looked for."""
    faces: int = 0
    results: Collection[FaceResult] = ()
    """The faces; of a long video they may lie on the disk (``spool.py``). Empty if ``same_as`` names the
    path that has them."""
    problems: tuple[Problem, ...] = ()
    tracks: Collection[Track] = ()
    known: str | None = None
    """The list of known hashes that has it; then it was skipped."""
    notable: str | None = None
    """The list of notable hashes that has it."""
    unread: FileFacts | None = None
    """What the file system says of a path without evidence; None if that could not be had either."""
    same_as: bytes | None = None
    """The path under which the same bytes were analysed in this run."""
    seconds: dict[str, float] = field(default_factory=dict)
    """What each stage of the work took; not kept, for it is never the same twice."""


@dataclass(frozen=True)
class Model:
    """The classifier of a run."""

    sha256: str
    """Of the file that is computed with."""
    name: str
    runtime: str
    labels: tuple[str, ...]
    threshold: float
    """Below it a face's label is ``uncertain``."""
    coverage: float
    """Share of the held-out pictures that were answered at it."""
    card: dict[str, Any]
    """``model.json`` as it stood."""


SYSTEM = "system"
"""Name among the versions of the system with its kernel, which computes nothing of a face: a run that
was stopped goes on under another one."""


@dataclass(frozen=True)
class ToolFacts:
    """Which tools look at the frames."""

    model: Model
    versions: dict[str, str]
    """femo, Python, the system, and every library that touches pixels; what else was loaded → its
    SHA-256."""


@dataclass(frozen=True)
class CaseData:
    """What the examiner says of the case; empty where nothing was said."""

    case_number: str = ""
    examiner: str = ""
    agency: str = ""
    note: str = ""


@dataclass(frozen=True)
class Run:
    """How one scan is done, known before anything is looked at."""

    evidence_root: bytes
    """The folder as the file system has it, links in its own path resolved."""
    started_at: str
    arguments: tuple[str, ...]
    settings: dict[str, Any]
    versions: dict[str, str]
    """femo, Python, the system, every library that touches pixels, weights and lists of hashes."""
    model: Model
    machine: dict[str, Any] = field(default_factory=dict)
    """See ``machine.py``."""
    about: CaseData = field(default_factory=CaseData)
