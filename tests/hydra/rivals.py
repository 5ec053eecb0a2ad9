"""What a defender without a cluster view would do, each at its best with the truth in hand.

Every rival is given what no defender has: the threshold that the truth says is best, and for
templates the generator's own numbers, so that no paraphrase escapes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tests.hydra.roster import Floats, Ints
from tests.hydra.score import Score, Truth, score
from tests.hydra.world import START, World

_HOLDERS: Final = (5, 10, 20, 50, 100, 200, 400, 10**9)
"""A value that more accounts hold joins nobody."""
_SIZES: Final = (2, 3, 5, 8, 12, 20, 40, 80)
"""A component of fewer accounts is not reported."""
_USES: Final = (1, 3, 10, 30)
"""An account that shows a value less often does not hold it."""


@dataclass(frozen=True)
class Rival:
    """A rival's best.

    Args:
        name: what the table calls it.
        score: how it did.
        setting: the threshold that the truth chose.
    """

    name: str
    score: Score
    setting: str


@dataclass(frozen=True)
class Seen:
    """The log as arrays: of each exchange the account's row, its microsecond and its values."""

    account: Ints
    time: Ints
    address: Ints
    template: Ints

    @classmethod
    def of(cls, world: World, truth: Truth) -> Seen:
        names = world.events["account_id"].combine_chunks().dictionary_encode()
        rows = np.array([truth.row[name] for name in names.dictionary.to_pylist()], np.int64)
        first = world.events["timestamp"].cast(pa.int64()).to_numpy()
        addresses = world.events["client_ip"].combine_chunks().dictionary_encode()
        return cls(
            rows[names.indices.to_numpy()],
            first,
            addresses.indices.to_numpy().astype(np.int64),
            world.template,
        )


def rivals(world: World) -> list[Rival]:
    """Per-account thresholds, each layer alone, and all layers without damping."""
    truth = Truth.of(world)
    seen = Seen.of(world, truth)
    held = _held(world, truth, seen)
    found = [_thresholds(world, truth, seen)]
    found += [_alone(truth, f"shared {name} alone", [edges]) for name, edges in held.items()]
    found.append(_alone(truth, "all layers, one graph", list(held.values())))
    return found


@dataclass(frozen=True)
class Edges:
    """Which account shows which value, and how often."""

    account: Ints
    value: Ints
    uses: Ints


def _held(world: World, truth: Truth, seen: Seen) -> dict[str, Edges]:
    table = world.accounts.filter(pc.is_in(world.accounts["account_id"], pa.array(truth.row)))
    rows = np.array([truth.row[name] for name in table["account_id"].to_pylist()], np.int64)
    templates = seen.template >= 0
    held = {name: _from_table(table[name], rows) for name in ("payment", "device")}
    held["egress"] = _counted(seen.account, seen.address)
    held["template"] = _counted(seen.account[templates], seen.template[templates])
    return held


def _from_table(column: pa.ChunkedArray, rows: Ints) -> Edges:
    codes = column.combine_chunks().dictionary_encode().indices
    known = codes.is_valid().to_numpy(zero_copy_only=False)
    values = codes.drop_null().to_numpy().astype(np.int64)
    return Edges(rows[known], values, np.full(len(values), 10**9))


