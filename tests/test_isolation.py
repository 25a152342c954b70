"""Workers that are lost to a file, and what it costs."""

from __future__ import annotations

import hashlib
import os
import pickle
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any, BinaryIO

import numpy as np
import pytest

from forensic_emotion import evidence as evidence_module
from forensic_emotion import isolation, pipeline
from forensic_emotion.case.store import CaseStore
from forensic_emotion.engine import Ended, find_evidence, scan
from forensic_emotion.errors import CaseError, FemoError, ModelError
from forensic_emotion.evidence import Found
from forensic_emotion.frames import video
from forensic_emotion.frames.readers import READERS
from forensic_emotion.frames.still import still_frames
from forensic_emotion.hashes import Hashes, OnRead, unwatched
from forensic_emotion.hashsets import ListFile, read_hash_set
from forensic_emotion.isolation import Isolated, Limits, Worker
from forensic_emotion.pipeline import Tools
from forensic_emotion.records import RGB, Box, Detection, FaceResult, MediaFacts, Outcome
from forensic_emotion.settings import ScanSettings
from forensic_emotion.spool import Kept, Spool
from tests.builders import (
    FakeClassifier,
    FakeDetector,
    FakeProgress,
    encoded,
    fake_run,
    fake_tools,
    picture,
    scanned,
    write_video,
)
from tests.test_engine import rows
from tests.test_hashsets import rds

LIMITS = Limits(memory=1 << 30, patience=4.0)


def test_holes_in_a_file_buy_no_days_of_patience() -> None:
    found = Found(b"/e", b"p", size=1 << 40)
    assert LIMITS.silence(found) == 4.0 + 3600


FACE = picture(faces=[Box(20, 10, 60, 50)])
FATAL = 7
"""Grey of the picture over which a double below does what it does."""


def crash() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def abort() -> None:
    os.abort()


def leave() -> None:
    os._exit(3)


def hang() -> None:
    time.sleep(10_000)


def spin() -> None:
    while True:
        pass


def labour() -> None:
    """Spin past the time of the processor that the kernel allows, which is less here than elsewhere."""
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (int(time.process_time()) + 1, hard))
    spin()


def devour() -> None:
    eaten = []
    while True:  # asked for and not filled, which on a busy machine takes longer than it may be silent
        eaten.append(np.empty(1 << 26, np.uint8))


def write() -> None:
    (Path(os.environ["FEMO_TEST_FOLDER"]) / "written").write_bytes(b"x")


class Double(FakeDetector):
    """A detector that ends badly over the fatal picture."""

    def __init__(self, fault: str, only_once: Path | None) -> None:
        self.fault, self.only_once = fault, only_once

    def detect(self, image: RGB) -> list[Detection]:
        if (image == FATAL).all() and not (self.only_once and self.only_once.exists()):
            globals()[self.fault]()
        return super().detect(image)


def load(fault: str, only_once: Path | None = None) -> Tools:
    """In the worker: what it looks at files with."""
    return fake_tools(detector=Double(fault, only_once))


def load_with(fault: str, notable: Path) -> Tools:
    return replace(load(fault), notable=(read_hash_set(ListFile.of(notable)),))


def load_with_a_list_that_goes(path: Path) -> Tools:
    """NSRL's database on a drive that is gone after it was opened."""
    found = read_hash_set(ListFile.of(path))
    assert found.database is not None
    found.database.close()
    return replace(fake_tools(), known=(found,))


def load_without_room_to_send() -> Tools:
    """Memory that is there for the work on a file, and not for what the parent is to be told."""

    class Short:
        UnpicklingError = pickle.UnpicklingError

        @staticmethod
        def dumps(_: object) -> bytes:
            raise MemoryError

    isolation.pickle = Short  # type: ignore[assignment]
    return fake_tools()


def load_slow() -> Tools:
    """A decoder that takes its time over each frame, and all but the first are not looked at."""

    def slowly(_: ScanSettings, *places: object) -> Callable[[object, object], bool]:
        first = iter([True])

        def wanted(time_of: object, picture: object) -> bool:
            time.sleep(0.5)
            return next(first, False)

        return wanted

    video.sampler = slowly  # type: ignore[assignment]
    return fake_tools()


