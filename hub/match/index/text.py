"""Search of many literals and regular expressions in texts.

Nearly every test holds only where some literal stands: one kernel finds those of all tests. Where
the literal is the whole test its presence decides; any other proposal is judged by the exact test.
Tests without such a literal are proposed by Hyperscan where the module is installed. What it
cannot read, and classes of characters on which it and Python differ, are left to `re`, as all such
tests are where the module is missing. Expressions over which Python's backtracking might take
forever are judged by Hyperscan alone, and refused without it.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from functools import cached_property
from itertools import pairwise
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from hub.match.compare import Test
from hub.match.index import utf8
from hub.match.index.bounded import safe_test
from hub.match.index.buffers import Bytes, Hits, Keys, Offsets, Rows, string_buffers
from hub.match.index.expressions import CASE_FRIENDS, Required, explodes, required
from hub.match.index.literals import Literal, LiteralTable
from hub.match.index.proposer import Proposer
from hub.match.syntax import Comparison

__all__ = ["TextIndex", "explodes", "safe_test"]

_CROWD: Final = 6
"""So many proposals of one text, and Hyperscan thins them out before they are judged."""


class TextIndex:
    """A list of distinct LIKE and MATCHES tests, none negated; key k is the k-th of them.

    Several threads may search at once.
    """

    def __init__(self, comparisons: Sequence[Comparison]) -> None:
        self._comparisons = tuple(comparisons)
        self._tests: list[Test] = [safe_test(comparison) for comparison in comparisons]
        needs = {key: required(comparison) for key, comparison in enumerate(comparisons)}
        weak = {
            key: comparisons[key]
            for key, need in needs.items()
            if need is None or not need.selective
        }
        needy = {key for key, need in needs.items() if need}
        proposer = Proposer(weak, needy)
        self._rest = proposer or None
        anchored = {k: need for k, need in needs.items() if need and k not in proposer.keys}
        self._anchored = list(anchored)
        self._decides: NDArray[np.bool_] = np.zeros(len(comparisons), dtype=np.bool_)
        self._decides[[key for key, need in anchored.items() if need.decides]] = True
        literals = [literal for key, need in anchored.items() for literal in _literals(key, need)]
        self._table = LiteralTable(literals, len(comparisons)) if literals else None

    @cached_property
    def _crowd(self) -> Proposer:
        """All tests whose literal only proposes; made when the first text has many of them."""
        comparisons = {
            key: self._comparisons[key] for key in self._anchored if not self._decides[key]
        }
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
        direct = shown[kinds[shown] != utf8.OTHER]
        found = [*self._by_literal(texts, direct), *self._rewritten(texts, shown)]
        if self._rest is not None:
            found.append(self._by_scan(texts, shown))
        rows = np.concatenate([part[0] for part in found])
        keys = np.concatenate([part[1] for part in found])
        order = np.lexsort((keys, rows))
        return rows[order], keys[order]

    def find(self, text: str) -> Sequence[int]:
        """The tests that one text passes, in order; a lone surrogate counts as U+FFFD."""
        if not text.isascii() or any(mark in text for mark in "\x1c\x1d\x1e\x1f") or not text:
            sound = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
            keys: list[int] = self.probe(pa.array([sound], pa.large_string()))[1].tolist()
            return keys
        content = text.encode()
        hit: list[int] | None = []
        if self._table is not None:
            hit = self._table.find(np.frombuffer(content, dtype=np.uint8))
        proposed = [*self._anchored] if hit is None else hit
        if self._rest is not None:
            proposed += self._rest.of(content, utf8.PLAIN)
        if len(proposed) > _CROWD:
            proposed = self._thinned(content, utf8.PLAIN, proposed)
        return sorted(key for key in proposed if self._decides[key] or self._tests[key](text))

    def _by_literal(self, texts: _Texts, rows: Rows) -> list[Hits]:
        """Texts that are searched where they lie."""
        if self._table is None or not len(rows):
            return [_NONE]
        (at, keys), heavy = self._table.search(texts.data, texts.offsets, rows)
        if heavy.any():
            whole = rows[heavy]
            light = ~np.isin(at, whole)
            given_up = _pairs(whole.tolist(), [self._anchored] * len(whole))
            return [*self._judged(texts, (at[light], keys[light])), self._tested(texts, given_up)]
        return self._judged(texts, (at, keys))

    def _judged(self, texts: _Texts, hits: Hits) -> list[Hits]:
        rows, keys = hits
        sure = self._decides[keys]
        return [
            (rows[sure], keys[sure]),
            self._tested(texts, (rows[~sure], keys[~sure])),
        ]

    def _rewritten(self, texts: _Texts, shown: Rows) -> list[Hits]:
        """Texts that are no UTF-8 or not in normal form C, and those with odd cases."""
        rows = shown[texts.kinds[shown] == utf8.OTHER].tolist()
        if self._table is None or not rows:
            return [_NONE]
        owners: list[int] = []
        written: list[bytes] = []
        for row in rows:
            text = texts.text(row)
            spellings = {text, text.translate(CASE_FRIENDS)}
            written += (spelling.encode() for spelling in spellings)
            owners += [row] * len(spellings)
        data: Bytes = np.frombuffer(b"".join(written) or b"\0", dtype=np.uint8)
        ends = np.cumsum([len(one) for one in written])
        offsets: Rows = np.concatenate([[0], ends]).astype(np.int64)
        (at, keys), heavy = self._table.search(data, offsets, np.arange(len(owners)))
        by_row: dict[int, set[int]] = {}
        for number, key in zip(at.tolist(), keys.tolist(), strict=True):
            by_row.setdefault(owners[number], set()).add(key)
        for number in np.flatnonzero(heavy).tolist():
            by_row[owners[number]] = set(self._anchored)
        pairs = _pairs(list(by_row), [sorted(found) for found in by_row.values()])
        return [self._tested(texts, pairs)]

    def _by_scan(self, texts: _Texts, rows: Rows) -> Hits:
        """Tests without a required literal."""
        assert self._rest is not None
        owners: list[int] = []
        proposed: list[list[int]] = []
        kinds, edges, view = texts.kinds.tolist(), texts.offsets.tolist(), texts.data.data
        for row in rows.tolist():
            kind = kinds[row]
            if kind == utf8.OTHER:
                found = self._rest.of(texts.content(row), kind)
            else:
                found = self._rest.of(view[edges[row] : edges[row + 1]], kind)
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
            if len(proposed) > _CROWD:
                possible = self._thinned(texts.content(row), int(texts.kinds[row]), proposed)
            text = texts.text(row)
            passed = {key for key in possible if self._tests[key](text)}
            kept[first:last] = [key in passed for key in proposed]
        return rows[kept], keys[kept]

    def _thinned(self, content: bytes | memoryview, kind: int, proposed: list[int]) -> list[int]:
        """Those of many proposals that Hyperscan does not exclude."""
        crowd = self._crowd
        possible = set(crowd.of(content, kind))
        return [key for key in proposed if key in possible or key not in crowd.keys]


class _Texts:
    """N texts as Arrow holds them, and as the exact tests want them."""

    def __init__(self, data: Bytes, offsets: Offsets, kinds: Bytes) -> None:
        self.data, self.offsets, self.kinds = data, offsets, kinds
        self._view = data.data

    def _raw(self, row: int) -> memoryview:
        return self._view[int(self.offsets[row]) : int(self.offsets[row + 1])]

    def text(self, row: int) -> str:
        """In normal form C, with U+FFFD for bytes that are no UTF-8."""
        text = str(self._raw(row), "utf-8", "replace")
        return unicodedata.normalize("NFC", text) if self.kinds[row] == utf8.OTHER else text

    def content(self, row: int) -> bytes | memoryview:
        """The same in UTF-8."""
        return self.text(row).encode() if self.kinds[row] == utf8.OTHER else self._raw(row)


def _literals(key: int, need: Required) -> list[Literal]:
    return [
        Literal(content, caseless, key, number)
        for number, part in enumerate(need.parts)
        for content, caseless in part
    ]


_NONE: Final[Hits] = (np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int32))


def _pairs(rows: Sequence[int], keys: Sequence[Sequence[int]]) -> Hits:
    counts = [len(found) for found in keys]
    flat: Keys = np.asarray([key for found in keys for key in found], dtype=np.int32)
    return np.repeat(np.asarray(rows, dtype=np.int64), counts), flat
