"""A video → its sampled frames, each with its presentation timestamp.

PyAV (FFmpeg) decodes. A frame's time is what its stream says: ``pts * time_base``. The time is never
computed from a frame number and a rate, which is wrong for every recording of variable rate.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import BinaryIO, Literal, cast

import av
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.sidedata.sidedata import SideData
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from forensic_emotion.errors import NoPicture, UndecodableMedia
from forensic_emotion.frames.sampling import sampler
from forensic_emotion.records import RGB, Frame, FrameTime, MediaFacts, RecordedTime
from forensic_emotion.settings import ScanSettings

FORMATS = {
    "video/mp4": "mov",
    "video/quicktime": "mov",
    "video/x-msvideo": "avi",
    "video/x-matroska": "matroska",
    "video/x-flv": "flv",
    "video/x-ms-asf": "asf",
    "video/ogg": "ogg",
    "video/mpeg": "mpeg",
    "video/mpeg-es": "mpegvideo",
    "video/mp2t": "mpegts",
    "application/mxf": "mxf",
    "application/vnd.rn-realmedia": "rm",
    "video/x-ivf": "ivf",
}
"""Media type → FFmpeg's demuxer for it.

Naming it keeps FFmpeg from guessing: it knows formats that are mere lists of other files and addresses
to open.
"""

COUNTS_FRAMES = ("mov", "ivf")
"""Demuxers whose number of frames is that of the packets; others estimate, or count empty ones too."""

BUFFER = 1 << 18


@dataclass
class Tally:
    """What a container promises, and what of it came; filled in while its packets are read."""

    listed: int = 0
    """Frames by the container's own number."""
    seconds: float = 0.0
    """Length by the container's own word."""
    shown: int = 0
    """Packets that came and are not hidden by an edit list."""


def video_frames(
    source: BinaryIO, media_type: str, settings: ScanSettings, facts: MediaFacts
) -> Iterator[Frame]:
    """The sampled frames of a file's video stream; see ``media.Reader``."""
    av.logging.set_level(av.logging.ERROR)
    with av.logging.Capture(local=False) as complaints:
        try:
            tally = Tally()
            with _open(source, media_type) as container:
                yield from _sampled(container, settings, facts, tally)
            _count_what_is_missing(source, media_type, facts, tally)
        finally:
            # What FFmpeg conceals (it goes on where it can) it writes to its log.
            errors = [" ".join(text.split()) for _, _, text in complaints]
            if errors:
                facts.note(
                    "decoder_errors", f"FFmpeg reports errors ({len(errors)}), first: {errors[0]}"
                )


def _open(source: BinaryIO, media_type: str, **options: str) -> InputContainer:
    source.seek(0)
    try:
        container = av.open(
            source,
            format=FORMATS[media_type],
            buffer_size=BUFFER,
            # No demuxer may open anything but the descriptor it was given.
            options={"protocol_whitelist": "none", **options},
        )
    except (FFmpegError, ValueError) as error:
        raise UndecodableMedia("damaged", f"{media_type} cannot be opened: {_text(error)}") from error
    return cast(InputContainer, container)


def _sampled(
    container: InputContainer, settings: ScanSettings, facts: MediaFacts, tally: Tally
) -> Iterator[Frame]:
    stream = _choose_stream(container, facts)
    tally.listed, tally.seconds = stream.frames, (container.duration or 0) / av.time_base
    describe(container, facts)
    # FFmpeg's own guard, before it allocates a frame.
    stream.codec_context.options = {"max_pixels": str(settings.max_pixels)}
    wanted = sampler(settings)
    turn: Turn | None = None
    untimed = corrupt = 0
    for index, picture in enumerate(_decode(container, stream, facts, tally)):
        facts.frames_decoded += 1
        corrupt += bool(picture.is_corrupt)
        time = None
        if picture.pts is not None and picture.time_base is not None:
            time = FrameTime(picture.pts, picture.time_base)
        untimed += time is None
        if picture.pts is not None:
            known = [p for p in (facts.first_pts, facts.last_pts) if p is not None]
            facts.first_pts, facts.last_pts = min([picture.pts, *known]), max([picture.pts, *known])
        if turn is None:
            turn = display_turn(picture, facts)
            facts.orientation = turn.orientation
            facts.time_base = str(picture.time_base) if picture.time_base else None
        if not wanted(time):
            continue
        image = turn.apply(_pixels(picture, settings))
        if facts.width is None:
            facts.height, facts.width = image.shape[:2]
        yield Frame(index, time, image)
    if untimed:
        facts.note("no_timestamp", f"{untimed} frames have no presentation timestamp")
    if corrupt:
        facts.note("corrupt_frames", f"the decoder marked {corrupt} frames as damaged")


