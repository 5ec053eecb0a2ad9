"""A masked value tells its kind and hides whose it is."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.match.mask import masked, masked_column
from hub.match.plan import FIELDS, Field


def _field(column: str, derived: str | None = None) -> Field:
    return next(one for one in FIELDS.values() if (one.column, one.derived) == (column, derived))


@pytest.mark.parametrize(
    ("column", "value", "shown"),
    [
        ("client_ip", "192.0.2.77", "192.0.2.0/24"),
        ("client_ip", "2001:db8:1:2::3", "2001:db8:1::/48"),
        ("fp_tokens", "phone:key.2026q4:0123456789abcdef", "phone:key.2026q4:01234567…"),
        ("fp_tokens", "nothing like a token", "noth…"),
        ("account_id", "acct-123456", "acct…"),
        ("account_id", "someone@mail.example", "…@… (20 characters)"),
        ("api_key_id", "k1", "k1…"),
        ("user_agent", "relay/1 (+mailto:someone@mail.example)", "relay/1"),
        ("user_agent", "someone@mail.example", "…@… (20 characters)"),
        ("prompt", "a secret plan", "(13 characters)"),
        ("email_domain", "mailbox-farm.example", "mailbox-farm.example"),
        ("signup_time", "2026-10-01T02:05:00.000Z", "2026-10-01"),
        ("asn", "64496", "64496"),
        ("canary_ids", "cnry-7f3a91", "cnry…"),
    ],
)
def test_masks(column: str, value: str, shown: str) -> None:
    assert masked(_field(column), value) == shown


def test_a_hash_of_a_prompt_keeps_its_beginning() -> None:
    assert masked(_field("prompt", "sha256_norm"), "ab" * 32) == "ab" * 12 + "…"


@pytest.mark.parametrize("field", list(FIELDS.values()), ids=lambda field: str(field.path))
def test_no_field_shows_an_address_of_mail(field: Field) -> None:
    if field.column != "client_ip":
        assert "someone" not in masked(field, "someone@mail.example")


@settings(max_examples=100, derandomize=True, deadline=None)
@given(
    st.sampled_from(["fp_tokens", "account_id", "user_agent", "asn", "canary_ids"]),
    st.lists(st.text("a:0@\n é", max_size=14) | st.just("email:k.2026q4:" + "0" * 64), max_size=5),
)
def test_columns_are_masked_as_their_values_are(column: str, values: list[str]) -> None:
    field = _field(column)
    found = masked_column(field, pa.array(values, pa.string())).to_pylist()
    assert found == [masked(field, value) for value in values]