def _counted(account: Ints, value: Ints) -> Edges:
    width = int(value.max(initial=0)) + 1
    pairs, uses = np.unique(account * width + value, return_counts=True)
    return Edges(pairs // width, pairs % width, uses)


def _alone(truth: Truth, name: str, layers: list[Edges]) -> Rival:
    """Connected components over the layers at the limits that give the best F1."""
    best: tuple[float, str, Ints] = (-1.0, "", np.array([], np.int64))
    guilty = truth.cluster >= 0
    for holders in _HOLDERS:
        for uses in _USES:
            labels = _components(len(guilty), [_limited(layer, holders, uses) for layer in layers])
            size = np.bincount(labels, minlength=len(labels))[labels]
            for least in _SIZES:
                f1 = _f1(size >= least, guilty)
                if f1 > best[0]:
                    text = f"holders <= {holders}, uses >= {uses}, accounts >= {least}"
                    best = (f1, text, np.where(size >= least, labels, -1))
    labels = best[2]
    rows = np.flatnonzero(labels >= 0)
    least = int(best[1].rpartition(" ")[2])
    return Rival(name, score(truth, _findings(truth, rows, labels[rows], least)), best[1])


def _limited(layer: Edges, holders: int, uses: int) -> Edges:
    often = layer.uses >= uses
    account, value = layer.account[often], layer.value[often]
    few = np.bincount(value, minlength=1)[value] <= holders if len(value) else value >= 0
    return Edges(account[few], value[few], layer.uses[often][few])


def _components(count: int, layers: list[Edges]) -> Ints:
    """The least account of each account's component, by spreading labels until they rest."""
    widths = [int(layer.value.max(initial=-1)) + 1 for layer in layers]
    starts = np.cumsum([0, *widths])
    account = np.concatenate([layer.account for layer in layers])
    value = np.concatenate(
        [layer.value + start for layer, start in zip(layers, starts[:-1], strict=True)]
    )
    labels = np.arange(count)
    while True:
        least = np.full(int(starts[-1]), count)
        np.minimum.at(least, value, labels[account])
        new = labels.copy()
        np.minimum.at(new, account, least[value])
        new = new[new]
        if (new == labels).all():
            return labels
        labels = new


def _findings(truth: Truth, rows: Ints, labels: Ints, least: int) -> pa.Table:
    """Reported accounts; a component is known when its `least`-th account has been seen."""
    first = truth.first_seen[rows]
    order = np.lexsort((first, labels))
    rows, labels, first = rows[order], labels[order], first[order]
    starts = np.flatnonzero(np.append(True, labels[1:] != labels[:-1])) if len(rows) else rows
    sizes = np.diff(np.append(starts, len(rows)))
    known = np.repeat(first[starts + np.minimum(least, sizes) - 1], sizes) if len(rows) else first
    return _table(truth, rows, labels, np.maximum(known, first))


def _table(truth: Truth, rows: Ints, labels: Ints, times: Ints | None) -> pa.Table:
    names = pa.array(list(truth.row), pa.string())
    columns = {
        "account_id": names.take(pa.array(rows)),
        "cluster_id": pa.array(labels).cast(pa.string()),
    }
    if times is not None:
        columns["detected_at"] = pa.array(times).cast(pa.timestamp("us", tz="UTC"))
    return pa.table(columns)


def _thresholds(world: World, truth: Truth, seen: Seen) -> Rival:
    """The one figure, threshold and direction that part guilty accounts best from honest ones."""
    guilty = truth.cluster >= 0
    best: tuple[float, str, NDArray[np.bool_]] = (-1.0, "", guilty)
    for name, values in _figures(world, truth, seen):
        for sign, word in ((1.0, ">="), (-1.0, "<=")):
            f1, edge = _best_edge(sign * values, guilty)
            if f1 > best[0]:
                best = (f1, f"{name} {word} {sign * edge:.3g}", sign * values >= edge)
    rows = np.flatnonzero(best[2])
    # A threshold knows no clusters: to be counted as found, half of a cluster has to be reported.
    table = _table(truth, rows, truth.cluster[rows], None)
    return Rival("best per-account threshold", score(truth, table), best[1])


def _best_edge(values: Floats, guilty: NDArray[np.bool_]) -> tuple[float, float]:
    """The least value of the best-scoring set of all accounts at or above one value."""
    order = np.argsort(-values, kind="stable")
    hits = np.cumsum(guilty[order])
    f1 = 2 * hits / (np.arange(1, len(order) + 1) + guilty.sum())
    last = np.append(values[order][1:] != values[order][:-1], True)
    f1[~last] = -1.0
    place = int(np.argmax(f1))
    return float(f1[place]), float(values[order[place]])


def _figures(world: World, truth: Truth, seen: Seen) -> Iterator[tuple[str, Floats]]:
    count, days = len(truth.cluster), truth.days
    first = int(START.timestamp() * 1_000_000)
    hour = (seen.time - first) // 3_600_000_000
    daily = np.bincount(seen.account * days + hour // 24, minlength=count * days)
    daily = daily.reshape(count, days)
    active = np.maximum((daily > 0).sum(axis=1), 1)
    total = daily.sum(axis=1).astype(np.float64)
    yield "exchanges on the busiest day", daily.max(axis=1).astype(np.float64)
    yield "exchanges", total
    yield "exchanges on an active day", total / active
    yield "active days", active.astype(np.float64)
    yield "addresses", _distinct(count, seen.account, seen.address)
    yield "addresses per exchange", _distinct(count, seen.account, seen.address) / total
    yield "hours of the day", _distinct(count, seen.account, hour % 24)
    yield "hours of work on an active day", _distinct(count, seen.account, hour) / active
    spread = np.where(daily > 0, daily, np.nan)
    yield "unevenness of days", np.nan_to_num(np.nanstd(spread, axis=1) / (total / active))
    written = seen.template >= 0
    yield "share of templates", np.bincount(seen.account[written], minlength=count) / total
    edges = _counted(seen.account[written], seen.template[written])
    top = np.zeros(count)
    np.maximum.at(top, edges.account, edges.uses)
    yield "share of the commonest template", top / total
    yield "age at the log's end", _age(world, truth)


def _distinct(count: int, account: Ints, value: Ints) -> Floats:
    return np.bincount(_counted(account, value).account, minlength=count).astype(np.float64)


def _age(world: World, truth: Truth) -> Floats:
    signup = world.accounts["signup_time"].cast(pa.int64()).to_numpy()
    rows = [truth.row.get(name, -1) for name in world.accounts["account_id"].to_pylist()]
    age = np.zeros(len(truth.cluster))
    for row, at in zip(rows, signup.tolist(), strict=True):
        if row >= 0:
            age[row] = -float(at)
    return age


def _f1(chosen: NDArray[np.bool_], guilty: NDArray[np.bool_]) -> float:
    return float(2 * (chosen & guilty).sum() / max(1, chosen.sum() + guilty.sum()))
