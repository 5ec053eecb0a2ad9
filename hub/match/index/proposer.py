"""Proposals of the tests that a text of plain ASCII may pass, from one Hyperscan database.

Beyond ASCII its tables of classes are older than Python's, and a database that knows them takes
minutes to compile: such texts are left to the literals and the exact tests.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Set
from typing import Any, Final

from hub.match.index.expressions import spelled, widened
from hub.match.index.scanner import Scanner, hyperscan
from hub.match.syntax import Comparison, Operator

_ENDS: Final = re.compile(r"\\[AZzG]|\(\?\w*-")
"""What may tell the ends of a text from those of a line."""
_LIKE_ENDS: Final = re.compile(r"^\\A|\\z$")


class Proposer:
    """Tests by their keys.

    Args:
        comparisons: the tests.
        elsewhere: keys that something else proposes, should Hyperscan not read them.
    Attributes:
        keys: those that Hyperscan reads; of any other each text is a candidate.
        joins: whether lines may be asked for at once: then their proposals are those of any one.
    """

    def __init__(self, comparisons: Mapping[int, Comparison], elsewhere: Set[int]) -> None:
        module = hyperscan()
        expressions = {} if module is None else _expressions(comparisons)
        known, self._scanner = _compiling(module, expressions)
        self.keys = frozenset(known)
        self._order = list(known)
        self._blind = sorted(comparisons.keys() - self.keys - elsewhere)
        self.joins = not self._blind and not any(map(_ENDS.search, known.values()))

    def __bool__(self) -> bool:
        return bool(self._order or self._blind)

    def of(self, content: bytes | memoryview) -> list[int]:
        """The keys of the tests that a text of `utf8.PLAIN` may pass."""
        if self._scanner is None:
            return self._blind
        found = self._scanner.candidates(content)
        if found:
            found = [self._order[number] for number in found]
        return found + self._blind if self._blind else found


def _expressions(comparisons: Mapping[int, Comparison]) -> dict[int, str]:
    found = {key: spelled(comparison) for key, comparison in comparisons.items()}
    likes = {key for key, one in comparisons.items() if one.operator is Operator.LIKE}
    return {
        key: _LIKE_ENDS.sub(_of_line, one) if key in likes else widened(one)
        for key, one in found.items()
        if one is not None
    }


def _of_line(end: re.Match[str]) -> str:
    return "^" if end[0] == r"\A" else "$"


def _compiling(
    module: Any, expressions: Mapping[int, str]
) -> tuple[dict[int, str], Scanner | None]:
    """The expressions that Hyperscan reads, nearly always all, and the database of them."""
    if not expressions:
        return {}, None
    try:
        return dict(expressions), Scanner(
            module, list(expressions.values()), unicode=False, lines=True
        )
    except module.error:
        known = {key: one for key, one in expressions.items() if _compiles(module, one)}
    if len(known) == len(expressions):
        # Each alone can be read, but all are too much for one database.
        return {}, None
    return _compiling(module, known)


def _compiles(module: Any, expression: str) -> bool:
    try:
        Scanner(module, [expression], unicode=False, lines=True)
    except module.error:
        return False
    return True
