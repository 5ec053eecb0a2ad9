"""Buckets of oblivious tokens: their length, and how an indicator carries them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hub.errors import InputError
from hub.model.buckets import MOST_TAGS, Bucket, bits_for, bucket_of
from hub.model.extension import INDICATOR_CONTROLS, validate
from hub.model.indicators import account_token_indicator

KEY_ID = "0123456789abcdef.2026q4"
TOKEN = f"email:{KEY_ID}:{'ab' * 32}"
NOW = datetime(2026, 11, 21, tzinfo=UTC)
OPTIONS: dict[str, Any] = {
    "created_by": "identity--6f8b9f5c-3b0d-4b4c-9d3e-0a1b2c3d4e5f",
    "created": NOW,
    "valid_from": NOW,
    "valid_until": NOW + timedelta(days=30),
}
BUCKET = Bucket("email", KEY_ID, 9, 0x1FF)


@pytest.mark.parametrize(
    ("tags", "bits"),
    [(0, 4), (1, 4), (2, 5), (3, 6), (4, 6), (5, 7), (1000, 14), (1024, 14), (1025, 15)],
)
def test_a_bucket_is_four_bits_longer_than_the_tags_need(tags: int, bits: int) -> None:
    assert bits_for(tags) == bits
    assert 2**bits >= 16 * max(tags, 1)


def test_more_tags_than_fit_under_the_longest_bucket_are_refused() -> None:
    assert bits_for(MOST_TAGS) == 20
    with pytest.raises(InputError, match="buckets bear at most 65,536"):
        bits_for(MOST_TAGS + 1)


def test_an_indicator_carries_its_bucket_and_form() -> None:
    made = account_token_indicator([TOKEN], bucket=BUCKET, **OPTIONS)
    controls = made["extensions"][INDICATOR_CONTROLS]
    assert (controls["privacy_form"], controls["bucket_bits"], controls["bucket"]) == (
        "oblivious",
        9,
        511,
    )
    assert controls["key_id"] == KEY_ID
    validate(INDICATOR_CONTROLS, controls)
    assert bucket_of(made) == BUCKET


def test_a_keyed_token_has_no_bucket() -> None:
    made = account_token_indicator([TOKEN], **OPTIONS)
    assert made["extensions"][INDICATOR_CONTROLS]["privacy_form"] == "hmac"
    assert bucket_of(made) is None


def test_a_bucket_belongs_to_the_token_beside_it() -> None:
    for other in (Bucket("phone", KEY_ID, 9, 1), Bucket("email", "other.2026q4", 9, 1)):
        with pytest.raises(InputError, match="another kind or key"):
            account_token_indicator([TOKEN], bucket=other, **OPTIONS)


@pytest.mark.parametrize(("bits", "number"), [(3, 0), (21, 0), (4, 16), (4, -1)])
def test_a_bucket_out_of_range_is_refused(bits: int, number: int) -> None:
    with pytest.raises(InputError, match="out of its range"):
        Bucket("email", KEY_ID, bits, number)


@pytest.mark.parametrize(
    "change",
    [
        {"bucket": 512},
        {"bucket": "7"},
        {"bucket_bits": 40},
        {"key_id": "NO"},
        {"indicator_kind": "network.ipv4"},
        {"indicator_kind": 7},
    ],
)
def test_what_a_publisher_wrote_out_of_form_has_no_bucket(change: dict[str, Any]) -> None:
    made = account_token_indicator([TOKEN], bucket=BUCKET, **OPTIONS)
    made["extensions"][INDICATOR_CONTROLS] |= change
    assert bucket_of(made) is None


def test_objects_of_any_form_have_no_bucket() -> None:
    for each in ({}, {"extensions": 1}, {"extensions": {INDICATOR_CONTROLS: [1]}}):
        assert bucket_of(each) is None
