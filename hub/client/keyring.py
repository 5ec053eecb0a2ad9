"""The organisation's private keys at rest: one encrypted file of mode 0600.

The file holds the root, every card's keys and the key that seals secrets in the local state. It
is encrypted under a passphrase (Argon2id), or under a key file beside it for machines that run
unattended; then whoever reads the folder reads the keys.
"""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import os
import secrets
from pathlib import Path
from typing import Final

from hub.channel.card import (
    Card,
    RootPrivate,
    RootPublic,
    SigningPrivate,
    issue_card,
    parse_card,
)
from hub.channel.primitives import rest
from hub.channel.primitives.kem import KemPrivate
from hub.errors import AccessError, InputError, StoreError, VerificationError
from hub.model.codec import Json, canonical, loads

KEY_FILE: Final = "unlock.key"
KEYRING_FILE: Final = "keyring.json"
_VERSION: Final = 1
_CONTEXT: Final = b"stillwatch keyring 1"
_MAX_BYTES: Final = 1024 * 1024
_BACKDATE_S: Final = 300
"""A new card is valid a little before now, for peers whose clock lags."""


@dataclasses.dataclass(frozen=True)
class Unlock:
    """What opens the keyring: a passphrase, or the key file inside the home.

    Attributes:
        secret: the passphrase; None stands for the key file.
    """

    secret: bytes | None = dataclasses.field(repr=False)

    @classmethod
    def passphrase(cls, secret: bytes) -> Unlock:
        """Unlock by a passphrase."""
        return cls(secret)

    @classmethod
    def key_file(cls) -> Unlock:
        """Unlock by the key file in the home (mode 0600)."""
        return cls(None)


@dataclasses.dataclass(frozen=True)
class CardKeys:
    """One card and its private halves."""

    card: Card
    signing: SigningPrivate = dataclasses.field(repr=False)
    kem: KemPrivate = dataclasses.field(repr=False)


