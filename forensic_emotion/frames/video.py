"""A video → its sampled frames, each with its presentation timestamp.

PyAV (FFmpeg) decodes. A frame's time is what its stream says: ``pts * time_base``. The time is never
computed from a frame number and a rate, which is wrong for every recording of variable rate.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, cast

import av
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from forensic_emotion.errors import NoPicture, UndecodableMedia
from forensic_emotion.frames.sampling import sampler
from forensic_emotion.records import RGB, Frame, FrameTime, MediaFacts
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

BUFFER = 1 << 18


def video_frames(
    source: BinaryIO, media_type: str, settings: ScanSettings, facts: MediaFacts
) -> Iterator[Frame]:
    """The sampled frames of a file's video stream; see ``media.Reader``."""
    with _open(source, media_type, settings) as container:
        stream = _choose_stream(container, facts)
        wanted = sampler(settings)
        untimed = corrupt = 0
        for index, picture in enumerate(_decode(container, stream, facts)):
            facts.frames_decoded += 1
            corrupt += bool(picture.is_corrupt)
            time = None
            if picture.pts is not None and picture.time_base is not None:
                time = FrameTime(picture.pts, picture.time_base)
            untimed += time is None
            if index == 0:
                facts.time_base = str(picture.time_base) if picture.time_base else None
                facts.orientation = picture.rotation % 360
            if not wanted(time):
                continue
            image = as_displayed(picture, settings)
            if facts.width is None:
                facts.height, facts.width = image.shape[:2]
            yield Frame(index, time, image)
        if untimed:
            facts.note("no_timestamp", f"{untimed} frames have no presentation timestamp")
        if corrupt:
            facts.note("corrupt_frames", f"the decoder marked {corrupt} frames as damaged")


def _open(source: BinaryIO, media_type: str, settings: ScanSettings) -> InputContainer:
    source.seek(0)
    try:
        container = av.open(
            source,
            format=FORMATS[media_type],
            buffer_size=BUFFER,
            # No demuxer may open anything but the descriptor it was given.
            options={"protocol_whitelist": "none", "max_pixels": str(settings.max_pixels)},
        )
    except (FFmpegError, ValueError) as error:
        raise UndecodableMedia("damaged", f"{media_type} cannot be opened: {_text(error)}") from error
    return cast(InputContainer, container)


def _choose_stream(container: InputContainer, facts: MediaFacts) -> VideoStream:
    """The first video stream that is no cover picture; further ones are noted as not looked at."""
    streams = [s for s in container.streams.video if not _is_cover(s)]
    if not streams:
        raise NoPicture("no_video", "holds no video stream")
    if len(streams) > 1:
        facts.note(
            "further_streams",
            f"holds {len(streams)} video streams; only the first (number {streams[0].index}) was"
            " looked at",
        )
    streams[0].thread_type = "AUTO"
    return streams[0]


def _is_cover(stream: VideoStream) -> bool:
    return bool(stream.disposition & av.stream.Disposition.attached_pic)


def _decode(container: InputContainer, stream: VideoStream, facts: MediaFacts) -> Iterator[VideoFrame]:
    """Every frame that can be decoded, in order of presentation.

    A packet that fails costs its frames and is counted; a container that breaks off ends the video.
    """
    packets = failed = 0
    last_error = ""
    demuxer = container.demux(stream)
    while True:
        try:
            packet = next(demuxer)
        except StopIteration:
            break
        except (FFmpegError, OSError) as error:
            facts.note("damaged", f"breaks off after {packets} packets: {_text(error)}")
            break
        packets += packet.size > 0
        try:
            yield from packet.decode()
        except (FFmpegError, ValueError) as error:
            failed += 1
            last_error = _text(error)
    if failed:
        facts.note("damaged", f"{failed} of {packets} packets cannot be decoded: {last_error}")
    if stream.frames > packets:
        facts.note(
            "truncated",
            f"the container lists {stream.frames} frames, {packets} of them are in the file",
        )
    if not facts.frames_decoded:
        raise UndecodableMedia("no_frames", "no frame of its video stream can be decoded")


def as_displayed(picture: VideoFrame, settings: ScanSettings) -> RGB:
    """A decoded frame as RGB, turned as the stream's display matrix says."""
    if picture.width * picture.height > settings.max_pixels:
        raise UndecodableMedia(
            "too_large",
            f"a frame has {picture.width}x{picture.height} pixels (--max-pixels)",
        )
    image = cast(RGB, picture.to_ndarray(format="rgb24"))
    quarters = round(picture.rotation / 90) % 4
    return np.ascontiguousarray(np.rot90(image, quarters)) if quarters else image


def _text(error: Exception) -> str:
    """FFmpeg's own words, without the errno and the name of our file object."""
    return " ".join(str(getattr(error, "strerror", None) or error).split())
