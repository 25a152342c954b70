"""Figures → benchmark/results/NAME.json, with what they were measured on."""

from __future__ import annotations

import json
import os
import platform
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from forensic_emotion import __version__
from forensic_emotion.training.processor import flags
from forensic_emotion.training.provenance import commit

FOLDER = Path(__file__).parent / "results"


def save(name: str, figures: dict[str, Any]) -> None:
    FOLDER.mkdir(exist_ok=True)
    content = {
        # Of a path only its name: where things lie on the machine is nobody's business.
        "command": " ".join(os.path.basename(word) for word in sys.argv),
        "date": f"{datetime.now(timezone.utc):%Y-%m-%d}",
        "commit": commit(),
        "femo": __version__,
        "machine": {"processor": _processor(), "cores": len(os.sched_getaffinity(0))},
        "python": platform.python_version(),
        **figures,
    }
    (FOLDER / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def load(name: str) -> dict[str, Any] | None:
    path = FOLDER / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


VECTORS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")
"""What a processor's speed with networks depends on, beside its name."""


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    has = [name for name in VECTORS if name in (flags() or ())]
    return " with ".join(filter(None, (next(names, platform.processor()), ", ".join(has))))
