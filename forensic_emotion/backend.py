"""Which library computes for Keras, and is it there?"""

from __future__ import annotations

import os
from importlib import import_module
from importlib.util import find_spec

from forensic_emotion.errors import UsageError
from forensic_emotion.terminal import silenced

BACKENDS = ("tensorflow", "jax", "torch")
"""Names of Keras' backends, which are those of the packages too."""


def prepare() -> None:
    """Say what TensorFlow reads in the environment when it starts."""
    # What it logs then is no message of ours.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # Of operations that run side by side the order of sums is left to chance: trainings with one seed
    # came out differently. A single operation still uses all cores.
    os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")


def check_backend() -> None:
    """See that the backend is installed that the environment asks Keras for, and load both.

    Raises:
        UsageError: it is not.
    """
    prepare()
    name = os.environ.get("KERAS_BACKEND") or BACKENDS[0]
    if name not in BACKENDS or find_spec(name) is None:
        raise UsageError(
            f"KERAS_BACKEND asks for {name!r}, which is not installed.",
            f"Install it, or set KERAS_BACKEND to another of {', '.join(BACKENDS)}.",
        )
    with silenced():  # TensorFlow logs some lines all the same
        import_module("keras")
