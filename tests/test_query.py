"""``femo query``: the presets, and rows that harm neither a terminal nor a spreadsheet."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pytest
from rich.console import Console
from typer.testing import CliRunner

from forensic_emotion.case.presets import PARAMETERS, PRESETS
from forensic_emotion.case.queries import opened_case, run_sql
from forensic_emotion.chips import Inputs
from forensic_emotion.cli import app
from forensic_emotion.cli.rows import as_csv, as_json, as_json_lines, as_markdown, as_table
from forensic_emotion.records import RGB, Box
from forensic_emotion.spreadsheet import cell
from tests.builders import encoded, fake_card, picture, scanned, tamper, write_video

RUNNER = CliRunner()
FACE = Box(20, 10, 60, 50)


def frame(pts: int) -> RGB:
    """Of the video: no face at first, then one, before a bright ground from 3 s on."""
    return picture(faces=[FACE] if pts else [], background=230 if pts >= 3000 else 90)


class UnsureOfBright:
    """Calls a face happy with 0.7 before a dark ground; before a bright one with 0.4, too little.

    By the picture alone, as a model does: a copy may be scored too before it is known for one.
    """

    weights_sha256 = "f" * 64
    card = fake_card(abstention={"max_error": 0.2, "threshold": 0.5, "coverage": 0.5, "error": 0.2})

    def probabilities(self, inputs: Inputs) -> npt.NDArray[np.float32]:
        rows = np.empty((len(inputs["images"]), 7), np.float32)
        for row, image in zip(rows, inputs["images"], strict=True):
            happy = 0.4 if image.max() > 0.5 else 0.7
            row[:] = (1 - happy) / 6
            row[self.card.labels.index("happy")] = happy
        return rows


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run 1: one picture; run 2: a still, its copy, a picture without a face, a broken one, a video."""
    folder = tmp_path_factory.mktemp("query")
    root, path = folder / "evidence", folder / "case.db"
    (root / "camera").mkdir(parents=True)
    (root / "a.png").write_bytes(encoded(picture(faces=[FACE])))
    scanned(root, path)
    shutil.copy(root / "a.png", root / "camera" / "copy of a.png")
    (root / "none.png").write_bytes(encoded(picture()))
    (root / "torn.png").write_bytes(encoded(picture())[:60])
    times = range(0, 6000, 1000)
    write_video(root / "camera" / "tape.mp4", times, frame)
    scanned(root, path, classifier=UnsureOfBright())
    return path


def femo(*arguments: object) -> tuple[int, str, str]:
    result = RUNNER.invoke(app, [str(a) for a in arguments])
    return result.exit_code, result.stdout, result.stderr


def asked(case: Path, *arguments: object) -> list[dict[str, Any]]:
    code, out, err = femo("query", case, *arguments, "--format", "jsonl")
    assert code == 0, err
    return [json.loads(line) for line in out.splitlines()]


@pytest.mark.parametrize("name", PRESETS)
def test_each_preset_gives_the_columns_that_it_describes(case: Path, name: str) -> None:
    preset = PRESETS[name]
    with opened_case(case) as opened:
        names, rows = run_sql(opened, preset.sql, dict.fromkeys(preset.parameters))
        plain = list(rows)
        # A web form sends empty texts for what was not filled in.
        assert list(run_sql(opened, preset.sql, dict.fromkeys(preset.parameters, ""))[1]) == plain
    assert names == list(preset.columns)
    assert bool(plain) == (name not in ("reviews", "notable", "misnamed"))


def test_each_parameter_is_an_option() -> None:
    from typer.main import get_command

    options = {p.opts[0] for p in get_command(app).commands["query"].params}  # type: ignore[attr-defined]
    assert {f"--{name.replace('_', '-')}" for name in PARAMETERS} <= options
    assert {name for p in PRESETS.values() for name in p.parameters} == set(PARAMETERS)


def test_the_presets_are_listed(case: Path) -> None:
    listed = {row["preset"]: row for row in asked(case)}
    assert list(listed) == list(PRESETS)
    assert "--min-confidence" in listed["faces"]["options"]


