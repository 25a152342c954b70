"""Faces → JSON Lines, one object a face and path; each line says all that is to be known of it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, BinaryIO

from forensic_emotion.case.listing import ListedFace, ListedFile
from forensic_emotion.export.job import Job
from forensic_emotion.export.words import hex_if_not_text, plain_json


def write(job: Job, out: BinaryIO) -> None:
    model = {
        "name": job.run.model_name,
        "sha256": job.run.model_sha256,
        "threshold": job.run.threshold,
    }
    for file, face in job.rows():
        line = {**face_record(file, face), "model": model, "notice": job.notice}
        out.write(f"{plain_json(line)}\n".encode())


def face_record(file: ListedFile, face: ListedFace) -> dict[str, Any]:
    """A face under a path as nested plain values."""
    return {
        "run_id": file.run_id,
        "file_id": file.id,
        "face_id": face.id,
        "path": file.path,
        # Only where the text is not the path itself.
        **({} if (name := hex_if_not_text(file)) is None else {"path_bytes_hex": name}),
        "file": {
            "sha256": file.sha256,
            "sha1": file.sha1,
            "md5": file.md5,
            "size": file.size,
            "media_type": file.media_type,
            "modified_at": file.modified_at,
            "changed_at": file.changed_at,
            "born_at": file.born_at,
            "accessed_at": file.accessed_at,
            "recorded": file.recorded,
            "recorded_tag": file.recorded_tag,
            "recorded_zone": file.recorded_zone,
            "zone_source": file.zone_source,
            "gps_at": file.gps_at,
            "latitude": file.latitude,
            "longitude": file.longitude,
            "state": file.state,
            "same_as": file.same_as,
            "notable": file.notable,
        },
        "frame": {
            "stream": face.stream,
            "index": face.frame_index,
            "pts": face.pts,
            "time_base": face.time_base,
            "seconds": face.seconds,
            "width": face.frame_width,
            "height": face.frame_height,
        },
        "face": face.face,
        "track": face.track,
        "box": {"left": face.left, "top": face.top, "right": face.right, "bottom": face.bottom},
        "detector": {"name": face.detector, "score": face.score},
        "probabilities": face.probabilities,
        "top_class": face.top_class,
        "label": face.label,
        "confidence": face.confidence,
        "quality": {
            "size": face.size,
            "blur": face.blur,
            "brightness": face.brightness,
            "yaw": face.yaw,
            "pitch": face.pitch,
            "roll": face.roll,
            "outside": face.outside,
            "landmark_spread": face.landmark_spread,
            "faults": None if face.faults is None else face.faults.split(),
        },
        "landmarks": face.landmarks,
        "review": None if face.review is None else asdict(face.review),
    }
