"""Boxed faces, and videos made of them: what is measured on.

The pictures lie beside the project (../shared/media/faces, 43 hand-drawn boxes on 9 pictures, and one of
dogs); the videos are made from them here and kept in benchmark/.material.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from forensic_emotion.records import RGB, Box

SHARED = Path(__file__).parents[2] / "shared" / "media"
FOLDER = Path(__file__).parent / ".material"
WITHOUT = ("dogs.jpg",)
"""Pictures that have no face, and so no box."""


def boxed() -> dict[str, tuple[RGB, list[Box]]]:
    """Name → picture and the boxes drawn in it."""
    boxes: dict[str, list[Box]] = defaultdict(list, {name: [] for name in WITHOUT})
    with (SHARED / "faces" / "boxes.csv").open(encoding="utf-8") as source:
        for row in csv.DictReader(source):
            left, top, width, height = (int(row[k]) for k in ("left", "top", "width", "height"))
            boxes[row["file"]].append(Box(left, top, left + width, top + height))
    return {name: (read(SHARED / "faces" / name), found) for name, found in boxes.items()}


def read(path: Path) -> RGB:
    return cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)


def overlap(a: Box, b: Box) -> float:
    """Intersection over union."""
    across = max(0, min(a.right, b.right) - max(a.left, b.left))
    down = max(0, min(a.bottom, b.bottom) - max(a.top, b.top))
    return across * down / (a.width * a.height + b.width * b.height - across * down)


def matched(found: list[Box], truth: list[Box], least: float = 0.3) -> int:
    """How many of the true boxes are met by one of the found ones, each by another."""
    left = list(found)
    met = 0
    for box in truth:
        best = max(left, key=lambda f: overlap(f, box), default=None)
        if best is not None and overlap(best, box) >= least:
            left.remove(best)
            met += 1
    return met


def video(
    name: str, width: int, height: int, seconds: int, *, shot: float = 2.5, group: int = 50
) -> Path:
    """An H.264 video in which the camera moves over the boxed pictures.

    Args:
        name: of the file.
        width: of a frame.
        height: of a frame.
        seconds: length, at 25 frames a second.
        shot: seconds on each picture.
        group: frames from one key frame to the next, if the picture does not change before.
    """
    path = FOLDER / name
    if path.exists():
        return path
    FOLDER.mkdir(exist_ok=True)
    pictures = [image for image, boxes in boxed().values() if boxes]
    _encode(path, pictures, width, height, seconds, shot, group)
    return path


RATE = 25
"""Frames a second of the videos made here."""


def _encode(
    path: Path, pictures: list[RGB], width: int, height: int, seconds: int, shot: float, group: int
) -> None:
    unfinished = path.with_suffix(".new.mp4")
    length = int(shot * RATE)
    with av.open(unfinished, "w") as container:
        options = {"preset": "veryfast", "g": str(group)}
        stream = container.add_stream("libx264", rate=RATE, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for i in range(seconds * RATE):
            number, moment = divmod(i, length)
            image = pictures[number % len(pictures)]
            frame = av.VideoFrame.from_ndarray(_view(image, width, height, moment / length))
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    unfinished.replace(path)


def still_video(name: str, width: int, height: int, seconds: int) -> Path:
    """The same without a face: the camera moves over the picture of dogs."""
    path = FOLDER / name
    if not path.exists():
        FOLDER.mkdir(exist_ok=True)
        _encode(path, [read(SHARED / "faces" / WITHOUT[0])], width, height, seconds, 2.5, 50)
    return path


def real_video(name: str, times: int = 1) -> Path:
    """A recorded video, so many times one after the other; see ../shared/media for where it is from."""
    source = SHARED / "video" / name
    FOLDER.mkdir(exist_ok=True)
    return repeated(source, FOLDER / f"{source.stem}_{times}{source.suffix}", times)


def _view(image: RGB, width: int, height: int, moment: float) -> RGB:
    """What the camera sees: the picture fills the frame and is moved through it."""
    scale = max(width / image.shape[1], height / image.shape[0]) * 1.08
    across, down = width / scale, height / scale
    left = (image.shape[1] - across) * (0.1 + 0.8 * moment)
    top = (image.shape[0] - down) * (0.1 + 0.3 * moment)
    matrix = np.array([[scale, 0, -left * scale], [0, scale, -top * scale]])
    return cv2.warpAffine(image, matrix, (width, height), flags=cv2.INTER_LINEAR)


def repeated(source: Path, target: Path, times: int) -> Path:
    """A video so many times one after the other, without encoding it anew."""
    if target.exists():
        return target
    unfinished = target.with_suffix(".new.mp4")
    with av.open(unfinished, "w") as out:
        shift = 0
        stream = None
        for _ in range(times):
            with av.open(source) as container:
                video = container.streams.video[0]
                stream = stream or out.add_stream_from_template(video)
                end = 0
                for packet in container.demux(video):
                    if packet.pts is None or packet.dts is None:
                        continue
                    end = max(end, packet.pts + (packet.duration or 0))
                    packet.pts += shift
                    packet.dts += shift
                    packet.stream = stream
                    out.mux(packet)
                shift += end
    unfinished.replace(target)
    return target


def photographs(count: int) -> Path:
    """A folder of so many JPEG files, each of other bytes, of the boxed pictures by turns."""
    folder = FOLDER / f"photographs_{count}"
    if folder.exists():
        return folder
    unfinished = FOLDER / f"photographs_{count}.new"
    unfinished.mkdir(parents=True, exist_ok=True)
    contents = [(SHARED / "faces" / name).read_bytes() for name in boxed()]
    for i in range(count):
        # What stands behind the end of a JPEG is not looked at.
        (unfinished / f"{i:05}.jpg").write_bytes(contents[i % len(contents)] + i.to_bytes(4, "big"))
    unfinished.rename(folder)
    return folder


Change = Callable[[RGB, list[Box]], tuple[RGB, list[Box]]]


def scaled(factor: float) -> Change:
    def change(image: RGB, boxes: list[Box]) -> tuple[RGB, list[Box]]:
        small = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        return small, [Box(*(round(v * factor) for v in vars(box).values())) for box in boxes]

    return change


def dark(image: RGB, boxes: list[Box]) -> tuple[RGB, list[Box]]:
    return (image * 0.2).astype(np.uint8), boxes


def noisy(image: RGB, boxes: list[Box]) -> tuple[RGB, list[Box]]:
    noise = np.random.default_rng(0).normal(0, 25, image.shape)
    return np.clip(image + noise, 0, 255).astype(np.uint8), boxes


def cut(image: RGB, boxes: list[Box]) -> tuple[RGB, list[Box]]:
    """The lower half of each face is hidden by what stands before it."""
    changed = image.copy()
    for box in boxes:
        top = (box.top + box.bottom) // 2 + box.height // 8
        changed[top : box.bottom + box.height // 4, max(0, box.left) : box.right] = (110, 100, 95)
    return changed, boxes


def rotated(degrees: float) -> Change:
    def change(image: RGB, boxes: list[Box]) -> tuple[RGB, list[Box]]:
        height, width = image.shape[:2]
        matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.0)
        # Room for the corners, so that no face is turned out of the picture.
        room = int(0.25 * max(width, height))
        matrix[:, 2] += room
        turned = cv2.warpAffine(image, matrix, (width + 2 * room, height + 2 * room))
        moved = []
        for box in boxes:
            middle = np.array([(box.left + box.right) / 2, (box.top + box.bottom) / 2, 1])
            x, y = matrix @ middle
            half = box.width / 2
            moved.append(Box(*(round(v) for v in (x - half, y - half, x + half, y + half))))
        return turned, moved

    return change


CHANGES: dict[str, Change] = {
    "as they are": lambda image, boxes: (image, boxes),
    "half size": scaled(0.5),
    "a third": scaled(1 / 3),
    "dark": dark,
    "in noise": noisy,
    "lower half hidden": cut,
    "turned by 20°": rotated(20),
    "turned by 45°": rotated(45),
}


def decoded(path: Path, every: int = 1) -> Iterator[RGB | None]:
    """The frames of a video, all decoded, each so-manieth as a picture."""
    with av.open(path) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        for number, frame in enumerate(container.decode(stream)):
            yield frame.to_ndarray(format="rgb24") if number % every == 0 else None


def length(path: Path) -> Fraction:
    """Seconds."""
    with av.open(path) as container:
        stream = container.streams.video[0]
        assert stream.duration is not None
        assert stream.time_base is not None
        return stream.duration * stream.time_base
