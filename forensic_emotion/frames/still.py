"""A still picture → its frames: one, or every page or frame of GIF, TIFF, WebP and the like; then
those of a video that a telephone keeps within it.

Pillow decodes. EXIF orientation is applied and recorded; every mode ends as 8-bit RGB.
"""

from __future__ import annotations

import io
import math
import os
import re
import warnings
from collections.abc import Generator, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from fractions import Fraction
from functools import cache
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, ImageFile, PngImagePlugin, TiffImagePlugin

from forensic_emotion.errors import NoPicture, UndecodableMedia
from forensic_emotion.frames.beyond import (
    ISO_PICTURES,
    TILE_OFFSETS,
    Tags,
    beyond,
    ends_within_a_box,
    find_video,
    gif_end,
    tiff_directory,
)
from forensic_emotion.frames.colour import as_displayed
from forensic_emotion.frames.exif import plain, read_exif
from forensic_emotion.frames.exif_thumbnail import unlike_thumbnail
from forensic_emotion.frames.media import DECODER_ERRORS, HEIF, Frames, Part
from forensic_emotion.frames.video import video_frames
from forensic_emotion.records import RGB, Frame, FrameTime, MediaFacts
from forensic_emotion.settings import ScanSettings
from forensic_emotion.terminal import silenced

PSD = "image/vnd.adobe.photoshop"

FORMATS = {
    "image/jpeg": ("JPEG", "MPO"),
    "image/png": ("PNG",),
    "image/gif": ("GIF",),
    "image/tiff": ("TIFF",),
    "image/webp": ("WEBP",),
    "image/bmp": ("BMP",),
    "image/avif": ("AVIF",),
    "image/jp2": ("JPEG2000",),
    "image/vnd.microsoft.icon": ("ICO",),
    "image/x-portable-anymap": ("PPM",),
    PSD: ("PSD",),
    "image/heic": ("HEIF",),
    "image/heif": ("HEIF",),
}
"""Media type → Pillow's decoders for it. No other one is ever tried on evidence."""

ANIMATED = ("image/gif", "image/webp", "image/png", "image/avif")
"""Media types whose further pages are the frames of an animation."""

EXIF_TEXTS = ("Raw profile type exif",)
"""Texts of a PNG that hold its EXIF."""
OF_COLOUR = ("icc_profile", "gamma", "srgb", "transparency")
"""What Pillow tells of a PNG's colours under a name that a text may have too."""
MOST_PICTURES = 50
"""Of the greatest size that one may have, so many have the pixels that all pages of a file may have."""
MOST_MISSING = 1 << 26
"""Bytes that may be missing at the end of a HEIF file; telephones write less than a tenth of it."""

MOST_BYTES_PER_PIXEL = 12
"""What decoding HEIF or AVIF takes, measured at about 8."""

MILLISECOND = Fraction(1, 1000)

TILE_BYTE_COUNTS, SAMPLE_FORMAT = 325, 339
"""Tags of TIFF 6.0 that Pillow has no names for."""
WHITE_IS_ZERO = 0
"""Value of the tag PhotometricInterpretation."""
SAMPLE_FORMATS = {1: "whole numbers", 2: "signed whole numbers", 3: "floating point"}


def still_frames(source: BinaryIO, media_type: str, settings: ScanSettings, facts: MediaFacts) -> Frames:
    """Every page or frame of a still-picture file, then of a video within it; see ``media.Reader``.

    Pages have no time. Frames of an animation have the sum of the durations before them, on a clock
    of milliseconds; only the sum is rounded, for APNG counts in fractions of a second. A page that
    cannot be decoded does not keep the next one from being tried.
    """
    if media_type not in FORMATS:
        raise UndecodableMedia("unsupported", f"femo cannot decode {media_type}")
    broken: list[UndecodableMedia] = []
    pages = 1
    try:
        pages = yield from _pages(source, media_type, settings, facts, broken)
    except UndecodableMedia as error:  # not to be opened; a video within it may be sound
        broken.append(error)
    yield from _frames_of_video(source, media_type, settings, facts)
    if broken and not facts.frames_decoded:
        raise broken[0]
    if broken:
        facts.note(broken[0].problem, f"{len(broken)} of {pages} pages or frames are lost: {broken[0]}")


