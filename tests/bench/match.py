"""100,000 indicators (exact and CIDR) over a million Parquet events, beside DuckDB by hand.

Each side runs in a process of its own, so that its peak memory is its own, and both must find the
same (event, indicator) pairs. Compilation of kernels is not counted; reading Parquet is.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from hub.match.schema import TRAFFIC_SCHEMA
from tests.bench.table import Row

EVENTS, INDICATORS = 1_000_000, 100_000
HIT_SHARE = 0.01
BATCH = 65_536
START = datetime(2026, 11, 1, tzinfo=UTC)
COLUMNS = ("observed_at", "event_id", "account_id", "fp_tokens", "client_ip", "user_agent", "ja4")
_EA = "user-account:extensions.'extension-definition--509b69b0-5e74-5443-a941-a12fce0f875a'."


class _Indicator(NamedTuple):
    kind: str
    value: str
    pattern: str


def measure() -> list[Row]:
    """Measure everything; takes about a minute."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        indicators = list(_indicators(INDICATORS))
        _write_indicators(folder, indicators)
        write_events(folder / "events.parquet", EVENTS, indicators)
        ours, theirs = _run("ours", folder), _run("duckdb", folder)
    assert ours["hits"] == theirs["hits"], "the two sides must find the same pairs"
    rate, their_rate = EVENTS / ours["seconds"], EVENTS / theirs["seconds"]
    work = f"match {INDICATORS:,} exact + CIDR, {EVENTS:,} events"
    return [
        Row(f"{work}: events/s", _thousands(rate), _thousands(their_rate), rate / their_rate, ""),
        Row(
            f"{work}: peak memory",
            f"{ours['peak_mib']:,.0f} MiB",
            f"{theirs['peak_mib']:,.0f} MiB",
            theirs["peak_mib"] / ours["peak_mib"],
            "",
        ),
        Row(f"build the index of {INDICATORS:,}", f"{ours['build']:.2f} s", "", None, ""),
    ]


def _thousands(rate: float) -> str:
    return f"{rate / 1000:,.0f} k/s"


def _run(side: str, folder: Path) -> dict[str, float]:
    command = [sys.executable, "-m", "tests.bench.match", side, str(folder)]
    done = subprocess.run(
        command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found


def _indicators(count: int, seed: int = 1) -> Iterator[_Indicator]:
    """Four tenths tokens, two tenths accounts, three tenths addresses, one tenth blocks."""
    draw = random.Random(seed)
    blocks: set[str] = set()
    for number in range(count):
        tenth = number % 10
        if tenth < 4:
            value = f"email:0123456789abcdef.2026q4:{_digest(f'bad {number}')}"
            yield _Indicator("token", value, f"[{_EA}fp_tokens[*] = '{value}']")
        elif tenth < 6:
            value = f"acct-{_digest(f'bad {number}')[:20]}"
            yield _Indicator("account", value, f"[user-account:user_id = '{value}']")
        elif tenth < 9:
            six = tenth == 8
            value = _address(draw, six=six)
            kind = "ipv6-addr" if six else "ipv4-addr"
            yield _Indicator("address", value, f"[{kind}:value = '{value}']")
        else:
            value = _block(draw)
            while value in blocks:
                value = _block(draw)
            blocks.add(value)
            yield _Indicator("block", value, f"[ipv4-addr:value ISSUBSET '{value}']")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _address(draw: random.Random, *, six: bool) -> str:
    if six:
        return str(ipaddress.IPv6Address((0x20010DB8 << 96) | draw.getrandbits(96)))
    return str(ipaddress.IPv4Address(draw.getrandbits(32)))


def _block(draw: random.Random) -> str:
    length = draw.choice((24, 25, 26, 27, 28))
    return str(
        ipaddress.IPv4Network((draw.getrandbits(32) >> (32 - length) << (32 - length), length))
    )


def _write_indicators(folder: Path, indicators: list[_Indicator]) -> None:
    """As STIX for us, as a table for DuckDB."""
    with (folder / "indicators.jsonl").open("w") as out:
        for number, one in enumerate(indicators):
            stix = {
                "type": "indicator",
                "id": f"indicator--00000000-0000-4000-8000-{number:012d}",
                "modified": "2026-11-01T00:00:00.000Z",
                "pattern_type": "stix",
                "pattern": one.pattern,
                "valid_from": "2026-11-01T00:00:00Z",
                "valid_until": "2026-12-01T00:00:00Z",
            }
            out.write(json.dumps(stix) + "\n")
    blocks = [ipaddress.IPv4Network(b.value) if b.kind == "block" else None for b in indicators]
    table = {
        "kind": [one.kind for one in indicators],
        "value": [one.value for one in indicators],
        "first": pa.array([b and int(b.network_address) for b in blocks], pa.int64()),
        "length": pa.array([b and b.prefixlen for b in blocks], pa.int64()),
    }
    pq.write_table(pa.table(table), folder / "indicators.parquet")


def write_events(path: Path, count: int, indicators: list[_Indicator], seed: int = 2) -> None:
    """Write `count` events in batches, about one in a hundred with something bad in it."""
    draw = random.Random(seed)
    schema = pa.schema([TRAFFIC_SCHEMA.field(name) for name in COLUMNS])
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for first in range(0, count, BATCH):
            rows = [_event(draw, n, indicators) for n in range(first, min(count, first + BATCH))]
            columns = [
                pa.array(column, field.type)
                for column, field in zip(zip(*rows, strict=True), schema, strict=True)
            ]
            writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))


