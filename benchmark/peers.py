"""femo, the package ``fer`` and a plain loop on the same files, by turns in one run.

usage: python -m benchmark peers --fer PYTHON [--repeats N]

PYTHON is that of a virtual environment with ``pip install fer==25.10``. The plain loop is what one would
write first: cv2.VideoCapture, dlib's detector enlarged once, its landmarks, and Keras' predict for each
face with the seed network. Each is a process of its own. What the others take to start does not count;
femo's time is that of the whole command, from its start to its end.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmark import material, speed
from benchmark.results import save
from forensic_emotion.records import Box

RUNNER = Path(__file__).parent / "peer_runner.py"
REPEATS = 2


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
    for name, (video, every, options) in tasks.items():
        best: dict[str, dict[str, Any]] = {}
        for _ in range(asked.repeats):
            runs = {
                "femo": speed.scan(video, options),
                "fer, Haar": run(fer, "haar", video, every),
                "fer, MTCNN": run(fer, "mtcnn", video, every),
                "plain loop": run(sys.executable, "plain", video, every),
            }
            for who, found in runs.items():
                if who not in best or found["seconds"] < best[who]["seconds"]:
                    best[who] = found
            print(name, {who: found["seconds"] for who, found in runs.items()}, flush=True)
        figures[name] = best
    figures["true faces on the boxed pictures"] = {
        "femo": faces_of_femo(),
        **{f"fer, {how}": faces_of(fer, how) for how in ("haar", "mtcnn")},
        "plain loop": faces_of(sys.executable, "plain"),
    }
    print(figures["true faces on the boxed pictures"])
    save("peers", {"tasks": figures})


def run(python: str, how: str, video: Path, every: int) -> dict[str, Any]:
    return _ask(python, [how, "video", str(video), str(every)])


def faces_of(python: str, how: str) -> dict[str, int]:
    folder = material.SHARED / "faces"
    paths = [str(folder / name) for name in material.boxed()]
    found = _ask(python, [how, "pictures", *paths])["boxes"]
    boxes = {
        name: [Box(x, y, x + w, y + h) for x, y, w, h in found[str(folder / name)]]
        for name in material.boxed()
    }
    return _counted(boxes)


def faces_of_femo() -> dict[str, int]:
    from forensic_emotion.faces.detector import load_detector
    from forensic_emotion.settings import ScanSettings

    detector = load_detector(ScanSettings())
    return _counted(
        {name: [d.square for d in detector.detect(i)] for name, (i, _) in material.boxed().items()}
    )


def _counted(found: dict[str, list[Box]]) -> dict[str, int]:
    truth = {name: boxes for name, (_, boxes) in material.boxed().items()}
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
