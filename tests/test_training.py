from __future__ import annotations

import csv
import hashlib
import json
import os
import re
import resource
import shutil
import struct
import zlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image
from rich.console import Console
from rich.progress import Progress
from typer.testing import CliRunner

from forensic_emotion import chips
from forensic_emotion.backend import check_backend
from forensic_emotion.cli import app
from forensic_emotion.emotions.card import ModelCard
from forensic_emotion.emotions.classifier import load_classifier
from forensic_emotion.errors import DataError, FemoError, ModelError, UsageError
from forensic_emotion.intervals import wilson
from forensic_emotion.settings import EvaluateSettings, TrainSettings
from forensic_emotion.training import data, sources
from forensic_emotion.training.calibrate import (
    calibration,
    choose_threshold,
    fit_temperature,
    soften,
)
from forensic_emotion.training.census import take_census
from forensic_emotion.training.disturb import DISTURBANCES
from forensic_emotion.training.metrics import (
    answered_above,
    expected_calibration_error,
    measure,
    risk_coverage,
)
from forensic_emotion.training.regression import (
    SoftmaxRegression,
    centred_logits,
    chained,
    fit_softmax,
)
from tests.builders import ALWAYS, write_fer2013

# ---- figures ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"),
    # Published examples of the score interval: Newcombe 1998, table I; and both ends.
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson(hits: int, n: int, low: float, high: float) -> None:
    interval = wilson(hits, n)
    assert interval.value == hits / n
    assert interval.low == pytest.approx(low, abs=5e-5)
    assert interval.high == pytest.approx(high, abs=5e-5)
    assert wilson(n - hits, n).high == pytest.approx(1 - low, abs=5e-5)


def test_the_line_that_is_printed() -> None:
    assert str(wilson(2158, 3589)) == "0.6013 (95% 0.5852-0.6172, n=3589)"
    for hits, n in ((0, 0), (3, 2), (-1, 2)):
        with pytest.raises(ValueError, match="hits"):
            wilson(hits, n)


def test_figures() -> None:
    probabilities = np.array([[0.7, 0.2, 0.1], [0.6, 0.3, 0.1], [0.1, 0.8, 0.1]], np.float32)
    figures = measure(probabilities, np.array([0, 1, 1]), ("a", "b", "c"))
    assert figures.confusion.tolist() == [[1, 0, 0], [1, 1, 0], [0, 0, 0]]
    assert figures.accuracy.value == pytest.approx(2 / 3)
    assert figures.loss == pytest.approx(-np.log([0.7, 0.3, 0.8]).mean(), rel=1e-6)
    assert figures.macro_f1 == pytest.approx((2 / 3 + 2 / 3 + 0) / 3)
    assert figures.brier == pytest.approx(
        np.mean([0.14, 0.36 + 0.49 + 0.01, 0.01 + 0.04 + 0.01]), rel=1e-5
    )
    a, b, c = figures.classes
    assert (a.precision, a.recall, a.n, a.answered) == (0.5, 1.0, 1, 2)
    assert (b.precision, b.recall) == (1.0, 0.5)
    assert (c.precision, c.recall, c.n, c.answered) == (None, None, 0, 0)


def test_certain_and_wrong_is_not_infinite() -> None:
    figures = measure(np.array([[1.0, 0.0]], np.float32), np.array([1]), ("a", "b"))
    assert 10 < figures.loss < 20


def drawn(temperature: float, n: int = 20_000) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities, and labels drawn from them at another temperature."""
    chance = np.random.default_rng(0)
    said = soften(chance.dirichlet(np.ones(7), n).astype(np.float32), 0.5)
    true = soften(said, temperature)
    labels = (true.cumsum(axis=1) > chance.random((n, 1))).argmax(axis=1)
    return said, labels


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_the_temperature_is_found_again(temperature: float) -> None:
    said, labels = drawn(temperature)
    assert fit_temperature(said, labels) == pytest.approx(temperature, rel=0.05)
    softened = soften(said, temperature)
    assert (softened.argmax(axis=1) == said.argmax(axis=1)).all()
    assert expected_calibration_error(softened, labels) < 0.02


def test_classes_that_are_preferred_wrongly_are_put_right() -> None:
    said, _ = drawn(1.0)
    wrong = np.eye(7) + np.diag([0.3] * 6, 1) - np.diag([0.2] * 6, -1)
    bias = np.linspace(-0.8, 0.8, 7)
    true = SoftmaxRegression(wrong, bias).probabilities(centred_logits(said))
    chance = np.random.default_rng(1)
    labels = (true.cumsum(axis=1) > chance.random((len(said), 1))).argmax(axis=1)
    fitted = calibration(said[:5000], labels[:5000])
    corrected = fitted.correction.probabilities(centred_logits(said[5000:]))
    new = labels[5000:]
    before, best = (_loss(p[5000:], new) for p in (said, true))
    assert _loss(corrected, new) - best < 0.02 * (before - best)
    assert fitted.ridge is not None
    # What the card says comes from pictures that were not fitted to.
    own = fitted.correction.probabilities(centred_logits(said[:5000]))
    assert _loss(own, labels[:5000]) < _loss(fitted.cross_fitted, labels[:5000])
    assert _loss(fitted.cross_fitted, labels[:5000]) == pytest.approx(best, rel=0.05)


def _loss(probabilities: np.ndarray, labels: np.ndarray) -> float:
    return float(-np.log(probabilities[np.arange(len(labels)), labels]).mean())


def test_few_pictures_are_calibrated_by_the_temperature_alone() -> None:
    said, labels = drawn(2.0, n=40)
    assert calibration(said, labels).ridge is None
    said, labels = drawn(2.0, n=500)
    some = labels != 3  # or one of the classes was held out nowhere
    assert calibration(said[some], labels[some]).ridge is None
    one = calibration(said[:1], labels[:1])
    assert np.isfinite(one.correction.kernel).all()
    assert np.isfinite(one.cross_fitted).all()


def test_the_regression_finds_what_the_labels_were_drawn_by() -> None:
    chance = np.random.default_rng(3)
    features = chance.normal(size=(30_000, 4))
    true = SoftmaxRegression(chance.normal(size=(4, 3)), np.array([0.5, 0.0, -0.5]))
    drawn_by = true.probabilities(features)
    labels = (drawn_by.cumsum(axis=1) > chance.random((30_000, 1))).argmax(axis=1)
    found = fit_softmax(features, labels, np.zeros((4, 3)), 1e-6)
    assert np.abs(found.probabilities(features) - drawn_by).mean() < 0.01
    with pytest.raises(FemoError, match="did not come to an end"):
        fit_softmax(np.full((4, 2), np.nan), np.zeros(4, np.int64), np.zeros((2, 3)), 1.0)
    held = fit_softmax(features, labels, true.kernel, 1e6)
    np.testing.assert_allclose(held.kernel, true.kernel, atol=1e-3)


def test_two_corrections_are_one() -> None:
    said, _ = drawn(2.0, n=50)
    classes = said.shape[1]
    chance = np.random.default_rng(5)
    first, then = (
        SoftmaxRegression(
            np.eye(classes) + 0.2 * chance.normal(size=(classes, classes)), chance.normal(size=classes)
        )
        for _ in range(2)
    )
    both = chained(first, then)
    np.testing.assert_allclose(both.applied_to(said), then.applied_to(first.applied_to(said)), rtol=1e-4)
    assert np.linalg.cond(both.kernel) < 100  # so that it can be taken out again


def test_calibration_error_of_known_cases() -> None:
    sure = np.tile(np.array([[1.0, 0.0]], np.float32), (10, 1))
    assert expected_calibration_error(sure, np.zeros(10, np.int64)) == 0
    assert expected_calibration_error(sure, np.ones(10, np.int64)) == 1
    half = np.tile(np.array([[0.7, 0.3]], np.float32), (10, 1))
    assert expected_calibration_error(half, np.arange(10) % 2) == pytest.approx(0.2, abs=1e-6)
    said, labels = drawn(3.0)
    assert expected_calibration_error(said, labels) > 0.1


def test_the_threshold_keeps_the_error_under_the_rate() -> None:
    said, labels = drawn(1.0)
    found = choose_threshold(said, labels, 0.2)
    assert found.error is not None
    assert found.error.high <= 0.2
    assert 0.185 < found.error.value < 0.2  # no stricter than it must be
    assert 0.1 < found.coverage < 0.9
    answered = answered_above(said, labels, tuple("abcdefg"), found.threshold)
    assert answered.coverage.value == found.coverage
    assert answered.error == found.error
    assert sum(c.n for c in answered.classes) == answered.coverage.n * found.coverage


def test_a_threshold_for_the_sure_and_for_the_hopeless() -> None:
    right = np.tile(np.array([[0.9, 0.1]], np.float32), (200, 1))
    always = choose_threshold(right, np.zeros(200, np.int64), 0.2)
    assert (always.threshold, always.coverage) == (0.0, 1.0)
    never = choose_threshold(right, np.ones(200, np.int64), 0.2)
    assert (never.threshold, never.coverage, never.error) == (1.0, 0.0, None)
    nothing = answered_above(right, np.ones(200, np.int64), ("a", "b"), never.threshold)
    assert nothing.error is None
    assert nothing.coverage.value == 0
    # Pictures of one confidence are answered together or not at all.
    half = choose_threshold(right, np.arange(200) % 2, 0.6)
    assert half.coverage in (0.0, 1.0)


def test_risk_over_coverage() -> None:
    probabilities = np.array([[0.6, 0.4], [0.9, 0.1], [0.3, 0.7], [0.2, 0.8]], np.float32)
    coverage, error = risk_coverage(probabilities, np.array([1, 0, 1, 0]))
    assert coverage.tolist() == [0.25, 0.5, 0.75, 1.0]
    np.testing.assert_allclose(error, [0, 1 / 2, 1 / 3, 2 / 4])


# ---- data ------------------------------------------------------------------------------------------


def test_the_file_is_read_as_it_is(tmp_path: Path) -> None:
    path = write_fer2013(tmp_path / "fer2013.csv", {"Training": 8, "PublicTest": 3})
    pictures = data.read(path)
    assert len(pictures) == 11
    assert pictures.labels.tolist() == [0, 1, 2, 3, 4, 5, 6, 0, 0, 1, 2]
    assert pictures.row.tolist() == list(range(11))
    first = np.array(path.read_text().splitlines()[1].split(",")[1].split(), np.uint8)
    np.testing.assert_array_equal(pictures.grey[0].ravel(), first)
    assert pictures.landmarks.shape == (11, 68, 2)
    assert len(pictures.split("PublicTest")) == 3
    with pytest.raises(DataError, match="no picture of split 'PrivateTest'"):
        pictures.split("PrivateTest")


def test_landmarks_are_found_once_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_fer2013(tmp_path / "fer2013.csv", {"Training": 7})
    first = data.read(path)

    def never(*_: object) -> None:
        raise AssertionError("found again")

    monkeypatch.setattr(data, "find_landmarks", never)
    second = data.read(path)
    np.testing.assert_array_equal(first.landmarks, second.landmarks)
    np.testing.assert_array_equal(first.detected, second.detected)


def test_without_a_detected_face_the_whole_picture_is_the_rectangle() -> None:
    landmarks, detected = data.find_landmarks(np.zeros((1, 48, 48), np.uint8))
    assert detected.tolist() == [False]
    assert (landmarks > -0.1).all()
    assert (landmarks < 1.2).all()


PIXELS = " ".join(["0"] * 2304)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b,c\n1,2,3\n", "not emotion, pixels, Usage"),
        ("emotion,pixels,Usage\n", "holds no pictures"),
        (
            f"emotion,pixels,Usage\n7,{PIXELS},Training\n",
            "line 2: emotion is '7', not a number from 0 to 6.",
        ),
        (f"emotion,pixels,Usage\n-1,{PIXELS},Training\n", "line 2: emotion is '-1'"),
        ("emotion,pixels,Usage\n1,1 2 3,Training\n", "line 2: pixels has 3 values, not 48x48 = 2304."),
        (
            f"emotion,pixels,Usage\n1,{PIXELS[:-1]}999,Training\n",
            "line 2: pixels has a value that is not 0",
        ),
        (
            f"emotion,pixels,Usage\n1,{PIXELS[:-1]}x,Training\n",
            "line 2: pixels has a value that is not 0",
        ),
        (
            f"emotion,pixels,Usage\n1,{PIXELS},Training\n2,{PIXELS},Elsewhere\n",
            "line 3: Usage is 'Elsewhere'",
        ),
        ("emotion,pixels,Usage\n1\n", "line 2: pixels has 0 values"),
        (f"emotion,pixels,Usage\n1,{PIXELS[:-1]}-3,Training\n", "line 2: pixels has a value"),
        (f"emotion,pixels,Usage\n1,{PIXELS[:-1]}1_0,Training\n", "line 2: pixels has a value"),
        (f"emotion,pixels,Usage\n1,{PIXELS},Training,x\n", "line 2: more cells than the 3 columns"),
        ("emotion,emotion,pixels,Usage\n", "each once"),
        (f"1,{PIXELS},Training\n", "…, not emotion, pixels, Usage"),
        (
            f'emotion,pixels,Usage\n1,"{PIXELS * 40},Training\n',
            "fer2013.csv, line 2 or later: field larger",
        ),
        ("", "not emotion, pixels, Usage"),
    ],
)
def test_a_file_that_cannot_be_is_told_with_the_picture(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "f.csv").write_text(text)
    with pytest.raises(DataError, match=re.escape(message)):
        data.read(tmp_path / "f.csv")


def test_a_missing_or_binary_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        data.read(tmp_path / "none.csv")
    (tmp_path / "b.csv").write_bytes(bytes(range(256)))
    with pytest.raises(DataError, match="cannot be read"):
        data.read(tmp_path / "b.csv")


def test_what_can_be_read_only_once_is_refused(tmp_path: Path) -> None:
    """Its hash would be that of nothing, and its landmarks those of whatever has the same hash."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match="no regular file"):
        data.read(tmp_path / "pipe")


