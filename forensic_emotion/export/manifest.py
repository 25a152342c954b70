"""Files → the lines that ``sha256sum -c`` checks evidence with."""

from __future__ import annotations

from typing import BinaryIO

from forensic_emotion.export.job import Job
from forensic_emotion.hashes import sum_line


def write(job: Job, out: BinaryIO) -> None:
    for file in job.files():
        if file.sha256 is not None:
            out.write(sum_line(file.sha256, file.path_bytes))
