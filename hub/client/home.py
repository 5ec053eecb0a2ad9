"""An organisation's home: a folder with its keys and its local state."""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from hub.channel.epoch import EpochSecrets
from hub.channel.fields import is_member
from hub.channel.primitives import rest
from hub.channel.seal import FingerprintSecret
from hub.channel.verify import TrustedChannel
from hub.client import logins
from hub.client.keyring import (
    KEY_FILE,
    KEYRING_FILE,
    Keyring,
    Unlock,
    make_key_file,
    read_outer,
)
from hub.client.releases import Releases
from hub.client.rows import ChannelRow, ObjectRow
from hub.client.state import LAPSED, State
from hub.client.transport import HubAccount
from hub.client.unlock import BY_KEY_FILE, PASSPHRASE
from hub.errors import ConflictError, InputError, StoreError
from hub.fingerprint.tokens import FingerprintKey
from hub.model.codec import Json, canonical, loads
from hub.settings import ClientSettings

_LOCK_FILE: Final = "lock"
_POLL_S: Final = 0.1


class Home:
    """The folder of one organisation: keyring (encrypted), state (SQLite), one lock.

    Make one with `create` or `open`; use it as a context manager. The folder has mode 0700, its
    files 0600.
    """

    STATE_FILE: Final = "state.sqlite"

    def __init__(
        self, path: Path, keyring: Keyring, unlock: Unlock, state: State, settings: ClientSettings
    ) -> None:
        self.path = path
        self.keyring = keyring
        self.state = state
        self.settings = settings
        self._unlock = unlock
        self._lock_depth = 0
        self._verified: dict[str, tuple[bytes, TrustedChannel]] = {}
        self._closing: list[Callable[[], None]] = []
        self._read_at = _written_at(path)

    @property
    def member_id(self) -> str:
        """This organisation's STIX identity id."""
        return self.keyring.member

    @property
    def organisation(self) -> str:
        """This organisation's name."""
        return self.keyring.organisation

    @staticmethod
    def exists(path: Path) -> bool:
        """Whether a home was made at that place."""
        return (path / KEYRING_FILE).is_file()

    @staticmethod
    def opens_with(path: Path) -> str:
        """`passphrase` or `key-file`.

        Raises:
            InputError: there is no home, or its keyring is damaged.
        """
        return str(read_outer(path).get("unlock"))

    @classmethod
    def create(
        cls,
        path: Path,
        organisation: str,
        unlock: Unlock,
        *,
        now: int,
        settings: ClientSettings | None = None,
        member: str | None = None,
    ) -> Home:
        """Make keys and an empty state.

        Args:
            member: the STIX id that this organisation had, after the loss of its root; None: new.
        Raises:
            ConflictError: a home is there already.
            InputError: the organisation has no usable name.
            StoreError: the disk refuses.
        """
        settings = settings or ClientSettings()
        name = organisation.strip()
        if not name or len(name) > 200 or not name.isprintable():
            raise InputError("an organisation's name has 1 to 200 printable characters")
        if member is not None and not is_member(member):
            raise InputError("the id of a STIX identity is expected", where="--member")
        if cls.exists(path):
            raise ConflictError(
                "an organisation's home is here already", where=str(path), hint="--home DIR"
            )
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.chmod(0o700)
        except OSError as error:
            raise StoreError(f"cannot be made: {error.strerror}", where=str(path)) from error
        keyring = Keyring.new(
            member or f"identity--{uuid.uuid4()}",
            name,
            now=now,
            card_lifetime_s=settings.card_lifetime_s,
        )
        if unlock.secret is None:
            make_key_file(path)
        # The keyring comes last: without it the folder is no home, and `init` may run again.
        with contextlib.suppress(FileNotFoundError):
            (path / cls.STATE_FILE).unlink()
        State.open(path / cls.STATE_FILE, create=True).close()
        keyring.save(path, unlock)
        return cls.open(path, unlock, settings=settings)

    @classmethod
    def open(cls, path: Path, unlock: Unlock, *, settings: ClientSettings | None = None) -> Home:
        """Open an existing home.

        Raises:
            InputError: there is none.
            AccessError: the keys do not open.
            StoreError: the state cannot be read.
        """
        keyring = Keyring.load(path, unlock)
        state = State.open(path / cls.STATE_FILE)
        return cls(path, keyring, unlock, state, settings or ClientSettings())

    def close(self) -> None:
        """Close the state, and what was opened on the home's behalf."""
        while self._closing:
            self._closing.pop()()
        self.state.close()

    def on_close(self, action: Callable[[], None]) -> None:
        """Run `action` when the home is closed."""
        self._closing.append(action)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Only one process at a time signs with these keys; two would fork the message chain.

        Raises:
            ConflictError: another process holds the home for longer than we wait.
        """
        if self._lock_depth:
            self._lock_depth += 1
            try:
                yield
            finally:
                self._lock_depth -= 1
            return
        descriptor = os.open(self.path / _LOCK_FILE, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            self._acquire(descriptor)
            self._lock_depth = 1
            if _written_at(self.path) != self._read_at:
                # Another process renewed the card since this one opened the home.
                self.keyring = Keyring.load(self.path, self._unlock)
                self._read_at = _written_at(self.path)
            yield
        finally:
            self._lock_depth = 0
            os.close(descriptor)

    def _acquire(self, descriptor: int) -> None:
        deadline = time.monotonic() + self.settings.lock_wait_s
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise ConflictError(
                        "another stillwatch process works with this home",
                        where=str(self.path),
                        hint="wait until it ends; two at once would fork the message chain",
                    ) from None
                time.sleep(_POLL_S)
            else:
                return

    def replace_keyring(self, keyring: Keyring) -> None:
        """Store changed keys; the caller holds the lock."""
        keyring.save(self.path, self._unlock)
        self.keyring = keyring
        self._read_at = _written_at(self.path)

    def rewrap(self, unlock: Unlock) -> None:
        """Let something else open the keyring from now on: the old file, or the new, never a part.

        Raises:
            ConflictError: the key file opens it already, or another process holds the home.
            StoreError: the disk refuses.
        """
        with self.locked():
            if unlock.kind == BY_KEY_FILE:
                if self._unlock.kind == BY_KEY_FILE:
                    raise ConflictError("the key file opens it already", where=str(self.path))
                make_key_file(self.path)
            self.keyring.save(self.path, unlock)
            self._unlock = unlock
            self._read_at = _written_at(self.path)
            if unlock.kind == PASSPHRASE:
                # Last: while the keyring was still under it, it was needed.
                (self.path / KEY_FILE).unlink(missing_ok=True)

    # Secrets

    def put_secret(self, channel_id: str, kind: str, name: str, plain: bytes, at: int) -> None:
        """Seal a secret into the state; its place is bound to it."""
        sealed = rest.wrap_with_key(
            plain, self.keyring.state_key, context=_context(channel_id, kind, name)
        )
        self.state.put_secret(channel_id, kind, name, sealed, at)

    def secrets(self, channel_id: str, kind: str) -> dict[str, bytes]:
        """Opened secrets of a kind by name."""
        return {
            name: rest.unwrap_with_key(
                sealed, self.keyring.state_key, context=_context(channel_id, kind, name)
            )
            for name, sealed in self.state.secrets(channel_id, kind).items()
        }

    def epoch_secrets(self, channel_id: str) -> dict[int, EpochSecrets]:
        """Epoch number -> the secrets that this member could unwrap."""
        return {
            int(name): EpochSecrets.from_bytes(plain)
            for name, plain in self.secrets(channel_id, "epoch").items()
        }

    def fingerprint_secrets(self, channel_id: str) -> list[FingerprintSecret]:
        """The channel's fingerprint keys, oldest first."""
        found = []
        for name, plain in self.secrets(channel_id, "fingerprint").items():
            fields = loads(plain)
            found.append(
                FingerprintSecret(
                    key_id=name,
                    secret=bytes.fromhex(fields["secret"]),
                    created=fields["created"],
                    expires=fields["expires"],
                    live=fields["live"],
                )
            )
        return sorted(found, key=lambda each: (each.created, each.key_id))

    def put_fingerprint_secret(self, channel_id: str, key: FingerprintSecret, at: int) -> None:
        """Store a fingerprint key, or its changed dates."""
        plain = canonical(
            {
                "secret": key.secret.hex(),
                "created": key.created,
                "expires": key.expires,
                "live": key.live,
            }
        )
        self.put_secret(channel_id, "fingerprint", key.key_id, plain, at)

    def fingerprint_keys(self) -> list[FingerprintKey]:
        """Every fingerprint key of every channel: tokens made under any of them can be matched."""
        return [
            FingerprintKey(each.key_id, each.secret)
            for channel in self.state.channels()
            for each in self.fingerprint_secrets(channel.channel_id)
        ]

    # Hubs and channels

    def put_account(self, account: HubAccount, *, stillwatch: bool) -> None:
        """Store how to enter a hub; token and secret are sealed."""
        self.state.put_hub(logins.sealed(account, self.keyring.state_key, stillwatch=stillwatch))

    def account(self, api_root: str) -> HubAccount:
        """How to enter a hub.

        Raises:
            InputError: this home has no account there.
            VerificationError: what is stored of it was altered.
        """
        row = self.state.hub(api_root)
        if row is None:
            raise InputError("no account on this hub", where=api_root)
        return logins.opened(row, self.keyring.state_key, self.path)

    def is_stillwatch(self, api_root: str) -> bool:
        """Whether the server behind this API root is a Stillwatch hub."""
        row = self.state.hub(api_root)
        return row is not None and row.stillwatch

    def trusted(self, channel: ChannelRow) -> TrustedChannel:
        """What is verified of a channel so far.

        Raises:
            ConflictError: nothing yet: the owner has not approved, or no pull was made.
        """
        if channel.trusted is None:
            raise ConflictError(
                "nothing of this channel was received yet",
                where=channel.name,
                hint="after the owner has approved your request: stillwatch pull",
            )
        return TrustedChannel.restore(channel.trusted)

    def observes_only(self) -> bool:
        """Whether this member is a liaison wherever it is in: its keys open aggregates alone."""
        roles: set[str] = set()
        for channel in self.state.channels():
            if channel.trusted is not None:
                entry = self.trusted(channel).manifest.member(self.member_id)
                roles |= {str(each) for each in entry.roles} if entry else set()
        return "liaison" in roles and "read" not in roles

    def indicator_objects(
        self, now: int | None = None, *, decode: Callable[[bytes], Json] = loads
    ) -> Iterator[Json]:
        """Latest version of every object opened, over all channels.

        Indicators, campaigns, relationships, identities, infrastructure ...; a revoked object is
        given with `revoked` true, and one whose release to us has ended is left out.

        Args:
            now: decides about releases, UTC seconds; this machine's clock if None.
            decode: parses the stored bytes of an object.
        """
        moment = int(time.time()) if now is None else now
        ended = Releases(self.state).lapsed(self.member_id, moment)
        stored = self.state.objects(decode=decode)
        for _, rows in itertools.groupby(stored, key=lambda row: row.id):
            for row in self._first_published(list(rows)):
                if row.audience != LAPSED and (row.channel_id, row.id) not in ended:
                    yield row.body

    def object(self, object_id: str) -> ObjectRow | None:
        """The newest version of an object over all channels, by whoever published it first."""
        rows = self._first_published(self.state.versions(object_id))
        return max(rows, key=lambda row: (row.modified, row.channel_id), default=None)

    def _first_published(self, rows: Sequence[ObjectRow]) -> Sequence[ObjectRow]:
        """Of one id in several channels, what the member that published it first has said.

        Ids are owned per channel, so that somebody in another channel could take over an id. A
        member id proves nothing either: anybody may claim it in a channel of strangers; its root
        does.
        """
        if len(rows) < 2:
            return rows
        first = min(rows, key=lambda row: (row.verified_at, row.channel_id))
        roots = self._roots(first)
        return [
            row
            for row in rows
            if row is first or (row.member == first.member and roots & self._roots(row))
        ]

    def _roots(self, row: ObjectRow) -> frozenset[str]:
        channel = self.state.channel(row.channel_id)
        if channel.trusted is None:
            return frozenset()
        known = self._verified.get(channel.channel_id)
        if known is None or known[0] != channel.trusted:
            known = (channel.trusted, self.trusted(channel))
            self._verified[channel.channel_id] = known
        return known[1].roots_of(row.member)


def _written_at(path: Path) -> int:
    return (path / KEYRING_FILE).stat().st_mtime_ns


def _context(channel_id: str, kind: str, name: str) -> bytes:
    return f"stillwatch state 1 {channel_id} {kind} {name}".encode()
