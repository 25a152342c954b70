"""Where a run is computed: the system, the processor and what of it is used, the working folder.

Scores differ in their last digits between kinds of processors, and relative paths in a command line mean
nothing without the folder in which it was given.
"""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

from forensic_emotion.paths import as_text

CPU_INFO = Path("/proc/cpuinfo")


def machine_facts(workers: int) -> dict[str, Any]:
    """What a case keeps of the machine, as plain values.

    Args:
        workers: processes that look at files, each with one thread for what computes.
    """
    system = os.uname()
    model, features = _processor()
    return {
        "folder": _folder(),
        "os_sysname": system.sysname,
        "os_release": system.release,
        "os_version": system.version,
        "arch": system.machine,
        "uid": os.geteuid(),
        "processor": model,
        "processor_features": features,
        "processors": cores(),
        "workers": workers,
        "threads_per_worker": 1,
    }


def cores() -> int:
    """Processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _folder() -> str | None:
    try:
        return as_text(os.fsencode(Path.cwd()))
    except OSError:  # it was removed
        return None


def _processor() -> tuple[str, str]:
    """The processor's name, and what it can compute, words with blanks between; empty where the system
    does not say."""
    told: dict[str, str] = {}
    try:
        first, *_ = CPU_INFO.read_text(errors="replace").split("\n\n", 1)
    except OSError:
        return platform.processor(), ""
    for line in first.splitlines():
        name, _, value = line.partition(":")
        told[name.strip()] = value.strip()
    name = told.get("model name") or platform.processor()
    return name, told.get("flags") or told.get("Features", "")
