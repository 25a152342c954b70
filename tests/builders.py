"""Evidence, media and fakes for tests: made here, from nothing, so that no test file needs a licence."""

from __future__ import annotations

import errno
import io
import json
import sqlite3
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from forensic_emotion import evidence
from forensic_emotion.case.queries import Summary
from forensic_emotion.case.reviews import Judgement
from forensic_emotion.case.store import CaseStore
from forensic_emotion.chips import PREPROCESSING, Inputs
from forensic_emotion.emotions.card import ModelCard
from forensic_emotion.engine import find_evidence, scan
from forensic_emotion.evidence import Found, opened
from forensic_emotion.faces.landmarks import Fit
from forensic_emotion.frames.media import to_look_at
from forensic_emotion.frames.pieces import plan_pieces
from forensic_emotion.frames.readers import READERS
from forensic_emotion.frames.video import video_frames
from forensic_emotion.hashes import OnRead, unwatched
from forensic_emotion.isolation import Aside
from forensic_emotion.media_types import kind_of
from forensic_emotion.pipeline import OnFrame, Seen, Tools, analyse, analyse_piece
from forensic_emotion.records import (
    CLASSES,
    RGB,
    Box,
    Detection,
    Evidence,
    Frame,
    MediaFacts,
    Model,
    Outcome,
    Piece,
    Planned,
    Points,
    Run,
)
from forensic_emotion.settings import ScanSettings

SHARED = Path(__file__).parents[2] / "shared"
"""Real media beside the project; tests that want them skip without."""
DEMO = Path(__file__).parents[1] / "demo" / "evidence"

GREY = (90, 90, 90)
FACE = (255, 0, 0)
"""What ``FakeDetector`` takes for a face: a rectangle of pure red."""


# ---- media -----------------------------------------------------------------------------------------


def picture(
    width: int = 120, height: int = 80, faces: Iterable[Box] = (), background: int = GREY
) -> RGB:
    """A grey picture with red rectangles."""
    image = np.full((height, width, 3), background, np.uint8)
    for box in faces:
        image[max(box.top, 0) : box.bottom, max(box.left, 0) : box.right] = FACE
    return image


def encoded(image: RGB, format: str = "PNG", **options: Any) -> bytes:
    """A picture as a file; PNG keeps the red pure."""
    target = io.BytesIO()
    Image.fromarray(image).save(target, format, **options)
    return target.getvalue()


def write_video(
    path: Path,
    times: Iterable[int],
    draw: Callable[[int], RGB] = lambda _: picture(),
    time_base: Fraction = Fraction(1, 1000),
    format: str | None = None,
) -> Path:
    """A video with one frame at each of these timestamps."""
    with av.open(path, "w", format=format) as container:
        stream = container.add_stream("libx264rgb", options={"crf": "0", "bf": "0"})
        stream.codec_context.time_base = time_base
        stream.pix_fmt = "rgb24"
        for pts in times:
            image = draw(pts)
            if not stream.codec_context.is_open:
                stream.height, stream.width = image.shape[:2]
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = pts, time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def turn_mp4(path: Path, a: int, b: int, c: int, d: int) -> None:
    """Give an MP4's track a display matrix (ISO 14496-12, 8.3.2): (0, 1, -1, 0) turns it clockwise."""
    numbers = (a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30)
    data = bytearray(path.read_bytes())
    start = data.index(b"tkhd") + 4 + 40
    data[start : start + 36] = b"".join(n.to_bytes(4, "big", signed=True) for n in numbers)
    path.write_bytes(data)


