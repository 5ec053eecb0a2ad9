"""Reading logs with two threads, beside DuckDB's bare read of the same columns.

A million events of about one kilobyte, prompt included, as JSON lines, CSV and Parquet; and a
fifth of them as LiteLLM's logging payload, whose messages are nested. Both sides must come to the
same number of rows, the same sum of the lengths of every text, and the same last time. Ours also
checks addresses and times, numbers lines and counts what it leaves out.
"""

from __future__ import annotations

import json
import random
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from tests.bench import sides
from tests.bench.table import Row

EVENTS, NESTED = 1_000_000, 200_000
START: Final = datetime(2026, 11, 1, tzinfo=UTC)
THREADS: Final = 2
TEXTS: Final = ("event_id", "account_id", "client_ip", "user_agent", "prompt")
_FIELDS: Final = ("request_id", "account_id", "client_ip", "user_agent", "prompt")
_FILES: Final = {
    "JSON lines": ("events.jsonl", "0.7"),
    "CSV": ("events.csv", ""),
    "Parquet": ("events.parquet", ""),
    "LiteLLM payload": ("payload.jsonl", ""),
}


def measure() -> list[Row]:
    """Measure everything; takes a few minutes."""
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write(folder)
        for title, (file, floor) in _FILES.items():
            path = folder / file
            done = sides.compare("tests.bench.read", ("ours", "duckdb"), str(path))
            rows += _rows(title, path, floor, done["ours"], done["duckdb"])
            path.unlink()
    return rows


def _rows(
    title: str, path: Path, floor: str, ours: sides.Outcome, theirs: sides.Outcome
) -> list[Row]:
    count = ours.figures["rows"]
    work = f"read {count:,.0f} {title}, {path.stat().st_size / count:,.0f} B each"
    found = [
        (f"{work}: events/s", _rate(count, ours.seconds), _rate(count, theirs.seconds)),
        (f"{work}: processor time", f"{ours.cpu:.2f} s", f"{theirs.cpu:.2f} s"),
        (f"{work}: peak memory", f"{ours.peak_mib:,.0f} MiB", f"{theirs.peak_mib:,.0f} MiB"),
    ]
    ratios = (
        theirs.seconds / ours.seconds,
        theirs.cpu / ours.cpu,
        theirs.peak_mib / ours.peak_mib,
    )
    return [
        Row(*texts, ratio, floor if number == 0 else "")
        for number, (texts, ratio) in enumerate(zip(found, ratios, strict=True))
    ]


def _rate(count: float, seconds: float) -> str:
    return f"{count / seconds / 1000:,.0f} k/s"


def _prompts(draw: random.Random) -> list[str]:
    """Paragraphs with line ends, quotes and letters beyond ASCII, as people write them."""
    words = ["".join(draw.choices("etaoinshrdlu", k=draw.randint(2, 9))) for _ in range(3000)]
    words += ["übung", "日本", '"quoted"'] * 10
    lines = [" ".join(draw.choices(words, k=draw.randint(8, 30))) for _ in range(2000)]
    return ["\n".join(draw.choices(lines, k=draw.randint(2, 9))) for _ in range(5000)]


def _event(draw: random.Random, number: int, prompts: list[str]) -> dict[str, Any]:
    customer = draw.randrange(200_000)
    address = ".".join(str(draw.randrange(1, 255)) for _ in range(4))
    if number % 10 == 0:
        address = f"2001:db8:{customer:x}::{number % 65535 + 1:x}"
        address = address.replace("db8:0::", "db8::") if customer < 65536 else "2001:db8::7"
    return {
        "timestamp": (START + timedelta(seconds=number)).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "request_id": f"req-{number:012d}",
        "account_id": f"acct-{customer:020d}",
        "org_id": f"org-{customer % 997}",
        "api_key_id": f"key-{customer:08d}",
        "client_ip": address,
        "user_agent": f"client/{customer % 40}.{customer % 7}",
        "provider": "example-lab",
        "model": f"example-model-{customer % 5}",
        "prompt": prompts[draw.randrange(len(prompts))],
        "input_tokens": 200 + customer % 100,
        "output_tokens": number % 1000,
    }


def _events(count: int) -> Iterator[dict[str, Any]]:
    draw = random.Random(5)
    prompts = _prompts(draw)
    for number in range(count):
        yield _event(draw, number, prompts)


def _payload(event: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": event["request_id"],
        "startTime": event["timestamp"],
        "custom_llm_provider": event["provider"],
        "model": event["model"],
        "prompt_tokens": event["input_tokens"],
        "completion_tokens": event["output_tokens"],
        "metadata": {
            "user_api_key_user_id": event["account_id"],
            "user_agent": event["user_agent"],
            "requester_ip_address": event["client_ip"],
        },
        "messages": [
            {"role": "system", "content": "You are a helpful assistant."},
            {"role": "user", "content": event["prompt"]},
        ],
        "response": {"choices": [{"message": {"role": "assistant", "content": "Yes. " * 40}}]},
    }


