"""Receipts: telling publishers that what they withdrew is used here no more.

A pull that brings withdrawals drops the objects in the transaction that verifies the message, then
what was derived of them, and then signs one receipt for all of them. Cut off anywhere, the next
pull goes on; nothing is signed twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from hub.channel.header import Audience
from hub.channel.members import WRITING
from hub.channel.receipt import RECEIPT_LABEL, Receipt
from hub.client.choices import RECEIPTS, Choices
from hub.client.direct import Terms, seal_directly
from hub.client.home import Home
from hub.client.plan import PlanFile
from hub.client.publisher import seal_objects
from hub.client.purges import Purged, Purges, clean
from hub.client.releases import Releases
from hub.client.rows import ChannelRow
from hub.client.work import Desk
from hub.errors import ConflictError, VerificationError
from hub.model.codec import Json
from hub.model.identifiers import deterministic_id
from hub.model.markings import DEFAULT, TLP
from hub.model.objects import note

_BASIS = "receipt for what was withdrawn"


def settle(desk: Desk, channel: ChannelRow) -> int:
    """Purge what was withdrawn or has lapsed, and seal a receipt; returns receipts sealed.

    The caller holds the lock, and sends.

    Raises:
        StoreError: the disk failed.
    """
    home = desk.home
    with home.state.transaction():
        ended = Releases(home.state).lapse(channel.channel_id, home.member_id, desk.clock())
    if ended:
        PlanFile(home.path).drop()
    clean(home, channel.channel_id)
    if channel.trusted is None or not Choices(home.state).get(RECEIPTS):
        return 0
    trusted = home.trusted(channel)
    entry = trusted.manifest.member(home.member_id)
    if entry is None or not entry.roles & WRITING:
        return 0
    waiting = [
        each
        for each in Purges(home.state).of(channel.channel_id)
        if each.receipt is None and each.cleaned and each.member != home.member_id
    ]
    try:
        return sum(
            _seal(desk, channel, part)
            for group in _groups(waiting)
            for part in _parts(group, home.settings.batch_objects)
        )
    except (ConflictError, VerificationError):
        # The channel is stale, or its keys have not come: `status` says so, and the receipt waits.
        return 0


def _groups(waiting: Sequence[Purged]) -> list[list[Purged]]:
    """What goes to all who read detail, then what each publisher alone is told."""
    groups: dict[str, list[Purged]] = {}
    for each in waiting:
        groups.setdefault(each.member if each.audience == Audience.DIRECT else "", []).append(each)
    return [groups[key] for key in sorted(groups)]


def _parts(group: Sequence[Purged], size: int) -> list[Sequence[Purged]]:
    return [group[start : start + size] for start in range(0, len(group), size)]


def _seal(desk: Desk, channel: ChannelRow, part: Sequence[Purged]) -> int:
    home = desk.home
    # The channel's state changes with each message.
    channel = home.state.channel(channel.channel_id)
    manifest = home.trusted(channel).manifest
    entry = manifest.member(home.member_id)
    assert entry is not None
    role = min(entry.roles & WRITING)
    ceiling = next(each for each in TLP if each.label == manifest.policy.tlp)
    said = _note(home, part, min(DEFAULT, ceiling))
    publisher = part[0].member
    with home.state.transaction():
        if part[0].audience != Audience.DIRECT:
            seal_objects(desk, channel, {Audience.DETAIL: [said]}, role=role)
        elif manifest.member(publisher) is not None:
            seal_directly(desk, channel, [said], Terms((publisher,), _BASIS), role=role)
        Purges(home.state).mark_receipt(part, str(said["id"]))
    return 1


def _note(home: Home, part: Sequence[Purged], tlp: TLP) -> Json:
    receipt = Receipt(tuple(sorted({each.digest for each in part})), max(each.at for each in part))
    refs = sorted(each.object_id for each in part)
    made = note(
        refs,
        receipt.content(),
        abstract="dropped what was withdrawn",
        created_by=home.member_id,
        created=datetime.fromtimestamp(receipt.purged, UTC),
        tlp=tlp,
        # One id for one set of withdrawals: saying it twice says it once.
        object_id=deterministic_id("note", home.member_id, *receipt.digests, *refs),
    )
    return made | {"labels": [RECEIPT_LABEL]}
