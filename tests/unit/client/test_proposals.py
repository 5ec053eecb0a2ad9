"""Changes that several owners decide: who signs, who is last, and what is stale."""

from __future__ import annotations

from pathlib import Path

import pytest

from hub.channel.header import Audience
from hub.channel.manifest import DAY, Manifest, Role
from hub.channel.proposal import COUNTERSIGNATURE_LABEL, Countersignature
from hub.client.drafts import Wanted, checked
from hub.client.governance import change_policy, remove_owner, set_threshold
from hub.client.health import health
from hub.client.membership import remove
from hub.client.notes import note_of
from hub.client.preparing import again
from hub.client.proposals import (
    drop,
    find,
    open_ones,
    propose_again,
    sign,
    sign_offline,
    standings,
    take,
)
from hub.client.publisher import seal_objects
from hub.client.renewal import renew
from hub.client.work import Desk, flush
from hub.errors import AccessError, ConflictError, InputError, VerificationError
from tests.unit.client.circle import Circle, write_files
from tests.unit.client.council import admit, change, council, countersign, only, row_of, version
from tests.unit.client.memory_hub import MemoryHub


def test_two_of_three_admit_a_member(circle: Circle) -> None:
    lab, second, third = council(circle)
    outcome = admit(circle, lab, "provider")
    assert (outcome.in_force, outcome.sent) == (False, True)
    assert max(outcome.proposal.missing) == 1
    provider = circle.desks["provider"]
    # Before the second signature nothing changed, and the joiner reads nothing.
    assert circle.pull("provider").objects == {}
    assert provider.home.state.channel("circle").standing == "joining"
    circle.pull("second")
    found = only(second)
    assert (found.signed, found.may_sign) == (False, True)
    assert "joins, invited by Lab" in found.proposal.reason
    assert any("channel sign circle" in note for note in _notes(circle, "second"))
    assert countersign(circle, second).in_force
    for name in ("lab", "third", "provider"):
        assert circle.pull(name).alarms == []
    assert version(lab) == version(third) == version(provider) == version(second)
    assert provider.home.state.channel("circle").standing == "member"
    assert len(provider.home.fingerprint_keys()) == 1
    assert standings(lab.home, row_of(lab), circle.clock()) == []
    used = lab.home.state.invitations(row_of(lab).channel_id)
    assert all(each.used_at is not None for each in used)


def test_three_of_three_collect_signatures_in_the_channel(circle: Circle) -> None:
    lab, second, third = council(circle, threshold=3)
    assert not change_policy(lab, "circle", {"history": "all"}).in_force
    assert countersign(circle, second).sent
    circle.pull("third")
    assert max(only(third).proposal.missing) == 1
    assert countersign(circle, third).in_force
    circle.pull("lab")
    assert _manifest(lab).policy.history == "all"
    # What was said about it is not published again with the indicators.
    assert again(lab.home, row_of(lab), now=circle.clock()).detail == []
    assert again(second.home, row_of(second), now=circle.clock()).detail == []


def test_a_signature_is_not_asked_for_twice(circle: Circle) -> None:
    lab, second, _ = council(circle, threshold=3)
    change_policy(lab, "circle", {"history": "all"})
    twice = sign(lab, row_of(lab), only(lab).proposal)
    assert not twice.in_force
    assert max(twice.proposal.missing) == 2
    assert len(twice.proposal.signatures) == 1
    countersign(circle, second)
    assert len(sign(second, row_of(second), only(second).proposal).proposal.signatures) == 2


def test_a_policy_of_approvals_asks_a_second_owner_for_joiners_only(circle: Circle) -> None:
    lab, second, _ = council(circle, threshold=1)
    assert change_policy(lab, "circle", {"approvals": 2}).in_force
    assert change_policy(lab, "circle", {"history": "all"}).in_force
    outcome = admit(circle, lab, "provider")
    assert not outcome.in_force
    assert countersign(circle, second).in_force
    assert circle.pull("provider").standing == "member"


