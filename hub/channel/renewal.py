"""What expires soon, and who must act.

Source: schemas/channel-v1.md, "Renewal".
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from hub.channel.card import Card
from hub.channel.manifest import DAY
from hub.channel.verify import TrustedChannel

WARNING: Final = 14 * DAY


@dataclass(frozen=True)
class Due:
    """Something to renew.

    Args:
        what: `card`, `manifest` or `epoch`.
        name: the member of a card, or the channel id.
        expires: seconds UTC.
        by_owner: whether an owner must act, else the member itself.
    """

    what: str
    name: str
    expires: int
    by_owner: bool


def due(
    trusted: TrustedChannel,
    *,
    now: int,
    within: int = WARNING,
    members: Collection[str] | None = None,
) -> list[Due]:
    """What expires within a time, soonest first; what has expired is included.

    Args:
        trusted: the channel.
        now: seconds UTC.
        within: seconds.
        members: whose cards to look at; None: everybody's.
    """
    found = [Due("manifest", trusted.channel, trusted.manifest.expires, by_owner=True)]
    cards = trusted.cards.values()
    found += [_card(card) for card in cards if members is None or card.member in members]
    epoch = trusted.epoch
    if epoch is not None:
        # An epoch is replaced, not warned about: it is due from the rotation period on.
        rotation = epoch.created + trusted.manifest.policy.rotation
        if rotation <= now:
            found.append(Due("epoch", trusted.channel, rotation, by_owner=True))
    return sorted(
        (row for row in found if row.expires <= now + within), key=lambda row: row.expires
    )


def _card(card: Card) -> Due:
    return Due("card", card.member, card.not_after, by_owner=False)
