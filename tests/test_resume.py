"""A scan that is stopped, however it is stopped, goes on and ends as one that was not."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, suppress
from dataclasses import asdict, replace
from pathlib import Path

import av
import pytest

from forensic_emotion import evidence
from forensic_emotion.case.queries import opened_case, stopped_otherwise
from forensic_emotion.case.store import CaseStore
from forensic_emotion.engine import Ended, find_evidence, scan
from forensic_emotion.errors import CaseError
from forensic_emotion.evidence import Found
from forensic_emotion.hashsets import ListFile, read_hash_set
from forensic_emotion.records import RGB, Box, Detection, Outcome, Problem, Run
from forensic_emotion.settings import ScanSettings
from forensic_emotion.verification import verify
from tests.builders import (
    FakeDetector,
    FakeProgress,
    InProcess,
    InterruptsAfter,
    cut_by,
    encoded,
    fake_run,
    fake_tools,
    loose,
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
    evidence: Path,
    case: Path,
    progress: FakeProgress | None = None,
    workers: int = 1,
    settings: ScanSettings | None = None,
) -> Ended:
    settings = settings or ScanSettings()
    store = CaseStore(case)
    try:
        tools = [InProcess(fake_tools(detector=Slow(), settings=settings)) for _ in range(workers)]
        run = replace(fake_run(evidence), settings=asdict(settings))
        return scan(find_evidence(evidence), store, run, tools, progress or FakeProgress())
    finally:
        store.close()


@pytest.fixture
def undisturbed(mixed: Path, tmp_path: Path) -> str:
    return scan_into(mixed, tmp_path / "undisturbed.db").results_digest


def done_of(case: Path) -> int:
    """Paths that a scan has written so far."""
    with suppress(sqlite3.OperationalError):  # it is not made yet
        connection = sqlite3.connect(f"file:{case}?mode=ro", uri=True)
        try:
            return int(connection.execute("SELECT COUNT(*) FROM files").fetchone()[0])
        finally:
            connection.close()
    return 0


def test_a_scan_killed_at_any_moment_goes_on(mixed: Path, tmp_path: Path, undisturbed: str) -> None:
    case = tmp_path / "case.db"
    chance = random.Random(1)
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(["tests.test_resume"])
    amid = set()
    for until in sorted(chance.sample(range(29), 8)):
        child = processes.Process(target=scan_into, args=(mixed, case))
        child.start()
        while child.is_alive() and done_of(case) < until:
            time.sleep(0.001)
        time.sleep(chance.uniform(0, 0.01))
        os.kill(child.pid or 0, signal.SIGKILL)
        child.join()
        amid.add(done_of(case))
        if case.exists() and rows(case, "SELECT * FROM sqlite_master WHERE name = 'files'"):
            done = rows(case, "SELECT COUNT(*) FROM files WHERE row_digest IS NULL")
            assert done == [(0,)], "half a path never shows"
    assert len(amid & set(range(1, 29))) > 3, f"killed amid the work: {amid}"
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


def long_video(path: Path, open_groups: bool = False) -> Path:
    """Twelve seconds with a key frame in each; a face moves through it."""
    with av.open(path, "w") as container:
        options = {"crf": "0", "g": "10"}
        if open_groups:
            options |= {"bf": "2", "x264-params": "open-gop=1:scenecut=0:min-keyint=10"}
        stream = container.add_stream("libx264rgb", rate=10, options=options)
        stream.width, stream.height, stream.pix_fmt = 120, 80, "rgb24"
        for i in range(120):
            faces = [Box(i // 2, 10, i // 2 + 40, 50)] if i % 30 else []
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture(faces=faces), "rgb24")))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("sample", ["every", "all", "keyframes"])
@pytest.mark.parametrize("open_groups", [False, True])
def test_a_video_in_pieces_gives_the_same_rows(
    mixed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sample: str, open_groups: bool
) -> None:
    long_video(mixed / "long.mp4", open_groups)
    shutil.copy(mixed / "long.mp4", mixed / "copy.mp4")
    settings = ScanSettings(sample=sample, every=0.25)
    cut_by(monkeypatch, 1_000)
    whole = scan_into(mixed, tmp_path / "whole.db", settings=settings)
    cut_by(monkeypatch, 1)
    for workers in (1, 2, 4):
        case = tmp_path / f"{workers}.db"
        cut = scan_into(mixed, case, workers=workers, settings=settings)
        assert cut.results_digest == whole.results_digest
        assert cut.summary == whole.summary
    # Where many videos are cut at once, what they give waits in one file.
    monkeypatch.setattr("forensic_emotion.engine.MOST_SPOOLS", 1)
    cut = scan_into(mixed, tmp_path / "few.db", workers=2, settings=settings)
    assert cut.results_digest == whole.results_digest
    # FFmpeg's log is one for a process, so what is damaged is compared in one thread.
    damaged = bytearray((mixed / "long.mp4").read_bytes())
    damaged[len(damaged) // 2 : len(damaged) // 2 + 40] = bytes(40)
    (mixed / "damaged.mp4").write_bytes(damaged)
    cut = scan_into(mixed, tmp_path / "cut.db", settings=settings)
    cut_by(monkeypatch, 1_000)
    whole = scan_into(mixed, tmp_path / "damaged.db", settings=settings)
    assert cut.results_digest == whole.results_digest
    assert whole.summary.states["partial"] == 1
    tracks = rows(case, "SELECT track, faces FROM tracks JOIN evidence USING (sha256) ORDER BY faces")
    assert tracks[-1][1] > 20 if sample != "keyframes" else tracks


def test_a_video_that_changes_between_its_pieces_is_marked(
    evidence: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    video = long_video(evidence / "long.mp4")
    cut_by(monkeypatch, 1)

    class Touches(FakeProgress):
        def frame(self, faces: int) -> None:
            if not touched:
                touched.append(True)
                os.utime(video, ns=(1, 1))

    touched: list[bool] = []
    scan_into(evidence, tmp_path / "case.db", Touches())
    assert touched
    # Looked at anew as a whole, it is what it now is; no piece of the former one is in the case.
    ((state, modified, faces),) = rows(
        tmp_path / "case.db", "SELECT state, modified_at, faces FROM files"
    )
    assert (state, modified, faces) == ("partial", "1970-01-01T00:00:00.000000001Z", 8)
    problems = rows(tmp_path / "case.db", "SELECT stage, class FROM problems")
    assert set(problems) == {("read", "changed")}


def test_evidence_that_is_another_one_when_a_scan_goes_on_is_told(mixed: Path, tmp_path: Path) -> None:
    """As when another drive is mounted there: names of cameras repeat."""
    case = tmp_path / "case.db"
    with pytest.raises(KeyboardInterrupt):
        scan_into(mixed, case, InterruptsAfter(things=12))
    done = [path for (path,) in rows(case, "SELECT path FROM files WHERE sha256 NOT NULL ORDER BY id")]
    other, touched, gone, *_ = done
    (mixed / other).write_bytes(encoded(picture(faces=[Box(1, 1, 30, 30), Box(40, 40, 60, 60)])))
    os.utime(mixed / touched, ns=(1, 1))
    (mixed / gone).unlink()
    seen = InterruptsAfter(things=6)
    with pytest.raises(KeyboardInterrupt):
        scan_into(mixed, case, seen)
    begin = "changed since it was analysed, before the scan was stopped: "
    assert f"{gone}: {begin}gone" in seen.told
    assert any(line.startswith(f"{touched}: {begin}modified") for line in seen.told)
    last = FakeProgress()
    (mixed / touched).write_bytes(b"another file by now")
    scan_into(mixed, case, last)
    assert sum(begin in line for line in last.told) == 1, "what was told is not told again"
    told = rows(
        case,
        "SELECT path, state IN ('partial', 'failed', 'skipped'), message FROM problems"
        " JOIN files ON files.id = file_id WHERE class = 'changed' ORDER BY path",
    )
    assert [path for path, *_ in told] == sorted([other, touched, touched, gone])
    assert any(path == touched and "size" in text for path, _, text in told)
    assert all(marked and "before the scan was stopped" in text for _, marked, text in told)
    with opened_case(case) as opened:
        assert verify(opened, case, 1, None, lambda: None).faults == []


def test_what_could_not_be_read_is_looked_at_again(
    mixed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when a cable was loose: what was read stays, and what is gone since keeps its problem."""
    (mixed / "0 folder").mkdir()
    (mixed / "0 folder" / "x.png").write_bytes(encoded(picture(70, 50)))
    case = tmp_path / "case.db"
    scan_into(mixed, tmp_path / "whole.db")
    (mixed / "00 gone.png").write_bytes(b"not to be read")

    with monkeypatch.context() as broken:
        broken.setattr(evidence, "_open_untouched", loose(b"00 gone.png", b"05.png", b"0 folder"))
        with pytest.raises(KeyboardInterrupt):
            scan_into(mixed, case, InterruptsAfter(things=14))
    unread = "SELECT path FROM files WHERE sha256 IS NULL AND state = 'failed' ORDER BY path"
    assert rows(case, unread) == [("0 folder",), ("00 gone.png",), ("05.png",)]
    (mixed / "00 gone.png").unlink()
    again = FakeProgress()
    scan_into(mixed, case, again)
    assert {"0 folder/x.png", "05.png"} <= set(again.told)
    assert "04.png" not in again.told
    assert rows(case, unread) == [("00 gone.png",)]
    rest = "SELECT path, state, faces FROM files WHERE path <> '00 gone.png' ORDER BY path"
    assert rows(case, rest) == rows(tmp_path / "whole.db", rest)
    noted = rows(case, "SELECT detail FROM audit WHERE action = 'scan ended' ORDER BY id DESC LIMIT 1")
    assert json.loads(noted[0][0])["looked_at_again"] == 2
    with opened_case(case) as opened:
        assert verify(opened, case, 1, None, lambda: None).faults == []
    assert scan_into(mixed, case).summary.run_id == 2, "of a run that ended nothing is taken back"
    assert rows(case, unread) == [("00 gone.png",)]


