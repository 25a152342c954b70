"""A case → ReportContext: everything the template is given, typed. Needs no dlib and no model."""

from __future__ import annotations

import json
import os
import re
import shlex
import sqlite3
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, fields
from datetime import date
from itertools import groupby
from pathlib import Path
from typing import Any
from zoneinfo import available_timezones

from forensic_emotion import __version__
from forensic_emotion.case import audit
from forensic_emotion.case.alterations import Altered, altered
from forensic_emotion.case.measured import measured
from forensic_emotion.case.queries import (
    Counts,
    RunInfo,
    count,
    other_evidence,
    other_runs,
    read_faces,
    read_files,
    read_run,
    read_tracks,
)
from forensic_emotion.case.reviews import MOST_NOTE, Agreement, agreement, read_reviews
from forensic_emotion.case.rows import FileRow, problems_of
from forensic_emotion.case.selection import (
    Selection,
    first_paths,
    selected_faces,
    selected_paths,
    selected_tracks,
)
from forensic_emotion.errors import UsageError
from forensic_emotion.pages import clock, data_uri, utc
from forensic_emotion.paths import visible
from forensic_emotion.records import CLASSES, FAULTS, LOOKED_AT, STATES, Problem
from forensic_emotion.report.data import (
    Gallery,
    as_json,
    gather,
    recorded_at,
    reviews_of,
    shown_name,
    tracks_of,
)
from forensic_emotion.report.error_rate import ErrorRate, LabelCount, error_rate_of, label_counts
from forensic_emotion.report.texts import LEGAL, SCRIPT, TEXTS
from forensic_emotion.settings import ReportSettings, ScanSettings, sampling_step

STATE_MEANING = {
    "faces": "every frame that the settings ask for was analysed, and at least one face detected",
    "no_face": "the same, and no face detected at these settings; that is not proof of absence",
    "partial": "analysed only in part, or its times are missing or go backwards, or it changed; see"
    " the problem",
    "skipped": "not analysed, for the reason given",
    "failed": "could not be analysed; see the problem",
    "crashed": "could not be analysed: it crashed the process twice",
    "timeout": "could not be analysed: the process stopped responding, twice",
    "out_of_memory": "could not be analysed: it asked for more memory than allowed, twice",
}
MOST_FILES = 15
"""Of the files with most faces."""
MOST_DAYS = 40
MOST_PATHS = 20_000
"""Rows of the evidence table; the report says how many are left out."""
WITHHELD = TEXTS["withheld"]


@dataclass(frozen=True)
class FileView:
    """A path as the evidence table shows it."""

    number: int
    name: str
    info: FileRow
    same_as: str | None
    camera: str | None
    shown: bool
    """Whether faces of it are in this report."""


@dataclass(frozen=True)
class Share:
    """One bar of a chart."""

    name: str
    value: int
    share: float
    """Of all faces, 0 to 1."""
    anchor: str = ""
    """What of the gallery it stands for; empty if nothing of it is there."""
    labels: str = ""


@dataclass(frozen=True)
class RecordingView:
    """A video with faces."""

    number: int
    name: str
    partly: bool
    """Not all of it could be looked at."""
    length: str
    frames: int
    decoded: int
    faces: int
    tracks: int
    left_out: int
    """Faces that are not in this report."""


@dataclass(frozen=True)
class Custody:
    """What was done with the case, of its audit table."""

    at: str
    action: str
    who: str
    femo: str


