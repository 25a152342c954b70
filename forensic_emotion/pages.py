"""Values → one HTML page that loads nothing from anywhere."""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any
from zoneinfo import ZoneInfo

import jinja2
from markupsafe import Markup, escape

from forensic_emotion.paths import visible


def render_page(
    template: str,
    values: Mapping[str, Any],
    *,
    script: str | None = None,
    page_css: str = "",
    answers: bool = False,
) -> str:
    """Fill a template of ``templates/``; a name that it misspells is an error, not an empty place.

    The template is given ``css``, ``page_css``, ``script`` and ``policy`` too: a Content-Security-Policy
    that allows these styles, this script and pictures that the page holds, and nothing else.

    Args:
        template: its name.
        values: what it is given.
        script: a template that the page runs; None for a page without one.
        page_css: styles of this page alone.
        answers: the page is served by femo, and may send what its user says back to it.
    """
    environment = _environment()
    css = _source(environment, "report.css")
    source = _source(environment, script) if script else ""
    policy = ["default-src 'none'", "img-src data:"]
    policy.append("style-src " + " ".join(_hash(text) for text in (css, page_css) if text))
    if script:
        policy.append(f"script-src {_hash(source)}")
    if answers:
        policy.append("connect-src 'self'")
    policy += ["base-uri 'none'", "form-action 'none'"]
    given = {"css": css, "page_css": page_css, "script": source, "policy": "; ".join(policy)}
    return environment.get_template(template).render(values, **given)


def _source(environment: jinja2.Environment, name: str) -> str:
    """A file of ``templates/`` as it is."""
    assert environment.loader is not None
    return environment.loader.get_source(environment, name)[0]


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode('ascii')}'"


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
    environment.filters["percent"] = lambda share: f"{share * 100:.1f}\N{NO-BREAK SPACE}%"
    environment.filters["clock"] = clock
    environment.filters["score"] = score
    environment.filters["visible"] = visible
    environment.filters["utc"] = utc
    # A value that is markup stays that, any other is escaped.
    environment.filters["fill"] = lambda text, **values: escape(text).format(**values)
    environment.filters["name"] = lambda text: Markup("<bdi>{}</bdi>").format(text)
    return environment


def score(probability: float) -> str:
    """Three digits, cut off and not rounded: only certainty itself is shown as 1."""
    return f"{math.floor(probability * 1000) / 1000:.3f}"


def clock(seconds: float) -> str:
    """Seconds on the recording's own clock as ``0:01:02.345``."""
    sign = "-" if seconds < 0 else ""
    # Halves up, as the report's script does.
    whole, milliseconds = divmod(math.floor(abs(seconds) * 1000 + 0.5), 1000)
    return f"{sign}{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}.{milliseconds:03}"


def utc(time: str, zone: str | None = None) -> str:
    """A time as a case has it, for people to read; in a time zone too, if one is named."""
    text = time.replace("T", " ").replace("Z", " UTC")
    if zone is None or not time.endswith("Z"):
        return text
    try:
        moment = datetime.strptime(time[:19], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=timezone.utc)
        there = moment.astimezone(ZoneInfo(zone))
    except (ValueError, OverflowError):  # a time beyond the calendar
        return text
    return f"{text} ({there:%Y-%m-%d %H:%M:%S %z} {zone})"
