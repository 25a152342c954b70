"""Is a model's ``.h5`` only what a model is? It may come from somebody else."""

from __future__ import annotations

from pathlib import Path

from forensic_emotion.errors import ModelError


def refuse_unsafe(path: Path) -> None:
    """Refuse a file that holds code to run, or whose weights lie in other files.

    Versions of Keras differ in what they run and read without being asked. What is no HDF5 is left to
    them.

    Raises:
        ModelError: it does.
    """
    import h5py

    if not h5py.is_hdf5(path):
        return
    try:
        with h5py.File(path, "r") as file:
            config = file.attrs.get("model_config", "")
            text = config.decode("utf-8", "replace") if isinstance(config, bytes) else str(config)
            elsewhere = _elsewhere(file)
    except (OSError, ValueError, KeyError, RuntimeError):
        return  # Keras says what is wrong with it
    if '"Lambda"' in text or "__lambda__" in text:
        raise ModelError(
            f"{path} holds code of its own (a Lambda layer), which is not run.",
            "Ask where it comes from.",
        )
    if elsewhere is not None:
        raise ModelError(
            f"{path} has weights in another file ({elsewhere}), for which its hash says nothing.",
            "Ask where it comes from.",
        )


def _elsewhere(group: object) -> str | None:
    """What of a group lies in another file; None if all is in this one."""
    import h5py

    for name in group:  # type: ignore[attr-defined]
        if isinstance(group.get(name, getlink=True), h5py.ExternalLink):  # type: ignore[attr-defined]
            return str(name)
        held = group[name]  # type: ignore[index]
        if isinstance(held, h5py.Dataset) and (held.external or held.is_virtual):
            return str(held.name)
        if isinstance(held, h5py.Group) and (found := _elsewhere(held)):
            return found
    return None
