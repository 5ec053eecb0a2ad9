"""`stillwatch hunt status`: what the event store holds."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from hub.cli.hunt_options import open_store, store_option
from hub.cli.match_output import iso
from hub.cli.match_words import counted
from hub.cli.options import home_option, json_option, print_json


@click.command("status")
@store_option
@home_option
@json_option
def command(store: Path | None, home: Path, as_json: bool) -> None:
    """Show how much the event store holds, of which days, and whether it keeps prompts."""
    events = open_store(store, home)
    parts = events.parts()
    document = {
        "format": "stillwatch-hunt-status/1",
        "store": str(events.path),
        "days": events.catalogue.days,
        "prompts": events.catalogue.texts,
        "exchanges": sum(part.rows for part in parts),
        "bytes": sum(part.bytes for part in parts),
        "files": len(parts),
        "logs": len(events.catalogue.logs),
        "first_seen": _moment(min(part.first for part in parts)) if parts else None,
        "last_seen": _moment(max(part.last for part in parts)) if parts else None,
    }
    if as_json:
        print_json(document)
        return
    click.echo(f"{events.path}: {counted(sum(part.rows for part in parts), 'exchange')}")
    if parts:
        size = sum(part.bytes for part in parts)
        click.echo(f"  from {document['first_seen']} to {document['last_seen']}")
        click.echo(f"  {size / 2**20:,.1f} MiB in {counted(len(parts), 'file')}")
    kept = "with their text" if events.catalogue.texts else "as hashes and bands"
    click.echo(f"  kept for {counted(events.catalogue.days, 'day')}, prompts {kept}")


def _moment(micros: int) -> str:
    return iso(datetime.fromtimestamp(micros // 1_000_000, UTC))[:19] + "Z"
