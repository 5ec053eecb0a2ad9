"""Compile indicators, store and read them; what each one costs in memory.

The indicators are tokens, IPv4 addresses and IPv6 prefixes in equal parts, each one comparison, as
parsed JSON. The nearest alternative is `stix2-patterns`, which parses a pattern and no more: a
sample is parsed, and its rate stands for the whole.
"""

from __future__ import annotations

import ctypes
import gc
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from hub.match.engine import IndicatorIndex
from hub.model.extension import INDICATOR_CONTROLS, LLM_ACCOUNT
from tests.bench import sides
from tests.bench.sides import Clock, Outcome
from tests.bench.table import Row

SAMPLE: Final = 1_000
_FLOORS: Final = {100_000: (2.0, 0.5), 1_000_000: (20.0, 3.0)}
_BYTES: Final = 100
_MODULE: Final = "tests.bench.compile"


def measure(*, full: bool = False) -> list[Row]:
    """Rows: compile and from store at each size, bytes an indicator; 10 M with `full`."""
    theirs = sides.run(_MODULE, "patterns", str(SAMPLE)).seconds / SAMPLE
    rows: list[Row] = []
    for count, (built, read) in _FLOORS.items():
        found = [sides.run(_MODULE, "compile", str(count)) for _ in range(sides.RUNS)]
        ours = min(one.figures["compile"] for one in found)
        load = min(one.figures["load"] for one in found)
        save = min(one.figures["save"] for one in found)
        rows.append(
            Row(
                f"parse and compile {count:,} patterns of one comparison",
                f"{ours:.2f} s ({min(one.cpu for one in found):.2f} s of a core)",
                f"{theirs * count:,.0f} s (stix2-patterns, parse alone, from {SAMPLE:,})",
                theirs * count / ours,
                f"{built:.0f} s",
            )
        )
        work = f"read {count:,} compiled indicators (written in {save:.2f} s)"
        rows.append(Row(work, f"{load:.2f} s", f"{ours:.2f} s (compile)", ours / load, f"{read} s"))
    rows.append(_arriving())
    for count in (1_000_000, 10_000_000) if full else (1_000_000,):
        rows += _memory(count)
    return rows


def _arriving() -> Row:
    found = sides.run(_MODULE, "update", "1000000", str(SAMPLE))
    return Row(
        f"take {SAMPLE:,} newer versions into 1,000,000 compiled indicators",
        f"{found.seconds * 1000:,.0f} ms",
        f"{found.figures['compile']:.1f} s (compile anew)",
        found.figures["compile"] / found.seconds,
        "",
    )


def _memory(count: int) -> list[Row]:
    rows = []
    for kind in ("token", "v4", "v6"):
        found = sides.run(_MODULE, "memory", str(count), kind)
        text, resident = found.figures["text"], found.figures["resident"]
        rows.append(
            Row(
                f"memory of {count:,} {_KINDS[kind]}, beside {text:.0f} B of their own text",
                f"{resident - text:.0f} B each ({found.figures['arrays'] - text:.0f} B in arrays), "
                f"compiled in {found.seconds:.0f} s, peak {found.peak_mib:,.0f} MiB",
                "",
                None,
                f"{_BYTES} B",
            )
        )
    return rows


_KINDS: Final = {"token": "tokens", "v4": "IPv4 addresses", "v6": "IPv6 prefixes"}
_NAMES: Final = tuple(_KINDS)
_AUTHOR: Final = "identity--00000000-0000-4000-8000-000000000001"


def _pattern(number: int, kind: str) -> str:
    mixed = f"{number * 2654435761 % 2**32:08x}"
    if kind == "token":
        path = f"user-account:extensions.'{LLM_ACCOUNT}'.fp_tokens[*]"
        return f"[{path} = 'email:bench.2026q4:{mixed * 8}']"
    if kind == "v4":
        octets = number.to_bytes(4, "big")
        return f"[ipv4-addr:value = '{'.'.join(map(str, octets))}']"
    return f"[ipv6-addr:value ISSUBSET '2001:db8:{mixed[:4]}:{mixed[4:]}::/64']"


