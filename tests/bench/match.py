"""Exact values and blocks over Parquet: beside DuckDB and polars by hand, and what bounds it.

All sides must find the same pairs of event and indicator; see `match_sides` for what each does and
`match_data` for what it is given. `--full` adds ten million indicators and twenty million events.
`python -m tests.bench.match lines` profiles the path by function.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tests.bench import sides
from tests.bench.match_data import write_events, write_indicators
from tests.bench.sides import Outcome
from tests.bench.table import Row

EVENTS: Final = 5_000_000
INDICATORS: Final = 100_000
_CURVE_EVENTS: Final = 1_000_000
_SIDES: Final = "tests.bench.match_sides"
_DUCKDB_FLOOR: Final = ">= 2x duckdb, reach for 3x"
_POLARS_FLOOR: Final = ">= 1x polars, reach for 1.5x"


def measure(*, full: bool = False) -> list[Row]:
    """Measure everything; takes ten minutes, with `full` an hour and 15 GB of disk."""
    with tempfile.TemporaryDirectory(prefix="stillwatch-bench-") as name:
        data = _Data(Path(name))
        usual = sides.compare(_SIDES, ("ours", "duckdb", "polars"), *data.files(INDICATORS, EVENTS))
        rows = _beside(usual)
        rows += _larger(data, usual["ours"], full=full)
        rows += _over_indicators(data, full=full)
        rows += _over_events(data, usual["ours"], full=full)
        rows += _flat(data, full=full)
    return rows


class _Data:
    """Files of indicators and events, written when they are first asked for.

    Attributes:
        built: how the plan of so many indicators was compiled.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.built: dict[int, Outcome] = {}

    def files(self, indicators: int, events: int) -> tuple[str, str]:
        """The paths of a file of events and of one of indicators."""
        bad = self._folder / f"indicators-{indicators}.parquet"
        if not bad.exists():
            write_indicators(bad, indicators)
            self.built[indicators] = sides.run(_SIDES, "save", "", str(bad))
        log = self._folder / f"events-{indicators}-{events}.parquet"
        if not log.exists():
            write_events(log, events, bad)
        return str(log), str(bad)

    def forget(self, indicators: int, events: int) -> None:
        """Give the disk back."""
        (self._folder / f"events-{indicators}-{events}.parquet").unlink()


def _beside(found: Mapping[str, Outcome]) -> list[Row]:
    ours, rows = found["ours"], []
    work = f"{INDICATORS:,} exact + CIDR, {EVENTS:,} Parquet events"
    for other, floor in (("duckdb", _DUCKDB_FLOOR), ("polars", _POLARS_FLOOR)):
        theirs = found[other]
        ratio = theirs.seconds / ours.seconds
        rows.append(Row(f"{work}, beside {other}", _rate(ours), _rate(theirs), ratio, floor))
        spent = f"{theirs.cpu:.1f} core s"
        ratio = theirs.cpu / ours.cpu
        rows.append(Row("the same: processor time", f"{ours.cpu:.1f} core s", spent, ratio, ""))
        floor = "<= 1/3 of polars (3x)" if other == "polars" else ""
        ratio = theirs.peak_mib / ours.peak_mib
        rows.append(Row("the same: peak memory", _mib(ours), _mib(theirs), ratio, floor))
    return rows


def _larger(data: _Data, usual: Outcome, *, full: bool) -> list[Row]:
    """More indicators over as many events, beside ourselves at the usual number."""
    rows = []
    for count in (1_000_000, 10_000_000)[: 2 if full else 1]:
        files = data.files(count, EVENTS)
        names = ("ours", "duckdb", "polars") if count == 1_000_000 else ("ours",)
        found = sides.compare(_SIDES, names, *files, runs=1)
        ours, work = found["ours"], f"{count:,} exact + CIDR, {EVENTS:,} events"
        ratio = usual.seconds / ours.seconds
        base = f"{_rate(usual)} at {INDICATORS:,}"
        rows.append(Row(f"{work}, beside fewer", _rate(ours), base, ratio, ">= 0.5x"))
        rows.append(_memory(work, count, data.built[count], ours))
        rows += [
            Row(
                f"{work}, beside {name}",
                _rate(ours),
                _rate(theirs),
                theirs.seconds / ours.seconds,
                "",
            )
            for name, theirs in found.items()
            if name != "ours"
        ]
        data.forget(count, EVENTS)
    return rows


