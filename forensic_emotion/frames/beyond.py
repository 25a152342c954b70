"""What a still-picture file holds beyond the pages that are looked at, in words.

Decoders stop where the picture ends. Behind it a telephone puts seconds of video, which are looked at;
whoever wants to hide a picture may use the place too. A raw file of a camera has its full picture where
no page is.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import BinaryIO

from PIL import ExifTags, Image, JpegImagePlugin, PpmImagePlugin, TiffImagePlugin

from forensic_emotion.frames.media import DECODER_ERRORS, HEIF
from forensic_emotion.media_types import ARCHIVE_SIGNS, archive

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
MOST, MOST_MARKERS, MOST_PARTS = 32, 10_000, 1_000_000
"""Further pictures, markers of one, and parts of a file of other formats, that are followed: a file may
be made to waste time. A fragmented MP4 has two parts for each of its fragments."""
_OTHER_PICTURES = re.compile(rb"\x89PNG\r\n\x1a\n|GIF8[79]a|RIFF....WEBPVP8", re.DOTALL)
_CONTAINERS = re.compile(b"|".join(map(re.escape, ARCHIVE_SIGNS)))
MPF_ENTRIES = 0xB002
"""Tag of the list of a multi-picture file's pictures."""
TILE_OFFSETS = 324
"""Tag of TIFF 6.0 that Pillow has no name for."""
REDUCED = 1
"""Bit of a TIFF's NewSubfileType: a smaller copy of another picture of the file."""


class _TooMany(Exception):
    """A file has more parts than are followed."""


TOO_MANY = "what follows after so many parts of the file that they were not followed further"


def beyond(image: Image.Image, source: BinaryIO, media_type: str, pages: int) -> Iterator[str]:
    """What of a file is not looked at, in words.

    Args:
        image: as Pillow opened it, at its first page.
        source: the file.
        media_type: as its bytes show.
        pages: that are looked at.
    """
    try:
        if media_type == "image/jpeg":
            yield from _behind_jpeg(source)
        elif media_type == "image/tiff":
            yield from _within_tiff(image, source, pages)
        elif media_type in ISO_PICTURES:
            yield from _beside_iso(source, media_type, pages)
        else:
            yield from _behind(source, _end(image, source, media_type))
    except _TooMany:
        yield TOO_MANY


def _beside_iso(source: BinaryIO, media_type: str, pages: int) -> Iterator[str]:
    names = Counter(name for name, _, _ in _boxes(source))
    # Of AVIF the pages are such a sequence; of HEIF they are pictures.
    if b"moov" in names and (media_type in HEIF or pages == 1):
        yield "a sequence of pictures beside the picture (ISO media)"
    if (more := names[b"mpvd"] - 1) > 0:
        yield f"further videos embedded in the picture file after the first: {more}"


def find_video(source: BinaryIO, media_type: str) -> tuple[int, int] | None:
    """Where a picture's file holds a video: its first byte, and the one behind its last.

    Telephones put one behind the end of a JPEG, and into a box of its own of HEIF (Android's "Motion
    photo format 1.0"). What looks like one may be none.
    """
    with suppress(_TooMany):  # which is told
        if media_type == "image/jpeg":
            end = _jpeg_end(source, 0)
            place = None if end is None else _find(source, end, _ISO_MEDIA)
            return None if place is None else (place, source.seek(0, os.SEEK_END))
        if media_type in ISO_PICTURES:
            return next(((start, end) for name, start, end in _boxes(source) if name == b"mpvd"), None)
    return None


