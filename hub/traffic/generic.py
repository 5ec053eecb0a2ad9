"""Column names of the generic formats, and mappings from others."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from hub.errors import InputError
from hub.match.schema import TRAFFIC_SCHEMA

ALIASES: Final[dict[str, tuple[str, ...]]] = {
    "observed_at": ("timestamp",),
    "event_id": ("request_id",),
    "provider_name": ("provider",),
    "request_model": ("model",),
}
"""TRAFFIC column to the names that people use for it."""
NAMES: Final[dict[str, tuple[str, ...]]] = {
    field.name: (field.name, *ALIASES.get(field.name, ())) for field in TRAFFIC_SCHEMA
}
"""TRAFFIC column to the field names that fill it without a mapping, the first present wins."""
COLUMN_OF: Final[dict[str, str]] = {
    name: column for column, names in NAMES.items() for name in names
}
"""Every name of `NAMES` to its TRAFFIC column."""


def canonical(name: str) -> str:
    """The TRAFFIC column that a name means.

    Raises:
        InputError: it means none.
    """
    column = COLUMN_OF.get(name)
    if column is None:
        raise InputError(
            f"there is no column '{name}'",
            where="--map",
            hint="columns: " + ", ".join(sorted(COLUMN_OF)),
        )
    return column


def wanted(mapping: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """TRAFFIC column to field names, the mapping's own where it has one."""
    return {
        column: (mapping[column],) if column in mapping else names
        for column, names in NAMES.items()
    }


def resolve(mapping: Mapping[str, str], present: Collection[str], where: str) -> dict[str, str]:
    """TRAFFIC column to the field that fills it, for a source whose fields are known.

    Raises:
        InputError: a mapped field is not there, or no field holds the time.
    """
    for column, field in mapping.items():
        if field not in present:
            raise InputError(f"no field for {column} under the name in --map", where=where)
    found = {
        column: next(name for name in names if name in present)
        for column, names in wanted(mapping).items()
        if any(name in present for name in names)
    }
    if "observed_at" not in found:
        raise InputError(
            "no field holds the time of an exchange",
            where=where,
            hint="--map timestamp=NAME, where NAME is the field that holds it",
        )
    return found


def looks_generic(present: Collection[str], mapping: Mapping[str, str]) -> bool:
    """Whether fields are named as ours: a time and at least one more column."""
    known = {
        column
        for column, names in wanted(mapping).items()
        if any(name in present for name in names)
    }
    return "observed_at" in known and len(known) > 1
