"""What a regular expression may cost: Python's `re` over a text, and Hyperscan to compile it.

Both are told from the parse tree of `re`, without trying.

`re` tries one way after the other to make an expression fit. How many there are is a polynomial of
the text's length: each unbounded repeat adds a degree, each choice a factor. A repeat of something
that itself fits in several ways makes them a power of how often it is repeated. A run of characters
that cannot stand behind it ends in one place only: all such runs together cost one degree.
"""

from __future__ import annotations

import math
import re
import warnings
from typing import Any, Final, NamedTuple

from hub.match.index.follow import NOTHING, REPEATS, SRE, characters, firsts
from hub.match.syntax import Comparison, Operator

STEPS: Final = 2**27
"""Steps that a search may take; some tenths of a second."""
LONGEST_EXPRESSION: Final = 32_768
"""Characters of an expression; compiling a longer one takes seconds."""

_UNBOUNDED: Final = 1000
# Under this flag the classes are other sets than `follow` says.
_ASCII_FLAG: Final = re.compile(r"\(\?[a-zA-Z]*a[a-zA-Z]*[-:)]")
# Hyperscan writes counted repeats out, worst where one holds another, and takes twice as long for
# each repeat inside a repeat; beyond these it may compile for minutes, and cannot be stopped.
_LARGEST: Final = 2_000
_LARGEST_INSIDE: Final = 256
_DEEPEST: Final = 10
_MANY: Final = 300
_FEWEST: Final = 32
_STEEPEST: Final = 6
# A repeat of a group costs `re` some sixteen times as much as one of a character, in twos.
_GROUPED: Final = 4
_INFINITE: Final = 64.0
"""Twos of a factor, or a degree, beyond which there is no telling apart."""


class Ways(NamedTuple):
    """In how many ways something may fit at one place: 2**factor * length**degree."""

    factor: float
    degree: float

    def and_then(self, other: Ways) -> Ways:
        """Those of this and then the other."""
        return Ways(
            min(self.factor + other.factor, _INFINITE), min(self.degree + other.degree, _INFINITE)
        )

    def times(self, count: int) -> Ways:
        """Those of so many of this in a row."""
        return Ways(min(self.factor * count, _INFINITE), min(self.degree * count, _INFINITE))


_ONE: Final = Ways(0, 0)


