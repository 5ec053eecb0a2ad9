"""The statement of a page, with the index that it uses stated rather than guessed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from hub.store.objects import UNVERSIONED
from hub.store.sql import Dialect
from hub.taxii.filters import LAST, NEWEST_SPEC_VERSION, Filters

_NEWEST_SPEC: Final = (
    "o.spec_version = (SELECT max(n.spec_version) FROM object n"
    " WHERE n.collection_key = :key AND n.object_id = o.object_id)"
)
_ENTRY: Final = "date_added, object_id, version_text, object_type, spec_version"


@dataclass(frozen=True, slots=True)
class Selection:
    """Which rows of a collection: key, position (exclusive, microseconds), filters.

    `dialect` is that of the engine that reads them.
    """

    key: int
    position: int | None
    filters: Filters
    dialect: Dialect

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
                conditions.append(f"{column} {self._within(prefix, len(elements))}")
        version = self._version_condition()
        if version is not None:
            conditions.append(version)
        if not filters.spec_versions and filters.versions != LAST:
            conditions.append(_NEWEST_SPEC)
        where = " AND ".join(conditions)
        if self.dialect.hints:
            return f"FROM object o INDEXED BY {self._index} WHERE {where}"
        if not filters.ids:
            return f"FROM object o WHERE {where}"
        # The fence keeps the planner from reading a collection in order until some object turns up.
        return f"FROM (SELECT o.* FROM object o WHERE {where} OFFSET 0) o"

    @property
    def values(self) -> dict[str, object]:
        """The named parameters of `source`."""
        filters = self.filters
        values: dict[str, object] = {"key": self.key}
        if filters.versions.times:
            values["unversioned"] = UNVERSIONED
        if self.position is not None:
            values["position"] = self.position
        for prefix, elements in (
            ("id", filters.ids),
            ("type", filters.types),
            ("spec", filters.spec_versions),
            ("time", filters.versions.times),
        ):
            self._number(values, prefix, elements)
        return values

    @property
    def _index(self) -> str:
        if self.filters.ids:
            return "ux_object_version"
        marked = self._last_is_marked and self.filters.versions == LAST
        return "ix_object_last" if marked else "ux_object_added"

    @property
    def _last_is_marked(self) -> bool:
        """Whether `is_last` marks what `last` means among the wanted specification versions."""
        return self.filters.spec_versions <= {NEWEST_SPEC_VERSION}

    @property
    def _marked(self) -> str:
        # Written so that it does not match the partial index, a planner without statistics reads
        # objects by their ids along no other index than theirs.
        unmatched = self.filters.ids and not self.dialect.hints
        return "CASE WHEN o.is_last THEN true ELSE false END" if unmatched else "o.is_last"

    @property
    def _same_object(self) -> str:
        """Conditions that make `e` one of the wanted specification versions of the object `o`."""
        wanted = self.filters.spec_versions
        return (
            "FROM object e WHERE e.collection_key = :key AND e.object_id = o.object_id"
            " AND e.spec_version"
            f" {self._within('spec', len(wanted)) if wanted else '= o.spec_version'}"
        )

    def _version_condition(self) -> str | None:
        wanted = self.filters.versions
        if wanted.every:
            return None
        parts: list[str] = []
        if wanted.last:
            parts.append(
                self._marked
                if self._last_is_marked
                else f"NOT EXISTS (SELECT 1 {self._same_object} AND e.version > o.version)"
            )
        if wanted.first:
            parts.append(f"NOT EXISTS (SELECT 1 {self._same_object} AND e.version < o.version)")
        if wanted.times:
            within = self._within("time", len(wanted.times))
            parts.append(
                f"(o.version {within} OR o.version = :unversioned AND o.date_added {within})"
            )
        # A lone term is not wrapped: the partial index is matched by its text.
        return parts[0] if len(parts) == 1 else f"({' OR '.join(parts)})" if parts else "1 = 0"

    def _within(self, prefix: str, count: int) -> str:
        if self.dialect.arrays:
            return f"= ANY(:{prefix}s)"
        return f"IN ({', '.join(f':{prefix}{number}' for number in range(count))})"

    def _number(
        self, values: dict[str, object], prefix: str, elements: Iterable[str | int]
    ) -> None:
        if self.dialect.arrays:
            found = list(elements)
            if found:
                values[f"{prefix}s"] = found
            return
        for number, element in enumerate(elements):
            values[f"{prefix}{number}"] = element


def select(
    selection: Selection, limit: int, *, body: bool, room: int | None = None
) -> tuple[str, dict[str, object]]:
    """The statement and its parameters, giving `Row`s (with `body`) or `Entry`s.

    Args:
        selection: which rows.
        limit: how many at most.
        body: whether with bodies.
        room: bytes of bodies after which an engine that sends all rows at once may stop; one row
            beyond is sent.
    """
    columns = f"{_ENTRY}, body" if body else _ENTRY
    statement = f"SELECT {columns} {selection.source} ORDER BY o.date_added LIMIT :limit"
    values = {**selection.values, "limit": limit}
    if room is None or selection.dialect.streams:
        return statement, values
    weighed = (
        f"SELECT {columns}, row_number() OVER w AS place,"
        f" sum(octet_length(body)) OVER w - octet_length(body) AS before FROM ({statement}) p"
        " WINDOW w AS (ORDER BY date_added ROWS UNBOUNDED PRECEDING)"
    )
    kept = "before <= :room OR place = 2"
    return (
        f"SELECT {columns} FROM ({weighed}) q WHERE {kept} ORDER BY date_added",
        {**values, "room": room},
    )


def select_keys(selection: Selection) -> tuple[str, dict[str, object]]:
    """The statement and its parameters, giving date_added, which names a row of a collection."""
    return f"SELECT o.date_added {selection.source}", selection.values
