"""`stillwatch cluster` beside per-account thresholds and single layers, on planted clusters.

The detector is run as a command: it sees a log and a customer table, never the truth. Its rivals
get the best setting that the truth can choose for them, in every world anew. The seeds lie apart
from those that detectors are tuned on (1 to 99); figures are the mean (least..most) over seeds.

    python -m tests.bench.cluster [--full] [--seeds FIRST:LAST] [--variants] [--blame]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests.bench.table import Row
from tests.hydra.crude import crude
from tests.hydra.published import publish
from tests.hydra.rivals import rivals
from tests.hydra.scenario import LEVELS, UNSEEN, Level, Scenario
from tests.hydra.score import Score, Truth, score
from tests.hydra.world import World, generate

OURS: Final = "stillwatch cluster"
SEEDS: Final = range(1001, 1006)
FULL_SEEDS: Final = range(1001, 1016)
_ROOT: Final = Path(__file__).parents[2]

Change = Callable[[Scenario], Scenario]


@dataclass(frozen=True)
class Variant:
    """A world of another make, or a log with a layer missing.

    Args:
        name: what the table calls it.
        change: from the usual scenario to this one.
        accounts: whether the customer table is given.
        indicators: whether a bundle of published indicators is given.
        make: draws the world.
    """

    name: str
    change: Change
    accounts: bool = True
    indicators: bool = False
    make: Callable[[Scenario], World] = generate


def _hidden(scenario: Scenario) -> Scenario:
    """Nothing in common but the wording."""
    level = replace(scenario.level, proxies=0, exits=0, homes=1, carded=0, shared_device=0)
    return replace(scenario, level=level)


def _rotating(scenario: Scenario) -> Scenario:
    return replace(scenario, level=replace(scenario.level, per_request=True, exits=0.6))


USUAL: Final = Variant("", lambda s: s)
VARIANTS: Final = (
    Variant("no customer table", lambda s: s, accounts=False),
    Variant("no prompts", lambda s: replace(s, without=("prompt",))),
    Variant("no JA4", lambda s: replace(s, without=("ja4",))),
    Variant(
        "no customer table, no prompts", lambda s: replace(s, without=("prompt",)), accounts=False
    ),
)
POPULATIONS: Final = (
    Variant("no cluster at all", lambda s: replace(s, clusters=0)),
    Variant("no organisations in the log", lambda s: replace(s, without=("org_id",))),
    Variant("no device, no sign-up time", lambda s: replace(s, without=("device", "signup_time"))),
    Variant("honest people much alike", lambda s: replace(s, tail=0.4)),
    Variant("uneven load", lambda s: replace(s, level=replace(s.level, unevenness=0.6))),
    Variant("all lines IPv6 /64", lambda s: replace(s, six_share=1.0)),
    Variant("nine in ten behind a VPN", lambda s: replace(s, behind_vpn=0.9)),
    Variant("30 % use one public template", lambda s: replace(s, favourite=0.3)),
    Variant("an address a request, VPN exits", _rotating),
    Variant("only the wording in common", _hidden),
    Variant("ten clusters of 8", lambda s: replace(s, sizes=(8,) * 10)),
    Variant("one cluster of 400", lambda s: replace(s, sizes=(400,))),
    Variant("600 people", lambda s: replace(s, people=600, sizes=(10, 40))),
    Variant("30 days", lambda s: replace(s, days=30)),
    Variant("a simpler world", lambda s: replace(s, people=2000, clusters=4), make=crude),
    Variant("20,000 people", lambda s: replace(s, people=20_000, clusters=8)),
)


@dataclass(frozen=True)
class Run:
    """One detector or rival on one world."""

    work: str
    name: str
    score: Score
    seconds: float = 0.0


def detect(
    world: World, folder: Path, *, accounts: bool = True, indicators: bool = False
) -> tuple[pa.Table, float]:
    """Run the command on a world's files.

    Returns:
        Its findings and wall-clock seconds.
    """
    log, table = world.write(folder)
    out = folder / "findings.parquet"
    out.unlink(missing_ok=True)
    command = [sys.executable, "-m", "hub.cli", "cluster", str(log), "--out", str(out)]
    if accounts:
        command += ["--accounts", str(table)]
    if indicators:
        command += ["--indicators", str(publish(world, folder / "indicators.json"))]
    given = {name: value for name, value in os.environ.items() if name != "STILLWATCH_HOME"}
    environment = {**given, "PYTHONPATH": str(_ROOT)}
    began = time.perf_counter()
    with (folder / "said.txt").open("w+b") as said:
        done = subprocess.run(
            command, cwd=folder, env=environment, stdout=said, stderr=subprocess.STDOUT, check=False
        )
        seconds = time.perf_counter() - began
        said.seek(0)
        assert done.returncode == 0, said.read().decode()[-2000:]
    return pq.read_table(out), seconds


def runs(
    scenario: Scenario, work: str, variant: Variant = USUAL, *, beside: bool = False
) -> list[Run]:
    """The command on one world, and its rivals beside it."""
    world = variant.make(variant.change(scenario))
    truth = Truth.of(world)
    with tempfile.TemporaryDirectory() as name:
        found, seconds = detect(
            world, Path(name), accounts=variant.accounts, indicators=variant.indicators
        )
    done = [Run(work, OURS, score(truth, found), seconds)]
    if beside:
        done += [Run(work, rival.name, rival.score) for rival in rivals(world)]
    return done


def measured(seeds: Sequence[int], levels: Sequence[Level]) -> list[Run]:
    """Every level on every seed, with its rivals."""
    return [
        run
        for level in levels
        for seed in seeds
        for run in runs(Scenario(seed, level), level.name, beside=True)
    ]


def varied(seeds: Sequence[int], levels: Sequence[Level], variants: Sequence[Variant]) -> list[Run]:
    """Every variant of every level on every seed, the command alone."""
    return [
        run
        for level in levels
        for variant in variants
        for seed in seeds
        for run in runs(Scenario(seed, level), f"{level.name}, {variant.name}", variant)
    ]


def _report(*, full: bool) -> list[Run]:
    done = measured(FULL_SEEDS if full else SEEDS, [*LEVELS.values(), UNSEEN])
    levels = [LEVELS[name] for name in ("26 a day", "10 a day")[: 2 if full else 1]]
    variants = (*VARIANTS, *POPULATIONS) if full else VARIANTS
    return done + varied(SEEDS[: 5 if full else 3], levels, variants)


def markdown(done: Sequence[Run]) -> str:
    """The whole table: one line for each world and detector."""
    lines = [
        (
            "| clusters at | detector | precision | recall | account F1 | found | hours, median "
            "(worst) | false alarms per honest account and day |"
        ),
        "|---|---|---|---|---|---|---|---|",
    ]
    for work, name in dict.fromkeys((run.work, run.name) for run in done):
        scores = [run.score for run in done if (run.work, run.name) == (work, name)]
        hours = [hour for one in scores for hour in one.hours]
        when = f"{np.median(hours):.1f} ({max(hours):.1f})" if hours else "-"
        cells = [
            work,
            name,
            _spread([one.precision for one in scores]),
            _spread([one.recall for one in scores]),
            _spread([one.f1 for one in scores]),
            f"{sum(one.found for one in scores)}/{sum(one.planted for one in scores)}",
            when,
            _rates([one.false_alarms for one in scores]),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _spread(values: Sequence[float]) -> str:
    return f"{np.mean(values):.3f} ({min(values):.3f}..{max(values):.3f})"


def _rates(values: Sequence[float]) -> str:
    return f"{np.mean(values):.1e} (..{max(values):.1e})"


def measure(*, full: bool = False) -> list[Row]:
    """The table's heart: account F1, clusters, hours and false alarms at each level."""
    done = _report(full=full)
    print(markdown(done), file=sys.stderr)
    rows: list[Row] = []
    for work in dict.fromkeys(run.work for run in done):
        rows += _rows(work, [run for run in done if run.work == work])
    return rows


