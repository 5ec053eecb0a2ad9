"""The same patterns over the same observations, beside stix2-matcher, the standard's own.

1,000 patterns by 1,000 observations, every pair judged by both, with the same answers. The rival
gets its patterns parsed and the observations as bundles; we get them as columns. The second row
takes the rival's rate for granted, which does not change with size, and measures ours at 100,000
patterns.
"""

from __future__ import annotations

import hashlib
import json
import random
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pyarrow as pa

from hub.match.observe import observe
from hub.match.schema import PATHS, TRAFFIC_SCHEMA
from tests.bench import sides
from tests.bench.sides import Outcome
from tests.bench.table import Row

PATTERNS: Final = 1_000
OBSERVATIONS: Final = 1_000
MANY: Final = 100_000
_NOON: Final = datetime(2026, 11, 20, 12, tzinfo=UTC)
_PATHS: Final = {name: PATHS[name][0] for name in ("fp_tokens", "account_id")}


def measure() -> list[Row]:
    """Measure everything; takes about a minute."""
    size = (str(PATTERNS), str(OBSERVATIONS))
    theirs = sides.compare("tests.bench.oracle", ("stix2-matcher",), *size, runs=1)["stix2-matcher"]
    ours = sides.compare("tests.bench.oracle", ("ours",), *size)["ours"]
    assert ours.answer == theirs.answer, "the two must find the same pairs"
    many = sides.compare("tests.bench.oracle", ("ours",), str(MANY), str(MANY))["ours"]
    rates = [PATTERNS * OBSERVATIONS / one.seconds for one in (ours, theirs)]
    rates.append(MANY * MANY / many.seconds)
    work = "patterns x observations a second"
    return [
        _row(f"{PATTERNS:,} x {OBSERVATIONS:,}: {work}", rates[0], rates[1], "1,000x"),
        _row(f"{MANY:,} x {MANY:,}: {work}", rates[2], rates[1], "100,000x wished"),
    ]


def _row(work: str, ours: float, theirs: float, floor: str) -> Row:
    return Row(work, f"{ours:,.0f}", f"{theirs:,.0f}", ours / theirs, floor)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _pattern(draw: random.Random, number: int) -> str:
    """What indicators look like: mostly one value, one in ten with more to it."""
    shape = number % 20
    if shape < 8:
        token = f"email:0123456789abcdef.2026q4:{_digest(f'bad {number}')}"
        return f"[{_PATHS['fp_tokens']} = '{token}']"
    if shape < 11:
        return f"[{_PATHS['account_id']} = 'acct-{_digest(f'bad {number}')[:20]}']"
    if shape < 15:
        return f"[ipv4-addr:value = '{_address(draw)}']"
    if shape < 18:
        return f"[ipv4-addr:value ISSUBSET '{_address(draw)}/{draw.choice((24, 26, 28))}']"
    if shape == 18:
        model = f"llm-exchange:request_model LIKE 'model-{number}-%'"
        return f"[{model} AND llm-exchange:usage_input_tokens > {number % 4096}]"
    agent = "network-traffic:extensions.'http-request-ext'.request_header.'User-Agent'[*]"
    several = f"{_PATHS['account_id']} IN ('a{number}', 'b{number}')"
    return f"[{agent} MATCHES '^relay-{number}/[0-9]+'] OR [{several}]"


def _address(draw: random.Random) -> str:
    return f"198.{draw.randrange(18, 20)}.{draw.randrange(256)}.{draw.randrange(256)}"


def _events(count: int) -> Iterator[dict[str, Any]]:
    draw = random.Random(7)
    for number in range(count):
        bad = number % 10 == 0
        customer = draw.randrange(PATTERNS)
        yield {
            "event_id": f"e{number}",
            "observed_at": _NOON + timedelta(milliseconds=number),
            "account_id": f"acct-{_digest(f'bad {customer}')[:20]}" if bad else f"acct-{customer}",
            "fp_tokens": [f"email:0123456789abcdef.2026q4:{_digest(f'good {customer}')}"],
            "client_ip": _address(draw),
            "user_agent": f"relay-{customer}/{number % 7}" if bad else "client/1.0",
            "request_model": f"model-{customer}-large",
            "input_tokens": draw.randrange(4096),
        }


def _patterns(count: int) -> list[str]:
    draw = random.Random(5)
    return [_pattern(draw, number) for number in range(count)]


def _ours(patterns: str, observations: str) -> Outcome:
    from hub.match.engine import IndicatorIndex

    index = IndicatorIndex.build(
        {
            "type": "indicator",
            "id": f"indicator--00000000-0000-4000-8000-{number:012d}",
            "modified": "2026-11-01T00:00:00.000Z",
            "pattern_type": "stix",
            "pattern": pattern,
            "valid_from": "2026-11-01T00:00:00Z",
        }
        for number, pattern in enumerate(_patterns(int(patterns)))
    )
    assert index.problems == ()
    events = list(_events(int(observations)))
    table = pa.Table.from_pylist(events, schema=TRAFFIC_SCHEMA)
    index.match(table.slice(0, 100), source="warm")
    begun = time.perf_counter()
    found = index.match(table, source="log")
    seconds = time.perf_counter() - begun
    pairs = zip(
        found.column("event_id").to_pylist(), found.column("indicator_id").to_pylist(), strict=True
    )
    return Outcome(seconds, _answer((event, int(name[-12:])) for event, name in pairs))


def _theirs(patterns: str, observations: str) -> Outcome:
    from stix2matcher.matcher import Pattern

    parsed = [Pattern(pattern, stix_version="2.1") for pattern in _patterns(int(patterns))]
    events = [(event["event_id"], observe(event)) for event in _events(int(observations))]
    found = []
    begun = time.perf_counter()
    for name, bundle in events:
        found += [
            (name, number) for number, pattern in enumerate(parsed) if pattern.match([bundle])
        ]
    return Outcome(time.perf_counter() - begun, _answer(found))


def _answer(pairs: Any) -> str:
    ordered = sorted(pairs)
    return f"{len(ordered)} {_digest(json.dumps(ordered))}"


SIDES: Final = {"ours": _ours, "stix2-matcher": _theirs}

if __name__ == "__main__":
    sides.main(SIDES)
