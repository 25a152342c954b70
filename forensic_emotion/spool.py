"""Faces of a long video that wait for the rest of it: in a file without a name, not in memory."""

from __future__ import annotations

import pickle
import tempfile
import threading
import weakref
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from forensic_emotion.errors import FemoError
from forensic_emotion.records import FaceResult


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
            self._file = tempfile.TemporaryFile(dir=folder, prefix=".femo-")  # noqa: SIM115
        except OSError as error:
            raise self._full(error) from error
        # Whoever takes the faces last need not know that there is a file to close.
        weakref.finalize(self, self._file.close)

    def keep(self, results: Sequence[FaceResult]) -> Kept:
        """Write the faces of a piece down.

        Raises:
            FemoError: there is no room.
        """
        content = pickle.dumps(tuple(results), pickle.HIGHEST_PROTOCOL)
        try:
            with self._turn:
                start = self._file.seek(0, 2)
                self._file.write(content)
                self._file.flush()
        except OSError as error:
            raise self._full(error) from error
        return Kept(self, ((start, len(content)),), len(results))

    def read(self, start: int, length: int) -> tuple[FaceResult, ...]:
        with self._turn:
            self._file.seek(start)
            results: tuple[FaceResult, ...] = pickle.loads(self._file.read(length))
        return results

    def _full(self, error: OSError) -> FemoError:
        return FemoError(
            f"What was found so far cannot be put aside in {self._folder}: {error.strerror}.",
            "Make room there and give the same command again: it goes on.",
        )


@dataclass(frozen=True, eq=False)
class Kept(Collection[FaceResult]):
    """Faces in a spool; read piece by piece whenever they are gone through."""

    spool: Spool
    places: tuple[tuple[int, int], ...]
    count: int

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[FaceResult]:
        for start, length in self.places:
            yield from self.spool.read(start, length)

    def __contains__(self, result: object) -> bool:
        return any(each is result for each in self)


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


def together(pieces: Sequence[Collection[FaceResult]]) -> Collection[FaceResult]:
    """The faces of all pieces, in order."""
    kept = [piece for piece in pieces if isinstance(piece, Kept)]
    if kept and len(kept) == len(pieces):
        places = tuple(place for piece in kept for place in piece.places)
        return Kept(kept[0].spool, places, sum(len(piece) for piece in kept))
    return tuple(result for piece in pieces for result in piece)