@dataclass(frozen=True)
class ReportContext:
    """What ``report.html`` is given."""

    title: str
    version: str
    t: dict[str, str]
    """The texts."""
    zone: str | None
    """Time zone in which times are shown beside UTC."""
    logo: str | None
    """``data:`` address of a picture."""
    redacted: bool
    run: RunInfo
    evidence_root: str
    command: str
    counts: Counts
    states: list[tuple[str, int, str]]
    """State, number of paths, what it means."""
    labels: list[LabelCount]
    error_rate: ErrorRate | None
    notes: list[str]
    """What its model card says of how the model was made and measured."""
    not_covered: list[str]
    by_file: list[Share]
    more_files: int
    by_date: list[Share]
    by_month: bool
    """Whether those are months, for there are too many days."""
    without_date: int
    only_keys: bool
    """Whether only key frames of video were decoded."""
    recordings: list[RecordingView]
    files: list[FileView]
    files_left_out: int
    duplicates: list[tuple[str, list[str]]]
    """SHA-256, the paths that have it."""
    matches: list[tuple[str, str, str]]
    """Name, ``known`` or ``notable``, which list; the notable ones first."""
    matches_left_out: int
    problems: list[tuple[str, Problem]]
    agreement: Agreement
    """Of reviewers and machine."""
    settings: list[tuple[str, str, str]]
    """Name, value, what it means."""
    model_facts: list[tuple[str, str]]
    versions: dict[str, str]
    machine: list[tuple[str, str]]
    """Name, value; of a run of an older femo nothing."""
    custody: list[Custody]
    """What was done that may have changed results, so that one case gives one report."""
    legal: tuple[tuple[str, str], ...]
    audit_head: str
    """Of the last entry that may have changed results, so that one case gives one report."""
    no_faces: str | None
    """Why no face is shown; None if some are."""
    recordings_seen: bool | None
    """Whether a frame of one was looked at; None if there is no recording."""
    left_out: int
    """Faces that are in the case and not in this report."""
    without_picture: int
    data: str
    """JSON for the script: see ``data.py``."""
    pictures: str
    """A line a picture."""
    reviewer: str | None
    """Who reviews on this page; None in a report."""
    dealt_with: int
    """Paths of the run that are in the case."""
    problems_in_run: int
    of_faces: bool
    """Whether faces of the files that are told of are left out."""
    selection: str | None
    """What part of the run is told of, in words; None for all of it."""
    altered: Altered
    """What is not what femo wrote."""


