"""`stillwatch report`: sightings and false positives, back to the publishers."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from hub.cli.options import count_of, desk_of, home_options, json_option, load_home, print_json
from hub.cli.pull import announce
from hub.client.publisher import Published
from hub.client.reporter import (
    Reporting,
    Seen,
    check_may,
    prepare_false_positive,
    prepare_sightings,
    read_matches,
    send,
)
from hub.client.subscriber import Pulled, refresh
from hub.errors import InputError


@click.command("report")
@click.argument("indicator", required=False)
@click.option(
    "--matches",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A file of stillwatch match --out: one sighting for each indicator in it.",
)
@click.option("--count", type=click.IntRange(1, 999_999_999), default=1, show_default=True)
@click.option("--first", default=None, help="First seen, ISO 8601.")
@click.option("--last", default=None, help="Last seen, ISO 8601; now without it.")
@click.option("--false-positive", is_flag=True, help="Say that INDICATOR is wrong.")
@click.option("--reason", default=None, help="Why it is wrong; name nobody.")
@click.option(
    "--no-aggregate", is_flag=True, help="Do not let liaisons know that the campaign was seen."
)
@click.option("--dry-run", is_flag=True, help="Show what would leave the machine; send nothing.")
@home_options
@json_option
def command(
    indicator: str | None,
    matches: Path | None,
    count: int,
    first: str | None,
    last: str | None,
    false_positive: bool,
    reason: str | None,
    no_aggregate: bool,
    dry_run: bool,
    home: Path,
    passphrase_file: Path | None,
    as_json: bool,
) -> None:
    """Report sightings of INDICATOR, or of everything in a file of matches.

    Counts and times leave the machine; events, accounts and values do not.
    """
    if (indicator is None) == (matches is None):
        raise InputError("name one indicator, or give --matches FILE")
    if false_positive and (indicator is None or reason is None):
        raise InputError("a false positive wants an indicator and --reason")
    with load_home(home, passphrase_file) as opened:
        desk = desk_of(opened)
        with opened.locked():
            if not dry_run:
                for channel in opened.state.channels():
                    if channel.trusted is not None and channel.standing != "removed":
                        news = Pulled(channel.name)
                        refresh(desk, channel, news)
                        announce(news)
            now = desk.clock()
            if false_positive:
                assert indicator is not None
                prepared = prepare_false_positive(opened, indicator, reason or "", now=now)
            else:
                seen = (
                    read_matches(matches)
                    if matches
                    else [_seen(indicator or "", count, first, last, now)]
                )
                prepared = prepare_sightings(opened, seen, now=now, aggregate=not no_aggregate)
            check_may(opened, prepared)
            sent = None if dry_run else send(desk, prepared)
    _show(prepared, sent, as_json=as_json)
    if indicator is not None and not prepared.channels and indicator in prepared.skipped:
        why = prepared.skipped[indicator]
        if not why.startswith("reported before"):
            raise InputError(f"not reported: {why}", where=indicator)


def _seen(indicator: str, count: int, first: str | None, last: str | None, now: int) -> Seen:
    latest = _moment(last, "--last") or datetime.fromtimestamp(now, UTC)
    earliest = _moment(first, "--first") or latest
    if latest < earliest:
        raise InputError("lies before --first", where="--last")
    return Seen(indicator, count, earliest, latest)


def _moment(text: str | None, where: str) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InputError("not an ISO 8601 time", where=where) from None
    return (moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment).astimezone(UTC)


def _show(prepared: Reporting, sent: Published | None, *, as_json: bool) -> None:
    objects = prepared.objects()
    if as_json:
        print_json(
            {
                "dry_run": sent is None,
                "objects": objects,
                "skipped": prepared.skipped,
                "messages": sent.messages if sent else 0,
            }
        )
        return
    for each in objects:
        if each["type"] == "sighting":
            subject, count = each["sighting_of_ref"], each["count"]
            click.echo(
                f"  sighting of {subject}: {count_of(count, 'time')}, last {each['last_seen']}"
            )
        elif each["type"] == "opinion":
            click.echo(f"  {each['opinion']} on {each['object_refs'][0]}")
    for object_id, why in prepared.skipped.items():
        click.echo(f"  not reported: {object_id}: {why}", err=True)
    if sent is None:
        click.echo(f"Dry run: {count_of(len(objects), 'object')} would be sent; nothing was.")
    else:
        messages = count_of(sent.messages, "sealed message")
        click.echo(f"Sent {count_of(len(objects), 'object')} in {messages}.")
