"""Why exchanges match: the clauses of the indicator, and what the exchange has for each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from hub.cli.match_words import counted, plain
from hub.errors import InputError
from hub.match.engine import IndicatorIndex
from hub.match.explain import Explanation, explain
from hub.match.trail import Trail, Trails

ALL: Final = "all"
MOST: Final = 1_000
"""Explanations that are kept, whatever is asked for."""
_SHOWN: Final = 12
"""Exchanges before the last one that a panel lists; --json lists more."""
_DAY_S: Final = 86_400


class Explained:
    """Explains matches as they come.

    Args:
        wanted: `all`, how many, or the id of an exchange.

    Attributes:
        trails: for the run: which exchanges complete patterns over several of them.

    Raises:
        InputError: it is a number below one.
    """

    def __init__(self, index: IndicatorIndex, wanted: str, *, show_values: bool) -> None:
        self._index = index
        self._show_values = show_values
        if wanted.removeprefix("-").isdecimal() and int(wanted) < 1:
            raise InputError(
                f"{wanted} is no number of matches",
                where="--explain",
                hint="a number from 1, the id of an exchange, or all",
            )
        number = int(wanted) if wanted.isascii() and wanted.isdigit() and len(wanted) < 6 else None
        self._event = None if number is not None or wanted == ALL else wanted
        self._left = MOST if number is None else min(number, MOST)
        self.explanations: list[tuple[str, Explanation]] = []
        self.left_out = 0
        self.trails = Trails(self._left, self._event)
        self._trails: dict[tuple[str, ...], Trail] = {}

    def take(self, matches: pa.Table, events: pa.RecordBatch | None) -> None:
        """Explain those of the matches that are wanted.

        Args:
            matches: MATCH_SCHEMA.
            events: the exchanges that they are of; None for patterns that several exchanges
                complete, of which `follow` was told.
        """
        if self._event is not None:
            matches = matches.filter(pc.equal(matches["event_id"], self._event))
        rows = matches.select(["event_id", "source", "indicator_id"]).to_pylist()
        found = {} if events is None or not rows else _events(rows[: self._left], events)
        for row in rows:
            trail = None if events is not None else self._trails.pop(tuple(row.values()), None)
            event = found.get(row["event_id"]) if trail is None else trail.event
            if event is None or self._left <= 0:
                self.left_out += 1
                continue
            self._left -= 1
            told = explain(
                self._index,
                event,
                row["indicator_id"],
                show_values=self._show_values,
                other_events=() if trail is None else trail.needed()[:-1],
            )
            self.explanations.append((row["source"], told))

    def follow(self, trails: Iterable[Trail]) -> None:
        """Take which exchanges completed patterns, before the matches that say so."""
        for trail in trails:
            key = trail.event["event_id"], trail.source, trail.watch.indicator_id
            self._trails[key] = trail

    def to_json(self) -> dict[str, Any]:
        """The explanations under stable keys."""
        return {
            "explanations": [
                {"source": source, **told.to_json()} for source, told in self.explanations
            ],
            "not_explained": self.left_out,
        }

    def show(self, console: Console, names: Mapping[str, str]) -> None:
        """Print them, one panel each."""
        for source, told in self.explanations:
            console.print(_panel(source, told, names))
        if self.explanations and not self._show_values:
            console.print(
                Text("values of exchanges are masked; --show-values shows them", style="dim")
            )
        if self.left_out:
            console.print(Text(f"{self.left_out:,} more matches are not explained", style="dim"))
        elif not self.explanations:
            of = "" if self._event is None else f" of exchange {plain(self._event)}"
            console.print(Text(f"no match{of} to explain", style="yellow"))


def _events(rows: Sequence[Mapping[str, Any]], events: pa.RecordBatch) -> dict[str, Any]:
    """The exchanges that rows of matches are of, by their ids."""
    wanted = pa.array([row["event_id"] for row in rows], events.column("event_id").type)
    kept = events.filter(pc.is_in(events.column("event_id"), value_set=wanted))
    return {event["event_id"]: event for event in kept.to_pylist()}


def _panel(source: str, told: Explanation, names: Mapping[str, str]) -> RenderableType:
    name = names.get(told.indicator_id, "")
    title = Text(f"{plain(told.event_id)} matches {plain(name) or told.indicator_id}")
    parts: list[RenderableType] = [_facts(source, told, names), _clauses(told)]
    if told.other_events:
        parts.append(_others(told))
    return Panel(Group(*parts), title=title, title_align="left")


def _facts(source: str, told: Explanation, names: Mapping[str, str]) -> Table:
    publisher = told.publisher or ""
    campaigns = ", ".join(names.get(one, "") or one for one in told.campaign_ids)
    until = f" until {told.valid_until[:16]}" if told.valid_until else ""
    days = told.age / _DAY_S
    facts = {
        "exchange": f"{told.event_id} in {source}, {told.observed_at}",
        "indicator": f"{told.indicator_id}, version {told.modified}",
        "published by": names.get(publisher, "") or publisher or "-",
        "how sure": "-" if told.confidence is None else f"{told.confidence} of 100",
        "in force": f"from {told.valid_from[:16]}{until}; {days:,.1f} days old at the exchange",
        "campaign": campaigns or "-",
        "marking": told.marking or "-",
    }
    table = Table(box=None, show_header=False)
    for label, value in facts.items():
        table.add_row(Text(label, style="dim"), Text(plain(value), overflow="fold"))
    return table


def _others(told: Explanation) -> Table:
    """The exchanges before this one without which the pattern would not hold."""
    shown = told.other_events[-_SHOWN:]
    more = told.more_events + len(told.other_events) - len(shown)
    table = Table("together with", "time", "part of the pattern", box=None)
    if more:
        table.add_row(f"{counted(more, 'exchange')} before", "", "")
    for other in shown:
        parts = " ".join(f"[{leaf + 1}]" for leaf in other.leaves)
        event = Text(plain(other.event_id), overflow="fold")
        table.add_row(event, other.observed_at, Text(parts))
    return table


def _clauses(told: Explanation) -> Table:
    table = Table("", "field", "test", "this exchange", "", box=None)
    for clause in told.clauses:
        operator = f"NOT {clause.operator}" if clause.negated else clause.operator
        table.add_row(
            f"[{clause.leaf + 1}]" if told.several else "",
            Text(plain(clause.path), overflow="fold"),
            Text(plain(f"{operator} {', '.join(clause.literals)}"), overflow="fold"),
            Text(plain(", ".join(clause.values)) or "-", overflow="fold"),
            Text(clause.verdict + (", found by it" if clause.anchored else "")),
        )
    return table
