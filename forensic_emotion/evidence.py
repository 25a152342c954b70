"""A folder → Evidence: sorted walk, read-only opening, hashes and type by content.

Nothing here writes. A file is read from one descriptor by hashing and decoding alike (a piece of a long
video from one of its own), and without touching its access time where the system allows that.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import BinaryIO

from forensic_emotion.errors import UnreadableEvidence, UsageError
from forensic_emotion.hashes import CHUNK, OnRead, hash_stream, unwatched
from forensic_emotion.records import Evidence, FileFacts, Kind, Stamp


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


def as_text(path: bytes) -> str:
    return path.decode("utf-8", "backslashreplace")


def in_utf8(said: str) -> str:
    """A name or an argument as the system gives it, in the form in which a case can hold it."""
    return as_text(os.fsencode(said))


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
            "Check how the path is spelt, that the drive is mounted, and that you may read it.",
        ) from error
    if is_folder:
        yield from _walk(top)
    else:
        yield _found(top, b"")


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
                text = "folder on another file system, not entered; scan it by itself"
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
        return Found(root, relative, 0, error=f"cannot be looked at: {error.strerror}")


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
            found.append("its path is gone" if there is None else "its path names another file")
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
        raise UnreadableEvidence("changed", "was a regular file when it was listed, and is none now")
    # Only what was hashed may be decoded, and only what the path still names is that path's content.
    with os.fdopen(descriptor, "rb", buffering=CHUNK) as source:
        if hashed is not None:
            if not _same(status, hashed.facts):
                raise UnreadableEvidence("changed", "is not the file any more that was hashed")
            yield OpenEvidence(hashed, source, path, status)
            return
        try:
            hashes = hash_stream(source, on_read)
            source.seek(0)
        except OSError as error:
            raise _unreadable(error) from error
        facts = FileFacts(
            size=hashes.size,
            modified=utc(status.st_mtime_ns),
            changed=utc(status.st_ctime_ns),
            accessed=utc(status.st_atime_ns),
            access_time_kept=untouched,
            mode=stat.filemode(status.st_mode),
            uid=status.st_uid,
            gid=status.st_gid,
            inode=status.st_ino,
            device=f"{os.major(status.st_dev)}:{os.minor(status.st_dev)}",
        )
        media_type = sniff(hashes.head)
        evidence = Evidence(
            sha256=hashes.sha256,
            sha1=hashes.sha1,
            md5=hashes.md5,
            media_type=media_type,
            name_fits=name_fits(found.path_text, media_type),
            facts=facts,
        )
        yield OpenEvidence(evidence, source, path, status)


def _same(status: os.stat_result, facts: FileFacts) -> bool:
    hashed = (facts.size, facts.modified, facts.changed)
    return (*_stamp(status), status.st_ino) == (*hashed, facts.inode)


def _status_of(path: bytes) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except OSError:
        return None


def _unreadable(error: OSError) -> UnreadableEvidence:
    if error.errno == errno.ENOENT:
        return UnreadableEvidence("vanished", "was listed, and is not there any more")
    if error.errno in (errno.EACCES, errno.EPERM):
        return UnreadableEvidence("no_permission", f"may not be read: {error.strerror}")
    if error.errno == errno.ELOOP:
        return UnreadableEvidence("changed", "has become a symbolic link, which is not followed")
    return UnreadableEvidence("unreadable", f"cannot be read: {error.strerror}")


def utc(nanoseconds: int) -> str:
    """Nanoseconds since 1970 as ``2026-11-22T19:03:26.123456789Z``."""
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    try:
        moment = datetime.fromtimestamp(seconds, timezone.utc)
    except (OverflowError, OSError, ValueError):
        return f"{nanoseconds} ns since 1970"  # a year beyond 9999: kept as it stands
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{rest:09}Z"


def utc_now() -> str:
    return utc(time.time_ns())


# ---- what it is, by content ------------------------------------------------------------------------

_SIGNATURES: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (0, b"II*\x00", "image/tiff"),
    (0, b"MM\x00*", "image/tiff"),
    (0, b"II+\x00", "image/tiff"),
    (0, b"MM\x00+", "image/tiff"),
    (8, b"WEBPVP8", "image/webp"),
    (0, b"8BPS\x00\x01", "image/vnd.adobe.photoshop"),
    (0, b"\x00\x00\x00\x0cjP  \r\n\x87\n", "image/jp2"),
    (0, b"\xff\x4f\xff\x51", "image/jp2"),
    (0, b"\xff\x0a", "image/jxl"),
    (0, b"\x00\x00\x00\x0cJXL \r\n\x87\n", "image/jxl"),
    (8, b"AVI ", "video/x-msvideo"),
    (0, b"\x1aE\xdf\xa3", "video/x-matroska"),
    (0, b"FLV\x01", "video/x-flv"),
    (0, bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c"), "video/x-ms-asf"),
    (0, b"OggS", "video/ogg"),
    (0, b"\x00\x00\x01\xba", "video/mpeg"),
    (0, b"\x00\x00\x01\xb3", "video/mpeg-es"),
    (0, bytes.fromhex("060e2b34020501010d010201"), "application/mxf"),
    (0, b".RMF\x00\x00", "application/vnd.rn-realmedia"),
    (0, b"DKIF\x00\x00", "video/x-ivf"),
)
_BRANDS = {
    b"avif": "image/avif",
    b"avis": "image/avif",
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"), "image/heic"),
    **dict.fromkeys((b"mif1", b"msf1"), "image/heif"),
    b"qt  ": "video/quicktime",
}
_ATOMS = (b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot", b"uuid", b"styp", b"moof", b"sidx")
_BMP_HEADERS = (12, 40, 52, 56, 64, 108, 124)


def sniff(head: bytes) -> str | None:
    """The media type that the first bytes of a file show, or None if they show none known here."""
    for offset, signature, media_type in _SIGNATURES:
        if head.startswith(signature, offset):
            return media_type
    if head[4:8] == b"ftyp":
        return _iso_media(head)
    if head[4:8] in _ATOMS:
        return "video/quicktime"
    if head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in _BMP_HEADERS:
        return "image/bmp"
    if head[:4] == b"\x00\x00\x01\x00" and head[4:6] != b"\x00\x00" and head[9:10] == b"\x00":
        return "image/vnd.microsoft.icon"
    if re.match(rb"P[1-6]\s+(#|\d+\s)", head):
        return "image/x-portable-anymap"
    if _is_transport_stream(head):
        return "video/mp2t"
    return _mere_stream(head)


def _iso_media(head: bytes) -> str:
    """By major brand; the generic still-picture brand is told apart by the compatible ones."""
    size = min(int.from_bytes(head[:4], "big"), len(head))
    compatible = {head[i : i + 4] for i in range(16, size, 4)}
    major = _BRANDS.get(head[8:12], "video/mp4")
    return "image/avif" if major == "image/heif" and b"avif" in compatible else major


def _is_transport_stream(head: bytes) -> bool:
    """Sync bytes at packet distance: 188, or 192 with a leading time code (Blu-ray, AVCHD)."""
    for start, distance in ((0, 188), (4, 192)):
        syncs = head[start : start + 5 * distance : distance]
        if len(syncs) == 5 and set(syncs) == {0x47}:
            return True
    return False


_UNIT = re.compile(rb"\x00\x00\x01(..)", re.DOTALL)
_H264_PROFILES = (44, 66, 77, 88, 100, 110, 118, 122, 128, 244)


def _mere_stream(head: bytes) -> str | None:
    """H.264 or H.265 without a container, as recorders export them (annex B of both standards).

    Such a stream begins with a delimiter, parameters or what they are supplemented by; its sequence
    parameters have to follow. A part that was cut out amid a stream is not told from chance.
    """
    if not head.startswith((b"\x00\x00\x00\x01", b"\x00\x00\x01")):
        return None
    units = [found[1] for found in _UNIT.finditer(head)]
    kinds = [unit[0] & 0x1F for unit in units]  # ITU-T H.264, 7.3.1; the highest bit is 0
    if units and units[0][0] < 0x80 and kinds[0] in (6, 7, 9):
        profiles = [unit[1] for unit, kind in zip(units, kinds, strict=True) if kind == 7]
        if profiles and profiles[0] in _H264_PROFILES:
            return "video/h264"
    kinds = [unit[0] >> 1 for unit in units]  # ITU-T H.265, 7.3.1.2; layer 0, lowest sub-layer
    if units and kinds[0] in (32, 33, 35, 39) and units[0][1] == 1 and {32, 33} <= set(kinds):
        return "video/h265"
    return None


def kind_of(media_type: str | None) -> Kind | None:
    """Which decoder a media type goes to; None if it is no picture and no video."""
    if media_type is None:
        return None
    return "still" if media_type.startswith("image/") else "video"


ENDINGS = {
    "image/jpeg": ".jpg .jpeg .jpe .jfif .mpo",
    "image/png": ".png",
    "image/gif": ".gif",
    "image/tiff": ".tif .tiff .dng .nef .nrw .cr2 .arw .pef .srw",  # cameras' raw pictures are TIFF
    "image/webp": ".webp",
    "image/bmp": ".bmp .dib",
    "image/avif": ".avif",
    "image/heic": ".heic .heif",
    "image/heif": ".heif .heic",
    "image/jp2": ".jp2",
    "image/jxl": ".jxl",
    "image/vnd.microsoft.icon": ".ico",
    "image/x-portable-anymap": ".pbm .pgm .pnm .ppm",
    "image/vnd.adobe.photoshop": ".psd",
    "video/mp4": ".mp4 .m4v .m4s .f4v .3gp .3g2 .mov",
    "video/quicktime": ".mov .qt .mp4 .m4s",
    "video/x-msvideo": ".avi",
    "video/x-matroska": ".mkv .webm",
    "video/x-flv": ".flv",
    "video/x-ms-asf": ".asf .wmv",
    "video/ogg": ".ogv .ogg",
    "video/mpeg": ".mpg .mpeg .mpe .vob",
    "video/mpeg-es": ".mpg .mpeg .mpe .m2v",
    "video/h264": ".264 .h264 .avc",
    "video/h265": ".265 .h265 .hevc",
    "video/mp2t": ".ts .mts .m2ts .m2t",
    "application/mxf": ".mxf",
    "application/vnd.rn-realmedia": ".rm .rmvb",
    "video/x-ivf": ".ivf",
}
"""Media type → how names of such files end."""
UNREAD = ".dav .dv .cr3 .crw .mrw .orf .raf .rw2 .x3f"
"""How names of media end that femo has no reader for: recorders' and cameras' own."""
_CLAIMS = {ending for endings in (*ENDINGS.values(), UNREAD) for ending in endings.split()}


def claims_media(name: str) -> bool:
    """Whether a file's name says that it is a picture or a video."""
    return _ending(name) in _CLAIMS


def name_fits(name: str, media_type: str | None) -> bool | None:
    """Whether a name ends as its type's names do; None if the name says nothing of media."""
    if not claims_media(name):
        return None
    return _ending(name) in ENDINGS.get(media_type or "", "").split()


def _ending(name: str) -> str:
    """From the last dot on, in lower case; a name that is all ending has one too."""
    dot = name.rfind(".")
    return name[dot:].lower() if dot > name.rfind("/") else ""
