"""From traffic to clusters: propose, settle, judge, tell apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from hub.match.cluster.distinct import assigned, distinct
from hub.match.cluster.graph import edges_of, proposals
from hub.match.cluster.judge import Judge, Verdict
from hub.match.cluster.layers import Mask
from hub.match.cluster.refine import Group, settle, weighed
from hub.match.cluster.rows import Ints
from hub.match.cluster.score import Scorer, evenness

MAX_PROPOSALS: Final = 2_000
_COVERED: Final = 0.9


@dataclass(frozen=True)
class Found:
    """A cluster: its accounts, and why it is one."""

    group: Group
    verdict: Verdict


def find(scorer: Scorer, seeds: Sequence[Ints] = ()) -> list[Found]:
    """All clusters, the largest first.

    Args:
        seeds: accounts that published indicators hit, by campaign.
    """
    traffic = scorer.traffic
    if traffic.accounts < scorer.parameters.min_accounts:
        return []
    hit = np.zeros(traffic.accounts, np.bool_)
    for group in seeds:
        hit[group] = True
    judge = Judge(scorer, hit)
    groups = distinct(_settled(scorer, judge, seeds), scorer)
    for _ in range(2):
        if not groups:
            return []
        parts = assigned(groups, scorer)
        again = [
            weighed(group.origin, members, scorer)
            for group, members in zip(groups, parts, strict=True)
        ]
        groups = [one for one in again if one is not None]
    found = [Found(group, judge.verdict(group)) for group in groups]
    return sorted(
        (one for one in found if one.verdict.accepted),
        key=lambda one: (-len(one.group.members), int(one.group.members[0])),
    )


def _settled(scorer: Scorer, judge: Judge, seeds: Sequence[Ints]) -> list[Group]:
    """Accepted groups of all proposals, small ones first: those are the purest.

    A proposal that lies in an accepted group would only find that group again.
    """
    traffic, limits = scorer.traffic, scorer.parameters
    groups: dict[bytes, Group] = {}
    holds: list[Mask] = []
    proposed = proposals(traffic, edges_of(traffic, limits), limits)
    proposed += [("indicators", one) for one in seeds if len(one) >= limits.min_accounts]
    proposed.sort(key=lambda one: len(one[1]))
    for origin, members in proposed[:MAX_PROPOSALS]:
        if evenness(traffic, members) > limits.uneven:
            continue
        if any(float(held[members].mean()) >= _COVERED for held in holds):
            continue
        group = settle(origin, members, scorer)
        if group is None or group.members.tobytes() in groups:
            continue
        if judge.verdict(group).accepted:
            groups[group.members.tobytes()] = group
            held = np.zeros(traffic.accounts, np.bool_)
            held[group.members] = True
            holds.append(held)
    return list(groups.values())
