"""Oblivious tokens on the subscriber's side: who is asked about, what is told, what is kept."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from hub.client.custodians import Custodians
from hub.client.evaluations import Value
from hub.client.forms import known_tokens
from hub.client.known_tokens import KnownTokens
from hub.client.membership import remove
from hub.client.oblivious import evaluate
from hub.client.stating import state_custodians
from hub.client.tagging import Tagging
from hub.client.work import Desk
from hub.errors import StillwatchError, VerificationError
from hub.fingerprint.oblivious import bucket
from hub.fingerprint.tokens import FingerprintKey
from hub.model.buckets import Bucket, Buckets
from hub.model.codec import Json
from hub.model.indicators import account_token_indicator
from hub.traffic.accounts import AccountTable
from tests.unit.client.circle import Circle
from tests.unit.client.custodian_double import DAY, Pair

EMAILS = [("email", f"person{number}@company.example") for number in range(200)]
PLANTED = EMAILS[3], EMAILS[77]


@dataclasses.dataclass
class Scene:
    """A member with indicators of the planted addresses, and two custodians."""

    circle: Circle
    desk: Desk
    pair: Pair
    key: FingerprintKey
    indicators: list[Json]

    def buckets(self) -> Buckets:
        """The buckets of the indicators."""
        found = Buckets(datetime.fromtimestamp(self.circle.clock(), UTC))
        for each in self.indicators:
            found.add(each)
        return found

    def tagging(self, *, ask: bool = True) -> Tagging:
        """A fresh seam."""
        return Tagging(
            self.desk, self.buckets(), ask=ask, reach=self.pair.reach, sleep=lambda s: None
        )

    def run(self, *, ask: bool = True) -> tuple[set[str], Tagging]:
        """Note every address, and give the tokens that are known at the end."""
        tagging = self.tagging(ask=ask)
        for value in EMAILS:
            tagging.place(*value)
        return {token for token in tagging.tokens() if token is not None}, tagging


def _indicator(circle: Circle, token: str, place: Bucket, *, days: int = 30) -> Json:
    now = datetime.fromtimestamp(circle.clock(), UTC)
    options: dict[str, Any] = {
        "created_by": "identity--6f8b9f5c-3b0d-4b4c-9d3e-0a1b2c3d4e5f",
        "created": now,
        "valid_from": now - timedelta(days=40),
        "valid_until": now + timedelta(days=days),
    }
    return account_token_indicator([token], bucket=place, **options)


@pytest.fixture
def scene(circle: Circle) -> Scene:
    """Buckets of six bits: about one address of 32 is asked about."""
    lab = circle.open_channel()
    channel = lab.home.state.channel("circle")
    key = lab.home.fingerprint_keys()[-1]
    pair = Pair.of(channel.channel_id, key.key_id, circle.clock)
    state_custodians(lab, "circle", [each.row() for each in pair.custodians.values()])
    desk = circle.admit("provider", "read")
    channel = lab.home.state.channel("circle")
    known = KnownTokens(lab.home, channel.channel_id, key)
    evaluate(lab, channel, known, PLANTED, reach=pair.reach)
    made = []
    for value in PLANTED:
        token = known.token(value)
        assert token is not None
        made.append(
            _indicator(circle, token, Bucket("email", key.key_id, 6, bucket(key, *value, 6)))
        )
    for each in pair.custodians.values():
        each.asked.clear()
    return Scene(circle, desk, pair, key, made)


def _in_buckets(scene: Scene) -> list[Value]:
    wanted = {bucket(scene.key, *value, 6) for value in PLANTED}
    return [value for value in EMAILS if bucket(scene.key, *value, 6) in wanted]


def test_only_identifiers_of_a_live_bucket_are_asked_about(scene: Scene) -> None:
    expected = _in_buckets(scene)
    assert 2 <= len(expected) < 60
    tokens, tagging = scene.run()
    assert scene.pair.custodians["alder"].asked == [len(expected)]
    asked = tagging.asked
    assert (asked.identifiers, asked.in_buckets) == (200, len(expected))
    assert (asked.asked, asked.cached, asked.left) == (len(expected), 0, 0)
    assert len(tokens) == len(expected)
    for each in scene.indicators:
        assert any(token in each["pattern"] for token in tokens)


def test_the_second_run_asks_nobody(scene: Scene) -> None:
    first, before = scene.run()
    scene.pair.down |= {"alder", "birch"}
    again, tagging = scene.run()
    assert again == first
    assert (tagging.asked.asked, tagging.asked.cached) == (0, before.asked.asked)
    assert tagging.digest == before.digest


def test_offline_takes_what_is_kept_and_says_what_is_not(scene: Scene) -> None:
    expected = _in_buckets(scene)
    tokens, tagging = scene.run(ask=False)
    assert tokens == set()
    assert (tagging.asked.left, scene.pair.asked) == (len(expected), 0)
    assert tagging.asked.reasons == ["the custodians were not asked"]
    assert tagging.incomplete == {("email", scene.key.key_id)}
    scene.run()
    tokens, complete = scene.run(ask=False)
    assert (len(tokens), complete.asked.left, complete.incomplete) == (len(expected), 0, set())
    assert complete.digest != tagging.digest


def test_quota_leaves_some_and_the_next_day_completes(scene: Scene) -> None:
    expected = len(_in_buckets(scene))
    scene.pair.custodians["birch"].day = 1
    tokens, tagging = scene.run()
    assert (len(tokens), tagging.asked.asked, tagging.asked.left) == (1, 1, expected - 1)
    assert "custodian birch: this member's quota is used up" in tagging.asked.reasons[0]
    assert {each.custodian_id: each.left for each in tagging.asked.quota}["birch"] == 0
    scene.circle.clock.now += DAY
    scene.pair.custodians["birch"].day = 1_000
    tokens, tagging = scene.run()
    assert (tagging.asked.asked, tagging.asked.left) == (expected - 1, 0)
    assert sum(scene.pair.custodians["alder"].asked) == expected


def test_a_custodian_that_is_away_leaves_tokens_for_the_next_run(scene: Scene) -> None:
    expected = len(_in_buckets(scene))
    scene.pair.down.add("birch")
    tokens, tagging = scene.run()
    assert (tokens, tagging.asked.asked, tagging.asked.left) == (set(), 0, expected)
    assert "custodian birch: cannot be reached" in tagging.asked.reasons[0]
    assert tagging.incomplete == {("email", scene.key.key_id)}
    scene.pair.down.clear()
    tokens, tagging = scene.run()
    assert (len(tokens), tagging.asked.left, tagging.incomplete) == (expected, 0, set())


def test_a_custodian_with_another_key_stops_the_run(scene: Scene) -> None:
    scene.pair.custodians["alder"].seed = b"x" * 32
    with pytest.raises(VerificationError, match="stated key"):
        scene.run()


def test_expired_indicators_are_matched_from_what_is_kept_only(scene: Scene) -> None:
    expected = len(_in_buckets(scene))
    scene.run()
    scene.circle.clock.now += 31 * DAY
    tokens, tagging = scene.run()
    assert len(tokens) == expected
    assert (tagging.asked.in_buckets, tagging.asked.left) == (expected, 0)
    scene.desk.home.state.run("DELETE FROM evaluation")
    tokens, tagging = scene.run()
    assert (tokens, tagging.asked.asked, tagging.asked.left) == (set(), 0, 0)


def test_a_key_that_is_gone_leaves_tokens_and_is_no_error(scene: Scene) -> None:
    rows = Custodians(scene.desk.home.state, scene.desk.home.state.channels()[0].channel_id)
    rows.put([dataclasses.replace(r, expires=r.created + 1) for r in rows.all()])
    scene.circle.clock.now += 1
    tokens, tagging = scene.run()
    assert tokens == set()
    assert "has expired" in tagging.asked.reasons[0]
    assert (tagging.asked.left, tagging.incomplete) == (len(_in_buckets(scene)), set())
    assert scene.pair.asked == 0


def test_a_key_without_custodians_here_leaves_tokens(scene: Scene) -> None:
    scene.desk.home.state.run("DELETE FROM custodian")
    tokens, tagging = scene.run()
    assert (tokens, tagging.asked.left) == (set(), len(_in_buckets(scene)))
    assert "no custodians of" in tagging.asked.reasons[0]


def test_after_a_new_key_old_tags_match_and_new_ones_need_new_custodians(scene: Scene) -> None:
    first, _ = scene.run()
    lab, clock = scene.circle.desks["lab"], scene.circle.clock
    channel = lab.home.state.channel("circle")
    leaver = scene.circle.admit("leaver", "read")
    remove(lab, "circle", leaver.home.member_id)
    scene.circle.pull("provider")
    fresh = lab.home.fingerprint_keys()[-1]
    assert fresh.key_id != scene.key.key_id
    assert known_tokens(lab.home, channel) is None
    # The old custodians serve the old key as long as its indicators live.
    again, tagging = scene.run()
    assert (again, tagging.asked.asked) == (first, 0)

    pair = Pair.of(channel.channel_id, fresh.key_id, clock)
    for name, each in pair.custodians.items():
        each.seed = f"{name} anew".encode().ljust(32, b".")
    rows = [each.row() for each in pair.custodians.values()]
    assert state_custodians(lab, "circle", rows) == fresh.key_id
    channel = lab.home.state.channel("circle")
    known = known_tokens(lab.home, channel)
    assert known is not None
    assert known.missing(PLANTED) == list(PLANTED)
    evaluate(lab, channel, known, PLANTED, reach=pair.reach)
    token = known.token(PLANTED[0])
    assert token is not None
    assert token.startswith(f"email:{fresh.key_id}:")
    assert token not in first

    # What was kept goes with its key.
    clock.now += lab.home.settings.fingerprint_key_lifetime_s + 1
    with pytest.raises(StillwatchError):
        evaluate(lab, channel, known, EMAILS[:1], reach=pair.reach)
    assert not lab.home.state.rows("SELECT 1 FROM evaluation")


def test_indicators_of_another_channel_ask_nothing(scene: Scene) -> None:
    place = Bucket("email", "fedcba9876543210.2026q4", 4, 1)
    scene.indicators = [_indicator(scene.circle, f"email:{place.key_id}:{'ab' * 32}", place)]
    tokens, tagging = scene.run()
    assert (tokens, tagging.asked.identifiers) == (set(), 0)


def test_a_customer_table_gets_its_tokens_through_the_seam(scene: Scene, tmp_path: Path) -> None:
    path = tmp_path / "customers.csv"
    rows = [f"cus-{number},{mail}" for number, (_, mail) in enumerate(EMAILS)]
    path.write_text("\n".join(["account_id,email", *rows]))
    tagging = scene.tagging()
    table = AccountTable.read(path, keys=[scene.key], tagging=tagging)
    filled = table._customers.column("fp_tokens").to_pylist()
    assert {len(each) for each in filled} == {1, 2}
    assert sum(len(each) == 2 for each in filled) == tagging.asked.asked == len(_in_buckets(scene))
    assert filled[77][1] in scene.indicators[1]["pattern"]


def test_a_bucket_counts_as_live_while_one_indicator_of_it_is(scene: Scene) -> None:
    now = datetime.fromtimestamp(scene.circle.clock(), UTC)
    place = Bucket("email", scene.key.key_id, 4, 9)
    token = f"email:{scene.key.key_id}:{'ab' * 32}"
    old, fresh = (_indicator(scene.circle, token, place, days=days) for days in (-1, 1))
    revoked = fresh | {"revoked": True}
    number = 9 << 16
    for made, expected in (
        ([old], False),
        ([old, fresh], True),
        ([fresh, old], True),
        ([revoked], None),
        ([revoked, old], False),
    ):
        found = Buckets(now)
        for each in made:
            found.add(each)
        assert found.live("email", scene.key.key_id, number) is expected
        assert found.live("email", scene.key.key_id, number | 0xFFFF) is expected
        assert found.live("email", scene.key.key_id, number - 1) is None
        assert found.live("phone", scene.key.key_id, number) is None
