"""Manifests: who is in a channel, signed by a threshold of its owners' roots.

Modelled on TUF's root role: each version names the one before it, and needs the threshold of the
old and of the new owners. The body of a manifest message is `lp(json) ‖ entries`, an entry being a
root public key and its signature; entries ascend by root id. A manifest's hash is H(json); a
channel's id is the hash of its genesis.
Source: schemas/channel-v1.md, "Manifest".
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import cached_property
from typing import Final

from hub.channel.fields import SUITE, VERSION, Fields
from hub.channel.header import MAX_BODY, Header, Message, MessageType, unsigned_message
from hub.channel.header import parse_message as _parse_message
from hub.channel.members import WRITING, Member, Removed, Role, parse_members, parse_removed
from hub.channel.policy import (
    DAY,
    MAX_OWNERS,
    Log,
    Policy,
    Witnesses,
    parse_log,
    parse_policy,
    parse_witnesses,
)
from hub.channel.primitives.hash import Reader, digest, is_hash, label, lp, unhex
from hub.channel.primitives.sign import PUBLIC_SIZE, SIGNATURE_SIZE, RootPrivate, RootPublic
from hub.errors import InputError, VerificationError
from hub.model.codec import Json, canonical, loads_canonical

__all__ = [
    "DAY",
    "WRITING",
    "Log",
    "Manifest",
    "Member",
    "Policy",
    "Removed",
    "Role",
    "SignedManifest",
    "Stays",
    "Witnesses",
    "cosign",
    "genesis",
    "manifest_message",
    "manifest_of",
    "next_version",
    "parse_manifest",
    "parse_signed",
    "sign_manifest",
]

MAX_MANIFEST: Final = 2 * 2**20
# The most members and removed keys need two thirds of it.
MAX_MANIFEST_ITEMS: Final = 65_536
_ENTRY_SIZE: Final = PUBLIC_SIZE + SIGNATURE_SIZE
_COMMON: Final = (
    "v",
    "suite",
    "version",
    "created",
    "expires",
    "owners",
    "threshold",
    "members",
    "removed",
    "policy",
    "log",
    "witnesses",
)
_GENESIS: Final = frozenset({*_COMMON, "nonce", "succeeds"})
_LATER: Final = frozenset({*_COMMON, "channel", "prev"})


class Stays(Enum):
    """Stands for "as in the version before", where None means something."""

    AS_IT_IS = "as it is"


@dataclass(frozen=True)
class Manifest:
    """One version of a channel's manifest; `nonce` and `succeeds` belong to the genesis alone."""

    version: int
    created: int
    expires: int
    owners: tuple[str, ...]
    threshold: int
    members: tuple[Member, ...]
    removed: tuple[Removed, ...] = ()
    policy: Policy = field(default_factory=Policy)
    log: Log | None = None
    witnesses: Witnesses | None = None
    genesis_channel: str | None = None
    prev: str | None = None
    nonce: str | None = None
    succeeds: str | None = None

    @property
    def is_genesis(self) -> bool:
        """Whether this is the first version."""
        return self.genesis_channel is None

    @cached_property
    def raw(self) -> bytes:
        """The canonical JSON."""
        value: Json = {
            "v": VERSION,
            "suite": SUITE,
            "version": self.version,
            "created": self.created,
            "expires": self.expires,
            "owners": list(self.owners),
            "threshold": self.threshold,
            "members": [member.to_json() for member in self.members],
            "removed": [removed.to_json() for removed in self.removed],
            "policy": self.policy.to_json(),
            "log": None
            if self.log is None
            else {"origin": self.log.origin, "verifier_key": self.log.verifier_key},
            "witnesses": None
            if self.witnesses is None
            else {
                "quorum": self.witnesses.quorum,
                "verifier_keys": list(self.witnesses.verifier_keys),
            },
        }
        if self.is_genesis:
            value |= {"nonce": self.nonce, "succeeds": self.succeeds}
        else:
            value |= {"channel": self.genesis_channel, "prev": self.prev}
        return canonical(value)

    @cached_property
    def hash(self) -> str:
        """H of the canonical JSON, in hex."""
        return digest(self.raw)

    @property
    def channel(self) -> str:
        """The channel id: the hash of the genesis."""
        return self.genesis_channel or self.hash

    @cached_property
    def _by_id(self) -> dict[str, Member]:
        return {member.member: member for member in self.members}

    @cached_property
    def finals(self) -> dict[str, Removed]:
        """The removed signing keys by key id."""
        return {removed.key: removed for removed in self.removed}

    def member(self, member_id: str) -> Member | None:
        """The row of a member, or None."""
        return self._by_id.get(member_id)

    def is_owner(self, member_id: str) -> bool:
        """Whether the member's root is one of the owners."""
        member = self._by_id.get(member_id)
        return member is not None and member.root in self.owners


