"""CSV: fast and slow path agree, and malformed records are told with their line."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.errors import InputError
from hub.traffic import generic_csv
from hub.traffic.formats import open_log
from hub.traffic.reader import LogReader
from tests.unit.traffic.exchanges import as_csv, rows_of, several, written

_HEAD = b"timestamp,account_id,model,prompt\n"


def _row(account: str, prompt: str = "hello") -> bytes:
    return f"2026-11-20T12:00:00Z,{account},m,{prompt}\n".encode()


def _accounts(reader: LogReader) -> list[tuple[str, str]]:
    return [(row["account_id"], row["event_id"].partition(":")[2]) for row in rows_of(reader)]


def test_rows_carry_the_line_at_which_they_begin(tmp_path: Path) -> None:
    data = _HEAD + _row("a", '"one\ntwo\n\nthree"') + b"\n" + _row("b") + b"\r\n" + _row("c")
    reader = open_log(written(tmp_path, "log.csv", data))
    assert _accounts(reader) == [("a", "2"), ("b", "7"), ("c", "9")]
    assert reader.rejects.count == 0


def test_wrong_widths_are_counted_on_the_fast_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generic_csv._Decoder, "_slow", None)
    data = _HEAD + _row("a") + b"too,short\n" + _row("b") + _row("c", "x,y,z") + _row("d")
    reader = open_log(written(tmp_path, "log", data))
    assert _accounts(reader) == [("a", "2"), ("b", "4"), ("d", "6")]
    assert [(p.line, p.reason) for p in reader.rejects.examples] == [
        (3, "2 fields where the header has 4"),
        (5, "6 fields where the header has 4"),
    ]


def test_bad_bytes_cost_only_their_own_record(tmp_path: Path) -> None:
    data = _HEAD + _row("a") + b"2026-11-20T12:00:00Z,\xff\xfe,m,x\n" + _row("b", "\0")
    reader = open_log(written(tmp_path, "log", data))
    assert _accounts(reader) == [("a", "2"), ("b", "4")]
    assert [(p.line, p.reason) for p in reader.rejects.examples] == [(3, "not UTF-8")]


@pytest.mark.parametrize("quote", ["", '"'])
def test_a_stray_quote_costs_only_its_own_record(tmp_path: Path, quote: str) -> None:
    stray = b'2026-11-20T12:00:00Z,x,m,"never closed\n'
    many = b"".join(_row(f"a{i}", f"{quote}text {i}{quote}") for i in range(60_000))
    reader = open_log(written(tmp_path, "log", _HEAD + many + stray + many))
    lines = [int(line) for _, line in _accounts(reader)]
    assert lines == [*range(2, 60_002), *range(60_003, 120_003)]
    assert [p.line for p in reader.rejects.examples] == [60_002]


def test_quotes_everywhere_stay_linear(tmp_path: Path) -> None:
    hostile = b'","""\n' * 200_000
    reader = open_log(written(tmp_path, "log", _HEAD + _row("a") + hostile))
    assert _accounts(reader)[0] == ("a", "2")
    assert reader.rejects.count > 1000


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_other_delimiters(tmp_path: Path, delimiter: str) -> None:
    data = (_HEAD + _row("a")).replace(b",", delimiter.encode())
    assert _accounts(open_log(written(tmp_path, "log", data))) == [("a", "2")]


def test_mapping_by_names_of_ours_or_aliases(tmp_path: Path) -> None:
    data = b"when,who,what\n1795144267,a,m\n"
    path = written(tmp_path, "log", data)
    with pytest.raises(InputError, match="no known log format"):
        open_log(path)
    for time in ("timestamp", "observed_at"):
        reader = open_log(path, mapping={time: "when", "account_id": "who", "model": "what"})
        row = rows_of(reader)[0]
        assert (row["account_id"], row["request_model"]) == ("a", "m")
        assert reader.columns == {"observed_at", "event_id", "account_id", "request_model"}


@pytest.mark.parametrize(
    ("head", "mapping", "reason"),
    [
        (b"account_id,model\n", {}, "no field holds the time"),
        (b"timestamp,model,model\n", {}, "stands twice"),
        (b"timestamp,model\n", {"prompt": "text"}, "no column 'text' for prompt"),
        (b"timestamp" + b",x" * 20_000 + b"\n", {}, "more than 10000 columns"),
    ],
)
def test_headers_that_cannot_be_used(
    tmp_path: Path, head: bytes, mapping: dict[str, str], reason: str
) -> None:
    with pytest.raises(InputError, match=reason):
        open_log(written(tmp_path, "log", head + b"1,2\n"), format="csv", mapping=mapping)


_CELL = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r"), max_size=8)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(_CELL, _CELL), max_size=12), st.booleans(), st.integers(60, 200))
def test_fast_and_slow_path_agree_with_the_standard_library(
    tmp_path_factory: pytest.TempPathFactory,
    cells: list[tuple[str, str]],
    quote_all: bool,
    chunk: int,
) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(
        text, lineterminator="\n", quoting=csv.QUOTE_ALL if quote_all else csv.QUOTE_MINIMAL
    )
    writer.writerow(["timestamp", "account_id", "prompt"])
    for account, prompt in cells:
        writer.writerow(["1795144267", account, prompt])
    path = written(tmp_path_factory.mktemp("csv"), "log", text.getvalue().encode())
    expected = [(account or None, prompt or None) for account, prompt in cells]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(generic_csv, "_CHUNK_BYTES", chunk)
        fast = rows_of(open_log(path, format="csv"))
        patch.setattr(generic_csv._Decoder, "_fast", lambda *args: None)
        slow = rows_of(open_log(path, format="csv"))
    assert [(row["account_id"], row["prompt"]) for row in fast] == expected
    assert slow == fast


def test_chunks_do_not_change_the_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, "log", as_csv(several(300)))
    whole = rows_of(open_log(path))
    monkeypatch.setattr(generic_csv, "_CHUNK_BYTES", 1000)
    reader = open_log(path)
    reader._source._block_bytes = 333
    assert rows_of(reader, 7) == whole


def test_columns_that_nobody_asks_for_are_left_out_of_every_chunk(tmp_path: Path) -> None:
    good = b"1795144267,a,%s\n" % (b"x" * 400)
    broken = b'1795144267,a,"y" z\n1795144267,a,\xff\n1\n'
    data = b"timestamp,account_id,prompt\n" + good * 30_000 + broken + good
    path = written(tmp_path, "log", data)
    reader = open_log(path)
    whole = [row["event_id"] for row in rows_of(reader)]
    rejected = dict(reader.rejects.by_reason)
    part = [b for batch in reader.batches(columns={"account_id"}) for b in batch.to_pylist()]
    assert [row["event_id"] for row in part] == whole
    assert {row["prompt"] for row in part} == {None}
    assert dict(reader.rejects.by_reason) == rejected
    assert sum(rejected.values()) >= 2
    assert reader.glimpsed == {"prompt"}
