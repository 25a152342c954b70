"""Videos → WebVTT, one file each, to watch a recording with the expression scores of its faces.

Cues count from where the container begins, sound included, as players do; the recording's own clock may
begin elsewhere. A cue stands until the next frame of its track that was looked at, and never longer than
the distance at which frames were looked at: nothing is said of what lies between.
"""

from __future__ import annotations

import html
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TextIO

from forensic_emotion.case.listing import ListedFace, ListedFile
from forensic_emotion.case.rows import exact
from forensic_emotion.export.job import Job
from forensic_emotion.export.words import (
    answer,
    hex_if_changed,
    model_line,
    origin_line,
    safe_name,
    state_line,
)
from forensic_emotion.paths import visible
from forensic_emotion.records import LOOKED_AT
from forensic_emotion.settings import sampling_step


@dataclass
class Cue:
    """What is shown of one face; times in milliseconds from the first frame."""

    start: int
    end: int
    key: tuple[int, int]
    """Stream and track."""
    text: str


def write(job: Job, out: Path) -> None:
    for file in job.files():
        if file.kind == "video" and file.state in LOOKED_AT:
            name = f"{safe_name(file.path_bytes, file.path)}.vtt"
            with (out / name).open("w", encoding="utf-8", newline="\n") as text:
                _write_video(job, file, text)
        elif file.kind == "still" and file.metadata is not None and file.state == "faces":
            job.tell(f"{visible(file.path)}: the video embedded in a picture file gets no cues.")


def _write_video(job: Job, file: ListedFile, text: TextIO) -> None:
    text.write("WEBVTT - expression class scores by femo\n\n")
    said = [f"File {file.path}", f"SHA-256 {file.sha256}", job.notice, f"{model_line(job.run)}."]
    said.append(f"{origin_line(job.run)}.")
    said.append("Each cue belongs to one frame, and stays until the next frame to be analysed is due.")
    if name := hex_if_changed(file):
        said.append(f"Bytes of its name, in hex: {name}")
    if file.state == "partial":
        said.append("This video was analysed only in part, or changed.")
    for line in (*said, state_line(job.run)):
        if line:
            text.write(f"NOTE {_escaped(line)}\n\n")
    faces = job.faces_of(file, by_time=True)
    for cue in cues(faces, file.plays_from or Fraction(0), _step(job, file)):
        text.write(f"{stamp(cue.start)} --> {stamp(cue.end)}\n{_escaped(cue.text)}\n\n")


def _step(job: Job, file: ListedFile) -> Fraction:
    """Seconds between two frames that were looked at, at most.

    Where the recording decides, between two that were decoded, on the mean, and never more than one.
    """
    step = sampling_step(job.run.settings)
    if step is not None:
        return step
    if file.lasts is None:
        return Fraction(1)
    # What is kept of a file counts the frames of all its streams.
    streams = [s for s in (file.metadata or {}).get("streams", ()) if s["type"] == "video"]
    frames = Fraction(file.frames_decoded, max(1, len(streams)))
    return min(Fraction(1), file.lasts / max(Fraction(1), frames - 1))


def cues(faces: Iterable[ListedFace], first: Fraction, step: Fraction) -> Iterator[Cue]:
    """One a face, by their starts; only those that may still be cut short are kept back."""
    hold = max(1, round(step * 1000))
    waiting: deque[Cue] = deque()
    for face in faces:
        if face.pts is None or face.time_base is None:
            continue
        start = max(0, round((face.pts * exact(face.time_base) - first) * 1000))
        key = (face.stream, -1 if face.track is None else face.track)
        for cue in waiting:
            if face.track is not None and cue.key == key and cue.start < start < cue.end:
                cue.end = start
        while waiting and waiting[0].end <= start:
            yield waiting.popleft()
        waiting.append(Cue(start, start + hold, key, _text(face)))
    yield from waiting


def _text(face: ListedFace) -> str:
    who = f"face {face.face}" if face.track is None else f"track {face.track}"
    where = f"stream {face.stream}, " if face.stream else ""
    return f"{where}{who}: classifier: {answer(face)}"


def stamp(milliseconds: int) -> str:
    seconds, rest = divmod(milliseconds, 1000)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{rest:03}"


def _escaped(text: str) -> str:
    """Text that is no mark-up, on one line; no arrow of a cue can stand in it either."""
    return html.escape(visible(text), quote=False)
