"""What `status` says: last pulls, lag, outbox, what expires, alarms."""

from __future__ import annotations

import dataclasses
from typing import Final

from hub.channel.proposal import is_governing
from hub.channel.renewal import due
from hub.client import evidence, requests, restored
from hub.client.aggregate import kind_of
from hub.client.direct_view import DirectView, direct_views
from hub.client.erasure import Erased
from hub.client.home import Home
from hub.client.latecomers import latecomers
from hub.client.leaving import asking
from hub.client.naming import member_names
from hub.client.proposals import open_ones
from hub.client.reads import ReadsSeen
from hub.client.reissue import lagging
from hub.client.rows import ChannelRow
from hub.client.token_health import custodian_notes, token_forms
from hub.model.codec import Json

FINE: Final = "ok"
WAITING: Final = "waiting"
ATTENTION: Final = "attention"
FAILED: Final = "pull failed"
EXPIRED: Final = "expired"
ALARM: Final = "alarm"
_RANK: Final = (FINE, WAITING, ATTENTION, FAILED, EXPIRED, ALARM)
_STALE_PULL_S: Final = 86_400
_SILENT_FACTOR: Final = 3


@dataclasses.dataclass
class ChannelHealth:
    """One channel's health.

    Attributes:
        level: `ok`, `waiting` (for the owner's approval), `attention`, `pull failed` or `expired`.
        notes: what to look at, in words.
        lag_s: seconds since the last complete pull, None when there was none.
        reports: sightings and opinions about our own indicators.
        tokens: live indicators of identifiers by the form of their tokens.
        direct: what was released directly, by us or to us.
        erased: what the policy had this home erase: kind of secret to names, ascending.
    """

    name: str
    channel_id: str
    standing: str
    roles: list[str]
    level: str
    notes: list[str]
    pulled_at: int | None
    lag_s: int | None
    outbox: int
    waiting: int
    members: int
    epoch: int | None
    manifest: int | None
    manifest_expires: int | None
    objects: dict[str, int]
    reports: Json
    tokens: dict[str, int]
    direct: list[DirectView] = dataclasses.field(default_factory=list)
    erased: dict[str, list[str]] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass
class Health:
    """The home's health.

    Attributes:
        alarms: what nobody acknowledged, in words.
        raised: when each of them was raised, UTC seconds.
        reads: hub to the reads that it told of and nobody looked at, where there are any.
    """

    organisation: str
    member: str
    level: str
    card: int
    card_expires: int
    channels: list[ChannelHealth]
    alarms: list[str]
    raised: list[int]
    reads: dict[str, int] = dataclasses.field(default_factory=dict)

    def to_json(self) -> Json:
        """The health as JSON."""
        return dataclasses.asdict(self)


def health(home: Home, *, now: int) -> Health:
    """Look at everything that is stored; nothing is sent."""
    channels = [_channel(home, each, now) for each in home.state.channels()]
    alarms = home.state.alarms()
    card = home.keyring.current.card
    levels = [each.level for each in channels]
    if alarms:
        levels.append(ALARM)
    if card.not_after <= now:
        levels.append(EXPIRED)
    elif card.not_after < now + home.settings.warn_before_s:
        levels.append(ATTENTION)
    return Health(
        organisation=home.organisation,
        member=home.member_id,
        level=max(levels, key=_RANK.index, default=FINE),
        card=card.number,
        card_expires=card.not_after,
        channels=channels,
        alarms=[each.text for each in alarms],
        raised=[each.raised_at for each in alarms],
        reads={each.api_root: each.news for each in ReadsSeen(home.state).all() if each.news},
    )


