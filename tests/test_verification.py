"""What shows that a case or its evidence was changed, and the commands that tell."""

from __future__ import annotations

import hashlib
import json
import os
import pwd
import re
import shutil
import signal
import sqlite3
import subprocess
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from threading import Timer

import pytest
from typer.testing import CliRunner

from forensic_emotion import evidence as evidence_module
from forensic_emotion.case import audit
from forensic_emotion.case.audit_file import write_audit_file
from forensic_emotion.case.difference import compare
from forensic_emotion.case.digest import file_digests
from forensic_emotion.case.queries import opened_case
from forensic_emotion.case.reviews import Judgement
from forensic_emotion.case.store import CaseStore, account
from forensic_emotion.cli import app
from forensic_emotion.errors import CaseError, UsageError
from forensic_emotion.hashes import sum_line
from forensic_emotion.records import RGB, Box, CaseData, Detection, Outcome
from forensic_emotion.verification import FileFate, Verification, verify
from tests.builders import FakeDetector, encoded, fake_run, loose, picture, scanned, tamper, write_video
from tests.test_engine import rows

FACE = encoded(picture(faces=[Box(20, 10, 60, 50)]))


@pytest.fixture
def case(evidence: Path, tmp_path: Path) -> Path:
    (evidence / "face.png").write_bytes(FACE)
    (evidence / "same.png").write_bytes(FACE)
    (evidence / "none.png").write_bytes(encoded(picture()))
    (evidence / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(40))
    (evidence / "link").symlink_to("face.png")
    with open(bytes(evidence) + b"/\xff new\nline \\ back.txt", "wb") as target:
        target.write(b"text")
    write_video(evidence / "v.mkv", [0, 1500], lambda _: picture(faces=[Box(20, 10, 60, 50)]))
    scanned(evidence, tmp_path / "case.db")
    return tmp_path / "case.db"


def verified(case: Path, evidence: Path | None = None, run: int = 1) -> Verification:
    with opened_case(case, to_verify=True) as opened:
        return verify(opened, case, run, evidence, lambda: None)


def test_an_untouched_case_holds(case: Path, evidence: Path) -> None:
    found = verified(case, evidence)
    assert found.faults == []
    assert found.rows == 7
    assert found.holds
    fates = Counter(f.fate for f in found.files or ())
    assert fates == {"unchanged": 6, "unhashed": 1}  # a link has no bytes of its own
    assert found.unfinished == []
    assert (case.parent / "case.db.audit").read_text().splitlines()[-1].startswith(found.head)


def test_of_a_broken_database_no_row_counts_as_checked(case: Path) -> None:
    with closing(sqlite3.connect(case)) as connection:
        connection.execute("CREATE INDEX i ON evidence (size)")
        connection.execute("PRAGMA writable_schema = ON")
        of_md5 = "UPDATE sqlite_master SET sql = 'CREATE INDEX i ON evidence (md5)' WHERE name = 'i'"
        connection.execute(of_md5)
        connection.commit()
    found = verified(case)
    assert any("missing from index" in fault for fault in found.faults), found.faults
    assert found.rows == 0


FACE_ROW = "UPDATE faces SET {} WHERE id = 1"
RUN_ROW = "UPDATE runs SET {}"
SETTLED = "run 1: folder, settings, versions, model, examiner"


@pytest.mark.parametrize(
    ("sql", "fault"),
    [
        (FACE_ROW.format("happy = happy + 1e-9"), "run 1, face.png: its rows were changed"),
        (FACE_ROW.format('"left" = "left" + 1'), "face.png"),
        (FACE_ROW.format("label = 'sad'"), "face.png"),
        (FACE_ROW.format("thumbnail = CAST(x'00' || substr(thumbnail, 2) AS BLOB)"), "face.png"),
        (FACE_ROW.format("landmarks = replace(landmarks, '40', '41')"), "face.png"),
        ("DELETE FROM faces WHERE pts = 1500", "v.mkv"),
        ("UPDATE files SET mode = '-rwxr-xr-x' WHERE path = 'none.png'", "none.png"),
        ("UPDATE files SET path_bytes = x'61' WHERE path = 'none.png'", "none.png"),
        ("UPDATE files SET state = 'no_face' WHERE path = 'bad.png'", "bad.png"),
        ("UPDATE evidence SET md5 = '0' WHERE kind = 'video'", "v.mkv"),
        ("DELETE FROM problems", "bad.png"),
        ("DELETE FROM files WHERE path = 'none.png'", "run 1: paths were added, removed or changed"),
        (
            "UPDATE runs SET state = 'interrupted'",
            "run 1: its end differs from the one in the audit table",
        ),
        ("UPDATE audit SET user = 'nobody' WHERE id = 1", "audit entry 1 (scan, "),
        ("UPDATE audit SET detail = replace(detail, '7', '8') WHERE id = 2", "audit entry 2"),
        ("DELETE FROM audit WHERE id = 1", "audit entry 1 is missing"),
        ("DELETE FROM audit WHERE id = 2", "lacks entries that case.db.audit lists"),
        (RUN_ROW.format("examiner = 'X'"), SETTLED),
        (RUN_ROW.format("settings = replace(settings, 'every', 'never')"), SETTLED),
        (RUN_ROW.format("versions = '{}'"), SETTLED),
        (RUN_ROW.format("threshold = 0.1"), SETTLED),
        (RUN_ROW.format("model_name = 'other'"), SETTLED),
        (RUN_ROW.format("model_card = replace(model_card, 'labels', 'mabels')"), SETTLED),
        (RUN_ROW.format("started_at = '2020'"), SETTLED),
        (RUN_ROW.format("evidence_root = '/else'"), SETTLED),
        (RUN_ROW.format("evidence_root_bytes = x'2f'"), SETTLED),
        (RUN_ROW.format("evidence_root_bytes = hex(evidence_root_bytes)"), SETTLED),
        (RUN_ROW.format("arguments = '[]'"), SETTLED),
        (RUN_ROW.format("host = 'h'"), SETTLED),
        (RUN_ROW.format("user = 'u'"), SETTLED),
        ("UPDATE models SET runtime = 'other'", SETTLED),
        ("UPDATE models SET labels = '[]'", SETTLED),
        (RUN_ROW.format("ended_at = '2020'"), "run 1: its row, such as end"),
        (RUN_ROW.format("discovered = 9"), "run 1: its row, such as end"),
        (RUN_ROW.format("state = 'running'"), "run 1: its end differs from the one in the audit table"),
        ("INSERT INTO models VALUES ('g', 'onnx', '[]')", "1 models belong to no run"),
        ("INSERT INTO evidence (sha256, md5, size) VALUES ('g', '', 1)", "evidence belong to no path"),
        (
            "UPDATE problems SET file_id = 99",
            "row 1 of problems: the row of files that it refers to is missing",
        ),
        ("UPDATE problems SET run_id = 9", "problems name another run"),
        ("UPDATE tracks SET sha256 = 'x'", "1 tracks belong to no path"),
        (FACE_ROW.format("thumbnail = lower(hex(thumbnail))"), "1 values of faces.thumbnail are text"),
        ("UPDATE evidence SET md5 = CAST(md5 AS BLOB)", " values of evidence.md5 are binary data"),
        ("UPDATE files SET reason = CAST(path AS BLOB)", " values of files.reason are binary data"),
        ("DELETE FROM runs", "run 1 is missing"),
        # What is damaged is named, and ends nothing.
        (RUN_ROW.format("settings = '{'"), SETTLED),
        (RUN_ROW.format("model_card = '{'"), SETTLED),
        (FACE_ROW.format("thumbnail = CAST(x'ff41' AS TEXT)"), "face.png: its rows were changed"),
        ("UPDATE files SET path = CAST(x'ff41' AS TEXT) WHERE path = 'none.png'", "rows were changed"),
        ("UPDATE audit SET detail = '{' WHERE id = 2", "audit entry 2 (scan ended, "),
        ("UPDATE audit SET detail = x'ff' WHERE id = 2", "audit entry 2 (scan ended, "),
        ("UPDATE audit SET at = CAST(x'ff41' AS TEXT) WHERE id = 1", "audit entry 1 (scan, "),
    ],
)
def test_one_change_is_found_and_named(case: Path, sql: str, fault: str) -> None:
    tamper(case, sql)
    found = verified(case)
    assert not found.holds
    assert any(fault in text for text in found.faults), found.faults
    for again in range(2):  # the command says it too, and its own entry hides nothing
        code, output = run("verify", case)
        assert (code, "FAULT  " in output) == (3, True), (again, output)
        assert fault in output.replace("\n", "")
        if again == 0:  # and the other checks are made all the same
            tamper(case, "UPDATE files SET mode = 'x' WHERE path = 'v.mkv'")
            assert "v.mkv: its rows were changed" in run("verify", case)[1]


