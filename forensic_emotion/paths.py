"""Paths from evidence and to outputs: how they are shown, and where femo may write."""

from __future__ import annotations

import errno
import os
import re
import secrets
import shlex
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from forensic_emotion.errors import FemoError, UsageError

SQLITE_HEADER = b"SQLite format 3\x00"
"""What every SQLite database begins with."""
SQLITE_BESIDE = ("-wal", "-shm", "-journal")
"""Endings of the files that SQLite keeps beside a database."""
AUDIT = ".audit"
"""Ending of the file beside a case that has the hashes of its audit table."""


def beside(case: Path, ending: str) -> Path:
    """A file beside a case; where that is a link, beside what it leads to, as SQLite's own are."""
    return Path(f"{os.path.realpath(case)}{ending}")


def refuse_names_of_case(case: Path, output: Path) -> None:
    """Refuse an output the name of a file that SQLite or femo keeps beside a case.

    Raises:
        UsageError: it is one.
    """
    if os.path.realpath(output) in [str(beside(case, end)) for end in (*SQLITE_BESIDE, AUDIT)]:
        raise UsageError(f"{output} is a name reserved for the case.", "Choose another name.")


def read_only(path: Path) -> str:
    """The address by which SQLite opens a file so that nothing can be written to it."""
    return f"file:{quote(os.fsencode(path.resolve()))}?mode=ro"


def as_text(path: bytes) -> str:
    """A path as a case holds it: bytes that are not UTF-8 as ``\\xNN``."""
    return path.decode("utf-8", "backslashreplace")


def in_utf8(said: str) -> str:
    """A name or an argument as the system gives it, in the form in which a case can hold it."""
    return as_text(os.fsencode(said))


BLANK = re.compile(
    r"[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\uffa0\U000e0100-\U000e01ef]"
)
"""Letters and marks that show nothing, or a blank (Unicode's default-ignorable ones, and Braille's)."""


def as_typed(path: Path) -> str:
    """A path as it is typed after a command, quoted where a shell needs that; what is invisible in it is
    written out, so that it is safe to print."""
    text = str(path)
    return visible(shlex.quote(f"./{text}" if text.startswith("-") else text))


def visible(text: str) -> str:
    """Text from evidence for people to read: what is invisible in it is written out.

    A file's name may hold line breaks, terminal control sequences, or characters that turn the
    direction of reading.
    """
    if text.isprintable() and not BLANK.search(text):
        return text
    return "".join(c if c.isprintable() and not BLANK.match(c) else _escaped(c) for c in text)


def _escaped(character: str) -> str:
    number = ord(character)
    return f"\\u{number:04x}" if number <= 0xFFFF else f"\\U{number:08x}"


def refuse_inside(evidence: Path, output: Path, what: str) -> None:
    """Refuse to write a file into the evidence, however its path is spelt.

    A folder may be mounted in two places (``mount --bind``), and a file may have two names: so folders
    and files are compared too, and where they lie on their file system, not only how they are called.

    Raises:
        UsageError: the file would lie below ``evidence``, or is it.
    """
    inside, root = os.path.realpath(output), os.path.realpath(evidence)
    if _is_below(inside, root) or _leads_to(inside, root) or _is_mounted_from(inside, root):
        raise UsageError(
            f"The {what} {output} would be inside {evidence}, where femo only reads.",
            "Choose another place for it.",
        )


def refuse_to_replace(out: Path, what: str, begins: bytes) -> None:
    """Refuse to write an output over anything but an older one of its kind, or an empty file.

    Args:
        out: the file that is to be written.
        what: its kind, for people.
        begins: what such a file begins with.

    Raises:
        UsageError: something else is there.
        FemoError: what is there cannot be read.
    """
    if head_of(out, what, len(begins)) not in (b"", begins):
        raise UsageError(f"{out} exists already, and is not a {what}.", "Choose another name.")


def head_of(out: Path, what: str, length: int) -> bytes:
    """The first bytes of what an output would replace; none if there is nothing.

    Raises:
        UsageError: it is no regular file.
        FemoError: it cannot be read.
    """
    try:
        if not stat.S_ISREG(out.stat().st_mode):
            raise UsageError(f"{out} is not a regular file.", f"Choose another name for the {what}.")
        with out.open("rb") as there:
            return there.read(length)
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise FemoError(
            f"Whether {out} may be replaced cannot be checked: {error.strerror or error}.",
            "Choose another name with --out.",
        ) from error


