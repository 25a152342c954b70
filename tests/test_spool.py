"""What a long video gives waits on the disk, whole and in order."""

from __future__ import annotations

import os
import subprocess
import sys
import tracemalloc
from dataclasses import replace
from pathlib import Path

import pytest

from forensic_emotion.errors import FemoError
from forensic_emotion.records import Track
from forensic_emotion.spool import TRACKS, Kept, Pile, Spool, together

TRACK = Track(0, 0, None, None, 1, (0.25, 0.75), "loud", 0.75, "loud")


def test_pieces_come_back_in_their_order_and_more_than_once(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    late, early = spool.keep("cd"), spool.keep("ab")
    all_of_them = together([early, late, spool.keep("")])
    assert isinstance(all_of_them, Kept)
    assert (list(all_of_them), list(all_of_them), len(all_of_them)) == ([*"abcd"], [*"abcd"], 4)
    assert together([early, ("x",)]) == ("a", "b", "x")
    assert os.listdir(tmp_path) == [], "it has no name: it is gone with the process"


@pytest.mark.parametrize("count", [0, 1, TRACKS, TRACKS + 1])
def test_a_pile_keeps_all(tmp_path: Path, count: int) -> None:
    for spool in (None, Spool(tmp_path)):
        pile = Pile[int](spool)
        for number in range(count):
            pile.add(number)
        assert list(pile.whole()) == list(range(count))


FILLS = """
import resource, signal, sys
from pathlib import Path
from forensic_emotion.errors import FemoError
from forensic_emotion.spool import Spool
spool = Spool(Path(sys.argv[1]))
kept = spool.keep(["first"])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    spool.keep([bytes(5_000)])
except FemoError as error:
    print(error.text)
print(list(kept))
"""


def test_what_was_kept_can_be_read_when_the_disk_is_full(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FILLS, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
    )
    told, kept = done.stdout.splitlines()
    assert "cannot be stored temporarily" in told
    assert (kept, done.stderr) == ("['first']", "")


def test_a_pile_with_a_spool_takes_no_memory(tmp_path: Path) -> None:
    def held(spool: Spool | None) -> int:
        tracemalloc.start()
        pile = Pile[Track](spool)
        for number in range(20 * TRACKS):
            pile.add(replace(TRACK, number=number))
        whole = pile.whole()
        size, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert len(whole) == 20 * TRACKS
        return size

    assert held(Spool(tmp_path)) * 20 < held(None)


def test_of_a_long_piece_a_few_are_read_at_once(tmp_path: Path) -> None:
    pictures = [bytes([number]) * 10_000 for number in range(200)]
    kept = Spool(tmp_path).keep(pictures)
    tracemalloc.start()
    for number, picture in enumerate(kept):
        assert picture == pictures[number]
    _, highest = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert number == 199
    assert highest < 120 * 10_000, "some in the file's bytes, some as records, not all 200"


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(FemoError, match=r"stored temporarily in .*none: No such file"):
        Spool(tmp_path / "none")
