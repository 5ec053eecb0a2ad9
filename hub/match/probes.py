"""The indexes of all anchors, and their probe over one batch.

Indexes take values that repeat, so their keys lead straight to formulas: the keys of simple
indicators are consecutive, as their formulas are; those of other anchors come after them.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

import numpy as np

from hub.match.columns import Batch
from hub.match.draft import Nets
from hub.match.fields import Field, Kind
from hub.match.formulas import Anchor, Reading
from hub.match.index.bands import BandIndex
from hub.match.index.buffers import Bytes, Hits, Keys, Rows, over_lists
from hub.match.index.cidr import Block, PrefixIndex, block_of
from hub.match.index.exact import ExactIndex, NumberIndex
from hub.match.index.postings import Postings
from hub.match.index.text import TextIndex
from hub.match.plan import bands_of
from hub.match.syntax import Comparison, Operator

Triple: TypeAlias = tuple[Rows, Keys, Keys]
"""Rows of a batch with the formulas and the atoms that they hit."""
Arena: TypeAlias = tuple[Bytes, Rows]
"""The bytes and the N + 1 offsets of N values."""

_K = TypeVar("_K", bound=Hashable)
_TEXT_SEARCH = frozenset({Operator.LIKE, Operator.MATCHES})


@dataclass(frozen=True, slots=True)
class Group:
    """One index.

    Attributes:
        first, plain: keys below `plain` are the formulas, and atoms, from `first` on.
        formula, atom: those of the keys from `plain` on.
        postings: from keys to those of `formula` and `atom`, where the index repeats no value.
    """

    field: Field
    index: ExactIndex | NumberIndex | PrefixIndex | BandIndex | TextIndex
    first: int
    plain: int
    formula: Keys
    atom: Keys
    postings: Postings | None = None

    def hits(self, batch: Batch) -> Triple:
        """Find (event, formula, atom); a triple may come more than once."""
        rows, keys = self._probe(batch)
        if self.postings is not None:
            rows, keys = self.postings.expand((rows, keys))
        if not len(self.formula):
            found = keys + np.int32(self.first) if self.first else keys
            return rows, found, found
        plain = keys < self.plain
        beyond = np.where(plain, 0, keys - self.plain)
        simple = keys + np.int32(self.first)
        formula = np.where(plain, simple, self.formula[beyond])
        return rows, formula, np.where(plain, simple, self.atom[beyond])

    def _probe(self, batch: Batch) -> Hits:
        index = self.index
        if isinstance(index, PrefixIndex):
            return index.probe(batch.addresses)
        if isinstance(index, BandIndex):
            return index.probe(batch.bands)
        if isinstance(index, NumberIndex):
            return index.probe(batch.column(self.field.column))
        if self.field.kind is Kind.TEXT:
            exact = isinstance(index, ExactIndex)
            return index.probe(batch.coded(self.field) if exact else batch.strings(self.field))
        return over_lists(index.probe, batch.column(self.field.column))

    def find(self, reading: Reading) -> Sequence[tuple[int, int]]:
        """Find (formula, atom) in one event."""
        keys = self._keys(reading)
        return [self._meant(key) for key in keys] if keys else ()

    def _meant(self, key: int) -> tuple[int, int]:
        if key < self.plain:
            return self.first + key, self.first + key
        return int(self.formula[key - self.plain]), int(self.atom[key - self.plain])

    def _keys(self, reading: Reading) -> Sequence[int]:
        """The keys of one event; most events have none, so each look-up says so at once."""
        index, field = self.index, self.field
        if isinstance(index, PrefixIndex):
            address = reading.address()
            return () if address is None else index.find(*address)
        if isinstance(index, BandIndex):
            bands = reading.bands()
            if bands is None:
                return ()
            return self._expanded(index.find(bands))
        if isinstance(index, ExactIndex) and field.kind is Kind.TEXT:
            text = reading.text(field)
            return () if text is None else index.find(text.encode())
        values = reading.values(field)
        if isinstance(index, ExactIndex):
            return [key for value in values for key in index.find(value.encode())]
        if isinstance(index, NumberIndex):
            return [key for value in values for key in index.find(value)]
        return self._expanded([key for value in values for key in index.find(value)])

    def _expanded(self, keys: Sequence[int]) -> Sequence[int]:
        if not keys or self.postings is None:
            return keys
        rows = np.zeros(len(keys), dtype=np.int64)
        numbers: list[int] = self.postings.expand((rows, np.asarray(keys, np.int32)))[1].tolist()
        return numbers


def groups(
    arenas: Sequence[tuple[Field, int, Arena]],
    nets: tuple[Field, int, Nets] | None,
    anchors: Sequence[Anchor],
    base: int,
) -> tuple[list[Group], dict[Field, Arena]]:
    """Build all indexes.

    Args:
        arenas: the texts of simple indicators, with the formula of the first one.
        nets: the same for their addresses.
        base: what is added to the numbers of the anchors' formulas and atoms.
    Returns:
        The indexes, and the arenas that they hold: the texts that were given come first in them.
    """
    exact: dict[Field, list[Anchor]] = {field: [] for field, _, _ in arenas}
    search: dict[Field, list[Anchor]] = {}
    addresses: list[Anchor] = []
    for anchor in anchors:
        field = anchor.atom.field
        if field.kind is Kind.ADDRESS:
            addresses.append(anchor)
        elif anchor.atom.comparison.operator in _TEXT_SEARCH:
            search.setdefault(field, []).append(anchor)
        else:
            exact.setdefault(field, []).append(anchor)
    simple = {field: (first, arena) for field, first, arena in arenas}
    kept: dict[Field, Arena] = {}
    out: list[Group | None] = []
    for field, found in exact.items():
        if field.kind is Kind.BANDS:
            out.append(_bands(field, found, base))
        elif field.kind is Kind.NUMBER:
            out.append(_numbers(field, found, base))
        else:
            first, arena = simple.get(field, (0, _packed(())))
            group, kept[field] = _texts(field, first, arena, found, base)
            out.append(group)
    out += [_search(field, found, base) for field, found in search.items()]
    if nets is not None or addresses:
        out.append(_prefixes(nets, addresses, base))
    return [group for group in out if group is not None], kept


def _leads(anchors: Sequence[Anchor], base: int) -> tuple[Keys, Keys]:
    formula = np.asarray([base + anchor.formula for anchor in anchors], dtype=np.int32)
    return formula, np.asarray([base + anchor.number for anchor in anchors], dtype=np.int32)


def _packed(values: Sequence[bytes]) -> Arena:
    offsets: Rows = np.zeros(len(values) + 1, dtype=np.int64)
    np.cumsum([len(value) for value in values], out=offsets[1:])
    return np.frombuffer(b"".join(values), dtype=np.uint8), offsets


def _texts(
    field: Field, first: int, arena: Arena, anchors: Sequence[Anchor], base: int
) -> tuple[Group, Arena]:
    pairs = [(anchor, value) for anchor in anchors for value in anchor.atom.comparison.values]
    data, offsets = arena
    plain = len(offsets) - 1
    if pairs:
        more, ends = _packed([str(value).encode("utf-8", "replace") for _, value in pairs])
        data = np.concatenate([data, more])
        offsets = np.concatenate([offsets, ends[1:] + offsets[-1]])
    formula, atom = _leads([anchor for anchor, _ in pairs], base)
    return Group(field, ExactIndex.of(data, offsets), first, plain, formula, atom), (data, offsets)


def _bands(field: Field, anchors: Sequence[Anchor], base: int) -> Group:
    pairs = ((one, anchor) for anchor in anchors for one in bands_of(anchor.atom.comparison))
    bands, found, postings = _keyed(pairs)
    return Group(field, BandIndex(bands), 0, 0, *_leads(found, base), postings)


def _numbers(field: Field, anchors: Sequence[Anchor], base: int) -> Group | None:
    pairs = [
        (int(value), anchor)
        for anchor in anchors
        for value in anchor.atom.comparison.values
        if isinstance(value, int | float) and -(2**63) <= value < 2**63 and int(value) == value
    ]
    if not pairs:
        return None
    index = NumberIndex.of(np.asarray([number for number, _ in pairs], dtype=np.int64))
    return Group(field, index, 0, 0, *_leads([anchor for _, anchor in pairs], base))


def _keyed(pairs: Iterable[tuple[_K, Anchor]]) -> tuple[list[_K], list[Anchor], Postings]:
    """Number the distinct keys, and let each lead to its anchors."""
    numbers: dict[_K, int] = {}
    keys: list[int] = []
    anchors: list[Anchor] = []
    for key, anchor in pairs:
        keys.append(numbers.setdefault(key, len(numbers)))
        anchors.append(anchor)
    return list(numbers), anchors, Postings(keys, range(len(anchors)), len(numbers))


def _search(field: Field, anchors: Sequence[Anchor], base: int) -> Group:
    pairs: Iterable[tuple[Comparison, Anchor]] = ((one.atom.comparison, one) for one in anchors)
    comparisons, found, postings = _keyed(pairs)
    return Group(field, TextIndex(comparisons), 0, 0, *_leads(found, base), postings)


def _prefixes(
    nets: tuple[Field, int, Nets] | None, anchors: Sequence[Anchor], base: int
) -> Group | None:
    pairs = [(anchor, block) for anchor in anchors for block in _blocks(anchor)]
    formula, atom = _leads([anchor for anchor, _ in pairs], base)
    more = Nets(
        np.asarray([family for _, (family, _, _) in pairs], dtype=np.uint8),
        np.asarray([first >> 64 for _, (_, first, _) in pairs], dtype=np.uint64),
        np.asarray([first & (2**64 - 1) for _, (_, first, _) in pairs], dtype=np.uint64),
        np.asarray([length for _, (_, _, length) in pairs], dtype=np.uint8),
    )
    field, first, plain = nets or (anchors[0].atom.field, 0, Nets.none())
    table = Nets.joined([plain, more]) if pairs else plain
    if not len(table.family):
        return None
    index: Any = PrefixIndex.of(table.family, table.high, table.low, table.length)
    return Group(field, index, first, len(plain.family), formula, atom)


def _blocks(anchor: Anchor) -> list[Block]:
    """The blocks whose addresses pass the test."""
    field, comparison = anchor.atom.field, anchor.atom.comparison
    families = {"ipv4-addr": (4,), "ipv6-addr": (6,)}.get(field.object_type, (4, 6))
    blocks = [block_of(str(literal)) for literal in comparison.values]
    wide = comparison.operator is Operator.ISSUBSET
    return [
        block
        for block in blocks
        if block is not None
        and block[0] in families
        and (wide or block[2] == (32 if block[0] == 4 else 128))
    ]