def build_context(
    case: sqlite3.Connection,
    path: Path,
    run_id: int | None,
    settings: ReportSettings,
    *,
    logo: bytes | None = None,
    reviewer: str | None = None,
    known: Altered | None = None,
) -> ReportContext:
    """Read one run of a case.

    Args:
        case: opened for reading.
        path: its name is the report's title.
        run_id: which run; None for the latest.
        settings: see ``ReportSettings``.
        logo: a PNG to show on the cover.
        reviewer: who reviews on the page, if it is one for that.
        known: what of the case is not as femo wrote it, if that was looked at before: it takes long.

    Raises:
        UsageError: the case has no such run.
    """
    run = read_run(case, run_id)
    counts = count(case, run.id)
    selection = Selection.of(settings)
    whole_run = read_files(case, run.id)
    chosen = selected_paths(case, run.id, selection)
    every_file = [f for f in whole_run if chosen is None or f.id in chosen]
    of_content = selected_faces(case, run.id, selection)
    names = _names(every_file, settings.redact)
    first_of = first_paths(case, run.id, selection)
    number_of = {sha256: number for sha256, (number, _) in first_of.items()}
    firsts = set(number_of.values())
    budget = settings.picture_budget << 20
    faces = read_faces(case, run.id, settings.max_faces, selection)
    gallery = gather(faces, number_of, budget, settings.redact)
    tracks = read_tracks(case, run.id)
    if selection:
        there = selected_tracks(case, run.id, selection)
        tracks = [each for each in tracks if (each.sha256, each.track) in there]
    reviews = read_reviews(case, run.id)
    if selection:  # of a face that is not shown no note is shown either
        held = set(gallery.columns["id"])
        reviews = {number: said for number, said in reviews.items() if number in held}
    split, metrics = measured(run.model_card)
    labels = list(label_counts(counts, metrics))
    error_rate = error_rate_of(split, metrics, calibrated="calibration" in run.model_card)
    meanings = {spec.name: spec.metadata["help"] for spec in fields(ScanSettings)}
    labels_of = _labels_of(case, run.id, selection)
    faces_in = {f.id: of_content.get(f.sha256 or "", 0) for f in every_file if f.id in firsts}
    with_faces = sorted(
        (f for f in every_file if faces_in.get(f.id)), key=lambda f: (-faces_in[f.id], f.path_bytes)
    )
    total = sum(of_content.values())
    dates, by_month, without_date = _by_date([(f, faces_in[f.id]) for f in with_faces], total)
    shown = Counter(gallery.columns["file"])
    only_keys = run.settings.get("sample") == "keyframes"
    all_problems = list(problems_of(case, run.id))
    problems = [told for told in all_problems if chosen is None or told[0] in chosen]
    tracks_in = Counter(t.sha256 for t in tracks)
    videos = [f for f in every_file if f.kind == "video"]
    matches = [
        (names[f.id], kind, WITHHELD if settings.redact else visible(found))
        for f in every_file
        for kind, found in (("notable", f.notable), ("known", f.known))
        if found is not None
    ]
    matches.sort(key=lambda match: match[1] != "notable")
    return ReportContext(
        title=path.name,
        version=__version__,
        t=TEXTS,
        zone=settings.tz,
        logo=None if logo is None else data_uri("image/png", logo),
        redacted=settings.redact,
        run=run,
        evidence_root=WITHHELD if settings.redact else run.evidence_root,
        command=WITHHELD if settings.redact else shlex.join(run.arguments),
        counts=counts,
        states=[(state, counts.states.get(state, 0), STATE_MEANING[state]) for state in STATES],
        labels=labels,
        error_rate=error_rate,
        notes=[str(note) for note in run.model_card.get("notes") or ()],
        not_covered=[
            *(
                TEXTS["not_covered_other"].format(
                    run=number, root=WITHHELD if settings.redact else visible(root)
                )
                for number, root in other_evidence(case, run)
            ),
            *(
                TEXTS["not_covered_run"].format(
                    run=other.id,
                    state=visible(other.state),
                    model=_setting(visible(other.model), settings.redact),
                    faces=other.faces,
                )
                for other in other_runs(case, run)
            ),
            *_gone_on_with(case, run, settings.tz),
            *_not_covered(run, counts, whole_run, all_problems),
        ],
        by_file=[
            Share(
                names[f.id],
                faces_in[f.id],
                faces_in[f.id] / total,
                f"file={f.id}" if shown[f.id] else "",
                labels_of[f.sha256 or ""],
            )
            for f in with_faces[:MOST_FILES]
        ],
        more_files=max(0, len(with_faces) - MOST_FILES),
        by_date=[] if settings.redact else dates,
        by_month=by_month,
        without_date=without_date,
        only_keys=only_keys,
        recordings=[
            RecordingView(
                *(
                    f.id,
                    names[f.id],
                    f.state == "partial",
                    "?" if f.lasts is None else clock(float(f.lasts)),
                    f.frames,
                    f.frames_decoded,
                    faces_in[f.id],
                ),
                tracks_in[f.sha256 or ""],
                faces_in[f.id] - shown[f.id],
            )
            for f in every_file
            if _holds_video(f) and faces_in.get(f.id)
        ],
        files=[
            FileView(
                f.id,
                names[f.id],
                f,
                names[number_of[f.sha256 or ""]] if f.same_as and f.id not in firsts else None,
                None if settings.redact else _camera(f),
                bool(shown[f.id]),
            )
            for f in every_file[:MOST_PATHS]
        ],
        files_left_out=max(0, len(every_file) - MOST_PATHS),
        duplicates=_duplicates(every_file, names),
        matches=matches[:MOST_PATHS],
        matches_left_out=max(0, len(matches) - MOST_PATHS),
        problems=[(names[file_id], problem) for file_id, problem in problems],
        agreement=agreement(case, run.id),
        settings=[
            # A model may be a folder in somebody's home.
            (n, _setting(v, settings.redact), meanings.get(n, ""))
            for n, v in run.settings.items()
        ],
        model_facts=list(_model_facts(run)),
        versions=_without_lists(run.versions) if settings.redact else run.versions,
        legal=LEGAL,
        machine=_machine(run.machine or {}, settings.redact),
        custody=list(_custody(case, run, settings.tz)),
        audit_head=audit.head(case, results_only=True),
        no_faces=None if len(gallery) else _why_no_face(counts),
        recordings_seen=any(f.frames for f in videos) if videos else None,
        left_out=total - len(gallery),
        dealt_with=len(whole_run),
        problems_in_run=len(all_problems),
        of_faces=selection.of_faces,
        selection=TEXTS["selection"].format(
            words=WITHHELD if settings.redact else visible(selection.words()),
            faces=total,
            all_faces=counts.faces,
            paths=len(every_file),
            all_paths=len(whole_run),
        )
        if selection
        else None,
        without_picture=gallery.without_picture,
        data=as_json(
            {
                "classes": CLASSES,
                "faults": FAULTS,
                "t": SCRIPT,
                "tz": settings.tz,
                "redacted": settings.redact,
                "interval": _seconds_apart(run),
                "reliability": error_rate.reliability if error_rate else [],
                "answers": {
                    each.label: [each.answers.value, each.answers.low, each.answers.high, each.answers.n]
                    for each in labels
                    if each.answers
                },
                "degraded": error_rate.degraded if error_rate else None,
                "files": _script_files(every_file, names, number_of, gallery, settings.redact),
                "tracks": tracks_of(tracks, number_of),
                "reviews": reviews_of(reviews.values(), settings.redact),
                "review": "reviews" if reviewer is not None else None,
                "run": run.id,
                "most_note": MOST_NOTE,
                # As it was given, and as it is shown.
                "reviewers": [] if reviewer is None else [reviewer, visible(reviewer)],
                "faces": gallery.columns,
            }
        ),
        pictures="\n".join(gallery.pictures),
        reviewer=reviewer,
        altered=altered(case, run.id) if known is None else known,
    )


