"""What a report says of indicators, as columns: some fifty bytes for each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from hub.match.columns import Mask
from hub.match.index.buffers import Keys, Rows
from hub.match.keys import KeyTable
from hub.model.markings import TLP

MARKINGS: Final = [level.label for level in TLP]
"""The label of each marking code but 0, which is none."""
UNSURE: Final = -1
"""The confidence of an indicator that states none."""


@dataclass(frozen=True, slots=True)
class Problem:
    """An indicator that this engine does not use, and why."""

    indicator_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Indicator:
    """The facts of one indicator; times in microseconds since 1970, UTC.

    Attributes:
        start, stop: valid from `start`, no more at `stop`.
        layer: as the publisher says, or None.
        min_band_hits: how many near-duplicate bands must agree before a prompt counts.
    """

    indicator_id: str
    modified: int
    start: int
    stop: int
    confidence: int | None
    publisher: str | None
    marking: str | None
    campaign_ids: tuple[str, ...]
    layer: str | None
    min_band_hits: int


class Words:
    """Strings that many indicators share, by number; only ever added to.

    Indexes that follow from each other share one: numbers never change their meaning. 0 is none.
    """

    def __init__(self, words: Sequence[str] = ()) -> None:
        self._numbers: dict[str, int] = {}
        self._words: list[str | None] = [None]
        for word in words:
            self.number(word)

    def number(self, word: str | None) -> int:
        """The number of a string, which is given one if it has none."""
        if word is None:
            return 0
        found = self._numbers.get(word)
        if found is None:
            found = self._numbers[word] = len(self._words)
            self._words.append(word)
        return found

    def __len__(self) -> int:
        """How many numbers there are; the first is that of no string."""
        return len(self._words)

    def __getitem__(self, number: int) -> str | None:
        return self._words[number]

    def known(self) -> list[str]:
        """All strings, in the order of their numbers, from 1."""
        return [word for word in self._words if word is not None]

    def take(self, numbers: NDArray[Any]) -> Any:
        """The strings (Arrow) of N numbers."""
        distinct, inverse = np.unique(numbers, return_inverse=True)
        words = pa.array([self._words[number] for number in distinct.tolist()], pa.string())
        return words.take(pa.array(inverse))


@dataclass(frozen=True, slots=True)
class Facts:
    """N indicators, a column for each fact.

    Attributes:
        keys: their ids, (N, 16).
        modified, start, stop: microseconds since 1970, UTC.
        confidence: `UNSURE` if none is stated.
        publisher, layer: numbers of `Words`.
        marking: index into `MARKINGS`, plus one.
        band_hits: the least number of near-duplicate bands that must agree.
    """

    keys: KeyTable
    modified: Rows
    start: Rows
    stop: Rows
    confidence: NDArray[np.int8]
    publisher: Keys
    marking: NDArray[np.int8]
    layer: Keys
    band_hits: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.keys)

    def take(self, rows: Rows | Keys | Mask) -> Facts:
        """The facts of some rows."""
        return Facts(*(getattr(self, column.name)[rows] for column in fields(self)))

    @classmethod
    def joined(cls, parts: Iterable[Facts]) -> Facts:
        """The rows of several tables under each other."""
        tables = list(parts)
        if len(tables) == 1:
            return tables[0]
        return cls(
            *(
                np.concatenate([getattr(table, column.name) for table in tables])
                for column in fields(cls)
            )
        )

    @classmethod
    def of(cls, keys: KeyTable, times: Sequence[Rows], codes: Sequence[Sequence[int]]) -> Facts:
        """Build from ids, (modified, start, stop), and codes in the order of the columns."""
        types = (np.int8, np.int32, np.int8, np.int32, np.uint8)
        columns: list[Any] = [*times]
        columns += [np.asarray(code, dtype) for code, dtype in zip(codes, types, strict=True)]
        return cls(keys, *columns)
