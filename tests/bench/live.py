"""One request at a time against 120,000 indicators of all layers, beside what a user would write.

By hand: sets of exact values, one set of networks for each prefix length, one alternation of all
phrases and expressions for `re` - and, as a second rival, the same with a Hyperscan database. Both
know no validity, no near-duplicate and no template: those layers are ours alone, and cost us time
here. On the layers that all have, the answers must be the same.

Of each request the best of five passes counts: a percentile is then what requests cost, not how
often another process had the core.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
import random
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any, Final, NamedTuple

from hub.fingerprint.prompts import features
from hub.match.schema import PATHS
from tests.bench import sides
from tests.bench.sides import Outcome
from tests.bench.table import Row

COUNTS: Final = {
    "fp_tokens": 40_000,
    "account_id": 20_000,
    "client_ip": 12_000,
    "block": 5_000,
    "ja4": 10_000,
    "sha256_raw": 5_000,
    "template_sha256": 7_000,
    "bands": 10_000,
    "phrase": 10_000,
    "regex": 1_000,
}
REQUESTS: Final = {"ours": 4_000, "hyperscan": 4_000, "re": 20}
_PASSES: Final = 5
_HIT_SHARE: Final = 0.02
_NOON: Final = datetime(2026, 11, 20, 12, tzinfo=UTC)
_COMMON: Final = ("fp_tokens", "account_id", "client_ip", "block", "ja4", "phrase", "regex")

Request = dict[str, Any]
Find = Callable[[Request], list[str]]


class _Bad(NamedTuple):
    name: str
    kind: str
    value: str


def measure() -> list[Row]:
    """Measure everything; takes about two minutes."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write(folder)
        found = {side: sides.compare("tests.bench.live", (side,), name)[side] for side in SIDES}
    answers = {side: json.loads(one.answer) for side, one in found.items()}
    for side, answer in answers.items():
        assert answer == answers["ours"][: len(answer)], f"{side} finds something else"
    ours, rows = found["ours"].figures, []
    total = f"{sum(COUNTS.values()):,} indicators"
    for side, rival in (("re", "sets + re"), ("hyperscan", "sets + Hyperscan, fewer layers")):
        figures = found[side].figures
        for figure, floor in (("p50", "30 us wished"), ("p99", "<= 100 us")):
            rows.append(
                Row(
                    f"one request, {total}: {figure}, beside {rival}",
                    f"{ours[figure]:,.0f} us",
                    f"{figures[figure]:,.0f} us",
                    figures[figure] / ours[figure],
                    floor if side == "re" else "",
                )
            )
    mine, theirs = found["ours"].peak_mib, found["re"].peak_mib
    work = f"{total}: memory of the process"
    rows.append(Row(work, f"{mine:,.0f} MiB", f"{theirs:,.0f} MiB", theirs / mine, ""))
    return rows


def _bad(draw: random.Random) -> Iterator[_Bad]:
    number = 0
    for kind, count in COUNTS.items():
        for one in range(count):
            yield _Bad(
                f"indicator--00000000-0000-4000-8000-{number:012d}", kind, _value(draw, kind, one)
            )
            number += 1


def _value(draw: random.Random, kind: str, one: int) -> str:
    if kind == "fp_tokens":
        return f"email:0123456789abcdef.2026q4:{_digest(f'bad {one}')}"
    if kind == "account_id":
        return f"acct-{_digest(f'bad {one}')[:20]}"
    if kind == "client_ip":
        return str(ipaddress.IPv4Address(draw.getrandbits(32)))
    if kind == "block":
        length = draw.choice((24, 25, 26, 27, 28))
        return str(
            ipaddress.IPv4Network((draw.getrandbits(32) >> (32 - length) << (32 - length), length))
        )
    if kind == "ja4":
        return f"t13d{one:04d}h2_{_digest(f'ja4 {one}')[:12]}_{_digest(f'b {one}')[:12]}"
    if kind == "phrase":
        return " ".join(_words(draw, draw.randint(3, 6))) + f" item{one}"
    if kind == "regex":
        first, last = draw.choice(_WORDS), draw.choice(_WORDS)
        return f"ignore (all|any) {first} rule{one} and (print|show) [a-z]+ {last}"
    return f"{kind} {one}: {' '.join(_words(draw, 40))}"


