"""A folder of evidence → a run in a case: spreads the work and hands each outcome to the store.

Nothing else knows how work is spread. Today one process does it all, a file at a time; whatever comes,
``pipeline.analyse`` stays the unit of work and the results stay the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from forensic_emotion.case.store import CaseStore
from forensic_emotion.errors import FemoError, UsageError
from forensic_emotion.evidence import Found, discover, utc_now
from forensic_emotion.pipeline import Tools, analyse
from forensic_emotion.records import STATES, Outcome, Run, State


class Progress(Protocol):
    """Is told how far a scan is."""

    def start(self, paths: int, size: int) -> None:
        """So many paths were discovered, with so many bytes together."""

    def frame(self, faces: int) -> None:
        """One more frame was looked at and had so many faces."""

    def done(self, found: Found, outcome: Outcome) -> None:
        """One more path has its outcome."""


@dataclass(frozen=True)
class Summary:
    """What a scan came to."""

    run_id: int
    discovered: int
    states: dict[State, int]
    """How many paths ended in each state; they add up to ``discovered``."""
    frames: int
    faces: int
    problems: int
    known: int
    """Paths that were skipped as their hash is in a list of known ones."""
    notable: int
    """Paths whose hash is in a list of notable ones."""
    results_digest: str = ""
    """See ``case/digest.py``."""
    audit_head: str = ""


def find_evidence(root: Path) -> list[Found]:
    """Every path below a folder.

    Raises:
        UsageError: there is none.
    """
    paths = list(discover(root))
    if not paths:
        raise UsageError(f"There is no evidence in {root}: the folder holds no files.")
    return paths


def scan(paths: list[Found], store: CaseStore, run: Run, tools: Tools, progress: Progress) -> Summary:
    """Look at all the evidence found and write it to a case.

    Every path's outcome is written as soon as it is there; an interruption loses only the file that
    was being looked at.

    Raises:
        KeyboardInterrupt: interrupted; the run is marked so.
    """
    run_id = store.start_run(run)
    state = "failed"
    try:
        store.set_discovered(run_id, len(paths))
        progress.start(len(paths), sum(found.size for found in paths))
        summary = _count(run_id, _outcomes(paths, tools, progress), store)
        if summary.discovered != len(paths) or sum(summary.states.values()) != len(paths):
            raise FemoError(f"{len(paths)} paths were discovered, but {summary.states} accounted for.")
        state = "done"
    except KeyboardInterrupt:
        state = "interrupted"
        raise
    finally:
        digest, head = store.end_run(run_id, state, utc_now(), run.arguments)
    return replace(summary, results_digest=digest, audit_head=head)


def _outcomes(paths: Iterable[Found], tools: Tools, progress: Progress) -> Iterator[Outcome]:
    """The outcome of each path, in order; the same bytes are analysed once."""
    seen: dict[str, Outcome] = {}
    for found in paths:
        outcome = analyse(found, tools, seen.get, progress.frame)
        if outcome.kind is not None and outcome.evidence is not None and outcome.same_as is None:
            seen[outcome.evidence.sha256] = replace(outcome, results=())
        progress.done(found, outcome)
        yield outcome


def _count(run_id: int, outcomes: Iterable[Outcome], store: CaseStore) -> Summary:
    """Write the outcomes and add them up."""
    states: Counter[State] = Counter()
    discovered = frames = faces = problems = known = notable = 0
    for outcome in outcomes:
        store.add(run_id, outcome)
        discovered += 1
        states[outcome.state] += 1
        problems += len(outcome.problems)
        known += outcome.known is not None
        notable += outcome.notable is not None
        if outcome.same_as is None:
            frames += outcome.frames
            faces += outcome.faces
    in_order = {state: states[state] for state in STATES}
    return Summary(run_id, discovered, in_order, frames, faces, problems, known, notable)
