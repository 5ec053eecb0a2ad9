"""Cosignatures, of witnesses that answer, fail, lie or come back, and a log that grows."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from hub.channel.card import card_message
from hub.channel.carriage import to_artifact
from hub.channel.log import note, tree
from hub.channel.log.checkpoint import (
    Checkpoint,
    check_quorum,
    parse_checkpoint,
    sign_checkpoint,
)
from hub.channel.log.note import KeyType, SignatureLine
from hub.channel.manifest import genesis, next_version, sign_manifest
from hub.channel.policy import Log, Witnesses
from hub.channel.primitives.sign import NotePrivate
from hub.channel.seal import seal_heartbeat
from hub.channel.verify import TrustedChannel
from hub.errors import InputError, TransportError, VerificationError
from hub.model.codec import dumps
from hub.server.submission import HttpSubmit, Submission
from hub.settings import HubSettings, WitnessSettings
from hub.store.objects import new_object
from hub.witness.service import NotThereError, Witness
from hub.witness.state import State
from tests.unit.server.test_admission import DAY, Channel, Town, fates

URLS = ("https://one.example", "https://two.example", "https://three.example")
SETTINGS = HubSettings(
    public_url="https://hub.example",
    witnesses=WitnessSettings(urls=URLS, answer_seconds=10.0, look_seconds=0.02),
)


@dataclass
class Bench:
    """Three real witnesses behind `Submit`, each of which can be made to fail."""

    folder: Path
    down: set[str] = field(default_factory=set)
    asked: list[tuple[str, int]] = field(default_factory=list)
    forging: str | None = None

    def __post_init__(self) -> None:
        self.states = {
            url: State.create(self.folder / f"{number}.db", f"{number}.example")
            for number, url in enumerate(URLS)
        }
        self.witnesses = {
            url: Witness(state, NotePrivate(bytes([number]) * 32), now=lambda: int(time.time()))
            for number, (url, state) in enumerate(self.states.items())
        }

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(sorted(one.verifier_key for one in self.witnesses.values()))

    def __call__(self, url: str, submission: Submission, old: int) -> Sequence[SignatureLine]:
        self.asked.append((url, submission.size))
        if url in self.down:
            raise TransportError("the witness cannot be reached", where=url)
        witness = self.witnesses[url]
        try:
            line = witness.add_checkpoint(submission.body(old))
        except NotThereError as error:
            line = witness.add_checkpoint(submission.body(error.size))
        lines = note.parse_lines(line)
        if url == self.forging:
            # In the name of another witness, over nothing.
            victim = note.parse_key(self.witnesses[URLS[0]].verifier_key, KeyType.WITNESS)
            lines = (SignatureLine(victim.name, victim.key_id, bytes(72)), *lines)
        return lines

    def close(self) -> None:
        for state in self.states.values():
            state.close()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.close()


@pytest.fixture
def town(tmp_path: Path, bench: Bench) -> Iterator[Town]:
    with Town(tmp_path, SETTINGS, submit=bench) as made:
        made.build()
        yield made


def opened(town: Town, bench: Bench, quorum: int = 2) -> Channel:
    """A channel whose manifest pins the hub's log and asks for witnesses."""
    assert town.bind(town.lab, "owner").status == 200
    offer = town.ask("GET", f"/stillwatch/collections/{town.collection}/").json["x_stillwatch_log"]
    for state in bench.states.values():
        state.add_log(offer["verifier_key"])
    now = int(time.time())
    manifest = genesis(
        owners=[town.lab.root.public.id],
        members=[town.lab.row],
        created=now,
        expires=now + 90 * DAY,
        log=Log(**offer),
        witnesses=Witnesses(quorum, bench.keys),
    )
    raw = sign_manifest(manifest, [town.lab.root])
    trusted = TrustedChannel.from_genesis(raw, owner_roots=None, now=now)
    made = town.open()
    return Channel(trusted, manifest, made.secrets, [raw])


def beat(town: Town, channel: Channel) -> bytes:
    """Something to make the log grow: the owner's card, then heartbeats."""
    now = int(time.time())
    if not channel.trusted.cards:
        raw = card_message(channel.trusted.channel, town.lab.card)
    else:
        raw = seal_heartbeat(channel.trusted, town.lab.signing, now=now)
    channel.trusted.accept(raw, now=now)
    return raw


