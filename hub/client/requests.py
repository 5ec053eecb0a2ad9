"""Join requests as an owner sees them: which hold, which are spent, which wait."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Final

from hub.channel.card import fingerprint_text, fingerprint_words
from hub.channel.carriage import from_artifact, is_artifact
from hub.channel.invite import JoinRequest, check_join, invitation_of, parse_invitation
from hub.client.home import Home
from hub.client.issue import owned
from hub.client.rows import ChannelRow, InvitationRow
from hub.client.work import INBOX, Desk
from hub.errors import ConflictError, InputError, VerificationError
from hub.model.codec import canonical, loads

_WAITING: Final = "waiting-requests"


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A join request that holds, waiting for the owner's comparison of words.

    Attributes:
        object_id: the request's object in the inbox, None for a file.
    """

    request: JoinRequest
    invitation: InvitationRow
    object_id: str | None

    @property
    def words(self) -> tuple[str, ...]:
        """The words that the joiner sees too."""
        return fingerprint_words(self.request.card.root_id)

    @property
    def fingerprint(self) -> str:
        """The same as text."""
        return fingerprint_text(self.request.card.root_id)


@dataclasses.dataclass(frozen=True)
class PassedOver:
    """An object of the inbox that is no request to decide about.

    Attributes:
        spent: it answers an invitation of ours that was used or has expired: nobody misses it.
    """

    object_id: str
    reason: str
    spent: bool


def candidates(
    desk: Desk, name: str, file: bytes | None = None
) -> tuple[list[Candidate], list[PassedOver]]:
    """Join requests that hold, from the inbox or from one file.

    Returns:
        The candidates, and why others were passed over. A file's fault is raised instead.

    Raises:
        VerificationError, InputError: the file's request does not hold.
        ConflictError: its invitation was used before.
    """
    home = desk.home
    channel = home.state.channel(name)
    owned(home, channel)
    if file is not None:
        return [_candidate(home, channel, file, None, desk.clock())], []
    found: dict[str, Candidate] = {}
    passed: dict[str, PassedOver] = {}
    for page in desk.collection_of(channel, INBOX).pages():
        for each in page.objects:
            object_id = str(each.get("id", ""))[:100]
            try:
                if not is_artifact(each):
                    raise InputError("not a join request")
                raw = from_artifact(each, strict=False)
                found[object_id] = _candidate(home, channel, raw, object_id, desk.clock())
            except (InputError, VerificationError, ConflictError) as error:
                spent = isinstance(error, ConflictError)
                passed[object_id] = PassedOver(object_id, str(error), spent)
    _note(home, channel, list(found.values()), desk.clock())
    return list(found.values()), list(passed.values())


def _candidate(
    home: Home, channel: ChannelRow, raw: bytes, object_id: str | None, now: int
) -> Candidate:
    rows = {each.invitation_id: each for each in home.state.invitations(channel.channel_id)}
    # Before the cards: whoever may write to the inbox could make many signatures our work.
    row = rows.get(invitation_of(raw))
    if row is None:
        raise VerificationError("no invitation of ours stands behind this join request")
    if row.used_at is not None:
        raise ConflictError(
            "this invitation was used before",
            where=row.organisation,
            hint="invite the organisation anew",
        )
    if row.expires < now:
        raise ConflictError(
            "the invitation has expired",
            where=row.organisation,
            hint="invite the organisation anew",
        )
    text = home.secrets(channel.channel_id, "invitation").get(row.invitation_id, b"")
    checked = check_join(raw, parse_invitation(text.decode()), now=now)
    return Candidate(checked, row, object_id)


def refuse(desk: Desk, name: str, object_ids: Sequence[str]) -> None:
    """Delete requests from the inbox; who made them may ask again while the invitation holds."""
    channel = desk.home.state.channel(name)
    owned(desk.home, channel)
    inbox = desk.collection_of(channel, INBOX)
    for each in object_ids:
        inbox.delete(each)
    candidates(desk, name)


def look(desk: Desk, channel: ChannelRow) -> None:
    """Note which requests wait, for `waiting`; nothing to do for who does not own the channel."""
    if channel.standing == "owner" and channel.inbox_id is not None:
        candidates(desk, channel.channel_id)


def waiting(home: Home, channel: ChannelRow) -> list[str]:
    """Organisations whose requests waited when the inbox was last looked at."""
    return [organisation for _, organisation in _noted(home, channel)]


def _note(home: Home, channel: ChannelRow, found: list[Candidate], now: int) -> None:
    # Who wants to join is nobody's business but the owner's: sealed like the invitations.
    rows = [[each.object_id or "", each.invitation.organisation] for each in found]
    home.put_secret(channel.channel_id, _WAITING, "inbox", canonical({"requests": rows}), now)


def _noted(home: Home, channel: ChannelRow) -> list[tuple[str, str]]:
    content = home.secrets(channel.channel_id, _WAITING).get("inbox")
    rows = loads(content)["requests"] if content else []
    return [(str(object_id), str(organisation)) for object_id, organisation in rows]
