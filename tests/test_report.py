from __future__ import annotations

import base64
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
from dataclasses import asdict, fields
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from forensic_emotion.case import audit
from forensic_emotion.case.queries import opened_case
from forensic_emotion.case.reviews import Judgement
from forensic_emotion.case.store import CaseStore
from forensic_emotion.cli import app
from forensic_emotion.errors import FemoError, UsageError
from forensic_emotion.pages import clock, score
from forensic_emotion.paths import visible
from forensic_emotion.records import Box
from forensic_emotion.report import context
from forensic_emotion.report.context import ReportContext
from forensic_emotion.report.data import pixelated
from forensic_emotion.report.render import write_report
from forensic_emotion.report.texts import SCRIPT, TEXTS
from forensic_emotion.settings import ReportSettings, ScanSettings
from forensic_emotion.training.metrics import answered_above
from tests.builders import (
    FakeClassifier,
    edit_mp4,
    encoded,
    picture,
    reviewed,
    scanned,
    tamper,
    write_video,
)

RUNNER = CliRunner()
FACE = encoded(picture(faces=[Box(20, 10, 60, 50)]))
CLASSES = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
METRICS = {
    "accuracy": {"value": 0.6, "low": 0.58, "high": 0.62, "n": 3589},
    "classes": [{"label": c, "n": 10, "precision": 0.5, "recall": None} for c in CLASSES],
    "confusion": [[1] * 7] * 7,
}
VOID = {"meta", "img", "br", "rect", "line", "circle"}
TEMPLATES = Path(__file__).parents[1] / "templates"


class Page(HTMLParser):
    """The tags, attributes and text of a page; checks that it is well formed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(html)
        assert self._open == [], f"not closed: {self._open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data.replace("\N{NO-BREAK SPACE}", " ")


def told(html: str) -> dict[str, Any]:
    """What the report's script is given."""
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', html, re.DOTALL)
    assert found is not None
    data: dict[str, Any] = json.loads(found[1])
    return data


def pictures(html: str) -> list[str]:
    """The lines with a picture each."""
    found = re.search(r'<script type="text/plain" id="pictures">(.*?)</script>', html, re.DOTALL)
    assert found is not None
    return found[1].split("\n") if found[1] else []


def report(case: Path, run: int | None = None, **settings: Any) -> str:
    out = case.parent / "out.html"
    write_report(case, out, run, ReportSettings(**settings))
    return out.read_text(encoding="utf-8")


@pytest.fixture
def case(tmp_path: Path) -> Path:
    return tmp_path / "case.db"


def test_the_report_shows_what_is_in_the_case(evidence: Path, case: Path) -> None:
    (evidence / "face.png").write_bytes(FACE)
    (evidence / "same.png").write_bytes(FACE)
    (evidence / "none.png").write_bytes(encoded(picture()))
    (evidence / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(40))
    write_video(evidence / "v.mkv", [0, 1500], lambda _: picture(faces=[Box(20, 10, 60, 50)]))
    scanned(evidence, case, classifier=FakeClassifier(metrics={"PublicTest": METRICS}))
    html = report(case)
    page = Page(html)
    for name in ("face.png", "same.png", "none.png", "bad.png", "v.mkv"):
        assert name in page.text
    assert hashlib.sha256(FACE).hexdigest() in page.text
    assert hashlib.md5(FACE).hexdigest() in page.text
    assert "same bytes as face.png" in page.text
    assert "face.png · same.png" in page.text
    assert "cannot be decoded" in page.text
    assert "Measured error rate: 40.0 %" in page.text
    assert "38.0 % to 42.0 %" in page.text
    faces = told(html)["faces"]
    assert faces["box"] == [20, 10, 60, 50] * 3
    with opened_case(case) as opened:
        assert audit.head(opened) in page.text
        for digest in opened.execute("SELECT results_digest, row_digest FROM runs").fetchone():
            assert digest in page.text
    assert faces["pts"] == [None, 0, 1500]
    assert faces["seconds"] == [None, 0.0, 1.5]
    assert faces["time_base"][2] == "1/1000"
    assert faces["p"][:7] == [100, 100, 100, 400, 100, 100, 100]
    files = told(html)["files"]
    assert files[str(faces["file"][0])]["copies"] == ["same.png"]
    lines = pictures(html)
    assert len(lines) == 3
    for line in lines:
        jpeg, region, landmarks = line.split("|")
        assert base64.b64decode(jpeg).startswith(b"\xff\xd8")
        assert region == "6,0,74,64"
        assert len(landmarks) == 68 * 4


def test_the_report_says_whether_scores_are_calibrated(evidence: Path, case: Path) -> None:
    (evidence / "face.png").write_bytes(FACE)
    measured = {"PublicTest": {**METRICS, "ece": 0.0312}}
    scanned(evidence, case, classifier=FakeClassifier(metrics=measured))
    assert "are not calibrated" in Page(report(case)).text
    other = case.parent / "calibrated.db"
    card = {"metrics": measured, "calibration": {"temperature": 2.0}}
    scanned(evidence, other, classifier=FakeClassifier(**card))
    assert "differ by 3.1 % on average" in Page(report(other)).text


def test_a_face_without_an_answer_is_shown_as_uncertain(evidence: Path, case: Path) -> None:
    write_video(evidence / "v.mkv", [0, 1500], lambda _: picture(faces=[Box(20, 10, 60, 50)]))
    share = {"value": 0.62, "low": 0.6, "high": 0.64, "n": 3589}
    answered = {"threshold": 0.5, "coverage": share, "error": {**share, "value": 0.17}, "classes": []}
    abstention = {"max_error": 0.2, "threshold": 0.5, "coverage": 0.63, "error": None}
    metrics = {"PublicTest": {**METRICS, "answered": answered}}
    scanned(evidence, case, classifier=FakeClassifier(abstention=abstention, metrics=metrics))
    html = report(case)
    page = Page(html)
    assert told(html)["faces"]["sure"] == [0, 0]
    assert "100.0 %of the detections were given no class (uncertain)" in page.text
    assert (
        "not above 0.5000 are labelled uncertain (scores are shown truncated to three digits)"
        in page.text
    )
    assert (
        "the model answers 62.0 % of the same test pictures, and 17.0 % of those answers are wrong"
        in page.text
    )
    assert "under 20%; 63.0% of them are answered" in page.text
    assert re.search(r">uncertain</a></th><td class=\"n\">2</td>", html)