def _setting(value: object, redact: bool) -> str:
    if value is None:
        return "–"
    return WITHHELD if redact and os.sep in str(value) else str(value)


def _holds_video(file: FileRow) -> bool:
    """Also a still with some seconds of video within, of which the metadata tells."""
    return file.kind == "video" or file.metadata is not None


def _seconds_apart(run: RunInfo) -> float | None:
    step = sampling_step(run.settings)
    return None if step is None else float(step)


def _labels_of(case: sqlite3.Connection, run_id: int, selection: Selection) -> dict[str, str]:
    """Content → its labels with their numbers, in words."""
    narrowed, values = selection.faces()
    rows = case.execute(
        f"SELECT sha256, label, COUNT(*) FROM faces WHERE run_id = ?{narrowed} GROUP BY sha256, label"
        " ORDER BY sha256, COUNT(*) DESC, label",
        (run_id, *values),
    )
    found: dict[str, list[str]] = defaultdict(list)
    for sha256, label, n in rows:
        found[sha256].append(f"{label} {n}")
    return defaultdict(str, {sha256: ", ".join(words) for sha256, words in found.items()})


def _by_date(files: list[tuple[FileRow, int]], faces: int) -> tuple[list[Share], bool, int]:
    """Faces by the day that their file says, or by the month; which of both; how many have none."""
    days: Counter[str] = Counter()
    without = 0
    for f, n in files:
        day = (f.recorded or "").strip()[:10].replace(":", "-")
        try:
            days[date.fromisoformat(day).isoformat()] += n
        except ValueError:  # none, or one that no calendar has
            without += n
    by_month = len(days) > MOST_DAYS
    kept: Counter[str] = Counter()
    for day, n in days.items():
        kept[day[:7] if by_month else day] += n
    return [Share(day, n, n / faces) for day, n in sorted(kept.items())], by_month, without


def _names(files: list[FileRow], redact: bool) -> dict[int, str]:
    """How the report names each file, by its number; paths that read alike have their bytes beside."""
    names = {f.id: shown_name(f, redact) for f in files}
    looks = {number: _look(name) for number, name in names.items()}
    often = Counter() if redact else Counter(looks.values())
    return {
        f.id: f"{names[f.id]} ({f.path_bytes.hex()})" if often[looks[f.id]] > 1 else names[f.id]
        for f in files
    }