def test_a_summary_adds_up(case: Path) -> None:
    rows = asked(case, "summary")
    assert {row["run"] for row in rows} == {2}
    paths = {row["what"]: row["number"] for row in rows if row["topic"] == "paths"}
    assert sum(paths.values()) == 5
    assert paths["faces"] == 3
    faces = {row["what"]: row["number"] for row in rows if row["topic"] == "faces"}
    assert faces == {"happy": 3, "uncertain": 3}
    assert [row["run"] for row in asked(case, "summary", "--run", 1)] == [1] * 5


def assert_everywhere(told: str, case: Path, preset: str) -> None:
    """What is made of a run without naming it tells so."""
    asking: list[tuple[object, ...]] = [
        ("query", case, preset),
        ("report", case),
        ("export", case, "csv", "--out", case.parent / "a.csv"),
    ]
    for arguments in asking:
        assert told in " ".join(femo(*arguments)[2].split())


def test_runs_of_other_evidence_are_told(tmp_path: Path) -> None:
    case = tmp_path / "case.db"
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.png").write_bytes(encoded(picture(faces=[FACE])))
        scanned(tmp_path / name, case)
    told = f"Run 1 is of other evidence and is not included: {tmp_path / 'one'} (--run 1)."
    assert_everywhere(told, case, "faces")
    assert not femo("query", case, "faces", "--run", 1)[2]
    assert str(tmp_path / "one") in (tmp_path / "case.html").read_text()
    code, out, _ = femo("report", case, "--redact")
    assert code == 0
    assert "case-redacted.html (run 2, redacted)" in out
    assert str(tmp_path / "one") not in (tmp_path / "case-redacted.html").read_text()


def test_a_name_cannot_hide_its_ending_in_csv(tmp_path: Path) -> None:
    root = tmp_path / "evidence"
    root.mkdir()
    (root / "red\u202egpj.exe").write_bytes(encoded(picture()))
    scanned(root, tmp_path / "case.db")
    _, out, _ = femo("query", tmp_path / "case.db", "misnamed", "--format", "csv")
    assert "red\\u202egpj.exe" in out


def test_reviews_of_another_run_are_told(case: Path, tmp_path: Path) -> None:
    own = tmp_path / "own.db"
    shutil.copy(case, own)
    with contextlib.closing(sqlite3.connect(own)) as opened, opened:
        opened.execute(
            "insert into reviews (run_id, face_id, at, reviewer, verdict, label, note)"
            " select run_id, id, '2026-01-02T00:00:00.000000000Z', 'R', 'rejected', null, ''"
            " from faces where run_id = 1"
        )
    told = "Run 2 has no reviews; each run has its own reviews. Reviewed: run 1 (1); see --run."
    assert_everywhere(told, own, "reviews")
    assert not femo("query", own, "reviews", "--run", 1)[2]
    (said,) = [row for row in asked(own, "summary", "--run", 1) if row["topic"] == "reviewed faces"]
    assert (said["what"], said["number"]) == ("rejected", 1)


def test_rows_of_different_files_of_one_name_can_be_told_apart(tmp_path: Path) -> None:
    root = tmp_path / "evidence"
    root.mkdir()
    for name in (b"v\xe9.mkv", b"v\\xe9.mkv"):
        drawn = write_video(tmp_path / "v.mkv", range(0, 2000, 1000 + len(name)), frame)
        with open(os.path.join(os.fsencode(root), name), "wb") as target:
            target.write(drawn.read_bytes())
    scanned(root, tmp_path / "case.db")
    for preset in ("faces", "by-file", "timeline", "tracks"):
        found = asked(tmp_path / "case.db", preset)
        assert {row["path"] for row in found} == {"v\\xe9.mkv"}
        assert {row["file_id"] for row in found} == {1, 2}


