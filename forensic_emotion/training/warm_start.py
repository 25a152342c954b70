"""An earlier model's ``.h5`` or ``.keras``, or dlib's network → the weights a training starts from."""

from __future__ import annotations

import json
from pathlib import Path

import keras

from forensic_emotion.emotions.card import ModelCard
from forensic_emotion.errors import ModelError
from forensic_emotion.faces.weights import weights_path
from forensic_emotion.training import identity
from forensic_emotion.training.checkpoint import STATE
from forensic_emotion.training.loading import innermost, load_trained, load_uncalibrated
from forensic_emotion.training.provenance import Trained, trained

HEADS = ("output", "ferplus")
"""Layers that may differ, for another data set has other classes; then they start anew."""


def find_start(init: Path) -> Path:
    """The file that ``--init`` names: as it stands, or dlib's identity network by its mere name."""
    if str(init) == identity.WEIGHTS and not init.exists():
        return weights_path(identity.WEIGHTS)
    return init


def check_held_out(init: Path, data_sha256: str, share: float) -> bool:
    """See that weights to start from were not fitted to pictures that are to be held out.

    A model's card tells it, or the state beside a checkpoint. Data are told by their file's hash: the
    same pictures in another file are other data.

    Args:
        init: the file.
        data_sha256: of the data that are trained on.
        share: of Training that is to be held out.

    Returns:
        Whether that is certain; it is not of weights without a card, nor of those of other data.

    Raises:
        ModelError: they were, so that accuracy, calibration and threshold would come out too good.
    """
    if init.name == identity.WEIGHTS:
        return True  # of other pictures than any with expressions
    start = _how_trained(init)
    if start is None:
        return False
    if start.data_sha256 == data_sha256 and start.validation_share < share:
        raise ModelError(
            f"{init} was fitted to pictures that --validation-share {share:g} is to hold out.",
            f"Give --validation-share {start.validation_share:g} or less, as it was trained with.",
        )
    return start.data_sha256 == data_sha256 and start.certain


def _how_trained(file: Path) -> Trained | None:
    """What a model's card, or the state beside a checkpoint, tells of a file; None if nothing does."""
    if (state := file.parent / STATE).is_file():
        try:
            facts = json.loads(state.read_text(encoding="utf-8"))
            share = float(facts["settings"]["validation_share"])
            network = str(facts["settings"]["network"])
            # What its own start knew, the state does not tell.
            begun_anew = facts.get("init_sha256") is None and not facts.get("teachers")
            return Trained(str(facts["data_sha256"]), share, network, begun_anew)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ModelError(
                f"{state} does not say how {file.name} was trained: {type(error).__name__}: {error}.",
                "Start from the model.h5 that the training wrote.",
            ) from error
    if not (file.parent / "model.json").is_file():
        return None
    card = ModelCard.find(file.parent)
    if file.name not in card.facts["files"]:
        return None
    card.weights(file.name)
    return trained(card)


def start_from(model: keras.Model, path: Path, *, freeze: bool) -> list[str]:
    """Give a fresh network the weights of an earlier one of the same architecture.

    Args:
        model: the fresh network, not compiled yet.
        path: the earlier model, also in its symmetric form; for ``face_resnet`` also dlib's identity
            network.
        freeze: keep the weights that were taken over as they are, and train the heads and what starts
            anew only.

    Returns:
        The names of the layers that start anew.

    Raises:
        ModelError: the file is no model, or one of another architecture.
    """
    if path.name == identity.WEIGHTS:
        taken = identity.load_identity(model, path)
        for layer in taken:
            layer.trainable = not freeze
        return [layer.name for layer in _weighted(model) if layer not in taken]
    mine, theirs = _weighted(model), _weighted(innermost(_as_trained(path)))
    anew = []
    for own, other in zip(mine, theirs, strict=False):
        if _shapes(own) == _shapes(other):
            own.set_weights(other.get_weights())
            own.trainable = not freeze or own.name in HEADS
        elif own.name in HEADS:
            anew.append(own.name)
        else:
            break
    else:
        if len(mine) == len(theirs):
            return anew
    raise ModelError(
        f"{path} is of another architecture than {model.name}: its layers with weights are"
        f" {[_shapes(layer)[0] for layer in theirs]}.",
        f"Start from a model that was trained with --network {model.name}.",
    )


def _as_trained(path: Path) -> keras.Model:
    """An earlier model; of a calibration that its card tells of, the temperature alone.

    The rest knows the labels of pictures that this training holds out too.
    """
    if path.name == "model.h5" and (path.parent / "model.json").is_file():
        card = ModelCard.find(path.parent)
        if "calibration" in card.facts:
            return load_uncalibrated(card)
    return load_trained(path)


def _weighted(model: keras.Model) -> list[keras.Layer]:
    """The layers with weights; the heads last, by name, for their order may differ."""
    found = [layer for layer in model.layers if layer.weights]
    return sorted(
        found, key=lambda layer: (layer.name in HEADS, layer.name if layer.name in HEADS else "")
    )


def _shapes(layer: keras.Layer) -> list[tuple[int, ...]]:
    return [tuple(weight.shape) for weight in layer.weights]