def genesis(
    *,
    owners: Sequence[str],
    members: Sequence[Member],
    created: int,
    expires: int,
    threshold: int = 1,
    policy: Policy | None = None,
    succeeds: str | None = None,
    nonce: bytes | None = None,
    log: Log | None = None,
    witnesses: Witnesses | None = None,
) -> Manifest:
    """The first manifest of a channel.

    Args:
        owners: root ids.
        members: at least one of them with an owner's root.
        created: seconds UTC.
        expires: seconds UTC.
        threshold: how many owners must sign the next version.
        policy: the channel's rules; the defaults if None.
        succeeds: id of the channel that this one replaces.
        nonce: 16 bytes; random if None.
        log: the hub's log that members require.
        witnesses: who must cosign its checkpoints.
    Raises:
        InputError: no receiver would accept it.
    """
    manifest = Manifest(
        version=1,
        created=created,
        expires=expires,
        owners=tuple(sorted(owners)),
        threshold=threshold,
        members=tuple(sorted(members, key=lambda member: member.member)),
        policy=policy or Policy(),
        nonce=(secrets.token_bytes(16) if nonce is None else nonce).hex(),
        succeeds=succeeds,
        log=log,
        witnesses=witnesses,
    )
    return parse_manifest(manifest.raw)


def next_version(
    previous: Manifest,
    *,
    created: int,
    expires: int,
    members: Sequence[Member] | None = None,
    removed: Sequence[Removed] = (),
    owners: Sequence[str] | None = None,
    threshold: int | None = None,
    policy: Policy | None = None,
    log: Log | Stays | None = Stays.AS_IT_IS,
    witnesses: Witnesses | Stays | None = Stays.AS_IT_IS,
) -> Manifest:
    """The version after `previous`; what is not given stays.

    Args:
        previous: the current manifest.
        created: seconds UTC, not before the previous one's.
        expires: seconds UTC.
        members: all members of the new version.
        removed: signing keys to add to the removed ones.
        owners: root ids.
        threshold: how many owners must sign.
        policy: the channel's rules.
        log: the hub's log that members require; None: none.
        witnesses: who must cosign its checkpoints; None: nobody.
    Raises:
        InputError: no receiver would accept it.
    """
    finals = previous.finals | {row.key: row for row in removed}
    members = previous.members if members is None else members
    manifest = replace(
        previous,
        version=previous.version + 1,
        created=created,
        expires=expires,
        members=tuple(sorted(members, key=lambda member: member.member)),
        removed=tuple(finals[key] for key in sorted(finals)),
        owners=previous.owners if owners is None else tuple(sorted(owners)),
        threshold=previous.threshold if threshold is None else threshold,
        policy=previous.policy if policy is None else policy,
        log=previous.log if isinstance(log, Stays) else log,
        witnesses=previous.witnesses if isinstance(witnesses, Stays) else witnesses,
        genesis_channel=previous.channel,
        prev=previous.hash,
        nonce=None,
        succeeds=None,
    )
    return parse_manifest(manifest.raw)


def sign_manifest(manifest: Manifest, roots: Sequence[RootPrivate]) -> bytes:
    """The manifest message, signed by the given roots.

    Args:
        manifest: what to sign.
        roots: owners of this version or, for a change of owners, also of the previous one.
    """
    data = signed_bytes(manifest)
    return manifest_message(
        manifest, {root.public.id: (root.public, root.sign(data)) for root in roots}
    )


def cosign(raw: bytes, roots: Sequence[RootPrivate]) -> bytes:
    """A manifest message with further signatures.

    Raises:
        InputError, VerificationError: `raw` is not a manifest message.
    """
    signed = parse_signed(_parse_message(raw))
    data = signed_bytes(signed.manifest)
    entries = dict(signed.signatures)
    for root in roots:
        entries[root.public.id] = (root.public, root.sign(data))
    return manifest_message(signed.manifest, entries)


@dataclass(frozen=True)
class SignedManifest:
    """A manifest and the signatures that came with it, unverified.

    Args:
        manifest: the manifest.
        signatures: root id to root public key and signature.
    """

    manifest: Manifest
    signatures: Mapping[str, tuple[RootPublic, bytes]]

    def check_threshold(self, owners: Sequence[str], threshold: int, where: str) -> frozenset[str]:
        """Require valid signatures by `threshold` of `owners`.

        Returns:
            The root ids that signed.
        Raises:
            VerificationError: too few sign, or one of the signatures is wrong.
        """
        signers = frozenset(owners) & self.signatures.keys()
        data = signed_bytes(self.manifest)
        for signer in sorted(signers):
            public, signature = self.signatures[signer]
            public.verify(signature, data, where=f"{where}, signature of {signer[:16]}")
        if len(signers) < threshold:
            raise VerificationError(
                f"{len(signers)} of {threshold} needed owners signed it", where=where
            )
        return signers


def signed_bytes(manifest: Manifest) -> bytes:
    """What owners sign: L("manifest") ‖ the manifest's hash."""
    return label("manifest") + unhex(manifest.hash)