def _channel(home: Home, channel: ChannelRow, now: int) -> ChannelHealth:
    found = ChannelHealth(
        name=channel.name,
        channel_id=channel.channel_id,
        standing=channel.standing,
        roles=[],
        level=FINE,
        notes=[],
        pulled_at=channel.pulled_at,
        lag_s=None if channel.pulled_at is None else now - channel.pulled_at,
        outbox=len(home.state.unsent(channel.channel_id)),
        waiting=len(home.state.kept(channel.channel_id, "waiting")),
        members=0,
        epoch=None,
        manifest=None,
        manifest_expires=None,
        objects=_objects(home, channel),
        reports=_reports(home, channel),
        tokens=token_forms(home, channel, now),
    )
    if channel.standing == "joining":
        _raise(found, WAITING, "your request waits for the owner's approval; tell it your words")
    elif channel.trusted is not None:
        _look_inside(home, channel, found, now)
        for text in custodian_notes(home, channel, now):
            _raise(found, ATTENTION, text)
        _look_at_own(home, channel, found, now)
    _look_at_pulls(channel, found)
    asking = requests.waiting(home, channel)
    if asking:
        text = f"asks to join: {', '.join(asking)}: stillwatch channel requests {channel.name}"
        _raise(found, ATTENTION, text)
    if channel.standing in ("owner", "member") and channel.trusted is not None:
        _look_at_proposals(home, channel, found, now)
    proofs = len(evidence.kept(home.path, channel.channel_id))
    if proofs:
        _raise(found, FINE, f"{proofs} proof files: stillwatch channel audit {channel.name}")
    if found.outbox:
        _raise(found, ATTENTION, f"{found.outbox} messages wait to be sent: stillwatch pull")
    if found.waiting:
        _raise(found, ATTENTION, f"{found.waiting} messages wait for earlier ones: withheld?")
    if channel.standing == "removed":
        text = "you are no longer a member: stillwatch join with a new invitation, or stillwatch "
        _raise(found, ATTENTION, f"{text}channel forget {channel.name}")
    return found


def _look_at_own(home: Home, channel: ChannelRow, found: ChannelHealth, now: int) -> None:
    # Withdrawals and receipts travel directly, too; there is nothing in them to be used.
    found.direct = [each for each in direct_views(home, channel, now=now) if each.objects]
    erased = Erased(home.state, channel.channel_id).all()
    found.erased = {what: sorted(names) for what, names in erased.items()}
    late = lagging(home, channel, now)
    if late:
        text = f"{len(late)} of your indicators have tokens under an old fingerprint key"
        found.notes.append(f"{text}: stillwatch pull, or publish your files again")
    names = member_names(home, channel)
    new = [names.get(each, each) for each in latecomers(home, channel, now=now)]
    if new:
        text = f"joined after you published, and cannot open it: {', '.join(new)}"
        found.notes.append(f"{text}: stillwatch publish --again")


def _look_at_pulls(channel: ChannelRow, found: ChannelHealth) -> None:
    if channel.pull_problem is not None:
        _raise(found, FAILED, f"the last pull failed: {channel.pull_problem}")
    elif channel.standing == "left":
        found.notes.append(f"you left it: stillwatch channel forget {channel.name} erases the rest")
    elif found.lag_s is not None and found.lag_s > _STALE_PULL_S:
        _raise(found, ATTENTION, f"last pull {found.lag_s // 3600} hours ago")


