"""Who may ask, what it costs, and what is refused: each with its exact error."""

from __future__ import annotations

import dataclasses
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from hub.channel.card import card_message
from hub.channel.custodian_replies import frame_messages
from hub.channel.custodians import CLOCK_SKEW, parse_answer
from hub.channel.manifest import DAY, next_version, sign_manifest
from hub.channel.primitives.hash import digest, label, lp
from hub.channel.verify import Accepted, TrustedChannel
from hub.custody import audit
from hub.custody.channels import BehindError, NotAReaderError, UnknownError
from hub.custody.folder import DATABASE, KEY_FILE, Folder, Unlock
from hub.custody.keys import GRACE, GoneError, destroy_key, find_key, keys_of, load_key, new_key
from hub.custody.quota import QuotaExceededError, Rule
from hub.custody.service import EVERYBODY, ReplayedError, rule_of, set_rule, usage_of
from hub.errors import (
    AccessError,
    ConflictError,
    InputError,
    StillwatchError,
    StoreError,
    VerificationError,
)
from hub.fingerprint.oblivious import EvaluationKey, oblivious_token
from hub.fingerprint.tokens import FingerprintKey
from tests.unit.channel.cast import NOW, READER, Person, Scene
from tests.unit.custody.stand import DAYS, Stand, blinding_of, posted, scene

LAB, PROVIDER, LEAVER, LIAISON = (Person(name) for name in ("lab", "provider", "leaver", "liaison"))


@pytest.fixture(scope="module")
def circle() -> Scene:
    return scene()


@pytest.fixture
def stand(tmp_path: Path, circle: Scene) -> Iterator[Stand]:
    made = Stand(tmp_path / "a", circle.copy())
    yield made
    made.folder.close()


def refused(
    action: Callable[[], object], family: type[StillwatchError], text: str
) -> StillwatchError:
    with pytest.raises(family) as caught:
        action()
    assert text in str(caught.value), str(caught.value)
    return caught.value


def test_two_custodians_make_tokens_that_neither_can_make(tmp_path: Path, circle: Scene) -> None:
    first = Stand(tmp_path / "a", circle.copy(), "custody-a.example")
    second = Stand(tmp_path / "b", circle.copy(), "custody-b.example")
    key = FingerprintKey(first.key_id, b"f" * 32)
    tokens = []
    for who in (LAB, PROVIDER):
        blinding = blinding_of(3)
        one, two = first.ask(who, blinding), second.ask(who, blinding)
        tokens.append([oblivious_token(key, "email", *pair) for pair in zip(one, two, strict=True)])
    assert tokens[0] == tokens[1]
    assert len(set(tokens[0])) == 3
    assert first.row.public_key != second.row.public_key
    for made in (first, second):
        made.folder.close()


@pytest.mark.parametrize(
    ("who", "text"),
    [
        (LIAISON, "does not have the role `read`"),
        (Person("stranger"), "belongs to no member of the channel"),
    ],
)
def test_only_readers_may_ask(stand: Stand, who: Person, text: str) -> None:
    refused(lambda: stand.ask(who, blinding_of(1)), NotAReaderError, text)
    assert usage_of(stand.folder, stand.channel, NOW) == []


def test_a_card_serves_in_its_time_only(stand: Stand) -> None:
    stand.now = NOW - 2 * DAY
    refused(lambda: stand.ask(LAB, blinding_of(1)), NotAReaderError, "the card is not valid now")


def test_a_removed_member_is_refused_from_the_manifest_on(stand: Stand) -> None:
    blinding = blinding_of(1)
    stand.ask(LEAVER, blinding)
    stand.made.remove(LEAVER)
    # A member that names the new manifest makes the custodian ask for it.
    refused(lambda: stand.ask(LAB, blinding), BehindError, "manifest that has not arrived")
    stand.custodian.learn(stand.channel, posted(stand.made), NOW)
    refused(lambda: stand.ask(LEAVER, blinding), NotAReaderError, "was removed from the channel")
    # Nor under the manifest that still lists it: the one in force decides.
    older = stand.channel
    refused(lambda: stand.ask(LEAVER, blinding, man=older), NotAReaderError, "was removed")
    assert len(stand.ask(LAB, blinding, man=older)) == 1