def test_faces_are_narrowed(case: Path) -> None:
    assert len(asked(case, "faces")) == 7
    assert len(asked(case, "faces", "--limit", 2)) == 2
    assert {r["label"] for r in asked(case, "faces", "--label", "uncertain")} == {"uncertain"}
    assert {r["label"] for r in asked(case, "faces", "--min-confidence", 0.6)} == {"happy"}
    assert [r["path"] for r in asked(case, "faces", "--path", "camera/*.png")] == [
        "camera/copy of a.png"
    ]
    assert [r["seconds"] for r in asked(case, "faces", "--from", 2, "--to", 4)] == [2, 3, 4]
    assert [r["seconds"] for r in asked(case, "faces", "--from", "0:02", "--to", "0:00:04.000")] == [
        2,
        3,
        4,
    ]
    assert asked(case, "faces", "--from", "1:00:00") == []
    assert len(asked(case, "faces", "--from=-0:01:00.5")) == 5
    assert len(asked(case, "faces", "--run", 1)) == 1


def test_faces_are_narrowed_by_what_is_poor_about_them(case: Path) -> None:
    every = {row["face_id"]: set((row["faults"] or "").split()) for row in asked(case, "faces")}
    kinds = set().union(*every.values())
    assert kinds, "the evidence of these tests has poor faces"
    for fault in kinds:
        found = {row["face_id"] for row in asked(case, "faces", "--fault", fault)}
        assert found == {face for face, faults in every.items() if fault in faults}
    poor = {row["face_id"] for row in asked(case, "faces", "--fault", "any")}
    good = {row["face_id"] for row in asked(case, "faces", "--fault", "none")}
    assert poor == {face for face, faults in every.items() if faults}
    assert good == set(every) - poor
    code, _, err = femo("query", case, "faces", "--fault", "blur")
    assert code == 2
    assert "no fault 'blur'" in err
    assert "blurred" in err


def test_every_path_is_in_by_file(case: Path) -> None:
    rows = {r["path"]: r for r in asked(case, "by-file")}
    assert len(rows) == 5
    assert (rows["camera/tape.mp4"]["faces"], rows["none.png"]["faces"]) == (5, 0)
    assert rows["camera/copy of a.png"]["faces"] == rows["a.png"]["faces"] == 1
    assert rows["camera/tape.mp4"]["happy"] + rows["camera/tape.mp4"]["uncertain"] == 5
    assert [r["path"] for r in asked(case, "by-file", "--state", "no_face")] == ["none.png"]


def test_a_timeline_goes_by_the_recordings_time(case: Path) -> None:
    rows = asked(case, "timeline")
    assert [r["begins"] for r in rows] == [1, 2, 3, 4, 5]
    assert {r["path"] for r in rows} == {"camera/tape.mp4"}
    rows = asked(case, "timeline", "--step", 4)
    assert [(r["begins"], r["ends"], r["faces"]) for r in rows] == [(0, 4, 3), (4, 8, 2)]
    mean = (0.7 * rows[0]["faces"] - 0.3 * rows[0]["uncertain"]) / rows[0]["faces"]
    assert rows[0]["happy"] == pytest.approx(mean)


def test_a_bracket_in_a_path_is_a_bracket(tmp_path: Path) -> None:
    root = tmp_path / "evidence"
    root.mkdir()
    for name in ("photo[1].png", "photo1.png", "photo[2].png"):
        (root / name).write_bytes(encoded(picture(faces=[FACE])))
    scanned(root, tmp_path / "case.db")
    for pattern, found in (
        ("photo[1].png", ["photo[1].png"]),
        ("photo[[]1].png", []),
        ("*[[12]].png", []),
        ("photo[?].png", ["photo[1].png", "photo[2].png"]),
        ("*1*", ["photo1.png", "photo[1].png"]),
    ):
        rows = asked(tmp_path / "case.db", "faces", "--path", pattern)
        assert sorted(row["path"] for row in rows) == found


def test_a_limit_may_be_larger_than_any_table(case: Path) -> None:
    assert asked(case, "faces", "--limit", 10**20) == asked(case, "faces")


