"""A still's EXIF → its tags as plain values, when and where it says it was taken.

Tags and types: EXIF 2.32 (CIPA DC-008). A time of EXIF has no zone of its own; it stays the text that it
is, and beside it stands what the file says of the zone.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from datetime import timedelta
from typing import Any, Literal

from PIL import ExifTags, Image
from PIL.TiffImagePlugin import IFDRational

from forensic_emotion.frames.media import DECODER_ERRORS
from forensic_emotion.moments import moment, offset
from forensic_emotion.records import MediaFacts, RecordedTime

LONGEST_BINARY = 1024
"""Bytes of a binary value that are kept; a longer one (a maker's note) is told by length and SHA-256."""

TIMES = ("Original", "Digitized")
"""Ends of the names of the tags that tell when a picture was recorded, its offset from UTC, which few
cameras write, and its fraction of a second; the best first. ``DateTime`` is none of them: it is when the
file was changed last."""
LONGEST_LIST = 64
"""Numbers of a value that are kept; of more, as TIFF has of its strips, only how many there are."""
LONGEST_TEXT = 65_536
"""Characters of a text that are kept; a longer one is told by length and SHA-256 of its UTF-8."""

_IFDS = {
    "Exif": (ExifTags.IFD.Exif, ExifTags.TAGS),
    "GPS": (ExifTags.IFD.GPSInfo, ExifTags.GPSTAGS),
    "Interop": (ExifTags.IFD.Interop, ExifTags.TAGS),
}
_POINTERS = {int(pointer) for pointer, _ in _IFDS.values()}


def read_exif(image: Image.Image, facts: MediaFacts) -> None:
    """Put a picture's EXIF into its facts.

    What cannot be read of it is told among the tags, as ``unreadable``.
    """
    try:
        exif = image.getexif()
        _read(exif, facts)
        if not exif and _claims_tags(image.info.get("exif")):
            facts.exif = {"unreadable": "there is EXIF, but no tag in it can be read"}
    except DECODER_ERRORS as error:
        facts.exif = {**(facts.exif or {}), "unreadable": f"{type(error).__name__}: {error}"}


def _claims_tags(block: object) -> bool:
    """Whether a block of EXIF is more than a sound directory of none (TIFF 6.0, section 2)."""
    if not isinstance(block, bytes) or not block:
        return False
    head = block.removeprefix(b"Exif\0\0")
    order: Literal["little", "big"] = "little" if head[:2] == b"II" else "big"
    place = int.from_bytes(head[4:8], order)
    count = head[place : place + 2]
    return head[:4] not in (b"II*\0", b"MM\0*") or len(count) < 2 or int.from_bytes(count, order) > 0


def _read(exif: Image.Exif, facts: MediaFacts) -> None:
    if not exif:
        return
    tags = {_name(ExifTags.TAGS, tag): plain(v) for tag, v in exif.items() if tag not in _POINTERS}
    facts.exif = tags  # what follows is added to it, as far as it can be read
    for group, (pointer, names) in _IFDS.items():
        try:
            of_group = dict(exif.get_ifd(pointer))
        except KeyError:  # there is none: what older Pillows say
            continue
        except DECODER_ERRORS as error:  # the others may be whole
            tags[f"{group}.unreadable"] = f"{type(error).__name__}: {error}"
            continue
        for tag, value in of_group.items():
            tags[f"{group}.{_name(names, tag)}"] = plain(value)
    for end in TIMES:
        name = f"Exif.DateTime{end}"
        # An unknown one is blank, or has blanks or zeros where its digits belong.
        if recorded := _text(tags, name, "[1-9]"):
            part = _text(tags, f"Exif.SubsecTime{end}", r"^\d{1,9} *$")
            if part and re.search(r":\d\d:\d\d\s*$", recorded):  # else it has one, or is no such time
                recorded = f"{recorded.rstrip()}.{part.strip()}"
            zone = _text(tags, f"Exif.OffsetTime{end}", "")
            zone = zone if zone is not None and offset(zone) is not None else None
            facts.recorded = RecordedTime(recorded, name, zone, "offset_tag" if zone else "none")
            break
    try:
        gps = exif.get_ifd(ExifTags.IFD.GPSInfo)
    except DECODER_ERRORS:  # said above, where it is broken
        return
    facts.gps_at = _gps_time(gps)
    if facts.recorded and facts.recorded.zone is None and facts.gps_at:
        zone = zone_between(facts.recorded.raw, facts.gps_at)
        facts.recorded = replace(facts.recorded, zone=zone, zone_source="gps" if zone else "none")
    facts.latitude = _degrees(gps, ExifTags.GPS.GPSLatitude, ExifTags.GPS.GPSLatitudeRef, 90)
    facts.longitude = _degrees(gps, ExifTags.GPS.GPSLongitude, ExifTags.GPS.GPSLongitudeRef, 180)


def _text(tags: dict[str, Any], name: str, at_least: str) -> str | None:
    """A tag's text; None if nothing in it matches what it must have."""
    value = tags.get(name)
    return value if isinstance(value, str) and re.search(at_least, value) else None


def _name(names: dict[int, str], tag: int) -> str:
    return names.get(tag, f"0x{tag:04x}")


def plain(value: object) -> object:
    """A value of EXIF or of a container as JSON has it: fractions as text ``1/60``, binary as hex."""
    if isinstance(value, IFDRational):
        return f"{value.numerator}/{value.denominator}"
    if isinstance(value, bytes):
        if len(value) > LONGEST_BINARY:
            return {"bytes": len(value), "sha256": hashlib.sha256(value).hexdigest()}
        return value.hex()
    if isinstance(value, tuple | list):
        if len(value) > LONGEST_LIST:
            return {"values": len(value)}
        return [plain(each) for each in value]
    if isinstance(value, dict):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, str):
        text = value.rstrip("\0")
        if len(text) > LONGEST_TEXT:
            sha256 = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
            return {"characters": len(text), "sha256": sha256}
        return text
    return value if isinstance(value, int) else str(value)


