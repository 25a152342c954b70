"""A network whose convolutions have no normalisation → the same with batch normalisation, to be trained.

With it behind every convolution a network stands several times the learning rate, and the noise of the
batches' statistics keeps it from learning pictures by heart (Ioffe & Szegedy 2015). Once trained, it
folds into kernels and biases: what is written is the network as it was, and no slower.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from forensic_emotion.chips import Inputs
from forensic_emotion.errors import UsageError
from forensic_emotion.training.checkpoint import Weights

SUFFIX = "_normalised"
FILTER_NORM = 2**0.5
"""Of each filter at the start (He et al. 2015). Its size makes no difference to the answers any more,
but steps of one length turn a short filter further than a long one."""


def check_has_none(network: keras.Model) -> None:
    """Raise UsageError if a network has batch normalisation of pictures, or no convolution."""
    convolutions = [layer for layer in network.layers if isinstance(layer, keras.layers.Conv2D)]
    if not convolutions or any(_normalises_pictures(layer) for layer in network.layers):
        raise UsageError(
            f"--normalise has no effect on {network.name}, which has its own normalisation.",
            "Leave it out, or train --network face_resnet.",
        )


def normalised(network: keras.Model, inputs: Inputs) -> keras.Model:
    """The network with a normalisation behind each convolution; its answers are the same.

    Args:
        network: has no batch normalisation of pictures; see ``check_has_none``.
        inputs: some hundred faces, whose mean and variance behind each convolution are the first
            statistics.
    """
    convolutions = [layer for layer in network.layers if isinstance(layer, keras.layers.Conv2D)]
    look = keras.Model(network.input, [layer.output for layer in convolutions])
    found = look.predict({name: inputs[name] for name in network.input}, batch_size=64, verbose=0)
    model = _inserted(network)
    for layer in network.layers:
        model.get_layer(layer.name).set_weights(layer.get_weights())
    for layer, values in zip(convolutions, found, strict=True):
        kernel, bias = layer.get_weights()
        longer = FILTER_NORM / np.maximum(np.sqrt(np.square(kernel).sum(axis=(0, 1, 2))), 1e-6)
        mean = values.mean(axis=(0, 1, 2), dtype=np.float64)
        variance = values.var(axis=(0, 1, 2), dtype=np.float64) * longer**2
        normalisation = model.get_layer(layer.name + SUFFIX)
        gamma = np.sqrt(variance + normalisation.epsilon) / longer
        model.get_layer(layer.name).set_weights([kernel * longer, bias * longer])
        normalisation.set_weights([gamma, mean, mean * longer, variance])
    return model


def fold(weights: Weights, network: keras.Model) -> None:
    """Give a network what its normalised form has learnt; it answers as that does outside training.

    Args:
        weights: of the normalised form, as its ``get_weights`` gives them.
        network: as it was before ``normalised``; gets the weights.
    """
    model = _inserted(network)
    model.set_weights(weights)
    for layer in network.layers:
        own = model.get_layer(layer.name).get_weights()
        if isinstance(layer, keras.layers.Conv2D):
            normalisation = model.get_layer(layer.name + SUFFIX)
            gamma, beta, mean, variance = normalisation.get_weights()
            scale = gamma / np.sqrt(variance + normalisation.epsilon)
            own = [own[0] * scale, (own[1] - mean) * scale + beta]
        layer.set_weights(own)


def _inserted(network: keras.Model) -> keras.Model:
    """A copy with fresh weights; layers keep their names, a new one is named after the one before."""

    def call(layer: keras.Layer, *arguments: Any, **options: Any) -> Any:
        output = layer(*arguments, **options)
        if isinstance(layer, keras.layers.Conv2D):
            output = keras.layers.BatchNormalization(momentum=0.95, name=layer.name + SUFFIX)(output)
        return output

    return keras.models.clone_model(network, call_function=call)


def _normalises_pictures(layer: keras.Layer) -> bool:
    return isinstance(layer, keras.layers.BatchNormalization) and len(layer.input.shape) == 4
