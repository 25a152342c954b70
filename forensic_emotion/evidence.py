"""A folder → Evidence: sorted walk, read-only opening, hashes and type by content.

Nothing here writes. A file is read from one descriptor by hashing and decoding alike (a piece of a long
video from one of its own), and without touching its access time where the system allows that.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from forensic_emotion.errors import UnreadableEvidence, UsageError
from forensic_emotion.file_facts import born_at, facts_of
from forensic_emotion.hashes import CHUNK, OnRead, hash_stream, unwatched
from forensic_emotion.media_types import name_fits, sniff
from forensic_emotion.moments import utc
from forensic_emotion.paths import as_text
from forensic_emotion.records import Evidence, FileFacts, Stamp


@dataclass(frozen=True, slots=True)
class Found:
    """One path below the evidence folder, before it is opened; there may be millions of them."""

    root: bytes
    relative: bytes
    """Path below the root; empty if the root is the file itself."""
    size: int
    """Bytes, 0 for what is no regular file."""
    skip: str | None = None
    """Why it is not to be opened: a link, a socket, ...; None for a regular file."""
    error: str | None = None
    """Why it could not be looked at."""

    @property
    def full(self) -> bytes:
        return os.path.join(self.root, self.relative) if self.relative else self.root

    @property
    def path(self) -> bytes:
        """As it goes into the case: below the root, or the name of a root that is a file."""
        return self.relative or os.path.basename(self.root)

    @property
    def path_text(self) -> str:
        """The same for people; bytes that are not UTF-8 are shown as ``\\xNN``."""
        return as_text(self.path)


def discover(root: Path) -> Iterator[Found]:
    """Every path below a folder except its folders, in the order of the paths' bytes.

    Links are not followed, and no other file system is entered. A folder that cannot be listed is found
    too, with its error.

    Args:
        root: a folder, or a single file.

    Raises:
        UsageError: there is no such folder or file.
    """
    top = os.fsencode(root)
    try:
        is_folder = stat.S_ISDIR(os.stat(top).st_mode)
    except OSError as error:
        raise UsageError(
            f"No evidence at {root}: {error.strerror}.",
            "Check the spelling of the path, that the drive is mounted, and that you may read it.",
        ) from error
    if is_folder:
        yield from _walk(top)
    else:
        # By its own name, as the run's root is told, also where a link leads to it.
        yield _found(os.path.realpath(top), b"")


def _walk(root: bytes) -> Iterator[Found]:
    device = _device(os.path.realpath(root))
    # A stack of folders half read, not a recursion: evidence may be nested deeper than Python can go.
    pending = [iter([(b"", True)])]
    while pending:
        entry = next(pending[-1], None)
        if entry is None:
            pending.pop()
            continue
        relative, is_folder = entry
        if not is_folder:
            yield _found(root, relative)
            continue
        try:
            if relative and _device(os.path.join(root, relative)) != device:
                text = "folder on another file system, not entered; scan it separately"
                yield Found(root, relative, 0, error=text)
                continue
            names = _list_folder(os.path.join(root, relative))
        except OSError as error:
            text = f"folder cannot be listed: {error.strerror}"
            yield Found(root, relative or b".", 0, error=text)
            continue
        # A folder sorts as its paths will: with the slash behind its name.
        names.sort(key=lambda n: n[0] + b"/" if n[1] else n[0])
        pending.append(iter([(os.path.join(relative, name), folder) for name, folder in names]))


def _device(path: bytes) -> int:
    return os.lstat(path).st_dev


def _list_folder(path: bytes) -> list[tuple[bytes, bool]]:
    """Names in a folder, and whether each is a folder, leaving the folder's access time alone."""
    descriptor, _ = _open_untouched(path, os.O_DIRECTORY)
    try:
        with os.scandir(descriptor) as entries:
            return [(os.fsencode(e.name), e.is_dir(follow_symlinks=False)) for e in entries]
    finally:
        os.close(descriptor)


def _found(root: bytes, relative: bytes) -> Found:
    path = os.path.join(root, relative) if relative else root
    try:
        status = os.lstat(path) if relative else os.stat(path)
        if stat.S_ISREG(status.st_mode):
            return Found(root, relative, status.st_size)
        return Found(root, relative, 0, skip=_irregular(status.st_mode))
    except OSError as error:
        return Found(root, relative, 0, error=f"cannot be examined: {error.strerror}")


def _irregular(mode: int) -> str:
    if stat.S_ISLNK(mode):
        # Nor is its target read: that would change the link's own access time.
        return "symbolic link, not followed"
    names = {
        stat.S_IFIFO: "named pipe",
        stat.S_IFSOCK: "socket",
        stat.S_IFCHR: "character device",
        stat.S_IFBLK: "block device",
    }
    return f"not a regular file: {names.get(stat.S_IFMT(mode), 'unknown type')}"


