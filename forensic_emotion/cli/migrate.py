"""``femo migrate``: a case of an older femo → one that this femo reads."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from forensic_emotion.cli import app, examples
from forensic_emotion.cli.rows import AsJson, print_json
from forensic_emotion.paths import visible


@app.command(
    epilog=examples(
        ("Bring a case up to date; the copy is named", "femo migrate old.db"),
    )
)
def migrate(
    case: Annotated[Path, typer.Argument(help="Case file of an older femo.")],
    as_json: AsJson = False,
) -> None:
    """Bring a case of an older femo up to date. A copy of the original is kept beside it; a case that
    is already up to date is left unchanged.

    Its rows get digests, from which femo verify can tell whether they are changed later.
    """
    from forensic_emotion.case import store
    from forensic_emotion.cli.noting import arguments
    from forensic_emotion.moments import utc_now

    kept = store.migrate(case, utc_now(), arguments())
    if as_json:
        print_json({"case": str(case), "kept": kept and str(kept)})
    elif kept is None:
        print(f"Already up to date, left unchanged: {visible(str(case))}")
    else:
        print(f"Up to date: {visible(str(case))}\nOriginal:   {visible(str(kept))}")
