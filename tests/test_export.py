"""Each format, read back by something that is not femo."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import re
import resource
import shutil
import sqlite3
import stat
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from contextlib import closing
from datetime import datetime, timedelta, timezone
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from forensic_emotion.case import audit
from forensic_emotion.case.queries import opened_case
from forensic_emotion.case.store import CaseStore
from forensic_emotion.cli import app
from forensic_emotion.export import dfxml
from forensic_emotion.export.formats import FORMATS
from forensic_emotion.export.timesketch import moment
from forensic_emotion.export.words import NOTICE, plain_json, safe_name
from forensic_emotion.frames.readers import READERS
from forensic_emotion.hashsets import ListFile, read_hash_set
from forensic_emotion.records import CLASSES, UNCERTAIN, Box
from forensic_emotion.settings import ScanSettings
from forensic_emotion.spreadsheet import cell
from tests.builders import (
    FakeClassifier,
    encoded,
    fake_run,
    picture,
    reviewed,
    scanned,
    tamper,
    write_video,
)

NAMES = (
    b"=cmd|' -C calc'!A0.png",
    b"+1.png",
    b"'quoted.png",
    b"line\nbreak.png",
    b"carriage\rreturn.png",
    b"\x1b[31mred.png",
    "\u202egnp.exe.png".encode(),
    b"<b>&\"'.png",
    b"'; DROP TABLE files; --.png",
    b"--> arrow & <c>.png",
    b"not \xff\xfe UTF-8.png",
    "Gr\u00fc\u00dfe, \U0001f600.png".encode(),
    b"back\\slash\\xff.png",
)
"""What names in evidence may hold."""
FILES = [name for name in FORMATS if not FORMATS[name].folder]
FOLDERS = [name for name in FORMATS if FORMATS[name].folder]
DFXML = "{http://www.forensicswiki.org/wiki/Category:Digital_Forensics_XML}"


def femo(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(
        app, [os.fsdecode(a) if isinstance(a, bytes) else str(a) for a in arguments]
    )
    return result.exit_code, result.output


def exported(case: Path, format: str, out: Path, *options: object, code: int = 0) -> Path:
    got, output = femo("export", case, format, "--out", out, *options)
    assert got == code, output
    return out


def change(case: Path, sql: str, *values: object) -> None:
    connection = sqlite3.connect(case)
    connection.execute(sql, values)
    connection.commit()
    connection.close()
    with closing(CaseStore(case)) as store:  # so that it counts as written
        store.seal("2026-01-01T00:00:00.000000000Z", ("femo",))


def rows(case: Path, sql: str) -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(case)
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Evidence with every kind of name, and its case; made once, copied for each test."""
    folder = tmp_path_factory.mktemp("whole")
    root = folder / "evidence"
    (root / "sub").mkdir(parents=True)
    for n, name in enumerate(NAMES):
        with open(os.path.join(os.fsencode(root), name), "wb") as target:
            target.write(encoded(picture(faces=[Box(20 + n, 10, 60 + n, 50)])))
    shutil.copy(root / "+1.png", root / "sub" / "copy.png")
    (root / "none.png").write_bytes(encoded(picture()))
    (root / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n nothing")
    write_video(
        root / "sub" / "film -->.mp4",
        range(5000, 9000, 500),
        lambda pts: picture(faces=[Box(20, 10, 60, 50)] if pts < 8000 else []),
    )
    case = folder / "case.db"
    scanned(root, case)
    told = ", ".join(
        f"{name} = ?" for name in ("recorded", "recorded_tag", "recorded_zone", "zone_source")
    )
    run = f"update files set {told} where path = ?"
    film = "sub/film -->.mp4"
    change(case, run, "2024-05-01T10:00:00.000000Z", "creation_time", "Z", "format", film)
    change(case, run, "2024:05:01 12:00:00", "DateTime", None, "none", "none.png")
    change(
        case,
        "update files set exif = ? where path = '+1.png'",
        json.dumps({"Make": "=Acme\x1b", "ISO": 100, "Exif.Ratio": "1/60", "List": [1, 2]}),
    )
    change(case, "update faces set label = 'uncertain' where id = 1")
    reviewed(case, 1, "confirmed")
    reviewed(case, 1, "relabelled", "sad", "=note\nof two lines <b>")
    reviewed(case, 2, "rejected")
    reviewed(case, 2, "withdrawn")
    return root, case


@pytest.fixture
def case(whole: tuple[Path, Path], tmp_path: Path) -> Path:
    shutil.copy(whole[1], tmp_path / "case.db")
    return tmp_path / "case.db"


@pytest.fixture
def root(whole: tuple[Path, Path]) -> Path:
    return whole[0]


def test_each_format_is_described() -> None:
    page = (Path(__file__).parents[1] / "docs" / "export.md").read_text()
    for name in FORMATS:
        assert f"\n## {name}\n" in page
        assert f"femo export case.db {name} --out" in page


# ---- tables ----------------------------------------------------------------------------------------


def read_csv(path: Path) -> list[dict[str, str]]:
    assert path.read_bytes().startswith(b"\xef\xbb\xbf")
    with path.open(encoding="utf-8-sig", newline="") as source:
        return list(csv.DictReader(source, strict=True))


def plain(cell: str) -> str:
    """Without the apostrophes that keep spreadsheets from computing, as docs/export.md says."""
    return re.sub(r"(\A|(?<=[;|]))'", "", cell)


def test_csv_loses_nothing_and_holds_no_formula(case: Path, tmp_path: Path) -> None:
    table = read_csv(exported(case, "csv", tmp_path / "f.csv"))
    assert len(table) == len(NAMES) + 1 + 3
    for row in table:
        assert None not in row
        for value in row.values():
            assert value.isprintable()
            assert not value.startswith(("=", "+", "@"))
            assert not value.startswith("-") or float(value) < 0
    names = [bytes.fromhex(r["path_bytes"]) or r["path"].encode() for r in table]
    assert set(names) == {*NAMES, b"sub/copy.png", b"sub/film -->.mp4"}
    (first,) = [r for r in table if r["face_id"] == "1"]
    assert (first["label"], first["top_class"], float(first["happy"])) == (
        *("uncertain", "happy"),
        pytest.approx(0.4),
    )
    assert (first["review_verdict"], first["review_label"]) == ("relabelled", "sad")
    assert first["review_note"] == "'=note\\u000aof two lines <b>"
    assert plain(first["review_note"]) == "=note\\u000aof two lines <b>"
    copies = {plain(r["path"]): plain(r["same_as"]) for r in table if r["same_as"]}
    assert copies == {"sub/copy.png": "+1.png"}
    assert {r["state"] for r in table} == {"faces"}
    assert all(r["accessed_at"] for r in table)
    assert np.array(json.loads(first["landmarks"])).shape == (68, 2)
    assert all(r["review_verdict"] == "" for r in table if r["face_id"] == "2")
    film = [r for r in table if r["path"] == "sub/film -->.mp4"]
    assert [float(r["seconds"]) for r in film] == [5.0, 6.0, 7.0]
    assert [r["frame_index"] for r in film] == ["0", "2", "4"]
    assert {r["track"] for r in film} == {"0"}
    assert {r["model_sha256"] for r in table} == {"f" * 64}
    assert {r["notice"] for r in table} == {NOTICE}
    assert len({r["sha256"] for r in table}) == len(NAMES) + 1


@pytest.mark.parametrize("start", [*"=+-@＝＋－＠'"])
def test_a_formula_gets_an_apostrophe_that_can_be_taken_away(start: str) -> None:
    assert cell(f"{start}x") == f"'{start}x"
    # Behind what some spreadsheets take for the end of a cell too.
    for end in ";|":
        for text in (f"a{end}{start}x", f"{start}a{end}{start}{end}'b"):
            shown = cell(text)
            assert isinstance(shown, str)
            assert f"{end}{start}" not in shown or start == "'"
            assert plain(shown) == text
    assert cell("plain") == "plain"
    assert cell(-1.5) == -1.5
    assert cell(None) is None


FILE_FACTS = ("sha1", "md5", "size", "modified_at", "changed_at")
FACE_FACTS = ("left", "top", "right", "bottom", "score", "pts", "time_base", "seconds", *CLASSES)


@pytest.fixture
def told_apart(case: Path) -> Path:
    """A case whose values are all different, so that none can stand in another's place."""
    for column, day in (("modified_at", 2), ("changed_at", 3), ("accessed_at", 4)):
        time = f"'2024-01-0{day}T00:00:00.' || printf('%09d', id) || 'Z'"
        change(case, f"update files set {column} = {time}")
    for place, name in enumerate(CLASSES):
        change(case, f'update faces set "{name}" = id * 0.001 + {place} * 0.01')
    return case


def facts(case: Path, of: str, columns: Sequence[str]) -> dict[Any, tuple[Any, ...]]:
    """What a case holds, by the row's number."""
    names = ", ".join(f'"{name}"' for name in columns)
    return {id: values for id, *values in rows(case, f"select {of}, {names} from face_results")}


def test_jsonl_has_each_value_in_its_place(told_apart: Path, tmp_path: Path) -> None:
    text = exported(told_apart, "jsonl", tmp_path / "f.jsonl").read_text(encoding="utf-8")
    lines = [json.loads(line) for line in text.splitlines()]
    of_files = {
        id: list(values)
        for id, *values in rows(
            told_apart,
            "select files.id, sha1, md5, size, modified_at, changed_at"
            " from files join evidence using (sha256)",
        )
    }
    of_faces = facts(told_apart, "face_id", FACE_FACTS)
    for line in lines:
        assert [line["file"][name] for name in FILE_FACTS] == of_files[line["file_id"]]
        box, frame = line["box"], line["frame"]
        assert [
            *(box[side] for side in ("left", "top", "right", "bottom")),
            line["detector"]["score"],
            *(frame[name] for name in ("pts", "time_base", "seconds")),
            *(line["probabilities"][name] for name in CLASSES),
        ] == of_faces[line["face_id"]]


def test_dfxml_has_each_value_in_its_place(told_apart: Path, tmp_path: Path) -> None:
    top = ET.parse(exported(told_apart, "dfxml", tmp_path / "d.xml")).getroot()
    stored = {
        sha256: values
        for sha256, *values in rows(
            told_apart,
            "select sha256, sha1, md5, size, modified_at, changed_at, accessed_at, path"
            " from files join evidence using (sha256) where same_as is null",
        )
    }
    looked_at = 0
    for file in top.findall(f"{DFXML}fileobject"):
        told = {h.get("type"): h.text for h in file.findall(f"{DFXML}hashdigest")}
        sha1, md5, size, *times, _ = stored[told["sha256"] or ""]
        assert (told["sha1"], told["md5"]) == (sha1, md5)
        assert file.findtext(f"{DFXML}filesize") == str(size)
        if (file.findtext(f"{DFXML}filename") or "").endswith("copy.png"):
            continue  # of the same bytes, with times of its own
        assert [file.findtext(f"{DFXML}{name}") for name in ("mtime", "ctime", "atime")] == times
        faces = rows(
            told_apart,
            'select "left", top, "right", bottom, score, happy from faces'
            f" where sha256 = '{told['sha256']}' order by stream, frame_index, face",
        )
        for face, values in zip(file.findall("{urn:femo:}face"), faces, strict=True):
            sides = [int(face.get(side) or "") for side in ("left", "top", "right", "bottom")]
            scores = {s.get("class"): float(s.text or "") for s in face.findall("{urn:femo:}score")}
            assert (*sides, float(face.get("score") or ""), scores["happy"]) == values
            looked_at += 1
    assert looked_at == len(NAMES) + 3


def test_jsonl(case: Path, tmp_path: Path) -> None:
    text = exported(case, "jsonl", tmp_path / "f.jsonl").read_text(encoding="utf-8")
    assert all(line.isprintable() for line in text.splitlines())
    lines = [json.loads(line) for line in text.splitlines()]
    assert len(lines) == len(NAMES) + 1 + 3
    paths = {bytes.fromhex(r.get("path_bytes_hex", "")) or r["path"].encode() for r in lines}
    assert paths == {*NAMES, b"sub/copy.png", b"sub/film -->.mp4"}
    (first,) = [r for r in lines if r["face_id"] == 1]
    assert first["probabilities"].keys() == set(CLASSES)
    assert first["review"]["note"] == "=note\nof two lines <b>"
    assert first["model"] == {"name": "fake", "sha256": "f" * 64, "threshold": 0.0}
    stored = rows(case, "select sum(happy), count(*) from face_results")[0]
    assert (sum(r["probabilities"]["happy"] for r in lines), len(lines)) == stored


def test_parquet(case: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = pytest.importorskip("pyarrow.parquet")
    monkeypatch.setattr("forensic_emotion.export.parquet.GROUP", 4)
    file = reader.ParquetFile(exported(case, "parquet", tmp_path / "f.parquet"))
    assert file.num_row_groups == 5
    assert file.schema_arrow.metadata[b"femo.notice"].decode() == NOTICE
    table = file.read().to_pylist()
    assert {r["path_bytes"] for r in table} == {*NAMES, b"sub/copy.png", b"sub/film -->.mp4"}
    assert all(np.array(r["landmarks"]).shape == (68, 2) for r in table)
    assert {r["review_verdict"] for r in table} == {None, "relabelled"}


def test_a_library_that_is_not_there_is_told(
    case: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    code, output = femo("export", case, "parquet", "--out", tmp_path / "f.parquet")
    assert code == 1
    assert "[parquet]" in output
    assert [p.name for p in tmp_path.iterdir()] == ["case.db"]


# ---- events ----------------------------------------------------------------------------------------


def read_events(path: Path) -> list[dict[str, Any]]:
    events = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    for event in events:
        when = datetime.fromisoformat(event["datetime"])
        assert when.utcoffset() == timedelta(0)
        assert event["datetime"].endswith("+00:00")
        since = when - datetime(1970, 1, 1, tzinfo=timezone.utc)
        assert event["timestamp"] == since // timedelta(microseconds=1)
        assert event["message"].isprintable()
        assert event["timestamp_desc"]
        assert all(len(v.encode()) <= 32766 for v in event.values() if isinstance(v, str))
    return events


def test_timesketch_has_every_time_that_has_a_zone(case: Path, root: Path, tmp_path: Path) -> None:
    events = read_events(exported(case, "timesketch", tmp_path / "t.jsonl"))
    paths = len(NAMES) + 4
    kinds = [e["timestamp_desc"] for e in events]
    assert kinds.count("Content Modification Time") == kinds.count("Metadata Modification Time") == paths
    # The still's time has no zone: no event. Faces of videos only if they are asked for.
    (media,) = [e for e in events if e["data_type"] == "femo:media"]
    assert media["datetime"] == "2024-05-01T10:00:00.000000+00:00"
    assert (media["faces"], media["labels"], media["zone_source"]) == (3, "3 happy", "format")
    assert not [e for e in events if e["data_type"] == "femo:face"]
    status = (root / "none.png").stat()
    (none,) = [e for e in events if e["filename"] == "none.png" and e["timestamp_desc"] == kinds[0]]
    assert none["timestamp"] == status.st_mtime_ns // 1000
    assert "faces detected: 0" in none["message"]
    said = {e["filename"]: e["message"] for e in events if e["reviews"]}
    assert len(said) == 1
    assert all("reviewed: 1 relabelled" in message for message in said.values())


def test_exports_say_who_and_how_often_the_model_was_wrong(evidence: Path, tmp_path: Path) -> None:
    (evidence / "a.png").write_bytes(encoded(picture(faces=[Box(20, 10, 60, 50)])))
    write_video(evidence / "v.mkv", [0, 100], lambda _: picture(faces=[Box(20, 10, 60, 50)]))
    right = {"value": 0.7, "low": 0.6, "high": 0.8, "n": 3589}
    wrong_of = {"value": 0.138, "low": 0.124, "high": 0.153, "n": 2090}
    answered = {"threshold": 0.5, "coverage": right, "error": wrong_of, "classes": []}
    scanned(
        evidence,
        tmp_path / "c.db",
        classifier=FakeClassifier(metrics={"PublicTest": {"accuracy": right, "answered": answered}}),
    )
    change(tmp_path / "c.db", "UPDATE runs SET examiner = 'A. Expert', case_number = 'X-1'")
    wrong = (
        "wrong on 30.0% of 3589 test pictures (FER2013 PublicTest) and on 13.8% (12.4% to 15.3%) of the"
        " 2090 that it answered, with the test set's mix of classes"
    )
    who = "case X-1, examiner A. Expert"
    graph = json.loads(exported(tmp_path / "c.db", "case", tmp_path / "c.jsonld").read_text())["@graph"]
    (action,) = [node for node in graph if "uco-analysis:Analysis" in node["@type"]]
    assert wrong in action["uco-core:description"]
    (person,) = [node for node in graph if node["@id"] == action["uco-action:performer"]["@id"]]
    assert person["uco-core:name"] == "A. Expert"
    (found,) = [node for node in graph if node["@type"] == "case-investigation:Investigation"]
    assert found["uco-core:name"] == "X-1"
    assert found["uco-core:object"] == [{"@id": action["@id"]}]
    info = json.loads(exported(tmp_path / "c.db", "coco", tmp_path / "c.json").read_text())["info"]
    assert wrong in info["model"]
    assert who in info["contributor"]
    (text,) = exported(tmp_path / "c.db", "vtt", tmp_path / "vtt").glob("*.vtt")
    for said in (wrong, who, "Each cue belongs to one frame"):
        assert said in text.read_text()
    text = exported(tmp_path / "c.db", "frames", tmp_path / "frames") / "README.txt"
    assert wrong in text.read_text()
    assert who in text.read_text()


def test_timesketch_places_faces_by_the_recordings_own_start(case: Path, tmp_path: Path) -> None:
    events = read_events(exported(case, "timesketch", tmp_path / "t.jsonl", "--face-events"))
    faces = [e for e in events if e["data_type"] == "femo:face"]
    assert [e["media_offset_s"] for e in faces] == [0.0, 1.0, 2.0]
    assert [e["review_verdict"] for e in faces] == [None] * 3
    (face_id,) = rows(case, "select id from faces where pts is not null order by pts limit 1")[0]
    reviewed(case, face_id, "rejected", note="a poster")
    again = read_events(exported(case, "timesketch", tmp_path / "u.jsonl", "--face-events"))
    first = next(e for e in again if e["data_type"] == "femo:face")
    assert (first["review_verdict"], first["review_reviewer"]) == ("rejected", "R. Evans")
    assert first["review_note"] == "a poster"
    assert faces[1]["datetime"] == "2024-05-01T10:00:01.000000+00:00"
    expected = "Media creation time + frame offset (unverified clock)"
    assert {e["timestamp_desc"] for e in faces} == {expected}


def test_timesketch_tells_of_which_video_it_cannot_place_faces(evidence: Path, tmp_path: Path) -> None:
    write_video(evidence / "v.mkv", [0, 1500], lambda _: picture(faces=[Box(20, 10, 60, 50)]))
    write_video(evidence / "none.mkv", [0, 1500], lambda _: picture())
    scanned(evidence, tmp_path / "case.db")
    arguments = ("export", tmp_path / "case.db", "timesketch", "--out", tmp_path / "t.jsonl")
    _, output = femo(*arguments, "--face-events")
    assert "v.mkv: no events for its faces" in " ".join(output.split())
    assert "none.mkv" not in output


@pytest.mark.parametrize(
    ("text", "zone", "expected"),
    [
        ("2024:05:01 12:00:00", "+02:00", "2024-05-01T10:00:00+00:00"),
        ("2024-05-01T12:00:00-0330", "-0330", "2024-05-01T15:30:00+00:00"),
        ("2024-05-01T12:00:00.25Z", "Z", "2024-05-01T12:00:00.250000+00:00"),
        ("1969-12-31T23:59:59.999999999Z", "Z", "1969-12-31T23:59:59.999999+00:00"),
        ("2024:05:01 12:00:00", "   :  ", None),
        ("2024:05:01 12:00:00", "+99:00", None),
        ("0000:00:00 00:00:00", "Z", None),
        ("99999999999999999999 ns since 1970", "Z", None),
        ("0001:01:01 00:00:00", "+02:00", None),
        ("9999-12-31 23:59:59", "-01:00", None),
    ],
)
def test_times_of_files_in_utc(text: str, zone: str, expected: str | None) -> None:
    when = moment(text, zone)
    assert (when and when.isoformat()) == expected


def test_a_time_of_no_calendar_is_told(case: Path, tmp_path: Path) -> None:
    change(case, "update files set modified_at = '99 ns since 1970' where path = 'none.png'")
    code, output = femo("export", case, "timesketch", "--out", tmp_path / "t.jsonl")
    assert code == 3
    assert "none.png: modified_at" in output
    assert len(read_events(tmp_path / "t.jsonl")) > 0


# ---- graphs and trees ------------------------------------------------------------------------------


def test_case_is_a_graph_whose_nodes_are_all_there(case: Path, tmp_path: Path) -> None:
    first = exported(case, "case", tmp_path / "a.jsonld").read_bytes()
    assert exported(case, "case", tmp_path / "b.jsonld").read_bytes() == first
    nodes = json.loads(first)["@graph"]
    names = [n["@id"] for n in nodes]
    assert len(set(names)) == len(names)
    told = set(re.findall(r'\{"@id":"([^"]+)"\}', first.decode()))
    assert told <= set(names)
    kinds = [n["@type"] for n in nodes]
    faces = [n for n in nodes if "femo:DetectedFace" in n["@type"]]
    assert len(faces) == len(NAMES) + 3
    assert kinds.count("uco-observable:ObservableRelationship") == len(faces) + 1  # the copy
    assert kinds.count("uco-analysis:AnalyticResult") == len(faces)
    (action,) = [n for n in nodes if "uco-analysis:Analysis" in n["@type"]]
    assert NOTICE in action["uco-core:description"]
    assert len(action["uco-action:object"]) == 1 + len(NAMES) + 4  # the folder too
    assert action["uco-action:actionStatus"] == "Complete/Finish"
    assert kinds.count("uco-core:Relationship") == len(faces)
    assert len(action["uco-action:result"]) == len(faces)
    told = [
        n["femo:pathBytes"] for n in nodes if "femo:pathBytes" in n and "Directory" not in n["@type"]
    ]
    (bytes_of_name,) = told
    assert bytes.fromhex(bytes_of_name) in NAMES


@pytest.mark.slow
@pytest.mark.parametrize("empty", [False, True])
def test_case_conforms_to_the_ontology(case: Path, root: Path, tmp_path: Path, empty: bool) -> None:
    if empty:
        (tmp_path / "none").mkdir()
        (tmp_path / "none" / "note.txt").write_text("no media")
        case = tmp_path / "empty.db"
        scanned(tmp_path / "none", case)
    program = shutil.which("case_validate", path=str(Path(sys.executable).parent))
    assert program, "pip install -e '.[dev]'"
    graph = exported(case, "case", tmp_path / "a.jsonld")
    command = [program, "--built-version", "case-1.4.0", str(graph)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Conforms: True" in done.stdout


def test_dfxml_is_well_formed_whatever_names_hold(case: Path, tmp_path: Path) -> None:
    top = ET.parse(exported(case, "dfxml", tmp_path / "d.xml")).getroot()
    assert top.get("version") == "2.0.0-beta.0"
    assert top[0].tag == f"{DFXML}metadata"
    assert top.findtext(f"{DFXML}creator/{DFXML}program") == "femo"
    files = top.findall(f"{DFXML}fileobject")
    names = [bytes.fromhex(f.findtext("{urn:femo:}pathBytes") or "") for f in files]
    named = [
        name or f.findtext(f"{DFXML}filename", "").encode() for name, f in zip(names, files, strict=True)
    ]
    assert {*NAMES, b"sub/copy.png", b"none.png"} <= set(named)
    assert len(files) == len(NAMES) + 4
    stored = dict(rows(case, "select sha256, md5 from evidence"))
    for file in files:
        hashes = {h.get("type"): h.text for h in file.findall(f"{DFXML}hashdigest")}
        assert stored[hashes["sha256"]] == hashes["md5"]
        datetime.fromisoformat((file.findtext(f"{DFXML}mtime") or "")[:26] + "+00:00")
    assert len(top.findall(".//{urn:femo:}face")) == len(NAMES) + 1 + 3
    (error,) = top.findall(f".//{DFXML}error")
    assert "damaged" in (error.text or "")
    for file in files:
        elements = [e.tag.removeprefix(DFXML) for e in file if e.tag.startswith(DFXML)]
        assert elements == sorted(elements, key=SCHEMA_ORDER.index)
    assert top.findtext("{urn:femo:}run/{urn:femo:}notice") == NOTICE
    assert "=note\\u000aof" in (top.findtext(".//{urn:femo:}review") or "")


SCHEMA_ORDER = (
    *("filename", "error", "id", "name_type", "filesize", "inode", "mode", "uid", "gid", "mtime"),
    *("ctime", "atime", "crtime", "link_target", "hashdigest"),
)


@pytest.mark.parametrize(
    ("text", "kind", "bits"),
    [
        ("-rw-r--r--", "r", 0o644),
        ("-rwsr-x--t", "r", 0o5751),
        ("-rwSr-sr-T", "r", 0o7654),
        ("lrwxrwxrwx", "l", 0o777),
        ("prw-------", "p", 0o600),
        ("srwxr-xr-x", "s", 0o755),
        ("?---------", "-", 0),
        (None, "-", None),
    ],
)
def test_a_mode_is_what_stat_has(text: str | None, kind: str, bits: int | None) -> None:
    assert dfxml._mode(text) == (kind, bits)
    if text is not None and bits is not None and kind == "r":
        assert stat.filemode(stat.S_IFREG | bits) == text


def test_what_is_no_file_is_exported_as_what_it_is(evidence: Path, case: Path, tmp_path: Path) -> None:
    os.mkfifo(evidence / "pipe")
    (evidence / "link").symlink_to("p.png")
    scanned(evidence, case)
    top = ET.parse(exported(case, "dfxml", tmp_path / "d.xml")).getroot()
    kinds = {
        f.findtext(f"{DFXML}filename"): f.findtext(f"{DFXML}name_type")
        for f in top.findall(f"{DFXML}fileobject")
    }
    assert (kinds["pipe"], kinds["link"]) == ("p", "l")
    nodes = json.loads(exported(case, "case", tmp_path / "c.jsonld").read_text())["@graph"]
    types = [n["@type"] for n in nodes]
    assert types.count("uco-observable:SymbolicLink") == types.count("uco-observable:NamedPipe") == 1
    (folder,) = [n for n in nodes if n["@type"] == "uco-observable:Directory"]
    assert folder["uco-core:hasFacet"][0]["uco-observable:filePath"] == str(evidence.resolve())


def test_coco_keeps_its_own_rules(case: Path, tmp_path: Path) -> None:
    change(
        case,
        "update faces set \"left\" = -7, landmarks = json_set(landmarks, '$[0][0]', -3) where id = 2",
    )
    coco = json.loads(exported(case, "coco", tmp_path / "c.json").read_text(encoding="utf-8"))
    images = {image["id"]: image for image in coco["images"]}
    categories = {c["id"]: c for c in coco["categories"]}
    assert len(images) == len(coco["images"]) == len(NAMES) + 1 + 1 + 3
    assert [c["name"] for c in coco["categories"]] == [*CLASSES, UNCERTAIN]
    assert all(len(set(c["keypoints"])) == 68 for c in coco["categories"])
    assert all(1 <= p <= 68 for c in coco["categories"] for pair in c["skeleton"] for p in pair)
    assert len({a["id"] for a in coco["annotations"]}) == len(coco["annotations"]) == len(NAMES) + 4
    for annotation in coco["annotations"]:
        image = images[annotation["image_id"]]
        left, top, width, height = annotation["bbox"]
        assert 0 <= left <= left + width <= image["width"] == 120
        assert 0 <= top <= top + height <= image["height"] == 80
        assert annotation["area"] == width * height > 0
        assert len(annotation["keypoints"]) == 3 * 68
        assert set(annotation["keypoints"][2::3]) <= {1, 2}
        assert annotation["num_keypoints"] == 68
        sure = annotation["attributes"]["face_id"] != 1
        assert categories[annotation["category_id"]]["name"] == ("happy" if sure else UNCERTAIN)
        assert annotation["attributes"]["top_class"] == "happy"
    told = {a["attributes"]["face_id"]: a["attributes"] for a in coco["annotations"]}
    assert told[1]["review"]["label"] == "sad"
    assert told[2]["box"][0] == -7
    assert NOTICE in coco["info"]["description"]
    assert all((a["image_id"] in images) for a in coco["annotations"])


# ---- folders ---------------------------------------------------------------------------------------


def read_vtt(path: Path) -> list[tuple[float, float, str]]:
    text = path.read_text(encoding="utf-8")
    assert text.startswith("WEBVTT")
    cues = []
    for block in text.split("\n\n")[1:]:
        if block.startswith("NOTE") or not block.strip():
            assert "-->" not in block
            continue
        times, content = block.split("\n")
        assert "-->" not in content
        assert "<" not in content
        start, end = (
            sum(float(part) * 60**n for n, part in enumerate(reversed(time.split(":"))))
            for time in times.split(" --> ")
        )
        assert 0 <= start < end
        cues.append((start, end, content))
    assert cues == sorted(cues, key=lambda cue: cue[0])
    return cues


def test_vtt_counts_from_the_first_frame(case: Path, tmp_path: Path) -> None:
    change(case, "update faces set label = 'uncertain' where seconds = 6")
    (page,) = exported(case, "vtt", tmp_path / "v").iterdir()
    assert page.name.startswith("sub_film_--_.mp4-")
    assert NOTICE in page.read_text()
    assert "&gt;" in page.read_text()
    cues = read_vtt(page)
    assert [cue[0] for cue in cues] == [0, 1, 2]
    assert [cue[1] for cue in cues] == [1, 2, 3]
    assert cues[0][2] == "track 0: classifier: happy 0.400"
    assert cues[1][2] == "track 0: classifier: uncertain (happy 0.400)"


def test_vtt_says_nothing_of_frames_without_the_face(evidence: Path, tmp_path: Path) -> None:
    shown = {*range(0, 600, 100), 2600, 2700}
    write_video(
        evidence / "v.mkv",
        range(0, 2800, 100),
        lambda pts: picture(faces=[Box(20, 10, 60, 50)] if pts in shown else []),
    )
    case = tmp_path / "case.db"
    scanned(evidence, case, settings=ScanSettings(sample="all"))
    (page,) = exported(case, "vtt", tmp_path / "v").iterdir()
    cues = read_vtt(page)
    assert [round(start * 1000) for start, _, _ in cues] == sorted(shown)
    assert {round((end - start) * 1000) for start, end, _ in cues} == {100}


def test_vtt_of_a_video_without_faces_says_so_by_being_empty(evidence: Path, tmp_path: Path) -> None:
    write_video(evidence / "a.mp4", [0, 1000])
    scanned(evidence, tmp_path / "case.db")
    (page,) = exported(tmp_path / "case.db", "vtt", tmp_path / "v").iterdir()
    assert read_vtt(page) == []


def test_names_made_of_paths_are_plain_unique_and_short() -> None:
    paths = [*NAMES, b"../../etc/passwd", b"..", b"a/b", b"a_b", b"A_b", b"CON", b"x" * 4000, b"/" * 9]
    names = [safe_name(path, path.decode("utf-8", "backslashreplace")) for path in paths]
    assert len({name.lower() for name in names}) == len(names)
    for name in names:
        assert re.fullmatch(r"[\w-][\w.-]{0,99}", name, re.ASCII), name


def test_frames_are_drawn_from_the_evidence_itself(case: Path, root: Path, tmp_path: Path) -> None:
    files = [p for p in root.rglob("*") if p.is_file()]
    before = [(p.stat().st_mtime_ns, p.stat().st_atime_ns) for p in files]
    out = exported(case, "frames", tmp_path / "p")
    assert before == [(p.stat().st_mtime_ns, p.stat().st_atime_ns) for p in files]
    index = read_csv(out / "index.csv")
    assert len(index) == len(NAMES) + 3  # the copy's bytes once
    assert {r["picture"] for r in index} | {"README.txt", "index.csv"} == {p.name for p in out.iterdir()}
    assert NOTICE in (out / "README.txt").read_text()
    for row in index:
        with Image.open(out / row["picture"]) as drawn:
            assert drawn.size == (120, 80)
            pixels = np.asarray(drawn.convert("RGB")).astype(int)
        answers = rows(
            case,
            f"SELECT label, \"left\", top, bottom FROM faces WHERE sha256 = '{row['sha256']}'"
            f" AND frame_index = {row['frame_index']}",
        )
        assert answers
        for label, left, top, bottom in answers:
            red, green, _ = pixels[(top + bottom) // 2, left]  # JPEG blends it with the red face
            assert green > 100, "the box's left edge"
            assert (red - green > 60) == (label == "uncertain"), "orange, else green"
        assert np.ptp(pixels[-1, -1]) < 30, "what is not marked is as it was"


def test_frames_of_evidence_that_is_gone_or_changed_are_told(
    case: Path, root: Path, tmp_path: Path
) -> None:
    moved = tmp_path / "moved"
    shutil.copytree(root, moved)
    (moved / "+1.png").unlink()  # its copy is still there
    (moved / "'quoted.png").write_bytes(encoded(picture()))
    (moved / "sub" / "film -->.mp4").unlink()
    code, output = femo("export", case, "frames", "--out", tmp_path / "p", "--evidence", moved)
    assert code == 3, output
    assert "'quoted.png: is not what was scanned" in output
    assert "film -->.mp4: is not in " in output
    index = read_csv(tmp_path / "p" / "index.csv")
    assert {bytes.fromhex(r["path_bytes"]) or r["path"].encode() for r in index} <= {
        *NAMES,
        b"sub/copy.png",
    }
    paths = {r["path"] for r in index}
    assert "sub/copy.png" in paths
    assert len(paths) == len(NAMES) - 1


def test_options_without_effect_and_evidence_that_is_not_there(case: Path, tmp_path: Path) -> None:
    for arguments, message in (
        (("csv", "--evidence", tmp_path), "--evidence has no effect on csv"),
        (("csv", "--face-events"), "--face-events has no effect on csv"),
        (("frames", "--evidence", tmp_path / "gone"), "There is no evidence at"),
    ):
        code, output = femo("export", case, *arguments, "--out", tmp_path / "out")
        assert (code, message in output) == (2, True), output
    assert [p.name for p in tmp_path.iterdir()] == ["case.db"]


def test_a_fault_of_a_decoder_costs_one_file(
    case: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("in a library")

    monkeypatch.setitem(READERS, "video", broken)
    code, output = femo("export", case, "frames", "--out", tmp_path / "p")
    assert code == 3
    assert "film -->.mp4: bug in femo or a library: ZeroDivisionError" in output
    assert "3 frames with faces could not be extracted again" in output
    assert len(read_csv(tmp_path / "p" / "index.csv")) == len(NAMES)


def test_frames_of_a_single_file_as_evidence(tmp_path: Path) -> None:
    file = tmp_path / "one.png"
    file.write_bytes(encoded(picture(faces=[Box(20, 10, 60, 50)])))
    scanned(file, tmp_path / "case.db")
    out = exported(tmp_path / "case.db", "frames", tmp_path / "p")
    assert len(read_csv(out / "index.csv")) == 1


def test_a_path_that_leads_out_of_the_evidence_is_not_opened(case: Path, tmp_path: Path) -> None:
    change(case, "update files set path_bytes = ? where path = 'sub/film -->.mp4'", b"../case.db")
    code, output = femo("export", case, "frames", "--out", tmp_path / "p")
    assert code == 3
    assert "leads outside the evidence" in output


def test_manifest_is_what_sha256sum_checks(case: Path, root: Path, tmp_path: Path) -> None:
    exported(case, "manifest", tmp_path / "m")
    check = ["sha256sum", "--check", "--strict", tmp_path / "m"]
    done = subprocess.run(check, cwd=root, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(b": OK") == len(NAMES) + 4
    assert femo("manifest", case, "--out", tmp_path / "n")[0] == 0
    assert (tmp_path / "m").read_bytes() == (tmp_path / "n").read_bytes()


# ---- all of them -----------------------------------------------------------------------------------


@pytest.mark.parametrize("format", FORMATS)
def test_an_export_is_in_the_audit_table(case: Path, tmp_path: Path, format: str) -> None:
    # Of hashdeep's list names with line breaks are left out, which is told.
    out = exported(case, format, tmp_path / "out", code=3 if format == "hashdeep" else 0)
    with opened_case(case) as opened:
        *_, last = audit.entries(opened)
    assert last.action == "export"
    assert (last.detail["format"], last.detail["name"]) == (format, "out")
    if format in FOLDERS:
        assert last.detail["files"] == len(list(out.iterdir()))
    else:
        done = subprocess.run(["sha256sum", out], capture_output=True, text=True, check=True)
        assert last.detail["sha256"] == done.stdout.split()[0]
    assert not list(tmp_path.glob(".femo*"))


@pytest.mark.parametrize("format", [name for name, each in FORMATS.items() if each.folder])
def test_an_empty_folder_may_be_there_also_under_another_name(
    case: Path, tmp_path: Path, format: str
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "empty")
    code, output = femo("export", case, format, "--out", tmp_path / "link")
    assert code == 0, output
    assert any((tmp_path / "empty").iterdir())
    assert sorted(p.name for p in tmp_path.iterdir()) == ["case.db", "case.db.audit", "empty", "link"]


@pytest.mark.parametrize("format", FORMATS)
def test_nothing_is_replaced_and_nothing_lies_in_the_evidence(
    case: Path, root: Path, tmp_path: Path, format: str
) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "file").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for out in (tmp_path / "there", tmp_path / "there" / "file", case, tmp_path / "link"):
        code, output = femo("export", case, format, "--out", out)
        assert (code, "exists already" in output) == (2, True), output
    code, output = femo("export", case, format, "--out", tmp_path / "case.db.audit")
    assert (code, "reserved for the case" in output) == (2, True), output
    code, output = femo("export", case, format, "--out", root / "sub" / "new")
    assert (code, "inside" in output) == (2, True), output
    assert (tmp_path / "there" / "file").read_text() == "mine"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["case.db", "link", "there"]


@pytest.mark.parametrize("format", [*FILES, "vtt"])
def test_a_run_in_which_nothing_was_found(evidence: Path, tmp_path: Path, format: str) -> None:
    case = tmp_path / "case.db"
    (evidence / "note.txt").write_text("no media")
    scanned(evidence, case)
    exported(case, format, tmp_path / "empty")
    (evidence / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n nothing")
    os.mkfifo(evidence / "pipe")
    scanned(evidence, case)
    for run, name in ((1, "again"), (2, "problems")):
        out = exported(case, format, tmp_path / name, "--run", run)
        if format in ("case", "coco"):
            json.loads(out.read_text())
        if format == "dfxml":
            assert len(ET.parse(out).getroot().findall(f"{DFXML}fileobject")) == 2 * run - 1
        if format == "csv":
            assert read_csv(out) == []
            assert len(out.read_bytes()) > 100
    code, output = femo("export", case, format, "--out", tmp_path / "third", "--run", 3)
    assert (code, "has no run 3" in output) == (2, True), output


def test_a_case_without_a_run_and_one_of_an_older_femo(tmp_path: Path, case: Path) -> None:
    CaseStore(tmp_path / "new.db").close()
    code, output = femo("export", tmp_path / "new.db", "csv", "--out", tmp_path / "x")
    assert (code, "holds no run yet" in output) == (2, True), output
    tamper(case, "delete from _sqlite_migrations where name = 'm004_reviews'")
    code, output = femo("export", case, "csv", "--out", tmp_path / "x")
    assert (code, "femo migrate" in output) == (1, True), output


def test_a_case_that_is_being_written(evidence: Path, tmp_path: Path) -> None:
    (evidence / "p.png").write_bytes(encoded(picture(faces=[Box(20, 10, 60, 50)])))
    case = tmp_path / "case.db"
    scanned(evidence, case)
    store = CaseStore(case)
    try:
        number = store.begin(fake_run(tmp_path / "other"))
        code, output = femo("export", case, "jsonl", "--out", tmp_path / "now")
        assert code == 0, output
        assert f"Run {number} is not complete (its state is running)" in output
        assert (tmp_path / "now").read_text() == ""
        exported(case, "jsonl", tmp_path / "before", "--run", 1)
        assert len((tmp_path / "before").read_text().splitlines()) == 1
    finally:
        store.close()


@pytest.mark.parametrize("format", ["csv", "frames"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_whatever_ends_an_export_leaves_nothing(
    case: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    format: str,
    error: type[BaseException],
) -> None:
    def ends(*_: object) -> None:
        raise error

    monkeypatch.setattr("forensic_emotion.export.csv.flat", ends)
    monkeypatch.setattr("forensic_emotion.export.frames._write_file", ends)
    assert femo("export", case, format, "--out", tmp_path / "out")[0] != 0
    assert [p.name for p in tmp_path.iterdir()] == ["case.db"]


@pytest.mark.parametrize("format", [*FILES, *FOLDERS])
def test_a_full_disk_leaves_nothing(case: Path, tmp_path: Path, format: str) -> None:
    if format == "parquet":
        pytest.importorskip("pyarrow")
    out = tmp_path / "out"

    def small_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (500, 500))

    code = (
        "import sys; from pathlib import Path; from forensic_emotion.export.write import *\n"
        "from forensic_emotion.export.formats import FORMATS\n"
        "from forensic_emotion.errors import FemoError\n"
        "case, name, out = sys.argv[1:]\n"
        "order = Order(Path(case), FORMATS[name], Path(out), None, ExportSettings(), None)\n"
        "try: export(order, Watcher())\n"
        "except FemoError as error: print(error.text)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, case, format, out],
        preexec_fn=small_files,
        capture_output=True,
        text=True,
    )
    assert "cannot be written: File too large" in done.stdout, done.stdout + done.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["case.db"]


@pytest.fixture(scope="module")
def crowds(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """Number of faces → a case with so many."""
    folder = tmp_path_factory.mktemp("crowds")
    cases = {faces: folder / f"{faces}.db" for faces in (1_000, 30_000)}
    for faces, case in cases.items():
        many_faces(case, folder, faces)
    return cases


@pytest.mark.slow
@pytest.mark.parametrize("format", ["csv", "jsonl"])
def test_memory_does_not_grow_with_the_faces(crowds: dict[int, Path], format: str) -> None:
    peaks = []
    for faces, case in crowds.items():
        code = (
            "import resource, sys; from forensic_emotion.cli import main\n"
            "try: main()\n"
            "except SystemExit as end: assert not end.code, end.code\n"
            "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)\n"
        )
        command = [sys.executable, "-c", code, "export", case, format, "--out", f"{case}.out"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        peaks.append(int(done.stdout.split()[-1]))
        with open(f"{case}.out", "rb") as out:
            assert sum(1 for _ in out) == faces + (format == "csv")
        Path(f"{case}.out").unlink()
    # KiB; the rows of 29,000 faces would take more than four times that.
    assert peaks[1] < peaks[0] + 10_000, peaks


def many_faces(case: Path, root: Path, faces: int) -> None:
    """A case with one video of so many faces, written by SQL alone."""
    store = CaseStore(case)
    number = store.begin(fake_run(root / "nowhere"))
    store.close()
    connection = sqlite3.connect(case)
    connection.execute(
        "insert into evidence (sha256, sha1, md5, size, media_type, kind)"
        " values ('a', 'b', 'c', 1, 'video/mp4', 'video')"
    )
    connection.execute(
        "insert into files (run_id, path, path_bytes, sha256, state, frames_decoded, frames_hidden,"
        " frames, faces) values (?, 'v.mp4', x'762e6d7034', 'a', 'faces', 1, 0, 1, ?)",
        (number, faces),
    )
    points = json.dumps([[1.5, 2.5]] * 68)
    columns = ", ".join(CLASSES)
    connection.executemany(
        "insert into faces (run_id, sha256, frame_index, pts, time_base, seconds, face, left, top,"
        f" right, bottom, detector, score, landmarks, {columns}, top_class, label, confidence,"
        " thumbnail) values (?, 'a', ?, ?, '1/25', ?, 0, 1, 2, 3, 4, 'fake', 0.5, ?, 0, 0, 0, 1, 0,"
        " 0, 0, 'happy', 'happy', 1.0, x'00')",
        ((number, n, n, n / 25, points) for n in range(faces)),
    )
    connection.commit()
    connection.close()
    change(case, "update runs set state = 'done' where id = ?", number)


def test_json_escapes_what_is_invisible_and_nothing_else() -> None:
    text = "a\x1b\u202e\U000e0001\x7f\ud800 ü😀"
    line = plain_json({"name": text})
    assert line.isprintable()
    assert "ü😀" in line
    assert json.loads(line) == {"name": text}


@pytest.mark.parametrize(
    ("sql", "told"),
    [
        ("update faces set label = 'sad'", "paths whose rows are not what the scan wrote: "),
        (
            "delete from files where path = 'none.png'",
            "run 1: paths were added, removed or changed after it ended",
        ),
    ],
)
def test_what_was_altered_is_not_exported_in_silence(
    evidence: Path, case: Path, tmp_path: Path, sql: str, told: str
) -> None:
    (evidence / "p.png").write_bytes(encoded(picture(faces=[Box(20, 10, 60, 50)])))
    (evidence / "none.png").write_bytes(encoded(picture()))
    fresh = tmp_path / "fresh.db"
    scanned(evidence, fresh)
    got, output = femo("export", fresh, "csv", "--out", tmp_path / "a.csv")
    assert (got, "The case was altered" in output) == (0, False)
    tamper(fresh, sql)
    for command in (
        ("export", fresh, "csv", "--out", tmp_path / "b.csv"),
        ("manifest", fresh, "--out", tmp_path / "m.txt"),
    ):
        got, output = femo(*command)
        assert got == 3
        assert "The case was altered: " in output
        assert told in output
    got, output = femo("export", fresh, "csv", "--out", tmp_path / "c.csv", "--json")
    facts = json.loads(output.splitlines()[0])
    assert facts["altered_paths"] == (0 if "delete" in sql else 1)
    assert bool(facts["altered"]) == ("delete" in sql)


def test_pictures_of_another_folder_are_not_begun(case: Path, evidence: Path, tmp_path: Path) -> None:
    (evidence / "other.png").write_bytes(encoded(picture()))
    got, output = femo("export", case, "frames", "--out", tmp_path / "p", "--evidence", evidence)
    assert (got, "No file with faces of this run is in" in " ".join(output.split())) == (2, True)
    assert not (tmp_path / "p").exists()


def test_a_list_of_hashdeep_is_read_as_one(case: Path, root: Path, tmp_path: Path) -> None:
    got, output = femo("export", case, "hashdeep", "--out", tmp_path / "list")
    assert (got, output.count("line break in its name")) == (3, 2)
    lines = (tmp_path / "list").read_bytes().split(b"\n")
    assert lines[:2] == [b"%%%% HASHDEEP-1.0", b"%%%% size,md5,sha1,sha256,filename"]
    listed = [line.split(b",", 4) for line in lines[2:] if line and not line.startswith(b"##")]
    assert len(listed) == len(NAMES) + 4 - 2
    for size, md5, sha1, sha256, name in listed:
        content = Path(os.fsdecode(os.path.join(os.fsencode(root), name))).read_bytes()
        assert int(size) == len(content)
        for hashed, told in ((hashlib.md5, md5), (hashlib.sha1, sha1), (hashlib.sha256, sha256)):
            assert hashed(content).hexdigest() == told.decode()
    found = read_hash_set(ListFile.of(tmp_path / "list"))
    assert len(found.hashes) >= 3


def test_a_body_file_has_each_path_with_its_times(evidence: Path, tmp_path: Path) -> None:
    (evidence / "50% a|b\n.png").write_bytes(encoded(picture()))
    (evidence / "link").symlink_to("nowhere")
    os.utime(evidence / "50% a|b\n.png", ns=(1_700_000_000_900_000_000, 1_600_000_000_100_000_000))
    fresh = tmp_path / "fresh.db"
    scanned(evidence, fresh)
    exported(fresh, "bodyfile", tmp_path / "body")
    first, second = (tmp_path / "body").read_text().splitlines()
    status = (evidence / "50% a|b\n.png").stat()
    fields = first.split("|")  # as mactime does, whatever stands before
    md5 = hashlib.md5((evidence / "50% a|b\n.png").read_bytes()).hexdigest()
    assert fields[:3] == [md5, r"50%25 a%7Cb\u000a.png", str(status.st_ino)]
    assert fields[3:7] == ["r/rrw-r--r--", str(status.st_uid), str(status.st_gid), str(status.st_size)]
    assert fields[7:10] == ["1700000000", "1600000000", str(int(status.st_ctime))]
    assert len(fields) == 11
    assert second.startswith("0|link|")
    assert "|l/lrwxrwxrwx|" in second


def test_a_number_without_end_is_no_json(case: Path, tmp_path: Path) -> None:
    tamper(case, "update faces set confidence = 9e999 where id = 1")

    def refuse(name: str) -> None:
        raise AssertionError(name)

    for format in ("jsonl", "coco"):
        assert femo("export", case, format, "--out", tmp_path / format)[0] == 3, "it was altered"
        text = (tmp_path / format).read_text()
        for whole in text.splitlines() if format == "jsonl" else [text]:
            json.loads(whole, parse_constant=refuse)


def test_a_time_that_no_computer_can_reckon_with_is_told(case: Path, tmp_path: Path) -> None:
    tamper(case, "update files set time_base = '1e400000000'")
    for command in (("export", case, "vtt", "--out", tmp_path / "v"), ("report", case)):
        code, output = femo(*command)
        assert (code, "'1e400000000' is not a time" in output) == (1, True), output


@pytest.fixture
def chosen_from(evidence: Path, tmp_path: Path) -> Path:
    """Two folders that have a picture in common, and two more; the face of the last one was rejected."""
    for folder in ("a", "b"):
        (evidence / folder).mkdir()
        (evidence / folder / "same.png").write_bytes(encoded(picture(faces=[Box(20, 10, 60, 50)])))
    (evidence / "b" / "one.png").write_bytes(encoded(picture(faces=[Box(30, 10, 70, 50)])))
    (evidence / "b" / "two.png").write_bytes(encoded(picture(faces=[Box(10, 10, 50, 50)])))
    fresh = tmp_path / "chosen.db"
    scanned(evidence, fresh)
    last = "(select max(id) from faces)"
    change(fresh, f"update faces set label = 'uncertain' where id = {last}")
    ((face_id,),) = rows(fresh, f"select {last}")
    reviewed(fresh, face_id, "rejected")
    return fresh


@pytest.mark.parametrize(
    ("options", "paths", "faces"),
    [
        ((), ["a/same.png", "b/one.png", "b/same.png", "b/two.png"], 3),
        (("--path", "b/*"), ["b/one.png", "b/same.png", "b/two.png"], 3),
        (("--path", "a/*"), ["a/same.png"], 1),
        (("--label", "uncertain"), ["b/two.png"], 1),
        (("--label", "happy", "--path", "b/*"), ["b/one.png", "b/same.png"], 2),
        (("--verdict", "rejected"), ["b/two.png"], 1),
        (("--verdict", "confirmed"), [], 0),
        (("--verdict", "reviewed"), ["b/two.png"], 1),
        (("--verdict", "unreviewed"), ["a/same.png", "b/one.png", "b/same.png"], 2),
        (("--min-confidence", "0.3"), ["a/same.png", "b/one.png", "b/same.png", "b/two.png"], 3),
        (("--min-confidence", "0.9"), [], 0),
        (("--notable",), [], 0),
    ],
)
def test_a_selection_is_what_was_asked_for_and_says_so(
    chosen_from: Path, tmp_path: Path, options: tuple[str, ...], paths: list[str], faces: int
) -> None:
    out = exported(chosen_from, "jsonl", tmp_path / "f.jsonl", *options)
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert [line["path"] for line in lines] == paths
    assert len({line["face_id"] for line in lines}) == faces
    for line in lines:
        assert ("A selection of what was found: " in line["notice"]) == bool(options)
    first = [line for line in lines if line["file"]["same_as"] is None]
    assert len(first) == faces, "of the same bytes the first path that is asked for has the faces"
    nodes = json.loads(exported(chosen_from, "case", tmp_path / "c", *options).read_text())["@graph"]
    assert sum("femo:DetectedFace" in n["@type"] for n in nodes) == faces
    named = {n["femo:state"] for n in nodes if "femo:state" in n}
    assert named <= {"faces"}
    events = exported(chosen_from, "timesketch", tmp_path / "t.jsonl", *options).read_text()
    of_files = {e["filename"]: e["labels"] for e in map(json.loads, events.splitlines())}
    assert [path for path, labels in of_files.items() if labels] == paths
    with opened_case(chosen_from) as opened:
        *_, last = audit.entries(opened)
    assert ("selection" in last.detail) == bool(options)
    page = tmp_path / "r.html"
    code, output = femo("report", chosen_from, "--out", page, *options)
    assert code == 0, output
    text = page.read_text()
    assert ("A selection</h2>" in text) == bool(options)
    if options:
        assert f"Faces: {faces} of 3; paths:" in " ".join(text.split())
    data = json.loads(re.findall(r'<script type="application/json" id="data">(.*?)</script>', text)[0])
    assert len(data["faces"]["id"]) == faces
    if "--path" in options:
        other = "a" if "b/*" in options else "b"
        assert f"{other}/same.png" not in text


def test_what_cannot_be_selected_is_told(chosen_from: Path, tmp_path: Path) -> None:
    code, output = femo("export", chosen_from, "csv", "--out", tmp_path / "x", "--label", "glad")
    assert (code, "there is no label 'glad'" in output) == (2, True)
    code, output = femo("export", chosen_from, "hashdeep", "--out", tmp_path / "x", "--label", "sad")
    assert (code, "contains no faces" in output) == (2, True)
    exported(chosen_from, "hashdeep", tmp_path / "list", "--path", "a/*")
    assert (tmp_path / "list").read_text().count("same.png") == 1


def test_cues_of_a_video_that_begins_behind_its_sound_stand_where_players_show_it(
    evidence: Path, tmp_path: Path
) -> None:
    with av.open(evidence / "late.mp4", "w") as container:
        video = container.add_stream("libx264", rate=25, options={"bf": "0"})
        video.width, video.height, video.pix_fmt = 120, 80, "yuv420p"
        sound = container.add_stream("aac", rate=48000)
        for start in range(0, 5 * 48000, 1024):
            samples = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
            samples.rate, samples.pts, samples.time_base = 48000, start, Fraction(1, 48000)
            container.mux(sound.encode(samples))
        for number in range(25):
            frame = av.VideoFrame.from_ndarray(picture(faces=[Box(20, 10, 60, 50)]), format="rgb24")
            frame.pts, frame.time_base = 100 + number, Fraction(1, 25)
            container.mux(video.encode(frame))
        for stream in (video, sound):
            container.mux(stream.encode(None))
    fresh = tmp_path / "fresh.db"
    scanned(evidence, fresh)
    out = exported(fresh, "vtt", tmp_path / "vtt")
    (page,) = [p for p in out.iterdir() if p.suffix == ".vtt"]
    ((seconds,),) = rows(fresh, "select min(seconds) from faces")
    assert seconds == pytest.approx(4, abs=0.05)
    (first, *_) = re.findall(r"^(\S+) -->", page.read_text(), re.MULTILINE)
    assert first == f"00:00:{seconds:06.3f}"


@pytest.mark.parametrize("options", [(), ("--path", "*")])
def test_a_copy_before_its_original_is_one_copy(
    chosen_from: Path, tmp_path: Path, options: tuple[str, ...]
) -> None:
    """As where a scan was stopped, and the copy came before it went on."""
    other = "(select id from files where path = '{}/same.png')"
    change(chosen_from, f"update files set same_as = {other.format('b')} where path = 'a/same.png'")
    change(chosen_from, "update files set same_as = null where path = 'b/same.png'")
    out = exported(chosen_from, "jsonl", tmp_path / "f.jsonl", *options)
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    firsts = {line["path"]: line["file"]["same_as"] for line in lines}
    assert (firsts["a/same.png"], firsts["b/same.png"]) == ("b/same.png", None)
    graph = exported(chosen_from, "case", tmp_path / "c", *options)
    names = [node["@id"] for node in json.loads(graph.read_text())["@graph"]]
    assert len(set(names)) == len(names)
    page = tmp_path / "r.html"
    assert femo("report", chosen_from, "--out", page, *options)[0] == 0
    assert page.read_text().count("same bytes as") == 1


def test_a_selection_of_faces_tells_of_no_others(evidence: Path, tmp_path: Path) -> None:
    write_video(evidence / "v.mkv", range(0, 4000, 500), lambda _: picture(faces=[Box(20, 10, 60, 50)]))
    (evidence / "p.png").write_bytes(encoded(picture(faces=[Box(20, 10, 60, 50)])))
    (evidence / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n nothing")
    fresh = tmp_path / "fresh.db"
    scanned(evidence, fresh)
    change(
        fresh,
        "update faces set label = 'uncertain' where sha256 in"
        " (select sha256 from files where path = 'p.png')",
    )
    page = tmp_path / "r.html"
    code, output = femo("report", fresh, "--out", page, "--label", "uncertain")
    assert (code, "A selection: label uncertain. Faces: 1." in output) == (0, True)
    text = page.read_text()
    assert 'id="recording-' not in text
    assert "None in the selection." in text
    data = json.loads(re.findall(r'<script type="application/json" id="data">(.*?)</script>', text)[0])
    assert data["tracks"] == []
    code, output = femo("report", fresh, "--out", tmp_path / "q.html", "--path", "folder")
    assert (code, "what is in a folder give 'folder/*'" in " ".join(output.split())) == (0, True)
    text = " ".join((tmp_path / "q.html").read_text().split())
    assert "<b>1</b><span>problems</span>" in text, "the cover counts the whole run"
    events = exported(fresh, "timesketch", tmp_path / "t", "--label", "uncertain").read_text()
    found = {e["filename"]: e["message"] for e in map(json.loads, events.splitlines())}
    assert "faces detected: 4, selected: 0" in found["v.mkv"]
    coco = json.loads(exported(fresh, "coco", tmp_path / "coco", "--label", "happy").read_text())
    assert [image["file_name"] for image in coco["images"]] == ["v.mkv"] * 4
    code, output = femo("export", fresh, "csv", "--out", tmp_path / "x", "--path", os.fsdecode(b"\xe9*"))
    assert code == 0, output
