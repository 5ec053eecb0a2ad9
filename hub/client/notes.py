"""Notes of a member about itself: what it tells the channel beside indicators and reports."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from datetime import UTC, datetime

from hub.channel.header import Audience
from hub.channel.manifest import Role
from hub.channel.names import NAMES_LABEL, names_content
from hub.channel.verify import TrustedChannel
from hub.client.home import Home
from hub.client.naming import learn_names, member_names
from hub.client.publisher import seal_objects
from hub.client.rows import ChannelRow
from hub.client.work import Desk
from hub.errors import ConflictError, VerificationError
from hub.model.codec import Json
from hub.model.markings import TLP
from hub.model.objects import note


def note_of(home: Home, trusted: TrustedChannel, label: str, content: str, now: int) -> Json:
    """A note of this member about itself, marked as far as the channel's policy lets it go."""
    ceiling = TLP.from_label(trusted.manifest.policy.tlp) or TLP.AMBER
    made = note(
        [home.member_id],
        content,
        created_by=home.member_id,
        created=datetime.fromtimestamp(now, UTC),
        tlp=min(TLP.AMBER, ceiling),
    )
    return made | {"labels": [label]}


def tell_names(desk: Desk, channel: ChannelRow, said: Mapping[str, str]) -> None:
    """Seal what this owner calls the members, as it does when somebody new reads.

    Members that have not spoken are nameless to each other; without a writing role, or where the
    channel is stale, they stay so. The caller holds the lock, and sends.

    Args:
        said: names that came with the change, such as the joiner's in a proposal.
    """
    home = desk.home
    trusted = home.trusted(channel)
    rows = trusted.manifest.members
    known = dict(said) | member_names(home, channel)
    names = {each.member: known[each.member] for each in rows if each.member in known}
    learn_names(home, channel.channel_id, names, desk.clock())
    roles = next((each.roles for each in rows if each.member == home.member_id), frozenset())
    role = next((each for each in (Role.PUBLISH, Role.REPORT) if each in roles), None)
    if role is None or Role.READ not in roles:
        return
    made = note_of(home, trusted, NAMES_LABEL, names_content(names), desk.clock())
    # The change is in force: that its names cannot be told must not look as if it were not.
    with contextlib.suppress(ConflictError, VerificationError):
        seal_objects(desk, channel, {Audience.DETAIL: [made]}, role=role)
