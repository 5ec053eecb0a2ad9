"""A small gateway: strangers, some on one campus, and a pool that one operator runs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from hub.match.schema import TRAFFIC_SCHEMA

START = datetime(2026, 3, 2, tzinfo=UTC)
_WORDS = [a + b + c for a in "brtlm" for b in ("an", "el", "or", "ist") for c in ("a", "ic", "ed")]
RULES = (
    "Solve the task below and write out each intermediate conclusion before the final verdict.",
    "Then name the rule that decided it and rate your own certainty in one closing sentence.",
)
Row = dict[str, Any]


def _text(rng: np.random.Generator, words: int) -> str:
    return " ".join(rng.choice(_WORDS, words))


@dataclass(frozen=True)
class Pool:
    """How the planted pool behaves.

    Args:
        org: one organisation for all accounts, if any.
        carded: share of accounts whose card several of them use.
    """

    accounts: int = 20
    rate: int = 12
    mix: float = 0.3
    org: str | None = None
    carded: float = 0.7


def people(seed: int, count: int = 300, days: int = 4) -> list[Row]:
    """Strangers at home, a third of them also on a campus with one address, at uneven loads."""
    rng = np.random.default_rng(seed)
    rows: list[Row] = []
    for number in range(count):
        load = float(np.clip(rng.lognormal(1.5, 1.0), 1, 60))
        client = int(rng.integers(0, 12))
        for day in range(days):
            for _ in range(int(rng.poisson(load))):
                campus = number % 3 == 0 and rng.random() < 0.4
                rows.append(
                    {
                        "account_id": f"person-{number:04d}",
                        "client_ip": "198.51.100.7"
                        if campus
                        else f"100.{64 + number % 64}.{number // 64}.9",
                        "user_agent": f"browser/{client}",
                        "prompt": _text(rng, int(rng.integers(4, 30))),
                        "hour": day * 24 + float(rng.normal(14, 3)) % 24,
                    }
                )
    return rows


def pool(seed: int, shape: Pool, days: int = 4, name: str = "pool") -> list[Row]:
    """One operator's accounts: shared addresses in rotation, shared templates, an even load."""
    rng = np.random.default_rng(seed)
    rows: list[Row] = []
    for number in range(shape.accounts):
        card = f"payment-instrument:k:{number // 5:064d}"
        tokens = [card] if rng.random() < shape.carded else None
        for day in range(1, days):
            for _ in range(int(rng.poisson(shape.rate))):
                own = rng.random() >= shape.mix
                question = _text(rng, 12)
                rows.append(
                    {
                        "account_id": f"{name}-{number:04d}",
                        "org_id": shape.org,
                        "fp_tokens": tokens,
                        "client_ip": f"203.0.113.{int(rng.integers(1, 12))}",
                        "user_agent": "relay/1",
                        "prompt": f"{RULES[0]} {question}. {RULES[1]}" if own else question,
                        "hour": day * 24 + float(rng.uniform(0, 24)),
                    }
                )
    return rows


def batch(rows: list[Row], *, without: tuple[str, ...] = (), shuffle: int = 0) -> pa.RecordBatch:
    """Rows as TRAFFIC, by time, or in an order of their own."""
    ordered = sorted(rows, key=lambda row: float(row["hour"]))
    if shuffle:
        order = np.random.default_rng(shuffle).permutation(len(ordered))
        ordered = [ordered[k] for k in order]
    full = [
        {
            **{name: None if name in without else row.get(name) for name in TRAFFIC_SCHEMA.names},
            "observed_at": START + timedelta(hours=float(row["hour"])),
            "event_id": f"e{number}",
            "provider_name": "example-lab",
        }
        for number, row in enumerate(ordered)
    ]
    return pa.RecordBatch.from_pylist(full, TRAFFIC_SCHEMA)
