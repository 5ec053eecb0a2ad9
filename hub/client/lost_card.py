"""A lone owner whose card was lost with the machine: the root leads the manifest on."""

from __future__ import annotations

import dataclasses

from hub.channel.card import RootPrivate, card_message
from hub.channel.manifest import next_version, sign_manifest
from hub.client.work import Sealed


def take_up(sealed: Sealed, root: RootPrivate) -> list[int]:
    """Lead a lone owner's row of the manifest from cards whose keys are lost to one that is here.

    The way through a proposal is closed: a draft is signed by the card that the manifest names.

    Returns:
        Numbers of the cards that were taken up.
    """
    home, trusted = sealed.home, sealed.trusted
    held = {each.card.number: each for each in home.keyring.cards}
    taken: list[int] = []
    while trusted.manifest.threshold == 1:
        entry = trusted.manifest.member(home.member_id)
        named = trusted.cards.get(home.member_id)
        if entry is None or named is None or held[named.number].signing_private is not None:
            break
        card = trusted.pending_card(home.member_id)
        if card is None:
            card = held[named.number + 1].card
            sealed.add(card_message(trusted.channel, card.raw))
        before = trusted.manifest
        created = max(sealed.now, before.created)
        after = next_version(
            before,
            created=created,
            expires=created + home.settings.manifest_lifetime_s,
            members=[
                dataclasses.replace(each, card=card.hash) if each == entry else each
                for each in before.members
            ],
            removed=[trusted.final_of(home.member_id)],
        )
        sealed.add(sign_manifest(after, [root]))
        taken.append(card.number)
    return taken
