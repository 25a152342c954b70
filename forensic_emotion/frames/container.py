"""A video file as PyAV (FFmpeg) opens it: its streams, their packets, and what FFmpeg says meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO, cast

import av
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from forensic_emotion.errors import UndecodableMedia
from forensic_emotion.frames.video_formats import FORMATS
from forensic_emotion.records import MediaFacts
from forensic_emotion.settings import ScanSettings

RAW_TIMES = {"correct_ts_overflow": "0"}
"""Else FFmpeg adds the length of its clock to times of MPEG-TS that are well before the first one, or
takes it from them: a guess, which is wrong where recordings were joined."""

MARKED = frozenset(
    (
        *("h264", "hevc", "mpeg4", "mpeg1video", "mpeg2video", "h261", "h263", "h263p", "flv"),
        *("msmpeg4v1", "msmpeg4v2", "msmpeg4", "wmv1", "wmv2", "rv10", "rv20", "cinepak"),
        *("vp8", "vp9", "libvpx", "libvpx-vp9", "av1", "libdav1d", "theora"),
    )
)
"""Decoders that mark the picture of a key frame; of others only the container tells which it is."""

TIMES_OVER = 20
"""How often an edit list may show a whole file again."""
LOOPED = 1 << 24
"""Bytes that it may show again of however small a file."""
BUFFER = 1 << 18


def open_container(source: BinaryIO, media_type: str, **options: str) -> InputContainer:
    """Open a file from its beginning.

    Args:
        source: the file.
        media_type: as its bytes show.
        options: of FFmpeg's demuxer.

    Raises:
        UndecodableMedia: FFmpeg cannot.
    """
    source.seek(0)
    try:
        container = av.open(
            source,
            format=FORMATS[media_type].demuxer,
            buffer_size=BUFFER,
            # A title that is no UTF-8, as old cameras and tools write them, is no damage.
            metadata_errors="backslashreplace",
            # No demuxer may open anything but the descriptor it was given.
            options={"protocol_whitelist": "none", **RAW_TIMES, **options},
        )
    except (FFmpegError, ValueError) as error:
        text = f"{media_type} cannot be opened: {text_of(error)}"
        raise UndecodableMedia(problem_of(error), text) from error
    return cast(InputContainer, container)


def open_again(source: BinaryIO, media_type: str) -> InputContainer:
    """As ``open_container``; what FFmpeg says of opening it, it has said before."""
    with listening():
        return open_container(source, media_type)


Complaints = list[tuple[int, str, str]]
"""Level, what speaks, and what it says."""


@contextmanager
def listening() -> Iterator[Complaints]:
    """What FFmpeg writes to its log meanwhile: it goes on where it can, and conceals what was amiss."""
    av.logging.set_level(av.logging.ERROR)
    # Else what an earlier file gave reason to say as well would not be said of this one.
    av.logging.set_skip_repeated(False)
    with av.logging.Capture(local=False) as complaints:
        yield complaints


def note_complaints(facts: MediaFacts, complaints: Complaints, name: str = "") -> None:
    """Note what FFmpeg wrote to its log, which then is empty."""
    errors = [" ".join(text.split()) for _, _, text in complaints]
    complaints.clear()
    if errors:
        text = f"{name}FFmpeg reports errors ({len(errors)}), the first: {errors[0]}"
        facts.note("decoder_errors", text)


def videos(container: InputContainer) -> list[VideoStream]:
    """The video streams that are no cover picture.

    One that another stream names as pictures of its chapters is a video: it has a time for each.
    """
    kinds = av.stream.Disposition
    return [
        stream
        for stream in container.streams.video
        if not stream.disposition & kinds.attached_pic or stream.disposition & kinds.timed_thumbnails
    ]


def stream_of(container: InputContainer, number: int) -> VideoStream:
    """A video stream by its number."""
    stream = container.streams[number]
    assert isinstance(stream, VideoStream)
    return stream


def prepare(stream: VideoStream, settings: ScanSettings) -> None:
    """Set the decoder of a stream before its first frame."""
    if stream.codec_context is None:
        raise UndecodableMedia("unsupported", "the codec of its video stream is unknown to FFmpeg")
    # FFmpeg's own guard, before it allocates a frame.
    stream.codec_context.options = {"max_pixels": str(settings.max_pixels)}
    # Not by frames: that is quicker, but on damaged streams it loses frames and errors, and not the
    # same ones each time.
    stream.thread_type = "SLICE"
    # Workers share the cores by files and pieces.
    stream.codec_context.thread_count = 1


@dataclass
class Tally:
    """What a stream promises, and what of it came; filled in while its packets are read."""

    listed: int = 0
    """Frames by the container's own number."""
    seconds: float = 0.0
    """Length by the container's own word."""
    shown: int = 0
    """Packets that came and are not hidden by an edit list."""
    last_pts: int | None = None
    """The latest of theirs."""
    place: int = -1
    """Where in the file the one that lies furthest back is."""
    end: int = 0
    """And the byte behind it."""
    goes_back: bool = False
    """Whether one came that lies before another: an edit list may show a part twice."""

    def count(self, packet: Packet[VideoStream]) -> None:
        if packet.size == 0 or packet.is_discard:
            return
        self.shown += 1
        time = packet.dts if packet.pts is None else packet.pts
        if time is not None:
            self.last_pts = time if self.last_pts is None else max(self.last_pts, time)
        if packet.pos is not None:
            self.goes_back |= packet.pos <= self.place
            self.place = max(self.place, packet.pos)
            self.end = max(self.end, packet.pos + packet.size)