def edit_mp4(path: Path, start: int, length: int, times: int = 1) -> None:
    """Trim an MP4 of 10 frames a second by its edit list: ``length`` frames from ``start``, so often."""
    data = bytearray(path.read_bytes())
    scale = data.index(b"mvhd") + 16
    movie = int.from_bytes(data[scale : scale + 4], "big")
    scale = data.index(b"mdhd") + 16
    media = int.from_bytes(data[scale : scale + 4], "big")
    edit = data.index(b"elst") + 12  # version, flags, count; then length and start of the first edit
    data[edit : edit + 4] = (length * movie // 10).to_bytes(4, "big")
    data[edit + 4 : edit + 8] = (start * media // 10).to_bytes(4, "big")
    more = data[edit : edit + 12] * (times - 1)
    assert data.index(b"mdat") < edit, "else the places of the frames would have to be moved"
    data[edit - 4 : edit + 12] = times.to_bytes(4, "big") + data[edit : edit + 12] + more
    for atom in (b"moov", b"trak", b"edts", b"elst"):
        size = data.index(atom) - 4
        data[size : size + 4] = (int.from_bytes(data[size : size + 4], "big") + len(more)).to_bytes(
            4, "big"
        )
    path.write_bytes(data)


def write_sound(path: Path) -> Path:
    """An MP4 with sound and no picture."""
    with av.open(path, "w") as container:
        stream = container.add_stream("aac", rate=44100)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.sample_rate, frame.pts = 44100, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def read_frames(path: Path, **settings: Any) -> tuple[list[Frame], MediaFacts]:
    """The frames of a file as scanning takes them."""
    facts = MediaFacts()
    found = Found(bytes(path.parent), bytes(path.name, "utf-8"), 0)
    with opened(found) as source:
        media_type = source.evidence.media_type
        kind = kind_of(media_type)
        assert kind is not None, f"{path} was not told as media"
        assert media_type is not None
        reader = READERS[kind]
        frames = to_look_at(reader(source.source, media_type, ScanSettings(**settings), facts))
        return list(frames), facts


def read_pieces(path: Path, **settings: Any) -> tuple[list[Frame], list[MediaFacts]]:
    """The frames of a video as scanning takes them piece by piece, and the facts of each piece."""
    found = Found(bytes(path.parent), bytes(path.name, "utf-8"), 0)
    chosen = ScanSettings(**settings)
    frames, facts = [], []
    with opened(found) as source:
        media_type = source.evidence.media_type or ""
        for piece in plan_pieces(source.source, media_type, chosen):
            facts.append(MediaFacts())
            frames += to_look_at(video_frames(source.source, media_type, chosen, facts[-1], piece))
    return frames, facts


# ---- fakes -----------------------------------------------------------------------------------------


class FakeDetector:
    """Finds the rectangle around all that is pure red."""

    name = "fake"
    weights_sha256 = None

    def smallest(self, width: int, height: int) -> float:
        return 1.0

    def detect(self, image: RGB) -> list[Detection]:
        rows, columns = np.nonzero((image == FACE).all(axis=-1))
        if not len(rows):
            return []
        box = Box(int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1)
        return [Detection(box, 1.5, box)]


class FakeLandmarks:
    """Puts all 68 points on the middle of the box."""

    weights_sha256 = "0" * 64

    def place(self, image: RGB, square: Box) -> Points:
        middle = [(square.left + square.right) / 2, (square.top + square.bottom) / 2]
        return np.tile(np.array(middle, np.float32), (68, 1))

    def fit(self, image: RGB, found: Detection, points: Points) -> Fit:
        return Fit(0.0, True)


ALWAYS = {"abstention": {"max_error": 1.0, "threshold": 0.0, "coverage": 1.0, "error": None}}
"""The part of a card that makes a model answer every face."""


def fake_card(**facts: Any) -> ModelCard:
    return ModelCard(
        Path("nowhere"),
        {"name": "fake", "labels": list(CLASSES), "preprocessing": PREPROCESSING, **ALWAYS, **facts},
    )


class FakeClassifier:
    """Calls every face happy, with 0.4; remembers the sizes of its batches."""

    weights_sha256 = "f" * 64

    def __init__(self, **facts: Any) -> None:
        self.card = fake_card(**facts)
        self.batches: list[int] = []

    def probabilities(self, inputs: Inputs) -> npt.NDArray[np.float32]:
        images = inputs["images"]
        self.batches.append(len(images))
        row = [0.4 if label == "happy" else 0.1 for label in CLASSES]
        return np.tile(np.array(row, np.float32), (len(images), 1))


def fake_tools(**changes: Any) -> Tools:
    parts: dict[str, Any] = {
        "settings": ScanSettings(),
        "detector": FakeDetector(),
        "landmarks": FakeLandmarks(),
        "classifier": FakeClassifier(),
    }
    return Tools(**{**parts, **changes})


@dataclass
class FakeProgress:
    """Remembers what it was told."""

    told: list[str] = field(default_factory=list)

    def start(self, paths: int, size: int) -> None:
        self.told.append(f"{paths} paths")

    def read(self, found: Found, size: int) -> None:
        pass

    def frame(self, faces: int) -> None:
        pass

    def done(self, found: Found, outcome: Outcome) -> None:
        self.told.append(outcome.path_text)

    def changed(self, path: bytes, text: str) -> None:
        self.told.append(f"{path.decode()}: {text}")


@dataclass
class InterruptsAfter(FakeProgress):
    """Ctrl-C, once it was told so many things."""

    things: int = 0

    def done(self, found: Found, outcome: Outcome) -> None:
        super().done(found, outcome)
        if len(self.told) == self.things:
            raise KeyboardInterrupt


def fake_run(root: Path, classifier: Any = None, settings: ScanSettings | None = None) -> Run:
    card = (classifier or FakeClassifier()).card
    told = card.labels, card.threshold, card.coverage, card.facts
    model = Model("f" * 64, card.name, "fake", *told)
    chosen = asdict(settings or ScanSettings())
    return Run(bytes(root), "2026-01-01T00:00:00.000000Z", ("femo",), chosen, {"femo": "0"}, model)


@dataclass(frozen=True, eq=False)
class InProcess:
    """Looks at files in this very process, which is quick and leaves fakes where a test can see them."""

    tools: Tools

    def analyse(
        self,
        found: Found,
        seen: Seen,
        on_frame: OnFrame,
        *,
        whole: bool = False,
        on_read: OnRead = unwatched,
        aside: Aside | None = None,
    ) -> Outcome | Planned:
        return analyse(found, self.tools, seen, on_frame, whole=whole, on_read=on_read)

    def analyse_piece(
        self, found: Found, evidence: Evidence, piece: Piece, on_frame: OnFrame
    ) -> Outcome:
        return analyse_piece(found, evidence, piece, self.tools, on_frame)


def scanned(root: Path, case: Path, **changes: Any) -> Summary:
    """Scan a folder with fakes."""
    tools = fake_tools(**changes)
    store = CaseStore(case)
    try:
        run = fake_run(root, tools.classifier, tools.settings)
        return scan(find_evidence(root), store, run, [InProcess(tools)], FakeProgress()).summary
    finally:
        store.close()


def loose(*endings: bytes) -> Callable[..., tuple[int, bool]]:
    """For ``evidence._open_untouched``: paths that end so cannot be read, as behind a loose cable."""
    really = evidence._open_untouched

    def opens(path: bytes, flags: int = 0) -> tuple[int, bool]:
        if path.endswith(endings):
            raise OSError(errno.EIO, "Input/output error")
        return really(path, flags)

    return opens


def reviewed(
    case: Path,
    face_id: int,
    verdict: str,
    label: str | None = None,
    note: str = "",
    *,
    reviewer: str = "R. Evans",
    at: str = "2026-01-02T00:00:00.000000000Z",
) -> None:
    """Let somebody say something of a face of the first run."""
    with closing(CaseStore(case)) as store:
        store.add_review(1, Judgement(face_id, verdict, label, note), reviewer, at, ("femo", "review"))


def tamper(case: Path, *statements: str) -> None:
    """Change a case as somebody would who knows of its triggers and puts them back."""
    connection = sqlite3.connect(case)
    triggers = connection.execute(
        "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"
    ).fetchall()
    for name, _ in triggers:
        connection.execute(f"DROP TRIGGER {name}")
    for statement in statements:
        assert connection.execute(statement).rowcount, statement
    for _, sql in triggers:
        connection.execute(sql)
    connection.commit()
    connection.close()


def write_large_case(path: Path, faces: int, files: int) -> Path:
    """A case of so many faces, spread over videos, as if scanned; all have one small picture."""
    store = CaseStore(path)
    try:
        run_id = store.begin(fake_run(Path("/evidence")))
        store.set_discovered(run_id, files)
        thumbnail = encoded(picture(64, 64, [Box(10, 10, 54, 54)]), "JPEG")
        landmarks = json.dumps([[30.0, 30.0]] * 68)
        chance = np.random.default_rng(0)
        with store._transaction():
            for f in range(files):
                sha256 = f"{f:064x}"
                store._insert(
                    "evidence",
                    {"sha256": sha256, "md5": "0" * 32, "sha1": "0" * 40, "size": 1, "kind": "video"},
                )
                n = faces // files
                file_id = store._insert(
                    "files",
                    {
                        **{"run_id": run_id, "path": f"folder/{f:05}.mp4", "sha256": sha256},
                        **{
                            "path_bytes": b"folder/%05d.mp4" % f,
                            "state": "faces",
                            "time_base": "1/1000",
                        },
                        **{
                            "first_pts": 0,
                            "last_pts": n * 1000,
                            "frames_decoded": n,
                            "frames_hidden": 0,
                        },
                        **{"frames": n, "faces": n, "width": 64, "height": 64},
                    },
                )
                for i in range(n):
                    scores = chance.dirichlet(np.ones(7))
                    best = int(scores.argmax())
                    store._insert(
                        "faces",
                        {
                            **{"run_id": run_id, "sha256": sha256, "stream": 0, "frame_index": i},
                            **{"pts": i * 1000, "time_base": "1/1000", "seconds": float(i), "face": 0},
                            **{"left": 10, "top": 10, "right": 54, "bottom": 54, "detector": "fake"},
                            **{"score": 0.9, "landmarks": landmarks, "thumbnail": thumbnail},
                            **dict(zip(CLASSES, map(float, scores), strict=True)),
                            **{"top_class": CLASSES[best], "confidence": float(scores[best])},
                            **{"label": CLASSES[best] if scores[best] > 0.4 else "uncertain"},
                            **{
                                "track": i // 20,
                                "size": 44.0,
                                "faults": "" if i % 3 else "blurred small",
                            },
                            **{"frame_width": 64, "frame_height": 64},
                        },
                    )
                store._seal_file(file_id)
        store.end_run(run_id, "done", "2026-01-01T01:00:00.000000Z", ("femo",))
    finally:
        store.close()
    return path


def write_fer2013(
    path: Path, counts: dict[str, int], copies: Iterable[tuple[int, str]] = (), seed: int = 0
) -> Path:
    """A small file in the format of ``fer2013.csv``: random pictures, labels 0 to 6 in turn.

    Args:
        path: the file to write.
        counts: pictures for each split.
        copies: (row, split): that row's picture once more, in that split.
        seed: of the pictures.
    """
    chance = np.random.default_rng(seed)
    rows = []
    for usage, n in counts.items():
        for i in range(n):
            pixels = chance.integers(0, 256, 48 * 48)
            rows.append(f"{i % 7},{' '.join(map(str, pixels))},{usage}")
    for row, usage in copies:
        label, pixels_text, _ = rows[row].split(",")
        rows.append(f"{label},{pixels_text},{usage}")
    path.write_text("\n".join(["emotion,pixels,Usage", *rows]) + "\n")
    return path


def cut_by(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Videos are cut into pieces of so many seconds."""
    monkeypatch.setattr("forensic_emotion.frames.pieces.piece_seconds", lambda *_: seconds)
