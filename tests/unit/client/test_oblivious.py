"""Oblivious tokens on the publisher's side: asked once, kept, and nothing half-published."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hub.channel.custodian_replies import Refusal
from hub.channel.custodians import Custodian, EvaluationRequest
from hub.channel.policy import Policy
from hub.client import evaluations
from hub.client.custodian_port import RefusedError
from hub.client.custodians import Custodians
from hub.client.detections import Verdict
from hub.client.evaluations import Value
from hub.client.forms import Forms, fit_buckets, known_tokens
from hub.client.known_tokens import KnownTokens, remaining
from hub.client.oblivious import QuotaError, evaluate
from hub.client.publisher import Options, Preparation, prepare, publish
from hub.client.rows import ChannelRow
from hub.client.stating import state_custodians
from hub.client.work import Desk
from hub.errors import AccessError, ConflictError, InputError, TransportError, VerificationError
from hub.fingerprint.oblivious import bucket, oblivious_token, token_input
from hub.fingerprint.tokens import FingerprintKey
from hub.model.buckets import bucket_of
from hub.model.codec import Json
from hub.model.extension import INDICATOR_CONTROLS
from tests.unit.client.circle import Circle
from tests.unit.client.custodian_double import DAY, Pair

POLICY = Policy(
    fingerprints={"email": "oblivious", "payment-instrument": "none", "api-key": "oblivious"}
)
ROWS = """email,phone,payment,api_key,campaign
ann@mailbox-farm.example,,,,LANTERN
bob@mailbox-farm.example,+12125550101,,,LANTERN
cem@mailbox-farm.example,,pmfp_0123456789,sk-fic-7Qaaaaaaaaaaaaaaaaaaaa,LANTERN
Ann+x@mailbox-farm.example,,,,LANTERN
"""
EMAILS = [("email", f"{name}@mailbox-farm.example") for name in ("ann", "bob", "cem")]


@dataclasses.dataclass
class Scene:
    """A lab that owns a channel with two custodians."""

    circle: Circle
    lab: Desk
    pair: Pair
    path: Path

    @property
    def channel(self) -> ChannelRow:
        """The channel."""
        return self.lab.home.state.channel("circle")

    @property
    def key(self) -> FingerprintKey:
        """The live fingerprint key."""
        return self.lab.home.fingerprint_keys()[-1]

    def known(self, desk: Desk | None = None) -> KnownTokens:
        """What a member knows."""
        desk = desk or self.lab
        found = known_tokens(desk.home, desk.home.state.channel("circle"))
        assert found is not None
        return found

    def prepare(self) -> Preparation:
        """The file, as far as tokens are known."""
        return prepare(self.lab.home, self.channel, [self.path], Options(), now=self.circle.clock())

    def ask(self, values: list[Value], desk: Desk | None = None) -> int:
        """Have values evaluated."""
        desk = desk or self.lab
        return evaluate(
            desk,
            desk.home.state.channel("circle"),
            self.known(desk),
            values,
            reach=self.pair.reach,
            sleep=lambda seconds: None,
        )

    def emails(self, prepared: Preparation) -> list[Json]:
        """The indicators of e-mail addresses."""
        return [each for each in prepared.detail if each.get("name") == "account.email-keyed"]


@pytest.fixture
def scene(circle: Circle, tmp_path: Path) -> Scene:
    """The lab has stated its custodians; nobody was asked yet."""
    lab = circle.open_channel(POLICY)
    channel = lab.home.state.channel("circle")
    key_id = lab.home.fingerprint_keys()[-1].key_id
    pair = Pair.of(channel.channel_id, key_id, circle.clock)
    rows = [each.row() for each in pair.custodians.values()]
    assert state_custodians(lab, "circle", rows) == key_id
    path = tmp_path / "accounts.csv"
    path.write_text(ROWS)
    return Scene(circle, lab, pair, path)


def test_a_dry_run_asks_nobody_and_counts_what_would_be_asked(scene: Scene) -> None:
    prepared = scene.prepare()
    assert list(prepared.unasked) == EMAILS
    assert scene.emails(prepared) == []
    assert scene.pair.asked == 0
    assert prepared.counts()["refused"] == 0
    assert prepared.reports[0].verdict is Verdict.TOKENISED
    left = remaining(scene.lab.home, scene.channel.channel_id, scene.known(), now=0)
    assert [each.left for each in left] == [None, None]


def test_each_kind_is_published_in_its_form(scene: Scene) -> None:
    prepared = scene.prepare()
    by_kind = {each["name"]: each for each in prepared.detail if each["type"] == "indicator"}
    assert set(by_kind) == {"account.phone-keyed", "account.api-key-keyed"}
    for each in by_kind.values():
        assert each["extensions"][INDICATOR_CONTROLS]["privacy_form"] == "hmac"
    assert prepared.overruled == ("api-key",)
    assert prepared.reports[2].reasons == [
        "payment: the channel's policy takes no tokens of the kind payment-instrument"
    ]


def test_the_tag_is_made_of_both_outputs_under_the_fingerprint_key(scene: Scene) -> None:
    assert scene.ask(EMAILS) == 3
    made = scene.emails(scene.prepare())
    assert len(made) == 3
    alder, birch = (each.key for each in scene.pair.custodians.values())
    for indicator, value in zip(made, EMAILS, strict=True):
        data = token_input(*value)
        tag = oblivious_token(scene.key, "email", alder.output(data), birch.output(data))
        assert indicator["pattern"].endswith(f"fp_tokens[*] = '{tag}']")
        place = bucket_of(indicator)
        assert place is not None
        assert (place.kind, place.key_id, place.bits) == ("email", scene.key.key_id, 6)
        assert place.number == bucket(scene.key, *value, 6)


def test_custodians_see_neither_values_nor_twice_the_same(scene: Scene) -> None:
    scene.ask(EMAILS)
    other = scene.circle.admit("other", "publish")
    scene.ask(EMAILS, other)
    assert scene.known().token(EMAILS[0]) == scene.known(other).token(EMAILS[0]) is not None
    first, second = scene.pair.custodians.values()
    assert first.elements == second.elements, "one blinding serves both"
    for each in (first, second):
        blinded = b"".join(each.elements)
        chunks = [blinded[at : at + 32] for at in range(0, len(blinded), 32)]
        assert len(set(chunks)) == 6
        assert b"mailbox-farm" not in blinded


def test_publishing_again_asks_nobody(scene: Scene) -> None:
    scene.ask(EMAILS)
    asked = scene.pair.asked
    assert publish(scene.lab, scene.channel, scene.prepare()).messages == 2
    assert scene.ask(EMAILS) == 0
    again = scene.prepare()
    assert (scene.pair.asked, again.unasked, again.detail) == (asked, {}, [])
    assert again.counts()["duplicate"] == 4


def test_members_learn_the_custodians_with_their_next_pull(scene: Scene) -> None:
    other = scene.circle.admit("other", "read")
    channel = other.home.state.channel("circle")
    held = Custodians(other.home.state, channel.channel_id).of(scene.key.key_id)
    assert [each.custodian_id for each in held] == ["alder", "birch"]


def test_a_custodian_learns_who_is_a_member_before_it_evaluates(scene: Scene) -> None:
    scene.ask(EMAILS[:1])
    alder = scene.pair.custodians["alder"]
    assert alder.posts == 1
    assert alder.trusted is not None
    version = alder.trusted.manifest.version
    joined = scene.circle.admit("other", "read")
    scene.ask(EMAILS, joined)
    assert alder.posts == 2
    assert alder.trusted.manifest.version > version
    scene.ask(EMAILS[1:], joined)
    assert alder.posts == 2


def test_manifests_that_an_older_home_did_not_keep_come_from_the_hub(scene: Scene) -> None:
    scene.lab.home.state.run("UPDATE message SET raw=NULL")
    assert scene.ask(EMAILS) == 3


def test_a_custodian_with_another_key_is_refused_and_nothing_is_published(scene: Scene) -> None:
    birch = scene.pair.custodians["birch"]
    seed, birch.seed = birch.seed, b"x" * 32
    with pytest.raises(VerificationError, match="not made with the custodian's stated key") as got:
        scene.ask(EMAILS)
    assert got.value.where == "custodian birch"
    assert "0 of 3 identifiers were evaluated" in got.value.message
    assert scene.lab.home.state.unsent(scene.channel.channel_id) == []
    assert len(scene.prepare().unasked) == 3
    alder = scene.pair.custodians["alder"]
    assert alder.asked == [3]
    birch.seed = seed
    scene.ask(EMAILS)
    assert alder.asked == [3]


def _flipped(at: int) -> Callable[[bytes], bytes]:
    def tamper(answer: bytes) -> bytes:
        # The elements and the proof; before them stands the quota, which is a word and no proof.
        place = len(answer) - 1 - at * (len(EMAILS) * 32 + 64) // 40
        return answer[:place] + bytes([answer[place] ^ 1 << at % 8]) + answer[place + 1 :]

    return tamper


def test_altered_answers_are_refused_and_nothing_of_them_is_kept(scene: Scene) -> None:
    birch = scene.pair.custodians["birch"]
    earlier: list[bytes] = []
    scene.ask([("email", "earlier@mail.example")])

    def keep(answer: bytes) -> bytes:
        earlier.append(answer)
        return answer

    birch.tamper = keep
    scene.ask([("email", f"later{n}@mail.example") for n in range(3)])
    tampers: list[Callable[[bytes], bytes]] = [_flipped(at) for at in range(40)]
    tampers += [
        lambda answer: answer[:-1],
        lambda answer: answer + b"\0",
        lambda answer: b"",
        lambda answer: earlier[0],
    ]
    for tamper in tampers:
        birch.tamper = tamper
        with pytest.raises((InputError, VerificationError)):
            scene.ask(EMAILS)
        assert scene.known().missing(EMAILS) == EMAILS
    assert sum(scene.pair.custodians["alder"].asked) == 7
    birch.tamper = lambda answer: answer
    assert scene.ask(EMAILS) == 3


def test_a_custodian_that_is_away_costs_the_other_one_nothing(scene: Scene) -> None:
    scene.pair.down.add("birch")
    with pytest.raises(TransportError, match="cannot be reached") as got:
        scene.ask(EMAILS)
    assert got.value.where == "custodian birch"
    assert "goes on from there" in str(got.value.hint)
    scene.pair.down.clear()
    assert scene.ask(EMAILS) == 3
    assert scene.pair.custodians["alder"].asked == [3]


def test_the_quota_runs_out_and_the_next_day_goes_on(scene: Scene) -> None:
    birch = scene.pair.custodians["birch"]
    birch.day = 2
    with pytest.raises(QuotaError, match="quota is used up; 2 of 3 identifiers") as got:
        scene.ask(EMAILS)
    assert got.value.where == "custodian birch"
    assert "run it again after 2026-" in str(got.value.hint)
    assert list(scene.prepare().unasked) == EMAILS[2:]
    left = remaining(
        scene.lab.home, scene.channel.channel_id, scene.known(), now=scene.circle.clock()
    )
    assert [each.left for each in left] == [9_997, 0]
    scene.circle.clock.now += DAY
    scene.lab.home.state.run("UPDATE custodian SET expires=expires+864000")
    assert scene.ask(EMAILS) == 1
    assert birch.asked == [2, 1]
    assert scene.pair.custodians["alder"].asked == [3]


def test_a_burst_that_is_smaller_than_a_batch_makes_smaller_batches(scene: Scene) -> None:
    values = [("email", f"user{number}@mail.example") for number in range(700)]
    for each in scene.pair.custodians.values():
        each.burst = 300
    assert scene.ask(values) == 700
    assert scene.pair.custodians["birch"].asked == [300, 300, 100]


@pytest.mark.parametrize(
    ("code", "family", "said"),
    [
        ("destroyed", ConflictError, "its key for .* is gone"),
        ("expired", ConflictError, "its key for .* is gone"),
        ("not-a-reader", AccessError, "does not evaluate for this member"),
        ("unknown", ConflictError, r"refuses \(unknown\): so it says"),
        ("bad-request", ConflictError, r"refuses \(bad-request\)"),
        ("unavailable", TransportError, "cannot evaluate now"),
        ("behind", ConflictError, r"refuses \(behind\)"),
        ("replayed", ConflictError, r"refuses \(replayed\)"),
        ("too-large", ConflictError, r"refuses \(too-large\)"),
    ],
)
def test_a_refusal_is_told_in_its_family(
    scene: Scene, code: str, family: type[Exception], said: str
) -> None:
    def refuse(request: EvaluationRequest) -> None:
        raise RefusedError(Refusal(code, "so it says"))

    scene.pair.custodians["alder"].fail = refuse
    with pytest.raises(family, match=said):
        scene.ask(EMAILS)
    assert scene.pair.asked == 0


def test_a_request_that_may_have_been_counted_is_never_sent_twice(scene: Scene) -> None:
    birch = scene.pair.custodians["birch"]
    nonces: list[str] = []

    def lose_the_first(request: EvaluationRequest) -> None:
        nonces.append(request.nonce)
        if len(nonces) == 2:
            raise TransportError("broke off")

    birch.fail = lose_the_first
    assert scene.ask(EMAILS) == 3
    assert len(set(nonces)) == len(nonces) == 3


def test_what_is_kept_is_sealed_and_goes_with_its_key(scene: Scene) -> None:
    scene.ask(EMAILS)
    home, channel_id = scene.lab.home, scene.channel.channel_id
    alder = scene.pair.custodians["alder"].key.output(token_input(*EMAILS[0]))
    tag = str(scene.known().token(EMAILS[0])).rpartition(":")[2]
    home.state.run("PRAGMA wal_checkpoint(TRUNCATE)")
    stored = (home.path / home.STATE_FILE).read_bytes()
    for plain in (b"mailbox-farm", alder, tag.encode(), bytes.fromhex(tag)):
        assert plain not in stored
    assert evaluations.forget(home, channel_id, keep=[scene.key.key_id]) == 0
    assert evaluations.forget(home, channel_id) == 2
    assert scene.known().token(EMAILS[0]) is None


def test_what_live_indicators_need_outlives_the_fingerprint_key(scene: Scene) -> None:
    scene.ask(EMAILS)
    publish(scene.lab, scene.channel, scene.prepare())
    home, channel_id = scene.lab.home, scene.channel.channel_id
    (key,) = home.fingerprint_secrets(channel_id)
    early = dataclasses.replace(key, expires=scene.circle.clock() + 60)
    home.put_fingerprint_secret(channel_id, early, scene.circle.clock())
    scene.circle.clock.now += 2 * 60
    scene.ask([("email", "new@mailbox-farm.example")])
    assert scene.known().missing(EMAILS) == []
    home.state.run("UPDATE object SET revoked=1 WHERE type='indicator'")
    scene.ask([("email", "newer@mailbox-farm.example")])
    assert scene.known().missing(EMAILS) == EMAILS


def test_without_custodians_oblivious_rows_are_refused_with_the_reason(
    circle: Circle, tmp_path: Path
) -> None:
    lab = circle.open_channel(POLICY)
    path = tmp_path / "accounts.csv"
    path.write_text("email,campaign\nann@mailbox-farm.example,LANTERN\n")
    channel = lab.home.state.channel("circle")
    prepared = prepare(lab.home, channel, [path], Options(), now=circle.clock())
    assert prepared.counts()["refused"] == 1
    assert "no custodians serve its fingerprint key yet" in prepared.reports[0].reasons[0]


def _rows(scene: Scene) -> tuple[Custodian, Custodian]:
    alder, birch = (each.row() for each in scene.pair.custodians.values())
    return alder, birch


def test_owners_state_two_rows_of_the_live_key(scene: Scene) -> None:
    alder, birch = _rows(scene)
    other = dataclasses.replace(birch, key_id="0123456789abcdef.2026q1")
    replaced = dataclasses.replace(birch, public_key=alder.public_key, url="http://127.0.0.1/c")
    fresh = dataclasses.replace(birch, custodian_id="cedar", url="http://127.0.0.1/c")
    for rows, said in (
        ([alder], "two custodians are wanted"),
        ([alder, other], "serves another fingerprint key"),
        ([alder, replaced], "one and the same"),
        ([alder, fresh], "has other custodians already"),
    ):
        with pytest.raises(InputError, match=said):
            state_custodians(scene.lab, "circle", rows)
    assert state_custodians(scene.lab, "circle", [birch, alder]) == scene.key.key_id


def test_only_owners_state_custodians(scene: Scene) -> None:
    other = scene.circle.admit("other", "publish")
    with pytest.raises(AccessError, match="only an owner"):
        state_custodians(other, "circle", _rows(scene))


def _with_bucket(indicator: Json, name: str, bits: int) -> Json:
    """The same indicator under another id, with a bucket of so many bits."""
    old = indicator["extensions"][INDICATOR_CONTROLS]
    controls = old | {"bucket_bits": bits, "bucket": 2**bits - 1}
    return indicator | {"id": name, "extensions": {INDICATOR_CONTROLS: controls}}


def test_buckets_grow_with_the_live_tags_and_never_shrink(scene: Scene) -> None:
    now = datetime.fromtimestamp(scene.circle.clock(), UTC)
    scene.ask(EMAILS)
    one = scene.emails(scene.prepare())[0]

    def fitted(others: int, *, pending: int = 0, before: int | None = None, **held: object) -> int:
        made = _with_bucket(one, "indicator--mine", 20)
        rest = [_with_bucket(one, f"indicator--{n}", 4) | held for n in range(others)]
        old = _with_bucket(one, "indicator--mine", before) if before else None
        own = {"indicator--mine": old} if old else {}
        fit_buckets([made], [*own.values(), *rest], own, pending={"email": pending}, now=now)
        place = bucket_of(made)
        assert place is not None
        assert place.number == 2**place.bits - 1
        return place.bits

    assert fitted(0) == 4
    assert fitted(999) == 14
    assert fitted(999, revoked=True) == 4
    assert fitted(999, valid_until="2026-01-01T00:00:00Z") == 4
    assert fitted(1, before=9) == 9
    assert fitted(999, before=9) == 14
    assert fitted(1, pending=65_534) == 20
    with pytest.raises(InputError, match="buckets bear at most 65,536"):
        fitted(1, pending=65_535)


def test_forms_keep_what_nobody_can_guess_keyed() -> None:
    forms = Forms({"api-key": "oblivious", "email": "oblivious", "phone": "none"})
    assert [forms.of(kind) for kind in ("api-key", "email", "phone", "device")] == [
        "keyed",
        "oblivious",
        "none",
        "keyed",
    ]
    assert forms.overruled == ("api-key",)
    assert forms.asks
    assert not Forms({"api-key": "oblivious"}).asks
    assert Forms({"api-key": "none"}).of("api-key") == "none"