def _objects(count: int, kind: str = "") -> Iterator[dict[str, Any]]:
    for number in range(count):
        mixed = number * 2654435761 % 2**32
        yield {
            "type": "indicator",
            "spec_version": "2.1",
            "id": f"indicator--{mixed:08x}-0000-4000-8000-{number:012x}",
            "created_by_ref": _AUTHOR,
            "created": "2026-11-01T00:00:00.000Z",
            "modified": f"2026-11-02T00:{number // 60 % 60:02d}:{number % 60:02d}.000Z",
            "pattern": _pattern(number, kind or _NAMES[number % 3]),
            "pattern_type": "stix",
            "valid_from": "2026-11-01T00:00:00.000Z",
            "valid_until": f"2026-12-01T00:00:{number % 60:02d}.000Z",
            "confidence": number % 101,
            "object_marking_refs": ["marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421"],
            "extensions": {INDICATOR_CONTROLS: {"layer": "network", "privacy_form": "exact"}},
        }


def _compile(size: str) -> Outcome:
    count = int(size)
    IndicatorIndex.build(_objects(30))
    objects = list(_objects(count))
    clock = Clock()
    start = time.perf_counter()
    index = IndicatorIndex.build(objects)
    _, cpu = clock.read()
    compiled = time.perf_counter()
    data = index.to_bytes()
    saved = time.perf_counter()
    read = IndicatorIndex.from_bytes(data)
    loaded = time.perf_counter()
    assert len(index) == len(read) == count
    figures = {"compile": compiled - start, "save": saved - compiled, "load": loaded - saved}
    return Outcome(compiled - start, "", figures, cpu=cpu)


def _update(size: str, more: str) -> Outcome:
    objects = list(_objects(int(size)))
    start = time.perf_counter()
    index = IndicatorIndex.build(objects)
    compiled = time.perf_counter() - start
    newer = [{**one, "modified": "2026-11-05T00:00:00.000Z"} for one in objects[: int(more)]]
    seconds = []
    for _ in range(sides.RUNS):
        start = time.perf_counter()
        updated = index.updated(newer)
        seconds.append(time.perf_counter() - start)
        assert (len(updated), len(updated.segments)) == (len(objects), 2)
    return Outcome(min(seconds), "", {"compile": compiled})


def _resident() -> int:
    """Bytes that this process holds, once what is free has been given back; on Linux."""
    gc.collect()
    pa.default_memory_pool().release_unused()
    ctypes.CDLL(None).malloc_trim(0)
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * 4096


def _held(size: str, kind: str) -> Outcome:
    count = int(size)
    warm = IndicatorIndex.build(_objects(30, kind))
    before = _resident()
    start = time.perf_counter()
    index = IndicatorIndex.build(_objects(count, kind))
    seconds = time.perf_counter() - start
    resident = (_resident() - before) / count
    assert (len(index), len(warm)) == (count, 30)
    arrays = sum(segment.nbytes for segment in index.segments) / count
    text = sum(segment.text_bytes for segment in index.segments) / count
    own = text or sum(len(_pattern(n, kind).split("'")[1]) for n in range(1_000)) / 1_000
    figures = {"resident": resident, "arrays": arrays, "text": own}
    return Outcome(seconds, "", figures)


def _patterns(size: str) -> Outcome:
    from stix2patterns.v21.pattern import Pattern

    texts = [one["pattern"] for one in _objects(int(size))]
    Pattern(texts[0])
    start = time.perf_counter()
    for text in texts:
        Pattern(text)
    return Outcome(time.perf_counter() - start, "")


SIDES: Final[dict[str, sides.Side]] = {
    "compile": _compile,
    "memory": _held,
    "patterns": _patterns,
    "update": _update,
}

if __name__ == "__main__":
    sides.main(SIDES)
