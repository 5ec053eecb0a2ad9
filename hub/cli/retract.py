"""`stillwatch retract`: withdraw an indicator that you published."""

from __future__ import annotations

from pathlib import Path

import click

from hub.cli.names import channel_names
from hub.cli.options import desk_of, home_options, json_option, load_home, print_json
from hub.cli.pull import announce
from hub.client.publisher import retract
from hub.client.reporter import channel_of
from hub.client.subscriber import Pulled, refresh


@click.command("retract")
@click.argument("indicators", nargs=-1, required=True)
@click.option(
    "--channel",
    "channel_name",
    default=None,
    help="Which channel, when in several.",
    shell_complete=channel_names,
)
@click.option("--reason", default=None, help="Why, for the members; name nobody.")
@home_options
@json_option
def command(
    indicators: tuple[str, ...],
    channel_name: str | None,
    reason: str | None,
    home: Path,
    passphrase_file: Path | None,
    as_json: bool,
) -> None:
    """Withdraw INDICATORS, by id: members drop them at their next pull. It is final."""
    with load_home(home, passphrase_file) as opened:
        desk = desk_of(opened)
        with opened.locked():
            channel = channel_of(opened, channel_name)
            news = Pulled(channel.name)
            channel = refresh(desk, channel, news)
            announce(news)
            published, before = retract(desk, channel, indicators, reason=reason)
    withdrawn = [each for each in dict.fromkeys(indicators) if each not in before]
    if as_json:
        print_json(
            {"withdrawn": withdrawn, "withdrawn_before": before, "messages": published.messages}
        )
        return
    for each in withdrawn:
        click.echo(f"Withdrawn: {each}")
    for each in before:
        click.echo(f"Was withdrawn before: {each}")
