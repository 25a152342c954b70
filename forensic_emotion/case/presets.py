"""Questions that are asked of every case, by name: ``femo query CASE NAME``, and datasette's queries.

Each is one statement with named parameters, among those of ``PARAMETERS``. A parameter that is not
given is NULL, or an empty text where a web form sends it; then it asks for nothing. Numbers may come as
text from there too.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from forensic_emotion.errors import UsageError
from forensic_emotion.records import CLASSES, FAULTS, UNCERTAIN

WITHOUT, WITH = "none", "any"
FAULT_CHOICES = (*FAULTS, WITH, WITHOUT)

PARAMETERS = {
    "run": "number of the run; else the latest",
    "label": f"only this label: {', '.join(CLASSES)} or {UNCERTAIN}",
    "min_confidence": "only faces whose highest probability is at least this, 0 to 1",
    "fault": f"only faces with this fault: {', '.join(FAULTS)}; {WITH} for those with one at least,"
    f" {WITHOUT} for those without",
    "path": "only paths matching this pattern, with wildcards * and ?; * also matches /",
    "state": "only paths in this state, such as failed",
    "from": "only from this time in the recording, in seconds; stills other than animations have"
    " none and are left out",
    "to": "only up to this time in the recording, in seconds, inclusive",
    "step": "length of the time intervals, in seconds; else 1",
    "limit": "at most this many rows",
}
"""What a preset may be narrowed by; the name of the option is the same, with hyphens."""


@dataclass(frozen=True)
class Preset:
    """A question with a name."""

    name: str
    title: str
    sql: str
    columns: dict[str, str]
    """What each column is, with its unit."""

    @property
    def parameters(self) -> tuple[str, ...]:
        """Those that its SQL has, in the order of ``PARAMETERS``."""
        used = set(re.findall(r":([a-z_]+)", self.sql))
        return tuple(name for name in PARAMETERS if name in used)


def given(name: str) -> str:
    """The parameter, NULL if it was not given or came empty."""
    return f"nullif(:{name}, '')"


def number(name: str, otherwise: str = "NULL") -> str:
    return f"coalesce(CAST({given(name)} AS REAL), {otherwise})"


RUN = f"coalesce(CAST({given('run')} AS INTEGER), (SELECT max(id) FROM runs))"
LIMIT = f"LIMIT coalesce(CAST({given('limit')} AS INTEGER), -1)"


def narrowed(name: str, condition: str) -> str:
    """A condition that holds for every row if its parameter was not given."""
    return f"({given(name)} IS NULL OR {condition})"


def path_like(column: str, value: str) -> str:
    """``*`` and ``?`` stand for anything; a bracket, which names of files have, for itself."""
    return f"{column} GLOB replace({value}, '[', '[[]')"


def path(column: str) -> str:
    return narrowed("path", path_like(column, ":path"))


def place(file_id: str) -> str:
    """What orders rows as the evidence is walked: by the bytes of their paths."""
    return f"(SELECT path_bytes FROM files WHERE files.id = {file_id})"


DIGITS = 9
"""Behind the point, to which times divided by the length of a stretch are rounded."""
LABEL = narrowed("label", "label = :label")
CONFIDENCE = narrowed("min_confidence", f"confidence >= {number('min_confidence')}")
FAULT = narrowed(
    "fault",
    f"CASE :fault WHEN '{WITHOUT}' THEN faults = '' WHEN '{WITH}' THEN faults <> ''"
    " ELSE instr(' ' || faults || ' ', ' ' || :fault || ' ') > 0 END",
)
# A NULL in ``seconds`` is a still: it lies neither after nor before any time.
AFTER = narrowed("from", f"seconds >= {number('from')}")
BEFORE = narrowed("to", f"seconds <= {number('to')}")
TIME = f"{AFTER} AND {BEFORE}"

PATH = "path below the evidence folder"
STREAM = "number of the video stream; 0 for a still, higher for a video embedded in its file"
SECONDS = "seconds on the recording's own clock; empty for a still that is not an animation"
FRAME = "0 for a still, else the page, or the frame of the video stream, from 0"
NUMBER = "number of the face within its frame, from 0"
ANSWER = f"the class, or {UNCERTAIN}: a classifier's answer, not a finding"
PROBABILITY = "the highest probability, 0 to 1"
POOR = "what is poor about the face; empty if nothing is"
FACE_ID = "row in faces"
FILE_ID = "row in files; paths that are not text may look alike"

SUMMARY = Preset(
    "summary",
    "Summary of a run: paths by state, frames, faces by label, reviews, problems by class",
    f"""
