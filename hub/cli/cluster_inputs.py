"""What seeds clusters: indicators of bundles and of the home, and their patterns about windows."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from hub.cli.match_inputs import Indicators, bundle_objects, compile_indicators
from hub.client.home import Home
from hub.errors import InputError
from hub.fingerprint.tokens import SECRET_BYTES, FingerprintKey
from hub.match.cluster import WindowPattern
from hub.match.engine import IndicatorIndex
from hub.model import identifiers
from hub.model.codec import Json

_WINDOW: Final = "llm-exchange:window."
_FOREVER: Final = 2**62


@dataclass(frozen=True)
class Seeds:
    """Published indicators, if there are any.

    Attributes:
        indicators: compiled; an empty index where there are none.
        patterns: indicator id to its pattern, of those about windows.
        keys: fingerprint keys under which the customer table is tokenised.
    """

    indicators: Indicators
    patterns: dict[str, WindowPattern]
    keys: list[FingerprintKey] = field(repr=False)


def read_seeds(bundles: Sequence[Path], home: Home | None) -> Seeds:
    """Read indicators; without any, and without a home, clusters are found all the same.

    Raises:
        InputError: a bundle without indicators.
    """
    patterns: dict[str, WindowPattern] = {}
    keys: list[FingerprintKey] = []
    objects: list[Iterable[Json]] = [bundle_objects(bundles)]
    if home is not None:
        keys = home.fingerprint_keys()
        objects.append(home.indicator_objects())
    try:
        indicators = compile_indicators(_noted(objects, patterns), keys)
    except InputError:
        if bundles:
            raise
        indicators = Indicators(IndicatorIndex.build([]))
    # Tokens only join here: without a channel's keys, one that nobody else has will do.
    return Seeds(indicators, patterns, keys or [_passing_key()])


def _passing_key() -> FingerprintKey:
    return FingerprintKey("only-in-memory", secrets.token_bytes(SECRET_BYTES))


def _noted(parts: Iterable[Iterable[Json]], patterns: dict[str, WindowPattern]) -> Iterator[Json]:
    for part in parts:
        for item in part:
            pattern = item.get("pattern")
            if (
                item.get("type") == "indicator"
                and isinstance(pattern, str)
                and _WINDOW in pattern
                and item.get("revoked") is not True
            ):
                patterns[str(item.get("id"))] = WindowPattern(
                    pattern, _micros(item, "valid_from", 0), _micros(item, "valid_until", _FOREVER)
                )
            yield item


def _micros(item: Json, name: str, default: int) -> int:
    value = item.get(name)
    if not isinstance(value, str):
        return default
    try:
        return int(identifiers.parse_timestamp(value).timestamp()) * 1_000_000
    except InputError:
        return default
