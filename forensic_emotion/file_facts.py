"""What a file system says of a path: times, owner, inode; nothing is opened and nothing is read."""

from __future__ import annotations

import ctypes
import os
import stat
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path

from forensic_emotion.moments import utc
from forensic_emotion.records import FileFacts


def facts_of(status: os.stat_result, born: str | None, size: int, kept: bool | None) -> FileFacts:
    """The facts of a file.

    Args:
        status: what ``stat`` says, from before its first byte was read.
        born: see ``born_at``.
        size: bytes that were read, or what ``stat`` says.
        kept: whether reading it leaves its access time alone; None if it is not read.
    """
    return FileFacts(
        size=size,
        modified=utc(status.st_mtime_ns),
        changed=utc(status.st_ctime_ns),
        born=born,
        accessed=utc(status.st_atime_ns),
        access_time_kept=kept,
        mode=stat.filemode(status.st_mode),
        uid=status.st_uid,
        gid=status.st_gid,
        inode=status.st_ino,
        device=f"{os.major(status.st_dev)}:{os.minor(status.st_dev)}",
    )


def facts_at(path: bytes) -> FileFacts | None:
    """The facts of a path that is not opened, of a link those of the link itself; None if it is gone.

    Reading where a link leads changes its access time, so that is told only where the file system keeps
    none.
    """
    try:
        status = os.lstat(path)
        facts = facts_of(status, born_at(path, status), status.st_size, None)
        if stat.S_ISLNK(status.st_mode) and _keeps_no_access_times(path):
            return replace(facts, link_target=os.readlink(path))
    except OSError:
        return None
    return facts


def _keeps_no_access_times(link: bytes) -> bool:
    # Of the folder: asked about a link, the system would answer for what it leads to.
    flags = os.statvfs(Path(os.fsdecode(link)).parent).f_flag
    return bool(flags & (os.ST_RDONLY | getattr(os, "ST_NOATIME", 0)))


def born_at(file: bytes | int, status: os.stat_result) -> str | None:
    """When a file's inode was made; None where the system does not say.

    Args:
        file: a path, which is not followed if it is a link, or a descriptor.
        status: of the same file.
    """
    seconds = getattr(status, "st_birthtime", None)  # macOS
    if seconds is not None:
        return utc(int(seconds * 1_000_000_000))
    statx = _statx()
    if statx is None:
        return None
    answer = ctypes.create_string_buffer(_STATX_SIZE)
    folder, path = (_AT_FDCWD, file) if isinstance(file, bytes) else (file, b"")
    if statx(folder, path, _AT_SYMLINK_NOFOLLOW | _AT_EMPTY_PATH, _STATX_BTIME, answer) != 0:
        return None
    told, made = answer.raw[:4], answer.raw[80:92]
    if not int.from_bytes(told, sys.byteorder) & _STATX_BTIME:
        return None
    seconds = int.from_bytes(made[:8], sys.byteorder, signed=True)
    return utc(seconds * 1_000_000_000 + int.from_bytes(made[8:], sys.byteorder))


# Linux's statx(2), which Python knows from 3.15 on; numbers and places of its answer as in linux/stat.h.
_AT_FDCWD, _AT_SYMLINK_NOFOLLOW, _AT_EMPTY_PATH = -100, 0x100, 0x1000
_STATX_BTIME, _STATX_SIZE = 0x800, 256


@cache
def _statx() -> ctypes._NamedFuncPointer | None:
    try:
        found = ctypes.CDLL(None).statx
    except (OSError, AttributeError):  # another system, or a C library from before 2018
        return None
    found.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_uint, ctypes.c_char_p)
    return found
