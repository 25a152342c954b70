"""Two runs, of one case or of two → where their results differ.

What is compared is what the results digest covers, column by column: whatever makes two digests differ
is a difference that can be named. So what the file system says is left out, and so are reviews, which
are people's word and no result of a run.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from forensic_emotion.case.digest import (
    FILE_SYSTEM,
    OWN,
    FileRows,
    Row,
    digests_of,
    file_rows,
    run_digests,
    tolerant,
)
from forensic_emotion.case.queries import RunInfo, differing
from forensic_emotion.paths import as_text
from forensic_emotion.records import CLASSES

Side = tuple[sqlite3.Connection, int]
"""A case and the number of its run."""
NAMES = ("first", "second")
SHORT = 60
"""Characters of a value that is shown; longer ones, such as landmarks, are only named."""
FACE, TRACK = ("stream", "frame_index", "face"), ("track",)
"""What tells the faces, and the tracks, of a file from one another."""


@dataclass(frozen=True)
class Difference:
    """One thing that is not the same in both runs."""

    path: str
    """``compare`` fills it in."""
    text: str
    row: dict[str, object] = field(default_factory=dict)
    """What tells the face, track or problem from others of the file; empty for the file itself."""
    values: dict[str, tuple[object, object]] = field(default_factory=dict)
    """Column → its value in the first run and in the second; of scores all that differ. Empty where a
    row is in one of them only."""


@dataclass(frozen=True)
class Comparison:
    """What the comparison of two runs came to."""

    differences: list[Difference]
    close: int
    """Numbers that are not the same, but within the tolerance."""
    faults: list[str]
    """Where a run's rows are not what its digests say, in words."""

    @property
    def same(self) -> bool:
        return not self.differences and not self.faults


def made_otherwise(one: RunInfo, other: RunInfo) -> Iterator[str]:
    """Settings, model and versions in which two runs differ: what may be why their results do."""
    facts = [
        {
            **{f"setting {name}": value for name, value in run.settings.items()},
            "model": f"{run.model_name}, SHA-256 {run.model_sha256}",
            "threshold": run.threshold,
            **{f"version of {name}": value for name, value in run.versions.items()},
        }
        for run in (one, other)
    ]
    for name in differing(*facts):
        yield f"{name}: {facts[0].get(name)} / {facts[1].get(name)}"


def compare(one: Side, other: Side, tolerance: float) -> Comparison:
    """Where two runs differ: paths, files' facts, contents, problems, faces, tracks; and their digests.

    Args:
        one: a case and the number of its run.
        other: the other.
        tolerance: how far two numbers may lie apart; above 1 as a share of the larger one.
    """
    sides = (one, other)
    for case, _ in sides:
        case.text_factory = tolerant
    paths = [_paths(*side) for side in sides]
    numbers = _Numbers(tolerance)
    differences: list[Difference] = []
    changed = [0, 0]
    for path in sorted(paths[0].keys() | paths[1].keys(), key=lambda p: (str(type(p)), p)):
        found = [
            _checked(case, ids[path], changed, i) if path in ids else None
            for i, ((case, _), ids) in enumerate(zip(sides, paths, strict=True))
        ]
        a, b = found
        name = str((a or b or FileRows({})).file["path"])
        if a is None or b is None:
            differences.append(Difference(name, f"only in the {NAMES[0 if b is None else 1]}"))
        else:
            if (a.file["same_as"] is None) != (b.file["same_as"] is None):
                a, b = _with_content(one[0], a), _with_content(other[0], b)
            differences += [replace(found, path=name) for found in _files_differ(a, b, numbers)]
    faults = list(_digest_faults(sides, changed))
    stored = {_stored(side) for side in sides} - {None}  # a run that goes on has none yet
    if not differences and not numbers.close and not faults and len(stored) > 1:
        faults.append("the results digests differ, but no difference was found")
    return Comparison(differences, numbers.close, faults)


def _paths(case: sqlite3.Connection, run_id: int) -> dict[bytes, int]:
    return dict(case.execute("SELECT path_bytes, id FROM files WHERE run_id = ?", (run_id,)).fetchall())


def _checked(case: sqlite3.Connection, file_id: int, changed: list[int], side: int) -> FileRows:
    """A path's rows; counts it where they are not what its digest says."""
    rows = file_rows(case, file_id)
    changed[side] += digests_of(rows).results != rows.file["results_digest"]
    return rows


def _with_content(case: sqlite3.Connection, rows: FileRows) -> FileRows:
    """A path's rows, of a copy with the faces and tracks of the path that has the same bytes."""
    first = rows.file["same_as"]
    if not isinstance(first, int):
        return rows
    of_first = file_rows(case, first)
    return replace(rows, faces=of_first.faces, tracks=of_first.tracks)


def _stored(side: Side) -> object:
    case, run_id = side
    return case.execute("SELECT results_digest FROM runs WHERE id = ?", (run_id,)).fetchone()[0]


def _digest_faults(sides: tuple[Side, Side], changed: list[int]) -> Iterator[str]:
    for name, side, paths in zip(NAMES, sides, changed, strict=True):
        stored = _stored(side)
        if paths:
            yield (f"the {name}: the rows of {paths} paths do not match their digests; see femo verify")
        elif stored is not None and stored != run_digests(*side).results:
            yield f"the {name}: its results digest does not match its paths; see femo verify"


