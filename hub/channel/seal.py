"""Sealing: bundles and fingerprint keys into messages. The hub never imports this.

Sealing is randomised: sealing again under the same position forks the sender's own chain. Store the
bytes and the position in one transaction, and send the same bytes again after a lost answer.
Source: schemas/channel-v1.md, "Bodies".
"""

from __future__ import annotations

import secrets as randomness
from collections.abc import Callable, Collection, Sequence

from hub.channel.compression import compress
from hub.channel.custodians import Custodian
from hub.channel.direct import DirectBody, direct_commitment, direct_wrap_info
from hub.channel.epoch import EpochSecrets
from hub.channel.fingerprint_keys import FingerprintSecret, keys_to_bytes
from hub.channel.header import (
    Audience,
    Header,
    MessageType,
    body_context,
    signed_message,
)
from hub.channel.notices import Deleted, Heartbeat, Tombstone
from hub.channel.padding import pad
from hub.channel.primitives import aead
from hub.channel.primitives import kem as hpke
from hub.channel.primitives.sign import SigningPrivate
from hub.channel.sender import Place, next_place
from hub.channel.verify import TrustedChannel
from hub.channel.wraps import SECRET_SIZE, message_key
from hub.errors import InputError, VerificationError
from hub.model.codec import canonical

__all__ = [
    "FingerprintSecret",
    "seal_data",
    "seal_direct",
    "seal_heartbeat",
    "seal_keys",
    "seal_tombstone",
]


def seal_data(
    trusted: TrustedChannel,
    secrets: EpochSecrets,
    signing: SigningPrivate,
    audience: Audience,
    bundle: bytes,
    *,
    now: int,
    seq: int | None = None,
    prev: str | None = None,
    expires: int | None = None,
    checkpoint: str | None = None,
) -> bytes:
    """Seal a STIX bundle.

    Args:
        trusted: the channel as the sender knows it; must be fit to publish at `now`.
        secrets: of the current epoch.
        signing: the signing pair of the sender's current card.
        audience: detail or aggregate.
        bundle: JSON of one bundle, at most 16 MiB; check its objects first with `check_bundle`.
        now: seconds UTC.
        seq: position that the outbox reserved; with `prev`, taken from `trusted` if None.
        prev: digest of the sender's message before it.
        expires: after when receivers ignore the message; None: never.
        checkpoint: what to cite of the log; the last one that `trusted` noted if None.
    Returns:
        The message.
    Raises:
        InputError: too long, or an audience that cannot be sealed for.
        VerificationError: the channel is not fit to publish in, or the secret is not held.
    """
    if audience is Audience.DIRECT:
        raise InputError("a direct message is sealed for named members", where="audience")
    place = next_place(trusted, signing, seq, prev, checkpoint)
    return _seal(trusted, secrets, signing, MessageType.DATA, audience, bundle, now, place, expires)


def seal_direct(
    trusted: TrustedChannel,
    signing: SigningPrivate,
    recipients: Collection[str],
    bundle: bytes,
    *,
    now: int,
    seq: int | None = None,
    prev: str | None = None,
    expires: int | None = None,
    checkpoint: str | None = None,
    random: Callable[[int], bytes] = randomness.token_bytes,
) -> bytes:
    """Seal a STIX bundle under a fresh secret for named members only.

    Args:
        trusted: the channel as the sender knows it; must be fit to publish at `now`.
        signing: the signing pair of the sender's current card.
        recipients: member ids, the sender's own too if it shall be able to read it again; the
            bundle's release note names exactly these.
        bundle: JSON of one bundle with one release note; check it first with `check_bundle`.
        now: seconds UTC.
        seq: position that the outbox reserved; with `prev`, taken from `trusted` if None.
        prev: digest of the sender's message before it.
        expires: after when receivers ignore the message; None: never.
        checkpoint: what to cite of the log; the last one that `trusted` noted if None.
        random: gives so many random bytes.
    Returns:
        The message.
    Raises:
        InputError: too long, nobody named, or somebody who is no member.
        NotYetError: the card of a recipient has not arrived.
        VerificationError: the channel is not fit to publish in.
    """
    place = next_place(trusted, signing, seq, prev, checkpoint)
    trusted.check_can_publish(now, place.pub)
    assert trusted.epoch is not None
    cards = [trusted.card_of(member) for member in sorted(set(recipients))]
    if not cards:
        raise InputError("a direct message names its recipients", where="recipients")
    header = Header(
        t=MessageType.DATA,
        ch=trusted.channel,
        man=trusted.manifest.hash,
        ep=trusted.epoch.number,
        aud=Audience.DIRECT,
        pub=place.pub,
        seq=place.seq,
        prev=place.prev,
        ts=now,
        exp=expires,
        cp=place.cp,
    )
    header_raw = canonical(header.to_json())
    secret = random(SECRET_SIZE)
    key = message_key(
        secret, Audience.DIRECT, header.ch, trusted.epoch.number, place.pub, place.seq
    )
    padded = pad(compress(bundle, trusted.manifest.policy.compression))
    body = DirectBody(
        wraps={
            card.kem_id: hpke.encrypt(
                secret, card.kem_public, direct_wrap_info(header, card.kem_id)
            )
            for card in cards
        },
        commitment=direct_commitment(secret, header),
        sealed=aead.seal(key, body_context(header_raw), padded),
    )
    return signed_message(header, body.to_bytes(), signing)


