"""What lies in a file beside the pages and streams that are looked at is told."""

from __future__ import annotations

import io
import struct
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image, PngImagePlugin

from forensic_emotion.frames.beyond import TOO_MANY, ends_within_a_box, find_video
from forensic_emotion.media_types import sniff
from forensic_emotion.records import RecordedTime
from tests.builders import picture, read_frames

SHOWN = picture(64, 48)


def jpeg(**options: object) -> bytes:
    chance = np.random.default_rng(0)
    noise = chance.integers(0, 256, (300, 400, 3), dtype=np.uint8)
    target = io.BytesIO()
    Image.fromarray(noise).save(target, "JPEG", quality=95, **options)
    return target.getvalue()


def told(path: Path) -> list[str]:
    _, facts = read_frames(path)
    assert {p.problem for p in facts.problems} <= {"not_looked_at"}
    return [p.message for p in facts.problems]


@pytest.mark.parametrize(
    ("rest", "texts"),
    [
        (b"", []),
        (bytes(5000), []),
        (b"a maker's own notes", []),
        (b"PK\x03\x04" + bytes(60), ["an archive or a document (ZIP) after the end"]),
        (b"notes " * 2000 + b"%PDF-1.7 ", ["a document (PDF) after the end"]),
        (jpeg(), ["pictures after the end of the last one (JPEG): 1"]),
        (bytes(10) + jpeg() + b"text" + jpeg(progressive=True), ["of the last one (JPEG): 2"]),
    ],
)
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_rows": 1}])
def test_what_follows_behind_a_jpeg_is_told(
    tmp_path: Path, rest: bytes, texts: list[str], options: dict[str, object]
) -> None:
    # Not what is within it: a thumbnail in its EXIF, what looks like a video in a comment.
    path = tmp_path / "p.jpg"
    path.write_bytes(jpeg(comment=b"\0\0\0\x18ftypmp42" + jpeg()[:50], **options) + rest)
    found = told(path)
    assert len(found) == len(texts)
    for text, message in zip(texts, found, strict=True):
        assert text in message


def test_bytes_between_the_segments_of_a_jpeg_hide_nothing(tmp_path: Path) -> None:
    path = tmp_path / "p.jpg"
    path.write_bytes(jpeg()[:20] + b"\0junk" + jpeg()[20:] + jpeg())  # behind APP0
    assert told(path) == ["pictures after the end of the last one (JPEG): 1"]


def test_a_jpeg_made_to_waste_time_does_not(tmp_path: Path) -> None:
    started = time.process_time()  # not what others on this machine take
    path = tmp_path / "p.jpg"
    many = ["what looks like pictures after the end of the last one (JPEG), 32 times or more"]
    for fake in (b"\xff\xd8\xff\xd9", b"\xff\xd8\xff\0"):
        path.write_bytes(jpeg() + fake * 1_000_000 + jpeg())
        assert told(path) == many
    path.write_bytes(jpeg() + b"\xff\xd8" + b"\xff\xda\0\2\0" * 1_000_000)
    assert told(path) == [TOO_MANY]
    path.write_bytes(jpeg() + b"\xff\xd8\xff\xe0" * 1_000_000 + jpeg())
    told(path)
    assert time.process_time() - started < 20


def test_the_pages_of_an_mpo_are_looked_at_and_not_told(tmp_path: Path) -> None:
    path = tmp_path / "p.mpo"
    Image.fromarray(SHOWN).save(path, save_all=True, append_images=[Image.fromarray(SHOWN)])
    assert len(read_frames(path)[0]) == 2
    assert told(path) == []


def test_a_page_list_hides_no_picture(tmp_path: Path) -> None:
    """A multi-picture file whose second page lies within the first, and another picture behind."""
    path = tmp_path / "p.mpo"
    small = io.BytesIO()
    Image.fromarray(SHOWN).save(small, "MPO", save_all=True, append_images=[Image.fromarray(SHOWN)])
    data = small.getvalue()
    listed = data.index(b"MPF\0") + 4
    behind = struct.pack("<I", data.rindex(b"\xff\xd8\xff") - listed)
    assert data.count(behind) == 1
    other = jpeg()
    comment = b"\xff\xfe" + struct.pack(">H", 2 + len(data)) + data
    start = data.index(b"\xff\xdb")
    within = data[:start] + comment + data[start : data.rindex(b"\xff\xd8\xff")]
    within = within.replace(behind, struct.pack("<I", start + 4 - listed), 1)
    path.write_bytes(within + other)
    frames, facts = read_frames(path)
    assert len(frames) == 2
    assert "pictures after the end of the last one (JPEG): 1" in [p.message for p in facts.problems]