def test_a_mark_of_its_encoding_at_the_beginning_does_no_harm(tmp_path: Path) -> None:
    path = write_fer2013(tmp_path / "f.csv", {"Training": 3})
    plain = sources.read_labelled(path)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    np.testing.assert_array_equal(sources.read_labelled(path).grey, plain.grey)


@pytest.mark.parametrize("keep", [0, 100, -1])
def test_damaged_landmarks_are_found_anew(tmp_path: Path, keep: int) -> None:
    path = write_fer2013(tmp_path / "fer2013.csv", {"Training": 7})
    first = data.read(path)
    (cache,) = data.cache_folder().glob(f"landmarks-{first.sha256[:16]}*.npz")
    content = bytearray(cache.read_bytes())
    if keep < 0:
        content[len(content) // 3] ^= 0xFF
        keep = len(content)
    cache.write_bytes(content[:keep])
    np.testing.assert_array_equal(data.read(path).landmarks, first.landmarks)
    np.savez(cache, landmarks=first.landmarks[:3], detected=first.detected[:3])
    np.testing.assert_array_equal(data.read(path).landmarks, first.landmarks)


def test_a_cache_that_cannot_be_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setattr(data, "cache_folder", lambda: tmp_path / "file")
    with pytest.raises(FemoError, match=r"cannot be kept in .*file"):
        data.read(write_fer2013(tmp_path / "fer2013.csv", {"Training": 1}))


def test_the_split_leaks_nothing(tmp_path: Path) -> None:
    path = write_fer2013(
        tmp_path / "fer2013.csv",
        {"Training": 210, "PublicTest": 14},
        copies=[(0, "PublicTest"), (1, "PublicTest"), (2, "Training"), (3, "Training")],
    )
    pictures = data.read(path)
    split = data.split_training(pictures, 0.2, seed=1)
    fit, held, test = (
        {p.tobytes() for p in part.grey}
        for part in (split.fit, split.validation, pictures.split("PublicTest"))
    )
    assert fit.isdisjoint(held)
    assert fit.isdisjoint(test)
    assert held.isdisjoint(test)
    assert split.left_out == 2
    assert len(split.fit) + len(split.validation) == 212 - 2
    assert np.bincount(split.validation.labels, minlength=7).tolist() == [6] * 7


def test_the_split_is_that_of_its_seed(tmp_path: Path) -> None:
    pictures = data.read(write_fer2013(tmp_path / "f.csv", {"Training": 140}))
    one, same, other = (data.split_training(pictures, 0.2, seed).validation.row for seed in (1, 1, 2))
    assert one.tolist() == same.tolist() != other.tolist()
    few = pictures.where(np.arange(3))
    with pytest.raises(DataError, match="Too few"):
        data.split_training(few, 0.1, 1)


def test_a_class_without_pictures_is_told(tmp_path: Path) -> None:
    pictures = data.read(write_fer2013(tmp_path / "f.csv", {"Training": 140}))
    with pytest.raises(DataError, match="no picture to fit of class fear"):
        data.split_training(pictures.where(pictures.labels != 2), 0.2)
    with pytest.raises(DataError, match="Too few"):
        data.split_training(pictures.where(pictures.labels > 6), 0.2)


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


@pytest.mark.parametrize(("header", "prefix"), [("Usage,Image name,", ""), ("usage,index,", "ferplus_")])
def test_votes_are_joined_within_each_split(tmp_path: Path, header: str, prefix: str) -> None:
    usage = np.array(["Training", "PublicTest", "Training"])
    path = write_votes(
        tmp_path / "v.csv", {"PublicTest": 1, "PrivateTest": 9, "Training": 2}, header, prefix
    )
    assert sources.read_votes(path, usage)[:, 0].tolist() == [0, 0, 1]
    with pytest.raises(DataError, match="votes for 2 pictures of split Training, the pictures are 3"):
        sources.read_votes(path, np.array(["Training"] * 3))


def test_what_holds_no_votes_is_told(tmp_path: Path) -> None:
    (tmp_path / "v.csv").write_text("Usage,neutral\nTraining,1\n")
    with pytest.raises(DataError, match="no column happiness, surprise"):
        sources.read_votes(tmp_path / "v.csv", np.array(["Training"]))
    path = write_votes(tmp_path / "w.csv", {"Training": 1})
    path.write_text(path.read_text().replace(",0,2,", ",zero,2,"))
    with pytest.raises(DataError, match="line 2: could not convert"):
        sources.read_votes(path, np.array(["Training"]))
    with pytest.raises(DataError, match="cannot be joined to the pictures in the folder"):
        data.read(tmp_path, path)


def test_votes_become_a_distribution(tmp_path: Path) -> None:
    pictures = data.read(write_fer2013(tmp_path / "f.csv", {"Training": 4}))
    votes = np.zeros((4, 10), np.float32)
    votes[0, :2] = 6, 4
    votes[1, :3] = 9, 1, 0  # a single vote is a slip
    votes[2, 9] = 10  # not a face
    targets, weights = replace(pictures, votes=votes).targets()
    assert weights["ferplus"].tolist() == [1, 1, 0, 0]
    np.testing.assert_allclose(targets["ferplus"][0, :2], [0.6, 0.4])
    np.testing.assert_allclose(targets["ferplus"][1, :2], [1, 0])
    assert targets["output"].argmax(axis=1).tolist() == [0, 1, 2, 3]


def test_a_majority_is_more_than_half_of_what_counts() -> None:
    votes = np.zeros((5, 10), np.float32)
    votes[0, :3] = 6, 3, 1  # the single vote does not count: 6 of 9
    votes[1, :2] = 5, 5
    votes[2, 4], votes[2, 8] = 4, 6  # most saw nothing they could name
    votes[3, 5] = 10
    votes[4, :3] = 4, 3, 3
    agreed, majority = data.ferplus_majority(votes)
    assert agreed.tolist() == [True, False, False, True, False]
    assert majority[agreed].tolist() == [0, 5]


def test_each_disturbance_changes_the_picture_and_no_other() -> None:
    chance = np.random.default_rng(0)
    grey = chance.integers(60, 200, (2, 48, 48), dtype=np.uint8)
    landmarks = np.full((2, 68, 2), 0.5, np.float32)
    landmarks[:, 36:48, 1], landmarks[:, 48:, 1] = 0.35, 0.75
    kept = grey.copy()
    for name, disturb in DISTURBANCES.items():
        changed = disturb(grey, landmarks)
        assert changed.shape == grey.shape, name
        assert changed.dtype == np.uint8, name
        assert (changed != grey).mean() > 0.2, name
        np.testing.assert_array_equal(grey, kept, err_msg=name)
    rows = (DISTURBANCES["hand over the mouth"](grey, landmarks) != grey).any(axis=(0, 2))
    assert not rows[:24].any()
    assert rows[30:42].all()


def write_folder(root: Path, counts: dict[str, int], side: int = 48) -> Path:
    """A folder split/class/picture: ``"train/anger"`` → number of pictures."""
    chance = np.random.default_rng(5)
    for place, n in counts.items():
        (root / place).mkdir(parents=True)
        for i in range(n):
            pixels = chance.integers(0, 256, (side, side), dtype=np.uint8)
            Image.fromarray(pixels).save(root / place / f"{i}.png")
    return root


def test_a_folder_of_pictures_is_read(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "d", {"train/angry": 2, "train/Happiness": 1, "test/sad": 3})
    found = sources.read_labelled(root)
    assert found.usage.tolist() == ["test"] * 3 + ["Training"] * 3
    assert [sources.LABELS[i] for i in found.labels] == ["sad"] * 3 + ["happy", "angry", "angry"]
    again = sources.read_labelled(root).sha256
    (root / "test" / "sad" / "0.png").unlink()
    assert sources.read_labelled(root).sha256 != again == found.sha256


def test_a_folder_that_cannot_be_is_told_with_the_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"0\.png has 47x47 pixels"):
        sources.read_labelled(write_folder(tmp_path / "a", {"train/sad": 1}, side=47))
    with pytest.raises(DataError, match=r"lies in 'bored', which is no class"):
        sources.read_labelled(write_folder(tmp_path / "b", {"train/bored": 1}))
    with pytest.raises(DataError, match=r"does not lie at split/class/picture"):
        sources.read_labelled(write_folder(tmp_path / "c", {"train": 1}))
    (tmp_path / "e").mkdir()
    with pytest.raises(DataError, match="holds no pictures"):
        sources.read_labelled(tmp_path / "e")
    (write_folder(tmp_path / "d", {"train/sad": 1}) / "train" / "sad" / "x.jpg").write_text("text")
    with pytest.raises(DataError, match=r"x\.jpg cannot be decoded"):
        sources.read_labelled(tmp_path / "d")


