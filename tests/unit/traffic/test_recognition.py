"""No two formats claim one log: every format's own lines are told as that format alone."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
import zstandard

from hub.traffic import formats
from hub.traffic.decode import Head
from hub.traffic.formats import format_names, format_titles, open_log
from tests.unit.traffic.exchanges import WRITERS, Exchange, several, written

SAMPLES = Path(__file__).parents[3] / "samples" / "provider"
_LINES = sorted(set(WRITERS) - {"csv", "parquet"})
_STORIES = {
    "gateway-litellm.jsonl": "litellm",
    "gateway-otel.jsonl": "otel",
    "edge-nginx.log": "nginx",
}


def _sample_files() -> list[tuple[str, Path]]:
    small = [(path.name.partition(".")[0], path) for path in (SAMPLES / "formats").iterdir()]
    return sorted([*small, *((name, SAMPLES / file) for file, name in _STORIES.items())])


def _claims(data: bytes) -> list[str]:
    head = Head(data, {})
    return [known.name for known in formats._FORMATS if known.recognises(head)]


@pytest.mark.parametrize("name", WRITERS)
def test_only_one_format_claims_what_a_writer_writes(name: str) -> None:
    assert _claims(WRITERS[name](several(5))) == [name]
    sparse = Exchange(
        account_id=None, org_id=None, api_key_id=None, client_ip=None, user_agent=None
    )
    assert _claims(WRITERS[name]([sparse])) == [name]


@pytest.mark.parametrize(("name", "path"), _sample_files())
def test_only_one_format_claims_a_sample(tmp_path: Path, name: str, path: Path) -> None:
    data = path.read_bytes()
    assert _claims(data) == [name]
    plain = open_log(path)
    rows = sum(batch.num_rows for batch in plain.batches())
    assert rows >= 7
    compress = zstandard.ZstdCompressor().compress
    for packed in (gzip.compress(data), compress(data), b"\xef\xbb\xbf" + data):
        reader = open_log(written(tmp_path, path.name, packed))
        assert reader.format_name == name
        assert sum(batch.num_rows for batch in reader.batches()) == rows


def test_there_is_a_sample_of_each_format_but_the_binary_one() -> None:
    assert {name for name, _ in _sample_files()} == set(format_names()) - {"parquet"}


@pytest.mark.parametrize("name", sorted(set(_LINES) - {"vllm", "nginx"}))
def test_the_order_of_keys_says_nothing(name: str) -> None:
    records = [json.loads(line) for line in WRITERS[name](several(3)).splitlines()]
    turned = [dict(reversed(record.items())) for record in records]
    assert _claims("".join(json.dumps(r) + "\n" for r in turned).encode()) == [name]


@pytest.mark.parametrize("first", _LINES)
def test_two_formats_in_one_file_are_both_named(first: str) -> None:
    for second in _LINES:
        if first != second:
            both = WRITERS[first](several(1)) + WRITERS[second](several(1))
            # nginx is told by most lines, one-api by all of them, since new-api only adds to it.
            weak = {"nginx"} | ({"one-api"} if "new-api" in (first, second) else set())
            assert {first, second} - weak <= set(_claims(both)) <= {first, second}


@pytest.mark.parametrize(
    "line",
    [
        b"{}",
        b'{"timestamp": 1}',
        b'{"id": 1, "created_at": 2, "type": "x"}',
        b'{"time": "2026-11-10T00:00:00Z", "category": "x", "level": "info"}',
        b'{"start_time": 1, "end_time": 2, "message": "x"}',
        b'{"request": {"url": "/"}, "response": {}}',
        b'{"records": []}',
        b'{"result": [1, "x", null]}',
        b'{"ts": 1, "request": "GET /"}',
        b'INFO:     127.0.0.1:40112 - "GET /health HTTP/1.1" 200 OK',
        b"INFO 2026-11-10 00:00:00 something else",
    ],
)
def test_other_logs_are_claimed_by_none(line: bytes) -> None:
    assert _claims(line + b"\n") == []


def test_titles_are_distinct() -> None:
    titles = [title for _, title in format_titles()]
    assert len(set(titles)) == len(titles) == len(format_names())
