"""Notes of a member about itself: what it tells the channel beside indicators and reports."""

from __future__ import annotations

from datetime import UTC, datetime

from hub.channel.verify import TrustedChannel
from hub.client.home import Home
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