WITH chosen AS (SELECT {RUN} AS id),
counted AS (
    SELECT 1 AS place, 'paths' AS topic, state AS what, count(*) AS number
    FROM files, chosen WHERE run_id = chosen.id GROUP BY state
    UNION ALL SELECT 2, 'frames', 'decoded', coalesce(sum(frames_decoded), 0)
    FROM files, chosen WHERE run_id = chosen.id AND same_as IS NULL
    UNION ALL SELECT 2, 'frames', 'looked at', coalesce(sum(frames), 0)
    FROM files, chosen WHERE run_id = chosen.id AND same_as IS NULL
    UNION ALL SELECT 3, 'faces', label, count(*)
    FROM faces, chosen WHERE run_id = chosen.id GROUP BY label
    UNION ALL SELECT 4, 'faces with a fault', 'any', count(*)
    FROM faces, chosen WHERE run_id = chosen.id AND faults <> ''
    UNION ALL SELECT 4, 'faces with a fault', 'not judged', n FROM
        (SELECT count(*) AS n FROM faces, chosen WHERE run_id = chosen.id AND faults IS NULL) WHERE n > 0
    UNION ALL SELECT 5, 'reviewed faces', verdict, count(*)
    FROM face_reviews, chosen WHERE run_id = chosen.id GROUP BY verdict
    UNION ALL SELECT 6, 'problems', class, count(*)
    FROM problems, chosen WHERE run_id = chosen.id GROUP BY class
)
SELECT chosen.id AS run, topic, what, number FROM counted, chosen ORDER BY place, number DESC, what
""",
    {
        "run": "number of the run",
        "topic": "what is counted; the same bytes under several paths count once in frames and"
        " faces; faces rejected in a review are included",
        "what": "state, label, verdict or class",
        "number": "how many",
    },
)

FACES = Preset(
    "faces",
    "Every face: its location, time and highest score",
    f"""
SELECT path, stream, seconds, frame_index, face, label, confidence, top_class,
    "left", top, "right", bottom, size, faults, face_id, file_id
FROM face_results
WHERE run_id = {RUN} AND {LABEL} AND {CONFIDENCE} AND {FAULT} AND {path("path")} AND {TIME}
ORDER BY {place("file_id")}, stream, frame_index, face {LIMIT}
""",
    {
        "path": PATH,
        "stream": STREAM,
        "seconds": SECONDS,
        "frame_index": FRAME,
        "face": NUMBER,
        "label": ANSWER,
        "confidence": PROBABILITY,
        "top_class": "the class with that probability",
        "left": "edge of the bounding box, in pixels of the picture as displayed",
        "top": "the same",
        "right": "the same, the first pixel outside",
        "bottom": "the same, the first pixel outside",
        "size": "side in pixels of the square around the face",
        "faults": POOR,
        "face_id": FACE_ID,
        "file_id": FILE_ID,
    },
)

BY_FILE = Preset(
    "by-file",
    "Every path: its state, its faces, and how many have each label",
    f"""
SELECT files.path, files.state, files.frames, count(faces.id) AS faces,
    {", ".join(f"count(CASE WHEN faces.label = '{name}' THEN 1 END) AS {name}" for name in CLASSES)},
    count(CASE WHEN faces.label = '{UNCERTAIN}' THEN 1 END) AS {UNCERTAIN},
    CASE WHEN count(faces.faults) = 0 AND count(faces.id) > 0 THEN NULL
        ELSE count(CASE WHEN faces.faults <> '' THEN 1 END) END AS poor, files.id AS file_id
FROM files LEFT JOIN faces ON faces.run_id = files.run_id AND faces.sha256 = files.sha256
WHERE files.run_id = {RUN} AND {path("files.path")} AND {narrowed("state", "files.state = :state")}
GROUP BY files.id ORDER BY files.path_bytes {LIMIT}
""",
    {
        "path": PATH,
        "state": "how its processing ended",
        "frames": "analysed for faces",
        "faces": "found in its bytes; a copy shows those of its first path",
        **dict.fromkeys(CLASSES, "faces with this label"),
        UNCERTAIN: "faces with scores too low to name a class",
        "poor": "faces with a fault; empty if found by an older femo, which did not judge quality",
        "file_id": FILE_ID,
    },
)

TIMELINE = Preset(
    "timeline",
    "When faces appear in a video or animation, interval by interval, with the mean of each probability",
    f"""
WITH chosen AS (
    SELECT *, {number("step", "1.0")} AS step FROM face_results
    WHERE run_id = {RUN} AND seconds IS NOT NULL
        AND {FAULT} AND {path("path")} AND {TIME}
),
-- Means of faces that were chosen by their scores would say what they were chosen by: no label is taken.
-- Rounded, for 0.3 / 0.1 is less than 3 to a computer, which would put a frame into the stretch before.
counted AS (SELECT *, round(seconds / step, {DIGITS}) AS steps FROM chosen),
-- CAST cuts towards 0; a time before 0 belongs to the stretch below.
placed AS (SELECT *, CAST(steps AS INTEGER) - (steps < CAST(steps AS INTEGER)) AS stretch FROM counted)
SELECT path, round(stretch * step, {DIGITS}) AS begins, round((stretch + 1) * step, {DIGITS}) AS ends,
    count(DISTINCT stream || ' ' || frame_index) AS frames, count(*) AS faces,
    {", ".join(f"avg({name}) AS {name}" for name in CLASSES)},
    count(CASE WHEN label = '{UNCERTAIN}' THEN 1 END) AS {UNCERTAIN}, file_id
