"""One file → its outcome: the whole way from evidence to results. Read this page first.

    found path ─ open, hash ─▶ Evidence ─ decode ─▶ Frame ─ detect, place ─▶ Face
                                                       ─ chip, classify ─▶ FaceResult ─▶ Outcome

``analyse`` only reads. What it returns holds rows and thumbnails, never frames, so it may run in
another process; ``engine.py`` decides where it runs and hands outcomes to the case.
"""

from __future__ import annotations

import errno
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial

import cv2

from forensic_emotion.chips import Chip, make_chip, region_around, to_inputs
from forensic_emotion.emotions.classifier import Classifier, load_classifier
from forensic_emotion.errors import EvidenceError, NoPicture, UnreadableEvidence
from forensic_emotion.evidence import Found, OpenEvidence, opened
from forensic_emotion.faces.detector import Detector, load_detector
from forensic_emotion.faces.landmarks import LandmarkPredictor
from forensic_emotion.faces.quality import assess
from forensic_emotion.file_facts import facts_at
from forensic_emotion.frames.media import Frames
from forensic_emotion.frames.pieces import plan_pieces
from forensic_emotion.frames.readers import READERS
from forensic_emotion.frames.video import video_frames
from forensic_emotion.hashes import OnRead, unwatched
from forensic_emotion.hashsets import HashSet, ListFile, read_hash_set
from forensic_emotion.media_types import (
    archive,
    claims_media,
    disk_image,
    is_drawing,
    kind_of,
    without_reader,
)
from forensic_emotion.outcomes import changed
from forensic_emotion.records import (
    Evidence,
    Face,
    FaceResult,
    FileFacts,
    Frame,
    Identified,
    Kind,
    MediaFacts,
    Model,
    Outcome,
    Piece,
    Planned,
    Problem,
    State,
    ToolFacts,
    answer,
)
from forensic_emotion.settings import ScanSettings
from forensic_emotion.thumbnails import thumbnail
from forensic_emotion.versions import versions

log = logging.getLogger(__name__)

NO_MEMORY = (errno.ENOMEM, errno.EAGAIN)
"""Errors of the system that say so; EAGAIN where no thread can be started."""

WANT_OF_MEMORY = ("bad_alloc", "Failed to allocate memory", "Insufficient memory")
"""Words of ONNX Runtime, of C++ and of OpenCV for it."""

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
                card.threshold,
                card.coverage,
                card.facts,
            ),
            {
                **versions(),
                "landmark weights SHA-256": self.landmarks.weights_sha256,
                **_named("detector weights SHA-256", self.detector.weights_sha256),
                **_of_lists("known", self.known),
                **_of_lists("notable", self.notable),
            },
        )


def _named(name: str, value: str | None) -> dict[str, str]:
    return {} if value is None else {name: value}


def _of_lists(role: str, lists: tuple[HashSet, ...]) -> dict[str, str]:
    """The hash of each list, by role and name; those of lists of one name beside each other."""
    names = {each.name for each in lists}
    return {
        f"{role} hash list {name} SHA-256": ", ".join(s.sha256 for s in lists if s.name == name)
        for name in sorted(names)
    }


def load_tools(
    settings: ScanSettings, known: tuple[ListFile, ...], notable: tuple[ListFile, ...]
) -> Tools:
    """Load all that looks at frames.

    Raises:
        ModelError: a model cannot be used.
        UsageError: a list of hashes cannot be read.
    """
    # Workers share the cores by files: within one, libraries must not want all of them too.
    cv2.setNumThreads(1)
    lists = [tuple(read_hash_set(file) for file in files) for files in (known, notable)]
    return Tools(
        settings,
        load_detector(settings),
        LandmarkPredictor(),
        load_classifier(settings.model, settings.runtime, threads=1),
        *lists,
    )


Seen = Callable[[Identified], bool]
"""Asked for a file's bytes: were they looked at under an earlier path of this run?"""
OnFrame = Callable[[int], None]
"""Told after each frame how many faces it had."""
OnFaces = Callable[[tuple[FaceResult, ...]], None]
"""Takes the faces found so far, which are many, so that they need not wait for the rest here."""
MANY = 256
"""Faces."""


