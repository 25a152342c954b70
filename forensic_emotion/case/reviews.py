"""What people said of faces → what counts of it, and how far it agrees with the machine."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass

from forensic_emotion.case.schema import REVIEW_VERDICTS
from forensic_emotion.errors import UsageError
from forensic_emotion.intervals import Interval, wilson
from forensic_emotion.records import CLASSES, UNCERTAIN

MOST_NOTE = 10_000
"""Characters of a note."""

CAVEAT = (
    "Reviewers saw the machine's answer before they gave theirs, and chose what to review: this"
    " shows how far they agree with it and is not an error rate. The interval treats faces as"
    " independent of each other, which those of one person or recording are not: it is then too"
    " narrow."
)
"""Stands wherever the agreement is shown."""


@dataclass(frozen=True)
class Judgement:
    """What a reviewer says of a face.

    Raises:
        UsageError: the parts do not fit together.
    """

    face_id: int
    verdict: str
    """One of ``REVIEW_VERDICTS``."""
    label: str | None = None
    """Of ``relabelled`` and of nothing else: the class that fits better."""
    note: str = ""

    def __post_init__(self) -> None:
        wrong = self._wrong()
        if wrong:
            raise UsageError(
                wrong, "Nothing was written; docs/review.md says what a review may contain."
            )

    def _wrong(self) -> str | None:
        # From outside: the types are not to be trusted either. To Python, True is an integer.
        if not isinstance(self.face_id, int) or isinstance(self.face_id, bool):
            return "face_id is not a whole number."
        if self.verdict not in REVIEW_VERDICTS:
            return f"The verdict is not one of {', '.join(REVIEW_VERDICTS)}."
        if self.verdict == "relabelled" and self.label not in CLASSES:
            return f"The label of a relabelled face is not one of {', '.join(CLASSES)}."
        if self.verdict != "relabelled" and self.label is not None:
            return f"A face that is {self.verdict} takes no label."
        if not isinstance(self.note, str):
            return "The note is not text."
        if len(self.note) > MOST_NOTE:
            return f"The note has {len(self.note)} characters; the maximum is {MOST_NOTE}."
        try:
            self.note.encode()
        except UnicodeEncodeError:  # half a character, which JSON can spell and a case cannot hold
            return "The note contains something that is not a character."
        return None


@dataclass(frozen=True)
class Review:
    """A row of ``reviews``."""

    id: int
    run_id: int
    face_id: int
    at: str
    reviewer: str
    verdict: str
    label: str | None
    """As it was given: of ``relabelled`` only."""
    note: str
    seen: str | None
    """The class that the reviewer saw: the highest-scoring one if ``confirmed``, ``label`` if
    ``relabelled``, else None."""


REVIEWS = """
    SELECT reviews.id, reviews.run_id, reviews.face_id, reviews.at, reviews.reviewer, reviews.verdict,
        reviews.label, reviews.note,
        CASE reviews.verdict WHEN 'confirmed' THEN faces.top_class ELSE reviews.label END AS seen
    FROM reviews JOIN faces ON faces.id = reviews.face_id
    """


def reviewed_runs(case: sqlite3.Connection) -> dict[int, int]:
    """Number of each run in which faces are reviewed → how many."""
    return dict(
        case.execute(
            "SELECT run_id, COUNT(*) FROM face_reviews GROUP BY run_id ORDER BY run_id"
        ).fetchall()
    )


def read_reviews(case: sqlite3.Connection, run_id: int) -> dict[int, Review]:
    """What counts of each reviewed face of a run, by ``face_id``: the last word, unless withdrawn."""
    sql = f"{REVIEWS} WHERE reviews.run_id = ? ORDER BY reviews.id"
    last = {review.face_id: review for review in _reviews(case, sql, run_id)}
    return {face: last[face] for face in sorted(last) if last[face].verdict != "withdrawn"}


def read_history(case: sqlite3.Connection, run_id: int, face_id: int) -> list[Review]:
    """All that was said of a face, the first first.

    Raises:
        UsageError: the run has no such face.
    """
    check_face(case, run_id, face_id)
    sql = f"{REVIEWS} WHERE reviews.face_id = ? ORDER BY reviews.id"
    return list(_reviews(case, sql, face_id))


def check_face(case: sqlite3.Connection, run_id: int, face_id: int) -> str:
    """The highest-scoring class of a face of a run.

    Raises:
        UsageError: the run has no such face.
    """
    row = None
    if abs(face_id) < 2**63:  # what SQLite takes for an integer
        row = case.execute(
            "SELECT top_class FROM faces WHERE id = ? AND run_id = ?", (face_id, run_id)
        ).fetchone()
    if row is None:
        raise UsageError(
            f"Run {run_id} has no face {face_id}.",
            "The column face_id of the view face_results has the numbers of the faces.",
        )
    return str(row[0])


def check_judgement(case: sqlite3.Connection, run_id: int, said: Judgement) -> None:
    """See that there is what a judgement speaks of.

    Raises:
        UsageError: the run has no such face; its label is the class that scored highest; nothing was
            said that could be withdrawn.
    """
    if said.label == check_face(case, run_id, said.face_id):
        raise UsageError(
            f"{said.label} is the class that scored highest: confirm the face instead.",
            "Use the verdict confirmed, without a label.",
        )
    if said.verdict == "withdrawn":
        stands = "SELECT 1 FROM face_reviews WHERE face_id = ?"
        if case.execute(stands, (said.face_id,)).fetchone() is None:
            raise UsageError(
                f"Face {said.face_id} has no review to withdraw.",
                "Nothing was written; a review can be withdrawn only once.",
            )


def _reviews(case: sqlite3.Connection, sql: str, *values: object) -> Iterator[Review]:
    for row in case.execute(sql, values):
        yield Review(*row)


@dataclass(frozen=True)
class Reviewed:
    """How many faces were reviewed, and what was said of them."""

    reviewed: int
    confirmed: int
    rejected: int
    relabelled: int
    share: Interval | None
    """Of confirmed faces among the judged ones, which are those confirmed or relabelled; None if
    there is none. A rejected face has no class on which to agree."""


@dataclass(frozen=True)
class Agreement(Reviewed):
    """How far reviewers and machine agree on a run; see ``CAVEAT``, which belongs to it."""

    faces: int
    """Of the run, reviewed or not."""
    reviewers: int
    """Distinct names among all reviews of the run's faces, also those that were taken back."""
    overruled: int
    """Faces of which something else was said before the last word, be it that nothing counts."""
    answered: Reviewed
    """Faces that the machine gave a class."""
    uncertain: Reviewed
    """Faces that it left ``uncertain``; what counts there is the highest-scoring class."""
    classes: tuple[str, ...]
    table: tuple[tuple[int, ...], ...]
    """Judged faces: rows are the highest-scoring classes, columns the reviewers', as in ``classes``."""
    kappa: float | None
    """Cohen's, of that table; None where it is undefined."""
    caveat: str = CAVEAT


