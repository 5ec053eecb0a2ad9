"""Clusters as rows and as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa

from hub.cli.cluster_inputs import Seeds
from hub.cli.cluster_run import Reading
from hub.cli.match_output import iso
from hub.match.cluster import Cluster, Clusters, matching

FORMAT: Final = "stillwatch-cluster-report/1"
_TIME: Final = pa.timestamp("us", tz="UTC")

FINDING_SCHEMA: Final = pa.schema(
    [
        pa.field("account_id", pa.string(), nullable=False),
        pa.field("cluster_id", pa.string(), nullable=False),
        pa.field("score", pa.float64(), nullable=False),
        pa.field("detected_at", _TIME, nullable=False),
        pa.field("first_seen", _TIME, nullable=False),
        pa.field("last_seen", _TIME, nullable=False),
        pa.field("exchanges", pa.int64(), nullable=False),
        pa.field("seeded", pa.bool_(), nullable=False),
        *(
            pa.field(f"evidence_{name}", pa.float64(), nullable=False)
            for name in ("identity", "egress", "prompt", "client", "rate", "hours")
        ),
    ]
)
"""One row per account of a cluster; `evidence_*` are log-likelihood ratios (natural logarithm)."""


@dataclass(frozen=True)
class ClusterReport:
    """Everything that a run of `stillwatch cluster` tells.

    Attributes:
        patterns: cluster id to indicator id to the number of days whose window satisfies it.
        seeds: cluster id to indicator id to the number of its accounts that it hit.
    """

    found: Clusters
    reading: Reading
    names: Mapping[str, str]
    unread: list[tuple[str, str]]
    patterns: dict[str, dict[str, int]]
    seeds: dict[str, dict[str, int]]

    @classmethod
    def of(
        cls, found: Clusters, reading: Reading, seeds: Seeds, unread: list[tuple[str, str]]
    ) -> ClusterReport:
        """Judge windows by the patterns, and count what seeded each cluster."""
        patterns = {
            one.cluster_id: matching(seeds.patterns, one.windows, found.provider)
            for one in found.clusters
        }
        hits = {one.cluster_id: _hits(one, reading) for one in found.clusters}
        return cls(found, reading, seeds.indicators.names, unread, patterns, hits)

    def rows(self) -> pa.Table:
        """FINDING_SCHEMA, by cluster and account."""
        rows = [
            {
                **{name: getattr(one, name) for name in FINDING_SCHEMA.names[:8]},
                **{f"evidence_{name}": value for name, value in one.evidence.items()},
            }
            for cluster in self.found.clusters
            for one in cluster.findings
        ]
        return pa.Table.from_pylist(rows, FINDING_SCHEMA)

    def to_json(self) -> dict[str, Any]:
        """The report under stable keys; they stay while `format` does."""
        return {
            "format": FORMAT,
            "exchanges": self.found.exchanges,
            "accounts": self.found.accounts,
            "accounts_are_api_keys": self.found.keyed,
            "exchanges_without_account": self.found.unnamed,
            "exchanges_beyond_limit": self.found.refused,
            "clusters": [self._cluster(one) for one in self.found.clusters],
            "sources": [source.to_json() for source in self.reading.sources],
            "unread_files": [{"source": n, "reason": r} for n, r in self.unread],
        }

    def _cluster(self, one: Cluster) -> dict[str, Any]:
        shown = {
            k: round(v, 4) if isinstance(v, float) else v for k, v in vars(one.verdict).items()
        }
        shown.pop("reason")
        return {
            "cluster_id": one.cluster_id,
            "score": one.score,
            "detected_at": iso(one.detected_at),
            "first_seen": iso(min(f.first_seen for f in one.findings)),
            "last_seen": iso(max(f.last_seen for f in one.findings)),
            "exchanges": sum(f.exchanges for f in one.findings),
            "measures": shown,
            "edges": [vars(edge) for edge in one.edges],
            "window_patterns": self.patterns[one.cluster_id],
            "indicators": self.seeds[one.cluster_id],
            "busiest_window": dict(
                max(one.windows, key=lambda w: w.values["exchange_count"]).values
            ),
            "accounts": [
                {
                    "account_id": f.account_id,
                    "score": f.score,
                    "detected_at": iso(f.detected_at),
                    "exchanges": f.exchanges,
                    "evidence": dict(f.evidence),
                    "seeded": f.seeded,
                }
                for f in one.findings
            ],
        }


def _hits(cluster: Cluster, reading: Reading) -> dict[str, int]:
    members = {one.account_id for one in cluster.findings}
    found: dict[str, set[str]] = {}
    for indicators in reading.hits.values():
        for indicator, accounts in indicators.items():
            found.setdefault(indicator, set()).update(accounts & members)
    return {name: len(accounts) for name, accounts in sorted(found.items()) if accounts}
