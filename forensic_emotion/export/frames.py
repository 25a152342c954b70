"""Evidence once more → its pictures with boxes, landmarks and scores drawn in.

A file is opened as in a scan, read-only, and its pictures are taken only if its bytes are those of the
case. The same settings take the same frames. What is missing or was changed is told, the rest goes on.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from forensic_emotion.case.listing import ListedFace, ListedFile, faces_in, frames_with_faces
from forensic_emotion.errors import EvidenceError, UsageError
from forensic_emotion.evidence import Found, OpenEvidence, opened
from forensic_emotion.export.job import Job
from forensic_emotion.export.words import (
    answer,
    hex_if_changed,
    model_line,
    origin_line,
    safe_name,
)
from forensic_emotion.frames.media import to_look_at
from forensic_emotion.frames.readers import READERS
from forensic_emotion.paths import visible
from forensic_emotion.records import RGB, UNCERTAIN, Frame, MediaFacts
from forensic_emotion.settings import ScanSettings
from forensic_emotion.spreadsheet import cell

COLOURS = {True: (60, 220, 60), False: (40, 170, 255)}
"""Blue, green, red: of a face that is answered, and of one that is uncertain."""
QUALITY = 92
INDEX = ("picture", "path", "path_bytes", "sha256", "stream", "frame_index", "pts", "seconds", "faces")


def write(job: Job, out: Path) -> None:
    if not job.evidence.exists():
        text = f"There is no evidence at {job.evidence}."
        raise UsageError(text, "Say where it is now: --evidence FOLDER")
    (out / "README.txt").write_text(
        "The pictures show what femo detected in the files that index.csv names: box, 68 landmarks,\n"
        "the classifier's label and score. They are made from the evidence; they are not it.\n\n"
        f"{job.notice}\n\n{visible(model_line(job.run))}.\n"
        f"{visible(origin_line(job.run))}.\n",
        encoding="utf-8",
    )
    settings = _scan_settings(job.run.settings)
    done: set[str] = set()
    asked = 0
    with (out / "index.csv").open("w", encoding="utf-8-sig", newline="") as index:
        rows = csv.writer(index)
        rows.writerow(INDEX)
        for file in job.files():
            # The same bytes under several paths once, from the first path where they are still there.
            if file.sha256 is None or file.sha256 in done:
                continue
            wanted = frames_with_faces(job.case, job.run.id, file.sha256, job.selection)
            asked += bool(wanted)
            if wanted and _write_file(_Work(job, file, out, rows, settings), wanted):
                done.add(file.sha256)
    if asked and not done:
        raise UsageError(
            f"No file with faces of this run is in {visible(str(job.evidence))}; nothing was written.",
            "Is it the wrong folder? Give the present place of the folder that was scanned:"
            " --evidence FOLDER",
        )


def _scan_settings(stored: dict[str, Any]) -> ScanSettings:
    """Those of the run; all frames where an older femo named its sampling otherwise."""
    known = {f.name for f in fields(ScanSettings)}
    chosen = {name: value for name, value in stored.items() if name in known}
    try:
        return ScanSettings(**{"sample": "all", **chosen})
    except UsageError:  # a range that was another one then
        return ScanSettings(sample="all")


@dataclass(frozen=True)
class _Work:
    """The work on one file."""

    job: Job
    file: ListedFile
    out: Path
    index: Any
    """A writer of rows."""
    settings: ScanSettings

    def tell(self, text: str) -> None:
        self.job.tell(f"{visible(self.file.path)}: {text}")


def _write_file(work: _Work, wanted: set[tuple[int, int]]) -> bool:
    """Draw the frames of a file that have faces; whether the bytes were there."""
    file = work.file
    found = _find(work)
    if found is None:
        return False
    try:
        with opened(found) as source:
            if source.evidence.sha256 != file.sha256:
                work.tell("is not what was scanned: its SHA-256 differs; no pictures of it")
                return False
            for frame in _decode(work, source):
                if (frame.stream, frame.index) in wanted:
                    wanted.discard((frame.stream, frame.index))
                    _write_frame(work, frame)
                if not wanted:
                    break
            if changes := source.changes():
                work.tell(f"changed while it was read: {', '.join(changes)}")
    except EvidenceError as error:
        gone = f"is not in {visible(str(work.job.evidence))}; no pictures of it (--evidence says where)"
        work.tell(gone if error.problem == "vanished" else error.text)
        return False
    if wanted:
        work.tell(f"{len(wanted)} frames with faces could not be extracted again")
    return True


def _decode(work: _Work, source: OpenEvidence) -> Iterator[Frame]:
    """The frames that were looked at, as far as they can be had again; what ends them is told."""
    reader, media_type = READERS[work.file.kind or "still"], source.evidence.media_type or ""
    try:
        yield from to_look_at(reader(source.source, media_type, work.settings, MediaFacts()))
    except EvidenceError as error:
        work.tell(error.text)
    except MemoryError:
        raise
    except Exception as error:  # a fault of a library costs this file only, as in a scan
        work.tell(f"bug in femo or a library: {type(error).__name__}: {error}")


def _find(work: _Work) -> Found | None:
    """Where a file should lie now; a path in the case that leads out of the evidence leads nowhere."""
    evidence, path = work.job.evidence, work.file.path_bytes
    if path.startswith(b"/") or b".." in path.split(b"/"):
        work.tell("leads outside the evidence; no pictures of it")
        return None
    # A single file as evidence is its own root.
    return Found(os.fsencode(evidence), path if evidence.is_dir() else b"", work.file.size or 0)


def _write_frame(work: _Work, frame: Frame) -> None:
    file, job = work.file, work.job
    faces = faces_in(
        *(job.case, job.run.id, file.sha256 or "", frame.stream, frame.index), job.selection
    )
    height, width = frame.image.shape[:2]
    if any(face.frame_width not in (None, width) for face in faces):
        work.tell(
            f"frame {frame.index} now has {width}x{height} pixels, unlike before; no picture of it"
        )
        return
    name = f"{safe_name(file.path_bytes, file.path)}-s{frame.stream}-f{frame.index}.jpg"
    (work.out / name).write_bytes(annotated(frame.image, faces))
    first = faces[0]
    coded = hex_if_changed(file, str(cell(file.path)))
    row = (name, file.path, coded, file.sha256, frame.stream, frame.index)
    work.index.writerow([cell(value) for value in (*row, first.pts, first.seconds, len(faces))])
    for _ in faces:
        job.on_row()


def annotated(image: RGB, faces: list[ListedFace]) -> bytes:
    """A picture with its faces drawn in, as JPEG."""
    picture = np.ascontiguousarray(image[..., ::-1])
    thick = max(1, round(max(picture.shape[:2]) / 800))
    for face in faces:
        colour = COLOURS[face.label != UNCERTAIN]
        corners = (face.left, face.top), (face.right - 1, face.bottom - 1)
        cv2.rectangle(picture, *corners, colour, thick)
        for x, y in face.landmarks:
            cv2.circle(picture, (round(x), round(y)), thick, colour, -1, cv2.LINE_AA)
        _label(picture, face, colour, thick)
    _, encoded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    return encoded.tobytes()


def _label(
    picture: npt.NDArray[np.uint8], face: ListedFace, colour: tuple[int, int, int], thick: int
) -> None:
    """The face's number and answer over its box, within the picture as far as it fits."""
    text = f"{face.face}: classifier: {answer(face)}"  # it may leave the folder that says so
    font, scale = cv2.FONT_HERSHEY_SIMPLEX, 0.45 * thick
    (width, height), below = cv2.getTextSize(text, font, scale, thick)
    left = max(0, min(face.left, picture.shape[1] - width))
    bottom = max(height + below, face.top - thick)
    cv2.rectangle(picture, (left, bottom - height - below), (left + width, bottom), (0, 0, 0), -1)
    cv2.putText(picture, text, (left, bottom - below), font, scale, colour, thick, cv2.LINE_AA)
