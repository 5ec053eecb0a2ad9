"""The indicators that a home holds, as an operator wants to read them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from hub.model.codec import Json
from hub.model.extension import INDICATOR_CONTROLS
from hub.model.identifiers import parse_timestamp
from hub.model.markings import tlp_of

LIVE: Final = "live"
PENDING: Final = "pending"
EXPIRED: Final = "expired"
WITHDRAWN: Final = "withdrawn"


@dataclass(frozen=True)
class IndicatorView:
    """One indicator.

    Attributes:
        state: `live`, `pending` (valid later), `expired` (still matches events of its time) or
            `withdrawn` by its publisher (matches nothing).
        form: the form in which the described value travels, such as `hmac` or `oblivious`.
        valid_until: None when the publisher set no end.
    """

    id: str
    kind: str
    layer: str
    pattern: str
    campaigns: tuple[str, ...]
    confidence: int | None
    valid_from: datetime
    valid_until: datetime | None
    publisher: str
    tlp: str
    state: str
    form: str

    def to_json(self) -> Json:
        """The document that `stillwatch indicators --json` lists."""
        return {
            "id": self.id,
            "kind": self.kind,
            "layer": self.layer,
            "pattern": self.pattern,
            "campaigns": list(self.campaigns),
            "confidence": self.confidence,
            "valid_from": self.valid_from.isoformat(),
            "valid_until": self.valid_until.isoformat() if self.valid_until else None,
            "publisher": self.publisher,
            "tlp": self.tlp,
            "state": self.state,
            "form": self.form,
        }


def indicators(
    objects: Iterable[Json],
    *,
    now: datetime,
    text: str | None = None,
    campaign: str | None = None,
    kind: str | None = None,
) -> list[IndicatorView]:
    """List indicators, by campaign, layer, kind and id.

    Args:
        objects: everything that a home has opened.
        now: the moment that decides about live and expired.
        text: keep those whose pattern, kind or id holds this, in any case.
        campaign: keep those of this campaign, by name or id.
        kind: keep those of this kind, such as `network.ipv4`.
    """
    known = {each["id"]: each for each in objects}
    campaigns_of = _campaigns(known)
    found = []
    for each in known.values():
        if each["type"] != "indicator":
            continue
        view = _view(each, known, campaigns_of.get(each["id"], ()), now)
        if (
            (text is None or _mentions(view, text))
            and (campaign is None or campaign in _names(each["id"], campaigns_of, known))
            and (kind is None or view.kind == kind)
        ):
            found.append(view)
    return sorted(found, key=lambda view: (view.campaigns, view.layer, view.kind, view.id))


def _campaigns(known: Mapping[str, Json]) -> dict[str, tuple[str, ...]]:
    links: dict[str, set[str]] = {}
    for each in known.values():
        if (
            each["type"] == "relationship"
            and each["relationship_type"] == "indicates"
            and not each.get("revoked")
        ):
            links.setdefault(each["source_ref"], set()).add(each["target_ref"])
    return {source: tuple(sorted(targets)) for source, targets in links.items()}


def _names(
    indicator: str, campaigns_of: Mapping[str, tuple[str, ...]], known: Mapping[str, Json]
) -> set[str]:
    ids = campaigns_of.get(indicator, ())
    return {*ids, *(known[each]["name"] for each in ids if each in known)}


def _view(
    indicator: Json, known: Mapping[str, Json], campaigns: Iterable[str], now: datetime
) -> IndicatorView:
    controls = indicator.get("extensions", {}).get(INDICATOR_CONTROLS, {})
    author = indicator.get("created_by_ref", "")
    marking = tlp_of(indicator)
    until = indicator.get("valid_until")
    start = parse_timestamp(indicator["valid_from"])
    end = parse_timestamp(until) if until else None
    return IndicatorView(
        id=indicator["id"],
        kind=controls.get("indicator_kind", indicator.get("name", "")),
        layer=controls.get("layer", ""),
        pattern=indicator.get("pattern", ""),
        campaigns=tuple(known[each]["name"] if each in known else each for each in campaigns),
        confidence=indicator.get("confidence"),
        valid_from=start,
        valid_until=end,
        publisher=known[author]["name"] if author in known else author,
        tlp=marking.label if marking else "",
        state=_state(indicator, start, end, now),
        form=str(controls.get("privacy_form", "")),
    )


def _state(indicator: Json, start: datetime, end: datetime | None, now: datetime) -> str:
    if indicator.get("revoked"):
        return WITHDRAWN
    if end is not None and end <= now:
        return EXPIRED
    return PENDING if start > now else LIVE


def _mentions(view: IndicatorView, text: str) -> bool:
    wanted = text.casefold()
    return any(wanted in part.casefold() for part in (view.pattern, view.kind, view.id))