def test_a_folder_that_is_a_link_is_read_and_one_that_leads_back_is_not(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "d", {"train/sad": 2})
    elsewhere = write_folder(tmp_path / "other", {"train/happy": 3}) / "train" / "happy"
    (root / "train" / "happy").symlink_to(elsewhere)
    assert len(sources.read_labelled(root).labels) == 5
    (root / "train" / "fear").symlink_to(root)
    with pytest.raises(DataError, match="reached twice"):
        sources.read_labelled(root)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_cannot_be_listed_is_told(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "d", {"train/sad": 2, "train/happy": 1})
    (root / "train" / "sad").chmod(0)
    with pytest.raises(DataError, match="sad cannot be read"):
        sources.read_labelled(root)


def test_pictures_that_are_not_of_eight_bits_or_not_read_are_told(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "d", {"train/sad": 1})
    odd = root / "train" / "sad" / "odd.png"
    Image.fromarray(np.full((48, 48), 30_000, np.uint16)).save(odd)
    with pytest.raises(DataError, match=r"odd\.png has more than 8 bits"):
        sources.read_labelled(root)
    for width, height in ((30_000, 30_000), (2**31 - 1, 5)):
        head = struct.pack(">II", width, height) + bytes([8, 0, 0, 0, 0])
        chunk = struct.pack(">I", 13) + b"IHDR" + head + struct.pack(">I", zlib.crc32(b"IHDR" + head))
        odd.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk)
        with pytest.raises(DataError, match=r"odd\.png"):
            sources.read_labelled(root)
    odd.rename(odd.with_suffix(".bmp"))
    with pytest.raises(DataError, match=r"odd\.bmp is a picture that is not read"):
        sources.read_labelled(root)


@pytest.mark.parametrize("bad", ["nan", "inf", "-1"])
def test_votes_that_are_none_are_told_with_their_line(tmp_path: Path, bad: str) -> None:
    path = write_votes(tmp_path / "v.csv", {"Training": 3})
    lines = path.read_text().splitlines()
    lines[2] = lines[2].rsplit(",", 1)[0] + "," + bad
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(DataError, match=r"line 3: .* is no number of votes"):
        sources.read_votes(path, np.array(["Training"] * 3))


def test_votes_out_of_order_are_told(tmp_path: Path) -> None:
    header = f"Usage,Image name,{','.join(sources.VOTES)}"
    rows = [
        f"Training,{name}," + ",".join(["1"] * 10) for name in ("fer1.png", "", "fer3.png", "fer2.png")
    ]
    (tmp_path / "v.csv").write_text("\n".join([header, *rows]) + "\n")
    with pytest.raises(DataError, match=r"line 5: fer2\.png stands behind fer3\.png"):
        sources.read_votes(tmp_path / "v.csv", np.array(["Training"] * 4))


def test_kaggles_file_is_read_too(tmp_path: Path) -> None:
    path = write_fer2013(tmp_path / "f.csv", {"Training": 3})
    official = sources.read_labelled(path)
    path.write_text(path.read_text().replace("emotion,pixels,Usage", "emotion, Usage, pixels"))
    lines = path.read_text().splitlines()
    turned = [",".join((r.split(",")[0], r.split(",")[2], r.split(",")[1])) for r in lines[1:]]
    path.write_text("\n".join([lines[0], *turned]) + "\n")
    np.testing.assert_array_equal(sources.read_labelled(path).grey, official.grey)


def test_the_census_finds_twins_contradictions_and_blanks(tmp_path: Path) -> None:
    path = write_fer2013(
        tmp_path / "f.csv",
        {"Training": 14, "PublicTest": 7},
        copies=[(0, "PublicTest"), (1, "Training"), (1, "Training"), (15, "PrivateTest")],
    )
    blank = ",".join(["3", " ".join(["7"] * 2304), "Training"])
    other_label = path.read_text().splitlines()[1].replace("0,", "5,", 1)
    path.write_text(path.read_text() + blank + "\n" + other_label + "\n")
    census = take_census(sources.read_labelled(path))
    assert census.pictures == 14 + 7 + 4 + 2
    assert census.counts["Training"]["angry"] == 2
    assert census.counts["PrivateTest"]["disgust"] == 1
    assert census.duplicate_groups == 3
    assert census.duplicates == {"Training": 3 + 2, "PublicTest": 0, "PrivateTest": 0}
    assert census.leaks["PublicTest in Training"] == 1
    assert census.leaks["Training in PublicTest"] == 2
    assert census.leaks["PrivateTest in PublicTest"] == 1
    assert census.leaks["PrivateTest in Training"] == 0
    assert census.contradicting == 1
    assert census.blank == 1


# ---- model files -----------------------------------------------------------------------------------