class Stopwatch:
    """What each stage of the work took, in seconds."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def on(self, stage: str) -> Iterator[None]:
        started = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - started


@dataclass(frozen=True, eq=False)
class Job:
    """The work on one path."""

    found: Found
    tools: Tools
    on_frame: OnFrame
    on_read: OnRead
    """Told of each frame that was decoded, looked at or not, as of no further byte."""
    on_faces: OnFaces | None = None
    """None: all are kept until the path is done."""
    watch: Stopwatch = field(default_factory=Stopwatch)


def analyse(
    found: Found,
    tools: Tools,
    seen: Seen,
    on_frame: OnFrame,
    *,
    whole: bool = False,
    on_read: OnRead = unwatched,
    on_faces: OnFaces | None = None,
) -> Outcome | Planned:
    """Take in one path and look at it; whatever goes wrong with it becomes part of the outcome.

    A long video is only hashed and cut into pieces, which ``analyse_piece`` looks at, unless it is to be
    looked at as a whole. The outcome counts all faces, and has those that ``on_faces`` was not given.
    """
    if found.skip:
        facts = facts_at(found.full)
        return Outcome(found.path, found.path_text, "skipped", reason=found.skip, unread=facts)
    if found.error:
        return _failed(found, Problem("discover", "unreadable", found.error), facts_at(found.full))
    job = Job(found, tools, on_frame, on_read, on_faces)
    try:
        with ExitStack() as stack:
            with job.watch.on("hash"):
                source = stack.enter_context(opened(found, on_read=on_read))
            resized = _since_listed(found, source)
            looked_at = _look(job, source, seen, whole or bool(resized))
            if isinstance(looked_at, Planned):
                return replace(looked_at, seconds=job.watch.seconds)
            outcome = _looked_at_again(looked_at, source)
            if outcome is not looked_at:
                outcome = _of_the_same_bytes(outcome, found, source)
            return replace(changed(outcome, resized), seconds=job.watch.seconds)
    except EvidenceError as error:
        told = error.facts if isinstance(error, UnreadableEvidence) else None
        return _failed(found, Problem("read", error.problem, error.text), told or facts_at(found.full))


def analyse_piece(
    found: Found,
    evidence: Evidence,
    piece: Piece,
    tools: Tools,
    on_frame: OnFrame,
    on_read: OnRead = unwatched,
) -> Outcome:
    """Look at a piece of a video that was hashed before."""
    job = Job(found, tools, on_frame, on_read)
    try:
        with opened(found, evidence) as source:
            outcome = _look_at_media(job, source, "video", piece)
            return replace(_looked_at_again(outcome, source), seconds=job.watch.seconds)
    except EvidenceError as error:
        return _failed(found, Problem("read", error.problem, error.text), evidence.facts)


def _since_listed(found: Found, source: OpenEvidence) -> tuple[Problem, ...]:
    """That a file grew or shrank between the walk and its turn, which may be hours later."""
    size = source.status.st_size
    if size == found.size:
        return ()
    text = f"changed between listing and opening: size {found.size} → {size}"
    return (Problem("read", "changed", text),)


def _looked_at_again(outcome: Outcome, source: OpenEvidence) -> Outcome:
    """The outcome, with a problem if the file is not any more what it was when it was opened."""
    changes = source.changes()
    if not changes:
        return outcome
    text = f"changed while it was analysed: {', '.join(changes)}"
    return changed(outcome, (Problem("read", "changed", text),))


def _of_the_same_bytes(outcome: Outcome, found: Found, source: OpenEvidence) -> Outcome:
    """The outcome of a file that changed, as far as it may stand under the hash of what was opened."""
    try:
        other = source.other_sha256()
    except EvidenceError as error:
        text = f"whether its bytes are those that were hashed cannot be checked: {error.text}"
        return replace(outcome, problems=(*outcome.problems, Problem("read", error.problem, text)))
    if other is None:
        return outcome
    # Which bytes were decoded nobody knows, so nothing may stand under either hash.
    text = (
        f"its bytes changed while it was analysed: SHA-256 {source.evidence.sha256} → {other}; what"
        " was found in it is left out: scan it again"
    )
    failed = _failed(found, Problem("read", "changed", text), source.evidence.facts)
    return replace(failed, notable=outcome.notable)


def _failed(found: Found, problem: Problem, facts: FileFacts | None) -> Outcome:
    return Outcome(found.path, found.path_text, "failed", unread=facts, problems=(problem,))


def _look(job: Job, source: OpenEvidence, seen: Seen, whole: bool) -> Outcome | Planned:
    found, evidence = job.found, source.evidence
    known, notable = (_name_of_list(evidence, each) for each in (job.tools.known, job.tools.notable))
    looked_at: Outcome | Planned
    if known is not None and notable is None:  # what somebody looks for is not left out as known
        reason, kind = f"known: its hash is in {known}", kind_of(evidence.media_type)
        looked_at = Outcome(found.path, found.path_text, "skipped", reason, evidence, kind, known=known)
    else:
        is_seen = partial(seen, Identified(evidence, notable))
        looked_at = _look_unless_seen(job, source, is_seen, whole)
    return replace(looked_at, notable=notable)


def _name_of_list(evidence: Evidence, lists: tuple[HashSet, ...]) -> str | None:
    """Of the first list that has a file's hash."""
    return next((each.name for each in lists if evidence in each), None)


