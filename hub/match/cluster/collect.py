"""What the detector keeps of traffic: a narrow row for each exchange, a few facts an account.

Prompts are reduced at once; texts of accounts, clients and models are kept once each. About 76
bytes stay of an exchange, and of an account that makes very many only every n-th.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from hub.fingerprint.prompts import BANDS, normalise_batch
from hub.match.cluster.parameters import Parameters
from hub.match.cluster.prompts import KINDS, nodes_of, stored_nodes
from hub.match.cluster.rows import NONE, Ints, Keys, Names, Rows
from hub.match.index.cidr import parse_addresses

COLUMNS: Final = frozenset(
    {"account_id", "org_id", "api_key_id", "fp_tokens", "client_ip", "asn", "user_agent"}
    | {"ja3", "ja4", "provider_name", "request_model", "prompt"}
)
"""TRAFFIC columns that the detector reads, beside the time."""
_V4: Final = np.uint64(0xFFFF00000000)


@dataclass
class Collected:
    """Everything that the detector knows when the last batch has passed.

    Attributes:
        rows: kept exchanges, by account and time.
        accounts: ids of the accounts, by number.
        total: exchanges of each account, those that were not kept included.
        org, key: number of the account's organisation and of its API key, or NONE.
        tokens: (account, token) pairs, token numbers in `token_names`.
        agents, hellos, models, token_names: texts by number.
        keyed: whether accounts are API keys, because the source names no account.
        refused: exchanges of accounts beyond the limit.
    """

    rows: Rows
    accounts: list[str]
    total: Ints
    org: Keys
    key: Keys
    tokens: NDArray[np.int32]
    agents: list[str]
    hellos: list[str]
    models: list[str]
    token_names: list[str]
    keyed: bool = False
    refused: int = 0
    unnamed: int = 0
    shown: dict[str, int] = field(default_factory=dict)
    provider: str | None = None

    def part(self, members: Ints, rows: NDArray[np.int64]) -> Collected:
        """The same of some accounts, numbered anew, and of some of their exchanges.

        Args:
            members: account numbers, ascending.
            rows: rows of theirs, by account and time.
        """
        number = np.full(len(self.accounts), NONE, np.int32)
        number[members] = np.arange(len(members), dtype=np.int32)
        kept = self.rows.take(rows)
        kept.account = number[kept.account]
        tokens = self.tokens[number[self.tokens[:, 0]] >= 0]
        tokens = np.stack([number[tokens[:, 0]], tokens[:, 1]], 1)
        total = np.bincount(kept.account, minlength=len(members)).astype(np.int64)
        return replace(
            self,
            rows=kept,
            accounts=[self.accounts[k] for k in members.tolist()],
            total=total,
            org=self.org[members],
            key=self.key[members],
            tokens=tokens,
        )


def packed(values: Any) -> NDArray[np.uint64]:
    """Addresses as one word each: IPv4 whole, of IPv6 the /64 that one line gets; 0 for none."""
    parsed = parse_addresses(values)
    four = _V4 | (parsed.low & np.uint64(0xFFFFFFFF))
    out: NDArray[np.uint64] = np.where(parsed.family == 4, four, parsed.high)
    out[parsed.family == 0] = 0
    return out


def network(address: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The /24 or the /48 of packed addresses; 0 for none."""
    four = address >> np.uint64(32) == np.uint64(0xFFFF)
    out: NDArray[np.uint64] = np.where(four, address >> np.uint64(8), address >> np.uint64(16))
    return out


