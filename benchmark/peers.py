"""femo, the package ``fer`` and a plain loop on the same files, by turns in one run.

usage: python -m benchmark peers --fer PYTHON [--repeats N]

PYTHON is that of a virtual environment with ``pip install fer==25.10``. The plain loop is what one would
write first: cv2.VideoCapture, dlib's detector enlarged once, its landmarks, and Keras' predict for each
face with the seed network. Each is a process of its own. What the others take to start does not count;
femo's time is that of the whole command, from its start to its end; what it takes to its first look at a
file stands beside it. Decoding alone is by one core: on n cores nobody is quicker than an n-th of it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import cv2

from benchmark import material, speed
from benchmark.results import save
from forensic_emotion.faces.detector import load_detector
from forensic_emotion.records import RGB, Box
from forensic_emotion.settings import ScanSettings

RUNNER = Path(__file__).parent / "peer_runner.py"
REPEATS = 2
SIZES = {"as they are": 1.0, "half size": 0.5}
"""What the pictures are shown at, to count true faces."""


def main() -> None:
    parser = argparse.ArgumentParser(prog=sys.argv[0])
    parser.add_argument("--fer", required=True, help="Python with fer installed")
    parser.add_argument("--repeats", type=int, default=REPEATS, help="the best of so many counts")
    asked = parser.parse_args()
    fer = asked.fer
    crowd = material.video("crowd_360p_10s.mp4", 640, 360, 10)
    large = material.video("crowd_1080p_30s.mp4", 1920, 1080, 30)
    tasks = {
        "360p, crowds, all frames": (crowd, 1, ["--sample", "all"]),
        "360p, recorded close-ups, all frames": (
            material.real_video("WolfgangLanger_Pexels.mp4"),
            1,
            ["--sample", "all"],
        ),
        "360p, a recorded face, all frames": (
            material.real_video("single_face.mp4", 8),
            1,
            ["--sample", "all"],
        ),
        "1080p, one a second": (large, 25, []),
    }
    figures: dict[str, Any] = {}
    start = speed.start()["first_file"]
    for name, (video, every, options) in tasks.items():
        best: dict[str, dict[str, Any]] = {}
        for _ in range(asked.repeats):
            runs = {
                "femo": speed.scan(video, options),
                "fer, Haar": run(fer, "haar", video, every),
                "fer, MTCNN": run(fer, "mtcnn", video, every),
                "plain loop": run(sys.executable, "plain", video, every),
                "decoding alone": decoding(video, every),
            }
            for who, found in runs.items():
                if who not in best or found["seconds"] < best[who]["seconds"]:
                    best[who] = found
            print(name, {who: found["seconds"] for who, found in runs.items()}, flush=True)
        figures[name] = best
    for size, share in SIZES.items():
        true = {
            "femo": faces_of_femo(share),
            **{f"fer, {how}": faces_of(fer, how.lower(), share) for how in ("Haar", "MTCNN")},
            "plain loop": faces_of(sys.executable, "plain", share),
        }
        figures[f"true faces, {size}"] = true
        print(size, true, flush=True)
    save("peers", {"tasks": figures, "femo_start_seconds": start})


def decoding(video: Path, every: int) -> dict[str, Any]:
    """What one core takes to decode the video, which whoever looks at it pays."""
    started = time.perf_counter()
    frames = sum(image is not None for image in material.decoded(video, every))
    seconds = time.perf_counter() - started
    return {
        "seconds": round(seconds, 3),
        "frames": frames,
        "faces": 0,
        "frames_per_second": round(frames / seconds, 2),
    }


def run(python: str, how: str, video: Path, every: int) -> dict[str, Any]:
    return _ask(python, [how, "video", str(video), str(every)])


def faces_of(python: str, how: str, share: float) -> dict[str, int]:
    with tempfile.TemporaryDirectory() as folder:
        paths = {name: str(Path(folder) / f"{name}.png") for name in material.boxed()}
        for name, (image, _) in _pictures(share).items():
            cv2.imwrite(paths[name], cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        found = _ask(python, [how, "pictures", *paths.values()])["boxes"]
    return _counted(
        {name: [Box(x, y, x + w, y + h) for x, y, w, h in found[path]] for name, path in paths.items()},
        share,
    )


def faces_of_femo(share: float) -> dict[str, int]:
    detector = load_detector(ScanSettings())
    found = {name: detector.detect(image) for name, (image, _) in _pictures(share).items()}
    return _counted({name: [d.square for d in faces] for name, faces in found.items()}, share)


def _pictures(share: float) -> dict[str, tuple[RGB, list[Box]]]:
    change = material.scaled(share)
    return {name: change(*each) for name, each in material.boxed().items()}


def _counted(found: dict[str, list[Box]], share: float) -> dict[str, int]:
    truth = {name: boxes for name, (_, boxes) in _pictures(share).items()}
    met = sum(material.matched(found[name], boxes) for name, boxes in truth.items())
    reported = sum(len(boxes) for boxes in found.values())
    return {"faces": sum(map(len, truth.values())), "found": met, "false": reported - met}


def _ask(python: str, arguments: list[str]) -> Any:
    done = subprocess.run(
        [python, str(RUNNER), *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(RUNNER.parents[1]) if python == sys.executable else ""},
        check=False,
    )
    if done.returncode:
        sys.exit(f"{python} {arguments[:2]}: {done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])
