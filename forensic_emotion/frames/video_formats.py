"""The video formats that femo reads: FFmpeg's demuxer for each, and what such a file tells."""

from __future__ import annotations

from dataclasses import dataclass

from av.container import InputContainer


@dataclass(frozen=True)
class VideoFormat:
    """What is particular about the files of one format."""

    demuxer: str
    """FFmpeg's name. Naming it keeps FFmpeg from guessing: it knows formats that are mere lists of other
    files and addresses to open."""
    is_container: bool = True
    """Else the file is a stream by itself: nothing tells of a frame but its packet."""
    picture_a_packet: bool = False
    """Whether each packet of such a stream is a picture."""
    lists_streams: bool = True
    """Else a stream is known only from where its first packet lies."""
    describes_pixels: bool = True
    """Else what the picture's own data says last counts; FFmpeg keeps what it read at the start."""
    tells_when_shown: bool = True
    """Else packets have the time at which they are decoded. FFmpeg makes up when their frames are shown,
    wrongly where some are shown before others that are decoded earlier."""
    clock_ends: int | None = None
    """Units of time after which the clock begins anew."""
    counts_frames: bool = False
    """Whether its number of frames is that of the packets; others estimate, count empty ones too, or, as
    some writers of IVF, give a length in its place."""
    tells_length: bool = False
    """Whether a picture that ends well before the length it tells shows that the file was cut off."""
    has_edit_lists: bool = False
    """Whether it may say that parts of a stream are not shown, or several times."""
    finds_keys: bool = False
    """Whether FFmpeg finds a key frame in it by its timestamp."""


MPEG_CLOCK = 1 << 33
"""Of MPEG-TS and MPEG-PS, in units of 1/90000 s (ISO/IEC 13818-1)."""

_MOV = VideoFormat("mov", counts_frames=True, has_edit_lists=True, finds_keys=True)

FORMATS = {
    "video/mp4": _MOV,
    "video/quicktime": _MOV,
    "video/x-msvideo": VideoFormat("avi", tells_when_shown=False),
    "video/x-matroska": VideoFormat("matroska", finds_keys=True),
    "video/x-flv": VideoFormat("flv", lists_streams=False, tells_length=True),
    "video/x-ms-asf": VideoFormat("asf", tells_when_shown=False),
    "video/ogg": VideoFormat("ogg"),
    "video/mpeg": VideoFormat(
        "mpeg", lists_streams=False, describes_pixels=False, clock_ends=MPEG_CLOCK
    ),
    "video/mpeg-es": VideoFormat("mpegvideo", is_container=False, describes_pixels=False),
    "video/h264": VideoFormat("h264", is_container=False, picture_a_packet=True, describes_pixels=False),
    "video/h265": VideoFormat("hevc", is_container=False, picture_a_packet=True, describes_pixels=False),
    "video/mp2t": VideoFormat(
        "mpegts", lists_streams=False, describes_pixels=False, clock_ends=MPEG_CLOCK
    ),
    "application/mxf": VideoFormat("mxf", tells_length=True),
    "application/vnd.rn-realmedia": VideoFormat("rm"),
    "video/x-ivf": VideoFormat("ivf"),
}
"""Media type → its format."""

_BY_DEMUXER = {format.demuxer: format for format in FORMATS.values()}


def format_of(container: InputContainer) -> VideoFormat:
    """The format of a file that is open; FFmpeg names it together with others of its kind."""
    return _BY_DEMUXER[container.format.name.split(",")[0]]