def _frames_of_video(
    source: BinaryIO, media_type: str, settings: ScanSettings, facts: MediaFacts
) -> Frames:
    """The sampled frames of the seconds of video that a telephone keeps within a picture's file.

    The number of their stream is one more than within that video: the still is stream 0. What the video
    tells of itself is kept; width, orientation and EXIF stay those of the picture.
    """
    place = find_video(source, media_type)
    if place is None:
        return
    own, video = MediaFacts(), io.BufferedReader(Part(source, *place))
    try:
        for frame in video_frames(video, "video/mp4", settings, own):
            yield frame and replace(frame, stream=frame.stream + 1)
    except NoPicture as error:
        own.note("not_looked_at", f"{error.text}, though it begins as one")
    except UndecodableMedia as error:  # the picture may be sound
        own.note(error.problem, error.text)
    finally:
        facts.metadata = own.metadata
        facts.take_in(own, "the video embedded in it: ")


def _duration(image: Image.Image) -> Fraction:
    """How long the frame that was decoded is shown, in seconds."""
    given = image.info.get("duration")
    milliseconds = float(given) if isinstance(given, int | float) and 0 <= given < math.inf else 0.0
    # APNG has 16 bits for each part of a fraction, so that its own is the nearest one.
    return Fraction(milliseconds / 1000).limit_denominator(0xFFFF)


@contextmanager
def limits(max_pixels: int) -> Iterator[list[warnings.WarningMessage]]:
    """Make Pillow refuse pictures with more than so many pixels, before it decodes them.

    Its own check stands in every place that allocates a picture, also for frames that claim another
    size than their file. It raises at twice its limit, and warns from its limit on.

    Gives what Pillow warns of meanwhile.
    """
    before = Image.MAX_IMAGE_PIXELS
    Image.MAX_IMAGE_PIXELS = max_pixels / 2  # type: ignore[assignment]
    try:
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            yield told
    finally:
        Image.MAX_IMAGE_PIXELS = before


@contextmanager
def libtiff_silenced(media_type: str) -> Iterator[None]:
    """Keep libtiff from writing hundreds of lines about a broken file to the terminal.

    It writes to the process's standard error itself; Pillow raises what matters.
    """
    with silenced() if media_type == "image/tiff" else nullcontext():
        yield


def _open(source: BinaryIO, media_type: str, facts: MediaFacts) -> Image.Image:
    source.seek(0)
    if media_type in HEIF:
        _teach_heif()
    try:
        # Pillow closes only what it opened by name: the descriptor stays ours.
        with libtiff_silenced(media_type):
            return Image.open(source, formats=FORMATS[media_type])
    except Image.DecompressionBombError as error:
        raise _bomb(error) from error
    except DECODER_ERRORS as error:
        if media_type == "image/tiff" and (what := _unknown_pixels(_first_page(source), source)):
            text = f"femo cannot decode a TIFF with {what}"
            raise UndecodableMedia("unsupported", text) from error
        if media_type in HEIF:
            return _open_cut_off(source, media_type, facts, error)
        if media_type == "image/png" and (image := _open_leniently(source)):
            if "too large" in str(error):  # Pillow's limit for a text that is compressed
                facts.note("not_looked_at", "a text before its pixels is too large, and was left out")
            else:
                facts.note(
                    "damaged", "a part before its pixels is damaged; they were decoded without it"
                )
            return image
        raise _broken(error, media_type) from error


def _open_leniently(source: BinaryIO) -> Image.Image | None:
    """A PNG in which a part that decoding can do without is damaged; None if that is not all."""
    source.seek(0)
    try:
        with _lenient():
            return Image.open(source, formats=FORMATS["image/png"])
    except DECODER_ERRORS:
        return None


@contextmanager
def _lenient() -> Iterator[None]:
    """Let Pillow go on where data are missing or damaged."""
    before = ImageFile.LOAD_TRUNCATED_IMAGES
    ImageFile.LOAD_TRUNCATED_IMAGES = True
    try:
        yield
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = before


def _open_cut_off(
    source: BinaryIO, media_type: str, facts: MediaFacts, reason: Exception
) -> Image.Image:
    """A HEIF file of which the end is missing, with zeros in its place; libheif opens no other one.

    Args:
        reason: why Pillow cannot open it as it is.
    """
    import pillow_heif

    source.seek(0)
    data = source.read()
    try:  # once more, for Pillow does not hand on what libheif says
        pillow_heif.open_heif(io.BytesIO(data))
    except DECODER_ERRORS as error:
        reason = error
    try:
        image = Image.open(io.BytesIO(data + bytes(MOST_MISSING)), formats=FORMATS[media_type])
    except Image.DecompressionBombError as error:
        raise _bomb(error) from error
    except DECODER_ERRORS as error:
        raise _broken(reason, media_type) from error
    facts.note("truncated", f"{media_type} is cut off and decodes only in part: {_text(reason)}")
    return image


