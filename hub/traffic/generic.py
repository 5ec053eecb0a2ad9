"""Column names of the generic formats, and mappings from others."""

from __future__ import annotations

import re
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


SHOWN: Final = tuple(ALIASES.get(name, (name,))[0] for name in NAMES)
"""What the columns are called when they are listed, one name each."""
HINT: Final = f"our names are {', '.join(SHOWN)}"
"""Names of generic columns, for an error."""
_MATCHES: Final = frozenset({"indicator_id", "indicator_modified", "event_id"})
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_ .()/-]{0,39}")
_DIGITS: Final = 4
_LISTED: Final = 20


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
            hint=HINT,
        )
    return column


def wanted(mapping: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """TRAFFIC column to field names, the mapping's own where it has one."""
    return {
        column: (mapping[column],) if column in mapping else names
        for column, names in NAMES.items()
    }


def listed(present: Collection[str]) -> str:
    """The names that a file has, for an error; nothing where they may be values.

    A file without a header begins with a record, which must not be shown: its time is no name.
    """
    names = list(present)
    if len(names) < 2 or not all(map(_is_name, names)):
        return ""
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return "; the file has " + ", ".join(names[:_LISTED]) + more


def unused(present: Collection[str], used: Collection[str]) -> tuple[str, ...]:
    """The fields of a source that fill no column; none are told where they may be values."""
    if not all(map(_is_name, present)):
        return ()
    return tuple(name for name in present if name not in used)


def _is_name(text: str) -> bool:
    return _NAME.fullmatch(text) is not None and sum(map(str.isdigit, text)) <= _DIGITS


def check(
    mapping: Mapping[str, str], found: Collection[str], present: Collection[str], where: str
) -> None:
    """Refuse a source of which nothing could be matched.

    Args:
        found: TRAFFIC columns that the source fills.
        present: its fields, for the error.
    Raises:
        InputError: it is a file of matches, it has no time, or nothing beside time and id.
    """
    if set(present) >= _MATCHES:
        raise InputError("a file of matches, not a log", where=where)
    if "observed_at" not in found:
        given = mapping.get("observed_at")
        raise InputError(
            ("no field" if given is None else f"no field '{given}'")
            + " holds the time of an exchange"
            + listed(present),
            where=where,
            hint="--map timestamp=NAME, where NAME is the field that holds it; " + HINT,
        )
    if set(found) <= {"observed_at", "event_id"}:
        raise InputError(
            "no field is known but the time" + listed(present),
            where=where,
            hint="--map account_id=NAME,client_ip=NAME,prompt=NAME; " + HINT,
        )


def resolve(mapping: Mapping[str, str], present: Collection[str], where: str) -> dict[str, str]:
    """TRAFFIC column to the field that fills it, for a source whose fields are known.

    Raises:
        InputError: a mapped field is not there, or `check` finds that nothing could be matched.
    """
    for column, field in mapping.items():
        if field not in present:
            raise InputError(
                f"no column '{field}' for {column}" + listed(present), where=where, hint=HINT
            )
    found = {
        column: next(name for name in names if name in present)
        for column, names in wanted(mapping).items()
        if any(name in present for name in names)
    }
    check(mapping, found, present, where)
    return found


def looks_generic(present: Collection[str], mapping: Mapping[str, str]) -> bool:
    """Whether fields are named as ours: a time and at least one more column."""
    known = {
        column
        for column, names in wanted(mapping).items()
        if any(name in present for name in names)
    }
    return "observed_at" in known and len(known) > 1