def another_file(source: BinaryIO, media_type: str, place: int) -> str | None:
    """That there may be a second video file, which readers do not go on to, in words; None if not.

    Behind a video's last packet, in a part that is to be passed over, or behind more parts than are
    followed.

    Args:
        source: the file.
        media_type: of the first one.
        place: behind that packet, 0 if that is not known; what lies before is not searched.
    """
    if media_type in ISO_VIDEOS:
        films = 0
        try:
            for name, start, end in _boxes(source):
                films += name == b"moov"
                passed_over = name in (b"free", b"skip") and end > start
                if films > 1 or (passed_over and _find(source, start, _ISO_MEDIA, end) is not None):
                    return ANOTHER
        except _TooMany:
            return TOO_MANY
        return None
    beginning = _VIDEOS.get(media_type)
    there = beginning is not None and place > 0 and _find(source, place, beginning) is not None
    return ANOTHER if there else None


ANOTHER = "another video after the end of this one, in the same file"


def ends_within_a_box(source: BinaryIO) -> bool:
    """Whether an ISO media file is shorter than it says itself.

    What cameras put behind the last box is none, and may read like the head of a long one.
    """
    length = source.seek(0, os.SEEK_END)
    with suppress(_TooMany):  # which is told
        return any(end > length and name in BOXES for name, _, end in _boxes(source))
    return False


BOXES = frozenset(
    (
        *(b"ftyp", b"moov", b"mdat", b"moof", b"mfra", b"sidx", b"ssix", b"styp", b"meta", b"pdin"),
        *(b"free", b"skip", b"wide", b"uuid", b"udta", b"emsg", b"prft", b"mpvd", b"idat"),
    )
)
"""Names of boxes that a file may have beside each other."""


def whole_boxes(source: BinaryIO) -> int:
    """How many bytes of an ISO media file its boxes have that are whole; 0 if there are too many."""
    length, end = source.seek(0, os.SEEK_END), 0
    with suppress(_TooMany):
        for _, _, behind in _boxes(source):
            if behind > length:
                break
            end = behind
        return end
    return 0


def odd_edits(source: BinaryIO) -> bool:
    """Whether the edit list of a film's picture does more than to cut it (ISO/IEC 14496-12, 8.6.6).

    A part may stand still or run at another speed, and there may be a pause behind the first part.
    """
    with suppress(_TooMany):
        films = _within(source, _boxes(source), b"moov")
        for track in [(start, end) for name, start, end in films if name == b"trak"]:
            inside = list(_boxes(source, *track))
            media = _within(source, inside, b"mdia")
            handlers = [(start, end) for name, start, end in media if name == b"hdlr"]
            source.seek(handlers[0][0] + 8 if handlers else 0)
            if source.read(4) != b"vide":
                continue
            for name, start, _ in _within(source, inside, b"edts"):
                if name == b"elst" and _is_odd(source, start):
                    return True
    return False


def _within(
    source: BinaryIO, boxes: Iterable[tuple[bytes, int, int]], name: bytes
) -> Iterator[tuple[bytes, int, int]]:
    """The boxes within those of a name."""
    for found, start, end in boxes:
        if found == name:
            yield from _boxes(source, start, end)


def _is_odd(source: BinaryIO, start: int) -> bool:
    source.seek(start)
    head = source.read(8)
    wide = head[:1] == b"\x01"
    count, size = min(int.from_bytes(head[4:], "big"), MOST_EDITS), 20 if wide else 12
    entries = source.read(count * size)
    for at in range(0, len(entries) - size + 1, size):
        entry = entries[at : at + size]
        half = (size - 4) // 2
        begins = int.from_bytes(entry[half : 2 * half], "big", signed=True)
        if entry[-4:] != b"\0\1\0\0" or (begins == -1 and at > 0):
            return True
    return False


MOST_EDITS = 10_000


def _boxes(
    source: BinaryIO, place: int = 0, length: int | None = None
) -> Iterator[tuple[bytes, int, int]]:
    """Name, start and end of the content of each box of an ISO media file (ISO/IEC 14496-12, 4.2).

    Args:
        source: the file.
        place: where the first one begins.
        length: where the last one ends; None for the end of the file, behind which it may say to end.

    Raises:
        _TooMany: there are more than are followed.
    """
    length = source.seek(0, os.SEEK_END) if length is None else length
    for _ in range(MOST_PARTS):
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
    raise _TooMany


