"""What a still-picture file holds beyond the pages that are looked at, in words.

Decoders stop where the picture ends. Behind it a telephone puts seconds of video, which are looked at;
whoever wants to hide a picture may use the place too. A raw file of a camera has its full picture where
no page is.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from typing import BinaryIO

from PIL import ExifTags, Image, PpmImagePlugin, TiffImagePlugin

from forensic_emotion.frames.media import DECODER_ERRORS, HEIF

Tags = TiffImagePlugin.ImageFileDirectory_v2

LEAST_CHUNK, CHUNK = 1 << 12, 1 << 20
_MARKER = re.compile(rb"\xff[^\x00\xff]")
_IN_SCAN = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
"""A marker that ends a scan: no stuffed byte, no restart (ITU-T T.81, B.1.1)."""
_JPEG = re.compile(rb"\xff\xd8\xff")
_ISO_MEDIA = re.compile(rb"\0\0[\0-\x03].ftyp", re.DOTALL)
"""The first box of an ISO media file, of less than 256 brands."""
ISO_PICTURES = (*HEIF, "image/avif")
ISO_VIDEOS = ("video/mp4", "video/quicktime")
_VIDEOS = {
    "video/x-matroska": re.compile(rb"\x1a\x45\xdf\xa3.{1,40}\x42\x82.(?:matroska|webm)", re.DOTALL),
    "video/x-flv": re.compile(rb"FLV\x01[\0-\x05]\0\0\0\x09"),
    "video/x-ms-asf": re.compile(re.escape(bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c"))),
}
"""How a file of a media type begins: EBML's header with its DocType, FLV's, ASF's GUID."""
MOST, MOST_MARKERS = 32, 10_000
"""Further pictures, and markers of one, that are looked for: a file may be made to waste time."""
REDUCED = 1
"""Bit of a TIFF's NewSubfileType: a smaller copy of another picture of the file."""


def beyond(image: Image.Image, source: BinaryIO, media_type: str, pages: int) -> Iterator[str]:
    """What of a file is not looked at, in words.

    Args:
        image: as Pillow opened it, at its first page.
        source: the file.
        media_type: as its bytes show.
        pages: that are looked at.
    """
    if media_type == "image/jpeg":
        yield from _behind_jpeg(source, pages)
    elif media_type == "image/tiff":
        yield from _within_tiff(image, source, pages)
    elif media_type == "image/x-portable-anymap":
        yield from _behind_anymap(image, source)
    elif media_type in ISO_PICTURES and pages == 1 and b"moov" in _box_names(source):
        yield "a sequence of pictures beside the picture (ISO media)"


def find_video(source: BinaryIO, media_type: str) -> tuple[int, int] | None:
    """Where a picture's file holds a video: its first byte, and the one behind its last.

    Telephones put one behind the end of a JPEG, and into a box of its own of HEIF (Android's "Motion
    photo format 1.0"). What looks like one may be none.
    """
    if media_type == "image/jpeg":
        end = _jpeg_end(source, 0)
        place = None if end is None else _find(source, end, _ISO_MEDIA)
        return None if place is None else (place, source.seek(0, os.SEEK_END))
    if media_type in ISO_PICTURES:
        return next(((start, end) for name, start, end in _boxes(source) if name == b"mpvd"), None)
    return None


def another_file(source: BinaryIO, media_type: str, place: int) -> bool:
    """Whether a second video file stands behind a video's last packet, which readers do not go on to.

    Args:
        source: the file.
        media_type: of the first one.
        place: behind that packet, 0 if that is not known; what lies before is not searched.
    """
    if media_type in ISO_VIDEOS:
        return _box_names(source).count(b"moov") > 1
    beginning = _VIDEOS.get(media_type)
    return beginning is not None and place > 0 and _find(source, place, beginning) is not None


def _box_names(source: BinaryIO) -> list[bytes]:
    return [name for name, _, _ in _boxes(source)]


def ends_within_a_box(source: BinaryIO) -> bool:
    """Whether an ISO media file is shorter than it says itself."""
    length = source.seek(0, os.SEEK_END)
    return any(end > length for _, _, end in _boxes(source))


