"""Channels and inboxes over HTTP: what the hub lets in, and from whom."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hub.channel.card import RootPrivate, SigningPrivate, card_message, issue_card, parse_card
from hub.channel.carriage import to_artifact
from hub.channel.epoch import EpochSecrets, new_epoch
from hub.channel.header import Audience
from hub.channel.invite import binding, join_request, new_invitation
from hub.channel.manifest import Manifest, Member, Role, genesis, next_version, sign_manifest
from hub.channel.primitives.kem import KemPrivate
from hub.channel.seal import seal_data, seal_heartbeat
from hub.channel.verify import TrustedChannel
from hub.errors import StoreError
from hub.model.bundle import bundle
from hub.model.codec import dumps
from hub.server.app import ROUTES
from hub.server.policy import Action, Decision
from hub.settings import HubSettings
from hub.store.interface import Appending
from hub.store.records import Kind
from tests.unit.server.harness import Answer, House
from tests.unit.server.test_policy import category, expected

API_ROOT = "https://hub.example/stillwatch/"
DAY = 86_400
PUBLISH = frozenset({Role.PUBLISH, Role.READ})


class Party:
    """A member's keys."""

    def __init__(self, number: int) -> None:
        self.member = f"identity--00000000-0000-4000-8000-{number:012d}"
        self.root = RootPrivate.generate()
        self.signing = SigningPrivate.generate()
        self.kem = KemPrivate.generate()
        now = int(time.time())
        self.card = issue_card(
            self.root,
            self.member,
            self.signing,
            self.kem.public,
            number=1,
            prev=None,
            not_before=now - DAY,
            not_after=now + 90 * DAY,
        )

    @property
    def row(self) -> Member:
        return Member(
            member=self.member,
            root=self.root.public.id,
            card=parse_card(self.card).hash,
            roles=PUBLISH,
        )


@dataclass
class Channel:
    """A channel as its owner holds it."""

    trusted: TrustedChannel
    manifest: Manifest
    secrets: EpochSecrets
    messages: list[bytes]


class Town(House):
    """A hub with a channel collection, its inbox, an owner, a member to be and an outsider."""

    def build(self) -> None:
        """Add collections, organisations and keys."""
        self.lab, self.provider, self.outsider = Party(1), Party(2), Party(3)
        self.org("provider")
        self.org("outsider")
        made = self.store.create_collection(Kind.CHANNEL, "c", owner_org=self.owner.id)
        self.collection = made.id
        self.inbox = self.store.create_collection(
            Kind.INBOX, "c (join requests)", owner_org=self.owner.id, inbox_of=made.id
        ).id

    def send(self, *messages: bytes, who: str = "owner", to: str | None = None) -> Answer:
        """Post messages as artifacts."""
        return self.post(to or self.collection, *(to_artifact(raw) for raw in messages), who=who)

    def bind(self, party: Party, who: str) -> Answer:
        """Bind an account, as the client does."""
        asked = self.ask("POST", "/stillwatch/binding/challenge/", who=who)
        assert asked.status == 200
        raw = binding(API_ROOT, asked.json["challenge"], party.card, party.signing)
        return self.ask("POST", "/stillwatch/binding/", who=who, body=raw)

    def open(self) -> Channel:
        """The owner binds itself and opens the channel."""
        assert self.bind(self.lab, "owner").status == 200
        now = int(time.time())
        manifest = genesis(
            owners=[self.lab.root.public.id],
            members=[self.lab.row],
            created=now,
            expires=now + 90 * DAY,
        )
        raw = sign_manifest(manifest, [self.lab.root])
        trusted = TrustedChannel.from_genesis(raw, owner_roots=None, now=now)
        card = card_message(trusted.channel, self.lab.card)
        trusted.accept(card, now=now)
        epoch, secrets = new_epoch(trusted, self.lab.signing, now=now)
        trusted.accept(epoch, now=now)
        return Channel(trusted, manifest, secrets, [raw, card, epoch])

    def sealed(self, channel: Channel) -> bytes:
        """A data message of the owner, accepted by itself."""
        now = int(time.time())
        raw = seal_data(
            channel.trusted,
            channel.secrets,
            self.lab.signing,
            Audience.DETAIL,
            _bundle(self.lab.member),
            now=now,
        )
        channel.trusted.accept(raw, now=now)
        return raw

    def admit(self, channel: Channel) -> list[bytes]:
        """The manifest, card and epoch that let the provider in."""
        now = int(time.time())
        manifest = next_version(
            channel.manifest,
            created=now,
            expires=now + 90 * DAY,
            members=[self.lab.row, self.provider.row],
        )
        raw = sign_manifest(manifest, [self.lab.root])
        channel.trusted.accept(raw, now=now)
        card = card_message(channel.trusted.channel, self.provider.card)
        channel.trusted.accept(card, now=now)
        epoch, channel.secrets = new_epoch(channel.trusted, self.lab.signing, now=now)
        channel.trusted.accept(epoch, now=now)
        channel.manifest = manifest
        return [raw, card, epoch]


