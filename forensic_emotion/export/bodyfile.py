"""Files → a body file, from which mactime and others make a timeline (The Sleuth Kit, "Body file", 3.x).

A line a path: MD5, name, inode, mode, owner, group, size, then the four times in seconds since 1970;
0 stands for what is not known. In names ``%25`` stands for ``%`` and ``%7C`` for ``|``: mactime splits
at every ``|`` and puts in what ``%`` and two digits stand for.
"""

from __future__ import annotations

from typing import BinaryIO

from forensic_emotion.export.job import Job
from forensic_emotion.export.timesketch import EPOCH
from forensic_emotion.moments import moment
from forensic_emotion.paths import visible


def write(job: Job, out: BinaryIO) -> None:
    for file in job.files():
        name = _name(file.path)
        if file.link_target is not None:
            name += f" -> {_name(file.link_target)}"
        size = file.stat_size if file.size is None else file.size
        times = (file.accessed_at, file.modified_at, file.changed_at, file.born_at)
        values = (
            *(file.md5 or 0, name, file.inode or 0, _mode(file.mode), file.uid or 0, file.gid or 0),
            *(size or 0, *map(_seconds, times)),
        )
        out.write(("|".join(map(str, values)) + "\n").encode())


def _name(text: str) -> str:
    return visible(text).replace("%", "%25").replace("|", "%7C")


def _mode(text: str | None) -> str:
    """As The Sleuth Kit writes it: what the name is, what the inode is, permissions."""
    if text is None:
        return "-/----------"
    kind = "r" if text[0] == "-" else text[0]
    return f"{kind}/{kind}{text[1:]}"


def _seconds(time: str | None) -> int:
    found = None if time is None else moment(time, "Z")
    return 0 if found is None else int((found - EPOCH).total_seconds() // 1)
