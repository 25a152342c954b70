from __future__ import annotations

import contextlib
import csv
import hashlib
import io
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner

from forensic_emotion.case.store import CaseStore
from forensic_emotion.cli import PANELS, app
from forensic_emotion.cli.progress import ScanProgress
from forensic_emotion.cli.rows import as_csv
from forensic_emotion.engine import Ended
from forensic_emotion.errors import CaseError
from forensic_emotion.evidence import Found
from forensic_emotion.records import Box, Outcome
from tests.builders import encoded, picture, scanned, tamper, write_fer2013

RUNNER = CliRunner()


def femo(*arguments: object) -> tuple[int, str, str]:
    result = RUNNER.invoke(app, [str(a) for a in arguments])
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def case(evidence: Path, tmp_path: Path) -> Path:
    (evidence / "a,b.png").write_bytes(encoded(picture(faces=[Box(20, 10, 60, 50)])))
    (evidence / "none.png").write_bytes(encoded(picture()))
    scanned(evidence, tmp_path / "case.db")
    return tmp_path / "case.db"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--sample keyframes --every 2", "--every has no effect with --sample keyframes"),
        ("--sample all --per-second 3", "--per-second has no effect with --sample all"),
        ("--every 2 --per-second 3", "--every and --per-second"),
        ("--detector hog --long-side 100", "--long-side 100 leaves hog"),
        ("--smallest-face 2000", "--smallest-face 2000 is above --long-side 1280"),
        ("--patience 0.001", "is below 1"),
        ("--max-memory 99999999999999999999", "is above 16777216"),
        ("--max-pages 99999999999999999999", "is above 1000000000"),
    ],
)
def test_a_scan_refuses_what_has_no_effect(
    evidence: Path, tmp_path: Path, options: str, words: str
) -> None:
    (evidence / "a.png").write_bytes(encoded(picture()))
    code, _, err = femo("scan", evidence, "--case", tmp_path / "c.db", *options.split())
    assert (code, words in err) == (2, True), err
    assert not (tmp_path / "c.db").exists()


