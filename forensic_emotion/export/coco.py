"""Faces → COCO keypoints: a picture for each still and each frame with faces, an annotation a face.

The category of an annotation is the face's label, ``uncertain`` among them, so that whoever counts
categories counts what the model answered; attributes have the class that scored highest, and what a
person said of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from itertools import groupby
from typing import Any, BinaryIO

from forensic_emotion.case.listing import ListedFace, ListedFile
from forensic_emotion.export.job import Job
from forensic_emotion.export.words import hex_if_not_text, model_line, origin_line, plain_json
from forensic_emotion.records import CLASSES, UNCERTAIN

PARTS = (
    ("jaw", 17),
    ("right_brow", 5),
    ("left_brow", 5),
    ("nose_bridge", 4),
    ("nose_tip", 5),
    ("right_eye", 6),
    ("left_eye", 6),
    ("outer_lip", 12),
    ("inner_lip", 8),
)
"""The 68 points of iBUG 300-W in their order; right and left are the person's own."""
CLOSED = ("right_eye", "left_eye", "outer_lip", "inner_lip")

Image = tuple[int, ListedFile, ListedFace | None, list[ListedFace]]
"""Its number, its file, its first face (None without one), its faces."""


def write(job: Job, out: BinaryIO) -> None:
    told = {
        "description": f"Faces detected by femo, with expression class scores. {job.notice}",
        "version": f"run {job.run.id}, {job.run.state}",
        "date_created": job.run.started_at,
        "model": model_line(job.run),
        "contributor": origin_line(job.run),
    }
    out.write(f'{{"info":{plain_json(told)},\n"licenses":[],\n"images":['.encode())
    _write_list(out, (_image(*image[:3]) for image in _images(job)))
    out.write(b'],\n"annotations":[')
    _write_list(out, _annotations(job))
    out.write(f'],\n"categories":{plain_json(_categories())}}}\n'.encode())


def _write_list(out: BinaryIO, values: Iterator[dict[str, Any]]) -> None:
    separator = "\n"
    for value in values:
        out.write(f"{separator}{plain_json(value)}".encode())
        separator = ",\n"


def _images(job: Job) -> Iterator[Image]:
    """The pictures in the same order each time, so that their numbers are the same."""
    number = 0
    for file in job.files():
        empty = True
        frames = groupby(job.faces_of(file), key=lambda face: (face.stream, face.frame_index))
        for _, group in frames:
            faces = list(group)
            number += 1
            yield number, file, faces[0], faces
            empty = False
        # A picture without boxes says that there is no face: not of one whose faces were not selected.
        none = file.faces == 0 or not job.selection.of_faces
        if empty and none and file.kind == "still" and file.frames == 1:
            number += 1
            yield number, file, None, []


def _image(number: int, file: ListedFile, first: ListedFace | None) -> dict[str, Any]:
    width, height = _size(file, first)
    return {
        "id": number,
        "file_name": file.path,
        **({} if (name := hex_if_not_text(file)) is None else {"file_name_bytes_hex": name}),
        "width": width,
        "height": height,
        "sha256": file.sha256,
        "stream": first.stream if first else 0,
        "frame_index": first.frame_index if first else 0,
        "pts": first and first.pts,
        "time_base": first and first.time_base,
        "seconds": first and first.seconds,
    }


def _size(file: ListedFile, face: ListedFace | None) -> tuple[int | None, int | None]:
    """Of the frame; in cases of an older femo that of the file's first one."""
    if face is None or face.frame_width is None:
        return file.width, file.height
    return face.frame_width, face.frame_height


def _annotations(job: Job) -> Iterator[dict[str, Any]]:
    number = 0
    for image, file, _, faces in _images(job):
        for face in faces:
            number += 1
            width, height = _size(file, face)
            box = _inside(face, width, height)
            yield {
                "id": number,
                "image_id": image,
                "category_id": CATEGORIES.index(face.label) + 1,
                "bbox": box,
                "area": box[2] * box[3],
                "iscrowd": 0,
                "keypoints": _keypoints(face, width, height),
                "num_keypoints": len(face.landmarks),
                "score": face.confidence,
                "attributes": {
                    "top_class": face.top_class,
                    "probabilities": face.probabilities,
                    "box": [face.left, face.top, face.right, face.bottom],
                    "detector": face.detector,
                    "detector_score": face.score,
                    "track": face.track,
                    "faults": face.faults,
                    "face_id": face.id,
                    "review": None if face.review is None else asdict(face.review),
                },
            }


def _inside(face: ListedFace, width: int | None, height: int | None) -> list[int]:
    """The part of the box within the picture, as left, top, width, height."""
    left, top = max(face.left, 0), max(face.top, 0)
    right = face.right if width is None else min(face.right, width)
    bottom = face.bottom if height is None else min(face.bottom, height)
    return [left, top, max(right - left, 0), max(bottom - top, 0)]


def _keypoints(face: ListedFace, width: int | None, height: int | None) -> list[float]:
    """x, y and 2; or 1, which is "not visible", for a point outside the picture."""
    flat: list[float] = []
    for x, y in face.landmarks:
        outside = x < 0 or y < 0 or (width and x >= width) or (height and y >= height)
        flat += [x, y, 1 if outside else 2]
    return flat


CATEGORIES = (*CLASSES, UNCERTAIN)


def _categories() -> list[dict[str, Any]]:
    names: list[str] = []
    skeleton: list[list[int]] = []
    for part, points in PARTS:
        first = len(names) + 1
        names += [f"{part}_{n}" for n in range(1, points + 1)]
        skeleton += [[first + n, first + n + 1] for n in range(points - 1)]
        if part in CLOSED:
            skeleton.append([first + points - 1, first])
    return [
        {"id": n, "name": name, "supercategory": "face", "keypoints": names, "skeleton": skeleton}
        for n, name in enumerate(CATEGORIES, 1)
    ]