def test_a_list_within_a_comment_hides_no_picture(tmp_path: Path) -> None:
    """What looks like the list of a multi-picture file, before the real one."""
    target = io.BytesIO()
    Image.fromarray(SHOWN).save(target, "MPO", save_all=True, append_images=[Image.fromarray(SHOWN)])
    data = target.getvalue()
    listed = data.index(b"MPF\0") + 4
    second = data.rindex(b"\xff\xd8\xff")
    behind = len(data) - listed
    entry = data.index(struct.pack("<I", second - listed))
    other = jpeg()
    # The real list names the same place; the false one, from where it stands, that of the other picture.
    false = b"\xff\xe2\0\6MPF\0"
    start = 2 + 4
    moved = start + 8 + (second - listed)
    padding = bytes(max(0, behind - moved))
    comment = b"\xff\xfe" + struct.pack(">H", 2 + len(false)) + false
    path = tmp_path / "p.mpo"
    path.write_bytes(data[:2] + comment + data[2:] + padding + other)
    assert entry > 0
    assert "pictures after the end of the last one (JPEG): 1" in told(path)


@pytest.mark.parametrize("format", ["PNG", "GIF", "WEBP"])
def test_another_kind_of_picture_behind_a_jpeg_is_told(tmp_path: Path, format: str) -> None:
    target = io.BytesIO()
    Image.fromarray(SHOWN).save(target, format)
    path = tmp_path / "p.jpg"
    path.write_bytes(jpeg() + bytes(50) + target.getvalue())
    assert told(path) == ["a picture after the end of the last one (PNG, GIF or WebP)"]


def test_a_png_in_many_parts_is_whole(tmp_path: Path) -> None:
    target = io.BytesIO()
    Image.fromarray(SHOWN).save(target, "PNG")
    data = target.getvalue()
    start, end = data.index(b"IDAT") - 4, data.index(b"IEND") - 4
    stream = data[start + 8 : end - 4]
    parts = [stream[n : n + 1] for n in range(len(stream))] + [b""] * 12_000
    chunks = [
        struct.pack(">I", len(part)) + b"IDAT" + part + struct.pack(">I", zlib.crc32(b"IDAT" + part))
        for part in parts
    ]
    path = tmp_path / "p.png"
    path.write_bytes(data[:start] + b"".join(chunks) + data[end:])
    assert told(path) == []


def test_a_bmp_with_a_profile_of_its_own_is_whole(tmp_path: Path) -> None:
    target = io.BytesIO()
    Image.fromarray(SHOWN).save(target, "BMP")
    old = target.getvalue()
    pixels = old[54:]
    header = struct.pack("<I", 124) + old[18:54] + bytes(16) + b"DEBM" + bytes(48)
    header += struct.pack("<IIII", 4, 124 + len(pixels), 300, 0)
    assert len(header) == 124
    whole = old[:10] + struct.pack("<I", 14 + 124) + header + pixels + b"x" * 300
    path = tmp_path / "p.bmp"
    for rest, n in ((b"", 0), (old, 1)):
        path.write_bytes(whole + rest)
        assert len(told(path)) == n


def test_a_text_that_hides_what_a_png_says_of_its_colours_is_told(tmp_path: Path) -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("gamma", "1")
    info.add_text("Comment", "1")
    Image.fromarray(SHOWN).save(tmp_path / "p.png", pnginfo=info)
    assert told(tmp_path / "p.png") == ["its gamma, if it has one: a text of that name hides it"]


def test_fill_bytes_in_a_jpeg_hide_nothing(tmp_path: Path) -> None:
    path = tmp_path / "p.jpg"
    path.write_bytes(jpeg()[:2] + b"\xff" * 20_000 + jpeg()[2:] + jpeg())
    assert told(path) == ["pictures after the end of the last one (JPEG): 1"]


