"""`stillwatch retract`: withdraw an indicator that you published."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from hub.cli.names import channel_names
from hub.cli.options import (
    count_of,
    desk_of,
    home_options,
    iso,
    json_option,
    load_home,
    print_json,
    utc,
)
from hub.cli.pull import announce
from hub.client.dropped import Drop, Withdrawal, withdrawals
from hub.client.publisher import retract
from hub.client.reporter import channel_of
from hub.client.subscriber import Pulled, refresh
from hub.errors import InputError
from hub.model.codec import Json


@click.command("retract")
@click.argument("indicators", nargs=-1)
@click.option(
    "--channel",
    "channel_name",
    default=None,
    help="Which channel, when in several.",
    shell_complete=channel_names,
)
@click.option("--reason", default=None, help="Why, for the members; name nobody.")
@click.option(
    "--status",
    "ask",
    is_flag=True,
    help="Withdraw nothing: show who has dropped INDICATORS, or everything withdrawn.",
)
@home_options
@json_option
def command(
    indicators: tuple[str, ...],
    channel_name: str | None,
    reason: str | None,
    ask: bool,
    home: Path,
    passphrase_file: Path | None,
    as_json: bool,
) -> None:
    """Withdraw INDICATORS, by id: members drop them at their next pull. It is final.

    Members who report or publish sign a receipt when they have; --status shows whose has come.
    """
    if ask:
        if reason is not None:
            raise InputError("nothing is withdrawn with --status", where="--reason")
        with load_home(home, passphrase_file) as opened:
            found = withdrawals(opened, channel_of(opened, channel_name), indicators)
        _show_status(found, as_json=as_json)
        return
    if not indicators:
        raise InputError("name indicators, or give --status", hint="stillwatch indicators --ids")
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


def _show_status(found: Sequence[Withdrawal], *, as_json: bool) -> None:
    if as_json:
        print_json({"withdrawn": [_document(each) for each in found]})
        return
    if not found:
        click.echo("Nothing was withdrawn.")
    for each in found:
        dropped = sum(one.drop is Drop.DROPPED for one in each.members)
        click.echo(
            f"{each.id}: withdrawn {utc(each.at)}; "
            f"dropped by {dropped} of {count_of(len(each.members), 'member')}"
        )
        for one in each.members:
            when = "" if one.at is None else f" {utc(one.at)}"
            why = f": {one.why}" if one.why else ""
            click.echo(f"  {one.name:<24} {one.drop}{when}{why}")


def _document(each: Withdrawal) -> Json:
    document = each.to_json() | {"at": iso(each.at)}
    for one in document["members"]:
        one["at"], one["seen"] = iso(one["at"]), iso(one["seen"])
    return document
