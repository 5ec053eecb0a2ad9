"""Search of many literals and regular expressions in texts.

Nearly every test holds only where some literal stands: one kernel finds those of all tests. Where
the literal is the whole test its presence decides; any other proposal is judged by the exact test.
Tests whose literals are common, or that have none, are proposed by Hyperscan where the module is
installed and the text is ASCII; elsewhere the common literals propose after all, and only tests
without any are tried one by one. Expressions over which Python's backtracking might take forever
are judged by Hyperscan alone, and refused without it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import pairwise
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from hub.fingerprint.jit import kernel
from hub.match.compare import Test
from hub.match.index import utf8
from hub.match.index.bounded import safe_test
from hub.match.index.buffers import Bytes, Hits, Keys, Offsets, Rows, frozen, string_buffers
from hub.match.index.expressions import CASE_FRIENDS
from hub.match.index.literals import Literal, LiteralTable
from hub.match.index.proposer import Proposer
from hub.match.index.required import Required, required
from hub.match.syntax import Comparison

__all__ = ["TextIndex", "safe_test"]

_CROWD: Final = 6
"""So many proposals of one text, and Hyperscan thins them out before they are judged."""
_TOGETHER: Final = 16
"""So many texts are scanned at once; only where something is found, each of them."""


@kernel
def _join(data: Bytes, offsets: Offsets, rows: Rows, out: Bytes) -> None:
    at = np.uint64(0)
    for row in rows:
        for i in range(np.uint64(offsets[row]), np.uint64(offsets[row + 1])):
            out[at] = data[i]
            at += np.uint64(1)
        out[at] = 0x0A
        at += np.uint64(1)


class TextIndex:
    """A list of distinct LIKE and MATCHES tests, none negated; key k is the k-th of them.

    Several threads may search at once.
    """

    def __init__(self, comparisons: Sequence[Comparison]) -> None:
        self._comparisons = tuple(comparisons)
        self._tests: list[Test] = [safe_test(comparison) for comparison in comparisons]
        needs = {key: required(one) for key, one in enumerate(comparisons)}
        anchored = {key: need for key, need in needs.items() if need and need.selective}
        common = [key for key in needs if key not in anchored]
        in_plain = {key: required(comparisons[key], plain=True) for key in common}
        only_plain = {key: need for key, need in in_plain.items() if need and need.selective}
        needy = {key for key, need in needs.items() if need}
        weak = {key: comparisons[key] for key in common if key not in only_plain}
        self._rest = Proposer(weak, needy)
        scanned = [*only_plain, *self._rest.keys]
        self._weak = {key: need for key in scanned if (need := needs[key]) is not None}
        self._needless = sorted(set(needs) - needy)
        for key in weak.keys() - self._rest.keys:
            if need := needs[key]:
                anchored[key] = need
        anchored |= only_plain
        self._decides: NDArray[np.bool_] = np.zeros(len(comparisons), dtype=np.bool_)
        self._decides[[key for key, need in anchored.items() if need.decides]] = True
        self._table = _table(anchored, len(comparisons))

    @cached_property
    def _weak_table(self) -> LiteralTable | None:
        """Of tests whose literals are common beyond plain texts; made when such a text comes."""
        return _table(self._weak, len(self._comparisons))

    @cached_property
    def _crowd(self) -> Proposer:
        """All tests whose literals only propose; made when the first text has many of them."""
        found = self._table.distinct if self._table else ()
        comparisons = {key: self._comparisons[key] for key in found if not self._decides[key]}
        return Proposer(comparisons, frozenset(comparisons))

    def probe(self, values: Any) -> Hits:
        """Find which tests each of N strings (Arrow, nulls allowed) passes."""
        data, offsets = string_buffers(values)
        kinds = utf8.kinds(data, offsets) if len(values) else np.zeros(0, dtype=np.uint8)
        if values.null_count:
            shown: Rows = np.flatnonzero(values.is_valid().to_numpy(zero_copy_only=False))
        else:
            shown = np.arange(len(values))
        texts = _Texts(data, offsets, kinds)
        plain, stable, other = (shown[kinds[shown] == kind] for kind in range(3))
        direct = shown[kinds[shown] != utf8.OTHER]
        found = self._judged(texts, *_searched(self._table, data, offsets, direct))
        if self._rest:
            found.append(self._by_scan(texts, plain))
        if len(direct) > len(plain):
            found += self._judged(texts, *_searched(self._weak_table, data, offsets, stable))
        if len(other):
            found.append(self._rewritten(texts, other.tolist()))
        beyond = [*stable.tolist(), *other.tolist()]
        found.append(self._tested(texts, _pairs(beyond, [self._needless] * len(beyond))))
        rows = np.concatenate([part[0] for part in found])
        keys = np.concatenate([part[1] for part in found])
        # Beyond plain texts a test may be proposed in two ways.
        both = np.unique(rows * len(self._comparisons) + keys)
        return both // len(self._comparisons), (both % len(self._comparisons)).astype(np.int32)

    def find(self, text: str) -> Sequence[int]:
        """The tests that one text passes, in order; a lone surrogate counts as U+FFFD."""
        if not text or not text.isascii() or _SEPARATORS.search(text):
            sound = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
            keys: list[int] = self.probe(pa.array([sound], pa.large_string()))[1].tolist()
            return keys
        content = text.encode()
        proposed: list[int] = []
        if self._table is not None:
            hit = self._table.find(np.frombuffer(content, dtype=np.uint8))
            if hit is None:
                return sorted(key for key, test in enumerate(self._tests) if test(text))
            proposed = hit
        if self._rest:
            proposed += self._rest.of(content)
        if not proposed:
            return proposed
        if len(proposed) > _CROWD:
            proposed = self._thinned(content, proposed)
        return sorted(key for key in proposed if self._decides[key] or self._tests[key](text))

    def _judged(self, texts: _Texts, hits: Hits, heavy: Rows, all_keys: Keys) -> list[Hits]:
        """What literals decide, and what the exact tests say of their proposals."""
        rows, keys = hits
        if len(heavy):
            light = ~np.isin(rows, heavy)
            rows, keys = rows[light], keys[light]
        given_up = _pairs(heavy.tolist(), [all_keys.tolist()] * len(heavy))
        sure = self._decides[keys]
        proposed = rows[~sure], keys[~sure]
        return [
            (rows[sure], keys[sure]),
            self._tested(texts, proposed),
            self._tested(texts, given_up),
        ]

    def _rewritten(self, texts: _Texts, rows: list[int]) -> Hits:
        """Texts that are no UTF-8 or not in normal form C, and those with odd cases."""
        owners: list[int] = []
        written: list[bytes] = []
        for row in rows:
            text = texts.text(row)
            spellings = {text, text.translate(CASE_FRIENDS)}
            written += (spelling.encode() for spelling in spellings)
            owners += [row] * len(spellings)
        data: Bytes = np.frombuffer(b"".join(written) or b"\0", dtype=np.uint8)
        ends = np.cumsum([len(one) for one in written])
        offsets: Rows = frozen(np.concatenate([[0], ends]).astype(np.int64))
        by_row: dict[int, set[int]] = {row: set() for row in rows}
        everywhere = np.arange(len(owners))
        for table in (self._table, self._weak_table):
            (at, keys), heavy, all_keys = _searched(table, data, offsets, everywhere)
            for number, key in zip(at.tolist(), keys.tolist(), strict=True):
                by_row[owners[number]].add(key)
            for number in heavy.tolist():
                by_row[owners[number]].update(all_keys.tolist())
        return self._tested(texts, _pairs(rows, [sorted(by_row[row]) for row in rows]))

    def _by_scan(self, texts: _Texts, rows: Rows) -> Hits:
        """Tests with common literals or none, in plain texts."""
        owners: list[int] = []
        proposed: list[list[int]] = []
        edges, view, of = texts.offsets.tolist(), texts.data.data, self._rest.of
        for first in range(0, len(rows), _TOGETHER):
            some = rows[first : first + _TOGETHER]
            if self._rest.joins and not of(texts.lines(some)):
                continue
            for row in some.tolist():
                found = of(view[edges[row] : edges[row + 1]])
                if found:
                    owners.append(row)
                    proposed.append(found)
        return self._tested(texts, _pairs(owners, proposed))

    def _tested(self, texts: _Texts, hits: Hits) -> Hits:
        """The proposals that pass their exact test."""
        rows, keys = hits
        if not len(rows):
            return _NONE
        kept = np.zeros(len(rows), dtype=np.bool_)
        edges = np.flatnonzero(np.diff(rows, prepend=-1, append=-1)).tolist()
        for first, last in pairwise(edges):
            row, proposed = int(rows[first]), keys[first:last].tolist()
            possible = proposed
            if len(proposed) > _CROWD and texts.kinds[row] == utf8.PLAIN:
                possible = self._thinned(texts.raw(row), proposed)
            text = texts.text(row)
            passed = {key for key in possible if self._tests[key](text)}
            kept[first:last] = [key in passed for key in proposed]
        return rows[kept], keys[kept]

    def _thinned(self, content: bytes | memoryview, proposed: list[int]) -> list[int]:
        """Those of many proposals of a plain text that Hyperscan does not exclude."""
        crowd = self._crowd
        possible = set(crowd.of(content))
        return [key for key in proposed if key in possible or key not in crowd.keys]


class _Texts:
    """N texts as Arrow holds them, and as the exact tests want them."""

    def __init__(self, data: Bytes, offsets: Offsets, kinds: Bytes) -> None:
        self.data, self.offsets, self.kinds = data, offsets, kinds
        self._view = data.data
        self._joined: Bytes = np.empty(0, dtype=np.uint8)

    def raw(self, row: int) -> memoryview:
        return self._view[int(self.offsets[row]) : int(self.offsets[row + 1])]

    def lines(self, rows: Rows) -> memoryview:
        """A few texts, one after the other, each with a line feed behind it."""
        size = int((self.offsets[rows + 1] - self.offsets[rows]).sum()) + len(rows)
        if size > len(self._joined):
            self._joined = np.empty(2 * size, dtype=np.uint8)
        _join(self.data, self.offsets, rows, self._joined)
        return self._joined.data[:size]

    def text(self, row: int) -> str:
        """In normal form C, with U+FFFD for bytes that are no UTF-8."""
        text = str(self.raw(row), "utf-8", "replace")
        return unicodedata.normalize("NFC", text) if self.kinds[row] == utf8.OTHER else text


def _table(needs: Mapping[int, Required], keys: int) -> LiteralTable | None:
    literals = [
        Literal(content, caseless, key, number)
        for key, need in needs.items()
        for number, part in enumerate(need.parts)
        for content, caseless in part
    ]
    return LiteralTable(literals, keys) if literals else None


def _searched(
    table: LiteralTable | None, data: Bytes, offsets: Offsets, rows: Rows
) -> tuple[Hits, Rows, Keys]:
    """The hits of a table, the rows that it gave up, and all its keys."""
    if table is None or not len(rows):
        return _NONE, _NONE[0], _NONE[1]
    hits, heavy = table.search(data, offsets, rows)
    return hits, rows[heavy], table.distinct


_SEPARATORS: Final = re.compile("[\x1c-\x1f]")
_NONE: Final[Hits] = (np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int32))


def _pairs(rows: Sequence[int], keys: Sequence[Sequence[int]]) -> Hits:
    counts = [len(found) for found in keys]
    flat: Keys = np.asarray([key for found in keys for key in found], dtype=np.int32)
    return np.repeat(np.asarray(rows, dtype=np.int64), counts), flat
