"""The packets of a video stream → its frames, numbered in the order in which they are shown."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from itertools import dropwhile, islice
from typing import BinaryIO

from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from forensic_emotion.frames.container import (
    Tally,
    is_key,
    is_shown,
    listening,
    open_container,
    packets_of,
    pictures_of,
    prepare,
    problem_of,
    stream_of,
    text_of,
)
from forensic_emotion.frames.video_formats import format_of
from forensic_emotion.records import MediaFacts, Piece
from forensic_emotion.settings import ScanSettings


@dataclass
class Order:
    """In which order frames are shown of packets that were decoded, and which never come."""

    by_place: bool
    """Whether the stream does not tell when frames are shown: each has the earliest time that is left,
    for what is shown later is decoded later or has to wait."""
    half: int | None = None
    """See ``field_length``: of two such packets the first one has the frame's time."""
    due: list[int] = field(default_factory=list)
    """A heap: times of what was decoded and did not come yet; of other streams, until one came."""
    begun: bool = False
    """Whether a frame came, or a key frame was read that begins a stream without times."""
    before: int = 0
    """Pictures before that key frame, of a stream that tells no times at all."""
    lost: int = 0
    """Frames before the first one that came: what they refer to is not there."""
    is_second: bool = False
    """Whether the next half belongs to the frame of the one before."""

    def read(self, packet: Packet[VideoStream]) -> None:
        """Take note of a packet that was decoded without an error."""
        if packet.size == 0 or packet.is_discard or not is_shown(packet):
            return
        if self.half is not None and packet.duration == self.half:
            self.is_second = not self.is_second
            if not self.is_second:
                return
        time = packet.dts if self.by_place else packet.pts
        if self.by_place and packet.is_keyframe and not self.begun:
            self.lost, self.due, self.begun = len(self.due), [], True
        if packet.pts is None and packet.dts is None and not self.begun:
            if packet.is_keyframe:
                self.lost, self.begun = self.before, True
            self.before += 1
        if time is not None and (self.by_place or not self.begun):
            heapq.heappush(self.due, time)

    def done(self, packet: Packet[VideoStream], gave: bool) -> None:
        """Take note of whether a packet gave a frame, its own or one that waited for it.

        MPEG-4 Visual has packets of a few bytes that say that nothing changed. They give none, and no
        later frame has their time.
        """
        codec = packet.stream.codec_context
        if gave or not self.by_place or codec is None or codec.name != "mpeg4":
            return
        if packet.dts in self.due and len(self.due) > codec.has_b_frames:  # no frame waits for it
            self.due.remove(packet.dts)
            heapq.heapify(self.due)

    def came(self, picture: VideoFrame) -> None:
        """Take note of a frame, and give it its time where its stream does not."""
        if self.by_place:
            picture.pts = heapq.heappop(self.due) if self.due else None
        elif not self.begun and picture.pts is not None:
            self.lost, self.due = sum(time < picture.pts for time in self.due), []
        self.begun = True


LOST = "frames before the first that can be decoded, whose reference frames are missing: {}"


def decode(
    container: InputContainer,
    stream: VideoStream,
    facts: MediaFacts,
    tally: Tally,
    order: Order,
    piece: Piece | None,
) -> Iterator[tuple[int, VideoFrame]]:
    """Every frame that can be decoded, of a piece if one is given, with its number, as it is shown.

    A packet that fails costs its frames and is counted. What leads to the first frame of a piece is also
    decoded, with all that it refers to, for the last frame of the piece before; that one tells what is
    amiss with it. Here frames that refer to a group of pictures which was not read fail without a fault.
    """
    packets = failed = corrupt = came = 0
    first = piece.index if piece else 0
    leading = piece is not None and piece.before is not None
    last_error: Exception | None = None
    ended = False
    for packet in packets_of(container, stream, facts):
        packets += packet.size > 0
        tally.count(packet)
        corrupt += bool(packet.is_corrupt) and not leading
        try:
            with listening() if leading else nullcontext():
                pictures = packet.decode()
        except (FFmpegError, ValueError) as error:
            failed += not leading
            last_error = last_error if isinstance(last_error, MemoryError) else error
            continue
        order.read(packet)
        for picture in pictures:
            order.came(picture)
            if piece is not None:
                if leading and picture.pts == piece.key and not is_key(picture, stream):
                    # All that follows would be made of a picture that is not there.
                    facts.note("damaged", "what is marked as the key frame before a piece is not one")
                if picture.pts is not None and picture.pts < piece.start:
                    continue
                leading = False
                ended = piece.end is not None and (picture.pts or 0) >= piece.end
                if ended:
                    break
            came += 1
            yield first + came - 1, picture
        order.done(packet, bool(pictures))
        if ended:
            break
    if last_error is not None and failed:
        text = f"{failed} of {packets} packets cannot be decoded: {text_of(last_error)}"
        facts.note(problem_of(last_error), text)
    if corrupt:
        facts.note("damaged", f"{corrupt} of {packets} packets are incomplete")
    if order.lost and piece is None:
        facts.note("damaged", LOST.format(order.lost))
    if format_of(container).picture_a_packet and order.half is None:
        missing = tally.shown - came - failed - order.lost
        if missing > 0:
            text = (
                f"{missing} of {tally.shown} pictures give no frame; what they depend on may be cut off"
            )
            facts.note("damaged", text)
    if piece is not None and came != piece.count:
        facts.note("damaged", f"a piece has {came} frames, not {piece.count}")


def field_length(source: BinaryIO, media_type: str, number: int, settings: ScanSettings) -> int | None:
    """Duration of a packet that is half a picture, as cameras for television write H.264: two make a
    frame. None if the stream's first key frame is not of that kind."""
    with listening(), open_container(source, media_type) as container:
        stream = stream_of(container, number)
        if stream.codec_context is None or stream.codec_context.name != "h264":
            return None
        prepare(stream, settings)
        packets = dropwhile(lambda packet: not packet.is_keyframe, pictures_of(container, stream))
        two = list(islice(packets, 2))
        is_whole = not two or bool(decoded_alone(stream.codec_context, two[:1]))
        if is_whole or not decoded_alone(stream.codec_context, two):
            return None
        return two[0].duration


def decoded_alone(codec: VideoCodecContext, packets: Sequence[Packet[VideoStream]]) -> list[VideoFrame]:
    """What packets give with nothing before or behind them; none if they are damaged."""
    try:
        return [picture for packet in (*packets, None) for picture in codec.decode(packet)]
    except (FFmpegError, ValueError):
        return []
    finally:
        codec.flush_buffers()
