"""Campaigns as an observer sees them: scale, structure, sources, provenance.

A liaison's keys open aggregates only, so all of this is computed from aggregates; members who
also read detail get the same view.
"""

from __future__ import annotations

import dataclasses
import difflib
import time
from collections.abc import Iterable, Sequence
from typing import Any, Final

from hub.client.aggregate import distillation_of
from hub.client.direct_view import DirectView, direct_views
from hub.client.home import Home
from hub.client.naming import member_names
from hub.client.releases import Releases
from hub.client.rows import ChannelRow, ObjectRow
from hub.errors import InputError
from hub.model.codec import Json
from hub.model.markings import tlp_of

_SCALES: Final = (
    "account_count",
    "exchange_count",
    "api_key_count",
    "output_token_count",
    "indicator_count",
)


@dataclasses.dataclass(frozen=True)
class Provenance:
    """Which signed message said it."""

    member: str
    name: str
    message: str
    publisher_key: str | None
    seq: int | None
    epoch: int | None
    sent_at: int | None
    verified_at: int


@dataclasses.dataclass
class CampaignView:
    """One campaign of one publisher, with what others added.

    Attributes:
        scale: name of a count to its range, as published.
        structure: infrastructure roles, without values.
        sources: independent sources: two members who cite one source count as one.
        claimed_sources: what the publisher itself claims.
        direct: releases of detail of the campaign, with their legal basis and validity.
        sightings: members that say they saw it, with first and last day.
    """

    id: str
    channel: str
    name: str
    publisher: str
    publisher_name: str
    tlp: str
    first_seen: str | None
    last_seen: str | None
    modified: str
    revoked: bool
    scale: dict[str, Json]
    facts: dict[str, Any]
    structure: list[Json]
    sightings: list[Json]
    sources: int
    claimed_sources: int | None
    provenance: list[Provenance]
    direct: list[DirectView] = dataclasses.field(default_factory=list)

    def to_json(self) -> Json:
        """The view as JSON."""
        return dataclasses.asdict(self)


def campaigns(home: Home, channel: str | None = None) -> list[CampaignView]:
    """Every campaign that this member's keys open, by name then publisher."""
    channels = [home.state.channel(channel)] if channel else home.state.channels()
    views = [view for each in channels for view in _in_channel(home, each)]
    return sorted(views, key=lambda view: (view.name, view.publisher, view.channel))


def campaign(home: Home, wanted: str) -> list[CampaignView]:
    """Campaigns of that name or id; several publishers may speak of one.

    Raises:
        InputError: there is none.
    """
    known = campaigns(home)
    found = [each for each in known if wanted in (each.id, each.name) or _begins(each, wanted)]
    found = found or [each for each in known if each.name.casefold() == wanted.casefold()]
    if not found:
        near = difflib.get_close_matches(wanted.upper(), [each.name for each in known], 1)
        raise InputError(
            "no such campaign among what your keys open",
            where=wanted[:100],
            hint=f"did you mean {near[0]}?" if near else "stillwatch campaign list",
        )
    return found


def _begins(view: CampaignView, wanted: str) -> bool:
    return len(wanted) >= len("campaign--") + 4 and view.id.startswith(wanted)


def _in_channel(home: Home, channel: ChannelRow) -> list[CampaignView]:
    now = int(time.time())
    ended = Releases(home.state).lapsed(home.member_id, now)
    known = list(home.state.objects(channel.channel_id))
    rows = [
        row
        for row in known
        if row.audience in ("aggregate", "direct")
        and (row.channel_id, row.id) not in ended
        and row.type not in ("indicator", "note")
        and not (row.revoked and row.type != "campaign")
    ]
    names = member_names(home, channel)
    by_id = {row.id: row for row in rows}
    views = []
    for row in rows:
        if row.type == "campaign":
            view = _view(home, channel, row, rows, by_id, names)
            about = {row.id} | {
                str(each.body.get("source_ref"))
                for each in known
                if each.type == "relationship" and each.body.get("target_ref") == row.id
            }
            view.direct = direct_views(home, channel, now=now, about=about)
            views.append(view)
    return views


