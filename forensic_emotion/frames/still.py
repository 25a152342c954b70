"""A still picture → its frames: one, or every page or frame of GIF, TIFF, WebP and the like.

Pillow decodes. EXIF orientation is applied and recorded; every mode ends as 8-bit RGB.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from typing import BinaryIO

import numpy as np
from PIL import ExifTags, Image, ImageFile, ImageOps

from forensic_emotion.errors import UndecodableMedia
from forensic_emotion.records import RGB, Frame, FrameTime, MediaFacts
from forensic_emotion.settings import ScanSettings

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
    "image/vnd.adobe.photoshop": ("PSD",),
}
"""Media type → Pillow's decoders for it. No other one is ever tried on evidence."""

MILLISECOND = Fraction(1, 1000)

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
    Image.DecompressionBombError,
)


def still_frames(
    source: BinaryIO, media_type: str, settings: ScanSettings, facts: MediaFacts
) -> Iterator[Frame]:
    """Every page or frame of a still-picture file; see ``media.Reader``.

    Pages have no time. Frames of an animation have the sum of the durations before them, on a clock
    of milliseconds. A page that cannot be decoded does not keep the next one from being tried.
    """
    if media_type not in FORMATS:
        raise UndecodableMedia("unsupported", f"femo cannot decode {media_type}")
    with limits(settings.max_pixels), _open(source, media_type) as image:
        pages = _page_count(image, media_type)
        elapsed, broken = 0, []
        for index in range(min(pages, settings.max_pages)):
            try:
                pixels = _decode(image, index, source, media_type, facts)
            except UndecodableMedia as error:
                broken.append(error)
                continue
            if facts.width is None:
                facts.height, facts.width = pixels.shape[:2]
            facts.frames_decoded += 1
            duration = image.info.get("duration") if pages > 1 else None
            time = None if duration is None else FrameTime(elapsed, MILLISECOND)
            yield Frame(index, time, pixels)
            elapsed += round(duration or 0)
    if broken and not facts.frames_decoded:
        raise broken[0]
    if broken:
        facts.note(broken[0].problem, f"{len(broken)} of {pages} pages or frames are lost: {broken[0]}")
    if pages > settings.max_pages:
        facts.note(
            "too_many_pages",
            f"has {pages} pages or frames; the first {settings.max_pages} were tried (--max-pages)",
        )


@contextmanager
def limits(max_pixels: int) -> Iterator[None]:
    """Make Pillow refuse pictures with more than so many pixels, before it decodes them.

    Its own check stands in every place that allocates a picture, also for frames that claim another
    size than their file. It raises at twice its limit, and warns from its limit on.
    """
    before = Image.MAX_IMAGE_PIXELS
    Image.MAX_IMAGE_PIXELS = max_pixels / 2  # type: ignore[assignment]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # also damaged EXIF: it does not change the pixels
            yield
    finally:
        Image.MAX_IMAGE_PIXELS = before


@contextmanager
def libtiff_silenced(media_type: str) -> Iterator[None]:
    """Keep libtiff from writing hundreds of lines about a broken file to the terminal.

    It writes to the process's standard error itself; Pillow raises what matters.
    """
    if media_type != "image/tiff":
        yield
        return
    terminal, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(terminal, 2)
        os.close(terminal)
        os.close(nowhere)


def _open(source: BinaryIO, media_type: str) -> Image.Image:
    source.seek(0)
    try:
        # Pillow closes only what it opened by name: the descriptor stays ours.
        with libtiff_silenced(media_type):
            return Image.open(source, formats=FORMATS[media_type])
    except Image.DecompressionBombError as error:
        raise _bomb(error) from error
    except DECODER_ERRORS as error:
        raise _broken(error, media_type) from error


def _page_count(image: Image.Image, media_type: str) -> int:
    if image.format == "PSD":
        return 1  # its further "frames" are the layers of the one picture
    try:
        with libtiff_silenced(media_type):
            return getattr(image, "n_frames", 1)
    except DECODER_ERRORS:
        # A broken list of pages: the first one can still be had.
        return 1


def _decode(image: Image.Image, index: int, source: BinaryIO, media_type: str, facts: MediaFacts) -> RGB:
    """The pixels of one page; a broken one as far as it can be decoded, with a problem noted."""
    which = f"page {index}: " if index else ""
    try:
        with libtiff_silenced(media_type):
            if index:
                image.seek(index)
            image.load()
    except Image.DecompressionBombError as error:
        raise _bomb(error, which) from error
    except DECODER_ERRORS as error:
        rest = _decode_rest(source, media_type, index)
        if rest is None:
            raise _broken(error, media_type, which) from error
        facts.note("truncated", f"{which}{media_type} decodes only in part: {_text(error)}")
        image = rest
    try:
        return to_rgb(_turn(image, facts))
    except DECODER_ERRORS as error:
        raise _broken(error, media_type, which) from error


def _decode_rest(source: BinaryIO, media_type: str, index: int) -> Image.Image | None:
    """A broken page once more, with what is missing left blank; None if nothing comes at all."""
    ImageFile.LOAD_TRUNCATED_IMAGES = True
    try:
        image = _open(source, media_type)
        with libtiff_silenced(media_type):
            if index:
                image.seek(index)
            image.load()
    except UndecodableMedia:
        return None
    except DECODER_ERRORS:
        return None
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = False
    return image


def _turn(image: Image.Image, facts: MediaFacts) -> Image.Image:
    """The picture as displayed: turned and mirrored as its EXIF orientation says."""
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation)
    except DECODER_ERRORS as error:
        facts.note("exif", f"EXIF cannot be read, so no orientation was applied: {_text(error)}")
        return image
    if orientation not in range(1, 9):
        return image
    if facts.orientation is None:
        facts.orientation = orientation
    return ImageOps.exif_transpose(image)


def to_rgb(image: Image.Image) -> RGB:
    """Any Pillow picture as 8-bit RGB.

    Transparent parts are laid over white, as viewers show them. 16 bits keep their upper 8; wider
    numbers, which have no agreed white, are spread from their least to their greatest.
    """
    if image.mode.startswith("I;16"):
        wide = np.asarray(image).astype(np.uint16)
        return np.stack([(wide >> 8).astype(np.uint8)] * 3, axis=-1)
    if image.mode in ("I", "F"):
        values = np.nan_to_num(np.asarray(image, dtype=np.float64), posinf=0, neginf=0)
        low, high = values.min(), values.max()
        grey = (values - low) * (255 / (high - low)) if high > low else np.zeros_like(values)
        return np.stack([grey.astype(np.uint8)] * 3, axis=-1)
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        white = Image.new("RGBA", layer.size, "white")
        image = Image.alpha_composite(white, layer)
    return np.array(image.convert("RGB"))


def _bomb(error: Exception, which: str = "") -> UndecodableMedia:
    text = _text(error).replace(".0 pixels", " pixels")  # half of our limit may be no whole number
    return UndecodableMedia("too_large", f"{which}not decoded (--max-pixels): {text}")


def _broken(error: Exception, media_type: str, which: str = "") -> UndecodableMedia:
    return UndecodableMedia("damaged", f"{which}{media_type} cannot be decoded: {_text(error)}")


def _text(error: Exception) -> str:
    """One line; without the address of the file object that Pillow prints."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text.split(" <_io.")[0].rstrip(".")
