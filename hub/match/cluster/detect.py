"""The detector's face: TRAFFIC batches in, clusters out."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from hub.match.cluster.collect import Collector, prompt_nodes
from hub.match.cluster.explain import Edge, edges
from hub.match.cluster.find import Found, find
from hub.match.cluster.judge import Verdict
from hub.match.cluster.layers import traffic_of
from hub.match.cluster.parameters import Parameters
from hub.match.cluster.score import Scorer
from hub.match.cluster.when import tipped
from hub.match.cluster.windows import Window, windows_of

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Finding:
    """One account of a cluster.

    Attributes:
        score: 0 to 1, how sure the account's membership and the cluster are.
        detected_at: time of the exchange that tipped it.
        exchanges: how many it made; `first_seen` and `last_seen` when.
        evidence: layer to log-likelihood ratio, natural logarithm, bounded.
        seeded: whether a published indicator hit it.
    """

    account_id: str
    cluster_id: str
    score: float
    detected_at: datetime
    exchanges: int
    first_seen: datetime
    last_seen: datetime
    evidence: Mapping[str, float]
    seeded: bool


@dataclass(frozen=True)
class Cluster:
    """Accounts of one operator.

    Attributes:
        cluster_id: derived from the accounts; the same traffic gives the same ids.
        detected_at: when the first account was told.
        findings: by account id.
        edges: what the accounts share, by kind; windows: their behaviour by the day.
    """

    cluster_id: str
    score: float
    detected_at: datetime
    findings: tuple[Finding, ...]
    verdict: Verdict
    edges: tuple[Edge, ...]
    windows: tuple[Window, ...]


@dataclass(frozen=True)
class Clusters:
    """All clusters of some traffic, the largest first.

    Attributes:
        accounts, exchanges: how many there were.
        provider: the provider that the source names, if any.
        keyed: whether API keys stand in for accounts that the source does not name.
        unnamed: exchanges that name neither.
        refused: exchanges of accounts beyond the detector's limit.
        shown: TRAFFIC columns to the number of their values.
    """

    clusters: tuple[Cluster, ...]
    accounts: int = 0
    exchanges: int = 0
    provider: str | None = None
    keyed: bool = False
    unnamed: int = 0
    refused: int = 0
    shown: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Reduced:
    """A batch of which the prompts are reduced already."""

    batch: pa.RecordBatch
    nodes: NDArray[np.uint32]


class ClusterDetector:
    """Finds accounts of one operator in traffic that passes once, in any order.

    Memory grows with accounts, and with exchanges up to `Parameters.max_exchanges`; prompts are
    reduced to hashes as they pass.

    Args:
        show_values: whether edges show addresses and user agents whole.
    """

    def __init__(self, parameters: Parameters | None = None, *, show_values: bool = False) -> None:
        self._parameters = parameters or Parameters()
        self._collector = Collector(self._parameters)
        self._seeds: dict[str, set[str]] = {}
        self._show_values = show_values

    @staticmethod
    def reduced(batch: pa.RecordBatch) -> Reduced:
        """Do the costly part of `add` ahead, in any thread."""
        return Reduced(batch, prompt_nodes(batch))

    def add(self, batch: pa.RecordBatch | Reduced) -> None:
        """Take a batch of TRAFFIC columns; columns that are missing show nothing."""
        if isinstance(batch, Reduced):
            self._collector.add(batch.batch, batch.nodes)
        else:
            self._collector.add(batch)

    @property
    def exchanges(self) -> int:
        """How many exchanges it has taken."""
        return self._collector.exchanges

    def seed(self, name: str, accounts: Iterable[str]) -> None:
        """Note accounts that published indicators of one campaign hit.

        They propose a cluster, raise the score of one that holds them, and lower its bar; they do
        not make one by themselves.
        """
        self._seeds.setdefault(name, set()).update(accounts)

    def clusters(self) -> Clusters:
        """The clusters in all traffic so far."""
        collected = self._collector.collected()
        traffic = traffic_of(collected)
        scorer = Scorer(traffic, self._parameters)
        numbers = {name: number for number, name in enumerate(collected.accounts)}
        seeds = [
            np.array(sorted(numbers[a] for a in names if a in numbers), np.int64)
            for _, names in sorted(self._seeds.items())
        ]
        found = find(scorer, seeds)
        hit = {number for group in seeds for number in group.tolist()}
        made = [self._cluster(one, scorer, hit) for one in found]
        return Clusters(
            tuple(made),
            len(collected.accounts),
            int(collected.total.sum()) + collected.unnamed + collected.refused,
            collected.provider,
            collected.keyed,
            collected.unnamed,
            collected.refused,
            collected.shown,
        )

    def _cluster(self, one: Found, scorer: Scorer, hit: set[int]) -> Cluster:
        group, traffic = one.group, scorer.traffic
        names = [traffic.collected.accounts[k] for k in group.members.tolist()]
        digest = hashlib.sha256("\n".join(sorted(names)).encode("utf-8", "replace")).hexdigest()
        cluster_id = f"hydra-{digest[:12]}"
        told = tipped(group, scorer)
        # Half a point of certainty at the bar, nearly all of it where all layers agree.
        sure = 1.0 / (1.0 + np.exp(-(group.evidence.total - self._parameters.member_score) / 3.0))
        layers = ("identity", "egress", "prompt", "client", "rate", "hours")
        findings = [
            Finding(
                name,
                cluster_id,
                round(float(sure[place]) * one.verdict.score, 4),
                _moment(int(told[place])),
                int(traffic.collected.total[number]),
                _moment(int(traffic.first[number])),
                _moment(int(traffic.last[number])),
                {key: round(float(getattr(group.evidence, key)[place]), 2) for key in layers},
                number in hit,
            )
            for place, (name, number) in enumerate(zip(names, group.members.tolist(), strict=True))
        ]
        findings.sort(key=lambda f: f.account_id)
        return Cluster(
            cluster_id,
            round(one.verdict.score, 4),
            min(f.detected_at for f in findings),
            tuple(findings),
            one.verdict,
            tuple(edges(group, traffic, show_values=self._show_values)),
            tuple(windows_of(group, traffic)),
        )


def _moment(micros: int) -> datetime:
    return _EPOCH + timedelta(microseconds=micros)
