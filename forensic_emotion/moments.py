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
_ZONE = re.compile(r"([+-])(\d\d):?(\d\d)")


def moment(text: str, zone: str) -> datetime | None:
    """A time as a file tells it, in UTC; None if it is none that a calendar has."""
    time, offset = _TIME.fullmatch(text.strip()), _offset(zone)
    if time is None or offset is None:
        return None
    *parts, fraction = time.groups()
    try:
        local = datetime(*map(int, parts), tzinfo=timezone(offset))  # type: ignore[arg-type, misc]
        return (local + timedelta(microseconds=int((fraction or "0")[:6].ljust(6, "0")))).astimezone(
            timezone.utc
        )
    except (ValueError, OverflowError):
        return None


def _offset(zone: str) -> timedelta | None:
    if zone == "Z":
        return timedelta(0)
    parts = _ZONE.fullmatch(zone.strip())
    if parts is None:
        return None
    minutes = int(parts[2]) * 60 + int(parts[3])
    return timedelta(minutes=-minutes if parts[1] == "-" else minutes)
