from __future__ import annotations

import hashlib
import os
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import islice
from pathlib import Path
from threading import Semaphore
from typing import Any

import pytest

from forensic_emotion import engine
from forensic_emotion.case.store import CaseStore
from forensic_emotion.engine import find_evidence, scan
from forensic_emotion.errors import FemoError, UnreadableEvidence, UsageError
from forensic_emotion.evidence import OpenEvidence
from forensic_emotion.hashsets import ListFile, read_hash_set
from forensic_emotion.paths import refuse_inside, refuse_second_name
from forensic_emotion.records import RGB, Box, Detection, Outcome
from tests.builders import (
    FakeDetector,
    FakeProgress,
    InProcess,
    InterruptsAfter,
    encoded,
    fake_run,
    fake_tools,
    picture,
    scanned,
    write_video,
)

FACE = encoded(picture(faces=[Box(20, 10, 60, 50)]))


def rows(case: Path, sql: str) -> list[tuple]:
    connection = sqlite3.connect(case)
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


def below(folder: Path) -> Iterator[Path]:
    """Every path; ``rglob`` of Python 3.10 reads links on its way, which changes their access times."""
    for entry in os.scandir(folder):
        yield Path(entry.path)
        if entry.is_dir(follow_symlinks=False):
            yield from below(Path(entry.path))


def snapshot(folder: Path) -> list[tuple]:
    """All that can be seen of a folder, access times included."""
    found = []
    for path in sorted([folder, *below(folder)]):
        s = path.lstat()
        # The times first: reading the content here would change them.
        found.append((path, s.st_mode, s.st_size, s.st_ino, s.st_atime_ns, s.st_mtime_ns, s.st_ctime_ns))
    return found