def test_a_case_that_is_being_written_is_refused_before_anything_is_loaded(
    evidence: Path, case: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("forensic_emotion.isolation.Isolated", None)
    with contextlib.closing(CaseStore(case)) as other:
        other.lock()
        code, _, err = femo("scan", evidence, "--case", case)
    assert (code, "Another scan is writing" in err) == (1, True), err


def test_hashing_moves_the_bar_and_a_second_look_does_not_move_it_twice() -> None:
    found = Found(b"/evidence", b"a.mp4", 100)
    with ScanProgress() as progress:
        progress.start(1, 100)
        for size in (60, 60):
            progress.read(found, size)
        task = progress._bar.tasks[0]
        assert (task.completed, task.total) == (100, 201)
        progress.done(found, Outcome(b"a.mp4", "a.mp4", "no_face"))
        assert task.completed == task.total


def test_a_case_that_cannot_be_where_it_is_said_to_be(tmp_path: Path) -> None:
    with pytest.raises(CaseError, match="no folder"):
        CaseStore(tmp_path / "nowhere" / "c.db")
    with pytest.raises(CaseError, match="is a folder"):
        CaseStore(tmp_path)


def test_query_as_csv(case: Path) -> None:
    code, out, _ = femo("query", case, "select path, state from files order by path", "--format", "csv")
    assert code == 0
    assert list(csv.reader(io.StringIO(out))) == [
        ["path", "state"],
        ["a,b.png", "faces"],
        ["none.png", "no_face"],
    ]


def test_csv_keeps_names_apart_whatever_they_hold() -> None:
    odd = ["a\rb.jpg", "c\nd.jpg", 'e"f.jpg', "g,h.jpg", "i\r\n.jpg"]
    shown = ["a\\u000db.jpg", "c\\u000ad.jpg", 'e"f.jpg', "g,h.jpg", "i\\u000d\\u000a.jpg"]
    target = io.StringIO(newline="")
    with contextlib.redirect_stdout(target):
        as_csv(["path"], iter([(name,) for name in odd]))
    assert [row[0] for row in csv.reader(io.StringIO(target.getvalue(), newline=""))] == ["path", *shown]


def test_query_as_json(case: Path) -> None:
    sql = "select path, face, happy, pts, path_bytes from face_results join files using (run_id, path)"
    code, out, _ = femo("query", case, sql, "--format", "json")
    assert code == 0
    (row,) = json.loads(out)
    assert row == {
        "path": "a,b.png",
        "face": 0,
        "happy": pytest.approx(0.4),
        "pts": None,
        "path_bytes": b"a,b.png".hex(),
    }
    assert json.loads(femo("query", case, "select 1 where 0", "--format", "json")[1]) == []


def test_query_as_table(case: Path) -> None:
    code, out, _ = femo(
        "query", case, "select path, happy, thumbnail from faces join files using (sha256)"
    )
    assert code == 0
    assert "a,b.png" in out
    assert "0.4" in out
    assert "bytes>" in out


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("select nobody from files", "no such column: nobody"),
        ("delete from faces", "readonly"),
        ("select 1; select 2", "one statement"),
        ("not sql", "syntax error"),
        ("attach 'other.db' as other", "authoriz"),
        ("vacuum into 'other.db'", "authoriz"),
    ],
)
def test_a_query_that_cannot_be_is_a_usage_error(
    case: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sql: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = femo("query", case, sql)
    assert code == 2
    assert "Error: The query failed" in err
    assert message in err
    assert "Traceback" not in err + out
    assert not Path("other.db").exists()


def test_a_table_that_is_not_for_a_window_cuts_nothing(evidence: Path, tmp_path: Path) -> None:
    name = "long" * 50 + ".png"
    (evidence / name).write_bytes(encoded(picture()))
    scanned(evidence, tmp_path / "case.db")
    _, out, _ = femo(
        "query", tmp_path / "case.db", "select path, path as again, sha256, 0.99996 from files"
    )
    row = next(line for line in out.splitlines() if name in line)
    assert row.count(name) == 2
    assert "0.99996" in row
    assert "…" not in row


def test_a_query_that_asks_for_nothing_is_told(case: Path) -> None:
    assert femo("query", case, "")[0] == 2
    code, _, err = femo("query", case, "select path, state as path from files", "--format", "json")
    assert code == 2
    assert "same name" in err


def test_names_from_evidence_do_not_steer_the_terminal(evidence: Path, tmp_path: Path) -> None:
    (evidence / "a\x1b[31m[b]:heart:\n.png").write_bytes(encoded(picture(faces=[Box(20, 10, 60, 50)])))
    scanned(evidence, tmp_path / "case.db")
    code, out, _ = femo("query", tmp_path / "case.db", 'select path as "[/x]" from files')
    assert code == 0
    assert "a\\u001b[31m[b]:heart:\\u000a.png" in out
    assert "[/x]" in out


def test_report_lies_beside_the_case(case: Path) -> None:
    code, out, _ = femo("report", case)
    assert code == 0
    assert str(case.with_suffix(".html")) in out
    assert case.with_suffix(".html").read_text().startswith("<!doctype html>")


@pytest.mark.parametrize("command", [("report",), ("query",)])
def test_a_missing_case_fails(tmp_path: Path, command: tuple[str, ...]) -> None:
    more = ["select 1"] if command == ("query",) else []
    code, _, err = femo(*command, tmp_path / "none.db", *more)
    assert code == 1
    assert "There is no case" in err
    assert "femo scan" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["scan", "missing"], "No evidence at missing"),
        (["scan", ".", "--case", "../case.db", "--every", "0"], "--every: 0.0 is not above 0"),
        (["scan", ".", "--case", "../case.db", "--every", "nan"], "--every: nan is not above 0"),
        (
            ["scan", ".", "--case", "../case.db", "--smallest-face", "2"],
            "--smallest-face: 2 is below 4",
        ),
        (["scan", ".", "--case", "inside.db"], "inside"),
        (["scan", ".", "--case", "../case.db", "--runtime", "abacus"], "--runtime: 'abacus'"),
        (["scan", ""], "An argument is empty"),
        (["scan", ".", "--detector", "mmod", "--confidence", "0.3"], "no effect on mmod"),
        (["train", "f.csv", "--out", "o", "--landmark-dropout", "0.3"], "no effect on --network seed"),
        (["scan", ".", "--case="], "--case is empty"),
        (["scan", "--nonsense"], "No such option"),
        (["scan"], "Missing argument"),
    ],
)
def test_usage_errors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    folder = tmp_path / "evidence"
    folder.mkdir()
    monkeypatch.chdir(folder)
    (folder / "p.png").write_bytes(encoded(picture()))
    code, out, err = femo(*arguments)
    assert code == 2
    assert message in err
    assert "Traceback" not in err + out
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["evidence", "p.png"]


def test_case_and_evidence_are_not_confused(case: Path, tmp_path: Path) -> None:
    code, _, err = femo("scan", case, "--case", case)
    assert code == 2
    assert "is given as both the evidence and the case" in " ".join(err.split())
    for command in ("report", "verify", "info"):
        code, _, err = femo(command, "--case", case)
        assert code == 2
        assert f"femo {command} case.db" in err
    code, _, err = femo("query", "summary", case)
    assert code == 1
    assert "The case is a command's first argument" in " ".join(err.split())


