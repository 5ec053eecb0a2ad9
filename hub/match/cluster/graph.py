"""Candidates: accounts that share more than chance explains, as communities of a damped graph.

A shared node counts by its rarity, log(accounts / accounts that show it), and by the smaller of the
two shares of traffic that the accounts have on it. So a carrier's address or a popular template
joins nobody by itself. Communities are only proposals; `profile` and `judge` decide.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from hub.fingerprint.jit import kernel
from hub.fingerprint.kernels import mix64
from hub.match.cluster.layers import ADDRESS, Floats, Layer, Mask, Traffic
from hub.match.cluster.parameters import Parameters
from hub.match.cluster.rows import Ints, Keys

_MAX_PAIRS: Final = 8_000_000
"""Pairs that are compared, those first that meet in most nodes."""
_HUB: Final = 5_000
_ROUNDS: Final = 8
IDENTITY_HUB: Final = 200
"""Accounts on one card or device from which it identifies nobody (prepaid, shared terminal)."""


@dataclass(frozen=True)
class Edges:
    """Pairs of accounts and how much they share in each layer."""

    left: Keys
    right: Keys
    identity: Floats
    egress: Floats
    prompt: Floats
    addresses: Ints


@kernel
def _propose(
    order: Keys, starts: Ints, members: Keys, rank: Keys, window: int, hub: int, pairs: Ints
) -> int:
    """Pairs of accounts that stand close to one another among those of a node."""
    count = 0
    for node in range(starts.size - 1):
        size = starts[node + 1] - starts[node]
        if size < 2 or size > hub:
            continue
        ranked = np.sort(rank[members[starts[node] : starts[node + 1]]])
        reach = min(window, size - 1)
        for i in range(size):
            for step in range(1, reach + 1):
                j = i + step
                if j >= size:
                    break
                if count == pairs.size:
                    return count
                pairs[count] = np.int64(ranked[i]) << 32 | np.int64(ranked[j])
                count += 1
    return count


@kernel
def _overlap(
    left: Keys,
    right: Keys,
    starts: Ints,
    nodes: Keys,
    shares: Floats,
    weight: Floats,
    address: Mask,
    out: Floats,
    several: Ints,
) -> None:
    for i in range(left.size):
        a, b = starts[left[i]], starts[right[i]]
        a_end, b_end = starts[left[i] + 1], starts[right[i] + 1]
        total = 0.0
        common = 0
        while a < a_end and b < b_end:
            if nodes[a] < nodes[b]:
                a += 1
            elif nodes[a] > nodes[b]:
                b += 1
            else:
                total += min(shares[a], shares[b]) * weight[nodes[a]]
                if address[nodes[a]]:
                    common += 1
                a += 1
                b += 1
        out[i] = total
        several[i] = common


def edges_of(traffic: Traffic, parameters: Parameters) -> Edges:
    """Compare each account with those that its shared nodes propose."""
    accounts = traffic.accounts
    rank = _ranks(accounts)
    pairs = [
        _pairs(layer, rank, parameters.window, hub)
        for layer, hub in (
            (traffic.identity, IDENTITY_HUB),
            (traffic.egress, _HUB),
            (traffic.prompt, _HUB),
        )
    ]
    found = _frequent(np.concatenate(pairs), accounts, parameters.neighbours)
    back = np.argsort(rank).astype(np.int32)
    left, right = back[found >> 32], back[found & 0xFFFFFFFF]
    different = traffic.unit[left] != traffic.unit[right]
    left, right = left[different], right[different]
    identity, _ = _similar(traffic.identity, left, right, np.ones(accounts), IDENTITY_HUB)
    events = np.maximum(traffic.events, 1).astype(np.float64)
    egress, addresses = _similar(traffic.egress, left, right, events, 0)
    prompt, _ = _similar(traffic.prompt, left, right, events, 0)
    return Edges(left, right, identity, egress, prompt, addresses)


def _ranks(accounts: int) -> Keys:
    """A fixed shuffle, so that neighbours in one node are neighbours in the next, whoever they
    are."""
    numbers = np.arange(accounts, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    order = np.argsort(numbers ^ (numbers >> np.uint64(29)), kind="stable")
    rank = np.empty(accounts, np.int32)
    rank[order] = np.arange(accounts, dtype=np.int32)
    return rank


def _pairs(layer: Layer, rank: Keys, window: int, hub: int) -> Ints:
    starts, members = layer.members()
    room = np.minimum(layer.degree, np.where(layer.degree > hub, 0, layer.degree)) * window
    pairs = np.empty(int(room.sum()), np.int64)
    count = _propose(rank, starts, members, rank, window, hub, pairs)
    found, times = np.unique(pairs[:count], return_counts=True)
    order = np.argsort(-times, kind="stable")
    kept: Ints = found[order]
    return kept


def _frequent(pairs: Ints, accounts: int, neighbours: int) -> Ints:
    """Distinct pairs, those that were proposed most often, bounded by accounts."""
    found, times = np.unique(pairs, return_counts=True)
    limit = min(max(accounts, 1) * neighbours, _MAX_PAIRS)
    if len(found) > limit:
        found = np.sort(found[np.argsort(-times, kind="stable")[:limit]])
    return found


def _similar(
    layer: Layer, left: Keys, right: Keys, events: Floats, hub: int
) -> tuple[Floats, Ints]:
    owners = np.repeat(np.arange(len(events)), np.diff(layer.starts))
    shares = layer.counts / events[owners]
    weight = np.log(max(len(events), 2) / np.maximum(layer.degree, 1))
    # Kinds beside the first are parts of it: a network of its address, runs of one prompt.
    weight = np.maximum(weight, 0.0)
    if layer.rows.shape[1] == 3:
        weight *= np.array([1.0, 0.5, 0.0])[layer.kind]
    if hub:
        weight[layer.degree > hub] = 0.0
    out, several = np.zeros(len(left)), np.zeros(len(left), np.int64)
    address = layer.kind == ADDRESS
    _overlap(left, right, layer.starts, layer.nodes, shares, weight, address, out, several)
    return out, several


@kernel
def _find(parent: Keys, a: int) -> int:
    while parent[a] != a:
        parent[a] = parent[parent[a]]
        a = parent[a]
    return a


@kernel
def _union(parent: Keys, left: Keys, right: Keys) -> None:
    for i in range(left.size):
        a, b = _find(parent, left[i]), _find(parent, right[i])
        if a != b:
            parent[max(a, b)] = min(a, b)
    for i in range(parent.size):
        parent[i] = _find(parent, i)


@kernel
def _propagate(starts: Ints, others: Keys, weight: Floats, label: Keys, rounds: int) -> None:
    """Each account takes the label that weighs most among its neighbours."""
    votes = np.zeros(label.size, np.float64)
    for turn in range(rounds):
        changed = 0
        for k in range(label.size):
            a = np.int64(mix64(np.uint64(k * rounds + turn)) % np.uint64(label.size))
            if starts[a] == starts[a + 1]:
                continue
            best = label[a]
            for i in range(starts[a], starts[a + 1]):
                mine = label[others[i]]
                votes[mine] += weight[i]
                if votes[mine] > votes[best] or (votes[mine] == votes[best] and mine < best):
                    best = mine
            for i in range(starts[a], starts[a + 1]):
                votes[label[others[i]]] = 0.0
            if best != label[a]:
                label[a] = best
                changed += 1
        if changed == 0:
            break


def _groups(label: Keys, least: int) -> list[Ints]:
    order = np.argsort(label, kind="stable")
    cuts = np.flatnonzero(np.diff(label[order])) + 1
    return [np.sort(part) for part in np.split(order, cuts) if len(part) >= least]


def communities(accounts: int, left: Keys, right: Keys, weight: Floats, least: int) -> list[Ints]:
    """Connected components, and the denser communities inside those.

    Returns:
        Ascending account numbers of each group of at least `least`, without repetitions.
    """
    if not len(left):
        return []
    parent = np.arange(accounts, dtype=np.int32)
    _union(parent, left, right)
    label = np.arange(accounts, dtype=np.int32)
    ends, others = np.concatenate([left, right]), np.concatenate([right, left])
    order = np.argsort(ends, kind="stable")
    starts = np.searchsorted(ends[order], np.arange(accounts + 1)).astype(np.int64)
    _propagate(starts, others[order], np.concatenate([weight, weight])[order], label, _ROUNDS)
    groups: dict[bytes, Ints] = {}
    for group in (*_groups(parent, least), *_groups(label, least)):
        groups.setdefault(group.tobytes(), group)
    return list(groups.values())


def proposals(traffic: Traffic, edges: Edges, parameters: Parameters) -> list[tuple[str, Ints]]:
    """Groups of accounts that may be clusters: joined by two layers, or by one that is strong."""
    most = 5.0
    capped = [np.minimum(one, most) for one in (edges.identity, edges.egress, edges.prompt)]
    weight = capped[0] + capped[1] + capped[2]
    layers = (
        (edges.identity > 0).astype(np.int8)
        + (edges.egress >= parameters.egress_edge)
        + (edges.prompt >= parameters.prompt_edge)
    )
    choices = {
        "several": layers >= 2,
        "prompt": edges.prompt >= parameters.alone_prompt_edge,
        "egress": (edges.egress >= parameters.alone_egress_edge) & (edges.addresses >= 3),
        "identity": edges.identity > 0,
    }
    found: list[tuple[str, Ints]] = []
    for name, chosen in choices.items():
        groups = communities(
            traffic.accounts,
            edges.left[chosen],
            edges.right[chosen],
            weight[chosen],
            parameters.min_accounts,
        )
        found += [(name, group) for group in groups]
    return found
