"""Made-up indicators and events for measurements of exact and CIDR matching, written column-wise.

Indicators: of ten, four are tokens, two accounts, two IPv4 and one IPv6 addresses, and one is an
IPv4 block (/24 to /28). Events: 200,000 customers, one address in ten IPv6, and of each hundred
events one with the value of an indicator in it. Twenty million are written in a minute or two.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from hub.match.schema import TRAFFIC_SCHEMA

HIT_SHARE: Final = 0.01
CUSTOMERS: Final = 200_000
COLUMNS: Final = (
    *("observed_at", "event_id", "account_id", "fp_tokens", "client_ip", "user_agent", "ja4"),
)
GROUP_ROWS: Final = 122_880
"""Rows of a row group, as DuckDB writes them."""
START: Final = 1_793_491_200_000_000
"""The first event, 1 November 2026, in microseconds."""
SECONDS: Final = 2_000_000
_BATCH: Final = GROUP_ROWS * 4
_EA: Final = "user-account:extensions.'extension-definition--509b69b0-5e74-5443-a941-a12fce0f875a'."
_PATTERNS: Final = {
    "token": (f"[{_EA}fp_tokens[*] = '", "']"),
    "account": ("[user-account:user_id = '", "']"),
    "ipv4": ("[ipv4-addr:value = '", "']"),
    "ipv6": ("[ipv6-addr:value = '", "']"),
    "block": ("[ipv4-addr:value ISSUBSET '", "']"),
}
_KINDS: Final = ("token",) * 4 + ("account",) * 2 + ("ipv4",) * 2 + ("ipv6", "block")
_HEX: Final = np.frombuffer(b"0123456789abcdef", dtype=np.uint8)

Numbers = NDArray[np.int64]


def write_indicators(path: Path, count: int, seed: int = 1) -> None:
    """Write a table of indicators.

    The columns: number, kind, value, pattern; of blocks also first (address) and length.
    """
    draw = np.random.default_rng(seed)
    schema = pa.schema(
        [
            ("number", pa.int64()),
            ("kind", pa.string()),
            ("value", pa.string()),
            ("pattern", pa.string()),
            ("first", pa.int64()),
            ("length", pa.int64()),
        ]
    )
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for start in range(0, count, 1_000_000):
            numbers = np.arange(start, min(count, start + 1_000_000), dtype=np.int64)
            parts = [_some(kind, numbers, draw) for kind in _PATTERNS]
            writer.write_table(pa.concat_tables(parts).cast(schema).sort_by("number"))


def _some(kind: str, numbers: Numbers, draw: np.random.Generator) -> pa.Table:
    """The indicators of one kind among those with the given numbers."""
    numbers = numbers[np.array([one == kind for one in _KINDS])[numbers % len(_KINDS)]]
    size = len(numbers)
    first: Any = pa.nulls(size, pa.int64())
    length: Any = pa.nulls(size, pa.int64())
    if kind == "token":
        values = _tokens(numbers, salt=1)
    elif kind == "account":
        values = _prefixed("acct-", _hex_text(numbers, salt=2, words=1))
    elif kind == "ipv4":
        values = _ipv4(draw.integers(0, 2**32, size))
    elif kind == "ipv6":
        values = _ipv6(draw, size)
    else:
        bits = draw.integers(24, 29, size)
        addresses = draw.integers(0, 2**32, size) >> (32 - bits) << (32 - bits)
        first, length = pa.array(addresses), pa.array(bits)
        slash = pc.cast(length, pa.string())
        values = pc.binary_join_element_wise(_ipv4(addresses), slash, "/")
    before, after = _PATTERNS[kind]
    pattern = pc.binary_join_element_wise(before, values, after, "")
    columns = (pa.array(numbers), pa.array([kind] * size), values, pattern, first, length)
    names = ["number", "kind", "value", "pattern", "first", "length"]
    return pa.table(list(columns), names=names)


def stix(path: Path) -> Iterator[dict[str, Any]]:
    """The written indicators as STIX objects, one by one; the id ends in the number."""
    for batch in pq.ParquetFile(path).iter_batches(16_384, columns=["number", "pattern"]):
        columns = (batch.column("number").to_pylist(), batch.column("pattern").to_pylist())
        for number, pattern in zip(*columns, strict=True):
            yield {
                "type": "indicator",
                "id": f"indicator--00000000-0000-4000-8000-{number:012d}",
                "modified": "2026-11-01T00:00:00.000Z",
                "pattern_type": "stix",
                "pattern": pattern,
                "valid_from": "2026-11-01T00:00:00Z",
                "valid_until": "2026-12-01T00:00:00Z",
            }


def write_events(path: Path, count: int, indicators: Path, seed: int = 2, **options: Any) -> None:
    """Write events; `options` go to the writer, beside zstd and row groups as DuckDB has them."""
    draw = np.random.default_rng(seed)
    bad = pq.read_table(indicators)
    schema = pa.schema([TRAFFIC_SCHEMA.field(name) for name in COLUMNS])
    group = options.pop("row_group_size", GROUP_ROWS)
    with pq.ParquetWriter(path, schema, compression="zstd", **options) as writer:
        for start in range(0, count, _BATCH):
            numbers = np.arange(start, min(count, start + _BATCH), dtype=np.int64)
            writer.write_table(_events(numbers, bad, draw).cast(schema), row_group_size=group)


def _events(numbers: Numbers, bad: pa.Table, draw: np.random.Generator) -> pa.Table:
    size = len(numbers)
    customers = draw.integers(0, CUSTOMERS, size)
    taken = pa.array(customers)
    address = pc.if_else(
        pa.array(draw.random(size) < 0.1), _ipv6(draw, size), _ipv4(draw.integers(0, 2**32, size))
    )
    rows = np.flatnonzero(draw.random(size) < HIT_SHARE)
    chosen = bad.take(pa.array(draw.integers(0, len(bad), len(rows)))).combine_chunks()
    spot = draw.integers(0, 16, len(rows))
    within = pc.add(chosen.column("first").combine_chunks(), pa.array(spot))
    hit = pc.coalesce(_ipv4_or_null(within), chosen.column("value").combine_chunks())
    kinds = chosen.column("kind").combine_chunks()
    tokens = _put(_customer_tokens().take(taken), rows, hit, pc.equal(kinds, "token"))
    network = pc.is_in(kinds, pa.array(["ipv4", "ipv6", "block"]))
    moments = START + numbers % SECONDS * 1_000_000
    offsets = pa.array(np.arange(size + 1, dtype=np.int32))
    columns = [
        pa.array(moments).cast(pa.timestamp("us", tz="UTC")),
        _prefixed("e", pc.cast(pa.array(numbers), pa.string())),
        _put(_customer_ids().take(taken), rows, hit, pc.equal(kinds, "account")),
        pa.ListArray.from_arrays(offsets, tokens),
        _put(address, rows, hit, network),
        pa.array([f"client/{n % 40}.{n % 7}" for n in range(280)]).take(pa.array(customers % 280)),
        pa.array([f"t13d{n:04d}" for n in range(300)]).take(pa.array(customers % 300)),
    ]
    return pa.table(columns, names=list(COLUMNS))


def _put(column: Any, rows: Numbers, values: Any, where: Any) -> Any:
    """The column with some values in the rows where they belong."""
    wanted = where.to_numpy(zero_copy_only=False)
    mask = np.zeros(len(column), dtype=np.bool_)
    mask[rows[wanted]] = True
    return pc.replace_with_mask(column, mask, values.filter(where))


@functools.cache
def _customer_ids() -> Any:
    return _prefixed("acct-", _hex_text(np.arange(CUSTOMERS), salt=3, words=1))


@functools.cache
def _customer_tokens() -> Any:
    return _tokens(np.arange(CUSTOMERS), salt=4)


def _tokens(numbers: Numbers, salt: int) -> Any:
    return _prefixed("email:0123456789abcdef.2026q4:", _hex_text(numbers, salt, words=4))


def _prefixed(prefix: str, texts: Any) -> Any:
    return pc.binary_join_element_wise(prefix, texts, "")


def _hex_text(numbers: Numbers, salt: int, words: int) -> Any:
    """For each number 16 hex digits a word, which look random and do not change."""
    state: Any = numbers.astype(np.uint64)[:, None] * np.uint64(64)
    state = state + np.arange(words, dtype=np.uint64) + np.uint64(salt << 56)
    # splitmix64's finaliser
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        state = (state ^ (state >> np.uint64(shift))) * np.uint64(factor)
    octets = (state ^ (state >> np.uint64(31))).view(np.uint8)
    digits = np.stack([_HEX[octets >> 4], _HEX[octets & 15]], axis=-1)
    offsets = np.arange(len(numbers) + 1, dtype=np.int32) * (16 * words)
    data = np.ascontiguousarray(digits)
    return pa.StringArray.from_buffers(len(numbers), pa.py_buffer(offsets), pa.py_buffer(data))


@functools.cache
def _octets() -> Any:
    return pa.array([str(n) for n in range(256)])


@functools.cache
def _groups() -> Any:
    return pa.array([f"{n:x}" for n in range(1 << 16)])


def _ipv4(addresses: Numbers) -> Any:
    parts = [_octets().take(pa.array(addresses >> shift & 255)) for shift in (24, 16, 8, 0)]
    return pc.binary_join_element_wise(*parts, ".")


def _ipv4_or_null(addresses: Any) -> Any:
    texts = _ipv4(addresses.fill_null(0).to_numpy())
    return pc.if_else(addresses.is_valid(), texts, pa.scalar(None, pa.string()))


def _ipv6(draw: np.random.Generator, size: int) -> Any:
    """Addresses of 2001:db8::/32 without a zero group, whose spelling is then canonical."""
    parts = [_groups().take(pa.array(draw.integers(1, 1 << 16, size))) for _ in range(6)]
    return pc.binary_join_element_wise("2001", "db8", *parts, ":")
