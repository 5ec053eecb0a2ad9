"""Report back: sightings of what matched, opinions on what was wrong.

What leaves the machine is how often and when, never an event, an account or a value. Members who
read see which indicator was sighted; liaisons see that the campaign was, without counts and to
the day.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pj
import pyarrow.parquet as pq

from hub.channel.header import Audience
from hub.channel.manifest import Role
from hub.client import guards
from hub.client.aggregate import changed, day_of
from hub.client.direct import Terms, seal_directly
from hub.client.home import Home
from hub.client.publisher import Published, seal_objects
from hub.client.rows import ChannelRow, ObjectRow
from hub.client.work import Desk, flush
from hub.errors import AccessError, InputError
from hub.match.schema import MATCH_SCHEMA
from hub.model.codec import Json
from hub.model.identifiers import is_id
from hub.model.objects import identity, opinion, sighting

_MAX_REASON: Final = 1000


@dataclasses.dataclass(frozen=True)
class Seen:
    """How often and when an indicator matched."""

    indicator_id: str
    count: int
    first: datetime
    last: datetime


@dataclasses.dataclass
class Reporting:
    """What a report would send, by channel.

    Attributes:
        direct: channel and publisher to what it alone is told: reports on what it released
            directly, of which the others know nothing.
        skipped: indicator id to why it is not reported.
    """

    channels: dict[str, dict[Audience, list[Json]]] = dataclasses.field(default_factory=dict)
    direct: dict[tuple[str, str], list[Json]] = dataclasses.field(default_factory=dict)
    skipped: dict[str, str] = dataclasses.field(default_factory=dict)

    def objects(self) -> list[Json]:
        """Everything that would leave the machine."""
        for_all = [content for parts in self.channels.values() for content in parts.values()]
        return [each for content in (*for_all, *self.direct.values()) for each in content]


def read_matches(path: Path) -> list[Seen]:
    """Add up a file of matches (`stillwatch match --out`), one entry for each indicator.

    Raises:
        InputError: no file of matches.
    """
    try:
        if path.suffix == ".parquet":
            table = pq.read_table(path, columns=["indicator_id", "observed_at", "event_id"])
        elif path.suffix in (".jsonl", ".ndjson"):
            options = pj.ParseOptions(
                explicit_schema=MATCH_SCHEMA, unexpected_field_behavior="ignore"
            )
            table = (
                pj.read_json(path, parse_options=options)
                if path.stat().st_size
                else MATCH_SCHEMA.empty_table()
            ).select(["indicator_id", "observed_at", "event_id"])
        else:
            raise InputError("the name must end in .parquet or .jsonl", where=str(path))
    except (pa.ArrowException, OSError, KeyError) as error:
        raise InputError(
            "not a file of matches", where=str(path), hint="stillwatch match --out FILE"
        ) from error
    if table["indicator_id"].null_count or table["observed_at"].null_count:
        raise InputError("a match without its indicator or time", where=str(path))
    grouped = table.group_by("indicator_id").aggregate(
        [("observed_at", "min"), ("observed_at", "max"), ("event_id", "count_distinct")]
    )
    rows = grouped.take(pc.sort_indices(grouped["indicator_id"])).to_pylist()
    return [
        Seen(
            indicator_id=str(row["indicator_id"]),
            count=int(row["event_id_count_distinct"]),
            first=row["observed_at_min"].astimezone(UTC),
            last=row["observed_at_max"].astimezone(UTC),
        )
        for row in rows
    ]


def prepare_sightings(
    home: Home, seen: Sequence[Seen], *, now: int, aggregate: bool = True
) -> Reporting:
    """The sightings to send, each into the channel that brought its indicator.

    Args:
        aggregate: also tell liaisons that the campaign was sighted.
    """
    moment = datetime.fromtimestamp(now, UTC)
    result = Reporting()
    campaigns: dict[tuple[str, str], list[Seen]] = {}
    indicated: dict[str, dict[tuple[str, str], list[str]]] = {}
    for each in seen:
        row = _known(home, each.indicator_id, result)
        if row is None:
            continue
        made = sighting(
            each.indicator_id,
            first_seen=each.first,
            last_seen=each.last,
            count=each.count,
            where_sighted_refs=[home.member_id],
            created_by=home.member_id,
            created=moment,
        )
        _add(home, result, row.channel_id, _way_back(row), made, moment)
        if row.audience == Audience.DIRECT:
            continue
        if row.channel_id not in indicated:
            indicated[row.channel_id] = _campaigns(home, row.channel_id)
        for campaign in indicated[row.channel_id].get((row.id, row.member), ()):
            campaigns.setdefault((row.channel_id, campaign), []).append(each)
    if aggregate:
        for (channel_id, campaign), parts in campaigns.items():
            made = sighting(
                campaign,
                first_seen=day_of(min(each.first for each in parts)),
                last_seen=day_of(max(each.last for each in parts)),
                count=1,
                where_sighted_refs=[home.member_id],
                created_by=home.member_id,
                created=moment,
            )
            _add(home, result, channel_id, Audience.AGGREGATE, made, moment)
    _introduce(home, result)
    return result


def prepare_false_positive(home: Home, indicator_id: str, reason: str, *, now: int) -> Reporting:
    """The opinion that an indicator describes somebody honest.

    Raises:
        InputError: the reason is empty, too long, or names somebody.
    """
    text = reason.strip()
    if not 1 <= len(text) <= _MAX_REASON:
        raise InputError(f"a reason of 1 to {_MAX_REASON} characters is wanted", where="--reason")
    fault = guards.free_text(text)
    if fault is not None:
        raise InputError(f"the reason {fault}", where="--reason", hint="describe, do not name")
    moment = datetime.fromtimestamp(now, UTC)
    result = Reporting()
    row = _known(home, indicator_id, result)
    if row is not None:
        made = opinion(
            indicator_id,
            "strongly-disagree",
            explanation=text,
            created_by=home.member_id,
            created=moment,
        )
        _add(home, result, row.channel_id, _way_back(row), made, moment)
        _introduce(home, result)
    return result


def send(desk: Desk, reporting: Reporting) -> Published:
    """Seal and send a report.

    Raises:
        AccessError: this member may not report in the channel.
    """
    home = desk.home
    messages = objects = size = 0
    with home.locked():
        for channel_id, parts in reporting.channels.items():
            channel = home.state.channel(channel_id)
            made, held = seal_objects(desk, channel, parts, role=_role(home, channel))
            messages, objects = messages + made, objects + held
            size += flush(desk, home.state.channel(channel_id)).bytes
        for (channel_id, member), content in reporting.direct.items():
            channel = home.state.channel(channel_id)
            terms = Terms((member,), "report on what was released directly")
            messages += seal_directly(desk, channel, content, terms, role=_role(home, channel))
            objects += len(content)
            size += flush(desk, home.state.channel(channel_id)).bytes
    return Published(messages=messages, objects=objects, bytes=size)


def check_may(home: Home, reporting: Reporting) -> None:
    """Refuse a report that could not be sent, so that a dry run says so too.

    Raises:
        AccessError: this member may not report in the channel.
    """
    wanted = {*reporting.channels, *(channel_id for channel_id, _ in reporting.direct)}
    for channel_id in sorted(wanted):
        channel = home.state.channel(channel_id)
        entry = home.trusted(channel).manifest.member(home.member_id)
        if entry is None or not entry.roles & {Role.PUBLISH, Role.REPORT}:
            raise AccessError(
                "this organisation may not report in the channel",
                where=channel.name,
                hint="the owner grants roles by inviting anew",
            )


def _role(home: Home, channel: ChannelRow) -> Role:
    entry = home.trusted(channel).manifest.member(home.member_id)
    return Role.PUBLISH if entry and Role.PUBLISH in entry.roles else Role.REPORT


def _known(home: Home, indicator_id: str, result: Reporting) -> ObjectRow | None:
    if not is_id(indicator_id, "indicator"):
        raise InputError("not an indicator id", where="indicator")
    row = home.object(indicator_id)
    if row is None:
        result.skipped[indicator_id] = "not received through a channel"
    elif row.revoked:
        result.skipped[indicator_id] = "withdrawn by its publisher"
    elif row.member == home.member_id:
        result.skipped[indicator_id] = "our own"
    else:
        return row
    return None


def _campaigns(home: Home, channel_id: str) -> dict[tuple[str, str], list[str]]:
    """(indicator, member) -> campaigns that this member relates the indicator to."""
    found: dict[tuple[str, str], list[str]] = {}
    for row in home.state.objects(channel_id, types=("relationship",)):
        told = row.audience != Audience.DIRECT and not row.revoked
        if told and row.body.get("relationship_type") == "indicates":
            key = (str(row.body.get("source_ref")), row.member)
            found.setdefault(key, []).append(str(row.body.get("target_ref")))
    return found


def _add(
    home: Home,
    result: Reporting,
    channel_id: str,
    way: Audience | str,
    made: Json,
    now: datetime,
) -> None:
    """Take an object to send to an audience, or to one member alone."""
    old = home.state.object(str(made["id"]), channel_id)
    version = changed(made, {old.id: old.body} if old else {}, now)
    if version is None:
        subject = str(made.get("sighting_of_ref") or made["object_refs"][0])
        result.skipped.setdefault(subject, "reported before, unchanged")
        return
    if isinstance(way, Audience):
        result.channels.setdefault(channel_id, {}).setdefault(way, []).append(version)
    else:
        result.direct.setdefault((channel_id, way), []).append(version)


def _way_back(row: ObjectRow) -> Audience | str:
    """Whom a report on an object may reach: all who read, or its publisher alone."""
    return row.member if row.audience == Audience.DIRECT else Audience.DETAIL


def _introduce(home: Home, result: Reporting) -> None:
    """A member's first report in a channel says who it is."""
    for channel_id, parts in result.channels.items():
        if home.state.object(home.member_id, channel_id) is None:
            me = identity(
                home.organisation,
                created=datetime.fromtimestamp(home.keyring.created, UTC),
                identity_id=home.member_id,
            )
            parts.setdefault(Audience.AGGREGATE, []).insert(0, me)


def channel_of(home: Home, name: str | None) -> ChannelRow:
    """The channel of that name; without a name the only one.

    Raises:
        InputError: there is none, or several and no name was given.
    """
    if name is not None:
        return home.state.channel(name)
    channels = [each for each in home.state.channels() if each.standing not in ("removed", "left")]
    if len(channels) != 1:
        names = ", ".join(each.name for each in channels) or "none"
        raise InputError(f"which channel? known: {names}", hint="--channel NAME")
    return channels[0]
