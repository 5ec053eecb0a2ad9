"""The indexes of all anchors, and their probe over one batch."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

import numpy as np
import pyarrow.compute as pc

from hub.match.columns import Batch
from hub.match.index.bands import BandIndex
from hub.match.index.buffers import Hits, Keys, Rows
from hub.match.index.cidr import Block, PrefixIndex, block_of
from hub.match.index.exact import ExactIndex, NumberIndex
from hub.match.index.postings import Postings
from hub.match.index.text import TextIndex
from hub.match.plan import Atom, Field, Kind, bands_of
from hub.match.syntax import Comparison, Operator

Anchor: TypeAlias = tuple[int, Atom]
"""The number of an anchor, and its atom."""
Probe: TypeAlias = Callable[[Batch], Hits]

_K = TypeVar("_K", bound=Hashable)
_TEXT_SEARCH = frozenset({Operator.LIKE, Operator.MATCHES})


@dataclass(frozen=True, slots=True)
class _Group:
    field: Field
    probe: Probe
    postings: Postings


class Probes:
    """All indexes; finds the anchors that hold in the events of a batch."""

    def __init__(self, anchors: Iterable[Anchor]) -> None:
        exact: dict[Field, list[Anchor]] = {}
        search: dict[Field, list[Anchor]] = {}
        addresses: list[Anchor] = []
        for anchor in anchors:
            field, comparison = anchor[1].field, anchor[1].comparison
            if field.kind is Kind.ADDRESS:
                addresses.append(anchor)
            elif comparison.operator in _TEXT_SEARCH:
                search.setdefault(field, []).append(anchor)
            else:
                exact.setdefault(field, []).append(anchor)
        groups = [_exact(field, found) for field, found in exact.items()]
        groups += [_search(field, found) for field, found in search.items()]
        groups += [_prefixes(addresses)] if addresses else []
        self._groups = [group for group in groups if group is not None]

    def hits(self, batch: Batch) -> Hits:
        """Find (event, anchor) pairs; a pair may come more than once."""
        rows: list[Rows] = [np.zeros(0, dtype=np.int64)]
        anchors: list[Keys] = [np.zeros(0, dtype=np.int32)]
        for group in self._groups:
            if len(batch) and batch.shows(group.field):
                found = group.postings.expand(group.probe(batch))
                rows.append(found[0])
                anchors.append(found[1])
        return np.concatenate(rows), np.concatenate(anchors)


def _keyed(pairs: Iterable[tuple[_K, int]]) -> tuple[list[_K], Postings]:
    """Number the distinct keys, and let each lead to its anchors."""
    numbers: dict[_K, int] = {}
    keys: list[int] = []
    anchors: list[int] = []
    for key, anchor in pairs:
        keys.append(numbers.setdefault(key, len(numbers)))
        anchors.append(anchor)
    return list(numbers), Postings(keys, anchors, len(numbers))


def _exact(field: Field, anchors: Sequence[Anchor]) -> _Group | None:
    if field.kind is Kind.BANDS:
        pairs = ((one, number) for number, atom in anchors for one in bands_of(atom.comparison))
        bands, postings = _keyed(pairs)
        index = BandIndex(bands)
        return _Group(field, lambda batch: index.probe(batch.bands), postings)
    if field.kind is Kind.NUMBER:
        return _numbers(field, anchors)
    literals = ((str(v), number) for number, atom in anchors for v in atom.comparison.values)
    strings, postings = _keyed(literals)
    table = ExactIndex(strings)
    return _Group(field, _over_strings(field, table.probe), postings)


def _numbers(field: Field, anchors: Sequence[Anchor]) -> _Group | None:
    pairs = (
        (int(value), number)
        for number, atom in anchors
        for value in atom.comparison.values
        if isinstance(value, int | float) and abs(value) < 2**63 and int(value) == value
    )
    numbers, postings = _keyed(pairs)
    if not numbers:
        return None
    index = NumberIndex(numbers)
    return _Group(field, lambda batch: index.probe(batch.column(field.column)), postings)


def _over_strings(field: Field, probe: Callable[[Any], Hits]) -> Probe:
    if field.kind is Kind.TEXT:
        return lambda batch: probe(batch.strings(field))

    def over_lists(batch: Batch) -> Hits:
        lists = batch.column(field.column)
        inner, keys = probe(lists.flatten())
        parents = pc.list_parent_indices(lists).to_numpy(zero_copy_only=False)
        return parents[inner], keys

    return over_lists


def _search(field: Field, anchors: Sequence[Anchor]) -> _Group:
    comparisons, postings = _keyed((atom.comparison, number) for number, atom in anchors)
    index = TextIndex(comparisons)
    return _Group(field, _over_strings(field, index.probe), postings)


def _prefixes(anchors: Sequence[Anchor]) -> _Group | None:
    pairs = (
        (block, number)
        for number, atom in anchors
        for block in _blocks(atom.field, atom.comparison)
    )
    blocks, postings = _keyed(pairs)
    if not blocks:
        return None
    index = PrefixIndex(blocks)
    return _Group(anchors[0][1].field, lambda batch: index.probe(batch.addresses), postings)


def _blocks(field: Field, comparison: Comparison) -> list[Block]:
    """The blocks whose addresses pass the test."""
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