@cache
def _teach_heif() -> None:
    """Let Pillow decode HEIF, where somebody asks for it: to load the library takes a while.

    In one thread, for workers share the cores. Of a picture nothing but itself: what is derived from it
    shows no other face.
    """
    import pillow_heif

    pillow_heif.register_heif_opener(
        decode_threads=1, thumbnails=False, depth_images=False, aux_images=False
    )


def _first_page(source: BinaryIO) -> Tags | None:
    """What a TIFF says of its first page; None if that cannot be read."""
    try:
        return tiff_directory(source)
    except DECODER_ERRORS:
        return None


def _unknown_pixels(tags: Tags | None, source: BinaryIO) -> str | None:
    """What a page of a TIFF has that Pillow has no decoder for; None if it is not whole, or Pillow has.

    Pillow calls a picture that it cannot decode the same as one that is broken.
    """
    if tags is None:
        return None
    try:
        tag = ExifTags.Base
        # TIFF 6.0: pixels lie in strips or in tiles, each with its place and its length.
        places = tags.get(tag.StripOffsets) or tags[TILE_OFFSETS]
        lengths = tags.get(tag.StripByteCounts) or tags[TILE_BYTE_COUNTS]
        ends = [place + length for place, length in zip(places, lengths, strict=True)]
        if not ends or max(ends) > source.seek(0, os.SEEK_END):
            return None
        compression = tags.get(tag.Compression, 1)
        if compression not in TiffImagePlugin.COMPRESSION_INFO:
            return f"compression {compression}"
        bits, kinds = tags[tag.BitsPerSample], tags.get(SAMPLE_FORMAT, (1,))
        known = {(key[2], key[4]) for key in TiffImagePlugin.OPEN_INFO}
        if (kinds[:1] if len(set(kinds)) == 1 else kinds, bits) in known:
            return None
    except DECODER_ERRORS:
        return None
    kind = " and ".join(sorted({SAMPLE_FORMATS.get(k, f"sample format {k}") for k in kinds}))
    return f"pixels of {len(bits)} x {bits[0]} bits, {kind}"


def _pages(
    source: BinaryIO,
    media_type: str,
    settings: ScanSettings,
    facts: MediaFacts,
    broken: list[UndecodableMedia],
) -> Generator[Frame | None, None, int]:
    """The pages or frames of a file; returns how many it has.

    Args:
        broken: takes in why a page is lost.
    """
    with limits(settings.max_pixels) as told, _open(source, media_type, facts) as image:
        pages = _page_count(image, source, media_type, facts)
        for text in beyond(image, source, media_type, pages):
            facts.note("not_looked_at", text)
        elapsed: Fraction | None = Fraction(0)
        area = 0
        for index in range(pages):
            why = None
            if index == settings.max_pages:
                why = "(--max-pages)"
            elif area > MOST_PICTURES * settings.max_pixels:  # each may be small in the file
                why = f"for together they have more than {MOST_PICTURES} times --max-pixels"
            if why:
                text = f"has {pages} pages or frames; the first {index} were tried {why}"
                facts.note("too_many_pages", text)
                break
            try:
                pixels = _decode(image, index, source, media_type, facts)
                area += image.width * image.height
            except UndecodableMedia as error:
                broken.append(error)
                elapsed = None  # what follows is shown at a time that is not known any more
                yield None  # the next one may take as long
                continue
            if facts.width is None:
                facts.height, facts.width = pixels.shape[:2]
                _note_warnings(told, facts)
            if index == 0 and (unlike := unlike_thumbnail(image.info.get("exif"), pixels)):
                facts.note("not_looked_at", unlike)
            facts.frames_decoded += 1
            time = None
            # An APNG may have a picture for readers that show no animation, which is no part of it.
            is_apart = index == 0 and bool(image.info.get("default_image"))
            if media_type in ANIMATED and pages > 1 and elapsed is not None and not is_apart:
                begins = image.info.get("timestamp")  # AVIF says it itself, durations are rounded
                elapsed = elapsed if begins is None else begins * MILLISECOND
                time = FrameTime(round(elapsed / MILLISECOND), MILLISECOND)
                elapsed += _duration(image)
            yield Frame(index, time, pixels)
    return pages


