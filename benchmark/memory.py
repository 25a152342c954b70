"""Memory of parent and workers over one hour of video and over 20,000 stills.

usage: python -m benchmark memory [--stills N] [--seconds N]

Resident memory is read from /proc every quarter of a second while the command runs. Flat means: the
highest value of the last tenth lies within 5 % of the highest of the first after a warm-up of a tenth.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from benchmark import material
from benchmark.results import save

PAGE = os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    parser = argparse.ArgumentParser(prog=sys.argv[0])
    parser.add_argument("--stills", type=int, default=20_000)
    parser.add_argument("--seconds", type=int, default=3600)
    asked = parser.parse_args()
    minute = material.video("crowd_360p_minute.mp4", 640, 360, 60)
    hour = material.FOLDER / f"crowd_360p_{asked.seconds}s.mp4"
    material.repeated(minute, hour, asked.seconds // 60)
    figures = {
        f"{asked.seconds} s of video, one frame a second": watch(hour),
        f"{asked.stills} stills": watch(material.photographs(asked.stills)),
    }
    save("memory", figures)


def watch(evidence: Path) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "forensic_emotion"]
        started = time.perf_counter()
        process = subprocess.Popen(
            [*command, "scan", str(evidence), "--case", f"{folder}/case.db"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        parent, workers = [], []
        while process.poll() is None:
            sizes = resident(process.pid)
            if process.pid in sizes:
                parent.append(sizes.pop(process.pid))
                workers.append(max(sizes.values(), default=0))
            time.sleep(0.25)
        if process.returncode not in (0, 3):
            sys.exit(f"the scan ended with {process.returncode}")
    found = {"seconds": round(time.perf_counter() - started, 1)}
    for who, series in (("parent", parent), ("largest worker", workers)):
        tenth = max(1, len(series) // 10)
        early, late = max(series[tenth : 2 * tenth]), max(series[-tenth:])
        found[who] = {
            "first_tenth_after_warm_up_mib": round(early / 2**20, 1),
            "last_tenth_mib": round(late / 2**20, 1),
            "ratio": round(late / early, 3),
        }
    print(evidence.name, found, flush=True)
    return found


def resident(pid: int) -> dict[int, int]:
    """Bytes that a process and its children hold."""
    parents: dict[int, list[int]] = defaultdict(list)
    sizes = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                after_name = (folder / "stat").read_text().rsplit(") ", 1)[1].split()
                parents[int(after_name[1])].append(int(folder.name))
                sizes[int(folder.name)] = int(after_name[21]) * PAGE
            except (OSError, IndexError):
                continue  # it has ended
    family = [pid, *parents[pid]]
    return {each: sizes[each] for each in family if each in sizes}
