"""``femo merge``: trained models → one model that averages their answers, calibrated anew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from rich.progress import Progress

from forensic_emotion import chips
from forensic_emotion.emotions.card import ModelCard
from forensic_emotion.emotions.layers import MirrorImage, Zoom
from forensic_emotion.errors import FemoError, ModelError, UsageError
from forensic_emotion.training import data
from forensic_emotion.training.calibrate import calibrate, calibration
from forensic_emotion.training.export import trained_with, write_model
from forensic_emotion.training.loading import innermost, load_uncalibrated
from forensic_emotion.training.network import committee, symmetric
from forensic_emotion.training.provenance import commit, merge_line, trained
from forensic_emotion.training.regression import SoftmaxRegression
from forensic_emotion.training.scoring import score
from forensic_emotion.training.sources import LABELS


def merge(
    folders: Sequence[Path],
    source: Path,
    out: Path,
    max_error: float,
    progress: Progress,
    *,
    weights: bool = False,
    mirror_sizes: Sequence[float] = (),
) -> Path:
    """Write one model that asks all of the given ones, or has the mean of their weights.

    Calibration and threshold are fitted on the pictures that all of them held out; what only some held
    out is used for a correction before (``_fitted_before``).

    Args:
        folders: of the trained models, two or more.
        source: the data that they were trained on.
        out: folder to write to; it may hold no model yet.
        max_error: see ``TrainSettings``.
        progress: shows how far landmarks are.
        weights: average the weights, not the answers (Wortsman et al. 2022, "Model soups"). Good for
            trainings that went on from each other; others' weights have nothing to do with one another.
        mirror_sizes: ask each network about the face and about a mirror image of each of these sizes,
            see ``network.symmetric``; none: as the models are.

    Returns:
        The folder.

    Raises:
        DataError: the data cannot be read.
        ModelError: a model cannot be used, or was trained on other data; with ``weights``, they are not
            of one network.
        UsageError: fewer than two models, or ``out`` is in use.
        FemoError: the model cannot be written.
    """
    if len(folders) < 2:
        raise UsageError("A single model cannot be merged.", "Give two or more.")
    if (out / "model.json").exists():
        raise UsageError(f"{out} already holds a model.", "Choose another folder with --out.")
    made_by = commit()
    cards = [ModelCard.find(folder) for folder in folders]
    pictures = data.read(source, None, lambda p: progress.track(p, description="landmarks"))
    if {trained(card).data_sha256 for card in cards} != {pictures.sha256}:
        raise ModelError(
            f"{', '.join(map(str, folders))} were not all trained on {source}.",
            "One of them may have been fitted to pictures that are needed to calibrate the result.",
        )
    smallest = min(cards, key=_share)
    held_out = data.split_training(pictures, _share(smallest)).validation
    form = _Form(weights, tuple(mirror_sizes))
    first = _fitted_before(cards, pictures, held_out, form)
    networks, model = _joined(cards, form)
    calibrated = calibrate(networks, model, held_out, max_error, first.correction if first else None)
    card = {
        "name": out.resolve().name,
        "network": trained(cards[0]).network
        if weights
        else "committee of " + " and ".join(trained(each).network for each in cards),
        "parameters": int(model.count_params()),
        "labels": list(LABELS),
        "input": {"images": [chips.SIDE, chips.SIDE, 1], "landmarks": [68, 2]},
        "preprocessing": chips.PREPROCESSING,
        "data": smallest.facts["data"],
        "settings": {
            "validation_share": _share(smallest),
            "max_error": max_error,
            "mirror_sizes": list(mirror_sizes or _mirror_sizes(model)),
        },
        "members": [_as_member(each) for each in cards],
        "command": merge_line(folders, source, out, max_error, weights, mirror_sizes),
        "commit": made_by,
        "trained_with": trained_with(),
        **calibrated,
        "calibrated_before": {"n": first.n, "ridge": first.ridge} if first else None,
    }
    try:
        out.mkdir(parents=True, exist_ok=True)
        write_model(model, out, card)
    except (OSError, RuntimeError) as error:  # h5py raises the latter on a full disk
        raise FemoError(
            f"The model cannot be written to {out}: {getattr(error, 'strerror', None) or error}.",
            "Free up space there, or choose another folder with --out.",
        ) from error
    return out


def _share(card: ModelCard) -> float:
    """Of Training, held out when the model was trained."""
    return trained(card).validation_share


@dataclass(frozen=True)
class _Form:
    """How models become one."""

    weights: bool
    """By the mean of their weights, not of their answers."""
    mirror_sizes: tuple[float, ...]
    """See ``merge``."""


@dataclass(frozen=True, eq=False)
class _Before:
    """A correction that was fitted before the members' common held-out part was looked at."""

    n: int
    """Pictures it was fitted to."""
    ridge: float | None
    """See ``calibrate.RIDGES``."""
    correction: SoftmaxRegression