def served(town: Town, channel: Channel) -> tuple[int, int]:
    """Size and number of cosignatures that verify, of what a member is given."""
    answer = town.ask("GET", f"/stillwatch/channels/{channel.trusted.channel}/checkpoint")
    assert answer.status == 200, answer.body
    signed = parse_checkpoint(answer.body.decode())
    witnesses = channel.trusted.manifest.witnesses
    assert witnesses is not None
    names = check_quorum(signed, witnesses.verifier_keys, 0)
    return signed.checkpoint.size, len(names)


def pass_time(town: Town, seconds: float) -> None:
    """Let the hub's own tasks run."""
    town.runner.run(asyncio.sleep(seconds))


def settles(town: Town, channel: Channel, size: int, count: int) -> None:
    """Wait until a member is given this, however busy the machine is."""
    deadline = time.monotonic() + 20
    while served(town, channel) != (size, count):
        assert time.monotonic() < deadline, served(town, channel)
        pass_time(town, 0.05)


def test_a_member_is_given_the_quorum_at_once(town: Town, bench: Bench) -> None:
    channel = opened(town, bench)
    town.send(*channel.messages)
    size, count = served(town, channel)
    assert size == 1
    assert count >= 1
    for grown in (2, 3, 4):
        assert fates(town.send(beat(town, channel))) == (1, [])
        size, count = served(town, channel)
        assert size == grown
        assert count >= 2


def test_growth_is_cosigned_without_being_asked(town: Town, bench: Bench) -> None:
    channel = opened(town, bench)
    town.send(*channel.messages)
    deadline = time.monotonic() + 20
    while len(bench.asked) < len(URLS) and time.monotonic() < deadline:
        pass_time(town, 0.05)
    assert {url for url, size in bench.asked if size == 1} == set(URLS)
    settles(town, channel, 1, 3)
    count = len(bench.asked)
    # A log that does not grow is left alone.
    pass_time(town, 0.3)
    assert len(bench.asked) == count


def test_a_witness_that_is_away_costs_nothing_but_its_line(town: Town, bench: Bench) -> None:
    channel = opened(town, bench)
    bench.down = {URLS[0]}
    town.send(*channel.messages)
    settles(town, channel, 1, 2)
    # It is asked again after a while, and its line comes under the same checkpoint.
    bench.down = set()
    settles(town, channel, 1, 3)


def test_without_a_quorum_the_newest_is_given(town: Town, bench: Bench) -> None:
    """Never an older one: a member would take the hub for one that hides what it showed."""
    channel = opened(town, bench)
    town.send(*channel.messages)
    settles(town, channel, 1, 3)
    bench.down = set(URLS)
    town.send(beat(town, channel))
    assert served(town, channel) == (2, 0)
    bench.down = set()
    settles(town, channel, 2, 3)


def test_a_log_that_grows_all_the_time_has_a_quorum(town: Town, bench: Bench) -> None:
    """Witnesses that are slower than the log grows cosign what was there when they were asked."""
    channel = opened(town, bench)
    town.send(*channel.messages)
    grown = [1]

    def slowly(url: str, submission: Submission, old: int) -> Sequence[SignatureLine]:
        lines = bench(url, submission, old)
        if grown[0] < 20:
            artifact = to_artifact(beat(town, channel))
            town.store.append(town.collection, [new_object(artifact, dumps(artifact))])
            grown[0] += 1
        return lines

    town.submit = slowly
    town.restart()
    size, count = served(town, channel)
    assert count >= 2
    assert 1 <= size < town.store.log_size(town.collection)


def test_a_dead_witness_is_not_asked_all_the_time(town: Town, bench: Bench) -> None:
    channel = opened(town, bench)
    bench.down = {URLS[0]}
    town.send(*channel.messages)
    for grown in range(2, 12):
        town.send(beat(town, channel))
        assert served(town, channel) == (grown, 2)
    asked = [url for url, _ in bench.asked]
    assert asked.count(URLS[1]) >= 10
    # At once, and after a pause of a second or more.
    assert asked.count(URLS[0]) <= 8


def test_one_witness_cannot_spoil_anothers_line(town: Town, bench: Bench) -> None:
    channel = opened(town, bench)
    bench.forging = URLS[2]
    town.send(*channel.messages)
    settles(town, channel, 1, 3)


def test_channels_without_witnesses_are_not_told_to_any(town: Town, bench: Bench) -> None:
    channel = town.open()
    town.send(*channel.messages)
    answer = town.ask("GET", f"/stillwatch/channels/{channel.trusted.channel}/checkpoint")
    pass_time(town, 0.2)
    assert len(parse_checkpoint(answer.body.decode()).note.lines) == 1
    assert bench.asked == []