def test_a_proposal_goes_stale_when_another_comes_into_force(circle: Circle) -> None:
    lab, second, third = council(circle)
    change_policy(lab, "circle", {"history": "all"})
    change_policy(third, "circle", {"tlp": "TLP:RED"})
    circle.pull("second")
    mine = find(second.home, row_of(second), _id(third), circle.clock())
    sign(second, row_of(second), mine.proposal)
    circle.pull("lab")
    (left,) = standings(lab.home, row_of(lab), circle.clock())
    assert left.stale is not None
    assert "follows another manifest than version" in left.stale
    with pytest.raises(VerificationError, match="the proposal is stale: it follows another"):
        sign(lab, row_of(lab), left.proposal)
    # One command makes it anew; what came into force meanwhile stays.
    assert propose_again(lab, row_of(lab), left.proposal).sent
    assert countersign(circle, second).in_force
    policy = second.home.trusted(row_of(second)).manifest.policy
    assert (policy.history, policy.tlp) == ("all", "TLP:RED")


def test_an_owner_signs_one_draft_of_a_version(circle: Circle) -> None:
    lab, second, third = council(circle, threshold=3)
    change_policy(lab, "circle", {"history": "all"})
    change_policy(third, "circle", {"tlp": "TLP:RED"})
    circle.pull("second")
    first, other = open_ones(second.home, row_of(second), circle.clock())
    sign(second, row_of(second), first.proposal)
    with pytest.raises(ConflictError, match="signed another draft of version"):
        sign(second, row_of(second), other.proposal)
    with pytest.raises(ConflictError, match="signed another draft of version"):
        change_policy(second, "circle", {"tlp": "TLP:GREEN"})
    assert sign(second, row_of(second), other.proposal, despite=True).sent


def test_what_is_urgent_goes_before_a_proposal_that_waits(circle: Circle) -> None:
    lab, second, third = council(circle)
    waits = admit(circle, lab, "joiner").proposal
    with pytest.raises(ConflictError, match="signed another draft") as caught:
        remove(lab, "circle", third.home.member_id)
    assert f"circle {waits.id[:16]} --drop" in str(caught.value.hint)
    drop(lab.home, row_of(lab), waits, circle.clock())
    assert standings(lab.home, row_of(lab), circle.clock()) == []
    urgent = remove(lab, "circle", third.home.member_id)
    assert urgent.sent
    # The note that carries it comes back with no pull.
    circle.pull("lab")
    assert only(lab).proposal.id == urgent.proposal.id
    circle.pull("second")
    assert sign(second, row_of(second), urgent.proposal).in_force
    assert circle.pull("lab").alarms == []
    # What was set aside is found by its id, and made anew.
    found = find(lab.home, row_of(lab), waits.id[:8], circle.clock())
    assert "another manifest" in str(found.stale)
    assert propose_again(lab, row_of(lab), found.proposal).sent
    assert countersign(circle, second).in_force


def test_a_dropped_proposal_counts_again_when_it_is_signed(circle: Circle) -> None:
    lab, second, _ = council(circle, threshold=3)
    waits = change_policy(lab, "circle", {"history": "all"}).proposal
    circle.pull("second")
    drop(second.home, row_of(second), waits, circle.clock())
    assert open_ones(second.home, row_of(second), circle.clock()) == []
    assert sign(second, row_of(second), waits).sent
    assert only(second).signed


