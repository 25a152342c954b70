"""What a video's container and streams say of themselves: tags, when and where recorded, attachments."""

from __future__ import annotations

import re
from contextlib import suppress
from fractions import Fraction
from itertools import islice
from typing import Literal

import av
from av.container import InputContainer
from av.error import FFmpegError

from forensic_emotion.frames.exif import plain
from forensic_emotion.moments import offset
from forensic_emotion.records import MediaFacts, RecordedTime


def describe(container: InputContainer, facts: MediaFacts) -> None:
    """What container and streams say of themselves; when and where they say it was recorded."""
    own = {str(name): plain(str(value)) for name, value in container.metadata.items()}
    begins = container.start_time
    facts.metadata = {
        "container": own,
        # Seconds; where players count from, for sound may begin before the picture.
        "start_time": None if begins is None else str(Fraction(begins, av.time_base)),
        "streams": [
            {"index": s.index, "type": s.type, "codec": s.codec_context.name}
            | {name: plain(value) for name, value in s.metadata.items() if name not in OWN}
            for s in container.streams
            if s.type in ("video", "audio") and s.codec_context is not None
        ],
    }
    for tag, zone_source in TIMES:
        said = own.get(tag)
        if isinstance(said, str) and said.strip():  # no time is so long that only its length is kept
            value = _once(said)
            # FFmpeg gives creation_time as UTC, as the formats demand; many cameras write local time.
            zone = ZONE.search(value)
            zone = zone if zone and offset(zone.group()) is not None else None
            told = zone_source if zone or zone_source == "format" else "none"
            facts.recorded = RecordedTime(value, tag, zone and zone.group(), told)
            break
    for tag in ("com.apple.quicktime.location.ISO6709", "location"):
        if place := PLACE.match(str(own.get(tag))):
            latitude, longitude = float(place[1]), float(place[2])
            if abs(latitude) <= 90 and abs(longitude) <= 180:
                facts.latitude, facts.longitude = latitude, longitude
                break


def _once(value: str) -> str:
    """A tag that stands in a file twice with the same value: newer FFmpegs give both."""
    parts = value.split(";")
    return parts[0] if len(set(parts)) == 1 else value


OWN = ("index", "type", "codec")
"""What femo says of a stream itself: a tag of that name does not."""

TIMES: tuple[tuple[str, Literal["in_value", "format"]], ...] = (
    ("com.apple.quicktime.creationdate", "in_value"),
    ("creation_time", "format"),
)
"""Where a container tells its time, the best first, and what says which zone it is in."""

ZONE = re.compile(r"(Z|[+-]\d\d:?\d\d)$")

PLACE = re.compile(r"([+-]\d{1,2}(?:\.\d+)?)([+-]\d{1,3}(?:\.\d+)?)")
"""ISO 6709 in degrees."""


def attachments(container: InputContainer) -> list[str]:
    """Media types of files within a file that are no stream; but for fonts, which subtitles need."""
    attached = [stream.metadata for stream in container.streams if stream.type == "attachment"]
    kinds = [
        str(told.get("mimetype", "")) for told in attached if not FONT.search(told.get("filename", ""))
    ]
    return [kind for kind in kinds if "font" not in kind and not kind.endswith("opentype")]


FONT = re.compile(r"\.(ttf|otf|ttc|woff2?)$", re.IGNORECASE)


def note_unknown_streams(container: InputContainer, facts: MediaFacts) -> None:
    """Streams of MPEG-TS of which nothing tells what they are; they may be pictures.

    Not tables of broadcasts, which are streams without packets, nor metadata, whose kind is known.
    """
    if container.format.name != "mpegts":
        return
    unknown = {
        stream.index
        for stream in container.streams
        if stream.type in ("data", "unknown") and getattr(stream, "name", None) in (None, "bin_data")
    }
    if not unknown:
        return
    with suppress(FFmpegError, OSError, IndexError):  # told where it is decoded
        met = {packet.stream.index for packet in islice(container.demux(), MOST_PACKETS) if packet.size}
        unknown &= met
        if unknown:
            text = f"streams of an unknown kind, which may be video: {len(unknown)}"
            facts.note("not_looked_at", text)


MOST_PACKETS = 5000
"""A minute or so of a broadcast: what has come by then comes."""


def note_attachments(container: InputContainer, facts: MediaFacts) -> None:
    if others := attachments(container):
        some = ", ".join(kind[:80] for kind in dict.fromkeys(others[:5]))
        facts.note("not_looked_at", f"attached files ({some}): {len(others)}")
