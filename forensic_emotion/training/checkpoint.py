"""The folder that lets a killed training go on."""

from __future__ import annotations

import fcntl
import json
import os
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from forensic_emotion.errors import DataError, FemoError, UsageError

STATE = "state.json"
"""What a folder of checkpoints tells of its training."""
DAMAGED = (
    *(OSError, ValueError, TypeError, LookupError, AttributeError, EOFError, RuntimeError),
    *(zipfile.BadZipFile, zlib.error),
)
"""What Keras, NumPy and JSON raise on files that are not whole."""

Weights = list[npt.NDArray[np.float32]]
"""A network's weights in the order of ``get_weights``, normalisation statistics included."""


@dataclass(frozen=True)
class Epoch:
    """One row of ``history.csv``."""

    epoch: int
    """From 1."""
    loss: float
    """Mean over the epoch's steps, in training mode: cross-entropy of every output with what it is
    taught (labels, teachers' answers, votes, blends of them), and the penalty of weights where a network
    has one."""
    accuracy: float
    """The same steps' share of answers that agree with what is taught: of a blend with its greatest
    part, so where a teacher is asked it is not the share that agrees with the labels."""
    validation_loss: float
    """Cross-entropy with the labels of the held-out part, after the epoch."""
    validation_accuracy: float
    """Share of its pictures that are answered as labelled."""
    seconds: float


def best(history: list[Epoch]) -> Epoch:
    """The epoch with the highest validation accuracy; of equals, the one with the lower loss."""
    return max(history, key=lambda e: (e.validation_accuracy, -e.validation_loss))


class Checkpoint:
    """The folder that lets a killed run go on: the last and the best epoch, and the history.

    ``state.json`` is replaced in one step once the epoch's file is whole, so a kill at any moment
    leaves a state whose files are there. One run at a time writes to it: ``start`` and ``load`` keep
    others out until ``close``.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._state = folder / STATE
        self._locked: int | None = None

    def refuse_used(self) -> None:
        """See that there is no run yet, before there is work to lose.

        Raises:
            UsageError: there is one, or a model.
        """
        out = self._folder.parent
        names = ("model.json", "model.h5", "model.onnx")
        if self._state.exists() or any((out / name).exists() for name in names):
            raise UsageError(
                f"{out} already holds a training run or a model.",
                "Resume it with --resume, or choose another folder with --out.",
            )

    def refuse_missing(self) -> None:
        """See that there is a run to go on with, before there is work to lose.

        Raises:
            UsageError: there is none.
        """
        if not self._state.exists():
            raise UsageError(
                f"There is no run to resume in {self._folder.parent}.", "Start it without --resume."
            )

    def start(self) -> None:
        """Make the folder for a new run.

        Raises:
            UsageError: there is a run since ``refuse_used``, or another one is at work.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        self._lock()
        self.refuse_used()

    def close(self) -> None:
        """Let other runs in."""
        if self._locked is not None:
            os.close(self._locked)
            self._locked = None

    def _lock(self) -> None:
        self._locked = os.open(self._folder, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.flock(self._locked, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self.close()
            raise UsageError(
                f"Another training is writing to {self._folder.parent}.",
                "Wait for it, or choose another folder with --out.",
            ) from error
        except OSError:
            pass  # a cluster's file system without locks: one run alone needs none

    def save(
        self,
        model: keras.Model,
        average: Weights,
        history: list[Epoch],
        identity: dict[str, object],
        commits: list[str],
    ) -> None:
        """Write down the last epoch; the files of earlier ones that nothing needs any more go.

        Args:
            model: with its optimiser.
            average: of its weights.
            history: the epochs so far.
            identity: what a run that goes on must be started with too.
            commits: of femo's source, by which the run began and went on.

        Raises:
            FemoError: they cannot be written; the checkpoint before this one stays as it was.
        """
        now = history[-1].epoch
        unfinished = self._state.with_suffix(".new")
        state = {**identity, "commits": commits, "history": [asdict(epoch) for epoch in history]}
        try:
            model.save(self._file(now, "keras"))
            np.savez(self._file(now, "npz"), *average)
            unfinished.write_text(json.dumps(state, indent=1), encoding="utf-8")
        except (OSError, RuntimeError) as error:  # h5py raises the latter on a full disk
            for path in (unfinished, self._file(now, "keras"), self._file(now, "npz")):
                path.unlink(missing_ok=True)
            raise FemoError(
                f"The checkpoint of epoch {now} cannot be written to {self._folder}: {error}.",
                f"The checkpoint of epoch {now - 1} is kept. Free up space there, then resume with"
                " --resume."
                if now > 1
                else "Free up space there, then start it again.",
            ) from error
        unfinished.replace(self._state)
        needed = {self._file(now, "keras"), self._file(now, "npz")}
        needed.add(self._file(best(history).epoch, "npz"))
        for old in set(self._folder.glob("epoch-*")) - needed:
            old.unlink()

    def load(self, identity: dict[str, object]) -> tuple[keras.Model, Weights, list[Epoch], list[str]]:
        """The model, the average of its weights, the history and the commits to go on from.

        Raises:
            UsageError: there is none, it has other settings or data, or it is at work.
            DataError: it cannot be read.
        """
        self.refuse_missing()
        self._lock()
        try:
            state = json.loads(self._state.read_text(encoding="utf-8"))
            history = [Epoch(**epoch) for epoch in state.pop("history")]
            commits = state.pop("commits", [])
            now = history[-1].epoch
        except DAMAGED as error:
            raise _damaged(self._state, error) from error
        if state != identity:
            raise UsageError(
                f"The run in {self._folder.parent} was started with other settings or data.",
                f"What differs: {'; '.join(_differences(state, identity))}.",
            )
        file = self._file(now, "keras")
        try:
            model = keras.models.load_model(file)
        except DAMAGED as error:
            raise _damaged(file, error) from error
        return model, self.load_average(now), history, commits

    def load_average(self, epoch: int) -> Weights:
        """The averaged weights as they were after an epoch.

        Raises:
            DataError: they cannot be read.
        """
        file = self._file(epoch, "npz")
        try:
            with file.open("rb") as opened, np.load(opened) as kept:
                return [kept[name] for name in kept.files]
        except DAMAGED as error:
            raise _damaged(file, error) from error

    def _file(self, epoch: int, ending: str) -> Path:
        return self._folder / f"epoch-{epoch:03}.{ending}"


def _damaged(file: Path, error: Exception) -> DataError:
    return DataError(f"{file} is damaged: {error}.", "Start again in another folder with --out.")


def _differences(state: dict[str, Any], identity: dict[str, Any]) -> Iterator[str]:
    """What a run was started with and what is given now, where they are not the same."""
    for name, now in identity.items():
        before = state.get(name)
        if isinstance(now, dict) and isinstance(before, dict):
            yield from _differences(before, now)
        elif before != now:
            yield f"{name} {before} / {now}"