def test_what_a_scan_names_at_its_end_can_be_typed(evidence: Path, tmp_path: Path) -> None:
    (evidence / "a.png").write_bytes(encoded(picture()))
    summary = scanned(evidence, tmp_path / "one.db")
    for is_latest, more in ((True, ""), (False, f" --run {summary.run_id}")):
        ended = Ended(summary, 0, None, is_latest, "", "")
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed), ScanProgress() as progress:
            progress.print_end(ended, Path("my case.db"), timings=False)
        assert f"Report: femo report 'my case.db'{more}" in printed.getvalue()


def test_an_unknown_model_is_told(tmp_path: Path, evidence: Path) -> None:
    (evidence / "p.png").write_bytes(encoded(picture()))
    code, _, err = femo("scan", evidence, "--case", tmp_path / "c.db", "--model", "nobody")
    assert code == 1
    assert "There is no model 'nobody'" in err
    assert "Shipped models: face_resnet, seed" in err


def test_a_file_of_a_model_is_no_model(tmp_path: Path, evidence: Path) -> None:
    (evidence / "p.png").write_bytes(encoded(picture()))
    (tmp_path / "model.h5").write_bytes(b"x")
    code, _, err = femo("scan", evidence, "--case", tmp_path / "c.db", "--model", tmp_path / "model.h5")
    assert code == 1
    assert f"Give the folder: {tmp_path}" in " ".join(err.split()).replace("- ", "-")


def test_what_is_kept_of_a_training_that_was_stopped_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("keras", reason="needs the extra 'train'")
    import forensic_emotion.training.train as module

    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "train", stopped)
    out = tmp_path / "out"
    assert "nothing is kept" in femo("train", tmp_path / "x.csv", "--out", out)[2]
    (out / "checkpoint").mkdir(parents=True)
    (out / "checkpoint" / "state.json").write_text("{}")
    code, _, err = femo("train", tmp_path / "x.csv", "--out", out)
    assert (code, "--resume continues" in err) == (130, True)


def test_models_lists_what_is_shipped() -> None:
    code, out, _ = femo("models", "--format", "json")
    assert code == 0
    listed = {m["name"]: m for m in json.loads(out)}
    assert [m["name"] for m in listed.values() if m["default"]] == ["face_resnet"]
    assert listed["seed"]["figures"]["PublicTest"]["accuracy"]["n"] == 3589
    onnx = Path(listed["seed"]["path"]) / "model.onnx"
    assert hashlib.sha256(onnx.read_bytes()).hexdigest() == listed["seed"]["sha256"]
    assert "MIT" in listed["seed"]["licence"]
    assert "(default)" in femo("models")[1]


def test_data_counts_and_tells_faults(tmp_path: Path) -> None:
    path = write_fer2013(tmp_path / "f.csv", {"Training": 7}, copies=[(0, "PublicTest")])
    code, out, _ = femo("data", path)
    assert code == 0
    assert "PublicTest in Training: 1 pictures have a twin in the other split" in out
    code, out, _ = femo("data", path, "--format", "json")
    assert json.loads(out)["counts"]["Training"]["angry"] == 1
    code, _, err = femo("data", tmp_path / "none.csv")
    assert code == 1
    assert "cannot be read" in err


def test_every_command_and_option_has_help() -> None:
    from typer.main import get_command

    for name, command in get_command(app).commands.items():  # type: ignore[attr-defined]
        assert command.help, name
        for parameter in command.params:
            assert getattr(parameter, "help", None), (name, parameter.name)


def test_debugging_shows_the_traceback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEMO_DEBUG", "1")
    result = RUNNER.invoke(app, ["report", str(tmp_path / "none.db")])
    assert type(result.exception).__name__ == "CaseError"


def test_help_shows_commands_under_headings(monkeypatch: pytest.MonkeyPatch) -> None:
    code, out, _ = femo("--help")
    assert code == 0
    for panel, names in PANELS.items():
        assert panel in out
        for name in names:
            assert re.search(rf"^│ {name} ", out, re.MULTILINE), name
    assert "Examples" in femo("report", "--help")[1]


def test_shells_can_complete_presets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_FEMO_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "femo query case.db un")
    monkeypatch.setenv("COMP_CWORD", "3")
    result = RUNNER.invoke(app, [], prog_name="femo")
    assert result.stdout.split() == ["uncertain"]


def one_object(code: int, *arguments: object) -> dict[str, Any]:
    """What a command prints for a script: one JSON object on one line, nothing else."""
    ended, out, err = femo(*arguments, "--json")
    assert ended == code, err
    (line,) = out.splitlines()
    return json.loads(line)


