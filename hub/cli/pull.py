"""`stillwatch pull`: fetch, verify and open what is new."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import click

from hub.cli.alarms import show_alarm
from hub.cli.exits import ALARM
from hub.cli.names import channel_names
from hub.cli.options import count_of, desk_of, home_options, json_option, load_home, print_json
from hub.cli.progress import progress
from hub.cli.pull_follow import follow_channels
from hub.client.choices import RECEIPTS, Choices
from hub.client.reads import count_news
from hub.client.subscriber import NotApprovedError, Pulled, pull
from hub.errors import StillwatchError


@click.command("pull")
@click.argument("channels", nargs=-1, shell_complete=channel_names)
@click.option("--follow", is_flag=True, help="Stay, and pull when the hub has news.")
@click.option(
    "--interval",
    type=click.FloatRange(1, 86_400),
    default=60.0,
    show_default=True,
    help="With --follow: seconds between pulls without news, or from a hub that tells none.",
)
@click.option(
    "--exec",
    "then",
    metavar="COMMAND",
    help="With --follow: run this after each pull that brought something, which it gets as JSON.",
)
@click.option("--snapshot", is_flag=True, help="Where much is missing, begin with a snapshot.")
@click.option(
    "--receipts/--no-receipts",
    "receipts",
    default=None,
    help="From now on, tell publishers when what they withdrew was dropped here, or do not.",
)
@home_options
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    channels: tuple[str, ...],
    follow: bool,
    interval: float,
    then: str | None,
    snapshot: bool,
    receipts: bool | None,
    home: Path,
    passphrase_file: Path | None,
    as_json: bool,
) -> None:
    """Fetch, verify and open what is new in CHANNELS, or in all.

    The exit code is 12 when something raised an alarm. A pull that breaks off is resumed by the
    next one.

    With --follow the hub tells when something arrives, and it is here a moment later; a server that
    tells nothing is asked every --interval seconds. --json prints a line for each pull that brought
    something, and --exec runs a program with that line as its input. SIGTERM and Ctrl-C end it.
    """
    if then is not None and not follow:
        raise click.UsageError("--exec goes with --follow.")
    with load_home(home, passphrase_file) as opened:
        desk = desk_of(opened)
        if receipts is not None:
            with opened.locked():
                Choices(opened.state).put(RECEIPTS, on=receipts)
        if follow:
            follow_channels(
                desk,
                channels,
                interval,
                then,
                partial(_show, as_json=False, alarms_only=as_json),
                snapshot=snapshot,
                as_json=as_json,
            )
            return
        with progress("Pulling") as advance:
            results = pull(desk, channels, advance=advance, snapshots=snapshot)
        count_news(desk, results)
        failed = next((each.error for each in results if each.error is not None), None)
        _show(results, as_json=as_json, raised=failed)
    if any(each.alarms for each in results):
        ctx.exit(ALARM)
    if failed is not None:
        raise failed


def announce(news: Pulled) -> None:
    """Tell what another command pulled before its own work; nothing when there is nothing."""
    for text in news.alarms:
        show_alarm(text, err=True)
    found = "; ".join(f"{word}: {_kinds(kinds)}" for word, kinds in _news(news) if kinds)
    if found:
        click.echo(f"{news.channel}: pulled first: {found}", err=True)
    for object_id in news.revoked:
        click.echo(f"  withdrawn by its publisher: {object_id}", err=True)
    if news.reports:
        click.echo(f"  {count_of(news.reports, 'report')} about your indicators", err=True)


def _show(
    results: Sequence[Pulled],
    *,
    as_json: bool,
    raised: StillwatchError | None = None,
    alarms_only: bool = False,
) -> None:
    if as_json:
        print_json({"channels": [each.to_json() for each in results]})
    for each in results:
        for text in each.alarms:
            show_alarm(text, err=True)
    if as_json or alarms_only:
        return
    if not results:
        click.echo("No channels: join one, or create one.")
    for each in results:
        _show_channel(each, told=each.error is raised)


def _show_channel(each: Pulled, *, told: bool) -> None:
    if each.problem:
        what = "waiting for approval" if isinstance(each.error, NotApprovedError) else "pull failed"
        # What ends the command is told at its end, with what to do about it.
        click.echo(f"{each.channel}: {what}{'' if told else f': {each.problem}'}", err=True)
        return
    if each.standing == "removed":
        click.echo(
            f"{each.channel}: you are no longer a member; what you hold stays readable.\n"
            f"  to come back: stillwatch join, with a new invitation; "
            f"to drop it: stillwatch channel forget {each.channel}"
        )
    if each.standing == "left":
        click.echo(
            f"{each.channel}: you left it; stillwatch channel forget {each.channel} erases the rest"
        )
        return
    if each.standing == "removed" and not each.messages:
        return
    news = [f"{word}: {_kinds(found)}" for word, found in _news(each) if found]
    click.echo(f"{each.channel}: {each.messages} verified; {'; '.join(news) or 'nothing new'}")
    for object_id in each.revoked:
        click.echo(f"  withdrawn by its publisher: {object_id}")
    for number, word, text in (
        (each.reissued, "indicator", "of yours issued again under a new fingerprint key"),
        (each.receipts, "receipt", "signed for what was withdrawn"),
        (each.reports, "report", "about your indicators: stillwatch status"),
        (each.sealed, "message", "sealed for other members, as is usual"),
        (each.waiting, "message", "waiting for earlier ones"),
        (each.foreign, "object", "in the collection that no member made"),
    ):
        if number:
            click.echo(f"  {count_of(number, word)} {text}")
    for text in each.unread:
        click.echo(f"  not read: {text}")
    if each.standing == "joining":
        click.echo("  not a member yet: the owner has not approved your request")
    if each.requests:
        names = ", ".join(each.requests)
        click.echo(f"  asks to join: {names}; stillwatch channel requests {each.channel}")


def _news(each: Pulled) -> tuple[tuple[str, dict[str, int]], ...]:
    return ("new", each.objects), ("updated", each.updated)


def _kinds(found: dict[str, int]) -> str:
    return ", ".join(f"{kind} {number}" for kind, number in sorted(found.items()))