def _look_unless_seen(
    job: Job, source: OpenEvidence, is_seen: Callable[[], bool], whole: bool
) -> Outcome | Planned:
    found, evidence = job.found, source.evidence
    kind = kind_of(evidence.media_type)
    if kind is None:
        return _no_media(found, source)
    if is_seen():
        reason = "same bytes as an earlier path"
        return Outcome(found.path, found.path_text, "skipped", reason, evidence, kind)
    if kind == "video" and not whole:
        with job.watch.on("plan"):
            pieces = plan_pieces(source.source, evidence.media_type or "", job.tools.settings)
        if pieces:
            return Planned(evidence, pieces)
    return _look_at_media(job, source, kind)


NO_KNOWN_TYPE = "unknown type: no signature of a picture or video that femo knows"


def _no_media(found: Found, source: OpenEvidence) -> Outcome:
    """A file that is no picture and no video that femo reads; a problem if it is empty, if its name says
    otherwise, if it is one that femo has no reader for, or if it is a disk image, which whoever
    scans it takes for evidence."""
    evidence = source.evidence
    empty, claims = evidence.facts.size == 0, claims_media(found.path_text)
    reason = "empty: zero bytes" if empty else NO_KNOWN_TYPE
    problems = []
    if disk := disk_image(source.head):
        reason = f"{disk}, not opened: mount it read-only and scan its contents"
        problems.append(Problem("identify", "not_looked_at", reason))
    elif held := archive(source.head):
        reason = f"{held}, not opened: unpack it and scan its contents"
    elif is_drawing(source.head):
        reason = "a drawing (SVG), not analysed: it is not a photograph, though it may contain one"
    elif media := without_reader(source.head):
        reason = f"{media}, not analysed: femo has no reader for it; convert a copy and scan that"
        problems.append(Problem("identify", "unsupported", reason))
    if empty or (claims and not problems):
        text = reason + (", though its name suggests a picture or video" if claims else "")
        problems.append(Problem("identify", "empty" if empty else "not_media", text))
    return Outcome(found.path, found.path_text, "skipped", reason, evidence, problems=tuple(problems))


def _look_at_media(job: Job, source: OpenEvidence, kind: Kind, piece: Piece | None = None) -> Outcome:
    """Decode, detect, classify; keeps what was found before a problem ended it."""
    found, media = job.found, MediaFacts()
    frames = faces = 0

    def counted() -> Iterator[Frame]:
        nonlocal frames
        decoding = _frames(source, kind, job.tools.settings, media, piece)
        while True:
            try:
                with job.watch.on("decode"):
                    frame = next(decoding)
            except StopIteration:
                return
            job.on_read(0)
            if frame is None:
                continue
            height, width = frame.image.shape[:2]
            smallest = job.tools.detector.smallest(width, height)
            media.smallest_face = round(max(smallest, media.smallest_face or 0.0), 2)
            yield frame
            frames += 1
            if kind == "video" or frame.time is not None:
                media.saw(frame)

    outcome = Outcome(found.path, found.path_text, "no_face", None, source.evidence, kind, media)
    results: list[FaceResult] = []
    ended: list[Problem] = []
    try:
        for result in find_faces(counted(), job):
            faces += 1
            results.append(result)
            if job.on_faces is not None and len(results) == MANY:
                job.on_faces(tuple(results))
                results.clear()
    except NoPicture as error:
        if not media.problems:
            return replace(outcome, state="skipped", reason=error.text)
        ended.append(Problem("decode", "no_video", error.text))  # perhaps only for what is damaged
    except EvidenceError as error:
        ended.append(Problem("decode", error.problem, error.text))
    except MemoryError:
        raise  # says something of the process, not of the file alone: who runs it decides
    except Exception as error:
        if _for_want_of_memory(error):
            raise MemoryError from error
        if isinstance(error, OSError) and error.errno == errno.EIO:
            ended.append(Problem("read", "unreadable", f"cannot be read further: {error.strerror}"))
        else:
            # The one broad catch: a fault of femo or of a library costs this file only, and it shows.
            log.debug("fault while analysing %s", found.path_text, exc_info=True)
            text = f"bug in femo or a library: {type(error).__name__}: {error}"
            ended.append(Problem("analyse", "fault", text))
    problems = (*media.problems, *ended)
    state: State = "faces" if faces else "no_face"
    if problems:
        state = "partial" if frames else "failed"
    return replace(
        outcome,
        state=state,
        frames=frames,
        faces=faces,
        results=tuple(results),
        problems=problems,
    )


