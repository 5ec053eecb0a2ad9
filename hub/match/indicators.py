"""What the engine keeps of STIX objects: indicators, and the campaigns that they indicate."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, TypeVar

from hub.errors import InputError
from hub.match.plan import NEVER, microseconds
from hub.model.codec import Json
from hub.model.extension import INDICATOR_CONTROLS
from hub.model.identifiers import parse_timestamp
from hub.model.markings import tlp_of

_T = TypeVar("_T")


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
    indicators: dict[str, tuple[int, Indicator | Problem | None]] = {}
    links: dict[str, tuple[int, tuple[str, str] | None]] = {}
    nameless: list[Problem] = []
    for one in objects:
        # Only the few facts are kept: the objects may be many, and come one by one.
        if one.get("type") == "indicator" and not isinstance(one.get("id"), str):
            nameless.append(Problem("", "has no id"))
        elif one.get("type") == "indicator":
            _keep_newest(indicators, one, _read(one))
        elif one.get("type") == "relationship":
            _keep_newest(links, one, _link(one))
    campaigns: dict[str, set[str]] = {}
    for _, link in links.values():
        if link is not None:
            campaigns.setdefault(link[0], set()).add(link[1])
    kept: list[Indicator] = []
    problems = nameless
    for identifier in sorted(indicators):
        found = indicators[identifier][1]
        if isinstance(found, Problem):
            problems.append(found)
        elif found is not None:
            targets = campaigns.get(identifier)
            kept.append(replace(found, campaign_ids=tuple(sorted(targets))) if targets else found)
    return kept, problems


def _keep_newest(newest: dict[str, tuple[int, _T]], one: Json, facts: _T) -> None:
    identifier, version = str(one.get("id", "")), _version(one)
    other = newest.get(identifier)
    if other is None or version >= other[0]:
        newest[identifier] = (version, facts)


def _read(one: Json) -> Indicator | Problem | None:
    if one.get("revoked") is True:
        return None
    try:
        return _indicator(one)
    except InputError as error:
        return Problem(str(one.get("id", "")), error.message)


def _link(one: Json) -> tuple[str, str] | None:
    """From an indicator to the campaign that it indicates."""
    source, target = one.get("source_ref"), one.get("target_ref")
    indicates = one.get("relationship_type") == "indicates" and one.get("revoked") is not True
    if not indicates or not isinstance(source, str) or not isinstance(target, str):
        return None
    return (source, target) if target.startswith("campaign--") else None


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


def _indicator(one: Json) -> Indicator:
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
        campaign_ids=(),
        layer=layer if isinstance(layer, str) else None,
        min_band_hits=hits if type(hits) is int else 0,
    )


def _controls(one: Json) -> Mapping[str, Any]:
    extensions = one.get("extensions")
    controls = extensions.get(INDICATOR_CONTROLS) if isinstance(extensions, dict) else None
    return controls if isinstance(controls, dict) else {}