def agreement(case: sqlite3.Connection, run_id: int) -> Agreement:
    """How far what counts of the reviews of a run agrees with the machine."""
    (faces,) = case.execute("SELECT COUNT(*) FROM faces WHERE run_id = ?", (run_id,)).fetchone()
    rows = case.execute(
        f"""
        SELECT faces.label = '{UNCERTAIN}', said.verdict, faces.top_class, said.label
        FROM face_reviews AS said JOIN faces ON faces.id = said.face_id WHERE said.run_id = ?
        """,
        (run_id,),
    ).fetchall()
    # Against the last word on the face, also where that takes back what was said.
    reviewers, overruled = case.execute(
        """
        SELECT COUNT(DISTINCT said.reviewer), COUNT(DISTINCT said.face_id) FILTER (
            WHERE said.verdict <> 'withdrawn'
                AND (said.verdict <> last.verdict OR said.label IS NOT last.label))
        FROM reviews AS last JOIN reviews AS said ON said.face_id = last.face_id
        WHERE last.run_id = ?
            AND last.id = (SELECT MAX(id) FROM reviews WHERE face_id = last.face_id)
        """,
        (run_id,),
    ).fetchone()
    table = [[0] * len(CLASSES) for _ in CLASSES]
    for _, _, machine, seen in rows:
        if seen is not None:
            table[CLASSES.index(machine)][CLASSES.index(seen)] += 1
    total = _reviewed([verdict for _, verdict, *_ in rows])
    return Agreement(
        **vars(total),
        faces=faces,
        reviewers=reviewers,
        overruled=overruled,
        answered=_reviewed([verdict for uncertain, verdict, *_ in rows if not uncertain]),
        uncertain=_reviewed([verdict for uncertain, verdict, *_ in rows if uncertain]),
        classes=CLASSES,
        table=tuple(tuple(row) for row in table),
        kappa=cohens_kappa(table),
    )


def _reviewed(verdicts: list[str]) -> Reviewed:
    confirmed, relabelled = verdicts.count("confirmed"), verdicts.count("relabelled")
    judged = confirmed + relabelled
    return Reviewed(
        reviewed=len(verdicts),
        confirmed=confirmed,
        rejected=verdicts.count("rejected"),
        relabelled=relabelled,
        share=wilson(confirmed, judged) if judged else None,
    )


def cohens_kappa(table: list[list[int]]) -> float | None:
    """Agreement beyond chance (Cohen 1960), of a square table of counts.

    None where it is undefined: nothing was judged, or both gave one and the same class to all.
    """
    n = sum(map(sum, table))
    agreed = sum(table[i][i] for i in range(len(table)))
    # n² times what two would agree on who give their classes as often, and blindly; whole numbers, so
    # that "certain" is told exactly.
    by_chance = sum(
        sum(row) * sum(column) for row, column in zip(table, zip(*table, strict=True), strict=True)
    )
    if n == 0 or by_chance == n * n:
        return None
    return (agreed * n - by_chance) / (n * n - by_chance)
