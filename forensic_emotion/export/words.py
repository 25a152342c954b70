"""What all formats say alike, and how they write text that comes from evidence.

Names in evidence may hold line breaks, bytes that are no UTF-8, sequences that steer a terminal, marks
that turn the direction of reading. Formats for people write those out (``paths.visible``) and give the
name's bytes beside it; JSON escapes them, so that the name itself is still there.
"""

from __future__ import annotations

import hashlib
import json
import math

from forensic_emotion.case.listing import ListedFace, ListedFile
from forensic_emotion.case.measured import measured
from forensic_emotion.case.queries import RunInfo
from forensic_emotion.pages import score
from forensic_emotion.paths import visible
from forensic_emotion.report.texts import TEXTS

NOTICE = TEXTS["limits_text"]
"""As in the report."""

NAMESPACE = "urn:femo:"
"""Of what femo says in formats that have no word for it."""


def model_line(run: RunInfo) -> str:
    """Which classifier gave the scores, how often it was wrong, from which score on it answers."""
    split, figures = measured(run.model_card)
    wrong = "its error rate is not known"
    if figures is not None:
        right = figures["accuracy"]
        wrong = f"wrong on {1 - right['value']:.1%} of {right['n']} test pictures ({split})"
        answered = (figures.get("answered") or {}).get("error")
        if answered:
            wrong += (
                f" and on {answered['value']:.1%} ({answered['low']:.1%} to {answered['high']:.1%})"
                f" of the {answered['n']} that it answered, with the test set's mix of classes"
            )
    threshold = "none: every face is given a class" if run.threshold is None else f"{run.threshold:.7g}"
    return f"Model {run.model_name}, SHA-256 {run.model_sha256}, {wrong}, threshold {threshold}"


def origin_line(run: RunInfo) -> str:
    """Which femo and which run it was, and what the examiner said of the case."""
    said = {"case": run.case_number, "examiner": run.examiner, "agency": run.agency}
    more = "".join(f", {what} {text}" for what, text in said.items() if text)
    return f"femo {run.versions.get('femo', 'of unknown version')}, run {run.id}{more}"


def state_line(run: RunInfo) -> str | None:
    """That a run is not complete; None if it is."""
    if run.state == "done":
        return None
    state = visible(run.state)
    return f"Run {run.id} is not complete (its state is {state}): what it has not analysed is missing"


def is_utf8(path: bytes) -> bool:
    try:
        path.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def hex_if_not_text(file: ListedFile) -> str | None:
    """A path's bytes, where the text beside them is not the path itself."""
    return None if is_utf8(file.path_bytes) else file.path_bytes.hex()


def hex_if_changed(file: ListedFile, shown: str | None = None) -> str | None:
    """A path's bytes, where what is shown, else what ``visible`` writes, is something else."""
    text = visible(file.path) if shown is None else shown
    return None if text.encode() == file.path_bytes else file.path_bytes.hex()


def answer(face: ListedFace) -> str:
    """A face's label with its score, and what a person said of it, for people to read."""
    shown = score(face.confidence)
    text = f"{face.label} {shown}"
    if face.label != face.top_class:
        text = f"{face.label} ({face.top_class} {shown})"
    if face.review is not None:
        text += f", reviewed: {face.review.verdict}"
        if face.review.verdict == "relabelled":
            text += f" {face.review.label}"
    return text


def plain_json(value: object) -> str:
    """JSON on one line in which nothing invisible stands as itself."""
    try:
        text = _json(value)
    except ValueError:  # only a damaged case has such numbers: others need not be walked through
        text = _json(_finite(value))
    if text.isprintable():
        return text
    # What is not printable can only stand inside a string, where JSON has an escape for it.
    return "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _finite(value: object) -> object:
    """JSON has no infinity and no "not a number"; a damaged case may."""
    if isinstance(value, dict):
        return {name: _finite(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def safe_name(path: bytes, text: str) -> str:
    """A file's name for what is made of a path: plain, unique by the path's hash, no folder in it."""
    plain = "".join(c if c.isascii() and (c.isalnum() or c in "-._") else "_" for c in text)
    # Neither hidden nor an option of some command.
    return f"{plain[-80:].lstrip('.-')}-{hashlib.sha256(path).hexdigest()[:16]}"
