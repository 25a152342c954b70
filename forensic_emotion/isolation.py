"""The work on a file in a process of its own: what crashes, hangs or floods it costs that file only.

A worker is a fresh interpreter with limits that the kernel holds. It is given one path at a time and
sends a sign of life after each frame. If it is lost, the path is tried once more in a fresh one; then it
gets the state that says how it was lost, and the next path gets a fresh worker.
"""

from __future__ import annotations

import logging
import os
import pickle
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal, Protocol

from forensic_emotion.errors import FemoError
from forensic_emotion.evidence import Found
from forensic_emotion.file_facts import facts_at
from forensic_emotion.hashes import OnRead, unwatched
from forensic_emotion.media_types import kind_of
from forensic_emotion.records import (
    Evidence,
    FaceResult,
    Identified,
    Outcome,
    Piece,
    Planned,
    Problem,
    ToolFacts,
)
from forensic_emotion.settings import ScanSettings
from forensic_emotion.spool import together

if TYPE_CHECKING:
    from forensic_emotion.hashsets import ListFile

    # Whoever only starts workers need not wait for decoders and models to be imported.
    from forensic_emotion.pipeline import OnFrame, Seen, Tools

log = logging.getLogger(__name__)

RENEW_AFTER = 500
"""Paths after which a worker is replaced, so that what a library leaks does not add up."""
SLOWEST = 1_000_000
"""Bytes a second below which reading and decoding a file counts as hanging."""
MOST_FOR_SIZE = 3600.0
"""Seconds that a file's size adds to patience at most: holes cost nothing, and have a size."""
SAY_EVERY = 0.2
"""Seconds between two signs of life while a file is hashed."""
LOADING = 120.0
"""Seconds that a worker may take to load models and lists."""

STEP = 1.0
"""Seconds of waiting at a time."""
ONE_THREAD = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
"""Workers share the cores by files. Else libraries would start a thread a core in each of them, and the
stacks of 64 would take all the memory that a worker may have."""

Loss = Literal["crashed", "timeout", "out_of_memory"]


Aside = Callable[[Sequence[FaceResult]], Collection[FaceResult]]
"""Puts faces where they need no memory."""


class Analyser(Protocol):
    """Looks at a path or a piece of one, as ``pipeline.py`` does, wherever that runs.

    The faces of a long video that is looked at in one go are put aside while it is looked at.
    """

    def analyse(
        self,
        found: Found,
        seen: Seen,
        on_frame: OnFrame,
        *,
        whole: bool = False,
        on_read: OnRead = unwatched,
        aside: Aside | None = None,
    ) -> Outcome | Planned: ...

    def analyse_piece(
        self, found: Found, evidence: Evidence, piece: Piece, on_frame: OnFrame
    ) -> Outcome: ...


@dataclass(frozen=True)
class Task:
    """What a worker is given."""

    found: Found
    whole: bool = False
    evidence: Evidence | None = None
    """With a piece: what was told of the file."""
    piece: Piece | None = None


@dataclass(frozen=True, eq=False)
class Parent:
    """Who answers and is told while a worker is at a task."""

    seen: Seen
    on_frame: OnFrame
    on_read: OnRead
    aside: Aside


@dataclass(frozen=True)
class Equipment:
    """What a worker is to load; called there, gives the tools."""

    settings: ScanSettings
    known: tuple[ListFile, ...]
    notable: tuple[ListFile, ...]

    def __call__(self) -> Tools:
        from forensic_emotion.pipeline import load_tools

        return load_tools(self.settings, self.known, self.notable)


@dataclass(frozen=True)
class Limits:
    """What a worker may take."""

    memory: int
    """Bytes of memory of its own."""
    patience: float
    """Seconds without a sign of life after which it is taken to hang; a file's size adds to them."""

    def silence(self, found: Found) -> float:
        """Seconds that it may be silent over a path."""
        return self.patience + min(found.size / SLOWEST, MOST_FOR_SIZE)


class Lost(Exception):
    """A worker is gone, or had to be ended."""

    def __init__(self, loss: Loss, text: str, told: Identified | None) -> None:
        super().__init__(text)
        self.loss: Loss = loss
        self.text = text
        self.told = told


