"""What the processor can compute, as far as the system tells."""

from __future__ import annotations

from pathlib import Path

FACTS = Path("/proc/cpuinfo")
"""Of Linux (proc(5)); the names of the flags are the kernel's."""
BFLOAT16 = {"avx512_bf16", "amx_bf16", "bf16"}
"""Flags of x86 and of ARM."""


def flags() -> set[str] | None:
    """What the kernel says it can do; None if the system does not tell."""
    try:
        lines = FACTS.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return None
    return {
        flag
        for line in lines
        if line.lower().startswith(("flags", "features"))
        for flag in line.partition(":")[2].split()
    }


def computes_bfloat16() -> bool | None:
    """Whether it has instructions for bfloat16; None if the system does not tell."""
    found = flags()
    return None if found is None else bool(found & BFLOAT16)
