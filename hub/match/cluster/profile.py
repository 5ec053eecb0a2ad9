"""What a cluster's accounts show in one layer, against what all others show.

Each exchange is weighed: how much likelier is its address, or its prompt, from a member of the
cluster than from anybody else? A member spends only a part of its traffic on the pool's business
(the rest is its benign mix), so the share that does is part of the model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hub.fingerprint.jit import kernel
from hub.match.cluster.layers import ABSENT, Floats, Layer, Mask
from hub.match.cluster.parameters import Parameters
from hub.match.cluster.rows import Ints, Keys

_SUPPORT: Final = 2
"""Other members that must show a node before it is the cluster's: one may be a coincidence."""
SAMPLE: Final = 96
"""Exchanges of an account that are looked at, spread over all of them: means settle long before."""
_LEAST_MIX: Final = 0.05
_OWN: Final = 4.0
"""A node is the cluster's own where members show it this many times as often as others."""


@dataclass(frozen=True)
class Profile:
    """A layer seen from one cluster.

    Attributes:
        nodes: what any member shows, and what else is parallel: `accounts` how many members do,
            in `used` exchanges, `outside` how many others, `own` whether it is the cluster's own.
        gain: log-likelihood ratio of an exchange with each node, above `base`, for accounts
            outside; `inside` for members, whose own exchanges must not speak for them.
        base: the ratio of an exchange with none of the nodes.
        share: share of the members' exchanges that show one of the cluster's own nodes.
    """

    nodes: Keys
    accounts: Ints
    used: Floats
    outside: Ints
    own: Mask
    gain: Floats
    inside: Floats
    base: float
    share: float


@kernel
def _tally(
    accounts: Ints,
    starts: Ints,
    nodes: Keys,
    counts: Keys,
    used: Floats,
    owners: Ints,
    touched: Keys,
) -> int:
    """Exchanges and accounts of each node over some accounts; the nodes come into `touched`."""
    size = 0
    for i in range(accounts.size):
        for at in range(starts[accounts[i]], starts[accounts[i] + 1]):
            node = nodes[at]
            if owners[node] == 0:
                touched[size] = node
                size += 1
            used[node] += counts[at]
            owners[node] += 1
    return size


