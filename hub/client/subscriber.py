"""Pull: fetch, verify, open, store.

One transaction per page: verified state, opened objects, secrets, alarms and the cursor change
together. A pull that is cut off anywhere goes on from the last whole page, and a message that
comes again is known by its digest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta

from hub.channel.card import fingerprint_text
from hub.channel.manifest import Role
from hub.channel.seal import seal_heartbeat
from hub.channel.verify import NotYetError, TrustedChannel
from hub.client import erasure, floor, receipts, requests, restored, snapshot
from hub.client.answers import status_behind
from hub.client.home import Home
from hub.client.intake import Intake
from hub.client.pulled import Pulled
from hub.client.reissue import reissue
from hub.client.rows import ChannelRow
from hub.client.transparency import Watch
from hub.client.transport import Page
from hub.client.work import Desk, Sealed, flush
from hub.errors import (
    AccessError,
    ConflictError,
    InputError,
    TransportError,
    VerificationError,
)
from hub.model.identifiers import parse_timestamp, timestamp

__all__ = ["NotApprovedError", "Pulled", "pull", "pull_channel", "refresh"]


class NotApprovedError(AccessError):
    """The owner has not let this organisation in yet."""


def pull(
    desk: Desk,
    names: Sequence[str] = (),
    *,
    advance: Callable[[float], None] = lambda amount: None,
    snapshots: bool = False,
) -> list[Pulled]:
    """Pull some channels, or all.

    With `snapshots`, what is far behind begins with the hub's snapshot, where it offers one.

    A hub that fails does not keep the other channels from being pulled: the failure is in the
    result, and in the state for `status`.

    Raises:
        ConflictError: another process works with this home.
        StoreError: the disk failed.
    """
    state = desk.home.state
    results = []
    with desk.home.locked():
        channels = [state.channel(each) for each in names] or state.channels()
        for channel in channels:
            result = Pulled(channel.name, standing=channel.standing)
            results.append(result)
            if channel.standing in ("removed", "left"):
                continue
            try:
                pull_channel(desk, channel, result, advance=advance, snapshots=snapshots)
                requests.look(desk, state.channel(channel.channel_id))
                result.requests = requests.waiting(desk.home, channel)
                result.standing = state.channel(channel.channel_id).standing
            except (
                TransportError,
                AccessError,
                ConflictError,
                InputError,
                VerificationError,
            ) as error:
                result.problem, result.error = str(error), error
                # Who waits for an approval has nothing to mend.
                noted = None if isinstance(error, NotApprovedError) else str(error)
                state.set_pulled(channel.channel_id, None, noted)
    return results


def pull_channel(
    desk: Desk,
    channel: ChannelRow,
    result: Pulled,
    *,
    advance: Callable[[float], None] = lambda amount: None,
    snapshots: bool = False,
) -> None:
    """Pull one channel, then send what waits in its outbox, and a heartbeat when one is due."""
    state = desk.home.state
    watch = Watch(desk, channel, result)
    try:
        watch.begin()
        collection = desk.collection_of(channel)
        if not collection.can_read:
            raise AccessError("this account may not read the collection")
        waited = _waiting(desk.home, channel)
        if snapshots:
            _read(desk, channel, snapshot.pages(desk, channel), watch, result, advance)
        added_after = _added_after(desk.home, state.channel(channel.channel_id))
        _read(desk, channel, collection.pages(added_after), watch, result, advance)
        news = _waiting(desk.home, channel) - waited
        if channel.cursor is not None and (news or _lacks_epoch(desk.home, channel)):
            # What is missing may have been kept from us when it was its turn, and be there now.
            _read(desk, channel, collection.pages(None), watch, result, advance)
    except AccessError as error:
        standing = state.channel(channel.channel_id).standing
        if status_behind(error) == 401 or standing not in ("member", "joining"):
            # Of the account itself; nothing that an owner decides.
            raise
        if standing == "member":
            raise AccessError(
                "the hub does not show this channel to you any more: you are no longer a member, "
                "or the operator withdrew the account's access",
                where=channel.name,
                hint="ask the owner: a new invitation brings you back (stillwatch join); or the "
                "hub was put back from an older back-up: then the owner opens another channel",
            ) from error
        raise NotApprovedError(
            "the owner has not approved the join request yet",
            where=channel.name,
            hint="tell the owner your words; pull again after the approval",
        ) from error
    watch.finish()
    channel = state.channel(channel.channel_id)
    _look_for_own_root(desk, channel, result)
    floor.check(desk.home, channel, desk.clock())
    state.set_pulled(channel.channel_id, desk.clock(), None)
    result.receipts += receipts.settle(desk, channel)
    channel = state.channel(channel.channel_id)
    erasure.erase(desk.home, channel, now=desk.clock())
    result.reissued += reissue(desk, channel)
    channel = state.channel(channel.channel_id)
    _heartbeat(desk, channel)
    result.sent += flush(desk, channel).sent
    result.waiting = len(state.kept(channel.channel_id, "waiting"))


def _look_for_own_root(desk: Desk, channel: ChannelRow, result: Pulled) -> None:
    """Alarm when the owners put another root in the place of this home's: it may be a fraud."""
    home = desk.home
    if channel.trusted is None:
        return
    entry = home.trusted(channel).manifest.member(home.member_id)
    if entry is None or entry.root == home.keyring.root_id:
        return
    text = (
        f"{channel.name}: the owners enrolled this organisation anew under another root, "
        f"{fingerprint_text(entry.root)}, and this home is no member any more; if you did not ask "
        "for that, somebody else speaks in your name: call the owners"
    )
    if home.state.raise_alarm(channel.channel_id, entry.root, text, desk.clock()):
        result.alarms.append(text)


