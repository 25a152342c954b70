"""One file → its outcome: the whole way from evidence to results. Read this page first.

    found path ─ open, hash ─▶ Evidence ─ decode ─▶ Frame ─ detect, place ─▶ Face
                                                       ─ chip, classify ─▶ FaceResult ─▶ Outcome

``analyse`` only reads. What it returns holds rows and thumbnails, never frames, so it may run in
another process; ``engine.py`` decides where it runs and hands outcomes to the case.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import cv2

from forensic_emotion.chips import Chip, make_chip, region_around, to_inputs
from forensic_emotion.emotions.classifier import Classifier, load_classifier
from forensic_emotion.errors import EvidenceError, NoPicture
from forensic_emotion.evidence import Found, OpenEvidence, claims_media, kind_of, opened
from forensic_emotion.faces.detector import Detector
from forensic_emotion.faces.hog import HogDetector
from forensic_emotion.faces.landmarks import LandmarkPredictor
from forensic_emotion.frames.media import Reader
from forensic_emotion.frames.still import still_frames
from forensic_emotion.frames.video import video_frames
from forensic_emotion.hashsets import HashSet, read_hash_set
from forensic_emotion.records import (
    UNCERTAIN,
    Evidence,
    Face,
    FaceResult,
    Frame,
    FrameTime,
    Kind,
    MediaFacts,
    Model,
    Outcome,
    Problem,
    State,
)
from forensic_emotion.settings import ScanSettings
from forensic_emotion.thumbnails import thumbnail

log = logging.getLogger(__name__)

READERS: dict[Kind, Reader] = {"still": still_frames, "video": video_frames}
BATCH = 64
"""Faces that go through the classifier at once, gathered over the frames of a file."""


@dataclass(frozen=True, eq=False)
class Tools:
    """What looks at frames; loaded once, used for every file."""

    settings: ScanSettings
    detector: Detector
    landmarks: LandmarkPredictor
    classifier: Classifier
    known: tuple[HashSet, ...] = ()
    """Files in one of these are skipped."""
    notable: tuple[HashSet, ...] = ()
    """Files in one of these are flagged."""

    def facts(self) -> ToolFacts:
        """What a case keeps of the tools."""
        card = self.classifier.card
        return ToolFacts(
            Model(
                self.classifier.weights_sha256,
                card.name,
                self.settings.runtime,
                card.labels,
                card.facts,
            ),
            {
                "landmark weights SHA-256": self.landmarks.weights_sha256,
                **{f"hash list {s.name} SHA-256": s.sha256 for s in (*self.known, *self.notable)},
            },
        )


@dataclass(frozen=True)
class ToolFacts:
    """Which tools looked at the frames."""

    model: Model
    hashes: dict[str, str]
    """What else was loaded → its SHA-256."""


def load_tools(settings: ScanSettings, known: tuple[Path, ...], notable: tuple[Path, ...]) -> Tools:
    """Load all that looks at frames.

    Raises:
        ModelError: a model cannot be used.
        UsageError: a list of hashes cannot be read.
    """
    # Workers share the cores by files: within one, libraries must not want all of them too.
    cv2.setNumThreads(1)
    lists = [tuple(read_hash_set(path) for path in paths) for paths in (known, notable)]
    return Tools(
        settings,
        HogDetector(settings.upsample),
        LandmarkPredictor(),
        load_classifier(settings.model, settings.runtime, threads=1),
        *lists,
    )


Seen = Callable[[Evidence], bool]
"""Asked for a file's bytes: were they looked at under an earlier path of this run?"""
OnFrame = Callable[[int], None]
"""Told after each frame how many faces it had."""


def analyse(found: Found, tools: Tools, seen: Seen, on_frame: OnFrame) -> Outcome:
    """Take in one path and look at it; whatever goes wrong with it becomes part of the outcome."""
    if found.skip:
        return Outcome(found.path, found.path_text, "skipped", reason=found.skip)
    if found.error:
        return _failed(found, Problem("discover", "unreadable", found.error))
    try:
        with opened(found) as source:
            return _looked_at_again(_look(found, source, tools, seen, on_frame), source)
    except EvidenceError as error:
        return _failed(found, Problem("read", error.problem, error.text))


def _looked_at_again(outcome: Outcome, source: OpenEvidence) -> Outcome:
    """The outcome, with a problem if the file is not any more what it was when it was opened."""
    changes = source.changes()
    if not changes:
        return outcome
    problem = Problem("read", "changed", f"changed while it was looked at: {', '.join(changes)}")
    state: State = "partial" if outcome.frames else outcome.state
    return replace(outcome, state=state, problems=(*outcome.problems, problem))


def _failed(found: Found, problem: Problem) -> Outcome:
    return Outcome(found.path, found.path_text, "failed", problems=(problem,))


def _look(found: Found, source: OpenEvidence, tools: Tools, seen: Seen, on_frame: OnFrame) -> Outcome:
    evidence = source.evidence
    known = _name_of_list(evidence, tools.known)
    if known is not None:
        reason, kind = f"known: its hash is in {known}", kind_of(evidence.media_type)
        outcome = Outcome(found.path, found.path_text, "skipped", reason, evidence, kind, known=known)
    else:
        outcome = _look_unless_seen(found, source, tools, seen, on_frame)
    return replace(outcome, notable=_name_of_list(evidence, tools.notable))


def _name_of_list(evidence: Evidence, lists: tuple[HashSet, ...]) -> str | None:
    """Of the first list that has a file's hash."""
    return next((each.name for each in lists if evidence in each), None)


