"""Video as recorders and cut clips have it: whose frames have which time, and what of it never comes."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
import numpy.typing as npt
import pytest
from av.video.stream import VideoStream
from PIL import Image

from forensic_emotion.errors import UndecodableMedia
from forensic_emotion.frames import container
from forensic_emotion.frames.sampling import sampler
from forensic_emotion.records import RGB, Frame, FrameTime
from forensic_emotion.settings import ScanSettings
from tests.builders import picture, read_frames, read_pieces, write_video

RATE = 25
WIDTH, HEIGHT = 128, 96


def numbered(number: int, width: int = WIDTH, height: int = HEIGHT) -> RGB:
    """A picture of which ``number_of`` tells the number, 0 to 255, however badly it is compressed."""
    image = np.zeros((height, width, 3), np.uint8)
    for bit in range(8):
        image[:, bit * width // 8 : (bit + 1) * width // 8] = 255 * (number >> bit & 1)
    return image


def number_of(image: RGB) -> int:
    height, width = image.shape[:2]
    middles = [(2 * bit + 1) * width // 16 for bit in range(8)]
    rows = image[height // 4 : -height // 4]
    return sum(int(rows[:, x - 2 : x + 2].mean() > 127) << bit for bit, x in enumerate(middles))


def encode(
    path: Path,
    codec: str,
    frames: Sequence[int],
    rate: int = RATE,
    *,
    first: int = 0,
    muxer: dict[str, str] | None = None,
    **options: str,
) -> Path:
    """A video of numbered frames, the first one at a time in frames; the muxer may have options too."""
    with av.open(path, "w", options=muxer or {}) as container:
        stream = container.add_stream(codec, rate=rate, options=options)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for pts, number in enumerate(frames, first):
            frame = av.VideoFrame.from_ndarray(numbered(number), format="rgb24")
            frame.pts, frame.time_base = pts, Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def cut(path: Path, out: Path, keep: Callable[[int, Any], bool]) -> Path:
    """A copy of a video's packets without decoding them: those that are kept by place and packet."""
    with av.open(path) as container, av.open(out, "w") as target:
        stream = container.streams.video[0]
        copy = target.add_stream_from_template(stream)
        packets = (packet for packet in container.demux(stream) if packet.size)
        for place, packet in enumerate(packets):
            if keep(place, packet):
                packet.stream = copy
                target.mux(packet)
    return out


def mux(path: Path, codec: str, packets: Sequence[tuple[bytes, bool]], rate: int = RATE) -> None:
    """A video of such packets, and whether each begins a key frame; each lasts as long as all others."""
    with av.open(path, "w") as container:
        stream = container.add_stream(codec, rate=rate)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.codec_context.time_base = Fraction(1, rate)
        for place, (data, is_key) in enumerate(packets):
            packet = av.Packet(data)
            packet.pts = packet.dts = place
            packet.time_base, packet.stream, packet.is_keyframe = Fraction(1, rate), stream, is_key
            container.mux(packet)


def told(frames: Sequence[Frame]) -> list[tuple[int, int, float | None]]:
    """What is on each, its number among all, and its time."""
    return [(number_of(f.image), f.index, f.time and f.time.seconds) for f in frames]


def in_order(numbers: Sequence[int]) -> list[tuple[int, int, float | None]]:
    return [(n, n, n / RATE) for n in numbers]


# ---- AVI, which tells when frames are decoded ------------------------------------------------------


@pytest.mark.parametrize(
    ("codec", "options"),
    [
        ("libx264", {"bf": "3", "g": "20"}),
        ("libx264", {"bf": "0", "g": "20"}),
        ("mpeg4", {"bf": "2", "g": "20", "sc_threshold": "1000000000"}),
        ("ffv1", {}),
    ],
)
def test_frames_of_avi_have_the_times_at_which_they_are_shown(
    tmp_path: Path, codec: str, options: dict[str, str]
) -> None:
    path = encode(tmp_path / "v.avi", codec, range(60), **options)
    frames, facts = read_frames(path, sample="all")
    assert told(frames) == in_order(range(60))
    assert (facts.first_pts, facts.last_pts, facts.problems) == (0, 59, [])
    assert told(read_frames(path, every=0.2)[0]) == in_order(range(0, 60, 5))
    keys, facts = read_frames(path, sample="keyframes")
    assert told(keys) == in_order([number for number, _, _ in told(keys)])
    assert len(keys) >= 3
    assert (facts.last_pts, facts.problems) == (59, [])


