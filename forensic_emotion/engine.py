"""A folder of evidence → a run in a case: spreads the work and hands each outcome to the store.

Nothing else knows how work is spread. Today one worker looks at a file at a time (``isolation.py``);
whatever comes, ``pipeline.analyse`` stays the unit of work and the results stay the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from forensic_emotion.case.queries import Changes, Summary
from forensic_emotion.case.store import CaseStore
from forensic_emotion.errors import FemoError, UsageError
from forensic_emotion.evidence import Found, discover, utc_now
from forensic_emotion.isolation import Analyser
from forensic_emotion.records import Outcome, Run


class Progress(Protocol):
    """Is told how far a scan is."""

    def start(self, paths: int, size: int) -> None:
        """So many paths were discovered, with so many bytes together."""

    def frame(self, faces: int) -> None:
        """One more frame was looked at and had so many faces."""

    def done(self, found: Found, outcome: Outcome) -> None:
        """One more path has its outcome."""


@dataclass(frozen=True)
class Ended:
    """How a scan ended."""

    summary: Summary
    done_before: int
    """Paths of the run that were dealt with before this scan went on with it."""
    changes: Changes | None
    """Since the run before over the same folder."""
    results_digest: str
    """See ``case/digest.py``."""
    audit_head: str


def find_evidence(root: Path) -> list[Found]:
    """Every path below a folder.

    Raises:
        UsageError: there is none.
    """
    paths = list(discover(root))
    if not paths:
        raise UsageError(f"There is no evidence in {root}: the folder holds no files.")
    return paths


def scan(
    paths: list[Found], store: CaseStore, run: Run, analyser: Analyser, progress: Progress
) -> Ended:
    """Look at all the evidence found and write it to a case; go on where a scan like it was stopped.

    Every path's outcome is written as soon as it is there; an interruption loses only the file that
    was being looked at.

    Raises:
        KeyboardInterrupt: interrupted; the run is marked so.
    """
    run_id = store.begin(run)
    state = "failed"
    try:
        finished = {outcome.path: (sha256, outcome) for sha256, outcome in store.finished(run_id)}
        seen = {
            sha256: outcome
            for sha256, outcome in finished.values()
            if sha256 is not None and _first_of_its_bytes(outcome)
        }
        left = [found for found in paths if found.path not in finished]
        # What was looked at stays in the run, also if it has gone since.
        expected = len(finished) + len(left)
        store.set_discovered(run_id, expected)
        progress.start(len(left), sum(found.size for found in left))
        for outcome in _outcomes(left, analyser, progress, seen):
            store.add(run_id, outcome)
        summary = store.count(run_id)
        if summary.discovered != expected or sum(summary.states.values()) != expected:
            raise FemoError(f"{expected} paths were discovered, but {summary.states} accounted for.")
        state = "done"
    except KeyboardInterrupt:
        state = "interrupted"
        raise
    finally:
        digest, head = store.end_run(run_id, state, utc_now(), run.arguments)
    return Ended(summary, len(finished), store.changes(run_id), digest, head)


def _outcomes(
    paths: Iterable[Found], analyser: Analyser, progress: Progress, seen: dict[str, Outcome]
) -> Iterator[Outcome]:
    """The outcome of each path, in order; the same bytes are analysed once.

    Args:
        paths: what to look at.
        analyser: looks at them.
        progress: is told.
        seen: what became of which bytes (SHA-256) already; grows.
    """
    for found in paths:
        outcome = analyser.analyse(found, lambda e: seen.get(e.sha256), progress.frame)
        if outcome.evidence is not None and _first_of_its_bytes(outcome):
            seen[outcome.evidence.sha256] = replace(outcome, results=())
        progress.done(found, outcome)
        yield outcome


def _first_of_its_bytes(outcome: Outcome) -> bool:
    """Whether other paths with the same bytes can take over this outcome."""
    return outcome.kind is not None and outcome.same_as is None
