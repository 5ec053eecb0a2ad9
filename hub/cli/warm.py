"""`stillwatch warm`: compile what matching needs before the first log waits for it."""

from __future__ import annotations

import gzip
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final

import click
import pyarrow as pa
import pyarrow.parquet as pq

from hub.cli.progress import progress
from hub.errors import StoreError
from hub.fingerprint import prompts
from hub.fingerprint.jit import kept
from hub.match.cluster import ClusterDetector
from hub.match.engine import IndicatorIndex
from hub.match.live import LiveMatcher
from hub.match.schema import TRAFFIC_SCHEMA
from hub.model.codec import Json
from hub.model.identifiers import deterministic_id
from hub.model.indicators import (
    IndicatorOptions,
    account_indicator,
    account_token_indicator,
    network_indicator,
    prompt_indicator,
)
from hub.traffic.formats import open_log

_PROMPT: Final = 'Rate 7 answers of "model x" at https://api.example/v1, word by word, 1 to 10'
_TASK: Final = (
    "Solve the task below and write out each intermediate step before the final verdict of item"
)
_POOL: Final = 12
_TOKEN: Final = f"email:0123456789abcdef.2026q4:{'0' * 64}"
_NOW: Final = datetime(2026, 1, 1, tzinfo=UTC)


@click.command("warm")
def command() -> None:
    """Compile the parts of matching that are compiled on first use.

    Without it the first match does so, which takes up to a minute. The code is kept for the
    account that runs this, until the next upgrade: run it then, as the one who matches.
    """
    steps = list(_steps())
    began = time.monotonic()
    with progress("Compiling", len(steps)) as advance:
        for step in steps:
            step()
            advance(1)
    if not kept():
        raise StoreError(
            "the compiled code cannot be kept, so that each process compiles it anew",
            hint="NUMBA_CACHE_DIR=FOLDER, a folder that this account can write",
        )
    click.echo(f"Ready to match, after {time.monotonic() - began:.1f} s.")


def _steps() -> Iterator[Callable[[], object]]:
    """One step for each kind of index, for what publishing computes of a prompt, and for others."""
    yield partial(prompts.features, _PROMPT)
    for objects in _kinds():
        yield partial(_match, objects)
    yield _serve
    yield _cluster
    yield _read


def _match(objects: list[Json]) -> None:
    """A batch, one exchange by itself, and the index as it is stored."""
    index = IndicatorIndex.build(objects)
    index.match(_exchanges(), source="warm")
    for event in _exchanges().to_pylist():
        LiveMatcher(index).match(event)
    IndicatorIndex.from_bytes(index.to_bytes()).match(_exchanges(), source="warm")


def _serve() -> None:
    """All kinds at once, of which some arrive later."""
    first, *later = _kinds()
    index = IndicatorIndex.build(first)
    for objects in later:
        index = index.updated(objects)
    matcher = LiveMatcher(index)
    for event in _exchanges().to_pylist():
        matcher.match(event)


def _cluster() -> None:
    """A pool among strangers: only where a cluster is found is all of the detector called."""
    rows = [
        {
            "observed_at": _NOW + timedelta(hours=2 * turn),
            "event_id": f"{account}-{turn}",
            "account_id": f"warm-{account}",
            "fp_tokens": [f"payment-instrument:warm:{account // 4}"] if account < _POOL else None,
            "client_ip": f"203.0.113.{(account + turn) % 6 if account < _POOL else 9 + account}",
            "user_agent": "warm/1.0" if account < _POOL else f"warm/{account}",
            "request_model": "warm",
            "prompt": f"{_TASK} {account * turn}" if account < _POOL else _own(account, turn),
        }
        for account in range(5 * _POOL)
        for turn in range(12 if account < _POOL else 1 + account % 7)
    ]
    detector = ClusterDetector()
    detector.add(_exchanges())
    detector.add(pa.RecordBatch.from_pylist(rows, TRAFFIC_SCHEMA))
    detector.clusters()


def _own(account: int, turn: int) -> str:
    return " ".join(f"word{chr(97 + (account * step + turn) % 26)}" for step in range(3, 19))


def _read() -> None:
    """Each generic format, plain and packed, with a line that is out of the ordinary."""
    plain = [row for row in _exchanges().to_pylist() if row["client_ip"]]
    for row in plain:
        row["observed_at"] = row["observed_at"].isoformat()
    lines = [json.dumps(row) for row in plain]
    lines += [json.dumps(plain[0], ensure_ascii=False), json.dumps(plain[0] | {"asn": 0.5})]
    text = "\n".join(lines).encode()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "log.jsonl").write_bytes(text)
        (folder / "log.jsonl.gz").write_bytes(gzip.compress(text + b"\xff\n" * 200))
        (folder / "log.csv").write_text(
            f"observed_at,client_ip,prompt\n{_NOW.isoformat()},203.0.113.7,word\n"
        )
        pq.write_table(pa.Table.from_batches([_exchanges()]), folder / "log.parquet")
        indexes = [IndicatorIndex.build(objects) for objects in _kinds()]
        for path in sorted(folder.iterdir()):
            for batch in open_log(path).batches():
                # What is read lies in memory of another kind, for which there is code of its own.
                for index in indexes:
                    index.match(batch, source="warm")


def _kinds() -> Iterator[list[Json]]:
    options: IndicatorOptions = {
        "created_by": deterministic_id("identity", "warm"),
        "created": _NOW,
        "valid_from": _NOW,
        "valid_until": _NOW + timedelta(days=1),
    }
    yield [account_token_indicator([_TOKEN], **options)]
    yield [account_indicator("email-domain", "mail.example", **options)]
    for value in ("203.0.113.7", "203.0.113.0/24", "2001:db8::7", "2001:db8::/48", "AS64496"):
        yield [network_indicator(value, **options)]
    yield [network_indicator("warm/1.0", kind="user-agent", **options)]
    features = prompts.features(_PROMPT)
    for kind in ("minhash-lsh", "sha256-norm", "template"):
        yield [prompt_indicator(kind, features, **options)]
    yield [prompt_indicator("literal", "word by word", **options)]


def _exchanges() -> pa.RecordBatch:
    """Exchanges of both families of address, with prompts in ASCII, in another script and none."""
    rows = [
        {
            "observed_at": _NOW,
            "event_id": str(number),
            "account_id": "warm",
            "fp_tokens": [_TOKEN],
            "email_domain": "mail.example",
            "client_ip": address,
            "asn": 64496,
            "user_agent": "warm/1.0",
            "prompt": prompt,
        }
        for number, (address, prompt) in enumerate(
            [
                ("203.0.113.7", _PROMPT),
                ("2001:db8::7", _PROMPT + " \u4e2d\u00e9"),
                (None, None),
            ]
        )
    ]
    return pa.RecordBatch.from_pylist(rows, TRAFFIC_SCHEMA)
