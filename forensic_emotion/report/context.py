"""A case → ReportContext: everything the template is given, typed. Needs no dlib and no model."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, fields
from itertools import groupby
from pathlib import Path
from typing import Any

from forensic_emotion import __version__
from forensic_emotion.case import audit
from forensic_emotion.case.queries import (
    Counts,
    FaceInfo,
    FileInfo,
    ProblemInfo,
    RunInfo,
    count,
    read_faces,
    read_files,
    read_problems,
    read_run,
)
from forensic_emotion.pages import clock, data_uri
from forensic_emotion.records import STATES
from forensic_emotion.report.charts import Strip, time_strip
from forensic_emotion.settings import ReportSettings, ScanSettings

STATE_MEANING = {
    "faces": "every frame that the settings ask for was looked at, at least one face detected",
    "no_face": "the same, and no face detected at these settings; that is not proof of absence",
    "partial": "looked at in part; see the problem",
    "skipped": "not looked at, for the reason given",
    "failed": "could not be looked at; see the problem",
    "crashed": "could not be looked at: it crashed the process that tried, twice",
    "timeout": "could not be looked at: the process that tried gave no sign of life, twice",
    "out_of_memory": "could not be looked at: it asked for more memory than allowed, twice",
}


@dataclass(frozen=True)
class Bar:
    """One class with its probability."""

    label: str
    probability: float
    highest: bool


@dataclass(frozen=True)
class FaceView:
    """A face as the report shows it."""

    anchor: str
    info: FaceInfo
    picture: str
    """``data:`` URI of the thumbnail."""
    bars: list[Bar]
    when: str
    """Its time within the recording, or its page."""


@dataclass(frozen=True)
class FileView:
    """A file with its faces."""

    info: FileInfo
    also: list[str]
    """Further paths with the same bytes."""
    problems: list[ProblemInfo]
    """What kept femo from looking at all of it."""
    faces: list[FaceView]
    strip: Strip | None
    """Videos: the faces over time."""


@dataclass(frozen=True)
class LabelCount:
    """How often an answer was given, and what such an answer was worth when measured."""

    label: str
    faces: int
    share: float
    """Of all faces, 0 to 1."""
    precision: float | None
    """Share of right ones among such answers on the test set."""
    recall: float | None
    test_pictures: int | None
    """Of that class, among those that the model answers."""


@dataclass(frozen=True)
class ErrorRate:
    """How often the model was wrong on pictures it had not seen."""

    split: str
    error: float
    low: float
    high: float
    """The 95 % interval of ``error``."""
    n: int
    confusion: list[list[int]]
    calibration_error: float | None
    """Expected calibration error on the same pictures, if the scores are calibrated."""
    answered: dict[str, Any] | None
    """Coverage and error at the model's threshold on the same pictures, with intervals."""


@dataclass(frozen=True)
class ReportContext:
    """What ``report.html`` is given."""

    title: str
    version: str
    run: RunInfo
    counts: Counts
    states: list[tuple[str, int, str]]
    """State, number of paths, what it means."""
    labels: list[LabelCount]
    error_rate: ErrorRate | None
    files_with_faces: list[FileView]
    files: list[FileInfo]
    problems: list[ProblemInfo]
    settings: list[tuple[str, str, str]]
    """Name, value, what it means."""
    model_facts: list[tuple[str, str]]
    """What the case knows of the model: name of the fact, its value."""
    audit_head: str
    """Of the last entry that may have changed results, so that one case gives one report."""
    left_out: int
    """Faces that are in the case and not in this report."""


