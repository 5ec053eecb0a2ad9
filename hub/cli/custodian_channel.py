"""`stillwatch custodian channel`: the channels that a custodian serves."""

from __future__ import annotations

import time
from pathlib import Path

import click

from hub.cli.custodian_data import check_hash, data_option, opened
from hub.cli.groups import ToldGroup
from hub.cli.hub_data import json_option, show
from hub.custody.channels import Channels


@click.group("channel", cls=ToldGroup)
def command() -> None:
    """Add and list the channels served."""


@command.command("add")
@click.argument("channel_id")
@click.option(
    "--owner-root",
    "owner_roots",
    multiple=True,
    help="Root id of an owner of the genesis, to compare; once for each.",
)
@data_option
@json_option
def add(channel_id: str, owner_roots: tuple[str, ...], data: Path, as_json: bool) -> None:
    """Serve a channel, by the id that its owner told you.

    The id is the hash of the channel's first manifest, so it alone pins who owns the channel.
    Members post manifests and cards to the running service; their signatures are all it believes.
    """
    check_hash(channel_id, "CHANNEL_ID")
    for root in owner_roots:
        check_hash(root, "--owner-root")
    with opened(data) as folder:
        Channels(folder).add(channel_id, owner_roots, now=int(time.time()))
    lines = [
        f"Channel {channel_id[:16]}… is served from now on.",
        f"  stillwatch custodian key new --data {data} {channel_id} FINGERPRINT-KEY-ID",
    ]
    show({"channel": channel_id}, lines, as_json=as_json)


@command.command("list")
@data_option
@json_option
def list_command(data: Path, as_json: bool) -> None:
    """List the channels, the manifest that each is at, what is missing, and alarms."""
    with opened(data) as folder:
        channels = Channels(folder)
        now = int(time.time())
        found = [channels.standing(each, now) for each in channels.ids()]
        alarms = {each: channels.alarms(each) for each in channels.ids()}
    document = {
        "channels": [
            {
                "channel": each.channel,
                "version": each.version,
                "manifest": each.manifest,
                "missing_cards": len(each.missing),
                "live_keys": [row.key_id for row in each.rows],
                "alarms": list(alarms[each.channel]),
            }
            for each in found
        ]
    }
    lines = [
        f"{each.channel[:16]}…  manifest {each.version or 'not arrived'}"
        f"  cards missing {len(each.missing)}  live keys {len(each.rows)}"
        for each in found
    ]
    lines += [f"ALARM {each[:16]}…  {text}" for each in alarms for text in alarms[each]]
    show(document, lines or ["No channel is served."], as_json=as_json)
