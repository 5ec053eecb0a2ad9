"""Which indicators were looked for in which exchanges, so that a hunt looks only for what is new.

For every version of an indicator it says up to which generation of the event store it was hunted.
A file that is damaged says nothing: everything is hunted again, which costs time and loses nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pyarrow as pa

from hub.errors import InputError
from hub.hunt.catalogue import replace_file
from hub.model.codec import Json
from hub.model.identifiers import parse_timestamp

_FILE: Final = "hunted.arrow"
_FORMAT: Final = b"1"
_SCHEMA: Final = pa.schema(
    [pa.field("version", pa.binary(16), False), pa.field("generation", pa.int64(), False)],
    metadata={"format": _FORMAT},
)


@dataclass(frozen=True)
class Versions:
    """The newest version of each indicator at hand.

    Attributes:
        marks: indicator id to the 16-byte mark of its version.
    """

    marks: Mapping[str, bytes]

    @classmethod
    def of(cls, objects: Iterable[Json]) -> Versions:
        """Note the newest version of each indicator among STIX objects."""
        newest: dict[str, tuple[datetime, bytes]] = {}
        for one in objects:
            if one.get("type") != "indicator":
                continue
            identifier, written = str(one.get("id")), str(one.get("modified"))
            known, modified = newest.get(identifier), _moment(written)
            if known is None or modified >= known[0]:
                newest[identifier] = (modified, _mark(identifier, written))
        return cls({identifier: mark for identifier, (_, mark) in newest.items()})

    def without(self, ids: Collection[str]) -> Versions:
        """The same without some indicators."""
        return Versions({name: mark for name, mark in self.marks.items() if name not in ids})


def _moment(written: str) -> datetime:
    try:
        return parse_timestamp(written)
    except InputError:
        return datetime.min.replace(tzinfo=UTC)


def _mark(identifier: str, modified: str) -> bytes:
    return hashlib.blake2b(f"{identifier} {modified}".encode(), digest_size=16).digest()


class Hunted:
    """Up to which generation each version of an indicator was hunted."""

    def __init__(self, generations: dict[bytes, int]) -> None:
        self._generations = generations

    @classmethod
    def load(cls, store: Path) -> Hunted:
        """Read what was hunted in a store; nothing where the file is missing or damaged."""
        try:
            with pa.OSFile(str(store / _FILE), "rb") as file:
                table = pa.ipc.open_file(file).read_all()
            if table.schema.metadata != _SCHEMA.metadata:
                return cls({})
            table.validate(full=True)
            marks = table.column("version").to_pylist()
            return cls(dict(zip(marks, table.column("generation").to_pylist(), strict=True)))
        except (pa.ArrowException, OSError, KeyError):
            return cls({})

    def save(self, store: Path) -> None:
        """Replace the file.

        Raises:
            StoreError: the disk fails.
        """
        table = pa.table(
            [
                pa.array(self._generations.keys(), pa.binary(16)),
                pa.array(self._generations.values(), pa.int64()),
            ],
            schema=_SCHEMA,
        )
        sink = pa.BufferOutputStream()
        with pa.ipc.new_file(sink, _SCHEMA) as writer:
            writer.write_table(table)
        replace_file(store / _FILE, sink.getvalue().to_pybytes())

    def due(self, versions: Versions, generation: int) -> Iterator[tuple[int, frozenset[str]]]:
        """Indicators that were not yet looked for everywhere.

        Yields:
            A generation, and the ids of the indicators that were hunted up to it (0: never);
            those hunted up to `generation` are left out.
        """
        classes: dict[int, list[str]] = {}
        for identifier, mark in versions.marks.items():
            done = self._generations.get(mark, 0)
            if done < generation:
                classes.setdefault(done, []).append(identifier)
        for done in sorted(classes):
            yield done, frozenset(classes[done])

    def note(self, versions: Versions, generation: int) -> None:
        """Note that these indicators were looked for in everything up to a generation.

        Versions that are not among them any more are kept: a channel that is left and joined again
        brings them back.
        """
        self._generations |= dict.fromkeys(versions.marks.values(), generation)

    def forget(self, versions: Mapping[str, str]) -> bool:
        """Drop the marks of versions that were withdrawn.

        Args:
            versions: indicator id to the `modified` of its version.
        Returns:
            Whether any was there.
        """
        marks = {_mark(identifier, modified) for identifier, modified in versions.items()}
        found = marks & self._generations.keys()
        for mark in found:
            del self._generations[mark]
        return bool(found)