def _fitted_before(
    cards: Sequence[ModelCard], pictures: data.Pictures, held_out: data.Pictures, form: _Form
) -> _Before | None:
    """What the pictures tell that only some members held out, scored by those.

    None if all held out the same. A last run that holds out little leaves too few pictures for a matrix;
    which classes such networks prefer to others is told by those that it went on from.
    """
    largest = max(map(_share, cards))
    more = data.split_training(pictures, largest).validation
    others = more.where(~np.isin(more.row, held_out.row))
    if not len(others):
        return None
    _, model = _joined([card for card in cards if _share(card) == largest], form)
    fitted = calibration(score(model, others.inputs()), others.labels)
    return _Before(len(others), fitted.ridge, fitted.correction)


def _joined(cards: Sequence[ModelCard], form: _Form) -> tuple[list[keras.Model], keras.Model]:
    """The networks that hold a last layer, and what asks all of them."""
    members = [load_uncalibrated(card) for card in cards]
    if form.mirror_sizes:
        members = [symmetric(innermost(member), form.mirror_sizes) for member in members]
    if form.weights and len(members) > 1:
        members = [_mean(members, [str(card.folder) for card in cards])]
    model = members[0] if len(members) == 1 else committee(members)
    return [innermost(member) for member in members], model


def _as_member(card: ModelCard) -> dict[str, object]:
    """What the card of the whole says of one model."""
    facts = card.facts
    keys = ["name", "network", "parameters", "settings", "command", "commit", "trained_with"]
    # The weights of a mean of weights may be averaged again.
    keys += ["members"] if "members" in facts else ["init", "teachers", "epoch"]
    return {key: facts.get(key) for key in keys} | {"sha256": facts["files"]["model.h5"]["sha256"]}


def _mirror_sizes(model: keras.Model) -> tuple[float, ...]:
    """Of the mirror images that it is asked about too; none if it is not, or is several networks."""
    sizes = [float(layer.scale) for layer in model.layers if isinstance(layer, Zoom)]
    mirrors = sum(isinstance(layer, MirrorImage) for layer in model.layers)
    return tuple(sorted([*sizes, *[1.0] * (mirrors - len(sizes))]))


def _mean(members: Sequence[keras.Model], names: Sequence[str]) -> keras.Model:
    """One of the models, with the mean of the weights of all.

    Raises:
        ModelError: they are not of one network.
    """
    shapes = [(m.name, [tuple(w.shape) for w in m.weights]) for m in map(innermost, members)]
    if any(each != shapes[0] for each in shapes):
        raise ModelError(
            f"The weights of {', '.join(names)} cannot be averaged: they are not weights of one"
            " network.",
            "Merge them without --weights, or train each from the other with --init.",
        )
    if len({_mirror_sizes(member) for member in members}) > 1:
        raise ModelError(
            f"{', '.join(names)} do not use mirror images of a face in the same sizes.",
            "Give the sizes for the result: --mirror-size.",
        )
    every = zip(*(m.get_weights() for m in members), strict=True)
    members[0].set_weights([np.mean(each, axis=0) for each in every])
    return members[0]
