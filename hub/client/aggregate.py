"""What a campaign's aggregate says: scale as ranges, roles without values.

Everything here may reach a liaison, who opens aggregates only. Exact counts, addresses and
tokens stay in the detail.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

import msgspec

from hub.model.codec import Json
from hub.model.extension import DISTILLATION_CAMPAIGN, INDICATOR_CONTROLS, unpack
from hub.model.fields import CountRange, DistillationCampaign
from hub.model.identifiers import deterministic_id, parse_timestamp
from hub.model.markings import TLP
from hub.model.objects import Authorship, campaign, infrastructure, new_version, relationship

_KEYED: Final = (
    "account.email-keyed",
    "account.phone-keyed",
    "account.payment-keyed",
    "account.device-keyed",
    "account.api-key-keyed",
)
_SMALL: Final = 5
_API_KEY: Final = "account.api-key-keyed"


@dataclasses.dataclass
class Facts:
    """What the publisher's live indicators of one campaign add up to.

    Attributes:
        kinds: live indicators by kind.
        first_seen, last_seen: the widest span that rows gave.
    """

    name: str
    kinds: Counter[str] = dataclasses.field(default_factory=Counter)
    first_seen: datetime | None = None
    last_seen: datetime | None = None

    def widen(self, first: datetime | None, last: datetime | None) -> None:
        """Take in the span of a further row."""
        for moment in (first, last):
            if moment is None:
                continue
            self.first_seen = min(self.first_seen or moment, moment)
            self.last_seen = max(self.last_seen or moment, moment)


def count_range(count: int, method: str | None = None) -> CountRange | None:
    """A count as a range of the series 5, 10, 20, 50, 100, 200 …; None for nothing.

    Counts below five cannot be told apart.
    """
    if count <= 0:
        return None
    if count < _SMALL:
        return CountRange(low=1, high=_SMALL, method=method)
    found = CountRange.around(count, method=method)
    # A count on a bound lies in the range that begins there: a range never tells the count.
    return CountRange.around(count + 1, method=method) if found.low == found.high else found


def day_of(moment: datetime) -> datetime:
    """The beginning of a time's day: aggregates are told to the day."""
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)


def campaign_id(member: str, name: str) -> str:
    """The id of this publisher's campaign of that name."""
    return deterministic_id("campaign", member, name)


def kind_of(indicator: Json) -> str:
    """The catalogue kind that an indicator says it is of; empty when it says none."""
    extensions = indicator.get("extensions")
    controls = extensions.get(INDICATOR_CONTROLS) if isinstance(extensions, dict) else None
    kind = controls.get("indicator_kind") if isinstance(controls, dict) else None
    return kind if isinstance(kind, str) else ""


def scale(facts: Facts, known: DistillationCampaign | None) -> DistillationCampaign:
    """The ranges; what the publisher stated otherwise (`known`) stays."""
    accounts = max((facts.kinds[kind] for kind in _KEYED), default=0)
    return msgspec.structs.replace(
        known or DistillationCampaign(),
        account_count=count_range(accounts, "distinct identifiers of the most frequent kind"),
        api_key_count=count_range(facts.kinds[_API_KEY], "distinct keys"),
        indicator_count=count_range(sum(facts.kinds.values()), "live indicators"),
    )


def aggregate_objects(
    facts: Facts,
    *,
    member: str,
    now: datetime,
    tlp: TLP,
    known: Iterable[Json],
    stated: DistillationCampaign | None = None,
) -> list[Json]:
    """The campaign and what it uses, as objects that changed or are new.

    Args:
        known: newest versions of this publisher's objects that are there already.
        stated: what the publisher says beyond its indicators, such as exchange counts.
    """
    held = {str(each["id"]): each for each in known}
    options: Authorship = {"created_by": member, "created": now, "tlp": tlp}
    old = held.get(campaign_id(member, facts.name))
    before = unpack(old, DistillationCampaign) if old else None
    for field in ("first_seen", "last_seen"):
        if old and isinstance(old.get(field), str):
            moment = parse_timestamp(old[field])
            facts.widen(moment, moment)
    figures = scale(facts, stated or before)
    made = [
        campaign(
            facts.name,
            first_seen=day_of(facts.first_seen) if facts.first_seen else None,
            last_seen=day_of(facts.last_seen) if facts.last_seen else None,
            # After its last indicator was withdrawn a campaign may have no figure left.
            distillation=None if figures == DistillationCampaign() else figures,
            **options,
        )
    ]
    network = sum(n for kind, n in facts.kinds.items() if kind.startswith("network."))
    known_egress = deterministic_id("infrastructure", member, f"{facts.name}: egress") in held
    if network or known_egress:
        egress = infrastructure(
            f"{facts.name}: egress",
            distillation=DistillationCampaign(
                cluster_role="egress", indicator_count=count_range(network, "live indicators")
            ),
            **options,
        )
        made += [egress, relationship(str(made[0]["id"]), "uses", str(egress["id"]), **options)]
    return [each for each in (changed(new, held, now) for new in made) if each is not None]


def changed(new: Json, held: dict[str, Json], now: datetime) -> Json | None:
    """The object as it must be published: new, as a new version, or None when nothing changed.

    A revoked object stays revoked.
    """
    old = held.get(str(new["id"]))
    if old is None:
        return new
    if old.get("revoked") is True:
        return None
    skipped = {"created", "modified"}
    if {k: v for k, v in old.items() if k not in skipped} == {
        k: v for k, v in new.items() if k not in skipped
    }:
        return None
    fixed = {"type", "spec_version", "id", "created", "created_by_ref", "modified"}
    changes: Json = {k: None for k in old if k not in new and k not in fixed}
    changes |= {k: v for k, v in new.items() if k not in fixed}
    earliest = parse_timestamp(str(old["modified"])) + timedelta(milliseconds=1)
    return new_version(old, max(now, earliest), **changes)


def distillation_of(body: Json) -> Json:
    """The raw `distillation-campaign` extension of an object, empty when it has none."""
    extensions = body.get("extensions")
    found = extensions.get(DISTILLATION_CAMPAIGN) if isinstance(extensions, dict) else None
    return found if isinstance(found, dict) else {}
