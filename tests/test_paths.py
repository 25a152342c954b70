"""Outputs stand whole or not at all, and over nothing that is not theirs."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from forensic_emotion.errors import FemoError, UsageError
from forensic_emotion.paths import refuse_to_replace, visible, written_whole
from forensic_emotion.report.printing import write_pdf


def write_half(out: Path, folder: bool, ended_by: BaseException) -> None:
    with written_whole(out, "PDF") as unfinished:
        if folder:
            unfinished.mkdir()
            (unfinished / "part").write_text("half")
        else:
            unfinished.write_text("half")
        raise ended_by


@pytest.mark.parametrize("folder", [False, True])
def test_what_is_not_finished_leaves_nothing(tmp_path: Path, folder: bool) -> None:
    out = tmp_path / ("a" * 250)  # nearly as long as a name may be
    if not folder:
        out.write_text("the last one")
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with pytest.raises(FemoError, match="cannot be written: No space left"):
        write_half(out, folder, full)
    with pytest.raises(KeyboardInterrupt):
        write_half(out, folder, KeyboardInterrupt())
    assert os.listdir(tmp_path) == ([] if folder else [out.name])
    assert folder or out.read_text() == "the last one"
    with written_whole(out, "PDF") as unfinished:
        unfinished.write_text("whole")
    assert (out.read_text(), os.listdir(tmp_path)) == ("whole", [out.name])


def test_what_stands_is_not_called_unwritable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def only_files(path: Path) -> None:
        if path.is_dir():
            raise OSError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr("forensic_emotion.paths.to_disk", only_files)
    with written_whole(tmp_path / "out", "PDF") as unfinished:
        unfinished.write_text("whole")
    assert (tmp_path / "out").read_text() == "whole"


def test_what_is_invisible_is_told_apart() -> None:
    assert visible("\ue0001") == r"\ue0001"
    assert visible("\U000e0001") == r"\U000e0001"


def test_only_an_older_output_of_its_kind_is_replaced(tmp_path: Path) -> None:
    out = tmp_path / "out"
    refuse_to_replace(out, "PDF", b"%PDF-")
    for harmless in (b"", b"%PDF-1.4"):
        out.write_bytes(harmless)
        refuse_to_replace(out, "PDF", b"%PDF-")
    out.write_bytes(b"notes")
    with pytest.raises(UsageError, match="is not a PDF"):
        refuse_to_replace(out, "PDF", b"%PDF-")
    with pytest.raises(UsageError, match="not a regular file"):
        refuse_to_replace(tmp_path, "PDF", b"%PDF-")
    for nowhere in (out / "below", tmp_path / ("b" * 300) / "out"):
        with pytest.raises(FemoError, match="may be replaced cannot be checked"):
            refuse_to_replace(nowhere, "PDF", b"%PDF-")
        with pytest.raises(FemoError, match="cannot be written"):
            write_half(nowhere, False, KeyboardInterrupt())


def test_a_pdf_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    programs, reports = tmp_path / "bin", tmp_path / "reports"
    programs.mkdir()
    reports.mkdir()
    browser = programs / "chromium"
    browser.write_text(
        "#!/bin/sh\nfor word; do\n"
        'case "$word" in --print-to-pdf=*) echo %PDF-1.4 > "${word#*=}";; esac\ndone\n'
    )
    browser.chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=os.pathsep)
    report, out = reports / "r.html", reports / "r.pdf"
    report.write_text("<!doctype html>")
    out.write_text("notes")
    with pytest.raises(UsageError, match="is not a PDF"):
        write_pdf(report, out)
    out.unlink()
    monkeypatch.setattr("forensic_emotion.report.printing.shutil.copyfile", _full_disk)
    with pytest.raises(FemoError, match=r"PDF .*cannot be written: No space left"):
        write_pdf(report, out)
    assert os.listdir(reports) == ["r.html"]
    monkeypatch.undo()
    monkeypatch.setenv("PATH", str(programs), prepend=os.pathsep)
    write_pdf(report, out)
    assert (out.read_text(), sorted(os.listdir(reports))) == ("%PDF-1.4\n", ["r.html", "r.pdf"])


def _full_disk(_: Path, target: Path) -> None:
    target.write_text("half")
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
