"""A picture's stored numbers → those that a viewer would show, where the two lie far apart.

A colour profile, or the gamma of a PNG, says what stored numbers mean. The common ones change a face
little, and numbers are taken as they stand; one that says something else altogether may show a face
that the numbers hide.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import lru_cache, partial

import numpy as np
from PIL import Image, ImageCms

FAR = 64
"""Difference in brightness, of 255, from which on a profile is applied. Display P3 makes up to 40, Adobe
RGB 47, ProPhoto RGB 56, all of them for pure colours; linear light makes 73."""
DISPLAY = 2.2
"""Gamma of displays, which a PNG's own is meant against (PNG specification, 3rd edition, 13.13)."""
BROKEN = (ImageCms.PyCMSError, OSError, ValueError, TypeError)
EIGHT_BITS = ("L", "LA", "RGB", "RGBA")


def as_displayed(image: Image.Image) -> Image.Image:
    """The picture with its profile or gamma applied, if that changes it much; else as it is."""
    profile = image.info.get("icc_profile")
    if isinstance(profile, bytes) and profile:
        return _by_profile(image, profile)
    gamma = image.info.get("gamma")
    if isinstance(gamma, float) and gamma > 0 and "srgb" not in image.info:
        shown = [round(255 * (n / 255) ** (1 / (gamma * DISPLAY))) for n in range(256)]
        if max(abs(value - n) for n, value in enumerate(shown)) > FAR:
            return _on_colours(image, lambda colours: colours.point(shown * len(colours.getbands())))
    return image


def _by_profile(image: Image.Image, profile: bytes) -> Image.Image:
    mode = "L" if image.mode in ("L", "LA") else "RGB"
    transform = _transform(profile, mode)
    if transform is None:
        return image
    return _on_colours(image, partial(_applied, transform))


def _applied(transform: ImageCms.ImageCmsTransform, colours: Image.Image) -> Image.Image:
    shown = ImageCms.applyTransform(colours, transform)
    assert shown is not None, "only a picture that is changed in place has none"
    return shown


def _on_colours(image: Image.Image, change: Callable[[Image.Image], Image.Image]) -> Image.Image:
    """The picture with its colours changed and its transparency kept; as it is if it is of more bits."""
    if image.mode == "P" or image.has_transparency_data:  # one of its colours may be the transparent one
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    if image.mode not in EIGHT_BITS:
        return image
    if "A" not in image.mode:
        return change(image)
    changed = change(image.convert(image.mode.removesuffix("A"))).convert("RGB")
    changed.putalpha(image.getchannel("A"))
    return changed


@lru_cache(maxsize=16)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """What makes sRGB of a profile's numbers, if it changes their brightness much; else None."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        found = ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB")
        tried = _samples(mode)
        shown = _applied(found, tried)
    except BROKEN:  # of another kind of colours, or no profile: viewers leave it out too
        return None
    apart = np.abs(np.asarray(shown.convert("L"), int) - np.asarray(tried.convert("L"), int))
    return found if apart.max() > FAR else None


def _samples(mode: str) -> Image.Image:
    """All greys, and of colours a lattice."""
    greys = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
    steps = np.arange(0, 256, 15, dtype=np.uint8)
    colours = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(-1, 3)
    every = greys if mode == "L" else np.concatenate([greys, colours])
    return Image.fromarray(every[None]).convert(mode)
