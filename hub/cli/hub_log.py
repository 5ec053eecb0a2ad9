"""`stillwatch hub log`: what the logs of the hub's channels are called, and how far they are."""

from __future__ import annotations

from pathlib import Path

import click

from hub.channel.primitives.sign import NotePrivate
from hub.cli.hub_data import (
    LOG_KEY,
    data_option,
    json_option,
    opened,
    recalled,
    show,
)
from hub.errors import InputError
from hub.keyfile import read_seed
from hub.server.logbook import Logbook
from hub.settings import HubSettings
from hub.store.records import Kind


@click.command()
@data_option
@click.option(
    "--log-key",
    "key_file",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar="STILLWATCH_HUB_LOG_KEY",
    help="File of the key that signs checkpoints; default: log.key in the data directory.",
)
@json_option
def log(data: Path, key_file: Path | None, as_json: bool) -> None:
    """Show the log of each channel: origin, verifier key, number of messages; and the witnesses.

    A log is named after the URL that the hub was last served under. Its verifier key is what a
    witness is told to follow: stillwatch witness log add VERIFIER-KEY.
    """
    served = recalled(data)
    if served is None:
        raise InputError(
            "the hub has not been served yet, so its logs have no name",
            where=str(data),
            hint=f"stillwatch hub serve --data {data}",
        )
    key = NotePrivate(read_seed(key_file or data / LOG_KEY))
    settings = HubSettings(root=served.root, public_url=served.public_url)
    logs = []
    with opened(data) as store:
        book = Logbook(settings, store, key)
        for one in store.collections():
            if one.kind is Kind.CHANNEL:
                offer = book.offer(one.id)
                size = store.log_size(one.id)
                logs.append(
                    {"collection": one.id, "title": one.title, **(offer or {}), "size": size}
                )
    lines = []
    for each in logs:
        lines.append(f"{each['title']}: {each['size']} messages")
        lines.append(f"    origin        {each['origin']}")
        lines.append(f"    verifier key  {each['verifier_key']}")
    witnesses = [f"witness  {url}" for url in served.witnesses] or ["No witnesses are asked."]
    document = {"logs": logs, "witnesses": list(served.witnesses)}
    show(document, [*(lines or ["No channels."]), *witnesses], as_json=as_json)
