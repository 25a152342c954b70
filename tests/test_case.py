from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
import struct
import subprocess
import sys
from array import array
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from sqlite_utils import Database

from forensic_emotion.case import audit, store
from forensic_emotion.case.presets import find_preset
from forensic_emotion.case.queries import count, opened_case, read_run, run_sql
from forensic_emotion.case.schema import MIGRATIONS
from forensic_emotion.case.store import CaseStore, _file_row, migrate
from forensic_emotion.errors import CaseError, ModelError, UsageError
from forensic_emotion.records import NO_TIME, Box, LookedAt, MediaFacts, Outcome, RecordedTime
from forensic_emotion.verification import verify
from tests.builders import FakeClassifier, encoded, fake_run, picture, scanned, tamper, write_video

DOCS = Path(__file__).parents[1] / "docs" / "database.md"


@pytest.fixture
def case(evidence: Path, tmp_path: Path) -> Path:
    (evidence / "p.png").write_bytes(encoded(picture(faces=[Box(20, 10, 60, 50)])))
    scanned(evidence, tmp_path / "case.db")
    return tmp_path / "case.db"


def test_the_database_page_explains_every_table_and_column(case: Path) -> None:
    with opened_case(case) as opened:
        names = [
            row[0]
            for row in opened.execute(
                "SELECT name FROM sqlite_master WHERE type IN ('table', 'view')"
                " AND name NOT LIKE '\\_%' ESCAPE '\\' AND name NOT LIKE 'sqlite%'"
            )
        ]
        schema = {
            name: {row[1] for row in opened.execute(f"PRAGMA table_info({name})")} for name in names
        }
    documented: dict[str, set[str]] = {}
    for section in DOCS.read_text().split("\n## `")[1:]:
        name = section.split("`")[0]
        documented[name] = set(re.findall(r"^\| `([a-z0-9_]+)` \|", section, re.MULTILINE))
    assert documented == schema


def test_a_case_is_sound_and_has_its_keys(case: Path) -> None:
    with opened_case(case) as opened:
        assert opened.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        assert opened.execute("PRAGMA foreign_key_check").fetchall() == []
        keys = opened.execute("PRAGMA foreign_key_list(faces)").fetchall()
        assert {row["table"] for row in keys} == {"runs", "evidence"}


def test_a_case_is_one_file_and_the_hashes_of_its_audit_beside_it(case: Path) -> None:
    assert sorted(p.name for p in case.parent.glob("case.db*")) == ["case.db", "case.db.audit"]


def test_reading_cannot_write(case: Path) -> None:
    before = case.read_bytes()
    with opened_case(case) as opened:
        for sql in ("DELETE FROM faces", "CREATE TABLE t (x)", "PRAGMA user_version = 7"):
            with pytest.raises(UsageError, match=r"read-?only"):
                run_sql(opened, sql)
    assert case.read_bytes() == before
    assert sorted(p.name for p in case.parent.glob("case.db*")) == ["case.db", "case.db.audit"]


def test_a_case_of_a_newer_femo_is_refused_by_name(case: Path) -> None:
    connection = sqlite3.connect(case)
    connection.execute(
        "INSERT INTO _sqlite_migrations (migration_set, name, applied_at)"
        " VALUES ('femo', 'm999_from_the_future', '2030-01-01')"
    )
    connection.commit()
    connection.close()
    before = case.read_bytes()
    for use in (CaseStore, lambda path: opened_case(path).__enter__()):
        with pytest.raises(CaseError, match=r"newer femo.*m999_from_the_future"):
            use(case)
    assert case.read_bytes() == before