def test_a_removed_member_that_speaks_makes_the_proposal_stale(
    circle: Circle, tmp_path: Path
) -> None:
    lab, second, _ = council(circle)
    admit(circle, lab, "chatty", "publish")
    countersign(circle, second)
    chatty = circle.desks["chatty"]
    circle.pull("chatty")
    circle.publish("chatty", write_files(tmp_path)[1])
    circle.pull("lab")
    outcome = remove(lab, "circle", chatty.home.member_id)
    assert outcome.sent
    circle.publish("chatty", write_files(tmp_path)[2])
    circle.pull("second")
    (found,) = standings(second.home, row_of(second), circle.clock())
    assert "Chatty has spoken since: message" in str(found.stale)
    with pytest.raises(VerificationError, match="has spoken since"):
        sign(second, row_of(second), found.proposal)
    circle.pull("lab")
    propose_again(lab, row_of(lab), outcome.proposal)
    assert countersign(circle, second).in_force
    assert circle.pull("lab").alarms == []
    # What it had published before its final message stays; what comes after is refused.
    live = lab.home.state.objects(types=("indicator",))
    assert {row.member for row in live} == {chatty.home.member_id}
    assert circle.pull("chatty").standing == "removed"


def test_a_proposal_that_names_withheld_messages_waits(circle: Circle, tmp_path: Path) -> None:
    lab, second, _ = council(circle)
    admit(circle, lab, "chatty", "publish")
    countersign(circle, second)
    circle.pull("chatty")
    circle.publish("chatty", write_files(tmp_path)[1])
    circle.pull("lab")
    outcome = remove(lab, "circle", circle.desks["chatty"].home.member_id)
    with pytest.raises(VerificationError, match=r"messages 1 to . of Chatty have not arrived here"):
        checked(second.home.trusted(row_of(second)), outcome.proposal, circle.clock())


def test_owners_have_half_of_the_staleness_window(circle: Circle) -> None:
    lab, second, _ = council(circle)
    change_policy(lab, "circle", {"history": "all"})
    circle.clock.now += DAY // 2 + 5
    circle.pull("second")
    assert open_ones(second.home, row_of(second), circle.clock()) == []
    (found,) = standings(second.home, row_of(second), circle.clock())
    assert found.stale == "it is 5 s older than half of the staleness window"
    # What was signed for it binds nobody any more.
    assert change_policy(second, "circle", {"history": "all"}).sent


def test_a_file_serves_where_the_channel_cannot(circle: Circle) -> None:
    lab, second, third = council(circle, threshold=3)
    outcome = change_policy(lab, "circle", {"history": "all"})
    with second.home.locked():
        taken = take(second.home, row_of(second), outcome.proposal.raw, circle.clock())
    signed = sign_offline(taken.proposal, third.home.keyring.root_key())
    with second.home.locked():
        found = take(second.home, row_of(second), signed.raw, circle.clock())
    assert max(found.proposal.missing) == 1
    assert sign(second, row_of(second), found.proposal).in_force
    circle.pull("third")
    assert version(third) == version(second)


def test_a_proposal_for_another_channel_is_refused(circle: Circle, tmp_path: Path) -> None:
    lab, _, _ = council(circle)
    outcome = change_policy(lab, "circle", {"history": "all"})
    other = Circle(tmp_path / "other", MemoryHub(now=circle.clock), circle.clock)
    stranger = other.open_channel()
    try:
        with pytest.raises(VerificationError, match="for another channel"):
            take(stranger.home, row_of(stranger), outcome.proposal.raw, circle.clock())
    finally:
        other.close()


def test_who_goes_by_a_proposal_hands_its_signature_on(circle: Circle) -> None:
    lab, second, third = council(circle)
    assert remove(lab, "circle", second.home.member_id).proposal.missing == (1, 1)
    circle.pull("second")
    mine = sign(second, row_of(second), only(second).proposal)
    # Enough of the old owners, not of those who are left.
    assert mine.proposal.missing == (0, 1)
    assert "no owner after it" in str(mine.why_not)
    assert countersign(circle, third).in_force
    assert circle.pull("lab").alarms == []
    assert len(_manifest(lab).owners) == 2
    assert circle.pull("second").standing == "removed"


def test_two_owners_left_keep_a_threshold_that_they_can_meet(circle: Circle) -> None:
    lab, second, third = council(circle, threshold=3)
    remove(lab, "circle", second.home.member_id)
    countersign(circle, third)
    circle.pull("second")
    last = sign(second, row_of(second), only(second).proposal)
    with lab.home.locked():
        take(lab.home, row_of(lab), last.proposal.raw, circle.clock())
    sign(lab, row_of(lab), last.proposal)
    manifest = lab.home.trusted(row_of(lab)).manifest
    assert (len(manifest.owners), manifest.threshold) == (2, 2)


