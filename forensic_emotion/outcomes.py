"""Outcomes → outcomes: of a video from those of its pieces, of a copy from that of its first path."""

from __future__ import annotations

from dataclasses import replace

from forensic_emotion.records import LookedAt, Outcome, Planned, Problem, State
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
    media.looked_at = {}
    for each in medias:
        for stream, frames in each.looked_at.items():
            own = media.looked_at.setdefault(stream, LookedAt(frames.time_base))
            own.numbers.extend(frames.numbers)
            own.times.extend(frames.times)
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


def with_changes(whole: Outcome, pieces: list[Outcome]) -> Outcome:
    """The outcome of a video that was looked at in one go after its pieces, and what those saw change.

    What was found is of the file as it was at last; that it was another one before is a problem.
    """
    told = _changes(whole)
    seen = dict.fromkeys(p for piece in pieces for p in _changes(piece) if p not in told)
    return changed(whole, tuple(seen))


def as_copy(earlier: Outcome, own: Outcome) -> Outcome:
    """The outcome of a path whose bytes were looked at under an earlier path: what was found there.

    Not that the earlier one changed, which is no matter of the bytes.
    """
    bytes_alone = tuple(p for p in earlier.problems if p not in _changes(earlier))
    state = earlier.state
    if earlier.frames and not bytes_alone:
        state = "faces" if earlier.faces else "no_face"
    copy = replace(
        earlier,
        path=own.path,
        path_text=own.path_text,
        state=state,
        evidence=own.evidence,
        results=(),
        problems=bytes_alone,
        notable=own.notable,
        same_as=earlier.path,
    )
    return changed(copy, _changes(own))


def _changes(outcome: Outcome) -> tuple[Problem, ...]:
    """What it says of a file that changed."""
    return tuple(p for p in outcome.problems if (p.stage, p.problem) == ("read", "changed"))


def changed(outcome: Outcome, changes: tuple[Problem, ...]) -> Outcome:
    """An outcome of a file that changed, if it did: what tells so is added to its problems."""
    if not changes:
        return outcome
    state: State = "partial" if outcome.frames else outcome.state
    return replace(outcome, state=state, problems=(*outcome.problems, *changes))