def parsed(regex: str) -> Any:
    """The parse tree, or None for what does not compile."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return SRE.parse(regex)
    except (re.error, RecursionError, OverflowError):
        return None


def longest(comparison: Comparison, steps: int = STEPS) -> int:
    """How many characters `re` may search for a MATCHES literal in so many steps."""
    if comparison.operator is not Operator.MATCHES:
        return 2**62
    tree = parsed(str(comparison.values[0]))
    if tree is None:
        return 2**62
    counter = _Counter(ascii_only=_ASCII_FLAG.search(str(comparison.values[0])) is not None)
    try:
        factor, degree = counter.sequence(tree, NOTHING)
    except RecursionError:
        return 0
    if degree > _STEEPEST:
        return 0
    # The ways sum up over all places to begin, and repeats share the text between them.
    exponent = degree + 1 + counter.runs
    twos = (math.log2(steps) + math.lgamma(exponent + 1) / math.log(2) - factor) / exponent
    return int(2 ** max(twos, 0))


def explodes(comparison: Comparison) -> bool:
    """Tell whether `re` may take forever for a MATCHES literal, over however short a text."""
    return longest(comparison) < _FEWEST


class _Counter:
    """Counts the ways of one expression.

    Attributes:
        runs: whether some unbounded repeat ends in one place only.
    """

    def __init__(self, *, ascii_only: bool) -> None:
        self.runs = False
        self._ascii_only = ascii_only

    def sequence(self, items: Any, after: int) -> Ways:
        """The ways of a sequence, where `after` are the characters that may follow it."""
        found = _ONE
        for operation, argument in reversed(list(items)):
            found = self._item(operation, argument, after).and_then(found)
            after = firsts([(operation, argument)], after)
        return found

    def _item(self, operation: Any, argument: Any, after: int) -> Ways:
        if operation in REPEATS:
            return self._repeated(argument, after)
        if operation is SRE.BRANCH:
            return self._either(argument[1], after)
        if operation is SRE.GROUPREF_EXISTS:
            return self._either([part for part in argument[1:] if part is not None], after)
        if operation is SRE.SUBPATTERN:
            return self.sequence(argument[-1], after)
        if operation is SRE.ATOMIC_GROUP:
            return self.sequence(argument, after)
        if operation in {SRE.ASSERT, SRE.ASSERT_NOT}:
            return self.sequence(argument[1], NOTHING)
        return _ONE

    def _repeated(self, argument: Any, after: int) -> Ways:
        least, most, inner = argument
        unbounded = int(most) > _UNBOUNDED
        if unbounded and self._ends_in_one_place(inner, after):
            self.runs = True
            return _ONE
        once = self.sequence(inner, firsts(inner, after) | after)
        if once == _ONE:
            return Ways(0, 1) if unbounded else Ways(math.log2(int(most) - least + 1), 0)
        if unbounded:
            return Ways(_INFINITE, _INFINITE)
        return once.times(int(most)).and_then(Ways(math.log2(int(most) - least + 1) + _GROUPED, 0))

    def _ends_in_one_place(self, inner: Any, after: int) -> bool:
        if len(inner) != 1 or self._ascii_only:
            return False
        taken = characters(*inner[0])
        return taken is not None and not taken & after

    def _either(self, branches: Any, after: int) -> Ways:
        """Where the first character decides between the branches, only one of them can fit."""
        ways = [self.sequence(branch, after) for branch in branches]
        factor, degree = max(one.factor for one in ways), max(one.degree for one in ways)
        known = [_first(branch) for branch in branches]
        if all(known) and len(frozenset().union(*known)) == sum(map(len, known)):
            return Ways(factor, degree)
        return Ways(min(factor + math.log2(len(ways)), _INFINITE), degree)


def _first(items: Any) -> frozenset[str]:
    """The characters that a sequence may begin with, if that is easily told, else none."""
    if not len(items):
        return frozenset()
    operation, argument = items[0]
    if operation is SRE.LITERAL:
        return frozenset(chr(argument).casefold()[:1])
    if operation is SRE.SUBPATTERN:
        return _first(argument[-1])
    if operation in REPEATS and argument[0] > 0:
        return _first(argument[2])
    return frozenset()


def is_compiled_soon(regex: str) -> bool:
    """Tell whether Hyperscan surely compiles an expression in about a second."""
    tree = parsed(regex)
    if tree is None:
        return False
    try:
        size = _size(tree, 0)
    except RecursionError:
        return False
    return size.states <= _LARGEST and size.unbounded <= _MANY


class _Size(NamedTuple):
    states: float
    unbounded: float
    counts: bool


def _size(items: Any, depth: int) -> _Size:
    """What is to be compiled: states, unbounded repeats, and whether any repeat is counted."""
    states, unbounded, counts = 0.0, 0.0, False
    for operation, argument in items:
        if operation in REPEATS:
            one = _size_of_repeat(argument, depth + 1)
        else:
            parts = [_size(part, depth) for part in subpatterns(argument)]
            inside = sum(part.states for part in parts), sum(part.unbounded for part in parts)
            one = _Size(1 + inside[0], inside[1], any(part.counts for part in parts))
        states, unbounded = states + one.states, unbounded + one.unbounded
        counts = counts or one.counts
    return _Size(states, unbounded, counts)


def _size_of_repeat(argument: Any, depth: int) -> _Size:
    least, most, inner = argument
    one = _size(inner, depth)
    times = int(least) if int(most) > _UNBOUNDED else int(most)
    written = one.states * max(times, 1)
    if depth > _DEEPEST or (one.counts and times > 1 and written > _LARGEST_INSIDE):
        written = math.inf
    if depth == 1 and len(inner) == 1 and inner[0][0] is SRE.ANY:
        written /= 10
    return _Size(written, one.unbounded + (int(most) > _UNBOUNDED), one.counts or times > 1)


def subpatterns(argument: Any) -> list[Any]:
    """The parse trees in the argument of an operation."""
    if isinstance(argument, SRE.SubPattern):
        return [argument]
    if isinstance(argument, list | tuple):
        return [found for part in argument for found in subpatterns(part)]
    return []
