"""The packets of a video stream → its key frames alone, each with its number among all frames."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import BinaryIO, NamedTuple

from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from forensic_emotion.frames.container import (
    Tally,
    all_pictures,
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
from forensic_emotion.frames.decoding import (
    LOST,
    Order,
    decoded_alone,
)
from forensic_emotion.frames.video_formats import FORMATS, format_of
from forensic_emotion.records import MediaFacts, Piece
from forensic_emotion.settings import ScanSettings


class Keys(NamedTuple):
    """The key frames of a stream, in the order in which they stand there."""

    numbers: Sequence[int] = ()
    """Of each among all frames."""
    times: Sequence[int] = ()
    """Of each; empty if its packet tells it."""

    def known(self, place: int, picture: VideoFrame, stream: VideoStream) -> tuple[int, VideoFrame]:
        """The number of the key frame at a place, and its picture with its time."""
        picture.time_base = stream.time_base  # what is drained does not know it
        if self.times:
            picture.pts = self.times[place]
        return self.numbers[place], picture


def find_keys(
    source: BinaryIO,
    media_type: str,
    number: int,
    settings: ScanSettings,
    half: int | None,
    facts: MediaFacts,
) -> Keys:
    """The key frames of a stream; what cannot be decoded before the first one is noted.

    Told by their places and not by their times, for a clock may be set back: before a key frame is
    shown come all that stand before it, and those right behind it that have an earlier time (of a group
    of pictures that is open to the one before).
    """
    numbers: list[int] = []
    due: list[int] = []
    key: int | None = None  # its time, as long as what follows it may be shown before it
    halves = 0
    for packet in all_pictures(source, media_type, number):
        if packet.is_discard or not is_shown(packet):
            continue
        place, is_second = divmod(halves, 2)
        halves += 1 if is_second or packet.duration == half else 2
        if is_second:
            continue
        due += [packet.dts] if packet.dts is not None else []
        if packet.is_keyframe:
            numbers.append(place + _holds_two(packet))
            key = packet.pts
        elif key is not None and packet.pts is not None and packet.pts < key:
            numbers[-1] += 1
        else:
            key = None
    lost = _lost_at_the_start(source, media_type, number, settings, half)
    if lost:
        facts.note("damaged", LOST.format(lost))
    due.sort()
    no_times = not FORMATS[media_type].tells_when_shown and all(number < len(due) for number in numbers)
    times = [due[number] for number in numbers] if no_times else []
    return Keys([max(0, number - lost) for number in numbers], times)


def _lost_at_the_start(
    source: BinaryIO, media_type: str, number: int, settings: ScanSettings, half: int | None
) -> int:
    """How many frames come before the first one that can be decoded."""
    with listening(), open_container(source, media_type) as container:
        stream = stream_of(container, number)
        prepare(stream, settings)
        order = Order(not format_of(container).tells_when_shown, half)
        for packet in pictures_of(container, stream):
            try:
                pictures = packet.decode()
            except (FFmpegError, ValueError):
                continue  # told where its frames are wanted
            order.read(packet)
            for picture in pictures:
                order.came(picture)
                return order.lost
    return 0


def _holds_two(packet: Packet[VideoStream]) -> bool:
    """Whether a packet begins with a picture that is shown before its key frame's, or behind it: DivX
    packs two into one, so that players need not tell them apart (MPEG-4 Visual, "packed bitstream")."""
    codec = packet.stream.codec_context
    return codec is not None and codec.name == "mpeg4" and bytes(packet).count(VOP) > 1


VOP = b"\0\0\1\xb6"
"""What a picture of MPEG-4 Visual begins with (ISO/IEC 14496-2, 6.3.5)."""


def decode_keys(
    container: InputContainer,
    stream: VideoStream,
    facts: MediaFacts,
    tally: Tally,
    keys: Keys,
    piece: Piece | None,
) -> Iterator[tuple[int, VideoFrame]]:
    """Every key frame, of a piece if one is given, with its number, each decoded by itself.

    A decoder that is only told to skip other frames still waits for them: of a stream with open groups
    of pictures it gives key frames in another order, and leaves some out. So each is asked for at once,
    with nothing of the one before it left in the decoder, and one that does not come is a problem.
    """
    codec = stream.codec_context
    codec.skip_frame = "NONKEY"  # a packet that is wrongly marked would come out as noise
    met = failed = empty = corrupt = came = packets = 0
    last_error: Exception | None = None
    half: Packet[VideoStream] | None = None  # a key frame's packet that gave no picture by itself
    for packet in packets_of(container, stream, facts):
        packets += packet.size > 0
        tally.count(packet)
        corrupt += bool(packet.is_corrupt)
        if half is not None:
            codec.skip_frame = "DEFAULT"  # its second half may refer to its first one
            pictures = decoded_alone(codec, [half, packet]) if packet.size else []
            # Else it is what refers to a key frame that does not come.
            pictures = [picture for picture in pictures if picture.interlaced_frame]
            codec.skip_frame = "NONKEY"
            half = None
            empty += not pictures
            if pictures:
                came += 1
                yield keys.known(met - 1, pictures[0], stream)
            if len(pictures) == 1:  # of both, so that this packet is no key frame of its own
                continue
        if not packet.is_keyframe or packet.size == 0 or packet.is_discard:
            continue
        if piece is not None and packet.pts is not None:
            if packet.pts < piece.start:
                continue  # of the piece before: where the container could be entered
            if piece.end is not None and packet.pts >= piece.end:
                break
        if met == len(keys.numbers):
            facts.note("damaged", f"more key frames than the {met} found before")
            break
        met += 1
        try:
            pictures = [*codec.decode(packet), *codec.decode(None)]
        except (FFmpegError, ValueError) as error:
            failed += 1
            last_error = last_error if isinstance(last_error, MemoryError) else error
            pictures = []
        else:
            pictures = [picture for picture in pictures if is_key(picture, stream)]
            half = None if pictures else packet
        finally:
            codec.flush_buffers()
        for picture in pictures[:1]:  # a packet is one key frame
            came += 1
            yield keys.known(met - 1, picture, stream)
    empty += half is not None
    if last_error is not None:
        text = f"{failed} of {met} key frames cannot be decoded: {text_of(last_error)}"
        facts.note(problem_of(last_error), text)
    if corrupt:  # also of packets between them: what a recording lacks is no matter of sampling
        facts.note("damaged", f"{corrupt} of {packets} packets are incomplete")
    if empty:
        text = (
            f"{empty} of {met} key frames give no picture on their own; with another --sample they may"
        )
        facts.note("no_key_picture", text)
    if piece is not None and came != len(keys.numbers):
        facts.note("damaged", f"a piece has {came} key frames, not {len(keys.numbers)}")
