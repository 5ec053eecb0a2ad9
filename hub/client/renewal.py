"""Renewal: cards, manifest, epoch and fingerprint key, before they expire."""

from __future__ import annotations

import dataclasses

from hub.channel.card import card_message
from hub.client import floor
from hub.client.issue import new_fingerprint_key, new_manifest, next_epoch, quarter, send_keys
from hub.client.subscriber import refresh
from hub.client.work import Desk, Sealed, flush


@dataclasses.dataclass
class Renewed:
    """What a renewal did."""

    channel: str
    done: list[str] = dataclasses.field(default_factory=list)


def renew(
    desk: Desk, name: str, *, force: bool = False, new_card: bool = False, abandon: bool = False
) -> Renewed:
    """Re-issue what expires soon: cards, manifest, epoch, fingerprint key.

    A member renews its card only; an owner also takes up other members' new cards.

    Args:
        force: rotate the epoch although it is not due.
        new_card: make a new card although it is not due; it also heals a forked chain.
        abandon: drop unsent messages first, and verify the channel anew.
    """
    home, now = desk.home, desk.clock()
    with home.locked():
        channel = home.state.channel(name)
        result = Renewed(channel.name)
        if abandon:
            with home.state.transaction():
                floor.keep(home, channel, now)
                count = home.state.abandon(channel.channel_id)
            result.done.append(
                f"dropped {count} unsent message{'' if count == 1 else 's'} and verified the "
                "channel anew; now publish your files again, and withdraw again what you withdrew"
            )
            channel = home.state.channel(name)
        channel = refresh(desk, channel)
        if abandon:
            lost = home.state.drop_lost(channel.channel_id, home.member_id)
            if lost:
                result.done.append(
                    f"{lost} of your own objects are on the hub no more, and count as unpublished"
                )
        trusted = home.trusted(channel)
        soon = now + home.settings.warn_before_s
        newest = home.keyring.current.card
        named = trusted.cards.get(home.member_id)
        # A newer card that no manifest names yet is posted first, not followed by another.
        unposted = named is not None and newest.number > named.number
        if not unposted and (new_card or newest.not_after < soon):
            home.replace_keyring(
                home.keyring.with_next_card(now=now, card_lifetime_s=home.settings.card_lifetime_s)
            )
        sealed = Sealed(home, channel, trusted, now)
        with home.state.transaction():
            _post_own_card(sealed, result)
            if home.keyring.root_id in trusted.manifest.owners:
                _renew_as_owner(sealed, result, soon=soon, force=force)
            sealed.store()
        flush(desk, channel)
    return result


def _post_own_card(sealed: Sealed, result: Renewed) -> None:
    """Post the card after the one that the manifest names; one at a time is taken up."""
    home, trusted = sealed.home, sealed.trusted
    current = trusted.cards.get(home.member_id)
    if current is None or trusted.pending_card(home.member_id) is not None:
        return
    for keys in home.keyring.cards:
        if keys.card.number == current.number + 1:
            sealed.add(card_message(trusted.channel, keys.card.raw))
            result.done.append(f"posted card {keys.card.number}")


def _renew_as_owner(sealed: Sealed, result: Renewed, *, soon: int, force: bool) -> None:
    home, trusted, now = sealed.home, sealed.trusted, sealed.now
    members, removed = [], []
    for each in trusted.manifest.members:
        card = trusted.pending_card(each.member)
        if card is not None:
            removed.append(trusted.final_of(each.member))
            members.append(dataclasses.replace(each, card=card.hash))
            result.done.append(f"took up card {card.number} of {each.member}")
        else:
            members.append(each)
    if removed or trusted.manifest.expires < soon:
        new_manifest(sealed, members=members, removed=removed)
        result.done.append(f"issued manifest {trusted.manifest.version}")
    reason = trusted.needs_epoch(now) or ("asked for" if force else None)
    if reason is not None:
        next_epoch(sealed)
        assert trusted.epoch is not None
        result.done.append(f"issued epoch {trusted.epoch.number} ({reason})")
    keys = home.fingerprint_secrets(sealed.channel.channel_id)
    live = [each for each in keys if each.live]
    if not any(f".{quarter(now)}" in each.key_id for each in live):
        retired = [dataclasses.replace(each, live=False) for each in live]
        for key in retired:
            home.put_fingerprint_secret(sealed.channel.channel_id, key, now)
        fresh = new_fingerprint_key(sealed, keys)
        send_keys(sealed, [*retired, fresh])
        result.done.append(f"made fingerprint key {fresh.key_id}")
