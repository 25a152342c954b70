from __future__ import annotations

import hashlib
import io
import json
import re
import struct
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from PIL import ExifTags, Image, PngImagePlugin, TiffImagePlugin

from forensic_emotion import moments
from forensic_emotion.errors import NoPicture, UndecodableMedia
from forensic_emotion.frames.container_facts import TIMES
from forensic_emotion.frames.pieces import piece_seconds
from forensic_emotion.frames.sampling import sampler
from forensic_emotion.frames.still import still_frames
from forensic_emotion.frames.video import video_frames
from forensic_emotion.frames.video_formats import FORMATS
from forensic_emotion.media_types import name_fits, sniff
from forensic_emotion.records import Box, FrameTime, MediaFacts, RecordedTime
from forensic_emotion.settings import ScanSettings
from tests.builders import (
    cut_by,
    edit_mp4,
    encoded,
    picture,
    read_frames,
    read_pieces,
    turn_mp4,
    write_sound,
    write_video,
)

# ---- stills ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied_and_recorded(tmp_path: Path, orientation: int) -> None:
    upright = picture(30, 20)
    upright[:5, :5] = (255, 255, 255)
    # The inverse of each orientation's transposition gives the stored picture.
    undo = {1: None, 2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}[orientation]
    stored = Image.fromarray(upright)
    if undo is not None:
        stored = stored.transpose(Image.Transpose(undo))
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "p.png"
    stored.save(path, exif=exif)
    (frame,), facts = read_frames(path)
    np.testing.assert_array_equal(frame.image, upright)
    assert facts.orientation == orientation
    assert (facts.width, facts.height) == (30, 20)
    assert frame.index == 0
    assert frame.time is None


def with_exif(path: Path) -> Path:
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "Maker\0"
    exif[ExifTags.Base.DateTime] = "2026:01:02 00:00:00"
    inner = exif.get_ifd(ExifTags.IFD.Exif)
    inner[ExifTags.Base.DateTimeOriginal] = "2026:01:01 23:59:59"
    inner[ExifTags.Base.OffsetTimeOriginal] = "+02:00"
    inner[ExifTags.Base.SubsecTimeOriginal] = "75"
    inner[ExifTags.Base.ExposureTime] = TiffImagePlugin.IFDRational(1, 60)
    inner[ExifTags.Base.MakerNote] = bytes(5000)
    inner[ExifTags.Base.ComponentsConfiguration] = b"\x01\x02\x03\x00"
    place = exif.get_ifd(ExifTags.IFD.GPSInfo)
    place[ExifTags.GPS.GPSLatitudeRef], place[ExifTags.GPS.GPSLongitudeRef] = "S", "E"
    place[ExifTags.GPS.GPSLatitude] = (33.0, 51.0, 36.0)
    place[ExifTags.GPS.GPSLongitude] = (151.0, 12.0, 0.0)
    Image.fromarray(picture()).save(path, exif=exif)
    return path


@pytest.mark.parametrize("name", ["p.jpg", "p.png", "p.webp"])
def test_every_exif_tag_is_kept_as_it_stands(tmp_path: Path, name: str) -> None:
    _, facts = read_frames(with_exif(tmp_path / name))
    assert facts.problems == []
    assert facts.exif is not None
    json.dumps(facts.exif)
    assert facts.exif["Make"] == "Maker"
    assert facts.exif["Exif.ExposureTime"] == "1/60"
    assert facts.exif["Exif.ComponentsConfiguration"] == "01020300"
    assert facts.exif["Exif.MakerNote"] == {
        "bytes": 5000,
        "sha256": hashlib.sha256(bytes(5000)).hexdigest(),
    }
    recorded = RecordedTime("2026:01:01 23:59:59.75", "Exif.DateTimeOriginal", "+02:00", "offset_tag")
    assert facts.recorded == recorded
    assert facts.latitude == pytest.approx(-33.86)
    assert facts.longitude == pytest.approx(151.2)


def test_tags_of_a_tiff_are_its_exif(tmp_path: Path) -> None:
    _, facts = read_frames(with_exif(tmp_path / "p.tif"))  # Pillow writes the first directory only
    assert facts.exif is not None
    assert facts.exif["Make"] == "Maker"
    assert facts.exif["ImageWidth"] == 120
    assert facts.exif["DateTime"] == "2026:01:02 00:00:00"
    assert facts.recorded is None, "that is when the file was changed last"


def test_an_orientation_that_is_a_fraction_is_a_number_all_the_same(tmp_path: Path) -> None:
    entry = struct.pack(">HHLL", ExifTags.Base.Orientation, 5, 1, 26)  # a fraction, at 26
    exif = b"MM\0*" + struct.pack(">LH", 8, 1) + entry + struct.pack(">LLL", 0, 6, 1)
    Image.fromarray(picture()).save(tmp_path / "p.jpg", exif=b"Exif\0\0" + exif)
    _, facts = read_frames(tmp_path / "p.jpg")
    assert (facts.orientation, type(facts.orientation)) == (6, int)


def test_a_long_text_of_exif_is_told_by_its_length(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.ImageDescription] = "x" * 70_000
    Image.fromarray(picture()).save(tmp_path / "p.tif", exif=exif)
    _, facts = read_frames(tmp_path / "p.tif")
    assert facts.exif is not None
    told = {"characters": 70_000, "sha256": hashlib.sha256(b"x" * 70_000).hexdigest()}
    assert facts.exif["ImageDescription"] == told


def test_times_beyond_64_bits_are_told_and_left_out() -> None:
    facts = MediaFacts(first_pts=0, last_pts=9, time_base="1/2147483647")
    facts.span(MediaFacts(first_pts=0, last_pts=2**40, time_base="1/1"))
    assert (facts.first_pts, facts.last_pts) == (0, 9)
    assert [problem.problem for problem in facts.problems] == ["no_timestamp"]


def test_a_time_without_a_zone_gets_none(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeDigitized] = "2026:01:02 00:00:00"
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitude] = (99.0, 0.0, 0.0)
    Image.fromarray(picture()).save(tmp_path / "p.jpg", exif=exif)
    _, facts = read_frames(tmp_path / "p.jpg")
    told = ("2026:01:02 00:00:00", "Exif.DateTimeDigitized", None, "none")
    assert facts.recorded == RecordedTime(*told)
    assert (facts.latitude, facts.longitude) == (None, None)
    (tmp_path / "q.png").write_bytes(encoded(picture()))
    _, bare = read_frames(tmp_path / "q.png")
    assert (bare.exif, bare.recorded) == (None, None)


@pytest.mark.parametrize(
    ("local", "date", "clock", "gps_at", "zone"),
    [
        ("2026:01:02 01:30:20", "2026:01:01", (23, 30, 5.5), "2026-01-01T23:30:05Z", "+02:00"),
        ("2026:01:01 20:00:00", "2026:01:01", (23, 30, 30), "2026-01-01T23:30:30Z", "-03:30"),
        ("2026:01:02 13:15:00", "2026:01:01", (23, 30, 0), "2026-01-01T23:30:00Z", "+13:45"),
        ("2026:01:02 02:00:10", "2026:01:01", (23, 30, 0), "2026-01-01T23:30:00Z", None),  # an old fix
        ("2026:01:02 05:15:00", "2026:01:01", (23, 30, 0), "2026-01-01T23:30:00Z", "+05:45"),
        ("2026:01:01 23:31:01", "2026:01:01", (23, 30, 0), "2026-01-01T23:30:00Z", None),  # too far
        ("2026:01:01 23:45:00", "2026:01:01", (23, 30, 0), "2026-01-01T23:30:00Z", None),  # no zone
        ("2026:01:02 14:30:00", "2026:01:01", (23, 30, 0), "2026-01-01T23:30:00Z", None),  # nowhere
        ("0000:00:00 00:00:00", "2026:01:01", (23, 30, 0), "2026-01-01T23:30:00Z", None),
        ("2026:01:01 23:30:00", "2026:13:01", (23, 30, 0), None, None),
        ("2026:01:01 23:30:00", "2026:01:01", (24, 0, 0), None, None),
        ("2026:01:01 23:30:00", "", (23, 30, 0), None, None),
        ("2026:01:01 23:30:00", "2026:01:01", (23, 30), None, None),
    ],
)
def test_the_time_of_satellites_tells_the_zone_of_the_camera(
    tmp_path: Path,
    local: str,
    date: str,
    clock: tuple[float, ...],
    gps_at: str | None,
    zone: str | None,
) -> None:
    exif = Image.Exif()
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = local
    gps = exif.get_ifd(ExifTags.IFD.GPSInfo)
    gps[ExifTags.GPS.GPSDateStamp], gps[ExifTags.GPS.GPSTimeStamp] = date, clock
    Image.fromarray(picture()).save(tmp_path / "p.jpg", exif=exif)
    _, facts = read_frames(tmp_path / "p.jpg")
    assert facts.gps_at == gps_at
    if local[0] != "0":
        told = (local, "Exif.DateTimeOriginal", zone, "gps" if zone else "none")
        assert facts.recorded == RecordedTime(*told)