def _look_unless_seen(
    found: Found, source: OpenEvidence, tools: Tools, seen: Seen, on_frame: OnFrame
) -> Outcome:
    evidence = source.evidence
    kind = kind_of(evidence.media_type)
    if kind is None:
        return _no_media(found, evidence)
    if seen(evidence):
        reason = "same bytes as an earlier path"
        return Outcome(found.path, found.path_text, "skipped", reason, evidence, kind)
    return _look_at_media(found, source, kind, tools, on_frame)


def as_copy(earlier: Outcome, own: Outcome) -> Outcome:
    """The outcome of a path whose bytes were looked at under an earlier path: what was found there."""
    changed = tuple(p for p in own.problems if (p.stage, p.problem) == ("read", "changed"))
    return replace(
        earlier,
        path=own.path,
        path_text=own.path_text,
        state="partial" if changed and earlier.frames else earlier.state,
        evidence=own.evidence,
        results=(),
        problems=(*earlier.problems, *changed),
        notable=own.notable,
        same_as=earlier.path,
    )


def _no_media(found: Found, evidence: Evidence) -> Outcome:
    """A file that is no picture and no video; a problem if it is empty or its name says otherwise."""
    empty, claims = evidence.facts.size == 0, claims_media(found.path_text)
    reason = "empty: zero bytes" if empty else "not media: no signature of a picture or a video"
    problems = []
    if empty or claims:
        text = reason + (", though its name says so" if claims else "")
        problems.append(Problem("identify", "empty" if empty else "not_media", text))
    return Outcome(found.path, found.path_text, "skipped", reason, evidence, problems=tuple(problems))


def _look_at_media(
    found: Found, source: OpenEvidence, kind: Kind, tools: Tools, on_frame: OnFrame
) -> Outcome:
    """Decode, detect, classify; keeps what was found before a problem ended it."""
    media = MediaFacts()
    frames = 0

    def counted() -> Iterator[Frame]:
        nonlocal frames
        media_type = source.evidence.media_type or ""
        for frame in READERS[kind](source.source, media_type, tools.settings, media):
            yield frame
            frames += 1

    outcome = Outcome(found.path, found.path_text, "no_face", None, source.evidence, kind, media)
    results: list[FaceResult] = []
    ended: list[Problem] = []
    try:
        for result in find_faces(counted(), tools, on_frame):
            results.append(result)
    except NoPicture as error:
        return replace(outcome, state="skipped", reason=error.text)
    except EvidenceError as error:
        ended.append(Problem("decode", error.problem, error.text))
    except MemoryError:
        raise  # says something of the process, not of the file alone: who runs it decides
    except Exception as error:
        # The one broad catch: a fault of femo or of a library costs this file only, and it shows.
        log.debug("fault while analysing %s", found.path_text, exc_info=True)
        text = f"fault in femo or a library: {type(error).__name__}: {error}"
        ended.append(Problem("analyse", "fault", text))
    problems = (*media.problems, *ended)
    state: State = "faces" if results else "no_face"
    if problems:
        state = "partial" if frames else "failed"
    return replace(
        outcome,
        state=state,
        frames=frames,
        faces=len(results),
        results=tuple(results),
        problems=problems,
    )


def find_faces(frames: Iterator[Frame], tools: Tools, on_frame: OnFrame) -> Iterator[FaceResult]:
    """Frames → the results of their faces, in order; classified in batches over frames.

    If taking the next frame fails, the faces gathered so far come first and the error after them.
    """
    waiting: list[_Waiting] = []
    try:
        for frame in frames:
            faces = detect(frame, tools)
            for face in faces:
                waiting.append(_prepare(frame, face))
            on_frame(len(faces))
            if len(waiting) >= BATCH:
                yield from _classify(waiting, tools.classifier)
                waiting = []
    except Exception:
        # Whatever ended the frames, the faces seen before it are results.
        yield from _classify(waiting, tools.classifier)
        raise
    yield from _classify(waiting, tools.classifier)


def detect(frame: Frame, tools: Tools) -> list[Face]:
    """The faces of a frame with their landmarks."""
    return [
        Face(
            number,
            found.box,
            tools.detector.name,
            found.score,
            tools.landmarks.place(frame.image, found.box),
        )
        for number, found in enumerate(tools.detector.detect(frame.image))
    ]


@dataclass(frozen=True, eq=False)
class _Waiting:
    """A face without its frame's pixels, waiting for its batch to fill."""

    frame_index: int
    time: FrameTime | None
    face: Face
    chip: Chip
    thumbnail: bytes


def _prepare(frame: Frame, face: Face) -> _Waiting:
    chip = make_chip(frame.image, region_around(face.box), face.landmarks)
    return _Waiting(frame.index, frame.time, face, chip, thumbnail(frame.image, face.box))


def _classify(waiting: list[_Waiting], classifier: Classifier) -> Iterator[FaceResult]:
    if not waiting:
        return
    scores = classifier.probabilities(to_inputs([w.chip for w in waiting]))
    labels = classifier.card.labels
    for w, row in zip(waiting, scores, strict=True):
        best = int(row.argmax())
        confidence = float(row[best])
        yield FaceResult(
            frame_index=w.frame_index,
            time=w.time,
            face=w.face,
            probabilities=tuple(float(p) for p in row),
            top_class=labels[best],
            confidence=confidence,
            label=labels[best] if confidence > classifier.card.threshold else UNCERTAIN,
            thumbnail=w.thumbnail,
        )
