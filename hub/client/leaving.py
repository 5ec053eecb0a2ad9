"""Leaving a channel: a member says so, stops at once, and owners see to the rest."""

from __future__ import annotations

from typing import Final

from hub.channel.header import Audience
from hub.channel.manifest import Role
from hub.channel.proposal import LEAVE_LABEL
from hub.client.home import Home
from hub.client.notes import note_of
from hub.client.publisher import seal_objects
from hub.client.rows import ChannelRow
from hub.client.subscriber import refresh
from hub.client.work import Desk, flush
from hub.errors import ConflictError, StillwatchError
from hub.model.codec import canonical, loads_canonical

LEFT: Final = "left"
_SECRETS: Final = ("epoch", "fingerprint", "request", "invitation")


def leave(desk: Desk, name: str, reason: str) -> str | None:
    """Ask the owners to be removed, and stop taking part at once.

    The keys of the channel are erased here; what was opened stays until the channel is forgotten.

    Returns:
        Why the owners were not told, or None: then somebody tells them.
    Raises:
        ConflictError: an owner leaves only after it gave up ownership, or nothing is left to leave.
    """
    home = desk.home
    with home.locked():
        channel = home.state.channel(name)
        if channel.standing in (LEFT, "removed"):
            raise ConflictError("this organisation is a member no more", where=channel.name)
        if channel.trusted is not None:
            _check_no_owner(home, channel)
        problem = _ask(desk, channel, reason)
        with home.state.transaction():
            for kind in _SECRETS:
                for each in home.state.secrets(channel.channel_id, kind):
                    home.state.drop_secret(channel.channel_id, kind, each)
            home.state.set_standing(channel.channel_id, LEFT)
    return problem


def asking(home: Home, channel: ChannelRow) -> dict[str, str]:
    """Members who asked to leave and are still in: member id to reason."""
    if channel.trusted is None:
        return {}
    manifest = home.trusted(channel).manifest
    found = {}
    for row in home.state.objects(channel.channel_id, types=("note",)):
        if LEAVE_LABEL not in (row.body.get("labels") or ()) or row.revoked:
            continue
        member = manifest.member(row.member)
        try:
            said = loads_canonical(str(row.body.get("content", "")).encode(), where="leave")
        except StillwatchError:
            continue
        # A request is good for the card that made it: who comes back has another.
        if member is not None and said.get("card") == member.card:
            found[row.member] = str(said.get("reason", ""))
    return found


def _check_no_owner(home: Home, channel: ChannelRow) -> None:
    manifest = home.trusted(channel).manifest
    if home.keyring.root_id not in manifest.owners:
        return
    alone = len(manifest.owners) == 1
    raise ConflictError(
        "an owner cannot leave: without it nobody could change the channel"
        if alone
        else "an owner gives up ownership first",
        where=channel.name,
        hint=f"stillwatch channel owner add {channel.name} MEMBER"
        if alone
        else f"another owner: stillwatch channel remove {channel.name} {home.member_id}",
    )


def _ask(desk: Desk, channel: ChannelRow, reason: str) -> str | None:
    home = desk.home
    try:
        channel = refresh(desk, channel)
        trusted = home.trusted(channel)
        row = trusted.manifest.member(home.member_id)
        if row is None:
            return None
        role = next((each for each in (Role.PUBLISH, Role.REPORT) if each in row.roles), None)
        if role is None:
            return "this member has no role to write in the channel"
        content = canonical({"card": row.card, "reason": reason})
        made = note_of(home, trusted, LEAVE_LABEL, content.decode(), desk.clock())
        audience = Audience.DETAIL if Role.READ in row.roles else Audience.AGGREGATE
        seal_objects(desk, channel, {audience: [made]}, role=role)
        flush(desk, home.state.channel(channel.channel_id))
    except StillwatchError as error:
        return str(error)
    return None
