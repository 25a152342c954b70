"""A case → one file or folder in some format, whole or not at all."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from forensic_emotion.case.alterations import Altered, altered
from forensic_emotion.case.listing import count_rows
from forensic_emotion.case.queries import RunInfo, opened_case, read_run, refuse_output
from forensic_emotion.case.selection import Selection
from forensic_emotion.errors import FemoError, UsageError
from forensic_emotion.export.formats import Format
from forensic_emotion.export.job import Job
from forensic_emotion.hashes import file_sha256
from forensic_emotion.paths import refuse_inside, written_whole
from forensic_emotion.settings import ExportSettings


@dataclass(frozen=True)
class Order:
    """What is to be exported, and how."""

    case: Path
    format: Format
    out: Path
    run_id: int | None
    """None for the latest."""
    settings: ExportSettings
    evidence: Path | None
    """Where the evidence lies now; None where it lay when it was scanned."""


@dataclass(frozen=True)
class Exported:
    """What was written."""

    run: RunInfo
    files: int
    sha256: str | None
    """Of the file; None for a folder."""
    altered: Altered
    """What of the run is not what femo wrote, all the same exported."""


class Watcher:
    """Is told how an export goes on; this one keeps it to itself."""

    def start(self, rows: int) -> None:
        """So many rows will be taken."""

    def row(self) -> None:
        """One was taken."""

    def tell(self, text: str) -> None:
        """Something could not be done; the rest goes on."""


def export(order: Order, watcher: Watcher) -> Exported:
    """Write one run of a case in a format.

    Raises:
        CaseError: the case cannot be read.
        UsageError: it has no such run; the output would lie inside the evidence, or is there already;
            an option is for another format.
        MissingExtra: the format needs a library that is not installed.
        FemoError: the output cannot be written; then nothing of it is left.
    """
    _refuse_useless(order)
    with opened_case(order.case) as case:
        # One view of the case for all that is read, also while a scan goes on writing to it.
        case.execute("BEGIN")
        run = read_run(case, order.run_id)
        refuse_output(case, order.case, order.out, "export")
        if order.evidence is not None:
            refuse_inside(order.evidence, order.out, "export")
        _refuse_to_replace(order)
        evidence = order.evidence or Path(os.fsdecode(run.evidence_root_bytes))
        changed = altered(case, run.id)
        job = Job(case, run, order.settings, evidence, watcher.row, watcher.tell)
        watcher.start(sum(count_rows(case, run.id)) * order.format.passes)
        if order.format.folder:
            return Exported(run, _write_folder(order, job), None, changed)
        return Exported(run, 1, _write_file(order, job), changed)


def _refuse_useless(order: Order) -> None:
    """An option that would have no effect was meant to have one.

    Raises:
        UsageError: with the format that it is for.
    """
    for flag, given, name in (
        ("--evidence", order.evidence is not None, "frames"),
        ("--face-events", order.settings.face_events, "timesketch"),
    ):
        if given and order.format.name != name:
            raise UsageError(f"{flag} has no effect on {order.format.name}.", f"It is for {name}.")
    if not order.format.faces and Selection.of(order.settings).of_faces:
        text = f"{order.format.name} contains no faces, so selecting faces has no effect on it."
        raise UsageError(text, "Use --path or --notable to narrow it.")


def _refuse_to_replace(order: Order) -> None:
    """An export is written over nothing; only an empty folder may be there for one that is a folder.

    Raises:
        UsageError: something is there already.
    """
    out = order.out
    if str(out) == "-":
        raise UsageError("An export needs its own file or folder.", "Name it with --out.")
    try:
        if order.format.folder and out.is_dir() and not any(out.iterdir()):
            return
        there = os.path.lexists(out)
    except OSError as error:
        raise FemoError(
            f"The export {out} cannot be written: {error.strerror}.",
            "Check that you may use that folder.",
        ) from error
    if there:
        raise UsageError(
            f"{out} exists already; an export does not replace files.", "Choose another name."
        )


def _write_file(order: Order, job: Job) -> str:
    with written_whole(order.out, "export") as beside:
        with beside.open("xb") as target:
            order.format.writer()(job, target)
        sha256 = file_sha256(beside)
        _refuse_to_replace(order)  # once more: it took its time
    return sha256


def _write_folder(order: Order, job: Job) -> int:
    with written_whole(order.out, "export") as beside:
        beside.mkdir()
        order.format.writer()(job, beside)
        files = sum(1 for _ in beside.iterdir())
        _refuse_to_replace(order)
    return files
