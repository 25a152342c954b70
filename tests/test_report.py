from __future__ import annotations

import base64
import dataclasses
import hashlib
import os
import re
from html.parser import HTMLParser
from pathlib import Path

import jinja2
import numpy as np
import pytest

from forensic_emotion.errors import FemoError, UsageError
from forensic_emotion.pages import clock, score
from forensic_emotion.paths import visible
from forensic_emotion.records import Box
from forensic_emotion.report.context import ReportContext
from forensic_emotion.report.render import write_report
from forensic_emotion.settings import ReportSettings
from tests.builders import FakeClassifier, edit_mp4, encoded, picture, scanned, write_video

FACE = encoded(picture(faces=[Box(20, 10, 60, 50)]))
CLASSES = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
METRICS = {
    "accuracy": {"value": 0.6, "low": 0.58, "high": 0.62, "n": 3589},
    "classes": [{"label": c, "n": 10, "precision": 0.5, "recall": None} for c in CLASSES],
    "confusion": [[1] * 7] * 7,
}
VOID = {"meta", "img", "br", "rect", "line", "circle"}


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
        self.text += data


def report(case: Path, **settings: int) -> str:
    out = case.parent / "out.html"
    write_report(case, out, None, ReportSettings(**settings))
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
    page = Page(report(case))
    for name in ("face.png", "same.png", "none.png", "bad.png", "v.mkv"):
        assert name in page.text
    assert hashlib.sha256(FACE).hexdigest() in page.text
    assert hashlib.md5(FACE).hexdigest() in page.text
    assert "same bytes as face.png" in page.text
    assert "The same bytes lie at same.png." in page.text
    assert "0:00:01.500" in page.text
    assert "pts 1500 × 1/1000 s" in page.text
    assert "cannot be decoded" in page.text
    assert "Measured error rate: 40.0 %" in page.text
    assert "38.0 % to 42.0 %" in page.text
    pictures = [attrs["src"] for tag, attrs in page.tags if tag == "img"]
    assert len(pictures) == 3
    for source in pictures:
        assert source is not None
        assert base64.b64decode(source.removeprefix("data:image/jpeg;base64,")).startswith(b"\xff\xd8")


def test_the_report_says_whether_scores_are_calibrated(evidence: Path, case: Path) -> None:
    (evidence / "face.png").write_bytes(FACE)
    measured = {"PublicTest": {**METRICS, "ece": 0.0312}}
    scanned(evidence, case, classifier=FakeClassifier(metrics=measured))
    assert "are not calibrated" in Page(report(case)).text
    other = case.parent / "calibrated.db"
    card = {"metrics": measured, "calibration": {"temperature": 2.0}}
    scanned(evidence, other, classifier=FakeClassifier(**card))
    assert "lie 3.1 % apart on average" in Page(report(other)).text


def test_a_face_without_an_answer_is_shown_as_uncertain(evidence: Path, case: Path) -> None:
    write_video(evidence / "v.mkv", [0, 1500], lambda _: picture(faces=[Box(20, 10, 60, 50)]))
    share = {"value": 0.62, "low": 0.6, "high": 0.64, "n": 3589}
    answered = {"threshold": 0.5, "coverage": share, "error": {**share, "value": 0.17}, "classes": []}
    abstention = {"max_error": 0.2, "threshold": 0.5, "coverage": 0.63, "error": None}
    metrics = {"PublicTest": {**METRICS, "answered": answered}}
    scanned(evidence, case, classifier=FakeClassifier(abstention=abstention, metrics=metrics))
    html = report(case)
    page = Page(html)
    assert page.text.count("highest: happy 0.4") == 2
    assert "not above 0.500 are labelled uncertain" in page.text
    assert "the model answers 62.0 % of them then, and 17.0 % of those answers are wrong" in page.text
    assert "under 20%, and answers 63.0% of them" in page.text
    assert html.count('<circle class="open"') == 2
    assert re.search(r"<td>uncertain</td><td class=\"n\">2</td>", html)


def test_what_comes_from_evidence_is_escaped(evidence: Path, case: Path) -> None:
    names = ["<script>alert(1)</script>.png", "\"><img src=x onerror='x'>.png", "{{ 7*7 }}.png"]
    for name in names:
        (evidence / name.replace("/", "∕")).write_bytes(FACE + name.encode())
    (evidence / "evil\u202egnp.exe.png").write_bytes(FACE)
    scanned(evidence, case)
    html = report(case)
    page = Page(html)
    assert "<script" not in html
    assert {tag for tag, _ in page.tags}.isdisjoint({"script", "iframe", "object", "link", "form"})
    assert not any(name.startswith("on") for _, attrs in page.tags for name in attrs)
    assert "{{ 7*7 }}.png" in page.text
    assert "\u202e" not in html
    assert "evil\\u202egnp.exe.png" in page.text


