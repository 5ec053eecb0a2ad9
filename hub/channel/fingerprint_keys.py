"""Fingerprint keys and the plaintext of a `keys` message.

Source: schemas/channel-v1.md, "Fingerprint keys".
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from hub.channel.custodians import MAX_ROWS, Custodian, parse_rows
from hub.channel.fields import Fields, check_ascending, to_base64
from hub.errors import InputError
from hub.model.codec import canonical, loads_canonical

SECRET_SIZE: Final = 32
MAX_KEYS: Final = 256
_MAX_PLAIN: Final = 256 * 1024
_KEY_ID: Final = re.compile(r"[a-z0-9][a-z0-9._-]{2,63}")


@dataclass(frozen=True)
class FingerprintSecret:
    """A key under which members tokenise identifiers; its text form hides the secret.

    Args:
        key_id: `<first 16 hex digits of the channel id>.<year>q<quarter>`, with a suffix such as
            `-2` when it was replaced inside a quarter.
        secret: 32 bytes.
        created: seconds UTC.
        expires: after when no indicator may be issued under it; None: until replaced.
        live: whether new indicators are issued under it; else it only explains older ones.
    Raises:
        InputError: the id or the length of the secret is wrong.
    """

    key_id: str
    secret: bytes = field(repr=False)
    created: int
    expires: int | None = None
    live: bool = True

    def __post_init__(self) -> None:
        if not _KEY_ID.fullmatch(self.key_id):
            raise InputError("not a fingerprint key id", where="keys.id")
        if len(self.secret) != SECRET_SIZE:
            raise InputError(f"a fingerprint key has {SECRET_SIZE} bytes", where="keys.secret")


@dataclass(frozen=True)
class KeySet:
    """What a `keys` message says.

    Args:
        keys: ascending by id.
        custodians: none or two for each of the keys, ascending by (key, id); a key that has two
            serves oblivious tokens as well as keyed ones.
    """

    keys: tuple[FingerprintSecret, ...]
    custodians: tuple[Custodian, ...] = ()

    def custodians_of(self, key_id: str) -> tuple[Custodian, ...]:
        """The custodians of one fingerprint key: none or two, ascending by id."""
        return tuple(row for row in self.custodians if row.key_id == key_id)


def keys_to_bytes(
    keys: Sequence[FingerprintSecret], channel: str, custodians: Sequence[Custodian] = ()
) -> bytes:
    """The plaintext of a `keys` message in a channel.

    Raises:
        InputError: none, too many, two of one id, one that is named for another channel, or
            custodians that are not two for a key that is among them.
    """
    rows = [
        {
            "id": key.key_id,
            "secret": to_base64(key.secret),
            "created": key.created,
            "expires": key.expires,
            "live": key.live,
        }
        for key in sorted(keys, key=lambda key: key.key_id)
    ]
    held = sorted(custodians, key=lambda row: (row.key_id, row.custodian_id))
    data = canonical({"custodians": [row.to_json() for row in held], "keys": rows})
    key_set_from_bytes(data, channel)
    return data


def keys_from_bytes(data: bytes, channel: str) -> list[FingerprintSecret]:
    """The keys in the plaintext of a `keys` message in a channel.

    Raises:
        InputError: as `key_set_from_bytes`.
    """
    return list(key_set_from_bytes(data, channel).keys)


def key_set_from_bytes(data: bytes, channel: str) -> KeySet:
    """Read the plaintext of a `keys` message in a channel.

    Raises:
        InputError: the form is wrong, a key is named for another channel, or a custodian serves
            a key that is not among them.
    """
    fields = Fields(
        loads_canonical(data, where="keys", max_bytes=_MAX_PLAIN), "keys", ("custodians", "keys")
    )
    keys = _parse_keys(fields, channel)
    where = fields.at("custodians")
    custodians = parse_rows(fields.array("custodians", most=MAX_ROWS), where)
    known = {key.key_id for key in keys}
    if any(row.key_id not in known for row in custodians):
        raise InputError("serves a key that is not among the keys", where=where)
    return KeySet(tuple(keys), custodians)


def _parse_keys(fields: Fields, channel: str) -> list[FingerprintSecret]:
    name = re.compile(rf"{channel[:16]}\.[0-9]{{4}}q[1-4](-[1-9][0-9]{{0,3}})?")
    keys = []
    for number, value in enumerate(fields.array("keys", most=MAX_KEYS)):
        row = Fields(value, f"keys[{number}]", ("id", "secret", "created", "expires", "live"))
        if not name.fullmatch(row.text("id", most=64)):
            raise InputError("a key of this channel is expected", where=row.at("id"))
        if not isinstance(row.raw("live"), bool):
            raise InputError("true or false is expected", where=row.at("live"))
        keys.append(
            FingerprintSecret(
                key_id=row.text("id", most=64),
                secret=row.data("secret", size=SECRET_SIZE),
                created=row.time("created"),
                expires=row.optional_time("expires"),
                live=row.raw("live"),
            )
        )
    if not keys:
        raise InputError("at least one key is expected", where="keys")
    check_ascending([key.key_id for key in keys], "keys")
    return keys
