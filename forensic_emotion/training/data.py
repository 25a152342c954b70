"""Labelled faces → pictures with landmarks, and a split that parts no pixel-identical ones."""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from forensic_emotion import chips
from forensic_emotion.errors import DataError, FemoError
from forensic_emotion.faces.hog import HogDetector
from forensic_emotion.faces.landmarks import LandmarkPredictor
from forensic_emotion.records import RGB, Box
from forensic_emotion.settings import DLIB_FACE, ScanSettings
from forensic_emotion.training.sources import (
    FERPLUS,
    LABELS,
    TRAINING,
    VOTES,
    digests,
    read_labelled,
    read_votes,
)

# A 48x48 face is below the detector's window of 80 px. Twice the size, with a quarter of repeated
# border, is what finds most of them; larger finds no more.
ENLARGED = 96
BORDER = ENLARGED // 4
AS_IT_IS = ScanSettings(detector="hog", smallest_face=DLIB_FACE)
"""The detector looks at the enlarged picture and scales it no further."""
SPLIT_SEED = 1
"""Which Training pictures are held out."""
LANDMARK_METHOD = f"hog-{ENLARGED}px-border{BORDER}-else-whole-picture-v1"


Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Pictures:
    """Labelled faces; every array has one row a picture."""

    sha256: str
    """Of the data they come from."""
    grey: npt.NDArray[np.uint8]
    """(n, 48, 48)."""
    labels: npt.NDArray[np.int64]
    """(n,), index into ``LABELS``."""
    usage: npt.NDArray[np.str_]
    """(n,), the official split."""
    row: npt.NDArray[np.int64]
    """(n,), row in the file, the first picture being 0."""
    landmarks: chips.PointSets
    """(n, 68, 2), as a share of the picture's side."""
    detected: npt.NDArray[np.bool_]
    """(n,), False where the whole picture served as face rectangle, as the detector found none."""
    votes: npt.NDArray[np.float32]
    """(n, 10), FER+ votes in the order of ``VOTES``; all 0 where there are none."""
    taught: npt.NDArray[np.float32] | None = None
    """(n, classes), what teachers answer; None if there are none."""
    source: str = "The data"
    """The file or folder, as messages name it."""

    def __len__(self) -> int:
        return len(self.labels)

    def where(self, rows: npt.NDArray[np.bool_] | npt.NDArray[np.intp]) -> Pictures:
        """The pictures chosen by a mask or by positions."""
        arrays = {name: v for name, v in vars(self).items() if isinstance(v, np.ndarray)}
        chosen: dict[str, Any] = {name: values[rows] for name, values in arrays.items()}
        return replace(self, **chosen)

    def split(self, usage: str) -> Pictures:
        """The pictures of one official split.

        Raises:
            DataError: there is none.
        """
        chosen = self.where(self.usage == usage)
        if not len(chosen):
            there = ", ".join(sorted(set(self.usage.tolist()))) or "none"
            raise DataError(
                f"{self.source} has no pictures of split {usage!r} (splits in it: {there}).",
                "Choose one of those with --split, or add such pictures.",
            )
        return chosen

    def inputs(self) -> dict[str, npt.NDArray[np.float32]]:
        """The network's inputs, made as scanning makes them."""
        return chips.as_inputs(self.grey, self.landmarks, self.detected)

    def targets(self) -> tuple[dict[str, Floats], dict[str, Floats]]:
        """What each output should say, and how much each picture counts there.

        The FER+ target is the distribution of the votes; single votes are taken as slips, and a
        picture whose taggers saw mostly no face or no expression counts nothing (Barsoum et al. 2016).
        """
        votes = np.where(self.votes > 1, self.votes, 0)
        named = votes[:, : len(FERPLUS)]
        total = named.sum(axis=1)
        usable = (total > 0) & (total >= votes[:, len(FERPLUS) :].sum(axis=1))
        shares = named / np.maximum(total, 1)[:, None]
        targets = {"output": np.eye(len(LABELS), dtype=np.float32)[self.labels], "ferplus": shares}
        weights = {
            "output": np.ones(len(self), np.float32),
            "ferplus": usable.astype(np.float32),
        }
        return targets, weights