def load_short(mark: Path | None, then: str | None = None) -> Tools:
    """A decoder that wants for memory as long as there is no mark, and then does something else."""

    def short(source: Any, media_type: str, settings: ScanSettings, facts: MediaFacts) -> Any:
        if mark is None or not mark.exists():
            if mark is not None:
                mark.touch()
            facts.note("out_of_memory", "2 of 2 packets cannot be decoded: Cannot allocate memory")
        elif then is not None:
            globals()[then]()
        return still_frames(source, media_type, settings, facts)

    READERS["still"] = short
    return fake_tools()


def load_badly() -> Tools:
    raise ModelError("The model is damaged.", "Restore it.")


def isolated_scan(evidence: Path, case: Path, fault: str, only_once: Path | None = None) -> Ended:
    store = CaseStore(case)
    try:
        with Isolated(partial(load, fault, only_once), LIMITS) as analyser:
            return scan(find_evidence(evidence), store, fake_run(evidence), [analyser], FakeProgress())
    finally:
        store.close()


@pytest.fixture
def mixed(evidence: Path) -> Path:
    for name in ("a.png", "m.png", "z.png"):
        (evidence / name).write_bytes(encoded(FACE))
    (evidence / "n.png").write_bytes(encoded(picture()))
    (evidence / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(40))
    write_video(evidence / "v.mkv", [0, 1500], lambda _: FACE)
    return evidence


def test_a_worker_gives_what_this_process_gives(mixed: Path, tmp_path: Path) -> None:
    ended = isolated_scan(mixed, tmp_path / "case.db", "crash")
    scanned(mixed, tmp_path / "here.db")
    assert rows(tmp_path / "here.db", "SELECT results_digest FROM runs") == [(ended.results_digest,)]


@pytest.mark.parametrize(
    ("fault", "state", "text"),
    [
        ("crash", "crashed", "signal 11, SIGSEGV"),
        ("abort", "crashed", "SIGABRT"),
        ("leave", "crashed", "exit code 3"),
        ("hang", "timeout", "no sign of life for 4 seconds"),
        ("spin", "timeout", ""),
        ("labour", "timeout", "exceeded its limit of processor time"),
        ("devour", "out_of_memory", "more than 1024 MiB of memory"),
    ],
)
def test_what_loses_a_worker_costs_one_file(
    mixed: Path, tmp_path: Path, fault: str, state: str, text: str
) -> None:
    (mixed / "g.png").write_bytes(encoded(picture(background=FATAL)))
    (mixed / "h.png").write_bytes(encoded(picture(background=FATAL)))  # a copy is not tried again
    ended = isolated_scan(mixed, tmp_path / "case.db", fault)
    states = dict(rows(tmp_path / "case.db", "SELECT path, state FROM files"))
    assert states == {
        "a.png": "faces",
        "bad.png": "failed",
        "g.png": state,
        "h.png": state,
        "m.png": "faces",
        "n.png": "no_face",
        "v.mkv": "faces",
        "z.png": "faces",
    }
    assert ended.summary.states[state] == 2
    told = rows(tmp_path / "case.db", f"SELECT message FROM problems WHERE class = '{state}'")
    (message,) = {text for (text,) in told}
    assert text in message
    assert "twice" in message
    ((sha256,),) = rows(tmp_path / "case.db", "SELECT sha256 FROM files WHERE path = 'g.png'")
    assert sha256 is not None, "it was hashed before it did harm"


def test_what_goes_well_the_second_time_is_kept(mixed: Path, tmp_path: Path) -> None:
    (mixed / "g.png").write_bytes(encoded(picture(background=FATAL)))
    mark = tmp_path / "mark"
    store = CaseStore(tmp_path / "case.db")
    with Isolated(partial(load, "crash", mark), LIMITS) as analyser:
        ask, calls = analyser._ask, []

        def counted(*arguments):
            calls.append(arguments[0].found.path)
            if calls.count(b"g.png") == 2:
                mark.touch()
            return ask(*arguments)

        analyser._ask = counted
        scan(find_evidence(mixed), store, fake_run(mixed), [analyser], FakeProgress())
    store.close()
    assert dict(rows(tmp_path / "case.db", "SELECT path, state FROM files"))["g.png"] == "no_face"
    assert calls.count(b"g.png") == 2


