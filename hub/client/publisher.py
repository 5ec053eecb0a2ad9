"""Publish and retract: rows become indicators, indicators become sealed messages.

`prepare` decides everything without the network; `publish` seals and sends exactly what it
decided. Ids follow from content, so publishing a file again sends only what changed.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hub.channel.header import Audience
from hub.channel.manifest import Role
from hub.channel.open import check_bundle
from hub.channel.seal import seal_data
from hub.channel.verify import TrustedChannel
from hub.client import guards
from hub.client.aggregate import Facts, aggregate_objects, campaign_id, changed, kind_of
from hub.client.detections import Author, Detection, RowReport, Verdict, detect
from hub.client.home import Home
from hub.client.ingest import open_table
from hub.client.rows import ChannelRow
from hub.client.work import Desk, Sealed, current_secrets, flush, own_card
from hub.errors import AccessError, InputError, VerificationError
from hub.fingerprint.tokens import FingerprintKey
from hub.model.bundle import bundle
from hub.model.codec import Json, dumps
from hub.model.fields import DistillationCampaign
from hub.model.identifiers import is_id, parse_timestamp, timestamp
from hub.model.markings import TLP
from hub.model.objects import MAX_LIFETIME, identity, note, relationship, revoke
from hub.settings import ClientSettings

Advance = Callable[[float], None]


@dataclasses.dataclass(frozen=True)
class Options:
    """What the operator says beside the files.

    Attributes:
        mapping: column to field.
        campaign: campaign of rows that name none.
        confidence: confidence of rows that give none.
        tlp: marking of everything published.
        region: region of phone numbers without a country code.
        stated: facts about campaigns by name, such as exchange counts.
    """

    mapping: Mapping[str, str] = dataclasses.field(default_factory=dict)
    campaign: str | None = None
    confidence: int = 50
    tlp: TLP = TLP.AMBER
    region: str | None = None
    stated: Mapping[str, DistillationCampaign] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass
class Preparation:
    """What would leave the machine, and what was decided about each row.

    Attributes:
        aggregate: objects for everybody in the channel, liaisons included.
        detail: objects for members who read.
        unused: columns that no field stands for, by file name.
    """

    reports: list[RowReport] = dataclasses.field(default_factory=list)
    aggregate: list[Json] = dataclasses.field(default_factory=list)
    detail: list[Json] = dataclasses.field(default_factory=list)
    campaigns: list[str] = dataclasses.field(default_factory=list)
    unused: dict[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)

    def counts(self) -> dict[str, int]:
        """Rows by verdict, all verdicts named."""
        found = Counter(str(each.verdict) for each in self.reports)
        return {str(verdict): found[str(verdict)] for verdict in Verdict}


@dataclasses.dataclass(frozen=True)
class Published:
    """What left the machine."""

    messages: int
    objects: int
    bytes: int


def prepare(
    home: Home,
    channel: ChannelRow,
    files: Sequence[Path],
    options: Options,
    *,
    now: int,
    advance: Advance = lambda amount: None,
) -> Preparation:
    """Decide about every row of the files; nothing is sent and nothing is stored.

    Raises:
        InputError: a file cannot be read at all.
    """
    work = _Preparing(home, channel, options, now)
    for path in files:
        table = open_table(path, options.mapping)
        work.result.unused[path.name] = table.unused
        rows = 0
        for row in table.rows():
            work.take(*detect(row, work.author))
            rows += 1
            if rows % 100 == 0:
                advance(100)
        advance(rows % 100)
    return work.finish()


class _Preparing:
    def __init__(self, home: Home, channel: ChannelRow, options: Options, now: int) -> None:
        self.home, self.channel, self.options = home, channel, options
        self.now = _moment(now)
        self.result = Preparation()
        self.author = Author(
            member=home.member_id,
            now=self.now,
            keys=[
                FingerprintKey(each.key_id, each.secret)
                for each in home.fingerprint_secrets(channel.channel_id)
                if each.live
            ],
            tlp=options.tlp,
            campaign=options.campaign,
            confidence=options.confidence,
            region=options.region,
        )
        self._own = {
            row.id: row.body
            for row in home.state.objects(channel.channel_id, member=home.member_id)
        }
        self._made: dict[str, Json] = {}
        self._first: dict[str, str] = {}
        self._links: dict[str, Json] = {}
        self._rows: list[tuple[RowReport, list[str]]] = []
        self._spans: dict[str, Facts] = {}

    def take(self, detection: Detection | None, report: RowReport) -> None:
        """Take in a row; what became of it is known at the end only."""
        self.result.reports.append(report)
        if detection is None:
            return
        first_here = []
        for made in detection.indicators:
            object_id = str(made["id"])
            old = self._own.get(object_id)
            if old is not None and not detection.dated:
                # A row without dates was valid "from now" when it first came.
                made |= {k: old[k] for k in ("valid_from", "valid_until") if k in old}
            if object_id in self._made:
                self._made[object_id] = _widest(self._made[object_id], made)
                report.reasons.append(f"same as {self._first[object_id]}")
            else:
                self._made[object_id] = made
                self._first[object_id] = report.where
                first_here.append(object_id)
            self._relate(object_id, detection)
        self._rows.append((report, first_here))

    def _relate(self, object_id: str, detection: Detection) -> None:
        if detection.campaign is None:
            return
        facts = self._spans.setdefault(detection.campaign, Facts(detection.campaign))
        facts.widen(detection.first_seen, detection.last_seen)
        link = relationship(
            object_id,
            "indicates",
            campaign_id(self.author.member, detection.campaign),
            created_by=self.author.member,
            created=self.now,
            tlp=self.options.tlp,
        )
        self._links[str(link["id"])] = link

    def _settle(self) -> None:
        """Decide what of the rows is new or changed, and tell it row by row."""
        fresh: dict[str, Json] = {}
        final: set[str] = set()
        for object_id, made in self._made.items():
            old = self._own.get(object_id)
            if old is not None and old.get("revoked") is True:
                final.add(object_id)
                continue
            version = changed(made, self._own, self.now)
            if version is not None:
                fresh[object_id] = version
        for report, first_here in self._rows:
            if fresh.keys() & set(first_here):
                continue
            if final & set(report.indicators):
                report.verdict = Verdict.REFUSED
                report.reasons.append("was retracted before: a retraction is final")
                continue
            report.verdict = Verdict.DUPLICATE
            if first_here:
                report.reasons.append("published before, unchanged")
        links = [
            changed(link, self._own, self.now)
            for link in self._links.values()
            if link["source_ref"] not in final
        ]
        self.result.detail += [*fresh.values(), *(each for each in links if each is not None)]

    def touch(self, revoked: Sequence[Json]) -> None:
        """Take retractions, and the campaigns whose scale they change."""
        self.result.detail += revoked
        gone = {str(each["id"]) for each in revoked}
        names = {
            str(body["id"]): str(body["name"])
            for body in self._own.values()
            if body["type"] == "campaign"
        }
        for body in self._own.values():
            name = names.get(str(body.get("target_ref")))
            if name is not None and str(body.get("source_ref")) in gone:
                self._spans.setdefault(name, Facts(name))

    def finish(self) -> Preparation:
        """Add identity and aggregates."""
        self._settle()
        result = self.result
        names = {*self._spans, *self.options.stated}
        result.campaigns = sorted(names)
        me = identity(
            self.home.organisation,
            created=_moment(self.home.keyring.created),
            identity_id=self.author.member,
        )
        if result.detail or names:
            result.aggregate += [each for each in [changed(me, self._own, self.now)] if each]
        live = {**self._own, **{str(each["id"]): each for each in result.detail}}
        counts = live_kinds(live.values())
        for name in result.campaigns:
            facts = self._spans.get(name, Facts(name))
            facts.kinds = counts.get(campaign_id(self.author.member, name), Counter())
            result.aggregate += aggregate_objects(
                facts,
                member=self.author.member,
                now=self.now,
                tlp=self.options.tlp,
                known=self._own.values(),
                stated=self.options.stated.get(name),
            )
        return result


def _widest(one: Json, other: Json) -> Json:
    """One indicator from two rows: valid as long as either, as sure as the surer."""
    start = min(str(one["valid_from"]), str(other["valid_from"]), key=parse_timestamp)
    end = max(parse_timestamp(str(each["valid_until"])) for each in (one, other))
    end = min(end, parse_timestamp(start) + MAX_LIFETIME)
    return one | {
        "valid_from": start,
        "valid_until": timestamp(end),
        "confidence": max(int(one["confidence"]), int(other["confidence"])),
    }


def live_kinds(objects: Iterable[Json]) -> dict[str, Counter[str]]:
    """Campaign id -> its live indicators by kind."""
    indicators: dict[str, str] = {}
    links: list[tuple[str, str]] = []
    for each in objects:
        if each.get("revoked") is True:
            continue
        if each["type"] == "indicator":
            indicators[str(each["id"])] = kind_of(each)
        elif each["type"] == "relationship" and each.get("relationship_type") == "indicates":
            links.append((str(each["source_ref"]), str(each["target_ref"])))
    counts: dict[str, Counter[str]] = {}
    for source, target in links:
        if source in indicators:
            counts.setdefault(target, Counter())[indicators[source]] += 1
    return counts


def again(home: Home, channel: ChannelRow, *, now: int) -> Preparation:
    """Everything of ours that still holds, for members who joined after it was sealed.

    Receivers that have it already change nothing: the versions are the same.
    """
    result = Preparation()
    moment = _moment(now)
    for row in home.state.objects(channel.channel_id, member=home.member_id):
        until = row.body.get("valid_until")
        if row.revoked or (isinstance(until, str) and parse_timestamp(until) <= moment):
            continue
        target = result.aggregate if row.audience == Audience.AGGREGATE else result.detail
        target.append(row.body)
        if row.type == "campaign":
            result.campaigns.append(str(row.body["name"]))
    return result


def publish(
    desk: Desk,
    channel: ChannelRow,
    prepared: Preparation,
    *,
    advance: Advance = lambda amount: None,
) -> Published:
    """Seal and send what was prepared.

    Each message is stored, with the objects that it carries, before it is sent. Cut off anywhere,
    publishing the same files again completes the work.

    Raises:
        AccessError: this member may not publish in the channel.
        VerificationError: the channel's manifest or epoch is stale; publishing fails closed.
    """
    with desk.home.locked():
        # Another process may have sealed since the caller looked: its positions are taken.
        channel = desk.home.state.channel(channel.channel_id)
        messages, objects = seal_objects(
            desk,
            channel,
            {Audience.AGGREGATE: prepared.aggregate, Audience.DETAIL: prepared.detail},
            role=Role.PUBLISH,
            advance=advance,
        )
        sent = flush(desk, channel, advance=advance)
    return Published(messages=messages, objects=objects, bytes=sent.bytes)


def seal_objects(
    desk: Desk,
    channel: ChannelRow,
    parts: Mapping[Audience, Sequence[Json]],
    *,
    role: Role,
    advance: Advance = lambda amount: None,
) -> tuple[int, int]:
    """Seal objects into messages, one transaction for each; returns messages and objects.

    The caller holds the lock.
    """
    home, now = desk.home, desk.clock()
    messages = objects = 0
    trusted = home.trusted(channel)
    card = own_card(home, trusted, channel)
    entry = trusted.manifest.member(home.member_id)
    if entry is None or role not in entry.roles:
        raise AccessError(
            f"this organisation has not the role {role} in the channel",
            where=channel.name,
            hint="the owner grants roles by inviting anew",
        )
    _fail_closed(trusted, now, card.sign_id, channel)
    signing = next(k.signing for k in home.keyring.cards if k.card.hash == card.hash)
    secrets = current_secrets(home, channel, trusted)
    owners = home.state.owners(channel.channel_id)
    for audience, content in parts.items():
        for part in _batches(content, home.settings):
            content_bundle = bundle(part)
            # What receivers would refuse is refused before it has a place in the chain.
            check_bundle(
                content_bundle,
                member=home.member_id,
                roles=entry.roles,
                audience=audience,
                ceiling=trusted.manifest.policy.tlp,
                owners=owners,
                members=[each.member for each in trusted.manifest.members],
            )
            sealed = Sealed(home, channel, trusted, now)
            raw = seal_data(
                trusted,
                secrets,
                signing,
                audience,
                dumps(content_bundle),
                now=now,
                expires=now + home.settings.message_lifetime_s,
            )
            sealed.add_objects(sealed.add(raw), part, home.member_id)
            sealed.store()
            messages += 1
            objects += len(part)
            advance(len(part))
    return messages, objects


def _fail_closed(trusted: TrustedChannel, now: int, sign_id: str, channel: ChannelRow) -> None:
    try:
        trusted.check_can_publish(now, sign_id)
    except VerificationError as error:
        raise VerificationError(
            f"publishing stops: {error.message}",
            where=channel.name,
            hint="stillwatch pull; then the owner runs stillwatch channel renew",
        ) from error


def _batches(objects: Sequence[Json], settings: ClientSettings) -> Iterator[list[Json]]:
    part: list[Json] = []
    size = 0
    for each in objects:
        length = len(dumps(each))
        if part and (len(part) == settings.batch_objects or size + length > settings.batch_bytes):
            yield part
            part, size = [], 0
        part.append(each)
        size += length
    if part:
        yield part


def retract(
    desk: Desk, channel: ChannelRow, indicator_ids: Sequence[str], *, reason: str | None = None
) -> tuple[Published, list[str]]:
    """Withdraw indicators: members drop them at their next pull.

    Returns:
        What was sent, and the ids that were withdrawn already.

    Raises:
        InputError: not an indicator known here.
        AccessError: somebody else published it.
    """
    home, now = desk.home, _moment(desk.clock())
    if reason and (fault := guards.free_text(reason)):
        raise InputError(f"the reason {fault}", where="--reason")
    with home.locked():
        detail, done = [], []
        for object_id in dict.fromkeys(indicator_ids):
            row = home.state.object(object_id, channel.channel_id)
            if row is None:
                whole = is_id(object_id)
                raise InputError(
                    "no such object in this channel" if whole else "not the whole id of an object",
                    where=object_id[:100],
                    hint="stillwatch pull"
                    if whole
                    else "stillwatch indicators --find TEXT --ids shows ids by value or beginning",
                )
            if row.member != home.member_id:
                raise AccessError(
                    "somebody else published this; only its publisher withdraws it",
                    where=object_id,
                    hint="stillwatch report --false-positive tells the publisher",
                )
            if row.revoked:
                done.append(object_id)
                continue
            detail.append(revoke(row.body, later(now, row.body)))
            if reason:
                detail.append(_note(home, object_id, reason, now))
        published = Published(messages=0, objects=0, bytes=0)
        if detail:
            work = _Preparing(home, channel, Options(), desk.clock())
            work.touch(detail)
            published = publish(desk, channel, work.finish())
    return published, done


def _note(home: Home, object_id: str, reason: str, now: datetime) -> Json:
    return note(
        [object_id], reason, abstract="why it was withdrawn", created_by=home.member_id, created=now
    )


def later(now: datetime, body: Json) -> datetime:
    """A time for the next version of an object: now, or just after its last version."""
    return max(now, parse_timestamp(str(body["modified"])) + timedelta(milliseconds=1))


def _moment(now: int) -> datetime:
    return datetime.fromtimestamp(now, UTC)
