"""A scan that is stopped, however it is stopped, goes on and ends as one that was not."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import random
import signal
import time
from contextlib import suppress
from pathlib import Path

import pytest

from forensic_emotion.case.queries import opened_case
from forensic_emotion.case.store import CaseStore
from forensic_emotion.engine import Ended, find_evidence, scan
from forensic_emotion.errors import CaseError
from forensic_emotion.evidence import Found
from forensic_emotion.hashsets import read_hash_set
from forensic_emotion.isolation import InProcess
from forensic_emotion.records import RGB, Box, Detection, Outcome
from forensic_emotion.verification import verify
from tests.builders import (
    FakeDetector,
    FakeProgress,
    InterruptsAfter,
    encoded,
    fake_run,
    fake_tools,
    picture,
    scanned,
    write_video,
)
from tests.test_engine import rows


@pytest.fixture
def mixed(evidence: Path) -> Path:
    """Thirty paths, some of them copies, some broken, a few videos."""
    for i in range(24):
        image = picture(faces=[Box(20, 10, 60 + i % 5, 50)] if i % 3 else [])
        (evidence / f"{i:02}.png").write_bytes(encoded(image))
    (evidence / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(40))
    (evidence / "bad copy.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(40))
    (evidence / "link").symlink_to("bad.png")
    for name in ("v.mkv", "w.mkv"):
        write_video(evidence / name, [0, 1500], lambda _: picture(faces=[Box(20, 10, 60, 50)]))
    return evidence


class Slow(FakeDetector):
    def detect(self, image: RGB) -> list[Detection]:
        time.sleep(0.002)
        return super().detect(image)


def scan_into(
    evidence: Path, case: Path, progress: FakeProgress | None = None, workers: int = 1
) -> Ended:
    store = CaseStore(case)
    try:
        tools = [InProcess(fake_tools(detector=Slow())) for _ in range(workers)]
        return scan(
            find_evidence(evidence), store, fake_run(evidence), tools, progress or FakeProgress()
        )
    finally:
        store.close()


@pytest.fixture
def undisturbed(mixed: Path, tmp_path: Path) -> str:
    return scan_into(mixed, tmp_path / "undisturbed.db").results_digest


def test_a_scan_killed_at_any_moment_goes_on(mixed: Path, tmp_path: Path, undisturbed: str) -> None:
    case = tmp_path / "case.db"
    chance = random.Random(1)
    killed = 0
    for _ in range(20):
        child = multiprocessing.get_context("fork").Process(target=scan_into, args=(mixed, case))
        child.start()
        time.sleep(chance.uniform(0.005, 0.06))
        os.kill(child.pid or 0, signal.SIGKILL)
        child.join()
        killed += child.exitcode == -signal.SIGKILL
        if case.exists() and rows(case, "SELECT * FROM sqlite_master WHERE name = 'files'"):
            done = rows(case, "SELECT COUNT(*) FROM files WHERE row_digest IS NULL")
            assert done == [(0,)], "half a path never shows"
    assert killed > 5
    ended = scan_into(mixed, case)
    assert ended.results_digest == undisturbed
    with opened_case(case) as opened:
        found = verify(opened, case, 1, mixed, lambda: None)
    assert found.faults == []
    assert rows(case, "SELECT state, discovered FROM runs WHERE id = 1") == [("done", 29)]


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_any_number_of_workers_gives_the_same_results(
    mixed: Path, tmp_path: Path, undisturbed: str, workers: int
) -> None:
    for name in ("00.png", "v.mkv", "bad.png"):  # copies before and behind, in work at the same time
        for copy in ("000", "vv", "zz"):
            (mixed / f"{copy}{name}").write_bytes((mixed / name).read_bytes())
    alone = scan_into(mixed, tmp_path / "alone.db")
    assert alone.results_digest != undisturbed
    for i in range(2):
        ended = scan_into(mixed, tmp_path / f"{i}.db", workers=workers)
        assert ended.results_digest == alone.results_digest
        assert ended.summary == alone.summary


def test_what_was_done_is_not_done_again(mixed: Path, tmp_path: Path, undisturbed: str) -> None:
    case = tmp_path / "case.db"
    with pytest.raises(KeyboardInterrupt):
        scan_into(mixed, case, InterruptsAfter(things=12))
    done = [path for (path,) in rows(case, "SELECT path FROM files ORDER BY id")]
    assert len(done) == 10
    again = FakeProgress()
    ended = scan_into(mixed, case, again)
    assert set(again.told[1:]).isdisjoint(done)
    assert (ended.done_before, ended.summary.discovered) == (10, 29)
    assert ended.results_digest == undisturbed
    assert rows(case, "SELECT action, run_id FROM audit") == [
        ("scan", 1),
        ("scan ended", 1),
        ("resume", 1),
        ("scan ended", 1),
    ]


def test_other_settings_make_a_run_of_their_own(mixed: Path, tmp_path: Path) -> None:
    class Stops(FakeProgress):
        def start(self, paths: int, size: int) -> None:
            raise KeyboardInterrupt

    case = tmp_path / "case.db"
    with pytest.raises(KeyboardInterrupt):
        scan_into(mixed, case, Stops())
    store = CaseStore(case)
    other = fake_run(mixed)
    other.settings["every"] = 2.0
    scan(find_evidence(mixed), store, other, [InProcess(fake_tools())], FakeProgress())
    store.close()
    assert rows(case, "SELECT id, state FROM runs") == [(1, "interrupted"), (2, "done")]
    assert scan_into(mixed, case).summary.run_id == 1


def test_scanning_again_tells_what_is_new_changed_and_missing(mixed: Path, tmp_path: Path) -> None:
    case = tmp_path / "case.db"
    assert scan_into(mixed, case).changes is None
    (mixed / "new.txt").write_text("new")
    (mixed / "01.png").unlink()
    (mixed / "02.png").write_bytes(encoded(picture()))
    (mixed / "link").unlink()
    changes = scan_into(mixed, case).changes
    assert changes is not None
    assert (changes.since, changes.new, changes.changed, changes.missing) == (1, 1, 1, 2)


def test_a_full_disk_ends_the_scan_with_a_case_that_holds(
    mixed: Path, tmp_path: Path, undisturbed: str
) -> None:
    case = tmp_path / "case.db"

    class Fills(FakeProgress):
        def done(self, found: Found, outcome: Outcome) -> None:
            super().done(found, outcome)
            if len(self.told) == 9:
                (pages,) = store._connection.execute("PRAGMA page_count").fetchone()
                store._connection.execute(f"PRAGMA max_page_count = {pages + 1}")

    store = CaseStore(case)
    with pytest.raises(CaseError, match="is full") as error:
        scan(find_evidence(mixed), store, fake_run(mixed), [InProcess(fake_tools())], Fills())
    assert "Make room" in error.value.remedy
    store.close()
    with opened_case(case) as opened:
        assert verify(opened, case, 1, None, lambda: None).faults == []
    assert 0 < rows(case, "SELECT COUNT(*) FROM files")[0][0] < 29
    assert scan_into(mixed, case).results_digest == undisturbed


def test_two_scans_cannot_write_to_one_case(mixed: Path, tmp_path: Path) -> None:
    case = tmp_path / "case.db"

    class Intrudes(FakeProgress):
        def start(self, paths: int, size: int) -> None:
            with pytest.raises(CaseError, match="Another scan"):
                scan_into(mixed, case)
            # Reading beside it is no trouble.
            with opened_case(case) as opened:
                assert opened.execute("SELECT state FROM runs").fetchone()[0] == "running"

    scan_into(mixed, case, Intrudes())
    assert rows(case, "SELECT id, state FROM runs") == [(1, "done")]


def test_a_duplicate_after_the_stop_takes_over_what_was_found_before(
    evidence: Path, tmp_path: Path
) -> None:
    """The rows of a copy are the same, whether its original was looked at before or after the stop."""
    write_video(evidence / "a.mkv", [0, 1500], lambda _: picture(faces=[Box(20, 10, 60, 50)]))
    (evidence / "b.mkv").write_bytes((evidence / "a.mkv").read_bytes())
    (evidence / "c.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(40))
    (evidence / "d.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(40))
    whole = scan_into(evidence, tmp_path / "whole.db")

    class Stops(FakeProgress):
        def done(self, found: Found, outcome: Outcome) -> None:
            if found.path == self.at:
                raise KeyboardInterrupt

    for at in (b"b.mkv", b"d.png"):
        stops = Stops()
        stops.at = at
        with pytest.raises(KeyboardInterrupt):
            scan_into(evidence, tmp_path / "case.db", stops)
    ended = scan_into(evidence, tmp_path / "case.db")
    assert ended.results_digest == whole.results_digest
    assert ended.summary == whole.summary


def test_bytes_that_an_earlier_run_skipped_as_known_are_looked_at_once(
    evidence: Path, tmp_path: Path
) -> None:
    """A case keeps one row for each content: that of a skipped file serves later runs too."""
    face = encoded(picture(faces=[Box(20, 10, 60, 50)]))
    for name in ("a.png", "b.png"):
        (evidence / name).write_bytes(face)
    case = tmp_path / "case.db"
    (tmp_path / "known.txt").write_text(hashlib.sha256(face).hexdigest())
    scanned(evidence, case, known=(read_hash_set(tmp_path / "known.txt"),))
    assert rows(case, "SELECT state, same_as, known FROM files") == [("skipped", None, "known.txt")] * 2

    class Stops(FakeProgress):
        def done(self, found: Found, outcome: Outcome) -> None:
            if found.path == b"b.png":
                raise KeyboardInterrupt

    other = fake_run(evidence)
    other.settings["every"] = 2.0
    for progress in (Stops(), FakeProgress()):
        store = CaseStore(case)
        with suppress(KeyboardInterrupt):
            scan(find_evidence(evidence), store, other, [InProcess(fake_tools())], progress)
        store.close()
    assert rows(case, "SELECT path, state, same_as IS NULL FROM files WHERE run_id = 2") == [
        ("a.png", "faces", 1),
        ("b.png", "faces", 0),
    ]
    assert rows(case, "SELECT kind FROM evidence") == [("still",)]
