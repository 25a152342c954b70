"""Write docs/cli.md from the commands themselves.

usage: python docs/make_cli.py [--check]     --check: write nothing, fail if the page is not current
"""

from __future__ import annotations

import sys
from pathlib import Path

import typer
from typer.cli import get_docs_for_click
from typer.main import get_command

from forensic_emotion.cli import app

PAGE = Path(__file__).parent / "cli.md"
NOTE = "<!-- Made by docs/make_cli.py; change the commands, then run it. -->\n\n"


def page() -> str:
    command = get_command(app)
    context = typer.Context(command, info_name="femo")
    return NOTE + get_docs_for_click(obj=command, ctx=context, name="femo").strip() + "\n"


if __name__ == "__main__":
    if "--check" not in sys.argv:
        PAGE.write_text(page(), encoding="utf-8")
    elif PAGE.read_text(encoding="utf-8") != page():
        sys.exit(f"{PAGE} is not current: run python docs/make_cli.py")
