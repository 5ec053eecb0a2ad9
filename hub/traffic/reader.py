"""The reader of one log file: TRAFFIC batches out, and an account of what was left out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from hub.traffic.problems import Problems

BATCH_ROWS = 65_536


class LogReader:
    """Streams one log file in bounded memory; made by `hub.traffic.formats.open_log`.

    Attributes:
        path, format_name: the file and the format it is read as.
        columns: TRAFFIC columns that this format can show.
        rejects: lines that gave no row (malformed, too long, no usable time).
        field_problems: fields of kept rows that were set to null (bad address, bad number).
        skipped: well-formed records that describe no exchange, such as foreign spans.
        naive_times: rows whose time named no zone and was read as UTC.
        seen: non-null values per TRAFFIC column, so far.
        rows: rows given out so far.
        bytes_total, bytes_read: of the file as stored (compressed), for progress.
    """

    path: Path
    format_name: str
    columns: frozenset[str]
    rejects: Problems
    field_problems: Problems
    skipped: int
    naive_times: int
    seen: dict[str, int]
    rows: int
    bytes_total: int
    bytes_read: int

    def batches(self, rows: int = BATCH_ROWS) -> Iterator[pa.RecordBatch]:
        """Give TRAFFIC_SCHEMA batches of at most `rows` rows and about 64 MiB of log.

        Raises:
            InputError: the file is not of its format from the first byte on.
        """
        raise NotImplementedError
