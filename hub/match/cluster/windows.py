"""A cluster's behaviour by the day, as `llm-exchange` windows that STIX patterns judge.

Source: schemas/llm-exchange.json, `window`; the catalogue's kinds `behaviour.*`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hub.errors import InputError
from hub.match.cluster.layers import DAY, Mask, Traffic
from hub.match.cluster.refine import Group
from hub.match.cluster.rows import Ints, Rows
from hub.match.reference import evaluate
from hub.model.bundle import bundle
from hub.model.codec import Json
from hub.model.identifiers import deterministic_id
from hub.model.observables import observable, observed_data

_MINUTE: Final = 60_000_000
_BURST: Final = 5 * _MINUTE
_HOUR: Final = 3_600_000_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_AUTHOR: Final = deterministic_id("identity", "stillwatch cluster")


@dataclass(frozen=True)
class Window:
    """One day of a cluster.

    Attributes:
        first, last: UTC microseconds of the first and last exchange.
        values: the fields of the schema's `window`.
    """

    first: int
    last: int
    values: Mapping[str, int | float]

    def bundle(self, provider: str | None) -> Json:
        """The window as observed-data."""
        exchange = observable(
            "llm-exchange", provider_name=provider or "unknown", window=dict(self.values)
        )
        first, last = (_EPOCH + timedelta(microseconds=at) for at in (self.first, self.last))
        seen = observed_data(
            [exchange],
            created_by=_AUTHOR,
            created=last,
            first_observed=first,
            last_observed=last,
            number_observed=min(int(self.values["exchange_count"]), 999_999_999),
        )
        return bundle([seen, exchange])


def windows_of(group: Group, traffic: Traffic) -> list[Window]:
    """The cluster's days (UTC), in order."""
    index = np.concatenate(
        [np.arange(traffic.begin[a], traffic.begin[a + 1]) for a in group.members.tolist()]
    )
    rows = traffic.collected.rows.take(index)
    own = np.zeros(len(traffic.prompt.degree), np.bool_)
    own[group.profiles.prompt.nodes[group.profiles.prompt.own]] = True
    nodes = traffic.prompt.rows[index]
    templated = (own[np.maximum(nodes, 0)] & (nodes >= 0)).any(1) if len(own) else None
    shown = (nodes != -1).any(1)
    released = _releases(traffic.collected.rows)
    keys = traffic.collected.key
    found = []
    before: dict[int, int] = {}
    day = rows.time // DAY
    for number in np.unique(day).tolist():
        chosen = day == number
        part = rows.take(chosen)
        values = _values(part, released, before)
        known = keys[np.unique(part.account)]
        if (known >= 0).any():
            values["distinct_api_keys"] = len(np.unique(known[known >= 0]))
        if templated is not None and shown[chosen].any():
            values["template_ratio"] = round(float(templated[chosen & shown].mean()), 4)
        found.append(Window(int(part.time.min()), int(part.time.max()), values))
    return found


def _values(rows: Rows, released: Ints, before: dict[int, int]) -> dict[str, int | float]:
    account, time = rows.account, np.sort(rows.time)
    counts = np.unique(account, return_counts=True)[1]
    values: dict[str, int | float] = {
        "seconds": DAY // 1_000_000,
        "exchange_count": len(account),
        "distinct_accounts": len(counts),
        "max_concurrency": _densest(time),
        "burst_sync_score": round(_synchrony(account, rows.time), 4),
        "account_share_gini": round(_gini(counts), 4),
    }
    if (rows.address != 0).any():
        values["distinct_sources"] = len(np.unique(rows.address[rows.address != 0]))
    if len(time) > 1:
        values["mean_interarrival_ms"] = round(float(np.diff(time).mean()) / 1000, 3)
    values |= _models(rows, released, before)
    return values


def _densest(time: Ints) -> int:
    """The most exchanges begun within one minute: logs seldom tell how long one lasts."""
    ends = np.searchsorted(time, time + _MINUTE)
    return int((ends - np.arange(len(time))).max())


def _gini(counts: NDArray[np.int64]) -> float:
    """0 where all accounts make as many exchanges, towards 1 where one makes all."""
    ranked = np.sort(counts).astype(np.float64)
    size = len(ranked)
    ranks = np.arange(1, size + 1)
    return float((2 * ranks - size - 1) @ ranked / (size * ranked.sum()))


def _synchrony(account: NDArray[np.int32], time: Ints) -> float:
    """How far accounts are active in the same five minutes, beyond chance: 1, all in the same."""
    slots = np.unique(account.astype(np.int64) << 40 | time // _BURST)
    each = np.unique(slots >> 40, return_counts=True)[1]
    union = len(np.unique(slots & ((1 << 40) - 1)))
    size = DAY // _BURST
    chance = size * (1.0 - float(np.prod(1.0 - each / (size + 1))))
    room = chance - float(each.max())
    return min(max((chance - union) / room, 0.0), 1.0) if room > 0 else 0.0


def _releases(rows: Rows) -> Ints:
    """When each model first appears, or -1 for those that the log begins with."""
    size = int(rows.model.max()) + 1 if len(rows.model) else 0
    first = np.full(size, np.iinfo(np.int64).max)
    known = rows.model >= 0
    np.minimum.at(first, rows.model[known], rows.time[known])
    if len(rows.time):
        first[first < rows.time.min() + DAY] = -1
    return first


def _models(rows: Rows, released: Ints, before: dict[int, int]) -> dict[str, float]:
    """How old the newest model in use is, and what share of accounts turned to another."""
    known: Mask = rows.model >= 0
    if not known.any():
        return {}
    account, model = rows.account[known], rows.model[known].astype(np.int64)
    pairs, counts = np.unique(account.astype(np.int64) << 32 | model, return_counts=True)
    order = np.argsort(counts, kind="stable")
    main = dict(
        zip((pairs[order] >> 32).tolist(), (pairs[order] & 0xFFFFFFFF).tolist(), strict=True)
    )
    again = [a for a in main if a in before]
    switched = sum(main[a] != before[a] for a in again)
    before.update(main)
    found = {"model_switch_ratio": round(switched / len(again), 4)} if again else {}
    new = released[model]
    if (new >= 0).any():
        age = (float(rows.time.max()) - float(new.max())) / _HOUR
        found["hours_since_model_release"] = round(max(age, 0.0), 3)
    return found


@dataclass(frozen=True)
class WindowPattern:
    """A STIX pattern about windows, and the times between which it holds (UTC microseconds)."""

    pattern: str
    start: int
    stop: int


def matching(
    patterns: Mapping[str, WindowPattern], windows: Sequence[Window], provider: str | None
) -> dict[str, int]:
    """Which patterns about windows a cluster's days satisfy.

    Args:
        patterns: by indicator id.
    Returns:
        Indicator id to the number of days that satisfy it, each day by itself; a pattern that
        cannot be judged satisfies none.
    """
    bundles: list[tuple[Window, Any]] = [(window, window.bundle(provider)) for window in windows]
    found: dict[str, int] = {}
    for indicator_id, one in patterns.items():
        valid = [b for window, b in bundles if one.start <= window.last and window.first < one.stop]
        try:
            days = sum(evaluate(one.pattern, [b]) for b in valid)
        except InputError:
            continue
        if days:
            found[indicator_id] = days
    return found
