"""Proposals of the tests that a text may pass, from Hyperscan as far as it can be trusted."""

from __future__ import annotations

from collections.abc import Mapping, Set
from functools import cached_property
from typing import Any

from hub.match.index import utf8
from hub.match.index.expressions import reads_tables, spelled, widened
from hub.match.index.scanner import Scanner, hyperscan
from hub.match.syntax import Comparison


class Proposer:
    """Tests by their keys.

    Args:
        comparisons: the tests.
        elsewhere: keys that something else proposes, should Hyperscan not read them.
    Attributes:
        keys: those that Hyperscan reads; of any other each text is a candidate.
    """

    def __init__(self, comparisons: Mapping[int, Comparison], elsewhere: Set[int]) -> None:
        self._module = hyperscan()
        expressions = {} if self._module is None else _expressions(comparisons)
        self._known, self._compiled = _compiling(self._module, expressions)
        self.keys = frozenset(self._known)
        self._blind = sorted(comparisons.keys() - self.keys - elsewhere)
        self._order = list(self._known)
        self._tabled = [key for key in self._order if reads_tables(comparisons[key])]

    def __bool__(self) -> bool:
        return bool(self._order or self._blind)

    @cached_property
    def _ascii(self) -> Scanner | None:
        return self._compiled or self._scanner(unicode=False)

    @cached_property
    def _unicode(self) -> Scanner | None:
        """Compiled when the first text beyond ASCII comes: it takes far longer."""
        return self._scanner(unicode=True)

    def _scanner(self, *, unicode: bool) -> Scanner | None:
        """All expressions in one; None if there are none, or too many for one database."""
        if not self._order:
            return None
        try:
            return Scanner(self._module, list(self._known.values()), unicode=unicode)
        except self._module.error:
            return None

    def of(self, content: bytes | memoryview, kind: int) -> list[int]:
        """The keys of the tests that a text may pass.

        Args:
            content: UTF-8 in normal form C.
            kind: one of `utf8`; OTHER means that nothing is known.
        """
        scanner = self._ascii if kind == utf8.PLAIN else self._unicode
        if scanner is None:
            return [*self._order, *self._blind]
        found = scanner.candidates(content)
        if found:
            found = [self._order[number] for number in found]
        if kind not in {utf8.PLAIN, utf8.SETTLED}:
            found += set(self._tabled).difference(found)
        return found + self._blind if self._blind else found


def _expressions(comparisons: Mapping[int, Comparison]) -> dict[int, str]:
    found = {key: spelled(comparison) for key, comparison in comparisons.items()}
    return {key: widened(one) for key, one in found.items() if one is not None}


def _compiling(
    module: Any, expressions: Mapping[int, str]
) -> tuple[dict[int, str], Scanner | None]:
    """Those that compile, and the database of them if all do, as they nearly always do."""
    if not expressions:
        return {}, None
    try:
        return dict(expressions), Scanner(module, list(expressions.values()), unicode=False)
    except module.error:
        keys = list(expressions)
    if len(keys) == 1:
        return {}, None
    known: dict[int, str] = {}
    for half in (keys[: len(keys) // 2], keys[len(keys) // 2 :]):
        known |= _compiling(module, {key: expressions[key] for key in half})[0]
    return known, None
