"""Is a model's ``.h5`` only what a model is? It may come from somebody else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from forensic_emotion.errors import ModelError


def refuse_unsafe(path: Path) -> None:
    """Refuse a file that holds code to run, or whose weights lie in other files.

    Versions of Keras differ in what they run and read without being asked. What is no HDF5 is left to
    them.

    Raises:
        ModelError: it does, or cannot be looked through.
    """
    import h5py

    if not h5py.is_hdf5(path):
        return
    try:
        with h5py.File(path, "r") as file:
            config = file.attrs.get("model_config", "null")
            runs = _holds_code(json.loads(config))
            elsewhere = None if runs else _elsewhere(file)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, RecursionError) as error:
        raise ModelError(
            f"{path} cannot be inspected: {type(error).__name__}: {error}.",
            "Give the model.h5 of a folder that femo train wrote.",
        ) from error
    if runs:
        raise ModelError(
            f"{path} contains its own code (a Lambda layer), which femo does not run.",
            "Find out where it comes from.",
        )
    if elsewhere is not None:
        raise ModelError(
            f"{path} has weights in another file ({elsewhere}), which its hash does not cover.",
            "Find out where it comes from.",
        )


def _holds_code(config: Any) -> bool:
    """Whether a network's description has a layer that is code, or code by itself."""
    if isinstance(config, dict):
        named = "Lambda" in (config.get("class_name"), config.get("registered_name"))
        return named or "__lambda__" in config.values() or any(map(_holds_code, config.values()))
    return isinstance(config, list) and any(map(_holds_code, config))


def _elsewhere(group: Any) -> str | None:
    """What of a group is neither data nor a group of its own, such as a link, which is not followed."""
    import h5py

    for name in group:
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            return str(name)
        held = group[name]
        if isinstance(held, h5py.Dataset) and (held.external or held.is_virtual):
            return str(held.name)
        if isinstance(held, h5py.Group) and (found := _elsewhere(held)):
            return found
    return None