def _read(
    desk: Desk,
    channel: ChannelRow,
    pages: Iterable[Page],
    watch: Watch,
    result: Pulled,
    advance: Callable[[float], None],
) -> None:
    state, complete = desk.home.state, True
    for page in pages:
        with state.transaction():
            intake = Intake(desk.home, state.channel(channel.channel_id), desk.clock(), result)
            intake.take(page.objects)
            intake.store()
            watch.take(intake.trusted, intake.given)
            # What was dropped is read again by the next pull.
            complete = complete and not intake.dropped
            if complete:
                _advance_cursor(desk.home, channel, page)
        advance(len(page.objects))


def _waiting(home: Home, channel: ChannelRow) -> set[str]:
    return {row.digest for row in home.state.kept(channel.channel_id, "waiting")}


def _lacks_epoch(home: Home, channel: ChannelRow) -> bool:
    """Whether the manifest's readers have no epoch yet: owners send both at once."""
    trusted = home.state.channel(channel.channel_id).trusted
    try:
        # Age is another matter: an old epoch is all that there is.
        return trusted is not None and TrustedChannel.restore(trusted).needs_epoch(0) is not None
    except NotYetError:
        return True


def refresh(desk: Desk, channel: ChannelRow, news: Pulled | None = None) -> ChannelRow:
    """Bring the channel up to date before sealing into it.

    Args:
        news: takes up what the pull brought, for commands that tell of it.

    Raises:
        TransportError, AccessError: the hub is not there, or refuses.
    """
    if channel.standing == "left":
        raise ConflictError(
            "this organisation left the channel",
            where=channel.name,
            hint="an invitation brings it back: stillwatch join",
        )
    pull_channel(desk, channel, news or Pulled(channel.name))
    return desk.home.state.channel(channel.channel_id)


def _added_after(home: Home, channel: ChannelRow) -> str | None:
    if channel.cursor is None or home.is_stillwatch(channel.api_root):
        return channel.cursor
    overlap = timedelta(seconds=home.settings.overlap_s)
    return timestamp(parse_timestamp(channel.cursor) - overlap)


def _advance_cursor(home: Home, channel: ChannelRow, page: Page) -> None:
    """Never backwards: a page re-read for the overlap must not undo progress."""
    if page.date_added_last is None:
        return
    try:
        new = parse_timestamp(page.date_added_last)
    except InputError:
        raise TransportError("the hub's date_added is no timestamp", where=channel.name) from None
    old = home.state.channel(channel.channel_id).cursor
    if old is None or parse_timestamp(old) < new:
        home.state.set_cursor(channel.channel_id, page.date_added_last)


def _heartbeat(desk: Desk, channel: ChannelRow) -> None:
    """A publisher that has been silent says so, which bounds how long withholding goes unseen."""
    home, now = desk.home, desk.clock()
    if channel.trusted is None or channel.standing in ("removed", "left"):
        return
    if home.state.unsent(channel.channel_id):
        # What waits says as much, once it arrives.
        return
    trusted = home.trusted(channel)
    entry = trusted.manifest.member(home.member_id)
    if entry is None or Role.PUBLISH not in entry.roles:
        return
    last = home.state.last_sent(channel.channel_id, home.member_id)
    period = trusted.manifest.policy.heartbeat
    if trusted.manifest.threshold > 1 and trusted.pending_card(home.member_id) is not None:
        # Owners may be signing the end of the old key: a heartbeat would make them begin again.
        period *= 2
    if last is not None and now - last < period:
        return
    keys = next((k for k in home.keyring.cards if k.card.hash == entry.card), None)
    if keys is None or restored.silent(home, channel, keys):
        return
    try:
        trusted.check_can_publish(now, keys.card.sign_id)
        sealed = Sealed(home, channel, trusted, now)
        sealed.add(seal_heartbeat(trusted, keys.signing, now=now))
    except VerificationError:
        # Stale manifest or epoch: `status` says so; a heartbeat would be refused anyway.
        return
    sealed.store()
