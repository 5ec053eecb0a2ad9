"""A home that came back from a back-up: what keeps it from forking its own message chain.

The back-up shows the chain as it was; messages sealed since may be out there. So an import gives
up what was verified, as `channel renew --abandon-outbox` does: nothing can be sealed before a pull,
and `floor` lets no server show less than the back-up knew. Even then a server could hide our own
last messages, and we would number new ones as they were. So no card of before the import seals
again: the home continues with a new card, whose chain begins anew.
"""

from __future__ import annotations

from typing import Final

from hub.channel.verify import TrustedChannel
from hub.client import floor
from hub.client.home import Home
from hub.client.keyring import CardKeys
from hub.client.rows import ChannelRow
from hub.errors import ConflictError
from hub.model.codec import canonical, loads

_KIND: Final = "restored"
_NAME: Final = "card"


def mark(home: Home, now: int) -> int:
    """Give up every channel's view, and retire the cards in use; inside a transaction.

    Returns:
        How many messages that had not been sent were dropped.
    """
    dropped = 0
    note = canonical({"card": home.keyring.current.card.number})
    for channel in home.state.channels():
        if channel.trusted is None:
            continue
        home.put_secret(channel.channel_id, _KIND, _NAME, note, now)
        dropped += floor.give_up(home, channel, now)
    return dropped


def retired(home: Home, channel_id: str) -> frozenset[str]:
    """Ids of the signing keys that may not seal in a channel any more."""
    noted = home.secrets(channel_id, _KIND).get(_NAME)
    if noted is None:
        return frozenset()
    last = loads(noted)["card"]
    return frozenset(each.card.sign_id for each in home.keyring.cards if each.card.number <= last)


def check(home: Home, channel: ChannelRow, pub: str | None) -> None:
    """Refuse to seal under a card of before the import.

    Raises:
        ConflictError: `pub` is such a card's key.
    """
    if pub is not None and pub in retired(home, channel.channel_id):
        raise ConflictError(
            "this home came back from a back-up: its old card must not be used again, since "
            "messages sealed after the back-up may be on the hub",
            where=channel.name,
            hint=f"stillwatch channel renew {channel.name}; then, once the owner has renewed the "
            "channel too, stillwatch pull",
        )


def needs_card(home: Home, channel: ChannelRow) -> bool:
    """Whether the card in use is retired, or its keys are lost."""
    return silent(home, channel, home.keyring.current)


def must_wait(home: Home, channel: ChannelRow, trusted: TrustedChannel) -> bool:
    """Whether an owner's card may not seal, and others must sign before a new one is taken up."""
    entry = trusted.manifest.member(home.member_id)
    if entry is None or trusted.manifest.threshold < 2:
        return False
    return any(
        each.card.hash == entry.card and silent(home, channel, each) for each in home.keyring.cards
    )


def adopt(home: Home, trusted: TrustedChannel) -> None:
    """Learn of cards of ours that were made after the back-up; the caller holds the lock.

    Raises:
        VerificationError: they do not continue this home's chain of cards.
    """
    ours = [
        each for each in trusted.cards_of(home.member_id) if each.root_id == home.keyring.root_id
    ]
    if any(each.number > home.keyring.current.card.number for each in ours):
        home.replace_keyring(home.keyring.with_lost_cards(ours))


def silent(home: Home, channel: ChannelRow, keys: CardKeys) -> bool:
    """Whether a card cannot or may not seal: its keys are lost, or an import retired it."""
    barred = retired(home, channel.channel_id)
    return keys.signing_private is None or keys.card.sign_id in barred
