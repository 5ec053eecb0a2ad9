"""Why exchanges match: the clauses of the indicator, and what the exchange has for each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from hub.cli.match_words import plain
from hub.match.engine import IndicatorIndex
from hub.match.explain import Explanation, explain

ALL: Final = "all"
MOST: Final = 1_000
"""Explanations that are kept, whatever is asked for."""
_DAY_S: Final = 86_400


class Explained:
    """Explains matches as they come.

    Args:
        wanted: `all`, how many, or the id of an exchange.
    """

    def __init__(self, index: IndicatorIndex, wanted: str, *, show_values: bool) -> None:
        self._index = index
        self._show_values = show_values
        number = int(wanted) if wanted.isascii() and wanted.isdigit() and len(wanted) < 6 else None
        self._event = None if number is not None or wanted == ALL else wanted
        self._left = MOST if number is None else min(number, MOST)
        self.explanations: list[tuple[str, Explanation]] = []
        self.left_out = 0

    def take(self, matches: pa.Table, events: pa.RecordBatch | None) -> None:
        """Explain those of the matches that are wanted.

        Args:
            matches: MATCH_SCHEMA.
            events: the exchanges that they are of; without them, as for patterns that several
                exchanges complete, they are only counted.
        """
        if self._event is not None:
            matches = matches.filter(pc.equal(matches["event_id"], self._event))
        rows = matches.select(["event_id", "source", "indicator_id"]).to_pylist()
        taken = rows[: self._left] if events is not None else []
        self.left_out += len(rows) - len(taken)
        self._left -= len(taken)
        if not taken or events is None:
            return
        wanted = pa.array([row["event_id"] for row in taken], events.column("event_id").type)
        found = {
            event["event_id"]: event
            for event in events.filter(
                pc.is_in(events.column("event_id"), value_set=wanted)
            ).to_pylist()
        }
        for row in taken:
            told = explain(
                self._index,
                found[row["event_id"]],
                row["indicator_id"],
                show_values=self._show_values,
            )
            self.explanations.append((row["source"], told))

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
        if self.left_out:
            console.print(Text(f"{self.left_out:,} more matches are not explained", style="dim"))
        elif not self.explanations:
            console.print(Text("no match to explain", style="dim"))


def _panel(source: str, told: Explanation, names: Mapping[str, str]) -> RenderableType:
    name = names.get(told.indicator_id, "")
    title = Text(f"{plain(told.event_id)} matches {plain(name) or told.indicator_id}")
    return Panel(
        Group(_facts(source, told, names), _clauses(told)), title=title, title_align="left"
    )


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