FROM placed GROUP BY path, file_id, stretch ORDER BY {place("file_id")}, stretch {LIMIT}
""",
    {
        "path": PATH,
        "begins": "seconds on the recording's own clock",
        "ends": "the same, exclusive; an interval without such a face has no row",
        "frames": "with a face",
        "faces": "found in them",
        **dict.fromkeys(
            CLASSES,
            "mean of this probability over those faces, whoever they belong to, 0 to 1; no error"
            " rate was measured for such means",
        ),
        UNCERTAIN: "faces with scores too low to name a class",
        "file_id": FILE_ID,
    },
)

NO_FACE = Preset(
    "no-face",
    "Analysed frames of videos and animations in which no face was detected",
    f"""
SELECT path, stream, seconds, frame_index, pts, time_base, file_id
FROM frames_looked_at AS looked
WHERE run_id = {RUN} AND {path("path")} AND {TIME} AND NOT EXISTS (
    SELECT 1 FROM faces WHERE faces.run_id = looked.run_id AND faces.sha256 = looked.sha256
        AND faces.stream = looked.stream AND faces.frame_index = looked.frame_index)
ORDER BY {place("file_id")}, stream, frame_index {LIMIT}
""",
    {
        "path": PATH,
        "stream": STREAM,
        "seconds": SECONDS,
        "frame_index": "number in the stream in order of presentation, from 0",
        "pts": "presentation timestamp in units of time_base; empty if the stream has none",
        "time_base": "seconds per unit of pts",
        "file_id": FILE_ID,
    },
)

TRACKS = Preset(
    "tracks",
    "Tracks of faces in a video: first and last time, and mean score",
    f"""
SELECT files.path, tracks.stream, tracks.track, first_seconds, last_seconds, tracks.faces,
    label, confidence, top_class, files.id AS file_id
FROM tracks JOIN files ON files.run_id = tracks.run_id AND files.sha256 = tracks.sha256
WHERE tracks.run_id = {RUN} AND {LABEL} AND {CONFIDENCE} AND {path("files.path")}
    AND {narrowed("from", f"last_seconds >= {number('from')}")}
    AND {narrowed("to", f"first_seconds <= {number('to')}")}
ORDER BY files.path_bytes, tracks.track {LIMIT}
""",
    {
        "path": PATH,
        "stream": "number of the video stream",
        "track": "number within the file, from 0; it does not identify a person",
        "first_seconds": "of its first face, on the recording's own clock",
        "last_seconds": "of its last",
        "faces": "how many it has",
        "label": f"the class with the highest mean, or {UNCERTAIN}; the threshold was measured for"
        " single pictures, not for means",
        "confidence": "the highest mean over the frames analysed, 0 to 1; no error rate was measured for"
        " it",
        "top_class": "the class with that mean",
        "file_id": FILE_ID,
    },
)

DUPLICATES = Preset(
    "duplicates",
    "Paths with the same bytes as another path, except empty files",
    f"""
WITH copies AS (
    SELECT sha256, count(*) AS paths FROM files WHERE run_id = {RUN} AND sha256 IS NOT NULL
    GROUP BY sha256 HAVING count(*) > 1
)
SELECT files.sha256, files.path, copies.paths, evidence.size, evidence.media_type,
    files.id AS file_id
FROM files JOIN copies ON copies.sha256 = files.sha256 JOIN evidence ON evidence.sha256 = files.sha256
WHERE files.run_id = {RUN} AND evidence.size > 0 AND {path("files.path")}
ORDER BY copies.paths DESC, files.sha256, files.path_bytes {LIMIT}
""",
    {
        "sha256": "of the bytes",
        "path": PATH,
        "paths": "how many paths have these bytes",
        "size": "bytes",
        "media_type": "by content; empty if femo does not know it",
        "file_id": FILE_ID,
    },
)

PROBLEMS = Preset(
    "problems",
    "What was not analysed, or only in part, and why",
    f"""
SELECT files.path, files.state, files.reason, problems.stage, problems.class, problems.message,
    files.id AS file_id
FROM files LEFT JOIN problems ON problems.file_id = files.id
WHERE files.run_id = {RUN} AND (problems.id IS NOT NULL OR files.state NOT IN ('faces', 'no_face'))
    AND {path("files.path")} AND {narrowed("state", "files.state = :state")}