@kernel
def _weigh(
    accounts: Ints,
    begin: Ints,
    rows: NDArray[np.int32],
    gain: Floats,
    inside: Floats,
    member: Mask,
    base: float,
    most: int,
    out: Floats,
) -> None:
    """Sum, over each account's exchanges, of the largest ratio among an exchange's nodes, and how
    many exchanges show any."""
    for i in range(accounts.size):
        account = accounts[i]
        total = 0.0
        shown = 0
        end = min(begin[account + 1], begin[account] + most)
        step = max((end - begin[account]) // SAMPLE, 1)
        for row in range(begin[account], end, step):
            best = 0.0
            present = False
            for k in range(rows.shape[1]):
                node = rows[row, k]
                if node == ABSENT:
                    continue
                present = True
                if node >= 0:
                    best = max(best, inside[node] if member[account] else gain[node])
            if present:
                total += base + best
                shown += 1
        out[0, i] = total
        out[1, i] = shown


@kernel
def _touching(accounts: Ints, begin: Ints, rows: NDArray[np.int32], own: Mask, out: Floats) -> None:
    """Share of each account's exchanges, of those that show anything, with a node of `own`."""
    for i in range(accounts.size):
        shown = 0
        hits = 0
        end = begin[accounts[i] + 1]
        step = max((end - begin[accounts[i]]) // SAMPLE, 1)
        for row in range(begin[accounts[i]], end, step):
            present = False
            hit = False
            for k in range(rows.shape[1]):
                node = rows[row, k]
                present |= node != ABSENT
                hit |= node >= 0 and own[node]
            shown += present
            hits += hit
        out[0, i] = hits
        out[1, i] = shown


@kernel
def _mark(nodes: Keys, starts: Ints, members: Keys, out: Mask) -> None:
    for i in range(nodes.size):
        for at in range(starts[nodes[i]], starts[nodes[i] + 1]):
            out[members[at]] = True


@dataclass(frozen=True)
class Beyond:
    """What accounts that are not in the traffic at hand show of its nodes.

    Attributes:
        exchanges, accounts: of each node.
        total: exchanges of all of them.
    """

    exchanges: Floats
    accounts: Ints
    total: float


class LayerScorer:
    """Weighs accounts in one layer, against one cluster after the other."""

    def __init__(
        self,
        layer: Layer,
        begin: Ints,
        events: Ints,
        parameters: Parameters,
        beyond: Beyond | None = None,
    ) -> None:
        size = len(layer.degree)
        self.layer = layer
        self._begin = begin
        self._events = events
        self._all = float(events.sum())
        self._parameters = parameters
        self._totals: Floats = np.bincount(layer.nodes, layer.counts, size).astype(np.float64)
        self._degree = layer.degree.astype(np.int64)
        if beyond is not None:
            self._all += beyond.total
            self._totals = self._totals + beyond.exchanges
            self._degree = self._degree + beyond.accounts
        self._used, self._gain, self._inside = (np.zeros(size) for _ in range(3))
        self._owners = np.zeros(size, np.int64)
        self._own = np.zeros(size, np.bool_)
        self._touched = np.empty(size, np.int32)
        self._starts, self._members = layer.members()

    def profile(self, members: Ints) -> Profile:
        """The layer as the accounts `members` show it."""
        layer = self.layer
        count = _tally(
            members,
            layer.starts,
            layer.nodes,
            layer.counts,
            self._used,
            self._owners,
            self._touched,
        )
        nodes = np.sort(self._touched[:count])
        used, owners = self._used[nodes].copy(), self._owners[nodes].copy()
        self._used[nodes], self._owners[nodes] = 0.0, 0
        inner = float(self._events[members].sum())
        outer = max(self._all - inner, 1.0)
        smoothing = self._parameters.smoothing
        background = (self._totals[nodes] - used + smoothing) / (outer + smoothing)
        ours = used / max(inner, 1.0)
        own = (owners > _SUPPORT) & (ours > _OWN * background)
        share = self._share(members, nodes[own])
        mix = float(np.clip(1.0 - share, _LEAST_MIX, 0.9))
        # The cluster's nodes take the share that the mix leaves.
        gain = np.log1p(ours / background / mix)
        return Profile(
            nodes,
            owners,
            used,
            self._degree[nodes] - owners,
            own,
            np.where(owners >= _SUPPORT, gain, 0.0),
            np.where(owners > _SUPPORT, gain, 0.0),
            float(np.log(mix)),
            share,
        )

    def _share(self, members: Ints, own: Keys) -> float:
        shares, shown = self.touching(own, members)
        return float(np.mean(shares[shown > 0])) if (shown > 0).any() else 0.0

    def touching(self, own: Keys, accounts: Ints) -> tuple[Floats, Floats]:
        """Share of accounts' exchanges with any of the nodes `own`, and how many there are."""
        out = np.zeros((2, len(accounts)))
        self._own[own] = True
        _touching(accounts, self._begin, self.layer.rows, self._own, out)
        self._own[own] = False
        return out[0] / np.maximum(out[1], 1), out[1]

    def beyond(self, members: Ints, nodes: Ints) -> Beyond:
        """What all but `members` show of some nodes; those that are NONE nobody else shows."""
        profile = self.profile(members)
        used, owners = np.zeros(len(self._totals)), np.zeros(len(self._totals), np.int64)
        used[profile.nodes], owners[profile.nodes] = profile.used, profile.accounts
        known = np.maximum(nodes, 0)
        if not len(self._totals):
            return Beyond(np.zeros(len(nodes)), np.zeros(len(nodes), np.int64), self._all)
        return Beyond(
            np.where(nodes >= 0, (self._totals - used)[known], 0.0),
            np.where(nodes >= 0, (self._degree - owners)[known], 0),
            self._all - float(self._events[members].sum()),
        )

    def weighed(
        self, profile: Profile, accounts: Ints, member: Mask, most: int = 1 << 40
    ) -> Floats:
        """Log-likelihood ratio of each account's exchanges, of the first `most`.

        Exchanges of one account repeat themselves: their mean counts, as if they were a few.
        """
        out = np.zeros((2, len(accounts)))
        nodes = profile.nodes
        self._gain[nodes], self._inside[nodes] = profile.gain, profile.inside
        _weigh(
            accounts,
            self._begin,
            self.layer.rows,
            self._gain,
            self._inside,
            member,
            profile.base,
            most,
            out,
        )
        self._gain[nodes], self._inside[nodes] = 0.0, 0.0
        few = np.minimum(out[1], self._parameters.repeats)
        found: Floats = out[0] / np.maximum(out[1], 1) * few
        return found

    def near(self, profile: Profile, members: int, out: Mask) -> None:
        """Mark accounts that share a node which members show clearly more often than others."""
        accounts = len(self._events)
        rare = profile.accounts / max(members, 1) > 2.0 * profile.outside / max(accounts, 1)
        self.marked(profile.nodes[rare & (profile.accounts >= 2)], out)

    def marked(self, nodes: Keys, out: Mask) -> None:
        """Mark all accounts of some nodes."""
        _mark(nodes, self._starts, self._members, out)