def _note_warnings(told: list[warnings.WarningMessage], facts: MediaFacts) -> None:
    """Tell of what Pillow passed over, of its warnings that mean something to whoever looks at faces."""
    texts = dict.fromkeys(" ".join(str(warning.message).split()) for warning in told)
    if any("APNG" in text for text in texts):
        facts.note("pages_lost", "its animation cannot be read; the picture beside it was analysed")
    if skipped := [text for text in texts if re.search("tag|exif|truncated", text, re.IGNORECASE)]:
        facts.exif = {"unreadable": plain("; ".join(skipped)), **(facts.exif or {})}


def _page_count(image: Image.Image, source: BinaryIO, media_type: str, facts: MediaFacts) -> int:
    """How many pages a file has that can be reached; notes it where its list of pages is broken."""
    if media_type == PSD:
        return 1  # its further "frames" are the layers of the one picture
    try:
        with libtiff_silenced(media_type):
            pages: int = getattr(image, "n_frames", 1)
    except DECODER_ERRORS as error:
        if isinstance(image, TiffImagePlugin.TiffImageFile):
            reached = image.tell()  # the page that has no decoder; Pillow cannot pass it
            if reached and (what := _unknown_pixels(image.tag_v2, source)):
                text = f"page {reached}: femo cannot decode a TIFF with {what}, nor reach what follows"
                facts.note("unsupported", text)
                return reached
        # Of other formats the page at which Pillow stands need not be a sound one.
        last = image.tell() if media_type == "image/gif" else 0
        facts.note("pages_lost", f"its list of pages cannot be read past page {last}: {_text(error)}")
        return last + 1
    if media_type == "image/gif" and gif_end(source) is None:
        facts.note("truncated", "does not end as a GIF does: it is cut off")
    if media_type in ISO_PICTURES and not facts.problems and ends_within_a_box(source):
        facts.note("truncated", "ends early: what is missing may be left blank")
    # Pillow ends a broken list of TIFF pages where it breaks, and says nothing.
    if media_type == "image/tiff" and not _tiff_list_ends(source, pages):
        facts.note("pages_lost", f"its list of pages ends abruptly after page {pages - 1}")
    return pages


def _tiff_list_ends(source: BinaryIO, pages: int) -> bool:
    """Whether the chain of a TIFF's page directories ends properly after so many pages (TIFF 6.0, 2)."""
    place = None
    with suppress(*DECODER_ERRORS):
        for _ in range(pages):
            place = tiff_directory(source, place).next
    return place == 0


def _decode(image: Image.Image, index: int, source: BinaryIO, media_type: str, facts: MediaFacts) -> RGB:
    """The pixels of one page; a broken one as far as it can be decoded, with a problem noted."""
    which = f"page {index}: " if index else ""
    try:
        orientation = _load(image, index, media_type, facts)
    except Image.DecompressionBombError as error:
        raise _bomb(error, which) from error
    except DECODER_ERRORS as error:
        if media_type in ISO_PICTURES and not _has_memory(image):
            raise MemoryError from error
        rest = _load_rest(source, index, media_type, facts)
        if rest is None:
            raise _broken(error, media_type, which) from error
        image, orientation = rest
        facts.note(
            "truncated",
            f"{which}{media_type} decodes only in part, {_how_far(image)}: {_text(error)}",
        )
    if index == 0:
        facts.orientation = orientation
    try:
        if orientation in TRANSPOSE and media_type != "image/tiff":
            image = image.transpose(TRANSPOSE[orientation])
        if not isinstance(image.info.get("transparency"), int | bytes | tuple):
            image.info.pop("transparency", None)  # a text chunk of a PNG may have that name too
        image = as_displayed(image)
        if hidden := _beneath(image):
            facts.note("not_looked_at", f"{which}{hidden}")
        return to_rgb(image)
    except DECODER_ERRORS as error:
        raise _broken(error, media_type, which) from error


def _has_memory(image: Image.Image) -> bool:
    """Whether there is memory to decode a picture: libheif and libavif call the want of it damage."""
    try:
        np.empty((image.height, image.width, MOST_BYTES_PER_PIXEL), np.uint8)
    except MemoryError:
        return False
    return True