def test_the_report_loads_nothing_from_anywhere(evidence: Path, case: Path) -> None:
    (evidence / "face.png").write_bytes(FACE)
    scanned(evidence, case)
    html = report(case)
    page = Page(html)
    for tag, attrs in page.tags:
        assert "style" not in attrs, "the policy forbids it"
        for name in ("src", "href", "xlink:href", "action", "data", "poster"):
            value = attrs.get(name)
            assert value is None or value.startswith(("data:image/jpeg;base64,", "#")), (tag, value)
    assert "url(" not in html
    assert "@import" not in html
    policy = next(a["content"] for t, a in page.tags if a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert policy.startswith("default-src 'none'; img-src data:;")
    style = re.search(r"<style>(.*?)</style>", html, re.DOTALL)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in policy


def test_anchors_lead_somewhere(evidence: Path, case: Path) -> None:
    write_video(evidence / "v.mkv", [0, 1500, 2500], lambda _: picture(faces=[Box(20, 10, 60, 50)]))
    scanned(evidence, case)
    page = Page(report(case))
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    targets = {a["href"] for t, a in page.tags if t == "a"}
    assert {f"#{name}" for name in ids} >= targets
    assert sum(tag == "circle" for tag, _ in page.tags) == 3


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
    assert re.search(r"cut.png partial image/png decodes only in part", text)
    assert "copies counted once" in text


def test_the_strip_spans_the_recording_and_not_only_its_faces(evidence: Path, case: Path) -> None:
    def draw(pts: int) -> np.ndarray:
        return picture(faces=[Box(20, 10, 60, 50)] if 2000 <= pts <= 4000 else [])

    write_video(evidence / "v.mkv", range(0, 10_000, 1000), draw)
    scanned(evidence, case)
    text = Page(report(case)).text
    assert "0:00:00.000" in text
    assert "0:00:09.000" in text


def test_the_limits_stand_in_every_report(evidence: Path, case: Path) -> None:
    (evidence / "none.png").write_bytes(encoded(picture()))
    scanned(evidence, case)
    text = Page(report(case)).text
    assert "does not show what a person felt" in text
    assert "The error rate of this model is not known" in text
    assert "No face was detected at these settings." in text
    assert "that does not prove that there is none" in text


def test_a_run_that_is_not_complete_says_so(evidence: Path, case: Path) -> None:
    import sqlite3

    (evidence / "none.png").write_bytes(encoded(picture()))
    scanned(evidence, case)
    assert "This run is not complete" not in report(case)
    connection = sqlite3.connect(case)
    connection.execute("UPDATE runs SET state = 'interrupted', ended_at = NULL, discovered = 9")
    connection.commit()
    connection.close()
    text = Page(report(case)).text
    assert "This run is not complete" in text
    assert "1 of 9 discovered paths were dealt with" in text


def test_faces_beyond_the_limit_are_counted_and_not_hidden(evidence: Path, case: Path) -> None:
    write_video(evidence / "v.mkv", range(0, 5000, 1000), lambda _: picture(faces=[Box(20, 10, 60, 50)]))
    scanned(evidence, case)
    page = Page(report(case, max_faces=2))
    assert sum(tag == "img" for tag, _ in page.tags) == 2
    assert "3 faces are in the case and not shown here" in page.text


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
    assert sorted(os.listdir(case.parent)) == ["case.db", "case.db.audit", "evidence", "out.html"]


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
        with pytest.raises(UsageError, match="no report of femo"):
            write_report(case, out, None, ReportSettings())
    assert case.read_bytes() == before
    os.mkfifo(case.parent / "pipe")
    with pytest.raises(UsageError, match="no regular file"):
        write_report(case, case.parent / "pipe", None, ReportSettings())
    with pytest.raises(FemoError, match="cannot be written"):
        write_report(case, case.parent / "none" / "r.html", None, ReportSettings())


def test_the_template_uses_all_it_is_given() -> None:
    source = (Path(__file__).parents[1] / "templates" / "report.html").read_text()
    nodes = jinja2.Environment(autoescape=True)
    nodes.filters.update(percent=str, clock=str, visible=str, score=str)
    from jinja2.meta import find_undeclared_variables

    used = find_undeclared_variables(nodes.parse(source))
    assert used - {"css", "style_hash"} == {f.name for f in dataclasses.fields(ReportContext)}


def test_clock() -> None:
    assert clock(0) == "0:00:00.000"
    assert clock(3723.4567) == "1:02:03.457"
    assert clock(59.9996) == "0:01:00.000"
    assert clock(-1.5) == "-0:00:01.500"


def test_a_score_is_never_rounded_up() -> None:
    assert [score(p) for p in (0.0, 0.1239, 0.9996, 1.0)] == ["0.000", "0.123", "0.999", "1.000"]


def test_visible() -> None:
    assert visible("a\nb\u200f é 中") == "a\\u000ab\\u200f é 中"