def test_two_pictures_in_one_packet_of_avi_have_times_of_their_own(tmp_path: Path) -> None:
    """As DivX and XviD pack them: P and B in one, then an empty one in place of the B."""
    plain = encode(tmp_path / "p.avi", "mpeg4", range(20), bf="1", g="300")
    with av.open(plain) as container:
        packets = [(bytes(p), p.is_keyframe) for p in container.demux(video=0) if p.size]
    start, kind = b"\0\0\1\xb6", lambda data: data[data.rindex(b"\0\0\1\xb6") + 4] >> 6
    first, is_key = packets[0]
    head = first.index(start)
    packed = [(first[:head] + b"\0\0\1\xb2DivX503b1393p" + first[head:], is_key)]
    for (data, is_key), (behind, _) in zip(packets[1::2], packets[2::2], strict=False):
        assert (kind(data), kind(behind)) == (1, 2), "a P, then the B that is shown before it"
        packed += [(data + behind, is_key), (start + b"\x50\x4f", False)]
    mux(tmp_path / "v.avi", "mpeg4", packed)
    frames, facts = read_frames(tmp_path / "v.avi", sample="all")
    assert told(frames) == in_order(range(len(packed)))
    assert facts.problems == []


def test_a_packet_of_avi_that_says_that_nothing_changed_takes_no_time_from_another(
    tmp_path: Path,
) -> None:
    plain = encode(tmp_path / "p.avi", "mpeg4", range(40), bf="0", g="12")
    with av.open(plain) as container:
        packets = [(bytes(p), p.is_keyframe) for p in container.demux(video=0) if p.size]
    unchanged = (5, 6, 7, 20)
    # A P picture, this second, its time in 5 bits, and that it is not coded (ISO/IEC 14496-2, 6.2.5).
    for place in unchanged:
        assert not packets[place][1]
        bits = "01" + "0" + "1" + f"{place % 25:05b}" + "1" + "0" + "011111"
        packets[place] = (b"\0\0\1\xb6" + int(bits, 2).to_bytes(2, "big"), False)
    mux(tmp_path / "v.avi", "mpeg4", packets)
    times = [place / RATE for place in range(40) if place not in unchanged]
    frames, facts = read_frames(tmp_path / "v.avi", sample="all")
    assert [f.time and f.time.seconds for f in frames] == times
    assert (facts.last_pts, facts.problems) == (39, [])
    keys, _ = read_frames(tmp_path / "v.avi", sample="keyframes")
    assert {f.time and f.time.seconds for f in keys} <= set(times)


# ---- what is not there, and what is not looked at --------------------------------------------------


def test_frames_before_the_first_that_can_be_decoded_are_told(tmp_path: Path) -> None:
    path = encode(tmp_path / "whole.mkv", "mpeg2video", range(60), g="20", sc_threshold="1000000000")
    clip = cut(path, tmp_path / "v.mkv", lambda place, packet: place > 0)
    with av.open(path) as container:
        second = [p.pts for p in container.demux(video=0) if p.is_keyframe][1] * RATE // 1000
    for sample in ("all", "keyframes"):
        frames, facts = read_frames(clip, sample=sample)
        assert [f.index for f in frames] == [number_of(f.image) - second for f in frames]
        assert number_of(frames[0].image) == second
        (problem,) = facts.problems
        assert problem.problem == "damaged"
        assert problem.message.startswith("frames before the first that can be decoded")
        assert problem.message.endswith(f": {second - 1}")
    assert read_frames(path, sample="all")[1].problems == []


@pytest.mark.parametrize("ending", ["mkv", "mp4", "ts"])
def test_a_clip_that_begins_at_an_open_group_lacks_the_pictures_that_lead_it(
    tmp_path: Path, ending: str
) -> None:
    options = "bframes=2:keyint=20:min-keyint=20:open-gop=1:scenecut=0:log-level=none"
    path = encode(tmp_path / "whole.mkv", "libx265", range(60), **{"x265-params": options})
    with av.open(path) as container:
        packets = [p for p in container.demux(video=0) if p.size]
    second = [place for place, p in enumerate(packets) if p.is_keyframe][1]
    leading = sum((p.pts or 0) < (packets[second].pts or 0) for p in packets[second:])
    assert leading > 0
    clip = cut(path, tmp_path / f"v.{ending}", lambda place, packet: place >= second)
    everything = {number_of(f.image): f.index for f in read_frames(clip, sample="all")[0]}
    keys, facts = read_frames(clip, sample="keyframes")
    assert {number_of(f.image): f.index for f in keys}.items() <= everything.items()
    # An MP4 made like this has an edit list, by which they are not to be shown.
    assert facts.frames_hidden + len(facts.problems) == 1


