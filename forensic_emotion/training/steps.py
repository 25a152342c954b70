"""One training step: what a network's outputs cost, and how its weights follow.

``Climber`` makes sharpness-aware steps (Foret et al. 2021): the weights go up the slope of the loss by a
given length, the gradient is computed there, and the step is made from where they were. A minimum whose
surroundings are as good as itself holds for pictures that were not seen, and wrong labels are not learnt
by heart, for to fit them takes a narrow place. Half of a batch shows the way up well enough, as in Du et
al. (2022), for half of the time.
"""

from __future__ import annotations

import keras

from forensic_emotion.training.augment import Batch
from forensic_emotion.training.checkpoint import Weights

LONGER = 2.0**20
"""Times the gradient that only shows the way up; a power of two, which rounds nothing."""


def compile_with(
    model: keras.Model,
    optimizer: keras.optimizers.Optimizer,
    ferplus_weight: float,
    *,
    scale: float = 1.0,
) -> None:
    """Say what a network's outputs cost.

    Args:
        model: has an output of classes, and perhaps one of FER+ votes.
        optimizer: makes its steps.
        ferplus_weight: see ``TrainSettings``.
        scale: of the loss.
    """
    names = outputs_of(model)
    weights = {"output": 1.0, "ferplus": ferplus_weight}
    optimizer.build(model.trainable_variables)
    # Labels are given as probabilities, for smoothed and blended ones are no single class. For whole
    # labels this is the sparse categorical cross-entropy.
    model.compile(
        optimizer=optimizer,
        loss=dict.fromkeys(names, "categorical_crossentropy"),
        loss_weights={name: scale * weights[name] for name in names},
        weighted_metrics={"output": ["accuracy"]},
    )
    # Losses and metrics make their variables when they are first asked, and a step that makes any is
    # traced twice; the optimiser's are made above.
    none = keras.tree.map_structure(lambda t: keras.ops.zeros((1, *t.shape[1:])), model.output)
    model.compute_loss(y=none, y_pred=none)
    model.compute_metrics(None, none, none)
    model.reset_metrics()


def outputs_of(model: keras.Model) -> list[str]:
    """The names of a network's outputs."""
    return list(model.output) if isinstance(model.output, dict) else ["output"]


def step_on(model: keras.Model, batch: Batch) -> tuple[float, float]:
    """One step; its loss and its share of answers that agree with what is taught (the greatest part of a
    blend counts)."""
    names = outputs_of(model)
    inputs = {name: batch.inputs[name] for name in model.input}
    targets: object = {name: batch.targets[name] for name in names}
    weights: object = {name: batch.weights[name] for name in names}
    if names == ["output"]:
        targets, weights = batch.targets["output"], batch.weights["output"]
    model.reset_metrics()  # older Keras tells the mean of all steps so far
    logs = model.train_on_batch(inputs, targets, sample_weight=weights, return_dict=True)
    accuracy = logs["accuracy"] if "accuracy" in logs else logs["output_accuracy"]
    return float(logs["loss"]), float(accuracy)


class Climber:
    """Makes each step of a network a sharpness-aware one.

    Args:
        model: compiled; its optimiser makes the steps.
        radius: length of the way up, over all trained weights together; above 0.
        ferplus_weight: see ``TrainSettings``.
    """

    def __init__(self, model: keras.Model, radius: float, ferplus_weight: float) -> None:
        self._model = model
        self._uphill = keras.Model(model.input, model.output)  # of the same layers
        # A gradient that is longer than this is cut to this length, and keeps its direction.
        uphill = keras.optimizers.SGD(learning_rate=-1.0, global_clipnorm=radius)
        compile_with(self._uphill, uphill, ferplus_weight, scale=LONGER)

    def step_on(self, batch: Batch) -> tuple[float, float]:
        """One step; its loss and its share of right answers up there."""
        trained, fixed = self._model.trainable_weights, self._model.non_trainable_weights
        before = values(trained)
        step_on(self._uphill, batch.first_half())
        way = [up - below for up, below in zip(values(trained), before, strict=True)]
        # Normalisation has to know the statistics of the weights down here, which these still are.
        statistics = values(fixed)
        logs = step_on(self._model, batch)
        for weight, moved in zip(trained, way, strict=True):
            weight.assign_sub(moved)
        for weight, value in zip(fixed, statistics, strict=True):
            weight.assign(value)
        return logs


def values(weights: list[keras.Variable]) -> Weights:
    return [keras.ops.convert_to_numpy(weight).copy() for weight in weights]
