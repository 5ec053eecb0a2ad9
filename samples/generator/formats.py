"""A few exchanges of the story in each log format, and what of the lab's rows each can show.

A format that shows no prompt can meet no prompt row, one that shows no address no proxy row; rows
about accounts are met through the customer table, by the account as the format spells it.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from generator import formats_gateways, formats_services
from generator.plan import LITELLM, START, Customer, Exchange, Row

FOLDER: Final = "provider/formats"
_HITS, _HONEST = 4, 3
_FILES: Final = ("accounts", "proxies", "prompts")


@dataclass(frozen=True)
class Sample:
    """A small log of one format.

    Args:
        name: the file's name; its first part is the format's.
        write: makes the text, and sets the event ids.
        shows: the lab's files that its rows can be compared with.
        account: how the format spells an account id.
    """

    name: str
    write: Callable[[Sequence[Exchange], str], str]
    shows: tuple[str, ...]
    account: Callable[[str], str] = field(default=str)


SAMPLES: Final = tuple(
    Sample(*given)
    for given in (
        ("csv.csv", formats_gateways.generic_csv, _FILES),
        ("jsonl.jsonl", formats_gateways.generic_jsonl, _FILES),
        ("litellm-spend.jsonl", formats_gateways.litellm_spend, _FILES),
        ("one-api.jsonl", formats_gateways.one_api, _FILES[:1], formats_gateways.number),
        ("new-api.jsonl", formats_gateways.new_api, _FILES[:2], formats_gateways.number),
        ("kong.jsonl", formats_gateways.kong, _FILES),
        ("envoy.jsonl", formats_gateways.envoy, ("proxies",)),
        ("cloudflare.jsonl", formats_gateways.cloudflare, _FILES[:1]),
        (
            "cloudflare-logpush.20261110T000000Z_20261110T235959Z.jsonl",
            formats_gateways.cloudflare_logpush,
            (),
        ),
        ("portkey.jsonl", formats_gateways.portkey, ("accounts", "prompts")),
        ("openai-compatible.jsonl", formats_gateways.openai_compatible, _FILES),
        ("helicone.jsonl", formats_services.helicone, ("accounts", "prompts")),
        ("langfuse.jsonl", formats_services.langfuse, ("accounts", "prompts")),
        ("bedrock.jsonl", formats_services.bedrock, ("accounts", "prompts"), formats_services.arn),
        ("azure-openai.jsonl", formats_services.azure, _FILES[:1], formats_services.object_id),
        ("vertex.jsonl", formats_services.vertex, ("prompts",)),
        ("otel.jsonl", formats_services.otel, _FILES),
        ("ocsf.jsonl", formats_services.ocsf, _FILES),
        ("vllm.2026-11-10.log", formats_services.vllm, ("proxies", "prompts")),
    )
)


def generate(
    exchanges: Sequence[Exchange], rows: list[Row], seed: int
) -> tuple[dict[str, str], dict[str, Any]]:
    """The files by their path below `samples/`, and the truth about each by its name."""
    rng = random.Random(seed)
    first_day = [
        e
        for e in exchanges
        if e.source == LITELLM and START <= e.moment < START + timedelta(days=1) and not e.near
    ]
    full = [e for e in first_day if len({_file(r) for r in e.rows(rows)}) == len(_FILES)]
    honest = [e for e in first_day if not e.rows(rows)]
    files: dict[str, str] = {}
    truth: dict[str, Any] = {}
    for sample in SAMPLES:
        drawn = [*rng.sample(full, _HITS), *rng.sample(honest, _HONEST)]
        mine = [_copy(e) for e in sorted(drawn, key=lambda e: e.moment)]
        files[f"{FOLDER}/{sample.name}"] = sample.write(mine, sample.name)
        truth[sample.name] = {
            "format": sample.name.partition(".")[0],
            "accounts": {sample.account(c): c for c in sorted({_id(e.customer) for e in mine})},
            "expected": _expected(sample, mine, rows),
        }
    return files, truth


def _expected(sample: Sample, mine: Sequence[Exchange], rows: list[Row]) -> list[dict[str, Any]]:
    """Event ids and rows; vLLM tells of one exchange under two ids, by address and by prompt."""
    expected = []
    for exchange in mine:
        found = [row for row in exchange.rows(rows) if _file(row) in sample.shows]
        ids = dict(zip(("prompts", "proxies"), exchange.event_id.split(" "), strict=False))
        for event_id in dict.fromkeys(ids.values()):
            places = [r for r in found if ids.get(_file(r), event_id) == event_id or len(ids) == 1]
            if places:
                expected.append({"event_id": event_id, "rows": places})
    return expected


def _file(place: str) -> str:
    return place.partition(".")[0]


def _id(customer: Customer) -> str:
    return customer.account_id


def _copy(e: Exchange) -> Exchange:
    return Exchange(e.moment, e.source, e.customer, e.address, e.user_agent, e.prompt, e.facts)


def as_json(truth: dict[str, Any]) -> str:
    """The truth with each file on its own line."""
    items = ",\n  ".join(f"{json.dumps(name)}: {json.dumps(one)}" for name, one in truth.items())
    return "{\n  " + items + "\n }"
