"""A folder of evidence → a run in a case: spreads the work and hands each outcome to the store.

Nothing else knows how work is spread: over workers (``isolation.py``), a file at a time each. Outcomes
are written in the order of the paths, so that the results are the same for any number of workers, and
what is in a case after a stop is the beginning of what would have been.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from queue import SimpleQueue
from typing import Protocol

from forensic_emotion.case.queries import Changes, Summary
from forensic_emotion.case.store import CaseStore
from forensic_emotion.errors import FemoError, UsageError
from forensic_emotion.evidence import Found, discover, utc_now
from forensic_emotion.isolation import Analyser
from forensic_emotion.pipeline import as_copy
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
    paths: list[Found], store: CaseStore, run: Run, analysers: Sequence[Analyser], progress: Progress
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
        finished = {}
        seen = set()
        for path, sha256 in store.finished(run_id):
            finished[path] = sha256
            if sha256 is not None:
                seen.add(bytes.fromhex(sha256))
        left = [found for found in paths if found.path not in finished]
        # What was looked at stays in the run, also if it has gone since.
        expected = len(finished) + len(left)
        store.set_discovered(run_id, expected)
        progress.start(len(left), sum(found.size for found in left))
        for found, looked_at in _outcomes(left, analysers, progress, seen):
            outcome = _with_first(looked_at, seen, store, run_id)
            progress.done(found, outcome)
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


AHEAD = 16
"""Paths for each worker that may be done before an earlier one is; their outcomes wait in memory."""


def _outcomes(
    paths: Iterable[Found],
    analysers: Sequence[Analyser],
    progress: Progress,
    seen: set[bytes],
) -> Iterator[tuple[Found, Outcome]]:
    """Each path with its outcome, in order.

    Args:
        paths: what to look at.
        analysers: look at them, each at one path at a time.
        progress: is told.
        seen: the SHA-256 of all media that were looked at before; whoever takes the outcomes adds to it.
    """
    free: SimpleQueue[Analyser] = SimpleQueue()
    for analyser in analysers:
        free.put(analyser)

    def look(found: Found) -> Outcome:
        analyser = free.get()
        try:
            return analyser.analyse(found, lambda e: bytes.fromhex(e.sha256) in seen, progress.frame)
        finally:
            free.put(analyser)

    threads = ThreadPoolExecutor(len(analysers))
    pending: deque[tuple[Found, Future[Outcome]]] = deque()
    left = iter(paths)
    try:
        while True:
            for found in islice(left, AHEAD * len(analysers) - len(pending)):
                pending.append((found, threads.submit(look, found)))
            if not pending:
                return
            found, future = pending.popleft()
            yield found, future.result()
    finally:
        threads.shutdown(wait=False, cancel_futures=True)


def _with_first(outcome: Outcome, seen: set[bytes], store: CaseStore, run_id: int) -> Outcome:
    """An outcome as it is, or as a copy of that of the first path with the same bytes.

    Also where both were in work at the same time: what is written first owns the faces.
    """
    if outcome.evidence is None or outcome.kind is None or outcome.known is not None:
        return outcome
    digest = bytes.fromhex(outcome.evidence.sha256)
    if digest in seen:
        return as_copy(store.first_with(run_id, outcome.evidence.sha256), outcome)
    seen.add(digest)
    return outcome
