"""demo/source → demo/evidence: a small folder with what real evidence has, good and bad.

usage: python demo/make_evidence.py

The results are committed; encoders of other versions may write other bytes for the same pictures.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image

HERE = Path(__file__).parent
SOURCE, EVIDENCE = HERE / "source", HERE / "evidence"
WIDTH, HEIGHT = 640, 360
TIME_BASE = Fraction(1, 1000)
HEAD = (110, 0, 350, 270)
"""Where the portrait shows head and shoulders."""
EXIF_ORIENTATION = 0x0112
TURN_CLOCKWISE = 6
"""EXIF: turn the stored picture by 90 degrees clockwise to display it."""


def main() -> None:
    portrait = Image.open(SOURCE / "astronaut.png").convert("RGB")
    (EVIDENCE / "copies").mkdir(parents=True, exist_ok=True)
    portrait.save(EVIDENCE / "portrait.jpg", quality=90)
    whole = (EVIDENCE / "portrait.jpg").read_bytes()
    (EVIDENCE / "copies" / "same_portrait.jpg").write_bytes(whole)
    (EVIDENCE / "truncated.jpg").write_bytes(whole[: len(whole) * 6 // 10])
    (EVIDENCE / "text_named.jpg").write_text("This is no picture, whatever its name says.\n")
    (EVIDENCE / "rocket.jpg").write_bytes((SOURCE / "rocket.jpg").read_bytes())
    save_turned(portrait, EVIDENCE / "turned.jpg")
    save_video(portrait.crop(HEAD), EVIDENCE / "recording.mp4")


def save_turned(portrait: Image.Image, path: Path) -> None:
    """Stored lying on its side, with the EXIF tag that sets it upright."""
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = TURN_CLOCKWISE
    portrait.transpose(Image.Transpose.ROTATE_90).save(path, quality=90, exif=exif)


def save_video(head: Image.Image, path: Path) -> None:
    """The head crosses, grows, leaves, is away and comes back, at a variable frame rate."""
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", options={"crf": "23"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.codec_context.time_base = TIME_BASE
        for milliseconds in frame_times():
            frame = av.VideoFrame.from_ndarray(scene(head, milliseconds / 1000), format="rgb24")
            frame.pts, frame.time_base = milliseconds, TIME_BASE
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def frame_times() -> Iterator[int]:
    """25 frames a second, then 10, then at random distances: what phones and cameras do."""
    chance = np.random.default_rng(1)
    now = 0
    while now < 12_000:
        yield now
        now += 40 if now < 4_000 else 100 if now < 7_500 else int(chance.integers(20, 250))


def scene(head: Image.Image, seconds: float) -> np.ndarray:
    """The picture at one moment."""
    shade = np.linspace(70, 120, HEIGHT, dtype=np.uint8)[:, None, None]
    canvas = Image.fromarray(np.broadcast_to(shade, (HEIGHT, WIDTH, 3)).copy())
    times = [0, 4, 6.5, 8, 10, 12]
    middle = np.interp(seconds, times, [120, 380, 380, 800, 800, 320])
    height = np.interp(seconds, times, [190, 190, 330, 330, 250, 250])
    size = (round(height * head.width / head.height), round(height))
    scaled = head.resize(size, Image.Resampling.LANCZOS)
    canvas.paste(scaled, (round(middle - size[0] / 2), HEIGHT - size[1]))
    return np.asarray(canvas)


if __name__ == "__main__":
    main()