def test_two_files_whose_names_look_alike_have_lines_of_their_own(tmp_path: Path) -> None:
    root = tmp_path / "evidence"
    root.mkdir()
    for name, shade in ((b"v\xff.mp4", 90), (b"v\\xff.mp4", 120)):
        shown = picture(faces=[FACE], background=shade)
        write_video(tmp_path / "v.mp4", range(0, 2000, 1000), lambda pts, shown=shown: shown)
        (tmp_path / "v.mp4").rename(root / os.fsdecode(name))
    scanned(root, tmp_path / "case.db")
    found = asked(tmp_path / "case.db", "timeline")
    assert len({row["path"] for row in found}) == 1
    assert [(row["begins"], row["faces"]) for row in found] == [(0, 1), (1, 1), (0, 1), (1, 1)]


def test_a_path_that_is_not_utf8_is_asked_for_as_it_lies_there(tmp_path: Path) -> None:
    root = tmp_path / "evidence"
    root.mkdir()
    name = os.fsdecode(b"v\xff.png")
    (root / name).write_bytes(encoded(frame(1)))
    scanned(root, tmp_path / "case.db")
    assert [row["path"] for row in asked(tmp_path / "case.db", "faces", "--path", name)] == [
        "v\\xff.png"
    ]


def stretches(times: list[float | None], step: float | None = None) -> list[tuple[float, int]]:
    """Where the timeline's stretches begin that have faces at these times, and how many each has."""
    import sqlite3

    case = sqlite3.connect(":memory:")
    columns = "run_id, file_id, path, seconds, label, confidence, faults, stream, frame_index"
    classes = "angry, disgust, fear, happy, sad, surprise, neutral"
    case.execute(f"CREATE TABLE face_results ({columns}, {classes})")
    case.execute("CREATE TABLE runs (id)")
    case.execute("CREATE TABLE files (id, path_bytes)")
    for i, seconds in enumerate(times):
        names = "run_id, path, seconds, stream, frame_index"
        case.execute(f"INSERT INTO face_results ({names}) VALUES (1, 'v', ?, 0, ?)", (seconds, i))
    preset = PRESETS["timeline"]
    _, rows = run_sql(case, preset.sql, {**dict.fromkeys(preset.parameters), "run": 1, "step": step})
    return [(row[1], row[4]) for row in rows]


def test_a_time_before_zero_lies_in_the_stretch_below() -> None:
    assert stretches([-1.5, -1.0, -0.5, 0.0, 0.5, None]) == [(-2, 1), (-1, 2), (0, 2)]


@pytest.mark.parametrize("base", [10, 30, 1000, 24000 / 1001])
def test_a_frame_at_the_border_of_a_stretch_lies_behind_it(base: float) -> None:
    step = 1 / base if base < 100 else 0.1
    times: list[float | None] = [n * step for n in range(-100, 400)]
    found = stretches(times, step)
    assert [n for _, n in found] == [1] * 500
    assert [begins for begins, _ in found] == [round(n * step, 9) for n in range(-100, 400)]


def test_duplicates_problems_uncertain_tracks(case: Path) -> None:
    assert [r["path"] for r in asked(case, "duplicates")] == ["a.png", "camera/copy of a.png"]
    (torn,) = asked(case, "problems")
    assert torn["path"] == "torn.png"
    assert torn["message"]
    unsure = asked(case, "uncertain")
    assert [r["top_class"] for r in unsure] == ["happy"] * 3
    assert all(r["confidence"] <= r["threshold"] for r in unsure)
    assert sum(r["faces"] for r in asked(case, "tracks")) == 5


