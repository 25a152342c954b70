"""A video → its sampled frames, each with its presentation timestamp.

PyAV (FFmpeg) decodes. A frame's time is what its stream says: ``pts * time_base``. The time is never
computed from a frame number and a rate, which is wrong for every recording of variable rate.
"""

from __future__ import annotations

import heapq
import io
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import dropwhile, islice
from typing import Any, BinaryIO, Literal, NamedTuple, cast

import av
import numpy as np
from av.container import InputContainer
from av.container.core import Flags
from av.error import FFmpegError
from av.packet import Packet
from av.sidedata.sidedata import SideData
from av.sidedata.sidedata import Type as SideDataType
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from forensic_emotion.chips import resize
from forensic_emotion.errors import NoPicture, UndecodableMedia
from forensic_emotion.frames.beyond import another_file
from forensic_emotion.frames.exif import plain
from forensic_emotion.frames.media import Frames
from forensic_emotion.frames.sampling import sampler
from forensic_emotion.records import RGB, Frame, FrameTime, MediaFacts, Piece, RecordedTime
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
    "video/h264": "h264",
    "video/h265": "hevc",
    "video/mp2t": "mpegts",
    "application/mxf": "mxf",
    "application/vnd.rn-realmedia": "rm",
    "video/x-ivf": "ivf",
}
"""Media type → FFmpeg's demuxer for it.

Naming it keeps FFmpeg from guessing: it knows formats that are mere lists of other files and addresses
to open.
"""

NO_TIMES = ("avi",)
"""Demuxers of formats that tell when packets are decoded, and not when their frames are shown. FFmpeg
makes up the latter, wrongly where some frames are shown before others that are decoded earlier."""

COUNTS_FRAMES = ("mov", "ivf")
"""Demuxers whose number of frames is that of the packets; others estimate, or count empty ones too."""

BUFFER = 1 << 18


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


SEEKABLE = ("mov", "matroska")
"""Demuxers that find a key frame by its timestamp."""


KEYS_OF_A_PIECE = 8
"""Looking at so many takes seconds, opening a file of an hour a part of one."""
MOST_PIECES = 256
"""Of a stream: a file of many hours takes long to open."""
SHARE_OF_THE_REST = 4
"""Towards the end a piece may be as short as one in so many parts of what is left, down to one in so
many of the others' length, so that no worker is long at a last one while the rest wait."""
LEAD_SECONDS = 4.0
"""Between key frames, a piece begins at most so far behind one: from there it has to be decoded."""


def piece_seconds(sample: str, seconds: float, keys: int) -> float:
    """Least length of a piece that a long video is cut into, but for its last ones.

    To open the file once more must take less time than the piece does.

    Args:
        sample: how its frames are sampled.
        seconds: length of the stream.
        keys: its key frames, one at least.
    """
    least = 2.0 if sample in ("all", "keyframes") else 5.0
    if sample == "keyframes":
        least = max(least, KEYS_OF_A_PIECE * seconds / keys)
    return max(least, seconds / MOST_PIECES)


def plan_pieces(source: BinaryIO, media_type: str, settings: ScanSettings) -> tuple[Piece, ...]:
    """How to cut a video so that its pieces, one behind the other, are the whole.

    Returns:
        The pieces; none for a video that is short, or of which it is not certain.
    """
    if FORMATS[media_type] not in SEEKABLE or settings.sample == "scenes":
        return ()
    with _complaints() as complaints:
        try:
            with _open(source, media_type) as container:
                numbers = [stream.index for stream in _videos(container)]
                if len(numbers) < len(container.streams.video) or _attachments(container):
                    return ()  # there is something to be said of the whole
            pieces = [p for n in numbers for p in _plan_stream(source, media_type, n, settings.sample)]
        except (UndecodableMedia, FFmpegError, OSError):
            return ()  # looking at it in one piece will say what is wrong
        if complaints or len(pieces) < 2 or len({p.stream for p in pieces}) < len(numbers):
            return ()
    return tuple(pieces)


