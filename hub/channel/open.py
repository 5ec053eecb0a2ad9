"""Opening: sealed bodies into checked STIX objects. The hub never imports this.

The outer checks are `TrustedChannel.accept`'s. Here: the body opens with the epoch's secret, holds
one bundle, and every object in it is its sender's to publish.
Source: schemas/channel-v1.md, "Inner binding".
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Final

from hub.channel.card import kem_id
from hub.channel.compression import MAX_PLAIN, decompress
from hub.channel.direct import (
    Release,
    direct_commitment,
    direct_wrap_info,
    is_release,
    parse_direct,
    release_of,
)
from hub.channel.epoch import EpochSecrets
from hub.channel.fingerprint_keys import FingerprintSecret, KeySet, key_set_from_bytes
from hub.channel.header import MAX_BODY, Audience, MessageType, body_context
from hub.channel.manifest import Manifest, Role
from hub.channel.padding import unpad
from hub.channel.primitives import aead
from hub.channel.primitives.hash import equal
from hub.channel.primitives.kem import KemPrivate
from hub.channel.properties import check_properties
from hub.channel.verify import Accepted, TrustedChannel
from hub.channel.wraps import message_key
from hub.errors import InputError, VerificationError
from hub.model.codec import Json, loads
from hub.model.identifiers import is_id
from hub.model.markings import TLP, tlp_of

__all__ = [
    "FingerprintSecret",
    "KeySet",
    "Opened",
    "check_bundle",
    "open_data",
    "open_direct",
    "open_key_set",
    "open_keys",
]

MAX_OBJECTS: Final = 20_000
# STIX gives observables no creator: two members who saw one address write one object.
OBSERVABLES: Final = frozenset(
    {
        "artifact",
        "autonomous-system",
        "directory",
        "domain-name",
        "email-addr",
        "email-message",
        "file",
        "ipv4-addr",
        "ipv6-addr",
        "llm-exchange",
        "mac-addr",
        "mutex",
        "network-traffic",
        "process",
        "software",
        "url",
        "user-account",
        "windows-registry-key",
        "x509-certificate",
    }
)
REPORTED: Final = frozenset({"sighting", "opinion", "note"})
# What an aggregate must not hold: liaisons read it.
DETAIL_ONLY: Final = OBSERVABLES | {"indicator", "observed-data"}


@dataclass(frozen=True)
class Opened:
    """An opened data message.

    Args:
        bundle: the bundle as it was sealed.
        objects: its objects, each bound to the sender.
        member: STIX id of the sender.
        roles: the sender's roles.
        audience: under whose secret it was sealed.
        digest: digest of the message.
        sent: when it was made, seconds UTC.
        release: of a direct message: on what ground, to whom, until when.
    """

    bundle: Json
    objects: list[Json]
    member: str
    roles: frozenset[Role]
    audience: Audience
    digest: str
    sent: int
    release: Release | None = None


def open_data(
    trusted: TrustedChannel,
    accepted: Accepted,
    secrets: EpochSecrets,
    *,
    owners: Mapping[str, str] | None = None,
) -> Opened:
    """Open a data message and bind its objects to their sender.

    Args:
        trusted: the channel that accepted it.
        accepted: the outcome of `trusted.accept`.
        secrets: of the epoch that the header names.
        owners: object id to the member who first published it, for all objects known here.
    Raises:
        InputError: the plaintext is not one compressed bundle.
        VerificationError: another type, expired, no such secret, altered, or an object that is not
            the sender's to publish (an alarm if it is somebody else's).
    """
    if accepted.message.header.aud is Audience.DIRECT:
        raise VerificationError("a direct message opens with a card's key", where="message")
    _check_data(accepted)
    return _opened(trusted, accepted, _open(trusted, accepted, secrets), owners)


def open_direct(
    trusted: TrustedChannel,
    accepted: Accepted,
    kem: KemPrivate,
    *,
    owners: Mapping[str, str] | None = None,
) -> Opened:
    """Open a direct message that names the holder of a card among its recipients.

    Args:
        trusted: the channel that accepted it.
        accepted: the outcome of `trusted.accept`.
        kem: the KEM pair of the card that the manifest in the header names.
        owners: object id to the member who first published it, for all objects known here.
    Raises:
        InputError: the body or the plaintext is not of its form.
        VerificationError: another type, expired, not sealed for this card, altered; the secret is
            not the one committed to, or the release note is not true (both alarms); an object is
            not the sender's to publish (an alarm if it is somebody else's).
    """
    header = accepted.message.header
    _check_data(accepted)
    if header.aud is not Audience.DIRECT or header.pub is None or header.seq is None:
        raise VerificationError("a direct message is expected", where="message")
    body = parse_direct(accepted.message.body)
    key_id = kem_id(kem.public)
    wrapped = body.wraps.get(key_id)
    if wrapped is None:
        raise VerificationError("is not sealed for this card", where="message")
    secret = kem.decrypt(wrapped, direct_wrap_info(header, key_id))
    if not equal(direct_commitment(secret, header).encode(), body.commitment.encode()):
        text = "the sender wrapped another secret for this member than it committed to"
        _alarm(trusted, accepted, "commitment", text)
        raise VerificationError(text, where="message")
    key = message_key(secret, Audience.DIRECT, header.ch, header.ep or 0, header.pub, header.seq)
    padded = aead.open_sealed(
        key, body_context(accepted.message.header_raw), body.sealed, most=MAX_BODY
    )
    manifest = _manifest_of(trusted, accepted)
    plain = decompress(unpad(padded), manifest.policy.compression)
    opened = _opened(trusted, accepted, plain, owners)
    release = release_of(opened.objects)
    listed = {
        trusted.card_of(row.member, manifest).kem_id
        for row in manifest.members
        if row.member in release.recipients
    }
    known = {row.member for row in manifest.members}
    if listed != body.wraps.keys() or not known.issuperset(release.recipients):
        text = "the release note names other recipients than can open the message"
        _alarm(trusted, accepted, "recipients", text)
        raise VerificationError(text, where="message")
    return replace(opened, release=release)


def _check_data(accepted: Accepted) -> None:
    header = accepted.message.header
    if header.t is not MessageType.DATA or header.aud is None or accepted.member is None:
        raise VerificationError(f"a data message is expected, not {header.t}", where="message")
    if accepted.expired:
        raise VerificationError("the message has expired", where="header.exp")


def _opened(
    trusted: TrustedChannel, accepted: Accepted, plain: bytes, owners: Mapping[str, str] | None
) -> Opened:
    header = accepted.message.header
    assert header.aud is not None
    assert accepted.member is not None
    manifest = _manifest_of(trusted, accepted)
    bundle = loads(plain, where="bundle", max_bytes=MAX_PLAIN)
    try:
        objects = check_bundle(
            bundle,
            member=accepted.member,
            roles=accepted.roles,
            audience=header.aud,
            ceiling=manifest.policy.tlp,
            owners=owners,
            members=[row.member for row in manifest.members],
        )
    except OwnershipError as error:
        _alarm(trusted, accepted, "ownership", error.message, where=error.where or "")
        raise
    return Opened(
        bundle=bundle,
        objects=objects,
        member=accepted.member,
        roles=accepted.roles,
        audience=header.aud,
        digest=accepted.message.digest,
        sent=header.ts,
    )


def _alarm(
    trusted: TrustedChannel, accepted: Accepted, kind: str, text: str, where: str | None = None
) -> None:
    digest = accepted.message.digest
    trusted.raise_alarm(
        kind, f"message {digest[:16]}" if where is None else where, text, digest, trusted.time
    )


def open_keys(
    trusted: TrustedChannel,
    accepted: Accepted,
    secrets: EpochSecrets,
    *,
    known: Mapping[str, bytes] | None = None,
) -> list[FingerprintSecret]:
    """The fingerprint keys in a keys message: `open_key_set` without the custodians."""
    return list(open_key_set(trusted, accepted, secrets, known=known).keys)


def open_key_set(
    trusted: TrustedChannel,
    accepted: Accepted,
    secrets: EpochSecrets,
    *,
    known: Mapping[str, bytes] | None = None,
    custodians: Mapping[tuple[str, str], bytes] | None = None,
) -> KeySet:
    """Open a keys message.

    Args:
        trusted: the channel that accepted it.
        accepted: the outcome of `trusted.accept`.
        secrets: of the epoch that the header names.
        known: secrets of the fingerprint keys that are held already, by id.
        custodians: public keys of the custodians that are known already, by fingerprint key id
            and custodian id.
    Raises:
        InputError: the plaintext is not of its form, or a key is named for another channel.
        VerificationError: another type, no such secret, altered, a known key has another secret,
            or other custodians, than before (an alarm).
    """
    header = accepted.message.header
    if header.t is not MessageType.KEYS:
        raise VerificationError(f"a keys message is expected, not {header.t}", where="message")
    found = key_set_from_bytes(_open(trusted, accepted, secrets), trusted.channel)
    held = known or {}
    digest = accepted.message.digest
    for key in found.keys:
        if not equal(held.get(key.key_id, key.secret), key.secret):
            text = "an owner sent another secret under the name of a known fingerprint key"
            trusted.raise_alarm("key-change", key.key_id, text, digest, trusted.time)
            raise VerificationError(text, where=key.key_id)
    stated = custodians or {}
    served = {key_id for key_id, _ in stated}
    for row in found.custodians:
        before = stated.get((row.key_id, row.custodian_id))
        # Tags under other custodians never meet: somebody would be partitioned off.
        if row.key_id in served and before != row.public_key:
            text = "an owner named other custodians for a known fingerprint key"
            trusted.raise_alarm("custodian-change", row.key_id, text, digest, trusted.time)
            raise VerificationError(text, where=row.key_id)
    return found


class OwnershipError(VerificationError):
    """An object belongs to another member than the one who sent it."""


def check_bundle(
    bundle: Json,
    *,
    member: str,
    roles: frozenset[Role],
    audience: Audience,
    ceiling: str,
    owners: Mapping[str, str] | None = None,
    members: Collection[str] = (),
) -> list[Json]:
    """Check that every object is the sender's to publish; senders call it before sealing.

    Args:
        bundle: a STIX bundle.
        member: STIX id of the sender.
        roles: the sender's roles.
        audience: for whom it is sealed.
        ceiling: the policy's strictest TLP label.
        owners: object id to the member who first published it.
        members: STIX ids of all members: nobody publishes another's identity.
    Returns:
        The objects.
    Raises:
        InputError: not a bundle of objects with ids.
        VerificationError: an object is not the sender's, not for this role, audience or ceiling; a
            direct bundle without its one release note, or a release note in another.
    """
    objects = bundle.get("objects")
    if bundle.get("type") != "bundle" or not isinstance(objects, list):
        raise InputError("a bundle of objects is expected", where="bundle")
    if not 1 <= len(objects) <= MAX_OBJECTS:
        raise InputError(f"1 to {MAX_OBJECTS} objects are expected", where="bundle.objects")
    direct = audience is Audience.DIRECT
    limit = TLP.RED if direct else next(tlp for tlp in TLP if tlp.label == ceiling)
    known = owners or {}
    others = frozenset(members)
    publishes = Role.PUBLISH in roles
    versions: set[tuple[str, object]] = set()
    for number, obj in enumerate(objects):
        kind, where = _check_form(obj, number)
        version = (where, obj.get("modified"))
        if version in versions:
            raise InputError("the same version occurs twice", where=where)
        versions.add(version)
        _check_binding(obj, kind, where, member, known)
        if where != member and where in others:
            raise OwnershipError("is another member's identity", where=where)
        if not publishes and kind not in REPORTED and where != member:
            raise VerificationError(f"a reporter publishes no {kind}", where=where)
        if audience is Audience.AGGREGATE and kind in DETAIL_ONLY:
            raise VerificationError(f"{kind} is detail and cannot be an aggregate", where=where)
        if not direct and is_release(obj):
            raise VerificationError("a release note belongs into a direct message", where=where)
        marking = tlp_of(obj)
        if marking is not None and marking > limit:
            raise VerificationError(f"is marked above the channel's {ceiling}", where=where)
    if direct:
        release_of(objects)
    return objects


def _check_form(obj: object, number: int) -> tuple[str, str]:
    if not isinstance(obj, dict):
        raise InputError("an object is expected", where=f"bundle.objects[{number}]")
    kind, object_id = obj.get("type"), obj.get("id")
    if not isinstance(kind, str) or not isinstance(object_id, str) or not is_id(object_id, kind):
        raise InputError("type and id do not agree", where=f"bundle.objects[{number}]")
    check_properties(obj, object_id)
    return kind, object_id


def _check_binding(
    obj: Json, kind: str, object_id: str, member: str, owners: Mapping[str, str]
) -> None:
    creator = obj.get("created_by_ref")
    if creator != member:
        unsigned = kind in OBSERVABLES or object_id == member
        if creator is not None or not unsigned:
            raise OwnershipError("`created_by_ref` is not the sender", where=object_id)
    owner = None if object_id == member else owners.get(object_id)
    if owner is not None and owner != member and kind not in OBSERVABLES:
        raise OwnershipError("was first published by another member", where=object_id)


def _open(trusted: TrustedChannel, accepted: Accepted, secrets: EpochSecrets) -> bytes:
    message, header = accepted.message, accepted.message.header
    if header.ep is None or header.aud is None or header.pub is None or header.seq is None:
        raise VerificationError("has no sealed body", where="message")
    if (secrets.channel, secrets.epoch) != (header.ch, header.ep):
        raise VerificationError(
            f"secrets of epoch {header.ep} are needed, not of {secrets.epoch}",
            where="epoch secrets",
        )
    key = message_key(
        secrets.of(header.aud), header.aud, header.ch, header.ep, header.pub, header.seq
    )
    padded = aead.open_sealed(key, body_context(message.header_raw), message.body, most=MAX_BODY)
    return decompress(unpad(padded), _manifest_of(trusted, accepted).policy.compression)


def _manifest_of(trusted: TrustedChannel, accepted: Accepted) -> Manifest:
    """The manifest that the sender held: its policy applies, whenever the message is opened."""
    manifest = trusted.manifest_by_hash(accepted.message.header.man or "")
    if manifest is None:
        raise VerificationError("names a manifest that is not known here", where="header.man")
    return manifest
