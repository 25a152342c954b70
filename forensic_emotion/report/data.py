"""Faces of a run → what the report's script draws from: columns of plain numbers, and pictures.

Every text in it is visible text already (``paths.visible``); the script only sets text, never markup.
"""

from __future__ import annotations

import base64
import io
import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np

from forensic_emotion.case.queries import FaceInfo, TrackInfo
from forensic_emotion.case.reviews import Review
from forensic_emotion.case.rows import FileRow
from forensic_emotion.moments import moment
from forensic_emotion.paths import visible
from forensic_emotion.records import CLASSES, FAULTS, Box
from forensic_emotion.thumbnails import shown_part

STEPS = 4095
"""Landmarks are kept as twelve bits, from a quarter outside the picture on one side to the other."""
DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
MOST_SIDE = 1024
"""Of a face's picture in a case, in pixels; femo's own are far smaller."""
PIXELATED = 8
"""Side in pixels to which a redacted picture is shrunk."""


PLAIN: dict[str, str] = {
    "id": "id",
    "stream": "stream",
    "frame": "frame_index",
    "pts": "pts",
    "no": "face",
    "detector": "detector",
    "track": "track",
}
COMPUTED = ("seconds", "box", "score", "p", "top", "sure", "faults", "picture")
ROUNDED = {
    "size": ("size", 0),
    "blur": ("blur", 0),
    "brightness": ("brightness", 0),
    "yaw": ("yaw", 0),
    "pitch": ("pitch", 0),
    "roll": ("roll", 0),
    "outside": ("outside", 2),
    "spread": ("landmark_spread", 3),
}


@dataclass
class Gallery:
    """Columns with an entry a face, in the order of the evidence; four in ``box``, seven in ``p``."""

    columns: dict[str, list[Any]] = field(
        default_factory=lambda: {name: [] for name in (*PLAIN, "file", "time_base", *COMPUTED)}
    )
    pictures: list[str] = field(default_factory=list)
    """A line each: the JPEG, what part of the picture it shows, and the landmarks within it."""
    without_picture: int = 0
    """Faces whose picture is left out, for the report would grow beyond its budget."""
    bytes: int = 0

    def __len__(self) -> int:
        return len(self.columns["id"])


def gather(faces: Iterable[FaceInfo], number_of: dict[str, int], budget: int, redact: bool) -> Gallery:
    """Take in faces as they come.

    Args:
        faces: in the order in which they are to stand.
        number_of: SHA-256 of a content → the number of its file in the report.
        budget: bytes that the pictures may take as text; the faces beyond it stand without one.
        redact: make faces unrecognisable.
    """
    gallery = Gallery()
    columns = gallery.columns
    for name in ROUNDED:
        columns[name] = []
    for face in faces:
        for name, attribute in PLAIN.items():
            columns[name].append(getattr(face, attribute))
        for name, (attribute, digits) in ROUNDED.items():
            columns[name].append(_rounded(getattr(face, attribute), digits))
        columns["file"].append(number_of[face.sha256])
        columns["time_base"].append(face.time_base)
        columns["seconds"].append(_rounded(face.seconds, 6))
        columns["box"] += (face.left, face.top, face.right, face.bottom)
        columns["score"].append(_rounded(face.score, 3))
        # Cut off and not rounded: only certainty itself is shown as 1.
        columns["p"] += (math.floor(face.probabilities[name] * 1000) for name in CLASSES)
        columns["top"].append(CLASSES.index(face.top_class))
        columns["sure"].append(int(face.label == face.top_class))
        columns["faults"].append(_fault_bits(face.faults))
        columns["picture"].append(_add_picture(gallery, face, budget, redact))
    return gallery


def _fault_bits(faults: str | None) -> int | None:
    """A bit for each of ``FAULTS``; None if an older femo did not judge the face."""
    if faults is None:
        return None
    return sum(1 << FAULTS.index(word) for word in faults.split() if word in FAULTS)


def _rounded(value: float | None, digits: int) -> float | int | None:
    if value is None:
        return None
    return round(value, digits) if digits else round(value)


