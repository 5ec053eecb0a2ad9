"""API tokens in every form that clients use, and what a guesser meets."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.server.credentials import Presented, presented
from hub.settings import HubLimits, HubSettings
from tests.unit.server.harness import House

PATH = "/stillwatch/collections/"


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    limits = HubLimits(auth_failures=3)
    with House(tmp_path, HubSettings(limits=limits)) as made:
        yield made


def basic(user: str, password: str) -> str:
    return base64.b64encode(f"{user}:{password}".encode()).decode()


def test_every_form_of_a_token(house: House) -> None:
    token = house.tokens["owner"]
    forms = [
        {"authorization": f"Basic {basic('anyone', token)}"},
        {"authorization": f"basic {basic('', token)}"},
        {"authorization": f"BASIC {basic('x', token)}"},
        {"authorization": f"basic {token}"},
        {"authorization": f"Bearer {token}"},
        {"authorization": f"bearer   {token}"},
        {"authorization": f"Token {token}"},
        {"x-api-key": token},
        {"X-API-Key": f" {token} "},
    ]
    for headers in forms:
        assert house.ask("GET", PATH, headers=headers).status == 200, headers


def test_what_is_no_token(house: House) -> None:
    token = house.tokens["owner"]
    forms = [
        {"authorization": ""},
        {"authorization": "Basic"},
        {"authorization": "Basic ????"},
        {"authorization": f"Digest {token}"},
        {"authorization": f"Bearer {token}x"},
        {"authorization": f"Bearer {token[:-1]}"},
        {"authorization": f"Bearer {token.upper()}"},
        {"authorization": f"Bearer {token}", "x-api-key": token},
        {"authorization": "Bearer " + "a" * 60_000},
        {"authorization": f"Basic {basic(token, '')}"},
        {"authorization": "Basic " + base64.b64encode(b"\xff\xfe:\xff").decode()},
    ]
    for number, headers in enumerate(forms):
        answer = house.ask("GET", PATH, headers=headers, client=f"198.51.100.{number}")
        assert answer.status == 401, headers
        assert "Basic" in answer.headers["www-authenticate"]
        assert "Bearer" in answer.headers["www-authenticate"]


def test_every_route_asks_for_a_token(house: House) -> None:
    for path in ("/taxii2/", "/stillwatch/", PATH, "/stillwatch/about/", "/stillwatch/status/x/"):
        assert house.ask("GET", path, who=None).status == 401, path
    for path in ("/livez", "/readyz"):
        assert house.ask("GET", path, who=None).status == 200, path


def test_revoked_expired_and_barred(house: House) -> None:
    org = house.org("lab")
    issued = house.store.create_token(org.id, expires=1)
    assert house.ask("GET", PATH, headers={"x-api-key": issued.secret}).status == 401
    fresh = house.store.create_token(org.id)
    assert house.ask("GET", PATH, headers={"x-api-key": fresh.secret}).status == 200
    house.store.revoke_token(fresh.token.id, now=1)
    assert house.ask("GET", PATH, headers={"x-api-key": fresh.secret}).status == 401
    house.store.disable_org(org.id)
    refused = house.ask("GET", PATH, who="lab")
    assert refused.status == 401
    assert b"not valid" in refused.body


def test_rotation_overlaps(house: House) -> None:
    first = house.store.create_token(house.owner.id)
    second = house.store.rotate_token(first.token.id, overlap=3600, now=2**31)
    for secret in (first.secret, second.secret):
        assert house.ask("GET", PATH, headers={"x-api-key": secret}).status == 200


def test_guessing_is_slowed_and_harms_nobody_else(house: House) -> None:
    def guess(client: str) -> int:
        return house.ask("GET", PATH, headers={"x-api-key": "guess"}, client=client).status

    assert [guess("203.0.113.5") for _ in range(5)] == [401, 401, 401, 429, 429]
    blocked = house.ask("GET", PATH, headers={"x-api-key": "guess"}, client="203.0.113.5")
    assert int(blocked.headers["retry-after"]) >= 1
    assert guess("203.0.113.6") == 401
    assert house.ask("GET", PATH, client="203.0.113.5").status == 200
    assert house.ask("GET", PATH, who=None, client="203.0.113.5").status == 401


def test_a_proxy_is_believed_only_when_configured(tmp_path: Path) -> None:
    limits = HubLimits(auth_failures=1)
    for behind, last in ((True, 401), (False, 429)):
        place = tmp_path / str(behind)
        with House(place, HubSettings(behind_proxy=behind, limits=limits)) as house:
            got = [
                house.ask(
                    "GET",
                    PATH,
                    headers={"x-api-key": "guess", "x-forwarded-for": f"10.0.0.1, {address}"},
                ).status
                for address in ("203.0.113.1", "203.0.113.2")
            ]
        assert got == [401, last], behind


def test_two_credentials_are_none() -> None:
    one = (b"authorization", b"Bearer abc")
    assert presented([one]) == Presented("bearer", "abc")
    assert presented([one, one]) is None
    assert presented([one, (b"x-api-key", b"abc")]) is None
    assert presented([]) is None
