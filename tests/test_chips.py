from __future__ import annotations

import cv2
import numpy as np
import pytest

from forensic_emotion import chips
from forensic_emotion.records import Box, Face
from forensic_emotion.thumbnails import SIDE, thumbnail
from tests.builders import picture


def test_a_training_picture_passes_through_unchanged() -> None:
    grey = np.random.default_rng(0).integers(0, 256, (48, 48), dtype=np.uint8)
    points = np.random.default_rng(1).uniform(0, 48, (68, 2)).astype(np.float32)
    chip = chips.make_chip(grey, chips.whole_picture(grey), points)
    np.testing.assert_array_equal(chip.grey, grey)
    np.testing.assert_allclose(chip.landmarks, points / 48, rtol=1e-6)


def test_a_photograph_and_its_enlargement_give_the_same_chip() -> None:
    """What is seen is the face, not the picture's size or where the face lies in it."""
    rng = np.random.default_rng(0)
    small = cv2.GaussianBlur(rng.integers(0, 256, (200, 300, 3), dtype=np.uint8), (0, 0), 6)
    large = cv2.resize(small, None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC)
    box, points = Box(100, 60, 180, 140), np.full((68, 2), [140, 100], np.float32)
    one = chips.make_chip(small, chips.region_around(box), points)
    three = chips.make_chip(large, chips.region_around(Box(300, 180, 540, 420)), points * 3)
    np.testing.assert_allclose(one.landmarks, three.landmarks, atol=0.01)
    assert np.abs(one.grey.astype(int) - three.grey).mean() < 2


def test_the_region_frames_the_face_as_training_does() -> None:
    region = chips.region_around(Box(100, 100, 200, 200))
    assert region.width == region.height == round(100 * chips.CHIP_SIDE)
    middle = ((region.left + region.right) / 2, (region.top + region.bottom) / 2)
    assert middle == pytest.approx(
        (150 + 100 * chips.CHIP_SHIFT[0], 150 + 100 * chips.CHIP_SHIFT[1]), abs=1
    )


@pytest.mark.parametrize(
    "region", [Box(-5, -5, 5, 5), Box(115, 75, 130, 90), Box(-50, -50, -40, -40), Box(500, 0, 510, 10)]
)
def test_beyond_the_border_the_nearest_pixel_is_repeated(region: Box) -> None:
    image = np.random.default_rng(0).integers(0, 256, (80, 120, 3), dtype=np.uint8)
    part = chips.cut(image, region)
    assert part.shape == (region.height, region.width, 3)
    for y in (0, region.height - 1):
        for x in (0, region.width - 1):
            row, column = np.clip(region.top + y, 0, 79), np.clip(region.left + x, 0, 119)
            assert (part[y, x] == image[row, column]).all()


def test_mirroring_twice_changes_nothing() -> None:
    rng = np.random.default_rng(0)
    images = rng.random((3, 48, 48, 1), dtype=np.float32)
    points = rng.random((3, 68, 2), dtype=np.float32)
    twice = chips.mirror(*chips.mirror(images, points))
    np.testing.assert_array_equal(twice[0], images)
    np.testing.assert_allclose(twice[1], points, atol=1e-6)


def test_mirroring_swaps_left_and_right_points() -> None:
    order = chips.MIRROR_ORDER
    assert sorted(order) == list(range(68))
    assert (order[order] == np.arange(68)).all()
    pairs = {0: 16, 8: 8, 17: 26, 27: 27, 30: 30, 31: 35, 33: 33, 36: 45, 39: 42, 41: 46}
    pairs |= {48: 54, 51: 51, 57: 57, 59: 55, 60: 64, 62: 62, 66: 66, 67: 65}
    assert {point: int(order[point]) for point in pairs} == pairs


def test_input_is_scaled_from_0_to_1() -> None:
    chip = chips.Chip(np.full((48, 48), 255, np.uint8), np.zeros((68, 2), np.float32))
    inputs = chips.to_inputs([chip, chip])
    shapes = {name: values.shape for name, values in inputs.items()}
    assert shapes == {"images": (2, 48, 48, 1), "landmarks": (2, 68, 2), "landmarks_valid": (2, 1)}
    assert inputs["images"].max() == 1.0
    assert {values.dtype for values in inputs.values()} == {np.dtype(np.float32)}


def test_a_thumbnail_is_small_and_never_enlarged() -> None:
    def size(box: Box) -> tuple[int, int]:
        data = np.frombuffer(thumbnail(picture(1000, 800), box), np.uint8)
        return cv2.imdecode(data, cv2.IMREAD_COLOR).shape[:2]

    assert size(Box(100, 100, 600, 600)) == (SIDE, SIDE)
    assert size(Box(100, 100, 120, 120)) == (34, 34)
    assert max(size(Box(-500, -500, 300, 300))) == SIDE
    assert size(Box(-50, -50, -20, -20)) == (1, 1)


def test_records_refuse_what_cannot_be() -> None:
    with pytest.raises(ValueError, match="left < right"):
        Box(5, 0, 5, 10)
    with pytest.raises(ValueError, match=r"expected shape \(68, 2\), got \(5, 2\)"):
        Face(0, Box(0, 0, 1, 1), Box(0, 0, 1, 1), "fake", 1.0, np.zeros((5, 2), np.float32), 0.0, True)
    assert Box(0, 0, 4, 2).height == 2
