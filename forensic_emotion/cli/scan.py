"""``femo scan``: evidence → case."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from forensic_emotion.cli import EXIT_PROBLEMS, app, examples
from forensic_emotion.cli.options import takes
from forensic_emotion.cli.rows import AsJson, print_json, told_or_not
from forensic_emotion.errors import UsageError
from forensic_emotion.settings import ScanSettings


@app.command(
    epilog=examples(
        ("Scan a folder into a new case", "femo scan evidence/ --case case.db"),
        (
            "The same, naming the examiner and skipping known files",
            "femo scan evidence/ --case case.db --examiner 'A. Name' --known nsrl.db",
        ),
        (
            "A quick look: only key frames of video, faces of 40 pixels and more",
            "femo scan evidence/ --case quick.db --sample keyframes --smallest-face 40",
        ),
        (
            "Resume a scan that was stopped: the same command again",
            "femo scan evidence/ --case case.db",
        ),
    )
)
@takes(ScanSettings)
def scan(
    evidence: Annotated[Path, typer.Argument(help="Folder of photographs and video, or one file.")],
    case: Annotated[
        Path,
        typer.Option("--case", help="Case file (SQLite); created if missing, else a run is added."),
    ] = Path("case.db"),
    known: Annotated[
        list[Path] | None,
        typer.Option(
            "--known",
            help="Skip files whose hash is in this list (one hash per line, sha256sum, sha1sum,"
            " md5sum, hashdeep, CSV with a hash column, or NSRL RDSv3 as SQLite), unless --notable"
            " has it; may be repeated.",
        ),
    ] = None,
    notable: Annotated[
        list[Path] | None,
        typer.Option("--notable", help="Flag files whose hash is in this list; may be repeated."),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers", min=1, max=512, help="Number of worker processes. Default: one per core."
        ),
    ] = None,
    timings: Annotated[
        bool, typer.Option("--timings", help="Print the time that each stage took.")
    ] = False,
    case_number: Annotated[
        str, typer.Option("--case-number", help="Case number; shown in the report.")
    ] = "",
    examiner: Annotated[
        str, typer.Option("--examiner", help="Name of the examiner; shown in the report.")
    ] = "",
    agency: Annotated[
        str, typer.Option("--agency", help="Name of the agency; shown in the report.")
    ] = "",
    note: Annotated[str, typer.Option("--note", help="Free text; shown in the report.")] = "",
    as_json: AsJson = False,
    *,
    settings: ScanSettings,
) -> None:
    """Find the faces in a folder and write them, with times and hashes, to a case.

    The evidence is opened read-only. Every path ends in exactly one state, and the states add up to the
    paths found. faces, no_face: analysed in full, with or without a face (none was found at these
    settings; there may still be one). partial: analysed only in part, or times of its frames are
    missing or go backwards, or it changed during the scan. skipped: not a picture or video, known, or
    not a regular file. failed, crashed, timeout, out_of_memory: could not be analysed.

    After a scan that was stopped, the same command resumes it; after one that finished, it analyses
    everything again and adds another run to the case. Exit code 3 means that there were problems: they
    are recorded in the case and in the report, and everything else was done.
    """
    from contextlib import ExitStack, closing

    from forensic_emotion.cli.noting import tell_audit_fault
    from forensic_emotion.hashsets import ListFile
    from forensic_emotion.isolation import Equipment, Isolated, Limits
    from forensic_emotion.moments import utc_now
    from forensic_emotion.paths import in_utf8, refuse_inside, refuse_second_name, visible

    if case.exists() and evidence.exists() and case.samefile(evidence):
        raise UsageError(
            f"{evidence} is given as both the evidence and the case.",
            "Give the evidence folder as the argument, and the case with --case.",
        )
    refuse_inside(evidence, case, "case")
    refuse_second_name(case)
    started_at = utc_now()
    limits = Limits(settings.max_memory << 20, settings.patience)
    with ExitStack() as stack:
        # A case that is there is refused at once, not after the models are loaded, if it cannot be
        # written or another scan has it; one that is not there is made when all else is in order.
        store = None
        if case.exists():
            from forensic_emotion.case.store import CaseStore

            store = stack.enter_context(closing(CaseStore(case)))
            store.lock()
            tell_audit_fault(store.audit_fault)
        lists = [tuple(ListFile.of(path) for path in paths or ()) for paths in (known, notable)]
        load = Equipment(settings, *lists)
        first = stack.enter_context(Isolated(load, limits))
        # It loads what it needs while we do.
        from forensic_emotion import engine
        from forensic_emotion.case.queries import opened_case, stopped_otherwise
        from forensic_emotion.case.store import CaseStore
        from forensic_emotion.cli.noting import arguments
        from forensic_emotion.cli.progress import ScanProgress
        from forensic_emotion.machine import cores, machine_facts
        from forensic_emotion.records import CaseData, Run

        paths = engine.find_evidence(evidence)
        count = workers or cores()
        run = Run(
            evidence_root=os.fsencode(os.path.realpath(evidence)),
            started_at=started_at,
            arguments=arguments(),
            settings={**settings.in_force, "model": in_utf8(settings.model)},
            versions=first.facts.versions,
            model=first.facts.model,
            machine=machine_facts(count),
            about=CaseData(*(in_utf8(said) for said in (case_number, examiner, agency, note))),
        )
        # Each further one starts when the first path, or piece of a video, comes to it.
        analysers = [first, *(Isolated(load, limits, first.facts) for _ in range(count - 1))]
        for analyser in analysers[1:]:
            stack.push(analyser.__exit__)
        if store is None:
            store = stack.enter_context(closing(CaseStore(case)))
        with opened_case(case) as opened:
            if told := stopped_otherwise(opened, run):
                print(visible(told), file=sys.stderr)
        try:
            with ScanProgress() as progress:
                ended = engine.scan(paths, store, run, analysers, progress)
        except KeyboardInterrupt:
            text = "What was done so far is in the case; the same command resumes the scan."
            print(f"{visible(str(case))}: {text}", file=sys.stderr)
            raise
    with told_or_not():
        if as_json:
            print_json(progress.facts(ended, case))
        else:
            progress.print_end(ended, case, timings=timings)
    if ended.summary.problems:
        raise typer.Exit(EXIT_PROBLEMS)