def _look_inside(home: Home, channel: ChannelRow, found: ChannelHealth, now: int) -> None:
    trusted = home.trusted(channel)
    manifest = trusted.manifest
    entry = manifest.member(home.member_id)
    found.roles = sorted(str(each) for each in entry.roles) if entry else []
    if home.keyring.root_id in manifest.owners:
        found.roles.insert(0, "owner")
    found.members = len(manifest.members)
    found.manifest, found.manifest_expires = manifest.version, manifest.expires
    found.epoch = trusted.epoch.number if trusted.epoch else None
    named = [each for each in home.keyring.cards if entry and each.card.hash == entry.card]
    if any(restored.silent(home, channel, each) for each in named):
        waits = trusted.pending_card(home.member_id)
        text = (
            f"back from a back-up, it needs a new card: stillwatch channel renew {channel.name}"
            if waits is None
            else f"back from a back-up: card {waits.number} is posted, and waits for an owner's "
            f"stillwatch channel renew {channel.name}"
        )
        _raise(found, ATTENTION, text)
    names = member_names(home, channel)
    for each in due(trusted, now=now, within=home.settings.warn_before_s):
        if entry is None and each.what == "card":
            continue
        if each.what == "epoch":
            late = now > each.expires + manifest.policy.staleness
            text = "the epoch is too old to publish under" if late else "the epoch is due to rotate"
            _raise(found, EXPIRED if late else ATTENTION, f"{text}: the owner renews")
            continue
        days = (each.expires - now) // 86_400
        name = names.get(each.name, each.name)
        when = f"in {days} days" if each.expires > now else "has expired"
        what = f"card of {name}" if each.what == "card" else each.what
        _raise(found, ATTENTION if each.expires > now else EXPIRED, f"{what} {when}")
    for member in manifest.members:
        if member.member == home.member_id or "publish" not in {str(r) for r in member.roles}:
            continue
        last = home.state.last_sent(channel.channel_id, member.member)
        limit = _SILENT_FACTOR * manifest.policy.heartbeat
        if channel.pulled_at and channel.pulled_at - (last or manifest.created) > limit:
            name = names.get(member.member, member.member)
            _raise(found, ATTENTION, f"nothing from {name}, not even a heartbeat: withheld?")


def _look_at_proposals(home: Home, channel: ChannelRow, found: ChannelHealth, now: int) -> None:
    for each in open_ones(home, channel, now):
        text = (
            f"proposal {each.proposal.id[:16]} waits for {max(each.proposal.missing)} more owners"
        )
        act = f"sign {channel.name} {each.proposal.id[:16]}"
        act = act if each.may_sign else f"proposals {channel.name}"
        _raise(found, ATTENTION, f"{text}: stillwatch channel {act}")
    names = member_names(home, channel)
    for member in asking(home, channel) if channel.standing == "owner" else ():
        text = f"{names.get(member, member)} asks to leave"
        _raise(found, ATTENTION, f"{text}: stillwatch channel remove {channel.name} {member}")


def _raise(found: ChannelHealth, level: str, text: str) -> None:
    found.notes.append(text)
    found.level = max(found.level, level, key=_RANK.index)


def _objects(home: Home, channel: ChannelRow) -> dict[str, int]:
    """Live objects by type; what is about the channel itself is no material."""
    counts = home.state.count_objects(channel.channel_id)
    notes = home.state.objects(channel.channel_id, types=("note",)) if "note" in counts else ()
    counts["note"] = sum(not (row.revoked or is_governing(row.body)) for row in notes)
    return {kind: number for kind, number in counts.items() if number}


def _reports(home: Home, channel: ChannelRow) -> Json:
    """Sightings and opinions of others about our own indicators."""
    sighted: list[Json] = []
    opinions: list[Json] = []
    names = member_names(home, channel)
    owners = home.state.owners(channel.channel_id)
    kinds = {
        row.id: kind_of(row.body)
        for row in home.state.objects(channel.channel_id, types=("indicator",))
        if row.member == home.member_id
    }
    for row in home.state.objects(channel.channel_id, types=("sighting", "opinion")):
        if row.revoked or row.member == home.member_id:
            continue
        subject = str(row.body.get("sighting_of_ref") or (row.body.get("object_refs") or [""])[0])
        if owners.get(subject) != home.member_id:
            continue
        who = names.get(row.member, row.member)
        if row.type == "sighting":
            kept: tuple[str, ...] = ("count", "first_seen", "last_seen")
            kind = kinds.get(subject, "")
            said = {k: row.body.get(k) for k in kept}
            sighted.append({"of": subject, "by": who, "kind": kind, **said})
        else:
            kept = ("opinion", "explanation")
            opinions.append({"of": subject, "by": who, **{k: row.body.get(k) for k in kept}})
    return {"sightings": sighted, "opinions": opinions}