@pytest.mark.parametrize("format", ["PNG", "GIF", "WEBP", "BMP"])
def test_a_second_picture_behind_the_end_is_told(tmp_path: Path, format: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (31, 47, 3), dtype=np.uint8)
    path = tmp_path / "p"
    for size in ((47, 31), (46, 30), (8, 8)):  # rows and lengths that are padded, and not
        target = io.BytesIO()
        shown = Image.fromarray(noise).crop((0, 0, *size))
        more = {"save_all": True, "append_images": [shown.rotate(180)]} if format == "GIF" else {}
        shown.save(target, format, **more)
        data = target.getvalue()
        for rest, n in ((b"", 0), (bytes(100), 0), (data, 1), (jpeg(), 1)):
            path.write_bytes(data + rest)
            expected = [f"bytes after the end of the picture: {len(rest)}"] * n
            assert told(path) == expected, (size, rest[:4])
        path.write_bytes(data + b"PK\x03\x04" + bytes(30))
        assert told(path)[0].endswith("picture: 34, an archive or a document (ZIP)")


def test_a_gif_that_is_cut_off_is_told_as_that(tmp_path: Path) -> None:
    path = tmp_path / "p.gif"
    Image.fromarray(SHOWN).save(path, save_all=True, append_images=[Image.fromarray(SHOWN[::-1])])
    data = path.read_bytes()
    for length in range(1, len(data) - 400, 97):
        path.write_bytes(data[:-length])
        assert [p.problem for p in read_frames(path)[1].problems][:1] == ["truncated"], length


def test_strips_and_tiles_of_one_page_are_told(tmp_path: Path) -> None:
    entries = [(256, 16), (257, 16), (258, 8), (259, 1), (262, 1), (273, 8), (277, 1), (278, 16)]
    entries += [(279, 256), (322, 16), (323, 16), (324, 8), (325, 256)]
    packed = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries)
    path = tmp_path / "p.tif"
    head = b"II*\0" + struct.pack("<I", 8)
    path.write_bytes(head + struct.pack("<H", len(entries)) + packed + bytes(4) + bytes(512))
    assert "pages with pixels both in strips and in tiles, of which one was analysed: 1" in [
        p.message for p in read_frames(path)[1].problems
    ]


def test_an_animation_that_pillow_cannot_read_is_told(tmp_path: Path) -> None:
    path = tmp_path / "p.png"
    Image.fromarray(SHOWN).save(path, save_all=True, append_images=[Image.fromarray(SHOWN[::-1])])
    assert len(read_frames(path)[0]) == 2
    data = path.read_bytes()
    start = data.index(b"acTL") - 4
    path.write_bytes(data[:start] + data[start : start + 20] * 2 + data[start + 20 :])
    _, facts = read_frames(path)
    assert [p.problem for p in facts.problems] == ["pages_lost"]


