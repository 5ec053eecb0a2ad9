"""`stillwatch warm`: compile what matching needs before the first log waits for it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

import click
import pyarrow as pa

from hub.cli.progress import progress
from hub.errors import StoreError
from hub.fingerprint import prompts
from hub.fingerprint.jit import kept
from hub.match.engine import IndicatorIndex
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

_PROMPT: Final = 'Rate 7 answers of "model x" at https://api.example/v1, word by word, 1 to 10'
_TOKEN: Final = f"email:0123456789abcdef.2026q4:{'0' * 64}"
_NOW: Final = datetime(2026, 1, 1, tzinfo=UTC)


@click.command("warm")
def command() -> None:
    """Compile the parts of matching that are compiled on first use.

    Without it the first match does so, which takes up to ten seconds. The code is kept for the
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
    """One step for each kind of index, and one for what publishing computes of a prompt."""
    yield partial(prompts.features, _PROMPT)
    for objects in _kinds():
        yield partial(_match, objects)


def _match(objects: list[Json]) -> None:
    index = IndicatorIndex.build(objects)
    index.match(_exchanges(), source="warm")


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
