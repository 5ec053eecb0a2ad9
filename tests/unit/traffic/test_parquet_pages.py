"""What a dictionary may expand to, read from its own page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hub.traffic.formats import open_log
from hub.traffic.parquet_pages import PageHeader, longest_value, page_header

_WORDS = ["a", "bb" * 50, None, "ccc"] * 5


def _longest(path: Path, column: pa.Array, **options: Any) -> int:
    pq.write_table(pa.table({"x": column}), path, **options)
    with path.open("rb") as file:
        return longest_value(file, pq.read_metadata(path).row_group(0).column(0))


@pytest.mark.parametrize("codec", ["zstd", "snappy", "gzip", "brotli", "none"])
def test_the_longest_entry_is_found_in_the_page(tmp_path: Path, codec: str) -> None:
    assert _longest(tmp_path / "x", pa.array(_WORDS), compression=codec) == 100
    lists = pa.array([["a" * 9], None, [], ["b", "c" * 7]])
    assert _longest(tmp_path / "x", lists, compression=codec) == 9


def test_what_cannot_be_unpacked_counts_as_one_long_value(tmp_path: Path) -> None:
    page = sum(4 + len(word) for word in ("a", "bb" * 50, "ccc"))
    assert _longest(tmp_path / "x", pa.array(_WORDS), compression="lz4") == page
    big = pa.array(["x" * (9 << 20), "y"])
    assert _longest(tmp_path / "x", big) == (9 << 20) + 1 + 8
    pq.write_table(pa.table({"x": pa.array(_WORDS)}), tmp_path / "x", compression="zstd")
    chunk = pq.read_metadata(tmp_path / "x").row_group(0).column(0)
    data = bytearray((tmp_path / "x").read_bytes())
    data[chunk.data_page_offset - 8 : chunk.data_page_offset] = bytes(8)
    (tmp_path / "x").write_bytes(bytes(data))
    with (tmp_path / "x").open("rb") as file:
        assert longest_value(file, chunk) == page


def test_chunks_without_a_dictionary_or_of_numbers_expand_to_nothing(tmp_path: Path) -> None:
    assert _longest(tmp_path / "x", pa.array(_WORDS), use_dictionary=False) == 0
    assert _longest(tmp_path / "x", pa.array([1, 1, 2])) == 0


def test_values_that_repeat_the_one_before_may_each_be_as_long_as_all(tmp_path: Path) -> None:
    column = pa.array(["a" * 1000] * 100)
    options: dict[str, Any] = {
        "use_dictionary": False,
        "column_encoding": {"x": "DELTA_BYTE_ARRAY"},
    }
    assert _longest(tmp_path / "x", column, **options) >= 1000


def test_page_headers() -> None:
    whole = b"\x15\x04\x15\x80\x80\x80\x08\x15\x06\x4c\x15\x0a\x15\x00\x11\x00\x00rest"
    assert page_header(whole) == PageHeader(2, 8 << 20, 3, 5, len(whole) - 4)
    assert page_header(b"\x15\x00\x15\x02\x15\x02\x5c\x18") == PageHeader(0, 1, 1, 0, 8)
    for broken in (b"", b"\x15", b"\x15\x04", b"\x15\x04\x16\x02", b"\x15" + b"\xff" * 15):
        assert page_header(broken) is None
    assert page_header(b"\x15\x03\x15\x02\x15\x02\x00") is None


def test_row_groups_are_tasks_and_large_ones_are_cut(tmp_path: Path) -> None:
    path = tmp_path / "log.parquet"
    columns = {
        "timestamp": [1_795_144_267] * 400,
        "account_id": [f"a{n % 7}" for n in range(400)],
        "prompt": [("x" if n < 200 else "y" * 2_000_000) for n in range(400)],
    }
    pq.write_table(pa.table(columns), path, row_group_size=200)
    reader = open_log(path)
    tasks = list(reader.tasks(rows=50))
    sizes = [[batch.num_rows for batch in task()] for task in tasks]
    # The second group repeats a long text, so that its pieces are tasks of their own.
    assert sizes[0] == [50] * 4
    assert all(len(size) == 1 and size[0] <= 50 for size in sizes[1:])
    assert len(tasks) >= 5
    assert reader.rows == 400
    assert len(list(open_log(path).tasks(rows=50, columns={"account_id"}))) == 2
