"""Renewal: cards, manifest, epoch and fingerprint key, before they expire."""

from __future__ import annotations

import dataclasses

from hub.channel.card import card_message
from hub.channel.verify import TrustedChannel
from hub.client import floor, lost_card, restored
from hub.client.drafts import Wanted
from hub.client.issue import new_fingerprint_key, next_epoch, quarter, send_keys
from hub.client.outbox import send_again
from hub.client.proposals import enact, open_ones
from hub.client.rows import ChannelRow
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
            # What a restored hub lost, and can have again, need not be given up.
            again = send_again(
                home.state,
                desk.collection_of(channel),
                channel.channel_id,
                home.settings.post_bytes,
            )
            if again:
                result.done.append(f"sent {again} messages again that the hub had lost")
            with home.state.transaction():
                count = floor.give_up(home, channel, now)
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
        restored.adopt(home, trusted)
        new_card = new_card or restored.needs_card(home, channel)
        soon = now + home.settings.warn_before_s
        newest = home.keyring.current.card
        named = trusted.cards.get(home.member_id)
        # A newer card that no manifest names yet is posted first, not followed by another.
        unposted = (
            named is not None
            and newest.number > named.number
            and not restored.needs_card(home, channel)
        )
        if not unposted and (new_card or newest.not_after < soon):
            home.replace_keyring(
                home.keyring.with_next_card(now=now, card_lifetime_s=home.settings.card_lifetime_s)
            )
        sealed = Sealed(home, channel, trusted, now)
        with home.state.transaction():
            if home.keyring.root is not None and home.keyring.root_id in trusted.manifest.owners:
                for number in lost_card.take_up(sealed, home.keyring.root):
                    result.done.append(f"took up card {number} of your own")
            _post_own_card(sealed, result)
            sealed.store()
        flush(desk, channel)
        if home.keyring.root_id not in trusted.manifest.owners:
            return result
        if restored.must_wait(home, channel, home.trusted(channel)):
            result.done.append("another owner takes up your new card: stillwatch channel renew")
        else:
            _renew_as_owner(desk, name, result, soon=soon, force=force)
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


def _renew_as_owner(desk: Desk, name: str, result: Renewed, *, soon: int, force: bool) -> None:
    home, now = desk.home, desk.clock()
    channel = home.state.channel(name)
    trusted = home.trusted(channel)
    # Owners whose timers run at the same hour must not all begin the same epoch.
    turn = 0 if force else _turn(trusted, home.keyring.root_id)
    before = None if trusted.epoch is None else trusted.epoch.number
    _renew_manifest(desk, channel, result, soon=soon - turn, now=now - turn)
    channel = home.state.channel(name)
    sealed = Sealed(home, channel, home.trusted(channel), now)
    if now > sealed.trusted.manifest.expires:
        # Nothing counts that is signed under it; the other owners must sign the next one first.
        return
    epoch = sealed.trusted.epoch
    fresh = epoch is not None and epoch.number != before
    if fresh and epoch is not None:
        result.done.append(f"issued epoch {epoch.number} (members or their cards changed)")
    with home.state.transaction():
        reason = sealed.trusted.needs_epoch(now - turn)
        if reason is None and force and not fresh:
            reason = "asked for"
        if reason is not None:
            next_epoch(sealed)
            assert sealed.trusted.epoch is not None
            result.done.append(f"issued epoch {sealed.trusted.epoch.number} ({reason})")
        _renew_key(sealed, result, quarter(now - turn))
        sealed.store()
    flush(desk, channel)


def _turn(trusted: TrustedChannel, root: str) -> int:
    """How many seconds this owner leaves to the others; the first in line changes each epoch."""
    manifest = trusted.manifest
    number = 0 if trusted.epoch is None else trusted.epoch.number
    rank = (manifest.owners.index(root) - number) % len(manifest.owners)
    return rank * (manifest.policy.staleness // (2 * len(manifest.owners)))


def _renew_manifest(
    desk: Desk, channel: ChannelRow, result: Renewed, *, soon: int, now: int
) -> None:
    """Take up new cards, and extend the manifest; where others must sign, propose it once."""
    home = desk.home
    trusted = home.trusted(channel)
    alone = max(trusted.manifest.threshold, 1) == 1
    members, removed, taken = [], [], []
    for each in trusted.manifest.members:
        card = trusted.pending_card(each.member)
        # Who must still speak in the channel, to propose it, cannot end its own key.
        if card is None or card.not_before > now or (not alone and each.member == home.member_id):
            members.append(each)
            continue
        removed.append(trusted.final_of(each.member))
        members.append(dataclasses.replace(each, card=card.hash))
        taken.append(f"took up card {card.number} of {each.member}")
    if not removed and trusted.manifest.expires >= soon:
        return
    waiting = open_ones(home, channel, desk.clock())
    if waiting:
        ids = ", ".join(each.proposal.id[:16] for each in waiting)
        result.done.append(f"nothing changed in the manifest: proposal {ids} waits for owners")
        return
    what = "takes up new cards" if removed else "extends the manifest"
    wanted = Wanted(f"{home.organisation[:200]} {what}", members=members, removed=removed)
    outcome = enact(desk, channel, wanted)
    version = outcome.proposal.after.version
    if outcome.in_force:
        result.done += [*taken, f"issued manifest {version}"]
        return
    short = outcome.proposal.id[:16]
    how = "" if outcome.sent else f"; hand it on: channel proposals {channel.name} {short} --out"
    result.done.append(f"proposed manifest {version} as {short}: others sign it{how}")


def _renew_key(sealed: Sealed, result: Renewed, current: str) -> None:
    keys = sealed.home.fingerprint_secrets(sealed.channel.channel_id)
    live = [each for each in keys if each.live]
    if any(f".{current}" in each.key_id for each in live):
        return
    retired = [dataclasses.replace(each, live=False) for each in live]
    for key in retired:
        sealed.home.put_fingerprint_secret(sealed.channel.channel_id, key, sealed.now)
    fresh = new_fingerprint_key(sealed, keys)
    send_keys(sealed, [*retired, fresh])
    result.done.append(f"made fingerprint key {fresh.key_id}")