def manifest_of(raw: bytes) -> Manifest:
    """The manifest in a message, its form checked and nothing verified.

    Raises:
        InputError, VerificationError: `raw` is not a manifest message.
    """
    return parse_signed(_parse_message(raw)).manifest


def parse_signed(message: Message) -> SignedManifest:
    """Read the body of a manifest message.

    Raises:
        InputError: the form is wrong.
        VerificationError: the header says other than the body.
    """
    if message.header.t is not MessageType.MANIFEST:
        raise InputError(f"a manifest is expected, not {message.header.t}", where="message")
    reader = Reader(message.body, "manifest message")
    manifest = parse_manifest(reader.field("manifest", most=MAX_MANIFEST))
    count, rest = divmod(reader.left, _ENTRY_SIZE)
    if rest or not 1 <= count <= 2 * MAX_OWNERS:
        raise InputError("the signatures are not whole", where="manifest message")
    entries: dict[str, tuple[RootPublic, bytes]] = {}
    for _ in range(count):
        public = RootPublic(reader.fixed(PUBLIC_SIZE, "root key"))
        entries[public.id] = (public, reader.fixed(SIGNATURE_SIZE, "signature"))
    if len(entries) != count or list(entries) != sorted(entries):
        raise InputError("signatures must ascend by root id", where="manifest message")
    header = message.header
    stated = (header.ch, header.man, header.ts, header.exp)
    if stated != (manifest.channel, manifest.hash, manifest.created, manifest.expires):
        raise VerificationError("the header says other than the manifest", where="manifest message")
    return SignedManifest(manifest, entries)


def parse_manifest(data: bytes) -> Manifest:
    """Read a manifest: closed schema, canonical form, consistent rows.

    Raises:
        InputError: the form is wrong.
        VerificationError: the version or suite of the protocol is unknown.
    """
    where = "manifest"
    value = loads_canonical(data, where=where, max_bytes=MAX_MANIFEST, max_items=MAX_MANIFEST_ITEMS)
    is_genesis = "channel" not in value
    fields = Fields(value, where, _GENESIS if is_genesis else _LATER)
    if fields.raw("v") != VERSION or type(fields.raw("v")) is not int:
        raise VerificationError("a protocol version unknown here", where="manifest.v")
    if fields.raw("suite") != SUITE:
        raise VerificationError("a suite unknown here: there is one only", where="manifest.suite")
    owners = fields.hashes("owners", most=MAX_OWNERS)
    manifest = Manifest(
        version=fields.integer("version", least=1 if is_genesis else 2),
        created=fields.time("created"),
        expires=fields.time("expires"),
        owners=owners,
        threshold=fields.integer("threshold", least=1, most=max(1, len(owners))),
        members=parse_members(fields),
        removed=parse_removed(fields),
        policy=parse_policy(fields.raw("policy")),
        log=parse_log(fields.raw("log")),
        witnesses=parse_witnesses(fields.raw("witnesses")),
        genesis_channel=None if is_genesis else fields.hash("channel"),
        prev=None if is_genesis else fields.hash("prev"),
        nonce=_nonce(fields) if is_genesis else None,
        succeeds=fields.optional_hash("succeeds") if is_genesis else None,
    )
    _check(manifest)
    return manifest


def manifest_message(manifest: Manifest, entries: Mapping[str, tuple[RootPublic, bytes]]) -> bytes:
    """The manifest message with signatures that were collected.

    Args:
        manifest: what was signed.
        entries: root id to root public key and signature.
    Raises:
        InputError: longer than a message may be.
    """
    body = lp(manifest.raw) + b"".join(
        entries[key][0].raw + entries[key][1] for key in sorted(entries)
    )
    if len(body) > MAX_BODY:
        raise InputError(f"a manifest of {len(body)} bytes exceeds {MAX_BODY}", where="manifest")
    header = Header(
        t=MessageType.MANIFEST,
        ch=manifest.channel,
        man=manifest.hash,
        ts=manifest.created,
        exp=manifest.expires,
    )
    return unsigned_message(header, body)


def _check(manifest: Manifest) -> None:
    if manifest.is_genesis and (manifest.version != 1 or manifest.removed):
        raise InputError("a genesis has version 1 and nobody removed", where="manifest.version")
    if manifest.witnesses is not None and manifest.log is None:
        raise InputError("witnesses of no log", where="manifest.witnesses")
    if manifest.expires <= manifest.created:
        raise InputError("ends before it begins", where="manifest.expires")
    if not manifest.owners:
        raise InputError("a channel has at least one owner", where="manifest.owners")
    for name in ("root", "card"):
        values = [getattr(member, name) for member in manifest.members]
        if len(set(values)) != len(values):
            raise InputError(f"two members share one {name}", where="manifest.members")
    if not any(member.root in manifest.owners for member in manifest.members):
        raise InputError("at least one owner must be a member", where="manifest.members")


def _nonce(fields: Fields) -> str:
    value = fields.raw("nonce")
    if not isinstance(value, str) or not is_hash(value * 2):
        raise InputError("32 lower-case hex digits are expected", where="manifest.nonce")
    return value
