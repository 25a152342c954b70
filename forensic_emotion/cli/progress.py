"""How far a scan is, on a terminal; silent elsewhere. And what it came to, everywhere."""

from __future__ import annotations

import io
import os
import time
from collections import Counter
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from forensic_emotion.engine import Ended
from forensic_emotion.evidence import Found
from forensic_emotion.paths import AUDIT, as_text, as_typed, beside, visible
from forensic_emotion.records import Outcome

WORDS = {
    "faces": "with faces (faces)",
    "no_face": "without faces (no_face)",
    "partial": "analysed in part, or changed (partial)",
    "timeout": "timed out (timeout)",
    "out_of_memory": "out of memory (out_of_memory)",
}
"""States that read as something else without a word: so many files, not so many faces."""


class _Terminal(io.TextIOWrapper):
    """Standard error, which may go while a scan goes on: what cannot be said any more is in the case."""

    def write(self, text: str, /) -> int:
        try:
            return super().write(text)
        except OSError:
            return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            super().flush()

    def close(self) -> None:
        with suppress(OSError):
            super().close()


class ScanProgress:
    """Implements ``engine.Progress`` with rich. Progress goes to standard error."""

    def __init__(self) -> None:
        # A descriptor of its own: decoders' chatter is silenced on descriptor 2 itself.
        self._terminal = _Terminal(
            os.fdopen(os.dup(2), "wb"), encoding="utf-8", errors="backslashreplace"
        )
        console = Console(file=self._terminal, emoji=False)
        self._bar = Progress(
            TextColumn("{task.fields[files]} files"),
            BarColumn(),
            TextColumn("{task.fields[frames]} frames, {task.fields[faces]} faces"),
            TextColumn("{task.fields[rate]:.1f} frames/s"),
            TimeElapsedColumn(),
            TextColumn("left:"),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
            transient=True,
        )
        self._task = self._bar.add_task("scan", files="0", frames=0, faces=0, rate=0.0)
        self._started = time.monotonic()
        self._paths = self._done = self._frames = self._faces = 0
        self._seconds: Counter[str] = Counter()
        self._read: dict[bytes, int] = {}
        """Bytes hashed of the paths that are not done."""

    def __enter__(self) -> ScanProgress:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()
        self._terminal.close()

    def start(self, paths: int, size: int) -> None:
        self._paths = paths
        # Bytes twice, as they are hashed and when they are looked at, and one a path so that empty files
        # move the bar too.
        self._bar.update(self._task, total=2 * size + paths, files=f"0/{paths}")

    def read(self, found: Found, size: int) -> None:
        before = self._read.get(found.path, 0)
        # Who looks at a file a second time hashes it a second time.
        now = self._read[found.path] = min(found.size, before + size)
        self._bar.update(self._task, advance=now - before)

    def frame(self, faces: int) -> None:
        self._frames += 1
        self._faces += faces
        rate = self._frames / (time.monotonic() - self._started)
        self._bar.update(self._task, frames=self._frames, faces=self._faces, rate=rate)

    def done(self, found: Found, outcome: Outcome) -> None:
        self._done += 1
        self._seconds.update(outcome.seconds)
        files = f"{self._done}/{self._paths}"
        left = 2 * found.size + 1 - self._read.pop(found.path, 0)
        self._bar.update(self._task, advance=left, files=files)
        path = outcome.path_text
        if outcome.notable is not None:
            self._tell("red", path, f"NOTABLE, its hash is in {outcome.notable}")
        for problem in outcome.problems:
            self._tell("yellow", path, problem.message)

    def changed(self, path: bytes, text: str) -> None:
        self._tell("yellow", as_text(path), text)

    def _tell(self, colour: str, path: str, text: str) -> None:
        line = Text.assemble((visible(path), colour), ": ", visible(text))
        self._bar.console.print(line, soft_wrap=True, highlight=False)

    def facts(self, ended: Ended, case: Path) -> dict[str, Any]:
        """The same as ``print_end`` tells, for scripts."""
        summary = asdict(ended.summary)
        return {
            "case": str(case),
            "run": summary.pop("run_id"),
            **summary,
            "done_before": ended.done_before,
            "changes": ended.changes and asdict(ended.changes),
            "seconds": round(time.monotonic() - self._started, 3),
            "timings": dict(self._seconds),
            "results_digest": ended.results_digest,
            "audit_head": ended.audit_head,
        }

    def print_end(self, ended: Ended, case: Path, *, timings: bool) -> None:
        """The counts, and that they add up; on standard output."""
        console = Console(highlight=False, soft_wrap=True, emoji=False)
        summary, typed = ended.summary, escape(as_typed(case))
        some = {state: n for state, n in summary.states.items() if n}
        states = " + ".join(f"{n} {WORDS.get(state, state)}" for state, n in some.items())
        console.print(f"Paths: {summary.discovered}{' = ' if some else ''}{states}")
        seconds = time.monotonic() - self._started
        console.print(
            f"Faces: {summary.faces} in {summary.frames} frames analysed (copies counted once)."
            f" Problems: {summary.problems}. {seconds:.1f} s"
        )
        if summary.known or summary.notable:
            console.print(f"Known and skipped: {summary.known}. Notable: {summary.notable}.")
        if summary.access_times_not_kept:
            console.print(
                f"Access times not kept: {summary.access_times_not_kept} files. The system lets"
                " only their owner read them without changing these; the case has the earlier"
                " times."
            )
        if ended.done_before:
            console.print(f"Resumed run {summary.run_id}; already done: {ended.done_before} paths.")
        if changes := ended.changes:
            console.print(
                f"Since run {changes.since}: {changes.new} new, {changes.changed} changed,"
                f" {changes.missing} missing."
            )
            if changes.new or changes.changed or changes.missing:
                runs = f"--run {changes.since} --other-run {summary.run_id}"
                console.print(f"To list them: femo compare {typed} {typed} {runs}")
        if timings:
            self._print_timings(console, seconds)
        console.print(f"Results digest: {ended.results_digest}")
        console.print(f"Audit head: {ended.audit_head}")
        name = escape(visible(str(case)))
        audit = escape(visible(beside(case, AUDIT).name))
        console.print(f"Case: {name} (run {summary.run_id}); keep {audit} with it")
        of_run = "" if ended.is_latest else f" --run {summary.run_id}"
        more = f"; problems: femo query {typed} problems{of_run}" if summary.problems else ""
        console.print(f"Report: femo report {typed}{of_run}{more}")

    def _print_timings(self, console: Console, seconds: float) -> None:
        """What the stages took, over all workers: with several, more than the time that passed."""
        total = sum(self._seconds.values())
        table = Table("stage", "seconds", "share", "ms a frame")
        for stage, spent in self._seconds.most_common():
            each = 1000 * spent / self._frames if self._frames else 0.0
            table.add_row(stage, f"{spent:.2f}", f"{spent / total:.0%}", f"{each:.2f}")
        console.print(table)
        console.print(
            f"{total:.2f} s of work in {seconds:.2f} s; {self._frames / seconds:.1f} frames/s"
            " (the rest: starting, writing, waiting)"
        )