OTHER_SCORES = "CREATE VIEW face_results AS SELECT *, 'sad' AS label FROM faces"


@pytest.mark.parametrize(
    ("sql", "fault"),
    [
        (("DROP VIEW face_results", OTHER_SCORES), "the view face_results is not as femo makes it"),
        (("DROP TRIGGER audit_no_delete",), "the trigger audit_no_delete is missing"),
        (
            ("CREATE TRIGGER more AFTER INSERT ON faces BEGIN DELETE FROM problems; END",),
            "the trigger more is not one of femo's",
        ),
        (("DROP INDEX files_by_content",), "the index files_by_content is missing"),
        (("ALTER TABLE files DROP COLUMN mode",), "the table files is not as femo makes it"),
        (("ALTER TABLE tracks RENAME TO lost",), "the table tracks is missing"),
        (("DROP TABLE runs",), "the table runs is missing"),
        (("DROP TABLE files",), "the table files is missing"),
        (("DROP TABLE audit",), "the table audit is missing"),
    ],
)
def test_another_schema_is_named(case: Path, sql: tuple[str, ...], fault: str) -> None:
    connection = sqlite3.connect(case)
    for statement in sql:
        connection.execute(statement)
    connection.close()
    code, output = run("verify", case)
    assert (code, f"FAULT  schema: {fault}" in output) == (3, True), output


def test_another_spelling_of_the_same_schema_holds(case: Path) -> None:
    """SQLite and sqlite_utils have written the same tables otherwise before."""
    connection = sqlite3.connect(case)
    connection.execute("PRAGMA writable_schema = 1")
    connection.execute(
        "UPDATE sqlite_master SET sql = replace(sql, 'CREATE TABLE faces', 'CREATE TABLE \"faces\"')"
    )
    connection.execute("UPDATE sqlite_master SET sql = replace(sql, '    ', '  ') WHERE type = 'view'")
    connection.commit()
    connection.close()
    assert verified(case).faults == []


def test_one_flipped_bit_of_a_model_card_is_found(case: Path) -> None:
    content = bytearray(case.read_bytes())
    content[content.index(b'"preprocessing"') + 5] ^= 1
    case.write_bytes(content)
    assert any(SETTLED in fault for fault in verified(case).faults)


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE runs SET settings = '[1, 2]'",
        "UPDATE runs SET versions = 'null'",
        "UPDATE runs SET evidence_root_bytes = x'00'",
        """UPDATE runs SET model_card = '{"metrics": {"PublicTest": 3}}'""",
        "UPDATE files SET exif = '{oops' WHERE path = 'face.png'",
        "UPDATE faces SET landmarks = '[1]'",
        "UPDATE faces SET top_class = 'zzz'",
    ],
)
def test_a_value_of_another_type_is_laid_to_the_case(case: Path, tmp_path: Path, sql: str) -> None:
    tamper(case, sql)
    code, output = run("report", case, "--out", tmp_path / "r.html")
    words = " ".join(output.split())
    assert code in (1, 3), words
    assert "is not as femo wrote it: run 1" in words if code == 1 else "was altered" in words
    for name in ("csv", "case", "coco"):
        code, output = run("export", case, name, "--out", tmp_path / name)
        assert code in (1, 3), output
        assert "altered" in output or "is not as femo wrote it" in " ".join(output.split())


def test_a_fault_over_a_whole_case_stays_a_fault(case: Path) -> None:
    with pytest.raises(TypeError), opened_case(case):
        raise TypeError
    tamper(case, "UPDATE faces SET top_class = 'sad'")
    with pytest.raises(MemoryError), opened_case(case):
        raise MemoryError
    with pytest.raises(CaseError, match="is not as femo wrote it"), opened_case(case):
        raise TypeError


def test_one_file_is_told_by_its_own_name_also_through_a_link(evidence: Path, tmp_path: Path) -> None:
    (evidence / "face.png").write_bytes(FACE)
    (tmp_path / "link.png").symlink_to(evidence / "face.png")
    scanned(tmp_path / "link.png", tmp_path / "case.db")
    for name in (evidence / "face.png", tmp_path / "link.png"):
        assert verified(tmp_path / "case.db", name).holds


def test_a_review_whose_face_got_another_number_is_named(case: Path) -> None:
    with closing(CaseStore(case)) as store:
        store.add_review(1, Judgement(1, "confirmed"), "A", "2026", ())
    assert verified(case).faults == []
    numbers = [f"UPDATE faces SET id = {new} WHERE id = {old}" for old, new in ((1, 9), (2, 1), (9, 2))]
    tamper(case, *numbers)
    assert verified(case).faults == [
        "review 1 of face 1: that number belonged to another face when it was written"
    ]


def test_entries_of_an_older_femo_without_digests_of_the_run_hold(case: Path) -> None:
    """Nothing says that such a case was changed."""
    with closing(sqlite3.connect(case)) as connection:
        old = [json.loads(detail) for (detail,) in connection.execute("SELECT detail FROM audit")]
    assert [sorted(d.keys() & {"begun_digest", "run_digest"}) for d in old] == [
        ["begun_digest"],
        ["run_digest"],
    ]
    with closing(sqlite3.connect(case)) as connection:
        entries = list(audit.entries(connection))
    tamper(case, "DELETE FROM audit")
    with closing(sqlite3.connect(case)) as connection:
        for entry in entries:
            detail = {k: v for k, v in entry.detail.items() if k not in ("begun_digest", "run_digest")}
            audit.append(
                connection,
                **{"at": entry.at, "action": entry.action, "run_id": 1, "user": "u", "host": "h"},
                **{"femo": "0", "arguments": (), "detail": detail},
            )
        connection.commit()
    case.with_name("case.db.audit").unlink()
    with closing(sqlite3.connect(case)) as connection:
        write_audit_file(connection, case)
    assert verified(case).faults == []