@dataclasses.dataclass(frozen=True)
class Keyring:
    """Everything private of one member.

    Attributes:
        member: STIX identity id.
        organisation: its name for people.
        created: UTC seconds of `init`.
        root: the root key; it signs cards and, for owners, manifests. None while it lies elsewhere.
        root_public: its public half, which is always here.
        cards: oldest first; the last one is in use.
        state_key: seals secrets in the local state.
    """

    member: str
    organisation: str
    created: int
    root: RootPrivate | None = dataclasses.field(repr=False)
    root_public: RootPublic = dataclasses.field(repr=False)
    cards: tuple[CardKeys, ...] = dataclasses.field(repr=False)
    state_key: bytes = dataclasses.field(repr=False)

    @classmethod
    def new(cls, member: str, organisation: str, *, now: int, card_lifetime_s: int) -> Keyring:
        """Fresh keys with card number 1."""
        root = RootPrivate.generate()
        empty = cls(member, organisation, now, root, root.public, (), rest.new_key())
        return empty.with_next_card(now=now, card_lifetime_s=card_lifetime_s)

    @property
    def root_id(self) -> str:
        """Id of the root, whether its private half is here or not."""
        return self.root_public.id

    def root_key(self) -> RootPrivate:
        """The root's private half.

        Raises:
            AccessError: it was detached from this home.
        """
        if self.root is None:
            raise AccessError(
                "the root key is not in this home",
                where=self.organisation,
                hint="stillwatch root attach FILE, or sign where it lies: "
                "stillwatch channel sign --root-file FILE",
            )
        return self.root

    def without_root(self) -> Keyring:
        """The same keys for daily use, without the root's private half."""
        return dataclasses.replace(self, root=None)

    def with_root(self, root: RootPrivate) -> Keyring:
        """The same keys with the root's private half.

        Raises:
            VerificationError: it is another organisation's root.
        """
        if root.public.id != self.root_id:
            raise VerificationError("this is the root of another home", where=self.organisation)
        return dataclasses.replace(self, root=root)

    @property
    def current(self) -> CardKeys:
        """The card in use."""
        return self.cards[-1]

    @property
    def card_chain(self) -> list[bytes]:
        """Every card's bytes, oldest first."""
        return [each.card.raw for each in self.cards]

    def with_next_card(self, *, now: int, card_lifetime_s: int) -> Keyring:
        """The same member with new signing and encryption keys on a further card.

        Raises:
            AccessError: the root, which signs cards, was detached from this home.
        """
        signing, kem = SigningPrivate.generate(), KemPrivate.generate()
        raw = issue_card(
            self.root_key(),
            self.member,
            signing,
            kem.public,
            number=len(self.cards) + 1,
            prev=self.current.card.hash if self.cards else None,
            not_before=now - _BACKDATE_S,
            not_after=now + card_lifetime_s,
        )
        keys = CardKeys(parse_card(raw), signing, kem)
        return dataclasses.replace(self, cards=(*self.cards, keys))

    def save(self, folder: Path, unlock: Unlock) -> None:
        """Write the file anew: complete, or not at all.

        Raises:
            StoreError: the disk refuses.
        """
        plain = canonical(
            {
                "root": None if self.root is None else _text(self.root.to_seed()),
                "root_public": _text(self.root_public.raw),
                "state_key": _text(self.state_key),
                "cards": [
                    {
                        "raw": _text(each.card.raw),
                        "signing": _text(each.signing.to_seed()),
                        "kem": _text(each.kem.to_seed()),
                    }
                    for each in self.cards
                ],
            }
        )
        if unlock.secret is not None:
            sealed = rest.wrap_with_passphrase(plain, _passphrase(unlock), context=_CONTEXT)
        else:
            sealed = rest.wrap_with_key(plain, _read_key_file(folder), context=_CONTEXT)
        content = canonical(
            {
                "v": _VERSION,
                "member": self.member,
                "organisation": self.organisation,
                "created": self.created,
                "unlock": "key-file" if unlock.secret is None else "passphrase",
                "sealed": _text(sealed),
            }
        )
        write_private(folder / KEYRING_FILE, content)

    @classmethod
    def load(cls, folder: Path, unlock: Unlock) -> Keyring:
        """Read and open the file.

        Raises:
            InputError: there is no home, or the file is damaged.
            AccessError: the passphrase or key file does not open it.
        """
        path = folder / KEYRING_FILE
        outer = _read(path)
        if outer.get("v") != _VERSION:
            raise InputError("a newer release made this keyring", where=str(path))
        wanted = "key-file" if unlock.secret is None else "passphrase"
        if outer.get("unlock") != wanted:
            raise AccessError(
                f"the keyring opens with a {outer.get('unlock')}, not with a {wanted}",
                where=str(path),
                hint="without --passphrase-file, and with STILLWATCH_PASSPHRASE_FILE unset"
                if unlock.secret is not None
                else "--passphrase-file FILE",
            )
        try:
            sealed = _bytes(outer["sealed"])
            if unlock.secret is not None:
                plain = rest.unwrap_with_passphrase(sealed, _passphrase(unlock), context=_CONTEXT)
            else:
                plain = rest.unwrap_with_key(sealed, _read_key_file(folder), context=_CONTEXT)
        except (InputError, VerificationError, KeyError, ValueError) as error:
            # The cause might quote what was typed.
            raise AccessError(
                f"the keyring does not open with this {wanted}",
                where=str(path),
                hint="the right passphrase, or a copy of the home from the back-up",
            ) from error.with_traceback(None)
        return cls._parse(outer, loads(plain), path)

    @classmethod
    def _parse(cls, outer: Json, inner: Json, path: Path) -> Keyring:
        try:
            cards = tuple(
                CardKeys(
                    parse_card(_bytes(each["raw"])),
                    SigningPrivate.from_seed(_bytes(each["signing"])),
                    KemPrivate.from_seed(_bytes(each["kem"])),
                )
                for each in inner["cards"]
            )
            root = None if inner["root"] is None else RootPrivate.from_seed(_bytes(inner["root"]))
            # Homes of the first release always hold the root, and say nothing more.
            public = RootPublic(_bytes(inner["root_public"])) if root is None else root.public
            return cls(
                member=str(outer["member"]),
                organisation=str(outer["organisation"]),
                created=int(outer["created"]),
                root=root,
                root_public=public,
                cards=cards,
                state_key=_bytes(inner["state_key"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InputError("the keyring is damaged", where=str(path)) from error


def make_key_file(folder: Path) -> None:
    """Put a new unlock key into the folder."""
    write_private(folder / KEY_FILE, secrets.token_hex(32).encode() + b"\n")


def write_private(path: Path, content: bytes) -> None:
    """Replace a file of mode 0600 at once: the old content, or the new, never a part.

    Raises:
        StoreError: the disk refuses.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with contextlib.suppress(FileNotFoundError):
            partial.unlink()
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
        directory = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise StoreError(f"cannot be written: {error.strerror}", where=str(path)) from error


def _read(path: Path) -> Json:
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise InputError(
            "there is no organisation's home here",
            where=str(path.parent),
            hint="stillwatch init --organisation NAME, or --home DIR",
        ) from error
    except OSError as error:
        raise StoreError(f"cannot be read: {error.strerror}", where=str(path)) from error
    return loads(data, where=str(path), max_bytes=_MAX_BYTES)


def _read_key_file(folder: Path) -> bytes:
    path = folder / KEY_FILE
    try:
        if path.stat().st_mode & 0o077:
            raise AccessError(
                "the key file can be read by other accounts",
                where=str(path),
                hint=f"chmod 600 {path}",
            )
        return bytes.fromhex(path.read_text("ascii").strip())
    except (OSError, ValueError) as error:
        raise AccessError("the key file cannot be read", where=str(path)) from error


def _passphrase(unlock: Unlock) -> str:
    assert unlock.secret is not None
    try:
        return unlock.secret.decode()
    except UnicodeDecodeError:
        raise InputError("the passphrase is not UTF-8") from None


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _bytes(text: object) -> bytes:
    if not isinstance(text, str):
        raise TypeError("not a string")
    return base64.b64decode(text, validate=True)
