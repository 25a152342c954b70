"""``femo compare``: where two cases differ."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from forensic_emotion.cli import EXIT_PROBLEMS, app
from forensic_emotion.paths import visible


@app.command()
def compare(
    one: Annotated[Path, typer.Argument(help="Case file.")],
    other: Annotated[Path, typer.Argument(help="Another one, or the same with other runs.")],
    tolerance: Annotated[
        float, typer.Option("--tolerance", min=0, max=1, help="How far two probabilities may lie apart.")
    ] = 1e-4,
    run: Annotated[
        int | None,
        typer.Option("--run", min=1, max=2**31, help="Run of the first. Default: the latest."),
    ] = None,
    other_run: Annotated[
        int | None,
        typer.Option("--other-run", min=1, max=2**31, help="Run of the second. Default: the latest."),
    ] = None,
) -> None:
    """Tell where the results of two runs differ: paths, hashes, states, faces, scores.

    Both cases are only read. Exit code 0 says that they do not differ, 3 that they do.
    """
    from forensic_emotion.case.difference import differences
    from forensic_emotion.case.queries import opened_case, read_run

    n = 0
    with opened_case(one) as first, opened_case(other) as second:
        runs = read_run(first, run), read_run(second, other_run)
        for found in differences((first, runs[0].id), (second, runs[1].id), tolerance):
            n += 1
            print(f"{visible(found.path)}: {visible(found.text)}")
    for chosen, path in zip(runs, (one, other), strict=True):
        print(f"{visible(str(path))}, run {chosen.id}: results digest {chosen.results_digest}")
    print(f"Differences: {n}, scores within {tolerance:g} taken as equal.")
    if n:
        raise typer.Exit(EXIT_PROBLEMS)