@pytest.fixture
def mixed(evidence: Path) -> Path:
    """Evidence with one path for every state."""
    (evidence / "face.png").write_bytes(FACE)
    (evidence / "sub").mkdir()
    (evidence / "sub" / "same.png").write_bytes(FACE)
    (evidence / "none.png").write_bytes(encoded(picture()))
    (evidence / "empty.jpg").touch()
    (evidence / "notes.txt").write_text("notes")
    (evidence / "damaged.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(40))
    (evidence / "link.png").symlink_to("face.png")
    write_video(evidence / "v.mkv", [0, 500, 1200], lambda _: picture(faces=[Box(20, 10, 60, 50)]))
    return evidence


def test_a_path_that_is_lost_is_missed(
    evidence: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "ab":
        (evidence / f"{name}.png").write_bytes(FACE + name.encode())
    really = engine._outcomes
    monkeypatch.setattr(engine, "_outcomes", lambda *given: islice(really(*given), 1))
    with pytest.raises(FemoError, match=r"2 paths were discovered, but .* accounted for"):
        scanned(evidence, tmp_path / "case.db")
    assert rows(tmp_path / "case.db", "SELECT state FROM runs") == [("failed",)]


def test_every_path_ends_in_one_state_and_the_states_add_up(mixed: Path, tmp_path: Path) -> None:
    case = tmp_path / "case.db"
    summary = scanned(mixed, case)
    assert summary.discovered == 8
    assert {s: n for s, n in summary.states.items() if n} == {
        "faces": 3,
        "no_face": 1,
        "skipped": 3,
        "failed": 1,
    }
    states = dict(rows(case, "SELECT path, state FROM files"))
    assert states == {
        "face.png": "faces",
        "sub/same.png": "faces",
        "none.png": "no_face",
        "empty.jpg": "skipped",
        "notes.txt": "skipped",
        "damaged.png": "failed",
        "link.png": "skipped",
        "v.mkv": "faces",
    }
    assert rows(case, "SELECT state, discovered FROM runs") == [("done", 8)]
    problems = rows(case, "SELECT path, class FROM problems JOIN files ON files.id = file_id")
    assert sorted(problems) == [("damaged.png", "damaged"), ("empty.jpg", "empty")]


def test_the_same_bytes_are_analysed_once_and_reported_under_every_path(
    mixed: Path, tmp_path: Path
) -> None:
    case = tmp_path / "case.db"
    summary = scanned(mixed, case)
    assert (summary.frames, summary.faces) == (4, 3)
    assert rows(case, "SELECT COUNT(*) FROM faces") == [(3,)]
    paths = rows(case, "SELECT path, COUNT(*) FROM face_results GROUP BY path")
    assert paths == [("face.png", 1), ("sub/same.png", 1), ("v.mkv", 2)]
    same = "SELECT f.path, g.path FROM files f JOIN files g ON g.id = f.same_as"
    assert rows(case, same) == [("sub/same.png", "face.png")]


def test_a_problem_is_reported_under_every_path_too(evidence: Path, tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        (evidence / name).write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(40))
    scanned(evidence, tmp_path / "case.db")
    problems = "SELECT path, state, class FROM problems JOIN files ON files.id = file_id"
    assert rows(tmp_path / "case.db", problems) == [
        ("a.png", "failed", "damaged"),
        ("b.png", "failed", "damaged"),
    ]


def test_the_same_text_under_two_names_is_judged_by_each_name(evidence: Path, tmp_path: Path) -> None:
    for name in ("a.bin", "b.jpg", "c.txt"):
        (evidence / name).write_text("no picture")
    scanned(evidence, tmp_path / "case.db")
    problems = "SELECT path, class FROM problems JOIN files ON files.id = file_id"
    assert rows(tmp_path / "case.db", problems) == [("b.jpg", "not_media")]


def test_one_slow_file_does_not_keep_the_other_workers_waiting(evidence: Path, tmp_path: Path) -> None:
    others = 150
    done = Semaphore(0)

    class WaitsForTheOthers(FakeDetector):
        def detect(self, image: RGB) -> list[Detection]:
            if len(image) == 20:  # the first path
                assert all(done.acquire(timeout=60) for _ in range(others))
            else:
                done.release()
            return super().detect(image)

    (evidence / "a.png").write_bytes(encoded(picture(30, 20)))
    for i in range(others):
        (evidence / f"b{i:03}.png").write_bytes(FACE + i.to_bytes(2, "big"))
    one_by_one = tmp_path / "one.db"
    scanned(evidence, one_by_one)
    store = CaseStore(tmp_path / "two.db")
    analysers = [InProcess(fake_tools(detector=WaitsForTheOthers())) for _ in range(2)]
    ended = scan(find_evidence(evidence), store, fake_run(evidence), analysers, FakeProgress())
    store.close()
    assert ended.summary.faces == others
    digests = "SELECT results_digest FROM runs"
    assert rows(tmp_path / "two.db", digests) == rows(one_by_one, digests)


@pytest.mark.parametrize("value", [2**70, Fraction(1, 2)])
def test_what_a_case_cannot_hold_costs_its_file_only(
    evidence: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: Any
) -> None:
    (evidence / "a.png").write_bytes(FACE)
    (evidence / "b.png").write_bytes(encoded(picture(faces=[Box(1, 2, 31, 32)])))
    as_it_is = engine._with_tracks

    def spoilt(outcome: Outcome, run: Any) -> Outcome:
        outcome = as_it_is(outcome, run)
        if outcome.path != b"a.png" or outcome.media is None:
            return outcome
        return replace(outcome, media=replace(outcome.media, width=value))

    monkeypatch.setattr(engine, "_with_tracks", spoilt)
    summary = scanned(evidence, tmp_path / "case.db")
    assert {s: n for s, n in summary.states.items() if n} == {"failed": 1, "faces": 1}
    ((problem, message),) = rows(tmp_path / "case.db", "SELECT class, message FROM problems")
    assert problem == "fault"
    assert "cannot be stored" in message


def test_faces_that_contradict_each_other_cost_their_file_only(
    evidence: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (evidence / "a.png").write_bytes(FACE)
    (evidence / "b.png").write_bytes(encoded(picture(faces=[Box(1, 2, 31, 32)])))
    twice = engine._with_tracks
    monkeypatch.setattr(
        engine,
        "_with_tracks",
        lambda outcome, run: (
            replace(twice(outcome, run), results=(*outcome.results,) * 2)
            if outcome.path == b"a.png"
            else twice(outcome, run)
        ),
    )
    summary = scanned(evidence, tmp_path / "case.db")
    assert {s: n for s, n in summary.states.items() if n} == {"failed": 1, "faces": 1}
    ((problem, message),) = rows(tmp_path / "case.db", "SELECT class, message FROM problems")
    assert problem == "fault"
    assert "contradicts itself: UNIQUE constraint failed" in message


def test_the_evidence_is_untouched(mixed: Path, tmp_path: Path) -> None:
    for path in [*mixed.rglob("*"), mixed]:
        # Access older than modification: what a "relatime" mount would update on reading.
        os.utime(path, ns=(10**18, 15 * 10**17), follow_symlinks=False)
    before = snapshot(mixed)
    scanned(mixed, tmp_path / "case.db")
    assert snapshot(mixed) == before


def test_face_results_has_what_is_promised(mixed: Path, tmp_path: Path) -> None:
    case = tmp_path / "case.db"
    scanned(mixed, case)
    (row,) = rows(
        case,
        'SELECT run_id, path, sha256, frame_index, pts, time_base, seconds, face, "left", top, "right",'
        " bottom, detector, score, angry, disgust, fear, happy, sad, surprise, neutral, label,"
        " confidence FROM face_results WHERE path = 'v.mkv' AND frame_index = 2",
    )
    sha256 = rows(case, "SELECT sha256 FROM files WHERE path = 'v.mkv'")[0][0]
    assert row[:7] == (1, "v.mkv", sha256, 2, 1200, "1/1000", 1.2)
    assert row[7:14] == (0, 20, 10, 60, 50, "fake", 1.5)
    assert row[14:21] == pytest.approx((0.1, 0.1, 0.1, 0.4, 0.1, 0.1, 0.1))
    assert row[21:] == ("happy", pytest.approx(0.4))
    stills = rows(case, "SELECT frame_index, pts, seconds FROM face_results WHERE path = 'face.png'")
    assert stills == [(0, None, None)]


def test_an_interruption_keeps_what_was_finished(mixed: Path, tmp_path: Path) -> None:
    case = tmp_path / "case.db"
    store = CaseStore(case)
    with pytest.raises(KeyboardInterrupt):
        scan(
            find_evidence(mixed),
            store,
            fake_run(mixed),
            [InProcess(fake_tools())],
            InterruptsAfter(things=4),
        )
    store.close()
    assert rows(case, "SELECT state, discovered FROM runs") == [("interrupted", 8)]
    assert len(rows(case, "SELECT * FROM files")) == 2


def test_a_file_that_vanishes_during_the_scan_is_recorded(evidence: Path, tmp_path: Path) -> None:
    class Deletes(FakeDetector):
        def detect(self, image: RGB) -> list[Detection]:
            (evidence / "b.png").unlink(missing_ok=True)
            return super().detect(image)

    (evidence / "a.png").write_bytes(FACE)
    (evidence / "b.png").write_bytes(encoded(picture()))
    summary = scanned(evidence, tmp_path / "case.db", detector=Deletes())
    assert summary.states["failed"] == 1
    found = rows(tmp_path / "case.db", "SELECT class FROM problems")
    assert found == [("vanished",)]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda p: os.utime(p, ns=(1, 1)), "modified"),
        (lambda p: p.unlink(), "its path no longer exists"),
        (lambda p: p.rename(p.with_name("other")) and p.write_bytes(FACE), "names another file"),
    ],
)
def test_a_file_that_changes_while_it_is_looked_at_is_marked(
    evidence: Path, tmp_path: Path, change: Callable[[Path], object], told: str
) -> None:
    class Changes(FakeDetector):
        def detect(self, image: RGB) -> list[Detection]:
            change(evidence / "a.png")
            return super().detect(image)

    (evidence / "a.png").write_bytes(FACE)
    summary = scanned(evidence, tmp_path / "case.db", detector=Changes())
    assert summary.states["partial"] == 1
    ((problem, message),) = rows(tmp_path / "case.db", "SELECT class, message FROM problems")
    assert problem == "changed"
    assert told in message


