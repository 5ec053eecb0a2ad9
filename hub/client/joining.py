"""A newcomer's side of first contact."""

from __future__ import annotations

import dataclasses
import re
from typing import Final

from hub.channel.card import fingerprint_words
from hub.channel.invite import Invitation, join_request, parse_invitation
from hub.channel.primitives.hash import digest
from hub.client.registration import register
from hub.client.rows import ChannelRow
from hub.client.transport import Hub, HubAccount
from hub.client.work import INBOX, Desk, flush
from hub.errors import ConflictError

JOINING: Final = "joining"


@dataclasses.dataclass(frozen=True)
class Joining:
    """A join request that was made.

    Attributes:
        own_words: what this organisation reads to the owner.
        owner_words: what the inviting owner reads out, then those who opened the channel.
        request: the request's bytes, for a server without an inbox.
        sent: whether the hub's inbox took it.
    """

    channel: ChannelRow
    invitation: Invitation
    own_words: tuple[str, ...]
    owner_words: tuple[tuple[str, ...], ...]
    request: bytes
    sent: bool


def join(
    desk: Desk, invitation_text: str, account: HubAccount, name: str, *, by_file: bool
) -> Joining:
    """Answer an invitation: prove possession of its secret, and show our card.

    A member that answers a new one asks for the roles in it; a removed one asks to come back.
    Either shows a new card.

    Cut off anywhere, it is completed by running it again with the same invitation: the request's
    bytes are kept and sent again.

    Raises:
        InputError: the text is no invitation.
        ConflictError: it has expired or was used, or the channel is our own.
    """
    invitation = parse_invitation(invitation_text)
    home, now = desk.home, desk.clock()
    if invitation.expires <= now:
        raise ConflictError(
            "the invitation has expired",
            where=invitation.organisation,
            hint="ask the owner for a new one",
        )
    with home.locked():
        account = dataclasses.replace(account, api_root=invitation.api_root)
        known = {each.channel_id: each for each in home.state.channels()}
        channel = known.get(invitation.channel)
        kept = home.secrets(invitation.channel, "request") if channel is not None else {}
        request = kept.get(invitation.id)
        if channel is not None:
            _check_known(channel, answered=request is not None)
        hub, account = register(desk, account)
        if request is None:
            if channel is not None:
                _new_card(desk)
            keys = home.keyring.current
            request = join_request(invitation, home.keyring.card_chain, keys.signing, now=now)
            with home.state.transaction():
                if channel is None:
                    called = name or _title(hub, invitation)
                    home.state.add_channel(_row(invitation, account, called, now))
                else:
                    home.state.set_standing(channel.channel_id, JOINING)
                    home.state.set_pulled(channel.channel_id, None, None)
                home.put_secret(invitation.channel, "request", invitation.id, request, now)
                if invitation.inbox is not None and not by_file:
                    home.state.enqueue(
                        invitation.channel, INBOX, digest(request), request, "TLP:AMBER", now
                    )
        channel = next(
            each for each in home.state.channels() if each.channel_id == invitation.channel
        )
        sent = invitation.inbox is not None and not by_file
        if sent:
            flush(desk, channel, INBOX)
    return Joining(
        channel=channel,
        invitation=invitation,
        own_words=fingerprint_words(home.keyring.root_id),
        owner_words=tuple(
            fingerprint_words(each)
            for each in dict.fromkeys((invitation.sponsor, *invitation.owners))
        ),
        request=request,
        sent=sent,
    )


def _check_known(channel: ChannelRow, *, answered: bool) -> None:
    """A member may ask for other roles, and one that was removed may come back: each anew."""
    if channel.standing == "owner":
        raise ConflictError("this organisation owns the channel", where=channel.name)
    if answered and channel.standing != JOINING:
        raise ConflictError(
            "this organisation is a member already, or was"
            if channel.standing == "member"
            else "this invitation was used before; the organisation was removed since",
            where=channel.name,
            hint="another role, or a return, takes a new invitation from the owner",
        )


def _new_card(desk: Desk) -> None:
    """The channel knows the card in use, and may have ended its key: the next one is free."""
    home = desk.home
    home.replace_keyring(
        home.keyring.with_next_card(now=desk.clock(), card_lifetime_s=home.settings.card_lifetime_s)
    )


def _title(hub: Hub, invitation: Invitation) -> str:
    """What the hub calls the channel, as one word; its id where the hub does not say."""
    title = hub.collection(invitation.inbox).title if invitation.inbox else ""
    words = re.findall(r"[a-z0-9]+", title.lower().partition("(")[0])
    return "-".join(words)[:40] or f"channel-{invitation.channel[:8]}"


def _row(invitation: Invitation, account: HubAccount, name: str, now: int) -> ChannelRow:
    return ChannelRow(
        channel_id=invitation.channel,
        name=name,
        api_root=account.api_root,
        collection_id=invitation.collection,
        inbox_id=invitation.inbox,
        standing=JOINING,
        owner_roots=tuple(invitation.owners),
        trusted=None,
        cursor=None,
        pulled_at=None,
        pull_problem=None,
        created_at=now,
    )
