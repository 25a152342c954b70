"""The tables of a case, as migrations: each brings an older case one step further.

``docs/database.md`` explains every table and column; a test holds the two together.
"""

from __future__ import annotations

import re

from forensic_emotion.case.database import Database, Migrations
from forensic_emotion.records import CLASSES, STATES

MIGRATIONS = Migrations("femo")


FIRST_STATES = ("faces", "no_face", "partial", "skipped", "failed")


def _one_of(values: tuple[str, ...]) -> str:
    return ", ".join(f"'{value}'" for value in values)


def _columns(names: tuple[str, ...]) -> str:
    return ", ".join(f'faces."{name}"' for name in names)


def _face_results(scores: str) -> str:
    """The view that shows each face under every path that has it."""
    return f"""
        CREATE VIEW face_results AS
        SELECT
            faces.run_id, files.path, faces.sha256, faces.frame_index, faces.pts, faces.time_base,
            faces.seconds, faces.face, faces."left", faces.top, faces."right", faces.bottom,
            faces.detector, faces.score, {scores}, faces.confidence, faces.landmarks,
            files.id AS file_id, faces.id AS face_id
        FROM faces JOIN files ON files.run_id = faces.run_id AND files.sha256 = faces.sha256
        """


def _only_added_to(db: Database, table: str) -> None:
    """No protection against whoever means it, who can drop these; the audit chain tells of that."""
    for change in ("UPDATE", "DELETE"):
        db.execute(
            f"CREATE TRIGGER {table}_no_{change.lower()} BEFORE {change} ON {table}"
            f" BEGIN SELECT RAISE(ABORT, 'the {table} table is only added to'); END"
        )


@MIGRATIONS()
def m001_first_tables(db: Database) -> None:
    probabilities = ",\n".join(f'"{c}" REAL NOT NULL' for c in CLASSES)
    statements = (
        """
        CREATE TABLE models (
            sha256 TEXT PRIMARY KEY,
            runtime TEXT NOT NULL,
            labels TEXT NOT NULL
        )
        """,
        """
        CREATE TABLE runs (
            id INTEGER PRIMARY KEY,
            state TEXT NOT NULL CHECK (state IN ('running', 'done', 'interrupted', 'failed')),
            evidence_root TEXT NOT NULL,
            evidence_root_bytes BLOB NOT NULL,
            started_at TEXT NOT NULL,
            ended_at TEXT,
            arguments TEXT NOT NULL,
            settings TEXT NOT NULL,
            versions TEXT NOT NULL,
            model_sha256 TEXT NOT NULL REFERENCES models (sha256),
            model_name TEXT NOT NULL,
            model_card TEXT NOT NULL,
            host TEXT NOT NULL,
            user TEXT NOT NULL,
            discovered INTEGER
        )
        """,
        """
        CREATE TABLE evidence (
            sha256 TEXT PRIMARY KEY,
            md5 TEXT NOT NULL,
            size INTEGER NOT NULL,
            media_type TEXT,
            kind TEXT CHECK (kind IN ('still', 'video'))
        )
        """,
        f"""
        CREATE TABLE files (
            id INTEGER PRIMARY KEY,
            run_id INTEGER NOT NULL REFERENCES runs (id),
            path TEXT NOT NULL,
            path_bytes BLOB NOT NULL,
            sha256 TEXT REFERENCES evidence (sha256),
            state TEXT NOT NULL CHECK (state IN ({_one_of(FIRST_STATES)})),
            reason TEXT,
            same_as INTEGER REFERENCES files (id),
            modified_at TEXT,
            changed_at TEXT,
            accessed_at TEXT,
            access_time_kept INTEGER,
            width INTEGER,
            height INTEGER,
            orientation INTEGER,
            time_base TEXT,
            first_pts INTEGER,
            last_pts INTEGER,
            frames_decoded INTEGER NOT NULL,
            frames_hidden INTEGER NOT NULL,
            frames INTEGER NOT NULL,
            faces INTEGER NOT NULL,
            UNIQUE (run_id, path_bytes)
        )
        """,
        "CREATE INDEX files_by_content ON files (sha256, run_id)",
        f"""
        CREATE TABLE faces (
            id INTEGER PRIMARY KEY,
            run_id INTEGER NOT NULL REFERENCES runs (id),
            sha256 TEXT NOT NULL REFERENCES evidence (sha256),
            frame_index INTEGER NOT NULL,
            pts INTEGER,
            time_base TEXT,
            seconds REAL,
            face INTEGER NOT NULL,
            "left" INTEGER NOT NULL,
            top INTEGER NOT NULL,
            "right" INTEGER NOT NULL,
            bottom INTEGER NOT NULL,
            detector TEXT NOT NULL,
            score REAL NOT NULL,
            landmarks TEXT NOT NULL,
            {probabilities},
            label TEXT NOT NULL,
            confidence REAL NOT NULL,
            thumbnail BLOB NOT NULL,
            UNIQUE (run_id, sha256, frame_index, face)
        )
        """,
        """
        CREATE TABLE problems (
            id INTEGER PRIMARY KEY,
            run_id INTEGER NOT NULL REFERENCES runs (id),
            file_id INTEGER NOT NULL REFERENCES files (id),
            stage TEXT NOT NULL,
            class TEXT NOT NULL,
            message TEXT NOT NULL
        )
        """,
        _face_results(f"{_columns(CLASSES)}, faces.label"),
    )
    for statement in statements:
        db.execute(statement)


