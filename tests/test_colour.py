"""Colour profiles and gamma that change what is seen are applied; common ones change nothing."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from tests.builders import read_frames

SRGB = ((0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.71410))
ADOBE = ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457))
PROPHOTO = ((0.79767, 0.28804, 0.0), (0.13519, 0.71188, 0.0), (0.03134, 0.00009, 0.82491))
WHITE = (0.9642, 1.0, 0.8249)
"""XYZ of primaries and of D50, as profiles hold them."""
HIDDEN = [n % 16 * 4369 for n in range(256)]
"""A curve that shows the lower four bits of a number."""
STORED = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2).repeat(8, axis=0)


def profile(curve: float | list[int], primaries: tuple[tuple[float, ...], ...]) -> bytes:
    """A display profile of three curves and a matrix (ICC.1:2001-04)."""
    tone = [round(curve * 256)] if isinstance(curve, float) else curve
    tones = b"curv" + bytes(4) + struct.pack(f">I{len(tone)}H", len(tone), *tone)
    tags = {b"wtpt": xyz(WHITE)}
    for letter, primary in zip(b"rgb", primaries, strict=True):
        tags[bytes([letter]) + b"XYZ"] = xyz(primary)
        tags[bytes([letter]) + b"TRC"] = tones + bytes(-len(tones) % 4)
    tags[b"cprt"] = b"text" + bytes(8)
    tags[b"desc"] = b"desc" + struct.pack(">II", 0, 1) + bytes(83)
    place, table, content = 132 + 12 * len(tags), struct.pack(">I", len(tags)), b""
    for name, value in tags.items():
        table += name + struct.pack(">II", place + len(content), len(value))
        content += value
    head = struct.pack(">I4sI4s4s4s", place + len(content), b"", 0x02100000, b"mntr", b"RGB ", b"XYZ ")
    head += bytes(12) + b"acsp" + bytes(28) + xyz(WHITE)[8:]
    return head.ljust(128, b"\0") + table + content


def xyz(values: tuple[float, ...]) -> bytes:
    return b"XYZ " + bytes(4) + struct.pack(">3i", *(round(value * 65536) for value in values))


def in_mode(mode: str) -> Image.Image:
    grey = Image.fromarray(STORED[:, :, 1])  # a palette of all greys is made of grey alone
    return (grey if mode == "P" else Image.fromarray(STORED)).convert(mode)


def looked_at(path: Path) -> np.ndarray:
    (frame,), facts = read_frames(path)
    assert facts.problems == []
    return frame.image


@pytest.mark.parametrize(
    ("curve", "primaries"), [(2.2, SRGB), (2.199, ADOBE), (1.8, PROPHOTO), (1.8, SRGB)]
)
def test_a_common_profile_changes_nothing(
    tmp_path: Path, curve: float, primaries: tuple[tuple[float, ...], ...]
) -> None:
    Image.fromarray(STORED).save(tmp_path / "p.png", icc_profile=profile(curve, primaries))
    assert (looked_at(tmp_path / "p.png") == STORED).all()


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "L"])
def test_a_profile_hides_nothing(tmp_path: Path, mode: str) -> None:
    image = in_mode(mode)
    image.save(tmp_path / "p.png", icc_profile=profile(HIDDEN, SRGB))
    grey = looked_at(tmp_path / "p.png")[0, :, 1].astype(int)
    if mode == "L":  # a profile of three colours is none for grey, and browsers leave it out
        assert (grey == STORED[0, :, 1]).all()
        return
    assert (grey[:16] == grey[16:32]).all()
    assert grey[0] < 5
    assert grey[15] > 250
    assert abs(grey[8] - 193) < 6  # 8/15 of the light, in sRGB


def test_linear_light_is_shown_as_such(tmp_path: Path) -> None:
    Image.fromarray(STORED).save(tmp_path / "p.png", icc_profile=profile(1.0, SRGB))
    assert abs(int(looked_at(tmp_path / "p.png")[0, 55, 1]) - 128) < 4


def test_a_broken_profile_is_none(tmp_path: Path) -> None:
    whole = profile(HIDDEN, SRGB)
    for broken in (b"x", whole[:100], whole[:300], whole.replace(b"mntr", b"spac")):
        Image.fromarray(STORED).save(tmp_path / "p.png", icc_profile=broken)
        assert looked_at(tmp_path / "p.png").shape == STORED.shape


def test_the_transparent_colour_is_that_of_the_stored_numbers(tmp_path: Path) -> None:
    info = PngImagePlugin.PngInfo()
    info.add(b"gAMA", struct.pack(">I", 100_000))
    Image.fromarray(STORED[:, :, 1]).save(tmp_path / "p.png", pnginfo=info, transparency=127)
    (frame,), _ = read_frames(tmp_path / "p.png")
    assert (frame.image[0, 127] == 255).all()  # laid over white
    assert abs(int(frame.image[0, 55, 1]) - 127) <= 1


@pytest.mark.parametrize(
    ("gamma", "srgb", "shown"),
    [(0.45455, False, 55), (0.55556, False, 55), (1.0, False, 127), (0.05, False, 0), (1.0, True, 55)],
)
def test_the_gamma_of_a_png_hides_nothing(tmp_path: Path, gamma: float, srgb: bool, shown: int) -> None:
    info = PngImagePlugin.PngInfo()
    if srgb:
        info.add(b"sRGB", b"\0")
    info.add(b"gAMA", struct.pack(">I", round(gamma * 100_000)))
    for mode in ("L", "RGB", "RGBA", "P"):
        in_mode(mode).save(tmp_path / "p.png", pnginfo=info)
        assert abs(int(looked_at(tmp_path / "p.png")[0, 55, 1]) - shown) <= 1, mode