def test_what_people_said_stands_beside_it(case: Path, tmp_path: Path) -> None:
    import sqlite3

    copy = Path(shutil.copy(case, tmp_path))
    with sqlite3.connect(copy) as writing:
        writing.execute(
            "INSERT INTO reviews (run_id, face_id, at, reviewer, verdict, label, note)"
            " SELECT run_id, max(id), '2026-01-01', 'me', 'relabelled', 'sad', '' FROM faces"
        )
    writing.close()
    (row,) = asked(copy, "reviews")
    assert (row["label"], row["seen"], row["reviewer"]) == ("uncertain", "sad", "me")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nobody"], "There is no preset 'nobody'"),
        (["nobody"], "summary, faces, by-file, timeline"),
        (["summary", "--label", "happy"], "The preset 'summary' does not take --label"),
        (["summary", "--label", "happy"], "It takes: --run"),
        (["timeline", "--label", "happy"], "The preset 'timeline' does not take --label"),
        (["timeline", "--min-confidence", "0.5"], "'timeline' does not take --min-confidence"),
        (["select 1", "--limit", "1"], "SQL does not take --limit"),
        (["--run", "1"], "The list of presets does not take --run"),
        (["faces", "--label", "hapy"], "there is no label 'hapy'. One of: angry"),
        (["by-file", "--state", "lost"], "there is no state 'lost'. One of: faces"),
        (["faces", "--from", "nan"], "'nan' is not a time in a recording. Give seconds"),
        (["faces", "--to", "9" * 400 + ":00:00"], "is not a time in a recording"),
        (["faces", "--to", "1:60"], "'1:60' is not a time in a recording"),
        (["faces", "--to", "1:60:00"], "'1:60:00' is not a time in a recording"),
        (["faces", "--from", "3", "--to", "2"], "--from 3 is after --to 2"),
        (["faces", "--run", "9"], "no run 9"),
        (["faces", "--limit", "0"], "--limit"),
    ],
)
def test_what_cannot_be_meant_is_told(case: Path, arguments: list[str], message: str) -> None:
    code, _, err = femo("query", case, *arguments)
    assert code == 2
    assert message in " ".join(err.split())


def test_a_word_that_sql_begins_with_is_sql(case: Path) -> None:
    assert asked(case, "select(1)") == [{"(1)": 1}]
    assert "Error: The query failed" in femo("query", case, "SELECT")[2]


HOSTILE = [
    "=1+1",
    "+1",
    "-1",
    "@x",
    "\tx",
    "\rx",
    "a\x1b[31m\x9b2J\x07",
    "|`<b>*_[x](y)",
    "c\nd",
    "\u202egpj",
]


def test_no_spreadsheet_computes_a_name() -> None:
    assert [cell(name) for name in HOSTILE[:4]] == [f"'{name}" for name in HOSTILE[:4]]
    assert [cell(name) for name in HOSTILE[4:6]] == ["\\u0009x", "\\u000dx"]
    assert [cell(value) for value in (-1, -0.5, None, b"=1", "a=1", "")] == [
        -1,
        -0.5,
        None,
        "3d31",
        "a=1",
        "",
    ]


def test_csv_has_them_with_an_apostrophe(capsys: pytest.CaptureFixture[str]) -> None:
    as_csv(["=name", "n"], iter([(name, -1) for name in HOSTILE]))
    out = capsys.readouterr().out
    rows = list(csv.reader(io.StringIO(out, newline="")))
    assert rows[0] == ["'=name", "n"]
    assert rows[1] == ["'=1+1", "-1"]
    assert not any(row[0].startswith(tuple("=+-@\t\r")) for row in rows)
    assert "\x1b" not in out
    assert "\x9b" not in out


def test_no_form_steers_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    for write in (as_table, as_json, as_json_lines, as_markdown):
        write(["\x1b[0m"], iter([(name,) for name in HOSTILE]))
        out = capsys.readouterr().out
        assert out.replace("\n", "").isprintable(), write


def test_json_keeps_what_it_escapes(capsys: pytest.CaptureFixture[str]) -> None:
    names = [*HOSTILE, "\U000e0041 tag", "ü"]
    as_json(["name"], iter([(name,) for name in names]))
    out = capsys.readouterr().out
    assert [row["name"] for row in json.loads(out)] == names
    assert '"ü"' in out
    as_json_lines(["name"], iter([(name,) for name in names]))
    assert [json.loads(line)["name"] for line in capsys.readouterr().out.splitlines()] == names


def test_markdown_shows_names_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    as_markdown(["a|b", "n"], iter([("|`<b>*_[x](y)", None), ("www.evil.example", 0.5), ("c\nd", 1)]))
    assert capsys.readouterr().out.splitlines() == [
        r"| a\|b | n |",
        "| --- | --- |",
        r"| \|\`&lt;b&gt;\*\_\[x\](y) |  |",
        r"| www\.evil.example | 0.5 |",
        r"| c\\u000ad | 1 |",
    ]


