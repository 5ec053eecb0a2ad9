"""Contract: organisations, tokens, members, challenges."""

from __future__ import annotations

import pytest

from hub.errors import ConflictError, InputError
from hub.store.interface import Store

_NOW = 1_790_000_000
_NOBODY = "00000000-0000-4000-8000-000000000000"


def test_organisations(store: Store) -> None:
    lab = store.create_org("Example Lab")
    other = store.create_org("Übung GmbH")
    assert store.org(lab.id) == store.org("Example Lab") == lab
    assert store.org("nobody") is None
    assert store.orgs() == [lab, other]
    with pytest.raises(ConflictError):
        store.create_org("Example Lab")
    with pytest.raises(ConflictError):
        store.create_org(lab.id)
    for name in ("", "  ", "a\nb", "x" * 201):
        with pytest.raises(InputError):
            store.create_org(name)


def test_a_token_is_found_by_its_text_alone(store: Store, org: str) -> None:
    made = store.create_token(org, name="gateway")
    assert store.find_token(made.secret, now=_NOW) == made.token
    assert made.token.prefix in made.secret
    assert made.secret not in repr(made)
    wrong = [
        "",
        "sw",
        made.token.prefix,
        made.secret[:-1],
        made.secret + "0",
        made.secret.upper(),
        f"sw_{made.token.prefix}_" + "0" * 64,
        "sw__" + "0" * 64,
        "sw_\u0661_" + "0" * 64,
        "\ud800",
        "x" * 10_000,
    ]
    assert [store.find_token(text, now=_NOW) for text in wrong] == [None] * len(wrong)


def test_tokens_expire_are_revoked_and_fall_with_their_organisation(store: Store, org: str) -> None:
    brief = store.create_token(org, expires=_NOW + 10)
    assert store.find_token(brief.secret, now=_NOW + 9) is not None
    assert store.find_token(brief.secret, now=_NOW + 10) is None
    lasting = store.create_token(org, scopes=frozenset({"read"}))
    store.disable_org(org)
    assert store.find_token(lasting.secret, now=_NOW) is None
    store.disable_org(org, disabled=False)
    found = store.find_token(lasting.secret, now=_NOW)
    assert found is not None
    assert found.scopes == {"read"}
    store.revoke_token(found.id, now=_NOW)
    store.revoke_token(found.id, now=_NOW + 5)
    assert store.find_token(lasting.secret, now=_NOW) is None
    listed = store.tokens(org)
    assert [(token.id, token.revoked) for token in listed] == [
        (brief.token.id, None),
        (found.id, _NOW),
    ]
    assert store.tokens() == listed
    assert store.tokens(_NOBODY) == []


def test_rotation_leaves_an_overlap(store: Store, org: str) -> None:
    old = store.create_token(org, name="gateway", scopes=frozenset({"read"}))
    new = store.rotate_token(old.token.id, overlap=60, now=_NOW)
    assert (new.token.name, new.token.scopes) == ("gateway", frozenset({"read"}))
    for moment, valid in ((_NOW + 59, True), (_NOW + 60, False)):
        assert (store.find_token(old.secret, now=moment) is not None) is valid
        assert store.find_token(new.secret, now=moment) is not None
    replaced = store.tokens(org)[0]
    assert replaced.successor == new.token.id
    with pytest.raises(ConflictError):
        store.rotate_token(old.token.id, overlap=60, now=_NOW)
    store.revoke_token(new.token.id, now=_NOW)
    with pytest.raises(ConflictError):
        store.rotate_token(new.token.id, overlap=60, now=_NOW)


def test_an_overlap_does_not_lengthen_a_life(store: Store, org: str) -> None:
    old = store.create_token(org, expires=_NOW + 5)
    new = store.rotate_token(old.token.id, overlap=60, now=_NOW)
    assert store.find_token(old.secret, now=_NOW + 5) is None
    assert new.token.expires == _NOW + 5


def test_bad_token_requests(store: Store, org: str) -> None:
    for scopes in (frozenset[str](), frozenset({"root"})):
        with pytest.raises(InputError):
            store.create_token(org, scopes=scopes)
    with pytest.raises(InputError):
        store.create_token(_NOBODY)
    with pytest.raises(InputError):
        store.rotate_token(_NOBODY, overlap=1, now=_NOW)
    with pytest.raises(InputError):
        store.revoke_token(_NOBODY, now=_NOW)
    made = store.create_token(org)
    with pytest.raises(InputError):
        store.rotate_token(made.token.id, overlap=-1, now=_NOW)
    with pytest.raises(InputError):
        store.disable_org(_NOBODY)


def test_a_member_with_its_root_belongs_to_one_organisation(store: Store, org: str) -> None:
    other = store.create_org("Other").id
    bound = store.bind_member(org, "identity--a", "root1")
    assert store.bind_member(org, "identity--a", "root1") == bound
    with pytest.raises(ConflictError, match="bound to the account of"):
        store.bind_member(other, "identity--a", "root1")
    claimed = store.bind_member(other, "identity--a", "root2")
    assert store.binding("identity--a", "root1") == bound
    assert store.binding("identity--a", "root3") is None
    assert store.bindings(other) == [claimed]
    assert store.bindings(_NOBODY) == []
    with pytest.raises(InputError):
        store.bind_member(_NOBODY, "identity--a", "root1")


def test_an_organisation_is_unbound(store: Store, org: str) -> None:
    other = store.create_org("Other").id
    store.bind_member(org, "identity--a", "root1")
    store.bind_member(org, "identity--b", "root2")
    kept = store.bind_member(other, "identity--c", "root3")
    assert store.unbind_members(org) == 2
    assert store.bindings(org) == []
    assert store.bindings(other) == [kept]
    assert store.bind_member(other, "identity--a", "root1").org_id == other
    with pytest.raises(InputError):
        store.unbind_members(_NOBODY)


def test_a_challenge_is_used_once_by_its_organisation_in_time(store: Store, org: str) -> None:
    other = store.create_org("Other").id
    store.put_challenge(org, "aa", expires=_NOW + 60)
    store.put_challenge(org, "bb", expires=_NOW + 60)
    assert not store.take_challenge(other, "aa", now=_NOW)
    assert store.take_challenge(org, "aa", now=_NOW + 59)
    assert not store.take_challenge(org, "aa", now=_NOW)
    assert not store.take_challenge(org, "bb", now=_NOW + 60)
    assert not store.take_challenge(org, "cc", now=_NOW)
    with pytest.raises(InputError):
        store.put_challenge(_NOBODY, "dd", expires=_NOW)


def test_an_expired_challenge_is_dropped(store: Store, org: str) -> None:
    store.put_challenge(org, "old", expires=_NOW - 1)
    store.put_challenge(org, "new", expires=_NOW + 60)
    assert not store.take_challenge(org, "old", now=0)
    assert store.take_challenge(org, "new", now=0)
