"""The statement of a page, with the index that it uses stated rather than guessed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from hub.store.objects import UNVERSIONED
from hub.taxii.filters import LAST, Filters

_ENTRY: Final = "date_added, object_id, version_text, object_type, spec_version"


@dataclass(frozen=True, slots=True)
class Selection:
    """Which rows of a collection: key, position (exclusive, microseconds), filters."""

    key: int
    position: int | None
    filters: Filters

    @property
    def source(self) -> str:
        """`FROM ... WHERE ...`, made of fixed text and named parameters only."""
        conditions = ["o.collection_key = :key"]
        if self.position is not None:
            conditions.append("o.date_added > :position")
        filters = self.filters
        for column, prefix, elements in (
            ("o.object_id", "id", filters.ids),
            ("o.object_type", "type", filters.types),
            ("o.spec_version", "spec", filters.spec_versions),
        ):
            if elements:
                conditions.append(f"{column} IN ({_names(prefix, len(elements))})")
        version = self._version_condition()
        if version is not None:
            conditions.append(version)
        return f"FROM object o INDEXED BY {self._index} WHERE " + " AND ".join(conditions)

    @property
    def values(self) -> dict[str, object]:
        """The named parameters of `source`."""
        filters = self.filters
        values: dict[str, object] = {"key": self.key, "unversioned": UNVERSIONED}
        if self.position is not None:
            values["position"] = self.position
        _number(values, "id", filters.ids)
        _number(values, "type", filters.types)
        _number(values, "spec", filters.spec_versions)
        _number(values, "time", filters.versions.times)
        return values

    @property
    def _index(self) -> str:
        if self.filters.ids:
            return "ux_object_version"
        return "ix_object_last" if self.filters.versions == LAST else "ux_object_added"

    def _version_condition(self) -> str | None:
        wanted = self.filters.versions
        if wanted.every:
            return None
        parts: list[str] = []
        if wanted.last:
            parts.append("o.is_last")
        if wanted.first:
            parts.append(
                "NOT EXISTS (SELECT 1 FROM object e WHERE e.collection_key = o.collection_key"
                " AND e.object_id = o.object_id AND e.version < o.version)"
            )
        if wanted.times:
            names = _names("time", len(wanted.times))
            parts.append(
                f"(o.version IN ({names})"
                f" OR o.version = :unversioned AND o.date_added IN ({names}))"
            )
        # A lone term is not wrapped: the partial index is matched by its text.
        return parts[0] if len(parts) == 1 else f"({' OR '.join(parts)})" if parts else "0"


def select(selection: Selection, limit: int, *, body: bool) -> tuple[str, dict[str, object]]:
    """The statement and its parameters, giving `Row`s (with `body`) or `Entry`s."""
    columns = f"{_ENTRY}, body" if body else _ENTRY
    statement = f"SELECT {columns} {selection.source} ORDER BY o.date_added LIMIT :limit"
    return statement, {**selection.values, "limit": limit}


def select_keys(selection: Selection) -> tuple[str, dict[str, object]]:
    """The statement and its parameters, giving the rows' own keys."""
    return f"SELECT o.seq {selection.source}", selection.values


def _names(prefix: str, count: int) -> str:
    return ", ".join(f":{prefix}{number}" for number in range(count))


def _number(values: dict[str, object], prefix: str, elements: Iterable[str | int]) -> None:
    for number, element in enumerate(elements):
        values[f"{prefix}{number}"] = element
