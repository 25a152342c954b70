"""The command ``femo``: one thin file a command; errors become words and exit codes here only."""

from __future__ import annotations

import logging
import os
import re
import signal
import sys
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, get_args

import typer
from rich.console import Console
from rich.markup import escape
from typer.core import TyperGroup

from forensic_emotion import __version__
from forensic_emotion.errors import FemoError, UsageError
from forensic_emotion.paths import visible

EXIT_PROBLEMS = 3
EXIT_INTERRUPTED = 130
EXIT_CODES = {
    0: "done",
    1: "failed",
    2: "usage error: invalid option or argument",
    EXIT_PROBLEMS: "done with problems, for the commands that say so",
    EXIT_INTERRUPTED: "interrupted, by Ctrl-C or a signal",
}
PROBLEMS_MEAN = {
    "scan": "there were problems: they are recorded in the case and in the report",
    "report": "the report was written, but rows of the case are not what the scan wrote",
    "export": "some items could not be exported, as reported; or rows are not what the scan wrote",
    "verify": "a check failed",
    "compare": "the runs differ",
    "manifest": "it was written, but rows of the case are not what the scan wrote",
}
"""What ``EXIT_PROBLEMS`` says, of each command that may end so."""


PANELS = {
    "Work on a case": ("scan", "migrate"),
    "Look at results": ("report", "review", "query", "export", "datasette", "info"),
    "Check integrity": ("verify", "compare", "manifest"),
    "Models and training": ("models", "data", "train", "merge", "evaluate"),
}
"""Every command, in the order of work, under its heading in ``femo --help``; each is a file of that name
in this folder."""


def examples(*shown: tuple[str, str]) -> str:
    """The end of a command's help: what one may want, and the command line that does it."""
    titled = (f"{text}{'' if text.endswith('?') else ':'}\n{_broken(line)}" for text, line in shown)
    return "\n\n".join(["Examples", *titled])


def _broken(command: str) -> str:
    """A command line that fits a terminal of 80 columns and can be pasted from it."""
    lines = ["  "]
    for word in re.findall(r"""(?:'[^']*'|"[^"]*"|[^\s'"])+""", command):
        if len(lines[-1]) + len(word) > COLUMNS and lines[-1].strip():
            lines[-1] += "\\"
            lines.append("    ")
        lines[-1] += f"{word} "
    return "\n".join(line.rstrip() for line in lines)


COLUMNS = 74