def _bundle(member: str) -> bytes:
    note = {
        "type": "note",
        "spec_version": "2.1",
        "id": "note--00000000-0000-4000-8000-000000000009",
        "created_by_ref": member,
        "created": "2026-01-01T00:00:00.000Z",
        "modified": "2026-01-01T00:00:00.000Z",
        "content": "x",
        "object_refs": [member],
        "object_marking_refs": ["marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421"],
    }
    return dumps(bundle([note]))


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    settings = HubSettings(public_url="https://hub.example")
    with Town(tmp_path, settings) as made:
        made.build()
        yield made


def objects(collection: str) -> str:
    return f"/stillwatch/collections/{collection}/objects/"


def fates(answer: Answer) -> tuple[int, list[str]]:
    assert answer.status == 202, answer.body
    return answer.json["success_count"], [one["message"] for one in answer.json.get("failures", [])]


def test_a_channel_from_genesis_to_data(town: Town) -> None:
    channel = town.open()
    assert fates(town.send(*channel.messages)) == (3, [])
    data = town.sealed(channel)
    assert fates(town.send(data)) == (1, [])
    # The outbox sends the same bytes again after a lost answer.
    assert fates(town.send(data)) == (1, [])
    page = town.ask("GET", objects(town.collection)).json["objects"]
    assert page == [to_artifact(raw) for raw in (*channel.messages, data)]
    bound = town.store.collection(town.collection)
    assert bound is not None
    assert bound.channel_id == channel.trusted.channel


def test_a_member_sees_the_channel_once_it_is_in(town: Town) -> None:
    channel = town.open()
    town.send(*channel.messages)
    assert town.bind(town.provider, "provider").status == 200
    path = objects(town.collection)
    assert town.ask("GET", path, who="provider").status == 404
    assert fates(town.send(*town.admit(channel))) == (3, [])
    assert len(town.ask("GET", path, who="provider").json["objects"]) == 6
    assert town.ask("GET", path, who="outsider").status == 404
    listed = town.ask("GET", "/stillwatch/collections/", who="outsider").json["collections"]
    assert [(one["id"], one["x_stillwatch_channel_collection"]) for one in listed] == [
        (town.inbox, town.collection)
    ]
    beat = seal_heartbeat(channel.trusted, town.provider.signing, now=int(time.time()))
    assert town.send(beat, who="outsider").status == 404
    assert fates(town.send(beat, who="provider")) == (1, [])


def test_a_message_under_another_account_is_refused(town: Town) -> None:
    channel = town.open()
    town.send(*channel.messages, *town.admit(channel))
    town.bind(town.provider, "provider")
    data = town.sealed(channel)
    refused = town.send(data, who="provider")
    assert refused.status == 403
    assert "not bound to the member" in refused.json["description"]
    assert fates(town.send(data)) == (1, [])


def test_a_stolen_member_id_does_not_help(town: Town) -> None:
    """A card of one's own root may claim any member id; the pair is what counts."""
    channel = town.open()
    town.send(*channel.messages, *town.admit(channel))
    thief = Party(2)
    assert thief.member == town.provider.member
    assert town.bind(thief, "outsider").status == 200
    assert town.ask("GET", objects(town.collection), who="outsider").status == 404


def test_a_member_that_claims_another_id_cannot_post_for_it(town: Town) -> None:
    channel = town.open()
    town.send(*channel.messages, *town.admit(channel))
    town.bind(town.provider, "provider")
    assert town.bind(Party(1), "provider").status == 200
    data = town.sealed(channel)
    assert town.send(data, who="provider").status == 403