def test_a_restarted_hub_learns_where_the_witnesses_are(town: Town, bench: Bench) -> None:
    channel = opened(town, bench)
    town.send(*channel.messages)
    town.send(beat(town, channel))
    pass_time(town, 0.3)
    town.restart()
    town.send(beat(town, channel))
    assert served(town, channel)[0] == 3
    settles(town, channel, 3, 3)


def test_cosignatures_outlive_a_restart_without_the_witnesses(town: Town, bench: Bench) -> None:
    channel = opened(town, bench)
    town.send(*channel.messages)
    settles(town, channel, 1, 3)
    bench.down.update(URLS)
    town.restart()
    size, count = served(town, channel)
    # The third came after the quorum, and says nothing more of the log.
    assert (size, count >= 2) == (1, True)


def test_witnesses_that_a_manifest_drops_are_not_asked(town: Town, bench: Bench) -> None:
    channel = opened(town, bench)
    town.send(*channel.messages)
    pass_time(town, 0.3)
    now = int(time.time())
    manifest = next_version(channel.manifest, created=now, expires=now + DAY, witnesses=None)
    count = len(bench.asked)
    assert fates(town.send(sign_manifest(manifest, [town.lab.root]))) == (1, [])
    pass_time(town, 0.3)
    assert len(bench.asked) == count


def test_a_body_is_what_the_protocol_says() -> None:
    leaves = [tree.leaf_hash(bytes([n]) * 32) for n in range(5)]
    source = tree.LeafNodes(leaves)
    key = NotePrivate(b"\x05" * 32)
    raw = sign_checkpoint(Checkpoint("o.example", 5, tree.root_of(leaves), 7), key)
    sent = Submission(raw, 5, lambda old: tree.consistency_proof(source, old, 5))
    proof = [base64.b64encode(one).decode() for one in tree.consistency_proof(source, 3, 5)]
    assert sent.body(3).decode() == "\n".join(["old 3", *proof, "", raw])
    assert sent.body(0).decode() == f"old 0\n\n{raw}"


class Scripted(HttpSubmit):
    """`HttpSubmit` whose answers are written down."""

    def __init__(self, *answers: tuple[int, bytes]) -> None:
        super().__init__(1.0)
        self.answers = list(answers)
        self.bodies: list[bytes] = []

    def _post(self, url: str, body: bytes) -> tuple[int, bytes]:
        self.bodies.append(body)
        return self.answers.pop(0)


LINE = SignatureLine("w.example", b"abcd", bytes(72))
RAW = sign_checkpoint(Checkpoint("o.example", 5, bytes(32), 7), NotePrivate(b"\x05" * 32))
ASKED = Submission(RAW, 5, lambda old: [b"%032d" % old] if old else [])


def test_the_size_that_a_witness_tells_is_taken() -> None:
    http = Scripted((409, b"3\n"), (200, LINE.text.encode()))
    assert http("https://w.example", ASKED, 0) == (LINE,)
    assert http.bodies == [ASKED.body(0), ASKED.body(3)]


@pytest.mark.parametrize(
    ("answers", "error"),
    [
        ([(404, b"")], InputError),
        ([(403, b"")], InputError),
        ([(422, b"")], VerificationError),
        ([(409, b"0\n")], VerificationError),
        ([(409, b"9\n")], VerificationError),
        ([(409, b"3\n"), (409, b"4\n")], VerificationError),
        ([(409, b"three\n")], TransportError),
        ([(409, b"03\n")], TransportError),
        ([(500, b"")], TransportError),
        ([(302, b"")], TransportError),
        ([(200, b"")], InputError),
        ([(200, b"\xff")], InputError),
        ([(200, b"nonsense\n")], InputError),
        ([(200, LINE.text.encode() * 70)], InputError),
    ],
)
def test_what_else_a_witness_may_answer(
    answers: list[tuple[int, bytes]], error: type[Exception]
) -> None:
    with pytest.raises(error):
        Scripted(*answers)("https://w.example", ASKED, 0)


def test_a_witness_that_is_not_there_is_a_transport_error() -> None:
    with pytest.raises(TransportError, match="cannot be reached"):
        HttpSubmit(0.2)("http://127.0.0.1:1", ASKED, 0)


def test_settings_take_urls_only() -> None:
    with pytest.raises(InputError):
        WitnessSettings(urls=("witness.example",))
