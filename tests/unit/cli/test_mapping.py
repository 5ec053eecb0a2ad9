"""`--map` in both directions, for logs, customer tables and detections."""

from __future__ import annotations

import pytest

from hub.cli.mapping import accounts_mapping, log_mapping, table_mapping
from hub.client.ingest import FIELDS
from hub.errors import InputError


@pytest.mark.parametrize(
    "texts",
    [
        ["timestamp=ts, model = m", "prompt=a.b,"],
        ["ts=timestamp", "m=request_model,a.b=prompt"],
        ["observed_at=ts,m=model", "prompt=a.b"],
    ],
)
def test_the_known_name_says_which_side_is_ours(texts: list[str]) -> None:
    assert log_mapping(texts) == {"observed_at": "ts", "request_model": "m", "prompt": "a.b"}


def test_where_both_are_known_the_left_one_is_ours() -> None:
    assert accounts_mapping(["email=name"]) == {"email": "name"}
    assert table_mapping(["email=domain"], FIELDS) == {"domain": "email"}
    assert log_mapping(["account_id=org_id,org_id=account_id"]) == {
        "account_id": "org_id",
        "org_id": "account_id",
    }


def test_publish_takes_both_directions() -> None:
    expected = {"contact_mail": "email", "created": "first_seen"}
    assert table_mapping(["email=contact_mail,first_seen=created"], FIELDS) == expected
    assert table_mapping(["contact_mail=email", "created=first_seen"], FIELDS) == expected
    assert table_mapping([], FIELDS) == {}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("model", "--map: 'model' is not OURS=THEIRS"),
        ("model=", "'model=' is not"),
        ("=ts", "'=ts' is not"),
        ("model=m,colour=x", "neither side of 'colour=x' is a name of ours"),
        ("model=a,b=request_model", "'b=request_model': request_model is already mapped to 'a'"),
    ],
)
def test_an_error_names_the_pair_and_the_names(text: str, reason: str) -> None:
    with pytest.raises(InputError) as caught:
        log_mapping([text])
    assert reason in str(caught.value)
    if "already" not in reason:
        assert "timestamp" in str(caught.value.hint)


def test_one_column_fills_one_field_of_a_detection() -> None:
    with pytest.raises(InputError, match="'a' is mapped to email and to phone"):
        table_mapping(["email=a,phone=a"], FIELDS)
    with pytest.raises(InputError, match="--accounts-map"):
        accounts_mapping(["colour=x"])
