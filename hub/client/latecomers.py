"""Members who read and cannot open what this publisher sealed before they joined."""

from __future__ import annotations

from typing import Final

from hub.channel.header import Audience
from hub.channel.manifest import Role
from hub.client.home import Home
from hub.client.preparing import moment_of
from hub.client.rows import ChannelRow
from hub.model.identifiers import parse_timestamp

_KIND: Final = "again"


def note_again(home: Home, channel: ChannelRow, at: int) -> None:
    """Note that everything of ours that holds was sealed once more in the present epoch."""
    epoch = home.trusted(channel).epoch
    if epoch is not None:
        home.put_secret(channel.channel_id, _KIND, "epoch", str(epoch.number).encode(), at)


def unread(home: Home, channel: ChannelRow) -> str | None:
    """What to tell a publisher whose channel nobody else reads yet, or None."""
    manifest = home.trusted(channel).manifest
    if any(Role.READ in each.roles and each.member != home.member_id for each in manifest.members):
        return None
    text = "nobody but you can read it yet"
    if manifest.policy.history != "none":
        return f"{text}; who joins later can"
    return f"{text}; once others have joined: stillwatch publish --again"


def latecomers(home: Home, channel: ChannelRow, *, now: int) -> list[str]:
    """STIX ids of present readers who were not in when some of what we published was sealed."""
    trusted = home.trusted(channel)
    entry = trusted.manifest.member(home.member_id)
    if trusted.manifest.policy.history != "none" or entry is None:
        return []
    if Role.PUBLISH not in entry.roles:
        return []
    noted = home.secrets(channel.channel_id, _KIND).get("epoch")
    again = 0 if noted is None else int(noted)
    oldest = _oldest_epoch(home, channel, now)
    epoch = trusted.epochs.get(max(oldest or 0, again))
    before = None if oldest is None or epoch is None else trusted.manifest_by_hash(epoch.manifest)
    if before is None:
        return []
    had = {each.member: each.roles for each in before.members}
    return [
        each.member
        for each in trusted.manifest.members
        if Role.READ in each.roles and Role.READ not in had.get(each.member, ())
    ]


def _oldest_epoch(home: Home, channel: ChannelRow, now: int) -> int | None:
    moment, oldest = moment_of(now), None
    for row in home.state.objects(channel.channel_id, ("indicator",), home.member_id):
        until = row.body.get("valid_until")
        ended = isinstance(until, str) and parse_timestamp(until) <= moment
        if row.revoked or ended or row.audience != Audience.DETAIL:
            continue
        message = home.state.message(channel.channel_id, row.digest)
        if message is not None and message.epoch is not None:
            oldest = min(message.epoch, oldest or message.epoch)
    return oldest