def _memory(work: str, count: int, built: Outcome, ours: Outcome) -> Row:
    each = built.figures["grown_mib"] * 1048576 / count
    text = f"{each:,.0f} B an indicator with its text and what the build takes"
    held = f"{ours.peak_mib:,.0f} MiB in all while matching"
    return Row(f"{work}: memory", held, text, None, "<= 100 B beside the text")


def _over_indicators(data: _Data, *, full: bool) -> list[Row]:
    """The cost curve over indicators, in one thread, by part."""
    rows = []
    counts = (1_000, 10_000, INDICATORS, 1_000_000, 10_000_000)[: 5 if full else 4]
    for count in counts:
        files = data.files(count, _CURVE_EVENTS)
        done = sides.compare(_SIDES, ("parts",), *files, runs=1 if count > INDICATORS else 2)[
            "parts"
        ]
        work = f"one core: {count:,} indicators, {_CURVE_EVENTS:,} events"
        rows.append(Row(work, _per_core(done), _shares(done), None, ""))
    return rows


def _shares(done: Outcome) -> str:
    """What each part takes of an event, the largest first: that is what bounds the point."""
    parts = {name: done.figures[name] for name in ("read", "probe", "report")}
    events = done.figures["rows"]
    ranked = sorted(parts, key=lambda name: -parts[name])
    shares = ", ".join(f"{name} {parts[name] / events * 1e9:,.0f} ns" for name in ranked)
    return f"bound by {ranked[0]}: {shares}"


def _over_events(data: _Data, usual: Outcome, *, full: bool) -> list[Row]:
    """The cost curve over events, in two threads; a short log pays for the start of threads."""
    rows = []
    for count in (100_000, 1_000_000, EVENTS, 20_000_000)[: 4 if full else 3]:
        if count == EVENTS:
            done = usual
        else:
            files = data.files(INDICATORS, count)
            done = sides.compare(_SIDES, ("ours",), *files, runs=2)["ours"]
        spent = f"{done.cpu / done.figures['rows'] * 1e9:,.0f} ns of a core an event"
        work = f"two threads: {count:,} events, {INDICATORS:,} indicators"
        rows.append(Row(work, _rate(done), spent, None, ""))
    return rows


def _flat(data: _Data, *, full: bool) -> list[Row]:
    """Peak memory at each quarter of a log whose answer is not held."""
    events = 20_000_000 if full else EVENTS
    done = sides.run(_SIDES, "flat", *data.files(INDICATORS, events))
    peaks = [f"{peak:,.0f} at {int(rows) / 1e6:.1f} M" for rows, peak in done.figures.items()]
    return [Row(f"peak memory (MiB) over {events:,} events", "; ".join(peaks), "", None, "flat")]


def _rate(done: Outcome) -> str:
    rows = done.figures.get("rows", EVENTS)
    return f"{rows / done.seconds / 1e6:,.2f} M/s"


def _per_core(done: Outcome) -> str:
    return f"{done.figures['rows'] / done.seconds / 1e6:,.2f} M/s"


def _mib(done: Outcome) -> str:
    return f"{done.peak_mib:,.0f} MiB"


def _lines() -> None:
    """Print where the time of the usual work goes."""
    with tempfile.TemporaryDirectory(prefix="stillwatch-bench-") as name:
        files = _Data(Path(name)).files(INDICATORS, _CURVE_EVENTS)
        print(sides.run(_SIDES, "profile", *files).answer)


if __name__ == "__main__" and sys.argv[1:] == ["lines"]:
    _lines()