def test_an_owner_that_goes_on_as_a_member_changes_its_card(circle: Circle) -> None:
    lab, second, third = council(circle)
    with pytest.raises(ConflictError, match="must change to a new card first"):
        remove_owner(lab, "circle", second.home.member_id)
    renew(second, "circle", new_card=True)
    assert not remove_owner(lab, "circle", second.home.member_id, threshold=2).in_force
    assert countersign(circle, third).in_force
    assert circle.pull("second").standing == "member"
    with pytest.raises(AccessError, match="only an owner"):
        change_policy(second, "circle", {"history": "all"})
    circle.pull("lab")
    with pytest.raises(ConflictError, match="no owner"):
        remove_owner(lab, "circle", second.home.member_id)


def test_thresholds_are_bounded(circle: Circle) -> None:
    lab, _, _ = council(circle)
    for wrong in (0, 4):
        with pytest.raises(InputError, match="from 1 to the number of owners, 3"):
            set_threshold(lab, "circle", wrong)
    with pytest.raises(ConflictError, match="2 owners sign already"):
        set_threshold(lab, "circle", 2)


def test_a_rising_threshold_needs_the_new_number_too(circle: Circle) -> None:
    lab, second, third = council(circle)
    outcome = set_threshold(lab, "circle", 3)
    assert outcome.proposal.missing == (1, 2)
    assert countersign(circle, second).sent
    circle.pull("third")
    assert countersign(circle, third).in_force


def test_renewal_proposes_what_others_must_sign_once(circle: Circle) -> None:
    lab, second, third = council(circle)
    renew(third, "circle", new_card=True)
    said = renew(lab, "circle", force=True).done
    assert any(each.startswith("proposed manifest") for each in said)
    assert any("waits for owners" in each for each in renew(lab, "circle", force=True).done)
    assert any("waits for owners" in each for each in renew(second, "circle", force=True).done)
    assert countersign(circle, second).in_force
    assert circle.pull("third").alarms == []
    card = third.home.trusted(row_of(third)).cards[third.home.member_id]
    assert card.number == 2
    # The owner whose card changed can go on.
    assert change_policy(third, "circle", {"tlp": "TLP:RED"}).sent


def test_an_owner_whose_own_key_ends_hands_its_signature_on(circle: Circle) -> None:
    lab, second, third = council(circle, threshold=3)
    renew(third, "circle", new_card=True)
    renew(lab, "circle", force=True)
    circle.pull("third")
    mine = sign(third, row_of(third), only(third).proposal)
    assert not mine.sent
    assert "ends this owner's own key" in str(mine.why_not)
    circle.pull("second")
    with second.home.locked():
        take(second.home, row_of(second), mine.proposal.raw, circle.clock())
    assert sign(second, row_of(second), mine.proposal).in_force
    assert circle.pull("third").alarms == []


def test_insiders_add_no_signature(circle: Circle) -> None:
    lab, second, third = council(circle, threshold=3)
    admit(circle, lab, "insider", "publish")
    countersign(circle, second)
    countersign(circle, third)
    insider = circle.desks["insider"]
    circle.pull("insider")
    circle.pull("lab")
    outcome = change_policy(lab, "circle", {"history": "all"})
    root = insider.home.keyring.root_key()
    with pytest.raises(VerificationError, match="somebody who is no owner"):
        outcome.proposal.signed_by(root)
    trusted = insider.home.trusted(row_of(insider))
    forged = Countersignature(
        trusted.channel, outcome.proposal.id, root.public, root.sign(b"anything")
    )
    made = note_of(
        insider.home, trusted, COUNTERSIGNATURE_LABEL, forged.to_bytes().decode(), circle.clock()
    )
    channel = row_of(insider)
    seal_objects(insider, channel, {Audience.DETAIL: [made]}, role=Role.PUBLISH)
    flush(insider, channel)
    circle.pull("second")
    assert max(only(second).proposal.missing) == 2
    with pytest.raises(AccessError, match="only an owner"):
        sign(insider, row_of(insider), outcome.proposal)