def _load(image: Image.Image, index: int, media_type: str, facts: MediaFacts) -> int | None:
    """Decode a page; its EXIF orientation, 1 to 8, or None without one."""
    with libtiff_silenced(media_type):
        if media_type != PSD:  # its layers are counted from 1, and the whole is what was opened
            image.seek(index)  # also to the first: of HEIF another one is at hand when it is opened
        if media_type in HEIF:
            _load_heif(image, facts)
            return None
        _forget_texts(image, facts)
        # Pillow turns a TIFF by itself when it loads it, and then forgets by how much; of a PNG it knows
        # the EXIF only when it has loaded it.
        if media_type == "image/tiff":
            orientation = _exif(image, facts)
            image.load()
            return orientation
        image.load()
        _forget_texts(image, facts)  # a PNG's may stand behind its pixels
        return _exif(image, facts)


def _load_heif(image: Image.Image, facts: MediaFacts) -> None:
    """Decode a page of HEIF, which libheif turns as its container says: no orientation is left to apply.

    By ISO 23008-12 the container's word counts, and EXIF's does not; that is kept as the file has it.
    """
    pixels = image.width * image.height
    if pixels > 2 * (Image.MAX_IMAGE_PIXELS or pixels):  # Pillow checks the first page only
        raise Image.DecompressionBombError(f"{pixels} pixels")
    if facts.exif is None:
        read_exif(image, facts)
        if facts.exif and "Orientation" in facts.exif:  # which the plugin has set to 1
            facts.exif["Orientation"] = image.info["original_orientation"]
    image.load()


def _forget_texts(image: Image.Image, facts: MediaFacts) -> None:
    """Pillow takes an orientation from XMP where EXIF has none; viewers do not, and it is no EXIF.

    Texts of a PNG stand among what Pillow tells of its pixels, and may have the same names.
    """
    for name in ("xmp", "XML:com.adobe.xmp"):
        image.info.pop(name, None)
    if isinstance(image, PngImagePlugin.PngImageFile):
        if isinstance(image.info.get("bbox"), str):  # already taken for what part of it the pixels are
            image.tile = [tile._replace(extents=(0, 0, *image.size)) for tile in image.tile]
        texts = [key for key, value in image.info.items() if isinstance(value, str)]
        for text in texts:
            if text not in EXIF_TEXTS:
                del image.info[text]
            if text in OF_COLOUR:
                facts.note("not_looked_at", f"its {text}, if it has one: a text of that name hides it")


def _exif(image: Image.Image, facts: MediaFacts) -> int | None:
    """Take in the EXIF of the first page; the orientation of this one."""
    if facts.exif is None:
        read_exif(image, facts)
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation)
    except DECODER_ERRORS as error:
        facts.note("exif", f"EXIF cannot be read, so no orientation was applied: {_text(error)}")
        return None
    # A damaged file may write it as a fraction, which is equal to such a number and is none.
    return next((number for number in range(1, 9) if number == orientation), None)


def _load_rest(
    source: BinaryIO, index: int, media_type: str, facts: MediaFacts
) -> tuple[Image.Image, int | None] | None:
    """A broken page once more, with what is missing left blank; None if nothing comes at all."""
    if media_type in (*ISO_PICTURES, "image/webp"):
        return None  # all that came would be a blank page, after all frames before it once more
    try:
        with _lenient():
            image = _open(source, media_type, facts)
            return image, _load(image, index, media_type, facts)
    except UndecodableMedia:
        return None
    except DECODER_ERRORS:
        return None


def _how_far(image: Image.Image) -> str:
    """How many rows came before the blank that stands for the rest; fewer if it ends blank itself."""
    pixels = np.asarray(image)
    above, below = pixels[:-1], pixels[1:]
    differ = (above != below).reshape(len(above), -1).any(axis=1)
    rows = int(np.flatnonzero(differ).max()) + 1 if differ.any() else 0
    return f"{rows} of {len(pixels)} rows, as stored"


