"""From a proposed group to its members: the cluster's profile and its accounts settle together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hub.match.cluster.layers import Mask
from hub.match.cluster.rows import Ints
from hub.match.cluster.score import Evidence, Profiles, Scorer, evenness


@dataclass(frozen=True)
class Group:
    """Accounts that follow one profile, and how surely.

    Attributes:
        origin: how the group was proposed.
        members: account numbers, ascending.
        evidence: of the members, in their order.
        profiles: what the group looked like when they were weighed.
    """

    origin: str
    members: Ints
    evidence: Evidence
    profiles: Profiles


def settle(origin: str, group: Ints, scorer: Scorer) -> Group | None:
    """The accounts that a proposal's profile fits; None where it falls apart.

    Args:
        group: account numbers of the proposal.
    """
    limits = scorer.parameters
    members = group
    before: set[bytes] = set()
    for _ in range(limits.rounds):
        if len(members) < limits.min_accounts:
            return None
        if evenness(scorer.traffic, members) > limits.uneven:
            return None
        profiles = scorer.profiles(members)
        among = scorer.near(profiles)
        members = among[belongs(scorer.evidence(profiles, among), scorer)]
        key = members.tobytes()
        if key in before:
            break
        before.add(key)
    return weighed(origin, members, scorer)


def weighed(origin: str, members: Ints, scorer: Scorer) -> Group | None:
    """The group of just these accounts, less those that its profile does not fit."""
    least = scorer.parameters.min_accounts
    if len(members) < least:
        return None
    profiles = scorer.profiles(members)
    evidence = scorer.evidence(profiles, members)
    kept = belongs(evidence, scorer)
    if kept.sum() < least:
        return None
    return Group(origin, members[kept], evidence.of(kept), profiles)


def belongs(evidence: Evidence, scorer: Scorer) -> Mask:
    """Which accounts the evidence puts into the cluster."""
    limits = scorer.parameters
    several = evidence.layers(limits.layer_score) >= 2
    alike = (evidence.client > 0) & (evidence.rate > 0)
    if not scorer.prompts_shown:
        # Addresses alone must be the pool's own: rented exits are full of strangers.
        several |= (evidence.work >= limits.own_egress) & alike
        bare: Mask = (evidence.total >= limits.member_score) & several
        return bare
    # The pool's work, its client and its load together weigh as much as another shared layer.
    several |= (evidence.prompt >= limits.alone) & alike
    mask: Mask = (evidence.total >= limits.member_score) & several
    for column, least in (
        (evidence.strength, limits.relative),
        (evidence.work, limits.relative_work),
    ):
        if mask.any():
            mask &= column >= least * np.median(column[mask])
    return mask
