"""Exchanges as narrow columns, and the numbers that stand for texts in them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hub.match.cluster.prompts import KINDS

Ints = NDArray[np.int64]
Keys = NDArray[np.int32]

NONE: Final = -1


class Names:
    """Texts and their numbers, in order of arrival; at most `limit` of them."""

    def __init__(self, limit: int) -> None:
        self._numbers: dict[str, int] = {}
        self._limit = limit
        self.refused = 0

    def __len__(self) -> int:
        return len(self._numbers)

    def texts(self) -> list[str]:
        """All texts, by their numbers."""
        return list(self._numbers)

    def number(self, text: str) -> int:
        """The number of a text, a new one if there is room, else NONE."""
        found = self._numbers.get(text)
        if found is None:
            if len(self._numbers) >= self._limit:
                self.refused += 1
                return NONE
            found = self._numbers[text] = len(self._numbers)
        return found

    def column(self, values: Any) -> Keys:
        """The number of each of N strings, NONE for null and for empty ones."""
        encoded = values.dictionary_encode()
        numbers = [self.number(t) if t else NONE for t in encoded.dictionary.to_pylist()]
        table = np.array([*numbers, NONE], np.int32)
        codes = encoded.indices.fill_null(len(numbers)).to_numpy(zero_copy_only=False)
        found: Keys = table[codes]
        return found


@dataclass
class Rows:
    """Exchanges as columns of equal length.

    Attributes:
        account: number of the account.
        time: UTC microseconds.
        address, system: packed address (`packed`) or 0; autonomous system or NONE.
        agent, hello, model: numbers of User-Agent, TLS fingerprint and model, or NONE.
        prompt: (N, KINDS) nodes of the prompt.
    """

    account: Keys
    time: Ints
    address: NDArray[np.uint64]
    system: Keys
    agent: Keys
    hello: Keys
    model: Keys
    prompt: NDArray[np.uint32]

    def take(self, kept: NDArray[Any]) -> Rows:
        """The rows that an index or a mask selects."""
        return Rows(**{name: column[kept] for name, column in vars(self).items()})

    @classmethod
    def joined(cls, parts: Iterable[Rows]) -> Rows:
        """All rows of all parts, in order."""
        columns: dict[str, list[NDArray[Any]]] = {}
        for part in parts:
            for name, column in vars(part).items():
                columns.setdefault(name, []).append(column)
        if not columns:
            return cls.joined([cls.empty()])
        return cls(**{name: np.concatenate(all_) for name, all_ in columns.items()})

    @classmethod
    def empty(cls) -> Rows:
        """No rows."""
        keys = np.zeros(0, np.int32)
        return cls(
            keys,
            np.zeros(0, np.int64),
            np.zeros(0, np.uint64),
            keys,
            keys,
            keys,
            keys,
            np.zeros((0, KINDS), np.uint32),
        )