def test_scripts_get_one_object(case: Path, evidence: Path, tmp_path: Path) -> None:
    report = one_object(0, "report", case)
    page = Path(report["report"])
    assert hashlib.sha256(page.read_bytes()).hexdigest() == report["sha256"]
    table = tmp_path / "faces.csv"
    facts = one_object(0, "export", case, "csv", "--out", table)
    assert (facts["run"], facts["format"], facts["problems"]) == (1, "csv", 0)
    assert facts["sha256"] == hashlib.sha256(table.read_bytes()).hexdigest()
    facts = one_object(0, "verify", case, "--evidence", evidence)
    assert facts["holds"] is True
    assert facts["evidence"]["unchanged"] == 2
    (evidence / "none.png").write_bytes(b"other")
    facts = one_object(3, "verify", case, "--evidence", evidence)
    assert [(f["path"], f["fate"]) for f in facts["files"]] == [("none.png", "changed")]
    scanned(evidence, tmp_path / "other.db")
    facts = one_object(3, "compare", case, tmp_path / "other.db")
    assert {d["path"] for d in facts["differences"]} == {"none.png"}
    shutil.copy(case, tmp_path / "same.db")
    assert one_object(0, "compare", case, tmp_path / "same.db")["differences"] == []
    info = json.loads(femo("info", case, "--format", "json")[1])
    assert (
        info["results_digest"]
        == facts["compared"][0]["results_digest"]
        == info["runs"][-1]["results_digest"]
    )
    assert len(info["audit_head"]) == 64


def test_an_error_prints_nothing_where_a_script_reads(tmp_path: Path) -> None:
    for command in (("report",), ("verify",), ("migrate",)):
        code, out, err = femo(*command, tmp_path / "none.db", "--json")
        assert (code, out) == (1, "")
        assert "There is no case" in err


def test_no_color_is_honoured(tmp_path: Path) -> None:
    """In a process of its own: rich looks at the environment when it is imported."""
    coloured = re.compile(r"\x1b\[[0-9;]*3[0-7]")
    command = [sys.executable, "-m", "forensic_emotion", "report", str(tmp_path / "none.db")]
    for more, there in (({"FORCE_COLOR": "1"}, True), ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False)):
        env = {**os.environ, "TERM": "xterm-256color", **more}
        err = subprocess.run(command, env=env, capture_output=True, text=True).stderr
        assert bool(coloured.search(err)) is there, err


@pytest.mark.slow
@pytest.mark.parametrize("closed", [(2,), (1, 2), (0, 1, 2)])
def test_closed_standard_streams_cost_no_file(tmp_path: Path, closed: tuple[int, ...]) -> None:
    """As daemons are started: the next file that is opened would get the number of standard error."""
    root = tmp_path / "evidence"
    root.mkdir()
    Image.fromarray(picture()).save(root / "a.tif")

    def close() -> None:
        for number in closed:
            os.close(number)

    command = [sys.executable, "-m", "forensic_emotion", "scan", str(root), "--case", "c.db"]
    done = subprocess.run(command, cwd=tmp_path, preexec_fn=close, check=False)
    assert done.returncode == 0
    with closing(sqlite3.connect(tmp_path / "c.db")) as case:
        assert case.execute("SELECT state FROM files").fetchall() == [("no_face",)]


def test_an_interrupt_shows_no_traceback_while_modules_are_imported() -> None:
    code = (
        "import sys\n"
        "class Finder:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'typer': raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Finder())\n"
        "from forensic_emotion.__main__ import main\n"
        "main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "Error: Interrupted.\n")


def test_a_terminal_that_goes_ends_no_scan() -> None:
    read, write = os.pipe()
    kept = os.dup(2)
    os.dup2(write, 2)
    try:
        with ScanProgress() as progress:
            os.close(read)
            os.close(write)
            progress._bar.console.print("told to nobody" * 10_000)
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def test_the_root_is_no_case(evidence: Path) -> None:
    for command in (("scan", evidence, "--case", "/"), ("report", "/"), ("verify", "/")):
        code, _, err = femo(*command)
        assert code in (1, 2)
        assert "fault of femo" not in err


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("info CASE", 0),
        ("query CASE faces --format csv", 0),
        ("models", 0),
        ("manifest CASE", 0),
        ("verify CASE", 0),
        ("verify ALTERED", 3),
        ("compare CASE ALTERED", 3),
        ("manifest ALTERED", 3),
    ],
)
def test_a_reader_who_has_seen_enough_changes_no_exit_code(case: Path, command: str, code: int) -> None:
    altered = case.with_name("altered.db")
    shutil.copy(case, altered)
    shutil.copy(f"{case}.audit", f"{altered}.audit")
    tamper(altered, "UPDATE faces SET confidence = 0.5")
    words = [{"CASE": str(case), "ALTERED": str(altered)}.get(word, word) for word in command.split()]
    reading, writing = os.pipe()
    os.close(reading)
    try:
        ended = subprocess.run(
            [sys.executable, "-m", "forensic_emotion", *words], stdout=writing, stderr=subprocess.PIPE
        )
    finally:
        os.close(writing)
    assert ended.returncode == code, ended.stderr.decode()
    assert b"fault of femo" not in ended.stderr