def test_faces_of_bytes_that_changed_stand_under_no_hash(evidence: Path, tmp_path: Path) -> None:
    """Nobody knows whether they are of the bytes that were hashed; the same bytes elsewhere are."""

    class Grows(FakeDetector):
        def detect(self, image: RGB) -> list[Detection]:
            (evidence / "a.png").write_bytes(FACE + b"more")
            return super().detect(image)

    for name in ("a.png", "b.png"):
        (evidence / name).write_bytes(FACE)
    (tmp_path / "list").write_text(hashlib.sha256(FACE).hexdigest())
    notable = (read_hash_set(ListFile.of(tmp_path / "list")),)
    scanned(evidence, tmp_path / "case.db", detector=Grows(), notable=notable)
    asked = "SELECT path, state, sha256 IS NULL, faces, notable FROM files ORDER BY path"
    files = rows(tmp_path / "case.db", asked)
    assert files == [("a.png", "failed", 1, 0, "list"), ("b.png", "faces", 0, 1, "list")]
    ((message,),) = rows(tmp_path / "case.db", "SELECT message FROM problems WHERE class = 'changed'")
    for data in (FACE, FACE + b"more"):
        assert hashlib.sha256(data).hexdigest() in message


def test_what_was_found_stays_where_bytes_cannot_be_read_again(
    evidence: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Touches(FakeDetector):
        def detect(self, image: RGB) -> list[Detection]:
            os.utime(evidence / "a.png", ns=(1, 1))
            return super().detect(image)

    def fails(_: object) -> None:
        raise UnreadableEvidence("unreadable", "cannot be read: Input/output error")

    (evidence / "a.png").write_bytes(FACE)
    monkeypatch.setattr(OpenEvidence, "other_sha256", fails)
    scanned(evidence, tmp_path / "case.db", detector=Touches())
    assert rows(tmp_path / "case.db", "SELECT state, faces FROM files") == [("partial", 1)]
    problems = rows(tmp_path / "case.db", "SELECT class FROM problems ORDER BY id")
    assert problems == [("changed",), ("unreadable",)]


def test_a_copy_has_not_changed_because_the_first_path_has(evidence: Path, tmp_path: Path) -> None:
    class Touches(FakeDetector):
        def detect(self, image: RGB) -> list[Detection]:
            os.utime(evidence / "a.png", ns=(1, 1))
            return super().detect(image)

    for name in ("a.png", "b.png"):
        (evidence / name).write_bytes(FACE)
    scanned(evidence, tmp_path / "case.db", detector=Touches())
    found = rows(tmp_path / "case.db", "SELECT path, state, faces FROM files ORDER BY path")
    assert found == [("a.png", "partial", 1), ("b.png", "faces", 1)]
    assert rows(tmp_path / "case.db", "SELECT COUNT(*) FROM problems") == [(1,)]


def test_a_second_run_stands_beside_the_first(mixed: Path, tmp_path: Path) -> None:
    case = tmp_path / "case.db"
    assert scanned(mixed, case).run_id == 1
    assert scanned(mixed, case).run_id == 2
    assert rows(case, "SELECT run_id, COUNT(*) FROM face_results GROUP BY run_id") == [(1, 4), (2, 4)]
    assert rows(case, "SELECT COUNT(*) FROM evidence") == [(6,)]


def test_names_that_are_not_utf8_are_in_the_case(evidence: Path, tmp_path: Path) -> None:
    with open(bytes(evidence) + b"/\xff\xfe.png", "wb") as target:
        target.write(FACE)
    case = tmp_path / "case.db"
    scanned(evidence, case)
    assert rows(case, "SELECT path, path_bytes FROM files") == [("\\xff\\xfe.png", b"\xff\xfe.png")]


def test_an_empty_folder_is_a_usage_error(evidence: Path) -> None:
    (evidence / "sub").mkdir()
    with pytest.raises(UsageError, match="no evidence"):
        find_evidence(evidence)


def test_nothing_is_written_into_the_evidence(mixed: Path, tmp_path: Path) -> None:
    (tmp_path / "door").symlink_to(mixed)
    inside = [
        mixed / "case.db",
        mixed / "sub" / "case.db",
        tmp_path / "door" / "case.db",
        tmp_path / "nowhere" / ".." / "evidence" / "case.db",
        mixed,
    ]
    for output in inside:
        with pytest.raises(UsageError, match="inside"):
            refuse_inside(mixed, output, "case")
    for output in (tmp_path / "case.db", tmp_path / "evidence.db", mixed / ".." / "case.db"):
        refuse_inside(mixed, output, "case")


def test_evidence_under_another_name_is_still_evidence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As the kernel tells of bind mounts: the folder "my ev" at /two, its folder "sub" at /three, and
    # another folder of the disk inside it.
    disk, mounts = tmp_path / "disk", tmp_path / "mountinfo"
    evidence = disk / "my ev"
    evidence.mkdir(parents=True)
    mounts.write_text(
        f"1 0 8:1 / {disk} rw - ext4 /dev/sda1 rw\n"
        f"2 1 8:1 /my\\040ev {tmp_path}/two rw - ext4 /dev/sda1 rw\n"
        f"3 1 8:1 /my\\040ev/sub {tmp_path}/three rw - ext4 /dev/sda1 rw\n"
        f"4 1 8:1 /else {disk}/my\\040ev/in rw - ext4 /dev/sda1 rw\n"
        f"5 1 8:1 /my\\040ev/empty.jpg {tmp_path}/c.db rw - ext4 /dev/sda1 rw\n"
        f"6 1 8:2 /my\\040ev {tmp_path}/other rw - ext4 /dev/sda2 rw\n"
    )
    monkeypatch.setattr("forensic_emotion.paths.MOUNTS", mounts)
    for output in ("two/c.db", "two/new/c.db", "three/c.db", "disk/else/c.db", "c.db"):
        with pytest.raises(UsageError, match="inside"):
            refuse_inside(evidence, tmp_path / output, "case")
    with pytest.raises(UsageError, match="inside"):
        refuse_inside(tmp_path / "two", evidence / "c.db", "case")
    for output in ("other/c.db", "disk/c.db", "disk/my evidence/c.db", "elsewhere/c.db"):
        refuse_inside(evidence, tmp_path / output, "case")


def test_a_file_of_the_evidence_under_a_second_name_is_no_case(mixed: Path, tmp_path: Path) -> None:
    second = tmp_path / "c.db"
    file = mixed / "nothing.jpg"
    file.touch()
    second.hardlink_to(file)
    with pytest.raises(UsageError, match="inside"):
        refuse_inside(file, second, "report")
    with pytest.raises(UsageError, match="2 names"):
        refuse_second_name(second)
    second.unlink()
    (tmp_path / "c.db-wal").hardlink_to(file)
    with pytest.raises(UsageError, match=r"c\.db-wal has 2 names"):
        refuse_second_name(second)
    (tmp_path / "c.db-wal").unlink()
    second.touch()
    refuse_second_name(second)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount")
def test_evidence_mounted_in_a_second_place(mixed: Path, tmp_path: Path) -> None:
    (mixed / "deep").mkdir()
    place = tmp_path / "place"
    place.mkdir()
    for folder in (mixed, mixed / "deep"):
        if subprocess.run(["mount", "--bind", folder, place], capture_output=True).returncode:
            pytest.skip("mounting is not allowed here")
        try:
            with pytest.raises(UsageError, match="inside"):
                refuse_inside(mixed, place / "c.db", "case")
        finally:
            subprocess.run(["umount", place], check=True)
