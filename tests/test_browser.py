"""The report and the review pages as a person uses them, in a real browser."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from forensic_emotion.case.queries import opened_case
from forensic_emotion.case.reviews import Judgement, read_reviews
from forensic_emotion.cli import app
from forensic_emotion.errors import FemoError
from forensic_emotion.report.printing import find_browser, write_pdf
from forensic_emotion.report.render import review_page, write_report
from forensic_emotion.report.texts import SCRIPT
from forensic_emotion.review import Desk, ReviewServer
from forensic_emotion.settings import ReportSettings
from forensic_emotion.training.evaluate import Disturbed, Evaluation
from forensic_emotion.training.evaluation_page import PICTURES, write_page
from forensic_emotion.training.metrics import Lost, answered_above, measure
from forensic_emotion.training.sources import LABELS
from tests.builders import Box, encoded, picture, scanned, tamper, write_large_case, write_video

pytestmark = pytest.mark.slow
playwright = pytest.importorskip("playwright.sync_api", reason="needs the extra 'dev'")

HOSTILE = [
    "<img src=x onerror=alert(1)>.png",
    "'\"><script>alert(2)<∕script>.png",
    "=cmd|' ∕C calc'!A0.png",
    "'; DROP TABLE faces; --.png",
    "\x1b[31mred\x07.png",
    "\u202egnp.exe.png",
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    try:
        path = find_browser()
    except FemoError as error:
        pytest.skip(error.text)
    quiet = ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--disable-gpu", "--no-first-run", *quiet]
        )
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Any, request: pytest.FixtureRequest) -> Iterator[Any]:
    """A page that fails the test if it complains, asks, or sends anything anywhere."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    wrong: list[str] = []
    own = ("file:", "data:", "http://127.0.0.1:")
    page.on(
        "console",
        lambda m: (
            wrong.append(m.text)
            if m.type in ("error", "warning")
            and not ("409 (Conflict)" in m.text and "key_too_many" in request.node.name)
            else None
        ),
    )
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda r: None if r.url.startswith(own) else wrong.append(r.url))
    page.on("dialog", lambda d: (wrong.append(f"dialog {d.message}"), d.dismiss()))
    yield page
    page.close()
    assert wrong == []