def _plan_stream(source: BinaryIO, media_type: str, number: int, sample: str) -> Iterator[Piece]:
    with _open(source, media_type) as container:
        stream = _stream(container, number)
        tally, shown = Tally(), []
        for p in filter(_is_shown, _pictures(container, stream)):
            tally.count(p)
            shown.append((p.pts, p.is_keyframe, p.is_discard, p.is_corrupt))
        listed, time_base = stream.frames, stream.time_base
    if any(pts is None or hidden or corrupt for pts, _, hidden, corrupt in shown) or not shown:
        return
    times = sorted(pts for pts, *_ in shown if pts is not None)
    if len(set(times)) < len(times) or time_base is None or not shown[0][1]:
        return
    if FORMATS[media_type] in COUNTS_FRAMES and listed != len(times):
        return
    if FORMATS[media_type] == "mov" and tally.goes_back:
        return  # the count may be that of the packets only because one is shown twice
    if another_file(source, media_type, tally.end):
        return
    keys = [pts for pts, is_key, *_ in shown if is_key and pts is not None]
    if keys != sorted(keys):
        return  # where one could stop reading is not told by their time
    only_keys = sample == "keyframes"
    seconds = float((times[-1] - times[0]) * time_base)
    length = max(1, round(piece_seconds(sample, seconds, len(keys)) / time_base))
    lead = round(LEAD_SECONDS / time_base) if sample == "all" else 0
    starts = _cut(times, keys, length, lead)
    for start, end in zip(starts, [*starts[1:], None], strict=True):
        index = bisect_left(times, start)
        count = (len(times) if end is None else bisect_left(times, end)) - index
        before = times[index - 1] if index else None
        own: tuple[int, ...] = ()
        if only_keys:
            inside = (key for key in keys if start <= key and (end is None or key < end))
            own = tuple(bisect_left(times, key) for key in inside)
        behind = bisect_right(keys, start)
        key = keys[behind - 1] if behind else start
        yield Piece(number, key, start, end, index, count, times[0], before, own)


