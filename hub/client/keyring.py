"""The organisation's private keys at rest: one encrypted file of mode 0600.

The file holds the root, every card's keys and the key that seals secrets in the local state. It
is encrypted under a passphrase (Argon2id), or under a key file beside it for machines that run
unattended; then whoever reads the folder reads the keys.
"""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Collection, Iterable
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
from hub.client.unlock import (
    KEY_FILE,
    PASSPHRASE,
    Unlock,
    make_key_file,
    passphrase_text,
    write_private,
)
from hub.errors import AccessError, ConflictError, InputError, StoreError, VerificationError
from hub.model.codec import Json, canonical, loads

__all__ = [
    "KEYRING_FILE",
    "KEY_FILE",
    "CardKeys",
    "Keyring",
    "Unlock",
    "make_key_file",
    "read_outer",
    "stretched",
    "write_private",
]

KEYRING_FILE: Final = "keyring.json"
_VERSION: Final = 1
_VERSION_WITH_GAPS: Final = 2
"""Some private key is not there; the first release would call such a file damaged."""
_MAX_BYTES: Final = 1024 * 1024
_BACKDATE_S: Final = 600
"""A new card is valid a little before now, for peers whose clock lags."""


@dataclasses.dataclass(frozen=True)
class CardKeys:
    """One card and its private halves, as far as they are here.

    Attributes:
        signing_private: None for a card that was made elsewhere and whose keys are lost.
        kem: None for those, and for a card whose key was erased.
    """

    card: Card
    signing_private: SigningPrivate | None = dataclasses.field(repr=False)
    kem: KemPrivate | None = dataclasses.field(repr=False)

    @property
    def signing(self) -> SigningPrivate:
        """The signing pair.

        Raises:
            AccessError: this home does not have it.
        """
        if self.signing_private is None:
            raise AccessError(
                f"the keys of card {self.card.number} are not in this home",
                where=self.card.member,
                hint="stillwatch channel renew --new-card makes the next card",
            )
        return self.signing_private


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

    def without_kem(self, numbers: Collection[int]) -> Keyring:
        """The same keyring without the KEM private keys of some cards, for good.

        Args:
            numbers: card numbers; those that have no key any more are passed over.
        Raises:
            ConflictError: the card in use is among them.
        """
        if self.current.card.number in numbers:
            raise ConflictError(
                "the card in use keeps its key",
                where=f"card {self.current.card.number}",
                hint="stillwatch channel renew --new-card first",
            )
        cards = tuple(
            dataclasses.replace(each, kem=None) if each.card.number in numbers else each
            for each in self.cards
        )
        return dataclasses.replace(self, cards=cards)

    def with_lost_cards(self, cards: Iterable[Card]) -> Keyring:
        """The same keyring knowing of later cards whose keys are lost, oldest first.

        After a return from a back-up: the next card must follow the last one that exists.

        Raises:
            VerificationError: a card does not continue the chain of this root.
        """
        chain = list(self.cards)
        for card in sorted(cards, key=lambda each: each.number):
            if card.number <= len(chain):
                continue
            last = chain[-1].card
            if (card.member, card.root_id) != (self.member, self.root_id) or (
                card.number,
                card.prev,
            ) != (last.number + 1, last.hash):
                raise VerificationError(
                    "a card of this organisation does not follow the one before it",
                    where=f"card {card.number}",
                    hint="the owners enrol this organisation anew",
                )
            chain.append(CardKeys(card, None, None))
        return dataclasses.replace(self, cards=tuple(chain))

    def to_bytes(self) -> bytes:
        """Everything private in clear: for `from_bytes`, after encryption only."""
        return canonical(
            {
                "root": None if self.root is None else _text(self.root.to_seed()),
                "root_public": _text(self.root_public.raw),
                "state_key": _text(self.state_key),
                "cards": [
                    {
                        "raw": _text(each.card.raw),
                        "signing": _seed(each.signing_private),
                        "kem": _seed(each.kem),
                    }
                    for each in self.cards
                ],
            }
        )

    @classmethod
    def from_bytes(cls, plain: bytes, outer: Json, *, where: str) -> Keyring:
        """The keyring of which `to_bytes` was made.

        Args:
            plain: the private part.
            outer: `member`, `organisation` and `created`.
            where: for the error.
        Raises:
            InputError: it is damaged.
        """
        try:
            return cls._parse(outer, loads(plain, where=where))
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise InputError("the keyring is damaged", where=where) from error.with_traceback(None)

    def save(self, folder: Path, unlock: Unlock) -> None:
        """Write the file anew: complete, or not at all.

        Raises:
            StoreError: the disk refuses.
        """
        whole = self.root is not None and all(each.kem is not None for each in self.cards)
        content = canonical(
            {
                "v": _VERSION if whole else _VERSION_WITH_GAPS,
                "member": self.member,
                "organisation": self.organisation,
                "created": self.created,
                "unlock": unlock.kind,
                "sealed": _text(unlock.wrap(self.to_bytes(), folder)),
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
        outer = read_outer(folder)
        if outer.get("unlock") != unlock.kind:
            raise AccessError(
                f"the keyring opens with a {outer.get('unlock')}, not with a {unlock.kind}",
                where=str(path),
                hint="without --passphrase-file, and with STILLWATCH_PASSPHRASE_FILE unset"
                if unlock.kind == PASSPHRASE
                else "--passphrase-file FILE",
            )
        try:
            plain = unlock.unwrap(_bytes(outer["sealed"]), folder)
        except (InputError, VerificationError, KeyError, TypeError, ValueError) as error:
            # The cause might quote what was typed.
            raise AccessError(
                f"the keyring does not open with this {unlock.kind}",
                where=str(path),
                hint="the right passphrase, or a copy of the home from the back-up",
            ) from error.with_traceback(None)
        return cls.from_bytes(plain, outer, where=str(path))

    @classmethod
    def _parse(cls, outer: Json, inner: Json) -> Keyring:
        cards = tuple(
            CardKeys(
                parse_card(_bytes(each["raw"])),
                None
                if each["signing"] is None
                else SigningPrivate.from_seed(_bytes(each["signing"])),
                None if each["kem"] is None else KemPrivate.from_seed(_bytes(each["kem"])),
            )
            for each in inner["cards"]
        )
        root = None if inner["root"] is None else RootPrivate.from_seed(_bytes(inner["root"]))
        # Homes of the first release always hold the root, and say nothing more.
        public = RootPublic(_bytes(inner["root_public"])) if root is None else root.public
        if not cards:
            raise ValueError("a keyring without cards")
        return cls(
            member=str(outer["member"]),
            organisation=str(outer["organisation"]),
            created=int(outer["created"]),
            root=root,
            root_public=public,
            cards=cards,
            state_key=_bytes(inner["state_key"]),
        )


def read_outer(folder: Path) -> Json:
    """What the keyring's file says in clear: `member`, `organisation`, `unlock` ...

    Raises:
        InputError: there is no home, the file is damaged, or a newer release made it.
    """
    path = folder / KEYRING_FILE
    outer = _read(path)
    if outer.get("v") not in (_VERSION, _VERSION_WITH_GAPS):
        raise InputError("a newer release made this keyring", where=str(path))
    return outer


def stretched(folder: Path, passphrase: bytes) -> rest.Stretched:
    """Run a passphrase through Argon2id for the keyring in a folder, and see that it opens.

    Raises:
        InputError: there is no home.
        AccessError: the passphrase does not open it.
    """
    outer = read_outer(folder)
    try:
        secret = rest.stretch(passphrase_text(passphrase), _bytes(outer["sealed"]))
    except (InputError, KeyError, TypeError, ValueError):
        # Tells what is wrong.
        Keyring.load(folder, Unlock.passphrase(passphrase))
        raise
    Keyring.load(folder, Unlock.held(secret))
    return secret


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


def _seed(private: SigningPrivate | KemPrivate | None) -> str | None:
    return None if private is None else _text(private.to_seed())


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _bytes(text: object) -> bytes:
    if not isinstance(text, str):
        raise TypeError("not a string")
    return base64.b64decode(text, validate=True)
