"""A settings record → options of a command, so that default, range and help stand in one place."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import typer

from forensic_emotion.settings import Settings


def option(settings: type[Settings], name: str) -> Any:
    """The ``typer.Option`` of a setting."""
    (spec,) = (f for f in fields(settings) if f.name == name)  # type: ignore[arg-type]
    help_text = spec.metadata["help"]
    if spec.metadata["choices"]:
        help_text += f" One of: {', '.join(spec.metadata['choices'])}."
    flag = f"--{name.replace('_', '-')}"
    if isinstance(spec.default, bool) and spec.default:
        flag += f"/--no-{name.replace('_', '-')}"
    return typer.Option(flag, help=help_text)
