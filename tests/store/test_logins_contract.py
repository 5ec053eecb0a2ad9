"""Contract: accounts with roles, their tokens, certificates and OAuth subjects."""

from __future__ import annotations

import pytest

from hub.errors import ConflictError, InputError
from hub.model.markings import TLP
from hub.store.interface import Store
from hub.store.records import ORDINARY_ROLES, Account, AccountKind, Kind, LoginKind, Role
from tests.store.conftest import Make

_NOW = 1_790_000_000
_NOBODY = "00000000-0000-4000-8000-000000000000"
_HASH = "ab" * 32
_ISSUER = "https://login.example/"


@pytest.fixture
def account(store: Store, org: str) -> Account:
    roles = frozenset({Role.LIAISON, Role.STEWARD})
    return store.create_account(org, "desk", AccountKind.PERSON, roles)


def test_accounts(store: Store, org: str, account: Account) -> None:
    other = store.create_org("Other").id
    same = store.create_account(other, "desk", AccountKind.SERVICE, frozenset({Role.ADMIN}))
    assert store.account(account.id) == account
    assert store.account(_NOBODY) is None
    assert store.accounts() == [account, same]
    assert store.accounts(org) == [account]
    store.set_roles(account.id, frozenset({Role.WITNESS}))
    found = store.account(account.id)
    assert found is not None
    assert found.roles == {Role.WITNESS}
    with pytest.raises(ConflictError):
        store.create_account(org, "desk", AccountKind.SERVICE, ORDINARY_ROLES)
    for name, roles in (("", ORDINARY_ROLES), ("new", frozenset[Role]())):
        with pytest.raises(InputError):
            store.create_account(org, name, AccountKind.SERVICE, roles)
    with pytest.raises(InputError):
        store.create_account(_NOBODY, "desk", AccountKind.SERVICE, ORDINARY_ROLES)
    with pytest.raises(InputError):
        store.set_roles(account.id, frozenset())
    with pytest.raises(InputError):
        store.set_roles(_NOBODY, ORDINARY_ROLES)
    with pytest.raises(InputError):
        store.disable_account(_NOBODY)


def test_a_token_stands_for_its_account(store: Store, org: str, account: Account) -> None:
    plain = store.create_token(org)
    bound = store.create_token(org, account_id=account.id, scopes=frozenset({"read"}))
    found = store.credential(plain.secret, now=_NOW)
    assert found is not None
    assert (found.account_id, found.roles, found.government) == (None, ORDINARY_ROLES, False)
    found = store.credential(bound.secret, now=_NOW)
    assert found is not None
    assert (found.id, found.org_id, found.account_id) == (bound.token.id, org, account.id)
    assert (found.roles, found.scopes) == (account.roles, frozenset({"read"}))
    assert store.credential(bound.secret[:-1] + "x", now=_NOW) is None
    store.disable_account(account.id)
    assert store.credential(bound.secret, now=_NOW) is None
    assert store.find_token(bound.secret, now=_NOW) is None
    assert store.credential(plain.secret, now=_NOW) is not None
    store.disable_account(account.id, disabled=False)
    new = store.rotate_token(bound.token.id, overlap=0, now=_NOW)
    assert new.token.account_id == account.id
    other = store.create_org("Other").id
    with pytest.raises(InputError):
        store.create_token(other, account_id=account.id)
    with pytest.raises(InputError):
        store.create_token(org, account_id=_NOBODY)


def test_a_government_is_one_by_whatever_logs_in(store: Store) -> None:
    ministry = store.create_org("Ministry", government=True)
    assert ministry.government
    made = store.create_token(ministry.id)
    found = store.credential(made.secret, now=_NOW)
    assert found is not None
    assert found.government
    store.set_government(ministry.id, government=False)
    found = store.credential(made.secret, now=_NOW)
    assert found is not None
    assert not found.government
    assert store.orgs()[0].government is False
    with pytest.raises(InputError):
        store.set_government(_NOBODY, government=True)