def _behind_jpeg(source: BinaryIO) -> Iterator[str]:
    """Pictures behind the end of the first JPEG, but for those that its own list names."""
    end = _jpeg_end(source, 0)
    if end is None:
        return
    pages, pictures, place = _listed_places(source), 0, end
    tried = 0
    while tried < MOST:
        start = _find(source, place, _JPEG)
        if start is None:
            break
        tried += start not in pages
        found = _jpeg_end(source, start)
        pictures += found is not None and start not in pages
        place = found or start + 1
    else:
        yield f"what looks like pictures after the end of the last one (JPEG), {MOST} times or more"
        return
    if pictures:
        yield f"pictures after the end of the last one (JPEG): {pictures}"
    if _find(source, end, _OTHER_PICTURES) is not None:
        yield "a picture after the end of the last one (PNG, GIF or WebP)"
    # Other bytes behind a JPEG are told of no more than what makers put there for themselves.
    if (held := _find(source, end, _CONTAINERS)) is not None:
        source.seek(held)
        yield f"{archive(source.read(16))} after the end of the picture (JPEG)"


def _listed_places(source: BinaryIO) -> set[int]:
    """Where pictures begin that a JPEG names in a list of its own (CIPA DC-007, 5.2.3).

    Pages, which are looked at, and gain maps, which tell how much brighter a part is on some displays.
    """
    source.seek(0)
    try:
        first = JpegImagePlugin.JpegImageFile(source)
        listed, offset = first._getmp(), first.info.get("mpoffset")
    except DECODER_ERRORS:
        return set()
    if listed is None or offset is None:
        return set()
    return {offset + page["DataOffset"] for page in listed.get(MPF_ENTRIES, ())}


def _jpeg_end(source: BinaryIO, start: int) -> int | None:
    """Where the JPEG that begins at a place ends, behind its last marker; None if it does not.

    Raises:
        _TooMany: it has more markers than are followed.
    """
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
        if marker == 0xFF:  # fill bytes
            place = _find(source, place, _MARKER)
            continue
        if marker == 0x01 or 0xD0 <= marker <= 0xD8:  # without a length
            place += 2
        else:
            place += 2 + int.from_bytes(head[2:], "big")
        if marker == 0xDA:  # what follows is a scan, which has no length
            place = _find(source, place, _IN_SCAN)
    raise _TooMany


def _find(source: BinaryIO, start: int, what: re.Pattern[bytes], end: int | None = None) -> int | None:
    """The first place of some bytes from a start on, up to an end; None if they are not there."""
    source.seek(start)
    kept, size = b"", LEAST_CHUNK
    while chunk := source.read(size if end is None else max(0, min(size, end - start))):
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
    own, twice, place = 0, 0, None
    for _ in range(pages):
        try:
            tags = tiff_directory(source, place)
        except DECODER_ERRORS:  # what is broken of its tags is told with them
            break
        place = tags.next
        twice += int(ExifTags.Base.StripOffsets) in tags and TILE_OFFSETS in tags
        listed = tags.get(int(ExifTags.Base.SubIFDs), ())
        for each in (listed if isinstance(listed, tuple) else (listed,))[:MOST]:
            with suppress(*DECODER_ERRORS):  # a broken one hides no other
                own += _is_full(source, each)
    if twice:
        yield f"pages with pixels both in strips and in tiles, of which one was analysed: {twice}"
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


def _behind(source: BinaryIO, end: int | None) -> Iterator[str]:
    """Data behind the end of a picture; of some formats readers take one picture and no more."""
    rest = 0 if end is None else source.seek(0, os.SEEK_END) - end
    if end is not None and rest > 0:
        source.seek(end)
        head = source.read(CHUNK).strip(b"\0 \t\r\n;")  # some GIFs end twice
        if head:
            kind = archive(head)
            yield f"bytes after the end of the picture: {rest}" + (f", {kind}" if kind else "")


