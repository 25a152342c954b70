"""A batch of training pictures → the same faces, seen a little differently each time.

Picture and landmarks move together. Every random choice comes from the generator that is given.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from forensic_emotion import chips
from forensic_emotion.settings import TrainSettings

Grey = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
MIDDLE = (chips.SIDE - 1) / 2


@dataclass(frozen=True, eq=False)
class Batch:
    """What one training step is given."""

    inputs: dict[str, Floats]
    targets: dict[str, Floats]
    """Name of the output → probabilities (n, classes)."""
    weights: dict[str, Floats]
    """Name of the output → how much each picture counts there (n,)."""

    def first_half(self) -> Batch:
        """Of its pictures; one of one."""
        parts = (self.inputs, self.targets, self.weights)
        return Batch(*({name: of[: -(-len(of) // 2)] for name, of in part.items()} for part in parts))


def augment(
    grey: Grey, landmarks: Floats, settings: TrainSettings, chance: np.random.Generator
) -> tuple[Floats, Floats]:
    """Move, light and hide the faces of a batch as the settings say.

    Args:
        grey: (n, 48, 48).
        landmarks: (n, 68, 2), as a share of the side.
        settings: how much of each.
        chance: decides.

    Returns:
        Pictures (n, 48, 48, 1) from 0 to 1, and their landmarks.
    """
    n = len(grey)
    angle = np.deg2rad(chance.uniform(-settings.rotate, settings.rotate, n))
    scale = chance.uniform(1 - settings.zoom, 1 + settings.zoom, n)
    shift = chance.uniform(-settings.shift, settings.shift, (n, 2))
    moved = np.empty((n, chips.SIDE, chips.SIDE), np.float32)
    points = np.empty_like(landmarks)
    for i in range(n):
        turn = scale[i] * np.array(
            [[np.cos(angle[i]), -np.sin(angle[i])], [np.sin(angle[i]), np.cos(angle[i])]]
        )
        offset = shift[i] * chips.SIDE + MIDDLE - turn @ [MIDDLE, MIDDLE]
        matrix = np.hstack([turn, offset[:, None]])
        moved[i] = cv2.warpAffine(
            grey[i], matrix, (chips.SIDE, chips.SIDE), borderMode=cv2.BORDER_REPLICATE
        )
        points[i] = (landmarks[i] * chips.SIDE @ turn.T + offset) / chips.SIDE
    contrast = chance.uniform(1 - settings.light, 1 + settings.light, (n, 1, 1)).astype(np.float32)
    brightness = chance.uniform(-settings.light, settings.light, (n, 1, 1)).astype(np.float32)
    mean = moved.mean(axis=(1, 2), keepdims=True)
    images = np.clip(((moved - mean) * contrast + mean) / 255 + brightness * 0.5, 0, 1)[..., None]
    if settings.flip:
        flipped = chance.random(n) < 0.5
        images[flipped], points[flipped] = chips.mirror(images[flipped], points[flipped])
    erase(images, settings.erase, chance)
    return images.astype(np.float32), points


def erase(images: Floats, share: float, chance: np.random.Generator) -> None:
    """Cover a rectangle of some of the pictures, in place, as a hand or a microphone does.

    Method: Zhong et al. 2020, "Random erasing data augmentation". Half of the patches are of one grey,
    half are noise.
    """
    for i in np.flatnonzero(chance.random(len(images)) < share):
        area = chance.uniform(0.02, 0.25) * chips.SIDE**2
        aspect = np.exp(chance.uniform(np.log(0.4), np.log(2.5)))
        height = int(np.clip(round(np.sqrt(area * aspect)), 2, chips.SIDE - 1))
        width = int(np.clip(round(np.sqrt(area / aspect)), 2, chips.SIDE - 1))
        top, left = (
            chance.integers(0, chips.SIDE - height + 1),
            chance.integers(0, chips.SIDE - width + 1),
        )
        patch = images[i, top : top + height, left : left + width]
        patch[...] = chance.random(patch.shape if chance.random() < 0.5 else 1)


def smooth(targets: Floats, amount: float) -> Floats:
    """Take so much of each probability and spread it evenly (Szegedy et al. 2016)."""
    return (targets * (1 - amount) + amount / targets.shape[1]).astype(np.float32)


def mix(batch: Batch, alpha: float, chance: np.random.Generator) -> Batch:
    """Blend each picture and its targets with another one's (Zhang et al. 2018).

    Landmarks stay those of the greater part: a blend of two shapes is no shape.
    """
    n = len(next(iter(batch.inputs.values())))
    other = chance.permutation(n)
    share = chance.beta(alpha, alpha)
    share = float(max(share, 1 - share))  # each picture keeps the greater part of itself

    images = batch.inputs["images"]
    inputs = {
        **batch.inputs,
        "images": (share * images + (1 - share) * images[other]).astype(np.float32),
    }
    weights, targets = {}, {}
    for name, target in batch.targets.items():
        weight = batch.weights[name]
        # A picture without a target takes no part in the blend of targets.
        own, others = share * weight, (1 - share) * weight[other]
        total = own + others
        blended = own[:, None] * target + others[:, None] * target[other]
        targets[name] = (blended / np.maximum(total, 1e-6)[:, None]).astype(np.float32)
        weights[name] = total.astype(np.float32)
    return Batch(inputs, targets, weights)