def ferplus_majority(votes: Floats) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.int64]]:
    """Which pictures have a FER+ majority, and its class (n,), index into ``FERPLUS``.

    Single votes are taken as slips; more than half of the others must agree, and on an expression
    (protocol: Barsoum et al. 2016).
    """
    counted = np.where(votes > 1, votes, 0)
    most = counted.argmax(axis=1)
    agreed = counted.max(axis=1) * 2 > counted.sum(axis=1)
    return agreed & (most < len(FERPLUS)), most.astype(np.int64)


def cache_folder() -> Path:
    """Where derived data are kept between runs (``XDG_CACHE_HOME``)."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "femo"


def read(
    path: Path,
    ferplus: Path | None = None,
    progress: Callable[[Iterable[int]], Iterable[int]] = iter,
) -> Pictures:
    """Read labelled faces and find their landmarks.

    The landmarks are kept in the cache folder under the data's SHA-256, so that they are found once.

    Args:
        path: CSV or folder; see ``sources.read_labelled``.
        ferplus: CSV with the FER+ votes of the same pictures, or None; see ``sources.read_votes``. Not
            for a folder.
        progress: wraps the positions while landmarks are found, to show how far it is.

    Raises:
        DataError: they cannot be read; the message names the file and the row.
    """
    if ferplus is not None and path.is_dir():
        # They have no names of pictures: only their order says whose they are.
        raise DataError(
            f"The FER+ votes of {ferplus} cannot be matched to the pictures in the folder {path}.",
            "They are in the order of fer2013.csv: give that instead of the folder.",
        )
    found = read_labelled(path)
    kept_in = cache_folder() / f"landmarks-{found.sha256[:16]}-{LANDMARK_METHOD}.npz"
    kept = _kept_landmarks(kept_in, len(found.labels))
    if kept is None:
        kept = find_landmarks(found.grey, progress)
        _keep_landmarks(kept_in, *kept)
    landmarks, detected = kept
    votes = np.zeros((len(found.labels), len(VOTES)), np.float32)
    if ferplus is not None:
        votes = read_votes(ferplus, found.usage, found.labels)
    rows = np.arange(len(found.labels))
    return Pictures(
        found.sha256,
        found.grey,
        found.labels,
        found.usage,
        rows,
        landmarks,
        detected,
        votes,
        source=str(path),
    )


def _kept_landmarks(kept_in: Path, n: int) -> tuple[chips.PointSets, npt.NDArray[np.bool_]] | None:
    """What was found before; None if nothing was, or what lies there is damaged: it is found anew."""
    try:
        with kept_in.open("rb") as file, np.load(file) as kept:
            landmarks, detected = kept["landmarks"], kept["detected"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
        return None
    return (landmarks, detected) if landmarks.shape == (n, 68, 2) and detected.shape == (n,) else None


def _keep_landmarks(kept_in: Path, landmarks: chips.PointSets, detected: npt.NDArray[np.bool_]) -> None:
    unfinished = kept_in.with_suffix(f".{os.getpid()}.npz")
    try:
        kept_in.parent.mkdir(parents=True, exist_ok=True)
        np.savez(unfinished, landmarks=landmarks, detected=detected)
        unfinished.replace(kept_in)
    except OSError as error:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)
        raise FemoError(
            f"The landmarks found cannot be stored in {kept_in}: {error.strerror or error}.",
            "Free up space there, or set XDG_CACHE_HOME to another folder.",
        ) from error


def find_landmarks(
    grey: npt.NDArray[np.uint8], progress: Callable[[Iterable[int]], Iterable[int]] = iter
) -> tuple[chips.PointSets, npt.NDArray[np.bool_]]:
    """The 68 landmarks of each picture by dlib, and whether its detector found the face.

    Each picture is enlarged and bordered; where the detector still finds no face, the whole picture
    is taken as the face's rectangle, which FER2013's framing makes nearly right.
    """
    detector, predictor = _finders()
    points = np.empty((len(grey), 68, 2), np.float32)
    detected = np.zeros(len(grey), bool)
    for i in progress(range(len(grey))):
        image = enlarge(grey[i])
        found = detector.detect(image)
        detected[i] = bool(found)
        whole = Box(BORDER, BORDER, BORDER + ENLARGED, BORDER + ENLARGED)
        placed = predictor.place(image, found[0].square if found else whole)
        in_picture = (placed - BORDER) * np.float32(chips.SIDE / ENLARGED)
        points[i] = chips.make_chip(grey[i], chips.whole_picture(grey[i]), in_picture).landmarks
    return points, detected


@cache
def _finders() -> tuple[HogDetector, LandmarkPredictor]:
    """Loaded once: an evaluation finds landmarks many times."""
    return HogDetector(AS_IT_IS), LandmarkPredictor()


def enlarge(grey: npt.NDArray[np.uint8]) -> RGB:
    """A small grey face as the detector can find it: enlarged, with a border."""
    large = cv2.resize(grey, (ENLARGED, ENLARGED), interpolation=cv2.INTER_LINEAR)
    large = cv2.copyMakeBorder(large, BORDER, BORDER, BORDER, BORDER, cv2.BORDER_REPLICATE)
    return np.asarray(cv2.cvtColor(large, cv2.COLOR_GRAY2RGB), dtype=np.uint8)


@dataclass(frozen=True, eq=False)
class TrainingSplit:
    """How the Training pictures are used."""

    fit: Pictures
    """What the weights are fitted to."""
    validation: Pictures
    """What decides which epoch is kept; never fitted to, no pixel-identical twin anywhere."""
    left_out: int
    """Training pictures that stand, pixel for pixel, in a test split of the same file."""


def split_training(pictures: Pictures, share: float, seed: int = SPLIT_SEED) -> TrainingSplit:
    """Hold out a stratified part of Training for validation.

    A picture that stands in a test split too is used for neither. A picture with a twin within
    Training is never held out, so that no pixel of the validation part was seen in fitting
    as it is there. Near copies, the same photograph moved or scaled, are not looked for.

    Args:
        pictures: all splits of the data.
        share: of Training to hold out, 0 < share < 1. What a smaller share holds out, a larger one
            does too.
        seed: of the choice; the same for every training, so that models can be compared, and one can
            teach another without having seen its held-out part.

    Raises:
        DataError: Training has too few pictures, or a class has none.
    """
    digest = digests(pictures.grey)
    in_training = pictures.usage == TRAINING
    leaked = in_training & np.isin(digest, digest[~in_training])
    usable = np.flatnonzero(in_training & ~leaked)
    _, inverse, count = np.unique(digest[usable], return_inverse=True, return_counts=True)
    unique = usable[count[inverse] == 1]
    chance = np.random.default_rng(seed)
    held_out = []
    for label in range(len(LABELS)):
        candidates = unique[pictures.labels[unique] == label]
        wanted = round(share * np.count_nonzero(pictures.labels[usable] == label))
        held_out.append(chance.permutation(candidates)[:wanted])
    validation = np.sort(np.concatenate(held_out))
    fit = np.setdiff1d(usable, validation)
    if not len(validation) or not len(fit):
        raise DataError(
            f"{pictures.source} has too few Training pictures ({len(usable)}) to hold out a share of"
            f" {share}.",
            "Give more pictures, or a larger --validation-share." if len(usable) else "Give some.",
        )
    missing = [name for i, name in enumerate(LABELS) if i not in pictures.labels[fit]]
    if missing:
        raise DataError(
            f"{pictures.source} has no Training pictures to fit of class {', '.join(missing)}.",
            "Add pictures of it: a network cannot learn a class that it never sees.",
        )
    return TrainingSplit(pictures.where(fit), pictures.where(validation), int(leaked.sum()))