def test_logins(store: Store, org: str, account: Account) -> None:
    key = store.add_login(account.id, LoginKind.KEY, _HASH, expires=_NOW + 10)
    client = store.add_login(account.id, LoginKind.CLIENT, "gateway", issuer=_ISSUER)
    assert store.logins() == store.logins(account.id) == [key, client]
    found = store.login(LoginKind.KEY, "", _HASH, now=_NOW)
    assert found is not None
    assert (found.id, found.account_id, found.org_id) == (key.id, account.id, org)
    assert found.roles == account.roles
    # Not what is expired, another kind, another issuer, or another's.
    assert store.login(LoginKind.KEY, "", _HASH, now=_NOW + 10) is None
    assert store.login(LoginKind.CERTIFICATE, "", _HASH, now=_NOW) is None
    assert store.login(LoginKind.CLIENT, "https://other.example/", "gateway", now=_NOW) is None
    assert store.login(LoginKind.SUBJECT, _ISSUER, "gateway", now=_NOW) is None
    assert store.login(LoginKind.CLIENT, _ISSUER, "gateway", now=_NOW) is not None
    store.disable_account(account.id)
    assert store.login(LoginKind.CLIENT, _ISSUER, "gateway", now=_NOW) is None
    store.disable_account(account.id, disabled=False)
    store.disable_org(org)
    assert store.login(LoginKind.CLIENT, _ISSUER, "gateway", now=_NOW) is None
    store.disable_org(org, disabled=False)
    store.remove_login(client.id)
    assert store.login(LoginKind.CLIENT, _ISSUER, "gateway", now=_NOW) is None
    with pytest.raises(InputError):
        store.remove_login(client.id)


def test_bad_logins(store: Store, org: str, account: Account) -> None:
    store.add_login(account.id, LoginKind.KEY, _HASH)
    other = store.create_account(org, "other", AccountKind.SERVICE, ORDINARY_ROLES)
    with pytest.raises(ConflictError):
        store.add_login(other.id, LoginKind.KEY, _HASH)
    for kind, subject, issuer in (
        (LoginKind.KEY, _HASH.upper(), ""),
        (LoginKind.KEY, "ab", ""),
        (LoginKind.CERTIFICATE, _HASH, _ISSUER),
        (LoginKind.CLIENT, "gateway", ""),
        (LoginKind.SUBJECT, "", _ISSUER),
        (LoginKind.SUBJECT, "a\nb", _ISSUER),
        (LoginKind.SUBJECT, "x" * 501, _ISSUER),
    ):
        with pytest.raises(InputError):
            store.add_login(account.id, kind, subject, issuer=issuer)
    with pytest.raises(InputError):
        store.add_login(account.id, LoginKind.KEY, "cd" * 32, scopes=frozenset({"admin"}))
    with pytest.raises(InputError):
        store.add_login(_NOBODY, LoginKind.KEY, "cd" * 32)


def test_no_ceiling_is_set_beneath_what_there_is(store: Store, collection: str, make: Make) -> None:
    """Readers are let in by a ceiling, so what is higher must never lie below one."""
    store.append(collection, [make(1)])
    before = store.head(collection)
    with pytest.raises(ConflictError, match="higher"):
        store.set_ceiling(collection, TLP.GREEN)
    # Nor beneath what came after somebody had looked.
    store.append(collection, [make(2)])
    with pytest.raises(ConflictError, match="higher"):
        store.set_ceiling(collection, TLP.GREEN, seen=before)
    found = store.collection(collection)
    assert found is not None
    assert found.ceiling is None
    store.set_ceiling(collection, TLP.GREEN, seen=store.head(collection))
    store.set_ceiling(collection, TLP.AMBER)


def test_ceilings_clearances_and_the_opt_in(store: Store, org: str, collection: str) -> None:
    found = store.collection(collection)
    assert found is not None
    assert (found.ceiling, found.government) == (None, False)
    store.set_ceiling(collection, TLP.AMBER_STRICT)
    store.open_to_government(collection, opened=True)
    store.set_grant(collection, org, can_read=True, can_write=False, clearance=TLP.GREEN)
    [found] = store.collections()
    assert (found.ceiling, found.government) == (TLP.AMBER_STRICT, True)
    for grant in (
        store.grant(collection, org),
        store.grants(collection)[0],
        store.grants_of(org)[collection],
    ):
        assert grant is not None
        assert grant.clearance is TLP.GREEN
    store.set_ceiling(collection, None)
    store.open_to_government(collection, opened=False)
    store.set_grant(collection, org, can_read=True, can_write=False)
    [found] = store.collections()
    assert (found.ceiling, found.government) == (None, False)
    assert store.grants(collection)[0].clearance is None
    channel = store.create_collection(Kind.CHANNEL, "C", owner_org=org)
    for unfit in (channel.id, _NOBODY):
        with pytest.raises(InputError):
            store.set_ceiling(unfit, TLP.RED)
        with pytest.raises(InputError):
            store.open_to_government(unfit, opened=True)
