"""Values → one HTML page that loads nothing from anywhere."""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Mapping
from typing import Any

import jinja2

from forensic_emotion.paths import visible


def render_page(template: str, values: Mapping[str, Any]) -> str:
    """Fill a template of ``templates/``; a name that it misspells is an error, not an empty place.

    The template is given ``css`` and ``style_hash`` too, which its Content-Security-Policy names.
    """
    environment = _environment()
    css = environment.get_template("report.css").render()
    style = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode("ascii")
    return environment.get_template(template).render(values, css=css, style_hash=style)


def data_uri(media_type: str, content: bytes) -> str:
    """A picture as an address that holds it."""
    return f"data:{media_type};base64,{base64.b64encode(content).decode('ascii')}"


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("forensic_emotion.templates", "."),
        # For every file, whatever its name: paths in evidence may be hostile.
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["percent"] = lambda share: f"{share * 100:.1f} %"
    environment.filters["clock"] = clock
    environment.filters["score"] = score
    environment.filters["visible"] = visible
    return environment


def score(probability: float) -> str:
    """Three digits, cut off and not rounded: only certainty itself is shown as 1."""
    return f"{math.floor(probability * 1000) / 1000:.3f}"


def clock(seconds: float) -> str:
    """Seconds on the recording's own clock as ``0:01:02.345``."""
    sign = "-" if seconds < 0 else ""
    whole, milliseconds = divmod(round(abs(seconds) * 1000), 1000)
    return f"{sign}{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}.{milliseconds:03}"
