"""Leaving, the loss of a root, and a channel in the place of another."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from hub.channel.header import Audience
from hub.channel.manifest import Policy, Role
from hub.channel.proposal import LEAVE_LABEL
from hub.client.governance import change_policy, re_enrol
from hub.client.health import health
from hub.client.home import Home
from hub.client.joining import join
from hub.client.keyring import Unlock
from hub.client.leaving import asking, leave
from hub.client.membership import approve, remove
from hub.client.notes import note_of
from hub.client.proposals import sign, take
from hub.client.publisher import seal_objects
from hub.client.renewal import renew
from hub.client.requests import candidates
from hub.client.root_file import attach_root, detach_root, export_root, read_root_file
from hub.client.subscriber import pull
from hub.client.succession import succeed, succeeded
from hub.client.work import Desk, flush
from hub.errors import AccessError, ConflictError, InputError, VerificationError
from tests.unit.client.circle import SETTINGS, Circle, write_files
from tests.unit.client.council import council, countersign, only, row_of

C2 = "00000000-0000-4000-8000-0000000000c2"
SECRET = b"one two three four five"


def test_a_member_leaves_at_once_and_is_removed(circle: Circle, tmp_path: Path) -> None:
    lab = circle.open_channel()
    provider = circle.admit("provider", "report")
    assert leave(provider, "circle", "we stop") is None
    channel = row_of(provider)
    assert channel.standing == "left"
    assert provider.home.epoch_secrets(channel.channel_id) == {}
    assert provider.home.fingerprint_keys() == []
    with pytest.raises(ConflictError, match="left the channel"):
        circle.publish("provider", write_files(tmp_path)[1])
    with pytest.raises(ConflictError, match="member no more"):
        leave(provider, "circle", "")
    assert circle.pull("provider").standing == "left"
    circle.clock.now += 100_000
    found = health(provider.home, now=circle.clock()).channels[0]
    assert (found.level, found.notes[0][:11]) == ("ok", "you left it")
    circle.pull("lab")
    assert asking(lab.home, row_of(lab)) == {provider.home.member_id: "we stop"}
    notes = health(lab.home, now=circle.clock()).channels[0].notes
    assert any("asks to leave" in each for each in notes)
    remove(lab, "circle", provider.home.member_id)
    assert asking(lab.home, row_of(lab)) == {}
    # Who comes back has another card: the old request is not held against it.
    circle.admit("provider", "report")
    circle.pull("lab")
    assert asking(lab.home, row_of(lab)) == {}
    assert circle.pull("provider").standing == "member"


@pytest.mark.parametrize("content", [None, "", "[]", '{"card":1}', '{"reason":"x"}'])
def test_a_broken_request_to_leave_is_passed_over(circle: Circle, content: str | None) -> None:
    lab = circle.open_channel()
    provider = circle.admit("provider", "report")
    channel = row_of(provider)
    trusted = provider.home.trusted(channel)
    made = note_of(provider.home, trusted, LEAVE_LABEL, "x", circle.clock())
    del made["content"]
    if content is not None:
        made["content"] = content
    with provider.home.locked():
        seal_objects(provider, channel, {Audience.DETAIL: [made]}, role=Role.REPORT)
        flush(provider, row_of(provider))
    circle.pull("lab")
    assert asking(lab.home, row_of(lab)) == {}
    assert health(lab.home, now=circle.clock()).channels[0].level == "ok"


def test_who_may_not_write_tells_the_owner_itself(circle: Circle) -> None:
    circle.open_channel()
    reader = circle.admit("reader", "read")
    assert "no role to write" in str(leave(reader, "circle", ""))
    assert row_of(reader).standing == "left"


def test_the_last_owner_cannot_leave(circle: Circle) -> None:
    lab = circle.open_channel()
    with pytest.raises(ConflictError, match="nobody could change the channel"):
        leave(lab, "circle", "")
    assert row_of(lab).standing == "owner"


def test_one_of_several_owners_gives_up_ownership_first(circle: Circle) -> None:
    _, second, _ = council(circle)
    with pytest.raises(ConflictError, match="gives up ownership first"):
        leave(second, "circle", "")


def _returns(circle: Circle, sponsor: Desk, name: str, *, member: str) -> Desk:
    """A new home under an old member id, which answers an invitation to be enrolled anew."""
    home = Home.create(
        circle.folder / f"{name}-2",
        name.title(),
        Unlock.key_file(),
        now=circle.clock(),
        settings=SETTINGS,
        member=member,
    )
    circle.desks[f"{name}-2"] = Desk(home, circle.hub.connect, circle.clock)
    invitation = re_enrol(sponsor, "circle", member)
    desk = circle.desks[f"{name}-2"]
    join(desk, invitation.text, circle.account(f"{name}-2"), "circle", by_file=False)
    return desk


def test_who_was_enrolled_anew_comes_back_after_a_removal(circle: Circle) -> None:
    lab = circle.open_channel()
    provider = circle.admit("provider", "report")
    old, member = provider.home, provider.home.member_id
    again = _returns(circle, lab, "provider", member=member)
    found, _ = candidates(lab, "circle")
    approve(lab, "circle", found[0])
    remove(lab, "circle", member)
    # The root that the newest manifest had for the member comes back, the lost one does not.
    circle.admit("provider-2", "report")
    assert circle.pull("provider-2").standing == "member"
    assert again.home.keyring.root_id != old.keyring.root_id
    remove(lab, "circle", member)
    with pytest.raises(VerificationError, match="belongs to another root"):
        circle.admit("provider", "report")


def test_a_member_that_lost_its_root_is_enrolled_anew(circle: Circle, tmp_path: Path) -> None:
    lab = circle.open_channel()
    old = circle.admit("provider", "publish")
    circle.publish("provider", write_files(tmp_path)[1])
    before = old.home.trusted(row_of(old)).manifest.member(old.home.member_id)
    assert before is not None
    new = _returns(circle, lab, "provider", member=old.home.member_id)
    (candidate,), _ = candidates(lab, "circle")
    assert approve(lab, "circle", candidate).in_force
    circle.pull("provider-2")
    after = new.home.trusted(row_of(new)).manifest.member(old.home.member_id)
    assert after is not None
    assert (after.member, after.roles) == (before.member, before.roles)
    assert after.root == new.home.keyring.root_id != before.root
    # The old keys read nothing from now on, and whoever has them cannot speak.
    seen = circle.pull("provider")
    assert seen.standing == "member"
    # Nobody may take its place unseen.
    assert any("under another root" in each for each in seen.alarms)
    assert circle.pull("provider-2").alarms == []
    with pytest.raises(ConflictError, match="a card that this home does not have"):
        circle.publish("provider", write_files(tmp_path)[2])
    assert circle.publish("provider-2", write_files(tmp_path)[2]).messages
    assert circle.pull("lab").alarms == []
    live = [key for key in lab.home.fingerprint_secrets(row_of(lab).channel_id) if key.live]
    assert [key.key_id[-2:] for key in live] == ["-2"]


def test_an_owner_that_lost_its_root_is_replaced_by_the_others(circle: Circle) -> None:
    lab, second, third = council(circle)
    lost = third.home.member_id
    new = _returns(circle, lab, "third", member=lost)
    (candidate,), _ = candidates(lab, "circle")
    outcome = approve(lab, "circle", candidate)
    assert any(each.startswith("Third") for each in outcome.proposal.names.values())
    assert countersign(circle, second).in_force
    circle.pull("third-2")
    assert row_of(new).standing == "owner"
    assert third.home.keyring.root_id not in new.home.trusted(row_of(new)).manifest.owners
    circle.pull("lab")
    assert change_policy(new, "circle", {"history": "all"}).sent
    assert countersign(circle, second).in_force


def test_another_member_does_not_take_the_invitation(circle: Circle) -> None:
    lab = circle.open_channel()
    provider = circle.admit("provider", "read")
    invitation = re_enrol(lab, "circle", provider.home.member_id)
    thief = circle.add("thief")
    join(thief, invitation.text, circle.account("thief"), "circle", by_file=False)
    (candidate,), _ = candidates(lab, "circle")
    with pytest.raises(VerificationError, match="for the new root of another member"):
        approve(lab, "circle", candidate)
    with pytest.raises(InputError, match="never a member"):
        re_enrol(lab, "circle", "identity--00000000-0000-4000-8000-000000000000")
    with pytest.raises(InputError, match="another owner"):
        re_enrol(lab, "circle", lab.home.member_id)


def test_a_member_id_is_checked_when_a_home_is_made(circle: Circle) -> None:
    with pytest.raises(InputError, match="STIX identity"):
        Home.create(circle.folder / "x", "X", Unlock.key_file(), now=1, member="identity--1")


def test_a_successor_names_the_old_channel_and_trusts_nobody(circle: Circle) -> None:
    lab = circle.open_channel(Policy(tlp="TLP:RED"))
    provider = circle.admit("provider", "report")
    circle.admit("reader", "read")
    circle.hub.add_channel_collection(C2)
    circle.pull("provider")
    # The lab's root is lost: the provider opens the next channel.
    account = circle.account("provider")
    done = succeed(provider, "circle", "square", account, C2, lifetime_s=86_400)
    trusted = provider.home.trusted(provider.home.state.channel("square"))
    assert trusted.manifest.succeeds == row_of(provider).channel_id
    assert trusted.manifest.policy.tlp == "TLP:RED"
    assert [row.member for row in trusted.manifest.members] == [provider.home.member_id]
    assert set(done.invitations) == {
        lab.home.member_id,
        circle.desks["reader"].home.member_id,
    }
    reader = circle.desks["reader"]
    text = done.invitations[reader.home.member_id].text
    join(reader, text, circle.account("reader"), "square", by_file=False)
    (candidate,), _ = candidates(provider, "square")
    approve(provider, "square", candidate)
    assert [each.problem for each in pull(reader)] == [None, None]
    link = succeeded(reader.home, reader.home.state.channel("square"))
    assert link is not None
    assert (link["name"], link["known_owners"]) == ("circle", 1)
    assert "Nothing is carried over" in link["text"]
    assert succeeded(reader.home, row_of(reader)) is None
    with pytest.raises(ConflictError, match="has this name here"):
        succeed(provider, "circle", "circle", account, C2, lifetime_s=86_400)


def test_a_root_lies_elsewhere_and_still_decides(circle: Circle) -> None:
    lab, second, third = council(circle)
    path = circle.folder / "second.root"
    detach_root(second.home, path, SECRET)
    assert _detached(second)
    change_policy(lab, "circle", {"history": "all"})
    circle.pull("second")
    with pytest.raises(AccessError, match="not in this home"):
        sign(second, row_of(second), only(second).proposal)
    # Without the root it proposes all the same; then it signs where the root lies.
    file = read_root_file(path)
    signed = only(second).proposal.signed_by(file.open(SECRET))
    assert sign(second, row_of(second), signed).in_force
    assert circle.pull("third").alarms == []
    assert change_policy(second, "circle", {"tlp": "TLP:RED"}).sent
    circle.pull("third")
    assert max(only(third).proposal.missing) == 2
    attach_root(second.home, file, SECRET)
    assert not _detached(second)
    with Home.open(circle.folder / "second", Unlock.key_file(), settings=SETTINGS) as again:
        assert again.keyring.root_id == file.root_id


def _detached(desk: Desk) -> bool:
    return desk.home.keyring.root is None


def test_a_root_file_opens_for_its_owner_alone(circle: Circle) -> None:
    lab, other = circle.add("lab"), circle.add("other")
    path = circle.folder / "lab.root"
    export_root(lab.home, path, SECRET)
    assert path.stat().st_mode & 0o777 == 0o600
    assert lab.home.keyring.root_key().to_seed() not in path.read_bytes()
    with pytest.raises(ConflictError, match="is there already"):
        export_root(lab.home, path, SECRET)
    file = read_root_file(path)
    with pytest.raises(AccessError, match="does not open") as caught:
        file.open(b"another passphrase")
    assert "another passphrase" not in str(caught.value)
    with pytest.raises(VerificationError, match="another home"):
        attach_root(other.home, file, SECRET)
    lying = dataclasses.replace(file, root_id=other.home.keyring.root_id)
    with pytest.raises(AccessError):
        lying.open(SECRET)
    (circle.folder / "no.root").write_text("{}")
    with pytest.raises(InputError, match="not a root file"):
        read_root_file(circle.folder / "no.root")
    with pytest.raises(AccessError, match="not in this home"):
        other.home.keyring.without_root().with_next_card(now=1, card_lifetime_s=1)


def test_an_expired_manifest_is_renewed_by_files(circle: Circle) -> None:
    lab, second, _ = council(circle)
    circle.clock.now += lab.home.settings.manifest_lifetime_s + 10
    said = renew(lab, "circle", force=True).done
    assert any("hand it on: channel proposals circle" in each for each in said)
    proposal = only(lab).proposal
    with second.home.locked():
        found = take(second.home, row_of(second), proposal.raw, circle.clock())
    assert sign(second, row_of(second), found.proposal).in_force
    assert circle.pull("lab").alarms == []
    done = renew(lab, "circle", force=True).done
    assert any(each.startswith("issued epoch") for each in done)
    assert health(lab.home, now=circle.clock()).channels[0].level != "expired"


def test_the_heartbeat_follows_the_policy(circle: Circle) -> None:
    lab = circle.open_channel(Policy(heartbeat=3600))
    for wait, sent in ((3000, 0), (601, 1), (3599, 0), (1, 1)):
        circle.clock.now += wait
        assert circle.pull("lab").sent == sent
    assert change_policy(lab, "circle", {"heartbeat": 86_400}).in_force
    circle.clock.now += 3601
    assert circle.pull("lab").sent == 0


def test_who_left_does_not_come_back_by_a_renewal(circle: Circle) -> None:
    circle.open_channel()
    provider = circle.admit("provider", "report")
    leave(provider, "circle", "")
    with pytest.raises(ConflictError, match="left the channel"):
        renew(provider, "circle")
    assert row_of(provider).standing == "left"


def test_a_removed_member_is_enrolled_with_the_roles_it_had(circle: Circle) -> None:
    lab = circle.open_channel()
    provider = circle.admit("provider", "report")
    remove(lab, "circle", provider.home.member_id)
    invitation = re_enrol(lab, "circle", provider.home.member_id)
    assert invitation.roles == frozenset({Role.READ, Role.REPORT})
