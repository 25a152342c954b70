"""Moments: as femo writes them down (UTC, text with nanoseconds), and as files tell them."""

from __future__ import annotations

import re
import time
from datetime import datetime, timedelta, timezone


def utc(nanoseconds: int) -> str:
    """Nanoseconds since 1970 as ``2026-11-22T19:03:26.123456789Z``."""
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    try:
        moment = datetime.fromtimestamp(seconds, timezone.utc)
    except (OverflowError, OSError, ValueError):
        return f"{nanoseconds} ns since 1970"  # a year beyond 9999: kept as it stands
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{rest:09}Z"


def utc_now() -> str:
    """This moment by the machine's clock."""
    return utc(time.time_ns())


_TIME = re.compile(
    r"(\d{4})[-:](\d\d)[-:](\d\d)[T ](\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9}))?\s*(?:Z|[+-]\d\d:?\d\d)?"
)
_ZONE = re.compile(r"([+-])(\d\d):?([0-5]\d)")


def moment(text: str, zone: str) -> datetime | None:
    """A time as a file tells it, in UTC; None if it is none that a calendar has."""
    time, before = _TIME.fullmatch(text.strip()), offset(zone)
    if time is None or before is None:
        return None
    *parts, fraction = time.groups()
    try:
        local = datetime(*map(int, parts), tzinfo=timezone(before))  # type: ignore[arg-type, misc]
        return (local + timedelta(microseconds=int((fraction or "0")[:6].ljust(6, "0")))).astimezone(
            timezone.utc
        )
    except (ValueError, OverflowError):
        return None


def offset(zone: str) -> timedelta | None:
    """How far clocks are before UTC, of ``Z`` or ``+02:00``; None if it is none that clocks somewhere
    have."""
    if zone == "Z":
        return timedelta(0)
    parts = _ZONE.fullmatch(zone.strip())
    if parts is None:
        return None
    minutes = int(f"{parts[1]}1") * (int(parts[2]) * 60 + int(parts[3]))
    return timedelta(minutes=minutes) if -12 * 60 <= minutes <= 14 * 60 else None
