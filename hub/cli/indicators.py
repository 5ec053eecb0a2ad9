"""`stillwatch indicators`: what your channels gave you, and what you published."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import click
from rich.console import Console
from rich.table import Table

from hub.cli.options import home_options, json_option, load_home, print_json
from hub.client.listing import IndicatorView, indicators

_WIDE: Final = 1000


@click.command("indicators")
@click.option("--find", "text", default=None, help="Only those whose pattern, kind or id has this.")
@click.option("--campaign", default=None, help="Only those of this campaign, by name or id.")
@click.option("--kind", default=None, help="Only those of this kind, such as network.ipv4.")
@click.option("--ids", is_flag=True, help="Print the ids alone, one a line, for scripts.")
@home_options
@json_option
def command(
    text: str | None,
    campaign: str | None,
    kind: str | None,
    ids: bool,
    home: Path,
    passphrase_file: Path | None,
    as_json: bool,
) -> None:
    """List the indicators that this home holds, pulled or published.

    An expired indicator still matches exchanges of its time; a withdrawn one matches nothing.
    """
    with load_home(home, passphrase_file) as opened:
        found = indicators(
            opened.indicator_objects(),
            now=datetime.now(UTC),
            text=text,
            campaign=campaign,
            kind=kind,
        )
        held = any(
            opened.state.count_objects(each.channel_id).get("indicator")
            for each in opened.state.channels()
        )
        observes = opened.observes_only()
    if as_json:
        print_json({"indicators": [each.to_json() for each in found]})
    elif ids:
        for each in found:
            click.echo(each.id)
    elif found:
        _show(found)
    else:
        if observes:
            text = "A liaison's keys open no indicators, only campaigns: stillwatch campaign list"
        elif held:
            text = "No such indicators among those held; new ones come with: stillwatch pull"
        else:
            text = "No indicators yet; they come with: stillwatch pull"
        click.echo(text)


def _show(found: list[IndicatorView]) -> None:
    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        # In a file or a pipe nothing may be cut off or folded.
        console = Console(highlight=False, markup=False, width=_WIDE)
    table = Table(box=None, pad_edge=False)
    for heading in ("indicator", "kind", "form", "campaign", "sure", "until", "publisher", "state"):
        table.add_column(heading, no_wrap=heading not in ("campaign", "publisher"))
    for each in found:
        table.add_row(
            each.id,
            each.kind,
            each.form,
            ", ".join(each.campaigns),
            "" if each.confidence is None else str(each.confidence),
            f"{each.valid_until:%Y-%m-%d}" if each.valid_until else "",
            each.publisher,
            each.state,
        )
    console.print(table)