def _degrees(gps: dict[int, Any], tag: int, reference: int, most: int) -> float | None:
    """Degrees, minutes and seconds as one number; None if they are missing or make no place."""
    parts, side = gps.get(tag), gps.get(reference)
    if not isinstance(parts, tuple) or len(parts) != 3 or side not in ("N", "S", "E", "W"):
        return None
    try:
        value = float(parts[0]) + float(parts[1]) / 60 + float(parts[2]) / 3600
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    if not 0 <= value <= most:  # also false for "not a number", a fraction over 0
        return None
    return -value if side in ("S", "W") else value


def _gps_time(gps: dict[int, Any]) -> str | None:
    """Date and time of the satellites' clock as ``2026-11-22T19:03:26Z``; None if they are missing or no
    calendar has them."""
    date, parts = gps.get(ExifTags.GPS.GPSDateStamp), gps.get(ExifTags.GPS.GPSTimeStamp)
    if not isinstance(date, str) or not isinstance(parts, tuple) or len(parts) != 3:
        return None
    try:
        hours, minutes, seconds = (int(float(part)) for part in parts)
    except (TypeError, ValueError, OverflowError, ZeroDivisionError):
        return None
    found = moment(f"{date.rstrip(chr(0) + ' ')} {hours:02}:{minutes:02}:{seconds:02}", "Z")
    return None if found is None else f"{found:%Y-%m-%dT%H:%M:%S}Z"


ZONES = frozenset(
    (
        *range(-12 * 60, 14 * 60 + 1, 60),
        *(-570, -210, -150, 210, 270, 330, 390, 570, 630),  # half hours, as in Newfoundland and India
        *(345, 525, 765, 825),  # Nepal, Eucla, the Chathams in winter and summer
    )
)
"""Minutes that clocks somewhere are before UTC."""
NEAR = timedelta(minutes=1)
"""How far a camera's clock and the last fix may be apart for their distance to be a zone."""


def zone_between(local: str, gps: str) -> str | None:
    """The zone of a camera's clock, as ``+02:00``, if it is a zone's distance from the satellites'.

    None if it is not within a minute of one, as where the fix is old or the clock wrong.
    """
    here, there = moment(local, "Z"), moment(gps, "Z")
    if here is None or there is None:
        return None
    minutes = round((here - there) / timedelta(minutes=15)) * 15
    if minutes not in ZONES or abs(here - there - timedelta(minutes=minutes)) > NEAR:
        return None
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"
