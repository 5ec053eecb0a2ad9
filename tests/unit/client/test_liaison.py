"""Independence, ranges and views from aggregates."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from hub.client.aggregate import Facts, changed, count_range, scale
from hub.client.liaison import campaign, independent_sources
from hub.client.rows import ObjectRow
from hub.errors import InputError
from hub.model.codec import Json
from hub.model.fields import CountRange, DistillationCampaign
from tests.unit.client.circle import Circle, write_files


def _row(member: str, *citations: Json) -> ObjectRow:
    body: Json = {"external_references": list(citations)} if citations else {}
    return ObjectRow(
        "c", f"campaign--{member}", "campaign", "m", member, "aggregate", False, body, "d", 0
    )


ARTICLE = {"source_name": "paper", "url": "https://paper.example/1"}
CASE = {"source_name": "register", "external_id": "A-1"}


@pytest.mark.parametrize(
    ("rows", "sources"),
    [
        ([], 0),
        ([_row("a")], 1),
        ([_row("a"), _row("a")], 1),
        ([_row("a"), _row("b")], 2),
        ([_row("a", ARTICLE), _row("b", ARTICLE)], 1),
        ([_row("a", ARTICLE), _row("b", CASE), _row("c", CASE, ARTICLE)], 1),
        ([_row("a", ARTICLE), _row("b", CASE)], 2),
        ([_row("a", {"source_name": "x"}), _row("b", {"source_name": "x"})], 2),
    ],
)
def test_who_cites_one_source_is_one_source(rows: list[ObjectRow], sources: int) -> None:
    assert independent_sources(rows) == sources
    assert independent_sources(reversed(rows)) == sources


@pytest.mark.parametrize("count", [1, 4])
def test_small_counts_cannot_be_told_apart(count: int) -> None:
    assert count_range(count) == CountRange(low=1, high=5)


def test_ranges_hold_their_count() -> None:
    assert count_range(0) is None
    for count in (5, 9, 10, 27, 2_900, 24_000):
        found = count_range(count)
        assert found is not None
        assert found.low <= count <= found.high
        assert found.high <= 2.5 * found.low


def test_what_the_publisher_stated_stays() -> None:
    stated = DistillationCampaign(exchange_count=CountRange(low=10, high=20))
    facts = Facts("X")
    facts.kinds["account.email-keyed"] = 30
    found = scale(facts, stated)
    assert found.exchange_count == CountRange(low=10, high=20)
    assert found.account_count is not None
    assert found.account_count.low <= 30 <= found.account_count.high


def test_an_unchanged_object_is_not_published_again() -> None:
    now = datetime(2026, 11, 21, tzinfo=UTC)
    old: Json = {
        "type": "campaign",
        "id": "campaign--1",
        "created": "2026-11-01T00:00:00.000Z",
        "modified": "2026-11-22T00:00:00.000Z",
        "name": "X",
        "objective": "gone",
    }
    same = old | {"created": "2026-11-21T00:00:00.000Z", "modified": "2026-11-21T00:00:00.000Z"}
    assert changed(same, {"campaign--1": old}, now) is None
    other = {key: value for key, value in same.items() if key != "objective"} | {"name": "Y"}
    version = changed(other, {"campaign--1": old}, now)
    assert version is not None
    assert (version["name"], version["created"]) == ("Y", old["created"])
    assert "objective" not in version
    # A clock that went back does not make a version older than the last.
    assert version["modified"] > old["modified"]
    assert changed(other, {"campaign--1": old | {"revoked": True}}, now) is None


def test_an_aggregate_holds_no_value(circle: Circle, tmp_path: Path) -> None:
    circle.open_channel()
    circle.admit("liaison", "liaison")
    circle.publish("lab", *write_files(tmp_path))
    circle.pull("liaison")
    home = circle.desks["liaison"].home
    (view,) = campaign(home, "LANTERN")
    assert campaign(home, view.id) == campaign(home, view.id[:20]) == [view]
    assert len({each.message for each in view.provenance}) == len(view.provenance)
    assert view.provenance[0].seq is not None
    content = str([row.body for row in home.state.objects()])
    for value in ("203.0.113", "198.51.100.2", "mailbox-farm", "email:", "rubric"):
        assert value not in content
    with pytest.raises(InputError, match="no such campaign"):
        campaign(home, "OTHER")
