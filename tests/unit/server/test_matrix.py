"""The privilege matrix with roles, kinds of credential, governments and every standing.

`rules` states the rules a second time; here they are compared with `policy`, for every route.
"""

from __future__ import annotations

import itertools

import pytest

from hub.server import policy
from hub.server.app import ROUTES
from hub.server.policy import Action, Decision, Principal, Standing, Via, decide, effective, manages
from hub.store.records import ORDINARY_ROLES, Credential, Kind, Role
from tests.unit.server.rules import PLACES, expected

ROLES = [
    *(frozenset({role}) for role in Role),
    ORDINARY_ROLES,
    frozenset({Role.ADMIN, Role.PUBLISHER}),
    frozenset({Role.LIAISON, Role.STEWARD}),
    frozenset({Role.WITNESS, Role.SUBSCRIBER}),
    frozenset(Role),
]
SCOPES = [frozenset({"read", "write"}), frozenset({"read"}), frozenset({"write"})]
PRINCIPALS: list[Principal | None] = [
    None,
    *(
        Principal("org", "credential", scopes, "account", roles, government, via)
        for roles, scopes, government, via in itertools.product(ROLES, SCOPES, (False, True), Via)
    ),
]
CELLS = len(ROUTES) * len(PRINCIPALS) * len(PLACES)


def _wrong() -> list[tuple[object, ...]]:
    return [
        (route.method, route.path, principal, name)
        for route, principal, (name, place) in itertools.product(ROUTES, PRINCIPALS, PLACES.items())
        if decide(principal, route.action, place.standing)
        is not expected(principal, route.action, place)
    ]


def test_every_cell_is_as_documented() -> None:
    assert _wrong() == []
    assert CELLS > 100_000


@pytest.mark.parametrize(
    ("action", "role"), [(Action.READ, Role.ADMIN), (Action.WRITE, Role.LIAISON)]
)
def test_the_comparison_sees_one_right_too_many(
    action: Action, role: Role, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: a role that is given one more action is found out."""
    more = {**policy._ROLES, action: policy._ROLES[action] | {role}}
    monkeypatch.setattr(policy, "_ROLES", more)
    assert _wrong() != []


def test_what_is_shown_is_what_is_held() -> None:
    for principal, place in itertools.product(PRINCIPALS, PLACES.values()):
        if principal is None or place.standing is None:
            continue
        shown = effective(principal, place.standing)
        for action, flag in (
            (Action.READ, shown.read),
            (Action.WRITE, shown.write),
            (Action.DELETE, shown.delete),
        ):
            assert flag is (decide(principal, action, place.standing) is Decision.ALLOW)


def test_an_action_that_no_table_names_is_nobodys() -> None:
    everybody = Principal("org", "credential", roles=frozenset(Role))
    standing = Standing(Kind.CHANNEL, owner=True, bound=True, member=True)
    assert set(policy._ROLES) == set(Action)
    roles = {action: roles for action, roles in policy._ROLES.items() if action is not Action.READ}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(policy, "_ROLES", roles)
        assert decide(everybody, Action.READ, standing) is Decision.FORBID


STEWARDS_GIVE = {Role.PUBLISHER, Role.SUBSCRIBER, Role.LIAISON, Role.STEWARD}


def test_who_manages_accounts() -> None:
    for roles, scopes, own, concerned in itertools.product(
        ROLES, SCOPES, (True, False), [frozenset[Role](), *ROLES]
    ):
        asker = Credential("id", "org", "account", roles, scopes, government=False)
        found = manages(asker, "org" if own else "other", concerned)
        steward = Role.STEWARD in roles and own and concerned <= STEWARDS_GIVE
        assert found is ("write" in scopes and (Role.ADMIN in roles or steward))
