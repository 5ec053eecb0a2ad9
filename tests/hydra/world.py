"""A gateway's traffic, its customer table, and the truth about both.

world = generate(Scenario(seed=1, level=LEVELS["10 a day"]))
world.write(folder)
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tests.hydra.customers import customers, ids
from tests.hydra.honest import KINDS, Setting, populate
from tests.hydra.places import Places, spelled
from tests.hydra.planted import plant
from tests.hydra.play import exchanges, moments, wordings
from tests.hydra.prompts import make_template, texts
from tests.hydra.roster import Floats, Ints, Numbers, Roster, joined
from tests.hydra.scenario import Scenario

START: Final = datetime(2026, 3, 2, tzinfo=UTC)
"""The first instant of every log; a Monday."""
_PUBLIC: Final = 60
_AGENTS: Final = pa.array(
    [f"Mozilla/5.0 (Example; build {n}) Browser/{100 + n}.0" for n in range(24)]
    + [f"example-{name}/{n}.2" for n, name in enumerate(("editor", "sdk", "http", "batch"))]
    + [f"client/{n}.0" for n in range(36)]
)
_JA4: Final = pa.array(
    [f"t13d15{10 + n % 7:02d}h2_{n // 2 * 0x1F3A5C7 + 0x8DAAF6:012x}_{n:012x}" for n in range(64)]
)


@dataclass(frozen=True)
class World:
    """One log and what is true of it.

    Args:
        scenario: what it was made of.
        events: generic Parquet columns, by time.
        accounts: the customer table.
        truth: `account_id`, `kind` (one of `KINDS`), `cluster` (-1: honest), `first_seen` and
            `exchanges` (null and 0: never seen).
        template: of each event the template's number, `FREE` or `TURN`; no detector sees it.
    """

    scenario: Scenario
    events: pa.Table
    accounts: pa.Table
    truth: pa.Table
    template: Ints

    def write(self, folder: Path) -> tuple[Path, Path]:
        """The log and the customer table as files, without the truth."""
        log, table = folder / "traffic.parquet", folder / "accounts.parquet"
        pq.write_table(self.events, log, compression="zstd", row_group_size=131_072)
        pq.write_table(self.accounts, table)
        return log, table


def generate(scenario: Scenario) -> World:
    """Draw a world; the same scenario gives the same world."""
    rng = np.random.default_rng([2026, scenario.seed])
    numbers = Numbers()
    for _ in range(_PUBLIC):
        numbers.add(make_template(rng, rules=int(rng.integers(1, 5)), asks=(0, 2)))
    places = Places(
        rng,
        exits=max(12, scenario.people // 150),
        carriers=max(8, scenario.people // 120),
        six_share=scenario.six_share,
    )
    setting = Setting(rng, scenario, numbers, places)
    honest = populate(setting)
    hydras = plant(setting, honest.home[honest.home >= 0])
    roster = joined([honest, *hydras])
    return _played(setting, roster.take(rng.permutation(len(roster))))


def _played(setting: Setting, roster: Roster) -> World:
    rng, scenario = setting.rng, setting.scenario
    account, day = exchanges(rng, roster, scenario.days)
    time, address = moments(rng, roster, setting.places, account, day, scenario.days)
    order = np.argsort(time, kind="stable")
    account, time, address = account[order], time[order], address[order]
    template = wordings(rng, roster, account, _PUBLIC)
    prompts = texts(rng, template, setting.numbers.templates)
    names = ids("acct", np.arange(len(roster)))
    usual = rng.random(len(account)) < 0.8
    client = pa.array(np.where(usual, roster.stack[account], roster.second[account]))
    rows = pa.array(account)
    columns = {
        "timestamp": _instants(time),
        "request_id": ids("req", np.arange(len(account))),
        "account_id": names.take(rows),
        "org_id": ids("org", roster.org).take(rows),
        "api_key_id": ids("key", np.arange(len(roster))).take(rows),
        "client_ip": spelled(address),
        "user_agent": _AGENTS.take(client),
        "provider": pa.array(["example-lab"]).take(pa.array(np.zeros(len(account), np.int64))),
        "model": _models(rng, time / 86_400e6, roster.pivot[account], scenario.days),
        "input_tokens": pc.add(pc.divide(pc.binary_length(prompts), 4), 3),
        "output_tokens": pa.array(rng.lognormal(5.5, 0.9, len(account)).astype(np.int64)),
        "ja4": _JA4.take(client),
        "prompt": prompts,
    }
    missing = scenario.without
    table = customers(rng, roster, names, START)
    return World(
        scenario,
        pa.table({name: column for name, column in columns.items() if name not in missing}),
        table.drop_columns([name for name in table.column_names if name in missing]),
        _truth(roster, names, account, time),
        template,
    )


def _instants(time: Ints) -> pa.Array:
    first = int(START.timestamp() * 1_000_000)
    return pa.array(time + first).cast(pa.timestamp("us", tz="UTC"))


def _models(rng: np.random.Generator, day: Floats, pivot: Floats, days: int) -> pa.Array:
    """The newest model after an account has turned to it, but not before its release."""
    newest = (day >= days * 0.6) & (day >= pivot)
    small = rng.random(len(day)) < 0.25
    names = pa.array(["frontier-1", "frontier-1-small", "frontier-2"])
    return names.take(pa.array(np.where(newest, 2, small.astype(np.int64))))


def _truth(roster: Roster, names: pa.StringArray, account: Ints, time: Ints) -> pa.Table:
    seen, first = np.unique(account, return_index=True)
    began = np.zeros(len(roster), np.int64)
    began[seen] = time[first]
    count = np.bincount(account, minlength=len(roster))
    instants = _instants(began)
    never = pa.array(count == 0)
    return pa.table(
        {
            "account_id": names,
            "kind": pa.array(KINDS).take(pa.array(roster.kind)),
            "cluster": pa.array(roster.cluster),
            "first_seen": pc.if_else(never, pa.scalar(None, instants.type), instants),
            "exchanges": pa.array(count),
        }
    )
