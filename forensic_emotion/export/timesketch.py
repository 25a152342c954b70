"""Times of files → events for a timeline, as Timesketch imports them (JSON Lines).

Every event has ``datetime`` with its offset and ``timestamp`` in microseconds: a time without a zone
would be read in the zone of whatever server imports it. For the same reason a time that a file tells of
itself is an event only if the file tells its zone too.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from fractions import Fraction
from typing import Any, BinaryIO

from forensic_emotion.case.listing import ListedFile, labels_of, verdicts_of
from forensic_emotion.case.rows import exact
from forensic_emotion.export.job import Job
from forensic_emotion.export.table import OF_REVIEW
from forensic_emotion.export.words import answer, hex_if_changed, plain_json
from forensic_emotion.moments import moment
from forensic_emotion.paths import visible
from forensic_emotion.records import LOOKED_AT

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
MICROSECOND = timedelta(microseconds=1)

OF_FILE_SYSTEM = {
    "modified_at": "Content Modification Time",
    "changed_at": "Metadata Modification Time",
    "born_at": "Creation Time",
    "accessed_at": "Last Access Time",
}
"""Column → what Timesketch users know such a time as."""

LONGEST = 30_000
"""Bytes of a value; an index of OpenSearch refuses over 32,766."""


def write(job: Job, out: BinaryIO) -> None:
    for file in job.files():
        for event in _events(job, file):
            out.write(f"{plain_json(event)}\n".encode())


def _events(job: Job, file: ListedFile) -> Iterator[dict[str, Any]]:
    labels = labels_of(job.case, job.run.id, file.sha256, job.selection)
    of_file = _of_file(job, file, labels)
    message = f"{visible(file.path)}: "
    if file.state in LOOKED_AT:
        message += f"faces detected: {of_file['faces']}"
        if job.selection.of_faces:
            message += f", selected: {sum(labels.values())}"
    else:
        message += f"not analysed ({file.state})"
        of_file["faces"] = None
    if file.state == "partial":
        message += ", analysed in part or changed"
    if labels:
        message += f", labels by a classifier: {of_file['labels']}"
    if of_file["reviews"]:
        message += f", reviewed: {of_file['reviews']}"
    for column, description in OF_FILE_SYSTEM.items():
        told = getattr(file, column)
        if told is None:
            continue
        when = moment(told, "Z")
        if when is None:
            job.tell(f"{visible(file.path)}: {column} is not a calendar time and gives no event: {told}")
            continue
        yield {
            **_at(when, description, message),
            "data_type": "femo:file",
            "time_exact": told,
            **of_file,
        }
    if file.gps_at is not None and (found := moment(file.gps_at, "Z")) is not None:
        yield {
            **_at(found, "GPS time (as the file says)", message),
            "data_type": "femo:gps",
            "gps_at": file.gps_at,
            **of_file,
        }
    of_faces = file.kind == "video" and job.settings.face_events
    recorded = _recorded(job, file)
    if recorded is None:
        if of_faces and labels:
            text = "no events for its faces: it does not say when and in which time zone it was recorded"
            job.tell(f"{visible(file.path)}: {text}")
        return
    yield {
        **_at(recorded, "Media creation time (unverified clock)", message),
        "data_type": "femo:media",
        "recorded": file.recorded,
        "recorded_tag": file.recorded_tag,
        "zone_source": file.zone_source,
        **of_file,
    }
    if of_faces:
        yield from _face_events(job, file, recorded)


def _of_file(job: Job, file: ListedFile, labels: dict[str, int]) -> dict[str, Any]:
    faces = (job.case, job.run.id, file.sha256)
    return {
        **_name(file),
        "sha256": file.sha256,
        "md5": file.md5,
        "media_type": file.media_type,
        "state": file.state,
        "faces": file.faces,
        "labels": _counts(labels),
        "reviews": _counts(verdicts_of(*faces, job.selection) if labels else {}),
        "latitude": file.latitude,
        "longitude": file.longitude,
        "notable": file.notable,
        "known": file.known,
        **({} if file.notable is None else {"tag": ["notable"]}),
        "run_id": job.run.id,
        **_model(job),
    }


def _counts(named: dict[str, int]) -> str:
    return ", ".join(f"{n} {name}" for name, n in named.items())


def _name(file: ListedFile) -> dict[str, str]:
    """A path as people can read it, and its bytes where that is not the path itself."""
    coded = hex_if_changed(file)
    return {
        "filename": _cut(visible(file.path)),
        **({} if coded is None else {"filename_bytes_hex": _cut(coded)}),
    }


def _model(job: Job) -> dict[str, Any]:
    return {
        "model": job.run.model_name,
        "model_sha256": job.run.model_sha256,
        "threshold": job.run.threshold,
        "notice": job.notice,
    }


def _recorded(job: Job, file: ListedFile) -> datetime | None:
    """When a file says it was recorded, if it says in which zone too."""
    if file.recorded is None or not file.recorded_zone:
        return None
    when = moment(file.recorded, file.recorded_zone)
    if when is None:
        job.tell(
            f"{visible(file.path)}: {file.recorded_tag} is not a calendar time and gives no event:"
            f" {visible(file.recorded)} {visible(file.recorded_zone)}"
        )
    return when


def _face_events(job: Job, file: ListedFile, recorded: datetime) -> Iterator[dict[str, Any]]:
    start = file.plays_from or Fraction(0)
    description = "Media creation time + frame offset (unverified clock)"
    for face in job.faces_of(file, by_time=True):
        if face.pts is None or face.time_base is None:
            continue
        offset = face.pts * exact(face.time_base) - start
        try:
            when = recorded + timedelta(microseconds=int(offset * 1_000_000))
        except OverflowError:
            continue
        yield {
            **_at(
                when, description, f"{visible(file.path)}: face, label by a classifier: {answer(face)}"
            ),
            "data_type": "femo:face",
            "media_offset_s": float(offset),
            **_name(file),
            "sha256": file.sha256,
            "stream": face.stream,
            "frame_index": face.frame_index,
            "face": face.face,
            "track": face.track,
            "label": face.label,
            "top_class": face.top_class,
            "confidence": face.confidence,
            **{f"review_{name}": getattr(face.review, name, None) for name in OF_REVIEW},
            "zone_source": file.zone_source,
            "run_id": job.run.id,
            **_model(job),
        }


def _at(when: datetime, description: str, message: str) -> dict[str, Any]:
    return {
        "message": _cut(message),
        "datetime": when.isoformat(timespec="microseconds"),
        "timestamp": (when - EPOCH) // MICROSECOND,
        "timestamp_desc": description,
    }


def _cut(text: str) -> str:
    """As much of a text as an index takes."""
    coded = text.encode()
    return text if len(coded) <= LONGEST else coded[:LONGEST].decode(errors="ignore") + "…"
