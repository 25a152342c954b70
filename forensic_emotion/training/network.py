"""The networks: a grey picture and its landmarks → probabilities of expression classes.

Backend-neutral Keras 3: nothing here or in the training loop names TensorFlow.

Every network has an output named ``output`` (the classes of the data). A network may have a second one,
``ferplus``: the distribution of the FER+ votes over ``data.FERPLUS``, which only training uses.
"""

from __future__ import annotations

from collections.abc import Callable

import keras
from keras import layers

from forensic_emotion.chips import SIDE
from forensic_emotion.emotions.layers import FaceShape
from forensic_emotion.records import LANDMARKS
from forensic_emotion.training.sources import FERPLUS


def seed_network(classes: int) -> keras.Model:
    """The two-input network that the project grew from; 1,427,975 parameters for seven classes.

    Three blocks of two unpadded 3x3 convolutions (ReLU, then batch normalisation), each closed by
    pooling and dropout, lead from 48x48x1 to 1,024 features; the 136 landmark coordinates join them
    before the dense layer. The first version also defined a batch normalisation behind that layer
    and left it out of the path; so does this.

    Inputs ``images`` (n, 48, 48, 1) and ``landmarks`` (n, 68, 2), output ``output`` (n, classes).
    """
    images = keras.Input((SIDE, SIDE, 1), name="images")
    landmarks = keras.Input((LANDMARKS, 2), name="landmarks")
    x = images
    for first, second in ((32, 64), (128, 128), (256, 256)):
        for filters in (first, second):
            x = layers.Conv2D(filters, 3, activation="relu")(x)
            x = layers.BatchNormalization()(x)
        x = layers.MaxPooling2D(2)(x)
        x = layers.Dropout(0.25)(x)
    x = layers.Concatenate()([layers.Flatten()(x), layers.Flatten()(landmarks)])
    x = layers.Dense(256, activation="relu", kernel_regularizer=keras.regularizers.L2(0.01))(x)
    x = layers.Dropout(0.25)(x)
    # float32 whatever the policy: probabilities must not be rounded to bfloat16.
    output = layers.Dense(classes, activation="softmax", dtype="float32", name="output")(x)
    return keras.Model({"images": images, "landmarks": landmarks}, output, name="seed")


def gated_vgg(classes: int) -> keras.Model:
    """A VGG of half width for the picture, and a landmark branch that is let in through a gate.

    Four blocks of two padded 3x3 convolutions (32, 64, 128, 256 filters) and global average pooling
    (after Khaireddin & Chen 2021, at half their width). The landmarks are centred between the eyes and
    divided by the distance of the eyes, so that they tell the face's shape and not its place; a few
    distances stand beside them. A gate computed from both branches decides, feature by feature, how much
    of the landmarks counts; it is shut for a face without landmarks.

    Inputs ``images`` (n, 48, 48, 1), ``landmarks`` (n, 68, 2) and ``landmarks_valid`` (n, 1), 0 or 1;
    outputs ``output`` (n, classes) and ``ferplus`` (n, 8).
    """
    images = keras.Input((SIDE, SIDE, 1), name="images")
    landmarks = keras.Input((LANDMARKS, 2), name="landmarks")
    valid = keras.Input((1,), name="landmarks_valid")
    x = images
    for filters in (32, 64, 128, 256):
        for _ in range(2):
            x = layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
            x = layers.BatchNormalization(momentum=0.95)(x)
            x = layers.ReLU()(x)
        x = layers.MaxPooling2D(2)(x)
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dropout(0.3)(x)

    y = layers.Dense(128, use_bias=False)(FaceShape(dtype="float32")(landmarks))
    y = layers.BatchNormalization(momentum=0.95)(y)
    y = layers.ReLU()(y)
    y = layers.Dropout(0.3)(y)
    y = layers.Dense(256, activation="relu")(y)
    gate = layers.Dense(256, activation="sigmoid", bias_initializer=keras.initializers.Constant(-1.0))(
        layers.Concatenate()([x, y])
    )
    y = layers.Multiply()([layers.Multiply()([gate, y]), valid])
    x = layers.Add()([x, y])
    heads = [
        layers.Dense(n, activation="softmax", dtype="float32", name=name)(x)
        for name, n in (("output", classes), ("ferplus", len(FERPLUS)))
    ]
    inputs = {"images": images, "landmarks": landmarks, "landmarks_valid": valid}
    return keras.Model(inputs, dict(zip(("output", "ferplus"), heads, strict=True)), name="gated_vgg")


NETWORKS: dict[str, Callable[[int], keras.Model]] = {"seed": seed_network, "gated_vgg": gated_vgg}
"""Every network that ``femo train`` can build: its name → a function of the number of classes."""
