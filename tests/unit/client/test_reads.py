"""What hubs tell of reads: strict reading, counting for `status`, and hubs that tell nothing."""

from __future__ import annotations

from typing import Any

import pytest

from hub.client.health import health
from hub.client.reads import PAGE, ReadsSeen, Standing, ask, count_news
from hub.client.reads_port import Line, parse_lines
from hub.client.subscriber import pull
from hub.errors import AccessError, TransportError
from tests.unit.client.circle import START, Circle
from tests.unit.client.memory_hub import API_ROOT
from tests.unit.client.test_transport import Answer, Script, script

__all__ = ["script"]

ROW: dict[str, Any] = {
    "seq": 7,
    "time": START,
    "event": "government.read",
    "organization": "agency",
    "collection": "c1",
    "detail": {"objects": "3"},
    "hash": "ab" * 32,
}


CHANGES: tuple[dict[str, Any], ...] = (
    {"seq": "7"},
    {"seq": True},
    {"seq": 10**18},
    {"time": -1},
    {"time": 10**15},
    {"time": 1.5},
    {"event": "government.read\n"},
    {"event": "Gov"},
    {"event": None},
    {"hash": "AB" * 32},
    {"hash": 7},
    {"organization": 7},
    {"organization": "x" * 5000},
    {"collection": ["c1"]},
    {"detail": []},
    {"detail": {"objects": 3}},
    {"detail": {str(number): "" for number in range(40)}},
)


def line(seq: int, event: str = "government.read") -> Line:
    return Line(seq, START, event, "agency", "c1", {}, "ab" * 32)


def test_a_line_is_read() -> None:
    found = parse_lines({"rows": [ROW, ROW | {"seq": 9}], "more": True}, 0, 10)
    assert [each.seq for each in found.rows] == [7, 9]
    assert found.more
    assert found.rows[0].detail == {"objects": "3"}
    assert found.rows[0].is_read
    assert (
        not parse_lines({"rows": [ROW | {"event": "token.issue"}], "more": False}, 0, 1)
        .rows[0]
        .is_read
    )


def test_what_steers_a_terminal_is_struck() -> None:
    hostile = ROW | {
        "organization": "\x1b]0;x\x07agency\u202e",
        "collection": "c\n1",
        "detail": {"re\x1bason": "first\r\nsecond"},
    }
    (row,) = parse_lines({"rows": [hostile], "more": False}, 0, 10).rows
    texts = [str(row.organization), str(row.collection), *row.detail, *row.detail.values()]
    assert all(text.isprintable() for text in texts)
    assert "agency" in str(row.organization)


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        {},
        {"rows": [], "more": True},
        {"rows": [], "more": 0},
        {"rows": {}, "more": False},
        {"rows": [None], "more": False},
        {"rows": [ROW, ROW], "more": False},
        {"rows": [ROW | {"seq": 5}], "more": False},
        {"rows": [ROW | {"seq": number} for number in range(10, 30)], "more": False},
        *({"rows": [ROW | change], "more": False} for change in CHANGES),
        {"rows": [{name: ROW[name] for name in ROW if name != "hash"}], "more": False},
    ],
)
def test_what_a_hub_may_not_say(body: Any) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        parse_lines(body, 5, 10)


@pytest.mark.parametrize("status", [403, 404, 405, 406, 501])
def test_a_server_that_tells_nothing_is_passed_over(script: Script, status: int) -> None:
    script.respond = lambda method, path: Answer(status, {})
    assert script.hub().audit(0, 10) is None


def test_an_answer_that_is_none_is_a_transport_error(script: Script) -> None:
    script.respond = lambda method, path: Answer(body={"rows": [ROW], "more": False})
    found = script.hub().audit(5, 10)
    assert found is not None
    assert script.asked[-1] == ("GET", "/root/audit/?after=5&limit=10")
    with pytest.raises(TransportError, match="not readable"):
        script.hub().audit(7, 10)
    script.respond = lambda method, path: Answer(401, {})
    with pytest.raises(AccessError):
        script.hub().audit(7, 10)


def test_reads_are_counted_once_and_looked_at(circle: Circle) -> None:
    lab = circle.open_channel()
    seen = ReadsSeen(lab.home.state)
    count_news(lab, pull(lab))
    assert health(lab.home, now=START).reads == {}
    circle.hub.lines = [line(3), line(4, "token.issue"), line(9, "break-glass.open")]
    for _ in range(2):
        count_news(lab, pull(lab))
        assert seen.of(API_ROOT) == Standing(API_ROOT, 0, 9, 2, START)
    assert health(lab.home, now=START).reads == {API_ROOT: 2}
    # A look that broke off in the middle leaves the rest.
    seen.look(API_ROOT, 4, 1, START)
    assert seen.of(API_ROOT) == Standing(API_ROOT, 4, 9, 1, START)
    seen.look(API_ROOT, 9, 1, START)
    assert health(lab.home, now=START).reads == {}
    # What was looked at in the meantime is not counted anew.
    stale = Standing(API_ROOT, 0, 9, 2, START)
    seen.count(stale, 20, 5, START)
    assert seen.of(API_ROOT) == Standing(API_ROOT, 9, 9, 0, START)
    # An older look changes nothing.
    seen.look(API_ROOT, 3, 1, START)
    assert seen.of(API_ROOT).seen == 9


def test_a_long_tale_is_cut_and_gone_on_with(circle: Circle) -> None:
    lab = circle.open_channel()
    circle.hub.lines = [line(number) for number in range(1, 10 * PAGE + 6)]
    first = ask(lab, API_ROOT, 0)
    assert first is not None
    assert (len(first.rows), first.more) == (10 * PAGE, True)
    rest = ask(lab, API_ROOT, first.rows[-1].seq)
    assert rest is not None
    assert (len(rest.rows), rest.more) == (5, False)


def test_a_hub_that_fails_at_it_does_not_fail_the_pull(circle: Circle) -> None:
    lab = circle.open_channel()

    def fail(request: str) -> None:
        if request == "audit":
            raise TransportError("away")

    circle.hub.fail = fail
    count_news(lab, pull(lab))
    assert circle.hub.requests[-1] == "audit"
    assert ReadsSeen(lab.home.state).all() == []


def test_a_stock_server_is_not_asked(circle: Circle) -> None:
    circle.hub.stillwatch = False
    circle.hub.lines = [line(1)]
    lab = circle.open_channel()
    count_news(lab, pull(lab))
    assert "audit" not in circle.hub.requests