def with_sound(path: Path, seconds: int, with_video: bool) -> bytes:
    """A transport stream of noise, or of numbered frames and nothing else."""
    chance = np.random.default_rng(1)
    with av.open(path, "w", format="mpegts") as container:
        if with_video:
            stream = container.add_stream("mpeg2video", rate=RATE)
            stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
            for number in range(seconds * RATE):
                frame = av.VideoFrame.from_ndarray(numbered(number), format="rgb24")
                frame.pts, frame.time_base = number, Fraction(1, RATE)
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        else:
            sound = container.add_stream("mp2", rate=48000)
            sound.bit_rate = 384000
            for number in range(seconds * 5):
                noise = chance.integers(-9000, 9000, (1, 2 * 9600)).astype(np.int16)
                samples = av.AudioFrame.from_ndarray(noise, "s16", "stereo")
                samples.sample_rate = 48000
                samples.pts, samples.time_base = number * 9600, Fraction(1, 48000)
                container.mux(sound.encode(samples))
            container.mux(sound.encode(None))
    return path.read_bytes()


def other_pid(data: bytes, old: int, new: int) -> bytes:
    """A transport stream with one stream's packets under another number."""
    packets = [bytearray(data[i : i + 188]) for i in range(0, len(data), 188)]
    for packet in packets:
        if (packet[1] & 0x1F) << 8 | packet[2] == old:
            packet[1], packet[2] = packet[1] & 0xE0 | new >> 8, new & 0xFF
    return b"".join(packets)


def test_a_video_that_begins_far_behind_the_start_of_a_file_is_told(tmp_path: Path) -> None:
    sound = with_sound(tmp_path / "sound.ts", 120, False)
    video = other_pid(with_sound(tmp_path / "video.ts", 2, True), 0x100, 0x200)
    path = tmp_path / "v.ts"
    path.write_bytes(sound + video + sound[: 188 * 1000])
    with pytest.raises(UndecodableMedia, match="begin far into the file: 1") as error:
        read_frames(path)
    assert error.value.problem == "not_looked_at"


