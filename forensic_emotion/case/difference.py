"""Two runs, of one case or of two → where their results differ."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass

from forensic_emotion.case.schema import CLASSES

PLACE = ("frame_index", "pts", "time_base", "left", "top", "right", "bottom", "detector", "landmarks")
"""What must be the same of two faces, beside their scores."""


@dataclass(frozen=True)
class Difference:
    """One thing that is not the same in both runs."""

    path: str
    text: str


def differences(
    one: tuple[sqlite3.Connection, int], other: tuple[sqlite3.Connection, int], tolerance: float
) -> Iterator[Difference]:
    """Where two runs differ: paths, hashes, states, faces, scores by more than a tolerance.

    Args:
        one: a case and the number of its run.
        other: the other.
        tolerance: of each probability, absolute.
    """
    mine, theirs = _files(*one), _files(*other)
    for path in sorted(mine.keys() | theirs.keys()):
        if path not in mine or path not in theirs:
            which = "first" if path in mine else "second"
            yield Difference((mine.get(path) or theirs[path])["path"], f"only in the {which}")
            continue
        a, b = mine[path], theirs[path]
        for name in ("sha256", "state", "reason", "frames_decoded", "frames"):
            if a[name] != b[name]:
                yield Difference(a["path"], f"{name}: {a[name]} / {b[name]}")
        if a["sha256"] == b["sha256"] and a["sha256"] is not None:
            for text in _faces_differ(_faces(*one, a["sha256"]), _faces(*other, b["sha256"]), tolerance):
                yield Difference(a["path"], text)


def _files(case: sqlite3.Connection, run_id: int) -> dict[bytes, sqlite3.Row]:
    rows = case.execute("SELECT * FROM files WHERE run_id = ?", (run_id,))
    return {row["path_bytes"]: row for row in rows}


def _faces(case: sqlite3.Connection, run_id: int, sha256: str) -> dict[tuple[int, int], sqlite3.Row]:
    rows = case.execute("SELECT * FROM faces WHERE run_id = ? AND sha256 = ?", (run_id, sha256))
    return {(row["frame_index"], row["face"]): row for row in rows}


def _faces_differ(
    mine: dict[tuple[int, int], sqlite3.Row],
    theirs: dict[tuple[int, int], sqlite3.Row],
    tolerance: float,
) -> Iterator[str]:
    for key in sorted(mine.keys() | theirs.keys()):
        name = f"frame {key[0]}, face {key[1]}"
        if key not in mine or key not in theirs:
            yield f"{name}: only in the {'first' if key in mine else 'second'}"
            continue
        a, b = mine[key], theirs[key]
        elsewhere = [column for column in PLACE if a[column] != b[column]]
        if elsewhere:
            yield f"{name}: other {', '.join(elsewhere)}"
        furthest = max(CLASSES, key=lambda c: abs(a[c] - b[c]))
        if abs(a[furthest] - b[furthest]) > tolerance:
            yield f"{name}: {furthest} {a[furthest]:.6f} / {b[furthest]:.6f}"
        elif a["label"] != b["label"]:
            yield f"{name}: label {a['label']} / {b['label']}"
