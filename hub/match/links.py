"""Which campaigns an indicator indicates: the newest version of each relationship, as columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from hub.match.index.buffers import Keys, Rows
from hub.match.keys import KeyTable, find_keys, newest, sortable


@dataclass(frozen=True, slots=True)
class Links:
    """N relationships by id.

    Attributes:
        keys, versions: their ids and when they were modified.
        sources: the indicators (keys of their ids) that they start from.
        targets: numbers of the campaigns' ids in `Words`; 0: it leads to none, or is revoked.
    """

    keys: KeyTable
    versions: Rows
    sources: KeyTable
    targets: Keys

    def __len__(self) -> int:
        return len(self.targets)

    @classmethod
    def newest(cls, parts: Sequence[Links]) -> Links:
        """One table of several, of each relationship its newest version (the last of equals)."""
        if not parts:
            none: KeyTable = np.zeros((0, 16), dtype=np.uint8)
            return cls(none, np.zeros(0, np.int64), none, np.zeros(0, np.int32))
        keys = np.concatenate([part.keys for part in parts])
        versions = np.concatenate([part.versions for part in parts])
        order = newest(keys, versions)
        return cls(
            keys[order],
            versions[order],
            np.concatenate([part.sources for part in parts])[order],
            np.concatenate([part.targets for part in parts])[order],
        )

    def targets_of(self, sources: KeyTable) -> dict[bytes, tuple[int, ...]]:
        """The campaigns of some indicators; none for those that have none."""
        order = np.argsort(sortable(sources), kind="stable")
        asked = sources[order]
        relevant = np.flatnonzero((self.targets > 0) & (find_keys(asked, self.sources) >= 0))
        found: dict[bytes, set[int]] = {}
        for row in relevant.tolist():
            key = self.sources[row].tobytes()
            found.setdefault(key, set()).add(int(self.targets[row]))
        return {key: tuple(sorted(targets)) for key, targets in found.items()}


@dataclass(slots=True)
class CampaignSets:
    """Sets of campaigns by number; only ever added to, so that indexes may share it. 0 is none."""

    sets: list[tuple[int, ...]] = field(default_factory=lambda: [()])
    numbers: dict[tuple[int, ...], int] = field(default_factory=lambda: {(): 0})

    def number(self, campaigns: tuple[int, ...]) -> int:
        """The number of a set, which is given one if it has none."""
        found = self.numbers.setdefault(campaigns, len(self.sets))
        if found == len(self.sets):
            self.sets.append(campaigns)
        return found
