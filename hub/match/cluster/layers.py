"""Nodes that accounts share, layer by layer: addresses, prompts, clients, identities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hub.fingerprint.jit import kernel
from hub.fingerprint.kernels import mix64
from hub.match.cluster.collect import Collected, network
from hub.match.cluster.prompts import SKELETON
from hub.match.cluster.rows import NONE, Ints, Keys

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

ABSENT: Final = -1
"""The exchange shows nothing of this kind."""
ALONE: Final = -2
"""It shows a value that no other account shows."""
ADDRESS: Final = 0
NETWORK: Final = 1


@dataclass(frozen=True)
class Layer:
    """One layer as nodes.

    Attributes:
        rows: (N, K) node of each exchange and kind, ABSENT or ALONE; `begin` where each of the A
            accounts' rows begin.
        starts: (A + 1) where each account's nodes begin in `nodes` and `counts`.
        nodes, counts: distinct nodes of each account, ascending, and its exchanges with them.
        degree: accounts of each node; `kind` which of the K kinds it is.
        values: what each node stands for: packed address, number of a text, hash.
    """

    rows: NDArray[np.int32]
    begin: Ints
    starts: Ints
    nodes: Keys
    counts: Keys
    degree: Keys
    kind: NDArray[np.int8]
    values: NDArray[np.uint64]

    def members(self) -> tuple[Ints, Keys]:
        """The accounts of each node: where they begin, and their numbers ascending."""
        order = np.argsort(self.nodes, kind="stable")
        owners = np.repeat(np.arange(len(self.starts) - 1, dtype=np.int32), np.diff(self.starts))
        return np.r_[0, np.cumsum(self.degree)].astype(np.int64), owners[order]


@kernel
def _mark(account: Keys, node: NDArray[np.uint64], first: Keys, several: NDArray[np.uint8]) -> None:
    mask = np.uint64(first.size - 1)
    for i in range(node.size):
        if node[i] == 0:
            continue
        at = mix64(node[i]) & mask
        if first[at] == 0:
            first[at] = account[i] + 1
        elif first[at] != account[i] + 1:
            several[at] = 1


@kernel
def _marked(node: NDArray[np.uint64], several: NDArray[np.uint8], out: Mask) -> None:
    mask = np.uint64(several.size - 1)
    for i in range(node.size):
        out[i] = node[i] != 0 and several[mix64(node[i]) & mask] != 0


def shared(account: Keys, columns: list[NDArray[np.uint64]]) -> list[Mask]:
    """Which values of each column more than one account shows; a few too many by collisions."""
    bits = int(np.clip(len(account) * len(columns), 1 << 10, 1 << 25)).bit_length() + 1
    first = np.zeros(1 << bits, np.int32)
    several = np.zeros(1 << bits, np.uint8)
    for column in columns:
        _mark(account, column, first, several)
    out = []
    for column in columns:
        mask = np.empty(len(column), np.bool_)
        _marked(column, several, mask)
        out.append(mask)
    return out


@kernel
def _bags(begin: Ints, rows: NDArray[np.int32], starts: Ints, nodes: Keys, counts: Keys) -> None:
    at = 0
    for account in range(begin.size - 1):
        part = rows[begin[account] : begin[account + 1]].copy().ravel()
        part.sort()
        for i in range(part.size):
            if part[i] < 0:
                continue
            if at > starts[account] and nodes[at - 1] == part[i]:
                counts[at - 1] += 1
            else:
                nodes[at] = part[i]
                counts[at] = 1
                at += 1
        starts[account + 1] = at


def layer_of(
    account: Keys, begin: Ints, columns: list[NDArray[np.uint64]], groups: list[int]
) -> Layer:
    """Number the shared values of columns.

    Args:
        account: of each exchange, ascending; `begin` where each account's exchanges begin.
        columns: K values an exchange, 0 for none; equal values of one group are one node.
        groups: the group of each column, ascending from 0.
    """
    rows = np.full((len(account), len(columns)), ABSENT, np.int32)
    values: list[NDArray[np.uint64]] = []
    kinds: list[NDArray[np.int8]] = []
    total = 0
    for group in dict.fromkeys(groups):
        places = [k for k, one in enumerate(groups) if one == group]
        masks = shared(account, [columns[k] for k in places])
        pieces = [columns[k][mask] for k, mask in zip(places, masks, strict=True)]
        found, inverse = np.unique(np.concatenate(pieces), return_inverse=True)
        at = 0
        for k, mask, piece in zip(places, masks, pieces, strict=True):
            rows[columns[k] != 0, k] = ALONE
            rows[mask, k] = inverse[at : at + len(piece)] + total
            at += len(piece)
        values.append(found)
        kinds.append(np.full(len(found), places[0], np.int8))
        total += len(found)
    return _layer(begin, rows, np.concatenate(values), np.concatenate(kinds))


def _layer(
    begin: Ints, rows: NDArray[np.int32], values: NDArray[np.uint64], kinds: NDArray[np.int8]
) -> Layer:
    size = int((rows >= 0).sum())
    starts = np.zeros(len(begin), np.int64)
    nodes, counts = np.empty(size, np.int32), np.empty(size, np.int32)
    _bags(begin, rows, starts, nodes, counts)
    nodes, counts = nodes[: starts[-1]].copy(), counts[: starts[-1]].copy()
    degree = np.bincount(nodes, minlength=len(values)).astype(np.int32)
    return Layer(rows, begin, starts, nodes, counts, degree, kinds, values)


def translated(layer: Layer, whole: Layer) -> Ints:
    """The node of `whole` that each node of `layer` is, NONE where it has none."""
    out = np.full(len(layer.values), NONE, np.int64)
    for kind in np.unique(layer.kind).tolist():
        mine, theirs = np.flatnonzero(layer.kind == kind), np.flatnonzero(whole.kind == kind)
        if not len(theirs):
            continue
        # Values ascend within a kind.
        at = np.minimum(np.searchsorted(whole.values[theirs], layer.values[mine]), len(theirs) - 1)
        same = whole.values[theirs][at] == layer.values[mine]
        out[mine[same]] = theirs[at[same]]
    return out


@dataclass(frozen=True)
class Traffic:
    """Collected traffic as layers.

    Attributes:
        begin: (A + 1) where each account's exchanges begin; `events` how many were kept.
        unit: the organisation, shared key or account that answers for an account.
        first, last: time of each account's first and last exchange.
        rate: exchanges a day while active, over all exchanges.
        hours: (A, 24) share of exchanges by hour of the day in UTC.
        alone: share of exchanges whose address the account had not used before.
    """

    collected: Collected
    begin: Ints
    events: Ints
    unit: Keys
    first: Ints
    last: Ints
    rate: Floats
    hours: Floats
    fresh: Floats
    egress: Layer
    prompt: Layer
    client: Layer
    identity: Layer

    @property
    def accounts(self) -> int:
        """How many accounts there are."""
        return len(self.begin) - 1


def _offset(column: Any) -> NDArray[np.uint64]:
    """Numbers from 1, 0 for none."""
    found: NDArray[np.uint64] = (column.astype(np.int64) + 1).astype(np.uint64)
    return found


def traffic_of(collected: Collected) -> Traffic:
    """Lay out what was collected."""
    rows, accounts = collected.rows, len(collected.accounts)
    begin = np.searchsorted(rows.account, np.arange(accounts + 1)).astype(np.int64)
    egress = layer_of(
        rows.account,
        begin,
        [rows.address, network(rows.address), _offset(rows.system)],
        [0, 1, 2],
    )
    texts = rows.prompt.shape[1] - SKELETON
    prompt = layer_of(
        rows.account,
        begin,
        [rows.prompt[:, SKELETON + k].astype(np.uint64) for k in range(texts)],
        [0, 1, 2] + [3] * (texts - 3),
    )
    both = np.where(
        (rows.agent >= 0) & (rows.hello >= 0),
        (_offset(rows.agent) << np.uint64(32)) | _offset(rows.hello),
        np.uint64(0),
    )
    client = layer_of(
        rows.account, begin, [both, _offset(rows.agent), _offset(rows.hello)], [0, 1, 2]
    )
    first = np.zeros(accounts, np.int64)
    last = np.zeros(accounts, np.int64)
    events = np.diff(begin)
    seen = events > 0
    first[seen], last[seen] = rows.time[begin[:-1][seen]], rows.time[begin[1:][seen] - 1]
    return Traffic(
        collected,
        begin,
        events,
        _units(collected),
        first,
        last,
        _rates(collected, begin, first, last),
        _hours(rows.account, rows.time, events),
        _fresh(rows.account, rows.address, accounts),
        egress,
        prompt,
        client,
        _identity(collected, accounts),
    )


_LARGE_ORG: Final = 50
_ORG_TOKENS: Final = ("org:",)
_PERSONAL: Final = ("payment-instrument:", "device:", "phone:", "email:", "api-key:")
DAY: Final = 86_400_000_000
_HOUR: Final = 3_600_000_000


def _identity(collected: Collected, accounts: int) -> Layer:
    """Tokens as a layer of one exchange an account."""
    names = collected.token_names
    personal = np.array([name.startswith(_PERSONAL) for name in names] + [False], np.bool_)
    pairs = collected.tokens[personal[collected.tokens[:, 1]]]
    pairs = pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]
    begin = np.searchsorted(pairs[:, 0], np.arange(accounts + 1)).astype(np.int64)
    account = np.ascontiguousarray(pairs[:, 0])
    return layer_of(account, begin, [_offset(pairs[:, 1])], [0])


def _units(collected: Collected) -> Keys:
    """Number what answers for each account: its organisation, else a key that several use."""
    size = len(collected.accounts)
    unit = np.arange(size, dtype=np.int32)
    if size == 0:
        return unit
    names = collected.token_names
    is_org = np.array([name.startswith(_ORG_TOKENS) for name in names] + [False], np.bool_)
    org = collected.org.copy()
    tokens = collected.tokens[is_org[collected.tokens[:, 1]]]
    rows = tokens[org[tokens[:, 0]] < 0]
    org[rows[:, 0]] = rows[:, 1] + (int(org.max()) + 1)
    keys = collected.key
    used, held = (np.bincount(one[one >= 0], minlength=1) for one in (keys, org))
    # What a large part of all accounts has is the provider's own, and answers for nobody.
    most = max(_LARGE_ORG, size // 4)
    several = (used > 1) & (used <= most)
    key = np.where((keys >= 0) & several[np.maximum(keys, 0)], keys, -1)
    org = np.where((org >= 0) & (held[np.maximum(org, 0)] <= most), org, -1)
    unit = np.where(key >= 0, size + key, unit)
    return np.where(org >= 0, size + len(used) + org, unit).astype(np.int32)


def _rates(collected: Collected, begin: Ints, first: Ints, last: Ints) -> Floats:
    """Exchanges a day: by the gaps between days' firsts and lasts where there are several days."""
    account, time = collected.rows.account, collected.rows.time
    accounts = len(collected.accounts)
    day = time // DAY
    new = np.ones(len(time), np.bool_)
    new[1:] = (account[1:] != account[:-1]) | (day[1:] != day[:-1])
    days = np.bincount(account[new], minlength=accounts)
    total = collected.total[:accounts].astype(np.float64)
    span = (last - first) / DAY
    # n exchanges leave n - 1 gaps, and a part of the first and of the last day is not seen.
    spread = np.maximum(span * (total + 1) / np.maximum(total - 1, 1), 0.25)
    rate: Floats = total / np.minimum(np.maximum(days, 1), spread)
    return rate


def _hours(account: Keys, time: Ints, events: Ints) -> Floats:
    hour = (time // _HOUR) % 24
    table = np.bincount(account.astype(np.int64) * 24 + hour, minlength=len(events) * 24)
    shares: Floats = table.reshape(-1, 24) / np.maximum(events, 1)[:, None]
    return shares


def _fresh(account: Keys, address: NDArray[np.uint64], accounts: int) -> Floats:
    """Distinct addresses an exchange."""
    known = address != 0
    order = np.lexsort((address[known], account[known]))
    owner, value = account[known][order], address[known][order]
    new = np.ones(len(owner), np.bool_)
    new[1:] = (owner[1:] != owner[:-1]) | (value[1:] != value[:-1])
    distinct = np.bincount(owner[new], minlength=accounts)
    share: Floats = distinct / np.maximum(np.bincount(owner, minlength=accounts), 1)
    return share
