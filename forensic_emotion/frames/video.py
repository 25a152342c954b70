"""A video → its sampled frames, each with its presentation timestamp.

PyAV (FFmpeg) decodes. A frame's time is what its stream says: ``pts * time_base``. The time is never
computed from a frame number and a rate, which is wrong for every recording of variable rate.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from itertools import islice
from typing import Any, BinaryIO, cast

import av
from av.container import InputContainer
from av.container.core import Flags
from av.error import FFmpegError
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from forensic_emotion.errors import NoPicture, UndecodableMedia
from forensic_emotion.frames.beyond import (
    ISO_VIDEOS,
    another_file,
    ends_within_a_box,
    odd_edits,
    whole_boxes,
)
from forensic_emotion.frames.container import (
    Tally,
    all_pictures,
    listening,
    note_complaints,
    open_again,
    open_container,
    pictures_of,
    prepare,
    problem_of,
    stream_of,
    text_of,
    videos,
)
from forensic_emotion.frames.container_facts import (
    describe,
    note_attachments,
    note_unknown_streams,
)
from forensic_emotion.frames.decoding import (
    Order,
    decode,
    field_length,
)
from forensic_emotion.frames.display import (
    AS_STORED,
    Shape,
    display_turn,
    pixel_aspect,
    pixels_of,
)
from forensic_emotion.frames.key_frames import (
    Keys,
    decode_keys,
    find_keys,
)
from forensic_emotion.frames.media import Frames, Part
from forensic_emotion.frames.promised import cut_off
from forensic_emotion.frames.sampling import sampler
from forensic_emotion.frames.video_formats import FORMATS, format_of
from forensic_emotion.records import Frame, FrameTime, MediaFacts, Piece
from forensic_emotion.settings import ScanSettings


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
    with listening() as complaints:
        try:
            source, container = _opened(source, media_type, facts)
            with container:
                describe(container, facts)
                note_attachments(container, facts)
                note_unknown_streams(container, facts)
                numbers = [stream.index for stream in videos(container)]
                attached = [s.index for s in container.streams.video if s.index not in numbers]
            if piece is None:  # a film with such edits is not cut
                note_edits(source, media_type, facts)
            if not numbers and not attached:
                if not FORMATS[media_type].lists_streams:
                    _refuse_late_videos(source, media_type)
                raise NoPicture("no_video", "holds no video stream")
            if piece is not None or (len(numbers) == 1 and not attached):
                number = piece.stream if piece else numbers[0]
                yield from _stream_frames(source, media_type, settings, facts, number, "", piece)
                return
            note_complaints(facts, complaints)  # of what all streams are in
            for number in numbers:
                name = f"stream {number}: "
                try:
                    yield from _stream_frames(source, media_type, settings, facts, number, name, None)
                except UndecodableMedia as error:  # the others may be sound
                    facts.note(error.problem, name + error.text)
                finally:
                    note_complaints(facts, complaints, name)
            for number in attached:
                yield from _attached(source, media_type, settings, facts, number)
                note_complaints(facts, complaints, f"attached picture, stream {number}: ")
            if not facts.frames_decoded:
                raise UndecodableMedia("no_frames", "no frame of its video streams can be decoded")
        finally:
            note_complaints(facts, complaints)


def _opened(source: BinaryIO, media_type: str, facts: MediaFacts) -> tuple[BinaryIO, InputContainer]:
    """A file, as far as it is whole, and what it holds.

    FFmpeg gives up all of a fragmented MP4 where the head of the last fragment is cut off.
    """
    try:
        return source, open_container(source, media_type)
    except UndecodableMedia:
        length = source.seek(0, os.SEEK_END)
        whole = whole_boxes(source) if media_type in ISO_VIDEOS else 0
        if not 0 < whole < length:
            raise
        part = cast(BinaryIO, io.BufferedReader(Part(source, 0, whole)))
        container = open_container(part, media_type)
        text = f"ends in the middle of a part: {length - whole} of {length} bytes were left out"
        facts.note("truncated", text)
        return part, container


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
    with open_again(source, media_type) as container:
        with suppress(IndexError, FFmpegError, OSError):  # see ``pictures_of``
            for _ in container.demux():
                pass
        if late := _late_videos(container):
            raise UndecodableMedia("not_looked_at", LATE.format(late))


LATE = "video streams that begin far into the file: {}"


def note_edits(source: BinaryIO, media_type: str, facts: MediaFacts) -> None:
    """That a film's edit list does more than to cut it, which FFmpeg does not follow."""
    if media_type in ISO_VIDEOS and odd_edits(source):
        text = (
            "its edit list makes parts freeze, pause, or run at another speed: there, times are not"
            " those at which frames are shown"
        )
        facts.note("edit_list", text)


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
    format = FORMATS[media_type]
    try:
        keys: Keys | None = None
        half = None
        searched = settings.sample == "keyframes" and piece is None
        if searched and not format.tells_when_shown:
            searched = not _reorders(source, media_type, number)
        if searched or not (format.tells_when_shown and format.describes_pixels):
            half = field_length(source, media_type, number, settings)
        if searched:
            keys = find_keys(source, media_type, number, settings, half, own)
        elif piece is not None:  # it brings the numbers of its own
            keys = Keys(piece.keys)
        order = Order(not format.tells_when_shown, half)
        with open_again(source, media_type) as container:
            stream = stream_of(container, number)
            yield from _sampled(container, stream, settings, own, tally, order, keys, piece)
            is_first = piece is None and number == videos(container)[0].index
            if not format.lists_streams and is_first and (late := _late_videos(container)):
                facts.note("not_looked_at", LATE.format(late))
        if is_first and (more := another_file(source, media_type, tally.end)):
            facts.note("not_looked_at", more)
        found = own.frames_decoded if keys is None else len(keys.numbers)
        if settings.sample == "keyframes" and tally.shown and not found:
            text = "shows no key frame; with another --sample its other frames are analysed"
            raise UndecodableMedia("no_key_picture", text)
        if not own.frames_decoded:
            raise UndecodableMedia("no_frames", "no frame of its video stream can be decoded")
        if piece is None:
            _count_what_is_missing(source, media_type, number, own, tally)
    finally:
        if facts.width is None:  # the facts of a file are those of its first stream
            facts.width, facts.height = own.width, own.height
            facts.orientation, facts.pixel_aspect = own.orientation, own.pixel_aspect
        if facts.time_base is None and own.time_base is not None:
            facts.stream, facts.time_base = number, own.time_base
        facts.span(own)
        facts.take_in(own, name)


