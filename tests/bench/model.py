"""Strict reading beside `json`, and our builders beside the stix2 library's class."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

import stix2

from hub.model import codec
from hub.model.codec import Json
from hub.model.identifiers import deterministic_id
from hub.model.indicators import network_indicator
from hub.resources import samples
from tests.bench.table import Row

OBJECTS: Final = 1_000
ROUNDS: Final = 5
NOW: Final = datetime(2026, 11, 20, tzinfo=UTC)
LAB: Final = deterministic_id("identity", "bench")


def measure() -> list[Row]:
    """Measure everything; takes a few seconds."""
    sample = json.loads((samples() / "indicators" / "prompt.regex.json").read_bytes())
    objects = [{**obj, "x_number": n} for n in range(OBJECTS) for obj in sample["objects"]]
    data = codec.dumps({"more": False, "objects": objects[:OBJECTS]})
    strict = _best(lambda: codec.loads(data))
    lenient = _best(lambda: json.loads(data))
    built = _best(lambda: [_ours(number) for number in range(OBJECTS)])
    theirs = _best(lambda: [_theirs(number) for number in range(OBJECTS // 10)]) * 10
    return [
        Row(
            f"strict I-JSON, envelope of {OBJECTS:,} objects, beside json.loads",
            f"{len(data) / strict / 1e6:,.0f} MB/s",
            f"{len(data) / lenient / 1e6:,.0f} MB/s",
            lenient / strict,
            "",
        ),
        Row(
            "build an address indicator, beside stix2.Indicator",
            f"{OBJECTS / built:,.0f}/s",
            f"{OBJECTS / theirs:,.0f}/s",
            theirs / built,
            "",
        ),
    ]


def _ours(number: int) -> Json:
    return network_indicator(
        f"198.51.100.{number % 256}",
        created_by=LAB,
        created=NOW,
        valid_from=NOW,
        valid_until=NOW + timedelta(days=30),
        confidence=70,
    )


def _theirs(number: int) -> object:
    return stix2.Indicator(
        created_by_ref=LAB,
        pattern=f"[ipv4-addr:value = '198.51.100.{number % 256}']",
        pattern_type="stix",
        valid_from=NOW,
        valid_until=NOW + timedelta(days=30),
        confidence=70,
    )


def _best(work: Callable[[], object]) -> float:
    seconds = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - begun)
    return min(seconds)
