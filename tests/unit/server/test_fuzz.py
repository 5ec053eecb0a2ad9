"""Whatever is sent, the hub answers with a documented status and never with a fault of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hub.server.app import ROUTES
from hub.settings import HubLimits, HubSettings
from tests.unit.server.harness import TAXII, House, indicator

EXPECTED = {200, 202, 400, 401, 403, 404, 405, 406, 409, 413, 415, 422, 429}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    limits = HubLimits(content_length=4096, auth_failures=10**9, account_rate=0, address_rate=0)
    fuzzed = HubSettings(limits=limits, public_url="https://hub.example")
    with House(tmp_path_factory.mktemp("fuzz"), fuzzed) as made:
        made.rw = made.plain(owner="rw")
        made.post(made.rw, indicator(1), indicator(2))
        yield made


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
HEADER = st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=60)
SEGMENT = TEXT.map(lambda text: text.replace("/", ""))
NAMES = st.sampled_from(
    [
        "limit",
        "added_after",
        "next",
        "match[id]",
        "match[type]",
        "match[version]",
        "match[spec_version]",
        "match[x]",
        "match[",
        "x",
    ]
)
VALUES = TEXT | st.sampled_from(
    [
        "1",
        "2",
        "99999999999999999999",
        "all",
        "first,last",
        "2026-01-01T00:00:00Z",
        ",",
        "2.1",
        "9999-12-31T23:59:59.999999Z",
        "0000-00-00T00:00:00Z",
        "0001-01-01T00:00:00Z",
    ]
)
QUIET = settings(
    max_examples=100,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def check(house: House, method: str, path: str, **more: Any) -> int:
    answer = house.ask(method, path, **more)
    assert answer.status in EXPECTED, (method, path, more, answer.body)
    if answer.status >= 400 and method != "HEAD":
        assert answer.json["http_status"] == str(answer.status)
        assert answer.headers["content-type"] == TAXII
    return answer.status


@QUIET
@given(
    route=st.sampled_from(ROUTES),
    names=st.lists(SEGMENT, min_size=3, max_size=3),
    query=st.lists(st.tuples(NAMES, VALUES), max_size=4),
    method=st.sampled_from(["GET", "HEAD", "POST", "DELETE", "PUT", "OPTIONS"]),
)
def test_any_path_and_query(
    house: House, route: Any, names: list[str], query: list[tuple[str, str]], method: str
) -> None:
    filled = {
        "root": "stillwatch",
        "collection_id": names[0] or house.rw,
        "object_id": names[1] or indicator(1)["id"],
        "status_id": names[2],
        "channel_id": names[0],
        "frame": names[1],
    }
    check(house, method, route.path.format(**filled), query=query)
    filled["collection_id"] = house.rw
    check(house, "GET", route.path.format(**filled), query=query)


@QUIET
@given(
    headers=st.dictionaries(
        st.sampled_from(
            [
                "accept",
                "authorization",
                "x-api-key",
                "content-type",
                "content-encoding",
                "accept-encoding",
                "x-forwarded-for",
                "host",
                "range",
                "if-none-match",
            ]
        ),
        HEADER,
    )
)
def test_any_header(house: House, headers: dict[str, str]) -> None:
    path = f"/stillwatch/collections/{house.rw}/objects/"
    check(house, "GET", path, headers=headers)
    check(house, "POST", path, headers=headers, body=b'{"objects":[{"id":"x"}]}')


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
OBJECT = st.fixed_dictionaries(
    {},
    optional={
        "id": TEXT | st.just(indicator(3)["id"]) | JSON,
        "type": st.just("indicator") | JSON,
        "spec_version": st.sampled_from(["2.0", "2.1"]) | JSON,
        "created": st.just("2026-01-01T00:00:00Z") | JSON,
        "modified": st.just("2026-01-01T00:00:00Z") | JSON,
        "x": JSON,
    },
)


@QUIET
@given(st.lists(OBJECT, max_size=4) | JSON)
def test_any_object(house: House, objects: Any) -> None:
    path = f"/stillwatch/collections/{house.rw}/objects/"
    check(house, "POST", path, body=json.dumps({"objects": objects}).encode())
    # Whatever was stored, the collection can still be read to its end.
    page = house.ask("GET", path, query={"match[version]": "all"})
    assert page.status == 200
    assert len(page.json["objects"]) >= 2


@QUIET
@given(st.binary(max_size=200), st.sampled_from(["identity", "gzip"]))
def test_any_bytes(house: House, body: bytes, coding: str) -> None:
    for path in (f"/stillwatch/collections/{house.rw}/objects/", "/stillwatch/binding/"):
        check(house, "POST", path, body=body, headers={"content-encoding": coding})