def test_what_transparency_hides_is_told(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (100, 130, 3), dtype=np.uint8)
    smooth = np.asarray(Image.fromarray(noise[:10, :13]).resize((130, 100)))
    opaque = np.full((100, 130, 1), 255, np.uint8)
    path = tmp_path / "p.png"

    def told_of(colours: np.ndarray, alpha: np.ndarray) -> list[str]:
        Image.fromarray(np.concatenate([colours, alpha], axis=2)).save(path)
        return told(path)

    assert told_of(smooth, opaque) == []
    assert told_of(smooth, opaque // 2) == []
    for opacity in (0, 1, 15):
        assert told_of(smooth, np.full_like(opaque, opacity)) == [
            "colours beneath its transparent parts"
        ]
    assert told_of(np.full_like(smooth, 255), smooth[:, :, :1]) == [
        "what its transparent parts show on a dark background"
    ]
    dotted = np.zeros_like(opaque)
    dotted[::16, ::16] = 255
    assert told_of(smooth, dotted) == ["colours beneath its transparent parts"]
    # A white drawing, a picture that was cut out, with nothing beneath, and a black drawing.
    assert told_of(np.full_like(smooth, 255), np.where(smooth[:, :, :1] > 128, opaque, 0)) == []
    cut = opaque.copy()
    cut[:, :65] = 0
    assert told_of(np.where(cut, smooth, 0).astype(np.uint8), cut) == []
    assert told_of(np.zeros_like(smooth), smooth[:, :, :1]) == []


def test_pages_that_are_small_in_the_file_cannot_take_for_ever(tmp_path: Path) -> None:
    path = tmp_path / "p.png"
    pages = [Image.new("1", (100, 100), n % 2) for n in range(60)]
    pages[0].save(path, save_all=True, append_images=pages[1:])
    frames, facts = read_frames(path, max_pixels=10_000)
    assert len(frames) == 51
    assert [p.problem for p in facts.problems] == ["too_many_pages"]
    assert read_frames(path, max_pixels=20_000)[1].problems == []
    (problem,) = read_frames(path, max_pixels=10_000, max_pages=20)[1].problems
    assert "the first 20 were tried (--max-pages)" in problem.message
    # One large page among small ones.
    mixed = [Image.new("L", (10, 10))] * 60 + [Image.new("L", (90, 90))]
    mixed[0].save(tmp_path / "p.tif", save_all=True, append_images=mixed[1:])
    assert read_frames(tmp_path / "p.tif", max_pixels=10_000)[1].problems == []


def test_a_jpeg_that_is_cut_off_is_told_as_that(tmp_path: Path) -> None:
    path = tmp_path / "p.jpg"
    for length in range(3, 700, 40):
        path.write_bytes(jpeg()[:-length])
        assert "not_looked_at" not in [p.problem for p in read_frames(path)[1].problems]


@pytest.mark.parametrize(("reduced", "n"), [(0, 1), (1, 0)])
def test_a_full_picture_in_a_sub_ifd_is_told(tmp_path: Path, reduced: int, n: int) -> None:
    def directory(pixels: int, *more: tuple[int, int]) -> bytes:
        entries = [(254, reduced if not more else 0), (256, 4), (257, 4), (258, 8), (259, 1), (262, 1)]
        entries += [(273, pixels), (277, 1), (278, 4), (279, 16), *more]
        packed = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries)
        return struct.pack("<H", len(entries)) + packed + bytes(4)

    first = len(directory(0, (330, 0)))
    file = b"II*\0" + struct.pack("<I", 8) + directory(8, (330, 8 + first)) + directory(8)
    path = tmp_path / "p.tif"
    path.write_bytes(file)
    assert len(told(path)) == n
    # The same on the second page.
    link = 8 + len(directory(0)) - 4
    pages = directory(8)[:-4] + struct.pack("<I", link + 4) + directory(8, (330, link + 4 + first))
    later = tmp_path / "q.tif"
    later.write_bytes(b"II*\0" + struct.pack("<I", 8) + pages + directory(8))
    assert len(told(later)) == n
    # A place that is none harms nothing.
    pointer = struct.pack("<HHI", 330, 4, 1)
    path.write_bytes(file.replace(pointer + struct.pack("<I", 8 + first), pointer + b"\xff\xff\xff\x7f"))
    read_frames(path)
    # Nor does it hide what a later page has.
    pages = directory(8, (330, 0x7FFFFFFF))[:-4] + struct.pack("<I", 8 + first)
    pages += directory(8, (330, 8 + 2 * first))
    later.write_bytes(b"II*\0" + struct.pack("<I", 8) + pages + directory(8))
    messages = [p.message for p in read_frames(later)[1].problems]
    assert sum("SubIFDs" in message for message in messages) == n


@pytest.mark.parametrize(
    ("mode", "header", "size"),
    [
        ("P6", b"P6 20 10 255\n", 600),
        ("P5", b"P5 20 10 255\n", 200),
        ("P4", b"P4 20 10\n", 30),
        ("P5", b"P5 20 10 65535\n", 400),
        ("P6", b"P6 20 10 1000\n", 1200),
        ("P6", b"P6 20 10 100\n", 600),
    ],
)
def test_a_second_picture_of_an_anymap_is_told(
    tmp_path: Path, mode: str, header: bytes, size: int
) -> None:
    one = header + b"\x01" * size
    for rest, n in ((b"", 0), (b"\n\n", 0), (one, 1)):
        (tmp_path / "p.pnm").write_bytes(one + rest)
        assert len(told(tmp_path / "p.pnm")) == n, (mode, rest[:3])