def all_pictures(
    source: BinaryIO, media_type: str, number: int, **options: str
) -> Iterator[Packet[VideoStream]]:
    """The packets of a stream by themselves; what is amiss with them is said in decoding."""
    with listening(), open_container(source, media_type, **options) as container:
        stream = stream_of(container, number)
        yield from pictures_of(container, stream)


def packets_of(
    container: InputContainer, stream: VideoStream, facts: MediaFacts
) -> Iterator[Packet[VideoStream]]:
    """The packets of a stream; a container that breaks off ends them, which is noted.

    So does one that shows the same bytes again and again: a few of them would take days.
    """
    packets = again = furthest = 0
    most = TIMES_OVER * max(0, container.size) + LOOPED
    demuxed = container.demux(stream)
    while True:
        try:
            packet = next(demuxed)
        except (StopIteration, IndexError):  # see ``pictures_of``
            return
        except (FFmpegError, OSError) as error:
            text = f"breaks off after {packets} packets: {text_of(error)}"
            facts.note(problem_of(error), text)
            return
        if _is_cover(packet):
            continue
        packets += packet.size > 0
        if packet.pos is not None:
            again += packet.size if packet.pos < furthest else 0
            furthest = max(furthest, packet.pos + 1)
        if again > most:
            text = (
                f"repeats the same bytes more than {TIMES_OVER} times; what follows packet"
                f" {packets} was not analysed"
            )
            facts.note("too_many_frames", text)
            return
        yield packet


def pictures_of(container: InputContainer, stream: VideoStream) -> Iterator[Packet[VideoStream]]:
    """The packets of a stream that hold something, as far as they can be had.

    Where a stream begins late (``video._late_videos``) PyAV fails to find it behind the last packet.
    """
    try:
        for packet in container.demux(stream):
            if packet.size > 0 and not _is_cover(packet):
                yield packet
    except (FFmpegError, OSError, IndexError):
        return  # noted where it is decoded


def _is_cover(packet: Packet[VideoStream]) -> bool:
    """Whether it repeats the first picture of chapters (``videos``), as FFmpeg puts it before them."""
    chapters = packet.stream.disposition & av.stream.Disposition.timed_thumbnails
    return bool(chapters) and packet.size > 0 and packet.pts is None


def is_shown(packet: Packet[VideoStream]) -> bool:
    """Whether a packet gives a picture: VP8 has some that only others refer to (RFC 6386, 9.1)."""
    codec = packet.stream.codec_context
    return codec is None or codec.name not in VP8 or bool(bytes(packet)[0] & SHOW_FRAME)


def is_key(picture: VideoFrame, stream: VideoStream) -> bool:
    """Whether a picture needs no other one, by its own data where that tells: some containers mark all
    packets, or wrong ones."""
    codec = stream.codec_context
    return bool(picture.key_frame) or codec is None or codec.name not in MARKED


VP8 = ("vp8", "libvpx")
"""FFmpeg's decoders of it."""

SHOW_FRAME = 0x10
"""In the first byte of a VP8 frame."""


def problem_of(error: Exception) -> str:
    """FFmpeg's want of memory may be that of the process, and is no damage until it is there again in a
    fresh one (``isolation.py``); nor is it then, but what a damaged packet asks for may be it too."""
    return "out_of_memory" if isinstance(error, MemoryError) else "damaged"


def text_of(error: Exception) -> str:
    """FFmpeg's own words, without the errno and the name of our file object."""
    return " ".join(str(getattr(error, "strerror", None) or error).split())
