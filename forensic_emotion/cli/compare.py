"""``femo compare``: where two cases differ."""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from forensic_emotion.cli import EXIT_PROBLEMS, app, examples
from forensic_emotion.cli.rows import AsJson, print_json, told_or_not
from forensic_emotion.errors import UsageError
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
    other: Annotated[
        Path, typer.Argument(help="Another case file, or the same one with --run and --other-run.")
    ],
    tolerance: Annotated[
        float,
        typer.Option(
            "--tolerance",
            min=0,
            max=1,
            help="Allowed difference between two numbers: absolute up to 1, relative above.",
        ),
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
    """Show where the results of two runs differ: paths, hashes, states, faces, scores, tracks,
    problems.

    Everything that the results digest covers is compared; people's reviews are not. Differing settings,
    models and versions are listed first. The digests are recomputed. Both cases are opened read-only.
    Exit code 0 means that the results do not differ, 3 that they do, or that a digest does not match
    its rows.
    """
    if not math.isfinite(tolerance):  # which older versions of click let pass
        raise UsageError("--tolerance is not a number.", "Give one from 0 to 1.")
    from forensic_emotion.case import difference
    from forensic_emotion.case.queries import opened_case, read_run

    with opened_case(one) as first, opened_case(other) as second:
        runs = read_run(first, run), read_run(second, other_run)
        if one.samefile(other) and runs[0].id == runs[1].id:
            raise UsageError(
                f"Both sides are run {runs[0].id} of {one}.",
                "Name two different runs: --run, --other-run.",
            )
        found = difference.compare((first, runs[0].id), (second, runs[1].id), tolerance)
    otherwise = list(difference.made_otherwise(*runs))
    compared = [
        {"case": str(path), "run": chosen.id, "results_digest": chosen.results_digest}
        for chosen, path in zip(runs, (one, other), strict=True)
    ]
    with told_or_not():
        if as_json:
            made = {"made_otherwise": otherwise}
            print_json({"compared": compared, "tolerance": tolerance, **made, **asdict(found)})
        else:
            for text in otherwise:
                print(f"SETTINGS DIFFER  {visible(text)}")
            for one_thing in found.differences:
                print(f"{visible(one_thing.path)}: {visible(one_thing.text)}")
            for side in compared:
                digest = visible(str(side["results_digest"] or "none yet: the run has not ended"))
                print(f"{visible(str(side['case']))}, run {side['run']}: results digest {digest}")
            for fault in found.faults:
                print(f"FAULT  {visible(fault)}")
            close = f"{found.close} numbers differ within {tolerance:g} and count as equal"
            print(f"Differences: {len(found.differences)}; {close}.")
    if not found.same:
        raise typer.Exit(EXIT_PROBLEMS)