def _open_untouched(path: bytes, flags: int = 0) -> tuple[int, bool]:
    """A read-only descriptor, and whether reading from it leaves the access time alone."""
    flags |= os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
    quiet = getattr(os, "O_NOATIME", 0)
    try:
        return os.open(path, flags | quiet), bool(quiet)
    except PermissionError:
        # Only a file's owner (or root) may leave its access time alone.
        if not quiet:
            raise
        return os.open(path, flags), False


@dataclass(frozen=True, eq=False)
class OpenEvidence:
    """A file whose bytes have been hashed, still open for decoding."""

    evidence: Evidence
    head: bytes
    """Its first bytes, by which its type was told; empty if it had been hashed before."""
    source: BinaryIO
    """Reads from the one descriptor; at the start of the file."""
    path: bytes
    status: os.stat_result
    """As it was before the first byte was read."""

    def changes(self) -> list[str]:
        """What is other than it was when the file was opened; looked at when the work on it is done."""
        now, there = os.fstat(self.source.fileno()), _status_of(self.path)
        found = _differences(_stamp(self.status), _stamp(now))
        if there is None or (there.st_dev, there.st_ino) != (now.st_dev, now.st_ino):
            found.append("its path no longer exists" if there is None else "its path names another file")
        return found

    def other_sha256(self) -> str | None:
        """The hash of the bytes that are there now; None if it is the one they had.

        Raises:
            UnreadableEvidence: they cannot be read any more.
        """
        try:
            self.source.seek(0)
            now = hash_stream(self.source, unwatched).sha256
        except OSError as error:
            raise _unreadable(error) from error
        return None if now == self.evidence.sha256 else now


def _stamp(status: os.stat_result) -> Stamp:
    return status.st_size, utc(status.st_mtime_ns), utc(status.st_ctime_ns)


def _differences(before: Stamp, now: Stamp) -> list[str]:
    names = ("size", "modified", "changed")
    return [f"{n} {a} → {b}" for n, a, b in zip(names, before, now, strict=True) if a != b]


def changed_since(found: Found, before: Stamp) -> list[str]:
    """What is other of a file than it was when it was looked at before; nothing of one that is gone."""
    try:
        status = os.lstat(found.full) if found.relative else os.stat(found.full)
    except OSError:
        return []
    return _differences(before, _stamp(status))


@contextmanager
def opened(
    found: Found, hashed: Evidence | None = None, on_read: OnRead = unwatched
) -> Iterator[OpenEvidence]:
    """Open a found file read-only, hash it in one pass, and tell what it is.

    Args:
        found: the file.
        hashed: what was told when it was opened before; then it is not hashed again, but must be the
            same file with the same size and times.
        on_read: told how hashing goes on.

    Raises:
        UnreadableEvidence: it vanished, may not be read, is no regular file any more, or its bytes
            could not be read to the end; or it is not the file that was hashed.
    """
    # A single file as root had its links resolved by the walk; O_NOFOLLOW would refuse them.
    path = found.full if found.relative else os.path.realpath(found.full)
    try:
        descriptor, untouched = _open_untouched(path)
    except OSError as error:
        raise _unreadable(error) from error
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise UnreadableEvidence("changed", "was a regular file when it was listed, but is not any more")
    # Only what was hashed may be decoded, and only what the path still names is that path's content.
    with os.fdopen(descriptor, "rb", buffering=CHUNK) as source:
        if hashed is not None:
            if not _same(status, hashed.facts):
                raise UnreadableEvidence("changed", "is no longer the file that was hashed")
            yield OpenEvidence(hashed, b"", source, path, status)
            return
        facts = facts_of(status, born_at(descriptor, status), status.st_size, untouched)
        try:
            hashes = hash_stream(source, on_read)
            source.seek(0)
        except OSError as error:
            raise _unreadable(error, facts) from error
        media_type = sniff(hashes.head)
        evidence = Evidence(
            sha256=hashes.sha256,
            sha1=hashes.sha1,
            md5=hashes.md5,
            media_type=media_type,
            name_fits=name_fits(found.path_text, media_type),
            facts=replace(facts, size=hashes.size),
        )
        yield OpenEvidence(evidence, hashes.head, source, path, status)


def _same(status: os.stat_result, facts: FileFacts) -> bool:
    hashed = (facts.size, facts.modified, facts.changed)
    return (*_stamp(status), status.st_ino) == (*hashed, facts.inode)


def _status_of(path: bytes) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except OSError:
        return None


def _unreadable(error: OSError, facts: FileFacts | None = None) -> UnreadableEvidence:
    if error.errno == errno.ENOENT:
        return UnreadableEvidence("vanished", "was listed, but is no longer there", facts)
    if error.errno in (errno.EACCES, errno.EPERM):
        return UnreadableEvidence("no_permission", f"may not be read: {error.strerror}", facts)
    if error.errno == errno.ELOOP:
        return UnreadableEvidence("changed", "has become a symbolic link, which is not followed")
    return UnreadableEvidence("unreadable", f"cannot be read: {error.strerror}", facts)
