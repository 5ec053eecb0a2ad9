"""What the local state holds, one class per table."""

from __future__ import annotations

import dataclasses

from hub.model.codec import Json


@dataclasses.dataclass(frozen=True)
class HubRow:
    """A hub that this member has an account on.

    Attributes:
        token: sealed; of an OAuth client its secret.
        oauth: where that client's access tokens come from, as JSON; None: `token` is the hub's.
    """

    api_root: str
    username: str | None
    token: bytes
    ca_file: str | None
    plain_http: bool
    stillwatch: bool
    client_cert: str | None = None
    oauth: str | None = None


@dataclasses.dataclass(frozen=True)
class ChannelRow:
    """A channel as this member knows it.

    Attributes:
        standing: `creating`, `owner`, `joining`, `member`, `removed` or `left`.
        owner_roots: root ids that the invitation pinned, empty for one's own channel.
        trusted: state of `hub.channel.verify.TrustedChannel`, None before the genesis came.
        cursor: `date_added` up to which everything was processed.
        pulled_at: UTC seconds of the last complete pull.
        pull_problem: why the last pull did not complete.
    """

    channel_id: str
    name: str
    api_root: str
    collection_id: str
    inbox_id: str | None
    standing: str
    owner_roots: tuple[str, ...]
    trusted: bytes | None
    cursor: str | None
    pulled_at: int | None
    pull_problem: str | None
    created_at: int


@dataclasses.dataclass(frozen=True)
class InvitationRow:
    """An invitation that this owner gave; its secret lies sealed in `secret`."""

    invitation_id: str
    channel_id: str
    organisation: str
    roles: tuple[str, ...]
    expires: int
    created_at: int
    used_at: int | None
    used_by: str | None


@dataclasses.dataclass(frozen=True)
class OutboxRow:
    """Sealed bytes that go, or went, to the hub; `target` is `channel` or `inbox`."""

    position: int
    channel_id: str
    target: str
    digest: str
    raw: bytes
    tlp: str
    added_at: int
    sent_at: int | None
    problem: str | None


@dataclasses.dataclass(frozen=True)
class MessageRow:
    """A protocol message that was looked at.

    Attributes:
        outcome: `accepted`, `refused`, `waiting` (for an earlier message), or `sealed` (verified,
            but its epoch's secret may still come).
        raw: the bytes, of those that are looked at once more.
    """

    channel_id: str
    digest: str
    outcome: str
    type: str
    member: str | None
    publisher: str | None
    seq: int | None
    epoch: int | None
    audience: str | None
    sent_at: int | None
    received_at: int
    raw: bytes | None = None
    reason: str | None = None


@dataclasses.dataclass(frozen=True)
class ObjectRow:
    """The latest version of an object and the message that brought it."""

    channel_id: str
    id: str
    type: str
    modified: str
    member: str
    audience: str
    revoked: bool
    body: Json
    digest: str
    verified_at: int


@dataclasses.dataclass(frozen=True)
class AlarmRow:
    """Something that a person must look at."""

    position: int
    channel_id: str | None
    raised_at: int
    text: str
    acknowledged_at: int | None