def face_at(pts: int) -> np.ndarray:
    """A face that moves on; none between the fifth and the tenth second."""
    return picture(faces=[] if 5000 < pts < 10_000 else [Box(20 + pts // 1000, 10, 60, 50)])


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("case")
    evidence = folder / "evidence"
    evidence.mkdir()
    for i, name in enumerate(HOSTILE):
        (evidence / name).write_bytes(
            encoded(picture(background=(i, i, 90), faces=[Box(20, 10, 60, 50)]))
        )
    write_video(evidence / "walk.mkv", range(0, 15_000, 1000), face_at)
    scanned(evidence, folder / "case.db")
    return folder / "case.db"


@pytest.fixture(scope="module")
def report(case: Path) -> str:
    out = case.parent / "report.html"
    write_report(case, out, None, ReportSettings())
    return out.as_uri()


def count(page: Any) -> int:
    """How many faces the gallery says that it shows."""
    text = page.locator("#count").inner_text()
    return int(text.split()[0].replace(",", "")) if text[0].isdigit() else 0


def opened(page: Any, address: str) -> Any:
    """The page, once it is ready.

    Where more is waited for, it is by `playwright.expect`: `wait_for_function` evaluates text in
    the page, which the report's policy forbids from the second look on.
    """
    page.goto(address)
    page.wait_for_selector("html[data-ready]")
    return page


def test_filters_narrow_the_gallery_and_stay_in_the_address(page: Any, report: str) -> None:
    opened(page, report)
    assert count(page) == 17
    page.select_option("#filter-file", label="walk.mkv")
    assert count(page) == 11
    page.select_option("#filter-track", index=1)
    assert count(page) == 6
    page.select_option("#filter-track", "")
    page.fill("#filter-from", "10")
    assert count(page) == 5
    page.fill("#filter-to", "12")
    assert count(page) == 3
    address = page.evaluate("location.href")
    assert "from=10" in address
    page.goto("about:blank")
    opened(page, address)
    assert count(page) == 3
    assert page.input_value("#filter-to") == "12"
    page.click("#reset")
    assert count(page) == 17
    page.select_option("#filter-label", "sad")
    assert count(page) == 0
    assert "No face matches these filters" in page.locator("#count").inner_text()
    page.click("#reset")
    page.fill("#filter-q", "drop table")
    assert count(page) == 1
    page.click("#reset")
    page.evaluate("document.querySelector('#filter-min').value = 0.5")
    page.dispatch_event("#filter-min", "input")
    assert count(page) == 0


def test_filters_say_what_they_leave_out(page: Any, report: str) -> None:
    opened(page, report)
    label = page.locator("#filter-label option").all_inner_texts()
    assert "happy (17)" in label
    page.select_option("#filter-file", label="walk.mkv")
    assert "happy (11)" in page.locator("#filter-label option").all_inner_texts()
    assert "left out" not in page.locator("#count").inner_text()
    page.fill("#filter-from", "0")
    assert SCRIPT["timed_only"] in page.locator("#count").inner_text()
    opened(page, report + "#face=99999")
    assert SCRIPT["no_such_face"].format(id=99999) in page.locator("#count").inner_text()
    opened(page, report + "#label=none&q=walk")
    assert (page.input_value("#filter-label"), count(page)) == ("", 11)


def test_what_is_blurred_stays_so(page: Any, report: str) -> None:
    opened(page, report + "#label=sad")
    page.check("#filter-blur")
    for step in ("#reset", "#findings a:has-text('walk.mkv')", ".lanes circle"):
        page.locator(step).first.click()
        assert "blurred" in page.evaluate("document.body.className")
    assert page.locator("#detail").is_visible()


def test_a_tab_leads_back_into_the_gallery(page: Any, report: str) -> None:
    page.set_viewport_size({"width": 400, "height": 500})
    opened(page, report + "#faces=")
    page.locator(".card").first.focus()
    page.keyboard.press("End")
    assert page.locator(".card[data-position='0']").count() == 0
    page.locator("#filters").evaluate("node => node.scrollIntoView({block: 'end'})")
    playwright.expect(page.locator(".card[data-position='16']")).to_be_focused()
    page.locator(".card[data-position='16']").evaluate("node => node.blur()")
    page.evaluate("scrollBy(0, 60)")
    playwright.expect(page.locator(".card[tabindex='0']")).to_have_attribute("data-position", "0")


def test_links_in_the_findings_set_the_filters(page: Any, report: str) -> None:
    opened(page, report)
    page.locator("#findings a", has_text="walk.mkv").click()
    playwright.expect(page.locator("#count")).to_have_text(re.compile(r"^\s*11 of"))


def test_a_track_is_given_up_with_its_file(page: Any, report: str) -> None:
    opened(page, report)
    page.select_option("#filter-file", label="walk.mkv")
    page.select_option("#filter-track", index=1)
    assert 0 < count(page) <= 11
    page.select_option("#filter-file", label="'; DROP TABLE faces; --.png")
    assert count(page) == 1
    assert page.locator("#filter-track").is_disabled()
    page.select_option("#filter-file", label="walk.mkv")
    assert (page.locator("#filter-track").input_value(), count(page)) == ("", 11)


def test_a_clock_that_is_withheld_is_not_called_unproven(page: Any, case: Path, tmp_path: Path) -> None:
    write_report(case, tmp_path / "r.html", None, ReportSettings(redact=True))
    opened(page, (tmp_path / "r.html").as_uri() + "#face=1")
    text = page.locator("#detail").inner_text()
    assert SCRIPT["clock_withheld"] in text
    assert SCRIPT["no_clock"] not in text


def test_the_gallery_is_used_by_keys(page: Any, report: str) -> None:
    opened(page, report + "#sort=order")
    page.locator(".card").first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.dataset.position") == "2"
    page.keyboard.press("Enter")
    assert page.locator("#detail").is_visible()
    assert "Face 3 of 17" in page.locator("#detail-title").inner_text()
    page.keyboard.press("ArrowRight")
    assert "Face 4 of 17" in page.locator("#detail-title").inner_text()
    page.keyboard.press("Escape")
    # A dialog tells that it is closed a little later.
    playwright.expect(page.locator(".card[data-position='3']")).to_be_focused()
    assert not page.locator("#detail").is_visible()
    page.keyboard.press("End")
    assert page.evaluate("document.activeElement.dataset.position") == "16"
    page.keyboard.press("b")
    assert "blurred" in page.evaluate("document.body.className")
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "filter-q"


def test_an_address_that_is_none_leaves_the_page_whole(page: Any, report: str) -> None:
    failed: list[str] = []
    page.on("pageerror", lambda error: failed.append(str(error)))
    opened(page, report + "#%E0%A4%A")
    assert count(page) > 0
    opened(page, report + "#label=%E0%A4%A")
    assert failed == []


def test_a_face_is_opened_by_its_address_and_tells_all(page: Any, report: str) -> None:
    opened(page, report + "#file=&face=7")
    text = page.locator("#detail").inner_text()
    assert "walk.mkv" in text
    assert "presentation timestamp 1000 × 1/1000 s = 1 s" in text
    assert "clock time: the file gives no usable time" in text
    assert "This face is poor (" in text
    assert "How often such a score is right on such a face was not measured" in text
    assert re.search(r"\b[0-9a-f]{64}\b", text)
    assert len(page.locator("#detail .marks path").all()) == 68
    assert page.locator("#detail .scores li").count() == 7
    page.get_by_text("Show the track's faces").click()
    assert 0 < count(page) < 17


def test_faces_that_nobody_judged_are_neither_good_nor_poor(
    page: Any, case: Path, tmp_path: Path
) -> None:
    other = Path(shutil.copy(case, tmp_path / "case.db"))
    tamper(other, "UPDATE faces SET faults = NULL, size = NULL")  # as a case of an older femo has it
    write_report(other, tmp_path / "r.html", None, ReportSettings())
    report = (tmp_path / "r.html").as_uri()
    opened(page, report)
    every = count(page)
    narrow = (("quality=good", 0), ("quality=poor", 0), ("px=8", 0))
    for asked, n in (step for one in narrow for step in (one, ("px=0", every))):
        page.goto(f"{report}#{asked}")
        shown = re.compile(rf"^\s*{n} of" if n else r"No face matches")
        playwright.expect(page.locator("#count"), asked).to_have_text(shown)
    page.goto(report + "#face=7")
    assert "its quality was not judged" in page.locator("#detail").inner_text()


def test_a_clock_time_has_its_offset(page: Any, tmp_path: Path) -> None:
    """When clocks are set back, an hour comes twice."""
    root = tmp_path / "evidence"
    root.mkdir()
    for hour, shade in ((0, 60), (1, 90)):
        exif = Image.Exif()
        exif[0x010F] = "Maker"
        exif.get_ifd(0x8769).update({0x9003: f"2024:10:27 0{hour}:30:01", 0x9011: "+00:00"})
        shown = picture(background=(shade, shade, shade), faces=[Box(20, 10, 60, 50)])
        (root / f"{hour}.png").write_bytes(encoded(shown, exif=exif))
    scanned(root, tmp_path / "case.db")
    write_report(tmp_path / "case.db", tmp_path / "r.html", None, ReportSettings(tz="Europe/Vienna"))
    for face, offset in ((1, 2), (2, 1)):
        opened(page, f"{(tmp_path / 'r.html').as_uri()}#face={face}")
        text = page.locator("#detail").inner_text()
        assert f"(2024-10-27 02:30:01 GMT+0{offset}:00 Europe/Vienna)" in text.replace("\u2212", "-"), (
            text
        )


def test_names_written_from_right_to_left_stand_by_themselves(page: Any, tmp_path: Path) -> None:
    root = tmp_path / "evidence"
    root.mkdir()
    for name in ("\u05d0\u05d1\u05d2 1.png", "2.png", "3 \u05d0\u05d1\u05d2.png"):
        (root / name).write_bytes(encoded(picture(faces=[Box(20, 10, 60, 50)])))
    scanned(root, tmp_path / "case.db")
    write_report(tmp_path / "case.db", tmp_path / "r.html", None, ReportSettings())
    opened(page, (tmp_path / "r.html").as_uri() + "#face=1")
    assert page.locator("#detail .facts bdi").count() == 3  # the face's own, and of two copies
    # Three paths, two that are the same as the first, three copies.
    assert page.locator("#evidence bdi").count() == 8


def test_a_gap_in_a_recording_is_a_gap_in_its_chart(page: Any, report: str) -> None:
    opened(page, report + "#recordings")
    chart = page.locator(".recording svg.lanes")
    chart.wait_for()
    assert chart.locator("circle").count() == 11
    lines = [
        d for d in chart.locator("path.joined").evaluate_all("n => n.map(p => p.getAttribute('d'))") if d
    ]
    # As many strokes begin as there are stretches with a face.
    assert sum(d.count("M") for d in lines) == 2
    chart.locator("circle").nth(4).dispatch_event("click")
    assert page.locator("#detail").is_visible()


@pytest.mark.parametrize("width", [390, 1280])
def test_the_evidence_is_searched_and_put_in_order(page: Any, report: str, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    opened(page, report)
    rows = page.locator("#evidence table.searched tbody tr")
    every = rows.count()
    search = page.locator("#evidence .table-search input")
    search.fill("WALK mkv")
    assert page.locator("#evidence table.searched tbody tr:visible").count() == 1
    assert f"1 of {every} rows" in page.locator("#evidence .table-search").inner_text()
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("#evidence table.searched tbody tr:visible").count() == every
    page.emulate_media(media="screen")
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("#evidence table.searched tbody tr:visible").count() == 1
    search.fill("")
    assert page.locator("#evidence table.searched tbody tr:visible").count() == every
    if width == 390:
        return  # there a row is a card, and there is no head
    head = page.locator("#evidence th", has_text="Bytes")
    for direction in ("ascending", "descending"):
        head.locator("button").click()
        assert head.get_attribute("aria-sort") == direction
        sizes = [int(text) for text in page.locator("#evidence tbody td:nth-child(4)").all_inner_texts()]
        assert sizes[:every] == sorted(sizes[:every], reverse=direction == "descending")
        assert len(set(sizes[:every])) > 1


def test_hostile_names_are_text(page: Any, report: str) -> None:
    opened(page, report)
    names = page.locator("#filter-file option").all_inner_texts()
    assert "<img src=x onerror=alert(1)>.png" in names
    assert "\\u001b[31mred\\u0007.png" in names
    assert "\\u202egnp.exe.png" in names
    assert page.locator("#gallery img[onerror]").count() == 0


def test_paper_has_every_face(page: Any, report: str) -> None:
    opened(page, report)
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator(".print-face").count() == 17
    assert page.locator(".print-face").first.is_visible()
    assert (
        "Printed below: 17 of the 17 faces that this page holds, sorted by: evidence."
        in page.inner_text("#printed")
    )
    assert not page.locator("#filters").is_visible()
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator(".print-face").count() == 0


def test_a_filtered_print_says_so_and_blurs_what_is_blurred(page: Any, report: str) -> None:
    opened(page, report + "#label=happy&min=0.3&blur=1")
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    shown = page.locator(".print-face").count()
    assert shown > 0
    text = page.inner_text("#printed")
    assert f"Printed below: {shown} of the 17 faces" in text
    assert "Filters: Label happy, Score at least 0.3." in text
    assert "face_id" in text
    image = page.locator(".print-face img").first
    assert "blur" in image.evaluate("image => getComputedStyle(image).filter")


@pytest.mark.usefixtures("browser")
def test_a_report_is_printed(case: Path, report: str, tmp_path: Path) -> None:
    write_pdf(Path(report.removeprefix("file://")), tmp_path / "report.pdf")
    content = (tmp_path / "report.pdf").read_bytes()
    assert content.startswith(b"%PDF-")
    assert len(re.findall(rb"/Type /Page\b", content)) >= 4


@pytest.mark.usefixtures("browser")
def test_a_printed_report_has_its_sum_beside_it(case: Path, tmp_path: Path) -> None:
    out, sums = tmp_path / "r.html", tmp_path / "r.pdf.sha256"
    command = ["report", str(case), "--pdf", "--out", str(out)]
    sums.write_text("somebody else's")
    assert CliRunner().invoke(app, command).exit_code == 2
    assert sorted(p.name for p in tmp_path.glob("r.*")) == ["r.pdf.sha256"], "nothing was written"
    sums.unlink()
    for _ in range(2):  # over an older one too
        assert CliRunner().invoke(app, command).exit_code == 0
        digest = hashlib.sha256((tmp_path / "r.pdf").read_bytes()).hexdigest()
        assert sums.read_text() == f"{digest}  r.pdf\n"


@pytest.mark.parametrize("where", ["", "#face=8", "#recordings"])
@pytest.mark.parametrize("width", [1280, 390])
def test_nobody_is_kept_out(page: Any, report: str, where: str, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 844})
    opened(page, report + where)
    assert serious(page) == []
    # And nothing has to be scrolled sideways.
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_figures_of_a_model_can_be_read(page: Any, tmp_path: Path) -> None:
    labels = np.arange(70) % len(LABELS)
    answers = np.random.default_rng(1).dirichlet(np.ones(len(LABELS)), 70).astype(np.float32)
    whole = measure(answers, labels, LABELS)
    evaluation = Evaluation(
        whole=whole,
        without_twins=whole,
        answered=answered_above(answers, labels, LABELS, 0.5),
        at_coverage={0.5: whole.accuracy},
        ablation={"both": whole.accuracy},
        ferplus=whole.accuracy,
        ferplus_of_output=whole.accuracy,
        ten_crop=whole.accuracy,
        robustness={
            "darkness": Disturbed(
                whole.accuracy, Lost(0.1, 0.05, 0.15), answered_above(answers, labels, LABELS, 0.5)
            )
        },
        caution="The model was fitted to most of these pictures.",
    )
    for name in PICTURES:
        (tmp_path / name).write_bytes(encoded(picture()))
    about = {"model": "m", "model_sha256": "0" * 64, "data": "fer2013.csv", "data_sha256": "1" * 64}
    about["split"] = "PublicTest"
    write_page(tmp_path / "evaluation.html", about, evaluation)
    page.goto((tmp_path / "evaluation.html").as_uri())
    assert page.get_by_text("wrong among them", exact=True).is_visible()
    assert serious(page) == []


def serious(page: Any) -> list[tuple[str, list[str]]]:
    """What axe-core finds, of what it calls serious or critical: its names, where."""
    import axe_playwright_python

    page.evaluate((Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text())
    return [
        (fault["id"], [node["html"][:120] for node in fault["nodes"]][:3])
        for fault in page.evaluate("axe.run().then(r => r.violations)")
        if fault["impact"] in ("serious", "critical")
    ]


def opening(page: Any, address: str) -> float:
    """Seconds until a report shows its faces, the least of four: whatever else the machine does."""
    least = 1e9
    for _ in range(4):
        page.goto("about:blank")  # so that it is loaded anew
        started = time.perf_counter()
        opened(page, f"{address}#sort=order")
        page.wait_for_selector(".card")
        least = min(least, time.perf_counter() - started)
    return least


def test_a_large_case_opens_at_once(page: Any, report: str, tmp_path: Path) -> None:
    case = write_large_case(tmp_path / "large.db", 30_000, 500)
    write_report(case, tmp_path / "large.html", None, ReportSettings())
    seconds = opening(page, (tmp_path / "large.html").as_uri())
    print(f"\n30,000 faces: {(tmp_path / 'large.html').stat().st_size >> 20} MiB, {seconds:.2f} s")
    assert count(page) == 30_000
    # Only what is in view is drawn.
    assert page.locator(".card").count() < 150
    page.evaluate("scrollTo(0, document.body.scrollHeight / 2)")
    page.locator(".card").first.wait_for()
    assert page.locator(".card").count() < 150
    # On a machine so slow, or so busy, that 17 faces take a fifth of a second, it may take longer.
    assert seconds < max(3, 15 * opening(page, report))


@contextmanager
def served(case: Path) -> Iterator[tuple[ReviewServer, Desk]]:
    """The pages on which Ann reviews the first run."""
    desk = Desk(case, 1, "Ann", ("femo",), lambda: review_page(case, 1, "Ann"))
    server = ReviewServer(desk)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server, desk
    finally:
        server.shutdown()
        server.server_close()


def test_a_review_is_written_from_the_page(page: Any, case: Path) -> None:
    with served(case) as (server, desk):
        opened(page, server.url + "#face=8")
        page.fill("#note", "<b>looks \u202e sad</b>")
        page.select_option(".review select", "sad")
        page.click("#relabel")
        page.wait_for_selector(".review p:has-text('relabelled as sad by Ann')")
        page.keyboard.press("Escape")
        page.select_option("#filter-review", "relabelled")
        assert count(page) == 1
        with opened_case(case) as at:
            review = read_reviews(at, 1)[8]
        assert (review.verdict, review.label, review.note) == (
            "relabelled",
            "sad",
            "<b>looks \u202e sad</b>",
        )
        opened(page, server.url + "#face=8")
        assert page.input_value("#note") == "<b>looks \u202e sad</b>", "what was said is not said anew"
        page.fill("#note", "and why")
        page.keyboard.press("Escape")
        page.click("#reset")
        page.locator(".card").nth(1).click()
        page.focus("#next")
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.id") == "next", "the focus stays"
        opened(page, server.url + "#face=8")
        page.click("#withdraw")
        page.wait_for_selector("#withdraw", state="detached")
        with opened_case(case) as at:
            assert read_reviews(at, 1) == {}
    assert json.dumps(desk.reviews()["reviews"]) == "[]"


def test_a_key_too_many_says_nothing_of_the_next_face(page: Any, case: Path) -> None:
    with served(case) as (server, desk):
        opened(page, server.url + "#face=8")
        assert page.is_disabled("#relabel")
        page.select_option(".review select", "sad")
        page.focus("#relabel")
        page.keyboard.press("Enter")
        page.wait_for_selector(".review p:has-text('relabelled as sad by Ann')")
        assert page.input_value(".review select") == "sad", "what was said stands there"
        page.keyboard.press("ArrowRight")
        assert page.is_disabled("#relabel")
        assert page.evaluate("document.activeElement.id") == "other", "which class, is chosen anew"
        page.keyboard.press("Escape")
        with opened_case(case) as at:
            assert set(read_reviews(at, 1)) == {8}

        opened(page, server.url + "#face=10")
        page.dblclick("#confirm")
        page.wait_for_selector(".review p:has-text('confirmed by Ann')")
        assert "Not saved" not in page.locator(".review").inner_text()
        assert len(desk.history(10)) == 1

        # Another window or reviewer says something meanwhile.
        opened(page, server.url + "#face=9")
        desk.add(Judgement(9, "rejected", note="no face"))
        page.click("#confirm")
        page.wait_for_selector(".review .status:has-text('Not saved')")
        assert "no face" in page.locator(".review").inner_text()
        with opened_case(case) as at:
            assert read_reviews(at, 1)[9].verdict == "rejected"
        page.click("#confirm")
        page.wait_for_selector(".review p:has-text('confirmed by Ann')")
