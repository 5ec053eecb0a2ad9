"""The ways of matching exact values and blocks over Parquet that `match.py` compares.

All give the same pairs of event and indicator. Timed is what is done for each log: to read, to
match and to hold the rows of the answer. Loading indicators and compiling kernels is not; ours
loads the plan that the side "save" has left beside the indicators.
"""

from __future__ import annotations

import cProfile
import io
import pstats
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tests.bench import sides
from tests.bench.match_data import stix
from tests.bench.sides import Clock, Outcome

ROWS: Final = 65_536
_LEFT: Final = np.uint64(0x9E3779B97F4A7C15)
_RIGHT: Final = np.uint64(0xBF58476D1CE4E5B9)

Task = Callable[[], list[pa.RecordBatch]]


def _answer(events: Any, numbers: Any) -> str:
    """How many pairs, and a sum of their hashes, which no order changes."""
    left = pc.cast(pc.utf8_slice_codeunits(events, 1), pa.int64()).to_numpy().astype(np.uint64)
    right = pc.cast(numbers, pa.int64()).to_numpy().astype(np.uint64)
    mixed = (left * _LEFT) ^ ((right + np.uint64(1)) * _RIGHT)
    mixed = (mixed ^ (mixed >> np.uint64(29))) * _LEFT
    return f"{len(left)} pairs, {int(np.bitwise_xor.reduce(mixed)):016x}"


def _in_threads(tasks: Iterable[Task], work: Callable[[Task], Any], threads: int) -> Iterator[Any]:
    """Map tasks in order, a few ahead of what is taken."""
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[Any]] = deque()
        for task in tasks:
            waiting.append(pool.submit(work, task))
            if len(waiting) > threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _saved(indicators: str) -> Path:
    return Path(indicators).with_suffix(".index")


def save(_: str, indicators: str) -> Outcome:
    """Compile the indicators, one STIX object after the other, and keep the plan."""
    from hub.match.engine import IndicatorIndex

    before = sides.peak_mib()
    clock = Clock()
    index = IndicatorIndex.build(stix(Path(indicators)))
    figures = {"grown_mib": sides.peak_mib() - before}
    done = clock.outcome(f"{len(index)} indicators", figures)
    assert index.problems == ()
    _saved(indicators).write_bytes(index.to_bytes())
    return done


def _load(indicators: str) -> tuple[Any, float]:
    """The index from its plan, and how long that took."""
    from hub.match.engine import IndicatorIndex
    from hub.traffic.memory import use_lean_allocator

    use_lean_allocator()
    begun = time.perf_counter()
    index = IndicatorIndex.from_bytes(_saved(indicators).read_bytes())
    return index, time.perf_counter() - begun


def _warm(index: Any, events: str) -> None:
    from hub.traffic.formats import open_log

    task = next(iter(open_log(Path(events)).tasks(rows=1000, columns=index.columns)))
    index.match(task()[0], source="warm")


def ours(events: str, indicators: str, threads: str = "2") -> Outcome:
    """Stillwatch, by the path that its command takes."""
    from hub.traffic.formats import open_log

    index, built = _load(indicators)
    _warm(index, events)
    held = sides.peak_mib()

    def match(task: Task) -> list[pa.Table]:
        return [index.match(batch, source="log") for batch in task()]

    clock = Clock()
    reader = open_log(Path(events))
    tasks = reader.tasks(rows=ROWS, columns=index.columns)
    found = [part for parts in _in_threads(tasks, match, int(threads)) for part in parts]
    table = pa.concat_tables(found)
    seconds, cpu = clock.read()
    numbers = pc.utf8_slice_codeunits(table.column("indicator_id"), -12)
    figures = {"load": built, "rows": reader.rows, "indicators_mib": held}
    return Outcome(seconds, _answer(table.column("event_id"), numbers), figures, cpu=cpu)


def flat(events: str, indicators: str) -> Outcome:
    """Stillwatch without holding the answer: the peak of memory at each quarter of the log."""
    from hub.traffic.formats import open_log

    index, _ = _load(indicators)
    _warm(index, events)
    reader = open_log(Path(events))
    pairs = quarter = 0
    figures: dict[str, float] = {"0": sides.peak_mib()}

    def match(task: Task) -> int:
        return sum(index.match(batch, source="log").num_rows for batch in task())

    clock = Clock()
    for found in _in_threads(reader.tasks(rows=ROWS, columns=index.columns), match, 2):
        pairs += found
        if reader.bytes_read * 4 // reader.bytes_total > quarter:
            quarter = reader.bytes_read * 4 // reader.bytes_total
            figures[str(reader.rows)] = sides.peak_mib()
    return clock.outcome(f"{pairs} pairs", figures)


def parts(events: str, indicators: str) -> Outcome:
    """Stillwatch in one thread, with the time of each part."""
    from hub.match.columns import Batch
    from hub.traffic.formats import open_log

    index, built = _load(indicators)
    _warm(index, events)
    spent = dict.fromkeys(("read", "probe", "report"), 0.0)
    clock = time.thread_time
    pairs = rows = 0
    at = clock()
    for task in open_log(Path(events)).tasks(rows=ROWS, columns=index.columns):
        for event_batch in task():
            spent["read"] += clock() - at
            rows += event_batch.num_rows
            at = clock()
            batch = Batch(event_batch)
            alone, _ = index.split(index.hits(batch))
            spent["probe"] += clock() - at
            at = clock()
            pairs += index.report(batch, alone, source="log", show_values=False).num_rows
            spent["report"] += clock() - at
            at = clock()
    figures = {**spent, "load": built, "rows": rows}
    return Outcome(sum(spent.values()), f"{pairs} pairs", figures)


