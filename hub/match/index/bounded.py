"""Exact tests whose time is bounded by the length of the value."""

from __future__ import annotations

import unicodedata
from functools import cache
from typing import Any, Final

from hub.errors import PatternError
from hub.match.compare import Test, test_of
from hub.match.index.backtracking import LONGEST_EXPRESSION, explodes, longest
from hub.match.index.expressions import spelled
from hub.match.index.scanner import Scanner, hyperscan
from hub.match.syntax import Comparison, Operator

_UNHELPED: Final = 2**30
"""Steps that an expression may take where there is no Hyperscan; some seconds."""


def safe_test(comparison: Comparison) -> Test:
    """Compile a test whose time is bounded by the length of the value.

    Where a regular expression might search a long text for more than some tenths of a second,
    Hyperscan alone searches it; without Hyperscan only the beginning of the text is searched:
    some 46,000 characters for an expression with one unbounded repeat, 1,800 for one with two.
    With a word boundary in it, Hyperscan takes letters beyond ASCII for no letters.

    Raises:
        PatternError: the regular expression is too long, or may take exponential time and there is
            no Hyperscan to bound it, or it cannot read it; or what `test_of` raises.
    """
    is_regex = comparison.operator is Operator.MATCHES
    if is_regex and len(str(comparison.values[0])) > LONGEST_EXPRESSION:
        raise PatternError(
            f"the regular expression is longer than {LONGEST_EXPRESSION:,} characters",
            position=comparison.position,
        )
    test = test_of(comparison)
    if explodes(comparison):
        scanner = _alone(comparison)
        if scanner is None:
            raise PatternError(
                "the regular expression may take exponential time", position=comparison.position
            )
        return _scanning(comparison, scanner)
    limit = longest(comparison)

    @cache
    def of_long() -> Test:
        scanner = _alone(comparison)
        if scanner is not None:
            return _scanning(comparison, scanner)
        head = longest(comparison, _UNHELPED)
        return lambda value: test(value[:head])

    def bounded(value: Any) -> bool:
        if isinstance(value, str) and len(value) > limit:
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
    """A database of exactly this expression, if Hyperscan is there and reads it.

    Hyperscan knows `\\b` by the letters of ASCII only: an expression that needs it is read with
    the classes of ASCII, also in texts beyond ASCII.
    """
    module, expression = hyperscan(), spelled(comparison)
    if module is None or expression is None:
        return None
    try:
        return Scanner(module, [expression], unicode=True)
    except module.error:
        pass
    try:
        return Scanner(module, [expression], unicode=False, ascii_classes=True)
    except module.error:
        return None