TRANSPOSE = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF orientation → what makes the stored picture the displayed one (EXIF 2.32, tag 274)."""


MOST_PIXELS = (0.5, 99.5)
"""Percentiles: a few dead pixels must not make black of all others."""
ABSURD = 20
"""How many times as far apart as nearly all pixels lie the extremes if they are dead ones."""
MOST_BITS_OF_A_SENSOR = 14
"""What cameras, scanners and microscopes write into 16 bits; a picture that takes more is of 16."""


def to_rgb(image: Image.Image) -> RGB:
    """Any Pillow picture as 8-bit RGB.

    Transparent parts are laid over white, as viewers show them. 16 bits keep their upper 8, of
    those that the brightest pixel takes if it takes so few as a camera's 10, 12 or 14; wider numbers,
    which have no agreed white, are spread from their least to their greatest, dead pixels left aside.
    """
    if image.mode.startswith("I;16"):
        wide = np.asarray(image).astype(np.uint16)
        bits = max(8, int(wide.max(initial=0)).bit_length())
        if bits > MOST_BITS_OF_A_SENSOR:
            bits = 16
        return _as_grey((wide >> (bits - 8)).astype(np.uint8), image)
    if image.mode in ("I", "F"):
        values = np.nan_to_num(np.asarray(image, dtype=np.float64), posinf=0, neginf=0)
        low, high = values.min(), values.max()
        usual = np.percentile(values, MOST_PIXELS)
        if high - low > ABSURD * (usual[1] - usual[0]) > 0:
            low, high = usual
        grey = (values - low) * (255 / (high - low)) if high > low else np.zeros_like(values)
        return _as_grey(np.clip(grey, 0, 255).astype(np.uint8), image)
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        white = Image.new("RGBA", layer.size, "white")
        image = Image.alpha_composite(white, layer)
    return np.array(image.convert("RGB"))


def _beneath(image: Image.Image) -> str | None:
    """What a picture's transparency hides when it is laid over white, in words; None if nothing.

    Viewers may lay it over black, and whoever takes the transparency away sees what lies beneath.
    """
    if not image.has_transparency_data:
        return None
    layer = image.convert("RGBA")
    grey, share = np.asarray(layer.convert("RGB").convert("L")), np.asarray(layer.getchannel("A"))
    for top in range(0, image.height - BLOCK + 1, BLOCK):
        whole = image.width // BLOCK * BLOCK
        shape = (BLOCK, -1, BLOCK)
        greys, shares = (each[top : top + BLOCK, :whole].reshape(shape) for each in (grey, share))
        clear = shares <= CLEAR
        enough = clear.sum(axis=(0, 2)) >= MOSTLY * BLOCK**2
        if enough.any():
            beneath = np.ma.masked_array(greys[:, enough], ~clear[:, enough]).astype(np.float32)
            if beneath.std(axis=(0, 2)).max() > CONTRAST:
                return "colours beneath its transparent parts"
    step = -(-max(image.size) // LONGEST)
    over_black = grey[::step, ::step] / 255.0 * share[::step, ::step]
    over_white = over_black + 255 - share[::step, ::step]
    between = (share[::step, ::step] > CLEAR) & (share[::step, ::step] < 255 - CLEAR)
    if (
        between.mean() > PICTURE
        and over_black.std() > CONTRAST
        and over_white.std() < over_black.std() / 2
    ):
        return "what its transparent parts show on a dark background"
    return None


BLOCK = 32
"""Pixels of a square; where one is clear nearly all over, it is no edge of what is shown."""
MOSTLY = 0.9
"""Share of such a square."""
PICTURE = 0.2
"""Share of half transparent pixels from which on transparency is a picture, and no edge of a drawing."""
CLEAR = 15
"""Opacity, of 255, up to which nobody sees a pixel."""
CONTRAST = 16.0
"""Standard deviation of grey values, of 255, from which on they may be a picture."""
LONGEST = 1024
"""Pixels along a side that are enough to judge it as a whole."""


def _as_grey(values: npt.NDArray[np.uint8], image: Image.Image) -> RGB:
    """What was more than 8 bits wide as a picture. Pillow leaves such numbers of a TIFF as stored."""
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        photometric = image.tag_v2.get(int(ExifTags.Base.PhotometricInterpretation))
        if photometric == WHITE_IS_ZERO:
            values = 255 - values
    return np.stack([values] * 3, axis=-1)


def _bomb(error: Exception, which: str = "") -> UndecodableMedia:
    text = _text(error).replace(".0 pixels", " pixels")  # half of our limit may be no whole number
    return UndecodableMedia("too_large", f"{which}not decoded (--max-pixels): {text}")


def _broken(error: Exception, media_type: str, which: str = "") -> UndecodableMedia:
    return UndecodableMedia("damaged", f"{which}{media_type} cannot be decoded: {_text(error)}")


def _text(error: Exception) -> str:
    """One line; without the address of the file object that Pillow prints."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text.split(" <_io.")[0].rstrip(".")