def killed(case: Path, evidence: Path) -> None:
    """A run whose process went away after its first file."""
    store = CaseStore(case)
    number = store.begin(fake_run(evidence))
    outcome = Outcome(b"none.png", "none.png", "skipped", reason="symbolic link, not followed")
    store.set_discovered(number, 7)
    store.add(number, outcome)
    store.close()


def test_a_run_that_never_ended_is_not_said_to_hold_alone(evidence: Path, tmp_path: Path) -> None:
    case = tmp_path / "case.db"
    killed(case, evidence)
    code, output = run("verify", case)
    assert code == 0, output
    assert "NOT FINISHED  run 1 is running, or its process was killed" in output
    assert "What is there passed all checks." in output
    assert "All checks passed." not in output
    facts = json.loads(run("verify", case, "--json")[1])
    assert (facts["holds"], len(facts["unfinished"])) == (True, 1)
    tamper(case, "UPDATE runs SET examiner = 'X'")
    assert any(SETTLED in fault for fault in verified(case).faults)


def test_what_changed_while_a_run_was_stopped_shows_after_it_went_on(
    evidence: Path, tmp_path: Path
) -> None:
    (evidence / "none.png").write_bytes(encoded(picture()))
    case = tmp_path / "case.db"
    killed(case, evidence)
    tamper(case, "UPDATE runs SET examiner = 'X'")
    scanned(evidence, case)
    assert rows(case, "SELECT id, state FROM runs") == [(1, "done")]
    assert any(SETTLED in fault for fault in verified(case).faults)


def test_entries_cut_off_stay_visible_whatever_is_written_afterwards(case: Path, evidence: Path) -> None:
    tamper(case, "DELETE FROM audit WHERE id = 2")
    scanned(evidence, case)
    assert "the audit table lacks entries that case.db.audit lists" in verified(case).faults


@pytest.mark.parametrize(
    "change",
    [lambda text: "", lambda text: text.replace("scan", "gone"), lambda text: text.replace("T", "U", 1)],
)
def test_the_file_beside_a_case_is_compared_whole(case: Path, change: Callable[[str], str]) -> None:
    beside = case.with_name("case.db.audit")
    was = beside.read_text()
    beside.write_text(change(was))
    assert beside.read_text() != was
    for _ in range(2):  # and stays as it is, so that it shows still
        code, output = run("verify", case)
        assert code == 3
        assert "the audit table lacks entries" in output.replace("\n", "")
    assert beside.read_text() == change(was)


def test_a_case_made_anew_under_the_name_of_another_holds_and_tells(case: Path, evidence: Path) -> None:
    beside = case.with_name("case.db.audit")
    lists = [beside.read_bytes()]
    for n in (1, 2):
        case.unlink()  # its .audit stays
        scanned(evidence, case)
        assert verified(case).faults == []
        assert beside.with_name(f"case.db.audit.before-{n}").read_bytes() == lists[-1]
        ((detail,),) = rows(case, "SELECT detail FROM audit WHERE action = 'scan'")
        assert f"case.db.audit.before-{n}" in json.loads(detail)["audit_file"]
        lists.append(beside.read_bytes())


def test_a_list_that_is_no_text_any_more_still_shows_what_was_cut_off(
    case: Path, evidence: Path
) -> None:
    tamper(case, "DELETE FROM audit WHERE id = 2")
    beside = case.with_name("case.db.audit")
    damaged = beside.read_bytes()[:-1] + b"\xff"
    beside.write_bytes(damaged)
    scanned(evidence, case)
    assert beside.read_bytes() == damaged
    assert any("case.db.audit cannot be read" in fault for fault in verified(case).faults)


def test_a_case_that_was_moved_into_its_evidence_is_not_written_there(
    case: Path, evidence: Path
) -> None:
    moved = evidence / "moved.db"
    shutil.copy(case, moved)
    shutil.copy(case.with_name("case.db.audit"), evidence / "moved.db.audit")
    before = {path: path.read_bytes() for path in evidence.iterdir()}
    code, output = run("verify", moved)
    assert "Not recorded in the audit table" in output
    assert (code, "All checks passed." in output) == (0, True)
    with pytest.raises(UsageError, match="inside"):
        CaseStore(moved)
    assert {path: path.read_bytes() for path in evidence.iterdir()} == before


def test_what_has_no_hash_is_compared_by_what_it_is(evidence: Path, tmp_path: Path) -> None:
    case = tmp_path / "case.db"
    for name in ("same", "gone", "file_now", "folder_now"):
        (evidence / name).symlink_to("nowhere")
    for name in ("pipe_same", "pipe_gone", "pipe_link"):
        os.mkfifo(evidence / name)
    (evidence / "linked").write_text("bytes")
    (evidence / "piped").write_text("more bytes")
    (evidence / "denied").write_text("kept")
    scanned(evidence, case)
    # As where it could not be read: tests may run as root, who may read everything.
    denied = "may not be read: Permission denied"
    with closing(CaseStore(case)) as store:
        tamper(case, "UPDATE files SET sha256 = NULL, reason = NULL WHERE path = 'denied'")
        with store._transaction():
            problem = {"run_id": 1, "stage": "read", "class": "no_permission", "message": denied}
            (number,) = store._connection.execute(
                "SELECT id FROM files WHERE path = 'denied'"
            ).fetchone()
            store._insert("problems", {**problem, "file_id": number})
    for name in ("gone", "file_now", "folder_now", "pipe_gone", "pipe_link", "linked", "piped"):
        (evidence / name).unlink()
    (evidence / "file_now").write_text("now")
    (evidence / "folder_now").mkdir()
    (evidence / "pipe_link").symlink_to("nowhere")
    (evidence / "linked").symlink_to("nowhere")
    os.mkfifo(evidence / "piped")
    link, pipe = "symbolic link, not followed", "not a regular file: named pipe"
    files = sorted(verified(case, evidence).files or (), key=lambda f: f.path)
    told = [(f.path, f.fate, f.text.split(", SHA-256")[0]) for f in files]
    assert told == [
        ("denied", "changed", f"{denied} → regular file"),
        ("file_now", "changed", f"{link} → regular file"),
        ("folder_now", "changed", f"{link} → folder"),
        ("gone", "missing", link),
        ("linked", "changed", f"regular file → {link}"),
        ("pipe_gone", "missing", pipe),
        ("pipe_link", "changed", f"{pipe} → {link}"),
        ("pipe_same", "unhashed", pipe),
        ("piped", "changed", f"regular file → {pipe}"),
        ("same", "unhashed", link),
    ]


def test_a_flipped_byte_in_the_database_file_is_found(case: Path) -> None:
    content = bytearray(case.read_bytes())
    at = content.index(b"\xff\xd8\xff")  # in a stored thumbnail
    content[at + 40] ^= 1
    case.write_bytes(content)
    assert any("its rows were changed" in fault for fault in verified(case).faults)


def test_the_audit_table_refuses_changes(case: Path) -> None:
    connection = sqlite3.connect(case)
    for sql in ("UPDATE audit SET user = 'x'", "DELETE FROM audit"):
        with pytest.raises(sqlite3.IntegrityError, match="only added to"):
            connection.execute(sql)
    connection.close()


