"""A hub that lies is found out at the next pull, with a proof that anybody verifies.

Members' commands and the hub are processes of their own. Each test takes a copy of the provider's
home, lies to it, and verifies the proof file in an empty folder without any home.
"""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hub.channel.carriage import to_artifact
from hub.channel.primitives.hash import sha256
from hub.cli.exits import ALARM, ATTENTION, OK
from tests.faults.ghosts import ghost_manifest, newest_manifest, swapped_card, with_ghost_wraps
from tests.faults.lying_hub import digests_of
from tests.faults.lying_stage import Stage, stage


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with stage(tmp_path_factory.mktemp("liar")) as made:
        yield made


def pulled(scene: Stage, home: Path, code: int = OK) -> Any:
    """Pull `circle` in a process."""
    done, document = scene.command(home, "pull", "circle")
    assert done == code, document
    (channel,) = document["channels"]
    return channel


def elsewhere(scene: Stage, home: Path, empty: Path) -> tuple[int, Any]:
    """Verify the proof files of a home in a folder that holds nothing else."""
    files = sorted((home / "proofs").glob("*.json"))
    assert files
    for file in files:
        assert file.stat().st_mode & 0o777 == 0o600
        shutil.copy(file, empty)
    names = [file.name for file in files]
    return scene.command(empty / "nobody", "channel", "audit", "--verify", *names)


def verdicts(scene: Stage, home: Path, empty: Path, code: int) -> Any:
    """What each proof file of a home proves to somebody else."""
    done, document = elsewhere(scene, home, empty)
    assert done == code, document
    return document["files"]


def verdict(scene: Stage, home: Path, empty: Path, code: int) -> Any:
    """Of a home with one proof file."""
    (found,) = verdicts(scene, home, empty, code)
    return found


def test_a_dropped_message_is_missed(scene: Stage, tmp_path: Path) -> None:
    home = scene.victim()
    (lost,) = scene.publish()
    with scene.lying() as lies:
        lies.hidden = {lost.digest}
        found = pulled(scene, home, ALARM)
        assert any("withheld" in each and lost.digest[:16] in each for each in found["alarms"])
        finding = verdict(scene, home, tmp_path, ATTENTION)
        assert finding["kind"] == "withheld"
        assert any(lost.digest[:16] in said for said in finding["proven"])
        assert "did not deliver" in finding["claimed"][0]
    # What was withheld and comes after all is taken like any other.
    assert pulled(scene, home)["objects"]["indicator"] == 1


def test_delay_is_seen_while_it_lasts_and_is_no_alarm_when_it_ends(scene: Stage) -> None:
    home = scene.victim()
    known = scene.leaves()
    (late,) = scene.publish()
    with scene.lying() as lies:
        # The whole hub seems to stand still, in its log too.
        lies.hidden, lies.log = {late.digest}, scene.forged_log(known, int(time.time()) - 60)
        assert pulled(scene, home)["messages"] == 0
        done, view = scene.command(home, "channel", "log", "circle")
        assert (done, view["size"]) == (OK, len(known))
        lies.release()
        lies.log = None
        found = pulled(scene, home)
    assert (found["messages"], found["alarms"], found["waiting"]) == (1, [], 0)
    assert not (home / "proofs").exists()


def test_without_a_log_what_follows_tells_of_a_delay(scene: Stage, tmp_path: Path) -> None:
    scene.open_channel("plain", "--no-log")
    scene.admit("plain", "provider", "report")
    home = scene.victim()
    late, after = (scene.publish(channel="plain")[-1] for _ in range(2))
    with scene.lying() as lies:
        lies.hidden = {late.digest}
        done, document = scene.command(home, "pull", "plain")
        assert (done, document["channels"][0]["waiting"]) == (OK, 1)
        done, document = scene.command(home, "channel", "audit", "plain")
        assert done == ATTENTION
        assert [each["kind"] for each in document["problems"]] == ["waiting"]
        finding = verdict(scene, home, tmp_path, ATTENTION)
        assert (finding["accused"]["party"], finding["kind"]) == ("server", "withheld")
        assert after.header.prev is not None
        assert any(after.header.prev[:16] in said for said in finding["proven"])
        lies.release()
        done, document = scene.command(home, "pull", "plain")
    (channel,) = document["channels"]
    assert (channel["alarms"], channel["waiting"]) == ([], 0)


def test_reordered_and_replayed_messages_change_nothing(scene: Stage) -> None:
    home = scene.victim()
    old = scene.objects()
    sent = [*scene.publish(), *scene.publish()]
    with scene.lying() as lies:
        lies.arrange = lambda objects: objects[::-1]
        lies.always = old
        found = pulled(scene, home)
    assert (found["objects"]["indicator"], found["messages"]) == (2, len(sent))
    assert found["alarms"] == []
    assert not (home / "proofs").exists()


def test_a_message_replayed_into_another_channel_is_refused(scene: Stage, tmp_path: Path) -> None:
    scene.open_channel("other", "--no-log")
    scene.admit("other", "provider", "report")
    home = scene.victim()
    foreign = scene.publish(channel="other")[-1]
    with scene.lying() as lies:
        lies.always = [scene.objects("other")[-1]]
        found = pulled(scene, home, ALARM)
    assert any("another channel" in each for each in found["alarms"])
    finding = verdict(scene, home, tmp_path, ATTENTION)
    assert finding["kind"] == "forged"
    assert any(foreign.digest[:16] in said for said in finding["proven"])


