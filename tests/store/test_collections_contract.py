"""Contract: collections, grants, channels, audit."""

from __future__ import annotations

import uuid

import pytest

from hub.errors import ConflictError, InputError
from hub.store.interface import Store
from hub.store.records import Grant, Kind

_NOWHERE = "00000000-0000-4000-8000-000000000000"


def test_collections_are_found_by_id_and_alias(store: Store, org: str) -> None:
    made = store.create_collection(
        Kind.PLAIN, "Feed", owner_org=org, description="All of it", alias="feed"
    )
    assert uuid.UUID(made.id).version == 4
    assert store.collection(made.id) == store.collection("feed") == made
    assert store.collection("other") is None
    channel = store.create_collection(Kind.CHANNEL, "Channel", owner_org=org)
    inbox = store.create_collection(
        Kind.INBOX, "Channel (join requests)", owner_org=org, inbox_of=channel.id
    )
    assert store.collections() == [made, channel, inbox]
    assert store.inbox(channel.id) == inbox
    assert store.inbox(made.id) is None


def test_a_given_id_is_kept_and_taken_once(store: Store, org: str) -> None:
    wanted = "9cfa669c-ee94-4ece-afd2-f8edac37d8fd"
    made = store.create_collection(
        Kind.PLAIN, "t", owner_org=org, collection_id=wanted, alias="one"
    )
    assert made.id == wanted
    with pytest.raises(ConflictError):
        store.create_collection(Kind.PLAIN, "t", owner_org=org, collection_id=wanted)
    with pytest.raises(ConflictError):
        store.create_collection(Kind.PLAIN, "t", owner_org=org, alias="one")
    with pytest.raises(ConflictError):
        store.create_collection(Kind.PLAIN, "t", owner_org=org, alias=wanted)


@pytest.mark.parametrize(
    "bad",
    [
        {"owner_org": _NOWHERE},
        {"alias": "Upper"},
        {"alias": ""},
        {"alias": "a/b"},
        {"collection_id": "feed"},
        {"collection_id": "9cfa669c-ee94-1ece-afd2-f8edac37d8fd"},
        {"collection_id": "9CFA669C-EE94-4ECE-AFD2-F8EDAC37D8FD"},
        {"inbox_of": _NOWHERE},
    ],
)
def test_bad_collections_leave_nothing_behind(store: Store, org: str, bad: dict[str, str]) -> None:
    with pytest.raises(InputError):
        store.create_collection(Kind.PLAIN, "t", **{"owner_org": org, **bad})
    assert store.collections() == []


def test_one_inbox_each(store: Store, org: str) -> None:
    channel = store.create_collection(Kind.CHANNEL, "c", owner_org=org).id
    store.create_collection(Kind.INBOX, "i", owner_org=org, inbox_of=channel)
    with pytest.raises(ConflictError):
        store.create_collection(Kind.INBOX, "j", owner_org=org, inbox_of=channel)


def test_a_channel_is_bound_once(store: Store, org: str) -> None:
    one = store.create_collection(Kind.CHANNEL, "1", owner_org=org).id
    two = store.create_collection(Kind.CHANNEL, "2", owner_org=org).id
    store.bind_channel(one, "channel-a")
    store.bind_channel(one, "channel-a")
    for collection, channel in ((one, "channel-b"), (two, "channel-a")):
        with pytest.raises(ConflictError):
            store.bind_channel(collection, channel)
    with pytest.raises(InputError):
        store.bind_channel(_NOWHERE, "channel-c")
    found = store.collection(one)
    assert found is not None
    assert found.channel_id == "channel-a"


def test_grants(store: Store, org: str, collection: str) -> None:
    other = store.create_org("Other").id
    store.set_grant(collection, org, can_read=True, can_write=True)
    store.set_grant(collection, org, can_read=True, can_write=False)
    store.set_grant(collection, other, can_read=False, can_write=True)
    read = Grant(collection, org, can_read=True, can_write=False)
    assert store.grant(collection, org) == read
    assert sorted(grant.org_id for grant in store.grants(collection)) == sorted([org, other])
    assert store.grants_of(org) == {collection: read}
    store.set_grant(collection, org, can_read=False, can_write=False)
    assert store.grant(collection, org) is None
    assert store.grants_of(org) == {}
    for where, who in ((_NOWHERE, org), (collection, _NOWHERE)):
        with pytest.raises(InputError):
            store.set_grant(where, who, can_read=True, can_write=True)


def test_the_audit_log_is_a_chain(store: Store, org: str) -> None:
    rows = [
        store.audit(f"event.{number}", org_id=org, detail={"ü": str(number)}) for number in range(5)
    ]
    assert [row.seq for row in rows] == [1, 2, 3, 4, 5]
    assert len({row.hash for row in rows}) == 5
    assert store.audit_rows() == rows
    assert store.audit_rows(after=2, limit=2) == rows[2:4]
    assert rows[3].detail == {"ü": "3"}
    assert store.verify_audit() == 5
