"""Customer tables: joining, tokens, and what a bad table says."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hub.errors import InputError
from hub.fingerprint import normalise
from hub.fingerprint.tokens import FingerprintKey, token
from hub.match.schema import TRAFFIC_SCHEMA
from hub.traffic.accounts import AccountTable

KEYS = [
    FingerprintKey("0123456789abcdef.2026q3", bytes(32)),
    FingerprintKey("0123456789abcdef.2026q4", bytes(range(32))),
]
ROW = {
    "account_id": "cus-1",
    "email": "Ada.Abel+x@Birchfield.example",
    "phone": "+1 202-555-0143",
    "payment": "pmfp_0123456789",
    "device": "",
    "name": "Ada Abel",
    "signup_time": "2026-01-05T01:02:03+01:00",
}


def tokens_of(values: Mapping[str, str], keys: Sequence[FingerprintKey]) -> list[str]:
    """The tokens of one account, one identifier and one key at a time."""
    return [
        token(key, kind, normalise.of_kind(kind, raw))
        for kind, raw in values.items()
        for key in keys
    ]


def batch(*events: dict[str, object]) -> pa.RecordBatch:
    now = datetime(2026, 11, 10, tzinfo=UTC)
    rows = [
        {"observed_at": now, "event_id": str(number), **event}
        for number, event in enumerate(events)
    ]
    return pa.RecordBatch.from_pylist(rows, TRAFFIC_SCHEMA)


def write(tmp_path: Path, suffix: str, *rows: dict[str, str]) -> Path:
    path = tmp_path / f"customers{suffix}"
    if suffix == ".csv":
        names = list(rows[0])
        lines = [",".join(names), *(",".join(row[n] for n in names) for row in rows)]
        path.write_text("\n".join(lines) + "\n")
    elif suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        pq.write_table(pa.Table.from_pylist(list(rows)), path)
    return path


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_every_kind_of_file_fills_the_account_columns(tmp_path: Path, suffix: str) -> None:
    table = AccountTable.read(write(tmp_path, suffix, ROW), keys=KEYS)
    enriched = table.enrich(batch({"account_id": "cus-1"}, {"account_id": "cus-2"}, {}))
    assert enriched.schema == TRAFFIC_SCHEMA
    first, second, third = enriched.to_pylist()
    values = {
        "email": ROW["email"],
        "phone": ROW["phone"],
        "payment-instrument": ROW["payment"],
        "name": ROW["name"],
    }
    assert sorted(first["fp_tokens"]) == sorted(tokens_of(values, KEYS))
    assert len(first["fp_tokens"]) == 8
    assert first["email_domain"] == "birchfield.example"
    assert first["local_part_shape"] == "lll.llll+l"
    assert first["display_name_shape"] == "Ull Ulll"
    assert first["signup_time"] == datetime(2026, 1, 5, 0, 2, 3, tzinfo=UTC)
    for other in (second, third):
        assert other["fp_tokens"] is None
        assert other["email_domain"] is None
    assert table.problems == ()


def test_a_key_id_joins_where_no_account_does(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        ".jsonl",
        {"account_id": "cus-1", "email": "a@one.example"},
        {"api_key_id": "key-9", "email": "b@two.example"},
    )
    table = AccountTable.read(path, keys=KEYS)
    events = batch(
        {"account_id": "cus-1", "api_key_id": "key-9"},
        {"account_id": "cus-7", "api_key_id": "key-9"},
        {"api_key_id": "key-9"},
    )
    domains = table.enrich(events).column("email_domain").to_pylist()
    assert domains == ["one.example", "two.example", "two.example"]


def test_rows_of_one_customer_join(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        ".jsonl",
        {"account_id": "cus-1", "payment": "pmfp_first_one", "email": "a@one.example"},
        {"account_id": "cus-1", "payment": "pmfp_second_one", "email": "b@two.example"},
    )
    row = AccountTable.read(path, keys=KEYS[:1]).enrich(batch({"account_id": "cus-1"}))
    tokens = row.column("fp_tokens").to_pylist()[0]
    assert sorted(tokens) == sorted(
        tokens_of({"payment-instrument": "pmfp_first_one", "email": "a@one.example"}, KEYS[:1])
        + tokens_of({"payment-instrument": "pmfp_second_one", "email": "b@two.example"}, KEYS[:1])
    )
    assert row.column("email_domain").to_pylist() == ["one.example"]


class Asked:
    """A seam that gives a token for every e-mail, and none for any phone."""

    def __init__(self) -> None:
        self.noted: list[tuple[str, str]] = []
        self.calls = 0

    def place(self, kind: str, normalised: str) -> Sequence[int]:
        if kind not in ("email", "phone"):
            return ()
        self.noted.append((kind, normalised))
        return (len(self.noted) - 1,)

    def tokens(self) -> Sequence[str | None]:
        self.calls += 1
        return [f"tag-of-{v}" if kind == "email" else None for kind, v in self.noted]


def test_tokens_that_are_asked_for_at_the_end_join_the_customer(tmp_path: Path) -> None:
    path = tmp_path / "customers.jsonl"
    rows = (ROW, {"account_id": "cus-1", "email": "second@mail.example"})
    path.write_text("\n".join(json.dumps(row) for row in rows))
    asked = Asked()
    row = AccountTable.read(path, keys=KEYS[:1], tagging=asked).enrich(
        batch({"account_id": "cus-1"})
    )
    found = row.column("fp_tokens").to_pylist()[0]
    assert found[-2:] == ["tag-of-ada.abel@birchfield.example", "tag-of-second@mail.example"]
    assert sum(each.startswith("email:") for each in found) == 2
    assert asked.calls == 1
    assert ("phone", "+12025550143") in asked.noted


def test_what_the_log_says_is_kept(tmp_path: Path) -> None:
    table = AccountTable.read(write(tmp_path, ".csv", ROW), keys=KEYS)
    events = batch(
        {"account_id": "cus-1", "email_domain": "said.example", "fp_tokens": ["email:k.x:00"]},
        {"account_id": "cus-1"},
    )
    enriched = table.enrich(events)
    assert enriched.column("email_domain").to_pylist() == ["said.example", "birchfield.example"]
    assert enriched.column("fp_tokens").to_pylist()[0] == ["email:k.x:00"]
    assert len(enriched.column("fp_tokens").to_pylist()[1]) == 8


def test_without_keys_there_are_no_tokens(tmp_path: Path) -> None:
    table = AccountTable.read(write(tmp_path, ".csv", ROW))
    row = table.enrich(batch({"account_id": "cus-1"})).to_pylist()[0]
    assert row["fp_tokens"] is None
    assert row["email_domain"] == "birchfield.example"


def test_columns_can_be_mapped(tmp_path: Path) -> None:
    path = write(tmp_path, ".csv", {"customer": "7", "mail": "a@one.example", "email": "x"})
    table = AccountTable.read(path, {"account_id": "customer", "email": "mail"}, keys=KEYS)
    enriched = table.enrich(batch({"account_id": "7"}))
    assert enriched.column("email_domain").to_pylist() == ["one.example"]


def test_bad_values_are_listed_by_place_and_never_shown(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        ".csv",
        {"account_id": "cus-1", "email": "secret-person", "signup_time": "last secret week"},
        {"account_id": "", "email": "a@one.example", "signup_time": ""},
        {"account_id": "cus-2", "email": "a@one.example", "signup_time": ""},
    )
    table = AccountTable.read(path, keys=KEYS)
    assert [(p.where, p.field) for p in table.problems] == [
        ("customers.csv:2", "email"),
        ("customers.csv:2", "signup_time"),
        ("customers.csv:3", "account_id"),
    ]
    assert table.problem_count == 3
    assert "secret" not in repr(table.problems)
    assert len(table) == 2


@pytest.mark.parametrize(
    ("name", "content", "where"),
    [
        ("c.csv", b"email,phone\na@one.example,\n", "c.csv"),
        ("c.csv", b"account_id,email\n1,a@one.example\n2,secret@x.example,3\n", "c.csv:3"),
        ("c.csv", b'account_id,email\n1,"secret\n', "c.csv:2"),
        ("c.csv", b"account_id,account_id\n1,2\n", "c.csv:1"),
        ("c.csv", b"account_id,email\n1,\xff\xfe\n", "c.csv"),
        ("c.csv", b"", "c.csv"),
        ("c.jsonl", b'{"account_id": "1"}\n{"account_id": "secret"\n', "c.jsonl:2"),
        ("c.jsonl", b'["secret"]\n', "c.jsonl:1"),
        ("c.jsonl", b'{"email": "secret@x.example"}\n', "c.jsonl:1"),
        ("c.parquet", b"PAR1secret", "c.parquet"),
        ("c.xlsx", b"secret", "c.xlsx"),
    ],
)
def test_a_malformed_table_names_the_place(
    tmp_path: Path, name: str, content: bytes, where: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError) as caught:
        AccountTable.read(tmp_path / name, keys=KEYS)
    assert caught.value.where == where
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("mapping", [{"account_id": "nothing"}, {"shoe_size": "account_id"}])
def test_a_mapping_to_nothing_is_refused(tmp_path: Path, mapping: dict[str, str]) -> None:
    with pytest.raises(InputError):
        AccountTable.read(write(tmp_path, ".csv", ROW), mapping)


def test_a_missing_file_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"absent\.csv"):
        AccountTable.read(tmp_path / "absent.csv")


def test_an_empty_batch_stays_empty(tmp_path: Path) -> None:
    table = AccountTable.read(write(tmp_path, ".csv", ROW), keys=KEYS)
    assert table.enrich(batch()).num_rows == 0


@pytest.mark.parametrize(
    ("name", "text", "mapping", "reason", "hint"),
    [
        ("c.csv", "", {}, "the file is empty", ""),
        ("c.jsonl", "\n", {}, "the file is empty", ""),
        ("c.csv", "id,mail\n", {}, "the file has id, mail", "--accounts-map account_id="),
        ("c.jsonl", '{"id": 1, "mail": 2}', {}, "the file has id, mail", "--accounts-map"),
        ("c.csv", "id,mail\n", {"email": "mial"}, "no column 'mial' for email; the file", "phone"),
        ("c.csv", "account_id,a\n1\n", {}, "1 field where the header has 2", ""),
    ],
)
def test_what_is_wrong_and_how_to_mend_it(
    tmp_path: Path, name: str, text: str, mapping: dict[str, str], reason: str, hint: str
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError) as caught:
        AccountTable.read(tmp_path / name, mapping)
    assert reason in str(caught.value)
    assert hint in str(caught.value.hint)


def test_a_table_in_utf16_is_to_be_converted(tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_bytes("account_id,email\n".encode("utf-16"))
    with pytest.raises(InputError) as caught:
        AccountTable.read(tmp_path / "c.csv")
    assert caught.value.hint == "convert it to UTF-8"
