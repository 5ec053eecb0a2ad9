"""The log of a channel on each pull: an honest hub raises nothing, a lying one its own alarm."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

from hub.channel.carriage import artifact_id, from_artifact
from hub.channel.header import parse_message
from hub.channel.ledger import CLOCK_SKEW
from hub.channel.log.checkpoint import parse_checkpoint
from hub.channel.log.note import KeyType, VerifierKey
from hub.channel.log.tree import Frontier, leaf_hash, root_of
from hub.channel.manifest import Policy
from hub.channel.notices import Deleted
from hub.channel.primitives.sign import NotePrivate
from hub.channel.seal import seal_tombstone
from hub.client.health import ALARM, health
from hub.client.log_pin import LogChoice, accept, view
from hub.client.log_state import MARK_EVERY, LogState
from hub.client.membership import create
from hub.client.state import MAX_OPEN_ALARMS
from hub.client.transparency import MAX_TOLD
from hub.client.work import Sealed, flush
from hub.errors import AccessError, ConflictError, InputError, TransportError
from hub.model.codec import Json
from tests.unit.client.circle import Circle, write_files
from tests.unit.client.memory_hub import C1, MemoryLog

Rows = list[tuple[str, Json]]
WITNESS = NotePrivate(b"key of the first witness, 32 b..")
OTHER = NotePrivate(b"key of another witness, 32 b....")


@pytest.fixture
def logged(circle: Circle, tmp_path: Path) -> Circle:
    """A lab and a provider who have both verified the log, and messages for the provider."""
    circle.hub.logged = True
    circle.open_channel()
    circle.admit("provider", "publish")
    circle.pull("lab")
    files = write_files(tmp_path)
    circle.publish("lab", files[0])
    circle.pull("provider")
    circle.clock.now += 60
    circle.publish("lab", files[1])
    return circle


def _tree(circle: Circle, name: str) -> int:
    home = circle.desks[name].home
    return view(home, home.state.channel("circle")).size or 0


def _cited(circle: Circle) -> list[str | None]:
    rows = circle.hub.collections[C1].rows
    return [parse_message(from_artifact(body)).header.cp for _, body in rows]


def _hide(circle: Circle, *digests: bytes) -> None:
    ids = {artifact_id(each.hex()) for each in digests}
    circle.hub.rewrite = lambda rows: [row for row in rows if row[1]["id"] not in ids]
    circle.hub.keeps_back = ids.__contains__


def _only(circle: Circle, name: str, change: Callable[[list[bytes]], list[bytes]]) -> None:
    """Another log for one account."""
    circle.hub.log.show = lambda account, digests: (
        change(digests) if account == f"token-of-{name}" else digests
    )


def _proofs(circle: Circle, name: str) -> list[str]:
    folder = circle.desks[name].home.path / "proofs"
    return sorted(path.name.split("-", 1)[1].rsplit("-", 1)[0] for path in folder.glob("*.json"))


def test_an_honest_log_is_verified_and_cited(logged: Circle) -> None:
    result = logged.pull("provider")
    assert result.alarms == []
    size = len(logged.hub.log.digests)
    assert _tree(logged, "provider") == size == len(logged.hub.collections[C1].rows)
    home = logged.desks["provider"].home
    found = view(home, home.state.channel("circle"))
    assert found.origin == logged.hub.log.origin
    assert (found.missing, found.quorum) == (0, 0)
    assert [each["member"] for each in found.cited] == [logged.desks["lab"].home.member_id]
    last = _cited(logged)[-1]
    assert last is not None
    assert 0 < parse_checkpoint(last).checkpoint.size < size
    # What is new alone is fetched, and nothing when nothing is new.
    logged.hub.requests.clear()
    assert logged.pull("provider").alarms == []
    assert logged.hub.requests.count("checkpoint") == 1
    assert "entries" not in logged.hub.requests


def test_without_a_log_nothing_is_asked(circle: Circle, tmp_path: Path) -> None:
    circle.hub.logged = True
    circle.open_channel(log=LogChoice(wanted=False))
    circle.admit("provider", "read")
    circle.hub.requests.clear()
    circle.publish("lab", *write_files(tmp_path))
    assert circle.pull("provider").alarms == []
    assert "checkpoint" not in circle.hub.requests
    assert set(_cited(circle)) == {None}
    home = circle.desks["provider"].home
    assert view(home, home.state.channel("circle")).origin is None


def test_a_smaller_log_is_a_rollback(logged: Circle) -> None:
    size = len(logged.hub.log.digests)
    logged.pull("provider")
    _only(logged, "provider", lambda digests: digests[:-1])
    logged.clock.now += 60
    (alarm,) = logged.pull("provider").alarms
    text = f"circle: rollback: the hub's log had {size} entries, and now shows {size - 1}"
    assert alarm.startswith(text)
    assert "; proof: " in alarm
    assert _proofs(logged, "provider") == ["rollback"]
    assert logged.pull("provider").alarms == []
    home = logged.desks["provider"].home
    assert health(home, now=logged.clock()).level == ALARM
    assert [each.text for each in home.state.alarms()] == [text]


def test_two_trees_of_one_size_are_a_split_view(logged: Circle) -> None:
    logged.pull("provider")
    size = len(logged.hub.log.digests)
    _only(logged, "provider", lambda digests: [*digests[:-2], digests[-1], digests[-2]])
    (alarm,) = logged.pull("provider").alarms
    assert alarm.startswith(f"circle: split-view: the log signed two trees of {size} entries; ")
    assert _proofs(logged, "provider") == ["split-view"]
    assert _tree(logged, "provider") == size


def test_a_tree_that_does_not_continue_is_a_split_view(logged: Circle) -> None:
    known, size = _tree(logged, "provider"), len(logged.hub.log.digests)
    _only(logged, "provider", lambda digests: [digests[1], digests[0], *digests[2:]])
    (alarm,) = logged.pull("provider").alarms
    text = f"the log of {size} entries does not continue the verified one of {known}"
    assert alarm.startswith(f"circle: split-view: {text}; proof: ")
    assert _proofs(logged, "provider") == ["split-view"]


def test_a_cited_tree_shows_a_split_view(logged: Circle, tmp_path: Path) -> None:
    """A joiner is shown another order from the first; what the lab cites gives it away."""
    _only(logged, "liaison", lambda digests: [digests[1], digests[0], *digests[2:]])
    logged.admit("liaison", "liaison")
    lab = logged.desks["lab"].home.member_id
    alarms = [each.text for each in logged.desks["liaison"].home.state.alarms()]
    assert f"circle: split-view: {lab} was shown another log of" in alarms[0]
    assert "split-view" in _proofs(logged, "liaison")


def test_a_frozen_log_is_found_by_what_is_cited(logged: Circle, tmp_path: Path) -> None:
    logged.pull("provider")
    size = len(logged.hub.log.digests)
    frozen = list(logged.hub.log.digests)
    _only(logged, "provider", lambda digests: frozen)
    for number in (1, 2):
        logged.clock.now += 60
        path = tmp_path / f"more-{number}.csv"
        path.write_text(f"address,campaign\n198.51.100.{number},LANTERN\n")
        logged.publish("lab", path)
        logged.pull("lab")
    assert logged.pull("provider").alarms == []
    alarms = logged.pull("provider").alarms
    lab = logged.desks["lab"].home.member_id
    cited = f"circle: rollback: {lab} cites a log of {size + 1} entries, the hub shows {size}"
    assert any(each.startswith(cited) for each in alarms)
    missing = [each.hex()[:16] for each in logged.hub.log.digests[size:]]
    for each in missing:
        text = f"circle: unlisted: the hub has shown message {each}, and its log does not have it"
        assert any(alarm.startswith(text) for alarm in alarms)
    assert len(alarms) == 3


def test_a_message_that_no_page_brings_is_withheld(logged: Circle) -> None:
    digests = logged.hub.log.digests
    _hide(logged, digests[-1])
    (alarm,) = logged.pull("provider").alarms
    position = len(digests) - 1
    text = f"the log has message {digests[-1].hex()[:16]} as entry {position}, which is not shown"
    assert alarm.startswith(f"circle: withheld: {text}; proof: ")
    assert _proofs(logged, "provider") == ["withheld"]
    home = logged.desks["provider"].home
    assert view(home, home.state.channel("circle")).missing == 1
    # It is told once, asked for on every pull, and taken when it comes after all.
    assert logged.pull("provider").alarms == []
    logged.hub.keeps_back = lambda object_id: False
    assert logged.pull("provider").messages == 1
    assert view(home, home.state.channel("circle")).missing == 0


def test_what_pages_leave_out_is_asked_for(logged: Circle) -> None:
    _hide(logged, logged.hub.log.digests[-1])
    logged.hub.keeps_back = lambda object_id: False
    result = logged.pull("provider")
    assert (result.alarms, result.waiting) == ([], 0)
    assert sum(result.objects.values()) > 0


def test_other_entries_than_the_signed_ones_are_withheld(logged: Circle) -> None:
    known, size = _tree(logged, "provider"), len(logged.hub.log.digests)
    logged.hub.log.give = lambda entries: [b"\x07" * 32 for _ in entries]
    (alarm,) = logged.pull("provider").alarms
    text = f"the hub shows other entries {known} to {size} than its log has"
    assert alarm.startswith(f"circle: withheld: {text}; proof: ")
    logged.hub.log.give = lambda entries: entries[:0]
    (alarm,) = logged.pull("provider").alarms
    text = f"the hub signs a log of {size} entries, and shows {known} of them"
    assert alarm.startswith(f"circle: withheld: {text}; proof: ")


def test_a_message_outside_of_the_log_is_unlisted_by_the_next_pull(logged: Circle) -> None:
    gone = logged.hub.log.digests.pop()
    assert logged.pull("provider").alarms == []
    (alarm,) = logged.pull("provider").alarms
    text = f"the hub has shown message {gone.hex()[:16]}, and its log does not have it"
    assert alarm.startswith(f"circle: unlisted: {text}")
    # Its author, whom the hub told that it holds it, finds the same.
    (alarm,) = logged.pull("lab").alarms
    assert alarm.startswith(f"circle: unlisted: {text}")


def test_what_a_log_lacks_in_bulk_is_told_in_sum(logged: Circle) -> None:
    provider = logged.desks["provider"].home
    channel_id = provider.state.channel("circle").channel_id
    strange = [bytes([number]) * 32 for number in range(MAX_TOLD + 5)]
    LogState(provider.state, channel_id).note_given(strange, 0)
    alarms = logged.pull("provider").alarms
    assert len(alarms) == MAX_TOLD + 1
    assert f"{len(strange)} messages that its log does not have" in alarms[-1]


def test_a_flood_of_broken_messages_does_not_drown_the_hubs_rollback(logged: Circle) -> None:
    provider = logged.desks["provider"].home
    logged.pull("provider")
    for number in range(MAX_OPEN_ALARMS + 1):
        provider.state.raise_alarm(None, f"{number:064x}", "a broken message", logged.clock())
    _only(logged, "provider", lambda digests: digests[:-1])
    (alarm,) = logged.pull("provider").alarms
    assert alarm.startswith("circle: rollback: ")


@pytest.mark.parametrize(
    ("sign", "text"),
    [
        (lambda log, note: None, "the hub shows no log, and the manifest names one"),
        (lambda log, note: "no note", "no note: text, a blank line and signatures are expected"),
        (lambda log, note: note.replace("\n— ", "\n— x", 1), "not signed by the expected key"),
        (
            lambda log, note: dataclasses.replace(log, private=OTHER).note(log.digests, 0),
            "not signed by the expected key",
        ),
        (
            lambda log, note: dataclasses.replace(log, origin="hub.example/new").note([], 0),
            "the checkpoint is of another log",
        ),
        (
            lambda log, note: log.note(log.digests, 1_990_000_000),
            "s in the future; compare the clocks",
        ),
        (
            lambda log, note: note.replace("\ntime 1", "\ntime 2", 1),
            "the Ed25519 signature is not valid",
        ),
    ],
)
def test_a_checkpoint_that_proves_nothing(
    logged: Circle, sign: Callable[[MemoryLog, str], str | None], text: str
) -> None:
    logged.hub.log.sign = lambda account, note: sign(logged.hub.log, note)
    known = _tree(logged, "provider")
    (alarm,) = logged.pull("provider").alarms
    assert alarm.startswith("circle: bad-checkpoint: ")
    assert text in alarm
    assert _tree(logged, "provider") == known
    assert logged.pull("provider").alarms == []
    logged.clock.now += 86_400
    assert len(logged.pull("provider").alarms) == 1


def test_an_old_checkpoint_is_stale(logged: Circle) -> None:
    old = logged.hub.log.note(logged.hub.log.digests, logged.clock())
    logged.hub.log.sign = lambda account, note: old
    logged.clock.now += Policy().staleness + CLOCK_SKEW
    assert logged.pull("provider").alarms == []
    logged.clock.now += 1
    stale, unlisted = logged.pull("provider").alarms
    assert stale.startswith("circle: stale-checkpoint: the newest checkpoint of the hub is 87001 s")
    # The provider's own heartbeat of the pull before.
    assert unlisted.startswith("circle: unlisted: ")
    assert _proofs(logged, "provider") == ["stale-checkpoint", "unlisted"]


def test_witnesses_must_cosign(circle: Circle, tmp_path: Path) -> None:
    circle.hub.logged = True
    names = {"witness.example/w1": WITNESS, "witness.example/w2": OTHER}
    circle.hub.log.witnesses = dict(names)
    keys = [VerifierKey(n, KeyType.WITNESS, k.public).text for n, k in names.items()]
    circle.open_channel(log=LogChoice(witnesses=keys, quorum=2))
    circle.admit("provider", "read")
    circle.publish("lab", *write_files(tmp_path))
    assert circle.pull("provider").alarms == []
    home = circle.desks["provider"].home
    found = view(home, home.state.channel("circle"))
    assert (found.quorum, found.cosigned) == (2, dict.fromkeys(names, circle.clock()))
    del circle.hub.log.witnesses["witness.example/w1"]
    (alarm,) = circle.pull("provider").alarms
    text = "1 of 2 needed witnesses cosigned the checkpoint"
    assert alarm == f"circle: no-quorum: {text}"
    circle.hub.log.witnesses["witness.example/w1"] = NotePrivate(b"0" * 32)
    circle.clock.now += 86_400
    alarms = circle.pull("provider").alarms
    assert any(each == f"circle: no-quorum: {text}" for each in alarms)


def test_owners_stop_requiring_a_witness_that_is_gone(circle: Circle, tmp_path: Path) -> None:
    circle.hub.logged = True
    circle.hub.log.witnesses = {"witness.example/w1": WITNESS}
    key = VerifierKey("witness.example/w1", KeyType.WITNESS, WITNESS.public).text
    lab = circle.open_channel(log=LogChoice(witnesses=[key]))
    circle.admit("provider", "report")
    circle.hub.log.witnesses.clear()
    assert any("no-quorum" in each for each in circle.pull("provider").alarms)
    with pytest.raises(ConflictError, match="1 of 1 witnesses") as caught:
        accept(lab, "circle")
    assert "--no-witness" in (caught.value.hint or "")
    assert accept(lab, "circle", LogChoice()).in_force
    found = view(lab.home, lab.home.state.channel("circle"))
    assert (found.quorum, found.cosigned) == (0, {})
    assert found.origin is not None
    circle.clock.now += 2 * 86_400
    assert circle.pull("provider").alarms == []
    with pytest.raises(ConflictError, match="no witness"):
        accept(lab, "circle", LogChoice())


def test_a_deleted_message_is_not_withheld(logged: Circle) -> None:
    lab = logged.desks["lab"]
    channel = lab.home.state.channel("circle")
    digest = logged.hub.log.digests[-1]
    message = lab.home.state.message(channel.channel_id, digest.hex())
    assert message is not None
    assert message.publisher is not None
    assert message.seq is not None
    sealed = Sealed(lab.home, channel, lab.home.trusted(channel), logged.clock())
    gone = Deleted(message.publisher, message.seq, digest.hex())
    signing = lab.home.keyring.current.signing
    raw = seal_tombstone(sealed.trusted, signing, [gone], reason="error", now=logged.clock())
    sealed.add(raw)
    sealed.store()
    flush(lab, channel)
    lab.collection_of(channel).delete(artifact_id(digest.hex()))
    assert logged.pull("provider").alarms == []
    logged.admit("later", "read")
    assert logged.desks["later"].home.state.alarms() == []


def test_owners_accept_the_log_of_a_restored_hub(logged: Circle) -> None:
    logged.hub.log.origin = "hub.example/stillwatch/c1/00000000000000e2"
    (alarm,) = logged.pull("provider").alarms
    assert "the checkpoint is of another log" in alarm
    with pytest.raises(AccessError, match="only an owner"):
        accept(logged.desks["provider"], "circle")
    assert accept(logged.desks["lab"], "circle").in_force
    with pytest.raises(ConflictError, match="names this log already"):
        accept(logged.desks["lab"], "circle")
    assert logged.pull("provider").alarms == []
    assert _tree(logged, "provider") == len(logged.hub.log.digests)
    assert logged.pull("lab").alarms == []
    assert logged.pull("provider").alarms == []


def test_what_a_restored_hub_lost_is_not_asked_of_its_new_log(logged: Circle) -> None:
    logged.pull("provider")
    lost = logged.hub.log.digests.pop()
    logged.hub.collections[C1].rows.pop()
    logged.hub.log.origin = "hub.example/stillwatch/c1/00000000000000e2"
    # Given before the restore, and still waited for.
    rows = LogState(logged.desks["provider"].home.state, _channel_id(logged))
    rows.note_given([lost], 1)
    assert accept(logged.desks["lab"], "circle").in_force
    assert logged.pull("provider").alarms == []
    assert logged.pull("provider").alarms == []


def _channel_id(circle: Circle) -> str:
    return circle.desks["provider"].home.state.channel("circle").channel_id


def test_a_choice_that_no_log_fits(circle: Circle) -> None:
    with pytest.raises(ConflictError, match="there is none for this channel"):
        circle.open_channel(log=LogChoice(witnesses=["w"]))
    circle.hub.logged = True
    lab, account = circle.desks["lab"], circle.account("lab")
    for choice, text in (
        (LogChoice(witnesses=["w"]), "not a verifier key"),
        (LogChoice(quorum=1), "a quorum of no witnesses"),
        (LogChoice(witnesses=[circle.hub.log.offer.verifier_key]), "Ed25519 key of a witness"),
    ):
        with pytest.raises(InputError, match=text):
            create(lab, "circle", account, C1, Policy(), choice)
    key = VerifierKey("witness.example", KeyType.WITNESS, WITNESS.public).text
    with pytest.raises(InputError, match="an integer from 1 to 1"):
        create(lab, "circle", account, C1, Policy(), LogChoice(witnesses=[key], quorum=2))


def test_a_joiner_that_is_approved_meanwhile_raises_nothing(logged: Circle) -> None:
    """The checkpoint was denied a moment before the messages were shown."""
    logged.hub.log.sign = lambda account, note: None if account == "token-of-late" else note
    logged.admit("late", "read")
    assert logged.desks["late"].home.state.alarms() == []
    (alarm,) = logged.pull("late").alarms
    assert alarm.startswith("circle: bad-checkpoint: the hub shows no log")


def test_a_hub_that_fails_is_no_liar(logged: Circle) -> None:
    def fail(request: str) -> None:
        if request == "checkpoint":
            raise TransportError("the hub answered 503")

    logged.hub.fail = fail
    result = logged.pull("provider")
    assert result.problem is not None
    assert result.alarms == []
    logged.hub.fail = lambda request: None
    assert logged.pull("provider").alarms == []


def test_roots_of_earlier_sizes_come_from_marks(logged: Circle) -> None:
    """Compared with trees that are hashed from their beginning."""
    rows = LogState(logged.desks["lab"].home.state, "c" * 64)
    digests = [number.to_bytes(32, "big") for number in range(2 * MARK_EVERY + 40)]
    frontier = Frontier()
    rows.append("o", frontier, [(each, True) for each in digests[:1_500]])
    rows.append("o", frontier, [(each, True) for each in digests[1_500:]])
    sizes = [0, 1, 700, MARK_EVERY, MARK_EVERY + 1, 1_500, 2 * MARK_EVERY + 40]
    assert rows.roots("o", sizes) == {
        size: root_of(map(leaf_hash, digests[:size])) for size in sizes
    }
