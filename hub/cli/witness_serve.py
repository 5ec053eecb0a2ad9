"""`stillwatch witness init` and `stillwatch witness serve`."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Final

import click

from hub.cli.hub_data import json_option, show, sole_server
from hub.cli.serve_options import serve_options
from hub.cli.witness_data import create, data_option, opened
from hub.settings import ServeSettings

_FILE: Final = click.Path(path_type=Path, dir_okay=False, exists=True)


@click.command()
@data_option
@click.argument("name")
@json_option
def init(data: Path, name: str, as_json: bool) -> None:
    """Make a folder and a key for a new witness called NAME, such as witness.example.

    A witness must not forget what it cosigned: never put its folder back from a copy, and never
    serve two copies of it. If the folder is lost, make a new witness.
    """
    verifier_key = create(data, name)
    show(
        {"data": str(data), "name": name, "verifier_key": verifier_key},
        [
            f"New witness {name} in {data}.",
            f"Its verifier key, for channels' owners: {verifier_key}",
            "Next, with the key that a hub shows (stillwatch hub log):",
            f"  stillwatch witness log add --data {data} LOG-VERIFIER-KEY",
            f"  stillwatch witness serve --data {data}",
        ],
        as_json=as_json,
    )


@click.command()
@data_option
@serve_options(8428)
def serve(
    data: Path,
    listen: ServeSettings,
    behind_proxy: bool,
    access_log: bool,
) -> None:
    """Serve the witness until SIGTERM or SIGINT.

    Hubs submit checkpoints to URL/add-checkpoint (C2SP tlog-witness). It needs no accounts: what
    counts is the log's signature.
    """
    from hub.serving import SmallService, check_exposure, run
    from hub.witness.app import create_app, logger
    from hub.witness.service import Witness

    check_exposure(listen, behind_proxy=behind_proxy)
    logging.basicConfig(format="%(asctime)s %(message)s")
    logger.setLevel(logging.INFO if access_log else logging.WARNING)
    with opened(data) as (state, key), sole_server(data):
        witness = Witness(state, key, now=lambda: int(time.time()))
        where = f"{state.name} at {listen.host}:{listen.port}"
        run(
            create_app(witness),
            listen,
            SmallService(),
            on_ready=lambda: click.echo(f"Serving {where} (stop with Ctrl-C)", err=True),
        )