def test_what_the_members_would_refuse_is_refused(town: Town) -> None:
    channel = town.open()
    town.send(*channel.messages)
    data = town.sealed(channel)
    following = town.sealed(channel)
    flipped = data[:-1] + bytes([data[-1] ^ 1])
    assert fates(town.send(flipped))[0] == 0
    # A gap: the second message without the first.
    assert fates(town.send(following))[0] == 0
    squatted = {**to_artifact(data), "payload_bin": to_artifact(following)["payload_bin"]}
    assert fates(town.post(town.collection, squatted))[0] == 0
    plain = {**_plain(), "type": "note"}
    assert fates(town.post(town.collection, plain))[0] == 0
    assert town.store.count(town.collection) == 3
    # In one envelope each object has its own fate, and the chain goes on after a refusal.
    answer = town.post(
        town.collection, to_artifact(flipped), to_artifact(data), plain, to_artifact(following)
    )
    success, failures = fates(answer)
    assert (success, len(failures)) == (2, 2)


def _plain() -> dict[str, Any]:
    return {
        "type": "note",
        "spec_version": "2.1",
        "id": "note--00000000-0000-4000-8000-000000000001",
        "created": "2026-01-01T00:00:00.000Z",
        "modified": "2026-01-01T00:00:00.000Z",
        "content": "plain",
        "object_refs": ["identity--00000000-0000-4000-8000-000000000001"],
    }


def test_only_the_owner_bound_to_a_root_opens_a_channel(town: Town) -> None:
    channel = town.open()
    now = int(time.time())
    foreign = genesis(
        owners=[town.provider.root.public.id],
        members=[town.provider.row],
        created=now,
        expires=now + DAY,
    )
    assert town.send(sign_manifest(foreign, [town.provider.root])).status == 403
    assert town.send(channel.messages[0], who="outsider").status == 404
    assert fates(town.send(channel.messages[1]))[0] == 0
    assert fates(town.send(channel.messages[0])) == (1, [])
    other = town.store.create_collection(Kind.CHANNEL, "d", owner_org=town.owner.id)
    assert fates(town.send(channel.messages[0], to=other.id)) == (
        0,
        ["another collection carries this channel"],
    )


def test_the_matrix_of_a_bound_channel(town: Town) -> None:
    """The column of the privilege matrix that needs a real channel."""
    channel = town.open()
    town.send(*channel.messages, *town.admit(channel))
    town.bind(town.provider, "provider")
    held = to_artifact(channel.messages[0])["id"]
    body = json.dumps({"objects": [to_artifact(channel.messages[0])]}).encode()
    roles = {"owner": "owner", "member": "provider", "stranger": "outsider", "anonymous": None}
    wrong = []
    for route, (role, who) in itertools.product(ROUTES, roles.items()):
        path = route.path.format(
            root="stillwatch",
            collection_id=town.collection,
            object_id=held,
            status_id="0" * 36,
            channel_id=channel.trusted.channel,
            frame="0" * 64,
        )
        answer = town.ask(
            route.method, path, who=who, body=body if route.method == "POST" else None
        )
        want = expected(role, "channel-bound", route.action)
        if route.action is Action.DELETE and want is Decision.ALLOW:
            # Nobody deletes a genesis.
            want = Decision.FORBID
        if category(route, answer) is not want:
            wrong.append((route.method, route.path, role, answer.status))
    assert wrong == []


def test_a_full_disk_takes_back_what_was_not_stored(town: Town) -> None:
    """The hub's idea of a channel never runs ahead of its store."""
    channel = town.open()
    town.send(*channel.messages)
    data = town.sealed(channel)
    appending = town.store.appending

    @contextmanager
    def full(collection_ids: Sequence[str]) -> Iterator[Appending]:
        with appending(collection_ids) as transaction:
            yield transaction
            raise StoreError("the disk is full")

    vars(town.store)["appending"] = full
    assert town.send(data).status == 507
    vars(town.store)["appending"] = appending
    assert fates(town.send(town.sealed(channel)))[0] == 0
    assert fates(town.send(data)) == (1, [])


