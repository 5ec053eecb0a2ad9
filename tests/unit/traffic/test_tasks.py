"""Blocks decoded apart, in any order and thread, give what one pass gives."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from hub.traffic import generic_csv, source
from hub.traffic.formats import open_log
from hub.traffic.reader import LogReader
from tests.unit.traffic.exchanges import PACKERS, WRITERS, several, written


def _small(monkeypatch: pytest.MonkeyPatch, size: int = 600) -> None:
    monkeypatch.setattr(source, "CUT_BYTES", size)
    defaults = source.Source.__init__.__kwdefaults__
    assert defaults is not None
    monkeypatch.setitem(defaults, "block_bytes", 256)
    monkeypatch.setattr(generic_csv, "_CHUNK_BYTES", size)


def _counts(reader: LogReader) -> dict[str, Any]:
    return {
        "rows": reader.rows,
        "seen": reader.seen,
        "tally": reader.tally,
        "damage": reader.damage,
        "read": reader.bytes_read,
    }


def _backwards(reader: LogReader, columns: set[str] | None) -> pa.Table:
    """All tasks, the last first."""
    parts = [task() for task in reversed(list(reader.tasks(columns=columns)))]
    batches = [batch for part in reversed(parts) for batch in part]
    return pa.Table.from_batches(batches)


def _threaded(reader: LogReader, columns: set[str] | None) -> pa.Table:
    with ThreadPoolExecutor(3) as pool:
        parts = list(pool.map(lambda task: task(), reader.tasks(columns=columns)))
    return pa.Table.from_batches([batch for part in parts for batch in part])


@pytest.mark.parametrize("columns", [None, {"account_id", "prompt"}])
@pytest.mark.parametrize("packing", PACKERS)
@pytest.mark.parametrize("name", WRITERS)
def test_tasks_in_any_order_give_what_one_pass_gives(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    packing: str,
    columns: set[str] | None,
) -> None:
    data = WRITERS[name](several(60))
    if name == "parquet":
        packing = "plain"
    else:
        # Broken lines and a cut end must be told at their own line whoever comes first.
        lines = data.split(b"\n")
        for at in range(5, len(lines), 7):
            lines.insert(at, b"no such thing \xff")
        data = b"\n".join(lines)[:-40]
    pack = PACKERS[packing]
    packed = data if packing == "plain" else pack(data[:-900]) + pack(data[-900:])[:-9]
    path = written(tmp_path, "log", packed)
    whole = open_log(path, format=name)
    expected = pa.Table.from_batches(whole.batches(columns=columns))
    _small(monkeypatch)
    for way in (_backwards, _threaded):
        reader = open_log(path, format=name)
        # OpenTelemetry's halves of an exchange wait for each other, here till the end.
        least = 0 if name in ("parquet", "otel") else 3
        assert len(list(reader.tasks(columns=columns))) > least
        assert way(reader, columns).equals(expected)
        assert _counts(reader) == _counts(whole)


def test_counts_cover_an_unbroken_part_while_tasks_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _small(monkeypatch)
    reader = open_log(written(tmp_path, "log", b"broken\n" + WRITERS["jsonl"](several(60))))
    first, *rest = list(reader.tasks())
    for task in rest:
        task()
    assert (reader.rows, reader.rejects.count) == (0, 0)
    first()
    assert (reader.rows, reader.rejects.count) == (60, 1)
