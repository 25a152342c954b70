"""Faces → Parquet, one row a face and path, in groups of rows: no more than one is in memory."""

from __future__ import annotations

from itertools import islice
from typing import BinaryIO

from forensic_emotion.errors import MissingExtra
from forensic_emotion.export.job import Job
from forensic_emotion.export.table import BYTES, COLUMNS, POINTS, REAL, TEXT, WHOLE, flat

GROUP = 5000
"""Rows in a group."""


def write(job: Job, out: BinaryIO) -> None:
    try:
        import pyarrow as arrow
        from pyarrow.parquet import ParquetWriter
    except ImportError as error:
        raise MissingExtra("The format parquet", "parquet") from error
    types = {
        TEXT: arrow.string(),
        WHOLE: arrow.int64(),
        REAL: arrow.float64(),
        BYTES: arrow.binary(),
        POINTS: arrow.list_(arrow.list_(arrow.float64())),
    }
    # What holds for all rows stands with the schema too, where readers of Parquet show it.
    told = {"femo.notice": job.notice, "femo.run_state": job.run.state}
    schema = arrow.schema([(name, types[kind]) for name, kind in COLUMNS.items()], metadata=told)
    rows = (flat(job, file, face) for file, face in job.rows())
    with ParquetWriter(out, schema, compression="zstd") as writer:
        while group := list(islice(rows, GROUP)):
            writer.write_batch(arrow.RecordBatch.from_pylist(group, schema))
