"""Write the sample data: a lab's files, a provider's files and the truth about them.

    python samples/generate.py [--out DIR]

The output depends on the seed alone and is committed; a test runs this again and compares.
"""

from __future__ import annotations

import argparse
import json
import random
from pathlib import Path
from typing import Any, Final

from generator import cast, formats, lab, logs, traffic
from generator.plan import COPPER, LANTERN, LITELLM, NGINX, OTEL, Customer, Exchange, Row

SEED: Final = 20261110
_WRITERS: Final = ((LITELLM, logs.litellm), (OTEL, logs.otel), (NGINX, logs.nginx))
# Addresses that no reader can parse: the line is used, its network layer is not.
_BAD_ADDRESSES: Final = ((LITELLM, "203.0.113.999"), (OTEL, "unknown"), (NGINX, "203.0.113.64.5"))


def generate(seed: int = SEED) -> dict[str, str]:
    """All files by their path below `samples/`."""
    rng = random.Random(seed)
    mint = cast.Mint(rng)
    published = lab.Lab()
    clustered, known = cast.hydra(mint)
    lab.add_accounts(published, known, rng)
    lab.add_proxies(published)
    lab.add_prompts(published, rng)
    honest = cast.benign(mint, rng)
    similar = cast.lookalikes(clustered, mint)

    drawn = traffic.Traffic(rng)
    traffic.planted(drawn, clustered)
    traffic.honest(drawn, honest)
    traffic.outside(drawn, honest)
    traffic.similar_prompts(drawn, honest)
    traffic.alike(drawn, similar)
    traffic.boundaries(drawn, honest)
    exchanges = sorted(drawn.exchanges, key=lambda e: (e.moment, e.source, e.customer.account_id))

    files = {f"lab/{name}": text for name, text in published.files.items()}
    files["provider/customers.csv"] = cast.table([*clustered, *honest, *similar])
    malformed: list[dict[str, Any]] = []
    unusable = _spoil(exchanges, honest, rng)
    for source, write in _WRITERS:
        mine = [exchange for exchange in exchanges if exchange.source == source]
        files[f"provider/{source}"], problems = write(mine, source, rng)
        malformed += problems
    small, formats_truth = formats.generate(exchanges, published.rows, seed)
    files |= small
    files["truth.json"] = _truth(
        published, exchanges, clustered, malformed, unusable, formats_truth
    )
    return files


def _spoil(exchanges: list[Exchange], honest: list[Customer], rng: random.Random) -> list[Exchange]:
    """Give one honest exchange of each log an address that cannot be read."""
    ids = {customer.account_id for customer in honest}
    spoiled = []
    for source, text in _BAD_ADDRESSES:
        plain = [
            e
            for e in exchanges
            if e.source == source and e.customer.account_id in ids and not e.facts and not e.near
        ]
        exchange = rng.choice(plain)
        exchange.address = text
        spoiled.append(exchange)
    return spoiled


def _truth(
    published: lab.Lab,
    exchanges: list[Exchange],
    clustered: list[Customer],
    malformed: list[dict[str, Any]],
    unusable: list[Exchange],
    formats_truth: dict[str, Any],
) -> str:
    rows = published.rows
    expected = [
        {
            "source": e.source,
            "event_id": e.event_id,
            "account_id": e.customer.account_id,
            "rows": found,
        }
        for e in exchanges
        if (found := e.rows(rows))
    ]
    truth: dict[str, Any] = {
        "about": (
            "Written by generate.py from its plan. `rows` are places in the lab's files, "
            "`file:line` from 1; a match is right if and only if it is one of `expected`."
        ),
        "seed": SEED,
        "events": {s: sum(e.source == s for e in exchanges) for s, _ in _WRITERS},
        "clusters": {
            name: [c.account_id for c in clustered if c.cluster == name]
            for name in (LANTERN, COPPER)
        },
        "mistake": published.mistake,
        "rows": [{"row": row.place, "campaign": row.campaign} for row in rows],
        "refused": published.refused,
        "duplicates": published.duplicates,
        "malformed": malformed,
        "bad_addresses": [{"source": e.source, "event_id": e.event_id} for e in unusable],
        "near_misses": _near_misses(rows, exchanges),
        "expected": expected,
        "formats": formats_truth,
    }
    return _one_item_a_line(truth)


def _near_misses(rows: list[Row], exchanges: list[Exchange]) -> list[dict[str, str]]:
    found = []
    for e in exchanges:
        reasons = [(near.row, near.reason) for near in e.near]
        carried = e.facts | e.customer.facts
        for row in rows:
            if row.facts & carried and not row.holds(e.moment):
                early = e.moment < row.valid_from
                reasons.append((row.place, "before first_seen" if early else "after valid_until"))
        found += [
            {"source": e.source, "event_id": e.event_id, "row": place, "reason": reason}
            for place, reason in reasons
        ]
    return found


def _one_item_a_line(truth: dict[str, Any]) -> str:
    """JSON with each item of a long list on its own line, so that differences can be read."""
    parts = []
    for key, value in truth.items():
        if isinstance(value, list):
            items = ",\n  ".join(json.dumps(item) for item in value)
            parts.append(f" {json.dumps(key)}: [\n  {items}\n ]")
        elif key == "formats":
            parts.append(f" {json.dumps(key)}: {formats.as_json(value)}")
        else:
            parts.append(f" {json.dumps(key)}: {json.dumps(value)}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def main() -> None:
    """Write every file below `--out`, this folder by default."""
    parser = argparse.ArgumentParser(description="Write the sample data.")
    parser.add_argument("--out", type=Path, default=Path(__file__).resolve().parent)
    out: Path = parser.parse_args().out
    for name, text in generate().items():
        path = out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
        print(f"{path.name}: {len(text.encode()):,} bytes")


if __name__ == "__main__":
    main()
