from __future__ import annotations

import hashlib
import os
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from forensic_emotion.errors import UnreadableEvidence, UsageError
from forensic_emotion.evidence import Found, discover, opened
from forensic_emotion.file_facts import facts_at
from forensic_emotion.media_types import claims_media, kind_of, name_fits, sniff
from forensic_emotion.moments import utc
from forensic_emotion.pipeline import analyse
from forensic_emotion.records import Outcome, Planned
from tests.builders import fake_tools


def names(root: Path) -> list[bytes]:
    return [found.path for found in discover(root)]


def test_walk_is_in_the_order_of_the_paths_bytes(evidence: Path) -> None:
    for name in ("a/b", "a.txt", "a/a/z", "Z", "ä", "b"):
        path = evidence / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert names(evidence) == sorted(names(evidence))
    assert names(evidence) == [b"Z", b"a.txt", b"a/a/z", b"a/b", b"b", "ä".encode()]


def test_folders_nested_deeper_than_python_can_go_are_walked(evidence: Path) -> None:
    depth = 1_100
    here = os.open(evidence, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("a", dir_fd=here)
        deeper = os.open("a", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = deeper
    os.close(os.open("file", os.O_CREAT, dir_fd=here))
    os.close(here)
    try:
        assert names(evidence) == [b"a/" * depth + b"file"]
    finally:
        # Python's own removal of a tree recurses, and would fail in pytest's cleaning up.
        subprocess.run(["rm", "-rf", evidence / "a"], check=True)


def test_names_that_are_not_utf8_are_kept(evidence: Path) -> None:
    os.close(os.open(bytes(evidence) + b"/\xff.jpg", os.O_CREAT))
    (found,) = discover(evidence)
    assert found.path == b"\xff.jpg"
    assert found.path_text == "\\xff.jpg"
    with opened(found) as source:
        assert source.evidence.facts.size == 0


def test_what_is_no_regular_file_is_found_with_the_reason(evidence: Path) -> None:
    (evidence / "target").touch()
    (evidence / "link").symlink_to("target")
    (evidence / "loop").symlink_to(".")
    os.mkfifo(evidence / "pipe")
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(evidence / "socket"))
    server.close()
    reasons = {found.path: found.skip for found in discover(evidence)}
    assert reasons == {
        b"link": "symbolic link, not followed",
        b"loop": "symbolic link, not followed",
        b"pipe": "not a regular file: named pipe",
        b"socket": "not a regular file: socket",
        b"target": None,
    }


def test_a_folder_that_cannot_be_listed_is_found_with_its_error(
    evidence: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (evidence / "shut").mkdir()
    (evidence / "open").touch()
    real = os.open

    def refuse(path: bytes, *args: object, **more: object) -> int:
        if path.endswith(b"shut"):
            raise PermissionError(13, "Permission denied")
        return real(path, *args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "open", refuse)
    found = {f.path: f.error for f in discover(evidence)}
    assert found == {b"open": None, b"shut": "folder cannot be listed: Permission denied"}


def test_another_file_system_is_recorded_and_not_entered(
    evidence: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.txt", "mounted/b.txt", "z.txt"):
        (evidence / name).parent.mkdir(exist_ok=True)
        (evidence / name).touch()
    monkeypatch.setattr("forensic_emotion.evidence._device", lambda path: path.endswith(b"mounted"))
    found = {f.path: f.error for f in discover(evidence)}
    assert set(found) == {b"a.txt", b"mounted", b"z.txt"}
    assert "another file system" in (found[b"mounted"] or "")


def test_no_such_folder_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No evidence at"):
        list(discover(tmp_path / "missing"))


def test_a_single_file_is_evidence(evidence: Path) -> None:
    (evidence / "one.bin").write_bytes(b"x")
    (found,) = discover(evidence / "one.bin")
    assert found.path == b"one.bin"
    with opened(found) as source:
        assert source.evidence.facts.size == 1


def test_hashes_and_times_are_those_of_the_file(evidence: Path) -> None:
    content = os.urandom(3_000_001)
    path = evidence / "file"
    path.write_bytes(content)
    os.utime(path, ns=(1_600_000_000_123_456_789, 1_500_000_000_987_654_321))
    with opened(Found(bytes(evidence), b"file", len(content))) as source:
        assert source.evidence.sha256 == hashlib.sha256(content).hexdigest()
        assert source.evidence.md5 == hashlib.md5(content).hexdigest()
        assert source.evidence.sha1 == hashlib.sha1(content).hexdigest()
        assert source.evidence.facts.size == len(content)
        assert source.evidence.facts.modified == "2017-07-14T02:40:00.987654321Z"
        assert source.evidence.facts.accessed == "2020-09-13T12:26:40.123456789Z"
        assert source.source.read(4) == content[:4]


def test_a_piece_is_read_only_from_the_file_that_was_hashed(evidence: Path) -> None:
    path = evidence / "f"
    path.write_bytes(b"one")
    (found,) = discover(evidence)
    with opened(found) as source:
        hashed = source.evidence
    with opened(found, hashed) as source:
        assert source.source.read() == b"one"
    status = path.stat()
    other = evidence / "other"
    other.write_bytes(b"two")
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
    other.replace(path)  # of the same size and the same time of change
    with pytest.raises(UnreadableEvidence) as error, opened(found, hashed):
        pass
    assert error.value.problem == "changed"


def test_reading_leaves_the_access_time_alone(evidence: Path) -> None:
    path = evidence / "file"
    path.write_bytes(b"content")
    # Older than the modification: what a "relatime" mount would update on reading.
    os.utime(path, ns=(10**18, 15 * 10**17))
    os.utime(evidence, ns=(10**18, 15 * 10**17))
    (found,) = discover(evidence)
    with opened(found) as source:
        source.source.read()
        assert source.evidence.facts.access_time_kept
    assert path.stat().st_atime_ns == 10**18
    assert evidence.stat().st_atime_ns == 10**18


def test_where_the_access_time_cannot_be_kept_it_is_recorded(
    evidence: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (evidence / "file").write_bytes(b"content")
    real = os.open

    def refuse_noatime(path: bytes, flags: int, **more: int) -> int:
        if flags & os.O_NOATIME:
            raise PermissionError(1, "Operation not permitted")
        return real(path, flags, **more)

    monkeypatch.setattr(os, "open", refuse_noatime)
    (found,) = discover(evidence)
    with opened(found) as source:
        assert not source.evidence.facts.access_time_kept


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda path: path.unlink(), "vanished"),
        (lambda path: (path.unlink(), path.symlink_to("/etc/hostname")), "changed"),
        (lambda path: (path.unlink(), os.mkfifo(path)), "changed"),
        (lambda path: (path.unlink(), path.mkdir()), "changed"),
    ],
    ids=["vanished", "now a link", "now a pipe", "now a folder"],
)
def test_what_changes_between_walk_and_opening_is_told(evidence: Path, change, problem) -> None:
    path = evidence / "file"
    path.write_bytes(b"content")
    (found,) = discover(evidence)
    change(path)
    with pytest.raises(UnreadableEvidence) as error, opened(found):
        pass
    assert error.value.problem == problem


def test_a_file_without_permission_is_told(evidence: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (evidence / "file").touch()
    (found,) = discover(evidence)

    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(UnreadableEvidence) as error, opened(found):
        pass
    assert error.value.problem == "no_permission"


@pytest.mark.parametrize(
    ("head", "media_type", "kind"),
    [
        (b"\xff\xd8\xff\xe0", "image/jpeg", "still"),
        (b"\x89PNG\r\n\x1a\n", "image/png", "still"),
        (b"GIF89a", "image/gif", "still"),
        (b"II*\x00", "image/tiff", "still"),
        (b"MM\x00+", "image/tiff", "still"),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 ", "image/webp", "still"),
        (b"RIFF\x00\x00\x00\x00AVI LIST", "video/x-msvideo", "video"),
        (b"\x00\x00\x00\x18ftypisom", "video/mp4", "video"),
        (b"\x00\x00\x00\x14ftypqt  ", "video/quicktime", "video"),
        (b"\x00\x00\x00\x14ftypavif", "image/avif", "still"),
        (b"\x00\x00\x00\x18ftypmif1\x00\x00\x00\x00mif1avif", "image/avif", "still"),
        (b"\x00\x00\x00\x18ftypheic", "image/heic", "still"),
        (b"\x00\x00\x00\x08wide", "video/quicktime", "video"),
        (b"\x1aE\xdf\xa3", "video/x-matroska", "video"),
        (b"BM" + bytes(12) + b"\x28\x00\x00\x00", "image/bmp", "still"),
        (b"BMore text", None, None),
        (b"P6\n12 12\n", "image/x-portable-anymap", "still"),
        (b"P6", None, None),
        (b"P5 is a line of text", None, None),
        (b"P5 12 kg of it", None, None),
        (b"P5 # of five\n12 34 # wide\n255\n\x00", "image/x-portable-anymap", "still"),
        (b"P4\n#" + bytes(300), "image/x-portable-anymap", "still"),
        (b"P5\r# c\r2 2\r255\r\n\x02\x03\n", "image/x-portable-anymap", "still"),
        (b"P1\n", None, None),
        (b"\n\n\n\nfree text", None, None),
        (b"P4 12 34\n\xff", "image/x-portable-anymap", "still"),
        (b"The free encyclopedia", None, None),
        (b"You free?", None, None),
        (b"\x40\x00\x00\x00mdat", "video/quicktime", "video"),
        (b"\x00\x00\x00\x18ftypcrx ", None, None),
        ((b"\x47" + bytes(187)) * 5, "video/mp2t", "video"),
        ((bytes(4) + b"\x47" + bytes(187)) * 5, "video/mp2t", "video"),
        (b"G" + bytes(300), None, None),
        (b"RIFF\x00\x00\x00\x00WAVEfmt ", None, None),
        (b"#EXTM3U\n", None, None),
        (b"%!PS-Adobe-3.0 EPSF", None, None),
        (b"hello", None, None),
        (b"", None, None),
    ],
)
def test_type_is_told_by_content(head: bytes, media_type: str | None, kind: str | None) -> None:
    assert sniff(head) == media_type
    assert kind_of(media_type) == kind


@pytest.mark.parametrize(
    ("name", "media_type", "fits"),
    [
        ("a.JPG", "image/jpeg", True),
        ("a.png", "image/jpeg", False),
        ("a.jpg", None, False),
        ("notes.txt", None, None),
        ("noending", "image/jpeg", None),
        ("x.dir/name", "image/png", None),
        ("a.mov", "video/mp4", True),
    ],
)
def test_type_against_name(name: str, media_type: str | None, fits: bool | None) -> None:
    assert name_fits(name, media_type) is fits


def test_names_that_claim_media() -> None:
    assert claims_media("a.JPG")
    assert claims_media("b.mp4")
    assert claims_media("camera 3.H264"), "also of media that femo cannot read"
    assert not claims_media("notes.txt")
    assert not claims_media("without_ending")


def test_a_time_beyond_the_calendar_is_kept_as_a_number() -> None:
    assert utc(0) == "1970-01-01T00:00:00.000000000Z"
    assert utc(10**21) == f"{10**21} ns since 1970"


def test_what_the_file_system_says_is_kept_of_what_is_not_read(evidence: Path) -> None:
    os.mkfifo(evidence / "pipe")
    (evidence / "link").symlink_to("nowhere")
    (evidence / "gone").write_bytes(b"12345")
    os.utime(evidence / "gone", ns=(10**18, 15 * 10**17))
    paths = [*discover(evidence), Found(bytes(evidence), b"never", 0)]
    (evidence / "gone").chmod(0)

    def refuse(path: bytes, flags: int, **_: int) -> int:
        raise PermissionError(13, "Permission denied")

    seen: dict[bytes, Outcome | Planned] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "open", refuse)
        for found in paths:
            seen[found.path] = analyse(found, fake_tools(), lambda _: False, lambda _: None)
    facts = {path: o.unread for path, o in seen.items() if isinstance(o, Outcome)}
    assert [f.mode if f else None for f in facts.values()] == [
        *("----------", "lrwxrwxrwx", "prw-r--r--", None)
    ]
    gone = facts[b"gone"]
    assert gone is not None
    assert (gone.size, gone.modified) == (5, "2017-07-14T02:40:00.000000000Z")
    assert (gone.accessed, gone.access_time_kept) == ("2001-09-09T01:46:40.000000000Z", None)
    assert gone.inode == (evidence / "gone").stat().st_ino


@pytest.mark.skipif(sys.platform != "linux", reason="asks stat of coreutils")
def test_when_a_file_was_made_is_what_the_system_says(evidence: Path) -> None:
    (evidence / "f").write_bytes(b"1")
    (evidence / "link").symlink_to("f")
    os.utime(evidence / "f", ns=(10**18, 10**18))
    (of_file, of_link) = discover(evidence)
    with opened(of_file) as source:
        born = source.evidence.facts.born
    link = facts_at(of_link.full)
    for path, found in ((evidence / "f", born), (evidence / "link", link.born if link else None)):
        said = subprocess.run(["stat", "-c", "%w", path], capture_output=True, text=True).stdout.strip()
        if said == "-":
            assert found is None
        else:
            assert found is not None
            day, clock, _ = said.split()
            local = found.replace("T", " ").rstrip("Z")
            assert local[14:] == f"{day} {clock}"[14:]  # but for the zone of this machine
            assert found != "2001-09-09T01:46:40.000000000Z"


def test_where_a_link_leads_is_told_only_where_that_changes_nothing(
    evidence: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (evidence / "link").symlink_to(os.fsdecode(b"l\xe9"))
    real = os.statvfs
    for flags, target in ((0, None), (os.ST_RDONLY, b"l\xe9"), (os.ST_NOATIME, b"l\xe9")):
        asked: list[object] = []

        def told(path: object, flags: int = flags, asked: list[object] = asked) -> SimpleNamespace:
            asked.append(path)
            assert real(path)  # type: ignore[arg-type]
            return SimpleNamespace(f_flag=flags)

        monkeypatch.setattr(os, "statvfs", told)
        facts = facts_at(os.fsencode(evidence / "link"))
        assert facts is not None
        assert facts.link_target == target
        assert asked == [evidence]