def test_evidence_that_cannot_be_read_any_more_does_not_hold(
    case: Path, evidence: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(evidence_module, "_open_untouched", loose(b"none.png"))
        code, output = run("verify", case, "--evidence", evidence)
        # What was so at the scan already is as it was.
        scanned(evidence, case.with_name("later.db"))
        later = verified(case.with_name("later.db"), evidence)
    assert code == 3
    assert "UNREADABLE  none.png  cannot be read: Input/output error" in output
    assert "All checks passed." not in output
    assert later.holds
    assert [f.fate for f in later.files or () if f.path == "none.png"] == ["unhashed"]


TIES = {"id", "run_id", "file_id", "same_as", "row_digest", "results_digest"}
OF_FILE_SYSTEM = {
    *("modified_at", "changed_at", "born_at", "accessed_at", "access_time_kept"),
    *("stat_size", "link_target"),
    *("mode", "uid", "gid", "inode", "device"),
}
OTHER = {"INTEGER": 'coalesce("{0}", 0) + 1', "REAL": 'coalesce("{0}", 0) + 1'}


def test_whatever_is_other_in_a_row_changes_its_digests(case: Path) -> None:
    """Written without a look at which columns the product leaves out."""
    looked_at = 0
    with closing(sqlite3.connect(case, isolation_level=None)) as connection:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        for table in ("files", "evidence", "faces", "tracks", "problems"):
            tied = TIES | ({"sha256"} if table != "files" else set())
            columns = connection.execute(
                f"SELECT name, type FROM pragma_table_info('{table}')"
            ).fetchall()
            owner = "file_id" if table == "problems" else "sha256"
            (row,) = connection.execute(f"SELECT MIN(rowid) FROM {table}").fetchone()
            (content,) = connection.execute(
                f"SELECT {'id' if table == 'files' else owner} FROM {table} WHERE rowid = ?", (row,)
            ).fetchone()
            file_id = content
            if owner == "sha256" and table != "files":
                (file_id,) = connection.execute(
                    "SELECT id FROM files WHERE sha256 = ? AND same_as IS NULL", (content,)
                ).fetchone()
            before = file_digests(connection, file_id)
            for name, kind in columns:
                if name in tied:
                    continue
                other = OTHER.get(kind, "coalesce(\"{0}\", '') || 'x'").format(name)
                if kind == "BLOB":
                    other = f"CAST({other} AS BLOB)"
                connection.execute("SAVEPOINT one")
                connection.execute(f'UPDATE {table} SET "{name}" = {other} WHERE rowid = ?', (row,))
                now = file_digests(connection, file_id)
                connection.execute("ROLLBACK TO one")
                connection.execute("RELEASE one")
                assert now.rows != before.rows, f"{table}.{name}"
                in_results = table != "files" or name not in OF_FILE_SYSTEM
                assert (now.results != before.results) == in_results, f"{table}.{name}"
                looked_at += 1
    assert looked_at > 80


def test_what_became_of_the_evidence_is_told(case: Path, evidence: Path) -> None:
    (evidence / "none.png").unlink()
    content = bytearray((evidence / "v.mkv").read_bytes())
    content[-1] ^= 1
    (evidence / "v.mkv").write_bytes(content)
    (evidence / "same.png").rename(evidence / "elsewhere.png")
    (evidence / "added.txt").write_text("new")
    found = verified(case, evidence)
    fates = {f.path: f.fate for f in found.files or () if f.fate != "unchanged"}
    assert fates == {
        "none.png": "missing",
        "v.mkv": "changed",
        "same.png": "moved",
        "added.txt": "new",
        "link": "unhashed",
    }
    assert FileFate("same.png", "moved", "to elsewhere.png") in (found.files or ())
    assert found.faults == []
    assert not found.holds


def test_repetition_gives_the_same_results_digest_and_a_copy_too(
    case: Path, evidence: Path, tmp_path: Path
) -> None:
    scanned(evidence, case)
    shutil.copytree(evidence, tmp_path / "copy", symlinks=True)
    subprocess.run(["chmod", "-R", "a-w", tmp_path / "copy"], check=True)
    scanned(tmp_path / "copy", tmp_path / "other.db")
    first, again = rows(case, "SELECT results_digest, row_digest FROM runs ORDER BY id")
    ((other, other_rows),) = rows(tmp_path / "other.db", "SELECT results_digest, row_digest FROM runs")
    assert first[0] == again[0] == other
    assert other_rows != first[1]  # another inode is another row

    class Blind(FakeDetector):
        def detect(self, image: RGB) -> list[Detection]:
            return []

    scanned(evidence, tmp_path / "without.db", detector=Blind())
    assert rows(tmp_path / "without.db", "SELECT results_digest FROM runs") != [(other,)]


# ---- commands --------------------------------------------------------------------------------------


def run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    return result.exit_code, result.output


def test_verify_says_so_and_notes_it(case: Path, evidence: Path) -> None:
    code, output = run("verify", case, "--evidence", evidence)
    assert (code, "All checks passed." in output) == (0, True), output
    assert rows(case, "SELECT action FROM audit") == [("scan",), ("scan ended",), ("verify",)]
    (evidence / "none.png").unlink()
    code, output = run("verify", case, "--evidence", evidence)
    assert code == 3
    assert "MISSING  none.png" in output
    assert verified(case).holds
    ((detail,),) = rows(case, "SELECT detail FROM audit WHERE id = 4")
    told = json.loads(detail)
    assert told["evidence"] == {"missing": 1, "unchanged": 5, "unhashed": 1}
    assert told["folder"] == str(evidence.resolve())
    assert told["failing"]["files"] == [["none.png", "missing", ""]]
    whole = json.dumps([[], told["failing"]["files"]], separators=(",", ":"))
    assert told["failing"]["sha256"] == hashlib.sha256(whole.encode()).hexdigest()
    assert output.rstrip().endswith("CHECKS FAILED: faults of the case: 0, files: 1; named above.")
    ((last,),) = rows(case, "SELECT sha256 FROM audit WHERE id = 4")
    assert f"Audit head with the entry of this check: {last}" in output


def test_the_hashes_lie_beside_the_case_that_a_link_leads_to(case: Path, tmp_path: Path) -> None:
    link = tmp_path / "elsewhere" / "link.db"
    link.parent.mkdir()
    link.symlink_to(case)
    assert run("report", link, "--out", tmp_path / "r.html")[0] == 0
    assert [p.name for p in link.parent.iterdir()] == ["link.db"]
    assert (verified(case).faults, verified(link).faults) == ([], [])


@pytest.mark.parametrize(
    ("error", "text"), [(BlockingIOError, "Another scan"), (OSError, "does not support locks")]
)
def test_a_file_system_without_locks_is_told_as_that(
    case: Path, monkeypatch: pytest.MonkeyPatch, error: type[OSError], text: str
) -> None:
    def refuse(*_: object) -> None:
        raise error(0, "no")

    monkeypatch.setattr("forensic_emotion.case.store.fcntl.flock", refuse)
    with closing(CaseStore(case)) as store, pytest.raises(CaseError) as told:
        store.lock()
    assert text in str(told.value)


def test_what_lies_where_the_hashes_belong_stays(evidence: Path, tmp_path: Path) -> None:
    (evidence / "a.png").write_bytes(encoded(picture()))
    notes = tmp_path / "notes.db.audit"
    notes.write_text("my notes")
    with pytest.raises(CaseError, match="is something else"):
        scanned(evidence, tmp_path / "notes.db")
    assert notes.read_text() == "my notes"


def test_no_case_begins_where_its_hashes_cannot_lie(evidence: Path, tmp_path: Path) -> None:
    (evidence / "a.png").write_bytes(encoded(picture()))
    (tmp_path / "case.db.audit").mkdir()
    with pytest.raises(
        CaseError, match="is not a regular file, and is where a part of the case belongs"
    ):
        scanned(evidence, tmp_path / "case.db")


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TRIGGER z AFTER INSERT ON faces BEGIN UPDATE faces SET label = 'sad'; END",
        "CREATE TRIGGER z AFTER INSERT ON audit BEGIN DELETE FROM problems; END",
        "DROP VIEW face_reviews; CREATE VIEW face_reviews AS WITH RECURSIVE c(x) AS"
        " (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT x AS run_id, x AS face_id FROM c",
        "ALTER TABLE files ADD COLUMN big GENERATED ALWAYS AS (zeroblob(500000000))",
    ],
)
def test_what_acts_by_itself_in_a_case_acts_on_nobody(case: Path, evidence: Path, sql: str) -> None:
    """A trigger changes what is written, a view or a computed column what is read."""
    with closing(sqlite3.connect(case)) as connection:
        connection.executescript(sql)
    before = case.read_bytes()
    for command in (
        ("scan", evidence, "--case", case),
        ("report", case),
        ("query", case, "reviews"),
        ("export", case, "csv", "--out", case.parent / "x.csv"),
    ):
        code, output = run(*command)
        assert (code, "cannot be trusted" in output) == (1, True), output
    code, output = run("verify", case)
    assert (code, "FAULT  schema: the " in output) == (3, True), output
    assert case.read_bytes() == before, "no entry is written where a trigger may act on it"


