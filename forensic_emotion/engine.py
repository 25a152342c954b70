"""A folder of evidence → a run in a case: spreads the work and hands each outcome to the store.

Nothing else knows how work is spread: over workers (``isolation.py``), a file, or a piece of a long
video, at a time each. Outcomes are written in the order of the paths, so that the results are the same
for any number of workers, and what is in a case after a stop is the beginning of what would have been.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import count, islice
from pathlib import Path
from queue import PriorityQueue, SimpleQueue
from threading import Lock
from typing import TYPE_CHECKING, Protocol, TypeVar
from weakref import WeakSet

from forensic_emotion.case.queries import Changes, Summary
from forensic_emotion.case.store import CaseStore
from forensic_emotion.errors import FemoError, UsageError
from forensic_emotion.evidence import Found, changed_since, discover
from forensic_emotion.faces.tracks import link
from forensic_emotion.isolation import Analyser
from forensic_emotion.moments import utc_now
from forensic_emotion.outcomes import as_copy, joined, with_changes
from forensic_emotion.records import FaceResult, Identified, Outcome, Piece, Planned, Run, Track
from forensic_emotion.settings import sampling_step
from forensic_emotion.spool import Kept, Pile, Spool, Tracked

if TYPE_CHECKING:
    from forensic_emotion.pipeline import Seen

T = TypeVar("T")


class Progress(Protocol):
    """Is told how far a scan is."""

    def start(self, paths: int, size: int) -> None:
        """So many paths were discovered, with so many bytes together."""

    def read(self, found: Found, size: int) -> None:
        """So many more bytes of a path were hashed."""

    def frame(self, faces: int) -> None:
        """One more frame was looked at and had so many faces."""

    def done(self, found: Found, outcome: Outcome) -> None:
        """One more path has its outcome."""

    def changed(self, path: bytes, text: str) -> None:
        """A path that was done before the scan was stopped is another one now."""


@dataclass(frozen=True)
class Ended:
    """How a scan ended."""

    summary: Summary
    done_before: int
    """Paths of the run that were dealt with before this scan went on with it."""
    changes: Changes | None
    """Since the run before over the same folder."""
    is_latest: bool
    """Whether no later run is in the case; what asks a case without saying of which run asks that."""
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
        raise UsageError(
            f"There is no evidence in {root}: the folder holds no files.",
            "Give the folder that holds the files, or one file. Is the drive mounted?",
        )
    return paths


def scan(
    paths: list[Found], store: CaseStore, run: Run, analysers: Sequence[Analyser], progress: Progress
) -> Ended:
    """Look at all the evidence found and write it to a case; go on where a scan like it was stopped.

    Every path's outcome is written as soon as it and those of the paths before it are there; an
    interruption loses the files that are being looked at, and those done behind one of these.

    Raises:
        KeyboardInterrupt: interrupted; the run is marked so.
    """
    run_id = store.begin(run)
    state = "failed"
    try:
        finished, unread = store.finished(run_id), store.unread(run_id)
        there = {found.path: found for found in paths}
        again = {
            path
            for path, state in unread.items()
            if path in there and not (state == "skipped" and there[path].skip)  # a link, and still one
        }
        gone = unread.keys() - there.keys()
        listed = gone & set(_folders(there)) if gone else gone
        left = [found for found in paths if found.path not in finished or found.path in again]
        for path in sorted(finished - again - listed):
            _tell_if_changed(path, there.get(path), store, run_id, progress)
        # What was looked at stays in the run, also if it has gone since.
        expected = len((finished | there.keys()) - listed)
        store.set_discovered(run_id, expected)
        progress.start(len(left), sum(found.size for found in left))

        def seen(identified: Identified) -> bool:
            return store.has(run_id, identified.evidence.sha256)

        for found, looked_at in _outcomes(left, analysers, progress, seen, store.folder):
            outcome = _with_tracks(_with_first(looked_at, store, run_id), run)
            progress.done(found, outcome)
            store.add(run_id, outcome)
        if listed:
            store.take_back(run_id, listed)  # now that all is in the case that lies in them
        summary = store.count(run_id)
        if summary.discovered != expected or sum(summary.states.values()) != expected:
            raise FemoError(
                f"{expected} paths were discovered, but {summary.states} accounted for.",
                "This is a bug in femo. The run is kept and marked as failed; scan into a new case.",
            )
        state = "done"
    except KeyboardInterrupt:
        state = "interrupted"
        raise
    finally:
        digest, head = store.end_run(run_id, state, utc_now(), run.arguments)
    changes, is_latest = store.changes(run_id), store.is_latest(run_id)
    return Ended(summary, len(finished - again), changes, is_latest, digest, head)


def _folders(paths: Iterable[bytes]) -> Iterator[bytes]:
    """Every folder that paths lie in, the evidence folder as it is named if it cannot be listed."""
    yield b"."
    for path in paths:
        while path := path.rpartition(b"/")[0]:
            yield path


def _tell_if_changed(
    path: bytes, found: Found | None, store: CaseStore, run_id: int, progress: Progress
) -> None:
    """Give a file that was dealt with before the scan was stopped a problem if it is another one now.

    Another drive may be mounted where the first one was. What was found stays: it is of what was there.
    """
    before = store.looked_at(run_id, path)
    if before is None:
        return
    what = "gone" if found is None else ", ".join(changed_since(found, before.stamp))
    if what and not before.last_change.endswith(what):
        text = f"changed since it was analysed, before the scan was stopped: {what}"
        progress.changed(path, text)
        store.mark_changed(run_id, before.id, text)


AHEAD = 32
"""Paths for each worker that may be done before an earlier one is, and wait in memory for it."""
FAR_AHEAD = 4096
"""Paths in all that may be done before one that takes long is; their faces wait on the disk. If the scan
is killed, they are looked at again."""
MOST_SPOOLS = 200
"""Open at once, one for each video that is cut: a process may have 1,024 files open on many systems."""


class _Jobs:
    """The work on paths, spread over the analysers; each is at one path, or piece of one, at a time.

    In the order of the paths: the pieces of a video come before the paths behind it.
    """

    def __init__(
        self,
        analysers: Sequence[Analyser],
        progress: Progress,
        seen: Seen,
        folder: Path,
    ) -> None:
        self._free: SimpleQueue[Analyser] = SimpleQueue()
        for analyser in analysers:
            self._free.put(analyser)
        self._threads = ThreadPoolExecutor(len(analysers))
        self._progress, self._seen, self._folder = progress, seen, folder
        self._waiting: PriorityQueue[tuple[int, int, Callable[[], None]]] = PriorityQueue()
        self._numbers = count()
        self._near = AHEAD * len(analysers)
        self._taken = 0
        self._spooling = Lock()
        self._spools: WeakSet[Spool] = WeakSet()

    def submit(self, place: int, found: Found, *, first: bool = False) -> Future[Outcome | _Split]:
        """Have the path at a place among all looked at, before all others if so."""
        return self._submit(-1 if first else place, partial(self._look, place, found))

    def _submit(self, place: int, work: Callable[[], T]) -> Future[T]:
        future: Future[T] = Future()

        def do() -> None:
            try:
                future.set_result(work())
            except BaseException as error:  # whoever waits for it gets it
                future.set_exception(error)

        self._waiting.put((place, next(self._numbers), do))
        try:
            self._threads.submit(lambda: self._waiting.get_nowait()[-1]())
        except RuntimeError as error:
            raise FemoError(
                f"The system cannot start another thread: {error}.",
                "Use fewer --workers, or raise the limit that ulimit -u shows.",
            ) from error
        return future

    def _look(self, place: int, found: Found) -> Outcome | _Split:
        outcome = self._looked_at(found, whole=False)
        if isinstance(outcome, Outcome):
            waits = isinstance(outcome.results, Kept)  # on the disk already
            if outcome.results and not waits and place - self._taken > self._near:
                outcome = replace(outcome, results=self._aside(tuple(outcome.results)))
            return outcome
        spool = self._own_spool()
        pieces = [
            self._submit(place, partial(self._piece, found, outcome, piece, spool))
            for piece in outcome.pieces
        ]
        return _Split(place, outcome, pieces)

    def _looked_at(self, found: Found, *, whole: bool) -> Outcome | Planned:
        with self._analyser() as analyser:
            return analyser.analyse(
                found,
                self._seen,
                self._progress.frame,
                whole=whole,
                on_read=partial(self._progress.read, found),
                aside=self._aside,
            )

    def _aside(self, results: Sequence[FaceResult]) -> Kept[FaceResult]:
        with self._spooling:  # the file is made with the first face that is put there
            spool = self._spool
        return spool.keep(results)

    def _own_spool(self) -> Spool:
        """For the pieces of one video, gone with it; the common one where many of them are open."""
        with self._spooling:
            if len(self._spools) >= MOST_SPOOLS:
                return self._spool
            spool = Spool(self._folder)
            self._spools.add(spool)
        return spool

    @cached_property
    def _spool(self) -> Spool:
        return Spool(self._folder)

    def _piece(self, found: Found, planned: Planned, piece: Piece, spool: Spool) -> Outcome:
        with self._analyser() as analyser:
            outcome = analyser.analyse_piece(found, planned.evidence, piece, self._progress.frame)
        # Hours of a crowd would fill the memory before the last piece is there.
        return replace(outcome, results=spool.keep(tuple(outcome.results)))

    def result(self, found: Found, future: Future[Outcome | _Split]) -> Outcome:
        """The outcome of the next path, once it is there.

        A video whose pieces are not sound is looked at again.
        """
        done = future.result()
        self._taken += 1
        if isinstance(done, Outcome):
            return done
        pieces = [piece.result() for piece in done.pieces]
        outcome = joined(done.planned, pieces)
        if outcome is not None:
            return outcome
        again = self._submit(done.place, partial(self._looked_at, found, whole=True)).result()
        assert isinstance(again, Outcome), "a whole is not cut"
        return with_changes(again, pieces)

    @contextmanager
    def _analyser(self) -> Iterator[Analyser]:
        analyser = self._free.get()
        try:
            yield analyser
        finally:
            self._free.put(analyser)

    def end(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


@dataclass(frozen=True, eq=False)
class _Split:
    """A video in pieces, each being looked at."""

    place: int
    planned: Planned
    pieces: list[Future[Outcome]]


def _outcomes(
    paths: Sequence[Found],
    analysers: Sequence[Analyser],
    progress: Progress,
    seen: Seen,
    folder: Path,
) -> Iterator[tuple[Found, Outcome]]:
    """Each path with its outcome, in order.

    Args:
        paths: what to look at.
        analysers: look at them.
        progress: is told.
        seen: whether media with the same bytes were looked at before and their outcome taken; called
            from any thread.
        folder: where what waits for the rest of a long video may lie.
    """
    jobs = _Jobs(analysers, progress, seen, folder)
    pending: deque[tuple[Found, Future[Outcome | _Split]]] = deque()
    left = enumerate(paths)
    early = {p: jobs.submit(p, paths[p], first=True) for p in _large(paths, len(analysers))}
    try:
        while True:
            for place, found in islice(left, FAR_AHEAD - len(pending)):
                begun = place in early
                pending.append((found, early.pop(place) if begun else jobs.submit(place, found)))
            if not pending:
                return
            found, future = pending.popleft()
            yield found, jobs.result(found, future)
    finally:
        jobs.end()


def _large(paths: Sequence[Found], workers: int) -> list[int]:
    """The places of the files to begin with, the largest first.

    Lest one of them keeps a single core busy at the end: those that hold a good part of all bytes, and
    no more of them than there are workers, for their outcomes wait for those of the paths before them.
    """
    if workers == 1:
        return []
    much = sum(found.size for found in paths) / (4 * workers)
    large = [place for place, found in enumerate(paths) if found.size > max(much, LARGE)]
    return sorted(large, key=lambda place: -paths[place].size)[:workers]


LARGE = 1 << 20
"""Bytes; what is smaller is done soon."""


def _with_first(outcome: Outcome, store: CaseStore, run_id: int) -> Outcome:
    """An outcome as it is, or as a copy of that of the first path with the same bytes.

    Also where both were in work at the same time: what is written first owns the faces.
    """
    if outcome.evidence is None or outcome.kind is None or outcome.known is not None:
        return outcome
    first = store.first_with(run_id, outcome.evidence.sha256)
    return as_copy(first, outcome) if first else outcome


def _with_tracks(outcome: Outcome, run: Run) -> Outcome:
    """An outcome whose faces, if it is a video's, know their tracks."""
    if outcome.kind != "video" or not outcome.results:
        return outcome
    interval = float(sampling_step(run.settings) or 0)
    # An hour of a crowd has thousands; they wait where the faces do.
    spool = outcome.results.spool if isinstance(outcome.results, Kept) else None
    tracks = Pile[Track](spool)
    numbers = link(outcome.results, interval, run.model.labels, run.model.threshold, tracks.add)
    return replace(outcome, results=Tracked(outcome.results, numbers), tracks=tracks.whole())
