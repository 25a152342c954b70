"""Name → version of femo, Python, the system, and every library that touches pixels."""

from __future__ import annotations

import platform
import sqlite3
from importlib.metadata import PackageNotFoundError, version

from forensic_emotion import __version__

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
        "python": platform.python_version(),
        "system": platform.platform(),
        "sqlite": sqlite3.sqlite_version,
        "ffmpeg": _ffmpeg(),
    }
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _ffmpeg() -> str:
    import av

    return ", ".join(
        f"{name} {'.'.join(map(str, numbers))}" for name, numbers in av.library_versions.items()
    )