ORDER BY files.path_bytes, problems.id {LIMIT}
""",
    {
        "path": PATH,
        "state": "how its processing ended",
        "reason": "why it was skipped; else empty",
        "stage": "where the problem arose; empty if there was none",
        "class": "what it was, in one word",
        "message": "the same in a sentence",
        "file_id": FILE_ID,
    },
)

NOTABLES = Preset(
    "notable",
    "Paths whose hash is in a list of notable or known files",
    f"""
SELECT files.path, files.notable, files.known, files.state, files.sha256, files.id AS file_id
FROM files
WHERE files.run_id = {RUN} AND (files.notable IS NOT NULL OR files.known IS NOT NULL)
    AND {path("files.path")} AND {narrowed("state", "files.state = :state")}
ORDER BY files.notable IS NULL, files.path_bytes {LIMIT}
""",
    {
        "path": PATH,
        "notable": "the list of notable hashes that contains it; empty if none does",
        "known": "the list of known hashes that contains it, which is why it was skipped",
        "state": "how its processing ended",
        "sha256": "of the bytes",
        "file_id": FILE_ID,
    },
)

MISNAMED = Preset(
    "misnamed",
    "Pictures and videos whose file extension does not match their content, including audio in a"
    " video container",
    f"""
SELECT files.path, evidence.media_type, files.name_fits, files.state, files.faces, files.id AS file_id
FROM files JOIN evidence ON evidence.sha256 = files.sha256
WHERE files.run_id = {RUN} AND evidence.media_type IS NOT NULL AND coalesce(files.name_fits, 0) = 0
    AND {path("files.path")} AND {narrowed("state", "files.state = :state")}
ORDER BY files.name_fits IS NULL, files.path_bytes {LIMIT}
""",
    {
        "path": PATH,
        "media_type": "by content",
        "name_fits": "0: the extension belongs to another type; empty: to no type",
        "state": "how its processing ended",
        "faces": "found in it; for a copy, those of its first path",
        "file_id": FILE_ID,
    },
)

UNCERTAINS = Preset(
    "uncertain",
    "Faces with scores too low to name a class, those closest to an answer first",
    f"""
SELECT path, stream, seconds, frame_index, face, top_class, confidence, runs.threshold, size, faults,
    face_id, file_id
FROM face_results JOIN runs ON runs.id = face_results.run_id
WHERE run_id = {RUN} AND label = '{UNCERTAIN}' AND {CONFIDENCE} AND {FAULT} AND {path("path")} AND {TIME}
ORDER BY confidence DESC, {place("file_id")}, stream, frame_index, face {LIMIT}
""",
    {
        "path": PATH,
        "stream": STREAM,
        "seconds": SECONDS,
        "frame_index": FRAME,
        "face": NUMBER,
        "top_class": "the class with the highest probability",
        "confidence": PROBABILITY,
        "threshold": "score that it would have to exceed",
        "size": "side in pixels of the square around the face",
        "faults": POOR,
        "face_id": FACE_ID,
        "file_id": FILE_ID,
    },
)

REVIEWS = Preset(
    "reviews",
    "Reviews of faces by people, beside the answers of the classifier",
    f"""
SELECT path, stream, seconds, frame_index, face, face_results.label, top_class, verdict,
    face_reviews.label AS seen, reviewer, at, note, face_id, file_id
FROM face_reviews JOIN face_results USING (run_id, face_id)
WHERE run_id = {RUN} AND {narrowed("label", "face_results.label = :label")} AND {path("path")}
ORDER BY {place("file_id")}, stream, frame_index, face {LIMIT}
""",
    {
        "path": PATH,
        "stream": STREAM,
        "seconds": SECONDS,
        "frame_index": FRAME,
        "face": NUMBER,
        "label": ANSWER,
        "top_class": "the class that scored highest",
        "verdict": "confirmed, rejected or relabelled",
        "seen": "the class that the reviewer saw; empty if rejected",
        "reviewer": "who",
        "at": "when, UTC",
        "note": "free text",
        "face_id": FACE_ID,
        "file_id": FILE_ID,
    },
)

PRESETS = {
    preset.name: preset
    for preset in (
        SUMMARY,
        FACES,
        BY_FILE,
        TIMELINE,
        NO_FACE,
        TRACKS,
        UNCERTAINS,
        REVIEWS,
        DUPLICATES,
        NOTABLES,
        MISNAMED,
        PROBLEMS,
    )
}


def find_preset(name: str) -> Preset:
    """A preset by its name.

    Raises:
        UsageError: there is none; the message names those there are.
    """
    if name not in PRESETS:
        raise UsageError(
            f"There is no preset {name!r}.",
            f'Presets: {", ".join(PRESETS)}. Or give SQL: femo query CASE "select ..."',
        )
    return PRESETS[name]
