"""`--map` of every command: pairs of one of our names and the name that a file uses for it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final

from hub.errors import InputError
from hub.traffic.account_rows import COLUMNS
from hub.traffic.generic import COLUMN_OF

MAP: Final = "--map"
ACCOUNTS_MAP: Final = "--accounts-map"


def log_mapping(texts: Sequence[str]) -> dict[str, str]:
    """TRAFFIC column to the log's own field, from `match --map`."""
    return pairs(texts, COLUMN_OF, MAP)


def accounts_mapping(texts: Sequence[str]) -> dict[str, str]:
    """Our column to the customer table's, from `match --accounts-map`."""
    return pairs(texts, {name: name for name in COLUMNS}, ACCOUNTS_MAP)


def table_mapping(texts: Sequence[str], fields: Collection[str]) -> dict[str, str]:
    """The file's column to our field, from `publish --map`.

    Raises:
        InputError: as `pairs` does, and for one column that should fill two fields.
    """
    columns: dict[str, str] = {}
    for field, column in pairs(texts, {name: name for name in fields}, MAP).items():
        if column in columns:
            raise InputError(f"'{column}' is mapped to {columns[column]} and to {field}", where=MAP)
        columns[column] = field
    return columns


def pairs(texts: Sequence[str], known: Mapping[str, str], option: str) -> dict[str, str]:
    """Read `name=name,name=name`, in which one side of each pair is one of our names.

    Which side that is says the name; where both are ours, the left one is.

    Args:
        texts: one of each time that the option was given; they add up.
        known: each of our names to the column that it means.
        option: for errors.
    Returns:
        Our column to the file's name.
    Raises:
        InputError: a pair that is none, of which no side is ours, or that says a column again.
    """
    ours = ", ".join(sorted(known))
    found: dict[str, str] = {}
    for pair in (part.strip() for text in texts for part in text.split(",") if part.strip()):
        left, equals, right = (side.strip() for side in pair.partition("="))
        if not (left and equals and right):
            raise InputError(
                f"'{pair}' is not OURS=THEIRS", where=option, hint=f"our names are {ours}"
            )
        if left not in known:
            left, right = right, left
        if left not in known:
            raise InputError(
                f"neither side of '{pair}' is a name of ours",
                where=option,
                hint=f"our names are {ours}",
            )
        column = known[left]
        if column in found:
            raise InputError(
                f"'{pair}': {left} is already mapped to '{found[column]}'", where=option
            )
        found[column] = right
    return found
