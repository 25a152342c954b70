"""How long a container says that its file is: what a file that was cut off falls short of."""

from __future__ import annotations

import os
from typing import BinaryIO

ASF_FILE_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
ASF_BROADCAST = 1
"""Flag of a recording that did not know yet how long it would be."""
REAL_SLACK = 64
"""Bytes by which a RealMedia file may be shorter than it says: some writers count a header too many."""
HEAD = 1 << 16
OGG_LAST = 1 << 17
"""A page of Ogg has at most 65,307 bytes."""
OGG_ENDS = 4
"""Flag of the last page of a stream (RFC 3533, section 6)."""


def cut_off(source: BinaryIO, demuxer: str) -> str | None:
    """That a file is shorter than its container says, in words; None if it is not, or that is not known.

    Args:
        source: the file.
        demuxer: FFmpeg's name of its format.
    """
    there = source.seek(0, os.SEEK_END)
    if demuxer == "ogg":
        return None if _ogg_ends(source, there) else "its last page is not marked as the end of a stream"
    promised = {"avi": _riff_end, "asf": _asf_end, "rm": _real_end}.get(demuxer, _unknown)(source, there)
    if promised is None or promised <= there:
        return None
    return f"the container says it has {promised} bytes, the file has {there}"


def _unknown(source: BinaryIO, length: int) -> int | None:
    return None


def _riff_end(source: BinaryIO, length: int) -> int:
    """Behind the last of a file's RIFF chunks; one of over a gigabyte has several (OpenDML 2.0)."""
    place = 0
    while place < length:
        source.seek(place)
        head = source.read(8)
        if len(head) < 8 or head[:4] != b"RIFF":
            break
        size = int.from_bytes(head[4:], "little")
        place += 8 + size + size % 2
    # The last chunk need not be padded.
    return place - 1 if place == length + 1 else place


def _asf_end(source: BinaryIO, length: int) -> int | None:
    """What the file properties say (ASF specification 01.20.06, 3.2)."""
    source.seek(0)
    head = source.read(HEAD)
    place = head.find(ASF_FILE_PROPERTIES)
    told = head[place + 24 : place + 104]  # behind GUID and size
    if place < 0 or len(told) < 68 or int.from_bytes(told[64:68], "little") & ASF_BROADCAST:
        return None
    return int.from_bytes(told[16:24], "little")


def _real_end(source: BinaryIO, length: int) -> int | None:
    """Behind the last of a RealMedia file's chunks: a name and a size with that, eight bytes."""
    place = 0
    while place < length:
        source.seek(place)
        head = source.read(8)
        size = int.from_bytes(head[4:], "big")
        if len(head) < 8 or size < 8:
            return None
        place += size
    return place - REAL_SLACK


def _ogg_ends(source: BinaryIO, length: int) -> bool:
    """Whether the last page ends its stream."""
    source.seek(max(0, length - OGG_LAST))
    end = source.read()
    place = end.rfind(b"OggS")
    return place < 0 or len(end) < place + 6 or bool(end[place + 5] & OGG_ENDS)