def test_the_report_says_of_which_faces_the_error_rate_is(evidence: Path, case: Path) -> None:
    (evidence / "a.png").write_bytes(FACE)
    n = 200
    confusion = np.full((7, 7), 1, int)
    np.fill_diagonal(confusion, 90)
    confusion[6, 0] = 5  # fewer say too little of what is rarer, for an example
    probabilities = np.repeat(np.eye(7, dtype=np.float32), confusion.sum(axis=0), axis=0) * 0.9 + 0.1 / 7
    labels = np.concatenate([np.repeat(np.arange(7), confusion[:, c]) for c in range(7)])
    answered = asdict(answered_above(probabilities, labels, CLASSES, 0.5))
    classes = [{"label": c, "n": n, "precision": 0.9, "recall": 0.45} for c in CLASSES]
    worse = {**answered["error"], "value": 0.31}
    robust = {"blur": {**answered["error"], "answered": {**answered, "error": worse}}}
    metrics = {**METRICS, "answered": answered, "classes": classes, "robustness": robust}
    scanned(evidence, case, classifier=FakeClassifier(metrics={"PublicTest": metrics}))
    html = report(case)
    text = Page(html).text
    assert "angry 10.0 % (5.5 % to 17.4 %, n = 100)" in text
    # Of 850 neutral faces 5 in 200 are answered angry, 21.25; of 25 angry ones 11.25, of others .625.
    assert "If 85.0 % of the faces were neutral" in text
    assert f"only about {100 * 11.25 / (21.25 + 11.25 + 0.625):.0f} % of the answers angry" in text
    assert "Frames of one face are not independent observations" in text
    assert "31.0 %" in text
    assert told(html)["degraded"] == {"name": "blur", **worse}
    # What an older femo measured tells none of that, and is shown all the same.
    older = {
        **METRICS,
        "answered": {**answered, "classes": []},
        "robustness": {"blur": answered["error"]},
    }
    del older["answered"]["confusion"]
    other = case.parent / "older.db"
    scanned(evidence, other, classifier=FakeClassifier(metrics={"PublicTest": older}))
    text = Page(report(other)).text
    assert "by class answered" not in text
    assert "blur" in text


def test_a_test_face_that_was_left_uncertain_is_not_found(evidence: Path, case: Path) -> None:
    (evidence / "a.png").write_bytes(FACE)
    share = {"value": 0.62, "low": 0.6, "high": 0.64, "n": 3589}
    classes = [{"label": c, "n": 4, "precision": 0.8, "recall": 0.5} for c in CLASSES]
    answered = {"threshold": 0.5, "coverage": share, "error": share, "classes": classes}
    metrics = {"PublicTest": {**METRICS, "answered": answered}}
    scanned(evidence, case, classifier=FakeClassifier(metrics=metrics))
    html = report(case)
    (row,) = re.findall(r">happy</a></th>.*?</tr>", html, re.DOTALL)
    cells = re.findall(r'<td class="n[ wide]*">([^<]*)</td>', row)
    assert cells == ["1", "1", "80.0\xa0%", "20.0\xa0%", "10"]  # 2 of 4 that were answered are 2 of 10
    for each in classes:
        each["answered"] = 3
    other = case.parent / "counted.db"
    scanned(evidence, other, classifier=FakeClassifier(metrics=metrics))
    text = Page(report(other)).text
    assert "80.0 % of 3 (20.8 % – 93.9 %)" in text  # of 2 right ones among 3, Wilson


@pytest.mark.parametrize(
    ("recorded", "told"),
    [
        ({"PublicTest": {}}, "FER2013 PublicTest"),
        ({"PublicTest": {}, "PrivateTest": {}}, "FER2013 PrivateTest"),
        ({"PrivateTest": {"data": "icml_face_data.csv", "data_sha256": "b"}}, "FER2013 PrivateTest"),
        ({"PublicTest": {"data": "own.csv", "data_sha256": "b"}}, "own.csv PublicTest"),
        ({"test": {"data": "faces", "data_sha256": "b"}}, "faces test"),
        (
            {"PublicTest": {"accuracy": {"value": 0.6, "low": 0.5, "high": 0.7, "n": 84}}},
            "fer2013.csv PublicTest",
        ),
        ({"Training": {}, "validation": {}}, ""),
    ],
)
def test_the_figures_are_named_with_their_data(
    evidence: Path, case: Path, recorded: dict[str, dict[str, Any]], told: str
) -> None:
    (evidence / "a.png").write_bytes(FACE)
    metrics = {split: {**METRICS, "data_sha256": "a", **more} for split, more in recorded.items()}
    card = {"metrics": metrics, "data": {"name": "fer2013.csv", "sha256": "a", "fit": 1}}
    scanned(evidence, case, classifier=FakeClassifier(**card))
    text = Page(report(case)).text
    if told:
        assert f" pictures of {told}." in text
    else:
        assert "The error rate of this model is not known" in text


