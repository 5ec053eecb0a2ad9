"""The privilege matrix against the real application: every role, by every kind of credential."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.channel.carriage import to_artifact
from hub.server.app import ROUTES
from hub.server.policy import Action, Decision, Principal, Standing, Via
from hub.server.routes import Route
from hub.store.records import AccountKind, Kind, Role
from tests.unit.server import test_admission
from tests.unit.server.city import Issuer, credentials, issuing, settings_with
from tests.unit.server.harness import Answer, indicator
from tests.unit.server.rules import PLACES as KNOWN
from tests.unit.server.rules import Place, expected
from tests.unit.server.test_policy import category

# (organisation, place) -> how it stands to it, by the names of `rules`; else it is a stranger.
STANDS = {
    ("owner", "plain"): "plain: owner",
    ("provider", "plain"): "plain: read",
    ("ministry", "plain"): "plain: read",
    ("owner", "opened"): "plain: owner",
    ("provider", "opened"): "plain: both, opened",
    ("ministry", "opened"): "plain: both, opened",
    ("owner", "unbound"): "channel: unbound, owner",
    ("owner", "bound"): "channel: owner",
    ("provider", "bound"): "channel: member",
    ("owner", "inbox"): "inbox: owner",
}
STRANGER = {
    "plain": "plain: nothing",
    "opened": "plain: nothing, opened",
    "unbound": "channel: unbound, stranger",
    "bound": "channel: stranger",
    "inbox": "inbox: stranger",
    "missing": "missing",
}
ORGS = ("owner", "provider", "outsider", "ministry")


class City(test_admission.Town):
    """A channel with an owner and a member, plain collections, and accounts of every role."""

    def settle(self, issuer: Issuer) -> None:
        """Build it all."""
        self.build()
        ministry = self.store.create_org("ministry", government=True)
        self.orgs["ministry"] = ministry
        channel = self.open()
        self.send(*channel.messages, *self.admit(channel))
        self.bind(self.provider, "provider")
        self.genesis = to_artifact(channel.messages[0])
        unbound = self.store.create_collection(Kind.CHANNEL, "u", owner_org=self.owner.id)
        self.places = {
            "plain": self.plain(owner="rw", provider="r", ministry="r"),
            "opened": self.plain(owner="rw", provider="rw", ministry="rw"),
            "unbound": unbound.id,
            "bound": self.collection,
            "inbox": self.inbox,
            "missing": "0" * 36,
        }
        self.channel_id = channel.trusted.channel
        self.store.open_to_government(self.places["opened"], opened=True)
        self.logins = {}
        for org, role in itertools.product(ORGS, Role):
            account = self.store.create_account(
                self.orgs[org].id, role.value, AccountKind.SERVICE, frozenset({role})
            )
            for via, headers in credentials(self.store, account, issuer).items():
                self.logins[org, role, via] = headers

    def try_route(self, route: Route, place: str, headers: dict[str, str]) -> Answer:
        """One request for one cell, on an object that is there."""
        held = self.genesis if place == "bound" else indicator(1)
        path = route.path.format(
            root="stillwatch",
            collection_id=self.places[place],
            object_id=held["id"],
            status_id="0" * 36,
            channel_id=self.channel_id if place == "bound" else self.places[place],
            frame="0" * 64,
        )
        body = json.dumps({"objects": [held]}).encode() if route.method == "POST" else None
        return self.ask(route.method, path, who=None, headers=headers, body=body)


@pytest.fixture
def city(tmp_path: Path) -> Iterator[City]:
    with issuing(Issuer()) as issuer, City(tmp_path, settings_with(issuer)) as made:
        made.settle(issuer)
        yield made


def wanted(org: str, role: Role, via: Via, route: Route, place: str) -> Decision:
    """The rule for a cell, as far as a request shows it."""
    stands = KNOWN[STANDS.get((org, place), STRANGER[place])]
    principal = Principal(
        org, "id", account_id="id", roles=frozenset({role}), government=org == "ministry", via=via
    )
    found = expected(principal, route.action, stands)
    if route.action in (Action.LOG, Action.ENTRIES) and place != "bound":
        # These are named by their channel, which other places have not.
        return expected(principal, route.action, Place(None))
    if route.action is Action.DELETE and place == "bound" and found is Decision.ALLOW:
        # Nobody deletes a genesis.
        return Decision.FORBID
    return found


def test_the_matrix_over_http_by_role_and_credential(city: City) -> None:
    wrong = []
    cells = 0
    for (org, role, via), headers in city.logins.items():
        # Who it is once known makes no difference: the other kinds try what is most telling.
        places = STRANGER if via is Via.TOKEN else ("opened", "bound")
        for route, place in itertools.product(ROUTES, places):
            cells += 1
            answer = city.try_route(route, place, headers)
            if category(route, answer) is not wanted(org, role, via, route, place):
                wrong.append((route.method, route.path, org, role, via, place, answer.status))
    assert wrong == []
    assert cells == len(ORGS) * len(Role) * (len(STRANGER) + 4) * len(ROUTES)


def test_broken_glass_over_http(city: City) -> None:
    """An administrator reads what was opened to it, while it is open, and nothing else."""
    operator = city.store.create_org("operator").id
    secrets, found = {}, {}
    for name in ("first", "second"):
        account = city.store.create_account(
            operator, name, AccountKind.PERSON, frozenset({Role.ADMIN})
        )
        secrets[name] = city.store.create_token(operator, account_id=account.id).secret
        credential = city.store.credential(secrets[name], now=0)
        assert credential is not None
        found[name] = credential
    scope = frozenset({city.places["plain"], city.places["bound"]})

    def tried(name: str) -> list[tuple[str, str, str]]:
        wrong = []
        headers = {"authorization": f"Bearer {secrets[name]}"}
        for route, place in itertools.product(ROUTES, STRANGER):
            stands = KNOWN[STRANGER[place]]
            if name == "first" and opened and place in ("plain", "bound"):
                stands = KNOWN[
                    "plain: broken glass" if place == "plain" else "channel: broken glass"
                ]
            principal = Principal("op", "id", account_id="id", roles=frozenset({Role.ADMIN}))
            want = expected(principal, route.action, stands)
            if route.action in (Action.LOG, Action.ENTRIES) and place != "bound":
                want = expected(principal, route.action, Place(None))
            answer = city.try_route(route, place, headers)
            if category(route, answer) is not want:
                wrong.append((route.path, place, str(answer.status)))
        return wrong

    opened = False
    assert tried("first") == []
    glass = city.store.request_glass(found["first"], scope, reason="why", seconds=3600)
    assert tried("first") == []
    now = glass.created
    city.store.approve_glass(glass.id, found["second"], now=now, concerns={})
    opened = True
    assert tried("first") == []
    assert tried("second") == []
    city.store.end_glass(glass.id, None, now=now, concerns={})
    opened = False
    assert tried("first") == []


def test_standings_used_here_are_those_of_the_rules() -> None:
    assert {*STANDS.values(), *STRANGER.values()} <= set(KNOWN)
    assert KNOWN["missing"].standing is None
    assert isinstance(KNOWN["plain: read"].standing, Standing)
