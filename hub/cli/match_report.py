"""What matches say together: by campaign, layer and customer, and what could not be seen.

One indicator's hit proves little. Prompt hits alone make a customer a *candidate*, since honest
prompts share templates; a hit on the account, network or output layer makes a *lead*; hits of one
campaign on two or more layers of one customer are *evidence*.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from hub.cli import match_limits
from hub.cli.match_inputs import Indicators
from hub.cli.match_output import iso
from hub.cli.match_rows import NO_CAMPAIGN, by_campaign, grouped, span_of
from hub.match.engine import Coverage
from hub.match.limits import StateReport
from hub.traffic.reader import LogReader

FORMAT: Final = "stillwatch-match-report/1"
EVIDENCE: Final = "evidence"
LEAD: Final = "lead"
CANDIDATE: Final = "candidate"
_GRADES: Final = (EVIDENCE, LEAD, CANDIDATE)
_WEAK: Final = frozenset({"prompt", "behaviour"})


def grade(layers: Iterable[str], *, campaign: bool) -> str:
    """How much hits on these layers of one customer prove.

    Args:
        layers: the layers that were hit.
        campaign: whether the hits belong to one campaign; without, layers do not corroborate.
    """
    hit = set(layers)
    if campaign and len(hit) > 1:
        return EVIDENCE
    return LEAD if hit - _WEAK else CANDIDATE


@dataclass
class Span:
    """A number of exchanges between two times."""

    exchanges: int = 0
    first: datetime | None = None
    last: datetime | None = None

    def add(self, exchanges: int, first: datetime, last: datetime) -> None:
        """Add exchanges to the span."""
        self.exchanges += exchanges
        self.first = first if self.first is None else min(self.first, first)
        self.last = last if self.last is None else max(self.last, last)

    def to_json(self) -> dict[str, Any]:
        """The three figures under their stable keys."""
        return {
            "exchanges": self.exchanges,
            "first_seen": iso(self.first) if self.first else None,
            "last_seen": iso(self.last) if self.last else None,
        }


@dataclass
class Hits:
    """The hits of one indicator on one layer."""

    indicator_id: str
    layer: str
    confidence: int | None
    publisher: str | None
    marking: str | None
    span: Span = field(default_factory=Span)


@dataclass
class Customer:
    """The hits on one customer's account."""

    account_id: str
    layers: dict[str, int] = field(default_factory=dict)
    span: Span = field(default_factory=Span)


@dataclass
class Campaign:
    """All hits of one campaign's indicators."""

    campaign_id: str
    span: Span = field(default_factory=Span)
    corroborated: int = 0
    unattributed: int = 0
    indicators: dict[tuple[str, str], Hits] = field(default_factory=dict)
    customers: dict[str, Customer] = field(default_factory=dict)
    sources: Counter[str] = field(default_factory=Counter)

    @property
    def layers(self) -> list[str]:
        """The layers that were hit, in order of their names."""
        return sorted({hits.layer for hits in self.indicators.values()})

    def grade_of(self, customer: Customer) -> str:
        """How much the hits on a customer prove."""
        return grade(customer.layers, campaign=self.campaign_id != NO_CAMPAIGN)

    def graded(self) -> Counter[str]:
        """How many customers there are of each grade."""
        return Counter(self.grade_of(customer) for customer in self.customers.values())

    @property
    def grade(self) -> str:
        """The best grade of any customer, or of any exchange where none names a customer."""
        grades = self.graded()
        if self.corroborated and self.campaign_id != NO_CAMPAIGN:
            return EVIDENCE
        return next((g for g in _GRADES if grades[g]), grade(self.layers, campaign=False))


@dataclass
class SourceReport:
    """What one log file gave, could show, and left out.

    Attributes:
        joined: exchanges whose customer the customer table knows; None without a table.
        columns: non-null values per column that an indicator reads; `empty` those of them that
            the format has and the file does not fill.
    """

    name: str
    format: str
    rows: int
    outside: int
    matched: int
    joined: int | None
    columns: dict[str, int]
    empty: list[str]
    coverage: Coverage
    reader: LogReader

    def to_json(self) -> dict[str, Any]:
        """The source under its stable keys."""
        rejects, fields = self.reader.rejects, self.reader.field_problems
        return {
            "source": self.name,
            "format": self.format,
            "exchanges": self.rows,
            "outside_window": self.outside,
            "matched_exchanges": self.matched,
            "joined_exchanges": self.joined,
            "layers": dict(self.coverage.layers),
            "columns": self.columns,
            "empty_columns": self.empty,
            "unknown_fields": list(self.reader.unused),
            "unread_columns": sorted(self.reader.glimpsed),
            "answerable_indicators": self.coverage.answerable,
            "not_answerable_indicators": len(self.coverage.not_answerable),
            "partly_answerable_indicators": len(self.coverage.partly),
            "damaged": self.reader.damage,
            "rejected_lines": _problems(rejects),
            "rejected_fields": _problems(fields),
            "skipped_records": self.reader.skipped,
            "naive_times_read_as_utc": self.reader.naive_times,
            "times_from_file": self.reader.file_times,
        }


