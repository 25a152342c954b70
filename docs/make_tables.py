"""Write forensic_emotion/case/tables.json, what docs/database.md says of tables and columns, for tools.

usage: python docs/make_tables.py [--check]     --check: write nothing, fail if the file is not current
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

PAGE = Path(__file__).parent / "database.md"
TARGET = Path(__file__).parents[1] / "forensic_emotion" / "case" / "tables.json"


def tables() -> dict[str, dict[str, object]]:
    """Each table with its text and its columns, as plain text that needs no page around it."""
    found: dict[str, dict[str, object]] = {}
    for section in re.split(r"^## ", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
        name = section.split("`")[1]
        about, _, rows = section.partition("| column | meaning |")
        paragraphs = about.split("\n\n")[1:]
        text = " ".join(p for p in paragraphs if not p.startswith("|"))
        columns: dict[str, str] = {}
        before = ""
        for column, meaning in re.findall(r"^\| `(\w+)` \| (.*) \|$", rows, flags=re.MULTILINE):
            if meaning == "as in `face_results`":
                meaning = found["face_results"]["columns"][column]  # type: ignore[index]
            elif meaning == "the same":
                meaning = columns[before]
            elif meaning.startswith("the same"):
                meaning = f"{meaning} (see {before})"
            else:
                before = column
            columns[column] = plain(meaning)
        found[name] = {"text": plain(text), "columns": columns}
    return found


def plain(text: str) -> str:
    return re.sub(r"\[(.*?)\]\(.*?\)", r"\1", " ".join(text.split())).replace("`", "")


def content() -> str:
    return json.dumps(tables(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    if "--check" not in sys.argv:
        TARGET.write_text(content(), encoding="utf-8")
    elif TARGET.read_text(encoding="utf-8") != content():
        sys.exit(f"{TARGET} is not current: run python docs/make_tables.py")