def seal_keys(
    trusted: TrustedChannel,
    secrets: EpochSecrets,
    signing: SigningPrivate,
    keys: Sequence[FingerprintSecret],
    *,
    now: int,
    custodians: Sequence[Custodian] = (),
    seq: int | None = None,
    prev: str | None = None,
    checkpoint: str | None = None,
) -> bytes:
    """Seal fingerprint keys for the readers of detail; for owners.

    Args:
        trusted: the channel as the owner knows it.
        secrets: of the current epoch.
        signing: the signing pair of an owner's card.
        keys: every key that a joiner needs, not only new ones.
        now: seconds UTC.
        custodians: two for each of the keys that serves oblivious tokens.
        seq: position that the outbox reserved; with `prev`, taken from `trusted` if None.
        prev: digest of the owner's message before it.
        checkpoint: what to cite of the log; the last one that `trusted` noted if None.
    Raises:
        InputError: none, too many, two of one id, one that is named for another channel, or
            custodians that are not two for a key.
        VerificationError: the channel is not fit to publish in.
    """
    plain = keys_to_bytes(keys, trusted.channel, custodians)
    place = next_place(trusted, signing, seq, prev, checkpoint)
    return _seal(
        trusted, secrets, signing, MessageType.KEYS, Audience.DETAIL, plain, now, place, None
    )


def seal_heartbeat(
    trusted: TrustedChannel,
    signing: SigningPrivate,
    *,
    now: int,
    seq: int | None = None,
    prev: str | None = None,
    checkpoint: str | None = None,
) -> bytes:
    """Sign that nothing was said up to now: bounds how long a withheld tail goes unseen.

    Args:
        trusted: the channel as the sender knows it.
        signing: the signing pair of the sender's current card.
        now: seconds UTC.
        seq: position that the outbox reserved; with `prev`, taken from `trusted` if None.
        prev: digest of the sender's message before it.
        checkpoint: what to cite of the log; the last one that `trusted` noted if None.
    """
    epoch = trusted.epoch
    body = Heartbeat(
        every=trusted.manifest.policy.heartbeat,
        epoch=None if epoch is None else epoch.number,
        digest=None if epoch is None else epoch.digest,
    )
    place = next_place(trusted, signing, seq, prev, checkpoint)
    header = _notice(trusted, MessageType.HEARTBEAT, place, now)
    return signed_message(header, body.to_bytes(), signing)


def seal_tombstone(
    trusted: TrustedChannel,
    signing: SigningPrivate,
    messages: Sequence[Deleted],
    *,
    reason: str,
    now: int,
    seq: int | None = None,
    prev: str | None = None,
    checkpoint: str | None = None,
) -> bytes:
    """Sign that own messages are deleted; the TAXII DELETE comes after it is accepted.

    Args:
        trusted: the channel as the sender knows it.
        signing: the signing pair of the sender's current card.
        messages: own messages, also of earlier cards.
        reason: `expired`, `retracted` or `error`.
        now: seconds UTC.
        seq: position that the outbox reserved; with `prev`, taken from `trusted` if None.
        prev: digest of the sender's message before it.
        checkpoint: what to cite of the log; the last one that `trusted` noted if None.
    """
    rows = tuple(sorted(messages, key=lambda row: (row.pub, row.seq)))
    place = next_place(trusted, signing, seq, prev, checkpoint)
    header = _notice(trusted, MessageType.TOMBSTONE, place, now)
    return signed_message(header, Tombstone(rows, reason).to_bytes(), signing)


def _notice(trusted: TrustedChannel, kind: MessageType, place: Place, now: int) -> Header:
    return Header(
        t=kind,
        ch=trusted.channel,
        man=trusted.manifest.hash,
        pub=place.pub,
        seq=place.seq,
        prev=place.prev,
        cp=place.cp,
        ts=now,
    )


def _seal(
    trusted: TrustedChannel,
    secrets: EpochSecrets,
    signing: SigningPrivate,
    kind: MessageType,
    audience: Audience,
    plain: bytes,
    now: int,
    place: Place,
    expires: int | None,
) -> bytes:
    trusted.check_can_publish(now, place.pub)
    epoch = trusted.epoch
    if epoch is None or (secrets.channel, secrets.epoch) != (trusted.channel, epoch.number):
        raise VerificationError(
            "the secrets are not those of the current epoch", where="epoch secrets"
        )
    header = Header(
        t=kind,
        ch=trusted.channel,
        man=trusted.manifest.hash,
        ep=epoch.number,
        aud=audience,
        pub=place.pub,
        seq=place.seq,
        prev=place.prev,
        cp=place.cp,
        ts=now,
        exp=expires,
    )
    header_raw = canonical(header.to_json())
    key = message_key(
        secrets.of(audience), audience, trusted.channel, epoch.number, place.pub, place.seq
    )
    padded = pad(compress(plain, trusted.manifest.policy.compression))
    return signed_message(header, aead.seal(key, body_context(header_raw), padded), signing)