@dataclass
class _Numbers:
    """Tells numbers that are close from those that are not; counts the former."""

    tolerance: float
    close: int = field(default=0)

    def differ(self, a: object, b: object) -> bool:
        if type(a) is type(b) and a == b:
            return False
        # Whole numbers count something or name a place: near is not the same there.
        whole = not isinstance(a, float) and not isinstance(b, float)
        if whole or not isinstance(a, int | float) or not isinstance(b, int | float):
            return True
        if abs(a - b) > self.tolerance * max(1.0, abs(a), abs(b)):
            return True
        self.close += 1
        return False


def _files_differ(a: FileRows, b: FileRows, numbers: _Numbers) -> Iterator[Difference]:
    yield from _row_differs(a.file, b.file, numbers, FILE_SYSTEM | {"path_bytes"})
    first, second = (rows.first[0]["path_bytes"] if rows.first else None for rows in (a, b))
    if first != second:
        text = f"the same as {_text(first)} / {_text(second)}"
        yield Difference("", text, {}, {"same_as": (_plain(first), _plain(second))})
    if a.file["sha256"] != b.file["sha256"]:
        return  # other bytes: what is in them may be anything
    for mine, theirs in zip(a.evidence, b.evidence, strict=False):
        yield from _row_differs(mine, theirs, numbers)
    yield from _lists_differ("problem", a.problems, b.problems, numbers)
    yield from _keyed_differ(FACE, a.faces, b.faces, numbers)
    yield from _keyed_differ(TRACK, a.tracks, b.tracks, numbers)


def _keyed_differ(
    columns: tuple[str, ...], mine: list[Row], theirs: list[Row], numbers: _Numbers
) -> Iterator[Difference]:
    """Faces or tracks by what tells them apart, in its order."""
    left, right = ({tuple(row[c] for c in columns): row for row in rows} for rows in (mine, theirs))
    for key in sorted(left.keys() | right.keys(), key=lambda k: [(str(type(v)), v) for v in k]):
        row = dict(zip(columns, key, strict=True))
        words = {name: value for name, value in row.items() if (name, value) != ("stream", 0)}
        name = ", ".join(f"{c.removesuffix('_index')} {value}" for c, value in words.items())
        if key not in left or key not in right:
            yield Difference("", f"{name}: only in the {NAMES[0 if key in left else 1]}", row)
        else:
            for found in _row_differs(left[key], right[key], numbers):
                yield replace(found, text=f"{name}: {found.text}", row=row)


def _lists_differ(
    what: str, mine: list[Row], theirs: list[Row], numbers: _Numbers
) -> Iterator[Difference]:
    for i in range(max(len(mine), len(theirs))):
        if i >= len(mine) or i >= len(theirs):
            name = f"{what} {(mine if i < len(mine) else theirs)[i]['class']}"
            yield Difference("", f"{name}: only in the {NAMES[0 if i < len(mine) else 1]}", {what: i})
        else:
            for found in _row_differs(mine[i], theirs[i], numbers):
                name = f"{what} {mine[i]['class']}"
                yield replace(found, text=f"{name}: {found.text}", row={what: i})


def _row_differs(
    a: Row, b: Row, numbers: _Numbers, without: frozenset[str] = frozenset()
) -> Iterator[Difference]:
    """What two rows that belong together do not have in common; of the probabilities the furthest."""
    names = [name for name in a if name not in OWN | without and numbers.differ(a[name], b[name])]
    scores = [name for name in names if name in CLASSES]
    if scores:
        furthest = max(scores, key=lambda name: _apart(a[name], b[name]))
        yield _told(f"{furthest} {_pair(a[furthest], b[furthest])}", scores, a, b)
    others = [name for name in names if name not in CLASSES]
    unshown = [name for name in others if max(len(_text(a[name])), len(_text(b[name]))) > SHORT]
    for name in others:
        if name not in unshown:
            yield _told(f"{name}: {_pair(a[name], b[name])}", [name], a, b)
    if unshown:
        yield _told(f"other {', '.join(unshown)}", unshown, a, b)


def _told(text: str, names: Sequence[str], a: Row, b: Row) -> Difference:
    return Difference("", text, {}, {name: (_plain(a[name]), _plain(b[name])) for name in names})


def _plain(value: object) -> object:
    """A value as JSON has it; a picture by its SHA-256."""
    if not isinstance(value, bytes):
        return value
    return value.hex() if len(value) <= SHORT else f"SHA-256 {hashlib.sha256(value).hexdigest()}"


def _apart(a: object, b: object) -> float:
    numeric = isinstance(a, int | float) and isinstance(b, int | float)
    return abs(a - b) if numeric else float("inf")  # type: ignore[operator]


def _pair(a: object, b: object) -> str:
    """Two values that differ, with as many digits as it takes to see it."""
    one, other = _text(a), _text(b)
    return f"{a!r} / {b!r}" if one == other else f"{one} / {other}"


def _text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.6f}"
    return as_text(value) if isinstance(value, bytes) else str(value)
