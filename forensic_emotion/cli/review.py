"""``femo review``: a person's word beside the machine's."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from forensic_emotion.cli import app, examples
from forensic_emotion.cli.options import RunNumber
from forensic_emotion.paths import visible


@app.command(
    epilog=examples(
        ("Start reviewing", 'femo review case.db --reviewer "A. Examiner"'),
        ("An earlier run, on a fixed port", "femo review case.db --run 1 --port 8123"),
    )
)
def review(
    case: Annotated[Path, typer.Argument(help="Case file.")],
    run: RunNumber = None,
    reviewer: Annotated[
        str | None,
        typer.Option(
            "--reviewer",
            help="Name of the reviewer; stored with each review. Default: the user account.",
        ),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option("--port", min=1, max=65535, help="Port on this machine. Default: a free one."),
    ] = None,
    open: Annotated[bool, typer.Option("--open", help="Open the pages in a browser.")] = False,
) -> None:
    """Serve pages on this machine where a person confirms, rejects or relabels the faces of a run.

    The address of the pages contains a secret token and cannot be reached from other machines. Reviews
    are added to the case; femo's own results are not changed. Ctrl-C ends it. See docs/review.md.
    """
    import webbrowser

    from forensic_emotion.case.alterations import altered
    from forensic_emotion.case.audit_file import audit_fault
    from forensic_emotion.case.queries import opened_case, read_run
    from forensic_emotion.case.store import account
    from forensic_emotion.cli.noting import arguments, tell_audit_fault, writable
    from forensic_emotion.errors import CaseError, UsageError
    from forensic_emotion.paths import in_utf8
    from forensic_emotion.report.render import review_page
    from forensic_emotion.review import Desk, ReviewServer

    name = account() if reviewer is None else in_utf8(reviewer).strip()
    if not name:
        raise UsageError(
            "--reviewer: the name is empty.",
            "Give a name, or leave out the option to use the account's.",
        )
    with opened_case(case) as opened:
        number = read_run(opened, run).id
        known = altered(opened, number)  # once, and not at each load of the page
        tell_audit_fault(audit_fault(opened, case))
    if not writable(case):
        raise CaseError(
            f"The case {case} is read-only; reviews cannot be written.",
            "Make it and its folder writable, or review a copy.",
        )
    desk = Desk(case, number, name, arguments(), lambda: review_page(case, number, name, known))
    server = ReviewServer(desk, port or 0)
    print(f"Run {number}, reviewed by {visible(name)}: {server.url}")
    print("Ctrl-C ends it.", flush=True)
    if open:
        webbrowser.open(server.url)
    head = server.serve()
    print(f"Reviews written: {desk.written}. Audit head: {visible(head)}")
