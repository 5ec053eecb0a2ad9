"""Fictional members and a channel for the tests: keys from names, times from one number."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterable, Sequence

from hub.channel.card import Card, RootPrivate, SigningPrivate, card_message, issue_card, parse_card
from hub.channel.epoch import EpochSecrets, new_epoch, unwrap
from hub.channel.header import Audience
from hub.channel.manifest import (
    DAY,
    Manifest,
    Member,
    Policy,
    Role,
    genesis,
    next_version,
    sign_manifest,
)
from hub.channel.open import Opened, open_data
from hub.channel.primitives.kem import KemPrivate
from hub.channel.seal import seal_data
from hub.channel.verify import Accepted, TrustedChannel
from hub.model.codec import Json

NOW = 1_800_000_000
PUBLISHER = frozenset({Role.PUBLISH, Role.READ})
READER = frozenset({Role.READ, Role.REPORT})
LIAISON = frozenset({Role.LIAISON})


def seed(name: str, size: int) -> bytes:
    """Bytes that only the name decides."""
    return hashlib.shake_256(name.encode()).digest(size)


class Person:
    """A member with its keys.

    Args:
        name: decides every key.
        generation: number of the card.
    """

    def __init__(self, name: str, *, generation: int = 1, before: Person | None = None) -> None:
        self.name = name
        self.id = f"identity--{uuid.uuid5(uuid.NAMESPACE_DNS, name)}"
        self.root = RootPrivate.from_seed(seed(f"{name} root", 64))
        self.signing = SigningPrivate.from_seed(seed(f"{name} sign {generation}", 64))
        self.kem = KemPrivate.from_seed(seed(f"{name} kem {generation}", 96))
        self.card_raw = issue_card(
            self.root,
            self.id,
            self.signing,
            self.kem.public,
            number=generation,
            prev=None if before is None else before.card.hash,
            not_before=NOW - DAY,
            not_after=NOW + 180 * DAY,
        )
        self.card: Card = parse_card(self.card_raw)
        self.pub = self.signing.public.id

    def row(self, roles: Iterable[Role]) -> Member:
        return Member(self.id, self.root.public.id, self.card.hash, frozenset(roles))

    def renewed(self) -> Person:
        """The same member with the next card."""
        return Person(self.name, generation=self.card.number + 1, before=self)


class Scene:
    """A channel as its owner runs it, and every message that went over the wire.

    Args:
        owner: signs manifests and epochs, and publishes.
        policy: the channel's rules.
    """

    def __init__(self, owner: Person, policy: Policy | None = None) -> None:
        self.owner = owner
        self.now = NOW
        self.wire: list[bytes] = []
        self.epochs: list[bytes] = []
        self.secrets: dict[int, EpochSecrets] = {}
        first = genesis(
            owners=[owner.root.public.id],
            members=[owner.row(PUBLISHER)],
            created=NOW,
            expires=NOW + 90 * DAY,
            policy=policy,
            nonce=seed("nonce", 16),
        )
        raw = sign_manifest(first, [owner.root])
        self.wire.append(raw)
        self.trusted = TrustedChannel.from_genesis(
            raw, owner_roots=[owner.root.public.id], now=self.now
        )
        self.post(card_message(self.trusted.channel, owner.card_raw))

    def copy(self) -> Scene:
        """A scene that goes its own way from here."""
        twin = Scene.__new__(Scene)
        twin.__dict__ = vars(self) | {
            "trusted": TrustedChannel.restore(self.trusted.state()),
            "wire": list(self.wire),
            "epochs": list(self.epochs),
            "secrets": dict(self.secrets),
        }
        return twin

    @property
    def manifest(self) -> Manifest:
        return self.trusted.manifest

    @property
    def current(self) -> EpochSecrets:
        assert self.trusted.epoch is not None
        return self.secrets[self.trusted.epoch.number]

    def post(self, raw: bytes) -> Accepted:
        accepted = self.trusted.accept(raw, now=self.now)
        self.wire.append(raw)
        return accepted

    def publish_manifest(self, manifest: Manifest) -> bytes:
        raw = sign_manifest(manifest, [self.owner.root])
        self.post(raw)
        return raw

    def admit(self, *joiners: tuple[Person, frozenset[Role]]) -> None:
        """New manifest, the joiners' cards, a new epoch."""
        rows = [*self.manifest.members, *(person.row(roles) for person, roles in joiners)]
        self.publish_manifest(
            next_version(self.manifest, created=self.now, expires=self.now + 90 * DAY, members=rows)
        )
        for person, _ in joiners:
            self.post(card_message(self.trusted.channel, person.card_raw))
        self.rotate()

    def removal(self, person: Person) -> Manifest:
        """The manifest that removes a member after its last message known to the owner."""
        rows = [row for row in self.manifest.members if row.member != person.id]
        return next_version(
            self.manifest,
            created=self.now,
            expires=self.now + 90 * DAY,
            members=rows,
            removed=[self.trusted.final_of(person.id)],
        )

    def remove(self, person: Person) -> None:
        self.publish_manifest(self.removal(person))
        self.rotate()

    def rotate(self) -> bytes:
        raw, secrets = new_epoch(self.trusted, self.owner.signing, now=self.now)
        self.post(raw)
        self.epochs.append(raw)
        self.secrets[secrets.epoch] = secrets
        return raw

    def seal(
        self,
        person: Person,
        objects: Sequence[Json],
        *,
        audience: Audience = Audience.DETAIL,
        seq: int | None = None,
        prev: str | None = None,
        expires: int | None = None,
    ) -> bytes:
        return seal_data(
            self.trusted,
            self.current,
            person.signing,
            audience,
            as_bundle(objects),
            now=self.now,
            seq=seq,
            prev=prev,
            expires=expires,
        )

    def publish(self, person: Person, objects: Sequence[Json]) -> Accepted:
        return self.post(self.seal(person, objects))

    def reader(self) -> TrustedChannel:
        """Somebody else who took every message in the order of the wire."""
        trusted = TrustedChannel.from_genesis(
            self.wire[0], owner_roots=self.manifest.owners, now=self.now
        )
        for raw in self.wire[1:]:
            trusted.accept(raw, now=self.now)
        return trusted

    def open(self, trusted: TrustedChannel, raw: bytes, person: Person) -> Opened:
        """Accept and open a data message with the person's own keys."""
        accepted = trusted.accept(raw, now=self.now)
        number = accepted.message.header.ep
        assert number is not None
        epoch_raw = self.epochs[number - 1]
        return open_data(trusted, accepted, unwrap(trusted, epoch_raw, person.kem))


