"""`stillwatch custodian init` and `stillwatch custodian serve`."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Final

import click

from hub.channel.custodians import Custodian as Row
from hub.cli.custodian_data import (
    data_option,
    opened,
    passphrase_in,
    passphrase_option,
    prompted,
    unlock_of,
)
from hub.cli.hub_data import json_option, show
from hub.cli.serve_options import serve_options
from hub.client.hardening import protect_process
from hub.custody.folder import Folder, Unlock
from hub.errors import InputError
from hub.settings import ServeSettings

_FILE: Final = click.Path(path_type=Path, dir_okay=False, exists=True)
_MIN_PASSPHRASE: Final = 12


@click.command()
@data_option
@click.option("--id", "custodian_id", required=True, help="Its name, such as custody.example.")
@click.option("--url", required=True, help="How members reach it, such as https://custody.example.")
@click.option("--key-file", is_flag=True, help="Keep the sealing key in the folder, mode 0600.")
@passphrase_option
@json_option
def init(
    data: Path,
    custodian_id: str,
    url: str,
    key_file: bool,
    passphrase_file: Path | None,
    as_json: bool,
) -> None:
    """Make a folder of mode 0700 for a new custodian.

    Its keys are sealed under a passphrase, or with --key-file under a key beside them; then whoever
    reads the folder reads the keys.
    """
    url = url.rstrip("/")
    # The name and address must do in a row.
    Row(custodian_id, url, "0000000000000000.2000q1", bytes(32), 0, 1)
    if key_file and passphrase_file is not None:
        raise InputError("give --key-file or --passphrase-file, not both")
    protect_process()
    unlock = Unlock()
    if not key_file:
        given = None if passphrase_file is None else passphrase_in(passphrase_file)
        unlock = Unlock(given or prompted(confirm=True))
        if len(unlock.passphrase or "") < _MIN_PASSPHRASE:
            raise InputError(f"the passphrase has fewer than {_MIN_PASSPHRASE} characters")
    Folder.create(data, custodian_id, url, unlock).close()
    show(
        {"data": str(data), "id": custodian_id, "url": url},
        [
            f"New custodian {custodian_id} in {data}.",
            "Next, with what the channel's owner tells you:",
            f"  stillwatch custodian channel add --data {data} CHANNEL-ID",
            f"  stillwatch custodian key new --data {data} CHANNEL-ID FINGERPRINT-KEY-ID",
            f"  stillwatch custodian serve --data {data}",
        ],
        as_json=as_json,
    )


@click.command()
@data_option
@serve_options(8429)
@passphrase_option
def serve(
    data: Path,
    listen: ServeSettings,
    behind_proxy: bool,
    access_log: bool,
    passphrase_file: Path | None,
) -> None:
    """Serve the custodian until SIGTERM or SIGINT.

    Logs are JSON lines on standard error: route, status, number of elements; never a body, a member
    or a channel. Expired keys are destroyed every hour, a week after their expiry.
    """
    from hub.custody.app import create_app, logger
    from hub.custody.service import Custodian
    from hub.serving import SmallService, check_exposure, run

    check_exposure(listen, behind_proxy=behind_proxy)
    logging.basicConfig(format="%(message)s")
    logger.setLevel(logging.INFO if access_log else logging.WARNING)
    with opened(data, unlock_of(data, passphrase_file)) as folder:
        where = f"{folder.custodian_id} at {listen.host}:{listen.port}"
        run(
            create_app(Custodian(folder)),
            listen,
            SmallService(),
            on_ready=lambda: click.echo(f"Serving {where} (stop with Ctrl-C)", err=True),
        )