def _event(draw: random.Random, number: int, indicators: list[_Indicator]) -> tuple[Any, ...]:
    customer = draw.randrange(200_000)
    account = f"acct-{customer:020d}"
    token = f"email:0123456789abcdef.2026q4:{_digest(str(customer))}"
    address = _address(draw, six=draw.random() < 0.1)
    if draw.random() < HIT_SHARE:
        bad = indicators[draw.randrange(len(indicators))]
        account = bad.value if bad.kind == "account" else account
        token = bad.value if bad.kind == "token" else token
        if bad.kind == "block":
            address = str(draw.choice(list(ipaddress.IPv4Network(bad.value))))
        elif bad.kind == "address":
            address = bad.value
    moment = START + timedelta(seconds=number % 2_000_000)
    agent = f"client/{customer % 40}.{customer % 7}"
    return moment, f"e{number}", account, [token], address, agent, f"t13d{customer % 300:04d}"


def _ours(folder: Path) -> dict[str, float]:
    from hub.match.engine import IndicatorIndex

    warm = IndicatorIndex.build(_lines(folder, 10))
    file = pq.ParquetFile(folder / "events.parquet")
    warm.match(next(file.iter_batches(100)), source="warm")
    begun = time.perf_counter()
    index = IndicatorIndex.build(_lines(folder, INDICATORS))
    built = time.perf_counter()
    assert index.problems == ()
    wanted = [name for name in COLUMNS if name in index.columns]
    hits = sum(
        index.match(batch, source="events").num_rows
        for batch in file.iter_batches(BATCH, columns=wanted)
    )
    done = time.perf_counter()
    return {"build": built - begun, "seconds": done - built, "hits": hits, **_peak()}


def _lines(folder: Path, count: int) -> Iterator[dict[str, Any]]:
    with (folder / "indicators.jsonl").open() as lines:
        for _, line in zip(range(count), lines, strict=False):
            yield json.loads(line)


_BY_HAND = """
WITH events AS (
    SELECT event_id, account_id, fp_tokens, client_ip,
           CASE WHEN client_ip NOT LIKE '%:%' THEN
               split_part(client_ip, '.', 1)::BIGINT * 16777216
             + split_part(client_ip, '.', 2)::BIGINT * 65536
             + split_part(client_ip, '.', 3)::BIGINT * 256
             + split_part(client_ip, '.', 4)::BIGINT END AS number
    FROM read_parquet($events)
    WHERE observed_at >= TIMESTAMPTZ '2026-11-01 00:00:00Z'
      AND observed_at < TIMESTAMPTZ '2026-12-01 00:00:00Z'
)
SELECT event_id, value FROM events JOIN bad ON kind = 'account' AND account_id = value
UNION ALL
SELECT event_id, value FROM (SELECT event_id, unnest(fp_tokens) AS token FROM events)
JOIN bad ON kind = 'token' AND token = value
UNION ALL
SELECT event_id, value FROM events JOIN bad ON kind = 'address' AND client_ip = value
UNION ALL
SELECT event_id, value FROM (SELECT *, unnest([24, 25, 26, 27, 28]) AS bits FROM events)
JOIN bad ON kind = 'block' AND length = bits AND first = (number >> (32 - bits)) << (32 - bits)
"""


def _duckdb(folder: Path) -> dict[str, float]:
    import duckdb

    connection = duckdb.connect()
    table = str(folder / "indicators.parquet")
    connection.execute("CREATE TABLE bad AS SELECT * FROM read_parquet($table)", {"table": table})
    begun = time.perf_counter()
    found = connection.execute(_BY_HAND, {"events": str(folder / "events.parquet")}).fetchall()
    done = time.perf_counter()
    return {"seconds": done - begun, "hits": len(set(found)), **_peak()}


def _peak() -> dict[str, float]:
    return {"peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


if __name__ == "__main__":
    side, where = sys.argv[1], Path(sys.argv[2])
    print(json.dumps(_ours(where) if side == "ours" else _duckdb(where)))
