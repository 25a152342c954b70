"""A file of ONNX weights → a session of ONNX Runtime, which starts at once and needs no TensorFlow."""

from __future__ import annotations

import os
from pathlib import Path

# ONNX Runtime's wheels report usage to their maker: they write a device number below the home folder and
# look up a host. A forensic tool must do neither; this has to be set before the library is loaded.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import onnxruntime

from forensic_emotion.errors import ModelError
from forensic_emotion.machine import cores

EXTERNAL_FOLDER = "session.model_external_initializers_file_folder_path"
"""Where weights outside the file would be looked for; a device holds none."""
QUIET = 4
"""Log level: what ends the process. Errors are raised, and not for the terminal."""


def open_session(content: bytes, path: Path, threads: int) -> onnxruntime.InferenceSession:
    """Load weights to be computed on the CPU.

    From the bytes that were hashed, and no others: a file may keep its weights in another one beside it,
    which its hash would not cover.

    Args:
        content: of the file.
        path: of the file, for people.
        threads: that one computation may use; 0 for one on each core that this process may use.

    Raises:
        ModelError: ONNX Runtime cannot load it.
    """
    options = onnxruntime.SessionOptions()
    options.log_severity_level = QUIET
    # Left to itself it takes all cores of the machine, also those that are another's.
    options.intra_op_num_threads = threads or cores()
    options.add_session_config_entry(EXTERNAL_FOLDER, os.devnull)
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # what ONNX Runtime raises has no base of its own
        raise ModelError(
            f"{path} cannot be loaded by ONNX Runtime: {error}.",
            "Restore the file; to restore one that ships with femo, reinstall femo.",
        ) from error