def _cut(times: Sequence[int], keys: Sequence[int], length: int, lead: int) -> list[int]:
    """Where the pieces of a stream begin: at key frames, towards its end between them too.

    Args:
        times: of its frames, ascending.
        keys: those of key frames.
        length: least of a piece, but for the last ones.
        lead: how far behind a key frame a piece may begin; 0 where too little is looked at of what
            would have to be decoded for it.
    """
    end, key = times[-1], times[0]
    starts = [times[0]]
    if 2 * (end - times[0]) < 3 * length:
        return starts
    is_key = set(keys)
    for time in times if lead else keys:
        if time in is_key:
            key = time
        left = end - starts[-1]
        least = max(min(length, left // SHARE_OF_THE_REST), length // SHARE_OF_THE_REST, 1)
        behind_key = 0 if least == length else lead
        if time - starts[-1] >= least and 2 * (end - time) >= least and time - key <= behind_key:
            starts.append(time)
    return starts


def video_frames(
    source: BinaryIO,
    media_type: str,
    settings: ScanSettings,
    facts: MediaFacts,
    piece: Piece | None = None,
) -> Frames:
    """The sampled frames of a file's video streams, one stream behind the other; see ``media.Reader``.

    Then the pictures that are attached to it, such as a cover, which have no time.
    With a piece: those of the piece. Whatever is amiss there is noted as in a whole video; then the
    whole is to be looked at in one go, for a fault may reach further than the piece that shows it.
    """
    with _complaints() as complaints:
        try:
            with _open(source, media_type) as container:
                describe(container, facts)
                _note_attachments(container, facts)
                numbers = [stream.index for stream in _videos(container)]
                attached = [s.index for s in container.streams.video if s.index not in numbers]
            if not numbers and not attached:
                if FORMATS[media_type] in LATE_STREAMS:
                    _refuse_late_videos(source, media_type)
                raise NoPicture("no_video", "holds no video stream")
            if piece is not None or (len(numbers) == 1 and not attached):
                number = piece.stream if piece else numbers[0]
                yield from _stream_frames(source, media_type, settings, facts, number, "", piece)
                return
            _note_complaints(facts, complaints)  # of what all streams are in
            for number in numbers:
                name = f"stream {number}: "
                try:
                    yield from _stream_frames(source, media_type, settings, facts, number, name, None)
                except UndecodableMedia as error:  # the others may be sound
                    facts.note(error.problem, name + error.text)
                finally:
                    _note_complaints(facts, complaints, name)
            for number in attached:
                yield from _attached(source, media_type, settings, facts, number)
                _note_complaints(facts, complaints, f"attached picture, stream {number}: ")
            if not facts.frames_decoded:
                raise UndecodableMedia("no_frames", "no frame of its video streams can be decoded")
        finally:
            _note_complaints(facts, complaints)


Complaints = list[tuple[int, str, str]]
"""Level, what speaks, and what it says."""


@contextmanager
def _complaints() -> Iterator[Complaints]:
    """What FFmpeg writes to its log meanwhile: it goes on where it can, and conceals what was amiss."""
    av.logging.set_level(av.logging.ERROR)
    # Else what an earlier file gave reason to say as well would not be said of this one.
    av.logging.set_skip_repeated(False)
    with av.logging.Capture(local=False) as complaints:
        yield complaints


def _note_complaints(facts: MediaFacts, complaints: Complaints, name: str = "") -> None:
    """Note what FFmpeg wrote to its log, which then is empty."""
    errors = [" ".join(text.split()) for _, _, text in complaints]
    complaints.clear()
    if errors:
        text = f"{name}FFmpeg reports errors ({len(errors)}), first: {errors[0]}"
        facts.note("decoder_errors", text)


def _open(source: BinaryIO, media_type: str, **options: str) -> InputContainer:
    source.seek(0)
    try:
        container = av.open(
            source,
            format=FORMATS[media_type],
            buffer_size=BUFFER,
            # A title that is no UTF-8, as old cameras and tools write them, is no damage.
            metadata_errors="backslashreplace",
            # No demuxer may open anything but the descriptor it was given.
            options={"protocol_whitelist": "none", **options},
        )
    except (FFmpegError, ValueError) as error:
        text = f"{media_type} cannot be opened: {_text(error)}"
        raise UndecodableMedia(_problem_of(error), text) from error
    return cast(InputContainer, container)


def _open_again(source: BinaryIO, media_type: str) -> InputContainer:
    """As ``_open``; what FFmpeg says of opening it, it has said before."""
    with _complaints():
        return _open(source, media_type)


def _videos(container: InputContainer) -> list[VideoStream]:
    """The video streams that are no cover picture.

    One that another stream names as pictures of its chapters is a video: it has a time for each.
    """
    kinds = av.stream.Disposition
    return [
        stream
        for stream in container.streams.video
        if not stream.disposition & kinds.attached_pic or stream.disposition & kinds.timed_thumbnails
    ]


def _stream(container: InputContainer, number: int) -> VideoStream:
    """A video stream by its number."""
    stream = container.streams[number]
    assert isinstance(stream, VideoStream)
    return stream


def _late_videos(container: InputContainer) -> int:
    """Video streams that begin so far behind the start of a file that they were not known when it was
    opened (MPEG-TS, MPEG-PS); PyAV gives none of their packets."""
    av.logging.set_level(av.logging.INFO)  # below that FFmpeg describes nothing
    known = len(VIDEO_STREAM.findall(cast(Any, container).dumps_format()))
    av.logging.set_level(av.logging.ERROR)
    # A description may hold what looks like a stream, but not lack one.
    return max(0, known - len(container.streams.video))


VIDEO_STREAM = re.compile(r"^ {2}Stream #0:\d+\S*: Video: ", re.MULTILINE)


def _refuse_late_videos(source: BinaryIO, media_type: str) -> None:
    """Raises ``UndecodableMedia`` if a file without video streams at its start has one further back."""
    with _open_again(source, media_type) as container:
        with suppress(IndexError, FFmpegError, OSError):  # see ``_pictures``
            for _ in container.demux():
                pass
        if late := _late_videos(container):
            raise UndecodableMedia("not_looked_at", LATE.format(late))


LATE_STREAMS = ("mpegts", "mpeg", "flv")
"""Demuxers of formats without a list of streams, which tell of one where its first packet lies."""
LATE = "video streams that begin far behind the start of the file: {}"


def _stream_frames(
    source: BinaryIO,
    media_type: str,
    settings: ScanSettings,
    facts: MediaFacts,
    number: int,
    name: str,
    piece: Piece | None,
) -> Frames:
    """The sampled frames of one stream; what is amiss begins with its name."""
    own = MediaFacts()
    tally = Tally()
    try:
        keys, half = Keys(), None
        searched = settings.sample == "keyframes" and piece is None
        if searched or FORMATS[media_type] in (*NO_TIMES, *MERE_STREAMS):
            half = _field_length(source, media_type, number, settings)
        if searched:
            keys = _find_keys(source, media_type, number, settings, half, own)
        elif piece is not None:  # it brings the numbers of its own
            keys = Keys(piece.keys)
        order = Order(FORMATS[media_type] in NO_TIMES, half)
        with _open_again(source, media_type) as container:
            stream = _stream(container, number)
            yield from _sampled(container, stream, settings, own, tally, order, keys, piece)
            is_first = piece is None and number == _videos(container)[0].index
            if FORMATS[media_type] in LATE_STREAMS and is_first and (late := _late_videos(container)):
                facts.note("not_looked_at", LATE.format(late))
        if is_first and (more := another_file(source, media_type, tally.end)):
            facts.note("not_looked_at", more)
        if settings.sample == "keyframes" and tally.shown and not keys.numbers:
            text = "shows no key frame; other samplings look at its other frames"
            raise UndecodableMedia("no_key_picture", text)
        if not own.frames_decoded:
            raise UndecodableMedia("no_frames", "no frame of its video stream can be decoded")
        if piece is None:
            _count_what_is_missing(source, media_type, number, own, tally)
    finally:
        facts.frames_decoded += own.frames_decoded
        facts.frames_hidden += own.frames_hidden
        facts.frames_interlaced += own.frames_interlaced
        if facts.width is None:  # the facts of a file are those of its first stream
            facts.width, facts.height = own.width, own.height
            facts.orientation, facts.pixel_aspect = own.orientation, own.pixel_aspect
        if facts.time_base is None and own.time_base is not None:
            facts.stream, facts.time_base = number, own.time_base
        facts.span(own)
        for problem in own.problems:
            facts.note(problem.problem, name + problem.message)


def _attached(
    source: BinaryIO, media_type: str, settings: ScanSettings, facts: MediaFacts, number: int
) -> Frames:
    """A picture that is attached to a file as a stream of one frame; what keeps it from us is noted."""
    name = f"attached picture, stream {number}"
    try:
        with _open_again(source, media_type) as container:
            stream = _stream(container, number)
            _prepare(stream, settings)
            packets = [*islice(_pictures(container, stream), 1), None]
            picture = next((p for packet in packets for p in stream.decode(packet)), None)
            if picture is None:
                raise UndecodableMedia("no_frames", "gives no picture")
            own = MediaFacts()
            image = display_turn(picture, own).apply(_pixels(picture, stream, settings))
    except (UndecodableMedia, FFmpegError, ValueError) as error:
        problem = error.problem if isinstance(error, UndecodableMedia) else _problem_of(error)
        facts.note(problem, f"{name}: {_text(error)}")
        return
    facts.frames_decoded += 1
    if facts.width is None:
        facts.height, facts.width = image.shape[:2]
    for told in own.problems:
        facts.note(told.problem, f"{name}: {told.message}")
    yield Frame(0, None, image, number)


def _prepare(stream: VideoStream, settings: ScanSettings) -> None:
    """Set the decoder of a stream before its first frame."""
    if stream.codec_context is None:
        raise UndecodableMedia("unsupported", "its video stream has no codec that FFmpeg knows")
    # FFmpeg's own guard, before it allocates a frame.
    stream.codec_context.options = {"max_pixels": str(settings.max_pixels)}
    # Not by frames: that is quicker, but on damaged streams it loses frames and errors, and not the
    # same ones each time.
    stream.thread_type = "SLICE"
    # Workers share the cores by files and pieces.
    stream.codec_context.thread_count = 1


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


def _find_keys(
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
    for packet in _all_pictures(source, media_type, number):
        if packet.is_discard or not _is_shown(packet):
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
    no_times = FORMATS[media_type] in NO_TIMES and all(number < len(due) for number in numbers)
    times = [due[number] for number in numbers] if no_times else []
    return Keys([max(0, number - lost) for number in numbers], times)


def _field_length(source: BinaryIO, media_type: str, number: int, settings: ScanSettings) -> int | None:
    """Duration of a packet that is half a picture, as cameras for television write H.264: two make a
    frame. None if the stream's first key frame is not of that kind."""
    with _complaints(), _open(source, media_type) as container:
        stream = _stream(container, number)
        if stream.codec_context is None or stream.codec_context.name != "h264":
            return None
        _prepare(stream, settings)
        packets = dropwhile(lambda packet: not packet.is_keyframe, _pictures(container, stream))
        two = list(islice(packets, 2))
        is_whole = not two or bool(_decoded_alone(stream.codec_context, two[:1]))
        if is_whole or not _decoded_alone(stream.codec_context, two):
            return None
        return two[0].duration


def _decoded_alone(codec: VideoCodecContext, packets: Sequence[Packet[VideoStream]]) -> list[VideoFrame]:
    """What packets give with nothing before or behind them; none if they are damaged."""
    try:
        return [picture for packet in (*packets, None) for picture in codec.decode(packet)]
    except (FFmpegError, ValueError):
        return []
    finally:
        codec.flush_buffers()


def _lost_at_the_start(
    source: BinaryIO, media_type: str, number: int, settings: ScanSettings, half: int | None
) -> int:
    """How many frames come before the first one that can be decoded."""
    with _complaints(), _open(source, media_type) as container:
        stream = _stream(container, number)
        _prepare(stream, settings)
        order = Order(container.format.name in NO_TIMES, half)
        for packet in _pictures(container, stream):
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


def _sampled(
    container: InputContainer,
    stream: VideoStream,
    settings: ScanSettings,
    facts: MediaFacts,
    tally: Tally,
    order: Order,
    keys: Keys,
    piece: Piece | None,
) -> Frames:
    tally.listed, tally.seconds = stream.frames, (container.duration or 0) / av.time_base
    _prepare(stream, settings)
    if container.format.name in NO_TIMES:
        container.flags &= ~int(cast(int, Flags.gen_pts.value))
    wanted = sampler(settings)
    if piece is not None:
        time_base = cast(Fraction, stream.time_base)
        wanted = sampler(
            settings,
            FrameTime(piece.first_pts, time_base),
            None if piece.before is None else FrameTime(piece.before, time_base),
        )
        container.seek(piece.key, stream=stream)
    shape: Shape | None = None
    untimed = corrupt = 0
    if settings.sample == "keyframes":
        decoded = _decode_keys(container, stream, facts, tally, keys, piece)
    else:
        decoded = _decode(container, stream, facts, tally, order, piece)
    for index, picture in decoded:
        facts.frames_decoded += 1
        facts.frames_interlaced += bool(picture.interlaced_frame)
        corrupt += bool(picture.is_corrupt)
        time = None
        if picture.pts is not None and picture.time_base is not None:
            time = FrameTime(picture.pts, picture.time_base)
        untimed += time is None
        if picture.pts is not None:
            known = [p for p in (facts.first_pts, facts.last_pts) if p is not None]
            facts.first_pts, facts.last_pts = min([picture.pts, *known]), max([picture.pts, *known])
        first = shape is None
        if shape is None or picture.key_frame:  # a broadcast may go from 4:3 to 16:9, at a key frame
            turn = shape.turn if shape else display_turn(picture, facts)
            shape = Shape(turn, pixel_aspect(container, stream, facts))
        if first:
            facts.orientation = shape.turn.orientation
            aspect = shape.aspect
            facts.pixel_aspect = None if aspect == 1 else f"{aspect.numerator}:{aspect.denominator}"
            facts.time_base = str(picture.time_base) if picture.time_base else None
        if not wanted(time, picture):
            yield None
            continue
        image = shape.apply(_pixels(picture, stream, settings))
        if facts.width is None:
            facts.height, facts.width = image.shape[:2]
        yield Frame(index, time, image, stream.index)
    if settings.sample == "keyframes" and facts.last_pts is not None and tally.last_pts is not None:
        facts.last_pts = max(facts.last_pts, tally.last_pts)  # the recording goes on behind its last one
    if untimed:
        text = f"{untimed} frames have no presentation timestamp"
        if settings.sample == "keyframes":
            text += "; their numbers follow the order in which frames are stored"
        elif settings.sample == "every":
            text += "; each was looked at, for none can be placed (--sample keyframes looks at fewer)"
        facts.note("no_timestamp", text)
    if corrupt:
        facts.note("corrupt_frames", f"the decoder marked {corrupt} frames as damaged")


def _attachments(container: InputContainer) -> list[str]:
    """Media types of files within a file that are no stream; but for fonts, which subtitles need."""
    attached = [stream.metadata for stream in container.streams if stream.type == "attachment"]
    kinds = [
        str(told.get("mimetype", "")) for told in attached if not FONT.search(told.get("filename", ""))
    ]
    return [kind for kind in kinds if "font" not in kind and not kind.endswith("opentype")]


FONT = re.compile(r"\.(ttf|otf|ttc|woff2?)$", re.IGNORECASE)


def _note_attachments(container: InputContainer, facts: MediaFacts) -> None:
    if others := _attachments(container):
        some = ", ".join(kind[:80] for kind in dict.fromkeys(others[:5]))
        facts.note("not_looked_at", f"attached files ({some}): {len(others)}")


def describe(container: InputContainer, facts: MediaFacts) -> None:
    """What container and streams say of themselves; when and where they say it was recorded."""
    own = {str(name): plain(str(value)) for name, value in container.metadata.items()}
    facts.metadata = {
        "container": own,
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


def _packets(
    container: InputContainer, stream: VideoStream, facts: MediaFacts
) -> Iterator[Packet[VideoStream]]:
    """The packets of a stream; a container that breaks off ends them, which is noted."""
    packets = 0
    demuxed = container.demux(stream)
    while True:
        try:
            packet = next(demuxed)
        except (StopIteration, IndexError):  # see ``_pictures``
            return
        except (FFmpegError, OSError) as error:
            text = f"breaks off after {packets} packets: {_text(error)}"
            facts.note(_problem_of(error), text)
            return
        if _is_cover(packet):
            continue
        packets += packet.size > 0
        yield packet


@dataclass
class Order:
    """In which order frames are shown of packets that were decoded, and which never come."""

    by_place: bool
    """Whether the stream does not tell when its frames are shown (``NO_TIMES``): each has the earliest
    time that is left, for what is shown later is decoded later or has to wait."""
    half: int | None = None
    """See ``_field_length``: of two such packets the first one has the frame's time."""
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
        if packet.size == 0 or packet.is_discard or not _is_shown(packet):
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


LOST = "frames before the first one that can be decoded, for what they refer to is missing: {}"


def _decode(
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
    for packet in _packets(container, stream, facts):
        packets += packet.size > 0
        tally.count(packet)
        corrupt += bool(packet.is_corrupt) and not leading
        try:
            with _complaints() if leading else nullcontext():
                pictures = packet.decode()
        except (FFmpegError, ValueError) as error:
            failed += not leading
            last_error = last_error if isinstance(last_error, MemoryError) else error
            continue
        order.read(packet)
        for picture in pictures:
            order.came(picture)
            if piece is not None:
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
        text = f"{failed} of {packets} packets cannot be decoded: {_text(last_error)}"
        facts.note(_problem_of(last_error), text)
    if corrupt:
        facts.note("damaged", f"{corrupt} of {packets} packets are incomplete")
    if order.lost and piece is None:
        facts.note("damaged", LOST.format(order.lost))
    if container.format.name in BARE and order.half is None:
        missing = tally.shown - came - failed - order.lost
        if missing > 0:
            text = f"{missing} of {tally.shown} pictures give no frame; what they need may be cut off"
            facts.note("damaged", text)
    if piece is not None and came != piece.count:
        facts.note("damaged", f"a piece has {came} frames, not {piece.count}")


def _decode_keys(
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
    for packet in _packets(container, stream, facts):
        packets += packet.size > 0
        tally.count(packet)
        corrupt += bool(packet.is_corrupt)
        if half is not None:
            codec.skip_frame = "DEFAULT"  # its second half may refer to its first one
            pictures = _decoded_alone(codec, [half, packet]) if packet.size else []
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
            facts.note("damaged", f"more key frames than the {met} that were there before")
            break
        met += 1
        try:
            pictures = [*codec.decode(packet), *codec.decode(None)]
        except (FFmpegError, ValueError) as error:
            failed += 1
            last_error = last_error if isinstance(last_error, MemoryError) else error
            pictures = []
        else:
            half = None if pictures else packet
        finally:
            codec.flush_buffers()
        for picture in pictures[:1]:  # a packet is one key frame
            came += 1
            yield keys.known(met - 1, picture, stream)
    empty += half is not None
    if last_error is not None:
        text = f"{failed} of {met} key frames cannot be decoded: {_text(last_error)}"
        facts.note(_problem_of(last_error), text)
    if corrupt:  # also of packets between them: what a recording lacks is no matter of sampling
        facts.note("damaged", f"{corrupt} of {packets} packets are incomplete")
    if empty:
        text = f"{empty} of {met} key frames give no picture by themselves; other samplings may"
        facts.note("no_key_picture", text)
    if piece is not None and came != len(keys.numbers):
        facts.note("damaged", f"a piece has {came} key frames, not {len(keys.numbers)}")


def _count_what_is_missing(
    source: BinaryIO, media_type: str, number: int, facts: MediaFacts, tally: Tally
) -> None:
    """Note frames that the container promises and that are not there, or that its edit list hides.

    FFmpeg leaves out what an edit list hides, some of it unread; so all packets are counted once more
    without the edit list, where the container's own number says that some did not come.
    """
    demuxer = FORMATS[media_type]
    listed = tally.listed if demuxer in COUNTS_FRAMES else 0
    shown = present = tally.shown
    if demuxer == "mov" and (listed != shown or tally.goes_back):
        if tally.goes_back:
            shown = len({p.pos for p in _all_pictures(source, media_type, number) if not p.is_discard})
        present = sum(1 for _ in _all_pictures(source, media_type, number, ignore_editlist="1"))
        facts.frames_hidden = max(0, present - shown)
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
    if demuxer == "flv" and tally.last_pts is not None and facts.time_base is not None:
        last = float(tally.last_pts * Fraction(facts.time_base))
        # Sound may go on a little longer than the picture.
        if tally.seconds - last > max(1.0, 0.05 * tally.seconds):
            facts.note(
                "truncated", f"the container lasts {tally.seconds:.1f} s, its picture {last:.1f} s"
            )


def _all_pictures(
    source: BinaryIO, media_type: str, number: int, **options: str
) -> Iterator[Packet[VideoStream]]:
    """The packets of a stream by themselves; what is amiss with them is said in decoding."""
    with _complaints(), _open(source, media_type, **options) as container:
        stream = _stream(container, number)
        yield from _pictures(container, stream)


def _pictures(container: InputContainer, stream: VideoStream) -> Iterator[Packet[VideoStream]]:
    """The packets of a stream that hold something, as far as they can be had.

    Where a stream begins late (``_late_videos``) PyAV fails to find it behind the last packet of all.
    """
    try:
        for packet in container.demux(stream):
            if packet.size > 0 and not _is_cover(packet):
                yield packet
    except (FFmpegError, OSError, IndexError):
        return  # noted where it is decoded


def _is_cover(packet: Packet[VideoStream]) -> bool:
    """Whether it repeats the first picture of chapters (``_videos``), as FFmpeg puts it before them."""
    chapters = packet.stream.disposition & av.stream.Disposition.timed_thumbnails
    return bool(chapters) and packet.size > 0 and packet.pts is None


def _is_shown(packet: Packet[VideoStream]) -> bool:
    """Whether a packet gives a picture: VP8 has some that only others refer to (RFC 6386, 9.1)."""
    codec = packet.stream.codec_context
    return codec is None or codec.name not in VP8 or bool(bytes(packet)[0] & SHOW_FRAME)


def _pixels(picture: VideoFrame, stream: VideoStream, settings: ScanSettings) -> RGB:
    """A decoded frame as RGB, as stored."""
    if picture.width * picture.height > settings.max_pixels:
        raise UndecodableMedia(
            "too_large",
            f"a frame has {picture.width}x{picture.height} pixels (--max-pixels)",
        )
    image = cast(RGB, picture.to_ndarray(format="rgb24"))
    if picture.interlaced_frame and stream.codec_context.name == "hevc":
        # Of HEVC, FFmpeg gives each half picture as a frame of its own.
        image = resize(image, image.shape[1], 2 * image.shape[0])
    elif picture.interlaced_frame and len(image) > 1:
        # Two moments in alternate lines: one of them, at its own moment, with the lines between made up.
        image = resize(image[::2], image.shape[1], image.shape[0])
    return image


VP8 = ("vp8", "libvpx")
"""FFmpeg's decoders of it."""
SHOW_FRAME = 0x10
"""In the first byte of a VP8 frame."""
BARE = ("h264", "hevc")
"""Demuxers of streams without a container: nothing tells of a frame but its packet."""
MERE_STREAMS = ("mpegts", "mpeg", "mpegvideo", *BARE)
"""Demuxers of formats that say nothing of pixels themselves: what the picture's own data says last is
what counts. FFmpeg keeps what it read at the start."""


def pixel_aspect(container: InputContainer, stream: VideoStream, facts: MediaFacts) -> Fraction:
    """Width of a stored pixel to its height; 1 if nothing says it, or says what cannot be.

    Of the frame that was decoded last. What cannot be is noted, for a player may follow it.
    """
    of_file, of_picture = stream.sample_aspect_ratio, stream.codec_context.sample_aspect_ratio
    said = of_file or of_picture
    if of_picture and container.format.name in MERE_STREAMS:
        said = of_picture
    if not said:
        return Fraction(1)
    if not Fraction(1, WIDEST) <= said <= WIDEST:
        if all(problem.problem != "pixel_aspect" for problem in facts.problems):
            text = (
                f"pixels are said to be {said.numerator}:{said.denominator}; they were taken as square"
            )
            facts.note("pixel_aspect", text)
        return Fraction(1)
    return Fraction(said)


WIDEST = 8
"""Greatest stretch of a pixel that is taken for meant."""


@dataclass(frozen=True)
class Shape:
    """How stored frames become displayed ones."""

    turn: Turn
    aspect: Fraction
    """Width of a stored pixel to its height."""

    def apply(self, image: RGB) -> RGB:
        """Stretched to square pixels, never shrunk; then turned."""
        height, width = image.shape[:2]
        if self.aspect > 1:
            width = round(width * self.aspect)
        elif self.aspect < 1:
            height = round(height / self.aspect)
        return self.turn.apply(resize(image, width, height))


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


def _unnamed(kinds: type[SideDataType], value: object) -> SideDataType:
    """A kind of side data that FFmpeg knows and PyAV does not yet.

    For want of its name PyAV would give none of a frame's: not of one with EXIF (MJPEG), nor of one that
    was taken for both eyes (MV-HEVC).
    """
    kind = object.__new__(kinds)
    kind._name_, kind._value_ = f"KIND_{value}", value  # type: ignore[assignment]
    return kind


SideDataType._missing_ = classmethod(_unnamed)  # type: ignore[assignment, method-assign]


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


def _problem_of(error: Exception) -> str:
    """FFmpeg's want of memory may be that of the process, and is no damage until it is there again in a
    fresh one (``isolation.py``); nor is it then, but what a damaged packet asks for may be it too."""
    return "out_of_memory" if isinstance(error, MemoryError) else "damaged"


def _text(error: Exception) -> str:
    """FFmpeg's own words, without the errno and the name of our file object."""
    return " ".join(str(getattr(error, "strerror", None) or error).split())