class Group(TyperGroup):
    """Turns femo's errors into a message and an exit code; ``FEMO_DEBUG=1`` shows tracebacks."""

    def list_commands(self, ctx: Any) -> list[str]:
        """In the order of work, not of the alphabet."""
        return [name for names in PANELS.values() for name in names]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        command: Any = super().get_command(ctx, cmd_name)
        if command is not None:
            command.rich_help_panel = next(panel for panel, names in PANELS.items() if cmd_name in names)
            # A docstring's lines are as long as the file's; a terminal has its own width.
            paragraphs = (command.help or "").split("\n\n")
            command.help = "\n\n".join(" ".join(p.split()) for p in paragraphs)
            for parameter in command.params:
                if parameter.metavar is None:
                    parameter.metavar = _metavar(parameter)
        return command

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command and what is left to it. No argument is empty: as a path that would be the working
        directory, and a shell makes one of a variable that is not set."""
        for argument in args:
            if re.fullmatch(r"(--[a-z0-9-]+=)?", argument):
                raise UsageError(
                    f"{argument.rstrip('=') or 'An argument'} is empty.",
                    "Is a shell variable not set? Write the working directory as a dot.",
                )
        for argument in args[1:]:
            if args[0] != "scan" and argument.split("=")[0] == "--case":
                raise UsageError(
                    "Only femo scan takes --case.",
                    f"Give the case as an argument: femo {args[0]} case.db",
                )
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except FemoError as error:
            if os.environ.get("FEMO_DEBUG") == "1":
                raise
            complain(error.text, error.remedy)
            raise typer.Exit(error.exit_code) from error
        except KeyboardInterrupt as error:
            complain("Interrupted.")
            raise typer.Exit(EXIT_INTERRUPTED) from error


def _metavar(parameter: Any) -> str | None:
    """How help names an argument, and what an option takes: short, for a terminal is narrow.

    Nothing for a flag; None, which leaves it to typer, where there is a choice of words.
    """
    if parameter.param_type_name == "argument":
        return str(parameter.name).upper()
    if getattr(parameter, "is_flag", False):
        return ""
    told = getattr(parameter, "type_descriptor", None)  # typer 0.29 and later
    if told is None or told.is_choice:
        return None
    kind = (*get_args(told.annotation), told.annotation)[0]
    return {int: "N", float: "N", Path: "PATH"}.get(kind, "TEXT")


def complain(text: str, remedy: str = "") -> None:
    """An error on standard error: what is wrong, then what to do."""
    console = Console(stderr=True, highlight=False, soft_wrap=True, emoji=False)
    console.print(f"[bold red]Error:[/] {escape(readable(text))}")
    if remedy:
        console.print(escape(readable(remedy)))


def readable(text: str) -> str:
    """Text of several lines that may quote evidence, safe for a terminal."""
    return "\n".join(visible(line) for line in text.split("\n"))


app = typer.Typer(
    cls=Group,
    name="femo",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    help="Find faces in photographs and video, with the location, time and expression scores of"
    " each, for a person to review.\n\nA score says how a classifier rates a picture of a face. It"
    " says nothing about what anyone felt.",
)


def _version(asked: bool) -> None:
    if asked:
        print(f"femo {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def _open_standard_streams() -> None:
    """Let what is closed of standard input, output and error lead nowhere.

    Else the next file that is opened gets its number, and what is said goes into that.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest number that is free
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, "w" if number else "r", closefd=False))


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def main() -> None:
    """Entry point of the command."""
    if os.name != "posix":
        complain(
            "femo runs on Linux; it has not been tried on macOS.",
            "On Windows, use it within WSL, the Windows Subsystem for Linux.",
        )
        sys.exit(FemoError.exit_code)
    # Libraries' own log lines are no messages of ours; what matters they raise.
    logging.basicConfig(level=logging.CRITICAL)
    if os.environ.get("FEMO_DEBUG") == "1":
        logging.getLogger("forensic_emotion").setLevel(logging.DEBUG)
        logging.getLogger().setLevel(logging.WARNING)
    _open_standard_streams()
    # Names that are not UTF-8 must not end a run for the terminal's sake.
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    # A scan that is asked to end does so as on Ctrl-C: what was finished is kept, the run says so.
    # Batch systems announce the end by one of these.
    for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGXCPU):
        signal.signal(number, _interrupt)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as it is under nohup
        signal.signal(signal.SIGHUP, _interrupt)
    try:
        app()
    except OSError as error:
        # Whatever femo opens it looks after; what has no name is standard output.
        if error.filename is not None:
            complain(
                f"{error.filename}: {error.strerror}.",
                "Check that it exists and that you have permission to use it.",
            )
        elif not isinstance(error, BrokenPipeError):
            complain(f"Cannot write to standard output: {error.strerror}.", "Is the disk full?")
        # Whoever read the output has seen enough; nothing more can be said to them.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(FemoError.exit_code)
    except Exception as error:
        if os.environ.get("FEMO_DEBUG") == "1":
            raise
        complain(
            f"This is a bug in femo, not your mistake: {type(error).__name__}: {error}",
            "Set FEMO_DEBUG=1 in the environment to see where it arose.",
        )
        sys.exit(FemoError.exit_code)


# Each command's file registers itself with the app; heavy libraries are imported when it runs.
for _names in PANELS.values():
    for _name in _names:
        import_module(f"forensic_emotion.cli.{_name}")
