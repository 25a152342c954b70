"""``femo compare``: where two cases differ."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from forensic_emotion.cli import EXIT_PROBLEMS, app, examples
from forensic_emotion.cli.rows import AsJson, print_json
from forensic_emotion.paths import visible


@app.command(
    epilog=examples(
        ("Did two computers find the same?", "femo compare here.db there.db"),
        (
            "Did the second scan find what the first one did?",
            "femo compare case.db case.db --run 1 --other-run 2",
        ),
    )
)
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
    as_json: AsJson = False,
) -> None:
    """Tell where the results of two runs differ: paths, hashes, states, faces, scores.

    Both cases are only read. Exit code 0 says that they do not differ, 3 that they do.
    """
    from forensic_emotion.case.difference import differences
    from forensic_emotion.case.queries import opened_case, read_run

    found: list[dict[str, str]] = []
    with opened_case(one) as first, opened_case(other) as second:
        runs = read_run(first, run), read_run(second, other_run)
        for difference in differences((first, runs[0].id), (second, runs[1].id), tolerance):
            found.append(asdict(difference))
            if not as_json:
                print(f"{visible(difference.path)}: {visible(difference.text)}")
    compared = [
        {"case": str(path), "run": chosen.id, "results_digest": chosen.results_digest}
        for chosen, path in zip(runs, (one, other), strict=True)
    ]
    if as_json:
        print_json({"compared": compared, "tolerance": tolerance, "differences": found})
    else:
        for side in compared:
            digest = side["results_digest"]
            print(f"{visible(str(side['case']))}, run {side['run']}: results digest {digest}")
        print(f"Differences: {len(found)}, scores within {tolerance:g} taken as equal.")
    if found:
        raise typer.Exit(EXIT_PROBLEMS)