def _look(name: str) -> str:
    """What a name looks like on the page: a letter may be spelt composed or not, several blanks are
    shown as one and those at the ends not at all, and of a letter's variants there may be one only."""
    return " ".join(re.sub("[\ufe00-\ufe0f]", "", unicodedata.normalize("NFC", name)).split())


def _camera(file: FileRow) -> str | None:
    tags = file.exif or {}
    words = [str(tags[name]).strip() for name in ("Make", "Model") if tags.get(name)]
    return " ".join(words) or None


def _why_no_face(counts: Counts) -> str:
    if counts.faces:
        return TEXTS["none_selected"]
    return TEXTS["no_faces"] if counts.frames else TEXTS["nothing_looked_at"]


def _duplicates(files: list[FileRow], names: dict[int, str]) -> list[tuple[str, list[str]]]:
    paths: dict[str, list[str]] = defaultdict(list)
    for f in files:
        if f.sha256 is not None and f.size:
            paths[f.sha256].append(names[f.id])
    return [(sha256, found) for sha256, found in paths.items() if len(found) > 1]


def _gone_on_with(case: sqlite3.Connection, run: RunInfo, zone: str | None) -> Iterator[str]:
    """When the run was gone on with after it was stopped, a sentence each."""
    for entry in audit.entries(case):
        if entry.action == "resume" and entry.run_id == run.id:
            yield TEXTS["not_covered_again"].format(at=utc(entry.at, zone))


def _custody(case: sqlite3.Connection, run: RunInfo, zone: str | None) -> Iterator[Custody]:
    """Entries of the audit table on a run and on the whole case; reviews by one account that follow each
    other are one."""

    def kind(entry: audit.Entry) -> tuple[object, ...]:
        one = (entry.action, entry.user, entry.host, entry.femo)
        return one if entry.action == "review" else (*one, entry.id)

    entries = (
        entry
        for entry in audit.entries(case)
        if entry.action not in audit.READING and entry.run_id in (run.id, None)
    )
    for _, several in groupby(entries, kind):
        first, *more = several
        at, action = utc(str(first.at), zone), first.action
        if first.action == "review":
            action = TEXTS["reviews_between"].format(n=len(more) + 1)
        if more:
            at += " " + TEXTS["until"].format(at=utc(str(more[-1].at), zone))
        yield Custody(at, action, f"{first.user}@{first.host}", f"femo {first.femo}")


def _machine(facts: dict[str, Any], redact: bool) -> list[tuple[str, str]]:
    """Where the run was computed; the working folder may say whom a case is about."""
    return [
        (name, WITHHELD if redact and name == "folder" else str(value))
        for name, value in facts.items()
        if value not in (None, "")
    ]


def _not_covered(
    run: RunInfo, counts: Counts, files: list[FileRow], problems: list[tuple[int, Problem]]
) -> Iterator[str]:
    """What was not looked at, a sentence each."""
    t = TEXTS
    partial = {f.id for f in files if f.state == "partial"}
    if run.state != "done":
        every = t["unknown_number"] if run.discovered is None else run.discovered
        yield t["not_covered_unfinished"].format(done=len(files), all=every)
    reasons = Counter(
        (f.reason or f.state).split(":")[0]
        for f in files
        if f.state not in LOOKED_AT and not (f.reason or "").startswith("same bytes")
    )
    if reasons:
        why = ", ".join(f"{n} {visible(reason)}" for reason, n in reasons.most_common())
        yield t["not_covered_skipped"].format(n=sum(reasons.values()), why=why)
    if partial:
        classes = {(file_id, p.problem) for file_id, p in problems if file_id in partial}
        often = Counter(c for _, c in sorted(classes))
        why = ", ".join(f"{n} {name}" for name, n in often.most_common())
        why += t["not_covered_several"] if len(classes) > len(partial) else ""
        yield t["not_covered_partial"].format(n=len(partial), why=why)
    whole = run.state == "done" and not partial
    if whole and not reasons:
        yield t["not_covered_none"]
    sampling = run.settings.get("sample", "every")
    if sampling == "keyframes" and any(map(_holds_video, files)):
        yield t["not_covered_keys"]
    missed = counts.frames_decoded - counts.frames
    if missed > 0:
        if sampling == "every":
            sampling = f"one every {_seconds_apart(run):g} s"
        yield t["not_covered_frames"].format(n=missed, all=counts.frames_decoded, sampling=sampling)
    elif whole and counts.frames and sampling != "keyframes":
        yield t["not_covered_all_frames"]
    if not_kept := sum(f.access_time_kept == 0 for f in files):
        yield t["access_times"].format(n=not_kept)
    if counts.frames_hidden:
        yield t["not_covered_hidden"].format(n=counts.frames_hidden)
    sizes = [f.smallest_face for f in files if f.smallest_face is not None]
    if sizes:
        key = "not_covered_size_one" if max(sizes) == min(sizes) else "not_covered_size"
        yield t[key].format(least=f"{min(sizes):g}", most=f"{max(sizes):g}")
    yield t["not_covered_within"]
    yield t["not_covered_deleted"]


