"""How far an export is, on a terminal, and what it could not do; on standard error."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from forensic_emotion.cli import readable
from forensic_emotion.export.write import Watcher

OFTEN = 100
"""Rows between two looks of the bar."""


class RowProgress(Watcher):
    """Shows it with rich."""

    def __init__(self) -> None:
        console = Console(stderr=True, emoji=False)
        self._bar = Progress(
            TextColumn("rows"),
            MofNCompleteColumn(),
            BarColumn(),
            TimeElapsedColumn(),
            console=console,
            disable=not console.is_terminal,
            transient=True,
        )
        self._task = self._bar.add_task("export", total=None)
        self._rows = 0
        self.problems = 0

    def __enter__(self) -> RowProgress:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def start(self, rows: int) -> None:
        self._bar.update(self._task, total=rows)

    def row(self) -> None:
        self._rows += 1
        if self._rows % OFTEN == 0:
            self._bar.update(self._task, completed=self._rows)

    def tell(self, text: str) -> None:
        self.problems += 1
        self._bar.console.print(f"[yellow]{escape(readable(text))}[/]", soft_wrap=True, highlight=False)
