"""Files and folders of labelled faces → pictures, label numbers, splits, FER+ votes.

Known are FER2013's official ``fer2013.csv`` (columns emotion, pixels, Usage), Kaggle's
``icml_face_data.csv`` (the same with blanks in the column names), folders ``split/class/picture``, and
FER+'s ``fer2013new.csv``.
"""

from __future__ import annotations

import csv
import hashlib
import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from forensic_emotion.chips import SIDE
from forensic_emotion.errors import DataError
from forensic_emotion.hashes import file_sha256
from forensic_emotion.records import CLASSES

LABELS = CLASSES
FERPLUS = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt")
"""The classes that FER+ taggers voted for; beside them stand ``unknown`` and ``NF``, not a face."""
FERPLUS_OF = {
    "angry": "anger",
    "disgust": "disgust",
    "fear": "fear",
    "happy": "happiness",
    "sad": "sadness",
    "surprise": "surprise",
    "neutral": "neutral",
}
"""The class of FER+ that each of FER2013's is; for contempt there is none."""
VOTES = (*FERPLUS, "unknown", "NF")
TRAINING = "Training"
SPLITS = (TRAINING, "PublicTest", "PrivateTest")

_FOLDER_SPLITS = {"train": TRAINING, **{split.lower(): split for split in SPLITS}}
"""Names of split folders; any other one is a split of its own name, such as ``test``."""
_FOLDER_LABELS = {"anger": "angry", "happiness": "happy", "sadness": "sad", "surprised": "surprise"}
"""Other names of class folders."""
_PICTURES = (".jpg", ".jpeg", ".png")
_OTHER_PICTURES = (
    *(".bmp", ".gif", ".tif", ".tiff", ".webp", ".pgm", ".ppm", ".jfif"),
    *(".heic", ".heif", ".avif", ".jp2"),
)
_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr")
"""Of Pillow, with 8 bits a pixel and colour; of 16 it would cut off what is above 255."""
LONGEST_HEADER = 120
"""Characters of a CSV's first line that a message quotes."""


@dataclass(frozen=True, eq=False)
class Labelled:
    """Labelled faces as a source has them; every array has one row a picture."""

    grey: npt.NDArray[np.uint8]
    """(n, 48, 48)."""
    labels: npt.NDArray[np.int64]
    """(n,), index into ``LABELS``."""
    usage: npt.NDArray[np.str_]
    """(n,), the split."""
    sha256: str
    """Of the file; of a folder, of its files' paths and hashes."""


def read_labelled(path: Path) -> Labelled:
    """Read a CSV or a folder of labelled faces.

    Raises:
        DataError: it is missing, or is none of the known; the message names the file and the row.
    """
    _refuse_pipe(path)
    rows = list(_from_folder(path) if path.is_dir() else _from_csv(path))
    if not rows:
        raise DataError(
            f"{path} contains no pictures.",
            "Give a complete fer2013.csv or icml_face_data.csv, or a folder split/class/picture.",
        )
    grey, labels, usage = zip(*rows, strict=True)
    sha256 = _folder_sha256(path) if path.is_dir() else file_sha256(path)
    return Labelled(np.stack(grey), np.array(labels, np.int64), np.array(usage), sha256)


Row = tuple[npt.NDArray[np.uint8], int, str]


def _from_csv(path: Path) -> Iterator[Row]:
    rows = None
    try:
        with path.open(newline="", encoding="utf-8-sig") as source:
            rows = csv.DictReader(source)
            names = {(name or "").strip(): name for name in rows.fieldnames or ()}
            if not {"emotion", "pixels", "Usage"} <= set(names) or len(names) < len(
                rows.fieldnames or ()
            ):
                raise DataError(
                    f"{path} has the columns {_shortened(rows.fieldnames)}, not emotion, pixels and"
                    " Usage, once each.",
                    "Give fer2013.csv or icml_face_data.csv, or a folder split/class/picture.",
                )
            for row in rows:
                try:
                    if None in row:
                        raise ValueError(f"more cells than the {len(names)} columns")
                    cells = {name: row[own] or "" for name, own in names.items()}
                    yield _pixels(cells["pixels"]), _label(cells["emotion"]), _usage(cells["Usage"])
                except ValueError as error:
                    raise _in_line(path, rows.line_num, error) from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(
            f"{path} cannot be read as fer2013.csv{_near(error, rows)}: {_why(error)}.",
            "Give a complete, unpacked fer2013.csv or icml_face_data.csv, or a folder of pictures.",
        ) from error


