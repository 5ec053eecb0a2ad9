"""What a custodian, or a holder of the fingerprint key, can find out by trying every value."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.channel.card import card_message
from hub.channel.custodians import parse_answer
from hub.channel.manifest import DAY, next_version
from hub.custody.quota import QuotaExceededError, Rule
from hub.custody.service import EVERYBODY, set_rule
from hub.fingerprint.oblivious import (
    EvaluationKey,
    blind,
    bucket,
    oblivious_token,
    token_input,
)
from hub.fingerprint.tokens import FingerprintKey
from tests.unit.channel.cast import NOW, READER, Person, seed
from tests.unit.custody.stand import Stand, posted, scene

KIND = "phone"
VALUES = [f"+1212555{number:04d}" for number in range(40)]
SECRET = VALUES[23]
KEY = FingerprintKey("0123456789abcdef.2027q1", seed("fingerprint key", 32))
SEEDS = (seed("custodian a", 32), seed("custodian b", 32))
A, B = (EvaluationKey(each, b"info") for each in SEEDS)


def _tag(value: str, first: EvaluationKey, second: EvaluationKey) -> str:
    data = token_input(KIND, value)
    return oblivious_token(KEY, KIND, first.output(data), second.output(data))


def test_one_custodian_with_the_fingerprint_key_cannot_enumerate() -> None:
    """Forty phone numbers are few: whoever holds both keys finds the one at once."""
    published = _tag(SECRET, A, B)
    assert [value for value in VALUES if _tag(value, A, B) == published] == [SECRET]
    # One key, twice or beside anything that its holder could make up.
    made_up = EvaluationKey(seed("a guess", 32), b"info")
    for pair in ((A, A), (B, B), (A, made_up), (made_up, B), (B, A)):
        assert [value for value in VALUES if _tag(value, *pair) == published] == []


def test_the_bucket_alone_tells_no_more_than_its_bits() -> None:
    found = bucket(KEY, KIND, SECRET, 2)
    left = [value for value in VALUES if bucket(KEY, KIND, value, 2) == found]
    assert SECRET in left
    assert len(left) > 4


def test_two_members_with_one_value_look_like_two_values() -> None:
    same = [blind([token_input(KIND, SECRET)]).elements for _ in range(50)]
    assert len(set(same)) == 50
    answered = [A.evaluate(each).elements for each in same]
    assert len({*answered, *same}) == 100


@pytest.fixture
def stand(tmp_path: Path) -> Iterator[Stand]:
    made = Stand(tmp_path / "a", scene())
    yield made
    made.folder.close()


def test_a_member_that_enumerates_has_one_quota_for_all_its_cards(stand: Stand) -> None:
    provider, made = Person("provider"), stand.made
    set_rule(stand.folder, stand.channel, EVERYBODY, Rule(day=30, burst=30), now=NOW)
    first = blind([token_input(KIND, value) for value in VALUES[:20]])
    stand.ask(provider, first)
    renewed = provider.renewed()
    rows = [row for row in made.manifest.members if row.member != provider.id]
    made.publish_manifest(
        next_version(
            made.manifest,
            created=NOW,
            expires=NOW + 90 * DAY,
            members=[*rows, renewed.row(READER)],
            removed=[made.trusted.final_of(provider.id)],
        )
    )
    made.post(card_message(stand.channel, renewed.card_raw))
    stand.custodian.learn(stand.channel, posted(made), stand.now)
    with pytest.raises(QuotaExceededError, match="and 10 of 30 are left"):
        stand.ask(renewed, first)
    rest = blind([token_input(KIND, value) for value in VALUES[20:30]])
    request = stand.request(renewed, rest.elements)
    raw, _ = stand.custodian.evaluate(request.raw, stand.now)
    assert parse_answer(raw, request).quota.left == 0
