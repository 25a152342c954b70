"""``femo datasette``: case → pages in a browser, with every table and preset explained."""

from __future__ import annotations

import json
import os
import socket
from contextlib import suppress
from html import escape
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer

from forensic_emotion.cli import app, examples
from forensic_emotion.errors import CaseError, FemoError, MissingExtra, UsageError
from forensic_emotion.paths import beside, visible

HOST = "127.0.0.1"


@app.command(
    epilog=examples(
        ("Look at a case in a browser; Ctrl-C ends it", "femo datasette case.db"),
        ("Only write the metadata for datasette", "femo datasette case.db --out metadata.json"),
        (
            "Start datasette yourself with it",
            "datasette serve -i case.db --metadata metadata.json --port 8080",
        ),
    )
)
def datasette(
    case: Annotated[Path, typer.Argument(help="Case file.")],
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Write datasette's metadata to this file, and start nothing."),
    ] = None,
    port: Annotated[
        int,
        typer.Option("--port", min=0, max=65535, help="Port to listen on; 0 takes a free one."),
    ] = 8001,
) -> None:
    """Show a case in the browser with datasette: tables with explanations, and the presets as forms.

    The case is opened as an immutable file. Only this computer can reach the pages, but all of its
    users can. Needs the extra 'datasette', except for --out.
    """
    from forensic_emotion.case.queries import opened_case, refuse_output
    from forensic_emotion.paths import written_whole

    with opened_case(case) as opened:
        if out is not None:
            refuse_output(opened, case, out, "metadata")
    if out is None:
        _serve(case, port)
        return
    if os.path.lexists(out):
        raise UsageError(f"{out} exists already.", "Name another file with --out.")
    with written_whole(out, "metadata") as unfinished:
        unfinished.write_text(json.dumps(metadata(case), indent=1, ensure_ascii=False), encoding="utf-8")
    print(f"Metadata: {visible(str(out))}")


def metadata(case: Path) -> dict[str, Any]:
    """What datasette shows beside the rows of a case, in the form of its ``--metadata``."""
    from forensic_emotion.case.presets import PRESETS
    from forensic_emotion.case.tables import tables

    # Not a preset's bare name: as an address, it would hide the table of that name.
    queries = {f"preset-{preset.name}": _query(preset) for preset in PRESETS.values()}
    described = {t.name: {"description": t.text, "columns": t.columns} for t in tables()}
    return {
        "title": f"femo: {visible(case.name)}",
        "description": "A score says how a classifier rates a picture of a face. It says nothing about"
        " what anyone felt. Times are UTC, coordinates pixels of the picture as displayed.",
        "databases": {case.stem: {"tables": described, "queries": queries}},
    }


def _query(preset: Any) -> dict[str, Any]:
    from forensic_emotion.case.presets import PARAMETERS

    lists = (
        (
            "Leave empty any field that should not restrict the result",
            {p: PARAMETERS[p] for p in preset.parameters},
        ),
        ("Columns", preset.columns),
    )
    html = ""
    for heading, items in lists:
        lines = "".join(f"<li>{escape(name)}: {escape(text)}</li>" for name, text in items.items())
        html += f"<p>{heading}:</p><ul>{lines}</ul>"
    return {
        "title": preset.title,
        "sql": preset.sql.strip(),
        "params": list(preset.parameters),
        "description_html": html,
    }


def _serve(case: Path, port: int) -> None:
    """Show the case until somebody ends it.

    Raises:
        MissingExtra: datasette is not installed.
        CaseError: something may still write to the case, or datasette cannot open a file of its name.
        FemoError: the port cannot be had.
    """
    if find_spec("datasette") is None:
        raise MissingExtra("femo datasette", "datasette")
    path = case.absolute()
    if (wal := beside(path, "-wal")).exists():
        raise CaseError(
            f"The case {case} is not complete in its file: {wal.name} is beside it.",
            "If a scan is writing to it, wait until it ends; if a scan was killed, run: femo verify"
            " CASE",
        )
    # datasette puts the path into an address without quoting it.
    if any(c in str(path) for c in "?#%"):
        raise CaseError(
            f"datasette cannot open {path}: its path contains one of the characters ? # %.",
            "Open it through a link with another name: ln -s CASE /tmp/case.db",
        )
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((HOST, port))
            listening.listen()
        except OSError as error:
            raise FemoError(
                f"Cannot listen on port {port} of {HOST}: {error.strerror}.",
                "Is another program using it? Choose another with --port; --port 0 takes a free one.",
            ) from error
        _run(path, metadata(path), listening)


def _run(case: Path, about: dict[str, Any], listening: socket.socket) -> None:
    import uvicorn
    from datasette.app import Datasette

    pages = Datasette([], immutables=[str(case)], metadata=about, settings={"sql_time_limit_ms": 10_000})
    server = uvicorn.Server(uvicorn.Config(_from_here(pages.app()), log_level="warning", lifespan="on"))
    port = listening.getsockname()[1]
    print(f"{visible(case.name)}: http://{HOST}:{port}/  (Ctrl-C ends it)", flush=True)
    with suppress(KeyboardInterrupt):  # the way to end it, no failure
        server.run(sockets=[listening])


def _from_here(pages: Any) -> Any:
    """Only what a browser asks this computer for by its own name.

    Any page on the web can name an address of its own that leads to 127.0.0.1, and then read a case
    that is shown there.
    """

    async def checked(scope: Any, receive: Any, send: Any) -> None:
        hosts = [value.decode("latin-1") for name, value in scope.get("headers", ()) if name == b"host"]
        if scope["type"] == "http" and [h.rsplit(":", 1)[0] for h in hosts] not in (
            [HOST],
            ["localhost"],
        ):
            await send({"type": "http.response.start", "status": 421, "headers": []})
            await send({"type": "http.response.body", "body": b"Ask for 127.0.0.1 or localhost.\n"})
            return
        await pages(scope, receive, send)

    return checked