@contextmanager
def written_whole(out: Path, what: str) -> Iterator[Path]:
    """A name beside an output, for what is not finished; at the end it takes the output's name.

    An output cut off by a full disk must not stand in place of the last one: whatever ends the work
    before its end, nothing of it stays.

    Args:
        out: the file or folder that is to be written.
        what: its kind, for people.

    Raises:
        FemoError: it cannot be written.
    """
    target = Path(os.path.realpath(out.parent)) / out.name
    with suppress(OSError):  # a name that is too long: to write there says so
        if out.is_dir():  # it takes the place of the one that a link leads to, for a link is none
            target = Path(os.path.realpath(out))
    # At random: another femo may write to the same folder from another machine.
    beside = target.with_name(f".femo-{secrets.token_hex(8)}.new")
    try:
        yield beside
        for path in (*beside.rglob("*"), beside) if beside.is_dir() else (beside,):
            to_disk(path)
        beside.replace(target)
    except BaseException as error:
        with suppress(OSError):
            if beside.is_dir() and not beside.is_symlink():
                shutil.rmtree(beside)
            else:
                beside.unlink(missing_ok=True)
        if isinstance(error, OSError):
            remedy = "Choose another place with --out where you may write."
            if error.errno == errno.ENOENT:
                remedy = (
                    f"There is no folder {out.parent}: create it, or choose another place with --out."
                )
            elif error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                remedy = "Free up space, or choose another place with --out."
            raise FemoError(
                f"The {what} {out} cannot be written: {error.strerror or error}.", remedy
            ) from error
        raise
    with suppress(OSError):  # it stands there whole; a folder that may not be read cannot be asked more
        to_disk(target.parent)


def to_disk(path: Path) -> None:
    """Have the system write a file, or the names in a folder, before it goes on: after a power cut there
    must be no audit entry of an output that is empty.

    Raises:
        OSError: the disk is full or broken.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # a file system that has no such thing
            raise
    finally:
        os.close(descriptor)


def sqlite_name(path: Path) -> str:
    """A path as SQLite takes it: ``file:…`` would be an address, ``:memory:`` no file at all."""
    return str(path.absolute())


def refuse_second_name(case: Path) -> None:
    """Refuse to write a case over a file that has another name somewhere: that may be in the evidence.

    Raises:
        UsageError: the case, or a file that SQLite keeps beside it, is such a file.
    """
    for path in (beside(case, ending) for ending in ("", *SQLITE_BESIDE)):
        try:
            names = os.stat(path).st_nlink
        except OSError:
            continue
        if path.is_file() and names > 1:
            raise UsageError(
                f"The file {path} has {names} names (hard links) and would change under each of them.",
                "Give a case that does not exist yet, or copy this one and use the copy.",
            )


def _is_below(path: str, root: str) -> bool:
    return os.path.commonpath([path, root]) == root


def _leads_to(path: str, root: str) -> bool:
    """Whether a path, or a folder that it lies in, is the root under another name."""
    try:
        status = os.stat(root)
    except OSError:
        return False
    for each in (Path(path), *Path(path).parents):
        with suppress(OSError):
            if os.path.samestat(each.stat(), status):
                return True
    return False


MOUNTS = Path("/proc/self/mountinfo")
"""Each mount with its device and the part of the file system that it shows (proc(5))."""


def _is_mounted_from(path: str, root: str) -> bool:
    """Whether a path lies, on its file system, below the root or below what is mounted in it."""
    mounts = _mounts()
    if not mounts:
        return False  # no Linux, or none that tells
    device, place = _on_device(path, mounts)
    root_device, root_place = _on_device(root, mounts)
    places = [root_place, *(m.shown for m in mounts if m.device == device and _is_below(m.point, root))]
    # Another file system below the root is not entered, so it is no evidence.
    return device == root_device and any(_is_below(place, each) for each in places)


@dataclass(frozen=True)
class _Mount:
    device: str
    shown: str
    """The folder of the file system that is mounted."""
    point: str
    """Where."""


def _mounts() -> list[_Mount]:
    try:
        lines = MOUNTS.read_bytes().splitlines()
    except OSError:
        return []
    rows = [[_plain(word) for word in line.split(b" ")[:5]] for line in lines]
    return [_Mount(*row[2:5]) for row in rows if len(row) == 5 and row[3].startswith("/")]


def _plain(word: bytes) -> str:
    """A word of that file, in which blanks and the like stand as octal numbers."""
    return os.fsdecode(re.sub(rb"\\([0-7]{3})", lambda m: bytes([int(m[1], 8)]), word))


def _on_device(path: str, mounts: list[_Mount]) -> tuple[str, str]:
    """Where a path lies on its file system: of the mounts that hold it the innermost, and of those the
    last, which covers the ones before."""
    holding = [m for m in mounts if _is_below(path, m.point)]
    if not holding:
        return "", path
    mount = max(enumerate(holding), key=lambda n: (len(n[1].point), n[0]))[1]
    return mount.device, os.path.normpath(os.path.join(mount.shown, os.path.relpath(path, mount.point)))
