"""Clusters for people: each with what its accounts share, then what could be seen."""

from __future__ import annotations

from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from hub.cli.cluster_report import ClusterReport
from hub.cli.match_output import iso
from hub.cli.match_view import report_console
from hub.cli.match_words import counted, plain
from hub.match.cluster import Cluster, Parameters
from hub.match.schema import LAYERS

_EDGES = 8
_MEANING = (
    "score: how strongly it is told from honest accounts, 0 to 1; people decide what follows",
    "told at: from when on the log had shown enough",
    "others there: accounts outside the cluster that share the same; weight: what that tells",
)
_LEAST = Parameters().min_accounts
_FEW = 4 * _LEAST
"""Accounts below which a report without a cluster says that it means little."""


def show(report: ClusterReport, examples: int) -> None:
    """Print the report to standard output."""
    console: Console = report_console()
    for cluster in report.found.clusters:
        console.print(_cluster(report, cluster, examples))
    console.print(_summary(report))
    if report.found.clusters:
        console.print(Text("\n".join(f"  {line}" for line in _MEANING), style="dim"))
    console.print(_sources(report))
    for note in _notes(report):
        console.print(note)


def _summary(report: ClusterReport) -> Text:
    found = report.found
    held = sum(len(one.findings) for one in found.clusters)
    text = Text(f"\n{counted(len(found.clusters), 'cluster')}", style="bold")
    text.append(
        f", {held:,} of {counted(found.accounts, 'account')}, in "
        f"{counted(found.exchanges, 'exchange')}."
    )
    if found.keyed:
        text.append(" The logs name no accounts in part: API keys stand in for them.")
    return text


def _cluster(report: ClusterReport, cluster: Cluster, examples: int) -> RenderableType:
    verdict = cluster.verdict
    title = Text(cluster.cluster_id, style="bold")
    title.append(f"  score {cluster.score:.2f}", style="bold red")
    exchanges = sum(one.exchanges for one in cluster.findings)
    first = min(one.first_seen for one in cluster.findings)
    last = max(one.last_seen for one in cluster.findings)
    even = "evenly" if verdict.evenness < 0.2 else "rather evenly"
    lines = [
        Text(
            f"{counted(len(cluster.findings), 'account')}, {counted(exchanges, 'exchange')}, "
            f"{iso(first)[:16]}Z to {iso(last)[:16]}Z; told at {iso(cluster.detected_at)[:16]}Z"
        ),
        Text(f"load is spread {even}{_shares(report, cluster)}"),
    ]
    parts: list[RenderableType] = [*lines, _edges(cluster), _accounts(cluster, examples)]
    for label, hits, unit in (
        ("window patterns that match", report.patterns[cluster.cluster_id], "day"),
        ("indicators that hit it", report.seeds[cluster.cluster_id], "account"),
    ):
        if hits:
            named = [
                f"{plain(report.names.get(one) or one)} ({counted(count, unit)})"
                for one, count in list(hits.items())[:examples]
            ]
            more = f" and {len(hits) - len(named)} more" if len(hits) > len(named) else ""
            parts.append(Text(f"{label}: {', '.join(named)}{more}"))
    return Panel(Group(*parts), title=title, title_align="left")


def _shares(report: ClusterReport, cluster: Cluster) -> str:
    """How much is its own; of what no log shows, a share of 0 % would be untrue."""
    shown, verdict = report.found.shown, cluster.verdict
    told = ""
    if shown.get("prompt") or shown.get("prompt_bands"):
        told += f"; {verdict.prompt_share:.0%} of exchanges on its own templates"
    if shown.get("client_ip"):
        share = f"{verdict.egress_share:.0%}"
        told += f", {share}" if told else f"; {share} of exchanges"
        told += " on its own addresses"
    if shown.get("fp_tokens"):
        told += f"; {verdict.identity:.0%} of accounts share a card, device, phone or mailbox"
    return told


def _edges(cluster: Cluster) -> Table:
    table = Table(
        "layer", "they share", "how many", "most on one", "others there", "weight", box=None
    )
    for edge in cluster.edges[:_EDGES]:
        table.add_row(
            edge.layer,
            Text(f"{edge.kind} {plain(edge.value)}", overflow="ellipsis"),
            f"{edge.nodes:,}",
            counted(edge.accounts, "account"),
            f"{edge.outside:,}",
            f"{edge.weight:.1f}",
        )
    return table


def _accounts(cluster: Cluster, examples: int) -> RenderableType:
    table = Table("account", "score", "told at", "exchanges", "strongest layers", box=None)
    ranked = sorted(cluster.findings, key=lambda one: (-one.score, one.account_id))
    for one in ranked[:examples]:
        layers = sorted(one.evidence.items(), key=lambda item: -item[1])
        table.add_row(
            Text(plain(one.account_id), overflow="fold"),
            f"{one.score:.2f}",
            iso(one.detected_at)[:16],
            f"{one.exchanges:,}",
            ", ".join(name for name, value in layers[:3] if value > 0),
        )
    more = len(ranked) - examples
    if more <= 0:
        return table
    return Group(table, Text(f" and {more:,} more (--json or --out lists all)", style="dim"))


def _sources(report: ClusterReport) -> Table:
    table = Table(title="\nWhich layers each source could show", title_justify="left", box=None)
    table.add_column("source", overflow="fold")
    for name in ("format", "exchanges", *LAYERS, "left out"):
        table.add_column(name, no_wrap=True)
    for source in report.reading.sources:
        left = source.reader.rejects.count
        table.add_row(
            Text(plain(source.name)),
            source.format,
            f"{source.rows:,}",
            *("yes" if source.coverage.layers.get(layer) else "no" for layer in LAYERS),
            "damaged" if source.reader.damage else counted(left, "line") if left else "-",
        )
    return table


def _notes(report: ClusterReport) -> list[Text]:
    notes = [Text(f"not read: {plain(name)}: {reason}") for name, reason in report.unread]
    shown = report.found.shown
    for column, lack in (
        ("fp_tokens", "no cards, devices or phones: --accounts FILE joins the customer table"),
        ("client_ip", "no client addresses, so that no shared egress shows"),
        (
            "prompt",
            "no prompts, so that no templates show, only addresses and load",
        ),
    ):
        stored = column == "prompt" and shown.get("prompt_bands")
        if not shown.get(column) and not stored:
            notes.append(Text(lack, style="yellow"))
    if not report.found.clusters and report.found.accounts < _FEW:
        notes.append(
            Text(
                f"{counted(report.found.accounts, 'account')}: too few to mean much; a cluster has "
                f"{_LEAST} or more and shows only beside others",
                style="yellow",
            )
        )
    if report.found.unnamed:
        count = counted(report.found.unnamed, "exchange")
        notes.append(Text(f"{count} name neither an account nor a key, and were left out"))
    if report.found.refused:
        count = counted(report.found.refused, "exchange")
        notes.append(Text(f"{count} of further accounts were left out", style="yellow"))
    for source in report.reading.sources:
        if source.joined == 0:
            name = plain(source.name)
            notes.append(Text(f"{name}: no exchange names a customer of the customer table"))
        if source.outside:
            count = counted(source.outside, "exchange")
            notes.append(Text(f"{plain(source.name)}: {count} outside --since and --until"))
    return notes