def profile(events: str, indicators: str) -> Outcome:
    """Stillwatch in one thread; the answer is the functions that take the most time."""
    from hub.traffic.formats import open_log

    index, _ = _load(indicators)
    _warm(index, events)
    profiler = cProfile.Profile(time.thread_time)
    profiler.enable()
    for task in open_log(Path(events)).tasks(rows=ROWS, columns=index.columns):
        for batch in task():
            index.match(batch, source="log")
    profiler.disable()
    out = io.StringIO()
    pstats.Stats(profiler, stream=out).strip_dirs().sort_stats("tottime").print_stats(25)
    return Outcome(0.0, out.getvalue())


def read(events: str, _: str) -> Outcome:
    """The reading alone, by one thread."""
    from hub.traffic.formats import open_log

    columns = {"account_id", "fp_tokens", "client_ip"}
    clock = Clock()
    rows = sum(
        batch.num_rows
        for task in open_log(Path(events)).tasks(rows=ROWS, columns=columns)
        for batch in task()
    )
    return clock.outcome(f"{rows} rows")


_BY_HAND: Final = """
WITH events AS (
    SELECT event_id, account_id, fp_tokens, client_ip,
           CASE WHEN client_ip NOT LIKE '%:%' THEN
               split_part(client_ip, '.', 1)::BIGINT * 16777216
             + split_part(client_ip, '.', 2)::BIGINT * 65536
             + split_part(client_ip, '.', 3)::BIGINT * 256
             + split_part(client_ip, '.', 4)::BIGINT END AS address
    FROM read_parquet($events)
    WHERE observed_at >= TIMESTAMPTZ '2026-11-01 00:00:00Z'
      AND observed_at < TIMESTAMPTZ '2026-12-01 00:00:00Z'
)
SELECT event_id, number FROM events JOIN bad ON kind = 'account' AND account_id = value
UNION ALL
SELECT event_id, number FROM (SELECT event_id, unnest(fp_tokens) AS token FROM events)
JOIN bad ON kind = 'token' AND token = value
UNION ALL
SELECT event_id, number FROM events JOIN bad ON kind IN ('ipv4', 'ipv6') AND client_ip = value
UNION ALL
SELECT event_id, number FROM (SELECT *, unnest([24, 25, 26, 27, 28]) AS bits FROM events)
JOIN bad ON kind = 'block' AND length = bits AND first = (address >> (32 - bits)) << (32 - bits)
"""


def duckdb(events: str, indicators: str) -> Outcome:
    """DuckDB, with the query that a good analyst would write."""
    import duckdb

    connection = duckdb.connect()
    load = "CREATE TABLE bad AS SELECT number, kind, value, first, length FROM read_parquet($bad)"
    connection.execute(load, {"bad": indicators})
    clock = Clock()
    table: Any = connection.sql(_BY_HAND, params={"events": events}).to_arrow_table()
    seconds, cpu = clock.read()
    return Outcome(seconds, _answer(table.column("event_id"), table.column("number")), cpu=cpu)


def polars(events: str, indicators: str) -> Outcome:
    """Polars, with the same joins; its streaming engine, which is the faster and the leaner."""
    import polars as pl

    bad = pl.read_parquet(indicators, columns=["number", "kind", "value", "first", "length"])
    clock = Clock()
    found = pl.concat(_polars_joins(pl, events, bad.lazy())).collect(engine="streaming")
    seconds, cpu = clock.read()
    answer = _answer(found["event_id"].to_arrow(), found["number"].to_arrow())
    return Outcome(seconds, answer, cpu=cpu)


def _polars_joins(pl: Any, events: str, bad: Any) -> list[Any]:
    from datetime import UTC, datetime

    column = pl.col
    first, last = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)
    seen = pl.scan_parquet(events).filter(
        (column("observed_at") >= first) & (column("observed_at") < last)
    )
    pair = ("event_id", "number")

    def joined(table: Any, name: str, kinds: list[str]) -> Any:
        wanted = bad.filter(column("kind").is_in(kinds)).select("number", "value")
        return table.join(wanted, left_on=name, right_on="value").select(pair)

    octet = [column("o").struct.field(f"field_{k}").cast(pl.Int64) for k in range(4)]
    number = octet[0] * 16_777_216 + octet[1] * 65_536 + octet[2] * 256 + octet[3]
    four = (
        seen.filter(~column("client_ip").str.contains(":", literal=True))
        .select("event_id", column("client_ip").str.split_exact(".", 3).alias("o"))
        .select("event_id", number.alias("address"))
    )
    blocks = bad.filter(column("kind") == "block")
    by_length = [
        four.with_columns((column("address") // 2 ** (32 - bits) * 2 ** (32 - bits)).alias("first"))
        .join(blocks.filter(column("length") == bits).select("number", "first"), on="first")
        .select(pair)
        for bits in (24, 25, 26, 27, 28)
    ]
    tokens = seen.select("event_id", "fp_tokens").explode("fp_tokens")
    return [
        joined(seen, "account_id", ["account"]),
        joined(tokens, "fp_tokens", ["token"]),
        joined(seen, "client_ip", ["ipv4", "ipv6"]),
        *by_length,
    ]


SIDES: Final[dict[str, sides.Side]] = {
    "save": save,
    "ours": ours,
    "flat": flat,
    "parts": parts,
    "profile": profile,
    "read": read,
    "duckdb": duckdb,
    "polars": polars,
}

if __name__ == "__main__":
    sides.main(SIDES)