def test_what_was_a_link_and_is_a_picture_now_is_looked_at(mixed: Path, tmp_path: Path) -> None:
    scan_into(mixed, tmp_path / "whole.db")
    for name in ("00 link.png", "0 folder"):
        (mixed / name).symlink_to("04.png")
    os.mkfifo(mixed / "00 pipe")
    case = tmp_path / "case.db"
    with pytest.raises(KeyboardInterrupt):
        scan_into(mixed, case, InterruptsAfter(things=8))
    states = "SELECT path, state FROM files WHERE path LIKE '0 %' OR path LIKE '00 %' ORDER BY path"
    skipped = [("0 folder", "skipped"), ("00 link.png", "skipped"), ("00 pipe", "skipped")]
    assert rows(case, states) == skipped
    for name in ("00 link.png", "0 folder"):
        (mixed / name).unlink()
    (mixed / "00 link.png").write_bytes(encoded(picture(faces=[Box(20, 10, 60, 50)])))
    (mixed / "0 folder").mkdir()
    (mixed / "0 folder" / "x.png").write_bytes(encoded(picture(70, 50)))
    again = FakeProgress()
    scan_into(mixed, case, again)
    assert {"00 link.png", "0 folder/x.png"} <= set(again.told)
    assert "00 pipe" not in again.told, "it is one still"
    assert [path for path, _ in rows(case, states)] == ["0 folder/x.png", "00 link.png", "00 pipe"]
    assert "skipped" not in {state for path, state in rows(case, states) if path != "00 pipe"}
    with opened_case(case) as opened:
        assert verify(opened, case, 1, None, lambda: None).faults == []


