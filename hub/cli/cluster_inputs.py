"""What seeds clusters: indicators of bundles and of the home, and their patterns about windows."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from hub.cli.match_inputs import Indicators, bundle_objects, compile_indicators
from hub.cli.options import load_home
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


def read_seeds(
    bundles: Sequence[Path], home: Path, passphrase_file: Path | None, *, named: bool
) -> Seeds:
    """Read indicators; without any, and without a home, clusters are found all the same.

    Args:
        named: whether the operator named the home; else it is read only without bundles, and only
            if there is one.
    Raises:
        InputError: a bundle without indicators, or a home that was named and is none.
    """
    patterns: dict[str, WindowPattern] = {}
    keys: list[FingerprintKey] = []
    with contextlib.ExitStack() as stack:
        objects: list[Iterable[Json]] = [bundle_objects(bundles)]
        if named or (not bundles and Home.exists(home)):
            opened = stack.enter_context(load_home(home, passphrase_file))
            keys = opened.fingerprint_keys()
            objects.append(opened.indicator_objects())
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
