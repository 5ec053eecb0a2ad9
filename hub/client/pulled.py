"""What a pull of one channel brought, to tell people about it."""

from __future__ import annotations

import dataclasses
from typing import Final

from hub.errors import StillwatchError
from hub.model.codec import Json

MAX_UNREAD: Final = 20


@dataclasses.dataclass
class Pulled:
    """What a pull of one channel brought.

    Attributes:
        messages: newly accepted messages.
        objects: new objects, by type.
        updated: new versions of objects that were known, by type.
        revoked: ids of indicators that were withdrawn by this pull.
        reissued: own indicators that were issued again under a new fingerprint key.
        receipts: receipts that were sealed for what others withdrew.
        reports: sightings, opinions and notes about our own objects.
        sealed: messages accepted but not addressed to this member.
        refused: messages that failed a check.
        waiting: messages that wait for what they build on.
        foreign: objects in the collection that are no messages.
        unread: why some of these look like messages and are none, up to 20.
        requests: organisations that ask an owner to be let in.
        standing: `owner`, `joining`, `member` or `removed`, after the pull.
        alarms: texts of new alarms.
        problem: why the pull did not complete.
    """

    channel: str
    messages: int = 0
    objects: dict[str, int] = dataclasses.field(default_factory=dict)
    updated: dict[str, int] = dataclasses.field(default_factory=dict)
    revoked: list[str] = dataclasses.field(default_factory=list)
    reissued: int = 0
    receipts: int = 0
    reports: int = 0
    sealed: int = 0
    refused: int = 0
    waiting: int = 0
    foreign: int = 0
    unread: list[str] = dataclasses.field(default_factory=list)
    sent: int = 0
    requests: list[str] = dataclasses.field(default_factory=list)
    standing: str = "member"
    alarms: list[str] = dataclasses.field(default_factory=list)
    problem: str | None = None
    error: StillwatchError | None = dataclasses.field(default=None, repr=False)

    def to_json(self) -> Json:
        """The summary without the exception."""
        fields = dataclasses.asdict(dataclasses.replace(self, error=None))
        del fields["error"]
        return fields