class Collector:
    """Reduces TRAFFIC batches; `collected` gives what was kept."""

    def __init__(self, parameters: Parameters) -> None:
        self._parameters = parameters
        self._accounts = Names(parameters.max_accounts)
        self._agents, self._hellos, self._models = (Names(1 << 20) for _ in range(3))
        self._orgs, self._keys = Names(1 << 22), Names(1 << 22)
        self._token_names = Names(1 << 24)
        self._parts: list[Rows] = []
        self._kept = 0
        self._dense = parameters.dense_exchanges
        self._total = np.zeros(0, np.int64)
        self._org = np.zeros(0, np.int32)
        self._key = np.zeros(0, np.int32)
        self._known = np.zeros(0, np.bool_)
        self._tokens: list[tuple[int, int]] = []
        self._unnamed = self._refused = self._keyed = 0
        self._shown: dict[str, int] = {}
        self._provider: str | None = None
        self.exchanges = 0

    def add(self, batch: pa.RecordBatch, nodes: NDArray[np.uint32] | None = None) -> None:
        """Take one batch of TRAFFIC columns; those that are missing show nothing.

        Exchanges that name neither an account nor a key are counted and left out.

        Args:
            nodes: what `prompt_nodes` made of the batch, if that is done already.
        """
        if nodes is None:
            nodes = prompt_nodes(batch)
        columns = _Columns(batch)
        self.exchanges += int(batch.num_rows)
        for name in COLUMNS:
            self._shown[name] = self._shown.get(name, 0) + columns.count(name)
        account = self._owners(columns)
        named = account >= 0
        if not named.all():
            batch = batch.filter(pa.array(named))
            columns, account, nodes = _Columns(batch), account[named], nodes[named]
        if not len(account):
            return
        self._provider_of(columns)
        self._grow()
        kept = self._sampled(account)
        self._facts(columns, account)
        if not kept.all():
            columns, account = _Columns(batch.filter(pa.array(kept))), account[kept]
            nodes = nodes[kept]
        self._parts.append(self._rows(columns, account, nodes))
        self._kept += len(account)
        if self._kept > self._parameters.max_exchanges:
            self._thin()

    def _owners(self, columns: _Columns) -> Keys:
        account = self._accounts.column(columns.strings("account_id"))
        nameless = account < 0
        if nameless.any() and columns.count("api_key_id"):
            missing = pa.array(nameless)
            keys = pc.if_else(missing, columns.strings("api_key_id"), pa.scalar(None, pa.string()))
            by_key = self._accounts.column(keys)
            self._keyed += int((by_key >= 0).sum())
            account = np.where(nameless, by_key, account)
        lost = int((account < 0).sum())
        if len(self._accounts) >= self._parameters.max_accounts:
            self._refused += lost
        else:
            self._unnamed += lost
        return account

    def _grow(self) -> None:
        more = len(self._accounts) - len(self._total)
        if more > 0:
            self._total = np.concatenate([self._total, np.zeros(more, np.int64)])
            self._org = np.concatenate([self._org, np.full(more, NONE, np.int32)])
            self._key = np.concatenate([self._key, np.full(more, NONE, np.int32)])
            self._known = np.concatenate([self._known, np.zeros(more, np.bool_)])

    def _sampled(self, account: Keys) -> NDArray[np.bool_]:
        """Which exchanges to keep: the first ones of an account, then ever fewer."""
        order = np.argsort(account, kind="stable")
        ranked = account[order]
        first = np.r_[True, ranked[1:] != ranked[:-1]]
        starts = np.flatnonzero(first)
        within = np.arange(len(ranked)) - np.repeat(starts, np.diff(np.r_[starts, len(ranked)]))
        ordinal = np.empty(len(account), np.int64)
        ordinal[order] = within + self._total[ranked]
        np.add.at(self._total, account, 1)
        return sampled(ordinal, self._dense)

    def _facts(self, columns: _Columns, account: Keys) -> None:
        """Organisation, key and tokens of accounts, from the first exchange that tells them."""
        accounts, first = np.unique(account, return_index=True)
        for name, names, facts in (
            ("org_id", self._orgs, self._org),
            ("api_key_id", self._keys, self._key),
        ):
            if columns.count(name):
                new = facts[accounts] < 0
                values = columns.strings(name).take(pa.array(first[new]))
                facts[accounts[new]] = names.column(values)
        if columns.count("fp_tokens"):
            self._add_tokens(columns, accounts, first)

    def _add_tokens(self, columns: _Columns, accounts: Keys, first: Ints) -> None:
        new = ~self._known[accounts]
        lists = columns.column("fp_tokens").take(pa.array(first[new])).to_pylist()
        for owner, tokens in zip(accounts[new].tolist(), lists, strict=True):
            if tokens:
                self._known[owner] = True
                pairs = ((owner, self._token_names.number(t)) for t in dict.fromkeys(tokens) if t)
                self._tokens += [pair for pair in pairs if pair[1] >= 0]

    def _rows(self, columns: _Columns, account: Keys, nodes: NDArray[np.uint32]) -> Rows:
        size = len(account)
        if columns.count("client_ip"):
            address = packed(columns.strings("client_ip"))
        else:
            address = np.zeros(size, np.uint64)
        system = np.full(size, NONE, np.int32)
        if columns.count("asn"):
            numbers = columns.column("asn").fill_null(0).to_numpy(zero_copy_only=False)
            # Wraps above 2^31; a number to compare, never shown.
            system = np.where(numbers > 0, numbers & 0x7FFFFFFF, NONE).astype(np.int32)
        hello = "ja4" if columns.count("ja4") else "ja3"
        times = columns.column("observed_at").cast(pa.timestamp("us", tz="UTC"))
        return Rows(
            account,
            times.cast(pa.int64()).to_numpy(zero_copy_only=False),
            address,
            system,
            self._agents.column(columns.strings("user_agent")),
            self._hellos.column(columns.strings(hello)),
            self._models.column(columns.strings("request_model")),
            nodes,
        )

    def _provider_of(self, columns: _Columns) -> None:
        if self._provider is None and columns.count("provider_name"):
            self._provider = columns.strings("provider_name").drop_null()[0].as_py() or None

    def _thin(self) -> None:
        """Halve what is kept of busy accounts until there is room; of others, nothing is lost."""
        rows = Rows.joined(self._parts)
        while len(rows.account) > self._parameters.max_exchanges * 3 // 4 and self._dense > 1:
            self._dense //= 2
            order = np.argsort(rows.account, kind="stable")
            ranked = rows.account[order]
            starts = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]])
            runs = np.diff(np.r_[starts, len(ranked)])
            within = np.arange(len(ranked)) - np.repeat(starts, runs)
            rows = rows.take(np.sort(order[sampled(within, self._dense)]))
        self._parts = [rows]
        self._kept = len(rows.account)

    def collected(self) -> Collected:
        """Everything kept so far, by account and time."""
        self._grow()
        rows = Rows.joined(self._parts)
        rows = rows.take(np.lexsort((rows.time, rows.account)))
        tokens = np.array(self._tokens, np.int32).reshape(-1, 2)
        return Collected(
            rows,
            self._accounts.texts(),
            self._total.copy(),
            self._org.copy(),
            self._key.copy(),
            tokens,
            self._agents.texts(),
            self._hellos.texts(),
            self._models.texts(),
            self._token_names.texts(),
            keyed=self._keyed > 0,
            refused=self._refused,
            unnamed=self._unnamed,
            shown=dict(self._shown),
            provider=self._provider,
        )


