"""The match report for people: campaigns first, then what could be seen, then what was left out."""

from __future__ import annotations

from typing import Final

from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from hub.cli import match_limits
from hub.cli.match_missing import needs
from hub.cli.match_output import iso
from hub.cli.match_report import (
    CANDIDATE,
    EVIDENCE,
    LEAD,
    Campaign,
    MatchReport,
    SourceReport,
    Span,
)
from hub.cli.match_rows import NO_CAMPAIGN
from hub.cli.match_words import counted, plain
from hub.match.schema import LAYERS
from hub.traffic.reader import LogReader
from hub.traffic.source import BEFORE

_STYLES: Final = {EVIDENCE: "bold red", LEAD: "yellow", CANDIDATE: "cyan"}
_MEANING: Final = {
    EVIDENCE: "evidence: two or more layers agree on a customer",
    LEAD: "lead: one layer that does not rest on prompts",
    CANDIDATE: "candidate: prompts alone, which honest users share too",
}
_PLAIN_WIDTH: Final = 116
_FIELDS: Final = 12


def report_console() -> Console:
    """Standard output, of a fixed width where it is no terminal."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=_PLAIN_WIDTH)


def show(report: MatchReport, examples: int) -> None:
    """Print the report to standard output."""
    console = report_console()
    for campaign in report.ordered():
        console.print(campaign_panel(report, campaign, examples))
    console.print(_summary(report))
    if report.campaigns:
        console.print(Text("\n".join(f"  {line}" for line in _MEANING.values()), style="dim"))
    console.print(_sources(report))
    for note in _notes(report, examples):
        console.print(note)


def _summary(report: MatchReport) -> Text:
    total = report.span.exchanges
    text = Text()
    text.append(f"\n{report.matched:,} of {total:,} exchanges match", style="bold")
    if report.campaigns:
        known = [c for c in report.campaigns if c != NO_CAMPAIGN]
        customers = {a for c in report.campaigns.values() for a in c.customers}
        text.append(f": {counted(len(known), 'campaign')}, {counted(len(customers), 'customer')}")
    if report.span.first:
        text.append(f"; {_period(report.span)}")
    text.append(f"; {counted(len(report.indicators.index), 'indicator')} in use.")
    if not len(report.indicators.index):
        text.append(
            " Nothing was looked for: `stillwatch pull` fetches indicators, --indicators names a "
            "bundle of them.",
            style="bold red",
        )
    return text


def _period(span: Span) -> str:
    if span.first is None or span.last is None:
        return "no exchanges"
    return f"{iso(span.first)[:19]}Z to {iso(span.last)[:19]}Z"


def campaign_panel(report: MatchReport, campaign: Campaign, examples: int) -> RenderableType:
    """What was hit of one campaign, framed."""
    name = report.indicators.names.get(campaign.campaign_id, "")
    if campaign.campaign_id == NO_CAMPAIGN:
        title = Text("indicators without a campaign")
    else:
        title = Text(plain(name or campaign.campaign_id), style="bold")
    title.append(f"  {campaign.grade}", style=_STYLES[campaign.grade])
    parts: list[RenderableType] = []
    if name and campaign.campaign_id != NO_CAMPAIGN:
        parts.append(Text(campaign.campaign_id, style="dim"))
    parts.append(
        Text(
            f"{counted(campaign.span.exchanges, 'exchange')}, {_period(campaign.span)}; "
            f"{campaign.corroborated:,} hit on two or more layers; in "
            + ", ".join(plain(source) for source in sorted(campaign.sources))
        )
    )
    parts.extend((_layers(report, campaign, examples), _customers(report, campaign, examples)))
    return Panel(Group(*parts), title=title, title_align="left")


def _indicator(report: MatchReport, layer: str, indicator_id: str) -> Text:
    """What an indicator is called, and as much of its id as `stillwatch indicators` needs."""
    short = indicator_id.removeprefix("indicator--")[:8]
    name = plain(report.indicators.names.get(indicator_id, "")).removeprefix(f"{layer}.")
    return Text(f"{short} {name}".strip(), overflow="ellipsis", no_wrap=True)


def _layers(report: MatchReport, campaign: Campaign, examples: int) -> Table:
    table = Table("layer", "indicator", "sure", "exchanges", "first", "last", "publisher", box=None)
    for layer in campaign.layers:
        hits = [h for h in campaign.indicators.values() if h.layer == layer]
        hits.sort(key=lambda h: (-h.span.exchanges, h.indicator_id))
        for number, hit in enumerate(hits[:examples]):
            publisher = report.indicators.names.get(hit.publisher or "", hit.publisher or "")
            table.add_row(
                layer if number == 0 else "",
                _indicator(report, layer, hit.indicator_id),
                "-" if hit.confidence is None else str(hit.confidence),
                f"{hit.span.exchanges:,}",
                iso(hit.span.first)[:16] if hit.span.first else "",
                iso(hit.span.last)[:16] if hit.span.last else "",
                Text(plain(publisher), overflow="ellipsis"),
            )
        if len(hits) > examples:
            more = f"and {len(hits) - examples} more" if examples else f"{len(hits)} not shown"
            table.add_row("" if examples else layer, more, "", "", "", "", "")
    return table


def _customers(report: MatchReport, campaign: Campaign, examples: int) -> RenderableType:
    grades = campaign.graded()
    text = Text(f"{counted(len(campaign.customers), 'customer')} affected", style="bold")
    counts = [f"{grades[grade]:,} {grade}" for grade in _STYLES if grades[grade]]
    if counts:
        text.append(": " + ", ".join(counts), style="not bold")
    if campaign.unattributed:
        text.append(
            f"; {counted(campaign.unattributed, 'exchange')} without an account", style="not bold"
        )
    if not campaign.customers:
        return text
    table = Table("customer", "grade", "layers (exchanges)", "first", "last", box=None)
    for customer in report.customers(campaign)[:examples]:
        verdict = campaign.grade_of(customer)
        layers = ", ".join(f"{name} ({count})" for name, count in sorted(customer.layers.items()))
        table.add_row(
            Text(plain(customer.account_id), overflow="fold"),
            Text(verdict, style=_STYLES[verdict]),
            layers,
            iso(customer.span.first)[:16] if customer.span.first else "",
            iso(customer.span.last)[:16] if customer.span.last else "",
        )
    more = len(campaign.customers) - examples
    if more > 0:
        return Group(text, table, Text(f" and {more:,} more (--json lists all)", style="dim"))
    return Group(text, table)


def _sources(report: MatchReport) -> Table:
    table = Table(title="\nWhich layers each source could show", title_justify="left", box=None)
    table.add_column("source", overflow="fold")
    for name in ("format", "exchanges", *LAYERS, "left out"):
        table.add_column(name, no_wrap=True)
    for source in report.sources:
        left = source.reader.rejects.count
        table.add_row(
            Text(plain(source.name)),
            source.format,
            f"{source.rows:,}",
            *(_shown(report, source, layer) for layer in LAYERS),
            "damaged" if source.reader.damage else counted(left, "line") if left else "-",
        )
    return table


def _shown(report: MatchReport, source: SourceReport, layer: str) -> str:
    if not source.coverage.layers.get(layer):
        return "no"
    return "part" if report.not_looked_up and layer == "account" else "yes"


def _notes(report: MatchReport, examples: int) -> list[Text]:
    notes = [note for source in report.sources for note in _source_notes(source)]
    if report.not_looked_up:
        count = counted(report.not_looked_up, "identifier")
        notes.insert(
            0,
            Text(
                f"{count} of customers not looked up, though indicators may mean them: "
                'their custodians\' answers are missing, so "no match" is open there',
                style="bold red",
            ),
        )
    notes += [Text(f"not read: {plain(name)}: {reason}") for name, reason in report.unread]
    lacking = needs(
        report.unanswerable(),
        customers=report.customer_table,
        keys=bool(report.indicators.keys),
        joined=any(source.joined for source in report.sources),
    )
    notes += [Text(f"not answerable: {plain(sentence)}") for sentence in lacking]
    reasons: dict[str, list[str]] = {}
    for problem in report.indicators.index.problems:
        reasons.setdefault(problem.reason, []).append(problem.indicator_id)
    for reason, ids in reasons.items():
        notes.append(Text(f"{counted(len(ids), 'indicator')} not used: {plain(reason)}"))
        named = [plain(one) for one in ids if one][: min(2, examples)]
        if named:
            notes[-1].append(f" (such as {', '.join(named)})", style="dim")
    expired, pending = report.validity()
    if expired:
        count = counted(expired, "indicator")
        notes.append(Text(f"{count} expired before the first exchange"))
    if pending:
        count = counted(pending, "indicator")
        notes.append(Text(f"{count} not yet valid at the last exchange"))
    if report.indicators.revoked:
        notes.append(Text(f"{counted(report.indicators.revoked, 'indicator')} revoked, left out"))
    scans = report.indicators.index.scans
    notes += [Text(plain(one)) for one in match_limits.told(report.followed, scans, examples)]
    return notes


def _source_notes(source: SourceReport) -> list[Text]:
    """What was left out of one source, with examples as file:line."""
    reader, name = source.reader, plain(source.name)
    notes: list[Text] = []
    if reader.damage:
        notes.append(Text(f"{name}: {reader.damage}: an unknown part is missing", style="bold red"))
    for kind, problems in (
        ("line", reader.rejects),
        ("field", reader.field_problems),
    ):
        # What ended the whole file stands above already, and is no line.
        ended = f"{reader.damage}; {BEFORE}"
        left = problems.count - problems.by_reason[ended]
        if left:
            notes.append(Text(f"{name}: {counted(left, kind)} left out", style="yellow"))
        for problem in problems.examples:
            if problem.reason != ended:
                at = f"{name}:{problem.line}" if problem.line else name
                notes.append(Text(f"  {at}: {problem.reason}"))
    if source.empty:
        notes.append(
            Text(f"{name}: this format can show {', '.join(source.empty)}, but this file has none")
        )
    if reader.unused:
        shown = ", ".join(reader.unused[:_FIELDS]) + (", …" if len(reader.unused) > _FIELDS else "")
        notes.append(Text(f"{name}: fields that mean nothing here without --map: {plain(shown)}"))
    if source.coverage.partly:
        count = counted(len(source.coverage.partly), "indicator")
        notes.append(Text(f"{name}: {count} answerable only in part"))
    if source.joined == 0:
        notes.append(
            Text(f"{name}: no exchange names a customer of the customer table", style="yellow")
        )
    notes += _reading_notes(name, reader)
    if source.outside:
        count = counted(source.outside, "exchange")
        notes.append(Text(f"{name}: {count} outside --since and --until"))
    return notes


def _reading_notes(name: str, reader: LogReader) -> list[Text]:
    """How records were read that are no exchange, or whose time is not whole."""
    said = (
        (reader.skipped, "record", "of no model request"),
        (reader.naive_times, "time", "without a zone, read as UTC"),
        (
            reader.file_times,
            "time",
            "that the log lacks, or whose year it lacks, from the file itself",
        ),
    )
    return [Text(f"{name}: {counted(n, noun)} {rest}") for n, noun, rest in said if n]
