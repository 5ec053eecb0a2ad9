"""What members are called, for people: nothing rests on a name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from hub.client.home import Home
from hub.client.rows import ChannelRow
from hub.model.codec import canonical, loads

_KIND: Final = "names"
_TOLD: Final = "owners"


def member_names(home: Home, channel: ChannelRow) -> dict[str, str]:
    """Member id -> name: from owners, from one's own invitations, from identity objects.

    The later source goes first, one's own name before all.
    """
    names = _told(home, channel.channel_id)
    for each in home.state.invitations(channel.channel_id):
        if each.used_by:
            names[each.used_by] = each.organisation
    for row in home.state.objects(channel.channel_id, types=("identity",)):
        if row.id == row.member:
            names[row.id] = str(row.body.get("name", row.id))
    names[home.member_id] = home.organisation
    return names


def learn_names(home: Home, channel_id: str, names: Mapping[str, str], now: int) -> None:
    """Keep what an owner calls members; sealed, for who is a member is nobody's business."""
    known = {**_told(home, channel_id), **names}
    home.put_secret(channel_id, _KIND, _TOLD, canonical(known), now)


def _told(home: Home, channel_id: str) -> dict[str, str]:
    content = home.secrets(channel_id, _KIND).get(_TOLD)
    return {} if content is None else {str(k): str(v) for k, v in loads(content).items()}
