"""The seed's network: a grey picture and its landmarks → seven probabilities.

Backend-neutral Keras 3: nothing here or in the training loop names TensorFlow.
"""

from __future__ import annotations

import keras
from keras import layers

from forensic_emotion.chips import SIDE
from forensic_emotion.records import LANDMARKS


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


NETWORKS = {"seed": seed_network}
"""Every network that ``femo train`` can build: its name → a function of the number of classes."""