def _reorders(source: BinaryIO, media_type: str, number: int) -> bool:
    """Whether only its decoded frames tell the order of a stream whose container has no times.

    Of H.264 and H.265 key frames may come behind frames that are shown before them.
    """
    with open_again(source, media_type) as container:
        codec = stream_of(container, number).codec_context
        return codec is not None and codec.name in ("h264", "hevc")


def _attached(
    source: BinaryIO, media_type: str, settings: ScanSettings, facts: MediaFacts, number: int
) -> Frames:
    """A picture that is attached to a file as a stream of one frame; what keeps it from us is noted."""
    name = f"attached picture, stream {number}"
    try:
        with open_again(source, media_type) as container:
            stream = stream_of(container, number)
            prepare(stream, settings)
            packets = [*islice(pictures_of(container, stream), 1), None]
            picture = next((p for packet in packets for p in stream.decode(packet)), None)
            if picture is None:
                raise UndecodableMedia("no_frames", "gives no picture")
            own = MediaFacts()
            image = display_turn(picture, own, AS_STORED).apply(
                pixels_of(picture, stream, settings, facts)
            )
    except (UndecodableMedia, FFmpegError, ValueError) as error:
        problem = error.problem if isinstance(error, UndecodableMedia) else problem_of(error)
        facts.note(problem, f"{name}: {text_of(error)}")
        return
    own.frames_decoded = 1
    if facts.width is None:
        facts.height, facts.width = image.shape[:2]
    facts.take_in(own, f"{name}: ")
    yield Frame(0, None, image, number)


