"""A custodian's evaluation keys: made, sealed at rest, used, destroyed.

A key serves one fingerprint key of one channel. It is derived from a random seed (RFC 9497,
DeriveKeyPair) with channel and fingerprint key in its `info`, and only the sealed seed is stored.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Final

from hub.channel.custodians import Custodian, key_info
from hub.custody import audit
from hub.custody.folder import Folder
from hub.errors import AccessError, ConflictError, InputError
from hub.fingerprint.oblivious import SEED_SIZE, EvaluationKey

DEFAULT_DAYS: Final = 120
"""A quarter, and time for the indicators that were issued at its end."""
GRACE: Final = 7 * 86_400
"""An expired key is destroyed this many seconds later."""


@dataclass(frozen=True)
class KeyRow:
    """What is public of an evaluation key.

    Args:
        channel: channel id.
        key_id: the fingerprint key that it serves.
        public_key: 32 bytes.
        created: seconds UTC.
        expires: seconds UTC.
        destroyed_at: seconds UTC; None while the key is there.
    """

    channel: str
    key_id: str
    public_key: bytes
    created: int
    expires: int
    destroyed_at: int | None

    def state(self, now: int) -> str:
        """`live`, `expired` or `destroyed`."""
        if self.destroyed_at is not None:
            return "destroyed"
        return "live" if now <= self.expires else "expired"


class GoneError(AccessError):
    """The key was destroyed, or has expired; nobody evaluates under it again."""

    def __init__(self, row: KeyRow) -> None:
        destroyed = row.destroyed_at is not None
        text = f"was destroyed at {row.destroyed_at}" if destroyed else f"expired at {row.expires}"
        super().__init__(
            f"the custodian's key {text}",
            where=row.key_id,
            hint="pull; the owners issue live indicators again under a newer fingerprint key",
        )
        self.code = "destroyed" if destroyed else "expired"


def new_key(folder: Folder, channel: str, key_id: str, *, now: int, days: int) -> Custodian:
    """Make a key, and the row for the channel's owners.

    Raises:
        InputError: the channel is not served here, or the fingerprint key is not one of it.
        ConflictError: there is, or was, a key for it.
    """
    if not key_id.startswith(f"{channel[:16]}."):
        raise InputError("not a fingerprint key of this channel", where=key_id)
    if not folder.rows("SELECT 1 FROM channel WHERE channel_id=?", (channel,)):
        raise InputError(
            "this channel is not served here",
            where=channel[:16],
            hint="stillwatch custodian channel add",
        )
    if find_key(folder, channel, key_id) is not None:
        # A second key under one name would split the channel's tags.
        raise ConflictError("there is, or was, a key for it", where=key_id)
    info = key_info(channel, key_id)
    seed = secrets.token_bytes(SEED_SIZE)
    public = EvaluationKey(seed, info).public_key
    row = Custodian(folder.custodian_id, folder.url, key_id, public, now, now + days * 86_400)
    with folder.transaction():
        folder.run(
            "INSERT INTO evaluation_key VALUES (?,?,?,?,?,?,NULL)",
            (channel, key_id, public, folder.seal(seed, info), now, row.expires),
        )
        note = f"public key {public.hex()}, expires {row.expires}"
        audit.append(folder, audit.Entry(now, "key-created", channel, key=key_id, note=note))
    return row


def keys_of(folder: Folder, channel: str | None = None) -> list[KeyRow]:
    """The keys of a channel or of all, by channel and fingerprint key."""
    found = []
    for row in folder.rows(
        "SELECT channel_id, key_id, public_key, created, expires, destroyed_at FROM evaluation_key"
        " WHERE (? IS NULL OR channel_id=?) ORDER BY channel_id, key_id",
        (channel, channel),
    ):
        channel_id, key_id, public, created, expires, destroyed = row
        assert isinstance(public, bytes)
        assert isinstance(created, int)
        assert isinstance(expires, int)
        assert destroyed is None or isinstance(destroyed, int)
        found.append(KeyRow(str(channel_id), str(key_id), public, created, expires, destroyed))
    return found


def find_key(folder: Folder, channel: str, key_id: str) -> KeyRow | None:
    """One key, also a destroyed one."""
    return next((row for row in keys_of(folder, channel) if row.key_id == key_id), None)


def rows_of(folder: Folder, channel: str, now: int) -> tuple[Custodian, ...]:
    """The rows of a channel's live keys, for its owners."""
    return tuple(
        Custodian(
            folder.custodian_id, folder.url, key.key_id, key.public_key, key.created, key.expires
        )
        for key in keys_of(folder, channel)
        if key.state(now) == "live"
    )


def load_key(folder: Folder, row: KeyRow) -> EvaluationKey:
    """The private key.

    Raises:
        GoneError: it was destroyed.
        StoreError: it does not open.
    """
    if row.destroyed_at is not None:
        raise GoneError(row)
    found = folder.rows(
        "SELECT sealed FROM evaluation_key WHERE channel_id=? AND key_id=?",
        (row.channel, row.key_id),
    )
    sealed = found[0][0] if found else None
    if not isinstance(sealed, bytes):
        raise GoneError(row)
    info = key_info(row.channel, row.key_id)
    return EvaluationKey(folder.unseal(sealed, info), info)


def destroy_key(folder: Folder, channel: str, key_id: str, *, now: int, why: str) -> KeyRow:
    """Overwrite a key, write the database anew without it, and say so in the audit.

    What a disk or a back-up keeps of old blocks is out of reach; it is sealed.

    Raises:
        InputError: no such key.
        GoneError: it was destroyed before.
    """
    row = find_key(folder, channel, key_id)
    if row is None:
        raise InputError("no such key", where=key_id, hint="stillwatch custodian key list")
    if row.destroyed_at is not None:
        raise GoneError(row)
    where = (channel, key_id)
    with folder.transaction():
        folder.run(
            "UPDATE evaluation_key SET sealed=zeroblob(length(sealed)), destroyed_at=?"
            " WHERE channel_id=? AND key_id=?",
            (now, *where),
        )
        audit.append(folder, audit.Entry(now, "key-destroyed", channel, key=key_id, note=why))
    with folder.transaction():
        folder.run("UPDATE evaluation_key SET sealed=NULL WHERE channel_id=? AND key_id=?", where)
    folder.vacuum()
    return KeyRow(row.channel, key_id, row.public_key, row.created, row.expires, now)


def destroy_expired(folder: Folder, *, now: int, grace: int = GRACE) -> list[KeyRow]:
    """Destroy every key whose expiry is longer ago than the grace."""
    return [
        destroy_key(folder, row.channel, row.key_id, now=now, why="expired")
        for row in keys_of(folder)
        if row.destroyed_at is None and now > row.expires + grace
    ]