def test_a_damaged_model_whose_hash_is_right_is_refused(tmp_path: Path) -> None:
    content = (ModelCard.find("seed").folder / "model.onnx").read_bytes()
    for damaged in (b"", b"other bytes", content[: len(content) // 2]):
        (tmp_path / "model.onnx").write_bytes(damaged)
        sha256 = hashlib.sha256(damaged).hexdigest()
        card = {
            "name": "m",
            "labels": ["a"],
            "preprocessing": "grey48-landmarks01-v1",
            "files": {"model.onnx": {"sha256": sha256}},
            **ALWAYS,
        }
        (tmp_path / "model.json").write_text(json.dumps(card))
        with pytest.raises(ModelError, match="cannot be loaded by ONNX Runtime"):
            load_classifier(str(tmp_path), "onnx", threads=1)


def test_weights_beside_the_file_are_not_computed_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hash of the file would not cover them."""
    onnx = pytest.importorskip("onnx", reason="needs the extra 'train'")
    card = ModelCard.find("seed")
    path = tmp_path / "model.onnx"
    onnx.save_model(
        onnx.load(card.folder / "model.onnx"), path, save_as_external_data=True, location="weights.bin"
    )
    files = {"model.onnx": {"sha256": hashlib.sha256(path.read_bytes()).hexdigest()}}
    (tmp_path / "model.json").write_text(json.dumps({**card.facts, "files": files}))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match="cannot be loaded by ONNX Runtime"):
        load_classifier(str(tmp_path), "onnx", threads=1)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (lambda n: np.full((n, 7), 1 / 7, np.float32), ""),
        (lambda n: np.full((n, 7), -3.0, np.float32), "no probabilities"),
        (lambda n: np.full((n, 7), 0.3, np.float32), "no probabilities"),
        (lambda n: np.full((n, 7), np.nan, np.float32), "no probabilities"),
        (lambda n: np.full((n, 6), 1 / 6, np.float32), "names 7 classes"),
        (lambda n: np.full((2, 7), 1 / 7, np.float32), "names 7 classes"),
        (lambda n: np.float32(1), "names 7 classes"),
        (lambda n: 1 / 0, "cannot be computed"),
    ],
)
def test_a_model_is_tried_out(monkeypatch: pytest.MonkeyPatch, given: Any, text: str) -> None:
    from forensic_emotion.emotions.onnx_runtime import OnnxClassifier

    monkeypatch.setattr(OnnxClassifier, "probabilities", lambda _, inputs: given(len(inputs["images"])))
    if not text:
        load_classifier("seed", "onnx", threads=1)
        return
    with pytest.raises(ModelError, match=text):
        load_classifier("seed", "onnx", threads=1)


def test_a_backend_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "abacus")
    with pytest.raises(UsageError, match="KERAS_BACKEND asks for 'abacus', which is not installed"):
        check_backend()


def test_a_model_whose_file_was_changed_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"other bytes")
    card = {
        "name": "m",
        "labels": ["a"],
        "preprocessing": "grey48-landmarks01-v1",
        "files": {"model.onnx": {"sha256": "0" * 64}},
        **ALWAYS,
    }
    (tmp_path / "model.json").write_text(json.dumps(card))
    with pytest.raises(ModelError, match="SHA-256"):
        ModelCard.find(str(tmp_path)).weights("model.onnx")
    with pytest.raises(ModelError, match="cannot be read"):
        ModelCard.find(str(tmp_path)).weights("model.h5")
    (tmp_path / "model.json").write_text(json.dumps({**card, "abstention": {"threshold": 1.5}}))
    with pytest.raises(ModelError, match=r"threshold 1\.5"):
        ModelCard.find(str(tmp_path))
    (tmp_path / "model.json").write_text(json.dumps({**card, "preprocessing": "other"}))
    with pytest.raises(ModelError, match="preprocessing 'other'"):
        ModelCard.find(str(tmp_path))
    for text in ("{}", "[]", "not json", '{"name": 1}'):
        (tmp_path / "model.json").write_text(text)
        with pytest.raises(ModelError, match="no model card"):
            ModelCard.find(str(tmp_path))


# ---- training, with TensorFlow ---------------------------------------------------------------------

TINY = {"epochs": 2, "batch_size": 16, "validation_share": 0.2, "network": "seed"}


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
    assert len(found) > 20
    return [values for _, values in sorted(found, key=lambda pair: pair[0])]


def train_tiny(
    path: Path,
    out: Path,
    *,
    init: Path | None = None,
    ferplus: Path | None = None,
    distill: Sequence[Path] = (),
    resume: bool = False,
    stop_at: str = "",
    **changes: Any,
) -> Path:
    from forensic_emotion.training.train import train

    class Stops(Console):
        def print(self, *objects: Any, **more: Any) -> None:
            if stop_at and str(objects[0]).startswith(stop_at):
                raise KeyboardInterrupt

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


@pytest.fixture(scope="module")
def tiny_csv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_fer2013(
        tmp_path_factory.mktemp("data") / "fer2013.csv",
        {"Training": 70, "PublicTest": 34},
        copies=[(0, "PublicTest")],
    )


@pytest.fixture(scope="module")
def tiny_model(tiny_csv: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_tiny(tiny_csv, tmp_path_factory.mktemp("models") / "tiny")


@pytest.mark.slow
def test_the_seed_network_is_the_graph_it_should_be() -> None:
    from forensic_emotion.training.network import seed_network

    model = seed_network(7)
    assert model.count_params() == 1_427_975
    assert {name: tensor.shape[1:] for name, tensor in model.input.items()} == {
        "images": (48, 48, 1),
        "landmarks": (68, 2),
    }
    assert model.output_names == ["output"]
    shapes = [layer.output.shape[1:] for layer in model.layers if "pooling" in layer.name]
    assert shapes == [(22, 22, 64), (9, 9, 128), (2, 2, 256)]
    dense = [layer for layer in model.layers if "dense" in layer.name]
    assert float(dense[0].kernel_regularizer.l2) == pytest.approx(0.01)


@pytest.mark.slow
@pytest.mark.parametrize("network", ["seed", "gated_vgg", "face_resnet"])
def test_a_network_that_is_merely_called_is_not_in_training(network: str) -> None:
    """As an export calls it: an answer must not depend on the faces beside it."""
    from forensic_emotion.training.network import NETWORKS, symmetric

    model = symmetric(NETWORKS[network](7))
    chance = np.random.default_rng(0)
    faces = {name: chance.random((4, *t.shape[1:]), dtype=np.float32) for name, t in model.input.items()}
    together = np.asarray(model(faces)["output"])
    alone = np.asarray(model({name: values[:1] for name, values in faces.items()})["output"])
    np.testing.assert_allclose(together[:1], alone, atol=1e-5)
    np.testing.assert_allclose(together, model.predict(faces, verbose=0)["output"], atol=1e-5)


@pytest.mark.slow
def test_the_gated_network_answers_without_landmarks() -> None:
    from forensic_emotion.training.network import gated_vgg

    model = gated_vgg(7)
    assert model.count_params() < 1_500_000
    chance = np.random.default_rng(0)
    images = chance.random((4, 48, 48, 1), dtype=np.float32)
    landmarks = chance.random((2, 4, 68, 2), dtype=np.float32)
    landmarks[0, 0] = 0.5  # a degenerate face, all points in one place

    def answers(valid: float) -> np.ndarray:
        found = [
            model({"images": images, "landmarks": points, "landmarks_valid": np.full((4, 1), valid)})
            for points in landmarks
        ]
        return np.stack([np.asarray(f["output"]) for f in found])

    shut, open_ = answers(0.0), answers(1.0)
    assert np.isfinite(open_).all()
    np.testing.assert_array_equal(shut[0], shut[1])
    assert (open_[0] != open_[1]).any()


@pytest.mark.slow
def test_training_writes_all_it_should(tiny_model: Path, tiny_csv: Path) -> None:
    names = {p.name for p in tiny_model.iterdir()}
    assert names == {
        "checkpoint",
        "curves.png",
        "history.csv",
        "model.h5",
        "model.json",
        "model.onnx",
        "pictures.csv",
    }
    card = json.loads((tiny_model / "model.json").read_text())
    assert card["labels"] == list(sources.LABELS)
    assert card["data"]["fit"] + card["data"]["validation"] == 69
    assert card["data"]["left_out"] == 1
    assert card["calibration"]["ridge"] is None  # too few pictures
    assert card["calibration"]["loss_after"] < 3
    assert card["settings"]["epochs"] == 2
    assert "PublicTest" not in card["metrics"]
    for name in ("model.h5", "model.onnx"):
        ModelCard.find(str(tiny_model)).weights(name)
    with (tiny_model / "history.csv").open() as source:
        history = list(csv.DictReader(source))
    assert [row["epoch"] for row in history] == ["1", "2"]
    with (tiny_model / "pictures.csv").open() as source:
        pictures = list(csv.DictReader(source))
    used = [row["used"] for row in pictures]
    assert used.count("validation") == card["data"]["validation"]
    assert used.count("fit") == card["data"]["fit"]
    assert used[70:] == ["not used"] * 35
    assert {row["face_detected"] for row in pictures} <= {"0", "1"}


@pytest.mark.slow
def test_a_stopped_run_goes_on_and_ends_as_one_that_was_not_stopped(
    tiny_model: Path, tiny_csv: Path, tmp_path: Path
) -> None:
    out = tmp_path / "stopped"
    with pytest.raises(KeyboardInterrupt):
        train_tiny(tiny_csv, out, stop_at="epoch 1/")
    assert not (out / "model.json").exists()
    with pytest.raises(UsageError, match="already holds"):
        train_tiny(tiny_csv, out)
    with pytest.raises(UsageError, match="other settings or data"):
        train_tiny(tiny_csv, out, resume=True, seed=7)
    train_tiny(tiny_csv, out, resume=True)

    for one, two in zip(weights_of(tiny_model), weights_of(out), strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.slow
def test_the_same_seed_gives_the_same_weights_and_another_one_others(
    tiny_model: Path, tiny_csv: Path, tmp_path: Path
) -> None:
    again = weights_of(train_tiny(tiny_csv, tmp_path / "again"))
    for one, two in zip(weights_of(tiny_model), again, strict=True):
        np.testing.assert_array_equal(one, two)
    other = weights_of(train_tiny(tiny_csv, tmp_path / "other", seed=2))
    assert any((one != two).any() for one, two in zip(again, other, strict=True))


@pytest.mark.slow
def test_a_network_with_its_own_normalisation_is_refused_before_data_are_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="own normalisation"):
        train_tiny(tmp_path / "none.csv", tmp_path / "no", network="gated_vgg", normalise=True)


@pytest.mark.slow
def test_normalisation_changes_no_answer_and_folds_away() -> None:
    import keras

    from forensic_emotion.training.network import face_resnet
    from forensic_emotion.training.normalise import SUFFIX, fold, normalised

    chance = np.random.default_rng(3)
    inputs = {
        "images": chance.random((24, 48, 48, 1), dtype=np.float32),
        "landmarks": chance.random((24, 68, 2), dtype=np.float32),
        "landmarks_valid": np.ones((24, 1), np.float32),
    }

    def answers(model: keras.Model) -> np.ndarray:
        return np.asarray(model.predict(inputs, verbose=0)["output"])

    keras.utils.set_random_seed(3)
    network = face_resnet(7)
    model = normalised(network, inputs)
    assert sum(layer.name.endswith(SUFFIX) for layer in model.layers) == 27
    np.testing.assert_allclose(answers(model), answers(network), atol=1e-5)

    model(inputs, training=True)  # the statistics move
    weights = [w + 0.05 * chance.random(w.shape, dtype=np.float32) for w in model.get_weights()]
    model.set_weights(weights)
    assert np.abs(answers(model) - answers(network)).max() > 0.01
    trained = face_resnet(7)  # another one than that which was normalised
    fold(weights, trained)
    np.testing.assert_allclose(answers(trained), answers(model), atol=1e-5)


def train_whole_and_stopped(source: Path, folder: Path, **changes: Any) -> Path:
    """A training; one that was stopped after its first epoch and went on must end with its weights."""
    whole = train_tiny(source, folder / "whole", **changes)
    with pytest.raises(KeyboardInterrupt):
        train_tiny(source, folder / "stopped", stop_at="epoch 1/", **changes)
    stopped = train_tiny(source, folder / "stopped", resume=True, **changes)
    for one, two in zip(weights_of(whole), weights_of(stopped), strict=True):
        np.testing.assert_array_equal(one, two)
    return whole


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_what_is_spared_from_decay_stays_so_in_a_run_that_goes_on(
    tiny_csv: Path, tmp_path: Path, optimizer: str
) -> None:
    changes = {"weight_decay": 0.5, "learning_rate": 0.01, "keep": "last"}
    train_whole_and_stopped(tiny_csv, tmp_path, optimizer=optimizer, **changes)


@pytest.mark.slow
def test_a_normalised_training_writes_the_plain_network_and_can_be_stopped(
    tiny_csv: Path, tmp_path: Path
) -> None:
    import keras

    from forensic_emotion.training.network import face_resnet
    from forensic_emotion.training.warm_start import start_from

    changes = {"network": "face_resnet", "normalise": True, "keep": "last", "optimizer": "sgd"}
    changes["weight_decay"] = 0.1
    whole = train_whole_and_stopped(tiny_csv, tmp_path, **changes)

    written = keras.models.load_model(whole / "model.h5", compile=False)
    assert len(written.layers) == len(face_resnet(7).layers)
    assert start_from(face_resnet(7), whole / "model.h5", freeze=False) == []
    assert "--normalise" in json.loads((whole / "model.json").read_text())["command"]
    with pytest.raises(UsageError, match="Leave one of them out"):
        train_tiny(
            tiny_csv, tmp_path / "no", init=whole / "model.h5", freeze=True, **{**changes, "epochs": 1}
        )


@pytest.mark.slow
def test_a_sharpness_aware_step_takes_the_gradient_uphill_and_goes_on_from_below() -> None:
    import keras

    from forensic_emotion.training.augment import Batch
    from forensic_emotion.training.steps import Climber, compile_with

    chance = np.random.default_rng(5)
    images = chance.normal(size=(6, 3)).astype(np.float32)
    labels = np.eye(2, dtype=np.float32)[chance.integers(0, 2, 6)]
    start = chance.normal(size=(3, 2)).astype(np.float32)

    face = keras.Input((3,), name="images")
    normal = keras.layers.BatchNormalization(center=False, scale=False, momentum=0.5, name="normal")
    # Beside the network: what moves its statistics does not touch the answer checked below.
    beside = keras.layers.Dense(2, use_bias=False, name="beside", trainable=False)
    output = keras.layers.Dense(2, activation="softmax", use_bias=False, name="output")
    added = keras.layers.Rescaling(0.0)(normal(beside(face)))
    model = keras.Model({"images": face}, {"output": output(face) + added})
    output.set_weights([start])
    compile_with(model, keras.optimizers.SGD(0.5), ferplus_weight=0.0)
    batch = Batch({"images": images}, {"output": labels}, {"output": np.ones(6, np.float32)})

    def gradient(kernel: np.ndarray, n: int) -> np.ndarray:
        powers = np.exp(images[:n] @ kernel)
        return images[:n].T @ (powers / powers.sum(axis=1, keepdims=True) - labels[:n]) / n

    uphill = gradient(start, 3)
    there = start + 2.0 * uphill / np.sqrt(np.square(uphill).sum())
    Climber(model, 2.0, ferplus_weight=0.0).step_on(batch)
    expected = start - 0.5 * gradient(there, 6)
    assert np.abs(gradient(there, 6) - gradient(start, 6)).max() > 0.01, "the case shows no difference"
    np.testing.assert_allclose(output.get_weights()[0], expected, atol=1e-5)
    seen_below = (images[:3] @ beside.get_weights()[0]).mean(axis=0)
    np.testing.assert_allclose(normal.get_weights()[0], 0.5 * seen_below, atol=1e-5)


@pytest.mark.slow
def test_a_sharpness_aware_training_can_be_stopped(tiny_csv: Path, tmp_path: Path) -> None:
    changes = {"optimizer": "sgd", "sharpness": 0.5, "keep": "last"}
    whole = train_whole_and_stopped(tiny_csv, tmp_path, **changes)
    plain = train_tiny(tiny_csv, tmp_path / "plain", **{**changes, "sharpness": 0.0})
    assert any((one != two).any() for one, two in zip(weights_of(whole), weights_of(plain), strict=True))
    with pytest.raises(UsageError, match="steps of sgd only"):
        train_tiny(tiny_csv, tmp_path / "no", sharpness=0.5, optimizer="adam")


@pytest.mark.slow
def test_a_full_disk_costs_one_epoch_and_no_more(
    tiny_csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        train_tiny(tiny_csv, out, stop_at="epoch 1/")
    kept = {p.name: p.read_bytes() for p in (out / "checkpoint").iterdir()}
    largest, before = 4_000_000, resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest, before[1]))
    try:
        with pytest.raises(FemoError, match=r"epoch 2 cannot be written") as error:
            train_tiny(tiny_csv, out, resume=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "1 epochs are kept" in error.value.remedy
    assert {p.name: p.read_bytes() for p in (out / "checkpoint").iterdir()} == kept
    train_tiny(tiny_csv, out, resume=True)
    ModelCard.find(str(out)).weights("model.onnx")


@pytest.fixture(scope="module")
def symmetric_model(tiny_csv: Path, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with all that the one that ships has: two heads, a teacher, its mirror image."""
    out = tmp_path_factory.mktemp("models") / "symmetric"
    votes = write_votes(out.parent / "votes.csv", {"Training": 70, "PublicTest": 35})
    changes = {"network": "gated_vgg", "symmetric": True, "epochs": 1, "distill_votes": True}
    return train_tiny(tiny_csv, out, ferplus=votes, distill=[tiny_model], **changes)


@pytest.mark.slow
def test_a_symmetric_model_sees_no_difference_in_a_mirror(symmetric_model: Path) -> None:
    chance = np.random.default_rng(0)
    images = chance.random((3, 48, 48, 1), dtype=np.float32)
    landmarks = chance.random((3, 68, 2), dtype=np.float32)
    valid = np.array([[1], [1], [0]], np.float32)
    mirrored, points = chips.mirror(images, landmarks)
    straight = {"images": images, "landmarks": landmarks, "landmarks_valid": valid}
    other = {"images": mirrored.copy(), "landmarks": points, "landmarks_valid": valid}
    found = {}
    for runtime in ("onnx", "tensorflow"):
        model = load_classifier(str(symmetric_model), runtime)
        found[runtime] = model.answers(straight)
        for name, values in model.answers(other).items():
            np.testing.assert_allclose(values, found[runtime][name], atol=1e-5)
            np.testing.assert_allclose(values.sum(axis=1), 1, atol=1e-5)
    assert set(found["onnx"]) == {"output", "ferplus"}
    for name, values in found["onnx"].items():
        np.testing.assert_allclose(values, found["tensorflow"][name], atol=1e-4)


@pytest.mark.slow
def test_the_card_says_how_to_train_it_again(symmetric_model: Path, tiny_model: Path) -> None:
    card = json.loads((symmetric_model / "model.json").read_text())
    assert card["command"] == (
        "femo train fer2013.csv --out symmetric --ferplus votes.csv --distill tiny --network gated_vgg"
        " --epochs 1 --batch-size 16 --validation-share 0.2 --distill-votes --symmetric"
    )
    assert card["teachers"] == [
        {"name": "tiny", "sha256": ModelCard.find(str(tiny_model)).weights("model.onnx")[1]}
    ]
    assert re.fullmatch(r"[0-9a-f]{40}(\+changes)?", card["commit"] or "0" * 40)
    assert card["abstention"]["max_error"] == 0.2
    assert 0 <= card["abstention"]["threshold"] <= 1


@pytest.mark.slow
def test_a_teacher_that_may_know_the_held_out_part_is_refused(
    tiny_csv: Path, tiny_model: Path, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match="less of them held out"):
        train_tiny(tiny_csv, tmp_path / "out", distill=[tiny_model], validation_share=0.3)


@pytest.mark.slow
def test_a_start_that_knows_the_held_out_part_is_refused(
    tiny_csv: Path, tiny_model: Path, tmp_path: Path
) -> None:
    start = tiny_model / "model.h5"
    with pytest.raises(
        ModelError, match=r"model\.h5 was fitted to pictures that --validation-share 0\.3"
    ):
        train_tiny(tiny_csv, tmp_path / "out", init=start, validation_share=0.3)
    checkpoint = train_tiny(tiny_csv, tmp_path / "run", epochs=1) / "checkpoint" / "epoch-001.keras"
    with pytest.raises(ModelError, match=r"epoch-001\.keras was fitted to pictures that"):
        train_tiny(tiny_csv, tmp_path / "out", init=checkpoint, validation_share=0.3)
    # What other data it knows, or weights that no card speaks of, nobody can tell.
    other = write_fer2013(tmp_path / "other.csv", {"Training": 70, "PublicTest": 10}, seed=1)
    train_tiny(other, tmp_path / "other", init=start, validation_share=0.3, epochs=1)


@pytest.mark.slow
def test_a_damaged_checkpoint_is_named(tiny_csv: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        train_tiny(tiny_csv, out, stop_at="epoch 1/")
    for name in ("state.json", "epoch-001.keras", "epoch-001.npz"):
        file = out / "checkpoint" / name
        content = file.read_bytes()
        for damaged in (b"", content[: len(content) // 2], b"null"):
            file.write_bytes(damaged)
            with pytest.raises(DataError, match=f"{name} is damaged"):
                train_tiny(tiny_csv, out, resume=True)
        file.write_bytes(content)
    with pytest.raises(UsageError) as refused:
        train_tiny(tiny_csv, out, resume=True, seed=7, mixup=0.5)
    assert refused.value.remedy == "What differs: mixup 0.0 / 0.5; seed 1 / 7."


@pytest.mark.slow
def test_a_training_that_came_to_its_end_stays_as_it_is(tiny_csv: Path, tmp_path: Path) -> None:
    out = train_tiny(tiny_csv, tmp_path / "out", epochs=1)
    facts = json.loads((out / "model.json").read_text())
    facts["metrics"]["PublicTest"] = {"recorded": "later"}
    (out / "model.json").write_text(json.dumps(facts))
    train_tiny(tiny_csv, out, epochs=1, resume=True)
    assert json.loads((out / "model.json").read_text()) == facts


@pytest.mark.slow
def test_a_last_run_may_hold_out_less_than_its_teachers(
    tiny_csv: Path, tiny_model: Path, tmp_path: Path
) -> None:
    start = tiny_model / "model.h5"
    last = train_tiny(
        tiny_csv,
        tmp_path / "last",
        init=start,
        distill=[tiny_model],
        epochs=1,
        keep="last",
        validation_share=0.1,
    )
    out = merged([tiny_model, last], tiny_csv, tmp_path / "mean", weights=True)
    more, less, both = (json.loads((f / "model.json").read_text()) for f in (tiny_model, last, out))
    assert less["calibration"]["n"] < more["calibration"]["n"]
    assert both["calibration"]["n"] == less["calibration"]["n"] == both["data"]["validation"]
    assert (both["settings"]["validation_share"], both["data"]) == (0.1, less["data"])
    only_one = more["calibration"]["n"] - less["calibration"]["n"]
    assert both["calibrated_before"] == {"n": only_one, "ridge": None}  # too few for a matrix
    again = merged([out, tiny_model], tiny_csv, tmp_path / "again", weights=True)
    first, second = json.loads((again / "model.json").read_text())["members"]
    assert [each["name"] for each in first["members"]] == ["tiny", "last"]
    assert (second["name"], second["epoch"]) == ("tiny", more["epoch"])


@pytest.mark.slow
def test_teachers_are_asked_only_if_there_is_something_to_learn(
    tiny_csv: Path, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from forensic_emotion.training import train

    def asked(*_: object) -> None:
        raise AssertionError("a teacher was asked")

    out = train_tiny(tiny_csv, tmp_path / "out", distill=[tiny_model], epochs=1)
    weights = weights_of(out)
    (out / "model.json").unlink()  # as of a run that was stopped while it wrote the model
    monkeypatch.setattr(train, "mean_answers", asked)
    train_tiny(tiny_csv, out, distill=[tiny_model], epochs=1, resume=True)
    for one, two in zip(weights_of(out), weights, strict=True):
        np.testing.assert_array_equal(one, two)
    with pytest.raises(UsageError, match="already holds"):
        train_tiny(tiny_csv, out, distill=[tiny_model], epochs=1)


class Sure:
    """A teacher who takes every face for one class."""

    def __init__(self, label: int) -> None:
        self.says = np.eye(7, dtype=np.float32)[label]
        self.asked: list[Any] = []

    def probabilities(self, inputs: Any) -> Any:
        self.asked.append(inputs)
        return np.tile(self.says, (len(inputs["images"]), 1))


@pytest.mark.slow  # it imports the teachers' runtime
def test_teachers_may_be_asked_about_the_pictures_as_they_are_shown(tiny_csv: Path) -> None:
    from forensic_emotion.training.train import batches

    fit = data.split_training(data.read(tiny_csv), 0.2).fit
    settings = TrainSettings(batch_size=8, mixup=0.4, erase=0.5, rotate=10.0, distill_weight=0.75)
    teachers = [Sure(0), Sure(6)]
    taught = list(batches(fit, settings, 1, teachers))  # type: ignore[arg-type]
    plain = next(batches(fit, settings, 1))
    for name, values in taught[0].inputs.items():
        np.testing.assert_array_equal(values, plain.inputs[name])
    for batch in taught:
        (teacher,) = [t for t in teachers if any(batch.inputs is each for each in t.asked)]
        labels = 4 * (batch.targets["output"] - 0.75 * teacher.says)
        np.testing.assert_allclose(labels.sum(axis=1), 1, atol=1e-5)
        assert labels.min() > -1e-5
    assert all(teacher.asked for teacher in teachers), "by turns, as chance will have it"
    np.testing.assert_allclose(
        4 * (taught[0].targets["output"] - plain.targets["output"] / 4).sum(axis=1), 3, atol=1e-5
    )


@pytest.mark.slow
def test_who_is_to_be_asked_at_each_step_must_be_there(tiny_csv: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--distill-seen asks teachers"):
        train_tiny(tiny_csv, tmp_path / "out", distill_seen=True)


@pytest.mark.slow
def test_votes_are_learnt_from_if_there_are_some(tiny_csv: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="learns from the FER"):
        train_tiny(tiny_csv, tmp_path / "out", distill=[tmp_path], distill_votes=True)


@pytest.mark.slow
def test_votes_alone_are_a_teacher_too(tiny_csv: Path, tmp_path: Path) -> None:
    votes = write_votes(tmp_path / "votes.csv", {"Training": 70, "PublicTest": 35})
    plain, taught = (
        train_tiny(
            tiny_csv, tmp_path / str(on), ferplus=votes if on else None, epochs=1, distill_votes=on
        )
        for on in (False, True)
    )
    assert any((a != b).any() for a, b in zip(weights_of(plain), weights_of(taught), strict=True))
    with pytest.raises(UsageError, match="learns from no FER\\+ votes"):
        train_tiny(tiny_csv, tmp_path / "none", ferplus=votes, epochs=1)
    card = json.loads((taught / "model.json").read_text())
    assert card["teachers"] == []
    assert "--distill-votes" in card["command"]
    assert "--distill " not in card["command"]


@pytest.mark.slow  # it imports the teachers' runtime
def test_an_answer_joined_with_votes_tells_the_labels_better_than_either(tmp_path: Path) -> None:
    from forensic_emotion.training.teachers import informed_by_votes

    chance = np.random.default_rng(0)
    n = 4000
    truth = chance.dirichlet(np.full(7, 0.4), n)
    labels = (truth.cumsum(axis=1) > chance.random((n, 1))).argmax(axis=1)
    votes = np.zeros((n, 10), np.float32)
    votes[:, 1:8] = [chance.multinomial(5, p) for p in truth]  # in another order than the classes
    votes[:100] = 0  # nobody has voted on these
    answer = (truth * chance.gamma(1.5, size=truth.shape)).astype(np.float32) + np.float32(1e-6)
    answer /= answer.sum(axis=1, keepdims=True)
    few = data.read(write_fer2013(tmp_path / "f.csv", {"Training": 1}))
    pictures = replace(few.where(np.zeros(n, np.intp)), labels=labels, votes=votes)
    joined = informed_by_votes(
        {"output": answer, "ferplus": np.full((n, 8), 0.125, np.float32)}, pictures
    )
    np.testing.assert_allclose(joined.sum(axis=1), 1, atol=1e-5)
    of_votes = (votes[:, 1:8] + 1) / (votes[:, 1:8] + 1).sum(axis=1, keepdims=True)
    best = _loss(truth, labels)
    assert _loss(joined, labels) - best < 0.6 * (_loss(soften(answer, 1.0), labels) - best)
    assert _loss(joined, labels) - best < 0.6 * (_loss(of_votes, labels) - best)
    assert _loss(joined[:100], labels[:100]) < _loss(np.full((100, 7), 1 / 7), labels[:100])
    alone = informed_by_votes({}, pictures)
    losses = [_loss(each[100:], labels[100:]) for each in (joined, alone, of_votes)]
    assert losses == sorted(losses)
    np.testing.assert_array_equal(alone[:100], np.eye(7)[labels[:100]])


def merged(folders: list[Path], data: Path, out: Path, **how: Any) -> Path:
    from forensic_emotion.training.merge import merge

    return merge(folders, data, out, 0.2, Progress(disable=True), **how)


@pytest.mark.slow
def test_a_merged_model_answers_the_mean_of_its_members(
    tiny_csv: Path, tiny_model: Path, symmetric_model: Path, tmp_path: Path
) -> None:
    out = merged([tiny_model, symmetric_model, tiny_model], tiny_csv, tmp_path / "merged")
    inputs = {
        "images": np.random.default_rng(0).random((5, 48, 48, 1), dtype=np.float32),
        "landmarks": np.random.default_rng(1).random((5, 68, 2), dtype=np.float32),
        "landmarks_valid": np.array([[1], [1], [0], [0], [1]], np.float32),
    }
    own, whole = (load_classifier(str(out), runtime) for runtime in ("onnx", "tensorflow"))
    logits = [
        np.log(load_classifier(str(folder), "onnx").probabilities(inputs))
        for folder in (tiny_model, symmetric_model, tiny_model)
    ]
    built_in = own.card.facts["calibration"]
    correction = SoftmaxRegression(np.array(built_in["kernel"]), np.array(built_in["bias"]))
    expected = correction.probabilities(centred_logits(np.exp(np.mean(logits, axis=0))))
    np.testing.assert_allclose(own.probabilities(inputs), expected, atol=1e-4)
    np.testing.assert_allclose(whole.probabilities(inputs), expected, atol=1e-4)
    facts = own.card.facts
    assert [member["name"] for member in facts["members"]] == ["tiny", "symmetric", "tiny"]
    assert facts["command"].startswith("femo merge tiny symmetric tiny --data fer2013.csv --out merged")
    with pytest.raises(ModelError, match="a merged model of 3 networks"):
        merged([out, tiny_model], tiny_csv, tmp_path / "again")
    with pytest.raises(UsageError, match="holds a model already"):
        merged([tiny_model, tiny_model], tiny_csv, out)


@pytest.mark.slow
@pytest.mark.parametrize("weights", [False, True])
def test_a_merged_model_may_see_the_mirror_image_in_another_size(
    tiny_csv: Path, tiny_model: Path, symmetric_model: Path, tmp_path: Path, weights: bool
) -> None:
    """Whatever form its members had."""
    members = [tiny_model if weights else symmetric_model, tiny_model]
    out = merged(members, tiny_csv, tmp_path / "out", weights=weights, mirror_size=0.8)
    chance = np.random.default_rng(0)
    images = chance.random((4, 48, 48, 1), dtype=np.float32)
    landmarks = chance.random((4, 68, 2), dtype=np.float32)
    inputs = {"images": images, "landmarks": landmarks, "landmarks_valid": np.ones((4, 1), np.float32)}
    mirrored, points = chips.mirror(images, landmarks)
    turn = np.array([[0.8, 0, 0.2 * 23.5], [0, 0.8, 0.2 * 23.5]])
    smaller = [
        cv2.warpAffine(each[..., 0], turn, (48, 48), borderMode=cv2.BORDER_REPLICATE)[..., None]
        for each in mirrored
    ]
    other = {**inputs, "images": np.stack(smaller), "landmarks": (points - 0.5) * 0.8 + 0.5}

    def logits(folder: Path, of: dict[str, Any], runtime: str = "onnx") -> Any:
        """As they were before the calibration, which is affine in them."""
        model = load_classifier(str(folder), runtime)
        built_in = model.card.facts["calibration"]
        found = np.log(model.probabilities({k: v.astype(np.float32) for k, v in of.items()}))
        centred = (found - built_in["bias"]) @ np.linalg.inv(np.array(built_in["kernel"]))
        return centred - centred.mean(axis=1, keepdims=True)

    if weights:
        as_they_are = merged(members, tiny_csv, tmp_path / "before", weights=True)
        before, found = logits(as_they_are, inputs), logits(out, inputs)
        expected = (before + logits(as_they_are, other)) / 2
        # OpenCV takes places to a thirty-second of a pixel.
        assert np.abs(found - expected).max() < 0.05 * np.abs(expected - before).max()
    for runtime in ("onnx", "tensorflow"):
        np.testing.assert_allclose(
            logits(out, inputs), logits(out, inputs, runtime), atol=1e-3, err_msg=runtime
        )
    card = json.loads((out / "model.json").read_text())
    assert card["settings"]["mirror_size"] == 0.8
    assert "--mirror-size 0.8" in card["command"]


@pytest.mark.slow
def test_a_calibration_is_built_in_and_taken_out_as_it_was_fitted() -> None:
    import keras

    from forensic_emotion.training.calibrate import build_in, take_out
    from forensic_emotion.training.network import committee, gated_vgg, seed_network, symmetric
    from forensic_emotion.training.train import score

    keras.utils.set_random_seed(0)
    chance = np.random.default_rng(0)
    inputs = {
        "images": chance.random((9, 48, 48, 1), dtype=np.float32),
        "landmarks": chance.random((9, 68, 2), dtype=np.float32),
        "landmarks_valid": np.ones((9, 1), np.float32),
    }
    kernel = np.eye(7) / 0.8 + 0.3 * chance.normal(size=(7, 7))
    correction = SoftmaxRegression(kernel, chance.normal(size=7))
    for networks in ([seed_network(7)], [gated_vgg(7)], [seed_network(7), gated_vgg(7)]):
        for network in networks:
            layer = network.get_layer("output")
            layer.set_weights([0.1 * chance.normal(size=w.shape) for w in layer.get_weights()])
        served = committee([symmetric(network) for network in networks])
        raw = score(served, inputs)
        assert 1e-6 < raw.min() < 0.1
        for network in networks:
            build_in(network, correction)
        expected = correction.probabilities(centred_logits(raw))
        np.testing.assert_allclose(score(served, inputs), expected, atol=1e-3)
        built_in = {"temperature": 0.8, "kernel": kernel.tolist(), "bias": correction.bias.tolist()}
        for network in networks:
            take_out(network, built_in)
        np.testing.assert_allclose(score(served, inputs), soften(raw, 0.8), atol=1e-3)
        take_out(networks[0], {"temperature": 0.8})  # as models of earlier versions say
        np.testing.assert_allclose(score(served, inputs), soften(raw, 0.8), atol=1e-3)


@pytest.mark.slow
def test_a_training_that_goes_astray_makes_no_model(tiny_csv: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="went astray"):
        train_tiny(tiny_csv, tmp_path / "out", learning_rate=1000.0, optimizer="sgd", epochs=3)
    assert not (tmp_path / "out" / "model.json").exists()


@pytest.mark.slow
def test_the_mean_of_weights_is_one_network(
    tiny_csv: Path, tiny_model: Path, symmetric_model: Path, tmp_path: Path
) -> None:
    import keras

    longer = train_tiny(
        tiny_csv, tmp_path / "longer", init=tiny_model / "model.h5", epochs=1, keep="last"
    )
    out = merged([tiny_model, longer], tiny_csv, tmp_path / "mean", weights=True)
    one, other, mean = (keras.models.load_model(f / "model.h5") for f in (tiny_model, longer, out))
    kernels = [
        next(layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)).get_weights()[0]
        for model in (one, other, mean)
    ]
    np.testing.assert_allclose(kernels[2], (kernels[0] + kernels[1]) / 2, atol=1e-6)
    facts = json.loads((out / "model.json").read_text())
    assert (facts["network"], facts["parameters"]) == ("seed", one.count_params())
    assert facts["command"].endswith("--out mean --weights --max-error 0.2")
    with pytest.raises(ModelError, match="not of one network"):
        merged([tiny_model, symmetric_model], tiny_csv, tmp_path / "none", weights=True)
    sizes = [
        merged([tiny_model, tiny_model], tiny_csv, tmp_path / f"{size}", weights=True, mirror_size=size)
        for size in (0.8, 0.9)
    ]
    with pytest.raises(ModelError, match="in one and the same size"):
        merged(sizes, tiny_csv, tmp_path / "none", weights=True)
    again = merged([sizes[0], sizes[0]], tiny_csv, tmp_path / "again", weights=True)
    assert json.loads((again / "model.json").read_text())["settings"]["mirror_size"] == 0.8


@pytest.mark.slow
def test_what_cannot_be_merged_is_told(tiny_csv: Path, tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="two or more"):
        merged([tiny_model], tiny_csv, tmp_path / "out")
    other = write_fer2013(tmp_path / "other.csv", {"Training": 70, "PublicTest": 10})
    with pytest.raises(ModelError, match="not all trained on"):
        merged([tiny_model, tiny_model], other, tmp_path / "out")
    both = merged([tiny_model, tiny_model], tiny_csv, tmp_path / "both")
    with pytest.raises(ModelError, match="merged model of 2 networks"):
        train_tiny(tiny_csv, tmp_path / "on", init=both / "model.h5")
    for missing in ("data", "settings", "network", "calibration"):
        copy = Path(shutil.copytree(tiny_model, tmp_path / missing))
        facts = json.loads((copy / "model.json").read_text())
        del facts[missing]
        (copy / "model.json").write_text(json.dumps(facts))
        with pytest.raises(ModelError, match=f"{missing}/model.json does not say"):
            merged([tiny_model, copy], tiny_csv, tmp_path / "no")


@pytest.mark.slow
def test_a_symmetric_model_can_be_trained_on(symmetric_model: Path) -> None:
    from forensic_emotion.training.network import gated_vgg
    from forensic_emotion.training.warm_start import start_from

    assert start_from(gated_vgg(7), symmetric_model / "model.h5", freeze=False) == []


@pytest.mark.slow
def test_what_is_recorded_stands_beside_what_another_evaluation_recorded(
    tiny_model: Path, tiny_csv: Path, tmp_path: Path
) -> None:
    from forensic_emotion.training.evaluate import evaluate, record

    copy = Path(shutil.copytree(tiny_model, tmp_path / "copy"))
    card = ModelCard.find(str(copy))  # read before the other one writes
    record(ModelCard.find(str(copy)), "PrivateTest", {"n": 1})
    record(card, "PublicTest", {"n": 2})
    metrics = ModelCard.find(str(copy)).facts["metrics"]
    assert (metrics["PrivateTest"], metrics["PublicTest"]) == ({"n": 1}, {"n": 2})
    assert "validation" in metrics
    settings = EvaluateSettings(split="validation", record=True)
    with pytest.raises(UsageError, match="split validation cannot be recorded"):
        evaluate(str(copy), tiny_csv, tmp_path / "out", settings, Progress(disable=True))


@pytest.mark.slow
def test_the_ferplus_majority_is_measured(symmetric_model: Path, tiny_csv: Path, tmp_path: Path) -> None:
    from forensic_emotion.training.evaluate import evaluate

    votes = write_votes(tmp_path / "v.csv", {"Training": 70, "PublicTest": 35})
    settings = EvaluateSettings(robustness=False)
    progress = Progress(disable=True)
    found = evaluate(str(symmetric_model), tiny_csv, tmp_path / "out", settings, progress, votes)
    assert found.ferplus is not None
    assert found.ferplus.n == 34  # all but the picture with two votes for each of two classes
    assert found.robustness == {}


def identity_descriptor(grey: np.ndarray, taken: list[Any], content: bytes) -> np.ndarray:
    """dlib's 128 numbers of a 150x150 face, by the kernels as they were loaded.

    What ``face_resnet`` leaves out, the last block and the matrix behind it, comes from the file.
    """
    from keras import ops

    from forensic_emotion.training.identity import _parameters
    from forensic_emotion.training.network import RESIDUAL_BLOCKS

    weights = [layer.get_weights() for layer in taken]
    kernels, scales = _parameters(content)
    for raw, scale in zip(kernels[len(taken) :], scales[len(taken) :], strict=True):
        kernel = raw[:-256].reshape(256, 256, 3, 3).transpose(2, 3, 1, 0) * scale[:256]
        weights.append([kernel, raw[-256:] * scale[:256] + scale[256:]])
    left = iter(weights)

    def convolve(x: Any, strides: int = 1, padding: str = "same") -> Any:
        kernel, bias = next(left)
        return ops.conv(x, kernel, strides, padding) + bias

    x = ops.relu(convolve(grey[None, :, :, None].astype(np.float32) / 255, 2, "valid"))
    x = ops.max_pool(x, 3, 2, "valid")
    for filters, halves in (*RESIDUAL_BLOCKS, (256, True)):
        y = ops.relu(convolve(x, 2, "valid") if halves else convolve(x))
        y = convolve(y)
        if halves:
            x = ops.average_pool(x, 2, 2, "valid")
            x = ops.pad(x, [(0, 0), (0, 0), (0, 0), (0, filters - x.shape[-1])])
            short = x.shape[1] - y.shape[1]  # dlib fills up what is smaller
            y = ops.pad(y, [(0, 0), (0, short), (0, short), (0, 0)])
        x = ops.relu(x + y)
    matrix = content.index(b"\x01\x02\x02\x00\x01\x01\x80\x01\x01\x01\x01", content.index(b"fc_2")) + 11
    return np.asarray(ops.mean(x, axis=(1, 2))) @ np.frombuffer(
        content, "<f4", 256 * 128, matrix
    ).reshape(256, 128)


@pytest.mark.slow
def test_the_identity_network_is_dlibs(tmp_path: Path) -> None:
    import dlib

    from forensic_emotion.faces.weights import weights_path
    from forensic_emotion.training import identity
    from forensic_emotion.training.network import face_resnet, gated_vgg

    path = weights_path(identity.WEIGHTS)
    model = face_resnet(7)
    taken = identity.load_identity(model, path)
    assert len(taken) == identity.CONVOLUTIONS - 2
    grey = np.random.default_rng(0).integers(0, 256, (150, 150), dtype=np.uint8)
    grey = np.asarray(cv2.normalize(cv2.GaussianBlur(grey, (0, 0), 5), None, 0, 255, cv2.NORM_MINMAX))
    theirs = dlib.face_recognition_model_v1(str(path)).compute_face_descriptor(np.dstack([grey] * 3))
    ours = identity_descriptor(grey, taken, path.read_bytes())
    np.testing.assert_allclose(ours[0], np.array(theirs), atol=1e-5)
    with pytest.raises(ModelError, match="another architecture"):
        identity.load_identity(gated_vgg(7), path)
    (tmp_path / identity.WEIGHTS).write_bytes(path.read_bytes()[:1_000_000])
    with pytest.raises(ModelError, match="cannot be read as dlib"):
        identity.load_identity(model, tmp_path / identity.WEIGHTS)


@pytest.mark.slow
@pytest.mark.parametrize("network", ["seed", "gated_vgg", "face_resnet"])
def test_a_training_can_start_from_an_earlier_model(
    tiny_csv: Path, tmp_path: Path, network: str
) -> None:
    import keras

    from forensic_emotion.training.network import NETWORKS
    from forensic_emotion.training.warm_start import start_from

    earlier = NETWORKS[network](5)  # another class list
    earlier.save(tmp_path / "earlier.h5", include_optimizer=False)
    model = NETWORKS[network](7)
    assert start_from(model, tmp_path / "earlier.h5", freeze=True) == ["output"]
    heads = {"output"} if network == "seed" else {"output", "ferplus"}
    assert {layer.name for layer in model.layers if layer.trainable_weights} == heads
    kernels = [layer.kernel for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
    others = [layer.kernel for layer in earlier.layers if isinstance(layer, keras.layers.Conv2D)]
    for one, other in zip(kernels, others, strict=True):
        np.testing.assert_array_equal(one, other)
    out = train_tiny(tiny_csv, tmp_path / "out", init=tmp_path / "earlier.h5", network=network, epochs=1)
    assert json.loads((out / "model.json").read_text())["init"]["name"] == "earlier.h5"


@pytest.mark.slow
def test_a_frozen_training_changes_the_outputs_and_nothing_else(
    tiny_csv: Path, tiny_model: Path, tmp_path: Path
) -> None:
    import keras

    init = tiny_model / "model.h5"
    out = train_tiny(tiny_csv, tmp_path / "out", init=init, epochs=1, freeze=True)
    before, after = (keras.models.load_model(path / "model.h5") for path in (tiny_model, out))
    changed = [
        own.name
        for own, other in zip(after.layers, before.layers, strict=True)
        if any((a != b).any() for a, b in zip(own.get_weights(), other.get_weights(), strict=True))
    ]
    assert changed == ["output"]
    with pytest.raises(UsageError, match="nothing to freeze"):
        train_tiny(tiny_csv, tmp_path / "other", freeze=True)


@pytest.mark.slow
def test_a_start_from_something_else_is_told(tiny_csv: Path, tmp_path: Path) -> None:
    from forensic_emotion.training.network import gated_vgg

    gated_vgg(7).save(tmp_path / "gated.h5", include_optimizer=False)
    (tmp_path / "text.h5").write_text("no model")
    for name, message in [
        ("gated.h5", "another architecture"),
        ("text.h5", "cannot be loaded"),
        ("none.h5", "cannot be read"),
    ]:
        with pytest.raises(ModelError, match=message):
            train_tiny(tiny_csv, tmp_path / "out", init=tmp_path / name)
    assert not (tmp_path / "out").exists()


def test_a_processor_without_bfloat16_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from forensic_emotion.training import processor

    monkeypatch.setattr(processor, "FACTS", tmp_path / "cpuinfo")
    assert processor.computes_bfloat16() is None, "no file: unknown"
    for flags, computes in (("fpu avx2 avx512f", False), ("fpu avx512_bf16 avx2", True)):
        (tmp_path / "cpuinfo").write_text(f"processor : 0\nflags\t\t: {flags}\n")
        assert processor.computes_bfloat16() is computes


@pytest.mark.slow
def test_resuming_nothing_is_told(tiny_csv: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no run to resume"):
        train_tiny(tiny_csv, tmp_path / "none", resume=True)


@pytest.mark.slow
@pytest.mark.parametrize("runtime", ["onnx", "tensorflow"])
def test_evaluation_writes_all_it_should(
    tiny_model: Path, tiny_csv: Path, tmp_path: Path, runtime: str
) -> None:
    from forensic_emotion.training.evaluate import evaluate

    settings = EvaluateSettings(split="PublicTest", runtime=runtime, ten_crop=True)
    progress = Progress(disable=True)
    evaluation = evaluate(str(tiny_model), tiny_csv, tmp_path, settings, progress)
    figures = evaluation.whole
    assert evaluation.without_twins is not None
    assert evaluation.without_twins.accuracy.n == 34
    assert figures.accuracy.n == 35
    assert figures.confusion.sum() == 35
    assert {p.name for p in tmp_path.iterdir()} == {
        "metrics.json",
        "classes.csv",
        "confusion_matrix.csv",
        "confusion_matrix.png",
        "evaluation.html",
        "gallery.png",
        "reliability.png",
        "risk_coverage.png",
    }
    summary = json.loads((tmp_path / "metrics.json").read_text())
    assert summary["accuracy"]["value"] == figures.accuracy.value
    assert summary["ablation"]["both"] == summary["accuracy"]
    assert set(summary["robustness"]) == set(DISTURBANCES)
    assert summary["ten_crop"]["n"] == 35
    assert summary["answered"]["coverage"]["value"] == evaluation.answered.coverage.value
    assert summary["at_coverage"]["1.0"]["value"] == pytest.approx(figures.accuracy.value)
    page = (tmp_path / "evaluation.html").read_text()
    assert page.count("data:image/png") == 4
    assert "hand over the mouth" in page
    assert "http:" not in page
    assert "https:" not in page
    with pytest.raises(DataError, match="PrivateTest"):
        evaluate(str(tiny_model), tiny_csv, tmp_path, EvaluateSettings(split="PrivateTest"), progress)


@pytest.mark.slow
def test_the_command_says_which_model_it_measured(
    tiny_model: Path, tiny_csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder that is called like a shipped model is another one."""
    shutil.copytree(tiny_model, tmp_path / "seed")
    monkeypatch.chdir(tmp_path)
    assert ModelCard.find(Path("seed")).facts == ModelCard.find(str(tiny_model)).facts
    told = []
    for model, more in (("./seed", ["--record"]), ("seed", [])):
        command = ["evaluate", model, str(tiny_csv), "--no-robustness", *more]
        result = CliRunner().invoke(app, command)
        assert result.exit_code == 0, result.stderr
        told.append(result.stdout.splitlines())
    assert told[0][0] == "model seed, split PublicTest"
    assert told[1][0] == f"model {ModelCard.find('seed').folder}, split PublicTest"
    assert told[0][1].startswith("accuracy 0.")
    card = ModelCard.find(Path("seed"))
    assert card.facts["metrics"].keys() == {"validation", "PublicTest"}
    card.weights("model.onnx")  # is still that of the card


def test_a_merge_or_a_teacher_is_the_folder_that_was_named(
    tiny_model: Path, tiny_csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from forensic_emotion.training.teachers import load_teachers

    shutil.copytree(tiny_model, tmp_path / "seed")
    monkeypatch.chdir(tmp_path)
    trained_on = ModelCard.find(str(tiny_model)).facts["data"]["sha256"]
    (teacher,) = load_teachers([Path("seed")], trained_on, 0.1)
    assert teacher.card.folder == Path("seed")
    out = merged([Path("seed"), tiny_model], tiny_csv, tmp_path / "out", weights=True)
    members = json.loads((out / "model.json").read_text())["members"]
    assert members[0]["sha256"] == members[1]["sha256"]


@pytest.mark.slow
def test_what_a_full_disk_kept_from_being_written_is_written_by_going_on(
    tiny_csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from forensic_emotion.training import train as module

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(module, "write_pictures", full)
        with pytest.raises(FemoError, match="--resume then writes it"):
            train_tiny(tiny_csv, tmp_path / "out", epochs=1)
    train_tiny(tiny_csv, tmp_path / "out", epochs=1, resume=True)
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"model.json", "pictures.csv", "history.csv", "curves.png"} <= names


@pytest.mark.slow
def test_no_two_epochs_leave_out_the_same_units() -> None:
    import keras

    from forensic_emotion.training.train import seed_dropout

    states = []
    for seed, epoch in ((1, 1), (1, 2), (2, 1), (2**32 - 1, 1)):
        model = keras.Sequential(
            [keras.Input((4,)), keras.layers.Dropout(0.5), keras.layers.Dropout(0.5)]
        )
        seed_dropout(model, seed, epoch)
        states += [
            tuple(keras.ops.convert_to_numpy(layer.seed_generator.state)) for layer in model.layers
        ]
    assert len({state[0] for state in states}) == len(states)
    assert all(0 <= number < 2**31 for state in states for number in state)


@pytest.mark.slow
def test_the_average_forgets_by_the_step() -> None:
    from forensic_emotion.training.train import moving_average

    (by_eight,) = moving_average([np.ones(1)], [np.zeros(1)], 0.9, 1000, 8)
    (by_one,) = moving_average([np.ones(1)], [np.zeros(1)], 0.9, 1000, 1)
    assert (by_eight[0], by_one[0]) == (pytest.approx(0.9**8), pytest.approx(0.9))


@pytest.mark.slow
def test_any_part_of_a_picture_may_be_covered() -> None:
    from forensic_emotion.training.augment import erase

    images = np.full((400, 48, 48), -1.0, np.float32)
    erase(images, 1.0, np.random.default_rng(3))
    covered = (images >= 0).any(axis=0)
    assert covered.any(axis=0).all()
    assert covered.any(axis=1).all()


@pytest.mark.slow
def test_recorded_figures_reach_the_card(tiny_model: Path, tiny_csv: Path, tmp_path: Path) -> None:
    from forensic_emotion.training.evaluate import evaluate

    folder = tmp_path / "copy"
    shutil.copytree(tiny_model, folder)
    settings = EvaluateSettings(split="PublicTest", record=True)
    figures = evaluate(str(folder), tiny_csv, tmp_path / "out", settings, Progress(disable=True)).whole
    card = ModelCard.find(str(folder))
    assert card.facts["metrics"]["PublicTest"]["accuracy"]["value"] == figures.accuracy.value
    assert "validation" in card.facts["metrics"]
    card.weights("model.onnx")


@pytest.mark.slow
def test_without_the_extra_the_command_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    from forensic_emotion.training import extra

    monkeypatch.setattr(extra, "find_spec", lambda name: None)
    with pytest.raises(FemoError, match="optional extra 'train'") as error:
        extra.require_train_extra("femo train")
    assert "pip install -e '.[train]'" in str(error.value)
