"""What each table and column of a case means, for tools that show it; ``docs/database.md`` as data.

``docs/make_tables.py`` writes ``tables.json`` from that page, and a test holds the two together.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Table:
    """A table or view."""

    name: str
    text: str
    columns: dict[str, str]
    """What each column is, with its unit."""


def tables() -> list[Table]:
    content = (Path(__file__).parent / "tables.json").read_text(encoding="utf-8")
    return [Table(name, **facts) for name, facts in json.loads(content).items()]
