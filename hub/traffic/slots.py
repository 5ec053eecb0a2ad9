"""Formats of JSON lines whose columns are made of several fields, read by the kernel by blocks.

The kernel cuts the fields, the *slots*, out of the ordinary lines of a block; columns are made of
them for all lines at once. What is out of the ordinary goes line by line through the format's own
parser, and both give the same rows.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final, TypeAlias

import pyarrow.compute as pc

from hub.traffic import json_fields
from hub.traffic.assemble import Piece
from hub.traffic.blocks import Block
from hub.traffic.decode import Head, LineDecoder, LineFormat, Row, Task
from hub.traffic.json_columns import Layout, passes
from hub.traffic.problems import Tally
from hub.traffic.source import Source, line_of, split

Slots: TypeAlias = Mapping[str, Any]
"""Slot to its values: Arrow strings, null where empty; lists of Python values for nested ones."""

_AS_IS: Final = ("observed_at", "input_tokens", "output_tokens")


def slot_kinds(
    paths: Mapping[str, tuple[str, ...]], *, lists: Collection[str], trees: Collection[str]
) -> Layout:
    """The layout of slots: those named as TRAFFIC's columns take what these do, others texts.

    Args:
        lists, trees: slots that take lists, and any list, object or text.
    """
    kinds = {name: json_fields.AS_STRING for name in paths if name not in _AS_IS}
    kinds |= dict.fromkeys(lists, json_fields.AS_LIST)
    kinds |= {name: json_fields.AS_JSON for name in trees if name in paths}
    return Layout(tuple(paths), tuple(paths.items()), kinds, json_fields.NO_TEXT)


@dataclass(frozen=True, kw_only=True)
class SlotFormat(LineFormat):
    """A format of JSON lines that is read by slots.

    Args:
        slots: the fields to cut out; the time stands first.
        chains: TRAFFIC column to the slots of which the first that is not empty fills it.
        made: TRAFFIC column to what makes it of all slots.
    """

    slots: Layout
    chains: Mapping[str, tuple[str, ...]]
    made: Mapping[str, Callable[[Slots], Any]] = field(default_factory=dict)

    def open(self, source: Source, head: Head) -> LineDecoder:
        """Make a decoder of one file."""
        return _Decoder(source, self.parse, Row._fields, self.columns, format=self)


@dataclass(kw_only=True)
class _Decoder(LineDecoder):
    format: SlotFormat

    def tasks(self, rows: int, tally: Tally, wanted: Collection[str]) -> Iterator[Task]:
        """One task for each block of whole lines."""
        for block in self.source.cut(tally.rejects):
            yield partial(self._fast, block, rows, wanted)

    def _fast(
        self, block: Block, rows: int, wanted: Collection[str], tally: Tally
    ) -> Iterator[Piece]:
        if block.is_too_long:
            yield from self.pieces(split(block, 0), rows, wanted, tally)
            return
        longest, layout = self.source.line_bytes, self.format.slots
        with block.view() as view:
            for found in passes(view, block.line, block.count, longest, rows, layout, tally):
                odd = [line_of(number, data, longest) for number, data in found.odd]
                others = list(self.pieces(odd, rows, wanted, tally))
                piece = self._made(found.piece, wanted, tally)
                yield replace(piece, rest=others[0] if others else None)

    def _made(self, slots: Piece, wanted: Collection[str], tally: Tally) -> Piece:
        """The columns of TRAFFIC; of those that nobody wants, whether they have values."""
        columns: dict[str, Any] = {}
        for name in self.columns:
            if name not in wanted and name in tally.glimpsed:
                continue
            values = self._column(name, slots.columns)
            if name in wanted:
                columns[name] = values
            elif len(values) > _nulls(values):
                tally.glimpsed.add(name)
        return Piece(columns, slots.lines)

    def _column(self, name: str, slots: Slots) -> Any:
        if name in self.format.chains:
            chain = [slots[slot] for slot in self.format.chains[name]]
            return chain[0] if len(chain) == 1 else pc.coalesce(*chain)
        made = self.format.made.get(name)
        return slots[name] if made is None else made(slots)


def _nulls(values: Any) -> int:
    if isinstance(values, list):
        return sum(value is None for value in values)
    return int(values.null_count)