def describe(container: InputContainer, facts: MediaFacts) -> None:
    """What container and streams say of themselves; when and where they say it was recorded."""
    own = {str(name): str(value) for name, value in container.metadata.items()}
    facts.metadata = {
        "container": own,
        "streams": [
            {"index": s.index, "type": s.type, "codec": s.codec_context.name, **s.metadata}
            for s in container.streams
            if s.type in ("video", "audio") and s.codec_context is not None
        ],
    }
    for tag, zone_source in TIMES:
        if tag in own:
            # FFmpeg gives creation_time as UTC, as the formats demand; many cameras write local time.
            zone = ZONE.search(own[tag])
            facts.recorded = RecordedTime(own[tag], tag, zone and zone.group(), zone_source)
            break
    for tag in ("com.apple.quicktime.location.ISO6709", "location"):
        if place := PLACE.match(own.get(tag, "")):
            facts.latitude, facts.longitude = float(place[1]), float(place[2])
            break


TIMES: tuple[tuple[str, Literal["in_value", "format"]], ...] = (
    ("com.apple.quicktime.creationdate", "in_value"),
    ("creation_time", "format"),
)
"""Where a container tells its time, the best first, and what says which zone it is in."""
ZONE = re.compile(r"(Z|[+-]\d\d:?\d\d)$")
PLACE = re.compile(r"([+-]\d{1,2}(?:\.\d+)?)([+-]\d{1,3}(?:\.\d+)?)")
"""ISO 6709 in degrees."""


def _choose_stream(container: InputContainer, facts: MediaFacts) -> VideoStream:
    """The first video stream that is no cover picture; further ones are noted as not looked at."""
    streams = _videos(container)
    if not streams:
        raise NoPicture("no_video", "holds no video stream")
    if len(streams) > 1:
        facts.note(
            "further_streams",
            f"holds {len(streams)} video streams; only the first (number {streams[0].index}) was"
            " looked at",
        )
    if streams[0].codec_context is None:
        raise UndecodableMedia("unsupported", "its video stream has no codec that FFmpeg knows")
    # Not by frames: that is quicker, but on damaged streams it loses frames and errors, and not the
    # same ones each time.
    streams[0].thread_type = "SLICE"
    return streams[0]


def _videos(container: InputContainer) -> list[VideoStream]:
    """The video streams that are no cover picture."""
    cover = av.stream.Disposition.attached_pic
    return [stream for stream in container.streams.video if not stream.disposition & cover]


def _decode(
    container: InputContainer, stream: VideoStream, facts: MediaFacts, tally: Tally
) -> Iterator[VideoFrame]:
    """Every frame that can be decoded, in order of presentation.

    A packet that fails costs its frames and is counted; a container that breaks off ends the video.
    """
    packets = failed = corrupt = 0
    last_error = ""
    demuxed = container.demux(stream)
    while True:
        try:
            packet = next(demuxed)
        except StopIteration:
            break
        except (FFmpegError, OSError) as error:
            facts.note("damaged", f"breaks off after {packets} packets: {_text(error)}")
            break
        packets += packet.size > 0
        tally.shown += packet.size > 0 and not packet.is_discard
        corrupt += bool(packet.is_corrupt)
        try:
            yield from packet.decode()
        except (FFmpegError, ValueError) as error:
            failed += 1
            last_error = _text(error)
    if failed:
        facts.note("damaged", f"{failed} of {packets} packets cannot be decoded: {last_error}")
    if corrupt:
        facts.note("damaged", f"{corrupt} of {packets} packets are incomplete")
    if not facts.frames_decoded:
        raise UndecodableMedia("no_frames", "no frame of its video stream can be decoded")


