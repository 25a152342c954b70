"""Small trainings for tests: what they learn from, and the models that they make."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import Progress

from forensic_emotion.settings import TrainSettings
from forensic_emotion.training import sources


def write_votes(
    path: Path, splits: dict[str, int], header: str = "Usage,Image name,", prefix: str = ""
) -> Path:
    """A file of FER+ votes: picture i of a split has i votes for neutral and 2 for happiness."""
    names = ",".join(prefix + name for name in sources.VOTES)
    rows = [f"{header}{names}"]
    for split, n in splits.items():
        rows += [f"{split},x.png,{i},2" + ",0" * 8 for i in range(n)]
    path.write_text("\n".join(rows) + "\n")
    return path


TINY = {"epochs": 2, "batch_size": 11, "validation_share": 0.2, "network": "seed"}


def weights_of(folder: Path) -> list[np.ndarray]:
    """All weights of a model, by the names of their layers without the numbers that Keras gives out."""
    import h5py

    found: list[tuple[list[str | int], np.ndarray]] = []

    def take(name: str, item: Any) -> None:
        if hasattr(item, "shape"):
            # Layers are numbered on within a process: in order of their numbers they are the same.
            found.append(([int(t) if t.isdigit() else t for t in re.split(r"(\d+)", name)], item[()]))

    with h5py.File(folder / "model.h5") as source:
        source["model_weights"].visititems(take)
    assert len(found) >= 10
    return [values for _, values in sorted(found, key=lambda pair: pair[0])]


def small_seed(classes: int) -> Any:
    """A network with the inputs of the seed and all of its kinds of layer, for tests of how a training
    goes, to which the network is all one: half of the time of a tiny training goes into its graph."""
    import keras
    from keras import layers

    images, landmarks = keras.Input((48, 48, 1), name="images"), keras.Input((68, 2), name="landmarks")
    x = layers.MaxPooling2D(4)(images)
    x = layers.BatchNormalization()(layers.Conv2D(8, 3, activation="relu")(x))
    x = layers.Concatenate()([layers.Flatten()(layers.MaxPooling2D(2)(x)), layers.Flatten()(landmarks)])
    x = layers.Dense(16, activation="relu", kernel_regularizer=keras.regularizers.L2(0.01))(x)
    x = layers.Dropout(0.25)(x)
    output = layers.Dense(classes, activation="softmax", dtype="float32", name="output")(x)
    return keras.Model({"images": images, "landmarks": landmarks}, output, name="seed")


def train_tiny(
    path: Path,
    out: Path,
    *,
    init: Path | None = None,
    ferplus: Path | None = None,
    distill: Sequence[Path] = (),
    resume: bool = False,
    stop_at: str = "",
    left_by_first: Path | None = None,
    **changes: Any,
) -> Path:
    """A training of a few steps.

    Args:
        stop_at: stop it, as by Ctrl-C, where it says what begins so.
        left_by_first: gets a copy of what lies there after the first epoch: what a run would have left
            that was killed then.
        others: see ``train``.
    """
    from forensic_emotion.training.train import train

    class Stops(Console):
        def print(self, *objects: Any, **more: Any) -> None:
            said = str(objects[0])
            if stop_at and said.startswith(stop_at):
                raise KeyboardInterrupt
            if left_by_first and said.startswith("epoch 1/"):
                shutil.copytree(out, left_by_first)

    console = Stops(quiet=True)
    progress = Progress(console=console, disable=True)
    settings = TrainSettings(**{**TINY, **changes})
    return train(
        path,
        out,
        settings,
        ferplus=ferplus,
        init=init,
        distill=distill,
        resume=resume,
        console=console,
        progress=progress,
    )


def merged(folders: list[Path], data: Path, out: Path, **how: Any) -> Path:
    from forensic_emotion.training.merge import merge

    return merge(folders, data, out, 0.2, Progress(disable=True), **how)


def loss_of(probabilities: np.ndarray, labels: np.ndarray) -> float:
    return float(-np.log(probabilities[np.arange(len(labels)), labels]).mean())
