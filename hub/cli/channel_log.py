"""`stillwatch channel log`: the log that keeps the hub honest."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import click

from hub.cli.names import channel_names
from hub.cli.options import desk_of, home_options, iso, json_option, load_home, print_json, utc
from hub.client.log_pin import LogChoice, LogView, accept, view
from hub.client.naming import member_names


@click.command("log")
@click.argument("name", shell_complete=channel_names)
@click.option(
    "--accept",
    "accepting",
    is_flag=True,
    help="As an owner: require the log that the hub keeps now; after a restore it is a new one.",
)
@click.option(
    "--witness",
    "witnesses",
    multiple=True,
    metavar="KEY",
    help="With --accept: verifier key of a witness that must cosign; in place of those before.",
)
@click.option("--quorum", type=click.IntRange(1, 32), help="With --witness: how many of them.")
@click.option(
    "--no-witness",
    is_flag=True,
    help="With --accept: require no cosignatures any more, as when a witness is gone for good.",
)
@home_options
@json_option
def log_command(
    name: str,
    accepting: bool,
    witnesses: tuple[str, ...],
    quorum: int | None,
    no_witness: bool,
    home: Path,
    passphrase_file: Path | None,
    as_json: bool,
) -> None:
    """Show what is verified of the channel's log on its hub, and what members cite of it.

    Every pull holds the hub's messages against this log; what does not fit is an alarm.
    """
    if (witnesses or quorum is not None or no_witness) and not accepting:
        raise click.UsageError(
            "--witness, --quorum and --no-witness change the manifest: add --accept."
        )
    if no_witness and (witnesses or quorum is not None):
        raise click.UsageError("--no-witness goes with neither --witness nor --quorum.")
    with load_home(home, passphrase_file) as opened:
        if accepting:
            choice = LogChoice() if no_witness else _choice(witnesses, quorum)
            outcome = accept(desk_of(opened), name, choice)
            text = "the manifest names the hub's log now"
            if not outcome.in_force:
                text = (
                    f"proposal {outcome.proposal.id[:16]} waits for other owners; until it is in "
                    "force, what follows is the log required so far"
                )
            click.echo(f"{name}: {text}", err=as_json)
        channel = opened.state.channel(name)
        found = view(opened, channel)
        if as_json:
            print_json({"channel": channel.name, **dataclasses.asdict(found)} | _times(found))
            return
        _show(found, member_names(opened, channel))


def _choice(witnesses: Sequence[str], quorum: int | None) -> LogChoice | None:
    return LogChoice(witnesses=witnesses, quorum=quorum) if witnesses or quorum else None


def _times(found: LogView) -> dict[str, object]:
    return {
        "signed_at": iso(found.signed_at),
        "verified_at": iso(found.verified_at),
        "cosigned": {name: iso(time) for name, time in found.cosigned.items()},
        "cited": [{**each, "time": iso(each["time"])} for each in found.cited],
    }


def _show(found: LogView, names: dict[str, str]) -> None:
    if found.origin is None:
        click.echo("The channel requires no log: the hub could withhold its newest messages.")
        return
    click.echo(f"log {found.origin}")
    click.echo(f"  key {found.verifier_key}")
    if found.size is None:
        click.echo("  nothing of it is verified yet: stillwatch pull")
    else:
        click.echo(f"  {found.size} entries, signed {utc(found.signed_at)}")
        click.echo(f"  root {found.root}; verified here {utc(found.verified_at)}")
    if found.missing:
        click.echo(f"  ! {found.missing} entries whose message the hub does not show")
    if found.cosigned:
        click.echo(f"  witnesses, {found.quorum} of which must cosign:")
    for name, time in found.cosigned.items():
        click.echo(f"    {name}: {utc(time) if time is not None else 'has not cosigned it'}")
    for each in found.cited:
        who = names.get(each["member"], each["member"])
        click.echo(f"  {who} cites {each['size']} entries, signed {utc(each['time'])}")
