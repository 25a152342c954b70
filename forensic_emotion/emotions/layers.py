"""Layers of femo's own that networks are made of; loading a model's ``.h5`` needs them known."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from keras import ops

from forensic_emotion.chips import MIRROR_ORDER, SIDE

LEFT_EYE, RIGHT_EYE = slice(36, 42), slice(42, 48)
"""Points of the eyes in the order of iBUG 300-W."""
PAIRS = (
    *((62, 66), (48, 54)),  # mouth: opening, width
    *((37, 41), (38, 40), (43, 47), (44, 46)),  # eyelids
    *((19, 37), (24, 44), (21, 22)),  # brows to lids, brow to brow
    (33, 51),  # nose to lip
)
"""Distances between points that move with an expression."""


@keras.saving.register_keras_serializable(package="femo")
class FaceShape(keras.layers.Layer):  # type: ignore[misc]
    """(n, 68, 2) landmarks → (n, 146): the face's shape without its place and size.

    Coordinates from the middle between the eyes, then the distances of ``PAIRS``; all in units of the
    distance of the eyes.
    """

    def call(self, landmarks: Any) -> Any:
        left = ops.mean(landmarks[:, LEFT_EYE], axis=1, keepdims=True)
        right = ops.mean(landmarks[:, RIGHT_EYE], axis=1, keepdims=True)
        # The small terms keep a degenerate face, all points in one place, from dividing by zero.
        apart = ops.sqrt(ops.sum(ops.square(right - left), axis=2, keepdims=True) + 1e-4)
        centred = (landmarks - (left + right) / 2) / apart
        ends = [centred[:, a] - centred[:, b] for a, b in PAIRS]
        distances = ops.sqrt(ops.sum(ops.square(ops.stack(ends, axis=1)), axis=2) + 1e-6)
        flat = ops.reshape(centred, (-1, centred.shape[1] * centred.shape[2]))
        return ops.concatenate([flat, distances], axis=1)

    def compute_output_shape(self, input_shape: tuple[int | None, int, int]) -> tuple[int | None, int]:
        return (input_shape[0], input_shape[1] * input_shape[2] + len(PAIRS))


@keras.saving.register_keras_serializable(package="femo")
class MirrorImage(keras.layers.Layer):  # type: ignore[misc]
    """Pictures (n, 48, 48, 1) seen in a mirror."""

    def call(self, images: Any) -> Any:
        return ops.take(images, list(range(SIDE))[::-1], axis=2)


@keras.saving.register_keras_serializable(package="femo")
class MirrorLandmarks(keras.layers.Layer):  # type: ignore[misc]
    """(n, 68, 2) landmarks of a face → those of the face in a mirror, left and right ones swapped."""

    def call(self, landmarks: Any) -> Any:
        swapped = ops.take(landmarks, MIRROR_ORDER.tolist(), axis=1)
        return ops.stack([1 - swapped[..., 0], swapped[..., 1]], axis=-1)


@keras.saving.register_keras_serializable(package="femo")
class Zoom(keras.layers.Layer):  # type: ignore[misc]
    """Pictures (n, 48, 48, 1) scaled about their middle, bilinear; the outermost pixels go on outside.

    Args:
        scale: above 1 a part of the picture, larger; below 1 all of it, smaller.
    """

    def __init__(self, scale: float, **options: Any) -> None:
        super().__init__(**options)
        self.scale = scale

    def call(self, images: Any) -> Any:
        along = ops.convert_to_tensor(resampling(self.scale), dtype=images.dtype)
        down = ops.matmul(along, images[..., 0])
        return ops.expand_dims(ops.matmul(down, ops.transpose(along)), -1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "scale": self.scale}


def resampling(scale: float) -> npt.NDArray[np.float32]:
    """(48, 48): what each pixel of a scaled line takes from the pixels of the line."""
    middle = (SIDE - 1) / 2
    places = np.clip((np.arange(SIDE) - middle) / scale + middle, 0, SIDE - 1)
    near = np.abs(places[:, None] - np.arange(SIDE))
    return np.maximum(1 - near, 0).astype(np.float32)


@keras.saving.register_keras_serializable(package="femo")
class ZoomLandmarks(keras.layers.Layer):  # type: ignore[misc]
    """(n, 68, 2) landmarks of a face → those of the face in the scaled picture; see ``Zoom``."""

    def __init__(self, scale: float, **options: Any) -> None:
        super().__init__(**options)
        self.scale = scale

    def call(self, landmarks: Any) -> Any:
        return (landmarks - 0.5) * self.scale + 0.5

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "scale": self.scale}


@keras.saving.register_keras_serializable(package="femo")
class GeometricMean(keras.layers.Layer):  # type: ignore[misc]
    """Distributions (n, classes) → the one whose logits are the mean of theirs."""

    def call(self, one: Any, *others: Any) -> Any:
        logits = [ops.log(ops.maximum(p, 1e-30)) for p in (one, *others)]
        return ops.softmax(sum(logits[1:], logits[0]) / len(logits))


@keras.saving.register_keras_serializable(package="femo")
class EmptyChannels(keras.layers.Layer):  # type: ignore[misc]
    """Pictures (n, height, width, channels) with so many more channels, all 0.

    Args:
        more: how many.
    """

    def __init__(self, more: int, **options: Any) -> None:
        super().__init__(**options)
        self.more = more

    def call(self, pictures: Any) -> Any:
        return ops.pad(pictures, ((0, 0), (0, 0), (0, 0), (0, self.more)))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "more": self.more}


@keras.saving.register_keras_serializable(package="femo")
class Enlarge(keras.layers.Layer):  # type: ignore[misc]
    """Pictures (n, height, width, channels) at another size, bilinear.

    Keras' own ``Resizing`` counts as augmentation: called without ``training``, as an export does, it
    puts every layer behind it into training mode.

    Args:
        side: height and width afterwards.
    """

    def __init__(self, side: int, **options: Any) -> None:
        super().__init__(**options)
        self.side = side

    def call(self, pictures: Any) -> Any:
        return ops.image.resize(pictures, (self.side, self.side), data_format="channels_last")

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "side": self.side}
