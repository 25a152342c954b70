"""A trained network → ``model.h5``, ``model.onnx`` and ``model.json``."""

from __future__ import annotations

import warnings
from pathlib import Path

import keras
import numpy as np

from forensic_emotion import __version__
from forensic_emotion.chips import SIDE
from forensic_emotion.emotions.card import write_card
from forensic_emotion.hashes import file_sha256
from forensic_emotion.records import LANDMARKS


def write_model(model: keras.Model, folder: Path, card: dict[str, object]) -> None:
    """Write a float32 network in both formats, and its card with their hashes.

    Args:
        model: the network, inputs ``images`` and ``landmarks``.
        folder: where to.
        card: what ``model.json`` says beside the files.
    """
    h5, onnx = folder / "model.h5", folder / "model.onnx"
    model.save(h5, include_optimizer=False)
    # As a dictionary, so that the outputs keep their names in ONNX.
    outputs = model.output if isinstance(model.output, dict) else {"output": model.output}
    served = keras.Model(model.input, outputs)
    # Keras exports the graph of a call; a model that was only built has none yet.
    shapes = {"images": (SIDE, SIDE, 1), "landmarks": (LANDMARKS, 2), "landmarks_valid": (1,)}
    served({name: np.zeros((1, *shapes[name])) for name in model.input})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of tf2onnx, on NumPy
        served.export(onnx, format="onnx", verbose=False)
    files = {
        path.name: {"sha256": file_sha256(path), "size": path.stat().st_size} for path in (h5, onnx)
    }
    write_card(folder, {**card, "files": files})


def trained_with() -> dict[str, str]:
    """What ``model.json`` says of the libraries."""
    return {"femo": __version__, "keras": keras.__version__, "backend": keras.backend.backend()}