def test_a_path_that_is_to_be_looked_at_again_is_not_lost_meanwhile(mixed: Path, tmp_path: Path) -> None:
    class Stops(FakeProgress):
        def start(self, paths: int, size: int) -> None:
            raise KeyboardInterrupt

    case, row = tmp_path / "case.db", "SELECT path, state FROM files WHERE path = 'gone.png'"
    (mixed / "gone.png").write_bytes(b"\x89PNG\r\n\x1a\n")

    class Vanishes(InterruptsAfter):
        def start(self, paths: int, size: int) -> None:
            super().start(paths, size)
            (mixed / "gone.png").unlink()

    with pytest.raises(KeyboardInterrupt):
        scan_into(mixed, case, Vanishes(things=30))
    assert rows(case, row) == [("gone.png", "failed")]
    (mixed / "gone.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(KeyboardInterrupt):
        scan_into(mixed, case, Stops())
    (mixed / "gone.png").unlink()
    scan_into(mixed, case)
    assert rows(case, row) == [("gone.png", "failed")]
    assert rows(case, "SELECT class FROM problems WHERE class = 'vanished'") == [("vanished",)]


def test_only_what_could_not_be_read_is_looked_at_again(tmp_path: Path) -> None:
    found = {
        b"read": Problem("read", "unreadable", "cannot be read: Input/output error"),
        b"folder": Problem("discover", "unreadable", "folder cannot be listed"),
        b"changed": Problem("read", "changed", "its bytes changed: SHA-256 a -> b"),
        b"altered": Problem("read", "no_permission", "may not be read"),
    }
    store = CaseStore(tmp_path / "case.db")
    run_id = store.begin(fake_run(tmp_path))
    for path, problem in found.items():
        store.add(run_id, Outcome(path, path.decode(), "failed", problems=(problem,)))
    store.add(run_id, Outcome(b"crashed", "crashed", "crashed"))
    store.add(run_id, Outcome(b"link", "link", "skipped", reason="symbolic link, not followed"))
    link = {b"link": "skipped"}
    assert store.unread(run_id) == {**dict.fromkeys((b"read", b"folder", b"altered"), "failed"), **link}
    store._connection.execute("UPDATE problems SET message = '' WHERE class = 'no_permission'")
    unread = {**dict.fromkeys((b"read", b"folder"), "failed"), **link}
    assert store.unread(run_id) == unread, "verify tells of it, and has to go on doing so"
    store.close()


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


def test_a_run_goes_on_under_another_kernel_and_what_does_not_go_on_is_told(
    mixed: Path, tmp_path: Path
) -> None:
    class Stops(FakeProgress):
        def start(self, paths: int, size: int) -> None:
            raise KeyboardInterrupt

    case = tmp_path / "case.db"
    run = fake_run(mixed)
    before = replace(run, versions={**run.versions, "numpy": "1", "system": "Linux-6.1"})
    later = replace(before, versions={**before.versions, "system": "Linux-6.2"})
    other = replace(
        later, versions={**later.versions, "numpy": "2"}, settings={**run.settings, "every": 7}
    )

    def otherwise(run: Run) -> str | None:
        with opened_case(case) as opened:
            return stopped_otherwise(opened, run)

    with closing(CaseStore(case)) as store:
        assert otherwise(before) is None
        with pytest.raises(KeyboardInterrupt):
            scan(find_evidence(mixed), store, before, [InProcess(fake_tools())], Stops())
        assert otherwise(later) is None
        moved = replace(later, evidence_root=os.fsencode(tmp_path / "elsewhere"))
        assert otherwise(moved) is None, "it can still go on where it was"
        mixed.rename(tmp_path / "elsewhere")
        told = (
            f"Run 1, over {mixed}, was stopped and can be resumed only with its evidence in that place"
        )
        assert (otherwise(moved) or "").startswith(told)
        (tmp_path / "elsewhere").rename(mixed)
        assert otherwise(other) == (
            "Run 1 over this folder was stopped and cannot be resumed; a new run begins. What"
            " differs: every, numpy."
        )
        ended = scan(find_evidence(mixed), store, later, [InProcess(fake_tools())], FakeProgress())
        assert ended.summary.run_id == 1
        assert otherwise(other) is None
    ((versions,),) = rows(case, "SELECT versions FROM runs")
    assert json.loads(versions)["system"] == "Linux-6.1"


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
    assert "Free up space" in error.value.remedy
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
    scanned(evidence, case, known=(read_hash_set(ListFile.of(tmp_path / "known.txt")),))
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


SMALL_DISKS = """
import subprocess, sys
from pathlib import Path
from typer.testing import CliRunner
from forensic_emotion.cli import app
from forensic_emotion.errors import CaseError
from tests.builders import scanned
evidence, small = Path(sys.argv[1]), Path(sys.argv[2])
for size in range(4, 260, 12):
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}k", "none", small], check=True)
    said, case = "", small / "case.db"
    try:
        scanned(evidence, case)
    except CaseError as error:
        said = str(error)
    there = sorted(path.name for path in small.iterdir())
    result = CliRunner().invoke(app, ["verify", str(case)])
    wal = "case.db-wal" in there
    some = '"rows": 0' not in CliRunner().invoke(app, ["verify", str(case), "--json"]).output
    print(size, there, result.exit_code, repr(result.output), repr(said))
    assert "case.db" not in there or result.exit_code == 0
    assert not said or "All checks passed." not in result.output
    assert not wal or "case.db-wal" in said and "keep both together" in said
    assert "What was finished" not in said or some
    subprocess.run(["umount", small], check=True)
print("through")
"""


def test_however_small_the_disk_nothing_is_left_or_a_case_that_holds(
    mixed: Path, tmp_path: Path
) -> None:
    (tmp_path / "small").mkdir()
    python = [sys.executable, "-c", SMALL_DISKS, mixed, tmp_path / "small"]
    try:
        done = subprocess.run(
            ["unshare", "--user", "--map-root-user", "--mount", *python],
            cwd=Path(__file__).parents[1],
            capture_output=True,
            text=True,
            timeout=200,
        )
    except FileNotFoundError:
        pytest.skip("no unshare here")
    if "unshare:" in done.stderr or "mount:" in done.stderr:
        pytest.skip("no file system can be mounted here")
    print(done.stdout)
    assert done.stdout.endswith("through\n"), done.stdout + done.stderr
