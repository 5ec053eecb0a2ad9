"""Epoch messages as dishonest owners could make them."""

from __future__ import annotations

from hub.channel.header import Header, MessageType, signed_message
from hub.channel.primitives import kem as hpke
from hub.channel.wraps import SEALED_AUDIENCES, EpochBody, commitment, wrap_info
from tests.unit.channel.cast import NOW, Person, Scene


def epoch_body(
    scene: Scene,
    *,
    extra: Person | None = None,
    without: Person | None = None,
    partitioned: Person | None = None,
) -> EpochBody:
    """The body of the next epoch as a dishonest owner could make it."""
    manifest, current = scene.manifest, scene.trusted.epoch
    assert current is not None
    number = current.number + 1
    secret, other = b"s" * 32, b"o" * 32
    wraps = {}
    for audience in SEALED_AUDIENCES:
        cards = list(scene.trusted.readers(audience))
        cards += [] if extra is None else [extra.card]
        wraps[audience] = {
            card.kem_id: hpke.encrypt(
                other if partitioned is not None and card.member == partitioned.id else secret,
                card.kem_public,
                wrap_info(audience, manifest.channel, number, manifest.hash, card.kem_id),
            )
            for card in cards
            if without is None or card.member != without.id
        }
    return EpochBody(
        previous=current.digest,
        commitments={
            audience: commitment(secret, audience, manifest.channel, number, manifest.hash)
            for audience in SEALED_AUDIENCES
        },
        wraps=wraps,
    )


def epoch_message(
    scene: Scene,
    owner: Person,
    body: EpochBody,
    *,
    number: int | None = None,
) -> bytes:
    assert scene.trusted.epoch is not None
    seq, prev = scene.trusted.position(owner.pub)
    header = Header(
        t=MessageType.EPOCH,
        ch=scene.trusted.channel,
        man=scene.manifest.hash,
        ep=number or scene.trusted.epoch.number + 1,
        pub=owner.pub,
        seq=seq,
        prev=prev,
        ts=NOW,
    )
    return signed_message(header, body.to_bytes(), owner.signing)