RUN_FACTS = (
    "threshold REAL",
    "coverage REAL",
    "case_number TEXT",
    "examiner TEXT",
    "agency TEXT",
    "note TEXT",
    "row_digest TEXT",
    "results_digest TEXT",
)
FILE_FACTS = (
    "mode TEXT",
    "uid INTEGER",
    "gid INTEGER",
    "inode TEXT",
    "device TEXT",
    "name_fits INTEGER",
    "exif TEXT",
    "metadata TEXT",
    "recorded TEXT",
    "recorded_tag TEXT",
    "recorded_zone TEXT",
    "zone_source TEXT",
    "latitude REAL",
    "longitude REAL",
    "known TEXT",
    "notable TEXT",
    "row_digest TEXT",
    "results_digest TEXT",
)


def _widen_files(db: Database) -> None:
    """More columns and states; SQLite cannot change a CHECK, so the table is made anew."""
    columns = [row[1] for row in db.execute("PRAGMA table_info(files)")]
    (old,) = db.execute("SELECT sql FROM sqlite_master WHERE name = 'files'").fetchone()
    states = "CHECK (state IN ({}))"
    new = (
        old.replace("CREATE TABLE files", "CREATE TABLE new_files")
        .replace(states.format(_one_of(FIRST_STATES)), states.format(_one_of(STATES)))
        .replace("UNIQUE (run_id, path_bytes)", ", ".join((*FILE_FACTS, "UNIQUE (run_id, path_bytes)")))
    )
    db.execute("DROP VIEW face_results")
    db.execute(new)
    names = ", ".join(columns)
    db.execute(f"INSERT INTO new_files ({names}) SELECT {names} FROM files")
    db.execute("DROP TABLE files")
    db.execute("ALTER TABLE new_files RENAME TO files")
    db.execute("CREATE INDEX files_by_content ON files (sha256, run_id)")