def test_moments_of_an_epoch_clock_stay_apart() -> None:
    target = io.StringIO()
    with contextlib.redirect_stdout(target):
        as_markdown(
            ["seconds"],
            iter([(1700000000.04,), (1700000000.08,), (0.1 + 0.2,), (1e-9,), (1e300,), (0.99999999,)]),
        )
    shown = [line.strip("| ") for line in target.getvalue().splitlines()[2:]]
    assert shown == ["1700000000.04", "1700000000.0799999", "0.3", "1e-09", "1e+300", "0.99999999"]


def test_a_table_wider_than_the_terminal_is_written_line_by_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = ["path", "faces", "label"]
    table = [("a long name of a file.jpg", 12, "uncertain"), ("b.jpg", 3, None)]
    for width, wide in ((80, True), (30, False)):
        console = Console(file=io.StringIO(), width=width)
        monkeypatch.setattr("forensic_emotion.cli.rows.wide_console", partial(next, iter([console])))
        as_table(names, iter(table))
        lines = cast(io.StringIO, console.file).getvalue().splitlines()
        assert max(map(len, lines)) <= width
        assert any("uncertain" in line for line in lines), "no word is broken"
        assert any(line.startswith("--- 2") for line in lines) != wide


def test_data_are_in_utf8_whatever_the_terminal_is(case: Path) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "latin-1", "PYTHONUTF8": "0"}
    sql = "select '\u263a.jpg' as path"
    for format in ("json", "jsonl", "csv", "markdown"):
        command = [sys.executable, "-m", "forensic_emotion", "query", str(case), sql, "--format", format]
        out = subprocess.run(command, env=environment, check=True, capture_output=True).stdout
        assert "\u263a.jpg" in out.decode("utf-8")


def test_an_answer_of_no_rows_says_so(case: Path) -> None:
    code, _, err = femo("query", case, "faces", "--path", "photos")
    assert (code, err.splitlines()) == (
        0,
        [
            "0 rows. --path takes a whole path below the evidence folder: '*/photos' finds it in any"
            " folder. If it is a folder, 'photos/*' finds what is in it."
        ],
    )
    assert femo("query", case, "faces", "--label", "fear")[2] == "0 rows.\n"
    assert (
        femo("query", case, "by-file", "--limit", 1)[2]
        == "1 rows, as set by --limit; there may be more.\n"
    )
    assert femo("query", case, "by-file", "--limit", 1, "--format", "csv")[2] == ""
    tamper(case, "UPDATE runs SET state = 'interrupted'")
    assert "is not complete" in femo("query", case, "summary")[2]


def test_faces_that_nobody_judged_are_not_without_fault(case: Path) -> None:
    tamper(case, "UPDATE faces SET faults = NULL")
    assert {row["poor"] for row in asked(case, "by-file") if row["faces"]} == {None}
    told = {(row["topic"], row["what"]): row["number"] for row in asked(case, "summary")}
    assert told["faces with a fault", "not judged"] > 0


def test_notable_paths_have_a_preset(case: Path) -> None:
    tamper(
        case,
        "UPDATE files SET notable = 'list.txt', known = NULL WHERE id = (SELECT max(id) FROM files)",
    )
    assert [row["notable"] for row in asked(case, "notable")] == ["list.txt"]
    tamper(
        case,
        "UPDATE files SET known = 'k' WHERE run_id = (SELECT max(id) FROM runs) AND notable IS NULL",
    )
    found = [(row["notable"], row["known"]) for row in asked(case, "notable")]
    assert found[:2] == [("list.txt", None), (None, "k")]


def test_what_hides_behind_a_name_has_a_preset(tmp_path: Path) -> None:
    root = tmp_path / "evidence"
    root.mkdir()
    for number, name in enumerate(("a.png", "b.jpg", "c.dat", "d", "e.txt")):
        content = b"text" if name == "e.txt" else encoded(picture(background=number))
        (root / name).write_bytes(content)
    scanned(root, tmp_path / "case.db")
    found = [(row["path"], row["name_fits"]) for row in asked(tmp_path / "case.db", "misnamed")]
    assert found == [("b.jpg", 0), ("c.dat", None), ("d", None)]
