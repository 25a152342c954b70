"""A long video → pieces that workers look at side by side, and that are the whole together."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from typing import BinaryIO

from av.error import FFmpegError

from forensic_emotion.errors import UndecodableMedia
from forensic_emotion.frames.beyond import (
    ISO_VIDEOS,
    another_file,
    ends_within_a_box,
    odd_edits,
)
from forensic_emotion.frames.container import (
    Tally,
    is_shown,
    listening,
    open_container,
    pictures_of,
    stream_of,
    videos,
)
from forensic_emotion.frames.container_facts import (
    attachments,
)
from forensic_emotion.frames.video_formats import FORMATS
from forensic_emotion.records import Piece
from forensic_emotion.settings import ScanSettings

KEYS_OF_A_PIECE = 8
"""Looking at so many takes seconds, opening a file of an hour a part of one."""

MOST_PIECES = 256
"""Of a stream: a file of many hours takes long to open."""

SHARE_OF_THE_REST = 4
"""Towards the end a piece may be as short as one in so many parts of what is left, down to one in so
many of the others' length, so that no worker is long at a last one while the rest wait."""

LEAD_SECONDS = 4.0
"""Between key frames, a piece begins at most so far behind one: from there it has to be decoded."""


def plan_pieces(source: BinaryIO, media_type: str, settings: ScanSettings) -> tuple[Piece, ...]:
    """How to cut a video so that its pieces, one behind the other, are the whole.

    Returns:
        The pieces; none for a video that is short, or of which it is not certain.
    """
    if not FORMATS[media_type].finds_keys or settings.sample == "scenes":
        return ()
    with listening() as complaints:
        try:
            if media_type in ISO_VIDEOS and (odd_edits(source) or ends_within_a_box(source)):
                return ()
            with open_container(source, media_type) as container:
                numbers = [stream.index for stream in videos(container)]
                if len(numbers) < len(container.streams.video) or attachments(container):
                    return ()  # there is something to be said of the whole
            pieces = [p for n in numbers for p in _plan_stream(source, media_type, n, settings.sample)]
        except (UndecodableMedia, FFmpegError, OSError):
            return ()  # looking at it in one piece will say what is wrong
        if complaints or len(pieces) < 2 or len({p.stream for p in pieces}) < len(numbers):
            return ()
    return tuple(pieces)


def _plan_stream(source: BinaryIO, media_type: str, number: int, sample: str) -> Iterator[Piece]:
    with open_container(source, media_type) as container:
        stream = stream_of(container, number)
        tally, shown = Tally(), []
        for p in filter(is_shown, pictures_of(container, stream)):
            tally.count(p)
            shown.append((p.pts, p.is_keyframe, p.is_discard, p.is_corrupt))
        listed, time_base = stream.frames, stream.time_base
    if any(pts is None or hidden or corrupt for pts, _, hidden, corrupt in shown) or not shown:
        return
    times = sorted(pts for pts, *_ in shown if pts is not None)
    if len(set(times)) < len(times) or time_base is None or not shown[0][1]:
        return
    if FORMATS[media_type].counts_frames and listed != len(times):
        return
    if FORMATS[media_type].has_edit_lists and tally.goes_back:
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
