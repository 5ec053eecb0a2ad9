"""New indicators over a month of old exchanges: the event store beside the logs themselves.

The other way is to keep the logs and to match them again. Both sides look for the same indicators
and must find the same exchanges.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import random
import shutil
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from hub.fingerprint import prompts
from hub.hunt.search import search
from hub.hunt.store import EventStore
from hub.match.engine import IndicatorIndex
from hub.traffic.formats import open_log
from tests.bench import sides
from tests.bench.sides import Outcome
from tests.bench.table import Row

EVENTS: Final = 300_000
NEW: Final = 300
DAYS: Final = 30
START: Final = datetime(2026, 10, 1, tzinfo=UTC)
_LOG, _STORE, _BUNDLE = "log.jsonl", "store", "indicators.json"
_WORDS: Final = [
    f"{a}{b}"
    for a in ("re", "un", "con", "in", "per")
    for b in (
        "port",
        "form",
        "struct",
        "spect",
        "tain",
        "duce",
        "vert",
        "late",
        "mit",
        "pose",
        "sist",
        "tract",
        "voke",
        "ject",
        "scribe",
        "ceive",
        "pel",
        "cede",
        "flect",
        "gress",
    )
]


def measure() -> list[Row]:
    """Measure everything; takes about two minutes."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write(folder)
        added = sides.run(__name__, "add", name)
        found = sides.compare(__name__, ("hunt", "match"), name)
        log = folder / _LOG
        with log.open("rb") as plain, gzip.open(folder / "log.gz", "wb", 6) as packed:
            shutil.copyfileobj(plain, packed)
        packed_size = (folder / "log.gz").stat().st_size
        store_size = sum(f.stat().st_size for f in (folder / _STORE).rglob("*") if f.is_file())
        size = log.stat().st_size
    hunt, match = found["hunt"], found["match"]
    work = f"{NEW} new indicators over {EVENTS:,} exchanges of {DAYS} days"
    return [
        Row(
            f"{work}: the store, beside the logs again",
            f"{EVENTS / hunt.seconds / 1000:,.0f} k/s",
            f"{EVENTS / match.seconds / 1000:,.0f} k/s",
            match.seconds / hunt.seconds,
            "",
        ),
        Row(
            f"{work}: peak memory",
            f"{hunt.peak_mib:,.0f} MiB",
            f"{match.peak_mib:,.0f} MiB",
            match.peak_mib / hunt.peak_mib,
            "",
        ),
        Row(
            f"the store, beside the log of {size / 2**20:,.0f} MiB as gzip",
            f"{store_size / 2**20:,.0f} MiB",
            f"{packed_size / 2**20:,.0f} MiB",
            packed_size / store_size,
            "",
        ),
        Row("add to the store", f"{EVENTS / added.seconds / 1000:,.0f} k/s", "", None, ""),
    ]


def _write(folder: Path) -> None:
    draw = random.Random(7)
    texts: list[str] = []
    with (folder / _LOG).open("w") as log:
        for number in range(EVENTS):
            text = " ".join(draw.choices(_WORDS, k=70))
            if number % (EVENTS // NEW) == 0:
                texts.append(text)
            event = {
                "timestamp": (START + timedelta(days=DAYS * number / EVENTS)).isoformat(),
                "request_id": f"r{number}",
                "account_id": f"acct-{draw.randrange(20_000):06d}",
                "client_ip": f"198.51.{draw.randrange(256)}.{draw.randrange(256)}",
                "user_agent": f"client/{draw.randrange(40)}",
                "model": "example-frontier-4",
                "prompt": text,
            }
            log.write(json.dumps(event) + "\n")
    (folder / _BUNDLE).write_text(json.dumps(list(_indicators(texts))))


def _indicators(texts: list[str]) -> Iterator[dict[str, Any]]:
    """One third near-duplicate bands, one third hashes, one third addresses."""
    for number, text in enumerate(texts[:NEW]):
        found = prompts.features(text)
        bands = ", ".join(f"'{band}'" for band in found.lsh_bands)
        pattern = (
            f"[llm-exchange:prompt.lsh_bands[*] IN ({bands})]",
            f"[llm-exchange:prompt.sha256_norm = '{found.sha256_norm}']",
            f"[ipv4-addr:value = '198.51.{number % 256}.{number * 7 % 256}']",
        )[number % 3]
        yield {
            "type": "indicator",
            "id": f"indicator--00000000-0000-4000-8000-{number:012d}",
            "modified": "2026-11-01T00:00:00.000Z",
            "pattern_type": "stix",
            "pattern": pattern,
            "valid_from": "2026-09-01T00:00:00Z",
        }


def _add(name: str) -> Outcome:
    store = EventStore.create(Path(name) / _STORE, days=3650)
    begun = time.perf_counter()
    with store.locked():
        added = store.add(open_log(Path(name) / _LOG), _LOG, now=START + timedelta(days=DAYS))
    return Outcome(time.perf_counter() - begun, str(added.rows))


def _index(name: str) -> IndicatorIndex:
    index = IndicatorIndex.build(json.loads((Path(name) / _BUNDLE).read_text()))
    assert index.problems == ()
    warm = next(open_log(Path(name) / _LOG).batches(rows=100))
    index.match(warm, source="warm")
    return index


def _hunt(name: str) -> Outcome:
    store, index = EventStore.open(Path(name) / _STORE), _index(name)
    begun = time.perf_counter()
    found = [
        pair for table in search(store, store.parts(), index, jobs=2) for pair in _pairs(table)
    ]
    return Outcome(time.perf_counter() - begun, _digest(found))


def _match(name: str) -> Outcome:
    index = _index(name)
    begun = time.perf_counter()
    found = [
        pair
        for batch in open_log(Path(name) / _LOG).batches(columns=index.columns)
        for pair in _pairs(index.match(batch, source=_LOG))
    ]
    return Outcome(time.perf_counter() - begun, _digest(found))


def _pairs(table: Any) -> list[tuple[str, str]]:
    events, ids = table["event_id"].to_pylist(), table["indicator_id"].to_pylist()
    return list(zip(events, ids, strict=True))


def _digest(found: list[tuple[str, str]]) -> str:
    return f"{len(found)} {hashlib.sha256(repr(sorted(found)).encode()).hexdigest()}"


SIDES: Final = {"add": _add, "hunt": _hunt, "match": _match}

if __name__ == "__main__":
    sides.main(SIDES)
