"""Detectors, landmarks, quality and tracks; real weights in tests marked slow."""

from __future__ import annotations

import csv
from dataclasses import fields, replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from forensic_emotion.chips import Chip
from forensic_emotion.errors import ModelError, UsageError
from forensic_emotion.faces import centerface
from forensic_emotion.faces.centerface import read_heat_map, suppress_overlaps
from forensic_emotion.faces.detector import load_detector, scale_for
from forensic_emotion.faces.landmarks import LandmarkPredictor
from forensic_emotion.faces.quality import MODEL, RIGID, assess, head_pose
from forensic_emotion.faces.tracks import link
from forensic_emotion.outcomes import joined
from forensic_emotion.records import (
    Box,
    Evidence,
    Face,
    FaceResult,
    FrameTime,
    MediaFacts,
    Outcome,
    Planned,
    Problem,
    Quality,
    Track,
    answer,
)
from forensic_emotion.settings import ScanSettings
from tests.builders import DEMO, SHARED, read_frames

LABELS = ("calm", "loud")


# ---- detectors -------------------------------------------------------------------------------------


def test_a_heat_map_is_read() -> None:
    heat = np.zeros((4, 5), np.float32)
    heat[1, 3], heat[2, 0], heat[3, 3] = 0.9, 0.39, 0.4
    size = np.zeros((2, 4, 5), np.float32)
    size[:, 1, 3] = np.log(5), np.log(3)
    offset = np.zeros((2, 4, 5), np.float32)
    offset[:, 1, 3] = 0.25, -0.5
    points = np.zeros((10, 4, 5), np.float32)
    points[:, 1, 3] = 0.4, 0.25, 0.4, 0.75, 0.6, 0.5, 0.8, 0.25, 0.8, 0.75
    assert len(read_heat_map(heat, size, offset, points, 0.95).scores) == 0
    found = read_heat_map(heat, size, offset, points, 0.4)
    # The middle: (1 + 0.25 + 0.5) * 4 down, (3 - 0.5 + 0.5) * 4 across; 20 high, 12 wide.
    np.testing.assert_allclose(found.boxes[0], [12 - 6, 7 - 10, 12 + 6, 7 + 10], rtol=1e-5)
    np.testing.assert_allclose(found.scores, [0.9, 0.4])
    assert found.keypoints.shape == (2, 5, 2)
    np.testing.assert_allclose(
        found.keypoints[0], [(9, 5), (15, 5), (12, 9), (9, 13), (15, 13)], rtol=1e-5
    )


def test_of_boxes_that_overlap_the_surest_stays() -> None:
    boxes = np.array([[0, 0, 10, 10], [1, 1, 11, 11], [20, 0, 30, 10], [24, 0, 34, 10]], np.float32)
    # The first two share 81 of 119, the last two 60 of 140.
    assert suppress_overlaps(boxes, np.array([0.5, 0.9, 0.8, 0.7], np.float32)) == [1, 2]
    assert suppress_overlaps(boxes[[0, 2]], np.array([0.5, 0.9], np.float32)) == [1, 0]
    assert suppress_overlaps(boxes[:0], np.zeros(0, np.float32)) == []


def test_a_picture_is_scaled_for_the_smallest_face_unless_that_is_too_much() -> None:
    settings = ScanSettings(smallest_face=40, long_side=1000)
    assert scale_for(400, 300, settings, native=80) == 2
    assert scale_for(300, 800, settings, native=80) == 1.25
    detector = load_detector(replace(settings, detector="hog"))
    assert detector.smallest(400, 300) == 40
    assert detector.smallest(300, 800) == 64


def test_weights_that_are_not_those_that_were_measured_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = bytearray(centerface.WEIGHTS.read_bytes())
    content[-1] ^= 1
    changed = tmp_path / "centerface.onnx"
    changed.write_bytes(content)
    monkeypatch.setattr(centerface, "WEIGHTS", changed)
    with pytest.raises(ModelError, match="damaged or another file"):
        load_detector(ScanSettings())
    changed.unlink()
    with pytest.raises(ModelError, match="cannot be read"):
        load_detector(ScanSettings())


def test_a_detector_that_does_not_exist() -> None:
    with pytest.raises(UsageError, match="--detector: 'haar' is not one of centerface, hog, mmod"):
        ScanSettings(detector="haar")