class Isolated:
    """Looks at files in a worker; a context that starts it, without waiting for it, and ends it."""

    def __init__(
        self, load: Callable[[], Tools], limits: Limits, expected: ToolFacts | None = None
    ) -> None:
        """Args: expected: what every worker must look at files with; None for what the first one has."""
        self._load, self._limits, self._expected = load, limits, expected
        self._worker: Worker | None = None
        self._closed = False
        self._changing = Lock()

    def __enter__(self) -> Isolated:
        self._started()
        return self

    def _started(self) -> Worker:
        """The worker; a fresh one if there is none.

        Raises:
            Lost: there shall be none any more.
        """
        # An end that comes from another thread while this one starts a worker must not miss it.
        with self._changing:
            if self._closed:
                raise Lost("crashed", "the scan was ended", None)
            self._worker = self._worker or Worker(self._load, self._limits)
            return self._worker

    @property
    def facts(self) -> ToolFacts:
        """What its worker looks at files with; waits for it.

        Raises:
            FemoError: the tools cannot be loaded.
        """
        return self._ready().facts

    def _ready(self) -> Worker:
        """The worker once it has loaded what it needs; a fresh one if it is lost or was lost before.

        Raises:
            FemoError: it cannot be started, or looks at files with other tools than the run began with.
        """
        for again in (False, True):
            try:
                worker = self._started()
                facts = worker.facts
                break
            except Lost as lost:  # perhaps by chance; once more
                self._end()
                if again or self._closed:
                    raise FemoError(
                        f"A worker could not be started: {lost.text}, twice.",
                        "The cause may be too little memory: try fewer --workers or a higher"
                        " --max-memory.",
                    ) from lost
        if self._expected is None:
            self._expected = facts
        if worker.paths == 0 and facts != self._expected:
            raise FemoError(
                "A model, a list of hashes or a library was changed since the run began.",
                "What was analysed by then is kept. Restore what was there and run the same command"
                " again, or scan into another case.",
            )
        return worker

    def __exit__(self, *_: object) -> None:
        with self._changing:
            self._closed = True  # a thread that still waits for the worker must not start another
        self._end()

    def analyse(
        self,
        found: Found,
        seen: Seen,
        on_frame: OnFrame,
        *,
        whole: bool = False,
        on_read: OnRead = unwatched,
        aside: Aside | None = None,
    ) -> Outcome | Planned:
        """As ``pipeline.analyse``; a path that costs two workers has the state that says how."""
        return self._do(Task(found, whole), Parent(seen, on_frame, on_read, aside or tuple))

    def analyse_piece(
        self, found: Found, evidence: Evidence, piece: Piece, on_frame: OnFrame
    ) -> Outcome:
        """As ``pipeline.analyse_piece``."""
        task = Task(found, evidence=evidence, piece=piece)
        outcome = self._do(task, Parent(lambda _: False, on_frame, unwatched, tuple))
        assert isinstance(outcome, Outcome), "a piece is not cut again"
        return outcome

    def _do(self, task: Task, parent: Parent) -> Outcome | Planned:
        worker = self._worker
        if worker is not None and worker.paths >= RENEW_AFTER:
            self._end()
        before: Outcome | None = None
        try:
            outcome = self._ask(task, parent)
            if isinstance(outcome, Planned) or not _wants_memory(outcome):
                return outcome
            before = outcome
            self._end()
        except Lost:
            pass
        # Perhaps for what came before it; once more, with nothing before it.
        try:
            return self._ask(task, parent)
        except Lost as lost:
            if before is not None:
                return before
            problem = Problem("analyse", lost.loss, f"{lost.text}, twice; nothing is known about it")
            outcome = Outcome(task.found.path, task.found.path_text, lost.loss, problems=(problem,))
            if lost.told is None:
                # Of one that hangs the parent asks nothing: it may be the file system.
                unread = None if lost.loss == "timeout" else facts_at(task.found.full)
                return replace(outcome, unread=unread)
            evidence = lost.told.evidence
            kind = kind_of(evidence.media_type)
            return replace(outcome, evidence=evidence, kind=kind, notable=lost.told.notable)

    def _ask(self, task: Task, parent: Parent) -> Outcome | Planned:
        worker = self._ready()
        try:
            return worker.ask(task, parent)
        except BaseException:
            # It may still wait for an answer, or have more to tell: the next file would get this one's.
            self._end()
            raise

    def _end(self) -> None:
        with self._changing:
            worker, self._worker = self._worker, None
        if worker is not None:
            worker.end()


def _wants_memory(outcome: Outcome) -> bool:
    """Whether a decoder went on without memory that it asked for."""
    return any(problem.problem == "out_of_memory" for problem in outcome.problems)