def _write(folder: Path) -> None:
    """Every file from the same events; DuckDB writes CSV and Parquet out of the JSON lines."""
    import duckdb

    encode = json.JSONEncoder(ensure_ascii=False).encode
    with (
        (folder / "events.jsonl").open("w") as flat,
        (folder / "payload.jsonl").open("w") as nested,
    ):
        for number, event in enumerate(_events(EVENTS)):
            flat.write(encode(event) + "\n")
            if number < NESTED:
                nested.write(encode(_payload(event)) + "\n")
    source = f"read_json('{folder / 'events.jsonl'}', format='newline_delimited')"
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute(
        f"COPY (SELECT * REPLACE (strftime(timestamp, '%Y-%m-%dT%H:%M:%SZ') AS timestamp)"
        f" FROM {source}) TO '{folder / 'events.csv'}' (HEADER)"
    )
    connection.execute(
        f"COPY (SELECT * REPLACE (timestamp::TIMESTAMPTZ AS timestamp) FROM {source})"
        f" TO '{folder / 'events.parquet'}' (FORMAT parquet, COMPRESSION zstd)"
    )


def _ours(file: str) -> sides.Outcome:
    from hub.cli.match_work import in_order
    from hub.traffic.formats import open_log

    columns = {"observed_at", *TEXTS}
    for batch in open_log(Path(file)).batches(columns=columns):
        _add(batch)  # compiles what is compiled on first use
        break
    reader = open_log(Path(file))
    clock = sides.Clock()
    rows = size = 0
    last = START
    with ThreadPoolExecutor(THREADS) as pool:
        tasks = (partial(_decoded, task) for task in reader.tasks(columns=columns))
        for parts in in_order(pool, THREADS, tasks):
            for count, length, latest in parts:
                rows, size, last = rows + count, size + length, max(last, latest)
    return clock.outcome(f"{rows} {size} {last.isoformat()}", {"rows": rows})


def _decoded(task: Callable[[], list[pa.RecordBatch]]) -> list[tuple[int, int, datetime]]:
    return [_add(batch) for batch in task()]


def _add(batch: pa.RecordBatch) -> tuple[int, int, datetime]:
    size = sum(pc.sum(pc.binary_length(batch.column(name))).as_py() or 0 for name in TEXTS)
    return batch.num_rows, size, pc.max(batch.column("observed_at")).as_py()


_FLAT: Final = (
    "SELECT count(*), sum(strlen(request_id)) + sum(strlen(account_id)) + sum(strlen(client_ip))"
    " + sum(strlen(user_agent)) + sum(strlen(prompt)), max(timestamp) FROM "
)
_TYPED: Final = "{timestamp: 'TIMESTAMPTZ', " + ", ".join(f"{n}: 'VARCHAR'" for n in _FIELDS) + "}"
_PAYLOAD: Final = (
    "SELECT count(*), sum(strlen(id)) + sum(strlen(metadata.user_api_key_user_id))"
    " + sum(strlen(metadata.requester_ip_address)) + sum(strlen(metadata.user_agent))"
    " + sum(strlen(messages[2].content)), max(startTime) FROM "
)
_NESTED: Final = (
    "{startTime: 'TIMESTAMPTZ', id: 'VARCHAR', metadata: 'STRUCT(user_api_key_user_id VARCHAR,"
    " requester_ip_address VARCHAR, user_agent VARCHAR)',"
    " messages: 'STRUCT(role VARCHAR, content VARCHAR)[]'}"
)


def _duckdb(file: str) -> sides.Outcome:
    import duckdb

    connection = duckdb.connect()
    connection.execute(f"SET threads = {THREADS}")
    connection.execute("SET TimeZone = 'UTC'")
    lines = "format = 'newline_delimited', columns = "
    query = {
        "events.jsonl": f"{_FLAT} read_json('{file}', {lines} {_TYPED})",
        "events.csv": f"{_FLAT} read_csv('{file}', header = true)",
        "events.parquet": f"{_FLAT} read_parquet('{file}')",
        "payload.jsonl": f"{_PAYLOAD} read_json('{file}', {lines} {_NESTED})",
    }[Path(file).name]
    clock = sides.Clock()
    rows, size, last = connection.execute(query).fetchall()[0]
    return clock.outcome(f"{rows} {size} {last.astimezone(UTC).isoformat()}", {"rows": float(rows)})


SIDES: Final = {"ours": _ours, "duckdb": _duckdb}

if __name__ == "__main__":
    sides.main(SIDES)
