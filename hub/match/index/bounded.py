"""Exact tests whose time is bounded by the length of the value."""

from __future__ import annotations

import unicodedata
from functools import cache
from typing import Any, Final

from hub.errors import PatternError
from hub.match.compare import Test, test_of
from hub.match.index.expressions import explodes, repeats, spelled
from hub.match.index.scanner import Scanner, hyperscan
from hub.match.syntax import Comparison

_LONGEST: Final = {0: 2**62, 1: 16_384, 2: 2_048}
"""Characters that `re` may search, by the number of unbounded repeats: its time is a polynomial."""
_FEW: Final = 512
_UNHELPED: Final = 65_536
"""Characters that such an expression searches where there is no Hyperscan."""


def safe_test(comparison: Comparison) -> Test:
    """Compile a test whose time is bounded by the length of the value.

    A regular expression with unbounded repeats searches long texts by Hyperscan alone, and without
    it only their first 65,536 characters.

    Raises:
        PatternError: the regular expression may take exponential time, and there is no Hyperscan
            to bound it, or it cannot read it; or what `test_of` raises.
    """
    test = test_of(comparison)
    if explodes(comparison):
        scanner = _alone(comparison)
        if scanner is None:
            raise PatternError(
                "the regular expression may take exponential time", position=comparison.position
            )
        return _scanning(comparison, scanner)
    many = repeats(comparison)
    if many == 0:
        return test
    longest = _LONGEST.get(many, _FEW)

    @cache
    def of_long() -> Test:
        scanner = _alone(comparison)
        if scanner is not None:
            return _scanning(comparison, scanner)
        return lambda value: test(value[:_UNHELPED])

    def bounded(value: Any) -> bool:
        if isinstance(value, str) and len(value) > longest:
            return of_long()(value)
        return test(value)

    return bounded


def _scanning(comparison: Comparison, scanner: Scanner) -> Test:
    def scanned(value: Any) -> bool:
        if not isinstance(value, str):
            return comparison.negated
        text = unicodedata.normalize("NFC", value).encode("utf-8", "replace")
        return bool(scanner.candidates(text)) != comparison.negated

    return scanned


def _alone(comparison: Comparison) -> Scanner | None:
    """A database of exactly this expression, if Hyperscan is there and reads it as Python does."""
    module, expression = hyperscan(), spelled(comparison)
    if module is None or expression is None:
        return None
    try:
        return Scanner(module, [expression], unicode=True)
    except module.error:
        return None
