"""What report and exports both read of a file and of a face; columns as in ``docs/database.md``."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, fields
from fractions import Fraction
from typing import Any

from forensic_emotion.errors import CaseError
from forensic_emotion.records import Kind, LookedAt, MediaFacts, Problem

MEDIA_COLUMNS = (
    *("width", "height", "orientation", "time_base", "first_pts", "last_pts", "frames_decoded"),
    *("frames_hidden", "gps_at", "latitude", "longitude", "stream", "pixel_aspect"),
    *("frames_interlaced", "smallest_face"),
)
"""Columns of ``files`` that hold what ``MediaFacts`` does under the same names, as it is."""

OF_EVIDENCE = ("sha1", "md5", "size", "media_type", "kind")


@dataclass(frozen=True, kw_only=True)
class FileRow:
    """A discovered path: columns of ``files``, and those of ``evidence`` that are in ``OF_EVIDENCE``.

    They are as they stand, but for ``same_as``, an id in the table, and ``exif`` and
    ``metadata``, JSON there.
    """

    id: int
    run_id: int
    path: str
    path_bytes: bytes
    sha256: str | None
    sha1: str | None
    md5: str | None
    size: int | None
    """Bytes; None if they could not be had."""
    media_type: str | None
    kind: Kind | None
    state: str
    reason: str | None
    modified_at: str | None
    changed_at: str | None
    born_at: str | None
    accessed_at: str | None
    access_time_kept: int | None
    mode: str | None
    uid: int | None
    gid: int | None
    inode: str | None
    stat_size: int | None
    link_target: str | None
    name_fits: int | None
    recorded: str | None
    recorded_tag: str | None
    recorded_zone: str | None
    zone_source: str | None
    gps_at: str | None
    latitude: float | None
    longitude: float | None
    known: str | None
    notable: str | None
    width: int | None
    height: int | None
    time_base: str | None
    first_pts: int | None
    last_pts: int | None
    frames: int
    frames_decoded: int
    frames_hidden: int
    smallest_face: float | None
    faces: int
    same_as: str | None
    """The path under which the same bytes were analysed."""
    exif: dict[str, Any] | None
    metadata: dict[str, Any] | None

    @property
    def begins(self) -> Fraction | None:
        """When its first frame is shown, in seconds of its own clock; None if it tells none."""
        return self._seconds(self.first_pts)

    @property
    def ends(self) -> Fraction | None:
        """When its last frame is shown, in seconds of its own clock."""
        return self._seconds(self.last_pts)

    @property
    def lasts(self) -> Fraction | None:
        """Seconds from the first frame to the last."""
        return None if self.begins is None or self.ends is None else self.ends - self.begins

    @property
    def plays_from(self) -> Fraction | None:
        """Where players count from, on its own clock: sound may begin before the first frame."""
        told = (self.metadata or {}).get("start_time")
        starts = [exact(told)] if isinstance(told, str) and self.kind == "video" else []
        return min([*starts, self.begins]) if self.begins is not None else None

    def _seconds(self, pts: int | None) -> Fraction | None:
        return None if pts is None or self.time_base is None else pts * exact(self.time_base)


EXACT = re.compile(r"-?[0-9]{1,20}(/[0-9]{1,20}|\.[0-9]{1,20})?")


def exact(text: str) -> Fraction:
    """A number of a case that stands as text, for no float would be exact.

    Raises:
        CaseError: it is damaged; ``1e400000000`` would take for ever to compute.
    """
    if not EXACT.fullmatch(text) or text.rstrip("0").endswith("/"):
        raise CaseError(
            f"The case is damaged: {text[:40]!r} is not a time.", "femo verify lists what else is wrong."
        )
    return Fraction(text)


@dataclass(frozen=True, kw_only=True)
class FaceRow:
    """A face of some content: columns of ``faces``."""

    id: int
    sha256: str
    stream: int
    frame_index: int
    pts: int | None
    time_base: str | None
    seconds: float | None
    face: int
    left: int
    top: int
    right: int
    bottom: int
    detector: str
    score: float
    top_class: str
    label: str
    confidence: float
    track: int | None
    size: float | None
    blur: float | None
    brightness: float | None
    yaw: float | None
    pitch: float | None
    roll: float | None
    outside: float | None
    landmark_spread: float | None
    faults: str | None
    """What is poor about it, words with blanks between; None in runs of an older femo."""
    frame_width: int | None
    frame_height: int | None


FACE_COLUMNS = tuple(column.name for column in fields(FaceRow))
"""Of a ``FaceRow``."""


def select_files(case: sqlite3.Connection, run_id: int) -> Iterator[dict[str, Any]]:
    """The values of a ``FileRow``, by the bytes of the paths."""
    own = [column.name for column in fields(FileRow) if column.name != "same_as"]
    names = [f"{'evidence' if name in OF_EVIDENCE else 'files'}.{name}" for name in own]
    rows = case.execute(
        f"""
        SELECT {", ".join(names)}, first.path AS same_as
        FROM files LEFT JOIN evidence ON evidence.sha256 = files.sha256
            LEFT JOIN files AS first ON first.id = files.same_as
        WHERE files.run_id = ? ORDER BY files.path_bytes
        """,
        (run_id,),
    )
    for row in rows:
        yield {**row, "exif": parsed(row["exif"]), "metadata": parsed(row["metadata"])}


def looked_at_json(media: MediaFacts) -> str | None:
    """``files.looked_at``: stream, number, timestamp and time base of each frame; None for a still."""
    rows = [
        [stream, number, pts, None if frames.time_base is None else str(frames.time_base)]
        for stream, frames in sorted(media.looked_at.items())
        for number, pts in frames
    ]
    return json.dumps(rows, separators=(",", ":")) if rows else None


def looked_at_from(text: str | None) -> dict[int, LookedAt]:
    """The same read back."""
    found: dict[int, LookedAt] = {}
    for stream, number, pts, base in json.loads(text) if text else ():
        frames = found.setdefault(stream, LookedAt(None if base is None else exact(base)))
        frames.add(number, pts)
    return found


def parsed(text: str | None) -> Any:
    """What JSON says; None where there is none."""
    return json.loads(text) if text else None


def problems_of(case: sqlite3.Connection, run_id: int) -> Iterator[tuple[int, Problem]]:
    """Each problem of a run, behind the number of its path's row; in the order of the paths' bytes."""
    rows = case.execute(
        "SELECT files.id, problems.stage, problems.class, problems.message"
        " FROM problems JOIN files ON files.id = problems.file_id"
        " WHERE problems.run_id = ? ORDER BY files.path_bytes, problems.id",
        (run_id,),
    )
    for file_id, *told in rows:
        yield file_id, Problem(*told)
