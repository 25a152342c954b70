"""What shows that a case or its evidence was changed, and the commands that tell."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from forensic_emotion.case.difference import differences
from forensic_emotion.case.queries import opened_case
from forensic_emotion.cli import app
from forensic_emotion.records import RGB, Box, Detection
from forensic_emotion.verification import FileFate, Verification, verify
from tests.builders import FakeDetector, encoded, picture, scanned, write_video
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
    with opened_case(case) as opened:
        return verify(opened, case, run, evidence, lambda: None)


def tamper(case: Path, sql: str) -> None:
    """Change a case as somebody would who does not mind its triggers."""
    connection = sqlite3.connect(case)
    for trigger in ("audit_no_update", "audit_no_delete"):
        connection.execute(f"DROP TRIGGER {trigger}")
    changed = connection.execute(sql).rowcount
    connection.commit()
    connection.close()
    assert changed, sql


def test_an_untouched_case_holds(case: Path, evidence: Path) -> None:
    found = verified(case, evidence)
    assert found.faults == []
    assert found.rows == 7
    assert found.holds
    assert {f.fate for f in found.files or ()} == {"unchanged"}
    assert len(found.files or ()) == 6  # a link has no bytes of its own
    assert (case.parent / "case.db.audit").read_text().splitlines()[-1].startswith(found.head)


FACE_ROW = "UPDATE faces SET {} WHERE id = 1"


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
        ("UPDATE runs SET state = 'interrupted'", "run 1: the audit table notes another end"),
        ("UPDATE audit SET user = 'nobody' WHERE id = 1", "audit entry 1 (scan, "),
        ("UPDATE audit SET detail = replace(detail, '7', '8') WHERE id = 2", "audit entry 2"),
        ("DELETE FROM audit WHERE id = 1", "audit entry 1 is missing"),
        ("DELETE FROM audit WHERE id = 2", "has not the entries that case.db.audit lists"),
    ],
)
def test_one_change_is_found_and_named(case: Path, sql: str, fault: str) -> None:
    tamper(case, sql)
    found = verified(case)
    assert not found.holds
    assert any(fault in text for text in found.faults), found.faults


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
    assert (code, "All holds." in output) == (0, True), output
    assert rows(case, "SELECT action FROM audit") == [("scan",), ("scan ended",), ("verify",)]
    (evidence / "none.png").unlink()
    code, output = run("verify", case, "--evidence", evidence)
    assert code == 3
    assert "MISSING  none.png" in output
    assert verified(case).holds
    ((detail,),) = rows(case, "SELECT detail FROM audit WHERE id = 4")
    assert json.loads(detail)["evidence"] == {"missing": 1, "unchanged": 5}


def test_a_manifest_is_what_sha256sum_checks(case: Path, evidence: Path, tmp_path: Path) -> None:
    code, output = run("manifest", case, "--out", tmp_path / "m")
    assert code == 0, output
    check = ["sha256sum", "--check", "--strict", tmp_path / "m"]
    done = subprocess.run(check, cwd=evidence, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(b": OK\n") == 6
    (evidence / "none.png").write_bytes(b"other")
    assert subprocess.run(check, cwd=evidence, capture_output=True).returncode == 1
    assert run("manifest", case, "--out", tmp_path / "m")[0] == 1
    assert run("manifest", case, "--out", evidence / "m")[0] == 2


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
        found = [d.path for d in differences((one, 1), (two, 1), 0.01)]
    assert found == ["bad.png", "none.png"]


def test_info_tells_all(case: Path) -> None:
    code, output = run("info", case, "--format", "json")
    assert code == 0, output
    facts = json.loads(output)
    assert facts["runs"][0]["results_digest"] == rows(case, "SELECT results_digest FROM runs")[0][0]
    assert facts["audit_head"] == facts["audit"][-1]["sha256"] == verified(case).head
    assert facts["runs"][0]["faces"] == 3
    code, output = run("info", case)
    assert facts["audit_head"] in output
    assert "scan ended, run 1" in output


def test_commands_that_read_leave_the_case_as_it_is(case: Path, tmp_path: Path) -> None:
    before, listing = case.read_bytes(), sorted(os.listdir(tmp_path))
    for command in (["info", case], ["manifest", case], ["compare", case, case]):
        assert run(*command)[0] == 0
    assert run("query", case, "select count(*) from faces")[0] == 0
    assert case.read_bytes() == before
    assert sorted(os.listdir(tmp_path)) == listing