def _script_files(
    files: list[FileRow],
    names: dict[int, str],
    number_of: dict[str, int],
    gallery: Gallery,
    redact: bool,
) -> dict[str, dict[str, Any]]:
    """What the script tells of the files with faces in the report."""
    shown = set(gallery.columns["file"])
    copies: dict[str | None, list[str]] = defaultdict(list)
    for f in files:
        if f.sha256 is not None and f.id != number_of[f.sha256]:
            copies[f.sha256].append(names[f.id])
    facts = {}
    for f in files:
        if f.id in shown:
            at = None if redact else recorded_at(f)
            facts[str(f.id)] = {
                "name": names[f.id],
                "kind": f.kind,
                # Of a still with a video within, frames of both are counted.
                "paged": f.frames > 1 and f.metadata is None,
                "hashes": [f.sha256, f.sha1, f.md5],
                "copies": copies[f.sha256],
                "start": float(f.begins or 0),
                "end": None if f.ends is None else float(f.ends),
                "recorded": None if redact or f.recorded is None else visible(f.recorded),
                "zone": TEXTS[f"zone_{f.zone_source or 'none'}"],
                "at": None if at is None else round(at.timestamp() * 1000),
            }
    return facts


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
    for name in ("command", "commit", "init"):
        if card.get(name):
            value = card[name]
            yield name, value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    abstention = card.get("abstention")
    if abstention:
        yield (
            "threshold of an answer",
            f"{abstention['threshold']:.4f}: there, the 95 % interval of the error among answered"
            " held-out pictures, all classes together, ends under"
            f" {abstention['max_error']:.0%}; {abstention['coverage']:.1%} of them are answered",
        )
    if trained_on and "faces_detected" in trained_on:
        yield (
            "landmarks in training and test",
            f"from a detected face in {trained_on['faces_detected']:.1%} of the pictures; in the"
            " others, from the whole picture as face rectangle",
        )


def _without_lists(versions: dict[str, str]) -> dict[str, str]:
    """Versions without the names of lists of hashes, which may say whom a case is about."""
    found: dict[str, list[str]] = defaultdict(list)
    for name, value in versions.items():
        found[HASH_LIST.sub(" hash lists SHA-256", name)].append(value)
    return {name: ", ".join(values) for name, values in found.items()}


HASH_LIST = re.compile(r" hash list .* SHA-256$", re.DOTALL)
"""What ``pipeline.Tools`` calls a list among the versions, after its role."""


def check_zone(zone: str) -> None:
    """See that there is a time zone of that name.

    Raises:
        UsageError: there is none.
    """
    # "localtime" and the like are files of this machine, whose name tells a reader nothing.
    if zone not in available_timezones() - {"localtime", "Factory"}:
        raise UsageError(
            f"There is no time zone {zone!r} on this machine.", "Give one such as Europe/Vienna or UTC."
        )
