"""The networks: a grey picture and its landmarks → probabilities of expression classes.

Backend-neutral Keras 3: nothing here or in the training loop names TensorFlow.

Every network has an output named ``output`` (the classes of the data). A network may have a second one,
``ferplus``: the distribution of the FER+ votes over ``sources.FERPLUS``, which only training uses.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import layers

from forensic_emotion.chips import SIDE
from forensic_emotion.emotions.layers import (
    EmptyChannels,
    Enlarge,
    FaceShape,
    GeometricMean,
    MirrorImage,
    MirrorLandmarks,
    Zoom,
    ZoomLandmarks,
)
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
    x = images
    for filters in (32, 64, 128, 256):
        for _ in range(2):
            x = layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
            x = layers.BatchNormalization(momentum=0.95)(x)
            x = layers.ReLU()(x)
        x = layers.MaxPooling2D(2)(x)
    return _with_landmarks("gated_vgg", images, layers.GlobalAveragePooling2D()(x), classes)


def face_resnet(classes: int) -> keras.Model:
    """A residual network that can start from dlib's face identity network, and gated landmarks.

    The picture is enlarged to 131x131, which makes every halving come out even. Then the layers of
    dlib's ``dlib_face_recognition_resnet_model_v1`` (King 2017, after He et al. 2016), its last block
    left out: a 7x7 convolution, a pooling, and 13 blocks of two 3x3 convolutions with 32, 64, 128 and
    256 filters. There is no batch normalisation: dlib's file has it folded into scales, and those fold
    into the kernels, which also halves the time of training. Landmarks and outputs as in ``gated_vgg``.
    """
    images = keras.Input((SIDE, SIDE, 1), name="images")
    x = Enlarge(ENLARGED)(images)
    x = layers.ReLU()(layers.Conv2D(32, 7, strides=2)(x))
    x = layers.MaxPooling2D(3, 2)(x)
    for filters, halves in RESIDUAL_BLOCKS:
        x = _residual(x, filters, halves)
    return _with_landmarks("face_resnet", images, layers.GlobalAveragePooling2D()(x), classes)


ENLARGED = 131
RESIDUAL_BLOCKS = (
    *((32, False), (32, False), (32, False)),
    *((64, True), (64, False), (64, False), (64, False)),
    *((128, True), (128, False), (128, False)),
    *((256, True), (256, False), (256, False)),
)
"""Filters of each block, and whether it halves the picture."""


def _residual(x: keras.KerasTensor, filters: int, halves: bool) -> keras.KerasTensor:
    """Two convolutions beside a way around them; new channels on that way are 0, as in dlib."""
    y = layers.Conv2D(filters, 3, strides=2, padding="valid")(x) if halves else _same(x, filters)
    y = _same(layers.ReLU()(y), filters)
    if halves:
        x = layers.AveragePooling2D(2)(x)
        if x.shape[-1] < filters:
            x = EmptyChannels(filters - x.shape[-1])(x)
    return layers.ReLU()(layers.Add()([x, y]))


def _same(x: keras.KerasTensor, filters: int) -> keras.KerasTensor:
    return layers.Conv2D(filters, 3, padding="same")(x)


def _with_landmarks(
    name: str, images: keras.KerasTensor, x: keras.KerasTensor, classes: int
) -> keras.Model:
    """The end of a network: 256 features of the picture, the gated landmarks, the two heads."""
    landmarks = keras.Input((LANDMARKS, 2), name="landmarks")
    valid = keras.Input((1,), name="landmarks_valid")
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
        layers.Dense(n, activation="softmax", dtype="float32", name=output)(x)
        for output, n in (("output", classes), ("ferplus", len(FERPLUS)))
    ]
    inputs = {"images": images, "landmarks": landmarks, "landmarks_valid": valid}
    return keras.Model(inputs, dict(zip(("output", "ferplus"), heads, strict=True)), name=name)


def symmetric(model: keras.Model, mirror_sizes: Sequence[float] = (1,)) -> keras.Model:
    """A network asked about a face and about its mirror image; its answer is their geometric mean.

    The weights are shared, so it costs time and no space. With both of one size the answer is the same
    for a face and for its mirror image. With other sizes it depends less on how the face is framed.

    Args:
        model: the network.
        mirror_sizes: of each mirror image that it is asked about, as a multiple; below 1 the picture
            lies within its outermost pixels. Each takes the time of one answer more.
    """
    inputs = {name: keras.Input(tensor.shape[1:], name=name) for name, tensor in model.input.items()}
    looks = [inputs]
    for size in mirror_sizes:
        images, landmarks = MirrorImage()(inputs["images"]), MirrorLandmarks()(inputs["landmarks"])
        if size != 1:
            images, landmarks = Zoom(size)(images), ZoomLandmarks(size)(landmarks)
        looks.append({**inputs, "images": images, "landmarks": landmarks})
    answers = [model(look) for look in looks]
    return keras.Model(inputs, _joined(answers), name=f"symmetric_{model.name}")


def committee(members: Sequence[keras.Model]) -> keras.Model:
    """Trained networks asked about the same face, in one; its answer is their geometric mean.

    It has the inputs of all of them, and the outputs that each of them has.
    """
    shapes = {name: tensor.shape[1:] for member in members for name, tensor in member.input.items()}
    inputs = {name: keras.Input(shape, name=name) for name, shape in shapes.items()}
    answers = []
    for number, member in enumerate(members):
        named = keras.Model(member.input, member.output, name=f"member_{number}_{member.name}")
        answers.append(named({name: inputs[name] for name in member.input}))
    return keras.Model(inputs, _joined(answers), name="committee")


def _joined(answers: Sequence[Any]) -> dict[str, keras.KerasTensor]:
    """The geometric mean of several answers, of each output that all of them have."""
    named = [answer if isinstance(answer, dict) else {"output": answer} for answer in answers]
    return {
        name: GeometricMean(dtype="float32", name=name)(*(answer[name] for answer in named))
        for name in named[0]
        if all(name in answer for answer in named)
    }


NETWORKS: dict[str, Callable[[int], keras.Model]] = {
    "seed": seed_network,
    "gated_vgg": gated_vgg,
    "face_resnet": face_resnet,
}
"""Every network that ``femo train`` can build: its name → a function of the number of classes."""
