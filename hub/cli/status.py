"""`stillwatch status`: last pull, lag, what expires, alarms."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

import click

from hub.cli.alarms import show_alarm
from hub.cli.direct_options import release_text
from hub.cli.exits import ALARM, ATTENTION, EXPIRED, OK
from hub.cli.options import count_of, home_options, iso, json_option, load_home, print_json, utc
from hub.client import health as levels
from hub.client.health import ChannelHealth, Health, health
from hub.model.codec import Json

_SHOWN_SIGHTINGS: Final = 8
_EXITS = {
    levels.FINE: OK,
    levels.WAITING: ATTENTION,
    levels.ATTENTION: ATTENTION,
    levels.FAILED: EXPIRED,
    levels.EXPIRED: EXPIRED,
    levels.ALARM: ALARM,
}


@click.command("status")
@click.option("--acknowledge", is_flag=True, help="Acknowledge the alarms after showing them.")
@home_options
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    acknowledge: bool,
    home: Path,
    passphrase_file: Path | None,
    as_json: bool,
) -> None:
    """Show last pull, lag, outbox, what expires soon, and alarms.

    Exit codes: 0 fine; 10 something expires within 14 days, lags, or waits for an approval; 11
    something has expired or the last pull failed; 12 an alarm that nobody acknowledged.
    """
    now = int(time.time())
    with load_home(home, passphrase_file) as opened:
        found = health(opened, now=now)
        if acknowledge:
            with opened.locked():
                opened.state.acknowledge_alarms(now)
    if as_json:
        print_json(_document(found))
    else:
        _show(found)
    ctx.exit(_EXITS[found.level])


def _document(found: Health) -> Json:
    document = found.to_json()
    document["card_expires"] = iso(found.card_expires)
    document["raised"] = [iso(each) for each in found.raised]
    for each in document["channels"]:
        for field in ("pulled_at", "manifest_expires"):
            each[field] = iso(each[field])
        for release in each["direct"]:
            for field in ("sent_at", "valid_until"):
                release[field] = iso(release[field])
    return document


def _show(found: Health) -> None:
    for text, since in zip(found.alarms, found.raised, strict=True):
        show_alarm(text, err=False, since=since)
    if found.alarms:
        click.echo("  seen and dealt with: stillwatch status --acknowledge")
    click.echo(f"{found.organisation} ({found.member})")
    click.echo(f"card {found.card}, until {utc(found.card_expires)}")
    for api_root, number in found.reads.items():
        told = f"{count_of(number, 'read')} of what you published: stillwatch channel reads"
        click.echo(f"{api_root} tells of {told}")
    for each in found.channels:
        _show_channel(each)


def _show_channel(each: ChannelHealth) -> None:
    click.echo(f"\n{each.name}: {each.level}")
    click.echo(f"  {each.standing}; {', '.join(each.roles) or 'no role yet'}")
    click.echo(f"  last pull {utc(each.pulled_at)}; {each.outbox} waiting to be sent")
    if each.manifest is not None:
        click.echo(
            f"  {count_of(each.members, 'member')}; manifest {each.manifest}, until "
            f"{utc(each.manifest_expires)}; epoch {each.epoch}"
        )
    kinds = ", ".join(f"{number} {kind}" for kind, number in sorted(each.objects.items()))
    if kinds:
        click.echo(f"  {kinds}")
    forms = ", ".join(f"{number} {form}" for form, number in sorted(each.tokens.items()))
    if forms:
        click.echo(f"  tokens of identifiers: {forms}")
    for release in each.direct:
        click.echo(f"  {release_text(release)}")
    if each.erased:
        click.echo(f"  erased by policy: {_erased_text(each.erased)}")
    for text in each.notes:
        click.echo(f"  ! {text}")
    for report in each.reports["opinions"]:
        said = f": {report['explanation']}" if report["explanation"] else ""
        click.echo(f"  {report['opinion']} by {report['by']} on {report['of']}{said}")
    seen = sorted(each.reports["sightings"], key=lambda report: -int(report["count"] or 1))
    for report in seen[:_SHOWN_SIGHTINGS]:
        times = count_of(int(report["count"] or 1), "time")
        what = f" ({report['kind']})" if report["kind"] else ""
        click.echo(f"  seen {times} by {report['by']}: {report['of']}{what}")
    if len(seen) > _SHOWN_SIGHTINGS:
        click.echo(f"  … {len(seen) - _SHOWN_SIGHTINGS} more sightings: stillwatch status --json")


def _erased_text(erased: dict[str, list[str]]) -> str:
    words = {"epoch": "epoch secret", "card": "card key", "fingerprint": "fingerprint key"}
    return ", ".join(count_of(len(names), words[what]) for what, names in sorted(erased.items()))