@MIGRATIONS()
def m002_second_version(db: Database) -> None:
    """A model may be silent; a file tells more of itself."""
    # ``label`` may say ``uncertain``; ``top_class`` keeps the class that scored highest.
    db.execute("ALTER TABLE faces ADD COLUMN top_class TEXT NOT NULL DEFAULT ''")
    db.execute("UPDATE faces SET top_class = label")
    for column in RUN_FACTS:
        db.execute(f"ALTER TABLE runs ADD COLUMN {column}")
    db.execute("ALTER TABLE evidence ADD COLUMN sha1 TEXT")
    _widen_files(db)
    db.execute(
        """
        CREATE TABLE audit (
            id INTEGER PRIMARY KEY,
            at TEXT NOT NULL,
            action TEXT NOT NULL,
            run_id INTEGER REFERENCES runs (id),
            user TEXT NOT NULL,
            host TEXT NOT NULL,
            femo TEXT NOT NULL,
            arguments TEXT NOT NULL,
            detail TEXT NOT NULL,
            previous TEXT NOT NULL,
            sha256 TEXT NOT NULL UNIQUE
        )
        """
    )
    _only_added_to(db, "audit")
    db.execute(_face_results(f"{_columns(CLASSES)}, faces.top_class, faces.label"))


FACE_FACTS = (
    "stream INTEGER NOT NULL DEFAULT 0",
    "track INTEGER",
    *(f"{name} REAL" for name in ("size", "blur", "brightness", "yaw", "pitch", "roll", "outside")),
    "landmark_spread REAL",
    "faults TEXT",
)
MEDIA_FACTS = (
    "stream INTEGER",
    "pixel_aspect TEXT",
    "frames_interlaced INTEGER NOT NULL DEFAULT 0",
    "smallest_face REAL",
)


@MIGRATIONS()
def m003_streams_quality_tracks(db: Database) -> None:
    """A video may have several streams; a face tells how well it is seen, and where it came from."""
    db.execute("DROP VIEW face_results")
    columns = ", ".join(f'"{row[1]}"' for row in db.execute("PRAGMA table_info(faces)"))
    (old,) = db.execute("SELECT sql FROM sqlite_master WHERE name = 'faces'").fetchone()
    once = "UNIQUE (run_id, sha256, frame_index, face)"
    now = "UNIQUE (run_id, sha256, stream, frame_index, face)"
    # ``top_class`` was added behind the constraint; here it stands among the columns.
    new = old.replace(", top_class TEXT NOT NULL DEFAULT ''", "").replace(
        once, ", ".join((*FACE_FACTS, "top_class TEXT NOT NULL DEFAULT ''", now))
    )
    db.execute(re.sub(r'CREATE TABLE "?faces"?', "CREATE TABLE new_faces", new, count=1))
    db.execute(f"INSERT INTO new_faces ({columns}) SELECT {columns} FROM faces")
    db.execute("DROP TABLE faces")
    db.execute("ALTER TABLE new_faces RENAME TO faces")
    for column in MEDIA_FACTS:
        db.execute(f"ALTER TABLE files ADD COLUMN {column}")
    probabilities = ",\n".join(f'"{c}" REAL NOT NULL' for c in CLASSES)
    db.execute(
        f"""
        CREATE TABLE tracks (
            id INTEGER PRIMARY KEY,
            run_id INTEGER NOT NULL REFERENCES runs (id),
            sha256 TEXT NOT NULL REFERENCES evidence (sha256),
            track INTEGER NOT NULL,
            stream INTEGER NOT NULL,
            first_pts INTEGER,
            last_pts INTEGER,
            time_base TEXT,
            first_seconds REAL,
            last_seconds REAL,
            faces INTEGER NOT NULL,
            {probabilities},
            top_class TEXT NOT NULL,
            label TEXT NOT NULL,
            confidence REAL NOT NULL,
            UNIQUE (run_id, sha256, track)
        )
        """
    )
    facts = [column.split()[0] for column in FACE_FACTS]
    shown = ", ".join(f"faces.{name}" for name in facts)
    db.execute(_face_results(f"{_columns(CLASSES)}, faces.top_class, faces.label, {shown}"))


REVIEW_VERDICTS = ("confirmed", "rejected", "relabelled", "withdrawn")


