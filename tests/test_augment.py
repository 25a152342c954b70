from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from forensic_emotion.settings import TrainSettings
from forensic_emotion.training.augment import Batch, augment, erase, mix, smooth

STILL: dict[str, Any] = {
    "rotate": 0.0,
    "shift": 0.0,
    "zoom": 0.0,
    "light": 0.0,
    "erase": 0.0,
    "flip": False,
}


def chance(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def spots(n: int = 200) -> tuple[np.ndarray, np.ndarray]:
    """Pictures that are black but for one bright spot, with all landmarks on it."""
    grey = np.zeros((n, 48, 48), np.uint8)
    points = np.empty((n, 68, 2), np.float32)
    for i, (x, y) in enumerate(chance().integers(14, 34, (n, 2))):
        grey[i, y - 1 : y + 2, x - 1 : x + 2] = 255
        points[i] = (x / 48, y / 48)
    return grey, points


def test_nothing_asked_for_changes_nothing() -> None:
    grey, points = spots(20)
    images, landmarks = augment(grey, points, TrainSettings(**STILL), chance())
    np.testing.assert_allclose(images[..., 0] * 255, grey, atol=1e-3)
    np.testing.assert_allclose(landmarks, points, atol=1e-6)


@pytest.mark.parametrize(
    "change",
    [
        {"rotate": 30.0},
        {"shift": 0.1},
        {"zoom": 0.3},
        {"flip": True},
        {"rotate": 20.0, "shift": 0.1, "zoom": 0.2, "flip": True},
    ],
    ids=lambda change: "+".join(change),
)
def test_landmarks_move_with_the_picture(change: dict[str, Any]) -> None:
    grey, points = spots()
    images, landmarks = augment(grey, points, TrainSettings(**{**STILL, **change}), chance())
    moved = 0.0
    for image, before, after in zip(images[..., 0], points, landmarks, strict=True):
        weight = image / image.sum()
        seen = np.array(
            [(weight.sum(axis=0) * np.arange(48)).sum(), (weight.sum(axis=1) * np.arange(48)).sum()]
        )
        # A mirror turns about the middle of the picture: half a pixel from the middle of its pixels.
        assert np.abs(after[0] * 48 - seen).max() < 1.1
        moved = max(moved, float(np.abs(after - before).max()))
    assert moved > 0.02


def test_light_and_patches_leave_the_range_and_the_landmarks() -> None:
    grey = chance().integers(0, 256, (50, 48, 48), dtype=np.uint8)
    points = chance().random((50, 68, 2), dtype=np.float32)
    settings = TrainSettings(**{**STILL, "light": 0.8, "erase": 1.0})
    images, landmarks = augment(grey, points, settings, chance())
    assert images.dtype == np.float32
    assert 0 <= images.min() < images.max() <= 1
    np.testing.assert_allclose(landmarks, points, atol=1e-6)


def test_patches_cover_a_part_of_some() -> None:
    images = np.full((400, 48, 48, 1), 2.0, np.float32)
    erase(images, 0.5, chance())
    covered = (images != 2.0).mean(axis=(1, 2, 3))
    assert 0.4 < (covered > 0).mean() < 0.6
    assert covered[covered > 0].min() > 0.01
    assert covered.max() < 0.3


def test_the_same_chance_gives_the_same_batch() -> None:
    grey, points = spots(30)
    one, two = (augment(grey, points, TrainSettings(), chance(3)) for _ in range(2))
    other = augment(grey, points, TrainSettings(), chance(4))
    np.testing.assert_array_equal(one[0], two[0])
    assert (one[0] != other[0]).any()


def test_smoothing_keeps_the_sum() -> None:
    smoothed = smooth(np.eye(7, dtype=np.float32), 0.1)
    np.testing.assert_allclose(smoothed.sum(axis=1), 1, rtol=1e-6)
    assert smoothed[0, 0] == pytest.approx(0.9 + 0.1 / 7)


def test_a_blend_keeps_probabilities_and_leaves_out_what_has_no_target() -> None:
    n = 64
    targets = {"output": np.eye(7, dtype=np.float32)[np.arange(n) % 7]}
    targets["ferplus"] = np.eye(8, dtype=np.float32)[np.arange(n) % 8]
    weights = {"output": np.ones(n, np.float32), "ferplus": (np.arange(n) < 32).astype(np.float32)}
    targets["ferplus"][32:] = 0
    inputs = {"images": chance().random((n, 48, 48, 1), dtype=np.float32)}
    blended = mix(Batch(inputs, targets, weights), 0.4, chance())
    np.testing.assert_allclose(blended.targets["output"].sum(axis=1), 1, rtol=1e-5)
    counted = blended.weights["ferplus"] > 0
    np.testing.assert_allclose(blended.targets["ferplus"][counted].sum(axis=1), 1, rtol=1e-5)
    assert (blended.targets["output"].argmax(axis=1) == np.arange(n) % 7).all(), (
        "the own part is the greater"
    )
    assert blended.weights["ferplus"].sum() == pytest.approx(32, rel=0.3)
