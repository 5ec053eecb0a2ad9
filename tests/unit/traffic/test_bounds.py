"""Row groups of Parquet that lie outside the wanted times are counted, not read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from hub.traffic import generic_parquet
from hub.traffic.decode import Bounds
from hub.traffic.formats import open_log

_START = datetime(2026, 11, 20, 12, tzinfo=UTC)
_EACH = 10
_KINDS: dict[str, pa.DataType] = {
    **{f"{unit} UTC": pa.timestamp(unit, "UTC") for unit in ("s", "ms", "us", "ns")},
    "naive": pa.timestamp("us"),
    "zone": pa.timestamp("ms", "Europe/Berlin"),
}


def _log(path: Path, times: pa.Array, **options: Any) -> Path:
    table = pa.table({"timestamp": times, "account_id": [f"a{n}" for n in range(len(times))]})
    pq.write_table(table, path, row_group_size=_EACH, **options)
    return path


def _times(kind: pa.DataType, count: int = 50) -> pa.Array:
    seconds = [int(_START.timestamp()) + n for n in range(count)]
    return pa.array(seconds, pa.int64()).cast(pa.timestamp("s")).cast(pa.timestamp("us")).cast(kind)


def _micros(seconds: float) -> int:
    return round((_START + timedelta(seconds=seconds)).timestamp() * 1_000_000)


def _read(
    path: Path, bounds: Bounds | None, monkeypatch: pytest.MonkeyPatch
) -> tuple[list[str], int, int, int]:
    """Accounts of the rows in the bounds, rows outside, naive times, row groups decoded."""
    groups: list[int] = []
    real = generic_parquet._decoded

    def decoded(file: Any, group: Any) -> Any:
        groups.append(group.number)
        return real(file, group)

    with monkeypatch.context() as patch:
        patch.setattr(generic_parquet, "_decoded", decoded)
        reader = open_log(path)
        batches = [one for task in reader.tasks(bounds=bounds) for one in task()]
    whole = pa.Table.from_batches(batches) if batches else None
    accounts: list[str] = []
    outside = reader.outside
    if whole is not None:
        limits = bounds or Bounds()
        moments = whole["observed_at"].cast(pa.int64())
        kept = whole.filter(
            pc.and_(
                pc.greater_equal(moments, limits.since),
                pc.less(moments, min(limits.until, 2**60)),
            )
        )
        accounts = kept["account_id"].to_pylist()
        outside += whole.num_rows - kept.num_rows
    return accounts, outside, reader.naive_times, len(groups)


@pytest.mark.parametrize("kind", _KINDS)
@pytest.mark.parametrize(
    ("since", "until", "groups"),
    [(20, 30, 1), (19, 30, 2), (20, 31, 2), (25, 2**30, 3), (-9, 0, 0), (50, 60, 0), (0, 50, 5)],
)
def test_only_row_groups_with_wanted_times_are_read(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    since: int,
    until: int,
    groups: int,
) -> None:
    log = _log(tmp_path / "log.parquet", _times(_KINDS[kind]))
    accounts, outside, naive, read = _read(log, Bounds(_micros(since), _micros(until)), monkeypatch)
    assert accounts == [f"a{n}" for n in range(50) if since <= n < until]
    assert outside == 50 - len(accounts)
    assert naive == (50 if kind == "naive" else 0)
    assert read == groups


def test_without_bounds_all_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = _log(tmp_path / "log.parquet", _times(_KINDS["us UTC"]))
    assert _read(log, None, monkeypatch)[3] == 5


@pytest.mark.parametrize("doubt", ["no statistics", "a null", "whole numbers", "texts", "1969"])
def test_what_the_statistics_do_not_settle_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, doubt: str
) -> None:
    times, options = _times(pa.timestamp("us", "UTC"), 10), {}
    rows = times.to_pylist()
    if doubt == "no statistics":
        options["write_statistics"] = False
    elif doubt == "a null":
        times = pa.array([*rows[:9], None], times.type)
    elif doubt == "whole numbers":
        times = times.cast(pa.int64())
    elif doubt == "texts":
        times = pa.array([one.isoformat() for one in rows])
    else:
        times = pa.array([*rows[:9], datetime(1969, 1, 1, tzinfo=UTC)], times.type)
    log = _log(tmp_path / "log.parquet", times, **options)
    accounts, outside, _, read = _read(log, Bounds(since=_micros(100)), monkeypatch)
    assert (accounts, read) == ([], 1)
    assert outside == (9 if doubt in {"a null", "1969"} else 10)
