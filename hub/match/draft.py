"""Indicators between reading and indexing: facts, and what each one looks for.

Nearly all indicators look for one value of one field, or for any of a list. They are a `form`
(which field, which operator) and the values; all others keep the text of their pattern.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from hub.match.columns import Mask
from hub.match.facts import Facts
from hub.match.fields import FIELDS, Field, Kind
from hub.match.index.buffers import Keys, Rows
from hub.match.syntax import Operator

Forms: TypeAlias = NDArray[np.uint8]

FORMS: Final[tuple[tuple[Field, Operator], ...]] = (
    *((one, Operator.EQ) for one in FIELDS.values() if one.kind in {Kind.TEXT, Kind.TEXTS}),
    *(
        (one, operator)
        for one in FIELDS.values()
        if one.kind is Kind.ADDRESS
        for operator in (Operator.EQ, Operator.ISSUBSET)
    ),
)
"""What simple indicators look for: the field, and how its value compares."""
TEXT: Final = pa.large_list(pa.large_binary())
"""How the values of simple indicators are held until they are compiled."""
COMPLEX: Final = 255
"""The form of an indicator that keeps its pattern."""
FIRST_ADDRESS: Final = sum(1 for one, _ in FORMS if one.kind is not Kind.ADDRESS)
"""Forms from here on hold addresses, those before it text."""


@dataclass(frozen=True, slots=True)
class Source:
    """The pattern of an indicator that is not simple, and how it is to be counted."""

    pattern: str
    group_by: tuple[str, ...] = ()
    count_distinct: str | None = None


@dataclass(frozen=True, slots=True)
class Nets:
    """N prefixes; of IPv4 only the lowest 32 bits of `low` are used."""

    family: NDArray[np.uint8]
    high: NDArray[np.uint64]
    low: NDArray[np.uint64]
    length: NDArray[np.uint8]

    def take(self, rows: Rows | Keys | Mask) -> Nets:
        """Some of the prefixes."""
        return Nets(self.family[rows], self.high[rows], self.low[rows], self.length[rows])

    @classmethod
    def joined(cls, parts: Sequence[Nets]) -> Nets:
        """The prefixes of several tables under each other."""
        return cls(
            np.concatenate([one.family for one in parts]),
            np.concatenate([one.high for one in parts]),
            np.concatenate([one.low for one in parts]),
            np.concatenate([one.length for one in parts]),
        )

    @classmethod
    def none(cls) -> Nets:
        """No prefix."""
        wide = np.zeros(0, dtype=np.uint64)
        return cls(np.zeros(0, dtype=np.uint8), wide, wide, np.zeros(0, dtype=np.uint8))


class PackedNets:
    """Prefixes in as few bytes as they need: five for each where all are IPv4."""

    def __init__(self, nets: Nets) -> None:
        self._nets = nets
        self._short = nets.low.astype(np.uint32) if np.all(nets.family == 4) else None
        self._length = nets.length
        if self._short is not None:
            self._nets = Nets.none()

    def __len__(self) -> int:
        return len(self._length)

    def one(self, at: int) -> tuple[int, int, int]:
        """Family, first address and length of a prefix."""
        length = int(self._length[at])
        if self._short is not None:
            return 4, int(self._short[at]), length
        high, low = int(self._nets.high[at]), int(self._nets.low[at])
        return int(self._nets.family[at]), high << 64 | low, length

    def whole(self) -> Nets:
        """All of them."""
        if self._short is None:
            return self._nets
        family = np.full(len(self), 4, dtype=np.uint8)
        high = np.zeros(len(self), dtype=np.uint64)
        return Nets(family, high, self._short.astype(np.uint64), self._length)

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        nets = self._nets
        wide = nets.family.nbytes + nets.high.nbytes + nets.low.nbytes
        short = 0 if self._short is None else self._short.nbytes
        return wide + short + self._length.nbytes


@dataclass(frozen=True, slots=True)
class Draft:
    """N indicators.

    Attributes:
        forms: index into `FORMS`, or `COMPLEX`.
        text: the values of each one whose form holds text (Arrow lists, empty elsewhere).
        nets: the prefixes of those whose form holds addresses, in the order of the rows.
        sources: the patterns of the complex ones, by row.
    """

    facts: Facts
    forms: Forms
    text: Any
    nets: Nets
    sources: dict[int, Source]

    def __len__(self) -> int:
        return len(self.forms)

    @classmethod
    def empty(cls) -> Draft:
        """No indicator."""
        keys, times = np.zeros((0, 16), dtype=np.uint8), np.zeros(0, dtype=np.int64)
        facts = Facts.of(keys, (times, times, times), [()] * 5)
        text = pa.array([], TEXT)
        return cls(facts, np.zeros(0, dtype=np.uint8), text, Nets.none(), {})

    def take(self, rows: Rows) -> Draft:
        """Some of the indicators, in any order."""
        place = np.cumsum(holds_address(self.forms)) - 1
        forms = self.forms[rows]
        complex_rows = np.flatnonzero(forms == COMPLEX)
        old = rows[complex_rows].tolist()
        return Draft(
            self.facts.take(rows),
            forms,
            self.text.take(pa.array(rows)),
            self.nets.take(place[rows[holds_address(forms)]]),
            {new: self.sources[at] for new, at in zip(complex_rows.tolist(), old, strict=True)},
        )

    @classmethod
    def joined(cls, parts: Sequence[Draft]) -> Draft:
        """The indicators of several tables under each other."""
        if len(parts) == 1:
            return parts[0]
        sources: dict[int, Source] = {}
        start = 0
        for part in parts:
            sources |= {start + row: source for row, source in part.sources.items()}
            start += len(part)
        return cls(
            Facts.joined(part.facts for part in parts),
            np.concatenate([part.forms for part in parts]),
            pa.concat_arrays([part.text for part in parts]),
            Nets.joined([part.nets for part in parts]),
            sources,
        )


def holds_address(forms: Forms) -> Mask:
    """Which forms look for addresses."""
    addressed: Mask = (forms >= FIRST_ADDRESS) & (forms != COMPLEX)
    return addressed