def _boxes(source: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
    """Name, start and end of the content of each box of an ISO media file (ISO/IEC 14496-12, 4.2).

    The last one's end may lie behind that of the file.
    """
    length, place = source.seek(0, os.SEEK_END), 0
    for _ in range(MOST_MARKERS):
        source.seek(place)
        head = source.read(16)
        size, header = int.from_bytes(head[:4], "big"), 8
        if size == 1:
            size, header = int.from_bytes(head[8:], "big"), 16
        end = place + size if size else length
        if len(head) < header or end < place + header:
            return
        yield head[4:8], place + header, end
        if end >= length:  # it may claim more than any file can have
            return
        place = end


def _behind_jpeg(source: BinaryIO, pages: int) -> Iterator[str]:
    """More JPEGs than pages behind the end of the first picture."""
    first = _jpeg_end(source, 0)
    if first is None:
        return
    place, pictures = first, 1
    for _ in range(MOST):
        start = _find(source, place, _JPEG)
        if start is None:
            break
        end = _jpeg_end(source, start)
        pictures += end is not None
        place = end or start + 1
    if pictures > pages:
        yield f"pictures that follow behind the end of the last one (JPEG): {pictures - pages}"


def _jpeg_end(source: BinaryIO, start: int) -> int | None:
    """Where the JPEG that begins at a place ends, behind its last marker; None if it does not."""
    place: int | None = start + 2
    for _ in range(MOST_MARKERS):
        if place is None:
            return None
        source.seek(place)
        head = source.read(4)
        if len(head) < 2 or (head[0] != 0xFF and start):
            return None  # behind the first picture whatever looks like the beginning of one may be none
        if head[0] != 0xFF:  # decoders pass over what lies between two segments
            place = _find(source, place, _MARKER)
            continue
        marker = head[1]
        if marker == 0xD9:  # the end
            return place + 2
        if marker == 0xFF:  # a fill byte
            place += 1
        elif marker == 0x01 or 0xD0 <= marker <= 0xD8:  # without a length
            place += 2
        else:
            place += 2 + int.from_bytes(head[2:], "big")
        if marker == 0xDA:  # what follows is a scan, which has no length
            place = _find(source, place, _IN_SCAN)
    return None


def _find(source: BinaryIO, start: int, what: re.Pattern[bytes]) -> int | None:
    """The first place of some bytes from a start on; None if they are not there."""
    source.seek(start)
    kept, size = b"", LEAST_CHUNK
    while chunk := source.read(size):
        window = kept + chunk
        if found := what.search(window):
            return start - len(kept) + found.start()
        start += len(chunk)
        kept = window[-64:]  # longer than whatever is looked for
        size = min(2 * size, CHUNK)  # what is near is found by little reading, what is far in few steps
    return None


def _within_tiff(image: Image.Image, source: BinaryIO, pages: int) -> Iterator[str]:
    """Pictures in pages' SubIFDs that are no smaller copies: a raw file's full picture."""
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return
    own, place = 0, None
    for _ in range(pages):
        try:
            tags = tiff_directory(source, place)
        except DECODER_ERRORS:  # what is broken of its tags is told with them
            break
        place = tags.next
        listed = tags.get(int(ExifTags.Base.SubIFDs), ())
        for each in (listed if isinstance(listed, tuple) else (listed,))[:MOST]:
            with suppress(*DECODER_ERRORS):  # a broken one hides no other
                own += _is_full(source, each)
    if own:
        yield f"pictures in SubIFDs, such as the full one of a camera's raw file: {own}"


def _is_full(source: BinaryIO, place: int) -> bool:
    """Whether there is a directory at a place, and no smaller copy in it."""
    tags = tiff_directory(source, place)
    return len(tags) > 0 and not int(tags.get(int(ExifTags.Base.NewSubfileType), 0)) & REDUCED


def tiff_directory(source: BinaryIO, place: int | None = None) -> Tags:
    """The tags of a TIFF's directory at a place, by default of its first.

    Raises:
        DECODER_ERRORS: it cannot be read.
    """
    source.seek(0)
    head = source.read(16)
    tags = Tags(head if head[2:3] == b"\x2b" else head[:8])  # BigTIFF's is the longer one
    source.seek(tags.next if place is None else place)
    tags.load(source)
    return tags


def _behind_anymap(image: Image.Image, source: BinaryIO) -> Iterator[str]:
    """Data behind the only picture that Pillow reads; the format allows several in their binary form."""
    if not isinstance(image, PpmImagePlugin.PpmImageFile):
        return
    codec, _, offset, arguments = image.tile[0]
    if codec not in ("raw", "ppm"):
        return
    # Of a binary one with another greatest value than 255 that value is told to the decoder.
    mode, greatest = arguments if isinstance(arguments, tuple) else (arguments, 255)
    wide = greatest > 255 or mode == "I;16B"
    bits = 1 if image.mode == "1" else (16 if wide else 8) * len(image.getbands())
    size = image.height * -(-image.width * bits // 8)
    rest = source.seek(0, os.SEEK_END) - offset - size
    if rest > 0:
        source.seek(offset + size)
        if source.read(CHUNK).strip(b"\0 \t\r\n"):
            yield f"bytes that follow behind the end of the picture: {rest}"