def _why(error: Exception) -> str:
    """Without the number and the path that the system's own text has."""
    return str(getattr(error, "strerror", None) or error)


def _near(error: Exception, rows: csv.DictReader[str] | None) -> str:
    """Where a CSV is none, if that is known."""
    return f", line {rows.line_num + 1} or later" if rows and isinstance(error, csv.Error) else ""


def _shortened(names: Sequence[str] | None) -> str:
    """The names of columns; of a file without a header they are a row of numbers."""
    text = ", ".join(map(repr, names or ())) or "(none)"
    return text if len(text) < LONGEST_HEADER else f"{text[:LONGEST_HEADER]}…"


def _pixels(cell: str) -> npt.NDArray[np.uint8]:
    values = cell.split()
    if len(values) != SIDE * SIDE:
        raise ValueError(f"pixels has {len(values)} values, not {SIDE}x{SIDE} = {SIDE * SIDE}")
    try:
        # Not as bytes at once: NumPy 1 lets 300 wrap to 44. Python reads 1_0 as ten.
        numbers = np.array(values, dtype=np.int64)
        if "_" in cell or numbers.min() < 0 or numbers.max() > 255:
            raise ValueError(f"from {numbers.min()} to {numbers.max()}")
    except (ValueError, OverflowError) as error:
        raise ValueError(f"pixels has a value that is not 0 to 255: {error}") from error
    return numbers.astype(np.uint8).reshape(SIDE, SIDE)


def _label(cell: str) -> int:
    if cell.strip() not in map(str, range(len(LABELS))):
        raise ValueError(f"emotion is {cell!r}, not a number from 0 to {len(LABELS) - 1}")
    return int(cell)


def _usage(cell: str) -> str:
    if cell not in SPLITS:
        raise ValueError(f"Usage is {cell!r}, not {', '.join(SPLITS)}")
    return cell


def _in_line(path: Path, line: int, error: Exception) -> DataError:
    return DataError(f"{path}, line {line}: {error}.", "Correct that row, or download the file again.")


def _refuse_pipe(path: Path) -> None:
    """See that a name is not that of a pipe or a device, which may never end.

    Raises:
        DataError: it is.
    """
    if not path.is_file() and not path.is_dir() and path.exists():
        raise DataError(
            f"{path} is not a regular file, but a pipe or a device.",
            "Write the data to a file: they are read more than once, and identified by its hash.",
        )


def _from_folder(path: Path) -> Iterator[Row]:
    for file in _files_of(path):
        try:
            split, label, _ = file.relative_to(path).parts
        except ValueError as error:
            raise DataError(
                f"{file} is not at split/class/picture below {path}.",
                "Sort the pictures into folders like Training/happy, and keep other files elsewhere.",
            ) from error
        label = _FOLDER_LABELS.get(label.lower(), label.lower())
        if label not in LABELS:
            raise DataError(
                f"{file} is in {label!r}, which is not a class.", f"Classes: {', '.join(LABELS)}."
            )
        _refuse_pipe(file)
        try:
            with Image.open(file, formats=("JPEG", "PNG")) as picture:
                if picture.size != (SIDE, SIDE):
                    raise DataError(
                        f"{file} has {picture.width}x{picture.height} pixels, not {SIDE}x{SIDE}.",
                        "Give pictures that show the face as FER2013 does, at its size.",
                    )
                if picture.mode not in _MODES:
                    raise DataError(
                        f"{file} has more than 8 bits per pixel (mode {picture.mode}).",
                        "Give 8-bit pictures, as in FER2013.",
                    )
                grey = np.array(picture.convert("L"))
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise DataError(
                f"{file} cannot be decoded: {error}.",
                "Replace or remove it; JPEG and PNG are supported.",
            ) from error
        yield grey, LABELS.index(label), _FOLDER_SPLITS.get(split.lower(), split)


def _files_of(path: Path) -> list[Path]:
    """The pictures below a folder, in the order of their paths' bytes; links to folders are followed."""
    found, seen = [], set()
    for folder, _, names in os.walk(path, onerror=_cannot_be_listed, followlinks=True):
        place = os.path.realpath(folder)
        if place in seen:
            raise DataError(
                f"{folder} is reached twice, through a link.", "Include each folder only once."
            )
        seen.add(place)
        for file in (Path(folder, name) for name in names):
            if file.suffix.lower() in _OTHER_PICTURES:
                raise DataError(
                    f"{file} is a picture in a format that is not read.",
                    "Convert it to PNG, or move it elsewhere.",
                )
            if file.suffix.lower() in _PICTURES:
                found.append(file)
    return sorted(found, key=os.fsencode)