def test_a_tag_tells_the_zone_before_satellites_do(tmp_path: Path) -> None:
    path = with_exif(tmp_path / "p.jpg")
    with Image.open(path) as image:
        exif = image.getexif()
    gps = exif.get_ifd(ExifTags.IFD.GPSInfo)
    stamp = ("2026:01:01", (20.0, 59.0, 59.0))
    gps[ExifTags.GPS.GPSDateStamp], gps[ExifTags.GPS.GPSTimeStamp] = stamp
    Image.fromarray(picture()).save(path, exif=exif)
    _, facts = read_frames(path)
    assert facts.gps_at == "2026-01-01T20:59:59Z"
    recorded = RecordedTime("2026:01:01 23:59:59.75", "Exif.DateTimeOriginal", "+02:00", "offset_tag")
    assert facts.recorded == recorded


@pytest.mark.parametrize("local", ["2026:01:01 23:59:59.123", "2026:01:01 23:59:59+02:00"])
def test_a_time_that_has_its_fraction_or_is_none_gets_no_other(tmp_path: Path, local: str) -> None:
    exif = Image.Exif()
    inner = exif.get_ifd(ExifTags.IFD.Exif)
    inner[ExifTags.Base.DateTimeOriginal] = local
    inner[ExifTags.Base.SubsecTimeOriginal] = "75"
    Image.fromarray(picture()).save(tmp_path / "p.jpg", exif=exif)
    _, facts = read_frames(tmp_path / "p.jpg")
    assert facts.recorded is not None
    assert facts.recorded.raw in (local, local + ".75")
    assert moments.moment(facts.recorded.raw, "Z") is not None


@pytest.mark.parametrize("zone", ["+99:00", "+2:00", "+15:30", "-12:15", "+02:75"])
def test_a_zone_that_no_clock_has_is_none(tmp_path: Path, zone: str) -> None:
    exif = Image.Exif()
    inner = exif.get_ifd(ExifTags.IFD.Exif)
    inner[ExifTags.Base.DateTimeOriginal] = "2026:01:01 23:59:59"
    inner[ExifTags.Base.OffsetTimeOriginal] = zone
    Image.fromarray(picture()).save(tmp_path / "p.jpg", exif=exif)
    _, facts = read_frames(tmp_path / "p.jpg")
    told = ("2026:01:01 23:59:59", "Exif.DateTimeOriginal", None, "none")
    assert facts.recorded == RecordedTime(*told)
    assert facts.exif is not None
    assert facts.exif["Exif.OffsetTimeOriginal"] == zone


def test_damaged_exif_is_told_among_the_tags(tmp_path: Path) -> None:
    content = bytearray(with_exif(tmp_path / "p.jpg").read_bytes())
    start = content.index(b"Exif\0\0") + 6
    content[start + 4 : start + 8] = b"\xff\xff\xff\x7f"  # the first directory lies nowhere
    (tmp_path / "p.jpg").write_bytes(content)
    (frame,), facts = read_frames(tmp_path / "p.jpg")
    assert frame.image.shape == picture().shape
    assert facts.recorded is None
    assert facts.exif is not None
    assert "unreadable" in facts.exif


@pytest.mark.parametrize("name", ["p.jpg", "p.png", "p.webp"])
def test_exif_without_a_tag_is_no_damage(tmp_path: Path, name: str) -> None:
    """As tools leave it that have turned a picture and taken out its orientation."""
    Image.fromarray(picture()).save(tmp_path / name, exif=Image.Exif().tobytes())
    with Image.open(tmp_path / name) as image:
        assert image.info["exif"]
    _, facts = read_frames(tmp_path / name)
    assert facts.exif is None


@pytest.mark.parametrize(
    ("tags", "recorded", "place"),
    [
        (
            {"creation_time": "2026-01-02T03:04:05Z"},
            RecordedTime("2026-01-02T03:04:05Z", "creation_time", "Z", "format"),
            (None, None),
        ),
        (
            {
                "com.apple.quicktime.creationdate": "2026-01-02T03:04:05+0200",
                "com.apple.quicktime.location.ISO6709": "+48.8577-002.2950+035.0/",
            },
            RecordedTime(
                "2026-01-02T03:04:05+0200", "com.apple.quicktime.creationdate", "+0200", "in_value"
            ),
            (48.8577, -2.295),
        ),
        ({}, None, (None, None)),
    ],
)
def test_what_a_container_says_of_itself_is_kept(
    tmp_path: Path, tags: dict[str, str], recorded: RecordedTime | None, place: tuple[float, float]
) -> None:
    path = tmp_path / "v.mov"
    with av.open(str(path), "w", options={"movflags": "use_metadata_tags"}) as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.height, stream.width, stream.pix_fmt = 64, 64, "yuv420p"
        container.metadata.update(tags)
        container.mux(stream.encode(av.VideoFrame(64, 64, "yuv420p")))
        container.mux(stream.encode(None))
    _, facts = read_frames(path)
    assert facts.metadata is not None
    assert facts.metadata["streams"][0]["codec"] == "mpeg4"
    assert facts.recorded == recorded
    assert (facts.latitude, facts.longitude) == pytest.approx(place)


def test_a_long_text_of_a_container_is_told_by_its_length(tmp_path: Path) -> None:
    path, long = tmp_path / "v.mov", "ä" * 70_000
    with av.open(str(path), "w", options={"movflags": "use_metadata_tags"}) as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.height, stream.width, stream.pix_fmt = 64, 64, "yuv420p"
        container.metadata.update({TIMES[0][0]: long, "title": "short", "note": long})
        container.mux(stream.encode(av.VideoFrame(64, 64, "yuv420p")))
        container.mux(stream.encode(None))
    _, facts = read_frames(path)
    assert facts.metadata is not None
    kept = {"characters": 70_000, "sha256": hashlib.sha256(long.encode()).hexdigest()}
    own = facts.metadata["container"]
    assert (own["note"], own[TIMES[0][0]], own["title"]) == (kept, kept, "short")
    assert facts.recorded is None


def test_orientation_of_a_tiff_is_applied_and_recorded(tmp_path: Path) -> None:
    stored = picture(30, 20)
    stored[:5, :5] = (255, 255, 255)
    Image.fromarray(stored).save(tmp_path / "p.tif", tiffinfo={274: 6})
    (frame,), facts = read_frames(tmp_path / "p.tif")
    assert facts.orientation == 6
    assert frame.image.shape == (30, 20, 3)
    assert (frame.image[:5, -5:] == 255).all()


def test_a_text_chunk_of_a_png_cannot_pass_for_transparency(tmp_path: Path) -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("transparency", "not what it seems")
    Image.fromarray(picture()).save(tmp_path / "p.png", pnginfo=info)
    (frame,), facts = read_frames(tmp_path / "p.png")
    np.testing.assert_array_equal(frame.image, picture())
    assert [p.problem for p in facts.problems] == ["not_looked_at"]  # of a true one nothing is known


@pytest.mark.parametrize("link", [0x7FFFFFFF, 8], ids=["beyond the file", "a loop"])
def test_a_broken_list_of_pages_is_noted(tmp_path: Path, link: int) -> None:
    pages = [Image.fromarray(picture(20, 20)) for _ in range(3)]
    path = tmp_path / "p.tif"
    pages[0].save(path, save_all=True, append_images=pages[1:])
    _, facts = read_frames(path)
    assert facts.problems == []
    data = bytearray(path.read_bytes())
    first = int.from_bytes(data[4:8], "little")
    at = first + 2 + 12 * int.from_bytes(data[first : first + 2], "little")
    data[at : at + 4] = link.to_bytes(4, "little")
    path.write_bytes(data)
    frames, facts = read_frames(path)
    assert len(frames) < 3
    assert "pages_lost" in [p.problem for p in facts.problems]


def test_each_page_that_is_lost_is_a_sign_of_life(tmp_path: Path) -> None:
    path = tmp_path / "p.webp"
    pages = [Image.fromarray(picture(64, 48, [Box(i, 2, i + 20, 30)])) for i in range(6)]
    pages[0].save(path, save_all=True, append_images=pages[1:], duration=100, lossless=True)
    data = path.read_bytes()
    place = [found.start() for found in re.finditer(b"VP8L", data)][2] + 14  # behind the third's header
    path.write_bytes(data[:place] + b"\xff" * 12 + data[place + 12 :])
    facts = MediaFacts()
    with path.open("rb") as source:
        seen = list(still_frames(source, "image/webp", ScanSettings(), facts))
    whole = [each for each in seen if each is not None]
    assert 0 < len(whole) < 6
    assert len(seen) == 6
    assert [problem.problem for problem in facts.problems] == ["damaged"]


