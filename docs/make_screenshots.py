"""Writes the pictures of the report in this folder; needs the extra ``dev`` and Chromium.

usage: python docs/make_screenshots.py

Scans the demo evidence and a longer recording made of its portrait, so that there is a track to show.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import av
import numpy as np
import pypdfium2
from PIL import Image
from playwright.sync_api import sync_playwright

from forensic_emotion.report.printing import find_browser

DOCS = Path(__file__).parent
FOLDER = Path("/tmp/femo-demo")
FEMO = (sys.executable, "-c", "from forensic_emotion.cli import main; main()")
ABOUT = ("--case-number", "2026-0042", "--examiner", "A. Examiner", "--agency", "Demo laboratory")


def main() -> None:
    shutil.rmtree(FOLDER, ignore_errors=True)
    evidence = FOLDER / "evidence"
    shutil.copytree(DOCS.parent / "demo" / "evidence", evidence)
    write_recording(evidence / "corridor.mp4")
    case, report = FOLDER / "case.db", FOLDER / "report.html"
    scan = [*FEMO, "scan", "evidence", "--case", case.name, "--per-second", "4", *ABOUT]
    scanned = subprocess.run(scan, cwd=FOLDER, check=False)
    assert scanned.returncode == 3, "the demo evidence holds damaged files"
    command = [*FEMO, "report", case.name, "--out", report.name, "--pdf"]
    subprocess.run(command, cwd=FOLDER, check=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=find_browser(), args=["--no-sandbox", "--disable-gpu"]
        )
        address = report.as_uri()
        shoot(browser, address, "report.png", (1280, 900))
        shoot(browser, address + "#sort=score", "report_gallery.png", (1280, 900))
        shoot(browser, address + "#sort=score", "report_phone.png", (390, 844))
        shoot(browser, address + "#file=1&face=1", "report_face.png", (1280, 900))
        shoot(browser, address + "#recordings", "report_recording.png", (1280, 720))
        browser.close()
    page = pypdfium2.PdfDocument(FOLDER / "report.pdf")[0]
    keep(page.render(scale=1.2).to_pil(), "report_print.png")
    shutil.rmtree(FOLDER)


def shoot(browser: Any, address: str, name: str, size: tuple[int, int]) -> None:
    page = browser.new_page(viewport={"width": size[0], "height": size[1]})
    page.goto(address)
    page.wait_for_selector("html[data-ready]")
    page.wait_for_timeout(500)
    page.screenshot(path=FOLDER / name)
    page.close()
    keep(Image.open(FOLDER / name), name)


def keep(image: Image.Image, name: str) -> None:
    """In 128 colours, which is a quarter of the size."""
    image.convert("RGB").quantize(128).save(DOCS / name, optimize=True)


def write_recording(path: Path) -> None:
    """Twelve seconds of the portrait: it grows, is gone for three seconds, and comes back darker."""
    portrait = Image.open(DOCS.parent / "demo" / "evidence" / "portrait.jpg").convert("RGB")
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 640, 360, "yuv420p"
        for number in range(120):
            seconds = number / 10
            canvas = Image.new("RGB", (640, 360), (70, 80, 90))
            if not 5 <= seconds < 8:
                side = round(180 + 10 * seconds)
                face = portrait.resize((side, side))
                if seconds >= 8:
                    face = face.point(lambda value: value * 0.7)
                canvas.paste(face, (round(20 + 25 * seconds), 40))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.asarray(canvas), format="rgb24")))
        container.mux(stream.encode(None))


if __name__ == "__main__":
    main()