def test_a_full_disk_is_no_damage(
    evidence: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (evidence / "p.png").write_bytes(encoded(picture()))
    scanned(evidence, tmp_path / "case.db")

    def fails(*_: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr("forensic_emotion.case.queries.check_is_case", fails)
    with pytest.raises(CaseError, match="is damaged"), opened_case(tmp_path / "case.db"):
        pass

    class Full:
        f_bavail, f_frsize, f_flag = 0, 4096, 0

    monkeypatch.setattr("forensic_emotion.case.queries.os.statvfs", lambda _: Full)
    with pytest.raises(CaseError, match="its disk is full"), opened_case(tmp_path / "case.db"):
        pass
    Full.f_flag = os.ST_RDONLY
    with pytest.raises(CaseError, match="is damaged"), opened_case(tmp_path / "case.db"):
        pass


def test_a_case_of_an_older_femo_is_brought_up_to_date_on_request(
    evidence: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (evidence / "p.png").write_bytes(encoded(picture(faces=[Box(20, 10, 60, 50)])))
    path = tmp_path / "older.db"
    connection = sqlite3.connect(path)
    MIGRATIONS.apply(Database(connection), stop_before="m002_second_version")
    connection.executescript(
        """
        INSERT INTO models VALUES ('f', 'onnx', '[]');
        INSERT INTO runs VALUES (1, 'done', '/e', x'2f65', 't', 't', '[]', '{}', '{}', 'f', 'm', '{}',
            'h', 'u', 1);
        INSERT INTO evidence VALUES ('s', 'm', 1, 'image/png', 'still');
        INSERT INTO files VALUES (1, 1, 'p', x'70', 's', 'faces', NULL, NULL, NULL, NULL, NULL, NULL, 1,
            1, NULL, NULL, NULL, NULL, 1, 0, 1, 1);
        INSERT INTO faces VALUES (1, 1, 's', 0, NULL, NULL, NULL, 0, 0, 0, 1, 1, 'hog', 0.5, '[]', 0, 0,
            0, 1, 0, 0, 0, 'happy', 1.0, x'00');
        """
    )
    connection.close()
    before = path.read_bytes()
    with pytest.raises(CaseError, match=r"older femo.*m002_second_version"), opened_case(path):
        pass
    with pytest.raises(CaseError, match="femo migrate"):
        CaseStore(path)
    assert path.read_bytes() == before

    within = tmp_path / "within"
    within.mkdir()
    lying_there = Path(shutil.copy(path, within / "older.db"))
    with closing(sqlite3.connect(lying_there)) as connection, connection:
        connection.execute("UPDATE runs SET evidence_root_bytes = ?", (os.fsencode(within),))
    before = lying_there.read_bytes()
    with pytest.raises(UsageError, match="only read"):  # a case in its own evidence
        migrate(lying_there, "2026-01-01T00:00:00Z", ("femo", "migrate"))
    assert {p.name: p.read_bytes() for p in within.iterdir()} == {"older.db": before}

    trapped = Path(shutil.copy(path, tmp_path / "trapped.db"))
    with closing(sqlite3.connect(trapped)) as connection, connection:
        connection.execute("CREATE TRIGGER z AFTER INSERT ON faces BEGIN DELETE FROM runs; END")
    with pytest.raises(CaseError, match="its trigger z is not one of femo's"):
        migrate(trapped, "2026-01-01T00:00:00Z", ("femo", "migrate"))
    assert not list(tmp_path.glob("trapped.db.before*")), "nothing is in the way of the next one"

    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(store, "run_digests", stopped)
        with pytest.raises(KeyboardInterrupt):
            migrate(path, "2026-01-01T00:00:00Z", ("femo", "migrate"))
    with pytest.raises(CaseError, match="older femo"), opened_case(path):
        pass  # none of it was done, so it can be asked for again
    path.with_name("older.db.before-m002_second_version").unlink()
    # Named by a link, and a case that is nobody else's business.
    link = within / "link.db"
    link.symlink_to(path)
    path.chmod(0o600)
    kept = migrate(link, "2026-01-01T00:00:00Z", ("femo", "migrate"))
    assert kept == path.with_name("older.db.before-m002_second_version")
    assert kept.stat().st_mode & 0o777 == 0o600
    assert sorted(p.name for p in within.iterdir()) == ["link.db", "older.db"]
    copy = sqlite3.connect(kept)
    assert copy.execute("SELECT label FROM face_results").fetchall() == [("happy",)]
    copy.close()
    with opened_case(path) as opened:
        row = opened.execute("SELECT label, top_class, path FROM face_results").fetchone()
        assert tuple(row) == ("happy", "happy", "p")
        assert read_run(opened).threshold is None
        assert verify(opened, path, 1, None, lambda: None).faults == []
    before = path.read_bytes()
    assert migrate(path, "", ()) is None  # it is up to date
    assert path.read_bytes() == before
    scanned(evidence, path)
    with opened_case(path) as opened:
        assert read_run(opened).id == 2


def test_hashes_that_an_older_case_lacks_are_made_when_it_is_brought_up_to_date(tmp_path: Path) -> None:
    path = tmp_path / "older.db"
    run = {"state": "done", "evidence_root": "/e", "evidence_root_bytes": b"/e", "discovered": 0}
    run |= {"started_at": "t", "ended_at": "t", "arguments": "[]", "settings": "{}", "versions": "{}"}
    run |= {"model_sha256": "f", "model_name": "m", "model_card": "{}", "host": "h", "user": "u"}
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        MIGRATIONS.apply(Database(connection), stop_before="m004_reviews")
        connection.execute("INSERT INTO models (sha256, runtime, labels) VALUES ('f', 'onnx', '[]')")
        for number in (1, 2):
            names, marks = ", ".join(run), ", ".join("?" * len(run))
            values = (number, *run.values())
            connection.execute(f"INSERT INTO runs (id, {names}) VALUES (?, {marks})", values)
        said = {"at": "t", "action": "scan", "user": "u", "host": "h", "femo": "0"}
        audit.append(connection, run_id=1, arguments=(), detail={}, **said)
    migrate(path, "2026-01-01T00:00:00Z", ("femo", "migrate"))
    assert path.with_name("older.db.audit").exists()
    with closing(sqlite3.connect(path)) as connection:
        entries = connection.execute("SELECT detail FROM audit WHERE action = 'migrate'").fetchall()
    told = [json.loads(detail) for (detail,) in entries]
    assert [("audit_file" in detail) for detail in told] == [True, False], "once"
    with closing(CaseStore(path)) as store:
        assert store.audit_fault is None


@pytest.mark.parametrize("threshold", [0.39, 0.41])
def test_a_face_below_the_threshold_is_uncertain(
    evidence: Path, tmp_path: Path, threshold: float
) -> None:
    (evidence / "p.png").write_bytes(encoded(picture(faces=[Box(20, 10, 60, 50)])))
    abstention = {"max_error": 0.2, "threshold": threshold, "coverage": 0.6, "error": None}
    scanned(evidence, tmp_path / "case.db", classifier=FakeClassifier(abstention=abstention))
    with opened_case(tmp_path / "case.db") as opened:
        row = opened.execute("SELECT label, top_class, confidence, happy FROM face_results").fetchone()
        assert row["label"] == ("happy" if threshold < 0.4 else "uncertain")
        assert row["top_class"] == "happy"
        assert row["confidence"] == row["happy"] == pytest.approx(0.4)
        run = read_run(opened)
        assert (run.threshold, run.coverage) == (threshold, 0.6)
        labels = count(opened, run.id).labels
        assert labels["uncertain"] == (threshold > 0.4)
        assert sum(labels.values()) == 1


@pytest.mark.parametrize("content", [b"this is text, and long enough to be no database" * 20, b"x"])
def test_what_is_no_database_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "case.db"
    path.write_bytes(content)
    for use in (CaseStore, lambda p: opened_case(p).__enter__()):
        with pytest.raises(CaseError, match=r"not a femo case"):
            use(path)
    assert path.read_bytes() == content


def test_another_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE accounts (id)")
    connection.commit()
    connection.close()
    before = path.read_bytes()
    with pytest.raises(CaseError, match="not a femo case"):
        CaseStore(path)
    assert path.read_bytes() == before


def test_a_missing_case_is_told_and_not_made(tmp_path: Path) -> None:
    with pytest.raises(CaseError, match="no case"), opened_case(tmp_path / "none.db"):
        pass
    assert not (tmp_path / "none.db").exists()
    with pytest.raises(CaseError, match="cannot be created"):
        CaseStore(tmp_path / "no_folder" / "case.db")


def test_a_case_name_with_url_characters(evidence: Path, tmp_path: Path) -> None:
    (evidence / "p.png").write_bytes(encoded(picture()))
    case = tmp_path / "a?b#c %41.db"
    scanned(evidence, case)
    with opened_case(case) as opened:
        assert read_run(opened).state == "done"


def test_a_run_that_is_not_there(case: Path) -> None:
    with opened_case(case) as opened:
        with pytest.raises(UsageError, match="no run 5"):
            read_run(opened, 5)
        assert read_run(opened, 1).settings["every"] == 1.0


def test_half_a_file_never_shows(evidence: Path, tmp_path: Path) -> None:
    """A row that breaks the rules takes back all of its file."""

    class TwoLabels(FakeClassifier):
        def probabilities(self, inputs):
            return super().probabilities(inputs)[:, :3]

    (evidence / "p.png").write_bytes(encoded(picture(faces=[Box(20, 10, 60, 50)])))
    with pytest.raises(ValueError, match="zip"):
        scanned(evidence, tmp_path / "case.db", classifier=TwoLabels())
    with opened_case(tmp_path / "case.db") as opened:
        assert opened.execute("SELECT COUNT(*) FROM files").fetchone()[0] == 0
        assert read_run(opened).state == "failed"


def test_a_copy_takes_over_every_fact_of_its_original(case: Path) -> None:
    """Of a path that was looked at before a stop, its copy is told from the case alone."""
    facts = MediaFacts(
        *(8, 6, 6, "1/1000", 5, 0, 40, 2),
        **{"exif": {"Make": "M"}, "metadata": {"a": "b"}, "latitude": 1.5, "longitude": -2.5},
        gps_at="2026-11-22T19:03:26Z",
        looked_at={0: LookedAt(Fraction(1, 25), array("q", [0, 25]), array("q", [0, NO_TIME]))},
        **{"recorded": RecordedTime("2026", "DateTime", None, "none"), "stream": 1},
        **{"pixel_aspect": "64:45", "frames_interlaced": 3, "smallest_face": 12.5},
    )
    untouched = MediaFacts()
    for name, value in vars(facts).items():  # a fact that is added later must not be left out here
        assert name == "problems" or value != getattr(untouched, name), name
    with opened_case(case) as opened:
        (sha256,) = opened.execute("SELECT sha256 FROM evidence").fetchone()
    store = CaseStore(case)
    connection = store._connection
    row = _file_row(Outcome(b"p.png", "p.png", "faces", media=facts))
    for name in ("path", "path_bytes", "sha256", "state", "reason", "frames", "faces"):
        del row[name]
    names = ", ".join(f"{name} = ?" for name in row)
    connection.execute(f"UPDATE files SET {names}", tuple(row.values()))
    first = store.first_with(1, sha256)
    assert first is not None
    assert first.media == facts
    store.close()


def test_any_thread_may_ask_for_what_was_looked_at_amid_a_writing(case: Path) -> None:
    with opened_case(case) as opened:
        (sha256,) = opened.execute("SELECT sha256 FROM evidence WHERE kind NOT NULL").fetchone()
    with closing(CaseStore(case)) as store, ThreadPoolExecutor(1) as other:
        assert other.submit(store.has, 1, sha256).result()
        assert not other.submit(store.has, 2, sha256).result()
        assert not other.submit(store.has, 1, "0" * 64).result()
        assert store.first_with(2, sha256) is None
        with store._transaction():
            store._connection.execute("UPDATE files SET known = 'list'")
            assert other.submit(store.has, 1, sha256).result(), "not yet committed"
        assert not other.submit(store.has, 1, sha256).result(), "known files are not looked at"
    assert not case.with_name(case.name + "-wal").exists()


def test_each_run_keeps_the_card_that_its_model_had(evidence: Path, tmp_path: Path) -> None:
    (evidence / "p.png").write_bytes(encoded(picture()))
    for metrics in ({}, {"PublicTest": {"accuracy": 0.6}}):
        scanned(evidence, tmp_path / "case.db", classifier=FakeClassifier(metrics=metrics))
    with opened_case(tmp_path / "case.db") as opened:
        assert read_run(opened, 1).model_card["metrics"] == {}
        assert read_run(opened, 2).model_card["metrics"]["PublicTest"] == {"accuracy": 0.6}


def test_a_model_with_other_classes_is_refused(tmp_path: Path) -> None:
    classifier = FakeClassifier(labels=["yes", "no"])
    store = CaseStore(tmp_path / "case.db")
    with pytest.raises(ModelError, match="classes yes, no"):
        store.begin(fake_run(tmp_path, classifier))
    store.close()


# ---- a case folder from somebody else ---------------------------------------------------------------


def journal_that_names(case: Path, victim: Path) -> bytes:
    """A rollback journal without a page, of a change that claims to be one of several databases.

    After SQLite's description of its file format (sqlite.org/fileformat.html, 3, and pager.c).
    """
    pages, name = case.stat().st_size // 4096, os.fsencode(victim)
    head = JOURNAL + struct.pack(">IIIII", 0, 0x1234, pages, 512, 4096)
    beyond = 0x40000000 // 4096 + 1  # the page that holds SQLite's locks
    names = struct.pack(">I", beyond) + name + struct.pack(">II", len(name), sum(name))
    return head.ljust(512, b"\0") + names + JOURNAL


JOURNAL = bytes.fromhex("d9d505f920a163d7")


def test_a_journal_beside_a_case_deletes_nothing(case: Path, evidence: Path, tmp_path: Path) -> None:
    victim = tmp_path / "precious.jpg"
    victim.write_bytes(b"precious")
    journal = Path(f"{case}-journal")
    journal.write_bytes(journal_that_names(case, victim))
    with pytest.raises(CaseError, match="names another file, which SQLite would delete"):
        scanned(evidence, case)
    with pytest.raises(CaseError, match="names another file"):
        migrate(case, "2026-01-01T00:00:00Z", ("femo", "migrate"))
    with pytest.raises(CaseError, match="cannot be read") as told, opened_case(case):
        pass
    assert "case.db-journal shows that a change" in str(told.value.remedy)
    assert victim.read_bytes() == b"precious"
    # So it was: SQLite itself takes the name for that of its own file.
    with closing(sqlite3.connect(case)) as connection:
        connection.execute("SELECT * FROM runs").fetchall()
    assert not victim.exists()


@pytest.mark.parametrize("name", ["tracks", "Tracks"])
def test_a_view_in_place_of_a_table_is_refused(case: Path, name: str) -> None:
    with closing(sqlite3.connect(case)) as connection:
        connection.execute("DROP TABLE tracks")
        endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n"
        connection.execute(f"CREATE VIEW {name} AS {endless}")
        connection.commit()
    with pytest.raises(CaseError, match=f"its {name} is not a table"), opened_case(case):
        pass


def test_the_audit_file_is_written_through_no_link(
    case: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    victim = tmp_path / "precious.jpg"
    victim.write_bytes(b"precious")
    monkeypatch.setattr("secrets.token_hex", lambda _: "0")  # as if it could be guessed
    (case.parent / ".case.db.audit.0.new").symlink_to(victim)
    opened = CaseStore(case)
    opened.note("report", 1, "2026-01-01T00:00:00Z", ("femo",), {})
    with pytest.raises(CaseError, match="cannot be written: File exists"):
        opened.close()
    assert victim.read_bytes() == b"precious"
    assert not Path(f"{case}.audit").is_symlink()


@pytest.mark.parametrize("meanwhile", ["read", "scan", "review"])
def test_no_other_command_takes_a_case_from_under_a_scan(
    evidence: Path, tmp_path: Path, meanwhile: str
) -> None:
    """What is not in the case itself yet lies in its -wal; whoever removes that, loses it."""
    (evidence / "p.png").write_bytes(encoded(picture(faces=[Box(20, 10, 60, 50)])))
    case = tmp_path / "case.db"
    scanned(evidence, case)
    wal = case.with_name("case.db-wal")
    with closing(CaseStore(case)) as scanning:
        run_id = scanning.begin(fake_run(evidence))
        with opened_case(case) as opened:  # as a scan does, to see whether it goes on with one
            assert read_run(opened).id == run_id
        inode = wal.stat().st_ino
        code = (
            "import sys; from pathlib import Path; from forensic_emotion.case.store import CaseStore\n"
            "from forensic_emotion.case.queries import opened_case\n"
            "from forensic_emotion.errors import CaseError\n"
            "case, meanwhile = Path(sys.argv[1]), sys.argv[2]\n"
            "if meanwhile == 'read':\n"
            "    with opened_case(case) as opened: opened.execute('SELECT * FROM files').fetchall()\n"
            "store = CaseStore(case)\n"
            "try:\n"
            "    if meanwhile == 'scan': store.lock()\n"
            "    store.note('verify', None, '2026', ('femo',), {})\n"
            "except CaseError: print('refused')\n"
            "store.close()\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, str(case), meanwhile], capture_output=True, text=True
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == ("refused\n" if meanwhile == "scan" else "")
        assert wal.stat().st_ino == inode
        scanning.add(run_id, Outcome(b"q.png", "q.png", "failed"))
        with opened_case(case) as opened:
            assert opened.execute("SELECT COUNT(*) FROM files").fetchone()[0] == 2
        scanning.end_run(run_id, "interrupted", "2026", ("femo",))
    with opened_case(case) as opened:
        assert verify(opened, case, None, None, lambda: None).faults == []


@pytest.mark.parametrize("name", ["file:%2E%2Fcase.db", ":memory:"])
def test_a_case_is_called_what_it_is_called(
    evidence: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (evidence / "p.png").write_bytes(encoded(picture()))
    scanned(evidence, Path(name))
    assert (tmp_path / name).is_file()
    assert not (tmp_path / "case.db").exists()


def test_a_copy_without_its_log_says_what_is_missing(
    case: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = CaseStore(case)
    copy = tmp_path / "copies" / "copy.db"
    copy.parent.mkdir()
    shutil.copy(case, copy)  # while it is written
    store.close()
    real = sqlite3.connect

    def read_only(*arguments: Any, **more: Any) -> sqlite3.Connection:
        connection = real(*arguments, **more)
        connection.set_authorizer(lambda *_: sqlite3.SQLITE_DENY)  # as a folder that is read-only does
        return connection

    monkeypatch.setattr("forensic_emotion.case.queries.sqlite3.connect", read_only)
    with pytest.raises(CaseError) as told, opened_case(copy):
        pass
    assert "without copy.db-wal: copy that too" in told.value.remedy


def test_which_frames_were_looked_at_is_in_the_case(evidence: Path, tmp_path: Path) -> None:
    """A moment without a face is told from one that was not looked at."""
    (evidence / "still.png").write_bytes(encoded(picture(faces=[Box(20, 10, 60, 50)])))
    write_video(
        evidence / "v.mkv",
        range(500, 6500, 250),
        lambda pts: picture(faces=[Box(20, 10, 60, 50)] if pts < 3000 else []),
    )
    shutil.copy(evidence / "v.mkv", evidence / "copy.mkv")
    case = tmp_path / "case.db"
    scanned(evidence, case)
    with opened_case(case) as opened:
        seen = opened.execute(
            "SELECT frame_index, pts, time_base, seconds FROM frames_looked_at WHERE path = 'v.mkv'"
        ).fetchall()
        assert [tuple(row) for row in seen] == [
            (4 * n, 500 + 1000 * n, "1/1000", 0.5 + n) for n in range(6)
        ]
        paths = opened.execute("SELECT path, frames FROM files ORDER BY path").fetchall()
        counted = "SELECT path, COUNT(*) FROM frames_looked_at GROUP BY path ORDER BY path"
        rows = dict(opened.execute(counted).fetchall())
        assert rows == {path: n for path, n in paths if path != "still.png"}
        sql = find_preset("no-face").sql
        given = dict.fromkeys(find_preset("no-face").parameters) | {"path": "v.mkv"}
        _, found = run_sql(opened, sql, given)
        assert [row[2] for row in found] == [3.5, 4.5, 5.5]
        assert verify(opened, case, None, None, lambda: None).faults == []
    tamper(case, "UPDATE files SET looked_at = '[]' WHERE path = 'v.mkv'")
    with opened_case(case) as opened:
        assert any("v.mkv" in fault for fault in verify(opened, case, None, None, lambda: None).faults)