def as_bundle(objects: Sequence[Json]) -> bytes:
    """A STIX bundle of a fixed id."""
    bundle = {
        "type": "bundle",
        "id": "bundle--5f0c2b1e-8a52-4a3e-9c0e-6f0a3d1b7c11",
        "objects": list(objects),
    }
    return json.dumps(bundle).encode()


def stix(kind: str, creator: Person, key: str, **fields: object) -> Json:
    """An object of a kind, created by a member; `key` decides its id."""
    return {
        "type": kind,
        "spec_version": "2.1",
        "id": f"{kind}--{uuid.uuid5(uuid.NAMESPACE_DNS, key)}",
        "created_by_ref": creator.id,
        "created": "2027-01-15T08:00:00.000Z",
        "modified": "2027-01-15T08:00:00.000Z",
        **fields,
    }


def indicator(creator: Person, address: str = "192.0.2.1") -> Json:
    """An indicator of an address of the documentation range."""
    return stix(
        "indicator",
        creator,
        f"{creator.name} {address}",
        pattern=f"[ipv4-addr:value = '{address}']",
        pattern_type="stix",
        valid_from="2027-01-15T08:00:00.000Z",
    )


def cast() -> tuple[Person, Person, Person]:
    """A lab that owns and publishes, a provider that reads and reports, a liaison."""
    return Person("lab"), Person("provider"), Person("liaison")


def opening_scene() -> tuple[Scene, Person, Person, Person]:
    """A channel of the three, in its second epoch."""
    lab, provider, liaison = cast()
    scene = Scene(lab)
    scene.rotate()
    scene.admit((provider, READER), (liaison, LIAISON))
    return scene, lab, provider, liaison
