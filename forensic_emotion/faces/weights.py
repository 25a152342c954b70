"""dlib's trained weights, as the package ``face_recognition_models`` carries them."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from forensic_emotion.errors import ModelError


def weights_path(name: str) -> Path:
    """Where a file of weights lies.

    The package that carries them cannot be imported on a current Python (it asks for the removed
    ``pkg_resources``), so only its folder is looked up.

    Raises:
        ModelError: the package or the file in it is missing.
    """
    spec = find_spec("face_recognition_models")
    for folder in (spec.submodule_search_locations if spec else None) or ():
        path = Path(folder) / "models" / name
        if path.is_file():
            return path
    raise ModelError(
        f"The weights {name} were not found.",
        "Install them with: pip install face_recognition_models",
    )