@pytest.mark.parametrize(
    ("mode", "value", "expected"),
    [
        ("L", 200, (200, 200, 200)),
        ("LA", (200, 0), (255, 255, 255)),
        ("RGBA", (10, 20, 30, 255), (10, 20, 30)),
        ("RGBA", (10, 20, 30, 0), (255, 255, 255)),
        ("1", 1, (255, 255, 255)),
        ("I;16", 200 << 8, (200, 200, 200)),
        ("I;16", 200 << 4, (200, 200, 200)),  # a camera's 12 bits
        ("I;16", 100, (100, 100, 100)),
    ],
)
def test_every_mode_becomes_8_bit_rgb(tmp_path: Path, mode: str, value, expected) -> None:
    path = tmp_path / "p.png"
    Image.new(mode, (4, 3), value).save(path)
    (frame,), _ = read_frames(path)
    assert frame.image.shape == (3, 4, 3)
    assert frame.image.dtype == np.uint8
    assert (frame.image == expected).all()


def test_cmyk_and_float_pictures_are_decoded(tmp_path: Path) -> None:
    Image.new("CMYK", (8, 8), (0, 0, 0, 0)).save(tmp_path / "c.jpg")
    (frame,), _ = read_frames(tmp_path / "c.jpg")
    assert (frame.image > 250).all()
    values = np.linspace(-3, 7, 16, dtype=np.float32).reshape(4, 4)
    Image.fromarray(values).save(tmp_path / "f.tiff")
    (frame,), _ = read_frames(tmp_path / "f.tiff")
    assert frame.image.min() == 0
    assert frame.image.max() == 255


def test_every_page_of_a_tiff_is_a_frame_without_time(tmp_path: Path) -> None:
    pages = [Image.fromarray(picture(10 + i, 10)) for i in range(3)]
    pages[0].save(tmp_path / "p.tiff", save_all=True, append_images=pages[1:])
    frames, facts = read_frames(tmp_path / "p.tiff")
    assert [f.index for f in frames] == [0, 1, 2]
    assert [f.image.shape[1] for f in frames] == [10, 11, 12]
    assert all(f.time is None for f in frames)
    assert facts.frames_decoded == 3
    _, facts = read_frames(tmp_path / "p.tiff", max_pages=2)
    assert [p.problem for p in facts.problems] == ["too_many_pages"]


@pytest.mark.parametrize("format", ["GIF", "WEBP"])
def test_frames_of_an_animation_have_the_sum_of_durations_as_time(tmp_path: Path, format: str) -> None:
    shades = [Image.new("RGB", (9, 9), (60 * i, 0, 0)) for i in range(4)]
    path = tmp_path / f"a.{format.lower()}"
    durations = [100, 250, 40, 70]
    shades[0].save(path, format, save_all=True, append_images=shades[1:], duration=durations)
    frames, _ = read_frames(path)
    assert [f.time for f in frames] == [FrameTime(t, Fraction(1, 1000)) for t in (0, 100, 350, 390)]
    shades[0].save(path, format, save_all=True, append_images=shades[1:], duration=0)
    frames, _ = read_frames(path)
    assert all(f.time is not None for f in frames)


