"""Frames a second of the stages and of the whole, and how far the whole is from what must be paid.

usage: python -m benchmark speed [--repeats N]

On a 360p and a 1080p video in which a camera moves over crowds, on a 360p video without a face, and on
photographs; all frames, one frame a second, key frames. The floor is decoding and the detector's
inference alone, by one process, without landmarks, classification, hashing or a case. What the machine
allows is told by as many scans with one worker, side by side, as there are cores: nothing is shared by
them, so what they lose they lose to memory, caches and clock.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmark import material
from benchmark.results import save
from forensic_emotion.chips import SIDE, Chip, to_inputs
from forensic_emotion.emotions.card import ModelCard
from forensic_emotion.emotions.classifier import load_classifier
from forensic_emotion.evidence import Found, opened
from forensic_emotion.faces.detector import load_detector
from forensic_emotion.records import LANDMARKS
from forensic_emotion.settings import ScanSettings

REPEATS = 3
"""The best of so many counts."""
BATCH = 16
COUNTS = "SELECT SUM(frames) f, SUM(faces) n FROM files"


def main() -> None:
    parser = argparse.ArgumentParser(prog=sys.argv[0])
    parser.add_argument("--repeats", type=int, default=REPEATS)
    repeats = parser.parse_args().repeats
    cv2.setNumThreads(1)
    crowd = material.video("crowd_360p.mp4", 640, 360, 25)
    empty = material.still_video("empty_360p.mp4", 640, 360, 25)
    large = material.video("crowd_1080p.mp4", 1920, 1080, 60)
    # x264 places a key frame every 250 frames if nobody asks for another distance.
    sparse = material.video("crowd_1080p_g250.mp4", 1920, 1080, 100, shot=10, group=250)
    long = material.repeated(sparse, material.FOLDER / "crowd_1080p_g250_30min.mp4", 18)
    photographs = material.photographs(200)
    tasks: dict[str, tuple[Path, list[str]]] = {
        "360p, all frames": (crowd, ["--sample", "all"]),
        "360p, a recorded face, all frames": (
            material.real_video("single_face.mp4", 32),  # a minute and more: start and end count little
            ["--sample", "all"],
        ),
        "360p without a face, all frames": (empty, ["--sample", "all"]),
        "1080p, one a second": (large, []),
        "1080p, key frames (one in 1.2 s)": (large, ["--sample", "keyframes"]),
        "1080p, key frames (one in 10 s)": (long, ["--sample", "keyframes"]),
        "1080p, key frames (one in 10 s), smallest face 60": (
            long,
            ["--sample", "keyframes", "--smallest-face", "60"],
        ),
        "200 photographs": (photographs, []),
    }
    cores = len(os.sched_getaffinity(0))
    figures: dict[str, Any] = {}
    for name, (evidence, options) in tasks.items():
        best: dict[str, dict[str, Any]] = {}
        for _ in range(repeats):
            for workers in (1, cores):
                found = scan(evidence, [*options, "--workers", str(workers)])
                kept = best.get(str(workers))
                if kept is None or found["seconds"] < kept["seconds"]:
                    best[str(workers)] = found
        figures[name] = {"workers": best}
        figures[name]["side_by_side_seconds"] = min(
            side_by_side(evidence, options, cores) for _ in range(repeats)
        )
        if evidence.is_file() and "keyframes" not in options:
            floors = [floor(evidence, options) for _ in range(repeats)]
            figures[name]["floor_seconds"] = min(floors, key=lambda each: sum(each.values()))
        if evidence.is_file():
            figures[name]["video_seconds"] = float(material.length(evidence))
        print(name, json.dumps(figures[name]), flush=True)
    rest = {"hash_mb_per_second": hashing(large), "start": start(), "ms_a_face": classification()}
    print(json.dumps(rest), flush=True)
    save("speed", {"tasks": figures, **rest})


def scan(evidence: Path, options: list[str]) -> dict[str, Any]:
    """One scan by the command: seconds in all, frames, faces, and those of each stage."""
    with tempfile.TemporaryDirectory() as folder:
        case = Path(folder) / "case.db"
        command = [sys.executable, "-m", "forensic_emotion"]
        started = time.perf_counter()
        done = subprocess.run(
            [*command, "scan", str(evidence), "--case", str(case), "--timings", *options],
            capture_output=True,
            text=True,
            check=True,
        )
        seconds = time.perf_counter() - started
        asked = subprocess.run(
            [*command, "query", str(case), COUNTS, "--format", "json"],
            capture_output=True,
            text=True,
            check=True,
        )
    row = json.loads(asked.stdout)[0]
    stages = {}
    for line in done.stdout.splitlines():
        cells = [cell.strip() for cell in line.strip("│ ").split("│")]
        if len(cells) == 4 and cells[0] != "stage":
            stages[cells[0]] = float(cells[1])
    return {
        "seconds": round(seconds, 3),
        "frames": row["f"],
        "faces": row["n"],
        "frames_per_second": round(row["f"] / seconds, 2),
        "stages": stages,
    }


def side_by_side(evidence: Path, options: list[str], count: int) -> float:
    """Seconds that so many scans of the same take at once, each with one worker."""
    with ThreadPoolExecutor(count) as pool:
        scans = pool.map(lambda _: scan(evidence, [*options, "--workers", "1"]), range(count))
        return max(each["seconds"] for each in scans)


def floor(video: Path, options: list[str]) -> dict[str, float]:
    """Seconds of one process to decode the video, and to run the detector on the frames looked at."""
    detector = load_detector(ScanSettings())
    every = 1 if "all" in options else material.RATE
    spent = {"decode": 0.0, "detect": 0.0}
    frames = material.decoded(video, every)
    while True:
        started = time.perf_counter()
        try:
            image = next(frames)
        except StopIteration:
            break
        decoded = time.perf_counter()
        if image is not None:
            detector.detect(image)
        spent["decode"] += decoded - started
        spent["detect"] += time.perf_counter() - decoded
    return {name: round(seconds, 3) for name, seconds in spent.items()}


def hashing(video: Path) -> float:
    """Megabytes a second through all three hashes."""
    found = Found(os.fsencode(video.parent), os.fsencode(video.name), video.stat().st_size)
    started = time.perf_counter()
    with opened(found):
        pass
    return round(found.size / 1e6 / (time.perf_counter() - started), 1)


def start() -> dict[str, float]:
    """Seconds from the command to its first look at a file, and to its end, for a folder of one text."""
    best = {"first_file": 1e9, "end": 1e9}
    with tempfile.TemporaryDirectory() as folder:
        evidence = Path(folder) / "evidence"
        evidence.mkdir()
        (evidence / "a.txt").write_text("a")
        for i in range(REPEATS):
            case = Path(folder) / f"{i}.db"
            command = [sys.executable, "-m", "forensic_emotion"]
            begun = time.perf_counter()
            with subprocess.Popen(
                [*command, "scan", str(evidence), "--case", str(case)], stdout=subprocess.DEVNULL
            ) as process:
                # It is made when a worker is ready, just before the first file.
                while not case.exists() and process.poll() is None:
                    time.sleep(0.002)
                best["first_file"] = min(best["first_file"], round(time.perf_counter() - begun, 3))
                if process.wait():
                    raise SystemExit("femo scan failed; what it said stands above.")
            best["end"] = min(best["end"], round(time.perf_counter() - begun, 3))
    return best


def classification() -> dict[str, float]:
    """Milliseconds of one core for a face in batches of 16, each shipped model by turns."""
    models = {card.name: load_classifier(card.name, "onnx", threads=1) for card in ModelCard.shipped()}
    chip = Chip(np.full((SIDE, SIDE), 128, np.uint8), np.zeros((LANDMARKS, 2), np.float32))
    inputs = to_inputs([chip] * BATCH)
    best = dict.fromkeys(models, 1e9)
    for _ in range(20):
        for name, model in models.items():
            started = time.perf_counter()
            model.probabilities(inputs)
            milliseconds = 1000 * (time.perf_counter() - started) / BATCH
            best[name] = round(min(best[name], milliseconds), 3)
    return best
