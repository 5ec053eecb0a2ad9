"""Closed JSON objects: the exact key set and the type of every member, or an InputError.

Source: schemas/channel-v1.md, "Canonical JSON".
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Collection
from itertools import pairwise
from typing import Any, Final

from hub.channel.primitives.hash import is_hash
from hub.errors import InputError
from hub.model.codec import Json

VERSION: Final = 1
SUITE: Final = "xwing.hkdfsha256.aes256gcm.cobblestone256.ed25519.mldsa65"
MAX_TIME: Final = 253402300799  # 9999-12-31T23:59:59Z
MAX_NUMBER: Final = 2**48
_MEMBER: Final = re.compile(
    r"identity--[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
)


class Fields:
    """One JSON object with a closed set of names.

    Args:
        value: the object; anything else is refused.
        where: what it is, for errors.
        names: exactly the names that it must have.
    Raises:
        InputError: not an object, or a name is missing or unknown.
    """

    def __init__(self, value: object, where: str, names: Collection[str]) -> None:
        if not isinstance(value, dict):
            raise InputError("an object is expected", where=where)
        if value.keys() != frozenset(names):
            missing = sorted(frozenset(names) - value.keys())
            unknown = len(value.keys() - frozenset(names))
            raise InputError(
                f"the names are not the expected ones: missing {missing}, {unknown} unknown",
                where=where,
            )
        self._value: Json = value
        self.where = where

    def raw(self, name: str) -> Any:
        """The value, unchecked."""
        return self._value[name]

    def at(self, name: str) -> str:
        """The place of a member, for errors."""
        return f"{self.where}.{name}"

    def integer(self, name: str, *, least: int = 0, most: int = MAX_NUMBER) -> int:
        """An integer within bounds."""
        value = self._value[name]
        if type(value) is not int or not least <= value <= most:
            raise InputError(f"an integer from {least} to {most} is expected", where=self.at(name))
        return value

    def time(self, name: str) -> int:
        """Seconds UTC since 1970."""
        return self.integer(name, most=MAX_TIME)

    def optional_time(self, name: str) -> int | None:
        """Seconds UTC since 1970, or null."""
        return None if self._value[name] is None else self.time(name)

    def text(self, name: str, *, most: int = 256) -> str:
        """A string of 1 to `most` characters without control characters."""
        value = self._value[name]
        if not isinstance(value, str) or not 1 <= len(value) <= most or not value.isprintable():
            raise InputError(f"1 to {most} printable characters are expected", where=self.at(name))
        return value

    def hash(self, name: str) -> str:
        """A hash or id: 64 lower-case hex digits."""
        value = self._value[name]
        if not isinstance(value, str) or not is_hash(value):
            raise InputError("64 lower-case hex digits are expected", where=self.at(name))
        return value

    def optional_hash(self, name: str) -> str | None:
        """A hash or id, or null."""
        return None if self._value[name] is None else self.hash(name)

    def member(self, name: str) -> str:
        """The STIX id of a member's identity."""
        value = self._value[name]
        if not isinstance(value, str) or not _MEMBER.fullmatch(value):
            raise InputError("the id of a STIX identity is expected", where=self.at(name))
        return value

    def one_of(self, name: str, choices: Collection[str]) -> str:
        """One of a closed set of strings."""
        value = self._value[name]
        if not isinstance(value, str) or value not in choices:
            raise InputError(f"one of {sorted(choices)} is expected", where=self.at(name))
        return value

    def array(self, name: str, *, most: int) -> list[Any]:
        """An array of at most `most` elements."""
        value = self._value[name]
        if not isinstance(value, list) or len(value) > most:
            raise InputError(f"an array of at most {most} is expected", where=self.at(name))
        return value

    def hashes(self, name: str, *, most: int) -> tuple[str, ...]:
        """An ascending array of distinct hashes."""
        values = self.array(name, most=most)
        if not all(is_hash(value) for value in values):
            raise InputError("64 lower-case hex digits are expected", where=self.at(name))
        check_ascending(values, self.at(name))
        return tuple(values)

    def data(self, name: str, *, size: int) -> bytes:
        """Canonical base64 of exactly `size` bytes."""
        value = self._value[name]
        if not isinstance(value, str):
            raise InputError("base64 text is expected", where=self.at(name))
        found = from_base64(value, where=self.at(name), most=size)
        if len(found) != size:
            raise InputError(f"{size} bytes are expected, not {len(found)}", where=self.at(name))
        return found


def is_member(value: object) -> bool:
    """Whether the value is the STIX id of an identity, in lower case."""
    return isinstance(value, str) and _MEMBER.fullmatch(value) is not None


def check_ascending(values: list[Any], where: str) -> None:
    """Require strictly ascending strings: sorted and without duplicates.

    Raises:
        InputError: they are not.
    """
    if any(left >= right for left, right in pairwise(values)):
        raise InputError("elements must ascend, without duplicates", where=where)


def to_base64(data: bytes) -> str:
    """Standard base64 with padding (RFC 4648, section 4)."""
    return base64.b64encode(data).decode("ascii")


def from_base64(text: str, *, where: str, most: int) -> bytes:
    """Decode standard base64, refusing every second spelling of the same bytes.

    Args:
        text: with padding, without white space.
        where: the place, for errors.
        most: refuse more than this many decoded bytes before decoding.
    Raises:
        InputError: not base64, not canonical, or too long.
    """
    if len(text) > (most + 2) // 3 * 4:
        raise InputError(f"more than {most} bytes", where=where)
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        raise InputError("not base64", where=where) from None
    if to_base64(data) != text:
        raise InputError("not canonical base64", where=where)
    return data
