"""Outcomes → outcomes: of a video from those of its pieces, of a copy from that of its first path."""

from __future__ import annotations

from dataclasses import replace

from forensic_emotion.records import Outcome, Planned
from forensic_emotion.spool import together


def joined(planned: Planned, pieces: list[Outcome]) -> Outcome | None:
    """The outcome of a video from those of its pieces, as that of looking at it in one go.

    None if anything was amiss with a piece: then that is the way.
    """
    if any(piece.problems or piece.media is None for piece in pieces):
        return None
    results = together([piece.results for piece in pieces])
    medias = [piece.media for piece in pieces if piece.media is not None]
    seconds = dict(planned.seconds)
    for piece in pieces:
        for stage, spent in piece.seconds.items():
            seconds[stage] = seconds.get(stage, 0.0) + spent
    # The facts of a file are those of its first stream, but for the ends.
    media = replace(
        medias[0],
        frames_decoded=sum(m.frames_decoded for m in medias),
        frames_interlaced=sum(m.frames_interlaced for m in medias),
        smallest_face=max((m.smallest_face for m in medias if m.smallest_face), default=None),
    )
    for each in medias[1:]:
        media.span(each)
    return replace(
        pieces[0],
        state="faces" if results else "no_face",
        media=media,
        frames=sum(piece.frames for piece in pieces),
        faces=len(results),
        results=results,
        notable=planned.notable,
        seconds=seconds,
    )


def as_copy(earlier: Outcome, own: Outcome) -> Outcome:
    """The outcome of a path whose bytes were looked at under an earlier path: what was found there."""
    changed = tuple(p for p in own.problems if (p.stage, p.problem) == ("read", "changed"))
    return replace(
        earlier,
        path=own.path,
        path_text=own.path_text,
        state="partial" if changed and earlier.frames else earlier.state,
        evidence=own.evidence,
        results=(),
        problems=(*earlier.problems, *changed),
        notable=own.notable,
        same_as=earlier.path,
    )