def _pattern(bad: _Bad) -> str:
    kind, value = bad.kind, bad.value
    if kind == "block":
        return f"[ipv4-addr:value ISSUBSET '{value}']"
    if kind == "phrase":
        return f"[llm-exchange:prompt.text LIKE '%{value}%']"
    if kind == "regex":
        return f"[llm-exchange:prompt.text MATCHES '{value}']"
    if kind == "bands":
        bands = ", ".join(f"'{band}'" for band in features(value).lsh_bands)
        return f"[llm-exchange:prompt.lsh_bands[*] IN ({bands})]"
    if kind in {"sha256_raw", "template_sha256"}:
        return f"[llm-exchange:prompt.{kind} = '{getattr(features(value), kind)}']"
    return f"[{PATHS[kind][0]} = '{value}']"


_WORDS: Final = [
    "".join(random.Random(n).choices("etaoinshrdlucmfwypvbgk", k=2 + n % 9)) for n in range(5_000)
]


def _words(draw: random.Random, count: int) -> list[str]:
    """As in a language, some words are far more frequent than others."""
    return [_WORDS[int(len(_WORDS) * draw.random() ** 3)] for _ in range(count)]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _write(folder: Path) -> None:
    draw = random.Random(11)
    bad = list(_bad(draw))
    with (folder / "indicators.jsonl").open("w") as out:
        for one in bad:
            stix = {
                "type": "indicator",
                "id": one.name,
                "modified": "2026-11-01T00:00:00.000Z",
                "pattern_type": "stix",
                "pattern": _pattern(one),
                "valid_from": "2026-11-01T00:00:00Z",
                "valid_until": "2026-12-01T00:00:00Z",
            }
            out.write(json.dumps({"stix": stix, "kind": one.kind, "value": one.value}) + "\n")
    with (folder / "requests.jsonl").open("w") as out:
        for number in range(max(REQUESTS.values())):
            out.write(json.dumps(_request(draw, number, bad)) + "\n")


def _request(draw: random.Random, number: int, bad: list[_Bad]) -> Request:
    """About 700 bytes of prompt; two in a hundred requests hold something bad."""
    customer = draw.randrange(200_000)
    prompt = " ".join(_words(draw, draw.randint(60, 180)))
    request = {
        "event_id": f"e{number}",
        "account_id": f"acct-{customer:020d}",
        "fp_tokens": [f"email:0123456789abcdef.2026q4:{_digest(str(customer))}"],
        "client_ip": str(ipaddress.IPv4Address(draw.getrandbits(32))),
        "ja4": f"t13d{customer % 300:04d}",
        "request_model": "example-frontier-4",
        "prompt": f"{prompt}. Give 3 reasons, then 'sum up' the answer.",
    }
    if draw.random() < _HIT_SHARE:
        one = draw.choice(bad)
        if one.kind == "fp_tokens":
            request["fp_tokens"] = [one.value]
        elif one.kind in request:
            request[one.kind] = one.value
        elif one.kind == "block":
            request["client_ip"] = str(next(iter(ipaddress.IPv4Network(one.value).hosts())))
        elif one.kind == "phrase":
            request["prompt"] = f"{prompt} {one.value} {prompt[:50]}"
        elif one.kind != "regex":
            request["prompt"] = one.value
    return request


def _read(folder: str, side: str) -> tuple[list[dict[str, Any]], list[Request]]:
    with (Path(folder) / "indicators.jsonl").open() as lines:
        bad = [json.loads(line) for line in lines]
    with (Path(folder) / "requests.jsonl").open() as lines:
        requests = [json.loads(line) for line in islice(lines, REQUESTS[side])]
    for number, request in enumerate(requests):
        request["observed_at"] = _NOON + timedelta(milliseconds=number)
    return bad, requests


