"""What an owner issues: manifests, epochs, fingerprint keys."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Sequence
from datetime import UTC, datetime

from hub.channel.card import SigningPrivate
from hub.channel.custodians import Custodian
from hub.channel.epoch import new_epoch
from hub.channel.manifest import Manifest
from hub.channel.seal import FingerprintSecret, seal_keys
from hub.channel.verify import TrustedChannel
from hub.client.custodians import Custodians
from hub.client.home import Home
from hub.client.rows import ChannelRow
from hub.client.work import Sealed, current_secrets, put_epoch
from hub.errors import AccessError


def owned(home: Home, channel: ChannelRow) -> TrustedChannel:
    """The verified channel, for its owner.

    Raises:
        AccessError: somebody else owns it.
    """
    trusted = home.trusted(channel)
    if home.keyring.root_id not in trusted.manifest.owners:
        raise AccessError("only an owner of the channel may do this", where=channel.name)
    return trusted


def next_epoch(sealed: Sealed, joiners: Collection[str] = ()) -> None:
    """Begin an epoch for the readers of the manifest in force."""
    home, channel_id = sealed.home, sealed.channel.channel_id
    history = (
        home.epoch_secrets(channel_id) if sealed.trusted.manifest.policy.history != "none" else {}
    )
    raw, made = new_epoch(
        sealed.trusted,
        signing_of(sealed),
        now=sealed.now,
        history=history,
        joiners=joiners,
    )
    sealed.add(raw)
    put_epoch(home, channel_id, made, sealed.now)


def send_keys(
    sealed: Sealed, keys: Sequence[FingerprintSecret], custodians: Sequence[Custodian] = ()
) -> None:
    """Seal fingerprint keys for those who read, with the custodians that serve them.

    Args:
        custodians: those that members do not know yet; known ones of these keys are sent along.
    """
    secrets_ = current_secrets(sealed.home, sealed.channel, sealed.trusted)
    held = Custodians(sealed.home.state, sealed.channel.channel_id)
    rows = [*(row for key in keys for row in held.of(key.key_id)), *custodians]
    raw = seal_keys(
        sealed.trusted, secrets_, signing_of(sealed), keys, now=sealed.now, custodians=rows
    )
    sealed.add(raw)


def signing_of(sealed: Sealed) -> SigningPrivate:
    """The signing pair of this member's card in the manifest in force."""
    return signing_in(sealed.home, sealed.trusted.manifest)


def signing_in(home: Home, manifest: Manifest) -> SigningPrivate:
    """The signing pair of this member's card in a manifest.

    Raises:
        AccessError: the manifest does not list a card of this home.
    """
    entry = manifest.member(home.member_id)
    for keys in home.keyring.cards:
        if entry is not None and keys.card.hash == entry.card:
            return keys.signing
    raise AccessError("the manifest lists no card of this home", where=home.organisation)


def live_keys(home: Home, channel: ChannelRow) -> list[FingerprintSecret]:
    """The fingerprint keys under which tokens are made now."""
    return [each for each in home.fingerprint_secrets(channel.channel_id) if each.live]


def new_fingerprint_key(sealed: Sealed, known: Sequence[FingerprintSecret]) -> FingerprintSecret:
    """A new fingerprint key, stored; its id is none of `known`."""
    home, now, channel_id = sealed.home, sealed.now, sealed.trusted.channel
    base = f"{channel_id[:16]}.{quarter(now)}"
    taken = {each.key_id for each in known}
    number = 1
    key_id = base
    while key_id in taken:
        number += 1
        key_id = f"{base}-{number}"
    key = FingerprintSecret(
        key_id=key_id,
        secret=secrets.token_bytes(32),
        created=now,
        expires=now + home.settings.fingerprint_key_lifetime_s,
        live=True,
    )
    home.put_fingerprint_secret(channel_id, key, now)
    return key


def quarter(now: int) -> str:
    """Such as `2026q4`."""
    moment = datetime.fromtimestamp(now, UTC)
    return f"{moment.year}q{(moment.month - 1) // 3 + 1}"
