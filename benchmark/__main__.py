"""usage: python -m benchmark NAME [options]

    framing      how FER2013, or another detector, frames a face as against dlib (needs fer2013.csv)
    limits       what marks a face as poor: fit of landmarks, range of FER2013 (needs fer2013.csv)
    detectors    recall, precision and time of each detector on boxed faces
    speed        frames a second of the stages and of the whole; how far from the floor
    peers        side by side with the package ``fer`` and a plain loop (needs --fer PYTHON)
    memory       memory of parent and workers over a long video and many stills
    page         docs/performance.md and its chart, from the results of the others

framing and limits print what they find; results of the others go to benchmark/results/NAME.json with
machine, date and commit. Run them on a quiet machine; ratios carry over to others, seconds do not.
"""

from __future__ import annotations

import sys
from importlib import import_module

NAMES = ("framing", "limits", "detectors", "speed", "peers", "memory", "page")


def main() -> None:
    if len(sys.argv) < 2 or sys.argv[1] not in NAMES:
        sys.exit(__doc__)
    sys.argv = [f"python -m benchmark {sys.argv[1]}", *sys.argv[2:]]
    import_module(f"benchmark.{sys.argv[0].split()[-1]}").main()


main()
