"""The privilege matrix, generated from the route table and compared with a second statement.

`EXPECTED` below is written by hand from the documentation, not from `policy.py`.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.server.app import ROUTES
from hub.server.policy import Action, Decision, Principal, Standing, decide, effective
from hub.server.routes import Route
from hub.store.records import Kind
from tests.unit.server.harness import Answer, House, indicator

READ_ONLY_TOKEN = frozenset({"read"})
ROLES = (
    "anonymous",
    "stranger",
    "reader",
    "writer",
    "editor",
    "editor-read-token",
    "owner",
    "member",
)
PLACES = ("plain", "channel-unbound", "channel-bound", "inbox", "missing")
OPEN = {
    Action.DISCOVER,
    Action.API_ROOT,
    Action.ABOUT,
    Action.STATUS,
    Action.LIST,
    Action.AUDIT,
}

# Which messages may be deleted is the channel's to say; see test_logs.
CHANNEL = {
    Action.VIEW,
    Action.READ,
    Action.EVENTS,
    Action.SNAPSHOT,
    Action.WRITE,
    Action.DELETE,
    Action.LOG,
    Action.ENTRIES,
}

# (role, place) -> what may be done with the collection. Absent: it is hidden.
EXPECTED: dict[tuple[str, str], set[Action]] = {
    ("reader", "plain"): {Action.VIEW, Action.READ, Action.EVENTS, Action.SNAPSHOT},
    ("writer", "plain"): {Action.VIEW, Action.WRITE},
    ("editor", "plain"): {
        Action.VIEW,
        Action.READ,
        Action.EVENTS,
        Action.SNAPSHOT,
        Action.WRITE,
        Action.DELETE,
    },
    ("editor-read-token", "plain"): {Action.VIEW, Action.READ, Action.EVENTS, Action.SNAPSHOT},
    ("owner", "channel-unbound"): {
        Action.VIEW,
        Action.READ,
        Action.EVENTS,
        Action.SNAPSHOT,
        Action.WRITE,
        Action.DELETE,
    },
    ("owner", "channel-bound"): CHANNEL,
    ("member", "channel-bound"): CHANNEL,
    ("stranger", "inbox"): {Action.VIEW, Action.WRITE},
    ("reader", "inbox"): {Action.VIEW, Action.WRITE},
    ("writer", "inbox"): {Action.VIEW, Action.WRITE},
    ("editor", "inbox"): {Action.VIEW, Action.WRITE},
    ("editor-read-token", "inbox"): {Action.VIEW},
    ("member", "inbox"): {Action.VIEW, Action.WRITE},
    ("owner", "inbox"): {
        Action.VIEW,
        Action.READ,
        Action.EVENTS,
        Action.SNAPSHOT,
        Action.WRITE,
        Action.DELETE,
    },
}
GRANTS = {"reader": "r", "writer": "w", "editor": "rw", "editor-read-token": "rw"}


def expected(role: str, place: str, action: Action) -> Decision:
    """The documented answer."""
    if role == "anonymous":
        return Decision.AUTHENTICATE
    if action in OPEN:
        return Decision.ALLOW
    if action is Action.BIND:
        return Decision.FORBID if role == "editor-read-token" else Decision.ALLOW
    allowed = EXPECTED.get((role, place))
    if allowed is None:
        return Decision.HIDE
    return Decision.ALLOW if action in allowed else Decision.FORBID


def principal_of(role: str) -> Principal | None:
    if role == "anonymous":
        return None
    if role == "editor-read-token":
        return Principal(role, "token", READ_ONLY_TOKEN)
    return Principal(role, "token")


def standing_of(role: str, place: str) -> Standing | None:
    if place == "missing":
        return None
    kind = {"plain": Kind.PLAIN, "inbox": Kind.INBOX}.get(place, Kind.CHANNEL)
    letters = GRANTS.get(role, "") if place == "plain" else ""
    return Standing(
        kind=kind,
        owner=role == "owner",
        can_read="r" in letters,
        can_write="w" in letters,
        bound=place == "channel-bound",
        member=role == "member" and place.startswith("channel"),
    )


CELLS = list(itertools.product(ROUTES, ROLES, PLACES))


def test_the_matrix_covers_every_route() -> None:
    assert len(CELLS) == len(ROUTES) * len(ROLES) * len(PLACES) == 920
    assert {route.action for route in ROUTES} == set(Action)


def test_the_pure_matrix() -> None:
    wrong = [
        (route.method, route.path, role, place)
        for route, role, place in CELLS
        if decide(principal_of(role), route.action, standing_of(role, place))
        is not expected(role, place, route.action)
    ]
    assert wrong == []


@pytest.mark.parametrize("kind", list(Kind))
def test_nothing_is_allowed_by_default(kind: Kind) -> None:
    principal = Principal("somebody", "token")
    rights = effective(principal, Standing(kind))
    assert not rights.read
    assert not rights.delete
    assert rights.write is (kind is Kind.INBOX)


def test_every_right_shown_is_a_right_held() -> None:
    """`can_read` and `can_write` of the collection resource never promise what is refused."""
    for role, place in itertools.product(ROLES, PLACES):
        principal, standing = principal_of(role), standing_of(role, place)
        if principal is None or standing is None:
            continue
        shown = effective(principal, standing)
        held = decide(principal, Action.READ, standing) is Decision.ALLOW
        assert shown.read is held, (role, place)
        writes = decide(principal, Action.WRITE, standing) is Decision.ALLOW
        assert shown.write is writes, (role, place)


class Town(House):
    """A hub with an organisation for each role and a collection for each place."""

    def build(self) -> None:
        """Add them, each readable collection with one object."""
        for role in ROLES:
            if role not in ("anonymous", "owner"):
                self.org(role)
        reduced = self.store.create_token(self.orgs["editor-read-token"].id, scopes=READ_ONLY_TOKEN)
        self.tokens["editor-read-token"] = reduced.secret
        self.places = {"plain": self.plain(), "missing": "0" * 36}
        for role, letters in GRANTS.items():
            self.store.set_grant(
                self.places["plain"],
                self.orgs[role].id,
                can_read="r" in letters,
                can_write="w" in letters,
            )
        channel = self.store.create_collection(Kind.CHANNEL, "c", owner_org=self.owner.id)
        inbox = self.store.create_collection(
            Kind.INBOX, "i", owner_org=self.owner.id, inbox_of=channel.id
        )
        self.places |= {"channel-unbound": channel.id, "inbox": inbox.id}

    def try_route(self, route: Route, role: str, place: str) -> Answer:
        """One request for one cell, on an object that is there."""
        collection = self.places[place]
        path = route.path.format(
            root="stillwatch",
            collection_id=collection,
            object_id=indicator(1)["id"],
            status_id="0" * 36,
            channel_id=collection,
            frame="0" * 64,
        )
        body = json.dumps({"objects": [indicator(1)]}).encode() if route.method == "POST" else None
        who = None if role == "anonymous" else role
        return self.ask(route.method, path, who=who, body=body)


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    with Town(tmp_path) as made:
        made.build()
        yield made


def category(route: Route, answer: Answer) -> Decision:
    """Which decision an HTTP answer shows."""
    text = answer.body.decode()
    if answer.status == 401:
        return Decision.AUTHENTICATE
    if answer.status == 403:
        return Decision.FORBID
    if answer.status == 404 and "may know of" in text:
        return Decision.HIDE
    fine = answer.status in (200, 202)
    # Allowed, but there is no such object, status or public URL; or refused for its content.
    beyond = answer.status in (400, 404, 422) and route.action is not Action.VIEW
    assert fine or beyond, (route.path, answer.status, text)
    return Decision.ALLOW


def test_the_matrix_over_http(town: Town) -> None:
    wrong = []
    for route, role, place in CELLS:
        if place == "channel-bound":
            continue
        want = expected(role, place, route.action)
        if route.action in (Action.LOG, Action.ENTRIES) and role != "anonymous":
            # Named by its channel, which these places have not.
            want = Decision.HIDE
        answer = town.try_route(route, role, place)
        # A post of plain STIX to a channel is allowed to try, and refused for its content.
        if place == "channel-unbound" and route.action is Action.WRITE and answer.status == 202:
            assert answer.json["success_count"] == 0
        if category(route, answer) is not want:
            wrong.append((route.method, route.path, role, place, answer.status))
    assert wrong == []


def test_hidden_and_missing_look_alike(town: Town) -> None:
    """An outsider cannot tell a collection that it may not see from one that is not there."""
    for route in ROUTES:
        if "{collection_id}" not in route.path:
            continue
        hidden = town.try_route(route, "stranger", "plain")
        missing = town.try_route(route, "stranger", "missing")
        assert hidden.status == missing.status == 404
        assert {**hidden.json, "error_id": ""} == {**missing.json, "error_id": ""}