def _rows(work: str, done: Sequence[Run]) -> list[Row]:
    ours = [run.score for run in done if run.name == OURS]
    mean = float(np.mean([one.f1 for one in ours]))
    others = {run.name: 0.0 for run in done if run.name != OURS}
    for name in others:
        others[name] = float(np.mean([run.score.f1 for run in done if run.name == name]))
    best = max(others, key=others.__getitem__, default="")
    floor = {
        "10 a day": ">= 0.93",
        UNSEEN.name: ">= 0.93",
        "200 a day": ">= 0.97",
        "50 a day": ">= 0.97",
    }.get(work, "")
    hours = [hour for one in ours for hour in one.hours]
    found, planted = sum(one.found for one in ours), sum(one.planted for one in ours)
    return [
        Row(
            f"{work}: account F1",
            _spread([one.f1 for one in ours]),
            f"{others[best]:.3f} {best}" if best else "",
            mean / others[best] if best else None,
            floor,
        ),
        Row(f"{work}: clusters found", f"{found}/{planted}", "", None, "all" if floor else ""),
        Row(
            f"{work}: hours, worst cluster",
            f"{max(hours, default=float('nan')):.1f}",
            "",
            None,
            "<= 48" if floor else "",
        ),
        Row(
            f"{work}: false alarms per honest account-day",
            _rates([one.false_alarms for one in ours]),
            "",
            None,
            "<= 1e-4" if floor else "",
        ),
    ]


def _blame(done: Sequence[Run]) -> str:
    """Who was reported wrongly and which clusters were missed, for whoever tunes a detector."""
    lines = []
    for work in dict.fromkeys(run.work for run in done):
        ours = [run for run in done if run.work == work and run.name == OURS]
        blamed = sum((Counter(run.score.blamed) for run in ours), Counter[str]())
        missed = [size for run in ours for size in run.score.missed]
        slowest = max(run.seconds for run in ours)
        lines.append(
            f"- {work}: blamed {dict(blamed.most_common())}, missed clusters of {missed}, "
            f"pieces {np.mean([run.score.pieces for run in ours]):.1f}, "
            f"merged {sum(run.score.merged for run in ours)}, "
            f"account delay {np.nanmedian([run.score.delay for run in ours]):.1f} h, "
            f"{slowest:.1f} s at most"
        )
    return "\n".join(lines)


def main() -> None:
    """Print the whole table."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.cluster", description=__doc__)
    parser.add_argument("--full", action="store_true", help="more seeds and populations")
    parser.add_argument("--seeds", help="FIRST:LAST, instead of the report; the levels alone")
    parser.add_argument("--level", action="append", choices=list(LEVELS), help="default: all")
    parser.add_argument("--variants", action="store_true", help="with --seeds: these instead")
    parser.add_argument("--blame", action="store_true", help="say who was reported wrongly")
    options = parser.parse_args()
    if options.seeds:
        first, _, last = options.seeds.partition(":")
        seeds = range(int(first), int(last or first) + 1)
        levels = [LEVELS[name] for name in options.level or LEVELS]
        others = (*VARIANTS, *POPULATIONS)
        done = varied(seeds, levels, others) if options.variants else measured(seeds, levels)
    else:
        done = _report(full=options.full)
    print(markdown(done))
    if options.blame:
        print(f"\n{_blame(done)}")


if __name__ == "__main__":
    main()