def test_an_insider_does_not_bury_a_signature_under_many(circle: Circle) -> None:
    lab, second, third = council(circle, threshold=3)
    outcome = change_policy(lab, "circle", {"history": "all"})
    circle.pull("third")
    trusted = third.home.trusted(row_of(third))
    root = third.home.keyring.root_key()
    # One who may sign sends a flood of signatures that do not hold.
    forged = [
        Countersignature(trusted.channel, outcome.proposal.id, root.public, bytes([n]) * 3373)
        for n in range(100)
    ]
    notes = [
        note_of(third.home, trusted, COUNTERSIGNATURE_LABEL, each.to_bytes().decode(), at)
        for at, each in enumerate(forged, circle.clock())
    ]
    seal_objects(third, row_of(third), {Audience.DETAIL: notes}, role=Role.PUBLISH)
    flush(third, row_of(third))
    countersign(circle, second)
    circle.pull("lab")
    assert max(only(lab).proposal.missing) == 1
    # Its true signature still counts, in the file or as its newest note.
    circle.clock.now += 200
    assert countersign(circle, third).in_force


def test_a_stolen_key_is_cut_before_what_the_thief_said(circle: Circle, tmp_path: Path) -> None:
    lab, second, third = council(circle)
    admit(circle, lab, "robbed", "publish")
    countersign(circle, second)
    robbed = circle.desks["robbed"]
    circle.pull("robbed")
    circle.publish("robbed", write_files(tmp_path)[1])
    circle.publish("robbed", write_files(tmp_path)[2])
    for name in ("lab", "third"):
        circle.pull(name)
    with pytest.raises(InputError, match="last message is"):
        remove(lab, "circle", robbed.home.member_id, after=99)
    outcome = remove(lab, "circle", robbed.home.member_id, after=2)
    assert outcome.proposal.cuts
    assert countersign(circle, second).in_force
    # Who took what the thief said is told.
    (told,) = [each for each in circle.pull("third").alarms if "after the final one, 2" in each]
    assert "Robbed, key " in told
    assert third.home.trusted(row_of(third)).manifest.member(robbed.home.member_id) is None


def test_a_proposal_is_found_by_the_beginning_of_its_id(circle: Circle) -> None:
    lab, _, _ = council(circle)
    outcome = change_policy(lab, "circle", {"history": "all"})
    with pytest.raises(InputError, match="no proposal of this id"):
        find(lab.home, row_of(lab), "abcd", circle.clock())
    with pytest.raises(ConflictError, match="still stands"):
        propose_again(lab, row_of(lab), outcome.proposal)
    assert find(lab.home, row_of(lab), outcome.proposal.id[:8], circle.clock()).signed


def test_what_no_signature_could_save_is_not_proposed(circle: Circle) -> None:
    lab, second, _ = council(circle)
    with pytest.raises(ConflictError, match="the policy is so already"):
        change_policy(lab, "circle", {"history": "none"})
    with pytest.raises(InputError):
        change_policy(lab, "circle", {"rotation": 1})
    rows = [r for r in _manifest(lab).members if r.root != second.home.keyring.root_id]
    with pytest.raises(VerificationError, match="not among the removed"):
        change(lab, Wanted(reason="drop", members=rows))


def _manifest(desk: Desk) -> Manifest:
    return desk.home.trusted(row_of(desk)).manifest


def _id(desk: Desk) -> str:
    (mine,) = [each for each in open_ones(desk.home, row_of(desk), desk.clock()) if each.signed]
    return mine.proposal.id


def _notes(circle: Circle, name: str) -> list[str]:
    return health(circle.desks[name].home, now=circle.clock()).channels[0].notes
