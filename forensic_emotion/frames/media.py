"""What a decoder is: an open file → its frames to look at."""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO, Protocol

from PIL import Image

from forensic_emotion.records import Frame, MediaFacts
from forensic_emotion.settings import ScanSettings

if TYPE_CHECKING:
    from typing_extensions import Buffer

# Pillow's decoders are C libraries behind many small parsers; on broken files they raise more kinds of
# error than it documents. Each becomes a Problem that names it; MemoryError is not among them.
DECODER_ERRORS: tuple[type[Exception], ...] = (
    OSError,
    ValueError,
    SyntaxError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    EOFError,
    RuntimeError,
    AssertionError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)


HEIF = ("image/heic", "image/heif")
"""Media types of pictures in an ISO container, as telephones take them."""


Frames = Iterator[Frame | None]
"""Frames to look at. None for each that was decoded and is not one of them: whoever takes the next sees
that decoding goes on, which in a long still recording may take minutes from one to the other."""


def to_look_at(frames: Frames) -> Iterator[Frame]:
    """The frames to look at alone."""
    return (frame for frame in frames if frame is not None)


class Part(io.RawIOBase):
    """A part of an open file, as a file of its own; read only.

    Args:
        source: the file; whoever reads it otherwise meanwhile must not rely on its position.
        start: of the part's first byte.
        end: behind its last one.
    """

    def __init__(self, source: BinaryIO, start: int, end: int) -> None:
        self._source, self._start, self._size, self._place = source, start, end - start, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._size}[whence]
        self._place = max(0, base + offset)
        return self._place

    def tell(self) -> int:
        return self._place

    def readinto(self, buffer: Buffer, /) -> int:
        view = memoryview(buffer).cast("B")
        self._source.seek(self._start + self._place)
        data = self._source.read(max(0, min(len(view), self._size - self._place)))
        view[: len(data)] = data
        self._place += len(data)
        return len(data)


class Reader(Protocol):
    """Decodes one kind of media."""

    def __call__(
        self, source: BinaryIO, media_type: str, settings: ScanSettings, facts: MediaFacts
    ) -> Frames:
        """The frames to look at, in order of presentation.

        Args:
            source: the file, at its start; the reader seeks in it and leaves it open.
            media_type: as ``media_types.sniff`` tells it.
            settings: limits and sampling.
            facts: filled in while frames are taken.

        Raises:
            UndecodableMedia: no frame, or no further one, can be had.
        """
        ...