def build_context(
    case: sqlite3.Connection, path: Path, run_id: int | None, settings: ReportSettings
) -> ReportContext:
    """Read one run of a case.

    Raises:
        UsageError: the case has no such run.
    """
    run = read_run(case, run_id)
    counts = count(case, run.id)
    files = read_files(case, run.id)
    faces = read_faces(case, run.id, settings.max_faces)
    problems = read_problems(case, run.id)
    metrics = run.model_card.get("metrics", {}).get("PublicTest")
    meanings = {spec.name: spec.metadata["help"] for spec in fields(ScanSettings)}
    return ReportContext(
        title=path.name,
        version=__version__,
        run=run,
        counts=counts,
        states=[(state, counts.states.get(state, 0), STATE_MEANING[state]) for state in STATES],
        labels=list(_label_counts(counts, metrics)),
        error_rate=_error_rate(metrics, calibrated="calibration" in run.model_card),
        files_with_faces=list(_by_file(files, faces, problems)),
        files=files,
        problems=problems,
        settings=[(n, str(v), meanings.get(n, "")) for n, v in run.settings.items()],
        model_facts=list(_model_facts(run)),
        audit_head=audit.head(case, results_only=True),
        left_out=counts.faces - len(faces),
    )


def _model_facts(run: RunInfo) -> Iterator[tuple[str, str]]:
    card = run.model_card
    yield "name, runtime", f"{run.model_name}, {run.model_runtime}"
    yield "SHA-256 of weights", run.model_sha256
    for name in ("network", "parameters", "preprocessing"):
        if name in card:
            yield name, str(card[name])
    trained_on = card.get("data")
    if trained_on:
        yield "trained on", f"{trained_on['name']}, {trained_on['fit']} pictures"
        yield "SHA-256 of training data", trained_on["sha256"]
    abstention = card.get("abstention")
    if abstention:
        yield (
            "threshold of an answer",
            f"{abstention['threshold']:.4f}: keeps the error among answered held-out faces under"
            f" {abstention['max_error']:.0%}, and answers {abstention['coverage']:.1%} of them",
        )
    if trained_on and "faces_detected" in trained_on:
        yield (
            "landmarks in training and test",
            f"from a detected face in {trained_on['faces_detected']:.1%} of the pictures, from the"
            " whole picture as face rectangle in the others",
        )


def _label_counts(counts: Counts, metrics: dict[str, Any] | None) -> Iterator[LabelCount]:
    at_threshold = (metrics or {}).get("answered") or metrics or {}
    measured = {c["label"]: c for c in at_threshold.get("classes", [])}
    for label, faces in counts.labels.items():
        figures = measured.get(label, {})
        share = faces / counts.faces if counts.faces else 0.0
        yield LabelCount(
            label, faces, share, figures.get("precision"), figures.get("recall"), figures.get("n")
        )


def _error_rate(metrics: dict[str, Any] | None, *, calibrated: bool) -> ErrorRate | None:
    if metrics is None:
        return None
    accuracy = metrics["accuracy"]
    return ErrorRate(
        split="FER2013 PublicTest",
        error=1 - accuracy["value"],
        low=1 - accuracy["high"],
        high=1 - accuracy["low"],
        n=accuracy["n"],
        confusion=metrics["confusion"],
        calibration_error=metrics.get("ece") if calibrated else None,
        answered=metrics.get("answered"),
    )


def _by_file(
    files: list[FileInfo], faces: list[FaceInfo], problems: list[ProblemInfo]
) -> Iterator[FileView]:
    first = {f.sha256: f for f in files if f.same_as is None and f.sha256 is not None}
    copies: dict[str, list[str]] = defaultdict(list)
    for f in files:
        if f.same_as is not None and f.sha256 is not None:
            copies[f.sha256].append(f.path)
    problems_of: dict[int, list[ProblemInfo]] = defaultdict(list)
    for problem in problems:
        problems_of[problem.file_id].append(problem)
    for sha256, group in groupby(faces, key=lambda face: face.sha256):
        found, info = list(group), first[sha256]
        yield FileView(
            info,
            copies[sha256],
            problems_of[info.id],
            [_face_view(face) for face in found],
            time_strip(info, found),
        )


def _face_view(face: FaceInfo) -> FaceView:
    return FaceView(
        anchor=f"face-{face.id}",
        info=face,
        picture=data_uri("image/jpeg", face.thumbnail),
        bars=[Bar(label, p, label == face.top_class) for label, p in face.probabilities.items()],
        when=_when(face),
    )


def _when(face: FaceInfo) -> str:
    if face.seconds is not None:
        return clock(face.seconds)
    return f"page {face.frame_index + 1}" if face.frame_index else "still picture"
