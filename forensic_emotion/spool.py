"""What a long video gives, waiting for the rest of it: in a file without a name, not in memory."""

from __future__ import annotations

import errno
import pickle
import tempfile
import threading
import weakref
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, TypeVar

from forensic_emotion.errors import FemoError
from forensic_emotion.records import FaceResult

T = TypeVar("T")


AT_ONCE = 32
"""Records that are read back at once; a face has a thumbnail of some kilobytes."""


class Spool:
    """A temporary file; what is kept in it is gone with the process, however that ends.

    Args:
        folder: where there is room, and may be written.

    Raises:
        FemoError: it cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self._turn = threading.Lock()
        self._folder = folder
        try:
            # Not buffered: what could not be written once would be tried again at every reading.
            self._file = tempfile.TemporaryFile(dir=folder, prefix=".femo-", buffering=0)  # noqa: SIM115
        except OSError as error:
            raise self._full(error) from error
        # Whoever takes the faces last need not know that there is a file to close.
        weakref.finalize(self, self._file.close)

    def keep(self, results: Sequence[T]) -> Kept[T]:
        """Write the faces of a piece down, or some tracks.

        Raises:
            FemoError: there is no room.
        """
        places = []
        try:
            with self._turn:
                start = self._file.seek(0, 2)
                for first in range(0, len(results), AT_ONCE):
                    some = tuple(results[first : first + AT_ONCE])
                    packed = pickle.dumps(some, pickle.HIGHEST_PROTOCOL)
                    self._write(packed)
                    places.append((start, len(packed)))
                    start += len(packed)
        except OSError as error:
            raise self._full(error) from error
        return Kept(self, tuple(places), len(results))

    def _write(self, packed: bytes) -> None:
        left = memoryview(packed)
        while left:  # a disk takes what it has room for
            left = left[self._file.write(left) :]

    def read(self, start: int, length: int) -> tuple[Any, ...]:
        """What was kept at a place.

        Raises:
            FemoError: the disk does not give it back.
        """
        packed = bytearray()
        try:
            with self._turn:
                self._file.seek(start)
                while len(packed) < length:
                    some = self._file.read(length - len(packed))
                    if not some:
                        raise OSError(errno.EIO, "it is shorter than it was")
                    packed += some
        except OSError as error:
            raise FemoError(
                f"What was stored temporarily in {self._folder} cannot be read back: {error.strerror}.",
                "Check the drive, then run the same command again to resume.",
            ) from error
        kept: tuple[Any, ...] = pickle.loads(packed)
        return kept

    def _full(self, error: OSError) -> FemoError:
        return FemoError(
            f"What was found so far cannot be stored temporarily in {self._folder}: {error.strerror}.",
            "Free up space there, then run the same command again to resume.",
        )


@dataclass(frozen=True, eq=False)
class Kept(Collection[T]):
    """Records in a spool; read some at a time whenever they are gone through."""

    spool: Spool
    places: tuple[tuple[int, int], ...]
    count: int

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[T]:
        for start, length in self.places:
            yield from self.spool.read(start, length)

    def __contains__(self, record: object) -> bool:
        return any(each is record for each in self)


@dataclass(frozen=True, eq=False)
class Tracked(Collection[FaceResult]):
    """Faces that know their tracks."""

    results: Collection[FaceResult]
    tracks: Sequence[int]
    """Of each face, in their order."""

    def __len__(self) -> int:
        return len(self.results)

    def __iter__(self) -> Iterator[FaceResult]:
        for result, track in zip(self.results, self.tracks, strict=True):
            yield replace(result, track=track)

    def __contains__(self, result: object) -> bool:
        return any(each is result for each in self)


TRACKS = 256
"""Tracks that are put aside at once."""


class Pile(Generic[T]):
    """Records that come one by one; put aside in a spool if there is one, but for the last few."""

    def __init__(self, spool: Spool | None) -> None:
        self._spool = spool
        self._kept: list[Collection[T]] = []
        self._last: list[T] = []

    def add(self, record: T) -> None:
        self._last.append(record)
        if self._spool is not None and len(self._last) == TRACKS:
            self._put_aside(self._spool)

    def whole(self) -> Collection[T]:
        """All of them, in the order in which they came."""
        if self._spool is None:
            return tuple(self._last)
        self._put_aside(self._spool)
        return together(self._kept)

    def _put_aside(self, spool: Spool) -> None:
        self._kept.append(spool.keep(self._last))
        self._last = []


def together(pieces: Sequence[Collection[T]]) -> Collection[T]:
    """The records of all pieces, in order."""
    kept = [piece for piece in pieces if isinstance(piece, Kept)]
    if kept and len(kept) == len(pieces):
        places = tuple(place for piece in kept for place in piece.places)
        return Kept(kept[0].spool, places, sum(len(piece) for piece in kept))
    return tuple(record for piece in pieces for record in piece)
