"""Contract: two administrators, or nothing; and who is told of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from hub.errors import AccessError, ConflictError, InputError
from hub.store.interface import BREAK_GLASS_SECONDS, BREAK_GLASS_WAIT, Store
from hub.store.records import Account, AccountKind, BreakGlass, Credential, NewToken, Role
from tests.store.conftest import NOW, Clocks

_NOW = NOW // 1_000_000
_ADMIN = frozenset({Role.ADMIN})


@dataclass
class Office:
    """An operator's organisation, and a collection of somebody else's."""

    store: Store
    operator: str
    collection: str

    def person(self, name: str, roles: frozenset[Role] = _ADMIN) -> Account:
        return self.store.create_account(self.operator, name, AccountKind.PERSON, roles)

    def token(self, account: Account, *scopes: str) -> NewToken:
        good_for = frozenset(scopes or ("read", "write"))
        return self.store.create_token(self.operator, account_id=account.id, scopes=good_for)

    def login(self, token: NewToken) -> Credential:
        found = self.store.credential(token.secret, now=_NOW)
        assert found is not None
        return found

    def admin(self, name: str) -> Credential:
        return self.login(self.token(self.person(name)))

    def ask(self, who: Credential, seconds: int = 3600) -> BreakGlass:
        return self.store.request_glass(
            who, frozenset({self.collection}), reason="a court asks", seconds=seconds
        )

    def approve(self, glass: BreakGlass, who: Credential, now: int = _NOW) -> BreakGlass:
        return self.store.approve_glass(glass.id, who, now=now, concerns={})


@pytest.fixture
def office(store: Store, collection: str) -> Office:
    return Office(store, store.create_org("Operator").id, collection)


def test_two_administrators_open_it_for_a_time(office: Office) -> None:
    store = office.store
    first, second = office.admin("first"), office.admin("second")
    assert first.account_id is not None
    glass = office.ask(first)
    assert not glass.open_at(_NOW)
    assert store.open_glass(first.account_id, office.collection, now=_NOW) is None
    opened = office.approve(glass, second, _NOW + 60)
    assert opened.until == _NOW + 60 + 3600
    for moment, reads in ((59, False), (60, True), (3659, True), (3660, False)):
        found = store.open_glass(first.account_id, office.collection, now=_NOW + moment)
        assert (found == glass.id) is reads, moment
    # Not for whoever approved, and not for other collections.
    assert second.account_id is not None
    assert store.open_glass(second.account_id, office.collection, now=_NOW + 60) is None
    assert store.open_glass(first.account_id, "another", now=_NOW + 60) is None
    ended = store.end_glass(glass.id, second, now=_NOW + 100, concerns={})
    assert ended.ended == _NOW + 100
    assert store.open_glass(first.account_id, office.collection, now=_NOW + 101) is None
    assert store.end_glass(glass.id, second, now=_NOW + 200, concerns={}) == ended
    assert store.glasses() == [ended]


Twist = Callable[[Office, Credential, Credential], Credential]


def _the_asker_itself(office: Office, first: Credential, second: Credential) -> Credential:
    return first


def _another_token_of_the_asker(
    office: Office, first: Credential, second: Credential
) -> Credential:
    assert first.account_id is not None
    account = office.store.account(first.account_id)
    assert account is not None
    return office.login(office.token(account))


def _a_person_made_since(office: Office, first: Credential, second: Credential) -> Credential:
    return office.admin("third")


def _a_token_issued_since(office: Office, first: Credential, second: Credential) -> Credential:
    assert second.account_id is not None
    account = office.store.account(second.account_id)
    assert account is not None
    return office.login(office.token(account))


def _a_token_rotated_since(office: Office, first: Credential, second: Credential) -> Credential:
    return office.login(office.store.rotate_token(second.id, overlap=60, now=_NOW))


def _no_administrator_any_more(office: Office, first: Credential, second: Credential) -> Credential:
    assert second.account_id is not None
    office.store.set_roles(second.account_id, frozenset({Role.STEWARD}))
    return second


def _barred_since(office: Office, first: Credential, second: Credential) -> Credential:
    assert second.account_id is not None
    office.store.disable_account(second.account_id)
    return second


def _a_token_of_no_account(office: Office, first: Credential, second: Credential) -> Credential:
    return office.login(office.store.create_token(office.operator))


@pytest.mark.parametrize(
    "twist",
    [
        _the_asker_itself,
        _another_token_of_the_asker,
        _a_person_made_since,
        _a_token_issued_since,
        _a_token_rotated_since,
        _no_administrator_any_more,
        _barred_since,
        _a_token_of_no_account,
    ],
)
def test_who_cannot_approve(office: Office, twist: Twist) -> None:
    first, second = office.admin("first"), office.admin("second")
    glass = office.ask(first)
    with pytest.raises(AccessError):
        office.approve(glass, twist(office, first, second))
    assert office.store.glasses()[0].opened is None


def test_who_was_no_approver_when_it_was_asked_for(office: Office) -> None:
    """A service, a reader's token, and somebody made an administrator afterwards."""
    first = office.admin("first")
    office.admin("second")
    robot = office.store.create_account(office.operator, "robot", AccountKind.SERVICE, _ADMIN)
    service = office.login(office.token(robot))
    weak = office.login(office.token(office.person("weak"), "read"))
    late = office.person("late", frozenset({Role.STEWARD}))
    promoted = office.login(office.token(late))
    glass = office.ask(first)
    office.store.set_roles(late.id, _ADMIN)
    for who in (service, weak, promoted):
        with pytest.raises(AccessError):
            office.approve(glass, who)


