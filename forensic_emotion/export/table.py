"""A face under a path → one flat row: what the formats that are tables have in common."""

from __future__ import annotations

from typing import Any

from forensic_emotion.case.listing import ListedFace, ListedFile
from forensic_emotion.export.job import Job
from forensic_emotion.records import CLASSES

TEXT, WHOLE, REAL, BYTES, POINTS = "text", "whole", "real", "bytes", "points"

OF_FILE = {
    "path": TEXT,
    "path_bytes": BYTES,
    **dict.fromkeys(("sha256", "sha1", "md5"), TEXT),
    "size": WHOLE,
    **dict.fromkeys(("media_type", "modified_at", "changed_at", "born_at", "accessed_at"), TEXT),
    **dict.fromkeys(("recorded", "recorded_tag", "recorded_zone", "zone_source", "gps_at"), TEXT),
    **dict.fromkeys(("latitude", "longitude"), REAL),
    **dict.fromkeys(("state", "same_as", "notable"), TEXT),
}
OF_FACE = {
    **dict.fromkeys(("stream", "frame_index", "pts"), WHOLE),
    "time_base": TEXT,
    "seconds": REAL,
    **dict.fromkeys(("face", "left", "top", "right", "bottom"), WHOLE),
    "detector": TEXT,
    "score": REAL,
    **dict.fromkeys(CLASSES, REAL),
    **dict.fromkeys(("top_class", "label"), TEXT),
    "confidence": REAL,
    "track": WHOLE,
    **dict.fromkeys(("size", "blur", "brightness", "yaw", "pitch", "roll", "outside"), REAL),
    "landmark_spread": REAL,
    "faults": TEXT,
    **dict.fromkeys(("frame_width", "frame_height"), WHOLE),
}
OF_REVIEW = dict.fromkeys(("verdict", "label", "reviewer", "at", "note"), TEXT)

RENAMED = {"size": "file_size"}
"""Columns of a file that a face has under the same name."""

COLUMNS = {
    "run_id": WHOLE,
    **{RENAMED.get(name, name): kind for name, kind in OF_FILE.items()},
    **OF_FACE,
    **{f"review_{name}": kind for name, kind in OF_REVIEW.items()},
    "landmarks": POINTS,
    **dict.fromkeys(("model", "model_sha256"), TEXT),
    "threshold": REAL,
    **dict.fromkeys(("file_id", "face_id"), WHOLE),
    "notice": TEXT,
}
"""Name → kind, in the order in which they stand."""


def flat(job: Job, file: ListedFile, face: ListedFace) -> dict[str, Any]:
    """The values of ``COLUMNS``; ``notice`` in each, for rows are cut out of their tables."""
    return {
        "run_id": job.run.id,
        **{RENAMED.get(name, name): getattr(file, name) for name in OF_FILE},
        **{name: getattr(face, name) for name in OF_FACE if name not in CLASSES},
        **face.probabilities,
        **{f"review_{name}": getattr(face.review, name, None) for name in OF_REVIEW},
        "landmarks": face.landmarks,
        "model": job.run.model_name,
        "model_sha256": job.run.model_sha256,
        "threshold": job.run.threshold,
        "file_id": file.id,
        "face_id": face.id,
        "notice": job.notice,
    }
