"""Pictures as telephones take them: HEIF, and seconds of video within a picture's file."""

from __future__ import annotations

import io
import re
import sqlite3
import struct
import subprocess
import sys
from contextlib import closing
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pillow_heif
import pytest
from PIL import ExifTags, Image

from forensic_emotion.errors import UndecodableMedia
from forensic_emotion.frames.beyond import TOO_MANY
from forensic_emotion.records import RGB, Box, RecordedTime
from forensic_emotion.report.render import write_report
from forensic_emotion.settings import ReportSettings, ScanSettings
from tests.builders import (
    encoded,
    picture,
    read_frames,
    scanned,
    write_sound,
    write_video,
)

FACE = Box(10, 5, 30, 25)


def heif(*images: RGB, **options: Any) -> bytes:
    target = io.BytesIO()
    file = pillow_heif.HeifFile()
    for image in images:
        file.add_from_pillow(Image.fromarray(image))
    file.save(target, quality=-1, chroma=444, **options)
    return target.getvalue()


def exif(orientation: int) -> bytes:
    tags = Image.Exif()
    tags[ExifTags.Base.Orientation] = orientation
    tags.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = "2024:05:06 07:08:09"
    return tags.tobytes()


def close(one: RGB, other: RGB) -> bool:
    """Whether two pictures are the same but for what a lossy format changes."""
    return one.shape == other.shape and float(np.abs(one.astype(int) - other).mean()) < 3