def test_a_log_that_is_rolled_back_convicts_itself(scene: Stage, tmp_path: Path) -> None:
    home = scene.victim()
    with scene.lying() as lies:
        pulled(scene, home)
        # It signs again what it signed long ago, as a restored back-up would.
        lies.log = scene.forged_log(scene.leaves()[:-2], int(time.time()) + 60)
        found = pulled(scene, home, ALARM)
    assert any("rollback" in each for each in found["alarms"])
    finding = verdict(scene, home, tmp_path, OK)
    assert (finding["kind"], finding["accused"]["party"]) == ("rollback", "log")
    assert finding["claimed"] == []


def test_two_views_are_found_by_what_members_cite(scene: Stage, tmp_path: Path) -> None:
    home = scene.victim()
    known = scene.leaves()
    (hidden,) = scene.publish()
    scene.run("partner", "pull")
    with scene.lying() as lies:
        # For this member the message never was: the log that it is shown has no place for it.
        said = scene.publish("partner")[-1]
        lies.hidden = {hidden.digest}
        shown = [*known, *digests_of(scene.objects())[len(known) + 1 :]]
        lies.log = scene.forged_log(shown)
        found = pulled(scene, home, ALARM)
    assert said.header.cp is not None
    assert any("split-view" in each for each in found["alarms"])
    finding = verdict(scene, home, tmp_path, OK)
    assert (finding["kind"], finding["claimed"]) == ("split-view", [])


def test_a_hole_in_the_log_convicts_the_hub(scene: Stage, tmp_path: Path) -> None:
    home = scene.victim()
    (gone,), (after,) = scene.publish(), scene.publish()
    with scene.lying() as lies:
        lies.hidden = {gone.digest}
        whole = scene.leaves()
        lies.log = scene.forged_log([each for each in whole if each.hex() != gone.digest])
        found = pulled(scene, home, ALARM)
    assert any("gap" in each and after.digest[:16] in each for each in found["alarms"])
    finding = verdict(scene, home, tmp_path, ATTENTION)
    assert finding["kind"] == "gap"
    assert "does hold the one that follows" in finding["proven"][-1]


def test_a_ghost_in_a_forged_manifest_is_refused(scene: Stage, tmp_path: Path) -> None:
    home = scene.victim()
    ghost = ghost_manifest(newest_manifest(scene.objects()))
    with scene.lying() as lies:
        lies.always = [to_artifact(ghost)]
        lies.log = scene.forged_log([*scene.leaves(), sha256(ghost)])
        found = pulled(scene, home, ALARM)
    assert any("owners" in each for each in found["alarms"])
    done, document = scene.command(home, "channel", "members", "circle")
    assert (done, len(document["members"])) == (OK, 3)
    # That it was delivered is this member's word; that the log holds it is not.
    findings = verdicts(scene, home, tmp_path, ATTENTION)
    assert {(each["kind"], bool(each["claimed"])) for each in findings} == {
        ("forged", True),
        ("forged", False),
    }


def test_a_ghost_among_the_wraps_of_an_epoch_is_refused(scene: Stage, tmp_path: Path) -> None:
    home = scene.victim()
    scene.run("lab", "channel", "renew", "circle")
    with scene.lying() as lies:
        lies.arrange = with_ghost_wraps
        found = pulled(scene, home, ALARM)
    assert any("signature is not valid" in each for each in found["alarms"])
    finding = verdict(scene, home, tmp_path, ATTENTION)
    assert (finding["kind"], finding["accused"]["party"]) == ("forged", "server")


def test_a_card_swapped_in_a_join_is_not_let_in(scene: Stage) -> None:
    scene.account("newcomer")
    words = scene.invite("circle", "newcomer", "read")
    with scene.lying("lab") as lies:
        lies.inbox = swapped_card
        lab = scene.victim("lab")
        # Without the invitation's secret, it does not even come to the comparing of words.
        for trust in (("--words", words), ("--yes-words-match",)):
            done, said = scene.command(lab, "channel", "approve", "circle", *trust)
            assert done != OK
            assert "not made with the invitation's secret, or its card was swapped" in said
    done, document = scene.command(lab, "channel", "members", "circle")
    assert (done, len(document["members"])) == (OK, 3)


@pytest.mark.drill
@pytest.mark.timeout(1800)
def test_random_lies_are_found_out_and_random_delays_are_not_held_against_the_hub(
    scene: Stage, tmp_path: Path
) -> None:
    spread = random.Random(4)
    for number in range(24):
        home, known = scene.victim(), scene.leaves()
        sent = [*scene.publish(), *scene.publish()]
        lie = spread.choice(("none", "shuffle", "late", "drop", "cut", "swap"))
        chosen = spread.choice(sent)
        with scene.lying() as lies:
            if lie == "shuffle":
                lies.arrange = lambda objects: spread.sample(objects, len(objects))
            elif lie == "late":
                lies.hidden, lies.log = {each.digest for each in sent}, scene.forged_log(known)
                assert pulled(scene, home)["alarms"] == []
                lies.release()
                lies.log = None
            elif lie == "drop":
                lies.hidden = {chosen.digest}
            elif lie == "cut":
                pulled(scene, home)
                cut = spread.randrange(1, len(known))
                lies.log = scene.forged_log(known[:cut], int(time.time()) + 60)
            elif lie == "swap":
                leaves = scene.leaves()
                leaves[spread.randrange(len(known))] = sha256(b"never said")
                lies.log = scene.forged_log(leaves)
            honest = lie in ("none", "shuffle", "late")
            found = pulled(scene, home, OK if honest else ALARM)
        assert bool(found["alarms"]) != honest, (number, lie, found)
        assert (home / "proofs").exists() != honest, (number, lie)
        if not honest:
            empty = tmp_path / str(number)
            empty.mkdir()
            done, document = elsewhere(scene, home, empty)
            assert done in (OK, ATTENTION), (number, lie, document)
