"""A second, much simpler world, so that no detector learns the first one's habits by heart.

Everybody writes with the same thirty patterns, most people have one address and a steady rate, no
log names an organisation. What a hydra cluster shares, and what honest groups share, is as plain.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tests.hydra.customers import ids
from tests.hydra.prompts import make_template, texts
from tests.hydra.roster import Floats, Ints
from tests.hydra.scenario import Scenario
from tests.hydra.world import START, World

_DAY: Final = 86_400_000_000
_TOPICS: Final = tuple(f"{a} {b}" for a in ("old", "new", "red", "big", "odd") for b in (
    "boats", "maps", "loans", "teeth", "songs", "roofs", "bees", "rivers", "proofs", "queues",
))  # fmt: skip
_STYLES: Final = tuple(
    f"{verb} {what} {{}} {end}"
    for verb, what in (
        ("Write a poem about", "the"),
        ("Summarise what is known of", "these"),
        ("Translate my notes on", "some"),
        ("Give five facts about", "all"),
        ("Draft an e-mail on", "our"),
        ("Explain to a child", "the"),
    )
    for end in ("please.", "in short.", "with examples.", "for work.", "by tonight.")
)
_POPULAR: Final = tuple(
    f"Act as expert number {n} and improve my text step by step." for n in range(12)
)


@dataclass
class _Crowd:
    """Accounts, as they are added group by group."""

    kind: list[str] = field(default_factory=list)
    cluster: list[int] = field(default_factory=list)
    rate: list[float] = field(default_factory=list)
    born: list[float] = field(default_factory=list)
    pool: list[Ints] = field(default_factory=list)
    payment: list[int] = field(default_factory=list)
    device: list[int] = field(default_factory=list)
    wording: list[tuple[int, ...]] = field(default_factory=list)
    own_share: list[float] = field(default_factory=list)

    def add(
        self,
        kind: str,
        rate: float,
        pool: Ints,
        *,
        cluster: int = -1,
        born: float = -100.0,
        payment: int | None = None,
        device: int | None = None,
        wording: tuple[int, ...] = (),
        own_share: float = 0.0,
    ) -> None:
        """One account; what it does not share is its own."""
        number = len(self.kind)
        self.kind.append(kind)
        self.cluster.append(cluster)
        self.rate.append(rate)
        self.born.append(born)
        self.pool.append(pool)
        self.payment.append(1_000_000 + number if payment is None else payment)
        self.device.append(1_000_000 + number if device is None else device)
        self.wording.append(wording)
        self.own_share.append(own_share)


def crude(scenario: Scenario) -> World:
    """Draw the simpler world; of the scenario its seed, level, people, days, clusters and sizes."""
    rng = np.random.default_rng([4711, scenario.seed])
    crowd = _Crowd()
    exits = np.arange(12)
    _honest(rng, crowd, scenario.people, exits)
    for number in range(scenario.clusters):
        _cluster(rng, crowd, scenario, number, exits)
    return _written(rng, crowd, scenario)


def _honest(rng: np.random.Generator, crowd: _Crowd, people: int, exits: Ints) -> None:
    carrier, campus = np.arange(100, 106), np.array([200])
    for number in range(people):
        own = np.array([10_000 + number])
        place = (own, own, own, carrier, campus, exits)[int(rng.integers(0, 6))]
        rate = float(rng.lognormal(1.4, 0.7))
        crowd.add("person", rate, place, born=-float(rng.uniform(-10, 365)))
    for _ in range(people // 40):
        crowd.add(
            "course", 8, campus, wording=(0, 1), own_share=0.7, born=-float(rng.uniform(0, 9))
        )
    for _ in range(people // 20):
        backend = np.array([300, 301])
        rate = float(rng.lognormal(1.2, 0.9))
        crowd.add("white-label end user", rate, backend, wording=(2,), own_share=1.0)
    for number in range(max(4, people // 100)):
        office = np.array([310])
        crowd.add("company", 20, office, payment=1, wording=(3,), own_share=0.3)
        crowd.add("batch job", 200, np.array([320 + number]), wording=(30 + number,), own_share=1.0)
        payment = 100 + number // 2
        crowd.add("family", 5, np.array([5000 + number // 2]), payment=payment, device=payment)
    for _ in range(6):
        crowd.add(
            "evaluation pipeline", 600, np.array([330]), payment=2, wording=(4,), own_share=1.0
        )


def _cluster(
    rng: np.random.Generator, crowd: _Crowd, scenario: Scenario, number: int, exits: Ints
) -> None:
    low, high = scenario.level.sizes
    size = scenario.sizes[number] if scenario.sizes else int(rng.integers(low, min(high, 80) + 1))
    private = 400_000 + 100 * number + np.arange(max(3, size // 8))
    pool = np.concatenate([private, rng.choice(exits, 4, replace=False)])
    wording = tuple(500 + 10 * number + n for n in range(3))
    begun = float(rng.uniform(0.5, scenario.days / 3))
    for account in range(size):
        crowd.add(
            "hydra",
            scenario.level.rate,
            rng.choice(pool, 3, replace=False),
            cluster=number,
            born=begun + float(rng.exponential(0.3)),
            payment=2000 + 1000 * number + account // 5 if rng.random() < 0.6 else None,
            device=200_000 + 1000 * number + account // 4 if rng.random() < 0.4 else None,
            wording=wording,
            own_share=1 - scenario.level.mix,
        )


def _written(rng: np.random.Generator, crowd: _Crowd, scenario: Scenario) -> World:
    born = np.array(crowd.born)
    account, time = _times(rng, crowd, np.maximum(born, 0), scenario.days)
    template, prompts = _prompts(rng, crowd, account)
    pools = np.stack([np.resize(pool, 12) for pool in crowd.pool])
    address = pools[account, rng.integers(0, 12, len(account))]
    names = ids("user", np.arange(len(born)) + 7_000_000)
    first = int(START.timestamp() * 1_000_000)
    moment = pa.timestamp("us", tz="UTC")
    rows = pa.array(account)
    agents = pa.array([f"agent-{n}/1.0" for n in range(5)])
    events = {
        "timestamp": pa.array(first + time).cast(moment),
        "request_id": ids("r", np.arange(len(account))),
        "account_id": names.take(rows),
        "client_ip": pa.array(
            [f"10.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}" for n in (address + 256).tolist()]
        ),
        "user_agent": agents.take(pa.array(account % 5)),
        "model": pa.array(["frontier-1"]).take(pa.array(np.zeros(len(account), np.int64))),
        "prompt": prompts,
    }
    accounts = {
        "account_id": names,
        "payment": ids("pay", np.array(crowd.payment)),
        "device": ids("device", np.array(crowd.device)),
        "signup_time": pa.array(first + (born * _DAY).astype(np.int64)).cast(moment),
    }
    seen, places = np.unique(account, return_index=True)
    began = np.zeros(len(born), np.int64)
    began[seen] = first + time[places]
    count = np.bincount(account, minlength=len(born))
    truth = {
        "account_id": names,
        "kind": pa.array(crowd.kind),
        "cluster": pa.array(crowd.cluster),
        "first_seen": pc.if_else(
            pa.array(count == 0), pa.scalar(None, moment), pa.array(began).cast(moment)
        ),
        "exchanges": pa.array(count),
    }
    missing = scenario.without
    return World(
        scenario,
        pa.table({name: column for name, column in events.items() if name not in missing}),
        pa.table({name: column for name, column in accounts.items() if name not in missing}),
        pa.table(truth),
        template,
    )


def _times(rng: np.random.Generator, crowd: _Crowd, start: Floats, days: int) -> tuple[Ints, Ints]:
    """Account and microsecond of every exchange, by time: Poisson days, honest people by day."""
    alive = np.clip(np.arange(1, days + 1)[None, :] - start[:, None], 0, 1)
    counts = rng.poisson(np.array(crowd.rate)[:, None] * alive)
    cell = np.repeat(np.arange(counts.size), counts.ravel())
    account, day = cell // days, cell % days
    by_day = (np.array(crowd.cluster) < 0)[account]
    hour = np.where(
        by_day, np.clip(rng.normal(14, 4, len(cell)), 0, 23.99), 24 * rng.random(len(cell))
    )
    inside = np.maximum(day, start[account])
    moment = np.where(
        by_day, np.maximum(day + hour / 24, inside), inside + (day + 1 - inside) * hour / 24
    )
    order = np.argsort(moment, kind="stable")
    return account[order], (np.minimum(moment[order], days - 1e-6) * _DAY).astype(np.int64)


def _prompts(rng: np.random.Generator, crowd: _Crowd, account: Ints) -> tuple[Ints, pa.Array]:
    """The template of each exchange (-1: one of everybody's patterns) and its text."""
    numbers = sorted({number for wording in crowd.wording for number in wording})
    templates = [make_template(rng, rules=2) for _ in numbers]
    place = {number: row for row, number in enumerate(numbers)}
    owned = np.array(
        [[place[wording[n % len(wording)]] if wording else -1 for n in range(6)]
         for wording in crowd.wording]
    )  # fmt: skip
    own = owned[account, rng.integers(0, 6, len(account))]
    chosen = np.where(rng.random(len(account)) < np.array(crowd.own_share)[account], own, -1)
    common = pa.array(
        [style.format(topic) for style in _STYLES for topic in _TOPICS]
        + list(_POPULAR) * (len(_STYLES) * len(_TOPICS) // len(_POPULAR) // 6),
        pa.large_string(),
    )
    said = common.take(pa.array(rng.integers(0, len(common), len(account))))
    rows = np.flatnonzero(chosen >= 0)
    mask = pa.array(chosen >= 0)
    return chosen, pc.replace_with_mask(said, mask, texts(rng, chosen[rows], templates))
