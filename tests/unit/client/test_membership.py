"""Accounts, invitations and roles: what is refused, and why."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from hub.channel.invite import parse_invitation
from hub.channel.manifest import DAY, Policy
from hub.client.health import health
from hub.client.joining import join
from hub.client.keyring import Keyring
from hub.client.log_pin import LogChoice
from hub.client.membership import approve, create, invite, remove
from hub.client.registration import find_collection, register
from hub.client.renewal import renew
from hub.client.requests import candidates
from hub.client.subscriber import pull
from hub.client.transport import About
from hub.errors import AccessError, ConflictError, InputError, VerificationError
from tests.unit.client.circle import Circle, write_files
from tests.unit.client.memory_hub import C1, MemoryConnection


def test_an_account_is_bound_to_its_member(circle: Circle) -> None:
    lab = circle.open_channel()
    assert circle.hub.bound == {"token-of-lab": lab.home.member_id}


def test_a_hub_that_binds_somebody_else_is_left(
    circle: Circle, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = circle.add("lab")
    monkeypatch.setattr(MemoryConnection, "bind", lambda self, signed: "identity--other")
    with pytest.raises(VerificationError, match="another member"):
        register(lab, circle.account("lab"))
    assert lab.home.state.hubs() == []


def test_a_clock_that_is_far_off_is_told(circle: Circle, monkeypatch: pytest.MonkeyPatch) -> None:
    lab = circle.add("lab")
    monkeypatch.setattr(MemoryConnection, "about", lambda self: About(1, circle.clock() + 4000))
    with pytest.raises(ConflictError, match="4000 s"):
        register(lab, circle.account("lab"))


def test_a_stock_server_is_not_asked_to_bind(circle: Circle) -> None:
    circle.hub.stillwatch = False
    lab = circle.open_channel()
    assert circle.hub.bound == {}
    assert "challenge" not in circle.hub.requests
    assert not lab.home.is_stillwatch(circle.account("lab").api_root)
    # Without a promise of increasing dates some seconds are read again.
    assert circle.pull("lab").messages == 0
    assert circle.pull("lab").problem is None


def test_a_collection_in_use_is_not_taken(circle: Circle) -> None:
    circle.open_channel()
    other = circle.add("other")
    with pytest.raises(ConflictError, match="not empty"):
        create(other, "mine", circle.account("other"), C1, Policy())
    assert other.home.state.channels() == []


def test_a_collection_is_found_by_title_when_it_is_the_only_one(circle: Circle) -> None:
    lab = circle.add("lab")
    circle.hub.add_channel_collection()
    hub = lab.reach(circle.account("lab"))
    assert find_collection(hub, "Circle").collection_id == C1
    circle.hub.add_channel_collection("00000000-0000-4000-8000-0000000000c2", inbox=False)
    with pytest.raises(InputError, match="several"):
        find_collection(hub, "Circle")
    with pytest.raises(InputError, match="no collection"):
        find_collection(hub, "Square")


def test_a_collection_that_cannot_be_read_is_refused(circle: Circle) -> None:
    lab = circle.add("lab")
    circle.hub.add_channel_collection()
    circle.hub.readers = lambda account, collection: False
    with pytest.raises(AccessError, match="read and write"):
        create(lab, "circle", circle.account("lab"), C1, Policy())
    # Only the hub's operator undoes a binding: a wrong token file must not have made one.
    assert circle.hub.bound == {}
    assert lab.home.state.hub(circle.account("lab").api_root) is None


@pytest.mark.parametrize("wanted", [C1, "Circle"])
def test_a_channel_is_not_opened_twice_with_another_policy(circle: Circle, wanted: str) -> None:
    lab, account = circle.open_channel(), circle.account("lab")
    sent = len(circle.hub.collections[C1].rows)
    assert create(lab, "circle", account, wanted, Policy()).name == "circle"
    with pytest.raises(ConflictError, match=r"opened before.*history: all, instead of none"):
        create(lab, "circle", account, wanted, Policy(history="all"))
    with pytest.raises(ConflictError, match="witnesses: 1, instead of 0"):
        create(lab, "circle", account, wanted, Policy(), LogChoice(witnesses=["w"]))
    assert len(circle.hub.collections[C1].rows) == sent


def test_only_an_owner_invites_and_removes(circle: Circle) -> None:
    lab = circle.open_channel()
    provider = circle.admit("provider", "read")
    with pytest.raises(AccessError, match="only an owner"):
        invite(provider, "circle", "X", "read")
    with pytest.raises(AccessError, match="only an owner"):
        remove(provider, "circle", lab.home.member_id)
    with pytest.raises(InputError, match="cannot remove itself"):
        remove(lab, "circle", lab.home.member_id)
    with pytest.raises(InputError, match="no such member"):
        remove(lab, "circle", "identity--none")
    with pytest.raises(InputError, match="not a role"):
        invite(lab, "circle", "X", "owner")


def test_an_invitation_serves_once(circle: Circle) -> None:
    lab = circle.open_channel()
    provider, thief = circle.add("provider"), circle.add("thief")
    invitation = invite(lab, "circle", "Provider", "read")
    for desk, name in ((provider, "provider"), (thief, "thief")):
        join(desk, invitation.text, circle.account(name), "circle", by_file=False)
    found, _ = candidates(lab, "circle")
    assert len(found) == 2
    approve(lab, "circle", found[0])
    with pytest.raises(ConflictError, match="used before"):
        approve(lab, "circle", found[1])
    left, problems = candidates(lab, "circle")
    assert left == []
    assert "used before" in problems[0].reason


def test_a_request_without_our_invitation_is_refused(circle: Circle) -> None:
    lab = circle.open_channel()
    stranger = circle.add("stranger")
    invitation = invite(lab, "circle", "Provider", "read")
    forged = dataclasses.replace(invitation, secret=bytes(32))
    made = join(stranger, forged.text, circle.account("stranger"), "circle", by_file=True)
    with pytest.raises(VerificationError, match="no invitation of ours"):
        candidates(lab, "circle", made.request)
    with pytest.raises(InputError):
        candidates(lab, "circle", b"nothing of the kind")


def test_who_joins_long_after_others_takes_every_epoch(circle: Circle, tmp_path: Path) -> None:
    lab = circle.open_channel(Policy(history="all"))
    for number, name in enumerate(("provider", "second")):
        circle.clock.now += 1
        circle.admit(name, "publish")
        circle.pull("lab")
        circle.publish(name, write_files(tmp_path)[number])
        circle.clock.now += 3 * DAY
        renew(lab, "circle", force=True)
    newcomer = circle.admit("newcomer", "read")
    assert [each.text for each in newcomer.home.state.alarms()] == []
    channel = newcomer.home.state.channel("circle")
    trusted = newcomer.home.trusted(channel)
    assert trusted.epoch == lab.home.trusted(lab.home.state.channel("circle")).epoch
    said = {row.member for row in newcomer.home.state.objects(channel.channel_id, ("indicator",))}
    assert len(said) == 2


def test_an_invitation_expires_for_the_owner_too(circle: Circle) -> None:
    lab = circle.open_channel()
    provider = circle.add("provider")
    invitation = invite(lab, "circle", "Provider", "read", lifetime_s=60)
    join(provider, invitation.text, circle.account("provider"), "circle", by_file=False)
    circle.clock.now += 120
    found, problems = candidates(lab, "circle")
    assert found == []
    assert "expired" in problems[0].reason
    late = circle.add("late")
    with pytest.raises(ConflictError, match="expired"):
        join(late, invitation.text, circle.account("late"), "circle", by_file=False)


def test_joining_again_sends_the_same_request(circle: Circle) -> None:
    lab = circle.open_channel()
    provider = circle.add("provider")
    text = invite(lab, "circle", "Provider", "read").text
    first = join(provider, text, circle.account("provider"), "", by_file=False)
    again = join(provider, text, circle.account("provider"), "", by_file=False)
    assert first.request == again.request
    assert first.channel.name == "circle"
    assert len(circle.hub.collections[f"{C1}-inbox"].rows) == 1
    (candidate,), _ = candidates(lab, "circle")
    approve(lab, "circle", candidate)
    circle.pull("provider")
    with pytest.raises(ConflictError, match="member already"):
        join(provider, text, circle.account("provider"), "", by_file=False)


def test_a_removed_member_comes_back_with_a_new_card(circle: Circle, tmp_path: Path) -> None:
    lab = circle.open_channel()
    provider = circle.admit("provider", "report")
    remove(lab, "circle", provider.home.member_id)
    circle.publish("lab", write_files(tmp_path)[1])
    assert circle.pull("provider").standing == "removed"
    assert circle.pull("provider").standing == "removed"
    circle.admit("provider", "report")
    assert provider.home.state.channel("circle").standing == "member"
    assert provider.home.keyring.current.card.number == 2
    # Nothing of what was published meanwhile, everything from now on.
    assert list(provider.home.state.objects(types=("indicator",))) == []
    circle.publish("lab", write_files(tmp_path)[2])
    assert circle.pull("provider").objects["indicator"] == 1
    assert circle.pull("lab").alarms == []


def test_a_removed_member_that_cannot_see_it_comes_back_too(circle: Circle) -> None:
    lab = circle.open_channel()
    provider = circle.admit("provider", "read")
    remove(lab, "circle", provider.home.member_id)
    circle.hub.readers = lambda account, collection: account != "token-of-provider"
    (result,) = pull(provider)
    assert "no longer a member" in str(result.problem)
    circle.hub.readers = lambda account, collection: True
    circle.admit("provider", "read")
    assert provider.home.state.channel("circle").standing == "member"
    assert circle.pull("provider").problem is None


def test_roles_change_by_inviting_anew(circle: Circle, tmp_path: Path) -> None:
    circle.open_channel()
    provider = circle.admit("provider", "report")
    files = write_files(tmp_path)
    with pytest.raises(AccessError, match="publish"):
        circle.publish("provider", files[1])
    circle.admit("provider", "publish")
    assert circle.publish("provider", files[1]).messages > 0
    assert circle.pull("lab").objects["indicator"] == 2
    keys = provider.home.fingerprint_keys()
    circle.admit("provider", "liaison")
    assert circle.pull("lab").alarms == []
    assert health(provider.home, now=circle.clock()).channels[0].roles == ["liaison"]
    # Who reads no more knows the old key: tokens are made under another.
    live = circle.desks["lab"].home.fingerprint_secrets(
        provider.home.state.channel("circle").channel_id
    )
    assert [each.live for each in live] == [False, True]
    assert len(provider.home.fingerprint_keys()) == len(keys)


def test_nobody_comes_back_as_somebody_else(circle: Circle) -> None:
    lab = circle.open_channel()
    provider = circle.admit("provider", "read")
    remove(lab, "circle", provider.home.member_id)
    thief = circle.add("thief")
    thief.home.keyring = Keyring.new(
        provider.home.member_id, "Thief", now=circle.clock(), card_lifetime_s=86_400
    )
    invitation = invite(lab, "circle", "Provider", "read")
    join(thief, invitation.text, circle.account("thief"), "circle", by_file=False)
    (candidate,), _ = candidates(lab, "circle")
    with pytest.raises(VerificationError, match="another root"):
        approve(lab, "circle", candidate)
    with pytest.raises(ConflictError, match="owns the channel"):
        join(lab, invitation.text, circle.account("lab"), "circle", by_file=False)


def test_before_the_approval_there_is_nothing_to_read(circle: Circle) -> None:
    lab = circle.open_channel()
    provider = circle.add("provider")
    invitation = parse_invitation(invite(lab, "circle", "Provider", "read").text)
    join(provider, invitation.text, circle.account("provider"), "circle", by_file=False)
    circle.hub.readers = lambda account, collection: account != "token-of-provider"
    (result,) = pull(provider)
    assert isinstance(result.error, AccessError)
    assert "has not approved" in str(result.problem)
    found = health(provider.home, now=circle.clock())
    assert found.channels[0].standing == "joining"
    assert found.level == "waiting"
    # On a server that lets everybody read, the newcomer verifies and opens nothing.
    circle.hub.readers = lambda account, collection: True
    (result,) = pull(provider)
    assert (result.objects, result.alarms) == ({}, [])
    assert provider.home.fingerprint_keys() == []
    with pytest.raises(InputError, match="no channel of this name"):
        provider.home.state.channel("square")