def _cannot_be_listed(error: OSError) -> None:
    raise DataError(
        f"{error.filename} cannot be read: {error.strerror}.",
        "Its pictures would be missing; check that you may read it.",
    ) from error


def _folder_sha256(path: Path) -> str:
    digest = hashlib.sha256()
    for file in _files_of(path):
        digest.update(os.fsencode(file.relative_to(path)) + b"\0" + file_sha256(file).encode())
    return digest.hexdigest()


def digests(grey: npt.NDArray[np.uint8]) -> npt.NDArray[np.str_]:
    """(n, 48, 48) → (n,) SHA-256 of each picture's pixels: twins have the same."""
    return np.array([hashlib.sha256(picture.tobytes()).hexdigest() for picture in grey], dtype="U64")


def read_votes(
    path: Path, usage: npt.NDArray[np.str_], labels: npt.NDArray[np.int64] | None = None
) -> npt.NDArray[np.float32]:
    """The FER+ votes of the pictures of a ``fer2013.csv``.

    Args:
        path: ``fer2013new.csv``, or another CSV with a column ``Usage`` (or ``usage``) and the ten
            columns of votes (with or without ``ferplus_`` before their names); one row a picture,
            within each split in the order of ``fer2013.csv``.
        usage: (n,), the split of each picture.
        labels: (n,), the label of each; a column ``emotion`` of the votes must agree with it.

    Returns:
        (n, 10), in the order of ``VOTES``.

    Raises:
        DataError: it cannot be read, has another number of pictures in a split, or other labels.
    """
    expected = (
        {str(s): labels[usage == s].tolist() for s in np.unique(usage)} if labels is not None else {}
    )
    _refuse_pipe(path)
    by_split: dict[str, list[list[float]]] = {}
    agree: list[bool] = []
    try:
        with path.open(newline="", encoding="utf-8-sig") as source:
            rows = csv.DictReader(source)
            names = {
                (n or "").strip().removeprefix("ferplus_").lower(): n for n in rows.fieldnames or ()
            }
            missing = [n for n in ("usage", *VOTES) if n.lower() not in names]
            if missing:
                raise DataError(
                    f"{path} contains no FER+ votes: it has no column {', '.join(missing)}.",
                    "Give fer2013new.csv as FER+ publishes it.",
                )
            last: dict[str, str] = {}
            for row in rows:
                try:
                    votes = [float(row[names[name.lower()]] or "") for name in VOTES]
                    for vote in votes:
                        if not (math.isfinite(vote) and vote >= 0):
                            raise ValueError(f"{vote:g} is not a number of votes")
                    # The official file names its pictures, but for those that it leaves out.
                    name = (row[names["image name"]] or "") if "image name" in names else ""
                    before = last.get(row[names["usage"]], "")
                    if name and name < before:
                        raise ValueError(f"{name} comes after {before}: the rows are out of order")
                    last[row[names["usage"]]] = name or before
                    own = expected.get(row[names["usage"]], [])
                    place = len(by_split.get(row[names["usage"]], ()))
                    told = (row[names["emotion"]] or "").strip() if "emotion" in names else ""
                    if told.isdigit() and place < len(own):
                        agree.append(int(told) == own[place])
                except ValueError as error:
                    raise _in_line(path, rows.line_num, error) from error
                by_split.setdefault(row[names["usage"]], []).append(votes)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(
            f"{path} cannot be read as FER+ votes: {_why(error)}.",
            "Give fer2013new.csv as FER+ publishes it.",
        ) from error
    # Labels may have been corrected in one of both; half of them agree by no chance.
    if agree and 2 * sum(agree) < len(agree):
        raise DataError(
            f"{path} has labels (column emotion) that differ from those of the pictures:"
            f" {sum(agree)} of {len(agree)} agree.",
            "Its rows are in another order, or its labels are numbered differently. Leave out that"
            " column if the order is right.",
        )
    found = np.zeros((len(usage), len(VOTES)), np.float32)
    for split in np.unique(usage):
        wanted, there = int((usage == split).sum()), len(by_split.get(str(split), ()))
        if wanted != there:
            raise DataError(
                f"{path} has votes for {there} pictures of split {split}, but there are {wanted}"
                " pictures.",
                "Both files must hold the same pictures of each split, in the same order.",
            )
        found[usage == split] = by_split[str(split)]
    return found