def test_the_custodian_cannot_be_led_back(stand: Stand) -> None:
    before = posted(stand.made)
    stand.made.remove(LEAVER)
    stand.custodian.learn(stand.channel, posted(stand.made), NOW)
    version = stand.custodian.standing(stand.channel, NOW).version
    stand.custodian.learn(stand.channel, before, NOW)
    stand.reopen()
    assert stand.custodian.standing(stand.channel, NOW).version == version == 3
    blinding = blinding_of(1)
    refused(lambda: stand.ask(LEAVER, blinding), NotAReaderError, "was removed")
    # A second version 3, signed by the owner, that lists the leaver again: refused, and kept.
    twin = scene()
    other = next_version(twin.manifest, created=NOW, expires=NOW + 80 * DAY)
    raw = sign_manifest(other, [LAB.root])
    refused(
        lambda: stand.custodian.learn(stand.channel, frame_messages([raw]), NOW),
        VerificationError,
        "owners signed a second manifest of this version",
    )
    stand.reopen()
    alarms = stand.custodian.channels.alarms(stand.channel)
    assert [each.split(":")[0] for each in alarms] == ["manifest 3"]
    refused(lambda: stand.ask(LEAVER, blinding), NotAReaderError, "was removed")


def test_manifests_and_cards_prove_themselves(stand: Stand) -> None:
    learn = stand.custodian.learn
    ghost = Person("ghost")
    rows = [*stand.made.manifest.members, ghost.row(READER)]
    forged = sign_manifest(
        next_version(stand.made.manifest, created=NOW, expires=NOW + DAY, members=rows),
        [ghost.root],
    )
    refused(
        lambda: learn(stand.channel, frame_messages([forged]), NOW), VerificationError, "manifest 3"
    )
    card = card_message(stand.channel, ghost.card_raw)
    with pytest.raises(VerificationError):
        learn(stand.channel, frame_messages([card]), NOW)
    altered = bytearray(card_message(stand.channel, PROVIDER.card_raw))
    altered[-1] ^= 1
    with pytest.raises((InputError, VerificationError)):
        learn(stand.channel, frame_messages([bytes(altered)]), NOW)
    refused(
        lambda: learn(stand.channel, frame_messages([stand.made.epochs[0]]), NOW),
        InputError,
        "manifests and cards are taken here, no epoch",
    )
    refused(lambda: learn("ab" * 32, posted(stand.made), NOW), UnknownError, "not served here")
    # Beside what is refused, what is good is learned all the same.
    stand.made.admit((ghost, READER))
    good = posted(stand.made)
    with pytest.raises(VerificationError):
        learn(stand.channel, frame_messages([forged]) + good, NOW)
    assert stand.custodian.standing(stand.channel, NOW).version == 3
    assert len(stand.ask(ghost, blinding_of(1))) == 1


def test_another_genesis_does_not_begin_the_channel(tmp_path: Path, stand: Stand) -> None:
    folder = Folder.create(tmp_path / "c", "custody-c.example", "https://c.example", Unlock())
    other = dataclasses.replace(stand, path=tmp_path / "d", name="custody-d.example")
    channels = other.custodian.channels
    empty = channels.__class__(folder)
    empty.add("ab" * 32, [], now=NOW)
    refused(
        lambda: empty.take("ab" * 32, [stand.made.wire[0]], now=NOW),
        VerificationError,
        "belongs to another channel",
    )
    empty.add(stand.channel, ["cd" * 32], now=NOW)
    refused(
        lambda: empty.take(stand.channel, [stand.made.wire[0]], now=NOW),
        VerificationError,
        "the owners are not those of the invitation",
    )
    refused(lambda: empty.add(stand.channel, [], now=NOW), ConflictError, "served already")
    refused(
        lambda: empty.take(stand.channel, stand.made.wire[1:2], now=NOW),
        BehindError,
        "genesis has not arrived",
    )
    for opened in (folder, other.folder):
        opened.close()