def _add_picture(gallery: Gallery, face: FaceInfo, budget: int, redact: bool) -> int:
    """The line of a face's picture, or -1 if there is no room left for it, or it is no picture."""
    if gallery.without_picture:  # the first ones have theirs, and none behind the first without
        gallery.without_picture += 1
        return -1
    content = pixelated(face.thumbnail) if redact else face.thumbnail
    if content is None or not content.startswith(b"\xff\xd8"):
        return -1
    part = _shown(face)
    landmarks = "" if redact or part is None else _packed(face.landmarks, part)
    region = "" if part is None else f"{part.left},{part.top},{part.right},{part.bottom}"
    line = f"{base64.b64encode(content).decode('ascii')}|{region}|{landmarks}"
    if gallery.bytes + len(line) > budget:
        gallery.without_picture = 1
        return -1
    gallery.bytes += len(line) + 1
    gallery.pictures.append(line)
    return len(gallery.pictures) - 1


def pixelated(jpeg: bytes) -> bytes | None:
    """A face that nobody can recognise; None for what is no picture."""
    import cv2  # only a redacted report needs them
    from PIL import Image

    try:  # what calls itself a thumbnail may be a bomb
        with Image.open(io.BytesIO(jpeg), formats=["JPEG"]) as told:
            if max(told.size) > MOST_SIDE:
                return None
    except (OSError, ValueError, Image.DecompressionBombError):
        return None
    image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        return None
    height, width = image.shape[:2]
    scale = PIXELATED / max(height, width)
    few = cv2.resize(
        image,
        (max(1, round(width * scale)), max(1, round(height * scale))),
        interpolation=cv2.INTER_AREA,
    )
    many = cv2.resize(few, (width, height), interpolation=cv2.INTER_NEAREST)
    return bytes(cv2.imencode(".jpg", many, [cv2.IMWRITE_JPEG_QUALITY, 70])[1].tobytes())


def _shown(face: FaceInfo) -> Box | None:
    """The part of the picture that the thumbnail shows; None in cases of an older femo."""
    if face.frame_width is None or face.frame_height is None:
        return None
    box = Box(face.left, face.top, face.right, face.bottom)
    return shown_part(box, face.frame_width, face.frame_height)


def _packed(landmarks: str, part: Box) -> str:
    """68 points as two digits for each coordinate."""
    points = np.array(json.loads(landmarks), np.float64).reshape(-1, 2)
    shares = (points - [part.left, part.top]) / [part.width, part.height]
    steps = np.clip(np.rint((shares + 0.25) / 1.5 * STEPS), 0, STEPS).astype(int)
    return "".join(DIGITS[step >> 6] + DIGITS[step & 63] for step in steps.ravel().tolist())


def shown_name(file: FileRow, redact: bool) -> str:
    """A path as the report names it: what it is called, or its number in the case.

    Not a hash of its name: those of a camera are few, and soon guessed.
    """
    if redact:
        return f"file-{file.id}"
    return visible(file.path)


def recorded_at(file: FileRow) -> datetime | None:
    """When the file says that it was recorded, in UTC; None unless it says in which time zone.

    That its format demands UTC does not tell: many cameras write local time all the same.
    """
    if file.recorded is None or file.zone_source in (None, "none", "format"):
        return None
    return moment(file.recorded, file.recorded_zone or "")


def as_json(value: object) -> str:
    """JSON that may stand in a script element: nothing in it can end that."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def tracks_of(tracks: Iterable[TrackInfo], number_of: dict[str, int]) -> list[list[Any]]:
    """[file, track, faces, class, answered, confidence] of each track."""
    return [
        [
            *(number_of[t.sha256], t.track, t.faces, CLASSES.index(t.top_class)),
            *(int(t.label == t.top_class), math.floor(t.confidence * 1000)),
        ]
        for t in tracks
        if t.sha256 in number_of
    ]


def reviews_of(reviews: Iterable[Review], redact: bool) -> dict[str, list[str | None]]:
    """Face → [verdict, label, note, reviewer, at]; a note may say who it is."""
    return {
        str(r.face_id): [
            *(r.verdict, r.label, "" if redact else visible(r.note), visible(r.reviewer), r.at)
        ]
        for r in reviews
    }
