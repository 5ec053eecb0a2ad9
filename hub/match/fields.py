"""What of an event a pattern can ask for: the STIX paths that TRAFFIC columns answer."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

from hub.match.schema import PATHS, TRAFFIC_SCHEMA


class Kind(enum.Enum):
    """How the values of a field are held and looked up."""

    TEXT = enum.auto()
    TEXTS = enum.auto()
    NUMBER = enum.auto()
    TIME = enum.auto()
    ADDRESS = enum.auto()
    BANDS = enum.auto()


@dataclass(frozen=True, slots=True)
class Field:
    """A STIX path that a TRAFFIC column answers.

    Attributes:
        derived: which feature of the column's value, or None for the value itself.
    """

    path: str
    object_type: str
    column: str
    kind: Kind
    derived: str | None = None


def _field(column: str, path: str) -> Field:
    object_type = path.partition(":")[0]
    if column == "client_ip":
        return Field(path, object_type, column, Kind.ADDRESS)
    if column == "prompt":
        feature = path.rpartition(".")[2]
        kind = Kind.BANDS if feature == "lsh_bands[*]" else Kind.TEXT
        return Field(path, object_type, column, kind, None if feature == "text" else feature)
    stored = str(TRAFFIC_SCHEMA.field(column).type)
    kinds = {"int64": Kind.NUMBER, "timestamp[us, tz=UTC]": Kind.TIME, "string": Kind.TEXT}
    return Field(path, object_type, column, kinds.get(stored, Kind.TEXTS))


FIELDS: Final[dict[str, Field]] = {
    path: _field(column, path) for column, paths in PATHS.items() for path in paths
}
"""The fields by the canonical spelling of their path."""