def _problems(problems: Any) -> dict[str, Any]:
    return {
        "count": problems.count,
        "reasons": dict(problems.by_reason.most_common()),
        "examples": [{"line": p.line, "reason": p.reason} for p in problems.examples],
    }


class MatchReport:
    """Gathers matches batch by batch; its size grows with indicators and customers hit.

    Attributes:
        followed: what following patterns over several exchanges lost.
        not_looked_up: identifiers of customers that indicators may mean, and whose tokens are not
            known, as custodians were not asked or did not answer.
    """

    def __init__(self, indicators: Indicators) -> None:
        self.indicators = indicators
        self.campaigns: dict[str, Campaign] = {}
        self.sources: list[SourceReport] = []
        self.unread: list[tuple[str, str]] = []
        self.customer_table = False
        self.span = Span()
        self.matched = 0
        self.followed = StateReport()
        self.not_looked_up = 0

    def add(self, matches: pa.Table) -> int:
        """Take the matches of one batch; each exchange lies in one batch.

        Args:
            matches: MATCH_SCHEMA.
        Returns:
            How many exchanges matched.
        """
        if not matches.num_rows:
            return 0
        matched = int(pc.count_distinct(matches["event_id"]).as_py())
        self.matched += matched
        flat = by_campaign(matches)
        for row in grouped(flat, ["campaign", "source"]):
            campaign = self.campaigns.setdefault(row["campaign"], Campaign(row["campaign"]))
            campaign.span.add(*span_of(row))
            campaign.sources[row["source"]] += row["event_id_count_distinct"]
        self._add_indicators(flat)
        self._add_customers(flat)
        return matched

    def _add_indicators(self, flat: pa.Table) -> None:
        keys = ["campaign", "indicator_id", "layer", "confidence", "publisher", "marking"]
        for row in grouped(flat, keys):
            hits = self.campaigns[row["campaign"]].indicators.setdefault(
                (row["indicator_id"], row["layer"]),
                Hits(*(row[key] for key in keys[1:])),
            )
            hits.span.add(*span_of(row))

    def _add_customers(self, flat: pa.Table) -> None:
        for row in grouped(flat, ["campaign", "account_id"]):
            campaign = self.campaigns[row["campaign"]]
            account = row["account_id"]
            if account is None:
                campaign.unattributed += row["event_id_count_distinct"]
            else:
                customer = campaign.customers.setdefault(account, Customer(account))
                customer.span.add(*span_of(row))
        for row in grouped(flat, ["campaign", "account_id", "layer"]):
            if row["account_id"] is not None:
                customer = self.campaigns[row["campaign"]].customers[row["account_id"]]
                layers = customer.layers
                layers[row["layer"]] = layers.get(row["layer"], 0) + row["event_id_count_distinct"]
        exchanges = flat.group_by(["campaign", "event_id"]).aggregate([("layer", "count_distinct")])
        several = exchanges.filter(pc.greater(exchanges["layer_count_distinct"], 1))
        for name, count in Counter(several["campaign"].to_pylist()).items():
            self.campaigns[name].corroborated += count

    def ordered(self) -> list[Campaign]:
        """Campaigns, the best proven and largest first, hits without a campaign last."""
        return sorted(
            self.campaigns.values(),
            key=lambda c: (
                c.campaign_id == NO_CAMPAIGN,
                _GRADES.index(c.grade),
                -len(c.customers),
                -c.span.exchanges,
                c.campaign_id,
            ),
        )

    def unanswerable(self) -> dict[tuple[str, ...], list[str]]:
        """STIX paths that no source has a column for, to the indicators that need them."""
        if not self.sources:
            return {}
        first, *others = (source.coverage.not_answerable for source in self.sources)
        missing: dict[tuple[str, ...], list[str]] = {}
        for indicator_id, paths in first.items():
            if all(indicator_id in other for other in others):
                missing.setdefault(tuple(sorted(set(paths))), []).append(indicator_id)
        return dict(sorted(missing.items(), key=lambda item: (-len(item[1]), item[0])))

    def validity(self) -> tuple[int, int]:
        """How many indicators had expired before, or were not yet valid after, all exchanges."""
        if self.span.first is None or self.span.last is None:
            return 0, 0
        first, last = (_micros(self.span.first), _micros(self.span.last))
        expired = sum(until <= first for _, until in self.indicators.windows)
        pending = sum(start > last for start, _ in self.indicators.windows)
        return expired, pending

    def to_json(self, examples: int) -> dict[str, Any]:
        """The whole report under stable keys, which scripts may rely on while `format` is the same.

        Args:
            examples: how many indicators are named where a list could be long.
        """
        expired, pending = self.validity()
        problems: Mapping[str, int] = Counter(p.reason for p in self.indicators.index.problems)
        grades = Counter(campaign.grade for campaign in self.campaigns.values())
        return {
            "format": FORMAT,
            "exchanges": self.span.exchanges,
            "matched_exchanges": self.matched,
            "first_seen": self.span.to_json()["first_seen"],
            "last_seen": self.span.to_json()["last_seen"],
            "campaigns_by_grade": {name: grades[name] for name in _GRADES},
            "campaigns": [self.campaign_to_json(campaign) for campaign in self.ordered()],
            "sources": [source.to_json() for source in self.sources],
            "unread_files": [{"source": n, "reason": r} for n, r in self.unread],
            "several_exchanges": match_limits.to_json(self.followed),
            "indicators": {
                "in_use": len(self.indicators.index),
                "revoked": self.indicators.revoked,
                "tests_of_every_exchange": self.indicators.index.scans,
                "expired_before_first_exchange": expired,
                "not_yet_valid_at_last_exchange": pending,
                "unusable": [
                    {"reason": reason, "count": count} for reason, count in problems.items()
                ],
                "not_answerable": [
                    {"paths": list(paths), "count": len(ids), "examples": ids[:examples]}
                    for paths, ids in self.unanswerable().items()
                ],
            },
        }

    def campaign_to_json(self, campaign: Campaign) -> dict[str, Any]:
        """One campaign under its stable keys."""
        grades = campaign.graded()
        return {
            "campaign_id": campaign.campaign_id or None,
            "name": self.indicators.names.get(campaign.campaign_id),
            "grade": campaign.grade,
            **campaign.span.to_json(),
            "corroborated_exchanges": campaign.corroborated,
            "exchanges_without_account": campaign.unattributed,
            "sources": dict(sorted(campaign.sources.items())),
            "layers": [self._layer(campaign, layer) for layer in campaign.layers],
            "customers_by_grade": {name: grades[name] for name in _GRADES},
            "customers": [
                {
                    "account_id": customer.account_id,
                    "grade": campaign.grade_of(customer),
                    "layers": dict(sorted(customer.layers.items())),
                    **customer.span.to_json(),
                }
                for customer in self.customers(campaign)
            ],
        }

    def customers(self, campaign: Campaign) -> list[Customer]:
        """A campaign's customers, the best proven and busiest first."""
        return sorted(
            campaign.customers.values(),
            key=lambda c: (
                _GRADES.index(campaign.grade_of(c)),
                -len(c.layers),
                -c.span.exchanges,
                c.account_id,
            ),
        )

    def _layer(self, campaign: Campaign, layer: str) -> dict[str, Any]:
        hits = [h for h in campaign.indicators.values() if h.layer == layer]
        hits.sort(key=lambda h: (-h.span.exchanges, h.indicator_id))
        sure = [h.confidence for h in hits if h.confidence is not None]
        customers = sum(layer in c.layers for c in campaign.customers.values())
        return {
            "layer": layer,
            "highest_confidence": max(sure, default=None),
            "customers": customers,
            "indicators": [
                {
                    "indicator_id": h.indicator_id,
                    "indicator_name": self.indicators.names.get(h.indicator_id),
                    "confidence": h.confidence,
                    "publisher": h.publisher,
                    "publisher_name": self.indicators.names.get(h.publisher or ""),
                    "marking": h.marking,
                    **h.span.to_json(),
                }
                for h in hits
            ],
        }


def _micros(moment: datetime) -> int:
    return int(pa.scalar(moment, pa.timestamp("us", "UTC")).value)
