"""`stillwatch custodian quota`: what members may ask."""

from __future__ import annotations

import time
from pathlib import Path

import click

from hub.channel.fields import is_member
from hub.cli.custodian_data import data_option, find_channel, opened
from hub.cli.hub_data import json_option, moment, show
from hub.custody.quota import Rule
from hub.custody.service import EVERYBODY, rule_of, set_rule, usage_of
from hub.errors import InputError


@click.command("quota")
@click.argument("channel")
@click.option("--member", help="STIX id of one member; else everybody without a quota of its own.")
@click.option("--day", type=click.IntRange(0), help="Elements in a day of UTC.")
@click.option("--burst", type=click.IntRange(1), help="Elements at once; an hour restores them.")
@data_option
@json_option
def quota_command(
    channel: str,
    member: str | None,
    day: int | None,
    burst: int | None,
    data: Path,
    as_json: bool,
) -> None:
    """Show what members have left, or set what they may ask.

    The day's number is what bounds enumeration: at 200,000 a day the phone numbers of North America
    take a member over a century. Set it to what matching a day's new customers needs.
    """
    if member is not None and not is_member(member):
        raise InputError("the id of a STIX identity is expected", where="--member")
    now = int(time.time())
    with opened(data) as folder:
        channel = find_channel(folder, channel)
        if day is not None or burst is not None:
            before = rule_of(folder, channel, member or EVERYBODY)
            rule = Rule(
                before.day if day is None else day, before.burst if burst is None else burst
            )
            set_rule(folder, channel, member or EVERYBODY, rule, now=now)
        rule = rule_of(folder, channel, member or EVERYBODY)
        used = [each for each in usage_of(folder, channel, now) if member in (None, each[0])]
    document = {
        "channel": channel,
        "member": member,
        "day": rule.day,
        "burst": rule.burst,
        "members": [{"member": name, **quota.to_json()} for name, quota in used],
    }
    lines = [f"{member or 'Everybody'}: {rule.day:,} a day, {rule.burst:,} at once."]
    lines += [
        f"{name}  {quota.left:,} of {quota.day:,} left until {moment(quota.resets)}"
        f", {quota.burst_left:,} of {quota.burst:,} at once"
        for name, quota in used
    ]
    show(document, lines, as_json=as_json)
