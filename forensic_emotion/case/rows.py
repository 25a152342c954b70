"""What report and exports both read of a file and of a face; columns as in ``docs/database.md``."""

from __future__ import annotations

from dataclasses import dataclass, fields

OF_EVIDENCE = ("sha1", "md5", "size", "media_type", "kind")


@dataclass(frozen=True, kw_only=True)
class FileRow:
    """A discovered path: columns of ``files``, and those of ``evidence`` that are in ``OF_EVIDENCE``."""

    id: int
    path: str
    path_bytes: bytes
    sha256: str | None
    sha1: str | None
    md5: str | None
    size: int | None
    """Bytes; None if they could not be had."""
    media_type: str | None
    kind: str | None
    state: str
    reason: str | None
    modified_at: str | None
    changed_at: str | None
    accessed_at: str | None
    recorded: str | None
    recorded_tag: str | None
    recorded_zone: str | None
    zone_source: str | None
    latitude: float | None
    longitude: float | None
    known: str | None
    notable: str | None
    width: int | None
    height: int | None
    time_base: str | None
    first_pts: int | None
    frames: int


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


FILE_COLUMNS = ", ".join(
    f"{'evidence' if column.name in OF_EVIDENCE else 'files'}.{column.name}"
    for column in fields(FileRow)
)
"""Of a ``FileRow``, for a SELECT from ``files`` and ``evidence``."""

FACE_COLUMNS = tuple(column.name for column in fields(FaceRow))
"""Of a ``FaceRow``."""
