"""Which indicators have to be looked for in which files.

An indicator was hunted up to some generation of the store; what came later is due. Each file is
read once, with all indicators that are due in it. Patterns over several exchanges need the old
ones beside the new: they are looked for in everything again whenever anything is due.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hub.hunt.catalogue import Part


@dataclass(frozen=True)
class Pass:
    """Some indicators, and the files to look for them in."""

    indicators: frozenset[str]
    parts: tuple[Part, ...]

    @property
    def rows(self) -> int:
        """How many exchanges are looked at."""
        return sum(part.rows for part in self.parts)


def passes(
    due: Sequence[tuple[int, frozenset[str]]], stateful: frozenset[str], parts: Sequence[Part]
) -> list[Pass]:
    """Plan a hunt.

    Args:
        due: generations, ascending, and the indicators hunted up to each (0: never).
        stateful: those of them whose patterns span several exchanges.
        parts: all files of the store, by their first exchange.
    Returns:
        The passes that have something to look for and somewhere to look.
    """
    if not due:
        return []
    newest = max((part.generation for part in parts), default=0)
    ends = [*(done for done, _ in due[1:]), newest]
    wanted: frozenset[str] = frozenset()
    found = []
    for (done, ids), end in zip(due, ends, strict=True):
        wanted |= ids - stateful
        found.append(Pass(wanted, tuple(part for part in parts if done < part.generation <= end)))
    found.append(Pass(stateful, tuple(parts)))
    return [one for one in found if one.indicators and one.parts]