def _sampled(
    container: InputContainer,
    stream: VideoStream,
    settings: ScanSettings,
    facts: MediaFacts,
    tally: Tally,
    order: Order,
    keys: Keys | None,
    piece: Piece | None,
) -> Frames:
    tally.listed, tally.seconds = stream.frames, (container.duration or 0) / av.time_base
    prepare(stream, settings)
    format = format_of(container)
    if not format.tells_when_shown:
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
    untimed = corrupt = back = rounds = 0
    before: int | None = None
    if settings.sample != "keyframes":
        decoded = decode(container, stream, facts, tally, order, piece)
    elif keys is None:
        decoded = _only_keys(decode(container, stream, facts, tally, order, piece))
    else:
        decoded = decode_keys(container, stream, facts, tally, keys, piece)
    for index, picture in decoded:
        if not format.is_container:
            picture.pts = None  # what FFmpeg makes up of a rate
        if format.clock_ends is not None and picture.pts is not None:
            # The clock came to its end and goes on from 0: what is left of the way is short.
            way = picture.pts + (rounds + 1) * format.clock_ends - (before or 0)
            rounds += before is not None and 0 < way < NEAR_THE_END
            picture.pts += rounds * format.clock_ends
        facts.frames_decoded += 1
        facts.frames_interlaced += bool(picture.interlaced_frame)
        corrupt += bool(picture.is_corrupt)
        time = None
        if picture.pts is not None and picture.time_base is not None:
            time = FrameTime(picture.pts, picture.time_base)
        untimed += time is None
        back += time is not None and before is not None and time.pts < before
        before = time.pts if time else before
        if picture.pts is not None:
            known = [p for p in (facts.first_pts, facts.last_pts) if p is not None]
            facts.first_pts, facts.last_pts = min([picture.pts, *known]), max([picture.pts, *known])
        first = shape is None
        if shape is None or picture.key_frame:  # a broadcast may go from 4:3 to 16:9, at a key frame
            turn = display_turn(picture, facts, shape.turn if shape else AS_STORED)
            shape = Shape(turn, pixel_aspect(container, stream, facts))
        if first:
            facts.orientation = shape.turn.orientation
            aspect = shape.aspect
            facts.pixel_aspect = None if aspect == 1 else f"{aspect.numerator}:{aspect.denominator}"
            facts.time_base = str(picture.time_base) if picture.time_base else None
        if not wanted(time, picture):
            yield None
            continue
        image = shape.apply(pixels_of(picture, stream, settings, facts))
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
            text += (
                "; each was analysed, because none can be placed in time (--sample keyframes"
                " analyses fewer)"
            )
        facts.note("no_timestamp", text)
    if back:
        text = f"{back} frames have an earlier time than the one before them"
        facts.note("times_go_back", text)
    if corrupt:
        facts.note("corrupt_frames", f"the decoder marked {corrupt} frames as damaged")


NEAR_THE_END = 10 * 90_000
"""Units of the clock from the last frame before its end to the first one behind it, at most."""


def _only_keys(decoded: Iterator[tuple[int, VideoFrame]]) -> Iterator[tuple[int, VideoFrame]]:
    for index, picture in decoded:
        if picture.key_frame:
            yield index, picture


def _count_what_is_missing(
    source: BinaryIO, media_type: str, number: int, facts: MediaFacts, tally: Tally
) -> None:
    """Note frames that the container promises and that are not there, or that its edit list hides.

    FFmpeg leaves out what an edit list hides, some of it unread; so all packets are counted once more
    without the edit list, where the container's own number says that some did not come.
    """
    if any(problem.problem == "too_many_frames" for problem in facts.problems):
        return  # to count them takes as long as to look at them
    format = FORMATS[media_type]
    listed = tally.listed if format.counts_frames else 0
    shown = present = tally.shown
    if format.has_edit_lists and (listed != shown or tally.goes_back):
        if tally.goes_back:
            shown = len({p.pos for p in all_pictures(source, media_type, number) if not p.is_discard})
        present = sum(1 for _ in all_pictures(source, media_type, number, ignore_editlist="1"))
        facts.frames_hidden = max(0, present - shown)
    if listed > present:
        facts.note(
            "truncated", f"the container lists {listed} frames, {present} of them are in the file"
        )
    told = any(problem.problem == "truncated" for problem in facts.problems)
    if media_type in ISO_VIDEOS and not told and ends_within_a_box(source):
        facts.note("truncated", "ends in the middle of a part that is longer than the rest of the file")
    if text := cut_off(source, format.demuxer):
        facts.note("truncated", text)
    if format.tells_length and tally.last_pts is not None and facts.time_base is not None:
        last = float(tally.last_pts * Fraction(facts.time_base))
        # Sound may go on a little longer than the picture.
        if tally.seconds - last > max(1.0, 0.05 * tally.seconds):
            facts.note(
                "truncated", f"the container lasts {tally.seconds:.1f} s, its picture {last:.1f} s"
            )
