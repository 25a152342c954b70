"""Thumbnails in EXIF that show something else than their picture."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from forensic_emotion.records import RGB
from tests.builders import SHARED, encoded, read_frames

UNLIKE = "shows something other than the picture"


def scene(seed: int, height: int = 480, width: int = 640) -> RGB:
    """A picture of large soft patches, another one for each seed."""
    rough = np.random.default_rng(seed).integers(0, 255, (6, 8, 3), np.uint8)
    return np.asarray(Image.fromarray(rough).resize((width, height), Image.Resampling.BICUBIC))


def small(image: RGB, width: int = 160, height: int = 120) -> RGB:
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.LANCZOS))


def with_thumbnail(shown: bytes, orientation: int = 1) -> bytes:
    """EXIF with a thumbnail: two directories, as TIFF 6.0 and EXIF 2.32 lay them out."""
    first = struct.pack("<HHHIHHI", 1, 0x0112, 3, 1, orientation, 0, 8 + 2 + 12 + 4)
    place = 8 + len(first) + 2 + 3 * 12 + 4
    second = struct.pack("<H", 3)
    for tag, kind, value in ((0x0103, 3, 6), (0x0201, 4, place), (0x0202, 4, len(shown))):
        second += struct.pack("<HHII", tag, kind, 1, value)
    return b"Exif\0\0II*\0" + struct.pack("<I", 8) + first + second + bytes(4) + shown


def problems(path: Path, picture: RGB, exif: bytes, format: str = "JPEG") -> list[str]:
    path.write_bytes(encoded(picture, format, exif=exif))
    frames, facts = read_frames(path)
    assert len(frames) == 1
    return [f"{problem.problem}: {problem.message}" for problem in facts.problems]


def barred(image: RGB) -> RGB:
    """Of 3:2, within a thumbnail of 4:3."""
    whole = np.zeros((120, 160, 3), np.uint8)
    whole[7:113] = small(image, 160, 106)
    return whole


def test_a_thumbnail_of_another_picture_is_told(tmp_path: Path) -> None:
    for format, name in (("JPEG", "a.jpg"), ("PNG", "a.png"), ("WEBP", "a.webp")):
        exif = with_thumbnail(encoded(small(scene(1)), "JPEG"))
        assert problems(tmp_path / name, scene(2), exif, format) == [
            f"not_looked_at: a thumbnail in its EXIF of 160x120 pixels, which {UNLIKE}"
        ]
        assert problems(tmp_path / name, scene(1), exif, format) == []


def test_a_thumbnail_of_what_was_cut_away_or_painted_over_is_told(tmp_path: Path) -> None:
    exif = with_thumbnail(encoded(small(scene(1)), "JPEG"))
    (told,) = problems(tmp_path / "a.jpg", scene(1)[200:440, 20:300], exif)
    assert UNLIKE in told
    painted = scene(1).copy()
    painted[:, 100:500] = 128
    (told,) = problems(tmp_path / "b.jpg", painted, exif)
    assert UNLIKE in told


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_thumbnail_lies_as_the_picture_is_stored_or_as_it_is_shown(
    tmp_path: Path, orientation: int
) -> None:
    stored = scene(3)
    exif = with_thumbnail(encoded(small(stored), "JPEG"), orientation)
    assert problems(tmp_path / "a.jpg", stored, exif) == []
    upright = np.rot90(stored)
    exif = with_thumbnail(encoded(small(upright, 120, 160), "JPEG"), orientation)
    assert problems(tmp_path / "b.jpg", stored, exif) == []


@pytest.mark.parametrize(
    ("picture", "shown"),
    [
        (scene(4, 400, 600), barred(scene(4, 400, 600))),
        (scene(4, 600, 400), small(scene(4, 600, 400)[33:567], 120, 160)),
        (scene(4, 360, 640), small(scene(4, 360, 640)[:, 80:560])),
    ],
    ids=["bars", "cut at both ends, upright", "cut at both sides"],
)
def test_a_thumbnail_of_another_shape_is_that_of_its_picture(
    tmp_path: Path, picture: RGB, shown: RGB
) -> None:
    assert problems(tmp_path / "a.jpg", picture, with_thumbnail(encoded(shown, "JPEG"))) == []


def test_noise_of_a_dark_picture_is_no_other_picture(tmp_path: Path) -> None:
    def dark(seed: int) -> npt.NDArray[np.uint8]:
        return np.random.default_rng(seed).integers(0, 12, (480, 640, 3), np.uint8)

    exif = with_thumbnail(encoded(small(dark(1)), "JPEG"))
    assert problems(tmp_path / "a.jpg", dark(2), exif) == []
    (told,) = problems(tmp_path / "b.jpg", dark(2), with_thumbnail(encoded(small(scene(1)), "JPEG")))
    assert UNLIKE in told


def test_a_thumbnail_that_cannot_be_decoded_is_told(tmp_path: Path) -> None:
    shown = encoded(small(scene(1)), "JPEG")
    for broken in (shown[: len(shown) // 2], b"no picture at all"):
        assert problems(tmp_path / "a.jpg", scene(1), with_thumbnail(broken)) == [
            "not_looked_at: a thumbnail in its EXIF, which cannot be decoded"
        ]


def test_no_thumbnail_is_told_where_there_is_none(tmp_path: Path) -> None:
    bare = Image.Exif()
    bare[0x0112] = 1
    for exif in (bare.tobytes(), with_thumbnail(b"")):
        assert problems(tmp_path / "a.jpg", scene(1), exif) == []


@pytest.mark.skipif(not SHARED.exists(), reason="../shared is not there")
def test_thumbnails_of_real_pictures_are_theirs(tmp_path: Path) -> None:
    paths = [SHARED / "media" / "photos" / name for name in ("biden.jpg", "obama.jpg")]
    for path in paths:
        with Image.open(path) as image:
            assert image.getexif().get_ifd(-1), "has a thumbnail"
        assert not read_frames(path)[1].problems