def test_a_card_of_the_member_is_asked_for(tmp_path: Path, stand: Stand) -> None:
    other = Stand(tmp_path / "b", Scene(LAB), "custody-b.example")
    other.made.rotate()
    other.made.admit((PROVIDER, READER))
    cardless = [raw for raw in other.made.wire if PROVIDER.card_raw not in raw]
    twin = other.made.copy()
    twin.wire = cardless
    found = other.custodian.learn(other.channel, posted(twin), NOW)
    assert found.missing == (PROVIDER.card.hash,)
    refused(lambda: other.ask(PROVIDER, blinding_of(1)), BehindError, "no card with this key")
    found = other.custodian.learn(other.channel, posted(other.made), NOW)
    assert found.missing == ()
    assert len(other.ask(PROVIDER, blinding_of(1))) == 1
    other.folder.close()


def test_forged_requests_are_refused(stand: Stand) -> None:
    blinding = blinding_of(1)
    asked = stand.request(PROVIDER, blinding.elements)
    # Signed by another, in the provider's name.
    forged = stand.request(LIAISON, blinding.elements).raw.replace(
        LIAISON.pub.encode(), PROVIDER.pub.encode()
    )
    refused(lambda: stand.custodian.evaluate(forged, NOW), VerificationError, "Ed25519 signature")
    moved = asked.raw.replace(blinding.elements, blinding_of(1).elements)
    refused(lambda: stand.custodian.evaluate(moved, NOW), VerificationError, "Ed25519 signature")
    halved = asked.raw[:-3309] + stand.request(PROVIDER, blinding_of(1).elements).raw[-3309:]
    refused(lambda: stand.custodian.evaluate(halved, NOW), VerificationError, "ML-DSA-65")
    assert usage_of(stand.folder, stand.channel, NOW) == []


def test_requests_for_others_are_refused(stand: Stand) -> None:
    blinding = blinding_of(1)
    other = dataclasses.replace(stand.row, custodian_id="custody-b.example")
    refused(
        lambda: stand.ask(LAB, blinding, custodian=other), InputError, "meant for another custodian"
    )
    other = dataclasses.replace(stand.row, key_id=f"{stand.key_id}-2")
    refused(lambda: stand.ask(LAB, blinding, custodian=other), UnknownError, "no key for it")
    refused(lambda: stand.ask(LAB, blinding, channel="ab" * 32), UnknownError, "not served here")
    refused(lambda: stand.ask(LAB, blinding, man="ab" * 32), BehindError, "has not arrived")


def test_a_request_serves_once_and_in_its_time(stand: Stand) -> None:
    blinding = blinding_of(2)
    raw = stand.request(LAB, blinding.elements).raw
    stand.custodian.evaluate(raw, NOW)
    refused(lambda: stand.custodian.evaluate(raw, NOW), ReplayedError, "was seen before")
    stand.reopen()
    refused(lambda: stand.custodian.evaluate(raw, NOW + 600), ReplayedError, "was seen before")
    refused(
        lambda: stand.custodian.evaluate(raw, NOW + 601), ReplayedError, "from the custodian's time"
    )
    # Others come in between, and nonces are forgotten only when their time is over.
    for later in (601, 1_300):
        stand.now = NOW + later
        stand.ask(LAB, blinding)
        refused(lambda: stand.custodian.evaluate(raw, stand.now), ReplayedError, "time")
    stand.now = NOW
    late = stand.request(LAB, blinding.elements, now=NOW + CLOCK_SKEW + 1).raw
    refused(lambda: stand.custodian.evaluate(late, NOW), ReplayedError, "from the custodian's time")
    for day in (-DAY, DAY):
        with pytest.raises(ReplayedError, match="custodian's time") as caught:
            stand.ask(LAB, blinding, now=NOW + day)
        assert caught.value.hint == "set the clock, and make a new request"


def test_a_quota_is_a_members_own_and_says_what_is_left(stand: Stand) -> None:
    set_rule(stand.folder, stand.channel, EVERYBODY, Rule(day=10, burst=6), now=NOW)
    set_rule(stand.folder, stand.channel, LAB.id, Rule(day=20, burst=20), now=NOW)
    assert rule_of(stand.folder, stand.channel, LAB.id).day == 20
    request = stand.request(PROVIDER, blinding_of(4).elements)
    answer = parse_answer(stand.custodian.evaluate(request.raw, NOW)[0], request)
    assert (answer.quota.left, answer.quota.burst_left) == (6, 2)
    assert answer.quota.resets == NOW - NOW % DAY + DAY
    error = refused(
        lambda: stand.ask(PROVIDER, blinding_of(3)),
        QuotaExceededError,
        "quota: 3 elements at once, and 2 of 6 are left just now",
    )
    assert isinstance(error, QuotaExceededError)
    stand.now += error.retry_after or 0
    stand.ask(PROVIDER, blinding_of(3))
    stand.now += 3_600
    refused(
        lambda: stand.ask(PROVIDER, blinding_of(4)),
        QuotaExceededError,
        "quota: 4 elements, and 3 of 10 are left today",
    )
    assert len(stand.ask(LAB, blinding_of(18))) == 18
    # A new card, another key, a restart: the member's quota is one.
    stand.reopen()
    error = refused(lambda: stand.ask(PROVIDER, blinding_of(4)), QuotaExceededError, "today")
    assert "ask the custodian's operator" in (error.hint or "")