def sampled(ordinal: Ints, dense: int) -> NDArray[np.bool_]:
    """Which exchanges of an account to keep: all of the first `dense`, then of each doubling as
    many again, so that n exchanges leave about dense · (1 + log2(n / dense))."""
    doublings = np.maximum(ordinal // dense, 1)
    stride = np.int64(1) << np.floor(np.log2(doublings)).astype(np.int64)
    kept: NDArray[np.bool_] = ordinal % stride == 0
    return kept


class _Columns:
    """Columns of a batch; one that is missing is all null."""

    def __init__(self, batch: pa.RecordBatch) -> None:
        self._batch = batch

    def column(self, name: str) -> Any:
        return self._batch.column(name)

    def count(self, name: str) -> int:
        """How many values a column has."""
        if self._batch.schema.get_field_index(name) < 0:
            return 0
        column = self._batch.column(name)
        return len(column) - int(column.null_count)

    def strings(self, name: str) -> Any:
        if not self.count(name):
            return pa.nulls(self._batch.num_rows, pa.string())
        column = self._batch.column(name)
        return column if column.type == pa.string() else column.cast(pa.string())

    def stored(self, name: str) -> Any:
        return self.column(name) if self.count(name) else None


def prompt_nodes(batch: pa.RecordBatch) -> NDArray[np.uint32]:
    """What of the prompts of a batch is kept; any thread may make it."""
    columns, size = _Columns(batch), int(batch.num_rows)
    if columns.count("prompt"):
        return nodes_of(normalise_batch(columns.column("prompt")))
    template, bands = columns.stored("prompt_template_sha256"), columns.stored("prompt_bands")
    if template is None and bands is None:
        return np.zeros((size, KINDS), np.uint32)
    table = np.zeros((size, BANDS), np.uint64)
    if bands is not None:
        filled = bands.fill_null(pa.scalar([0] * BANDS, bands.type))
        table = filled.flatten().to_numpy(zero_copy_only=False).reshape(-1, BANDS)
    return stored_nodes(template, table)