def box(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", 8 + len(content)) + name + content


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Two and a half seconds with a face from the second on, which begin at 500 ms."""
    path = tmp_path_factory.mktemp("v") / "v.mp4"
    write_video(path, range(500, 3000, 100), lambda t: picture(64, 48, [FACE] if t >= 1500 else []))
    return path.read_bytes()


# ---- HEIF ------------------------------------------------------------------------------------------


def test_every_picture_of_a_heif_file_is_looked_at(tmp_path: Path) -> None:
    shown = [picture(64, 48, [FACE]), picture(40, 60), picture(32, 32, [FACE])]
    path = tmp_path / "p.heic"
    for first in range(3):  # whichever is the one to show first
        path.write_bytes(heif(*shown, primary_index=first))
        frames, facts = read_frames(path)
        assert [(f.index, f.stream, f.time) for f in frames] == [(n, 0, None) for n in range(3)]
        assert all(close(f.image, image) for f, image in zip(frames, shown, strict=True))
        assert (facts.width, facts.height, facts.problems) == (64, 48, [])


def test_heif_is_turned_once_and_its_exif_kept_as_it_stands(tmp_path: Path) -> None:
    shown = picture(64, 48, [FACE])
    path = tmp_path / "p.heic"
    # The plugin writes the orientation both into the container, where it counts, and into EXIF.
    path.write_bytes(heif(shown))
    read_frames(path)  # from now on Pillow knows the plugin
    Image.fromarray(shown).save(path, "HEIF", exif=exif(6), quality=-1, chroma=444)
    frames, facts = read_frames(path)
    assert close(frames[0].image, np.rot90(shown, -1))
    assert facts.orientation is None
    assert facts.exif == {"Orientation": 6, "Exif.DateTimeOriginal": "2024:05:06 07:08:09"}
    assert facts.recorded == RecordedTime("2024:05:06 07:08:09", "Exif.DateTimeOriginal", None, "none")
    # In EXIF alone it does not count.
    path.write_bytes(heif(shown, exif=exif(1)).replace(exif(1), exif(6)))
    frames, facts = read_frames(path)
    assert close(frames[0].image, shown)
    assert facts.exif is not None
    assert facts.exif["Orientation"] == 6


def test_a_heif_file_that_is_cut_off_is_looked_at_as_far_as_it_goes(tmp_path: Path) -> None:
    chance = np.random.default_rng(0)
    noise = chance.integers(0, 256, (128, 256, 3), dtype=np.uint8)
    path = tmp_path / "p.heic"
    for options, text in (({}, "ends early"), ({"exif": exif(1)}, "is cut off")):
        data = heif(noise, tile_size=64, **options)
        path.write_bytes(data[: len(data) * 3 // 4])
        frames, facts = read_frames(path)
        assert [p.problem for p in facts.problems] == ["truncated"]
        assert text in facts.problems[0].message
        assert close(frames[0].image[:64], noise[:64])  # the upper row of tiles came first
    path.write_bytes(data[:200])
    with pytest.raises(UndecodableMedia, match=r"image/heic cannot be decoded: .*meta") as error:
        read_frames(path)
    assert error.value.problem == "damaged"


def test_a_heif_file_of_too_many_pixels_is_not_decoded(tmp_path: Path) -> None:
    path = tmp_path / "p.heic"
    path.write_bytes(heif(picture(200, 100)))
    with pytest.raises(UndecodableMedia, match="--max-pixels") as error:
        read_frames(path, max_pixels=10_000)
    assert error.value.problem == "too_large"
    path.write_bytes(heif(picture(50, 50), picture(200, 100), picture(40, 40)))
    frames, facts = read_frames(path, max_pixels=10_000)
    assert [f.index for f in frames] == [0, 2]
    assert [p.problem for p in facts.problems] == ["too_large"]


@pytest.mark.parametrize("format", ["HEIF", "AVIF"])
def test_want_of_memory_is_no_damage(tmp_path: Path, format: str) -> None:
    path = tmp_path / "p"
    path.write_bytes(heif(picture()))
    read_frames(path)  # from now on Pillow knows HEIF
    Image.new("RGB", (4000, 3000), "grey").save(path, format, quality=30)
    program = """if True:
        import sys
        from pathlib import Path
        from resource import RLIMIT_DATA, setrlimit
        from tests.builders import read_frames
        read_frames(Path(sys.argv[2]))  # what is loaded only then
        status = Path("/proc/self/status").read_text()
        used = int(status.split("VmData:")[1].split()[0]) << 10
        for free in (6, 16, 24, 40, 60):
            setrlimit(RLIMIT_DATA, (used + (free << 20), -1))
            try:
                read_frames(Path(sys.argv[1]))
            except MemoryError:
                print("no memory")
    """
    small = tmp_path / "small"
    Image.new("RGB", (64, 64), "grey").save(small, format)
    told = subprocess.run(
        [sys.executable, "-c", program, path, small], capture_output=True, text=True, check=False
    )
    assert told.stdout == "no memory\n" * 5, told.stderr


def test_a_sequence_of_pictures_beside_a_heif_picture_is_told(tmp_path: Path, video: bytes) -> None:
    path = tmp_path / "p.heic"
    path.write_bytes(heif(picture()) + box(b"free", b"moov") + video[video.index(b"moov") - 4 :])
    frames, facts = read_frames(path)
    assert len(frames) == 1
    assert [p.problem for p in facts.problems] == ["not_looked_at"]
    assert "a sequence of pictures" in facts.problems[0].message


# ---- a video within a picture's file ---------------------------------------------------------------


def test_what_lies_beside_the_pictures_of_a_heif_file_is_told(
    tmp_path: Path, video: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "p.heic"
    two = heif(picture(), picture())
    path.write_bytes(two + box(b"free", b"moov") + video[video.index(b"moov") - 4 :])
    _, facts = read_frames(path)
    assert "a sequence of pictures beside" in facts.problems[0].message
    path.write_bytes(two + box(b"mpvd", video) * 2)
    _, facts = read_frames(path)
    assert [p.message for p in facts.problems] == [
        "further videos embedded in the picture file after the first: 1"
    ]
    path.write_bytes(two + box(b"free", b"") * 10_000 + box(b"mpvd", video))
    assert len(read_frames(path)[0]) > 2  # so many are followed
    monkeypatch.setattr("forensic_emotion.frames.beyond.MOST_PARTS", 1000)
    _, facts = read_frames(path)
    assert [p.message for p in facts.problems] == [TOO_MANY]


@pytest.mark.parametrize("name", [b"free", b"skip"])
def test_a_video_in_a_part_that_is_passed_over_is_told(
    tmp_path: Path, video: bytes, name: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "v.mp4"
    for rest, n in ((box(name, bytes(5000)), 0), (box(name, bytes(99) + video), 1)):
        path.write_bytes(video + rest)
        assert [p.problem for p in read_frames(path)[1].problems] == ["not_looked_at"] * n
    path.write_bytes(video + box(name, b"") * 10_000)  # as many as a long fragmented video has
    assert read_frames(path)[1].problems == []
    monkeypatch.setattr("forensic_emotion.frames.beyond.MOST_PARTS", 1000)
    assert [p.message for p in read_frames(path)[1].problems] == [TOO_MANY]


@pytest.mark.parametrize("kind", ["jpeg", "trailer", "far", "heif", "wide"])
def test_a_video_within_a_picture_is_looked_at(tmp_path: Path, video: bytes, kind: str) -> None:
    shown = picture(200, 100, [FACE])
    still = encoded(shown, "JPEG", quality=95)
    data = {
        "jpeg": still + video,
        "trailer": still + video + box(b"SEFH", bytes(30)) + b"SEFT",
        "far": still + bytes(1 << 20) + video,
        "heif": heif(shown) + box(b"free", bytes(9)) + box(b"mpvd", video) + box(b"free", b"ftyp"),
        "wide": heif(shown) + struct.pack(">I4sQ", 1, b"mpvd", 16 + len(video)) + video,
    }[kind]
    path = tmp_path / "p.img"
    path.write_bytes(data)
    frames, facts = read_frames(path)
    assert [(f.stream, f.index, f.time and f.time.seconds) for f in frames] == [
        (0, 0, None),
        (1, 0, 0.5),
        (1, 10, 1.5),
        (1, 20, 2.5),
    ]
    assert close(frames[0].image, shown)
    assert np.array_equal(frames[1].image, picture(64, 48))
    assert np.array_equal(frames[2].image, picture(64, 48, [FACE]))
    assert (facts.width, facts.height, facts.time_base) == (200, 100, None)
    assert facts.frames_decoded == 26
    assert facts.metadata is not None
    assert facts.metadata["streams"][0]["codec"] == "h264"
    assert facts.problems == []


def test_a_video_within_a_picture_that_is_too_large_is_looked_at(tmp_path: Path, video: bytes) -> None:
    path = tmp_path / "p.jpg"
    path.write_bytes(encoded(picture(200, 100), "JPEG") + video)
    frames, facts = read_frames(path, max_pixels=10_000)
    assert [f.stream for f in frames] == [1, 1, 1]
    assert [p.problem for p in facts.problems] == ["too_large"]


def test_a_video_within_a_picture_is_sampled_as_asked(tmp_path: Path, video: bytes) -> None:
    path = tmp_path / "p.jpg"
    path.write_bytes(encoded(picture(), "JPEG") + video)
    assert len(read_frames(path, sample="all")[0]) == 26
    assert len(read_frames(path, sample="keyframes")[0]) == 2


@pytest.mark.parametrize("length", [24, 200, 1000])
def test_what_is_broken_of_a_video_within_a_picture_is_told(
    tmp_path: Path, video: bytes, length: int
) -> None:
    path = tmp_path / "p.jpg"
    path.write_bytes(encoded(picture(), "JPEG") + video[:length])
    frames, facts = read_frames(path)
    assert [f.stream for f in frames] == [0]
    assert facts.problems
    assert all(p.message.startswith("the video embedded in it: ") for p in facts.problems)


def test_what_begins_like_a_video_and_has_no_picture_is_told(tmp_path: Path) -> None:
    sound = write_sound(tmp_path / "s.mp4").read_bytes()
    path = tmp_path / "p.jpg"
    path.write_bytes(encoded(picture(), "JPEG") + sound)
    frames, facts = read_frames(path)
    assert len(frames) == 1
    assert [(p.problem, p.message) for p in facts.problems] == [
        ("not_looked_at", "the video embedded in it: holds no video stream, though it begins as one")
    ]


def test_a_broken_picture_does_not_hide_the_video_behind_it(tmp_path: Path, video: bytes) -> None:
    chance = np.random.default_rng(0)
    still = encoded(chance.integers(0, 256, (90, 120, 3), dtype=np.uint8), "JPEG", quality=95)
    table = still.index(b"\xff\xc4")  # of Huffman codes: without them nothing can be decoded
    path = tmp_path / "p.jpg"
    path.write_bytes(still[: table + 4] + b"\xff" * 20 + still[table + 24 :] + video)
    frames, facts = read_frames(path)
    assert {1} == {f.stream for f in frames} - {0}
    assert facts.problems


def test_faces_of_a_video_within_a_picture_are_in_the_case(tmp_path: Path, video: bytes) -> None:
    root = tmp_path / "evidence"
    root.mkdir()
    (root / "p.jpg").write_bytes(encoded(picture(200, 100, [FACE]), "JPEG", quality=100) + video)
    (root / "copy.jpg").write_bytes((root / "p.jpg").read_bytes())
    case = tmp_path / "case.db"
    scanned(root, case)
    with closing(sqlite3.connect(case)) as opened:
        faces = opened.execute(
            "SELECT stream, frame_index, pts, seconds, track, frame_width FROM faces ORDER BY id"
        ).fetchall()
        files = opened.execute("SELECT state, frames, faces, first_pts FROM files").fetchall()
    # The detector of these tests sees pure colours only, not those of a JPEG.
    assert [f[:4] for f in faces] == [(1, 10, faces[0][2], 1.5), (1, 20, faces[1][2], 2.5)]
    assert {f[4:] for f in faces} == {(None, 64)}
    assert files == [("faces", 4, 2, None)] * 2  # a copy has the counts of the first
    write_report(case, tmp_path / "r.html", None, ReportSettings())
    page = (tmp_path / "r.html").read_text()
    assert "There is no face in a recording." not in page
    assert 'id="recording-' in page
    # Of such a picture too the frames between key frames were not looked at.
    scanned(root, tmp_path / "keys.db", settings=ScanSettings(sample="keyframes"))
    write_report(tmp_path / "keys.db", tmp_path / "k.html", None, ReportSettings())
    assert "Of video, only key frames were decoded" in (tmp_path / "k.html").read_text()
    # A face in the still lies in a still picture, not on the first of four pages.
    paged = re.findall(r'"paged": ?(\w+)', (tmp_path / "r.html").read_text())
    assert set(paged) == {"false"}


@pytest.mark.parametrize("name", ["v.avi", "v.mp4", "v.mkv", "v.mov"])
def test_a_title_that_is_no_text_costs_no_video(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    with av.open(path, "w") as container:
        container.metadata["title"] = "Ferien am Meer"
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height = 64, 48
        frame = av.VideoFrame.from_ndarray(picture(64, 48), format="rgb24")
        container.mux([*stream.encode(frame), *stream.encode(None)])
    data = path.read_bytes()
    assert data.count(b"Ferien am Meer") == 1
    path.write_bytes(data.replace(b"Ferien am Meer", b"Ferien am M\xe9er"[:13] + b"r"))
    frames, facts = read_frames(path, sample="all")
    assert len(frames) == 1
    assert facts.metadata is not None
    assert "\\xe9" in facts.metadata["container"]["title"]
    assert facts.problems == []


# ---- pictures attached to a video -------------------------------------------------------------------


def with_cover(path: Path, cover: bytes, *, video: bool = True) -> Path:
    with av.open(path, "w") as container:
        streams = [container.add_stream("mpeg4", rate=10)] if video else []
        sound = container.add_stream("aac", rate=44100)
        attached = container.add_stream("mjpeg", rate=1)
        for each in (*streams, attached):
            each.width, each.height = 64, 48
        attached.pix_fmt, attached.disposition = "yuvj420p", av.stream.Disposition.attached_pic
        for stream in streams:
            for _ in range(3):
                frame = av.VideoFrame.from_ndarray(picture(64, 48), format="rgb24")
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        silence.sample_rate, silence.pts = 44100, 0
        container.mux([*sound.encode(silence), *sound.encode(None)])
        packet = av.Packet(cover)
        packet.stream, packet.time_base, packet.is_keyframe = attached, Fraction(1, 90000), True
        packet.pts = packet.dts = 0
        container.mux(packet)
    return path


def test_a_cover_is_looked_at_and_has_no_time(tmp_path: Path) -> None:
    shown = picture(64, 48, [FACE])
    cover = encoded(shown, "JPEG", quality=95)
    for number in (2, 1):
        path = with_cover(tmp_path / f"v{number}.mp4", cover, video=number == 2)
        frames, facts = read_frames(path, sample="all")
        of_video = [(0, n) for n in range(3)] if number == 2 else []
        assert [(f.stream, f.index) for f in frames] == [*of_video, (number, 0)]
        assert frames[-1].time is None
        assert close(frames[-1].image, shown)
        assert (facts.width, facts.height, facts.problems) == (64, 48, [])
    frames, facts = read_frames(with_cover(tmp_path / "b.mp4", b"no picture" * 20))
    assert [f.stream for f in frames] == [0]
    assert any(p.message.startswith("attached picture, stream 2: ") for p in facts.problems)


def test_a_cover_of_too_many_pixels_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    path = with_cover(tmp_path / "v.mp4", encoded(picture(640, 480), "JPEG"))
    frames, facts = read_frames(path, sample="all", max_pixels=100_000)
    assert [f.stream for f in frames] == [0, 0, 0]
    assert "exceeds specified max pixel count" in facts.problems[-1].message


# ---- side data that PyAV has no name for -----------------------------------------------------------


def test_frames_with_side_data_of_an_unknown_kind_are_looked_at(tmp_path: Path) -> None:
    shown = picture(64, 48, [FACE])
    still = io.BytesIO()
    Image.fromarray(shown).save(still, "JPEG", quality=95, exif=exif(1))
    path = tmp_path / "v.avi"
    with av.open(path, "w") as container:
        stream = container.add_stream("mjpeg", rate=5)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p"
        for number in range(3):
            packet = av.Packet(still.getvalue())
            packet.stream, packet.time_base = stream, Fraction(1, 5)
            packet.pts = packet.dts = number
            packet.is_keyframe = True
            container.mux(packet)
    frames, facts = read_frames(path, sample="all")
    assert len(frames) == 3
    assert facts.problems == []
    assert close(frames[0].image, shown)


# ---- AVIF ------------------------------------------------------------------------------------------


def test_frames_of_avif_have_their_own_times(tmp_path: Path) -> None:
    """Durations are rounded to milliseconds by what reads them; 29.97 frames a second would drift."""
    path = tmp_path / "p.avif"
    images = [Image.fromarray(picture(64, 48, background=10 * n)) for n in range(20)]
    images[0].save(path, save_all=True, append_images=images[1:], duration=33)
    data = path.read_bytes()
    place = data.index(b"mdhd") + 4  # of version 1: two times of 8 bytes, then the time scale
    assert data[place] == 1
    scale = int.from_bytes(data[place + 20 : place + 24], "big")
    assert scale == 1000
    path.write_bytes(data[: place + 20] + (989).to_bytes(4, "big") + data[place + 24 :])
    frames, _ = read_frames(path)
    assert [f.time and f.time.pts for f in frames] == [round(33 * n * 1000 / 989) for n in range(20)]


def test_a_video_or_a_sequence_within_avif_is_not_passed_over(tmp_path: Path, video: bytes) -> None:
    path = tmp_path / "p.avif"
    Image.fromarray(picture(64, 48)).save(path)
    still = path.read_bytes()
    path.write_bytes(still + box(b"mpvd", video))
    frames, facts = read_frames(path, sample="all")
    assert [f.stream for f in frames] == [0] + [1] * 25
    assert facts.problems == []
    path.write_bytes(still + video[video.index(b"moov") - 4 :])
    _, facts = read_frames(path)
    assert [p.problem for p in facts.problems] == ["not_looked_at"]