def _end(image: Image.Image, source: BinaryIO, media_type: str) -> int | None:
    """Where the picture, or the last of an animation, ends; None if that is not known."""
    if media_type == "image/png":
        return _png_end(source)
    if media_type == "image/gif":
        return gif_end(source)
    if media_type == "image/webp":  # RIFF: a length, then as many bytes, to an even number
        source.seek(4)
        return 8 + (int.from_bytes(source.read(4), "little") + 1) // 2 * 2
    if media_type == "image/bmp":
        return _bmp_end(source)
    return _anymap_end(image)


def _png_end(source: BinaryIO) -> int | None:
    """Behind IEND (PNG specification, 3rd edition, 5.3)."""
    place = 8
    for _ in range(MOST_PARTS):
        source.seek(place)
        head = source.read(8)
        if len(head) < 8:
            return None
        place += 12 + int.from_bytes(head[:4], "big")
        if head[4:] == b"IEND":
            return place
    raise _TooMany


def gif_end(source: BinaryIO) -> int | None:
    """Behind a GIF's trailer (GIF89a, 27); None if there is none."""
    source.seek(10)
    packed = source.read(3)
    if len(packed) < 3:
        return None
    source.seek(_colours(packed[0]), os.SEEK_CUR)
    while head := source.read(1):
        if head == b"\x3b":
            return source.tell()
        if head == b"\x21":  # an extension: its label, then blocks
            source.seek(1, os.SEEK_CUR)
        elif head == b"\x2c":  # an image: place and size, its colours, the width of codes, then blocks
            described = source.read(9)
            if len(described) < 9:
                return None
            source.seek(_colours(described[8]) + 1, os.SEEK_CUR)
        else:
            continue  # readers pass over what they do not know
        while (size := source.read(1)) not in (b"", b"\0"):
            source.read(size[0])  # quicker than a seek, for it is in the buffer
    return None


def _colours(packed: int) -> int:
    """Bytes of the table of colours that a descriptor announces (GIF89a, 18 and 20)."""
    return 3 << ((packed & 7) + 1) if packed & 0x80 else 0


def _bmp_end(source: BinaryIO) -> int | None:
    """Behind the pixels, where they are not compressed."""
    source.seek(0)
    head = source.read(34)
    if len(head) < 34 or int.from_bytes(head[14:18], "little") < 40:
        return None
    width, height = (int.from_bytes(head[at : at + 4], "little", signed=True) for at in (18, 22))
    if int.from_bytes(head[30:34], "little") not in (0, 3):  # none, or masks
        return None
    row = (width * int.from_bytes(head[28:30], "little") + 31) // 32 * 4
    end = int.from_bytes(head[10:14], "little") + row * abs(height)
    source.seek(14)
    header = source.read(124)
    if len(header) == 124 and header[0] == 124 and header[56:60] == b"DEBM":  # a profile of its own
        place, size = (int.from_bytes(header[at : at + 4], "little") for at in (112, 116))
        if 14 + place - end in range(4):
            end = 14 + place + size
    return end


def _anymap_end(image: Image.Image) -> int | None:
    """Behind the only picture that Pillow reads; the format allows several in their binary form."""
    if not isinstance(image, PpmImagePlugin.PpmImageFile):
        return None
    codec, _, offset, arguments = image.tile[0]
    if codec not in ("raw", "ppm"):
        return None
    # Of a binary one with another greatest value than 255 that value is told to the decoder.
    mode, greatest = arguments if isinstance(arguments, tuple) else (arguments, 255)
    wide = greatest > 255 or mode == "I;16B"
    bits = 1 if image.mode == "1" else (16 if wide else 8) * len(image.getbands())
    return int(offset) + image.height * -(-image.width * bits // 8)
