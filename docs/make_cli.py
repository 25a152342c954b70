"""Write docs/cli.md from the commands themselves, in the manner of man pages.

usage: python docs/make_cli.py [--check]     --check: write nothing, fail if the page is not current
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from enum import Enum
from inspect import Parameter, cleandoc, signature
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import typer
from typer.models import ArgumentInfo, OptionInfo

from forensic_emotion.case.presets import PRESETS
from forensic_emotion.cli import EXIT_CODES, PANELS, PROBLEMS_MEAN, app
from forensic_emotion.cli.options import bare
from forensic_emotion.settings import option

PAGE = Path(__file__).parent / "cli.md"
NOTE = "<!-- Made by docs/make_cli.py; change the commands, then run it. -->"
KINDS = {Path: "PATH", int: "NUMBER", float: "NUMBER", str: "TEXT"}
NO_LIMIT = 2**31
"""The highest run number that is accepted; nobody needs to be told."""
EVERYWHERE = (
    "- `--version`: Print the version.",
    "- `--install-completion`, `--show-completion`: Let your shell complete what you type.",
    "- `--help`: After any command: what it does, its options, examples.",
)


def page() -> str:
    commands = {c.callback.__name__: c for c in app.registered_commands if c.callback}
    blocks = [
        NOTE,
        "# `femo`",
        reflowed(app.info.help),
        "## Synopsis",
        "`femo [OPTIONS] COMMAND [ARGS]`",
    ]
    blocks += ["\n".join(EVERYWHERE), "## Commands"]
    for panel, names in PANELS.items():
        lines = [f"- [`femo {n}`](#femo-{n}): {first_line(commands[n].callback)}" for n in names]
        blocks += [f"**{panel}**", "\n".join(lines)]
    codes = ["| code | meaning |", "|---|---|", *(f"| {c} | {text} |" for c, text in EXIT_CODES.items())]
    blocks += ["## Exit codes", "\n".join(codes)]
    blocks += ["## Environment", "\n".join(ENVIRONMENT)]
    for names in PANELS.values():
        for name in names:
            blocks += section(name, commands[name].callback, commands[name].epilog)
    return "\n\n".join(blocks) + "\n"


ENVIRONMENT = (
    "- `NO_COLOR`: if set, nothing is coloured. Nothing is coloured in a file or a pipe either.",
    "- `COLUMNS`: width of the help texts. Tables in a file or a pipe are as wide as they need to be.",
    "- `TMPDIR`: folder for temporary files of the browser that prints a report as PDF.",
    "- `XDG_CACHE_HOME`: `femo train`, `merge` and `evaluate` cache the landmarks of data sets in its"
    " subfolder `femo` (default: `~/.cache/femo`).",
    "- `KERAS_BACKEND`: backend of `femo train`, `femo merge` and `--runtime tensorflow`: tensorflow"
    " (the default), jax or torch.",
    "- `FEMO_DEBUG=1`: errors show where in femo they were raised.",
)


def section(name: str, command: Any, epilog: Any) -> list[str]:
    """A command as a man page has it."""
    hints = {n: bare(h) for n, h in get_type_hints(command, include_extras=True).items()}
    own = [p for p in signature(command).parameters.values() if p.annotation is not typer.Context]
    shown = [(p, *described(hints[p.name])) for p in own]
    arguments = [(p, info, kind) for p, info, kind in shown if isinstance(info, ArgumentInfo)]
    options = [(p, info, kind) for p, info, kind in shown if isinstance(info, OptionInfo)]
    synopsis = " ".join([f"femo {name}", "[OPTIONS]" if options else "", *map(placed, arguments)])
    blocks = [f"## `femo {name}`", f"**Synopsis**: `{' '.join(synopsis.split())}`"]
    blocks += reflowed(command.__doc__).split("\n\n")
    if arguments:
        lines = [f"- `{a[1].metavar or a[0].name.upper()}`: {a[1].help}" for a in arguments]
        blocks += ["**Arguments**", "\n".join(lines)]
    if options:
        blocks += ["**Options**", "\n".join(map(optional, options))]
    if name == "query":
        blocks += list(presets())
    if isinstance(epilog, str):
        blocks += ["**Examples**", shown_examples(epilog)]
    codes = [f"{code} {text}" for code, text in EXIT_CODES.items() if code != 3]
    if name in PROBLEMS_MEAN:
        codes.insert(3, f"3 {PROBLEMS_MEAN[name]}")
    return [*blocks, f"**Exit codes**: {', '.join(codes)}"]


def described(hint: Any) -> tuple[Any, Any]:
    """What typer is told of a parameter, and the type of its value (of one, if it may be repeated)."""
    kind, info = get_args(hint)
    if get_origin(kind) in (Union, UnionType):
        (kind,) = (k for k in get_args(kind) if k is not type(None))
    return info, kind


def placed(argument: tuple[Parameter, Any, Any]) -> str:
    parameter, info, kind = argument
    name = info.metavar or parameter.name.upper()
    if get_origin(kind) is list:
        return f"{name}..."
    return name if parameter.default is Parameter.empty else f"[{name}]"


def optional(chosen: tuple[Parameter, Any, Any]) -> str:
    """One line: the option, what it does, what it may be, what it is if it is not given."""
    parameter, info, kind = chosen
    repeated = get_origin(kind) is list
    kind = get_args(kind)[0] if repeated else kind
    # Within Annotated, typer takes what stands first for a default until it builds the command.
    flags = (info.param_decls or [info.default])[0].split("/")
    if kind is not bool:
        choices = "|".join(c.value for c in kind) if issubclass(kind, Enum) else KINDS[kind]
        flags[-1] += f" {choices}"
    words = [f"- {', '.join(f'`{flag}`' for flag in flags)}: {info.help}"]
    low, high = info.min, None if info.max == NO_LIMIT else info.max
    limits = [
        f"at least {low:,}" if low is not None else "",
        f"at most {high:,}" if high is not None else "",
    ]
    if any(limits):
        words.append(f"Allowed: {', '.join(filter(None, limits))}.")
    default = parameter.default.value if isinstance(parameter.default, Enum) else parameter.default
    if default is Parameter.empty:
        words.append("Required.")
    elif default not in (None, "", False):
        words.append(f"Default: {'yes' if default is True else default}.")
    return " ".join(words)


def presets() -> Iterator[str]:
    """The presets of ``femo query`` with their columns, as an examiner looks them up."""
    yield "**Presets**"
    for preset in PRESETS.values():
        taken = ", ".join(f"`{option(name)}`" for name in preset.parameters)
        columns = "\n".join(f"  - `{name}`: {text}" for name, text in preset.columns.items())
        yield f"- `{preset.name}`: {preset.title}. Takes {taken}. Columns:\n{columns}"


def shown_examples(epilog: str) -> str:
    lines = []
    for example in epilog.split("\n\n")[1:]:
        text, command = example.replace(" \\\n    ", " ").split("\n  ")
        lines.append(f"# {text.removesuffix(':')}\n$ {command}")
    return "```console\n" + "\n".join(lines) + "\n```"


def first_line(command: Callable[..., Any] | None) -> str:
    return reflowed(command.__doc__ if command else "").split("\n\n")[0]


def reflowed(text: Any) -> str:
    """A docstring with each paragraph on one line."""
    return "\n\n".join(" ".join(p.split()) for p in cleandoc(text or "").split("\n\n"))


if __name__ == "__main__":
    if "--check" not in sys.argv:
        PAGE.write_text(page(), encoding="utf-8")
    elif PAGE.read_text(encoding="utf-8") != page():
        sys.exit(f"{PAGE} is not current: run python docs/make_cli.py")