def test_a_worker_can_write_no_file(
    mixed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FEMO_TEST_FOLDER", str(tmp_path))
    (mixed / "g.png").write_bytes(encoded(picture(background=FATAL)))
    isolated_scan(mixed, tmp_path / "case.db", "write")
    assert not (tmp_path / "written").exists() or (tmp_path / "written").stat().st_size == 0
    ((message,),) = rows(
        tmp_path / "case.db",
        "SELECT message FROM problems JOIN files ON files.id = file_id WHERE path = 'g.png'",
    )
    assert "File too large" in message


def test_tools_that_cannot_be_loaded_are_told_as_they_are() -> None:
    with Isolated(load_badly, LIMITS) as worker, pytest.raises(ModelError, match="damaged") as error:
        _ = worker.facts
    assert error.value.remedy == "Restore it."


def load_by(folder: Path) -> Tools:
    """Another model each time."""
    (folder / str(time.monotonic_ns())).touch()
    return fake_tools(classifier=FakeClassifier(loaded=len(list(folder.iterdir()))))


def test_a_run_does_not_mix_models(
    evidence: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Workers are renewed; what they load may have been replaced meanwhile."""
    monkeypatch.setattr("forensic_emotion.isolation.RENEW_AFTER", 1)
    for name in ("a.png", "b.png"):
        (evidence / name).write_bytes(encoded(FACE))
    (tmp_path / "loads").mkdir()
    store = CaseStore(tmp_path / "case.db")
    with (
        Isolated(partial(load_by, tmp_path / "loads"), LIMITS) as analyser,
        pytest.raises(FemoError, match="was changed since the run began"),
    ):
        scan(find_evidence(evidence), store, fake_run(evidence), [analyser], FakeProgress())
    store.close()
    assert rows(tmp_path / "case.db", "SELECT path, state FROM files") == [("a.png", "faces")]
    assert rows(tmp_path / "case.db", "SELECT state FROM runs") == [("failed",)]


def load_the_second_time(folder: Path) -> Tools:
    if not list(folder.iterdir()):
        (folder / "tried").touch()
        os._exit(9)
    return fake_tools()


def load_never() -> Tools:
    os._exit(9)


def test_a_worker_that_is_lost_while_it_loads_is_started_once_more(tmp_path: Path) -> None:
    with Isolated(partial(load_the_second_time, tmp_path), LIMITS) as analyser:
        assert analyser.facts.model.name == "fake"
    with (
        Isolated(load_never, LIMITS) as analyser,
        pytest.raises(FemoError, match=r"could not be started: .*exit code 9.*, twice"),
    ):
        _ = analyser.facts


def test_limits_of_the_shell_are_kept_within() -> None:
    """They cannot be raised; a worker that tried would be no worker."""
    script = """if True:
        from resource import RLIMIT_CPU, RLIMIT_DATA, getrlimit, setrlimit
        from forensic_emotion import isolation
        setrlimit(RLIMIT_CPU, (50, 50))
        isolation._allow_processor(10_000)
        setrlimit(RLIMIT_DATA, (1 << 33, 1 << 33))
        isolation._limit(RLIMIT_DATA, 1 << 40)
        print(getrlimit(RLIMIT_CPU), getrlimit(RLIMIT_DATA)[0] == 1 << 33)
    """
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "(50, 50) True"


def load_in_vain() -> Tools:
    raise ValueError("no room for a stack")


def test_what_a_library_says_while_it_is_loaded_is_told() -> None:
    with (
        Isolated(load_in_vain, LIMITS) as analyser,
        pytest.raises(FemoError, match="cannot load what it needs: ValueError: no room for a stack"),
    ):
        _ = analyser.facts


def threads() -> Tools:
    names = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS")
    return fake_tools(classifier=FakeClassifier(threads=[os.environ[name] for name in names]))


def test_a_worker_takes_one_thread_whatever_the_machine_has() -> None:
    with Isolated(threads, LIMITS) as analyser:
        assert analyser.facts.model.card["threads"] == ["1", "1"]


def test_no_time_passes_while_the_parent_is_suspended(
    evidence: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A poll that comes back late, as after SIGCONT, counts as one step."""
    (evidence / "a.png").write_bytes(encoded(FACE))
    found = find_evidence(evidence)[0]
    with Isolated(partial(load, "crash"), replace(LIMITS, patience=1.5)) as analyser:
        worker = analyser._worker
        assert worker is not None
        _ = worker.facts
        pipe, late = worker._pipe, iter([2])
        asked: list[float] = []

        class Late:
            def poll(self, seconds: float) -> bool:
                asked.append(seconds)
                for asleep in late:  # longer than it may be silent
                    time.sleep(asleep)
                    return False
                return pipe.poll(30)

            def __getattr__(self, name: str) -> object:
                return getattr(pipe, name)

        monkeypatch.setattr(worker, "_pipe", Late())
        outcome = analyser.analyse(found, lambda _: False, lambda _: None)
        assert analyser._worker is worker, "it was not taken to hang"
    assert isinstance(outcome, Outcome)
    assert outcome.state == "faces"
    assert max(asked) <= 1.0


@pytest.mark.parametrize(
    "text", ["[ONNXRuntimeError] : 6 : std::bad_alloc", "Failed to allocate memory for requested buffer"]
)
def test_want_of_memory_in_a_librarys_words_is_tried_again(evidence: Path, text: str) -> None:
    class Short(FakeDetector):
        def detect(self, image: RGB) -> list[Detection]:
            raise RuntimeError(text)

    (evidence / "a.png").write_bytes(encoded(FACE))
    with pytest.raises(MemoryError):
        scanned(evidence, evidence.parent / "case.db", detector=Short())


def test_a_worker_runs_nothing_that_lies_where_it_is_started(
    mixed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("multiprocessing", "pickle", "ast", "numpy", "forensic_emotion"):
        folder = mixed / module
        folder.mkdir()
        (folder / "__init__.py").write_text(f"open({str(tmp_path / 'run')!r}, 'w')")
    monkeypatch.chdir(mixed)
    monkeypatch.setattr("sys.path", ["", *sys.path])
    isolated_scan(mixed, tmp_path / "case.db", "crash")
    assert not (tmp_path / "run").exists()


def load_slowly() -> Tools:
    """In the worker: hashing takes longer than it may be silent."""
    whole = evidence_module.hash_stream

    def slow(source: BinaryIO, on_read: OnRead) -> Hashes:
        for _ in range(10):
            time.sleep(LIMITS.patience / 8)
            on_read(1)
        return whole(source, on_read)

    evidence_module.hash_stream = slow
    return fake_tools()


def test_hashing_is_a_sign_of_life(evidence: Path) -> None:
    (evidence / "a.png").write_bytes(encoded(FACE))
    (found,) = find_evidence(evidence)
    told: list[int] = []
    with Isolated(load_slowly, LIMITS) as analyser:
        outcome = analyser.analyse(found, lambda _: False, lambda _: None, on_read=told.append)
    assert isinstance(outcome, Outcome)
    assert outcome.state == "faces"
    assert len(told) > 5


def test_a_fault_of_who_asks_gives_no_file_the_outcome_of_another(evidence: Path) -> None:
    for name in "ab":
        (evidence / f"{name}.png").write_bytes(encoded(FACE))
    first, second = find_evidence(evidence)

    def broken(_: str) -> bool:
        raise CaseError("The case cannot be read.", "Try again.")

    with Isolated(partial(load, "crash"), LIMITS) as analyser:
        with pytest.raises(CaseError):
            analyser.analyse(first, broken, lambda _: None)
        outcome = analyser.analyse(second, lambda _: False, lambda _: None)
    assert isinstance(outcome, Outcome)
    assert (outcome.path, outcome.state) == (second.path, "faces")


def test_a_list_that_is_gone_is_no_crash_of_a_decoder(evidence: Path, tmp_path: Path) -> None:
    (evidence / "a.png").write_bytes(encoded(FACE))
    (found,) = find_evidence(evidence)
    load_it = partial(load_with_a_list_that_goes, rds(tmp_path / "RDS.db", index=True))
    gone = pytest.raises(FemoError, match=r"hash list RDS\.db can no longer be read")
    with Isolated(load_it, LIMITS) as analyser, gone:
        analyser.analyse(found, lambda _: False, lambda _: None)


def test_a_worker_that_starts_while_all_is_ended_is_ended_too(monkeypatch: pytest.MonkeyPatch) -> None:
    class Stands:
        """For a process that takes its time to start."""

        ended = False

        def __init__(self, *_: object) -> None:
            made.append(self)
            time.sleep(0.2)

        def end(self) -> None:
            assert not self.ended
            self.ended = True

    made: list[Stands] = []
    monkeypatch.setattr(isolation, "Worker", Stands)
    analyser = Isolated(partial(load, "crash"), LIMITS)
    thread = Thread(target=analyser._started)
    thread.start()
    while not made:
        time.sleep(0.01)
    analyser.__exit__(None, None, None)
    thread.join()
    assert [each.ended for each in made] == [True]
    with pytest.raises(isolation.Lost):
        analyser._started()


def test_a_worker_that_cannot_be_ended_holds_nobody_up(
    mixed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that waits for a file system which does not answer; no signal reaches it."""
    (mixed / "g.png").write_bytes(encoded(picture(background=FATAL)))
    deaf: list[subprocess.Popen[bytes]] = []
    kill = subprocess.Popen.kill
    monkeypatch.setattr(subprocess.Popen, "kill", lambda process: deaf.append(process))
    monkeypatch.setattr(isolation, "END_SECONDS", 0.1)
    try:
        isolated_scan(mixed, tmp_path / "case.db", "hang")
        states = dict(rows(tmp_path / "case.db", "SELECT path, state FROM files"))
        assert (states["g.png"], states["z.png"]) == ("timeout", "faces")
        assert len(deaf) == 3
    finally:
        for process in deaf:
            kill(process)
            process.wait()


def load_faulty() -> Tools:
    """What fails where nobody looks after it: outside the work on frames."""

    def fails(name: str) -> bool:
        raise SystemError("told by a library")

    pipeline.claims_media = fails
    return fake_tools()


def test_a_fault_outside_the_work_on_frames_costs_one_file(evidence: Path) -> None:
    (evidence / "a.txt").write_bytes(b"no media")
    (evidence / "b.png").write_bytes(encoded(FACE))
    first, second = find_evidence(evidence)
    with Isolated(load_faulty, LIMITS) as analyser:
        outcome = analyser.analyse(first, lambda _: False, lambda _: None)
        after = analyser.analyse(second, lambda _: False, lambda _: None)
    assert isinstance(outcome, Outcome)
    (problem,) = outcome.problems
    assert (outcome.state, problem.problem) == ("failed", "fault")
    assert isinstance(after, Outcome)
    assert after.state == "faces"


def test_want_of_memory_for_what_was_found_is_told_as_that(evidence: Path) -> None:
    (evidence / "a.png").write_bytes(encoded(FACE))
    (found,) = find_evidence(evidence)
    with Isolated(load_without_room_to_send, LIMITS) as analyser:
        outcome = analyser.analyse(found, lambda _: False, lambda _: None)
    assert isinstance(outcome, Outcome)
    assert outcome.state == "out_of_memory"


def test_the_limit_that_counted_is_named() -> None:
    worker = SimpleNamespace(_limits=LIMITS)
    assert "(--max-memory)" in Worker._too_much(worker, LIMITS.memory)  # type: ignore[arg-type]
    text = Worker._too_much(worker, LIMITS.memory // 2)  # type: ignore[arg-type]
    assert text.startswith("asked for more than 512 MiB of memory, the system's limit for a process")


def test_workers_are_renewed(evidence: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for i in range(7):
        (evidence / f"{i}.txt").write_text(str(i))
    monkeypatch.setattr("forensic_emotion.isolation.RENEW_AFTER", 3)
    store = CaseStore(tmp_path / "case.db")
    with Isolated(partial(load, "crash"), LIMITS) as analyser:
        workers = set()
        for found in find_evidence(evidence):
            analyser.analyse(found, lambda _: False, lambda _: None)
            workers.add(analyser._worker._process.pid)
    store.close()
    assert len(workers) == 3


def test_the_faces_of_a_long_video_do_not_wait_in_the_worker(evidence: Path, tmp_path: Path) -> None:
    write_video(evidence / "v.mkv", range(0, 600_000, 1000), lambda _: FACE)
    (found,) = find_evidence(evidence)
    spool = Spool(tmp_path)
    kept: list[int] = []

    def aside(faces: Sequence[FaceResult]) -> Kept[FaceResult]:
        kept.append(len(faces))
        return spool.keep(faces)

    with Isolated(partial(load, "crash"), LIMITS) as analyser:
        outcome = analyser.analyse(
            found, lambda _: False, lambda _: None, whole=True, on_read=unwatched, aside=aside
        )
    assert isinstance(outcome, Outcome)
    assert (outcome.state, outcome.faces, len(outcome.results)) == ("faces", 600, 600)
    assert [each.frame_index for each in outcome.results] == list(range(600))
    assert kept == [256, 256, 88]


def own_memory() -> int:
    """Bytes that this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.slow
def test_the_parents_memory_stays_flat(evidence: Path, tmp_path: Path) -> None:
    for i in range(1500):
        (evidence / f"{i:04}.png").write_bytes(encoded(FACE) + i.to_bytes(2, "big"))
    held = []

    class Weighs(FakeProgress):
        def done(self, found: Found, outcome: Outcome) -> None:
            held.append(own_memory())

    store = CaseStore(tmp_path / "case.db")
    with Isolated(partial(load, "crash"), LIMITS) as analyser:
        scan(find_evidence(evidence), store, fake_run(evidence), [analyser], Weighs())
    store.close()
    assert len(held) == 1500
    early, late = max(held[300:600]), max(held[-300:])
    assert late < early * 1.05, f"{early >> 20} MiB, then {late >> 20} MiB"


def scan_with(load: Callable[[], Tools], evidence: Path, case: Path, limits: Limits = LIMITS) -> Ended:
    with closing(CaseStore(case)) as store, Isolated(load, limits) as analyser:
        return scan(find_evidence(evidence), store, fake_run(evidence), [analyser], FakeProgress())


def test_a_notable_file_that_loses_its_worker_is_flagged(mixed: Path, tmp_path: Path) -> None:
    data = encoded(picture(background=FATAL))
    for name in ("g.png", "h.png"):
        (mixed / name).write_bytes(data)
    (tmp_path / "list").write_text(hashlib.sha256(data).hexdigest() + "\n")
    ended = scan_with(partial(load_with, "crash", tmp_path / "list"), mixed, tmp_path / "case.db")
    assert ended.summary.notable == 2
    assert rows(tmp_path / "case.db", "SELECT path, state FROM files WHERE notable = 'list'") == [
        ("g.png", "crashed"),
        ("h.png", "crashed"),
    ]


def test_a_video_of_which_little_is_looked_at_is_not_taken_to_hang(
    evidence: Path, tmp_path: Path
) -> None:
    write_video(evidence / "still.mkv", range(0, 10_000, 1000), lambda _: FACE)
    limits = Limits(memory=1 << 30, patience=2.0)
    ended = scan_with(load_slow, evidence, tmp_path / "case.db", limits)
    assert ended.summary.states["faces"] == 1
    assert rows(tmp_path / "case.db", "SELECT frames_decoded, frames FROM files") == [(10, 1)]


@pytest.mark.parametrize(("always", "then"), [(False, None), (True, None), (True, "crash")])
def test_want_of_memory_in_a_decoder_is_no_damage(
    evidence: Path, tmp_path: Path, always: bool, then: str | None
) -> None:
    (evidence / "a.png").write_bytes(encoded(FACE))
    mark = None if always and then is None else tmp_path / "mark"
    scan_with(partial(load_short, mark, then), evidence, tmp_path / "case.db")
    found = rows(tmp_path / "case.db", "SELECT state, faces FROM files")
    problems = rows(tmp_path / "case.db", "SELECT stage, class FROM problems")
    # A fresh worker may have it; where it has not either, what was found stays.
    assert found == [("partial" if always else "faces", 1)]
    assert problems == ([("decode", "out_of_memory")] if always else [])
