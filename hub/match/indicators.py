"""What the engine keeps of STIX objects: indicators, and the campaigns that they indicate."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from hub.errors import InputError
from hub.match.plan import NEVER, microseconds
from hub.model.codec import Json
from hub.model.extension import INDICATOR_CONTROLS
from hub.model.identifiers import parse_timestamp
from hub.model.markings import tlp_of


@dataclass(frozen=True, slots=True)
class Problem:
    """An indicator that this engine does not use, and why."""

    indicator_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Indicator:
    """The facts of one indicator; times in microseconds since 1970, UTC.

    Attributes:
        start, stop: valid from `start`, no more at `stop`.
        layer: as the publisher says, or None.
        min_band_hits: how many near-duplicate bands must agree before a prompt counts.
    """

    indicator_id: str
    pattern: str
    modified: int
    start: int
    stop: int
    confidence: int | None
    publisher: str | None
    marking: str | None
    campaign_ids: tuple[str, ...]
    layer: str | None
    min_band_hits: int


def collect(objects: Iterable[Json]) -> tuple[list[Indicator], list[Problem]]:
    """Take the newest version of each indicator that is not revoked.

    Returns:
        The indicators by id, and those that are malformed.
    """
    newest: dict[str, Json] = {}
    for one in objects:
        if one.get("type") in {"indicator", "relationship"}:
            identifier = str(one.get("id", ""))
            other = newest.get(identifier)
            if other is None or _version(one) >= _version(other):
                newest[identifier] = one
    campaigns = _campaigns(newest.values())
    indicators: list[Indicator] = []
    problems: list[Problem] = []
    for identifier in sorted(newest):
        one = newest[identifier]
        if one.get("type") != "indicator" or one.get("revoked") is True:
            continue
        try:
            indicators.append(_indicator(one, tuple(campaigns.get(identifier, ()))))
        except InputError as error:
            problems.append(Problem(identifier, error.message))
    return indicators, problems


def _version(one: Json) -> int:
    try:
        return _time(one, "modified")
    except InputError:
        return 0


def _time(one: Mapping[str, Any], name: str) -> int:
    value = one.get(name)
    if not isinstance(value, str):
        raise InputError(f"has no {name}")
    try:
        return _moment(value)
    except InputError as error:
        raise InputError(f"has a {name} that is no timestamp") from error


@lru_cache(maxsize=4096)
def _moment(text: str) -> int:
    return microseconds(parse_timestamp(text))


def _campaigns(objects: Iterable[Json]) -> dict[str, list[str]]:
    found: dict[str, set[str]] = {}
    for one in objects:
        source, target = one.get("source_ref"), one.get("target_ref")
        if (
            one.get("relationship_type") == "indicates"
            and one.get("revoked") is not True
            and isinstance(source, str)
            and isinstance(target, str)
            and target.startswith("campaign--")
        ):
            found.setdefault(source, set()).add(target)
    return {source: sorted(targets) for source, targets in found.items()}


def _indicator(one: Json, campaign_ids: tuple[str, ...]) -> Indicator:
    if one.get("pattern_type") != "stix":
        raise InputError("its pattern_type is not stix")
    pattern = one.get("pattern")
    if not isinstance(pattern, str):
        raise InputError("has no pattern")
    controls = _controls(one)
    confidence, publisher = one.get("confidence"), one.get("created_by_ref")
    level, hits, layer = tlp_of(one), controls.get("min_band_hits"), controls.get("layer")
    return Indicator(
        indicator_id=str(one.get("id", "")),
        pattern=pattern,
        modified=_time(one, "modified"),
        start=_time(one, "valid_from"),
        stop=_time(one, "valid_until") if "valid_until" in one else NEVER,
        confidence=confidence if type(confidence) is int else None,
        publisher=publisher if isinstance(publisher, str) else None,
        marking=None if level is None else level.label,
        campaign_ids=campaign_ids,
        layer=layer if isinstance(layer, str) else None,
        min_band_hits=hits if type(hits) is int else 0,
    )


def _controls(one: Json) -> Mapping[str, Any]:
    extensions = one.get("extensions")
    controls = extensions.get(INDICATOR_CONTROLS) if isinstance(extensions, dict) else None
    return controls if isinstance(controls, dict) else {}