class Worker:
    """One process, seen from its parent."""

    def __init__(self, load: Callable[[], Tools], limits: Limits) -> None:
        self.paths = 0
        self._facts: ToolFacts | None = None
        self._limits = limits
        # A fresh interpreter: it inherits no lock, no open case and no thread. Not multiprocessing's:
        # that looks for modules in the working directory first, which may be the evidence, and loads
        # the whole command line once more.
        try:
            self._pipe, theirs = Pipe()
            with closing(theirs):
                self._process = subprocess.Popen(
                    [sys.executable, "-I", "-c", PROGRAM, repr(_search_path()), str(theirs.fileno())],
                    stdin=subprocess.DEVNULL,
                    pass_fds=(theirs.fileno(),),
                    env={**os.environ, **ONE_THREAD},
                )
        except OSError as error:
            raise FemoError(
                f"A worker cannot be started: {error.strerror or error}.",
                "Use fewer --workers, or raise the limits that ulimit -a shows.",
            ) from error
        with suppress(BrokenPipeError):  # told where its answer is waited for
            self._pipe.send((load, limits))

    @property
    def facts(self) -> ToolFacts:
        """What it looks at files with, once it has loaded that; the parent need not wait for it before.

        Raises:
            FemoError: the tools cannot be loaded.
            Lost: the process is gone or had to be ended.
        """
        if self._facts is not None:
            return self._facts
        what, value = self._hear(LOADING, None)
        if what == "failed":
            self.end()
            raise value
        facts: ToolFacts = value
        self._facts = facts
        return facts

    def ask(self, task: Task, parent: Parent) -> Outcome | Planned:
        """Have a path, or a piece, looked at.

        Raises:
            FemoError: what it looks at files with does not work any more.
            Lost: the process is gone or had to be ended.
        """
        self.paths += 1
        told: Identified | None = None
        faces: list[Collection[FaceResult]] = []
        try:
            self._pipe.send(task)
            while True:
                what, value = self._hear(self._limits.silence(task.found), told)
                if what == "done":
                    outcome: Outcome | Planned = value
                    if faces and isinstance(outcome, Outcome) and outcome.faces:
                        faces.append(parent.aside(tuple(outcome.results)))
                        return replace(outcome, results=together(faces))
                    return outcome
                if what == "seen":
                    told = value
                    self._pipe.send(parent.seen(value))
                elif what == "frame":
                    parent.on_frame(value)
                elif what == "faces":
                    faces.append(parent.aside(value))
                elif what == "read":
                    parent.on_read(value)
                elif what == "failed":
                    raise value
                else:
                    raise Lost("out_of_memory", self._too_much(value), told)
        except BrokenPipeError:
            raise self._gone(told) from None

    def _hear(self, seconds: float, told: Identified | None) -> tuple[str, Any]:
        left = seconds
        try:
            # In short steps: while this process is suspended itself, no time of the worker's passes.
            while not self._pipe.poll(min(STEP, left)):
                left -= STEP
                if left <= 0:
                    raise Lost("timeout", f"no sign of life for {seconds:.0f} seconds", told)
            what, value = self._pipe.recv()
            return what, value
        except (EOFError, OSError, pickle.UnpicklingError):  # also amid what it was saying
            raise self._gone(told) from None

    def _gone(self, told: Identified | None) -> Lost:
        """How a process ended that closed its pipe."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(5)
        code = self._process.poll()
        if code == -signal.SIGXCPU:
            return Lost("timeout", "exceeded its limit of processor time", told)
        if code == -signal.SIGKILL:  # not by us: the kernel does so when memory runs out
            return Lost("out_of_memory", "ended by the system (SIGKILL), as when memory runs out", told)
        how = f"exit code {code}"
        if code is not None and code < 0:
            names = {each.value: each.name for each in signal.Signals}  # real-time ones have none
            how = f"signal {-code}, {names.get(-code, 'without a name')}"
        return Lost("crashed", f"a decoder or a library crashed ({how})", told)

    def _too_much(self, allowed: int) -> str:
        most = f"{min(allowed, self._limits.memory) >> 20} MiB of memory"
        if allowed < self._limits.memory:
            return f"asked for more than {most}, the system's limit for a process (ulimit -v, -d)"
        return f"asked for more than {most} (--max-memory)"

    def end(self) -> None:
        self._process.kill()
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            # It waits for a file system that does not answer, and ends when that does. We go on.
            _LEFT.append(self._process)
        self._pipe.close()


END_SECONDS = 5.0
_LEFT: list[subprocess.Popen[bytes]] = []
"""Processes that could not be ended; kept, for Python warns of one that it forgets."""


PROGRAM = """\
import ast, signal, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.signal(signal.SIGHUP, signal.SIG_IGN)
signal.signal(signal.SIGUSR1, signal.SIG_IGN)
sys.path[:] = ast.literal_eval(sys.argv[1])
from forensic_emotion.isolation import serve
serve(int(sys.argv[2]))
"""
"""What a worker is. Ctrl-C goes to every process of the terminal, as its end does, SIGTERM and SIGUSR1
often to the whole group; the parent decides."""


def _search_path() -> list[str]:
    """Where a worker finds modules: as its parent does, but never where it happens to be."""
    return [folder for folder in sys.path if Path(folder).is_absolute()]


# ---- in the worker ---------------------------------------------------------------------------------


def serve(descriptor: int) -> None:
    """What a worker does until its parent closes the pipe.

    Args:
        descriptor: of its end of the pipe.
    """
    pipe = Connection(descriptor)
    load: Callable[[], Tools]
    limits: Limits
    load, limits = pipe.recv()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        from forensic_emotion.pipeline import analyse, analyse_piece

        tools = load()
        facts = tools.facts()
    except FemoError as error:
        pipe.send(("failed", error))
        return
    except Exception as error:  # what libraries raise where memory or threads are short
        text = f"A worker cannot load what it needs: {type(error).__name__}: {error}."
        pipe.send(("failed", FemoError(text, "Is there too little memory? ulimit -a shows the limits.")))
        return
    # A worker writes no file, whatever a hostile file makes a library do.
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    _limit(resource.RLIMIT_DATA, limits.memory)
    pipe.send(("ready", facts))
    while True:
        try:
            task: Task = pipe.recv()
        except EOFError:
            return
        silence = limits.silence(task.found)
        _allow_processor(silence)
        teller = _Teller(pipe, silence)
        outcome: Outcome | Planned
        try:
            if task.evidence is not None and task.piece is not None:
                outcome = analyse_piece(
                    task.found, task.evidence, task.piece, tools, teller.frame, teller.read
                )
            else:
                outcome = analyse(
                    task.found,
                    tools,
                    teller.seen,
                    teller.frame,
                    whole=task.whole,
                    on_read=teller.read,
                    on_faces=teller.faces,
                )
            done = pickle.dumps(("done", outcome))  # here, for that takes memory too
        except MemoryError:
            pipe.send(("memory", _allowed()))
            return
        except FemoError as error:  # not of the file: a list of hashes that is not there any more
            pipe.send(("failed", error))
            return
        except Exception as error:  # outside what ``analyse`` looks after: it costs this file, and shows
            log.debug("fault in a worker", exc_info=True)
            text = f"bug in femo or a library: {type(error).__name__}: {error}"
            problems = (Problem("analyse", "fault", text),)
            found = task.found
            outcome = Outcome(found.path, found.path_text, "failed", problems=problems)
            done = pickle.dumps(("done", outcome))
        pipe.send_bytes(done)


class _Teller:
    """Tells the parent how far the work on a task is, and asks it; each is a sign of life."""

    def __init__(self, pipe: Connection, silence: float) -> None:
        self._pipe, self._silence = pipe, silence
        self._unsaid, self._said_at = 0, time.monotonic()

    def seen(self, identified: Identified) -> bool:
        self._pipe.send(("seen", identified))
        return bool(self._pipe.recv())

    def frame(self, faces: int) -> None:
        _allow_processor(self._silence)
        self._pipe.send(("frame", faces))

    def faces(self, faces: tuple[FaceResult, ...]) -> None:
        self._pipe.send(("faces", faces))

    def read(self, size: int) -> None:
        self._unsaid += size
        if time.monotonic() - self._said_at > SAY_EVERY:
            _allow_processor(self._silence)
            self._pipe.send(("read", self._unsaid))
            self._unsaid, self._said_at = 0, time.monotonic()


def _allow_processor(seconds: float) -> None:
    """From now on so many seconds on every core, before the kernel ends the process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    now = used.ru_utime + used.ru_stime
    soft = int(now + seconds * (os.cpu_count() or 1)) + 1
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    soft = soft if hard == resource.RLIM_INFINITY else min(soft, hard)
    resource.setrlimit(resource.RLIMIT_CPU, (soft, hard))


def _allowed() -> int:
    """Bytes of memory that this process may have, by the closest of its limits."""
    limits = (resource.getrlimit(what)[0] for what in (resource.RLIMIT_DATA, resource.RLIMIT_AS))
    return min((limit for limit in limits if limit != resource.RLIM_INFINITY), default=2**63 - 1)


def _limit(what: int, most: int) -> None:
    """Limit a worker, where it is not limited more already: that cannot be raised."""
    _, hard = resource.getrlimit(what)
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(what, (most, most))