@MIGRATIONS()
def m004_reviews(db: Database) -> None:
    """What a person says of a face stands beside what the machine says, never in its place."""
    for column in ("frame_width", "frame_height"):
        db.execute(f"ALTER TABLE faces ADD COLUMN {column} INTEGER")
    db.execute(
        f"""
        CREATE TABLE reviews (
            id INTEGER PRIMARY KEY,
            run_id INTEGER NOT NULL REFERENCES runs (id),
            face_id INTEGER NOT NULL REFERENCES faces (id),
            at TEXT NOT NULL,
            reviewer TEXT NOT NULL,
            verdict TEXT NOT NULL CHECK (verdict IN ({_one_of(REVIEW_VERDICTS)})),
            label TEXT CHECK (label IN ({_one_of(CLASSES)})),
            note TEXT NOT NULL,
            CHECK ((verdict = 'relabelled') = (label IS NOT NULL))
        )
        """
    )
    db.execute("CREATE INDEX reviews_by_face ON reviews (face_id, id)")
    _only_added_to(db, "reviews")
    db.execute(
        """
        CREATE VIEW face_reviews AS
        SELECT reviews.run_id, reviews.face_id, reviews.at, reviews.reviewer, reviews.verdict,
            CASE reviews.verdict WHEN 'relabelled' THEN reviews.label
                WHEN 'confirmed' THEN faces.top_class END AS label,
            reviews.note
        FROM reviews JOIN faces ON faces.id = reviews.face_id
        WHERE reviews.id = (SELECT MAX(id) FROM reviews AS later WHERE later.face_id = reviews.face_id)
            AND reviews.verdict <> 'withdrawn'
        """
    )
    db.execute("DROP VIEW face_results")
    facts = [column.split()[0] for column in FACE_FACTS]
    shown = ", ".join(f"faces.{name}" for name in (*facts, "frame_width", "frame_height"))
    db.execute(_face_results(f"{_columns(CLASSES)}, faces.top_class, faces.label, {shown}"))


@MIGRATIONS()
def m005_problems_by_file(db: Database) -> None:
    """Each file's problems are asked for when it is sealed, and when it is verified."""
    db.execute("CREATE INDEX problems_by_file ON problems (file_id, id)")


@MIGRATIONS()
def m006_paths_labels_copies(db: Database) -> None:
    """A path, and a label of a run, are asked for; a path that is taken back looks for its copies."""
    db.execute("CREATE INDEX files_by_path ON files (run_id, path)")
    db.execute("CREATE INDEX files_by_first ON files (same_as)")
    db.execute("CREATE INDEX faces_by_label ON faces (run_id, label, confidence)")


UNREAD_FACTS = (
    *("born_at TEXT", "stat_size INTEGER", "link_target TEXT", "gps_at TEXT"),
    "looked_at TEXT",
)


@MIGRATIONS()
def m007_what_is_not_read(db: Database) -> None:
    """What the file system says of a path is kept also where its bytes are not; a run has a machine."""
    for column in UNREAD_FACTS:
        db.execute(f"ALTER TABLE files ADD COLUMN {column}")
    db.execute("ALTER TABLE runs ADD COLUMN machine TEXT")
    # A row is a small piece of JSON by itself: SQLite would read a long one anew for each of its parts.
    base = "json_extract(frames.value, '$[3]')"
    db.execute(
        f"""
        CREATE VIEW frames_looked_at AS
        SELECT files.run_id, files.path, files.sha256, json_extract(frames.value, '$[0]') AS stream,
            json_extract(frames.value, '$[1]') AS frame_index,
            json_extract(frames.value, '$[2]') AS pts, {base} AS time_base,
            json_extract(frames.value, '$[2]') * CAST({base} AS REAL) / CASE instr({base}, '/')
                WHEN 0 THEN 1.0 ELSE CAST(substr({base}, instr({base}, '/') + 1) AS REAL) END AS seconds,
            files.id AS file_id
        FROM files, json_each(files.looked_at) AS frames
        """
    )