def _for_want_of_memory(error: Exception) -> bool:
    """Whether a library says so in its own way; the file may do well in a fresh worker."""
    if isinstance(error, OSError):  # a thread could not be started, for its stack has no room
        return error.errno in NO_MEMORY
    return any(words in str(error) for words in WANT_OF_MEMORY)


def _frames(
    source: OpenEvidence, kind: Kind, settings: ScanSettings, media: MediaFacts, piece: Piece | None
) -> Frames:
    media_type = source.evidence.media_type or ""
    if piece is not None:
        return video_frames(source.source, media_type, settings, media, piece)
    return READERS[kind](source.source, media_type, settings, media)


def find_faces(frames: Iterator[Frame], job: Job) -> Iterator[FaceResult]:
    """Frames → the results of their faces, in order; classified in batches over frames.

    If taking the next frame fails, the faces gathered so far come first and the error after them.
    """
    waiting: list[_Waiting] = []
    try:
        for frame in frames:
            faces = detect(frame, job.tools, job.watch)
            with job.watch.on("crop"):
                waiting += [_prepare(frame, face) for face in faces]
            job.on_frame(len(faces))
            if len(waiting) >= BATCH:
                yield from _classify(waiting, job)
                waiting = []
    except Exception:
        # Whatever ended the frames, the faces seen before it are results.
        yield from _classify(waiting, job)
        raise
    yield from _classify(waiting, job)


def detect(frame: Frame, tools: Tools, watch: Stopwatch) -> list[Face]:
    """The faces of a frame with their landmarks."""
    with watch.on("detect"):
        detections = tools.detector.detect(frame.image)
    faces = []
    for number, found in enumerate(detections):
        with watch.on("landmarks"):
            points = tools.landmarks.place(frame.image, found.square)
            fit = tools.landmarks.fit(frame.image, found, points)
        faces.append(
            Face(
                number,
                found.box,
                found.square,
                tools.detector.name,
                found.score,
                points,
                fit.spread,
                fit.well,
            )
        )
    return faces


@dataclass(frozen=True, eq=False)
class _Waiting:
    """A face without its frame's pixels, waiting for its batch to fill."""

    chip: Chip
    result: Callable[..., FaceResult]
    """Of the scores."""


def _prepare(frame: Frame, face: Face) -> _Waiting:
    height, width = frame.image.shape[:2]
    region = region_around(face.square)
    chip = make_chip(frame.image, region, face.landmarks, fits=face.fits)
    result = partial(
        FaceResult,
        stream=frame.stream,
        frame_index=frame.index,
        frame_size=(width, height),
        time=frame.time,
        face=face,
        quality=assess(face, chip, width, height),
        thumbnail=thumbnail(frame.image, face.box),
    )
    return _Waiting(chip, result)


def _classify(waiting: list[_Waiting], job: Job) -> Iterator[FaceResult]:
    if not waiting:
        return
    classifier = job.tools.classifier
    with job.watch.on("classify"):
        scores = classifier.probabilities(to_inputs([w.chip for w in waiting]))
    labels = classifier.card.labels
    for w, row in zip(waiting, scores, strict=True):
        top_class, confidence, label = answer(row, labels, classifier.card.threshold)
        yield w.result(
            probabilities=tuple(float(p) for p in row),
            top_class=top_class,
            confidence=confidence,
            label=label,
        )
