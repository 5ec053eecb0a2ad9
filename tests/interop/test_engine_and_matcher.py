"""The engine finds in traffic what the OASIS matcher finds in the same events as observations."""

from __future__ import annotations

from typing import Any

import stix2matcher.matcher
from hypothesis import given, settings
from stix2matcher.matcher import MatcherException

from hub.match import evaluate
from hub.match.engine import IndicatorIndex
from hub.match.observe import observe
from tests.unit.match import test_agreement as agreement
from tests.unit.match.test_agreement import indicator


def _theirs(pattern: str, bundles: list[dict[str, Any]]) -> bool | None:
    """The matcher's answer, or None where it refuses to judge: IPv6, and what is no address."""
    try:
        return bool(stix2matcher.matcher.match(pattern, bundles, stix_version="2.1"))
    except MatcherException:
        return None


def _one_line(value: Any) -> Any:
    if isinstance(value, list):
        return [_one_line(one) for one in value]
    return value.replace("\n", " ") if isinstance(value, str) else value


# The matcher takes EXISTS for something else, and lets no LIKE reach over the end of a line:
# see test_where_the_matcher_departs_from_the_standard.
_patterns = agreement._patterns.filter(lambda pattern: "EXISTS" not in pattern)
_events = agreement._events.map(
    lambda events: [{name: _one_line(one) for name, one in event.items()} for event in events]
)


@settings(max_examples=100, derandomize=True, deadline=None)
@given(_patterns, _events)
def test_engine_reference_and_matcher_agree_on_single_events(
    pattern: str, events: list[dict[str, Any]]
) -> None:
    table = agreement._table(events)
    index = IndicatorIndex.build([indicator(1, pattern)])
    found = set(index.match(table, source="log").column("event_id").to_pylist())
    for row in table.to_pylist():
        bundles = [observe(row)]
        ours = evaluate(pattern, bundles)
        theirs = _theirs(pattern, bundles)
        assert theirs in {ours, None}
        assert index.problems or (row["event_id"] in found) is ours
