"""Is the extra 'train' there? Asked before anything of ``training`` is imported."""

from __future__ import annotations

from importlib.util import find_spec

from forensic_emotion.backend import check_backend
from forensic_emotion.errors import MissingExtra

NEEDED = ("keras", "h5py", "matplotlib", "onnx", "scipy", "tf2onnx")


def require_train_extra(what: str) -> None:
    """Refuse a command whose libraries are not installed.

    Raises:
        MissingExtra: with the command that installs them.
    """
    if any(find_spec(name) is None for name in NEEDED):
        raise MissingExtra(what, "train")
    check_backend()
