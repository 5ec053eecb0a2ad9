"""The lab's three files: what it publishes, and what each row stands for."""

from __future__ import annotations

import csv
import io
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from generator import story
from generator.plan import COPPER, LANTERN, Row, at

ACCOUNTS: Final = "accounts.csv"
PROXIES: Final = "proxies.csv"
PROMPTS: Final = "prompts.jsonl"

ACCOUNT_COLUMNS: Final = (
    "email",
    "phone",
    "payment",
    "device",
    "api_key",
    "campaign",
    "first_seen",
    "last_seen",
    "confidence",
)
PROXY_COLUMNS: Final = ("address", "campaign", "first_seen", "valid_until", "confidence")


@dataclass(frozen=True)
class Known:
    """An account as the lab knows it; empty text = unknown."""

    campaign: str
    facts: frozenset[str]
    email: str = ""
    phone: str = ""
    payment: str = ""
    device: str = ""
    api_key: str = ""
    first_seen: str = "2026-11-01"


@dataclass
class Lab:
    """The lab's files as text, their rows, and what publishing should say about odd rows."""

    files: dict[str, str] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    refused: list[dict[str, str]] = field(default_factory=list)
    duplicates: list[dict[str, str]] = field(default_factory=list)
    mistake: str = ""


def _time(text: str) -> str:
    return f"{at(text):%Y-%m-%dT%H:%M:%SZ}"


def _csv(columns: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return out.getvalue()


def add_accounts(lab: Lab, known: list[Known], rng: random.Random) -> None:
    """Write accounts.csv; an empty set of facts marks an account that the provider lacks."""
    lines: list[tuple[str, ...]] = []
    for line, item in enumerate(known, start=2):
        last: datetime = at("2026-11-05") + timedelta(hours=rng.randrange(100))
        lines.append(
            (
                item.email,
                item.phone,
                item.payment,
                item.device,
                item.api_key,
                item.campaign,
                _time(item.first_seen),
                f"{max(last, at(item.first_seen)):%Y-%m-%dT%H:%M:%SZ}",
                str(rng.randrange(70, 96)),
            )
        )
        place = f"{ACCOUNTS}:{line}"
        lab.rows.append(Row(place, item.campaign, item.facts, at(item.first_seen)))
    refused = ("not-an-address", "", "", "", "", LANTERN, _time("2026-11-02"), "", "50")
    lines.append(refused)
    lab.refused.append(
        {"row": f"{ACCOUNTS}:{len(lines) + 1}", "reason": "not an e-mail address, nothing else"}
    )
    lab.files[ACCOUNTS] = _csv(ACCOUNT_COLUMNS, lines)


_PROXIES: Final = (
    # address, campaign, first_seen, valid_until, confidence, fact
    ("203.0.113.64/27", LANTERN, "2026-10-28", "2027-01-20", "85", "egress:lantern-v4"),
    ("2001:db8:4f:a00::/56", LANTERN, "2026-10-30", "2027-01-15", "80", "egress:lantern-v6"),
    ("198.51.100.2", LANTERN, "2026-10-25", "2027-01-10", "75", "egress:lantern-relay"),
    ("198.51.100.48/28", COPPER, "2026-10-29", "2026-11-25", "80", "egress:copper-v4"),
    ("203.0.113.9", COPPER, "2026-11-11", "2027-01-05", "70", "egress:copper-new"),
    ("192.0.2.131", COPPER, "2026-10-20", "2026-11-10T12:00", "70", "egress:copper-old"),
    ("2001:db8:c0:ffee::17", COPPER, "2026-11-02", "2027-01-08", "75", "egress:copper-v6"),
    ("192.0.2.77", LANTERN, "2026-11-03", "2027-01-03", "60", "egress:office"),
    ("203.0.113.200", COPPER, "2026-11-04", "2027-01-04", "65", "egress:elsewhere"),
    ("203.0.113.64/27", LANTERN, "2026-10-28", "2027-01-20", "85", ""),
    ("10.0.0.0/8", LANTERN, "2026-11-04", "2027-01-04", "40", ""),
)


def add_proxies(lab: Lab) -> None:
    """Write proxies.csv: nine good rows, one of them a mistake, a duplicate and a refused one."""
    lines = []
    for line, (address, campaign, first, until, confidence, fact) in enumerate(_PROXIES, start=2):
        lines.append((address, campaign, _time(first), _time(until), confidence))
        if fact:
            lab.rows.append(
                Row(f"{PROXIES}:{line}", campaign, frozenset({fact}), at(first), at(until))
            )
        if fact == "egress:office":
            lab.mistake = f"{PROXIES}:{line}"
    lab.duplicates.append({"row": f"{PROXIES}:11", "of": f"{PROXIES}:2"})
    lab.refused.append({"row": f"{PROXIES}:12", "reason": "private range, prefix shorter than /24"})
    lab.files[PROXIES] = _csv(PROXY_COLUMNS, lines)


def add_prompts(lab: Lab, rng: random.Random) -> None:
    """Write prompts.jsonl: one row of each kind, and two that publishing refuses."""
    lantern = story.fill(story.LANTERN_TEMPLATE, rng)
    rows: list[tuple[str, str, str, str, str, int, str]] = [
        ("minhash-lsh", "text", lantern, LANTERN, "2026-11-01", 80, "prompt:lantern"),
        (
            "template",
            "text",
            story.fill(story.LANTERN_TEMPLATE, rng),
            LANTERN,
            "2026-11-01",
            85,
            "prompt:lantern-exact",
        ),
        (
            "minhash-lsh",
            "text",
            story.fill(story.COPPER_TEMPLATE, rng),
            COPPER,
            "2026-11-03",
            80,
            "prompt:copper",
        ),
        ("literal", "text", story.LITERAL, LANTERN, "2026-11-10T06:00", 60, "prompt:literal"),
        ("regex", "pattern", story.REGEX, COPPER, "2026-11-02", 55, "prompt:rubric"),
        (
            "sha256-norm",
            "text",
            story.fill(story.NORMAL_TEMPLATE, rng),
            COPPER,
            "2026-11-02",
            90,
            "prompt:normal",
        ),
        ("minhash-lsh", "text", "Continue, please.", LANTERN, "2026-11-02", 50, ""),
        ("regex", "pattern", story.BROKEN_REGEX, COPPER, "2026-11-02", 50, ""),
    ]
    lines = []
    for line, (kind, key, value, campaign, first, confidence, fact) in enumerate(rows, start=1):
        lines.append(
            json.dumps(
                {
                    "kind": kind,
                    key: value,
                    "campaign": campaign,
                    "first_seen": _time(first),
                    "confidence": confidence,
                }
            )
        )
        if fact:
            lab.rows.append(Row(f"{PROMPTS}:{line}", campaign, frozenset({fact}), at(first)))
    lab.refused.append({"row": f"{PROMPTS}:7", "reason": "fewer than three words, no bands"})
    lab.refused.append({"row": f"{PROMPTS}:8", "reason": "not a regular expression"})
    lab.files[PROMPTS] = "\n".join(lines) + "\n"
