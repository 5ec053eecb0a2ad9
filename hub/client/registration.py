"""An account on a hub: whose it is, and which collections it leads to."""

from __future__ import annotations

import dataclasses
import uuid

from hub.channel.invite import binding
from hub.client.transport import Hub, HubAccount, TaxiiCollection, checked_url
from hub.client.work import Desk
from hub.errors import ConflictError, InputError, VerificationError


def register(desk: Desk, account: HubAccount) -> tuple[Hub, HubAccount]:
    """Store a hub account, and bind it to this member where the hub is a Stillwatch hub.

    Raises:
        TransportError, AccessError: the hub is not there, or refuses the token.
        VerificationError: the hub bound the account to somebody else.
    """
    entered = enter(desk, account)
    settle(desk, entered)
    return entered.hub, entered.account


@dataclasses.dataclass(frozen=True)
class Entered:
    """A hub that takes the account; nothing is bound or stored yet."""

    hub: Hub
    account: HubAccount
    stillwatch: bool


def enter(desk: Desk, account: HubAccount) -> Entered:
    """Look whether the hub is there and takes the token; binds and stores nothing.

    Raises:
        TransportError, AccessError: the hub is not there, or refuses the token.
        ConflictError: its clock and ours differ.
    """
    url = checked_url(account.api_root, allow_plain_http=account.allow_plain_http)
    account = dataclasses.replace(account, api_root=url)
    hub = desk.reach(account)
    about = hub.about()
    if about is None:
        # A stock server has no binding: any read shows whether it takes the token.
        hub.collections()
        return Entered(hub, account, stillwatch=False)
    skew = abs(about.time - desk.clock())
    if skew > desk.home.settings.clock_skew_s:
        raise ConflictError(
            f"the hub's clock and this machine's differ by {skew} s",
            where=url,
            hint="set the clock; messages from the future are refused",
        )
    return Entered(hub, account, stillwatch=True)


def settle(desk: Desk, entered: Entered) -> None:
    """Bind the account to this member where the hub is a Stillwatch hub, and store it.

    Only the hub's operator undoes a binding: what can fail without one should come before.

    Raises:
        VerificationError: the hub bound the account to somebody else.
    """
    if entered.stillwatch:
        bind(desk, entered.hub)
    desk.home.put_account(entered.account, stillwatch=entered.stillwatch)


def bind(desk: Desk, hub: Hub) -> None:
    """Prove to the hub which member this account belongs to; the hub then takes its messages."""
    challenge = hub.challenge()
    if challenge is None:
        return
    keys = desk.home.keyring.current
    bound = hub.bind(binding(hub.api_root, challenge, keys.card.raw, keys.signing))
    if bound != desk.home.member_id:
        raise VerificationError("the hub bound this account to another member", where=hub.api_root)


def find_inbox(hub: Hub, collection: TaxiiCollection) -> str | None:
    """The join inbox beside a channel's collection, where the server has one."""
    for each in hub.collections():
        if each.channel_collection == collection.collection_id:
            return each.collection_id
    return None


def find_collection(hub: Hub, wanted: str) -> TaxiiCollection:
    """The collection of this id, else the only one of this title.

    Raises:
        InputError: no collection, or several, are called so.
    """
    if is_uuid(wanted):
        return hub.collection(wanted)
    seen = hub.collections()
    titled = [each for each in seen if each.title == wanted]
    if len(titled) == 1:
        return titled[0]
    inboxes = {each.collection_id for each in seen if each.channel_collection is not None}
    beside = {each.channel_collection for each in seen if each.channel_collection is not None}
    # Only what has an inbox beside it can be a channel, where the server knows inboxes at all.
    usable = [
        each
        for each in seen
        if each.collection_id not in inboxes and (not beside or each.collection_id in beside)
    ]
    raise InputError(
        "several collections have this title" if titled else "no collection has this id or title",
        where=wanted,
        hint="one of: " + ", ".join(f"{each.collection_id} ({each.title})" for each in usable)
        or "the hub's operator makes one: stillwatch hub collection add",
    )


def is_uuid(text: str) -> bool:
    """Whether this is a collection id as TAXII 2.1 has them."""
    try:
        return str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False
