"""Faces → CSV (RFC 4180), one row a face and path, in UTF-8 with a mark that spreadsheets know it by.

A cell of text that a spreadsheet would take for a formula gets an apostrophe in front, and so does one
that begins with an apostrophe; so does such a part behind a semicolon or a bar, where some spreadsheets
begin another cell. Take one away at each of these places, and the text is as it was, but for what is
invisible, which is written out. Where the cell is not the name itself, ``path_bytes`` has that, as hex.
"""

from __future__ import annotations

import csv
import io
from typing import BinaryIO

from forensic_emotion.export.job import Job
from forensic_emotion.export.table import COLUMNS, flat
from forensic_emotion.export.words import hex_if_changed, plain_json
from forensic_emotion.spreadsheet import cell


def write(job: Job, out: BinaryIO) -> None:
    text = io.TextIOWrapper(out, encoding="utf-8-sig", newline="")
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for file, face in job.rows():
        row = flat(job, file, face)
        row["path_bytes"] = hex_if_changed(file, str(cell(file.path)))
        row["landmarks"] = plain_json(face.landmarks)
        writer.writerow([cell(row[name]) for name in COLUMNS])
    text.flush()
    text.detach()