def test_a_second_video_far_behind_the_first_is_told(tmp_path: Path) -> None:
    """What lies within the first megabytes is found when the file is opened."""
    chance = np.random.default_rng(2)
    noise = chance.integers(0, 256, (360, 640, 3), dtype=np.uint8)
    with av.open(tmp_path / "first.ts", "w") as container:
        stream = container.add_stream("mpeg2video", rate=RATE)
        stream.width, stream.height, stream.pix_fmt = 640, 360, "yuv420p"
        stream.bit_rate = 40_000_000
        for number in range(50):
            frame = av.VideoFrame.from_ndarray(np.roll(noise, 7 * number, axis=0), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    first = (tmp_path / "first.ts").read_bytes()
    assert len(first) > 6_000_000
    second = other_pid(with_sound(tmp_path / "second.ts", 1, True), 0x100, 0x200)
    path = tmp_path / "v.ts"
    path.write_bytes(first + second)
    for sample in ("every", "keyframes"):
        frames, facts = read_frames(path, sample=sample)
        assert len(frames) >= 2
        told = [p.message for p in facts.problems if p.problem == "not_looked_at"]
        assert told == ["video streams that begin far into the file: 1"]


@pytest.mark.parametrize(("ending", "codec"), [("mp4", "libx264"), ("flv", "flv"), ("asf", "wmv2")])
@pytest.mark.parametrize("sample", ["every", "keyframes"])
def test_a_file_behind_the_end_of_a_video_is_told(
    tmp_path: Path, ending: str, codec: str, sample: str
) -> None:
    one = encode(tmp_path / f"a.{ending}", codec, range(30)).read_bytes()
    path = tmp_path / f"v.{ending}"
    path.write_bytes(one)
    assert read_frames(path, sample=sample)[1].problems == []
    path.write_bytes(2 * one)
    _, facts = read_frames(path, sample=sample)
    assert [p.problem for p in facts.problems] == ["not_looked_at"]
    assert "another video after the end of this one" in facts.problems[0].message


def test_of_three_matroska_files_in_one_the_last_is_told(tmp_path: Path) -> None:
    """FFmpeg goes on to the second one."""
    one = encode(tmp_path / "a.mkv", "libx264", range(30)).read_bytes()
    path = tmp_path / "v.mkv"
    path.write_bytes(2 * one)
    frames, facts = read_frames(path, sample="all")
    assert (len(frames), [p.problem for p in facts.problems]) == (60, ["times_go_back"])
    path.write_bytes(3 * one)
    frames, facts = read_frames(path, sample="all")
    assert len(frames) == 60
    assert [p.problem for p in facts.problems] == ["not_looked_at", "times_go_back"]
    assert read_pieces(path, sample="all") == ([], []), "it is looked at in one go, which says so"


def test_a_video_of_a_sounds_chapters_is_a_video(tmp_path: Path) -> None:
    path = tmp_path / "v.mp4"
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=RATE, options={"bf": "0", "g": "10"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        sound = container.add_stream("aac", rate=48000)
        for number in range(30):
            frame = av.VideoFrame.from_ndarray(numbered(number), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            container.mux(stream.encode(frame))
            samples = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), "fltp", "stereo")
            samples.sample_rate, samples.pts, samples.time_base = (
                48000,
                number * 1024,
                Fraction(1, 48000),
            )
            container.mux(sound.encode(samples))
        container.mux(stream.encode(None))
        container.mux(sound.encode(None))
    data = bytearray(path.read_bytes())
    reference = b"\0\0\0\x14tref\0\0\0\x0cchap\0\0\0\x01"
    second = data.index(b"trak", data.index(b"trak") + 4) - 4
    for box in (second, data.index(b"moov") - 4):
        size = int.from_bytes(data[box : box + 4], "big")
        data[box : box + 4] = (size + len(reference)).to_bytes(4, "big")
        if box == second:
            data[box + size : box + size] = reference
    path.write_bytes(data)
    with av.open(path) as container:
        attached = container.streams.video[0].disposition & av.stream.Disposition.attached_pic
        assert attached, "FFmpeg takes it for a picture"
    frames, facts = read_frames(path, sample="all")
    assert told(frames) == in_order(range(30))
    assert (facts.frames_hidden, facts.problems) == (0, [])
    keys = told(read_frames(path, sample="keyframes")[0])
    assert len(keys) > 1
    assert keys == in_order([number for number, _, _ in keys])


# ---- half pictures ---------------------------------------------------------------------------------


class Bits:
    """Bits of H.264 (ITU-T H.264, 7.2 and 9.1)."""

    def __init__(self) -> None:
        self.bits = ""

    def fixed(self, *lengths_and_values: int) -> Bits:
        for length, value in zip(lengths_and_values[::2], lengths_and_values[1::2], strict=True):
            self.bits += f"{value:0{length}b}"
        return self

    def golomb(self, *values: int) -> Bits:
        for value in values:
            text = f"{value + 1:b}"
            self.bits += "0" * (len(text) - 1) + text
        return self

    def aligned(self) -> Bits:
        self.bits += "0" * (-len(self.bits) % 8)
        return self

    def unit(self, kind: int) -> bytes:
        """As a NAL unit with a start code; what would look like one within it is broken up."""
        self.bits += "1"
        data = int(self.aligned().bits, 2).to_bytes(len(self.bits) // 8, "big")
        escaped = bytearray()
        for byte in data:
            if byte <= 3 and escaped[-2:] == b"\0\0":
                escaped.append(3)
            escaped.append(byte)
        return b"\0\0\0\1" + bytes([kind]) + escaped


def field_of(image: npt.NDArray[np.uint8], is_key: bool, number: int, order: int) -> bytes:
    """Half a picture in grey, uncompressed (I_PCM): every other line of it."""
    bits = Bits().golomb(0, 7, 0).fixed(8, number, 1, 1, 1, order % 2)
    if is_key:
        bits.golomb(0)
    bits.fixed(8, order).fixed(*((1, 0, 1, 0) if is_key else (1, 0))).golomb(0, 1)
    for top in range(0, HEIGHT // 2, 16):
        for left in range(0, WIDTH, 16):
            bits.golomb(25).aligned()
            luma = image[top : top + 16, left : left + 16].tobytes()
            bits.bits += "".join(f"{byte:08b}" for byte in luma + bytes([128]) * 128)
    return bits.unit(0x65 if is_key else 0x61)


def fields(frames: int, group: int) -> list[tuple[bytes, bool]]:
    """A stream in which each half picture is a packet of its own, and whether a key frame begins."""
    parameters = (
        Bits()
        .fixed(8, 77, 8, 0, 8, 30)
        .golomb(0, 4, 0, 4, 1)
        .fixed(1, 0)
        .golomb(WIDTH // 16 - 1, HEIGHT // 32 - 1)
        .fixed(1, 0, 1, 0, 1, 1, 1, 0, 1, 1, 1, 0, 1, 0, 1, 0, 1, 0)
        .fixed(1, 1, 32, 1, 32, 2 * RATE, 1, 1, 1, 0, 1, 0, 1, 0, 1, 1, 1, 1)
        .golomb(0, 0, 10, 10, 0, 1)
        .unit(0x67)
    )
    parameters += (
        Bits().golomb(0, 0).fixed(1, 0, 1, 0).golomb(0, 0, 0).fixed(1, 0, 2, 0).golomb(0, 0, 0)
        .fixed(1, 1, 1, 0, 1, 0).unit(0x68)
    )  # fmt: skip
    packets = []
    for number in range(frames):
        image = (numbered(number)[:, :, 0] // 2 + 64).astype(np.uint8)
        place = number % group
        for half in (0, 1):
            is_key = place == half == 0
            data = field_of(image[half::2], is_key, place, 2 * place + half)
            packets.append((b"\0\0\0\1\x09\xf0" + (parameters if is_key else b"") + data, is_key))
    return packets


@pytest.mark.parametrize("ending", ["ts", "mkv", "avi"])
def test_key_frames_of_half_pictures_are_found(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"v.{ending}"
    mux(path, "libx264", fields(15, 5), 2 * RATE)
    frames, facts = read_frames(path, sample="all")
    assert told(frames) == in_order(range(15))
    assert facts.frames_interlaced == 15
    keys, facts = read_frames(path, sample="keyframes")
    keys_told = told(keys)
    assert {(0, 0, 0.0), (5, 5, 0.2), (10, 10, 0.4)} <= set(keys_told)
    assert keys_told == in_order([number for number, _, _ in keys_told])
    assert facts.problems == []


def test_half_pictures_of_hevc_are_shown_at_their_height(tmp_path: Path) -> None:
    """Each is a frame of its own there."""
    image = picture(WIDTH, 2 * HEIGHT)
    image[40:80, 40:80] = 255
    path = tmp_path / "v.mp4"
    with av.open(path, "w") as container:
        options = {"x265-params": "interlace=tff:log-level=none:bframes=0"}
        stream = container.add_stream("libx265", rate=2 * RATE, options=options)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for half in range(4):
            lines = np.ascontiguousarray(image[half % 2 :: 2])
            frame = av.VideoFrame.from_ndarray(lines, format="rgb24")
            frame.pts, frame.time_base = half, Fraction(1, 2 * RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    frames, facts = read_frames(path, sample="all")
    assert facts.frames_interlaced == len(frames) == 4
    for frame in frames:
        assert frame.image.shape == (2 * HEIGHT, WIDTH, 3)
        assert frame.image[46:74, 46:74].min() > 200
        assert frame.image[:34].max() < 130
        assert frame.image[86:].max() < 130


# ---- which frames are looked at --------------------------------------------------------------------


def taken(times: Sequence[int], unit: Fraction, **settings: Any) -> list[int]:
    """Places of the frames that are looked at, by their times in units."""
    wanted = sampler(ScanSettings(**settings))
    return [n for n, pts in enumerate(times) if wanted(FrameTime(pts, unit), cast(Any, None))]


def test_a_clock_that_is_set_back_within_a_stretch_begins_it_anew() -> None:
    clip = list(range(0, 2000, 40))
    assert taken(clip * 3, Fraction(1, 1000), every=60.0) == [0, 50, 100]
    assert taken(clip * 3, Fraction(1, 1000), every=1.0) == [0, 25, 50, 75, 100, 125]


@pytest.mark.parametrize("rate", [15, 24, 25, 30, 50, 60])
def test_a_coarse_clock_leaves_no_frame_out(rate: int) -> None:
    times = [n * 1000 // rate for n in range(300)], [round(n * 1000 / rate) for n in range(300)]
    for each in times:
        assert taken(each, Fraction(1, 1000), per_second=float(rate)) == list(range(300))
        assert len(taken(each, Fraction(1, 1000), per_second=rate / 2)) == 150


def test_a_scene_that_is_faded_in_is_looked_at(tmp_path: Path) -> None:
    scene = numbered(90, 64, 48)

    def draw(pts: int) -> RGB:
        return (scene * min(1.0, pts / 1000)).astype(np.uint8)

    path = write_video(tmp_path / "v.mp4", range(0, 3000, 40), draw)
    frames, _ = read_frames(path, sample="scenes")
    assert frames[0].image.max() == 0
    assert frames[-1].image.max() > 200, "not only the black it began with"
    assert len(frames) < 10


# ---- what containers say wrongly -------------------------------------------------------------------


@pytest.mark.parametrize("codec", ["mpeg4", "libx264"])
def test_a_list_of_key_frames_that_is_missing_costs_no_frame(tmp_path: Path, codec: str) -> None:
    """Then each packet counts as a key frame, and pieces would begin at pictures that need others."""
    whole = encode(tmp_path / "v.mp4", codec, [*range(250)] * 2, g="500", sc_threshold="1000000000")
    path = tmp_path / "without.mp4"
    path.write_bytes(whole.read_bytes().replace(b"stss", b"free"))
    _, outcomes = read_pieces(path, every=1)
    expected = told(read_frames(whole, every=1)[0])
    assert told(read_frames(path, every=1)[0]) == expected
    assert expected[:3] == [(n, n, n / RATE) for n in (0, 25, 50)]
    if codec == "mpeg4":
        problems = {p.message for facts in outcomes for p in facts.problems}
        assert problems == {"what is marked as the key frame before a piece is not one"}
    keys, facts = read_frames(path, sample="keyframes")
    assert [number_of(key.image) for key in keys] == [0]
    if codec == "mpeg4":
        assert "no_key_picture" in {p.problem for p in facts.problems}


@pytest.mark.parametrize("options", [{"x264-params": "open-gop=1:keyint=20:min-keyint=20"}, {"g": "20"}])
def test_key_frames_of_avi_have_their_own_times(tmp_path: Path, options: dict[str, str]) -> None:
    path = encode(tmp_path / "v.avi", "libx264", range(60), bf="3", sc_threshold="0", **options)
    keys, facts = read_frames(path, sample="keyframes")
    assert told(keys) == in_order([0, 20, 40])
    assert facts.problems == []


def test_frames_of_asf_have_the_times_at_which_they_are_shown(tmp_path: Path) -> None:
    path = encode(tmp_path / "v.asf", "mpeg4", range(60), bf="2", g="20", sc_threshold="1000000000")
    frames, facts = read_frames(path, sample="all")
    assert [(n, index) for n, index, _ in told(frames)] == [(n, n) for n in range(60)]
    seconds = [frame.time.seconds for frame in frames if frame.time]
    np.testing.assert_allclose(seconds, np.arange(60) / RATE, atol=0.0011)
    assert facts.problems == []


def test_times_that_go_back_are_told(tmp_path: Path) -> None:
    """A copy of packets from a container without times of presentation to one with them."""
    source = encode(tmp_path / "a.mp4", "libx264", range(60), bf="2", g="20")
    path = tmp_path / "v.mp4"
    with av.open(source) as container, av.open(path, "w") as target:
        copy = target.add_stream_from_template(container.streams.video[0])
        packets = (packet for packet in container.demux(video=0) if packet.size)
        for place, packet in enumerate(packets):
            packet.pts = packet.dts = place
            packet.time_base, packet.stream = Fraction(1, RATE), copy
            target.mux(packet)
    _, facts = read_frames(path, sample="all")
    (problem,) = facts.problems
    assert problem.problem == "times_go_back"


COPIED = {"mpegts_copyts": "1"}
"""Else FFmpeg lets each transport stream begin at its own first time."""


def test_times_of_a_transport_stream_are_those_that_it_has(tmp_path: Path) -> None:
    """FFmpeg takes a time that is well before the first one for one behind the end of the clock."""
    for name, first in (("late.ts", 25_000), ("early.ts", 0)):
        encode(tmp_path / name, "mpeg2video", range(30), first=first, muxer=COPIED, bf="0")
    seconds = {}
    for name in ("late.ts", "early.ts"):
        frames, _ = read_frames(tmp_path / name, sample="all")
        seconds[name] = [frame.time.seconds for frame in frames if frame.time]
    path = tmp_path / "v.ts"
    path.write_bytes((tmp_path / "late.ts").read_bytes() + (tmp_path / "early.ts").read_bytes())
    frames, facts = read_frames(path, sample="all")
    assert [f.time and f.time.seconds for f in frames] == seconds["late.ts"] + seconds["early.ts"]
    assert seconds["late.ts"][0] - seconds["early.ts"][0] == pytest.approx(1000, abs=0.1)
    assert "times_go_back" in {p.problem for p in facts.problems}


def test_the_clock_of_a_transport_stream_that_ends_goes_on(tmp_path: Path) -> None:
    first = (1 << 33) // 3600 - 20  # in frames of the 25 a second, a little before the end
    path = encode(tmp_path / "v.ts", "mpeg2video", range(50), first=first, muxer=COPIED, bf="0")
    frames, facts = read_frames(path, sample="all")
    times = [frame.time.pts for frame in frames if frame.time]
    assert np.diff(times).tolist() == [3600] * 49
    assert times[0] < 1 << 33 < times[-1]
    assert (facts.first_pts, facts.last_pts, facts.problems) == (times[0], times[-1], [])


def test_a_length_in_place_of_a_number_of_frames_is_no_damage(tmp_path: Path) -> None:
    path = encode(tmp_path / "v.ivf", "libvpx", range(10))
    data = bytearray(path.read_bytes())
    data[24:28] = (10_000).to_bytes(4, "little")  # as FFmpeg writes it of some streams
    path.write_bytes(data)
    frames, facts = read_frames(path, sample="all")
    assert (len(frames), facts.problems) == (10, [])


# ---- what is cut off, or shown otherwise than it lies there ----------------------------------------


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("v.ogv", "libvpx"),
        ("v.asf", "wmv2"),
        ("v.rm", "rv20"),
        ("v.mxf", "mpeg2video"),
        ("v.avi", "mpeg4"),
    ],
)
def test_a_file_that_ends_early_is_told_whatever_its_container(
    tmp_path: Path, name: str, codec: str
) -> None:
    path = encode(tmp_path / name, codec, range(100))
    assert read_frames(path, sample="all")[1].problems == []
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    frames, facts = read_frames(path, sample="all")
    assert 20 < len(frames) < 90
    assert "truncated" in {p.problem for p in facts.problems}


def test_fragments_before_one_that_is_cut_off_are_looked_at(tmp_path: Path) -> None:
    muxer = {"movflags": "frag_keyframe+empty_moov"}
    path = encode(tmp_path / "v.mp4", "libx264", range(100), muxer=muxer, g="20", bf="0")
    content = path.read_bytes()
    last = content.rindex(b"moof")
    path.write_bytes(content[: last + 30])
    frames, facts = read_frames(path, sample="all")
    assert 60 <= len(frames) < 100
    assert told(frames) == in_order(range(len(frames)))
    assert facts.problems[0].problem == "truncated"


@pytest.mark.parametrize(("rate", "problems"), [(1, []), (0, ["edit_list"]), (2, ["edit_list"])])
def test_an_edit_list_that_does_more_than_cut_is_told(
    tmp_path: Path, rate: int, problems: list[str]
) -> None:
    path = encode(tmp_path / "v.mp4", "libx264", range(60), bf="2")
    content = bytearray(path.read_bytes())
    place = content.index(b"elst") + 4
    assert int.from_bytes(content[place + 4 : place + 8], "big") == 1
    content[place + 16 : place + 18] = rate.to_bytes(2, "big")
    path.write_bytes(content)
    _, facts = read_frames(path, sample="all")
    assert [p.problem for p in facts.problems] == problems
    assert read_pieces(path, sample="all") == ([], [])  # short, or it is looked at in one go


def transparent(path: Path, pictures: Sequence[tuple[int, int]]) -> Path:
    """A video of numbered frames, the upper half of each with such an alpha, 255 for none."""
    with av.open(path, "w") as container:
        stream = container.add_stream("png", rate=RATE)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "rgba"
        for pts, (number, alpha) in enumerate(pictures):
            layers = np.dstack([numbered(number), np.full((HEIGHT, WIDTH), 255, np.uint8)])
            layers[: HEIGHT // 2, :, 3] = alpha
            frame = av.VideoFrame.from_ndarray(layers, format="rgba")
            frame.pts, frame.time_base = pts, Fraction(1, RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def test_a_fourth_byte_that_nobody_uses_hides_no_picture(tmp_path: Path) -> None:
    path = tmp_path / "v.mov"
    with av.open(path, "w") as container:
        stream = container.add_stream("png", rate=RATE)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "rgba"
        layers = np.dstack([numbered(5), np.zeros((HEIGHT, WIDTH), np.uint8)])
        container.mux(stream.encode(av.VideoFrame.from_ndarray(layers, format="rgba")))
        container.mux(stream.encode(None))
    frames, facts = read_frames(path, sample="all")
    assert (number_of(frames[0].image), facts.problems) == (5, [])


@pytest.mark.parametrize(
    "behind", [b"SEFH\0\0\0\x65", b"8db42d694ccc418790edff439fe026bf", b"TAG of a song"]
)
def test_what_cameras_put_behind_a_film_is_no_damage(tmp_path: Path, behind: bytes) -> None:
    path = encode(tmp_path / "v.mp4", "libx264", range(10))
    path.write_bytes(path.read_bytes() + behind)
    assert read_frames(path, sample="all")[1].problems == []
    path.write_bytes(path.read_bytes()[: -len(behind)] + b"\0\0\x10\0moof and no more")
    assert [p.problem for p in read_frames(path, sample="all")[1].problems] == ["truncated"]


def test_transparent_parts_of_a_video_are_laid_over_white_and_told(tmp_path: Path) -> None:
    path = transparent(tmp_path / "v.mov", [(0, 255), (1, 0), (2, 0)])
    frames, facts = read_frames(path, sample="all")
    np.testing.assert_array_equal(frames[0].image, numbered(0))
    assert (frames[1].image[: HEIGHT // 2] == 255).all()
    np.testing.assert_array_equal(frames[2].image[HEIGHT // 2 :], numbered(2)[HEIGHT // 2 :])
    (problem,) = facts.problems
    assert problem.message == "what its transparent parts show on a dark background"


def test_a_video_that_shows_the_same_bytes_without_end_is_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A list of a million frames that are all one picture takes four megabytes, and days to look at."""
    image = Image.fromarray(picture())
    jpeg = io.BytesIO()
    image.save(jpeg, "JPEG")
    path = tmp_path / "v.mov"
    with av.open(path, "w") as target:
        streams = [cast(VideoStream, target.add_stream("mjpeg", rate=1)) for _ in range(2)]
        for stream in streams:
            stream.width, stream.height, stream.pix_fmt = *image.size, "yuvj420p"
        for number in range(40):
            for stream in streams:  # by turns, so that each chunk is a picture
                packet = av.Packet(jpeg.getvalue())
                packet.pts = packet.dts = number
                packet.stream, packet.time_base, packet.is_keyframe = stream, Fraction(1), True
                target.mux(packet)
    data = bytearray(path.read_bytes())
    offsets = data.index(b"stco") + 8
    count = int.from_bytes(data[offsets : offsets + 4], "big")
    first = data[offsets + 4 : offsets + 8]
    assert count == 40
    data[offsets + 4 : offsets + 4 + 4 * count] = first * count
    path.write_bytes(data)
    frames, facts = read_frames(path)
    assert (len(frames), facts.problems) == (80, [])
    monkeypatch.setattr(container, "TIMES_OVER", 0)
    monkeypatch.setattr(container, "LOOPED", 10 * len(jpeg.getvalue()))
    frames, facts = read_frames(path)
    assert 50 <= len(frames) < 80
    assert [p.problem for p in facts.problems] == ["too_many_frames"]