def test_messages_are_not_deleted(town: Town) -> None:
    channel = town.open()
    town.send(*channel.messages)
    one = to_artifact(channel.messages[0])["id"]
    assert town.ask("DELETE", f"{objects(town.collection)}{one}/").status == 403


def test_a_restarted_hub_goes_on(town: Town) -> None:
    channel = town.open()
    town.send(*channel.messages)
    data = town.sealed(channel)
    town.restart()
    assert fates(town.send(data)) == (1, [])
    forged = genesis(
        owners=[town.lab.root.public.id],
        members=[town.lab.row],
        created=int(time.time()),
        expires=int(time.time()) + DAY,
    )
    assert fates(town.send(sign_manifest(forged, [town.lab.root])))[0] == 0


def test_the_inbox_takes_join_requests_only(town: Town) -> None:
    channel = town.open()
    town.send(*channel.messages)
    now = int(time.time())

    def letter(channel_id: str) -> bytes:
        invitation = new_invitation(
            channel=channel_id,
            owners=[town.lab.root.public.id],
            api_root=API_ROOT,
            collection=town.collection,
            inbox=town.inbox,
            roles=PUBLISH,
            organisation="Provider",
            sponsor=town.lab.root.public.id,
            expires=now + DAY,
        )
        return join_request(invitation, [town.provider.card], town.provider.signing, now=now)

    good = letter(channel.trusted.channel)
    assert fates(town.send(good, who="provider", to=town.inbox)) == (1, [])
    assert fates(town.send(letter("0" * 64), who="provider", to=town.inbox))[0] == 0
    assert fates(town.send(good[:-1] + b"\0", who="provider", to=town.inbox))[0] == 0
    assert fates(town.post(town.inbox, _plain(), who="provider"))[0] == 0
    assert town.ask("GET", objects(town.inbox), who="provider").status == 403
    mail = town.ask("GET", objects(town.inbox)).json["objects"]
    assert mail == [to_artifact(good)]
    assert town.ask("DELETE", f"{objects(town.inbox)}{mail[0]['id']}/").status == 200


def test_bindings_are_single_use_and_for_this_hub(town: Town) -> None:
    party = town.provider
    asked = town.ask("POST", "/stillwatch/binding/challenge/", who="provider").json
    assert asked["expires"] > time.time()

    def bind(raw: bytes, who: str = "provider") -> int:
        return town.ask("POST", "/stillwatch/binding/", who=who, body=raw).status

    good = binding(API_ROOT, asked["challenge"], party.card, party.signing)
    assert bind(good, who="outsider") == 403
    assert bind(good) == 200
    assert bind(good) == 403
    asked = town.ask("POST", "/stillwatch/binding/challenge/", who="provider").json
    elsewhere = binding(
        "https://evil.example/stillwatch/", asked["challenge"], party.card, party.signing
    )
    assert bind(elsewhere) == 422
    assert bind(b"nonsense") == 400
    # The pair belongs to one organisation.
    assert town.bind(party, "outsider").status == 409
    names = {row.event for row in town.store.audit_rows()}
    assert "member.bind" in names


def test_about_tells_software_protocol_and_clock(town: Town) -> None:
    answer = town.ask("GET", "/stillwatch/about/", who="outsider")
    assert answer.json["software"] == "stillwatch"
    assert answer.json["protocol"] == 1
    assert abs(answer.json["time"] - time.time()) < 5
    assert json.loads(answer.body).keys() == {"software", "protocol", "time"}


def test_every_owner_of_the_channel_reads_its_inbox(town: Town) -> None:
    channel = town.open()
    town.send(*channel.messages)
    assert town.bind(town.provider, "provider").status == 200
    assert town.ask("GET", objects(town.inbox), who="provider").status == 403
    roots = [town.lab.root, town.provider.root]
    second = next_version(
        channel.manifest,
        created=int(time.time()),
        expires=int(time.time()) + DAY,
        members=[town.lab.row, town.provider.row],
        owners=[each.public.id for each in roots],
    )
    assert fates(town.send(sign_manifest(second, roots)))[0] == 1
    assert town.ask("GET", objects(town.inbox), who="provider").status == 200
    assert town.ask("GET", objects(town.inbox), who="outsider").status == 403
