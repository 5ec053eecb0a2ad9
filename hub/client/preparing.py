"""From files to what would be published: every decision, nothing sent and nothing stored.

Ids follow from content, so publishing a file again sends only what changed.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from hub.channel.header import Audience
from hub.channel.proposal import is_governing
from hub.client.aggregate import Facts, aggregate_objects, campaign_id, changed, kind_of
from hub.client.detections import Author, Detection, RowReport, Verdict, detect
from hub.client.evaluations import Value
from hub.client.forms import fit_buckets, forms_of, known_tokens
from hub.client.home import Home
from hub.client.ingest import open_table
from hub.client.known_tokens import KnownTokens
from hub.client.rows import ChannelRow
from hub.client.values import Values
from hub.fingerprint.tokens import FingerprintKey
from hub.model.codec import Json
from hub.model.fields import DistillationCampaign
from hub.model.identifiers import parse_timestamp, timestamp
from hub.model.markings import TLP
from hub.model.objects import MAX_LIFETIME, identity, relationship

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
        direct: for named members only: no aggregates, and also what is published already.
    """

    mapping: Mapping[str, str] = dataclasses.field(default_factory=dict)
    campaign: str | None = None
    confidence: int = 50
    tlp: TLP = TLP.AMBER
    region: str | None = None
    stated: Mapping[str, DistillationCampaign] = dataclasses.field(default_factory=dict)
    direct: bool = False


@dataclasses.dataclass
class Preparation:
    """What would leave the machine, and what was decided about each row.

    Attributes:
        aggregate: objects for everybody in the channel, liaisons included.
        detail: objects for members who read.
        unused: columns that no field stands for, by file name.
        unasked: identifiers that the custodians have to evaluate before their rows can be
            published; none of these rows is in `detail`.
        oblivious: the tokens that are known, where custodians take part.
        values: the identifier behind each indicator that is made of one, by id; never sent.
        overruled: kinds that the policy wants oblivious and that stay keyed.
    """

    reports: list[RowReport] = dataclasses.field(default_factory=list)
    aggregate: list[Json] = dataclasses.field(default_factory=list)
    detail: list[Json] = dataclasses.field(default_factory=list)
    campaigns: list[str] = dataclasses.field(default_factory=list)
    unused: dict[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    unasked: dict[Value, None] = dataclasses.field(default_factory=dict)
    oblivious: KnownTokens | None = None
    overruled: tuple[str, ...] = ()
    values: dict[str, Value] = dataclasses.field(default_factory=dict, repr=False)

    def counts(self) -> dict[str, int]:
        """Rows by verdict, all verdicts named."""
        found = Counter(str(each.verdict) for each in self.reports)
        return {str(verdict): found[str(verdict)] for verdict in Verdict}


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
    work = Preparing(home, channel, options, now)
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


class Preparing:
    """Rows on their way to a `Preparation`."""

    def __init__(self, home: Home, channel: ChannelRow, options: Options, now: int) -> None:
        self.home, self.channel, self.options = home, channel, options
        self.now = moment_of(now)
        forms = forms_of(home, channel)
        self.result = Preparation(overruled=forms.overruled)
        if forms.asks:
            self.result.oblivious = known_tokens(home, channel)
        self.author = Author(
            member=home.member_id,
            now=self.now,
            keys=[
                FingerprintKey(each.key_id, each.secret)
                for each in home.fingerprint_secrets(channel.channel_id)
                if each.live
            ],
            forms=forms,
            oblivious=self.result.oblivious,
            tlp=options.tlp,
            campaign=options.campaign,
            confidence=options.confidence,
            region=options.region,
            known={
                value: object_id
                for object_id, value in Values(home, channel.channel_id).all().items()
            },
            values=self.result.values,
        )
        own = list(home.state.objects(channel.channel_id, member=home.member_id))
        # What named members alone were given counts as unsaid for everybody else.
        self._own = {
            row.id: row.body
            for row in own
            if options.direct or row.revoked or row.audience != Audience.DIRECT
        }
        self._said = {row.id: row.body for row in own if row.audience != Audience.DIRECT}
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
        self.result.unasked |= dict.fromkeys(detection.unasked)
        if not detection.indicators:
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
        if not detection.unasked:
            # A row of which a part waits for custodians is neither a duplicate nor settled.
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
        if self.result.oblivious is not None:
            self._fit_buckets()
        for object_id, made in self._made.items():
            old = self._own.get(object_id)
            if old is not None and old.get("revoked") is True:
                final.add(object_id)
                continue
            version = self._version(made)
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
            self._version(link) for link in self._links.values() if link["source_ref"] not in final
        ]
        self.result.detail += [*fresh.values(), *(each for each in links if each is not None)]

    def _version(self, made: Json) -> Json | None:
        """The version to send: new, changed, or None when nothing need be said."""
        version = changed(made, self._own, self.now)
        if not self.options.direct:
            return version
        # A version that only some had would part them from the others: what all have goes as it is.
        held = self._own.get(str(made["id"]))
        return self._said.get(str(made["id"]), version or held)

    def _fit_buckets(self) -> None:
        rows = self.home.state.objects(self.channel.channel_id, types=("indicator",))
        fit_buckets(
            self._made.values(),
            (row.body for row in rows),
            self._own,
            pending=Counter(kind for kind, _ in self.result.unasked),
            now=self.now,
        )

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
            created=moment_of(self.home.keyring.created),
            identity_id=self.author.member,
        )
        if self.options.direct:
            if result.detail:
                self._add_context(me)
            return result
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

    def _add_context(self, me: Json) -> None:
        """What the objects refer to, as far as it was said: readers of it may be new here."""
        made = [me]
        counts = live_kinds(self.result.detail)
        for name in self.result.campaigns:
            facts = self._spans.get(name, Facts(name))
            facts.kinds = counts.get(campaign_id(self.author.member, name), Counter())
            made.append(
                aggregate_objects(
                    facts,
                    member=self.author.member,
                    now=self.now,
                    tlp=self.options.tlp,
                    known=(),
                )[0]
            )
        context = [self._own.get(str(each["id"]), each) for each in made]
        self.result.detail = [*context, *self.result.detail]


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
    moment = moment_of(now)
    for row in home.state.objects(channel.channel_id, member=home.member_id):
        until = row.body.get("valid_until")
        if row.audience == Audience.DIRECT or is_governing(row.body):
            # For named members only, who have it; or about the channel as it was then.
            continue
        if row.revoked or (isinstance(until, str) and parse_timestamp(until) <= moment):
            continue
        target = result.aggregate if row.audience == Audience.AGGREGATE else result.detail
        target.append(row.body)
        if row.type == "campaign":
            result.campaigns.append(str(row.body["name"]))
    return result


def moment_of(now: int) -> datetime:
    """UTC seconds as a time."""
    return datetime.fromtimestamp(now, UTC)