def overlap(a: Box, b: Box) -> float:
    across = max(0, min(a.right, b.right) - max(a.left, b.left))
    down = max(0, min(a.bottom, b.bottom) - max(a.top, b.top))
    return across * down / (a.width * a.height + b.width * b.height - across * down)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["centerface", "hog", "mmod"])
def test_detectors_find_the_face_of_the_demo(name: str) -> None:
    detector = load_detector(ScanSettings(detector=name, smallest_face=60))
    (frame,), _ = read_frames(DEMO / "portrait.jpg")
    width = frame.image.shape[1]
    (found,) = detector.detect(frame.image)
    square = found.square
    assert abs(square.width - square.height) <= 1
    # dlib frames this face so; the others must be brought to that.
    (dlibs,) = load_detector(ScanSettings(detector="hog", smallest_face=60)).detect(frame.image)
    assert overlap(square, dlibs.square) > 0.6
    # A picture that is cut through the face, and one of a single pixel.
    detector.detect(np.ascontiguousarray(frame.image[:, : (found.box.left + found.box.right) // 2]))
    assert detector.detect(np.zeros((1, 1, 3), np.uint8)) == []
    assert detector.detect(np.zeros((1, width, 3), np.uint8)) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ["centerface", "hog"])
def test_a_face_counts_from_the_confidence_that_is_asked_for(name: str) -> None:
    asked = ScanSettings(detector=name, smallest_face=60)
    (frame,), _ = read_frames(DEMO / "portrait.jpg")
    (found,) = load_detector(asked).detect(frame.image)
    # dlib's score is a margin.
    sure = found.score if name == "centerface" else 1 / (1 + np.exp(-found.score))
    least = replace(asked, confidence=0.99 * float(sure))
    assert len(load_detector(least).detect(frame.image)) == 1
    more = replace(asked, confidence=1.01 * float(sure))
    assert load_detector(more).detect(frame.image) == []


@pytest.mark.slow
def test_pictures_of_any_size_are_looked_at() -> None:
    detector = load_detector(ScanSettings())
    (frame,), _ = read_frames(DEMO / "portrait.jpg")
    large = cv2.resize(frame.image, (7680, 7680))
    (found,) = detector.detect(large)
    (small,) = detector.detect(frame.image)
    expected = Box(*(15 * side for side in vars(small.box).values()))  # the picture has 512x512
    assert overlap(found.box, expected) > 0.7
    assert detector.smallest(7680, 7680) == pytest.approx(15 * 7680 / ScanSettings().long_side)
    for shape in ((1, 5000, 3), (5000, 1, 3), (1, 1, 3)):
        assert detector.detect(np.full(shape, 128, np.uint8)) == []


@pytest.mark.slow
@pytest.mark.skipif(not SHARED.exists(), reason="../shared is not there")
@pytest.mark.parametrize(("scale", "least"), [(1.0, 0.95), (0.5, 0.90)])
def test_the_default_finds_the_crowds(scale: float, least: float) -> None:
    folder = SHARED / "media" / "faces"
    with (folder / "boxes.csv").open() as source:
        rows = list(csv.DictReader(source))
    detector = load_detector(ScanSettings())
    found = reported = 0
    for name in sorted({row["file"] for row in rows}):
        image = cv2.cvtColor(cv2.imread(str(folder / name)), cv2.COLOR_BGR2RGB)
        image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        boxes = []
        for row in rows:
            if row["file"] == name:
                left, top, width, height = (
                    float(row[side]) * scale for side in ("left", "top", "width", "height")
                )
                boxes.append(Box(*(round(v) for v in (left, top, left + width, top + height))))
        detections = detector.detect(image)
        reported += len(detections)
        found += sum(any(overlap(d.square, box) > 0.3 for d in detections) for box in boxes)
    assert found >= least * len(rows)
    assert found >= 0.95 * reported


# ---- landmarks and quality -------------------------------------------------------------------------


@pytest.mark.slow
def test_landmarks_fit_a_face_and_no_background() -> None:
    predictor = LandmarkPredictor()
    (frame,), _ = read_frames(DEMO / "portrait.jpg")
    (found,) = load_detector(ScanSettings()).detect(frame.image)
    points = predictor.place(frame.image, found.square)
    by_detector = predictor.fit(frame.image, found, points)
    assert by_detector.well
    assert 0 < by_detector.spread < 0.05
    unmarked = replace(found, keypoints=None)  # as hog and mmod report a face
    placed_twice = predictor.fit(frame.image, unmarked, points)
    assert placed_twice.well
    assert placed_twice.spread < 0.02
    # Points of another face, here the same one elsewhere, fit badly.
    beside = replace(found, keypoints=found.keypoints + 0.1 * found.square.width)
    assert not predictor.fit(frame.image, beside, points).well
    noise = np.random.default_rng(0).integers(0, 255, (200, 200, 3), dtype=np.uint8)
    nothing = Box(50, 50, 150, 150)
    unmarked = replace(unmarked, box=nothing, square=nothing)
    assert not predictor.fit(noise, unmarked, predictor.place(noise, nothing)).well
    # A small face is enlarged first: its points lie between the pixels, and where they should.
    small = cv2.resize(frame.image, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    square = Box(*(round(side / 4) for side in vars(found.square).values()))
    assert square.width < 60
    placed = predictor.place(small, square)
    assert np.linalg.norm(placed * 4 - points, axis=1).mean() < 0.05 * found.square.width
    assert (placed % 1).any()


def turned(yaw: float, pitch: float, roll: float) -> np.ndarray:
    """68 points of the rigid model seen so, the others at the middle."""
    y, p, r = np.radians([yaw, pitch, roll])
    about_y = np.array([[np.cos(y), 0, -np.sin(y)], [0, 1, 0], [np.sin(y), 0, np.cos(y)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(p), np.sin(p)], [0, -np.sin(p), np.cos(p)]])
    about_z = np.array([[np.cos(r), -np.sin(r), 0], [np.sin(r), np.cos(r), 0], [0, 0, 1]])
    seen = (MODEL - MODEL.mean(axis=0)) @ (about_z @ about_y @ about_x).T + [0, 0, 6]
    points = np.full((68, 2), 100.0, np.float32)
    points[list(RIGID)] = 100 + 400 * seen[:, :2] / seen[:, 2:]
    return points


@pytest.mark.parametrize("pose", [(0, 0, 0), (25, 0, 0), (0, 20, 0), (0, 0, 30), (-40, 10, 0)])
def test_a_pose_is_found_again(pose: tuple[float, float, float]) -> None:
    assert head_pose(turned(*pose)) == pytest.approx(pose, abs=2)


def test_no_pose_of_points_that_are_no_face() -> None:
    assert head_pose(np.zeros((68, 2), np.float32)) is None


def face(box: Box, points: np.ndarray | None = None, fits: bool = True) -> Face:
    return Face(0, box, box, "fake", 1.0, turned(0, 0, 0) if points is None else points, 0.0, fits)


SHARP = np.random.default_rng(0).integers(60, 200, (48, 48), dtype=np.uint8)


@pytest.mark.parametrize(
    ("given", "grey", "faults"),
    [
        (face(Box(10, 10, 90, 90)), SHARP, ()),
        (face(Box(10, 10, 30, 30)), SHARP, ("small",)),
        (face(Box(10, 10, 90, 90)), cv2.GaussianBlur(SHARP, (0, 0), 3), ("blurred",)),
        (face(Box(10, 10, 90, 90)), cv2.GaussianBlur(SHARP, (0, 0), 3) // 8, ("blurred", "dark")),
        (face(Box(10, 10, 90, 90)), np.full((48, 48), 230, np.uint8), ("blurred", "bright")),
        (face(Box(10, 10, 90, 90), turned(35, 0, 0)), SHARP, ("turned",)),
        (face(Box(-20, 10, 60, 90)), SHARP, ("cut",)),
        (face(Box(10, 10, 90, 90), fits=False), SHARP, ("landmarks",)),
    ],
)
def test_what_is_poor_is_marked(given: Face, grey: np.ndarray, faults: tuple[str, ...]) -> None:
    quality = assess(given, Chip(grey, given.landmarks), 100, 100)
    assert quality.faults == faults
    assert quality.size == given.box.width
    assert quality.outside == (0.25 if faults == ("cut",) else 0)


# ---- tracks ----------------------------------------------------------------------------------------


def seen(frame: int, left: int, *, size: int = 40, happy: float = 0.5, stream: int = 0) -> FaceResult:
    """A face of a frame; four frames a second."""
    box = Box(left, 50, left + size, 50 + size)
    quality = Quality(size, 0, 0, 0, 0, 0, 0, ())
    return FaceResult(
        *(stream, frame, (640, 360), FrameTime(frame, Fraction(1, 4)), face(box), quality),
        *((happy, 1 - happy), "", 0.0, "", b""),
    )


def tracks_of(*results: FaceResult, interval: float = 0.25) -> list[int | None]:
    return list(link(results, interval, LABELS, 0.6, lambda _: None))


def test_faces_that_pass_each_other_stay_in_their_tracks() -> None:
    faces = [seen(i, left) for i in range(16) for left in (150, i * 20)]
    assert tracks_of(*faces) == [0, 1] * 16


def test_what_moves_by_more_than_its_size_is_somebody_new() -> None:
    assert tracks_of(*(seen(i, 60 * i) for i in range(4))) == [0, 1, 2, 3]


def test_slow_motion_is_one_track_and_a_jump_another() -> None:
    assert tracks_of(*(seen(i, 10 * i) for i in range(6))) == [0] * 6
    assert tracks_of(seen(0, 0), seen(1, 300)) == [0, 1]
    assert tracks_of(seen(0, 0), seen(1, 5, size=90)) == [0, 1]


def test_a_short_gap_is_bridged_and_a_long_one_not() -> None:
    assert tracks_of(seen(0, 0), seen(8, 0)) == [0, 0]
    assert tracks_of(seen(0, 0), seen(9, 0)) == [0, 1]
    assert tracks_of(seen(0, 0), seen(40, 0), interval=5.0) == [0, 0]
    # A sample that is missed, at whatever rate the frames come: 2.002 s apart at 29.97 a second.
    late = replace(seen(8, 0), time=FrameTime(60, Fraction(1001, 30_000)))
    assert tracks_of(seen(0, 0), late, interval=1.0) == [0, 0]
    assert tracks_of(seen(0, 0), seen(12, 0), interval=1.0) == [0, 1]


def test_a_clock_that_is_set_back_ends_a_track() -> None:
    assert tracks_of(seen(9, 0), seen(8, 0), seen(9, 0)) == [0, 1, 1]


def test_frames_without_a_time_among_others_go_on_with_their_track() -> None:
    faces = [seen(i, 100 + i) for i in range(12)]
    faces = [each if i % 3 == 0 else replace(each, time=None) for i, each in enumerate(faces)]
    assert tracks_of(*faces) == [0] * 12


def test_streams_have_tracks_of_their_own() -> None:
    assert tracks_of(seen(0, 0), seen(1, 0), seen(1, 0, stream=1)) == [0, 0, 1]


def test_a_track_is_summed_up() -> None:
    ended: list[Track] = []
    faces = [seen(0, 0, happy=0.2), seen(1, 0, happy=0.1), seen(1, 300), seen(12, 300)]
    assert list(link(faces, 0.25, LABELS, 0.6, ended.append)) == [0, 0, 1, 2]
    track, other, late = ended
    assert (track.number, track.faces, track.stream) == (0, 2, 0)
    assert track.probabilities == pytest.approx((0.15, 0.85))
    assert (track.top_class, track.label) == ("loud", "loud")
    assert (track.first, track.last) == (faces[0].time, faces[1].time)
    assert (other.label, other.confidence) == ("uncertain", 0.5)
    assert (late.number, late.first, late.last) == (2, faces[3].time, faces[3].time)


def test_a_face_at_the_threshold_itself_is_not_answered() -> None:
    """It has to be above it: so it was chosen."""
    labels = ("a", "b")
    assert answer(np.array([0.25, 0.75]), labels, 0.75) == ("b", 0.75, "uncertain")
    assert answer(np.array([0.25, 0.75]), labels, 0.7499) == ("b", 0.75, "b")


def test_pieces_with_a_fault_are_not_joined() -> None:
    evidence, media = Evidence(*[None] * len(fields(Evidence))), MediaFacts()  # type: ignore[arg-type]
    planned = Planned(evidence, ())
    sound = Outcome(b"v", "v", "no_face", evidence=evidence, kind="video", media=media, frames=2)
    assert joined(planned, [sound, sound]) is not None
    for fault in (
        replace(sound, problems=(Problem("decode", "damaged", "a packet is missing"),)),
        replace(sound, media=None),
    ):
        assert joined(planned, [sound, fault]) is None
