"""Direct material as people want to see it: by whom, to whom, on what ground, until when."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection

from hub.client.home import Home
from hub.client.naming import member_names
from hub.client.releases import Released, Releases
from hub.client.rows import ChannelRow
from hub.model.codec import Json


@dataclasses.dataclass(frozen=True)
class DirectView:
    """One release: what one direct message made readable.

    Attributes:
        by, to: names; `to` without the sender.
        own: whether this organisation released it.
        objects: how many objects, the release note apart, are not withdrawn.
        valid_until: UTC seconds, None: until withdrawn.
        ended: whether recipients have stopped using it.
    """

    message: str
    by: str
    to: tuple[str, ...]
    own: bool
    objects: int
    basis: str
    sent_at: int
    valid_until: int | None
    ended: bool

    def to_json(self) -> Json:
        """The release as JSON."""
        return dataclasses.asdict(self)


def direct_views(
    home: Home, channel: ChannelRow, *, now: int, about: Collection[str] | None = None
) -> list[DirectView]:
    """The releases in a channel that this home made or was given, oldest first.

    Args:
        about: ids of objects; releases of none of them are left out.
    """
    by_message: dict[str, list[Released]] = {}
    for each in Releases(home.state).of(channel.channel_id):
        by_message.setdefault(each.digest, []).append(each)
    names = member_names(home, channel)
    views = []
    for digest, rows in by_message.items():
        ids = {each.object_id for each in rows}
        if about is not None and not ids & set(about):
            continue
        live = [
            row
            for each in sorted(ids)
            if (row := home.state.object(each, channel.channel_id)) is not None
            and not row.revoked
            and row.type != "note"
        ]
        one = rows[0]
        views.append(
            DirectView(
                message=digest,
                by=names.get(one.member, one.member),
                to=tuple(names.get(each, each) for each in one.recipients if each != one.member),
                own=one.member == home.member_id,
                objects=len(live),
                basis=one.basis,
                sent_at=one.sent_at,
                valid_until=one.valid_until,
                ended=one.valid_until is not None and one.valid_until <= now,
            )
        )
    return views
