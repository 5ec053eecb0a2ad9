"""Every log line of a request names it; no line holds a secret or a query."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from hub.errors import StoreError
from hub.server import journal
from hub.server.correlation import CURRENT, Correlation, correlate
from hub.server.metrics import Metrics
from hub.server.observing import Observer
from hub.settings import HubSettings
from tests.unit.server.harness import House

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"


@contextmanager
def written(*, access: bool = True, level: str = "info") -> Iterator[list[dict[str, Any]]]:
    """Log lines as JSON; complete at the end of the block."""
    names = (journal.ROOT, journal.ACCESS, "opentelemetry", "psycopg.pool")
    kept = [
        (one := logging.getLogger(name), one.handlers[:], one.level, one.propagate)
        for name in names
    ]
    stream = io.StringIO()
    lines: list[dict[str, Any]] = []
    journal.configure(access=access, level=level, stream=stream)
    try:
        yield lines
    finally:
        for logger, handlers, former, propagate in kept:
            logger.handlers[:] = handlers
            logger.setLevel(former)
            logger.propagate = propagate
    lines += [json.loads(line) for line in stream.getvalue().splitlines()]


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with House(tmp_path) as made:
        yield made


@pytest.mark.parametrize("sent", ["abcdefgh", "A-b_c.1234", "x" * 64])
def test_a_callers_id_is_kept(house: House, sent: str) -> None:
    with written() as lines:
        answer = house.ask("GET", "/taxii2/", headers={"x-request-id": sent})
        refused = house.ask("GET", "/taxii2/", who=None, headers={"x-request-id": sent})
    assert answer.headers["x-request-id"] == sent
    assert refused.json["error_id"] == sent
    assert [line["request_id"] for line in lines] == [sent, sent]
    assert CURRENT.get() is None


@pytest.mark.parametrize(
    "sent", ["", "short", "x" * 65, "has space here", 'quote"quote', "-leading1"]
)
def test_another_id_is_replaced(house: House, sent: str) -> None:
    answer = house.ask("GET", "/taxii2/", headers={"x-request-id": sent})
    assert len(answer.headers["x-request-id"]) == 16
    assert answer.headers["x-request-id"] != sent


def test_an_id_that_comes_twice_does_not_count() -> None:
    one = (b"x-request-id", b"abcdefgh")
    assert correlate([one]).request_id == "abcdefgh"
    assert correlate([one, one]).request_id != "abcdefgh"
    parent = (b"traceparent", PARENT.encode())
    assert correlate([parent]).trace_id == TRACE
    assert correlate([parent, parent]).trace_id is None


@pytest.mark.parametrize(
    ("header", "trace"),
    [
        (PARENT, TRACE),
        (PARENT.replace("00-", "cc-", 1) + "-what-the-future-will-be-like", TRACE),
        (PARENT + "-x", None),
        (PARENT.replace("00-", "ff-", 1), None),
        (PARENT.replace(TRACE, "0" * 32), None),
        (PARENT.replace("00f067aa0ba902b7", "0" * 16), None),
        (PARENT.upper(), None),
        (PARENT[:-1], None),
        ("", None),
    ],
)
def test_traceparents(header: str, trace: str | None) -> None:
    assert correlate([(b"traceparent", header.encode())]).trace_id == trace


def test_no_token_fits_into_a_request_id(house: House) -> None:
    token = house.tokens["owner"]
    with written() as lines:
        answer = house.ask("GET", "/taxii2/", headers={"x-request-id": token})
    assert token not in json.dumps(lines)
    assert token not in str(answer.headers)


def test_lines_written_on_the_way_name_the_request(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the event loop, and on a thread of the pool."""
    collection = house.plain(owner="rw")

    def away(*_: object, **__: object) -> None:
        logging.getLogger("stillwatch.store").warning("from the pool")
        raise StoreError("the disk is full")

    monkeypatch.setattr(house.store, "positions", away)
    with written() as lines:
        path = f"/stillwatch/collections/{collection}/objects/"
        sent = {"x-request-id": "request-1", "traceparent": PARENT}
        assert house.ask("GET", path, headers=sent).status == 507
    assert {line["message"] for line in lines} == {"from the pool", "the store failed", "request"}
    assert {line["request_id"] for line in lines} == {"request-1"}
    assert {line["trace_id"] for line in lines} == {TRACE}


def test_secrets_and_queries_are_not_written(house: House) -> None:
    token = house.tokens["owner"]
    with written(level="debug") as lines:
        query = {"match[id]": "x", "token": token, "access_token": "sw_query"}
        house.ask("GET", "/taxii2/", query=query)
        house.ask("GET", "/nowhere/", query=query)
        house.ask("GET", "/taxii2/", who=None, headers={"authorization": "Bearer sw_wrong"})
        house.ask("GET", "/taxii2/", who=None, headers={"x-api-key": "sw_wrong"})
    text = json.dumps(lines)
    assert len(lines) >= 4
    for secret in (token, "sw_", "match", "Bearer"):
        assert secret not in text


def test_slow_requests_are_warned_of_without_the_access_log(tmp_path: Path) -> None:
    with House(tmp_path, settings=HubSettings(slow_seconds=0.0)) as house:
        with written(access=False) as lines:
            house.ask("GET", "/taxii2/", headers={"x-request-id": "request-1"})
        (line,) = lines
    assert line["level"] == "warning"
    assert line["message"] == "a slow request"
    assert line["route"] == "/taxii2/"
    assert line["request_id"] == "request-1"


def test_quick_requests_and_streams_are_not_slow(house: House) -> None:
    with written(access=False) as lines:
        house.ask("GET", "/taxii2/")
        observer = Observer(Metrics(process=False), slow_seconds=0.0)
        scope: dict[str, Any] = {"headers": [], "method": "GET", "path": "/", "state": {}}
        scope["state"]["route"] = "/{root}/collections/{collection_id}/events/"
        observer.begin(scope).end(scope, client="192.0.2.1", received=0)
    assert lines == []


@pytest.mark.parametrize(
    ("level", "access", "expected"),
    [
        ("debug", True, ["d", "i", "w", "e", "a"]),
        ("info", True, ["i", "w", "e", "a"]),
        ("info", False, ["i", "w", "e"]),
        ("warning", True, ["w", "e"]),
        ("error", False, ["e"]),
    ],
)
def test_levels(level: str, access: bool, expected: list[str]) -> None:
    with written(access=access, level=level) as lines:
        logger = logging.getLogger("stillwatch.x")
        logger.debug("d")
        logger.info("i")
        logger.warning("w")
        logger.error("e")
        logging.getLogger(journal.ACCESS).info("a")
    assert [line["message"] for line in lines] == expected


def test_a_traceback_is_one_field() -> None:
    with written() as lines:
        try:
            raise ValueError("x")
        except ValueError:
            logging.getLogger("stillwatch.x").exception("it failed")
    assert lines[0]["trace"].endswith("ValueError: x")
    assert lines[0]["time"].endswith("Z")


def test_fields_of_a_correlation() -> None:
    assert Correlation("a").fields == {"request_id": "a"}
    assert Correlation("a", "b").fields == {"request_id": "a", "trace_id": "b"}


def test_what_the_database_driver_says_is_a_line_of_json_too() -> None:
    with written() as lines:
        logging.getLogger("psycopg.pool").warning("error connecting in %r: away\n\tIs it?", "hub")
    assert [(one["level"], one["message"]) for one in lines] == [
        ("warning", "error connecting in 'hub': away\n\tIs it?")
    ]