def test_times_of_an_animation_do_not_drift(tmp_path: Path) -> None:
    path = tmp_path / "p.png"
    shades = [Image.fromarray(np.full((8, 8), n, np.uint8)) for n in range(240)]
    shades[0].save(path, save_all=True, append_images=shades[1:], duration=1000 / 24)
    data = bytearray(path.read_bytes())
    place = -1
    while (place := data.find(b"fcTL", place + 1)) > 0:  # Pillow writes whole milliseconds
        data[place + 24 : place + 28] = struct.pack(">HH", 1, 24)
        data[place + 30 : place + 34] = zlib.crc32(data[place : place + 30]).to_bytes(4, "big")
    path.write_bytes(data)
    frames, _ = read_frames(path)
    assert len(frames) == 240
    for frame in frames:
        assert frame.time is not None
        assert frame.time.pts == round(frame.index * 1000 / 24)


def test_the_orientation_of_a_later_page_is_not_that_of_the_file(tmp_path: Path) -> None:
    first, later = (Image.fromarray(SHOWN) for _ in range(2))
    later.encoderinfo = {"tiffinfo": {ExifTags.Base.Orientation: 6}}
    path = tmp_path / "p.tif"
    first.save(path, save_all=True, append_images=[later])
    frames, facts = read_frames(path)
    assert [frame.image.shape[:2] for frame in frames] == [(48, 64), (64, 48)]
    assert facts.orientation is None


@pytest.mark.parametrize("name", ["p.jpg", "p.png", "p.webp"])
def test_an_orientation_of_xmp_is_none_of_exif(tmp_path: Path, name: str) -> None:
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    options: dict[str, object] = {"xmp": xmp}
    if name == "p.png":
        info = PngImagePlugin.PngInfo()
        info.add_itxt("XML:com.adobe.xmp", xmp.decode())
        options = {"pnginfo": info}
    Image.fromarray(SHOWN).save(tmp_path / name, **options)
    with Image.open(tmp_path / name) as image:
        assert image.getexif().get(ExifTags.Base.Orientation) == 6, "Pillow takes it for that"
    frames, facts = read_frames(tmp_path / name)
    assert frames[0].image.shape == SHOWN.shape
    assert (facts.orientation, facts.exif) == (None, None)


def test_a_box_larger_than_any_file_ends_what_is_looked_for(tmp_path: Path) -> None:
    path = tmp_path / "v.mp4"
    path.write_bytes(b"\0\0\0\x10ftypisom\0\0\0\0" + b"\0\0\0\1free" + b"\xff" * 8)
    with path.open("rb") as source:
        assert ends_within_a_box(source)
        assert find_video(source, "image/heic") is None
    assert not ends_within_a_box(io.BytesIO(path.read_bytes()[:16]))


def test_an_unknown_time_of_exif_is_no_time(tmp_path: Path) -> None:
    for unknown in ("    :  :     :  :  ", "0000:00:00 00:00:00", " "):
        exif = Image.Exif()
        inner = exif.get_ifd(ExifTags.IFD.Exif)
        inner[ExifTags.Base.DateTimeDigitized] = "2026:01:02 00:00:00"
        inner[ExifTags.Base.DateTimeOriginal] = unknown
        inner[ExifTags.Base.OffsetTimeDigitized] = "   :  "
        Image.fromarray(SHOWN).save(tmp_path / "p.jpg", exif=exif)
        _, facts = read_frames(tmp_path / "p.jpg")
        told = ("2026:01:02 00:00:00", "Exif.DateTimeDigitized", None, "none")
        assert facts.recorded == RecordedTime(*told)
        inner[ExifTags.Base.OffsetTimeDigitized] = "+00:00"
        Image.fromarray(SHOWN).save(tmp_path / "p.jpg", exif=exif)
        _, facts = read_frames(tmp_path / "p.jpg")
        assert facts.recorded is not None
        assert facts.recorded.zone == "+00:00"


def test_a_wide_tiff_in_which_white_is_zero_is_no_negative(tmp_path: Path) -> None:
    grey = np.arange(0, 65536, 256, dtype=np.uint16).reshape(16, 16)
    found = []
    for values, photometric in ((grey, 1), (65535 - grey, 0)):
        Image.fromarray(values).save(tmp_path / "p.tif", tiffinfo={262: photometric})
        found.append(read_frames(tmp_path / "p.tif")[0][0].image)
    np.testing.assert_array_equal(found[0], found[1])


@pytest.mark.parametrize("atom", [b"styp", b"uuid", b"moof", b"sidx"])
def test_a_segment_of_a_video_is_one(atom: bytes) -> None:
    assert sniff(b"\0\0\0\x18" + atom + bytes(100)) == "video/quicktime"
