"""Which indicators the columns of a source can decide."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

from hub.match.anchors import answerable
from hub.match.columns import Mask
from hub.match.fields import Field
from hub.match.index.buffers import Rows
from hub.match.plan import Plan, satisfiable
from hub.match.schema import LAYERS, PATHS, STORED_FEATURES
from hub.match.segment import Segment
from hub.match.state import Watch

Paths: TypeAlias = tuple[str, ...]
_FEATURES = {feature: kept.name for feature, kept in STORED_FEATURES.items()}


@dataclass(frozen=True)
class Coverage:
    """What a source with given columns can show.

    Attributes:
        layers: layer name to whether the source has any column of it.
        answerable: how many indicators the source's columns can decide, in part at least.
        not_answerable: indicator id to the STIX object paths that no column answers.
        partly: the same for indicators of which some alternatives can be decided and others not.
    """

    layers: Mapping[str, bool]
    answerable: int
    not_answerable: Mapping[str, Paths]
    partly: Mapping[str, Paths]


class Unanswered(Mapping[str, Paths]):
    """Ids of indicators to the paths they lack; ids are written only when they are asked for.

    Args:
        parts: rows of a segment with their paths, and what writes the ids of rows.
    """

    def __init__(self, parts: Sequence[tuple[Callable[[Rows], Any], Rows, Sequence[Paths]]]):
        self._parts = parts

    @cached_property
    def _all(self) -> dict[str, Paths]:
        found: dict[str, Paths] = {}
        for write, rows, paths in self._parts:
            ids = write(rows).to_pylist()
            found.update(zip(ids, paths if len(paths) > 1 else [*paths] * len(ids), strict=True))
        return dict(sorted(found.items()))

    def __getitem__(self, identifier: str) -> Paths:
        return self._all[identifier]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all)

    def __len__(self) -> int:
        return sum(len(rows) for _, rows, _ in self._parts)

    def __repr__(self) -> str:
        return repr(self._all)


def layers_of(columns: Collection[str]) -> dict[str, bool]:
    """Which layers a source with these columns shows."""
    stored = not set(_FEATURES.values()).isdisjoint(columns)
    return {
        name: not set(columns).isdisjoint(members) or (name == "prompt" and stored)
        for name, members in LAYERS.items()
    }


def shows(field: Field, columns: Collection[str]) -> bool:
    """Tell whether a source with these columns shows a field."""
    return field.column in columns or _FEATURES.get(field.derived or "", "") in columns


def lacking(
    segment: Segment, hidden: Mask | None, columns: Collection[str]
) -> tuple[list[tuple[Rows, Paths]], dict[int, Paths], dict[int, Paths]]:
    """Which indicators of a segment the source cannot answer.

    Returns:
        Simple ones by path, then complex ones and those that it can answer in part, by row.
    """
    simple: list[tuple[Rows, Paths]] = [
        (rows, (field.path,))
        for field, rows in segment.simple_counts(hidden)
        if not shows(field, columns) and len(rows)
    ]
    none: dict[int, Paths] = {}
    partly: dict[int, Paths] = {}
    answered = _answered(columns)
    watches = {watch.indicator: watch for watch in segment.complex.watches}
    for row, plan in segment.complex.plans.items():
        if hidden is not None and hidden[row]:
            continue
        asked = (*plan.paths, *_counted(watches.get(row)))
        missing = tuple(path for path in dict.fromkeys(asked) if path not in answered)
        if not _can_hold(segment, plan, columns, _counted(watches.get(row))):
            none[row] = missing
        elif missing:
            partly[row] = missing
    return simple, none, partly


def _answered(columns: Collection[str]) -> set[str]:
    found = {path for column in columns for path in PATHS.get(column, ())}
    for path in PATHS["prompt"]:
        if _FEATURES.get(path.rpartition(".")[2], "") in columns:
            found.add(path)
    return found


def _counted(watch: Watch | None) -> Paths:
    """The paths by whose values a pattern of several observations groups or counts."""
    if watch is None:
        return ()
    distinct = [watch.distinct_column] if watch.distinct_column else []
    return tuple(PATHS[column][0] for column in [*watch.group_columns, *distinct])


def _can_hold(segment: Segment, plan: Plan, columns: Collection[str], counted: Paths) -> bool:
    atoms = segment.complex.atoms
    decided = [one for one in plan.formulas if answerable(one.node, atoms, columns)]
    if plan.pattern is None:
        return bool(decided)
    if not _answered(columns).issuperset(counted):
        return False
    leaves = {one.leaf for one in decided}
    return satisfiable(plan.pattern, iter([leaf in leaves for leaf in range(plan.leaves)]))