def _view(
    home: Home,
    channel: ChannelRow,
    row: ObjectRow,
    rows: Sequence[ObjectRow],
    by_id: dict[str, ObjectRow],
    names: dict[str, str],
) -> CampaignView:
    body, extension = row.body, distillation_of(row.body)
    structure_rows = [
        by_id[str(each.body["target_ref"])]
        for each in rows
        if each.type == "relationship"
        and each.body.get("source_ref") == row.id
        and str(each.body.get("target_ref")) in by_id
    ]
    sighting_rows = [
        each
        for each in rows
        if each.type == "sighting" and each.body.get("sighting_of_ref") == row.id
    ]
    same_name = [
        each
        for each in rows
        if each.type == "campaign"
        and each.body.get("name") == body.get("name")
        and not each.revoked
    ]
    attribution = extension.get("attribution")
    claimed = attribution.get("independent_sources") if isinstance(attribution, dict) else None
    return CampaignView(
        id=row.id,
        channel=channel.name,
        name=str(body.get("name", "")),
        publisher=row.member,
        publisher_name=names.get(row.member, row.member),
        tlp=_tlp(body),
        first_seen=body.get("first_seen"),
        last_seen=body.get("last_seen"),
        modified=str(body.get("modified", "")),
        revoked=row.revoked,
        scale={key: extension[key] for key in _SCALES if isinstance(extension.get(key), dict)},
        facts={
            key: value
            for key, value in extension.items()
            if key not in (*_SCALES, "extension_type")
        },
        structure=[_structure(each) for each in structure_rows],
        sightings=[_sighting(each, names) for each in sighting_rows],
        sources=independent_sources([*same_name, *sighting_rows]),
        claimed_sources=claimed if isinstance(claimed, int) else None,
        provenance=list(
            dict.fromkeys(
                _provenance(home, each, names) for each in (row, *structure_rows, *sighting_rows)
            )
        ),
    )


def independent_sources(rows: Iterable[ObjectRow]) -> int:
    """How many sources stand behind rows: members who cite a common source are one.

    A source is cited by an `external_references` entry: its URL, or its name and id.
    """
    groups: list[set[str]] = []
    for row in rows:
        keys = {f"member {row.member}", *_citations(row.body)}
        touching = [group for group in groups if group & keys]
        groups = [group for group in groups if not group & keys]
        groups.append(keys.union(*touching))
    return len(groups)


def _citations(body: Json) -> set[str]:
    found = set()
    references = body.get("external_references")
    for each in references if isinstance(references, list) else ():
        if not isinstance(each, dict):
            continue
        if isinstance(each.get("url"), str):
            found.add(f"url {each['url']}")
        if isinstance(each.get("external_id"), str):
            found.add(f"id {each.get('source_name')} {each['external_id']}")
    return found


def _structure(row: ObjectRow) -> Json:
    extension = distillation_of(row.body)
    return {
        "id": row.id,
        "type": row.type,
        "name": row.body.get("name"),
        "role": extension.get("cluster_role"),
        "scale": {key: extension[key] for key in _SCALES if isinstance(extension.get(key), dict)},
    }


def _sighting(row: ObjectRow, names: dict[str, str]) -> Json:
    return {
        "member": row.member,
        "name": names.get(row.member, row.member),
        "first_seen": row.body.get("first_seen"),
        "last_seen": row.body.get("last_seen"),
    }


def _provenance(home: Home, row: ObjectRow, names: dict[str, str]) -> Provenance:
    message = home.state.message(row.channel_id, row.digest)
    return Provenance(
        member=row.member,
        name=names.get(row.member, row.member),
        message=row.digest,
        publisher_key=message.publisher if message else None,
        seq=message.seq if message else None,
        epoch=message.epoch if message else None,
        sent_at=message.sent_at if message else None,
        verified_at=row.verified_at,
    )


def _tlp(body: Json) -> str:
    level = tlp_of(body)
    return level.label if level is not None else "TLP:AMBER"
