"""Generic JSON lines: one object on each line, fields named as TRAFFIC's columns or mapped."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

import msgspec

from hub.errors import InputError
from hub.traffic import generic
from hub.traffic.assemble import Piece
from hub.traffic.blocks import Block
from hub.traffic.decode import Head, JsonLine, LineDecoder, Task
from hub.traffic.json_columns import Layout, passes
from hub.traffic.problems import Tally
from hub.traffic.source import Source, line_of, split

_STEPS: Final = 8


@dataclass
class _Decoder(LineDecoder):
    """Reads blocks by kernel; of a field that stands twice on a line, the last counts."""

    paths: Sequence[tuple[str, tuple[str, ...]]] = ()

    def tasks(self, rows: int, tally: Tally, wanted: Collection[str]) -> Iterator[Task]:
        """One task for each block of whole lines."""
        layout = Layout.of(self.paths, self.columns.intersection(wanted))
        if layout is None:
            yield from super().tasks(rows, tally, wanted)
            return
        for block in self.source.cut(tally.rejects):
            yield partial(self._fast, block, layout, rows, wanted)

    def _fast(
        self, block: Block, layout: Layout, rows: int, wanted: Collection[str], tally: Tally
    ) -> Iterator[Piece]:
        if block.is_too_long:
            yield from self.pieces(split(block, 0), rows, wanted, tally)
            return
        longest = self.source.line_bytes
        with block.view() as view:
            for found in passes(view, block.line, block.count, longest, rows, layout, tally):
                odd = [line_of(number, data, longest) for number, data in found.odd]
                others = list(self.pieces(odd, rows, wanted, tally))
                yield replace(found.piece, rest=others[0] if others else None)


class _Jsonl:
    name = "jsonl"
    title = "generic JSON lines"
    generic = True

    def recognises(self, head: Head) -> bool:
        """Whether some first line is an object with a time and another known column."""
        tops = {column: field.split(".")[0] for column, field in head.mapping.items()}
        return any(generic.looks_generic(record.keys(), tops) for record in head.records)

    def open(self, source: Source, head: Head) -> LineDecoder:
        """Make a decoder of one file; its columns are those of the first lines and the mapping."""
        wanted = generic.wanted(head.mapping)
        pairs = [(column, name) for column, names in wanted.items() for name in names]
        tops = list(dict.fromkeys(name.split(".")[0] for _, name in pairs))
        if any(name.count(".") >= _STEPS for _, name in pairs):
            raise InputError(f"a field path has more than {_STEPS} steps", where="--map")
        kind = msgspec.defstruct(
            "GenericLine",
            [(f"f{i}", Any, msgspec.field(default=None, name=top)) for i, top in enumerate(tops)],
        )
        decode = JsonLine(kind)
        steps = [(tops.index(n.split(".")[0]), tuple(n.split(".")[1:])) for _, n in pairs]
        plain = not any(rest for _, rest in steps) and len(tops) == len(pairs)

        def parse(line: bytes) -> Sequence[tuple[Any, ...]]:
            values = msgspec.structs.astuple(decode(line))
            if plain:
                return (values,)
            return (tuple(_walk(values[top], rest) for top, rest in steps),)

        present = dict.fromkeys(key for record in head.records for key in record)
        columns = {c for c, n in pairs if c in head.mapping or n.split(".")[0] in present}
        if present:
            shown = {c for c, n in pairs if n.split(".")[0] in present}
            generic.check(head.mapping, shown, present, str(source.path))
        columns |= {"observed_at", "event_id"}
        return _Decoder(
            source,
            parse,
            [column for column, _ in pairs],
            frozenset(columns),
            generic.unused(present, tops),
            tuple((column, tuple(name.split("."))) for column, name in pairs if column in columns),
        )


def _walk(value: Any, rest: tuple[str, ...]) -> Any:
    for step in rest:
        value = value.get(step) if isinstance(value, dict) else None
    return value


FORMAT: Final = _Jsonl()