def _timed(find: Find, requests: list[Request], common: frozenset[str]) -> Outcome:
    for request in requests[: max(3, len(requests) // 10)]:
        find(request)
    best = [float("inf")] * len(requests)
    begun = time.perf_counter()
    for _ in range(_PASSES):
        answers = []
        for number, request in enumerate(requests):
            before = time.perf_counter_ns()
            found = find(request)
            best[number] = min(best[number], (time.perf_counter_ns() - before) / 1000)
            answers.append(sorted(one for one in found if one in common))
    seconds = time.perf_counter() - begun
    spent = sorted(best)
    figures = {"p50": spent[len(spent) // 2], "p99": spent[int(len(spent) * 0.99)]}
    return Outcome(seconds, json.dumps(answers), figures)


def _common(bad: list[dict[str, Any]]) -> frozenset[str]:
    return frozenset(one["stix"]["id"] for one in bad if one["kind"] in _COMMON)


def _ours(folder: str) -> Outcome:
    from hub.match.engine import IndicatorIndex
    from hub.match.live import LiveMatcher

    bad, requests = _read(folder, "ours")
    index = IndicatorIndex.build(one["stix"] for one in bad)
    assert index.problems == ()
    matcher = LiveMatcher(index)

    def find(request: Request) -> list[str]:
        return [one.indicator_id for one in matcher.match(request)]

    return _timed(find, requests, _common(bad))


def _sets(bad: list[dict[str, Any]]) -> Callable[[Request], list[str]]:
    """Sets of exact values, and one set of networks for each prefix length."""
    exact: dict[str, dict[str, str]] = {}
    blocks: dict[int, dict[int, list[str]]] = {}
    for one in bad:
        if one["kind"] == "block":
            network = ipaddress.IPv4Network(one["value"])
            same = blocks.setdefault(network.prefixlen, {})
            same.setdefault(int(network.network_address), []).append(one["stix"]["id"])
        else:
            exact.setdefault(one["kind"], {})[one["value"]] = one["stix"]["id"]

    def find(request: Request) -> list[str]:
        wanted = [("fp_tokens", token) for token in request["fp_tokens"]]
        wanted += [(kind, request[kind]) for kind in ("account_id", "client_ip", "ja4")]
        found = [exact[kind][value] for kind, value in wanted if value in exact[kind]]
        address = int(ipaddress.IPv4Address(request["client_ip"]))
        for length, networks in blocks.items():
            found += networks.get(address >> (32 - length) << (32 - length), ())
        return found

    return find


def _re(folder: str) -> Outcome:
    bad, requests = _read(folder, "re")
    by_sets = _sets(bad)
    texts = [
        (one["stix"]["id"], _expression(one)) for one in bad if one["kind"] in {"phrase", "regex"}
    ]
    anything = re.compile("|".join(expression for _, expression in texts))
    each = [(name, re.compile(expression)) for name, expression in texts]

    def find(request: Request) -> list[str]:
        found = by_sets(request)
        if anything.search(request["prompt"]):
            found += [name for name, one in each if one.search(request["prompt"])]
        return found

    return _timed(find, requests, _common(bad))


def _expression(one: dict[str, Any]) -> str:
    value: str = one["value"]
    return re.escape(value) if one["kind"] == "phrase" else value


def _hyperscan(folder: str) -> Outcome:
    import hyperscan

    bad, requests = _read(folder, "hyperscan")
    by_sets = _sets(bad)
    texts = [
        (one["stix"]["id"], _expression(one)) for one in bad if one["kind"] in {"phrase", "regex"}
    ]
    database = hyperscan.Database()
    database.compile(
        expressions=[expression.encode() for _, expression in texts],
        ids=list(range(len(texts))),
        elements=len(texts),
        flags=hyperscan.HS_FLAG_SINGLEMATCH,
    )

    def find(request: Request) -> list[str]:
        found = by_sets(request)

        def note(number: int, *_: Any) -> None:
            found.append(texts[number][0])

        database.scan(request["prompt"].encode(), match_event_handler=note)
        return found

    return _timed(find, requests, _common(bad))


SIDES: Final = {"ours": _ours, "re": _re, "hyperscan": _hyperscan}

if __name__ == "__main__":
    sides.main(SIDES)
