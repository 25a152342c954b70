from __future__ import annotations

import hashlib
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from forensic_emotion.case.queries import Summary
from forensic_emotion.errors import UsageError
from forensic_emotion.hashsets import ListFile, read_hash_set
from forensic_emotion.records import Box
from tests.builders import encoded, fake_tools, picture, scanned
from tests.test_engine import rows

FACE = encoded(picture(faces=[Box(20, 10, 60, 50)]))


def digest(algorithm: str, content: bytes = FACE) -> str:
    return hashlib.new(algorithm, content).hexdigest()


def test_a_cell_that_is_too_long_is_told(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("sha256,name\n" + "0" * 64 + "," + "x" * 200_000 + "\n")
    with pytest.raises(UsageError, match="cannot be read as CSV: field larger"):
        read_hash_set(ListFile.of(tmp_path / "list.csv"))


@pytest.mark.parametrize(
    "text",
    [
        digest("sha256"),
        digest("sha1").upper(),
        f"# a note\n\n{digest('md5')}\n",
        f"{digest('sha256')}  a name.png\n",
        f"\\{digest('md5')} *name\\nwith a new line\n",
        f"SHA256 (a (b).png) = {digest('sha256')}\n",
        f"MD5(x)= {digest('md5')}\r\n",
        "%%%% HASHDEEP-1.0\n%%%% size,md5,sha256,filename\n## Invoked from: /\n"
        f"7,{digest('md5')},{digest('sha256')},a, b.png\n",
        '"SHA-1","MD5","CRC32","FileName","FileSize"\n'
        f'"{digest("sha1").upper()}","{digest("md5").upper()}","0","a, b.png",7\n',
        f"name,MD5,SHA256\r\na.png,,{digest('sha256')}\r\n",
    ],
)
def test_a_known_file_is_skipped_whatever_the_format(evidence: Path, tmp_path: Path, text: str) -> None:
    (evidence / "a.png").write_bytes(FACE)
    (evidence / "b.png").write_bytes(encoded(picture()))
    (tmp_path / "known.txt").write_text(text)
    found = read_hash_set(ListFile.of(tmp_path / "known.txt"))
    summary = scanned(evidence, tmp_path / "case.db", known=(found,))
    assert (summary.known, summary.states["skipped"], summary.states["no_face"]) == (1, 1, 1)
    assert rows(tmp_path / "case.db", "SELECT path, reason, known FROM files WHERE known NOT NULL") == [
        ("a.png", "known: its hash is in known.txt", "known.txt")
    ]


def test_a_notable_file_is_looked_at_though_it_is_known(evidence: Path, tmp_path: Path) -> None:
    (evidence / "a.png").write_bytes(FACE)
    (tmp_path / "list.txt").write_text(f"{hashlib.sha256(FACE).hexdigest()}  a.png\n")
    found = (read_hash_set(ListFile.of(tmp_path / "list.txt")),)
    summary = scanned(evidence, tmp_path / "case.db", known=found, notable=found)
    assert (summary.known, summary.notable, summary.states["skipped"]) == (0, 1, 0)
    assert rows(tmp_path / "case.db", "SELECT known, notable FROM files") == [(None, "list.txt")]


def test_what_coreutils_write_is_read(evidence: Path, tmp_path: Path) -> None:
    names = ["plain.png", "new\nline.png", "back\\slash.png"]
    for i, name in enumerate(names):
        (evidence / name).write_bytes(encoded(picture()) + bytes(i))
    for tool in ("sha256sum", "sha1sum", "md5sum"):
        for option in ("--binary", "--tag"):
            done = subprocess.run([tool, option, *names], cwd=evidence, capture_output=True, check=True)
            (tmp_path / "list").write_bytes(done.stdout)
            known = (read_hash_set(ListFile.of(tmp_path / "list")),)
            summary = scanned(evidence, tmp_path / f"{tool}{option}.db", known=known)
            assert summary.known == 3, (tool, option)


def rds(path: Path, *, index: bool, capitals: bool = True) -> Path:
    """A database as NSRL gives it out: hashes in capitals, FILE a view."""
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE METADATA (sha256 TEXT, sha1 TEXT, md5 TEXT, package_id INTEGER)")
    connection.execute("CREATE VIEW FILE AS SELECT sha256, sha1, md5, package_id FROM METADATA")
    hashes = [(digest(name).upper() if capitals else digest(name)) for name in ("sha256", "sha1", "md5")]
    connection.execute("INSERT INTO METADATA VALUES (?, ?, ?, 1)", hashes)
    if index:
        connection.execute("CREATE INDEX by_sha1 ON METADATA (sha1)")
    connection.commit()
    connection.close()
    return path


@pytest.mark.parametrize("capitals", [True, False])
def test_nsrl_is_asked_and_not_changed(evidence: Path, tmp_path: Path, capitals: bool) -> None:
    (evidence / "a.png").write_bytes(FACE)
    (evidence / "b.png").write_bytes(encoded(picture()))
    path = rds(tmp_path / "RDS.db", index=True, capitals=capitals)
    before = path.read_bytes()
    found = read_hash_set(ListFile.of(path))
    assert found.columns == ("sha1",)
    assert scanned(evidence, tmp_path / "case.db", known=(found,)).known == 1
    assert path.read_bytes() == before
    assert not list(tmp_path.glob("RDS.db-*"))
    with pytest.raises(UsageError, match="no index"):
        read_hash_set(ListFile.of(rds(tmp_path / "slow.db", index=False)))
    # A view that needs a pass over one of its tables, and finds the rest by an index.
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE PACKAGE (id INTEGER PRIMARY KEY)")
        connection.execute("DROP VIEW FILE")
        connection.execute(
            "CREATE VIEW FILE AS SELECT UPPER(sha256) AS sha256, UPPER(sha1) AS sha1"
            " FROM METADATA, PACKAGE WHERE package_id = id"
        )
    with pytest.raises(UsageError, match="no index"):
        read_hash_set(ListFile.of(path))


def test_notable_files_are_flagged_and_looked_at(evidence: Path, tmp_path: Path) -> None:
    (evidence / "a.png").write_bytes(FACE)
    (evidence / "copy.png").write_bytes(FACE)
    (evidence / "notes.txt").write_text("notes")
    (tmp_path / "notable.txt").write_text(digest("md5") + "\n" + digest("sha256", b"notes"))
    summary: Summary = scanned(
        evidence, tmp_path / "case.db", notable=(read_hash_set(ListFile.of(tmp_path / "notable.txt")),)
    )
    assert (summary.notable, summary.known) == (3, 0)
    assert rows(tmp_path / "case.db", "SELECT path, state, notable FROM files ORDER BY path") == [
        ("a.png", "faces", "notable.txt"),
        ("copy.png", "faces", "notable.txt"),
        ("notes.txt", "skipped", "notable.txt"),
    ]


def test_each_list_is_named_by_its_part_and_its_hash(tmp_path: Path) -> None:
    lists = []
    for number in range(3):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "list.txt").write_text(digest("sha256", bytes([number])))
        lists.append(read_hash_set(ListFile.of(tmp_path / str(number) / "list.txt")))
    one, two, three = lists
    versions = fake_tools(known=(one, two), notable=(three,)).facts().versions
    assert {name: value for name, value in versions.items() if "hash list" in name} == {
        "known hash list list.txt SHA-256": f"{one.sha256}, {two.sha256}",
        "notable hash list list.txt SHA-256": three.sha256,
    }


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "contains no hashes"),
        (b"# only a note\n", "contains no hashes"),
        (b"abc\n", "line 1: there is no hash"),
        (digest("md5").encode() + b"\nabcdef\n", "line 2: there is no hash"),
        (b"\xff\xfe\x00", "line 1"),
        (b"SQLite format 3\x00 and nothing of it", "cannot be read as SQLite"),
    ],
)
def test_what_is_no_list_is_told_with_its_line(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "list").write_bytes(content)
    with pytest.raises(UsageError, match=message):
        read_hash_set(ListFile.of(tmp_path / "list"))
    with pytest.raises(UsageError, match="cannot be read"):
        read_hash_set(ListFile.of(tmp_path / "none"))
    connection = sqlite3.connect(tmp_path / "other.db")
    connection.execute("CREATE TABLE accounts (id)")
    connection.commit()
    connection.close()
    with pytest.raises(UsageError, match="without NSRL"):
        read_hash_set(ListFile.of(tmp_path / "other.db"))


def test_a_list_is_hashed_once_unless_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the parent, not by every worker: NSRL's have many gigabytes."""
    (tmp_path / "list").write_text(digest("sha256"))
    file = ListFile.of(tmp_path / "list")
    hashed: list[Path] = []

    def counted(path: Path) -> str:
        hashed.append(path)
        return "other"

    monkeypatch.setattr("forensic_emotion.hashsets.file_sha256", counted)
    assert (read_hash_set(file).sha256, hashed) == (file.sha256, [])
    (tmp_path / "list").write_text(digest("sha1"))
    assert (read_hash_set(file).sha256, hashed) == ("other", [tmp_path / "list"])