def test_a_run_that_did_not_end_does_not_say_that_all_was_looked_at(evidence: Path, case: Path) -> None:
    (evidence / "a.png").write_bytes(FACE)
    (evidence / "b.png").write_bytes(encoded(picture()))
    scanned(evidence, case)
    assert TEXTS["not_covered_none"] in Page(report(case)).text
    with sqlite3.connect(case) as connection:
        connection.execute("UPDATE runs SET state = 'interrupted', discovered = 7")
    text = Page(report(case)).text
    assert TEXTS["not_covered_none"] not in text
    assert "The run did not finish: 2 of 7 paths were processed." in text
    assert "interrupted and resumed" not in text
    scanned(evidence, case)
    text = Page(report(case)).text
    assert TEXTS["not_covered_none"] in text
    assert "The scan was interrupted and resumed at 20" in text


def test_what_was_looked_at_in_part_is_told(evidence: Path, case: Path) -> None:
    chance = np.random.default_rng(0)
    data = encoded(chance.integers(0, 255, (90, 120, 3), dtype=np.uint8))
    (evidence / "cut.png").write_bytes(data[: len(data) // 2])
    (evidence / "whole.png").write_bytes(FACE)
    scanned(evidence, case)
    text = Page(report(case)).text
    assert (
        "Paths that were analysed only in part, or that changed: 1 (1 truncated); see Problems." in text
    )
    assert TEXTS["not_covered_none"] not in text
    assert TEXTS["not_covered_all_frames"] not in text


def test_key_frames_are_told_as_such(evidence: Path, case: Path) -> None:
    write_video(
        evidence / "v.mkv", range(0, 26_000, 1000), lambda _: picture(faces=[Box(20, 10, 60, 50)])
    )
    scanned(evidence, case, settings=ScanSettings(sample="keyframes"))
    text = Page(report(case)).text
    assert TEXTS["not_covered_keys"] in text
    assert TEXTS["not_covered_all_frames"] not in text
    # A key frame each twelfth or less often: the recording lasts beyond the last of them.
    assert re.search(r"last frame 0:00:25.000 after the first, [1-3] of [1-3] key frames analysed", text)


def test_paths_that_read_alike_are_told_apart(evidence: Path, case: Path) -> None:
    for number, name in enumerate((b"a\xff.png", b"a\\xff.png")):
        (evidence / os.fsdecode(name)).write_bytes(FACE + bytes([number]))
    (evidence / "z.png").write_bytes(FACE + b"\0")
    scanned(evidence, case)
    text = Page(report(case)).text
    for name in (b"a\xff.png", b"a\\xff.png"):
        assert f"({name.hex()})" in text
    redacted = Page(report(case, redact=True)).text
    with sqlite3.connect(case) as connection:
        number = dict(connection.execute("SELECT path_bytes, id FROM files"))
    for name in (b"a\xff.png", b"a\\xff.png"):
        assert f"file-{number[name]}" in redacted
        assert name.hex() not in redacted
    assert f"({b'z.png'.hex()})" not in text, "a name that is UTF-8 needs no bytes"
    copies = re.findall(r"file-\d+", redacted.split("The same bytes")[-1])
    first = number[b"a\xff.png"]
    assert f"file-{first}" in copies


def test_what_comes_from_evidence_is_escaped(evidence: Path, case: Path) -> None:
    names = ["<script>alert(1)</script>.png", "\"><img src=x onerror='x'>.png", "{{ 7*7 }}.png"]
    for name in names:
        (evidence / name.replace("/", "∕")).write_bytes(FACE + name.encode())
    (evidence / "evil\u202egnp.exe.png").write_bytes(FACE)
    scanned(evidence, case)
    html = report(case)
    page = Page(html)
    # Three script elements, all of femo's: data, pictures, and the script that the policy names.
    assert html.count("<script") == html.count("</script") == 3
    assert {tag for tag, _ in page.tags}.isdisjoint({"iframe", "object", "link", "form", "img"})
    assert not any(name.startswith("on") for _, attrs in page.tags for name in attrs)
    assert "{{ 7*7 }}.png" in page.text
    assert "\u202e" not in html
    assert "evil\\u202egnp.exe.png" in page.text
    assert sorted(f["name"] for f in told(html)["files"].values())[0] == "\"><img src=x onerror='x'>.png"


def test_the_report_loads_nothing_from_anywhere(evidence: Path, case: Path) -> None:
    (evidence / "face.png").write_bytes(FACE)
    scanned(evidence, case)
    html = report(case)
    page = Page(html)
    for tag, attrs in page.tags:
        assert "style" not in attrs, "the policy forbids it"
        for name in ("src", "href", "xlink:href", "action", "data", "poster"):
            value = attrs.get(name)
            assert value is None or value.startswith("#"), (tag, value)
    assert "url(" not in html
    assert "@import" not in html
    policy = next(a["content"] for t, a in page.tags if a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert "connect-src" not in policy
    script = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    assert len(script) == 1
    for text in (*re.findall(r"<style>(.*?)</style>", html, re.DOTALL), *script):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy


def test_anchors_lead_somewhere(evidence: Path, case: Path) -> None:
    write_video(evidence / "v.mkv", [0, 1500, 2500], lambda _: picture(faces=[Box(20, 10, 60, 50)]))
    scanned(evidence, case)
    page = Page(report(case))
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    targets = {a["href"] for t, a in page.tags if t == "a"}
    # What has a "=" is what the gallery is asked for.
    assert {f"#{name}" for name in ids} >= {target for target in targets if "=" not in (target or "")}
    assert {"#label=happy", f"#file={told(report(case))['faces']['file'][0]}"} <= targets


def test_what_was_not_looked_at_stands_beside_every_file(evidence: Path, case: Path) -> None:
    """Also beside those without a face: sampled, hidden and damaged frames."""
    path = write_video(evidence / "hidden.mp4", range(0, 1000, 100))
    edit_mp4(path, 0, 4)
    image = picture(400, 400, [Box(20, 10, 60, 50)])
    image[200:] = np.random.default_rng(0).integers(0, 255, (200, 400, 3))
    data = encoded(image)
    (evidence / "cut.png").write_bytes(data[: len(data) // 2])
    scanned(evidence, case)
    text = " ".join(Page(report(case)).text.split())
    assert re.search(r"1 of [45], [56] hidden", text)
    assert re.search(r"cut.png ?decode ?\w+ ?image/png decodes only in part", text)
    assert "4 frames hidden by edit lists were not analysed" not in text
    assert re.search(r"[56] frames hidden by edit lists were not analysed", text)
    assert "copies counted once" in text


def test_a_recording_is_told_from_its_start_to_its_end(evidence: Path, case: Path) -> None:
    """Not only as far as it has faces."""

    def draw(pts: int) -> np.ndarray:
        return picture(faces=[Box(20, 10, 60, 50)] if 2000 <= pts <= 4000 else [])

    write_video(evidence / "v.mkv", range(0, 10_000, 1000), draw)
    scanned(evidence, case)
    html = report(case)
    assert "last frame 0:00:09.000 after the first" in Page(html).text
    (file,) = told(html)["files"].values()
    assert (file["start"], file["end"]) == (0.0, 9.0)
    assert told(html)["tracks"][0][2] == 3


def test_the_limits_stand_in_every_report(evidence: Path, case: Path) -> None:
    (evidence / "none.png").write_bytes(encoded(picture()))
    scanned(evidence, case)
    text = Page(report(case)).text
    assert "does not show what a person felt" in text
    assert "The error rate of this model is not known" in text
    assert "No face was detected at these settings." in text
    assert "that does not prove that there is none" in text


def test_the_notes_on_law_and_science_stand_in_every_report(evidence: Path, case: Path) -> None:
    (evidence / "a.png").write_bytes(FACE)
    scanned(evidence, case)
    text = Page(report(case)).text
    for law in (
        "3(39)",
        "5(1)(f)",
        "50(3)",
        "1(c)",
        "6(b)",
        "Recital 18",
        "Recital 44",
        "702",
        "707",
        "Puloka",
    ):
        assert law in text
    for source in (
        "Barrett",
        "EDPB",
        "Information Commissioner",
        "2507.10755",
        "2502.11049",
        "2105.03588",
    ):
        assert source in text
    for standard in ("ASTM E3016", "SWGDE 20-V-001", "ENFSI", "ASTM WK96121"):
        assert standard in text
    assert "a lead for a person to review" in text
    assert "is not for use in the workplace or in education in the European Union" in text


def test_a_run_that_is_not_complete_says_so(evidence: Path, case: Path) -> None:
    (evidence / "none.png").write_bytes(encoded(picture()))
    scanned(evidence, case)
    assert "This run is not complete" not in report(case)
    connection = sqlite3.connect(case)
    connection.execute("UPDATE runs SET state = 'interrupted', ended_at = NULL, discovered = 9")
    connection.commit()
    connection.close()
    text = Page(report(case)).text
    assert "This run is not complete" in text
    assert "1 of 9 discovered paths were processed" in text


def test_faces_beyond_the_limit_are_counted_and_not_hidden(evidence: Path, case: Path) -> None:
    write_video(evidence / "v.mkv", range(0, 5000, 1000), lambda _: picture(faces=[Box(20, 10, 60, 50)]))
    scanned(evidence, case)
    html = report(case, max_faces=2)
    assert len(told(html)["faces"]["id"]) == len(pictures(html)) == 2
    assert "3 faces are in the case but not shown here" in Page(html).text
    assert "3 of its faces are not shown in this report" in Page(html).text
    assert f'href="#file={told(html)["faces"]["file"][0]}"' in html
    # Nor is there a link to faces that are not there.
    write_video(evidence / "w.mkv", [0, 1000], lambda _: picture(faces=[Box(25, 10, 65, 50)]))
    scanned(evidence, case)
    html = report(case, max_faces=5)
    links = set(re.findall(r'href="#file=(\d+)"', html))
    assert links == {str(told(html)["faces"]["file"][0])}
    assert "2 of its faces are not shown in this report" in Page(html).text


def test_pictures_beyond_the_budget_are_counted_and_not_hidden(evidence: Path, case: Path) -> None:
    write_video(evidence / "v.mkv", range(0, 5000, 1000), lambda _: picture(faces=[Box(20, 10, 60, 50)]))
    scanned(evidence, case)
    html = report(case, picture_budget=0)
    assert told(html)["faces"]["picture"] == [-1] * 5
    assert "5 faces are shown without their picture" in Page(html).text


def test_a_broken_thumbnail_costs_only_itself(evidence: Path, case: Path) -> None:
    write_video(evidence / "v.mkv", [0, 1000, 2000], lambda _: picture(faces=[Box(20, 10, 60, 50)]))
    scanned(evidence, case)
    connection = sqlite3.connect(case)
    connection.execute("UPDATE faces SET thumbnail = x'00' WHERE id = 1")
    connection.execute("UPDATE faces SET thumbnail = x'ffd8ff00' WHERE id = 2")
    connection.commit()
    connection.close()
    assert told(report(case))["faces"]["picture"] == [-1, 0, 1]
    assert told(report(case, redact=True))["faces"]["picture"] == [-1, -1, 0]


def test_access_times_that_were_not_kept_are_told(
    evidence: Path, case: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (evidence / "a.png").write_bytes(FACE)
    (evidence / "b.png").write_bytes(FACE)
    (evidence / "p.png").write_bytes(encoded(picture()))
    scanned(evidence, case)
    assert "access time" not in Page(report(case)).text
    really = os.open

    def others(path: bytes, flags: int, *more: int, **named: int) -> int:
        """Of another account: only the owner of a file may leave its access time alone."""
        if flags & os.O_NOATIME and not os.fsdecode(path).endswith("p.png"):
            raise PermissionError(1, "Operation not permitted")
        return really(path, flags, *more, **named)

    monkeypatch.setattr(os, "open", others)
    other = case.with_name("other.db")
    assert scanned(evidence, other).access_times_not_kept == 2
    text = Page(report(other)).text
    assert "This scan may have changed the access times of 2 files" in text
    assert text.count(TEXTS["not_kept"]) == 2


def test_poor_faces_and_what_belongs_to_the_figures_are_told(evidence: Path, case: Path) -> None:
    (evidence / "a.png").write_bytes(FACE)
    (evidence / "b.png").write_bytes(encoded(picture(faces=[Box(2, 2, 14, 14)])))
    scanned(evidence, case, classifier=FakeClassifier(notes=["Labels are <noisy>."]))
    with closing(sqlite3.connect(case)) as connection:
        faults = [row[0] for row in connection.execute("SELECT faults FROM faces")]
        connection.execute("UPDATE faces SET faults = '' WHERE id = 1")
        connection.commit()
    assert all(faults)  # both are drawn, without shades
    html = report(case)
    (row,) = re.findall(r">uncertain</a></th>.*?</tr>|>happy</a></th>.*?</tr>", html, re.DOTALL)[:1]
    assert re.findall(r'<td class="n">([^<]*)</td>', row)[:2] == ["2", "1"]
    assert "Labels are <noisy>." in Page(html).text


def test_a_redacted_report_names_no_list(evidence: Path, case: Path) -> None:
    (evidence / "a.png").write_bytes(FACE)
    lists = [case.with_name(f"about {name}.txt") for name in ("Ann", "Bob")]
    for each in lists:
        each.write_text(hashlib.sha256(FACE).hexdigest())
    paths = [arg for each in lists for arg in ("--notable", str(each))]
    assert RUNNER.invoke(app, ["scan", str(evidence), "--case", str(case), *paths]).exit_code == 0
    plain, redacted = report(case), report(case, redact=True)
    for each in lists:
        assert each.stem in Page(plain).text
        assert each.stem not in redacted
    assert "notable hash lists SHA-256" in Page(redacted).text


def test_a_redacted_report_names_no_file_and_shows_no_face(evidence: Path, case: Path) -> None:
    chance = np.random.default_rng(0).integers(0, 120, (200, 200, 3)).astype(np.uint8)
    chance[60:140, 60:140] = (255, 0, 0)
    (evidence / "secret name.png").write_bytes(encoded(chance))
    (evidence / "copy of secret.png").write_bytes(encoded(chance))
    scanned(evidence, case)
    html = report(case, redact=True)
    assert "secret" not in html
    assert str(evidence) not in html
    assert re.search(r"\bfile-2\b", Page(html).text)
    assert hashlib.sha256(b"secret name.png").hexdigest()[:12] not in html
    (line,) = pictures(html)
    jpeg, _, landmarks = line.split("|")
    shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(jpeg))))
    assert landmarks == ""
    open_picture = np.asarray(
        Image.open(io.BytesIO(base64.b64decode(pictures(report(case))[0].split("|")[0])))
    )
    assert (
        len(np.unique(shown.reshape(-1, 3), axis=0))
        < len(np.unique(open_picture.reshape(-1, 3), axis=0)) / 4
    )


def test_a_redacted_report_says_nothing_of_when_nor_of_the_command(evidence: Path, case: Path) -> None:
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    exif.get_ifd(0x8769).update({0x9003: "2024:05:01 10:00:00", 0x9011: "+02:00"})
    (evidence / "a.jpg").write_bytes(encoded(picture(faces=[Box(20, 10, 60, 50)]), "PNG", exif=exif))
    (evidence / "b.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(40))
    os.utime(evidence / "a.jpg", (1_300_000_000, 1_300_000_000))
    scanned(evidence, case)
    with sqlite3.connect(case) as connection:
        connection.execute("""UPDATE runs SET arguments = '["femo", "scan", "/home/suspect"]'""")
        connection.execute("UPDATE runs SET note = 'in the case of Doe'")
    with closing(CaseStore(case)) as store:
        store.add_review(1, Judgement(1, "confirmed", note="this is N.N."), "A", "2026", ())
    plain, redacted = report(case), report(case, redact=True)
    there = ("2024:05:01", "2024-05-01", "/home/suspect", "Maker", "of Doe", "is N.N.", "2011-03-13")
    for told_only_there in there:
        assert told_only_there in plain
        assert told_only_there not in redacted
    assert "cannot identify" in plain
    assert "cannot identify" not in redacted
    (file,) = told(redacted)["files"].values()
    assert (file["at"], file["recorded"]) == (None, None)
    assert TEXTS["by_date"] not in Page(redacted).text


def test_times_are_shown_in_another_zone_beside_utc(evidence: Path, case: Path) -> None:
    (evidence / "face.png").write_bytes(FACE)
    scanned(evidence, case)
    text = Page(report(case, tz="Asia/Tokyo")).text
    assert "2026-01-01 00:00:00.000000 UTC (2026-01-01 09:00:00 +0900 Asia/Tokyo)" in text
    with pytest.raises(UsageError, match="no time zone 'Mars/Base'"):
        report(case, tz="Mars/Base")
    for name in ("localtime", "posixrules", "posix/Europe/Vienna", "../UTC"):
        with pytest.raises(UsageError, match="no time zone"):
            report(case, tz=name)


def test_a_clock_time_is_given_only_where_the_file_proves_its_zone(evidence: Path, case: Path) -> None:
    exif, plain = Image.Exif(), Image.Exif()
    exif[0x010F] = plain[0x010F] = "Maker"
    exif.get_ifd(0x8769).update({0x9003: "2024:05:01 10:00:00", 0x9011: "+02:00"})
    (evidence / "zone.jpg").write_bytes(encoded(picture(faces=[Box(20, 10, 60, 50)]), "PNG", exif=exif))
    plain.get_ifd(0x8769).update({0x9003: "2024:05:01 10:00:00"})
    (evidence / "none.png").write_bytes(encoded(picture(faces=[Box(30, 10, 70, 50)]), "PNG", exif=plain))
    scanned(evidence, case)
    html = report(case)
    at = {f["name"]: f["at"] for f in told(html)["files"].values()}
    assert at == {"zone.jpg": 1714550400000, "none.png": None}
    text = Page(html).text
    assert "recorded 2024:05:01 10:00:00 (Exif.DateTimeOriginal; time zone from a separate tag)" in text
    assert "recorded 2024:05:01 10:00:00 (Exif.DateTimeOriginal; no time zone)" in text
    assert "camera Maker" in text


def test_what_a_file_says_of_itself_is_escaped(evidence: Path, case: Path) -> None:
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = "<script>alert(1)</script>", "=cmd()\x1b[31m"
    exif.get_ifd(0x8769)[0x9003] = "2024<b>:\u202e"
    (evidence / "face.png").write_bytes(encoded(picture(faces=[Box(20, 10, 60, 50)]), exif=exif))
    scanned(evidence, case)
    html = report(case)
    assert html.count("<script") == 3
    assert "<b>:" not in html
    assert not any(c in html for c in "\x1b\u202e")
    assert "camera <script>alert(1)</script> =cmd()\\u001b[31m" in Page(html).text


def test_the_logo_is_encoded_anew(evidence: Path, case: Path) -> None:
    (evidence / "face.png").write_bytes(FACE)
    scanned(evidence, case)
    logo, out = case.parent / "logo.jpg", case.parent / "out.html"
    logo.write_bytes(encoded(picture(2000, 900), "JPEG", comment=b"made at home"))
    write_report(case, out, None, ReportSettings(), logo)
    page = Page(out.read_text())
    (source,) = [attrs["src"] for tag, attrs in page.tags if tag == "img"]
    assert source is not None
    content = base64.b64decode(source.removeprefix("data:image/png;base64,"))
    assert Image.open(io.BytesIO(content)).size == (533, 240)
    logo.write_text("<svg onload='x()'/>")
    with pytest.raises(UsageError, match="cannot be read as a picture"):
        write_report(case, out, None, ReportSettings(), logo)


def test_the_sum_beside_the_report_is_what_sha256sum_checks(evidence: Path, case: Path) -> None:
    (evidence / "face.png").write_bytes(FACE)
    scanned(evidence, case)
    report(case)
    subprocess.run(["sha256sum", "-c", "--strict", "out.html.sha256"], cwd=case.parent, check=True)


def test_an_empty_case_gives_a_report(evidence: Path, case: Path) -> None:
    (evidence / "note.txt").write_text("no picture")
    (evidence / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(40))
    scanned(evidence, case)
    page = Page(report(case))
    assert "No frame was analysed, so nothing can be said about faces." in page.text
    assert "No face was detected at these settings." not in page.text
    (evidence / "none.png").write_bytes(encoded(picture()))
    (evidence / "bad.avi").write_bytes(b"RIFF\0\0\0\0AVI LIST" + bytes(40))
    scanned(evidence, case)
    page = Page(report(case))
    assert "No face was detected at these settings." in page.text
    assert "No frame of a recording was analysed." in page.text
    write_video(evidence / "v.mkv", [0, 1000], lambda _: picture())
    scanned(evidence, case)
    page = Page(report(case))
    assert "No face was detected in any analysed frame of a recording." in page.text
    assert "cannot be decoded" in page.text


def test_reviews_and_how_far_they_agree_are_shown(evidence: Path, case: Path) -> None:
    write_video(evidence / "v.mkv", range(0, 3000, 1000), lambda _: picture(faces=[Box(20, 10, 60, 50)]))
    scanned(evidence, case)
    assert "No face was reviewed." in Page(report(case)).text
    store = CaseStore(case)
    for said in (
        Judgement(1, "confirmed"),
        Judgement(2, "relabelled", "sad", "<b>tears\u202e"),
        Judgement(3, "rejected"),
    ):
        store.add_review(1, said, "Ann", "2026-01-02T00:00:00Z", ("femo",))
    store.close()
    html = report(case)
    text = Page(html).text
    assert "3 of 3 faces were reviewed: 1 confirmed, 1 relabelled, 1 rejected." in text
    assert "Of the 2 whose expression was judged, reviewer and machine agree on 50.0 %" in text
    assert "Of those that the machine answered, 50.0 % (2 judged)." in text
    assert "that it left uncertain" not in text
    assert told(html)["reviews"]["2"] == [
        *("relabelled", "sad", "<b>tears\\u202e", "Ann", "2026-01-02T00:00:00Z")
    ]


def test_every_text_is_used_and_every_text_that_is_used_is_there() -> None:
    template = (TEMPLATES / "report.html").read_text() + Path(context.__file__).read_text()
    zones = {"zone_offset_tag", "zone_in_value", "zone_format", "zone_gps", "zone_none"}
    used = (
        set(re.findall(r"\bt\.(\w+)", re.sub(r"\bt\.sha256", "", template)))
        | set(re.findall(r'"(not_covered_\w+)"', template))
        | zones
    )
    used |= set(re.findall(r'(?:\bt|TEXTS)\["(\w+)"\]', template)) - {"zone_"}
    assert used == set(TEXTS)
    script = (TEMPLATES / "report.js").read_text()
    wanted = set(re.findall(r"\bT\.(\w+)", script))
    wanted |= {f"sort_{s}" for s in ("order", "score", "low", "size", "time", "detector")}
    assert wanted | {"confirmed", "rejected"} == set(SCRIPT)


def test_the_same_case_gives_the_same_bytes(evidence: Path, case: Path) -> None:
    (evidence / "face.png").write_bytes(FACE)
    scanned(evidence, case)
    assert report(case) == report(case)


def test_reporting_does_not_change_the_case(evidence: Path, case: Path) -> None:
    (evidence / "face.png").write_bytes(FACE)
    scanned(evidence, case)
    before, stat = case.read_bytes(), case.stat()
    report(case)
    assert case.read_bytes() == before
    assert case.stat().st_mtime_ns == stat.st_mtime_ns
    there = ["case.db", "case.db.audit", "evidence", "out.html", "out.html.sha256"]
    assert sorted(os.listdir(case.parent)) == there


def test_the_report_is_not_written_over_evidence_or_case(evidence: Path, case: Path) -> None:
    (evidence / "face.png").write_bytes(FACE)
    scanned(evidence, case)
    other = evidence.parent / "other"
    other.mkdir()
    (other / "none.png").write_bytes(encoded(picture()))
    scanned(other, case)
    for folder in (evidence, other):
        with pytest.raises(UsageError, match="inside"):
            write_report(case, folder / "report.html", None, ReportSettings())
    before = case.read_bytes()
    (case.parent / "notes.txt").write_text("keep me")
    for out in (case, case.parent / "notes.txt"):
        with pytest.raises(UsageError, match="not a report of femo"):
            write_report(case, out, None, ReportSettings())
    assert case.read_bytes() == before
    os.mkfifo(case.parent / "pipe")
    with pytest.raises(UsageError, match="not a regular file"):
        write_report(case, case.parent / "pipe", None, ReportSettings())
    with pytest.raises(FemoError, match="cannot be written"):
        write_report(case, case.parent / "none" / "r.html", None, ReportSettings())


def test_a_checksum_file_of_something_else_stays(evidence: Path, case: Path) -> None:
    (evidence / "face.png").write_bytes(FACE)
    scanned(evidence, case)
    out = case.parent / "r.html"
    sums = case.parent / "r.html.sha256"
    for there in (b"notes", b"0" * 64 + b"  other.html\n", b"0" * 64 + b"  r.html\nmore\n"):
        sums.write_bytes(there)
        with pytest.raises(UsageError, match=r"does not belong to r\.html"):
            write_report(case, out, None, ReportSettings())
        assert sums.read_bytes() == there
        assert not out.exists()
    sums.unlink()
    os.mkfifo(sums)
    with pytest.raises(UsageError, match="not a regular file"):
        write_report(case, out, None, ReportSettings())
    sums.unlink()
    for there in (b"", b"0" * 64 + b"  r.html\n"):
        sums.write_bytes(there)
        write_report(case, out, None, ReportSettings())
        subprocess.run(["sha256sum", "-c", "--strict", sums.name], cwd=case.parent, check=True)


def test_the_template_uses_all_it_is_given() -> None:
    source = (Path(__file__).parents[1] / "templates" / "report.html").read_text()
    nodes = jinja2.Environment(autoescape=True)
    nodes.filters.update(percent=str, clock=str, visible=str, score=str, utc=str, fill=str, name=str)
    from jinja2.meta import find_undeclared_variables

    used = find_undeclared_variables(nodes.parse(source))
    assert used - {"css", "page_css", "script"} == {f.name for f in fields(ReportContext)}


def test_clock() -> None:
    assert clock(0) == "0:00:00.000"
    assert clock(3723.4567) == "1:02:03.457"
    assert clock(59.9996) == "0:01:00.000"
    assert clock(-1.5) == "-0:00:01.500"


def test_a_score_is_never_rounded_up() -> None:
    assert [score(p) for p in (0.0, 0.1239, 0.9996, 1.0)] == ["0.000", "0.123", "0.999", "1.000"]


def test_visible() -> None:
    assert visible("a\nb\u200f é 中") == "a\\u000ab\\u200f é 中"


def test_that_a_model_may_know_its_test_pictures_is_told(evidence: Path, case: Path) -> None:
    (evidence / "a.png").write_bytes(FACE)
    caution = "The model was trained on another file than this one."
    metrics = {"PublicTest": {**METRICS, "data_sha256": "a", "caution": caution}}
    card = {"metrics": metrics, "data": {"name": "fer2013.csv", "sha256": "b", "fit": 1}}
    scanned(evidence, case, classifier=FakeClassifier(**card))
    assert caution in Page(report(case)).text


def test_a_thumbnail_that_is_a_bomb_is_not_decoded() -> None:
    flat = Image.new("L", (2000, 1100))
    content = io.BytesIO()
    flat.save(content, "JPEG")
    assert pixelated(content.getvalue()) is None
    assert pixelated(b"no picture") is None
    flat.crop((0, 0, 64, 64)).save(content := io.BytesIO(), "JPEG")
    assert pixelated(content.getvalue()) is not None


def test_other_runs_over_the_same_evidence_are_told(evidence: Path, case: Path) -> None:
    """Else one could scan until a result pleases."""
    (evidence / "face.png").write_bytes(FACE)
    scanned(evidence, case)
    assert "another run over the same evidence" not in Page(report(case)).text
    scanned(evidence, case)
    told = (
        "The case holds another run over the same evidence, which this report does not cover: run 1,"
        " done, model fake, faces: 1."
    )
    assert told in Page(report(case)).text
    assert "run 2, done, model fake" in Page(report(case, run=1)).text


def test_what_was_done_with_a_case_is_told_until_results_changed_last(
    evidence: Path, case: Path
) -> None:
    (evidence / "face.png").write_bytes(FACE)
    scanned(evidence, case)
    reviewed(case, 1, "confirmed", at="2026-01-02T10:00:00.000000000Z")
    reviewed(case, 1, "relabelled", "sad", at="2026-01-02T11:00:00.000000000Z", reviewer="Another")
    text = Page(report(case)).text
    assert "scan ended" in text
    assert "2026-01-02 10:00:00.000000000 UTC until 2026-01-02 11:00:00.000000000 UTCreviews: 2" in text
    assert "Reviewers: 2; the last review of each face counts." in text
    assert "Faces whose review was changed or withdrawn: 1." in text
    assert RUNNER.invoke(app, ["verify", str(case)]).exit_code == 0
    assert Page(report(case)).text == text


def test_an_altered_case_is_told(evidence: Path, case: Path) -> None:
    (evidence / "face.png").write_bytes(FACE)
    scanned(evidence, case)
    text = Page(report(case)).text
    assert "When this report was made, all rows of the run were as the scan had written them" in text
    assert "This case was altered" not in text
    out, sound = case.parent / "r.html", shutil.copy(case, case.parent / "sound.db")
    for change, told in (
        ("UPDATE faces SET label = 'angry'", "Paths whose rows are not what the scan wrote: 1."),
        ("UPDATE runs SET results_digest = 'x'", "run 1: paths were added, removed or changed after"),
        (
            "UPDATE runs SET examiner = 'Somebody'",
            "examiner or something else that is fixed when a run",
        ),
        (
            "UPDATE runs SET model_card = replace(model_card, '\"name\"', '\"Name\"')",
            "model, examiner or something else",
        ),
        (
            "INSERT INTO reviews (run_id, face_id, at, reviewer, verdict, note)"
            " VALUES (1, 1, '2026-01-01T00:00:00Z', 'Nobody', 'confirmed', '')",
            "review 1 of face 1: the audit table has no entry for it",
        ),
        ("UPDATE audit SET user = 'nobody'", "audit entry 1 (scan, "),
        ("DROP VIEW face_results", "schema: the view face_results is missing"),
    ):
        shutil.copy(sound, case)
        tamper(case, change)
        ended = RUNNER.invoke(app, ["report", str(case), "--out", str(out)])
        assert (ended.exit_code, "The case was altered" in ended.stderr) == (3, True), ended.output
        text = Page(out.read_text()).text
        assert "This case was altered" in text
        assert told in text
        assert "When this report was made" not in text


def test_a_digest_is_no_style_and_no_page(evidence: Path, case: Path) -> None:
    (evidence / "face.png").write_bytes(FACE)
    scanned(evidence, case)
    digest = '";}}#limits{display:none!important}@media all{a{b:"</style><h1>x</h1>'
    with closing(sqlite3.connect(case)) as connection, connection:
        connection.execute("UPDATE runs SET results_digest = ?", (digest,))
    html = report(case)
    assert "display:none!important" not in html[: html.index("</style>", html.index("@page"))]
    assert "<h1>x</h1>" not in html


def test_the_order_of_hashes_does_not_show_in_a_report(evidence: Path, case: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (90, 120, 3), dtype=np.uint8)
    cut = encoded(noise)
    (evidence / "cut.png").write_bytes(cut[: len(cut) // 2])
    (evidence / "cut.gif").write_bytes(encoded(noise, "GIF")[:-400])
    (evidence / "behind.jpg").write_bytes(2 * encoded(noise, "JPEG"))
    scanned(evidence, case)
    pages = set()
    for seed in "0123":
        out = case.parent / f"{seed}.html"
        command = [sys.executable, "-m", "forensic_emotion", "report", str(case), "--out", str(out)]
        subprocess.run(command, env={**os.environ, "PYTHONHASHSEED": seed}, check=True)
        pages.add(re.sub(r"[0-9a-f]{64}", "", out.read_text()))
    assert len(pages) == 1


def test_names_that_look_alike_have_their_bytes_beside(evidence: Path, case: Path) -> None:
    alike = ["c.jpg", "c.jpg ", " c.jpg", "c\ufe0f.jpg", "a b.jpg", "a  b.jpg"]
    for name in (*alike, "other.jpg", "c\u3164.jpg"):
        (evidence / name).write_bytes(encoded(picture(background=len(name))))
    scanned(evidence, case)
    text = Page(report(case)).text
    for name in alike:
        assert f"({name.encode().hex()})" in text, name
    assert "c\\u3164.jpg" in text
    assert f"({b'other.jpg'.hex()})" not in text


def test_a_model_without_a_threshold_leaves_nothing_uncertain(evidence: Path, case: Path) -> None:
    (evidence / "face.png").write_bytes(FACE)
    scanned(evidence, case)
    with closing(sqlite3.connect(case)) as connection, connection:
        connection.execute("UPDATE runs SET threshold = NULL")
    text = Page(report(case)).text
    assert "the model has no threshold: every face is given a class" in text
    assert "of the detections were given no class" not in text


def test_a_report_that_is_replaced_is_named(evidence: Path, case: Path) -> None:
    (evidence / "face.png").write_bytes(FACE)
    scanned(evidence, case)
    first = RUNNER.invoke(app, ["report", str(case)])
    assert (first.exit_code, "replaced" in first.stderr) == (0, False)
    before = hashlib.sha256(case.with_suffix(".html").read_bytes()).hexdigest()
    again = RUNNER.invoke(app, ["report", str(case), "--tz", "Europe/Vienna"])
    assert f"An earlier report was replaced: SHA-256 {before}." in again.stderr
    same = RUNNER.invoke(app, ["report", str(case), "--tz", "Europe/Vienna"])
    assert "replaced" not in same.stderr


def test_what_an_output_lacks_is_told_as_that(evidence: Path, case: Path, tmp_path: Path) -> None:
    (evidence / "face.png").write_bytes(FACE)
    scanned(evidence, case)
    ended = RUNNER.invoke(app, ["report", str(case), "--out", str(tmp_path / "none" / "r.html")])
    assert ended.exit_code == 1
    assert f"There is no folder {tmp_path / 'none'}: create it" in " ".join(ended.stderr.split())