def test_refusals_for_want_of_quota_are_noted_once_a_day(stand: Stand) -> None:
    set_rule(stand.folder, stand.channel, EVERYBODY, Rule(day=1, burst=1), now=NOW)
    for _ in range(5):
        with pytest.raises(QuotaExceededError):
            stand.ask(PROVIDER, blinding_of(2))
    events = [each.event for each in audit.entries(stand.folder)]
    assert events.count("exhausted") == 1
    stand.now += DAY
    with pytest.raises(QuotaExceededError):
        stand.ask(PROVIDER, blinding_of(2))
    events = [each.event for each in audit.entries(stand.folder)]
    assert events.count("exhausted") == 2


def test_a_crash_between_charge_and_evaluation_stays_charged(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(key: EvaluationKey, elements: bytes) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(EvaluationKey, "evaluate", crash)
        with pytest.raises(KeyboardInterrupt):
            stand.ask(LAB, blinding_of(5))
    stand.reopen()
    ((member, quota),) = usage_of(stand.folder, stand.channel, NOW)
    assert (member, quota.day - quota.left) == (LAB.id, 5)
    assert next(iter(audit.entries(stand.folder, last=1))).count == 5


def test_a_disk_that_refuses_the_charge_gives_no_evaluation(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluated = []
    monkeypatch.setattr(EvaluationKey, "evaluate", lambda *each: evaluated.append(each))
    stand.folder.run("PRAGMA max_page_count=1")
    stand.folder.run(
        "CREATE TEMP TRIGGER full BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'full'); END"
    )
    with pytest.raises(StoreError, match="the database failed"):
        stand.ask(LAB, blinding_of(5))
    assert evaluated == []
    assert usage_of(stand.folder, stand.channel, NOW) == []


def test_the_audit_counts_and_holds_no_element(stand: Stand) -> None:
    blinding = blinding_of(3)
    stand.ask(PROVIDER, blinding)
    row = list(audit.entries(stand.folder))[-1]
    assert (row.event, row.member, row.key, row.count) == (
        "evaluated",
        PROVIDER.id,
        stand.key_id,
        3,
    )
    assert row.left == Rule().day - 3
    content = (stand.path / DATABASE).read_bytes()
    assert blinding.elements[:32] not in content
    assert blinding.elements[:32].hex().encode() not in content


def test_an_altered_audit_is_found(stand: Stand) -> None:
    for _ in range(3):
        stand.ask(PROVIDER, blinding_of(1))
    count, head = audit.verify(stand.folder)
    assert audit.head_at(stand.folder, count) == head
    assert audit.head_at(stand.folder, count + 1) is None
    assert audit.head_at(stand.folder, 0) == audit.START
    row = stand.folder.rows("SELECT row FROM audit WHERE position=4")[0][0]
    assert isinstance(row, bytes)
    less = row.replace(b'"count":1', b'"count":0')
    before = audit.head_at(stand.folder, 3)
    assert before is not None
    # Even with the hash that the altered row would have.
    own = digest(label("custodian audit") + lp(bytes.fromhex(before)) + lp(less))
    stand.folder.run("UPDATE audit SET row=?, hash=? WHERE position=4", (less, own))
    refused(lambda: audit.verify(stand.folder), VerificationError, "audit row 5: was altered")
    stand.folder.run("UPDATE audit SET hash=? WHERE position=4", (head,))
    refused(lambda: audit.verify(stand.folder), VerificationError, "audit row 4: was altered")
    stand.folder.run("DELETE FROM audit WHERE position=4")
    refused(lambda: audit.verify(stand.folder), VerificationError, "audit row 4: is not there")


def test_a_key_is_sealed_expires_and_is_destroyed(stand: Stand) -> None:
    row = find_key(stand.folder, stand.channel, stand.key_id)
    assert row is not None
    sealed = stand.folder.rows("SELECT sealed FROM evaluation_key")[0][0]
    assert isinstance(sealed, bytes)
    assert load_key(stand.folder, row).public_key == stand.row.public_key
    blinding = blinding_of(1)
    stand.ask(LAB, blinding)
    end = stand.row.expires
    for at, count in ((end, 0), (end + GRACE, 0), (end + GRACE + 1, 1)):
        assert len(stand.custodian.sweep(at)) == count
    error = refused(
        lambda: stand.custodian.evaluate(stand.request(LAB, blinding.elements).raw, NOW),
        GoneError,
        f"the custodian's key was destroyed at {end + GRACE + 1}",
    )
    assert isinstance(error, GoneError)
    assert error.code == "destroyed"
    refused(lambda: load_key(stand.folder, row), GoneError, "")
    assert sealed not in (stand.path / DATABASE).read_bytes()
    assert next(iter(audit.entries(stand.folder, last=1))).event == "key-destroyed"
    refused(
        lambda: new_key(stand.folder, stand.channel, stand.key_id, now=NOW, days=DAYS),
        ConflictError,
        "there is, or was, a key for it",
    )


def test_an_expired_key_answers_nobody_before_it_is_destroyed(stand: Stand) -> None:
    stand.now = stand.row.expires + 1
    error = refused(lambda: stand.ask(LAB, blinding_of(1)), StillwatchError, "")
    assert isinstance(error, BehindError), "the manifest is older than the key"
    stand.now = NOW
    stand.folder.run("UPDATE evaluation_key SET expires=?", (NOW - 1,))
    error = refused(lambda: stand.ask(LAB, blinding_of(1)), GoneError, f"expired at {NOW - 1}")
    assert isinstance(error, GoneError)
    assert error.code == "expired"


def test_a_key_destroyed_by_another_process_is_gone_at_once(stand: Stand) -> None:
    blinding = blinding_of(1)
    stand.ask(LAB, blinding)
    other = Folder.open(stand.path, None)
    destroy_key(other, stand.channel, stand.key_id, now=NOW, why="by the operator")
    refused(lambda: destroy_key(other, stand.channel, stand.key_id, now=NOW, why=""), GoneError, "")
    other.close()
    refused(lambda: stand.ask(LAB, blinding), GoneError, "was destroyed")
    assert [each.state(NOW) for each in keys_of(stand.folder)] == ["destroyed"]


def test_what_is_deleted_is_overwritten(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = [
        stand.folder.rows(f"PRAGMA {name}")[0][0]
        for name in ("secure_delete", "synchronous", "journal_mode")
    ]
    assert settings == [1, 2, "truncate"]
    written: list[Folder] = []
    monkeypatch.setattr(Folder, "vacuum", lambda folder: written.append(folder))
    destroy_key(stand.folder, stand.channel, stand.key_id, now=NOW, why="")
    assert written == [stand.folder]


def test_a_crash_while_a_key_is_destroyed_leaves_it_destroyed(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand.ask(LAB, blinding_of(1))
    real, steps = Folder.transaction, []

    def once(folder: Folder) -> AbstractContextManager[None]:
        steps.append(folder)
        if len(steps) > 1:
            raise KeyboardInterrupt
        return real(folder)

    with monkeypatch.context() as patch:
        patch.setattr(Folder, "transaction", once)
        with pytest.raises(KeyboardInterrupt):
            destroy_key(stand.folder, stand.channel, stand.key_id, now=NOW, why="")
    stand.reopen()
    refused(lambda: stand.ask(LAB, blinding_of(1)), GoneError, "was destroyed")


def test_what_is_known_is_neither_verified_nor_stored_again(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    sql = "SELECT revision FROM channel"
    before = stand.folder.rows(sql)
    accepted: list[bytes] = []
    accept = TrustedChannel.accept

    def counted(trusted: TrustedChannel, raw: bytes, *, now: int) -> Accepted:
        accepted.append(raw)
        return accept(trusted, raw, now=now)

    def copied(data: bytes) -> TrustedChannel:
        raise AssertionError("nobody makes it copy the channel for what it knows")

    stand.custodian.standing(stand.channel, NOW)
    with monkeypatch.context() as known:
        known.setattr(TrustedChannel, "accept", counted)
        known.setattr(TrustedChannel, "restore", copied)
        stand.custodian.learn(stand.channel, posted(stand.made) * 20, NOW)
    assert stand.folder.rows(sql) == before == [(1,)]
    assert accepted == [], "nobody makes it verify again what it knows"
    monkeypatch.setattr(TrustedChannel, "accept", counted)
    stand.made.admit((Person("late"), READER))
    accepted.clear()
    stand.custodian.learn(stand.channel, posted(stand.made) * 20, NOW)
    assert len(accepted) == 2


def test_keys_are_for_a_channel_that_is_served(stand: Stand) -> None:
    other = "ab" * 32
    refused(
        lambda: new_key(stand.folder, other, "abababababababab.2027q1", now=NOW, days=1),
        InputError,
        "this channel is not served here",
    )
    refused(
        lambda: new_key(stand.folder, stand.channel, "abababababababab.2027q1", now=NOW, days=1),
        InputError,
        "not a fingerprint key of this channel",
    )
    refused(
        lambda: destroy_key(stand.folder, stand.channel, "abc", now=NOW, why=""),
        InputError,
        "no such key",
    )
    refused(
        lambda: set_rule(stand.folder, other, EVERYBODY, Rule(), now=NOW), UnknownError, "served"
    )


def test_a_custodian_with_another_key_is_named(stand: Stand) -> None:
    stand.row = dataclasses.replace(stand.row, public_key=EvaluationKey(b"x" * 32, b"").public_key)
    refused(
        lambda: stand.ask(LAB, blinding_of(2)),
        VerificationError,
        "custody-a.example: the evaluation was not made with the custodian's stated key",
    )


def test_elements_that_are_none_are_refused(stand: Stand) -> None:
    for bad in (bytes(32), b"\xff" * 32):
        with pytest.raises(VerificationError, match=r"elements\[0\]: is the identity, or not"):
            stand.custodian.evaluate(stand.request(LAB, bad).raw, NOW)


def test_folders_open_with_their_key_only(tmp_path: Path) -> None:
    path = tmp_path / "p"
    Folder.create(path, "custody-p.example", "https://p.example", Unlock("correct horse")).close()
    assert path.stat().st_mode & 0o777 == 0o700
    Folder.open(path, Unlock("correct horse")).close()
    refused(lambda: Folder.open(path, Unlock("wrong")), AccessError, "does not open")
    refused(lambda: Folder.open(path, Unlock()), AccessError, "cannot be read")
    with_key = tmp_path / "k"
    Folder.create(with_key, "custody-k.example", "https://k.example", Unlock()).close()
    refused(
        lambda: Folder.create(with_key, "x.example", "https://x.example", Unlock()),
        ConflictError,
        "already here",
    )
    (with_key / KEY_FILE).chmod(0o640)
    refused(lambda: Folder.open(with_key, Unlock()), AccessError, "can be read by other accounts")
    (with_key / KEY_FILE).chmod(0o600)
    (with_key / KEY_FILE).write_text("00\n")
    refused(lambda: Folder.open(with_key, Unlock()), AccessError, "is damaged")
    refused(lambda: Folder.open(tmp_path / "none", None), InputError, "no custodian here")
    with sqlite3.connect(with_key / DATABASE) as database:
        database.execute("PRAGMA user_version=9")
    database.close()
    refused(lambda: Folder.open(with_key, None), StoreError, "has version 9")


def test_a_key_sealed_elsewhere_does_not_open(stand: Stand, tmp_path: Path) -> None:
    other = Folder.create(tmp_path / "o", "custody-o.example", "https://o.example", Unlock())
    sealed = stand.folder.seal(b"s" * 32, b"one use")
    assert stand.folder.unseal(sealed, b"one use") == b"s" * 32
    refused(lambda: other.unseal(sealed, b"one use"), StoreError, "does not open")
    refused(lambda: stand.folder.unseal(sealed, b"another"), StoreError, "does not open")
    other.close()
    public = Folder.open(stand.path, None)
    refused(lambda: public.unseal(sealed, b"one use"), AccessError, "without its key")
    public.close()