def _count_what_is_missing(source: BinaryIO, media_type: str, facts: MediaFacts, tally: Tally) -> None:
    """Note frames that the container promises and that are not there, or that its edit list hides.

    FFmpeg leaves out what an edit list hides, some of it unread; so all packets are counted once more
    without the edit list, where the container's own number says that some did not come.
    """
    demuxer = FORMATS[media_type]
    listed = tally.listed if demuxer in COUNTS_FRAMES else 0
    present = tally.shown
    if demuxer == "mov" and listed != tally.shown:
        with _open(source, media_type, ignore_editlist="1") as container:
            present = sum(p.size > 0 for p in _packets(container, _videos(container)[0]))
        facts.frames_hidden = max(0, present - tally.shown)
    if listed > present:
        facts.note(
            "truncated", f"the container lists {listed} frames, {present} of them are in the file"
        )
    if demuxer == "avi":
        source.seek(4)
        promised = int.from_bytes(source.read(4), "little") + 8
        there = source.seek(0, io.SEEK_END)
        if promised > there:
            facts.note("truncated", f"the container says it has {promised} bytes, the file has {there}")
    if demuxer == "flv" and facts.last_pts is not None and facts.time_base is not None:
        last = float(facts.last_pts * Fraction(facts.time_base))
        # Sound may go on a little longer than the picture.
        if tally.seconds - last > max(1.0, 0.05 * tally.seconds):
            facts.note(
                "truncated", f"the container lasts {tally.seconds:.1f} s, its picture {last:.1f} s"
            )


def _packets(container: InputContainer, stream: VideoStream) -> Iterator[Packet[VideoStream]]:
    """The packets of a stream, as far as they can be had; what breaks off was noted in decoding."""
    try:
        yield from container.demux(stream)
    except (FFmpegError, OSError):
        return


def _pixels(picture: VideoFrame, settings: ScanSettings) -> RGB:
    """A decoded frame as RGB, as stored."""
    if picture.width * picture.height > settings.max_pixels:
        raise UndecodableMedia(
            "too_large",
            f"a frame has {picture.width}x{picture.height} pixels (--max-pixels)",
        )
    return cast(RGB, picture.to_ndarray(format="rgb24"))


@dataclass(frozen=True)
class Turn:
    """How a stored frame becomes the displayed one."""

    orientation: int | None
    """The same as an EXIF orientation, 1 to 8; None if the stream does not say."""
    mirrored: bool
    """Left to right, before it is turned."""
    quarters: int
    """Turns by 90 degrees counter-clockwise, 0 to 3."""

    def apply(self, image: RGB) -> RGB:
        if not self.mirrored and not self.quarters:
            return image
        image = image[:, ::-1] if self.mirrored else image
        return np.ascontiguousarray(np.rot90(image, self.quarters))


AS_STORED = Turn(None, False, 0)
TURNS = {
    # a, b, c, d of the display matrix: a stored pixel (x, y) is shown at (a x + c y, b x + d y).
    (1, 0, 0, 1): Turn(1, False, 0),
    (-1, 0, 0, 1): Turn(2, True, 0),
    (-1, 0, 0, -1): Turn(3, False, 2),
    (1, 0, 0, -1): Turn(4, True, 2),
    (0, 1, 1, 0): Turn(5, True, 1),
    (0, 1, -1, 0): Turn(6, False, 3),
    (0, -1, -1, 0): Turn(7, True, 3),
    (0, -1, 1, 0): Turn(8, False, 1),
}


def display_turn(picture: VideoFrame, facts: MediaFacts) -> Turn:
    """What the stream's display matrix asks for (ISO 14496-12, 8.3.2); nothing if it has none."""
    data = cast("SideData | None", picture.side_data.get("DISPLAYMATRIX"))
    if data is None:
        return AS_STORED
    a, b, _, c, d, *_ = np.frombuffer(bytes(data), np.int32).tolist()
    turn = TURNS.get((_sign(a), _sign(b), _sign(c), _sign(d)))
    if turn is None:
        facts.note("display_matrix", "is to be shown askew or distorted; it was looked at as stored")
        return AS_STORED
    return turn


def _sign(fixed: int) -> int:
    """-1, 0 or 1 of a 16.16 fixed-point number; what is next to nothing counts as nothing."""
    return 0 if abs(fixed) < 1 << 8 else (1 if fixed > 0 else -1)


def _text(error: Exception) -> str:
    """FFmpeg's own words, without the errno and the name of our file object."""
    return " ".join(str(getattr(error, "strerror", None) or error).split())