def test_a_truncated_picture_is_decoded_as_far_as_it_goes(tmp_path: Path) -> None:
    chance = np.random.default_rng(0)
    data = encoded(chance.integers(0, 256, (64, 64, 3), dtype=np.uint8), "JPEG")
    (tmp_path / "t.jpg").write_bytes(data[: len(data) // 2])
    (frame,), facts = read_frames(tmp_path / "t.jpg")
    assert frame.image.shape == (64, 64, 3)
    assert [p.problem for p in facts.problems] == ["truncated"]


def test_a_picture_with_too_many_pixels_is_refused_before_decoding(tmp_path: Path) -> None:
    (tmp_path / "b.png").write_bytes(encoded(picture(120, 80)))
    with pytest.raises(UndecodableMedia) as error:
        read_frames(tmp_path / "b.png", max_pixels=120 * 80 - 1)
    assert error.value.problem == "too_large"
    frames, _ = read_frames(tmp_path / "b.png", max_pixels=120 * 80)
    assert len(frames) == 1


def test_rubbish_behind_a_signature_is_damaged(tmp_path: Path) -> None:
    for name, head in (("a.png", b"\x89PNG\r\n\x1a\n"), ("b.tif", b"II*\x00"), ("c.gif", b"GIF89a")):
        (tmp_path / name).write_bytes(head + bytes(range(256)))
        with pytest.raises(UndecodableMedia) as error:
            read_frames(tmp_path / name)
        assert error.value.problem == "damaged", name
        assert "object at 0x" not in str(error.value)


def test_a_broken_page_does_not_hide_the_next(tmp_path: Path) -> None:
    pages = [Image.fromarray(picture(20, 20)) for _ in range(3)]
    target = io.BytesIO()
    pages[0].save(target, "TIFF", save_all=True, append_images=pages[1:], compression="tiff_lzw")
    data = bytearray(target.getvalue())
    with Image.open(io.BytesIO(data)) as tiff:
        tiff.seek(1)
        start, size = tiff.tag_v2[273][0], tiff.tag_v2[279][0]
    data[start : start + size] = b"\xff" * size
    (tmp_path / "b.tif").write_bytes(data)
    frames, facts = read_frames(tmp_path / "b.tif")
    assert {0, 2} <= {f.index for f in frames}
    assert facts.problems


@pytest.mark.parametrize("error", [KeyError, ValueError])
def test_a_part_of_exif_that_is_missing_or_broken_costs_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    exif.get_ifd(0x8769)[0x9003] = "2024:05:06 07:08:09"
    (tmp_path / "p.png").write_bytes(encoded(picture(), exif=exif))
    whole = Image.Exif.get_ifd

    def get_ifd(self: Image.Exif, tag: int) -> dict[int, Any]:
        if tag == ExifTags.IFD.Interop:
            raise error(tag)  # as Pillow before 13 does where there is none
        return whole(self, tag)

    monkeypatch.setattr(Image.Exif, "get_ifd", get_ifd)
    _, facts = read_frames(tmp_path / "p.png")
    assert facts.recorded is not None
    assert facts.exif is not None
    assert ("Interop.unreadable" in facts.exif) is (error is ValueError)


@pytest.mark.parametrize("said", ["abc", "nan", "inf", "-5"])
def test_texts_of_a_png_are_not_taken_for_what_its_pixels_are(tmp_path: Path, said: str) -> None:
    texts = PngImagePlugin.PngInfo()
    for name in ("duration", "interlace", "bbox", "default_image"):
        texts.add_text(name, said)
    pages = [Image.fromarray(picture(20 + i, 20)) for i in range(1)]
    pages[0].save(tmp_path / "p.png", pnginfo=texts)
    frames, facts = read_frames(tmp_path / "p.png")
    assert (len(frames), facts.problems) == (1, [])
    assert np.array_equal(frames[0].image, picture(20, 20))


def test_jpeg_xl_is_told_as_unsupported(tmp_path: Path) -> None:
    (tmp_path / "p.jxl").write_bytes(b"\xff\x0a" + bytes(100))
    with pytest.raises(UndecodableMedia) as error:
        read_frames(tmp_path / "p.jxl")
    assert error.value.problem == "unsupported"


# ---- video -----------------------------------------------------------------------------------------

UNEVEN = [0, 40, 80, 1000, 1030, 1990, 2000, 2010, 5000]


@pytest.mark.parametrize("name", ["v.mp4", "v.mkv", "v.mov"])
def test_every_frame_keeps_the_timestamp_of_its_stream(tmp_path: Path, name: str) -> None:
    path = write_video(tmp_path / name, UNEVEN)
    frames, facts = read_frames(path, sample="all")
    assert [f.index for f in frames] == list(range(len(UNEVEN)))
    assert [round(f.time.seconds * 1000) for f in frames if f.time] == UNEVEN
    with av.open(path) as container:
        expected = [FrameTime(f.pts, f.time_base) for f in container.decode(video=0)]
    assert [f.time for f in frames] == expected
    assert facts.problems == []
    assert facts.time_base == str(expected[0].time_base)


def test_sampling_goes_by_time_and_keeps_the_index(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mp4", UNEVEN)
    frames, facts = read_frames(path, every=1.0)
    assert [f.index for f in frames] == [0, 3, 6, 8]
    assert facts.frames_decoded == len(UNEVEN)


def test_a_video_that_starts_late_keeps_its_clock(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mkv", [5000, 5500, 6000])
    frames, _ = read_frames(path, every=1.0)
    assert [f.time.seconds for f in frames if f.time] == [5.0, 6.0]


@pytest.mark.parametrize(
    ("matrix", "corner", "orientation"),
    [
        ((1, 0, 0, 1), "top left", None),
        ((-1, 0, 0, 1), "top right", 2),
        ((-1, 0, 0, -1), "bottom right", 3),
        ((1, 0, 0, -1), "bottom left", 4),
        ((0, 1, 1, 0), "top left", 5),
        ((0, 1, -1, 0), "top right", 6),
        ((0, -1, -1, 0), "bottom right", 7),
        ((0, -1, 1, 0), "bottom left", 8),
    ],
)
def test_the_display_matrix_is_applied(
    tmp_path: Path, matrix: tuple[int, int, int, int], corner: str, orientation: int | None
) -> None:
    """White is at the top left as stored, green below it; each matrix shows them elsewhere."""

    def marked(_: int) -> np.ndarray:
        image = picture(64, 32)
        image[:8, :8] = (255, 255, 255)
        image[24:, :8] = (0, 255, 0)
        return image

    path = write_video(tmp_path / "v.mp4", [0, 40], marked)
    turn_mp4(path, *matrix)
    frames, facts = read_frames(path)
    image = frames[0].image
    a, _, c, _ = matrix
    assert image.shape == ((32, 64, 3) if a else (64, 32, 3))
    assert (facts.height, facts.width) == image.shape[:2]
    assert facts.orientation == orientation
    corners = {
        "top left": image[2, 2],
        "top right": image[2, -3],
        "bottom left": image[-3, 2],
        "bottom right": image[-3, -3],
    }
    assert (corners[corner] > 200).all()
    # From white to green was one step down as stored: (c, d) says where that leads.
    down = {"left": "right", "right": "left"} if c else {"top": "bottom", "bottom": "top"}
    green = " ".join(down.get(word, word) for word in corner.split())
    assert corners[green][1] > 200
    assert corners[green][0] < 60


def test_a_matrix_that_shows_a_video_askew_is_noted(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mp4", [0, 40])
    turn_mp4(path, 1, 1, -1, 1)
    _, facts = read_frames(path)
    assert [p.problem for p in facts.problems] == ["display_matrix"]


def test_a_cut_video_is_noted_also_where_the_container_counts_no_frames(tmp_path: Path) -> None:
    chance = np.random.default_rng(0)
    noise = [chance.integers(0, 256, (48, 64, 3), dtype=np.uint8) for _ in range(10)]
    path = write_video(tmp_path / "v.mkv", range(0, 1000, 100), lambda pts: noise[pts // 100])
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    frames, facts = read_frames(path, sample="all")
    assert 0 < len(frames) < 10
    assert "decoder_errors" in [p.problem for p in facts.problems]
    assert read_frames(path, sample="all")[1].problems == facts.problems


def test_errors_that_ffmpeg_conceals_are_told_by_stream(tmp_path: Path) -> None:
    chance = np.random.default_rng(0)
    path = tmp_path / "v.mkv"
    with av.open(path, "w") as container:
        streams = [container.add_stream("mpeg4", rate=10) for _ in range(2)]
        for stream in streams:
            stream.width, stream.height = 64, 48
        for i in range(20):
            noise = chance.integers(0, 256, (48, 64, 3), dtype=np.uint8)
            for stream in streams:
                frame = av.VideoFrame.from_ndarray(noise, format="rgb24")
                frame.pts = i
                packets = stream.encode(frame)
                if stream is streams[1] and i % 4 == 2:
                    packets = [_spoilt(packet) for packet in packets]
                container.mux(packets)
        for stream in streams:
            container.mux(stream.encode(None))
    _, facts = read_frames(path, sample="all")
    told = [p.message for p in facts.problems if p.problem == "decoder_errors"]
    assert len(told) == 1
    assert told[0].startswith("stream 1: FFmpeg reports errors (")
    # FFmpeg's log is one for the process, and leaves out what it has just said.
    _, again = read_frames(path, sample="all")
    assert again.problems == facts.problems
    _, keys = read_frames(path, sample="keyframes")
    assert keys.problems == read_frames(path, sample="keyframes")[1].problems


def _spoilt(packet: av.Packet) -> av.Packet:
    content = bytearray(bytes(packet))
    content[len(content) // 2 :] = b"\xaa" * (len(content) - len(content) // 2)
    other = av.Packet(bytes(content))
    other.pts, other.dts, other.time_base = packet.pts, packet.dts, packet.time_base
    other.stream, other.is_keyframe = packet.stream, packet.is_keyframe
    return other


def test_an_avi_with_gaps_is_whole(tmp_path: Path) -> None:
    with av.open(tmp_path / "v.avi", "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height = 32, 32
        for i in range(10):
            frame = av.VideoFrame.from_ndarray(picture(32, 32), format="rgb24")
            frame.pts, frame.time_base = i * 3, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    frames, facts = read_frames(tmp_path / "v.avi", sample="all")
    assert len(frames) == 10
    assert facts.problems == []


def write_groups(path: Path, codec: str = "mpeg4", **options: str) -> Path:
    """60 frames of noise, a key frame every 12."""
    chance = np.random.default_rng(0)
    with av.open(path, "w", options=options) as container:
        stream = container.add_stream(codec, rate=10, options={"g": "12", "bf": "0"})
        stream.width, stream.height = 64, 48
        for _ in range(60):
            noise = chance.integers(0, 256, (48, 64, 3), dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(noise, format="rgb24")))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(("start", "length"), [(0, 20), (25, 10), (40, 20)])
def test_frames_that_an_edit_list_hides_are_counted(tmp_path: Path, start: int, length: int) -> None:
    path = write_groups(tmp_path / "v.mp4")
    edit_mp4(path, start, length)
    frames, facts = read_frames(path, sample="all")
    assert length - 1 <= len(frames) <= length + 1
    assert len(frames) + facts.frames_hidden == 60
    assert facts.problems == [], "a trimmed file is whole"
    _, keys = read_frames(path, sample="keyframes")
    assert (keys.frames_hidden, keys.problems) == (facts.frames_hidden, [])


@pytest.mark.parametrize(("length", "times"), [(12, 5), (12, 4), (24, 2), (60, 2)])
def test_what_is_shown_twice_hides_as_much_as_what_is_shown_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, length: int, times: int
) -> None:
    cut_by(monkeypatch, 1)
    path = write_groups(tmp_path / "v.mp4")
    edit_mp4(path, 0, length, times)
    frames, facts = read_frames(path, sample="all")
    assert len(frames) == length * times
    for sample in ("all", "every", "keyframes"):
        _, facts = read_frames(path, sample=sample)
        assert (facts.frames_hidden, facts.problems) == (60 - length, [])
        assert read_pieces(path, sample=sample)[1] == [], "not to be cut"


def test_key_frames_tell_of_incomplete_packets_between_them(tmp_path: Path) -> None:
    path = write_groups(tmp_path / "v.mp4", movflags="frag_keyframe+empty_moov")
    _, facts = read_frames(path, sample="keyframes")
    assert facts.problems == []
    path.write_bytes(path.read_bytes()[:-2000])  # the last packets are no key frames
    for sample in ("all", "keyframes"):
        _, facts = read_frames(path, sample=sample)
        assert any("packets are incomplete" in p.message for p in facts.problems), sample


@pytest.mark.parametrize(("name", "codec"), [("v.avi", "mpeg4"), ("v.flv", "flv"), ("v.mp4", "mpeg4")])
def test_a_cut_is_noted_where_the_container_states_its_length(
    tmp_path: Path, name: str, codec: str
) -> None:
    path = write_groups(tmp_path / name, codec, movflags="faststart")
    _, facts = read_frames(path, sample="all")
    assert facts.problems == []
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    frames, facts = read_frames(path, sample="all")
    assert 0 < len(frames) < 60
    assert "truncated" in [p.problem for p in facts.problems]


def test_a_gif_without_its_end_is_noted(tmp_path: Path) -> None:
    shades = [Image.new("RGB", (40, 40), (60 * i, 0, 0)) for i in range(3)]
    path = tmp_path / "a.gif"
    shades[0].save(path, save_all=True, append_images=shades[1:], duration=100)
    _, facts = read_frames(path)
    assert facts.problems == []
    path.write_bytes(path.read_bytes()[:-1])
    _, facts = read_frames(path)
    assert [p.problem for p in facts.problems] == ["truncated"]


def test_of_a_gif_cut_off_within_a_header_the_frames_before_are_looked_at(tmp_path: Path) -> None:
    shades = [Image.new("RGB", (40, 40), (60 * i, 0, 0)) for i in range(4)]
    path = tmp_path / "a.gif"
    shades[0].save(path, save_all=True, append_images=shades[1:], duration=100)
    whole = path.read_bytes()
    path.write_bytes(whole[: whole.rindex(b"\x21\xf9\x04") + 4])  # the last frame's graphic control
    frames, facts = read_frames(path)
    assert [frame.index for frame in frames] == [0, 1, 2]
    assert [p.problem for p in facts.problems] == ["pages_lost"]


def test_a_truncated_video_says_how_much_is_there(tmp_path: Path) -> None:
    chance = np.random.default_rng(0)
    noise = [chance.integers(0, 256, (48, 64, 3), dtype=np.uint8) for _ in range(10)]
    path = write_video(tmp_path / "v.mkv", range(0, 1000, 100), lambda pts: noise[pts // 100])
    whole = tmp_path / "w.mp4"
    with av.open(path) as source, av.open(whole, "w", options={"movflags": "faststart"}) as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    whole.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    frames, facts = read_frames(whole, sample="all")
    assert 0 < len(frames) < 10
    assert "truncated" in [p.problem for p in facts.problems]
    assert "10 frames" in next(p.message for p in facts.problems if p.problem == "truncated")


def test_sound_without_picture_is_not_a_failure(tmp_path: Path) -> None:
    with pytest.raises(NoPicture):
        read_frames(write_sound(tmp_path / "s.mp4"))


def test_every_video_stream_is_looked_at(tmp_path: Path) -> None:
    with av.open(tmp_path / "v.mkv", "w") as container:
        streams = [container.add_stream("mpeg4", rate=10) for _ in range(2)]
        for stream, (width, height) in zip(streams, ((32, 32), (64, 48)), strict=True):
            stream.width, stream.height = width, height
        for number, stream in enumerate(streams):
            for _ in range(2 + number):
                image = picture(stream.width, stream.height)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
            container.mux(stream.encode(None))
    frames, facts = read_frames(tmp_path / "v.mkv", sample="all")
    assert [(f.stream, f.index, f.image.shape[:2]) for f in frames] == [
        *((0, i, (32, 32)) for i in range(2)),
        *((1, i, (48, 64)) for i in range(3)),
    ]
    assert facts.problems == []
    assert (facts.frames_decoded, facts.stream, facts.width) == (5, 0, 32)


def test_a_video_lasts_from_the_first_frame_of_any_stream_to_the_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut_by(monkeypatch, 1)
    path = tmp_path / "v.mp4"
    with av.open(path, "w") as container:
        streams = [container.add_stream("mpeg4", rate=rate, options={"g": "12"}) for rate in (10, 25)]
        for stream in streams:
            stream.width, stream.height = 64, 48
        for stream, rate, first, n in zip(streams, (10, 25), (40, 0), (100, 500), strict=True):
            for pts in range(first, first + n):
                frame = av.VideoFrame.from_ndarray(picture(64, 48), format="rgb24")
                frame.pts, frame.time_base = pts, Fraction(1, rate)
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    _, facts = read_frames(path)
    assert facts.time_base is not None
    unit = Fraction(facts.time_base)
    assert (facts.stream, facts.first_pts) == (0, 0), "of the second stream"
    assert facts.last_pts is not None
    assert 0 <= facts.last_pts * unit - Fraction(499, 25) < unit, "outward to a whole unit"
    _, parts = read_pieces(path)
    assert len(parts) > 2
    whole = replace(parts[0])
    for part in parts[1:]:
        whole.span(part)
    assert (whole.first_pts, whole.last_pts) == (facts.first_pts, facts.last_pts)


def test_pixels_that_are_not_square_are_shown_right(tmp_path: Path) -> None:
    for aspect, shape in ((Fraction(2, 1), (48, 128)), (Fraction(1, 2), (96, 64)), (1, (48, 64))):
        with av.open(tmp_path / "v.mp4", "w") as container:
            stream = container.add_stream("libx264", rate=10)
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
            stream.codec_context.sample_aspect_ratio = aspect
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture(64, 48), format="rgb24")))
            container.mux(stream.encode(None))
        (frame,), facts = read_frames(tmp_path / "v.mp4")
        assert frame.image.shape[:2] == shape
        assert (facts.height, facts.width) == shape
        assert facts.pixel_aspect == {2: "2:1", 0.5: "1:2", 1: None}[float(aspect)]


def test_a_shape_that_no_pixel_has_is_told(tmp_path: Path) -> None:
    with av.open(tmp_path / "v.mkv", "w") as container:
        stream = container.add_stream("libx264", rate=10, options={"g": "2"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.sample_aspect_ratio = Fraction(9, 1)
        for _ in range(6):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture(64, 48), format="rgb24")))
        container.mux(stream.encode(None))
    frames, facts = read_frames(tmp_path / "v.mkv")
    assert frames[0].image.shape[:2] == (48, 64)
    assert [p.problem for p in facts.problems] == ["pixel_aspect"]


@pytest.mark.parametrize(("kind", "n"), [("image/jpgx", 1), ("application/x-truetype-font", 0)])
def test_a_file_attached_to_a_video_is_told(tmp_path: Path, kind: str, n: int) -> None:
    path = write_video(tmp_path / "v.mkv", [0, 100], lambda _: picture(64, 48))
    # Matroska: a segment may hold attachments anywhere; here as its last element.
    data = path.read_bytes()

    def element(number: str, content: bytes) -> bytes:
        return bytes.fromhex(number) + struct.pack(">I", 0x10000000 | len(content)) + content

    file = element("466e", b"a") + element("4660", kind.encode()) + element("465c", b"1234")
    attached = element("1941a469", element("61a7", file + element("46ae", b"\x01")))
    segment = data.index(bytes.fromhex("18538067")) + 4
    size = int.from_bytes(data[segment + 1 : segment + 8], "big") + len(attached)
    assert data[segment] == 1, "eight bytes"
    first = data.index(bytes.fromhex("1549a966"))  # before the segment's information
    path.write_bytes(
        data[: segment + 1]
        + size.to_bytes(7, "big")
        + data[segment + 8 : first]
        + attached
        + data[first:]
    )
    found = [p.message for p in read_frames(path)[1].problems if p.problem == "not_looked_at"]
    assert found == [f"attached files ({kind}): 1"] * n


def test_a_few_dead_pixels_make_no_black_of_the_others(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).random((100, 100)).astype(np.float32)
    for values, dead in ((noise, 1e6), ((noise * 255).astype(np.int32), 1 << 30)):
        values[0, 0] = dead
        Image.fromarray(values).save(tmp_path / "p.tif")
        (frame,), _ = read_frames(tmp_path / "p.tif")
        assert 60 < frame.image[1:].std() < 90  # that of noise over all greys is 74


def test_a_warm_face_in_a_cool_room_keeps_its_levels(tmp_path: Path) -> None:
    """It is less than a hundredth of the picture, and no dead pixel."""
    degrees = np.linspace(20, 21, 640 * 512, dtype=np.float32).reshape(512, 640)
    degrees[200:236, 300:336] = np.linspace(32, 36, 36 * 36).reshape(36, 36)
    Image.fromarray(degrees).save(tmp_path / "p.tif")
    (frame,), _ = read_frames(tmp_path / "p.tif")
    assert len(np.unique(frame.image[200:236, 300:336])) > 50


def test_exif_that_is_cut_off_is_told(tmp_path: Path) -> None:
    entries = [(270 + n, 2, 3, 0x00004141) for n in range(6)]
    packed = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    block = b"Exif\0\0II*\0" + struct.pack("<IH", 8, len(entries)) + packed[:30]
    Image.fromarray(picture()).save(tmp_path / "p.jpg", exif=block)
    _, facts = read_frames(tmp_path / "p.jpg")
    assert facts.exif is not None
    assert "unreadable" in facts.exif


def test_a_tag_that_is_passed_over_is_told(tmp_path: Path) -> None:
    """Two texts that lie on one another: together they are longer than the block."""
    text = b"2024:05:06 07:08:09\0".ljust(220, b"x")
    entries = b"".join(
        struct.pack("<HHII", tag, 2, size, 8 + 2 + 3 * 12 + 4)
        for tag, size in ((270, 220), (271, 220), (306, 20))
    )
    block = b"Exif\0\0II*\0" + struct.pack("<IH", 8, 3) + entries + bytes(4) + text
    Image.fromarray(picture()).save(tmp_path / "p.jpg", exif=block)
    _, facts = read_frames(tmp_path / "p.jpg")
    assert facts.exif is not None
    if "DateTime" not in facts.exif:  # Pillow before 13 reads it
        assert "Skipping tag 306" in facts.exif["unreadable"]
    assert facts.problems == []  # none that keeps anybody from looking at the picture


def test_of_an_interlaced_frame_one_half_is_seen(tmp_path: Path) -> None:
    """Two moments in one frame: a bar here in the even lines, there in the odd ones."""
    image = picture(160, 96)
    image[::2, 20:60] = 255
    image[1::2, 90:130] = 255
    with av.open(tmp_path / "v.mp4", "w") as container:
        stream = container.add_stream(
            "libx264", rate=10, options={"x264-params": "tff=1:qp=1:keyint=1", "flags": "+ilme+ildct"}
        )
        stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv444p"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
    (frame,), facts = read_frames(tmp_path / "v.mp4")
    assert facts.frames_interlaced == 1
    assert frame.image.shape[:2] == (96, 160)
    assert frame.image[:, 25:55].min() > 230, "the even lines' bar is whole"
    assert frame.image[:, 95:125].max() < 110, "the odd lines' bar is not there"


def keyed_video(path: Path, frames: int, every: int, cuts: tuple[int, ...] = (), more: str = "") -> Path:
    """25 frames a second with a key frame every so often and B-frames between; the picture changes."""
    with av.open(path, "w") as container:
        params = f"keyint={every}:min-keyint={every}:scenecut=0:bframes=3{more}"
        options = {"x264-params": params, "qp": "20"}
        stream = container.add_stream("libx264", rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for i in range(frames):
            scene = sum(i >= cut for cut in cuts)
            image = picture(64, 48, background=40 if scene % 2 == 0 else 200)
            image[:, i % 64] = 255
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


OPEN = ":open-gop=1"
"""Groups of pictures whose first ones, in order of presentation, need the group before."""


@pytest.mark.parametrize(
    ("name", "more"), [("v.mp4", ""), ("v.mkv", ""), ("v.mp4", OPEN), ("v.mkv", OPEN), ("v.ts", OPEN)]
)
def test_key_frames_only(tmp_path: Path, name: str, more: str) -> None:
    path = keyed_video(tmp_path / name, 120, 24, more=more)
    whole, _ = read_frames(path, sample="all")
    keys, facts = read_frames(path, sample="keyframes")
    assert [f.index for f in keys] == [0, 24, 48, 72, 96]
    assert facts.problems == []
    for key in keys:
        assert key.time == whole[key.index].time
        np.testing.assert_array_equal(key.image, whole[key.index].image)


@pytest.mark.parametrize(
    ("name", "image"),
    [
        ("grey.png", Image.new("L", (8, 8), 100)),
        ("grey_alpha.png", Image.new("LA", (8, 8), (100, 200))),
        ("sixteen.png", Image.fromarray(np.full((8, 8), 100 * 257, np.uint16))),
        ("sixteen.tiff", Image.fromarray(np.full((8, 8), 100 * 257, np.uint16))),
        ("cmyk.tiff", Image.new("CMYK", (8, 8), (155, 155, 155, 0))),
        ("bits.png", Image.new("1", (8, 8), 1)),
        ("palette.png", Image.new("P", (8, 8), 0)),
        ("one.png", Image.new("RGB", (1, 1), (100, 100, 100))),
    ],
)
def test_stills_of_every_kind_of_pixel(tmp_path: Path, name: str, image: Image.Image) -> None:
    image.save(tmp_path / name)
    (frame,), facts = read_frames(tmp_path / name)
    assert frame.image.dtype == np.uint8
    assert frame.image.shape == (*image.size[::-1], 3)
    assert facts.problems == []
    # What is not wholly opaque lies on white.
    expected = {"bits.png": 255, "palette.png": 0, "grey_alpha.png": 133}.get(name, 100)
    assert np.abs(frame.image.astype(int) - expected).max() <= 2


def test_a_tiff_of_another_kind_is_unsupported_and_a_broken_one_damaged(tmp_path: Path) -> None:
    path = tmp_path / "float.tiff"
    cv2.imwrite(str(path), np.full((20, 30, 3), 0.5, np.float32))
    with pytest.raises(UndecodableMedia, match="3 x 32 bits, floating point") as unsupported:
        read_frames(path)
    assert unsupported.value.problem == "unsupported"
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(UndecodableMedia) as damaged:
        read_frames(path)
    assert damaged.value.problem == "damaged"


def test_a_page_of_another_kind_does_not_keep_those_before_it(tmp_path: Path) -> None:
    path = tmp_path / "pages.tiff"
    plain = np.full((20, 30, 3), 90, np.uint8)
    cv2.imwritemulti(str(path), [plain, plain, np.full((20, 30, 3), 0.5, np.float32), plain])
    frames, facts = read_frames(path)
    assert [f.index for f in frames] == [0, 1]
    (problem,) = facts.problems
    assert (problem.problem, problem.message[:7]) == ("unsupported", "page 2:")


def joined_ts(path: Path, *parts: Path) -> Path:
    """Recordings one behind the other, as a receiver that was restarted leaves them."""
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


@pytest.mark.parametrize("more", ["", OPEN])
def test_a_video_whose_timestamps_go_back_or_repeat(tmp_path: Path, more: str) -> None:
    part = keyed_video(tmp_path / "part.ts", 30, 10, more=more)
    path = joined_ts(tmp_path / "v.ts", part, part)
    frames, facts = read_frames(path, sample="all")
    # The packets are not numbered on.
    assert {p.problem for p in facts.problems} == {"damaged", "times_go_back"}
    times = [f.time.pts for f in frames]
    assert times[30:] == times[:30], "the clock is set back, and each time comes twice"
    assert [f.index for f in frames] == list(range(60))
    keys, _ = read_frames(path, sample="keyframes")
    assert [f.index for f in keys] == [0, 10, 20, 30, 40, 50]
    for key in keys:
        assert key.time == frames[key.index].time
        np.testing.assert_array_equal(key.image, frames[key.index].image)
    assert read_pieces(path) == ([], [])


def ts_part(
    path: Path, first: int, frames: int, width: int = 64, aspect: Fraction = Fraction(1)
) -> Path:
    """So many frames of a broadcast, 48 pixels high, from a frame on."""
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"bf": "2"})
        stream.width, stream.height, stream.pix_fmt = width, 48, "yuv420p"
        stream.codec_context.sample_aspect_ratio = aspect
        for i in range(first, first + frames):
            frame = av.VideoFrame.from_ndarray(picture(width, 48), format="rgb24")
            frame.pts, frame.time_base = i, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def test_pixels_that_change_their_shape(tmp_path: Path) -> None:
    parts = [ts_part(tmp_path / "0.ts", 0, 12), ts_part(tmp_path / "1.ts", 12, 12, aspect=Fraction(2))]
    for sample, counts in (("all", (12, 12)), ("keyframes", (1, 1))):
        frames, facts = read_frames(joined_ts(tmp_path / "v.ts", *parts), sample=sample)
        widths = [f.image.shape[1] for f in frames]
        assert widths == [64] * counts[0] + [128] * counts[1]
        assert facts.pixel_aspect is None, "of its first frame"


def test_a_video_whose_size_changes(tmp_path: Path) -> None:
    parts = [ts_part(tmp_path / "0.ts", 0, 8), ts_part(tmp_path / "1.ts", 8, 8, width=96)]
    for sample, each in (("all", 8), ("keyframes", 1)):
        frames, facts = read_frames(joined_ts(tmp_path / "v.ts", *parts), sample=sample)
        assert [f.image.shape[1] for f in frames] == [64] * each + [96] * each
        assert facts.width == 64, "of its first frame"


@pytest.mark.parametrize("name", ["v.mp4", "v.mkv", "v.avi", "v.ts"])
@pytest.mark.parametrize("sample", ["every", "all", "keyframes", "scenes"])
def test_a_video_of_one_frame(tmp_path: Path, name: str, sample: str) -> None:
    path = keyed_video(tmp_path / name, 1, 25)
    ((frame,), facts) = read_frames(path, sample=sample)
    assert (frame.index, frame.image.shape, facts.problems) == (0, (48, 64, 3), [])


def test_a_video_none_of_whose_frames_can_be_decoded(tmp_path: Path) -> None:
    path = keyed_video(tmp_path / "v.mkv", 30, 10)
    content = path.read_bytes()
    first = content.index(b"\xa3", content.index(bytes.fromhex("1f43b675")))  # a block of a cluster
    path.write_bytes(content[:first] + bytes(len(content) - first))
    for sample in ("all", "keyframes"):
        with pytest.raises(UndecodableMedia) as error:
            read_frames(path, sample=sample)
        assert error.value.problem == "no_frames"


def test_key_frames_that_are_no_pictures_by_themselves_are_a_problem(tmp_path: Path) -> None:
    path = keyed_video(tmp_path / "v.mp4", 150, 25, more=":intra-refresh=1:bframes=0")
    frames, facts = read_frames(path, sample="keyframes")
    assert [f.index for f in frames] == [0]
    (problem,) = facts.problems
    assert problem.problem == "no_key_picture"


def test_ten_hours_at_one_frame_a_minute(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mp4", range(0, 600 * 60_000, 60_000), lambda _: picture(32, 32))
    frames, facts = read_frames(path)
    assert [f.time.seconds for f in frames] == [60.0 * i for i in range(600)]
    assert facts.problems == []
    pieces, parts = read_pieces(path)
    assert [f.time for f in pieces] == [f.time for f in frames]
    assert len(parts) > 1


def test_frames_where_the_scene_changes(tmp_path: Path) -> None:
    path = keyed_video(tmp_path / "v.mp4", 60, 25, cuts=(17, 40))
    frames, facts = read_frames(path, sample="scenes")
    assert [f.index for f in frames] == [0, 17, 40]
    assert facts.frames_decoded == 60


def test_a_scene_changes_where_frames_differ_by_more_than_thirty_grey_levels() -> None:
    wanted = sampler(ScanSettings(sample="scenes"))
    greys = (100, 130, 161, 131, 100)
    frames = [
        av.VideoFrame.from_ndarray(np.full((36, 64), grey, np.uint8), format="gray") for grey in greys
    ]
    assert [wanted(None, frame) for frame in frames] == [True, False, True, False, True]


@pytest.mark.parametrize("settings", [{"sample": "all"}, {"per_second": 3.0}, {"sample": "keyframes"}])
@pytest.mark.parametrize(
    ("name", "more"), [("v.mp4", ""), ("v.mkv", ""), ("v.mov", ""), ("v.mp4", OPEN), ("v.mkv", OPEN)]
)
def test_pieces_of_a_video_are_the_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, more: str, settings: dict[str, Any]
) -> None:
    cut_by(monkeypatch, 1)
    path = keyed_video(tmp_path / name, 150, 20, more=more)
    whole, facts = read_frames(path, **settings)
    pieces, parts = read_pieces(path, **settings)
    assert len(parts) > 3
    assert [(f.index, f.time, f.stream) for f in pieces] == [(f.index, f.time, f.stream) for f in whole]
    for one, other in zip(pieces, whole, strict=True):
        np.testing.assert_array_equal(one.image, other.image)
    assert facts.problems == []
    assert [part.problems for part in parts] == [[]] * len(parts), "what leads to a piece is not its own"
    assert sum(part.frames_decoded for part in parts) == facts.frames_decoded


def test_a_video_of_which_it_is_not_certain_is_not_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut_by(monkeypatch, 1)
    path = keyed_video(tmp_path / "v.mp4", 150, 20)
    whole = path.read_bytes()
    assert len(read_pieces(path)[1]) > 3
    path.write_bytes(whole[: int(len(whole) * 0.7)])
    assert read_pieces(path)[1] == []
    path.write_bytes(whole)
    edit_mp4(path, 0, 20)
    assert read_pieces(path)[1] == []
    assert read_pieces(keyed_video(tmp_path / "s.mp4", 30, 20))[1] == [], "too short"
    assert read_pieces(keyed_video(tmp_path / "n.mp4", 150, 500))[1] == [], "one key frame"
    assert read_pieces(path, sample="scenes")[1] == []


def test_a_video_is_cut_by_what_there_is_to_look_at(tmp_path: Path) -> None:
    path = keyed_video(tmp_path / "v.mp4", 500, 20)  # 20 seconds, 25 key frames
    assert lengths(read_pieces(path, sample="keyframes")) == [7, 5, 4, 3, 2, 2, 2]
    assert lengths(read_pieces(path)) == [140, 100, 80, 60, 40, 40, 40]  # of 5 s, then of 1.25 at least
    every_frame = lengths(read_pieces(path, sample="all"))
    assert every_frame[:5] == [60] * 5, "at each third key frame, after 2.4 s"
    assert every_frame[5:11] == [50, 38, 28, 21, 16, 13], "towards the end between key frames too"
    assert sum(every_frame) == 500
    assert max(every_frame[11:]) < 25
    assert read_pieces(keyed_video(tmp_path / "k.mp4", 50, 1), sample="keyframes")[1] == []


@pytest.mark.parametrize("more", ["", OPEN])
def test_damage_is_told_by_a_piece_wherever_it_is(tmp_path: Path, more: str) -> None:
    path = keyed_video(tmp_path / "v.mp4", 150, 75, more=more)
    sound = path.read_bytes()
    told = 0
    for place in range(sound.index(b"mdat") + 1000, sound.index(b"moov") - 100, 170):
        path.write_bytes(sound[:place] + bytes([sound[place] ^ 0x55]) + sound[place + 1 :])
        _, facts = read_frames(path, sample="all")
        _, parts = read_pieces(path, sample="all")
        if parts:  # it may be seen before: then the video is not cut
            assert bool(facts.problems) == any(part.problems for part in parts), place
            told += bool(facts.problems)
    assert told > 5


def test_between_key_frames_a_piece_begins_near_one(tmp_path: Path) -> None:
    path = keyed_video(tmp_path / "v.mp4", 150, 500)  # 6 seconds, one key frame
    assert lengths(read_pieces(path, sample="all")) == [38, 28, 21, 63]
    long = keyed_video(tmp_path / "long.mp4", 300, 500)
    assert read_pieces(long, sample="all")[1] == [], "all of its end is far from its key frame"


def lengths(read: tuple[Any, Any]) -> list[int]:
    """Frames decoded for each piece; see ``read_pieces``."""
    _, parts = read
    return [facts.frames_decoded for facts in parts]


def test_a_piece_is_worth_its_opening_and_no_worker_waits_long() -> None:
    assert piece_seconds("all", 300, 30) == 2
    assert piece_seconds("every", 600, 60) == 5
    assert piece_seconds("keyframes", 600, 60) == 80, "eight key frames"
    assert piece_seconds("keyframes", 10, 250) == 2, "each frame is a key frame"
    assert piece_seconds("all", 36_000, 3_600) == 36_000 / 256, "a long file takes long to open"


def test_a_video_frame_with_too_many_pixels_is_refused(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mkv", [0, 100])
    with pytest.raises(UndecodableMedia):
        read_frames(path, max_pixels=1000)


@pytest.mark.parametrize(
    ("name", "format", "codec", "media_type"),
    [
        ("v.mpg", "mpeg", "mpeg2video", "video/mpeg"),
        ("v.vob", "vob", "mpeg2video", "video/mpeg"),
        ("v.m2v", "mpeg2video", "mpeg2video", "video/mpeg-es"),
        ("v.ts", "mpegts", "mpeg2video", "video/mp2t"),
        ("v.mxf", "mxf", "mpeg2video", "application/mxf"),
        ("v.rm", "rm", "rv20", "application/vnd.rn-realmedia"),
        ("v.ivf", "ivf", "libvpx", "video/x-ivf"),
        ("v.ogv", "ogg", "libvpx", "video/ogg"),
        ("v.webm", "webm", "libvpx", "video/x-matroska"),
        ("v.wmv", "asf", "wmv2", "video/x-ms-asf"),
        ("v.flv", "flv", "flv1", "video/x-flv"),
        ("v.avi", "avi", "mpeg4", "video/x-msvideo"),
        ("v.3gp", "3gp", "mpeg4", "video/mp4"),
        ("v.mov", "mov", "mpeg4", "video/quicktime"),
    ],
)
def test_each_container_that_is_named_is_read(
    tmp_path: Path, name: str, format: str, codec: str, media_type: str
) -> None:
    shown = picture(64, 48, faces=[Box(20, 10, 40, 30)])
    path = tmp_path / name
    with av.open(path, "w", format=format) as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for pts in range(10):
            frame = av.VideoFrame.from_ndarray(shown, format="rgb24").reformat(format="yuv420p")
            frame.pts = pts
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert sniff(path.read_bytes()[:4096]) == media_type
    assert name_fits(name, media_type)
    frames, facts = read_frames(path, sample="all")
    assert [frame.index for frame in frames] == list(range(10))
    if format == "mpeg2video":  # no container: FFmpeg would make times up of a rate
        assert [p.problem for p in facts.problems] == ["no_timestamp"]
        assert [frame.time for frame in frames] == [None] * 10
    else:
        assert facts.problems == []
        seconds = [float(frame.time.seconds) for frame in frames if frame.time]
        np.testing.assert_allclose(np.diff(seconds), [0.04] * 9, atol=0.001)
    for frame in frames:
        assert np.abs(frame.image.astype(int) - shown).mean() < 6


@pytest.mark.parametrize(
    ("name", "format", "codec", "options"),
    [
        ("v.264", "h264", "libx264", {"bf": "0", "g": "10"}),
        ("v.h264", "h264", "libx264", {"bf": "2", "g": "10", "x264-params": "aud=1"}),
        ("v.265", "hevc", "libx265", {"x265-params": "keyint=10:bframes=0:log-level=none"}),
        ("v.hevc", "hevc", "libx265", {"x265-params": "keyint=10:bframes=2:log-level=none"}),
    ],
)
def test_a_stream_without_a_container_is_read_and_has_no_times(
    tmp_path: Path, name: str, format: str, codec: str, options: dict[str, str]
) -> None:
    """As recorders export them: a frame is known by its number, and each is looked at."""
    path = tmp_path / name
    with av.open(path, "w", format=format) as container:
        stream = container.add_stream(codec, rate=10, options=options)
        stream.width, stream.height, stream.pix_fmt = 128, 96, "yuv420p"
        for pts in range(25):
            shown = av.VideoFrame.from_ndarray(picture(128, 96, background=9 * pts), format="rgb24")
            frame = shown.reformat(format="yuv420p")
            frame.pts = pts
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    content = path.read_bytes()
    media_type = "video/h264" if format == "h264" else "video/h265"
    assert sniff(path.read_bytes()[:4096]) == media_type
    assert name_fits(name, media_type)
    for sample in ("all", "every"):
        frames, facts = read_frames(path, sample=sample)
        assert [frame.index for frame in frames] == list(range(25))
        assert [round(frame.image.mean() / 9) for frame in frames] == list(range(25))
        assert {frame.time for frame in frames} == {None}
        assert [p.problem for p in facts.problems] == ["no_timestamp"]
        assert ("each was analysed" in facts.problems[0].message) == (sample == "every")
    keys, facts = read_frames(path, sample="keyframes")
    assert len(keys) >= 2
    assert "order in which frames are stored" in facts.problems[0].message
    # A part behind the parameters, up to the next key frame, is missing what it refers to.
    with av.open(path, format=format) as container:
        packets = [(bytes(p), p.is_keyframe) for p in container.demux(video=0) if p.size]
    second = next(i for i, (_, is_key) in enumerate(packets) if is_key and i)
    units = re.split(rb"(?=\x00\x00\x01)", packets[0][0])[1:]
    parameters = (7, 8) if format == "h264" else (32, 33, 34)
    kept = [u for u in units if (u[3] & 31 if format == "h264" else u[3] >> 1) in parameters]
    path.write_bytes(b"".join([*kept, *(data for data, _ in packets[1:])]))
    frames, facts = read_frames(path, sample="all")
    lost = re.findall(
        r"missing: (\d+)|(\d+) of \d+ pictures", " ".join(p.message for p in facts.problems)
    )
    told = sum(int(one or other) for one, other in lost)
    assert told >= second - 1
    assert len(frames) + told == len(packets) - 1
    path.write_bytes(content)
    # What only begins as one is none.
    for other in (content[:4], content[:4] + bytes(60), content[8:], b"\0\0\0\1text", b"\0\0\1"):
        assert sniff(other) is None
    path.write_bytes(content[: len(content) * 2 // 3])
    frames, _ = read_frames(path, sample="all")
    assert 5 < len(frames) < 25


@pytest.mark.parametrize("name", ["p.jp2", "p.bmp", "p.ppm", "p.tif", "p.psd", "p.ico"])
def test_each_kind_of_picture_that_is_named_is_read(tmp_path: Path, name: str) -> None:
    shown = picture(64, 48, faces=[Box(20, 10, 40, 30)])
    path = tmp_path / name
    if name == "p.psd":
        head = struct.pack(">4sH6xHIIHH", b"8BPS", 1, 3, 48, 64, 8, 3)
        path.write_bytes(head + bytes(12) + b"\0\0" + shown.transpose(2, 0, 1).tobytes())
    else:
        sizes = {"sizes": [(32, 24), (64, 48)]} if name == "p.ico" else {}
        Image.fromarray(shown).save(path, **sizes)
    (frame,), facts = read_frames(path)
    assert facts.problems == []
    np.testing.assert_array_equal(frame.image, shown)


def test_a_list_of_other_files_is_never_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """FFmpeg knows formats that name further files and addresses; none may be reached by content."""
    write_video(tmp_path / "secret.mkv", [0, 100])
    monkeypatch.chdir(tmp_path)
    for text in (
        "ffconcat version 1.0\nfile secret.mkv\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:1,\nsecret.mkv\n#EXT-X-ENDLIST\n",
    ):
        (tmp_path / "list.mp4").write_text(text)
        assert sniff(text.encode()) is None
        for media_type in FORMATS:  # as if its first bytes had been taken for media
            with (tmp_path / "list.mp4").open("rb") as file, suppress(UndecodableMedia, NoPicture):
                for frame in video_frames(file, media_type, ScanSettings(sample="all"), MediaFacts()):
                    assert frame is None, media_type


def test_each_container_is_opened_as_what_it_is_and_may_open_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    really, told = av.open, []

    def opens(*arguments: Any, **more: Any) -> Any:
        told.append((more.get("format"), more.get("options", {}).get("protocol_whitelist")))
        return really(*arguments, **more)

    path = write_video(tmp_path / "v.mkv", [0, 100])
    monkeypatch.setattr(av, "open", opens)
    assert len(read_frames(path)[0]) == 1
    assert set(told) == {("matroska", "none")}


# ---- sampling --------------------------------------------------------------------------------------


FRAME = av.VideoFrame(16, 16, "gray")


def chosen(times: list[int | None], **settings: float) -> list[int]:
    """Positions that are taken, for timestamps in milliseconds."""
    wanted = sampler(ScanSettings(**settings))  # type: ignore[arg-type]
    base = Fraction(1, 1000)
    return [i for i, t in enumerate(times) if wanted(None if t is None else FrameTime(t, base), FRAME)]


@pytest.mark.parametrize(
    ("times", "every", "expected"),
    [
        ([0, 500, 999, 1000, 1001, 2000], 1.0, [0, 3, 5]),
        ([7, 900, 1006, 1007], 1.0, [0, 3]),
        ([0, 1900, 2000, 2100], 1.0, [0, 1, 2]),
        ([0, 10_000, 10_500], 1.0, [0, 1]),
        ([0, 500, 1000, 200, 300], 1.0, [0, 2, 3]),
        ([0, 0, 0], 1.0, [0]),
        ([None, 0, None, 10], 1.0, [0, 1, 2]),
        ([-2000, -1500, -1000, 0], 1.0, [0, 2, 3]),
        ([0, 100, 200, 300], 0.1, [0, 1, 2, 3]),
    ],
    ids=[
        "grid",
        "from the first",
        "no drift",
        "gap",
        "jumps back",
        "repeats",
        "no time",
        "negative",
        "0.1",
    ],
)
def test_sampling(times, every, expected) -> None:
    assert chosen(times, every=every) == expected


def test_so_many_a_second() -> None:
    assert chosen([0, 200, 250, 499, 500, 1000], per_second=4) == [0, 2, 4, 5]


def test_a_piece_goes_on_with_the_grid_of_the_stream() -> None:
    base = Fraction(1, 1000)
    for before, moment, taken in ((900, 950, False), (900, 1000, True), (None, 950, True)):
        last = None if before is None else FrameTime(before, base)
        wanted = sampler(ScanSettings(), FrameTime(0, base), last)
        assert wanted(FrameTime(moment, base), FRAME) == taken


def test_all_frames() -> None:
    assert chosen([0, 1, 2, 2, 1], sample="all") == [0, 1, 2, 3, 4]


def test_want_of_memory_is_not_called_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_video(tmp_path / "v.mkv", [0, 1000], lambda _: picture())

    def refuse(*_: object, **__: object) -> None:
        raise av.error.MemoryError(12, "Cannot allocate memory")

    monkeypatch.setattr(av, "open", refuse)
    with pytest.raises(UndecodableMedia, match="Cannot allocate memory") as error:
        read_frames(tmp_path / "v.mkv")
    assert error.value.problem == "out_of_memory"


def test_a_png_is_decoded_whatever_is_damaged_before_its_pixels(tmp_path: Path) -> None:
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Comment", "taken at the lake")
    shown = picture(faces=[Box(20, 10, 60, 50)])
    data = encoded(shown, pnginfo=texts)
    assert data.index(b"lake") < data.index(b"IDAT")
    path = tmp_path / "p.png"
    path.write_bytes(data.replace(b"lake", b"like"))
    frames, facts = read_frames(path)
    assert np.array_equal(frames[0].image, shown)
    assert [p.problem for p in facts.problems] == ["damaged"]
    path.write_bytes(data.replace(b"lake", b"like")[:-40])  # what is missing at the end is told too
    _, facts = read_frames(path)
    assert "truncated" in [p.problem for p in facts.problems]
    texts.add_text("Comment", "lake" * 1_000_000, zip=True)
    path.write_bytes(encoded(shown, pnginfo=texts))
    frames, facts = read_frames(path)
    assert np.array_equal(frames[0].image, shown)
    assert [p.problem for p in facts.problems] == ["not_looked_at"]


def test_frames_that_are_never_shown_have_no_number(tmp_path: Path) -> None:
    """VP8 in two passes has frames that only others refer to."""
    path = tmp_path / "v.mkv"
    with av.open(path, "w") as container:
        stream = container.add_stream("libvpx", rate=10, options={"lag-in-frames": "0", "g": "10"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        packets = []
        for number in range(30):
            frame = av.VideoFrame.from_ndarray(picture(64, 48, background=8 * number), format="rgb24")
            frame.pts = number
            packets += stream.encode(frame)
        for number, packet in enumerate([*packets, *stream.encode(None)]):
            data = bytearray(bytes(packet))
            if number in (5, 15):
                data[0] &= ~0x10
            other = av.Packet(bytes(data))
            other.stream, other.time_base = stream, packet.time_base
            other.pts, other.dts, other.is_keyframe = packet.pts, packet.dts, packet.is_keyframe
            container.mux(other)
    every = {f.time and f.time.pts: f.index for f in read_frames(path, sample="all")[0]}
    keys = read_frames(path, sample="keyframes")[0]
    assert len(every) == 28
    assert [f.index for f in keys] == [every[f.time and f.time.pts] for f in keys] == [0, 9, 18]


def test_a_picture_beside_an_animation_has_no_time(tmp_path: Path) -> None:
    images = [Image.fromarray(picture(background=40 * n)) for n in range(4)]
    options: dict[str, Any] = {"save_all": True, "append_images": images[1:], "duration": [100] * 3}
    images[0].save(tmp_path / "p.png", default_image=True, **options)
    frames, _ = read_frames(tmp_path / "p.png")
    assert [f.time and f.time.seconds for f in frames] == [None, 0.0, 0.1, 0.2]
