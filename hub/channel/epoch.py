"""Epochs with their secrets: begun by an owner, unwrapped by readers. The hub never imports this.

Source: schemas/channel-v1.md, "Epochs".
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from hub.channel.card import kem_id
from hub.channel.fields import Fields, from_base64, to_base64
from hub.channel.header import Audience, Header, MessageType, parse_message, signed_message
from hub.channel.primitives import kem as hpke
from hub.channel.primitives.hash import equal
from hub.channel.primitives.kem import KemPrivate
from hub.channel.primitives.sign import SigningPrivate
from hub.channel.sender import next_place
from hub.channel.verify import Epoch, TrustedChannel
from hub.channel.wraps import (
    SEALED_AUDIENCES,
    SECRET_SIZE,
    EpochBody,
    History,
    commitment,
    history_info,
    parse_epoch_body,
    wrap_info,
)
from hub.errors import InputError, VerificationError
from hub.model.codec import canonical, loads_canonical

__all__ = ["EpochSecrets", "KemPrivate", "new_epoch", "unwrap", "unwrap_history"]


@dataclass(frozen=True)
class EpochSecrets:
    """The secrets of one epoch that a member holds; its text form hides them.

    Args:
        channel: channel id.
        epoch: number.
        manifest: hash of the manifest that the epoch was made for.
        detail: 32 bytes, or None for a liaison.
        aggregate: 32 bytes, or None for a member who reads nothing.
    """

    channel: str
    epoch: int
    manifest: str
    detail: bytes | None = field(repr=False)
    aggregate: bytes | None = field(repr=False)

    def of(self, audience: Audience) -> bytes:
        """The secret of an audience.

        Raises:
            VerificationError: this member does not hold it.
        """
        secret = {Audience.DETAIL: self.detail, Audience.AGGREGATE: self.aggregate}.get(audience)
        if secret is None:
            raise VerificationError(
                f"no {audience} secret of epoch {self.epoch} is held here", where="epoch secrets"
            )
        return secret

    def to_bytes(self) -> bytes:
        """Secret bytes to keep encrypted."""
        return canonical(
            {
                "channel": self.channel,
                "epoch": self.epoch,
                "manifest": self.manifest,
                "detail": None if self.detail is None else to_base64(self.detail),
                "aggregate": None if self.aggregate is None else to_base64(self.aggregate),
            }
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> EpochSecrets:
        """What `to_bytes` gave.

        Raises:
            InputError: it is not of this form.
        """
        names = ("channel", "epoch", "manifest", "detail", "aggregate")
        fields = Fields(loads_canonical(data, where="epoch secrets"), "epoch secrets", names)
        return cls(
            channel=fields.hash("channel"),
            epoch=fields.integer("epoch", least=1),
            manifest=fields.hash("manifest"),
            detail=_secret(fields, "detail"),
            aggregate=_secret(fields, "aggregate"),
        )


def new_epoch(
    trusted: TrustedChannel,
    signing: SigningPrivate,
    *,
    now: int,
    seq: int | None = None,
    prev: str | None = None,
    history: Mapping[int, EpochSecrets] | None = None,
    joiners: Collection[str] = (),
    random: Callable[[int], bytes] = secrets.token_bytes,
    checkpoint: str | None = None,
) -> tuple[bytes, EpochSecrets]:
    """Begin an epoch: fresh secrets, wrapped for exactly the readers of the manifest in force.

    Args:
        trusted: the channel as this owner knows it.
        signing: the signing pair of an owner's card.
        now: seconds UTC.
        seq: position in the owner's chain; with `prev`, taken from `trusted` if None.
        prev: digest of the owner's message before it.
        history: secrets of older epochs by number, for `joiners`; needs the policy's leave.
        joiners: member ids who shall be able to open older epochs.
        random: gives so many random bytes.
        checkpoint: what to cite of the log; the last one that `trusted` noted if None.
    Returns:
        The epoch message and its secrets.
    Raises:
        NotYetError: the card of a reader has not arrived.
        VerificationError: a reader's KEM key is not valid.
    """
    manifest, current = trusted.manifest, trusted.epoch
    place = next_place(trusted, signing, seq, prev, checkpoint)
    number = 1 if current is None else current.number + 1
    fresh = {audience: random(SECRET_SIZE) for audience in SEALED_AUDIENCES}
    body = EpochBody(
        previous=None if current is None else current.digest,
        commitments={
            audience: commitment(fresh[audience], audience, manifest.channel, number, manifest.hash)
            for audience in SEALED_AUDIENCES
        },
        wraps=_wraps(trusted, number, fresh),
        history=_history(trusted, history or {}, joiners),
    )
    header = Header(
        t=MessageType.EPOCH,
        ch=trusted.channel,
        man=manifest.hash,
        ep=number,
        ts=now if current is None else max(now, current.created),
        pub=place.pub,
        seq=place.seq,
        prev=place.prev,
        cp=place.cp,
    )
    raw = signed_message(header, body.to_bytes(), signing)
    return raw, EpochSecrets(
        trusted.channel,
        number,
        manifest.hash,
        fresh[Audience.DETAIL],
        fresh[Audience.AGGREGATE],
    )


def unwrap(trusted: TrustedChannel, raw: bytes, kem: KemPrivate) -> EpochSecrets:
    """Take one's secrets out of an accepted epoch message and check the commitments.

    Args:
        trusted: a channel that accepted `raw`.
        raw: the epoch message.
        kem: the KEM pair of the card that the manifest named.
    Returns:
        The secrets wrapped for that card; None where the audience is not for it.
    Raises:
        InputError: not an epoch message.
        VerificationError: never accepted, a wrap does not open, or the owner gave this member
            another secret than it committed to (an alarm).
    """
    epoch, body = _accepted_epoch(trusted, raw)
    key = kem_id(kem.public)
    found: dict[Audience, bytes | None] = {}
    for audience in SEALED_AUDIENCES:
        wrapped = body.wraps[audience].get(key)
        if wrapped is None:
            found[audience] = None
            continue
        info = wrap_info(audience, trusted.channel, epoch.number, epoch.manifest, key)
        found[audience] = _check_commitment(
            trusted, epoch, audience, kem.decrypt(wrapped, info), epoch.digest
        )
    return EpochSecrets(
        trusted.channel,
        epoch.number,
        epoch.manifest,
        found[Audience.DETAIL],
        found[Audience.AGGREGATE],
    )


def unwrap_history(trusted: TrustedChannel, raw: bytes, kem: KemPrivate) -> list[EpochSecrets]:
    """Take the secrets of older epochs that an epoch message gives to a joiner.

    Args:
        trusted: a channel that accepted `raw` and the older epochs.
        raw: the epoch message.
        kem: the joiner's KEM pair.
    Returns:
        By epoch, ascending.
    Raises:
        InputError, VerificationError: as `unwrap`.
    """
    accepted, body = _accepted_epoch(trusted, raw)
    key = kem_id(kem.public)
    found: dict[int, dict[Audience, bytes]] = {}
    for row in body.history:
        if row.kem != key:
            continue
        epoch = trusted.epochs[row.epoch]
        info = history_info(row.audience, trusted.channel, epoch.number, epoch.manifest, key)
        secret = kem.decrypt(row.wrapped, info)
        found.setdefault(row.epoch, {})[row.audience] = _check_commitment(
            trusted, epoch, row.audience, secret, accepted.digest
        )
    return [
        EpochSecrets(
            trusted.channel,
            number,
            trusted.epochs[number].manifest,
            held.get(Audience.DETAIL),
            held.get(Audience.AGGREGATE),
        )
        for number, held in sorted(found.items())
    ]


def _accepted_epoch(trusted: TrustedChannel, raw: bytes) -> tuple[Epoch, EpochBody]:
    message = parse_message(raw)
    if message.header.t is not MessageType.EPOCH:
        raise InputError(f"an epoch is expected, not {message.header.t}", where="message")
    epoch = trusted.epochs.get(message.header.ep or 0)
    if epoch is None or epoch.digest != message.digest:
        raise VerificationError(
            "this epoch message was not accepted", where=f"epoch {message.header.ep}"
        )
    return epoch, parse_epoch_body(message.body)


def _check_commitment(
    trusted: TrustedChannel, epoch: Epoch, audience: Audience, secret: bytes, digest: str
) -> bytes:
    where = f"epoch {epoch.number}, {audience}"
    if len(secret) != SECRET_SIZE:
        raise VerificationError("the wrapped secret has another length", where=where)
    found = commitment(secret, audience, trusted.channel, epoch.number, epoch.manifest)
    if not equal(found.encode(), epoch.commitments[audience].encode()):
        text = "the owner wrapped another secret for this member than it committed to"
        trusted.raise_alarm("commitment", where, text, digest, trusted.time)
        raise VerificationError(text, where=where)
    return secret


def _wraps(
    trusted: TrustedChannel, number: int, fresh: Mapping[Audience, bytes]
) -> dict[Audience, dict[str, bytes]]:
    manifest = trusted.manifest
    return {
        audience: {
            card.kem_id: hpke.encrypt(
                secret,
                card.kem_public,
                wrap_info(audience, manifest.channel, number, manifest.hash, card.kem_id),
            )
            for card in trusted.readers(audience)
        }
        for audience, secret in fresh.items()
    }


def _history(
    trusted: TrustedChannel, history: Mapping[int, EpochSecrets], joiners: Collection[str]
) -> tuple[History, ...]:
    rows = []
    for audience in SEALED_AUDIENCES:
        for card in trusted.readers(audience):
            if card.member not in joiners:
                continue
            for number, held in sorted(history.items()):
                info = history_info(audience, trusted.channel, number, held.manifest, card.kem_id)
                wrapped = hpke.encrypt(held.of(audience), card.kem_public, info)
                rows.append(History(audience, number, card.kem_id, wrapped))
    return tuple(rows)


def _secret(fields: Fields, name: str) -> bytes | None:
    value = fields.raw(name)
    if value is None:
        return None
    if not isinstance(value, str):
        raise InputError("base64 text is expected", where=fields.at(name))
    return from_base64(value, where=fields.at(name), most=SECRET_SIZE)
