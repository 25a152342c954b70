from __future__ import annotations

import contextlib
import csv
import hashlib
import io
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from forensic_emotion.cli import app
from forensic_emotion.cli.rows import as_csv
from forensic_emotion.records import Box
from tests.builders import encoded, picture, scanned, write_fer2013

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
    target = io.StringIO(newline="")
    with contextlib.redirect_stdout(target):
        as_csv(["path"], iter([(name,) for name in odd]))
    assert [row[0] for row in csv.reader(io.StringIO(target.getvalue(), newline=""))] == ["path", *odd]


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
        ("attach '/tmp/femo_attached.db' as other", "authoriz"),
        ("vacuum into '/tmp/femo_copied.db'", "authoriz"),
    ],
)
def test_a_query_that_cannot_be_is_a_usage_error(case: Path, sql: str, message: str) -> None:
    code, out, err = femo("query", case, sql)
    assert code == 2
    assert "Error: The query failed" in err
    assert message in err
    assert "Traceback" not in err + out
    assert not list(Path("/tmp").glob("femo_*ed.db"))


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
        (["scan", ".", "--case", "/tmp/femo_test.db", "--every", "0"], "--every: 0.0 is not above 0"),
        (["scan", ".", "--case", "/tmp/femo_test.db", "--every", "nan"], "--every: nan is not above 0"),
        (
            ["scan", ".", "--case", "/tmp/femo_test.db", "--smallest-face", "2"],
            "--smallest-face: 2 is below 4",
        ),
        (["scan", ".", "--case", "inside.db"], "inside"),
        (["scan", ".", "--case", "/tmp/femo_test.db", "--runtime", "abacus"], "--runtime: 'abacus'"),
        (["scan", "--nonsense"], "No such option"),
        (["scan"], "Missing argument"),
    ],
)
def test_usage_errors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "p.png").write_bytes(encoded(picture()))
    code, out, err = femo(*arguments)
    assert code == 2
    assert message in err
    assert "Traceback" not in err + out
    assert sorted(p.name for p in tmp_path.iterdir()) == ["p.png"]


def test_an_unknown_model_is_told(tmp_path: Path, evidence: Path) -> None:
    (evidence / "p.png").write_bytes(encoded(picture()))
    code, _, err = femo("scan", evidence, "--case", tmp_path / "c.db", "--model", "nobody")
    assert code == 1
    assert "There is no model 'nobody'" in err
    assert "Shipped models: face_resnet, seed" in err


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
    assert "PublicTest in Training: 1 pictures have a twin there" in out
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
