"""Files → a list of hashes as hashdeep writes and audits them (its FILEFORMAT, HASHDEEP-1.0)."""

from __future__ import annotations

from typing import BinaryIO

from forensic_emotion.export.job import Job
from forensic_emotion.export.words import origin_line
from forensic_emotion.paths import visible


def write(job: Job, out: BinaryIO) -> None:
    head = f"## {visible(origin_line(job.run))}\n## names below {visible(job.run.evidence_root)}\n##\n"
    if job.selection:
        head = f"## a selection of the files: {visible(job.selection.words())}\n{head}"
    out.write(f"%%%% HASHDEEP-1.0\n%%%% size,md5,sha1,sha256,filename\n{head}".encode())
    for file in job.files():
        if file.sha256 is None:
            continue
        if file.md5 is None or file.sha1 is None:
            job.tell(f"{visible(file.path)}: has no MD5 and SHA-1 (a case of femo 0.1); not in the list")
        elif b"\n" in file.path_bytes or b"\r" in file.path_bytes:
            job.tell(f"{visible(file.path)}: has a line break in its name; not in the list")
        else:
            hashes = f"{file.size},{file.md5},{file.sha1},{file.sha256},"
            out.write(hashes.encode() + file.path_bytes + b"\n")
