"""A settings record → options of a command, so that default, range and help stand in one place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import Field, fields
from enum import Enum
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import typer

from forensic_emotion.settings import Settings, option


class Format(str, Enum):
    """How a command prints what it lists."""

    table = "table"
    json = "json"


RunNumber = Annotated[
    int | None,
    typer.Option("--run", min=1, max=2**31, help="Number of the run. Default: the latest."),
]
FerplusVotes = Annotated[
    Path | None,
    typer.Option("--ferplus", help="FER+ votes of the same pictures (fer2013new.csv)."),
]


def takes(settings: type[Settings]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command an option for each setting; its parameter ``settings`` gets them, checked."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        specs = fields(settings)  # type: ignore[arg-type]
        types = get_type_hints(settings)
        options = {s.name: Annotated[types[s.name], _option(s)] for s in specs}
        hints = {n: bare(h) for n, h in get_type_hints(command, include_extras=True).items()}
        own = [p for p in signature(command).parameters.values() if p.name != "settings"]

        def run(context: typer.Context, **values: Any) -> None:
            chosen = settings(**{name: values.pop(name) for name in options})
            # What stands there by itself was not asked for: it may well have no effect.
            sources = ((name, context.get_parameter_source(name)) for name in options)
            chosen.refuse_useless({n for n, source in sources if source and source.name != "DEFAULT"})
            command(**values, settings=chosen)

        # What typer reads: the command's own parameters, then one a setting.
        parameters = [
            Parameter("context", Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context),
            *(p.replace(annotation=hints[p.name], kind=Parameter.KEYWORD_ONLY) for p in own),
        ]
        parameters += [
            Parameter(s.name, Parameter.KEYWORD_ONLY, default=s.default, annotation=options[s.name])
            for s in specs
        ]
        run.__name__, run.__doc__, run.__module__ = command.__name__, command.__doc__, command.__module__
        run.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {p.name: p.annotation for p in parameters}
        return run

    return decorate


def bare(hint: Any) -> Any:
    """A hint as it stands: Python 3.10 puts an Optional around it where the default is None."""
    annotated = [each for each in get_args(hint) if get_origin(each) is Annotated]
    return annotated[0] if get_origin(hint) is Union and annotated else hint


def _option(spec: Field[Any]) -> Any:
    help_text = spec.metadata["help"]
    if spec.metadata["choices"]:
        help_text += f" One of: {', '.join(spec.metadata['choices'])}."
    if allowed := _range(spec.metadata):
        help_text += f" Allowed: {allowed}."
    flag = option(spec.name)
    if spec.default is True:
        flag += f"/{option(f'no_{spec.name}')}"
    return typer.Option(flag, help=help_text)


def _range(limits: Mapping[str, Any]) -> str:
    """What ``Settings`` accepts, in words."""
    words = (("above", "above"), ("least", "at least"), ("most", "at most"))
    return ", ".join(f"{word} {limits[name]:,}" for name, word in words if limits[name] is not None)
