"""What a decoder is: an open file → its frames to look at."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO, Protocol

from PIL import Image

from forensic_emotion.records import Frame, MediaFacts
from forensic_emotion.settings import ScanSettings

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


class Reader(Protocol):
    """Decodes one kind of media."""

    def __call__(
        self, source: BinaryIO, media_type: str, settings: ScanSettings, facts: MediaFacts
    ) -> Iterator[Frame]:
        """The frames to look at, in order of presentation.

        Args:
            source: the file, at its start; the reader seeks in it and leaves it open.
            media_type: as ``evidence.sniff`` tells it.
            settings: limits and sampling.
            facts: filled in while frames are taken.

        Raises:
            UndecodableMedia: no frame, or no further one, can be had.
        """
        ...
