"""Parquet promises UTF-8 and may not hold it: such values are left out and told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from hub.traffic.formats import open_log


def test_values_that_are_no_utf8_are_left_out(tmp_path: Path) -> None:
    data, ends = b"good\xed\xa0\x80\xffa", np.asarray([0, 4, 7, 9], dtype=np.int32)
    texts = pa.StringArray.from_buffers(3, pa.py_buffer(ends), pa.py_buffer(data))
    items = pa.ListArray.from_arrays(pa.array([0, 1, 2, 3], pa.int32()), texts)
    columns = {
        "observed_at": pa.array(["2026-11-20T00:00:00Z"] * 3),
        "account_id": texts,
        "fp_tokens": items,
    }
    path = tmp_path / "log.parquet"
    pq.write_table(pa.table(columns), path)
    log = open_log(path, format="parquet")
    table = pa.Table.from_batches(list(log.batches()))
    assert table.column("account_id").to_pylist() == ["good", None, None]
    assert table.column("fp_tokens").to_pylist() == [["good"], None, None]
    assert {(one.line, one.reason) for one in log.field_problems.examples} == {
        (2, "account_id is not UTF-8"),
        (3, "account_id is not UTF-8"),
        (2, "fp_tokens is not UTF-8"),
        (3, "fp_tokens is not UTF-8"),
    }
