"""Who learns of a read, what governments may read, ceilings, and what stays hidden."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from hub.channel.carriage import to_artifact
from hub.errors import StoreError
from hub.model.markings import TLP
from hub.server.app import ROUTES
from hub.store.records import AccountKind, AuditNote, AuditRow, BreakGlass, Credential, Role
from tests.unit.server import test_admission
from tests.unit.server.city import settings_with
from tests.unit.server.harness import Answer, indicator

AUDIT = "/stillwatch/audit/"


class Town(test_admission.Town):
    """A hub with a ministry, and two administrators who may break glass."""

    def settle(self) -> None:
        """Add them."""
        self.build()
        self.orgs["ministry"] = self.store.create_org("ministry", government=True)
        self.tokens["ministry"] = self.store.create_token(self.orgs["ministry"].id).secret
        self.operator = self.store.create_org("operator").id
        self.admins = {}
        for name in ("first", "second"):
            account = self.store.create_account(
                self.operator, name, AccountKind.PERSON, frozenset({Role.ADMIN})
            )
            self.tokens[name] = self.store.create_token(self.operator, account_id=account.id).secret
            self.admins[name] = self.credential(name)

    def credential(self, who: str) -> Credential:
        found = self.store.credential(self.tokens[who], now=int(time.time()))
        assert found is not None
        return found

    def read(self, collection_id: str, who: str, what: str = "objects/") -> Answer:
        return self.ask("GET", f"/stillwatch/collections/{collection_id}/{what}", who=who)

    def told(self, who: str, after: int = 0) -> list[dict[str, Any]]:
        answer = self.ask("GET", AUDIT, who=who, query={"after": str(after)})
        assert answer.status == 200
        found: list[dict[str, Any]] = answer.json["rows"]
        return found

    def break_glass(self, collection_id: str) -> BreakGlass:
        asked = self.store.request_glass(
            self.admins["first"], frozenset({collection_id}), reason="a court asks", seconds=60
        )
        concerns = {collection_id: frozenset({self.owner.id})}
        return self.store.approve_glass(
            asked.id, self.admins["second"], now=asked.created, concerns=concerns
        )


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    with Town(tmp_path, settings_with(None)) as made:
        made.settle()
        yield made


def test_a_government_reads_what_was_opened_to_it(town: Town) -> None:
    closed = town.plain(owner="rw", ministry="r")
    town.post(closed, indicator(1))
    assert town.read(closed, "ministry").status == 404
    assert town.read(closed, "ministry", "").status == 404
    town.store.open_to_government(closed, opened=True)
    assert len(town.read(closed, "ministry").json["objects"]) == 1
    # The opt-in is no grant.
    stranger = town.plain(owner="rw")
    town.store.open_to_government(stranger, opened=True)
    assert town.read(stranger, "ministry").status == 404
    town.store.open_to_government(closed, opened=False)
    assert town.read(closed, "ministry").status == 404


def test_the_owner_sees_each_fetch_of_a_government(town: Town) -> None:
    place = town.plain(owner="rw", ministry="r", provider="r")
    town.store.open_to_government(place, opened=True)
    assert town.read(place, "ministry").status == 200
    assert town.told("owner") == []
    town.post(place, indicator(1), indicator(2))
    town.read(place, "provider")
    assert town.told("owner") == []
    town.read(place, "ministry")
    one = indicator(1)["id"]
    town.read(place, "ministry", f"objects/{one}/")
    town.read(place, "ministry", "manifest/")
    town.read(place, "ministry", f"objects/{one}/versions/")
    seen = town.told("owner")
    assert [row["detail"]["what"] for row in seen] == ["objects", "object", "manifest", "versions"]
    assert {row["event"] for row in seen} == {"government.read"}
    assert {row["organization"] for row in seen} == {"ministry"}
    assert {row["collection"] for row in seen} == {place}
    assert seen[0]["detail"]["objects"] == "2"
    assert seen[1]["detail"]["ids"] == one
    assert town.told("owner", after=seen[1]["seq"]) == seen[2:]
    # Nobody else is told, the ministry itself neither; nor is its credential shown.
    assert town.told("provider") == town.told("ministry") == town.told("outsider") == []
    assert town.credential("ministry").id not in json.dumps(seen)
    assert town.store.verify_audit() == len(town.store.audit_rows())


def test_an_empty_poll_is_no_fetch(town: Town) -> None:
    place = town.plain(owner="rw", ministry="r")
    town.store.open_to_government(place, opened=True)
    town.post(place, indicator(1))
    last = town.read(place, "ministry").headers["x-taxii-date-added-last"]
    before = len(town.store.audit_rows())
    for _ in range(5):
        answer = town.ask(
            "GET",
            f"/stillwatch/collections/{place}/objects/",
            who="ministry",
            query={"added_after": last},
        )
        assert answer.json == {}
    assert len(town.store.audit_rows()) == before


def test_what_cannot_be_recorded_is_not_answered(town: Town) -> None:
    place = town.plain(owner="rw", ministry="r", provider="r")
    town.store.open_to_government(place, opened=True)
    town.post(place, indicator(1))

    def full(notes: Sequence[AuditNote]) -> list[AuditRow]:
        raise StoreError("the disk is full")

    vars(town.store)["audit_all"] = full
    refused = town.read(place, "ministry")
    assert refused.status == 507
    assert b"indicator--" not in refused.body
    assert town.read(place, "provider").status == 200
    del vars(town.store)["audit_all"]
    assert town.read(place, "ministry").status == 200


def test_a_sender_sees_who_fetched_its_detail(town: Town) -> None:
    channel = town.open()
    town.send(*channel.messages, *town.admit(channel))
    town.bind(town.provider, "provider")
    sealed = town.sealed(channel)
    town.send(sealed)
    town.store.set_government(town.orgs["provider"].id, government=True)
    assert town.read(town.collection, "provider").status == 200
    # The lines before it are about its own bindings.
    *own, row = town.told("owner")
    assert {one["event"] for one in own} == {"member.bind"}
    assert row["event"] == "government.read"
    assert row["detail"]["objects"] == "1"
    assert row["detail"]["ids"] == to_artifact(sealed)["id"]
    town.store.set_government(town.orgs["provider"].id, government=False)
    town.read(town.collection, "provider")
    assert town.told("owner", after=row["seq"]) == []


def test_detail_of_a_sender_without_an_organisation_is_told_to_the_owner(town: Town) -> None:
    channel = town.open()
    town.send(*channel.messages, *town.admit(channel))
    town.bind(town.provider, "provider")
    town.send(town.sealed(channel))
    town.store.set_government(town.orgs["provider"].id, government=True)

    def unbound(member: str, root_id: str) -> None:
        del member, root_id

    # As of a member whose messages an owner posts.
    vars(town.store)["binding"] = unbound
    assert town.read(town.collection, "provider").status == 200
    assert "government.read" in {one["event"] for one in town.told("owner")}


def test_broken_glass_is_told_and_each_read_behind_it(town: Town) -> None:
    place = town.plain(owner="rw", provider="w")
    town.post(place, indicator(1))
    assert town.read(place, "first").status == 404
    glass = town.break_glass(place)
    assert town.read(place, "first").status == 200
    assert town.read(place, "second").status == 404
    assert town.post(place, indicator(2), who="first").status == 403
    told = town.told("owner")
    assert [row["event"] for row in told] == ["break-glass.open", "break-glass.read"]
    assert told[0]["detail"]["reason"] == "a court asks"
    assert (told[0]["detail"]["account"], told[0]["detail"]["approver"]) == ("first", "second")
    assert told[1]["detail"]["glass"] == glass.id
    # Who was granted to write there is told of what was read, too.
    assert [row["event"] for row in town.told("provider")] == ["break-glass.read"]
    assert town.told("outsider") == []
    town.store.end_glass(glass.id, None, now=glass.created, concerns={})
    assert town.read(place, "first").status == 404


def test_an_administrator_with_a_grant_of_its_own_needs_no_glass(town: Town) -> None:
    place = town.plain(owner="rw")
    town.post(place, indicator(1))
    town.store.set_grant(place, town.operator, can_read=True, can_write=False)
    # The grant is the organisation's; the role still reads nothing.
    assert town.read(place, "first").status == 403
    assert town.credential("first").account_id is not None
    account = town.credential("first").account_id or ""
    town.store.set_roles(account, frozenset({Role.ADMIN, Role.LIAISON}))
    assert town.read(place, "first").status == 200
    town.break_glass(place)
    town.read(place, "first")
    assert "break-glass.read" not in [row["event"] for row in town.told("owner")]


def _marked(number: int, level: TLP | None) -> dict[str, Any]:
    if level is None:
        return indicator(number)
    return indicator(number, object_marking_refs=[level.id])


def test_a_ceiling_holds_what_is_marked_higher_back(town: Town) -> None:
    place = town.plain(owner="rw", provider="r")
    town.store.set_ceiling(place, TLP.AMBER)
    answer = town.post(
        place,
        _marked(1, TLP.CLEAR),
        _marked(2, TLP.AMBER),
        _marked(3, TLP.AMBER_STRICT),
        _marked(4, TLP.RED),
        _marked(5, None),
        indicator(6, granular_markings=[{"marking_ref": TLP.RED.id, "selectors": ["name"]}]),
    )
    failed = {one["id"] for one in answer.json["failures"]}
    assert failed == {indicator(number)["id"] for number in (3, 4, 6)}
    assert "TLP:AMBER" in answer.json["failures"][0]["message"]
    lower = town.plain(owner="rw")
    town.store.set_ceiling(lower, TLP.GREEN)
    # Without a marking it counts as amber.
    assert town.post(lower, _marked(7, None)).json["failure_count"] == 1
    town.store.set_ceiling(place, None)
    assert town.post(place, _marked(8, TLP.RED)).json["success_count"] == 1


def test_a_clearance_reaches_collections_up_to_it(town: Town) -> None:
    place = town.plain(owner="rw")
    town.post(place, indicator(1))
    provider = town.orgs["provider"].id
    for ceiling, clearance, status in (
        (None, None, 200),
        (TLP.RED, None, 200),
        (TLP.AMBER, TLP.AMBER, 200),
        (TLP.AMBER_STRICT, TLP.AMBER, 404),
        (None, TLP.RED, 404),
    ):
        town.store.set_ceiling(place, ceiling)
        town.store.set_grant(place, provider, can_read=True, can_write=False, clearance=clearance)
        assert town.read(place, "provider").status == status, (ceiling, clearance)


def test_pages_of_the_audit_log(town: Town) -> None:
    for number in range(5):
        town.store.audit(f"event.{number}", concerns=frozenset({town.owner.id}))
    first = town.ask("GET", AUDIT, query={"limit": "2"}).json
    assert [row["event"] for row in first["rows"]] == ["event.0", "event.1"]
    assert first["more"]
    rest = town.ask("GET", AUDIT, query={"after": str(first["rows"][-1]["seq"])}).json
    assert len(rest["rows"]) == 3
    assert not rest["more"]
    for value in ("-1", "x", "1.5", "9" * 20, ""):
        assert town.ask("GET", AUDIT, query={"after": value}).status == 400


def test_a_roster_shows_to_outsiders_by_no_route(town: Town) -> None:
    """Nothing that an outsider is answered depends on who has an account, a grant, or is a member.

    The same requests are made before and after the hub is peopled; every answer is the same, byte
    for byte, but for what differs between any two requests. The control sees a member's differ.
    """
    channel = town.open()
    place = town.plain(owner="rw")

    def everything(who: str) -> list[tuple[object, ...]]:
        found: list[tuple[object, ...]] = []
        for route in ROUTES:
            for collection in (town.collection, town.inbox, place, "0" * 36):
                path = route.path.format(
                    root="stillwatch",
                    collection_id=collection,
                    object_id=indicator(1)["id"],
                    status_id="0" * 36,
                    channel_id=channel.trusted.channel,
                    frame="0" * 64,
                )
                # What is posted and bound changes the hub; other tests try that.
                if route.method == "GET" and not path.endswith("/about/"):
                    answer = town.ask(route.method, path, who=who)
                    found.append((path, answer.status, _constant(answer)))
        return found

    town.send(*channel.messages)
    before, member_before = everything("outsider"), everything("provider")
    town.send(*town.admit(channel))
    town.bind(town.provider, "provider")
    for name in ("new", "more"):
        made = town.store.create_org(name)
        account = town.store.create_account(
            made.id, name, AccountKind.PERSON, frozenset({Role.PUBLISHER})
        )
        town.store.create_token(made.id, account_id=account.id)
        town.store.set_grant(place, made.id, can_read=True, can_write=True)
    town.store.set_grant(place, town.orgs["provider"].id, can_read=True, can_write=True)
    assert everything("outsider") == before
    assert everything("provider") != member_before


def _constant(answer: Answer) -> tuple[object, ...]:
    headers = {
        name: value
        for name, value in answer.headers.items()
        if name not in ("x-request-id", "date")
    }
    if answer.headers["content-type"].startswith("application/") and answer.body:
        body = answer.json
        if isinstance(body, dict):
            body.pop("error_id", None)
        return (json.dumps(body, sort_keys=True), headers)
    return (answer.body, headers)


def test_the_rows_of_others_name_nobody_else(town: Town) -> None:
    """Of two publishers that a read concerns, neither learns of the other."""
    place = town.plain(owner="rw", provider="w", ministry="r")
    town.store.open_to_government(place, opened=True)
    town.post(place, indicator(1))
    town.read(place, "ministry")
    for who, other in (("owner", "provider"), ("provider", "owner")):
        [row] = town.told(who)
        assert town.orgs[other].id not in json.dumps(row)