def test_nobody_approves_with_a_token_that_the_asker_issued(office: Office) -> None:
    """One administrator with two tokens is one person, however long before they were issued."""
    held = office.person("second")

    def issue(account: Account, by: str) -> Credential:
        made = office.token(account)
        office.store.audit("token.issue", token_id=made.token.id, detail={"by": by})
        return office.login(made)

    first = issue(office.person("first"), "operator")
    puppet = issue(held, first.id)
    for asker in (first, puppet):
        # Its own, one that it issued, one that this one issued; and the other way round.
        issue(held, puppet.id)
        with pytest.raises(ConflictError, match="no other administrator"):
            office.ask(asker)
    own = issue(held, "operator")
    glass = office.ask(first)
    for token in (first, puppet):
        with pytest.raises(AccessError):
            office.approve(glass, token)
    assert office.approve(glass, own).opened is not None


def test_an_asker_that_lost_its_role_gains_nothing(office: Office) -> None:
    first, second = office.admin("first"), office.admin("second")
    glass = office.ask(first)
    assert first.account_id is not None
    office.store.set_roles(first.account_id, frozenset({Role.STEWARD}))
    with pytest.raises(AccessError):
        office.approve(glass, second)


def test_once_and_in_time(office: Office) -> None:
    first, second, third = (office.admin(name) for name in ("first", "second", "third"))
    glass = office.ask(first)
    for moment in (-1, BREAK_GLASS_WAIT):
        with pytest.raises(ConflictError):
            office.approve(glass, second, _NOW + moment)
    office.approve(glass, second)
    with pytest.raises(ConflictError):
        office.approve(glass, third)
    refused = office.ask(first)
    office.store.end_glass(refused.id, second, now=_NOW, concerns={})
    with pytest.raises(ConflictError):
        office.approve(refused, second)


def test_bad_requests(office: Office, clocks: Clocks) -> None:
    alone = office.admin("alone")
    with pytest.raises(ConflictError, match="no other administrator"):
        office.ask(alone)
    office.admin("second")
    steward = office.login(office.token(office.person("steward", frozenset({Role.STEWARD}))))
    with pytest.raises(AccessError):
        office.ask(steward)
    for seconds in (0, BREAK_GLASS_SECONDS + 1):
        with pytest.raises(InputError):
            office.ask(alone, seconds)
    for collections, reason in (
        (frozenset[str](), "why"),
        (frozenset({"none"}), "why"),
        (frozenset({office.collection}), " "),
        (frozenset({office.collection}), "a\nb"),
        (frozenset({office.collection}), "x" * 1001),
    ):
        with pytest.raises(InputError):
            office.store.request_glass(alone, collections, reason=reason, seconds=60)
    assert office.store.glasses() == []
    for unknown in ("none",):
        with pytest.raises(InputError):
            office.store.approve_glass(unknown, alone, now=_NOW, concerns={})
        with pytest.raises(InputError):
            office.store.end_glass(unknown, alone, now=_NOW, concerns={})


def test_the_audit_log_tells_whom_it_concerns(office: Office) -> None:
    store = office.store
    first, second = office.admin("first"), office.admin("second")
    publisher = store.create_org("Publisher").id
    concerns = {office.collection: frozenset({publisher})}
    glass = office.ask(first)
    store.approve_glass(glass.id, second, now=_NOW, concerns=concerns)
    store.end_glass(glass.id, None, now=_NOW + 5, concerns=concerns)
    told = store.audit_concerning(publisher)
    assert [row.event for row in told] == ["break-glass.open", "break-glass.end"]
    assert told[0].detail["account"] == "first"
    assert told[0].detail["approver"] == "second"
    assert told[0].detail["reason"] == "a court asks"
    assert told[0].token_id == second.id
    assert store.audit_concerning(publisher, after=told[0].seq) == told[1:]
    assert store.audit_concerning(publisher, limit=1) == told[:1]
    assert store.audit_rows()[0].event == "break-glass.request"
    assert store.verify_audit() == 3
