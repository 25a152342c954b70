"""A report → PDF, by a Chromium that is installed; its own print styles do the rest."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from forensic_emotion.errors import FemoError
from forensic_emotion.paths import refuse_to_replace, written_whole

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
PATIENCE = 300
"""Seconds that printing may take."""
BY_HAND = "Open the report in a browser and print it from there."


def find_browser() -> str:
    """The Chromium of this machine.

    Raises:
        FemoError: there is none.
    """
    for name in BROWSERS:
        path = shutil.which(name)
        if path:
            return path
    raise FemoError(
        "There is no Chromium on this machine, which --pdf needs.",
        "Install one (Debian: apt install chromium), or open the report in any browser and print it.",
    )


@contextmanager
def _folder() -> Iterator[str]:
    try:
        folder = tempfile.mkdtemp(prefix="femo-")
    except OSError as error:
        raise FemoError(
            f"A temporary folder cannot be created: {error}.",
            "Set TMPDIR to a folder that you may write to.",
        ) from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def write_pdf(report: Path, out: Path) -> None:
    """Print a report.

    The browser is started without a network, with a profile of its own that is thrown away.

    Raises:
        UsageError: something that is no PDF is there.
        FemoError: there is no browser, it fails, or the file cannot be written.
    """
    browser = find_browser()
    refuse_to_replace(out, "PDF", b"%PDF-")
    with _folder() as folder:
        printed = Path(folder) / "report.pdf"
        command = [
            *(browser, "--headless", "--disable-gpu", "--no-first-run", "--disable-sync"),
            *("--disable-background-networking", "--disable-component-update", "--disable-quic"),
            *(
                "--proxy-server=127.0.0.1:9",
                f"--user-data-dir={folder}/profile",
                "--no-pdf-header-footer",
            ),
            *("--virtual-time-budget=20000", f"--print-to-pdf={printed}"),
            # Chromium's sandbox cannot be had by root; the page is femo's own and loads nothing.
            *(("--no-sandbox",) if os.geteuid() == 0 else ()),
            report.resolve().as_uri(),
        ]
        try:
            done = subprocess.run(command, capture_output=True, timeout=PATIENCE, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise FemoError(f"{browser} did not print {report}: {error}.", BY_HAND) from error
        if done.returncode or not printed.is_file():
            last = done.stderr.decode("utf-8", "backslashreplace").strip().split("\n")[-1]
            raise FemoError(f"{browser} did not print {report}: {last}", BY_HAND)
        with written_whole(out, "PDF") as unfinished:
            shutil.copyfile(printed, unfinished)