def test_what_somebody_adds_to_ask_a_case_is_named_and_acts_on_nobody(case: Path) -> None:
    with closing(sqlite3.connect(case)) as connection, connection:
        connection.execute("CREATE VIEW mine AS SELECT path FROM files")
    assert run("query", case, "select * from mine")[0] == 0
    assert "the view mine is not one of femo's" in run("verify", case)[1]
    assert run("report", case)[0] == 0, "it alters nothing"


@pytest.mark.parametrize("ending", ["-journal", "-wal", ".audit"])
def test_a_pipe_beside_a_case_holds_nobody_up(case: Path, ending: str) -> None:
    beside = case.with_name(case.name + ending)
    beside.unlink(missing_ok=True)
    os.mkfifo(beside)
    for command in ("report", "query", "verify"):
        code, output = run(command, case)
        assert (code, "is not a regular file" in output) == (1, True), output


def test_nothing_beside_a_report_is_written_over_the_evidence(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    evidence = tmp_path / "one" / "doc.pdf"
    evidence.write_bytes(b"%PDF-1.4 evidence")
    scanned(evidence, tmp_path / "case.db")
    code, output = run("report", tmp_path / "case.db", "--out", tmp_path / "one" / "doc.html")
    assert code == 2, output
    assert evidence.read_bytes() == b"%PDF-1.4 evidence"


@pytest.mark.parametrize("change", ["new", "moved", "missing"])
def test_whatever_is_other_in_the_evidence_does_not_hold(
    case: Path, evidence: Path, change: str
) -> None:
    if change == "new":
        (evidence / "added.txt").write_text("new")
    elif change == "moved":
        (evidence / "none.png").rename(evidence / "elsewhere.png")
    else:
        (evidence / "none.png").unlink()
    code, output = run("verify", case, "--evidence", evidence)
    assert (code, "All checks passed." in output) == (3, False), output
    assert f"{change.upper()}  " in output


def test_half_a_manifest_does_not_stay(
    case: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Path, content: bytes) -> None:
        with self.open("wb") as target:
            target.write(content[: len(content) // 2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    code, output = run("manifest", case, "--out", tmp_path / "m")
    assert code == 1
    assert "No space left on device" in output
    assert list(tmp_path.glob("*m*")) == []


def test_a_manifest_is_what_sha256sum_checks(case: Path, evidence: Path, tmp_path: Path) -> None:
    code, output = run("manifest", case, "--out", tmp_path / "m")
    assert code == 0, output
    assert sum_line("0" * 64, b"-") == b"0" * 64 + b"  ./-\n"  # a dash alone is standard input
    check = ["sha256sum", "--check", "--strict", tmp_path / "m"]
    done = subprocess.run(check, cwd=evidence, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(b": OK\n") == 6
    (evidence / "none.png").write_bytes(b"other")
    assert subprocess.run(check, cwd=evidence, capture_output=True).returncode == 1
    assert run("manifest", case, "--out", tmp_path / "m")[0] == 2
    assert run("manifest", case, "--out", evidence / "m")[0] == 2


def test_evidence_that_has_moved_is_compared_with_a_run_of_its_own(tmp_path: Path) -> None:
    case = tmp_path / "case.db"
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{name}.png").write_bytes(encoded(picture()))
        scanned(tmp_path / name, case)
    (tmp_path / "one").rename(tmp_path / "moved")
    code, output = run("verify", case, "--evidence", tmp_path / "moved")
    assert code == 2
    assert "--run" in output
    assert run("verify", case, "--evidence", tmp_path / "moved", "--run", 1)[0] == 0
    code, output = run("verify", case, "--evidence", tmp_path / "moved", "--run", 2)
    assert code == 3
    assert "Nothing from that run is there" in output
    assert run("verify", case, "--evidence", tmp_path / "two")[0] == 0
    code, output = run("info", case)
    assert "holds False" in output


def test_compare_tells_where_two_cases_differ(case: Path, evidence: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    shutil.copy(case, other)
    code, output = run("compare", case, other)
    assert (code, "Differences: 0" in output) == (0, True), output
    connection = sqlite3.connect(other)
    connection.execute("UPDATE faces SET happy = happy + 0.001 WHERE pts = 1500")
    connection.execute("UPDATE files SET state = 'partial' WHERE path = 'none.png'")
    connection.execute("DELETE FROM files WHERE path = 'bad.png'")
    connection.commit()
    connection.close()
    code, output = run("compare", case, other)
    assert code == 3
    assert "v.mkv: frame 1, face 0: happy 0.400000 / 0.401000" in output
    assert "none.png: state: no_face / partial" in output
    assert "bad.png: only in the first" in output
    assert "Differences: 3" in output
    with opened_case(case) as one, opened_case(other) as two:
        found = compare((one, 1), (two, 1), 0.01)
    assert [d.path for d in found.differences] == ["bad.png", "none.png"]
    assert found.close == 1
    # The digests that the case holds are those of the rows it had.
    assert "FAULT  the second: the rows of 2 paths do not match their digests" in output


def resealed(case: Path, *statements: str) -> None:
    """Change a case and make its digests anew, as another scan would have left it."""
    tamper(case, *statements)
    with closing(CaseStore(case)) as store:
        store.seal("2026", ())


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        (
            "UPDATE faces SET stream = 1 WHERE pts = 1500",
            "v.mkv: stream 1, frame 1, face 0: only in the",
        ),
        ("UPDATE faces SET yaw = 5.0 WHERE pts = 1500", "v.mkv: frame 1, face 0: yaw: "),
        ("UPDATE faces SET faults = 'dark' WHERE pts = 1500", "v.mkv: frame 1, face 0: faults: "),
        ("UPDATE faces SET score = 2.5 WHERE pts = 0", "frame 0, face 0: score: 1.500000 / 2.500000"),
        ("UPDATE faces SET track = 7 WHERE pts = 1500", "v.mkv: frame 1, face 0: track: 0 / 7"),
        (
            "UPDATE faces SET thumbnail = x'00' WHERE pts = 1500",
            "v.mkv: frame 1, face 0: other thumbnail",
        ),
        (
            "UPDATE faces SET landmarks = '[]' WHERE pts = 1500",
            "v.mkv: frame 1, face 0: other landmarks",
        ),
        ("UPDATE problems SET message = 'x'", "bad.png: problem damaged: "),
        ("DELETE FROM problems", "bad.png: problem damaged: only in the first"),
        ("UPDATE tracks SET last_pts = 9", "v.mkv: track 0: last_pts: 1500 / 9"),
        ("DELETE FROM tracks", "v.mkv: track 0: only in the first"),
        ("UPDATE files SET width = 9 WHERE path = 'v.mkv'", "v.mkv: width: 120 / 9"),
        ("UPDATE files SET exif = '{}' WHERE path = 'none.png'", "none.png: exif: None / {}"),
        ("UPDATE evidence SET md5 = 'x' WHERE kind = 'video'", "v.mkv: md5: "),
        (
            "UPDATE files SET same_as = 1 WHERE path = 'same.png'",
            "same.png: the same as face.png / bad.png",
        ),
    ],
)
def test_compare_tells_every_kind_of_difference(case: Path, tmp_path: Path, sql: str, said: str) -> None:
    other = tmp_path / "other.db"
    shutil.copy(case, other)
    resealed(other, sql)
    code, output = run("compare", case, other)
    assert (code, said in output, "FAULT" in output) == (3, True, False), output
    facts = json.loads(run("compare", case, other, "--json")[1])
    assert all(d["values"] or "only in" in d["text"] for d in facts["differences"])
    same = tmp_path / "same.db"
    shutil.copy(other, same)
    assert run("compare", other, same)[0] == 0


def test_a_copy_that_comes_first_loses_no_face(evidence: Path, tmp_path: Path) -> None:
    write_video(evidence / "v.mkv", [0, 1500], lambda _: picture(faces=[Box(20, 10, 60, 50)]))
    scanned(evidence, tmp_path / "case.db")
    shutil.copy(evidence / "v.mkv", evidence / "a.mkv")
    scanned(evidence, tmp_path / "case.db")
    with opened_case(tmp_path / "case.db") as opened:
        for runs in ((1, 2), (2, 1)):
            found = compare(*((opened, run) for run in runs), 1e-4).differences
            assert [each.path for each in found] == ["a.mkv", "v.mkv"]
            assert found[0].text.startswith("only in the")
            assert found[1].text.startswith("the same as ")
        tamper(tmp_path / "case.db", "UPDATE faces SET top_class = 'sad' WHERE run_id = 2")
        texts = [each.text for each in compare((opened, 1), (opened, 2), 1e-4).differences]
    assert any("top_class" in text for text in texts), "of a copy, what was found there is compared"


def test_compare_takes_close_numbers_as_equal_and_says_so(case: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    shutil.copy(case, other)
    resealed(other, "UPDATE faces SET happy = happy + 1e-6, blur = blur + 1e-6 WHERE pts = 1500")
    code, output = run("compare", case, other)
    assert (code, "Differences: 0; 2 numbers differ within 0.0001" in output) == (0, True), output
    code, output = run("compare", case, other, "--tolerance", 0, "--json")
    assert code == 3
    told = {tuple(d["values"]): d for d in json.loads(output)["differences"]}
    assert set(told) == {("happy",), ("blur",)}
    happy = told[("happy",)]
    assert (happy["path"], happy["row"]) == ("v.mkv", {"stream": 0, "frame_index": 1, "face": 0})
    one, two = happy["values"]["happy"]
    assert two - one == pytest.approx(1e-6)


def test_compare_names_what_was_done_otherwise(case: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    shutil.copy(case, other)
    code, output = run("compare", case, other)
    assert "SETTINGS DIFFER" not in output
    tamper(
        other,
        "UPDATE runs SET settings = json_set(settings, '$.smallest_face', 40.5),"
        " versions = json_set(versions, '$.femo', 'x'), threshold = 0.25",
    )
    code, output = run("compare", case, other)
    assert code == 0, output
    said = re.findall("SETTINGS DIFFER  (.*)", output)
    assert said == [
        "setting smallest_face: 20 / 40.5",
        "threshold: 0.0 / 0.25",
        "version of femo: 0 / x",
    ]
    facts = json.loads(run("compare", case, other, "--json")[1])
    assert facts["made_otherwise"] == said


def test_compare_computes_the_digests_anew(case: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    shutil.copy(case, other)
    tamper(other, "UPDATE runs SET results_digest = 'x'")
    code, output = run("compare", case, other)
    assert (code, "Differences: 0" in output) == (3, True), output
    assert "FAULT  the second: its results digest does not match its paths" in output
    shutil.copy(case, other)
    tamper(other, "UPDATE runs SET results_digest = 'x'", "UPDATE files SET results_digest = 'y'")
    facts = json.loads(run("compare", case, other, "--json")[1])
    assert facts["differences"] == []
    assert facts["faults"] == [
        "the second: the rows of 7 paths do not match their digests; see femo verify"
    ]


def test_info_tells_all(case: Path) -> None:
    code, output = run("info", case, "--format", "json")
    assert code == 0, output
    facts = json.loads(output)
    assert facts["runs"][0]["results_digest"] == rows(case, "SELECT results_digest FROM runs")[0][0]
    assert facts["audit_head"] == facts["audit"][-1]["sha256"] == verified(case).head
    assert facts["runs"][0]["faces"] == 3
    assert facts["results_digest"] == facts["runs"][0]["results_digest"]
    code, output = run("info", case)
    assert facts["audit_head"] in output
    assert "scan ended, run 1" in output


def test_commands_that_read_leave_the_case_as_it_is(case: Path, tmp_path: Path) -> None:
    before, listing = case.read_bytes(), sorted(os.listdir(tmp_path))
    for command in (["info", case], ["manifest", case]):
        assert run(*command)[0] == 0
    code, output = run("compare", case, case)
    assert (code, "Both sides are run 1 of" in output) == (2, True), "a run is no check of itself"
    assert run("query", case, "select count(*) from faces")[0] == 0
    assert case.read_bytes() == before
    assert sorted(os.listdir(tmp_path)) == listing


def test_hashes_beside_the_case_that_are_gone_are_not_made_anew_in_silence(case: Path) -> None:
    tamper(case, "DELETE FROM audit WHERE id = (SELECT MAX(id) FROM audit)")
    beside = case.with_name("case.db.audit")
    assert "lacks entries" in run("verify", case)[1]
    code, output = run("report", case)
    assert code == 3, "the audit table lacks the run's end"
    assert "lacks entries that case.db.audit lists" in output
    beside.unlink()
    assert "is missing beside the case" in run("verify", case)[1]
    code, output = run("report", case)
    assert code == 3
    assert "Note: case.db.audit is missing beside the case" in output
    assert beside.exists()
    code, output = run("verify", case)
    found = verified(case)
    assert any("case.db.audit is missing" in note for note in found.notes)
    assert "NOTE  audit entry" in output
    assert run("report", case)[1].count("Note:") == 0  # once


def test_a_command_that_notes_nothing_does_not_make_missing_hashes_anew(
    case: Path, tmp_path: Path
) -> None:
    case.with_name("case.db.audit").unlink()
    code, output = run("scan", tmp_path / "nowhere", "--case", case)
    assert (code, "is missing beside the case" in output) == (2, True)
    with closing(CaseStore(case)) as store, pytest.raises(UsageError):
        store.add_review(1, Judgement(999, "confirmed"), "A", "2026-01-02T00:00:00Z", ("femo",))
    assert not case.with_name("case.db.audit").exists()
    assert any("is missing beside the case" in fault for fault in verified(case).faults)


@pytest.mark.parametrize(
    "error", [sqlite3.OperationalError("disk I/O error"), sqlite3.DatabaseError("?")]
)
def test_only_a_damaged_case_is_called_so(case: Path, error: sqlite3.Error) -> None:
    def fails(_: sqlite3.Connection) -> None:
        raise error

    with closing(CaseStore(case)) as store, pytest.raises(CaseError) as told:
        store._read(fails)
    assert ("damaged" in told.value.remedy) == (type(error) is sqlite3.DatabaseError)


def test_an_interruption_while_a_case_is_waited_for_leaves_it_whole(case: Path) -> None:
    """A review is written beside the scan, and somebody presses Ctrl-C meanwhile."""
    other = sqlite3.connect(case, check_same_thread=False, isolation_level=None)
    store = CaseStore(case)
    other.execute("BEGIN IMMEDIATE")
    for seconds, what in ((0.2, lambda: os.kill(os.getpid(), signal.SIGINT)), (0.5, other.rollback)):
        Timer(seconds, what).start()
    with pytest.raises(KeyboardInterrupt):
        store.set_discovered(1, 7)
    store.note("report", 1, "2026-01-02T00:00:00Z", ("femo",), {})
    other.close()
    store.close()
    assert verified(case).faults == []
    assert rows(case, "SELECT action FROM audit ORDER BY id DESC LIMIT 1") == [("report",)]


def test_hashes_half_written_leave_nothing_behind(case: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: int) -> None:
        raise KeyboardInterrupt

    before = sorted(path.name for path in case.parent.iterdir())
    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt), closing(CaseStore(case)) as store:
        store.note("report", 1, "2026-01-02T00:00:00Z", ("femo",), {})
    assert sorted(path.name for path in case.parent.iterdir()) == before


def test_a_damaged_case_is_no_fault_of_femo(case: Path) -> None:
    roots = "SELECT rootpage, (SELECT page_size FROM pragma_page_size) FROM sqlite_master"
    pages = rows(case, f"{roots} WHERE tbl_name = 'files' AND rootpage > 0")
    with case.open("r+b") as file:
        for page, size in pages:
            file.seek((page - 1) * size)
            file.write(b"\xff" * size)
    with closing(CaseStore(case)) as store:
        for use in (lambda: store.finished(1), lambda: store.end_run(1, "done", "now", ())):
            with pytest.raises(CaseError, match="malformed") as told:
                use()
            assert "femo verify" in told.value.remedy


def test_a_review_is_whole_where_the_hashes_beside_the_case_were_gone(case: Path) -> None:
    case.with_name("case.db.audit").unlink()
    with closing(CaseStore(case)) as store:
        assert store.audit_fault is not None
        store.add_review(1, Judgement(1, "rejected"), "A", "2026-01-02T00:00:00Z", ("femo",))
    found = verified(case)
    assert (found.faults, len(found.notes)) == ([], 1)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("reviews.verdict <> 'withdrawn'", "reviews.verdict <> '\"withdrawn\"'"),
        ("WHEN 'confirmed'", "WHEN ' confirmed'"),
        ("WHEN 'confirmed'", "WHEN 'confirmed '"),
    ],
)
def test_a_text_within_a_view_is_its_own(case: Path, old: str, new: str) -> None:
    with closing(sqlite3.connect(case)) as connection:
        (sql,) = connection.execute(
            "SELECT sql FROM sqlite_master WHERE name = 'face_reviews'"
        ).fetchone()
    assert old in sql
    tamper(case, "DROP VIEW face_reviews", sql.replace(old, new))
    assert "schema: the view face_reviews is not as femo makes it" in verified(case).faults


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("face_results", "files.sha256 = faces.sha256", '"files.sha256" = faces.sha256'),
        ("face_reviews", "reviews.verdict <>", '"reviews.verdict" <>'),
        ("reviews_no_delete", "RAISE(ABORT, 'the reviews table is only added to')", '"RAISE(ABORT)"'),
    ],
)
def test_a_name_that_double_quotes_make_a_text_is_another_one(
    case: Path, name: str, old: str, new: str
) -> None:
    with closing(sqlite3.connect(case)) as connection, connection:
        kind, sql = connection.execute(
            "SELECT type, sql FROM sqlite_master WHERE name = ?", (name,)
        ).fetchone()
        assert old in sql
        connection.execute(f"DROP {kind} {name}")
        connection.execute(sql.replace(old, new))
    assert f"schema: the {kind} {name} is not as femo makes it" in verified(case).faults


def test_a_trigger_that_is_called_as_sqlites_own_tables_are_is_none_of_femos(case: Path) -> None:
    with closing(sqlite3.connect(case)) as connection, connection:
        connection.execute("PRAGMA writable_schema = 1")
        connection.execute(
            "INSERT INTO sqlite_master VALUES ('trigger', 'sqlite_t', 'tracks', 0,"
            " 'CREATE TRIGGER sqlite_t AFTER INSERT ON tracks"
            " BEGIN UPDATE tracks SET label = ''sad'' WHERE id = new.id; END')"
        )
    assert "schema: the trigger sqlite_t is not one of femo's" in verified(case).faults


class Stops(FakeDetector):
    """A scan that is stopped over a picture behind so many."""

    def __init__(self, after: int) -> None:
        self.left = after

    def detect(self, image: RGB) -> list[Detection]:
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt
        return super().detect(image)


def stopped(case: Path, evidence: Path) -> None:
    """Scan some pictures, and stop before all are done."""
    for i in range(6):
        (evidence / f"{i}.png").write_bytes(encoded(picture(background=i)))
    with pytest.raises(KeyboardInterrupt):
        scanned(evidence, case, detector=Stops(3))
    assert verified(case).faults == []


def test_what_changed_before_a_run_went_on_is_not_sealed(evidence: Path, tmp_path: Path) -> None:
    case = tmp_path / "case.db"
    stopped(case, evidence)
    tamper(case, "DELETE FROM files WHERE path = '0.png'")
    (evidence / "0.png").unlink()
    scanned(evidence, case)
    assert any("before it was resumed" in fault for fault in verified(case).faults)


def test_new_digests_hide_no_change(evidence: Path, tmp_path: Path) -> None:
    """A file that changed while the scan was stopped gets a problem; what was done to its rows stays."""
    case = tmp_path / "case.db"
    stopped(case, evidence)
    tamper(case, "UPDATE files SET state = 'partial' WHERE path = '0.png'")
    os.utime(evidence / "0.png", ns=(1, 1))
    scanned(evidence, case)
    assert any("0.png: its rows were changed" in fault for fault in verified(case).faults)


def test_a_review_is_of_a_face_of_its_run(case: Path, evidence: Path) -> None:
    with closing(CaseStore(case)) as store:
        store.add_review(1, Judgement(1, "confirmed"), "A", "2026", ())
    scanned(evidence, case)
    ((other,),) = rows(
        case,
        "SELECT two.id FROM faces AS two JOIN faces AS one USING (sha256, stream, frame_index, face)"
        " WHERE one.id = 1 AND two.run_id = 2",
    )
    numbers = [(999, 1), (1, other), (other, 999)]
    tamper(case, *(f"UPDATE faces SET id = {new} WHERE id = {old}" for new, old in numbers))
    assert "1 reviews are of a face of another run" in verified(case).faults


def test_an_entry_with_anything_in_it_ends_no_check(case: Path) -> None:
    detail = json.dumps({"review": [1]})
    tamper(case, f"UPDATE audit SET action = 'review', detail = '{detail}' WHERE id = 1")
    faults = verified(case).faults
    assert any(fault.startswith("a check could not be carried out") for fault in faults)
    assert any(fault.startswith("audit entry 1") for fault in faults)


def test_a_trigger_with_the_name_of_a_table_is_none_of_femos(case: Path) -> None:
    tamper(case, "CREATE TRIGGER _sqlite_migrations AFTER INSERT ON files BEGIN SELECT 1; END")
    assert "schema: the trigger _sqlite_migrations is not one of femo's" in verified(case).faults


def test_faces_that_wait_do_not_lie_beside_a_link_to_the_case(tmp_path: Path) -> None:
    """The link may lie in the evidence, where nothing is written."""
    (tmp_path / "away").mkdir()
    (tmp_path / "link.db").symlink_to(tmp_path / "away" / "case.db")
    with closing(CaseStore(tmp_path / "link.db")) as store:
        assert store.folder == tmp_path / "away"


# ---- no command writes where evidence may lie, and none is steered by a case -----------------------


def test_a_case_with_a_second_name_is_written_by_no_command(case: Path, tmp_path: Path) -> None:
    other = tmp_path / "elsewhere.db"
    os.link(case, other)
    before = case.read_bytes()
    code, output = run("verify", case)
    assert (code, "has 2 names (hard links)" in output) == (0, True), output
    code, output = run("report", case, "--out", tmp_path / "r.html")
    assert (code, "Not recorded in the audit table" in output) == (0, True), output
    assert other.read_bytes() == case.read_bytes() == before
    with pytest.raises(UsageError, match="hard links"):
        CaseStore(case)


def test_a_case_that_lies_in_the_named_evidence_is_not_written(
    case: Path, evidence: Path, tmp_path: Path
) -> None:
    moved = tmp_path / "moved"
    shutil.copytree(evidence, moved, symlinks=True)
    shutil.copy(case, moved / "case.db")
    shutil.copy(tmp_path / "case.db.audit", moved / "case.db.audit")
    before = {p.name: p.read_bytes() for p in moved.iterdir() if p.is_file()}
    code, output = run("verify", moved / "case.db", "--evidence", moved)
    assert (code, "NEW  case.db" in output, "Not recorded in the audit table" in output) == (
        3,
        True,
        True,
    )
    code, output = run(
        "export", moved / "case.db", "frames", "--out", tmp_path / "out", "--evidence", moved
    )
    assert "Not recorded in the audit table" in output, output
    assert {p.name: p.read_bytes() for p in moved.iterdir() if p.is_file()} == before


def test_the_account_is_that_of_the_system(
    evidence: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, "somebody.else")
    (evidence / "a.png").write_bytes(encoded(picture()))
    scanned(evidence, tmp_path / "case.db")
    assert rows(tmp_path / "case.db", "SELECT user FROM runs") == [(pwd.getpwuid(os.geteuid())[0],)]
    monkeypatch.setattr("forensic_emotion.case.store.pwd.getpwuid", dict[int, str]().__getitem__)
    assert account() == f"uid {os.geteuid()}"


def test_a_case_does_not_steer_the_terminal(case: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    shutil.copy(case, other)
    escape = "\x1b[2JAll checks passed."
    changes = (
        f"UPDATE runs SET results_digest = '{escape}'",
        f"UPDATE audit SET at = '{escape}', action = '{escape}', femo = '{escape}',"
        f" sha256 = '{escape}' || id",
    )
    tamper(case, *changes)
    for command in (("verify", case), ("info", case), ("compare", case, other), ("query", case)):
        _, output = run(*command)
        assert "\x1b" not in output, command
    assert "FAULT" in run("verify", case)[1]


@pytest.mark.parametrize("command", ["report", "manifest", "datasette"])
@pytest.mark.parametrize("ending", ["-wal", "-shm", "-journal", ".audit"])
def test_no_output_takes_the_name_of_a_file_of_the_case(case: Path, command: str, ending: str) -> None:
    before = {p.name: p.read_bytes() for p in case.parent.iterdir() if p.is_file()}
    code, output = run(command, case, "--out", f"{case}{ending}")
    assert (code, "reserved for the case" in output) == (2, True), output
    assert {p.name: p.read_bytes() for p in case.parent.iterdir() if p.is_file()} == before


def test_a_report_without_a_name_follows_no_link(case: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    case.with_suffix(".html").symlink_to(elsewhere)
    code, output = run("report", case)
    assert (code, "is a link to another place" in output) == (2, True), output
    assert not elsewhere.exists()
    assert run("report", case, "--out", case.with_suffix(".html"))[0] == 0
    assert elsewhere.is_file()


def test_the_evidence_is_compared_with_the_run_of_its_folder(
    case: Path, evidence: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "a.png").write_bytes(encoded(picture()))
    scanned(other, case)
    assert "run 2" in run("verify", case)[1]
    code, output = run("verify", case, "--evidence", evidence)
    assert (code, "Evidence of run 1" in output) == (0, True), output
    code, output = run("verify", case, "--evidence", other)
    assert (code, "Evidence of run 2" in output) == (0, True), output


def test_a_manifest_says_what_is_not_in_it(case: Path) -> None:
    code, output = run("manifest", case)
    assert (code, "Without a hash, so not in the manifest: 1 paths." in output) == (0, True), output
    assert "not complete" not in output
    tamper(case, "UPDATE runs SET state = 'interrupted'")
    assert "Run 1 is not complete" in run("manifest", case)[1]


def test_who_scans_is_not_another_one_when_a_scan_goes_on(evidence: Path, tmp_path: Path) -> None:
    (evidence / "a.png").write_bytes(encoded(picture()))
    said = replace(fake_run(evidence), about=CaseData(examiner="A", note="first"))
    with closing(CaseStore(tmp_path / "case.db")) as store:
        store.begin(said)
    with closing(CaseStore(tmp_path / "case.db")) as store:
        with pytest.raises(UsageError, match="Run 1, which would be resumed, has --examiner 'A'"):
            store.begin(replace(said, about=CaseData(examiner="B")))
        assert store.begin(replace(said, about=CaseData())) == 1
        assert store.begin(said) == 1
    assert rows(tmp_path / "case.db", "SELECT examiner, note FROM runs") == [("A", "first")]


def test_an_interrupted_scan_is_told_as_that(case: Path, tmp_path: Path) -> None:
    with closing(CaseStore(case)) as store:
        detail = {"state": "interrupted"}
        store.note("scan ended", 1, "2026-01-01T00:00:00Z", ("femo",), detail)
    assert "scan ended (interrupted), run 1" in run("info", case)[1]
    code, output = run("info", tmp_path)
    assert (code, "is a folder, not a case" in output) == (1, True), output


def test_a_case_that_another_program_holds_is_told_as_that(
    case: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("forensic_emotion.case.store.BUSY_SECONDS", 0.0)
    with closing(sqlite3.connect(case, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(CaseError, match="Another program is using it") as error:
            CaseStore(case)
    assert "Free up space" not in str(error.value)
