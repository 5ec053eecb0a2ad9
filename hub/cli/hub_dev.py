"""`stillwatch hub dev`: a throw-away hub for people who build against it."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import click

from hub.cli.hub_data import (
    LOG_KEY,
    SNAPSHOTS,
    create,
    log_key,
    opened,
    remember,
    serving,
    witness_option,
    witness_settings,
)
from hub.cli.hub_database import DATABASE, TOKEN_KEY, database_option, is_there, target_of
from hub.cli.hub_processes import processes_option, supervise
from hub.errors import StoreError
from hub.settings import HubLimits, HubSettings, PushSettings, ServeSettings
from hub.store.interface import Store
from hub.store.records import Kind

_ACCOUNT: Final = "dev.json"
_USER: Final = "dev"
_HOST: Final = "127.0.0.1"
_COLLECTIONS: Final = (
    ("rw1", "Read and write, one", True, True),
    ("rw2", "Read and write, two", True, True),
    ("ro", "Read only", True, False),
    ("wo", "Write only", False, True),
    ("na", "No access", False, False),
)


@click.command()
@click.option("--port", type=click.IntRange(1, 65535), help="Default: a free one.")
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    help="Keep the data here; default: a temporary directory, removed at the end.",
)
@database_option
@processes_option
@witness_option
@click.option("--access-log", is_flag=True, help="Log each request (JSON lines on stderr).")
def dev(
    port: int | None,
    data: Path | None,
    processes: int | None,
    witnesses: tuple[str, ...],
    access_log: bool,
) -> None:
    """Serve a throw-away hub on loopback, with one account and five plain collections.

    Prints one line of JSON once it accepts connections: api_root, user, token, and the ids of the
    collections rw1, rw2 (read and write), ro (read), wo (write) and na (no access). What the
    account may know of but not do is answered 403; na is hidden from it: not listed, and 404 like
    one that is not there, as TAXII 2.1 allows. The token works as Basic password and as Bearer.
    Started again with the same --data it comes back with the same data, ids and token, which is why
    the token lies there in clear: not for real use. With --database the rest of the data is put
    into a PostgreSQL database, which must be empty at the first start.
    """
    from hub.server import journal
    from hub.server.app import create_app
    from hub.serving import free_port, run
    from hub.supervise import Worker

    worker = Worker.current()
    if worker is not None:
        port, data = int(worker.given["port"]), Path(worker.given["data"])
    chosen = port or free_port(_HOST)
    base = f"http://{_HOST}:{chosen}"
    settings = HubSettings(
        title="Stillwatch development hub",
        public_url=base,
        other_urls=(f"http://localhost:{chosen}",),
        witnesses=witness_settings(witnesses),
        # Test suites ask at full speed and try many wrong tokens, all from this machine.
        limits=HubLimits(auth_failures=100, account_rate=0, address_rate=0),
    )
    journal.configure(access=access_log)
    with _directory(data) as place:
        account = _account(place)
        line = {"api_root": f"{base}/{settings.root}/", **account}
        listen = ServeSettings(_HOST, chosen)

        def ready() -> None:
            click.echo(json.dumps(line))

        with contextlib.nullcontext() if worker else serving(place):
            if processes is not None and worker is None:
                given = {"port": str(chosen), "data": str(place)}
                supervise(listen, settings.limits, processes, on_ready=ready, given=given)
                return
            with opened(place) as store:
                remember(place, settings)
                push = PushSettings(snapshots=place / SNAPSHOTS)
                own = dataclasses.replace(settings, push=push)
                app = create_app(own, store, log_key=log_key(place / LOG_KEY))
                run(app, listen, settings.limits, on_ready=ready, worker=worker)


@contextlib.contextmanager
def _directory(data: Path | None) -> Iterator[Path]:
    if data is not None:
        yield data
        return
    with tempfile.TemporaryDirectory(prefix="stillwatch-dev-") as place:
        yield Path(place)


def _account(place: Path) -> dict[str, Any]:
    """The account of a development hub, made on the first start."""
    path = place / _ACCOUNT
    if not is_there(target_of(place)):
        _settle(place)
    try:
        account: dict[str, Any] = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise StoreError(
            "not the data of a development hub",
            where=str(place),
            hint="give an empty --data directory",
        ) from error
    return account


def _settle(place: Path) -> None:
    """Make everything aside, then move it in, the database last: a start cut off begins anew."""
    try:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        place.chmod(0o700)
        with tempfile.TemporaryDirectory(prefix="new-", dir=place) as aside:
            fresh = Path(aside) / "hub"
            store = create(fresh)
            try:
                made = _make(store)
            finally:
                store.close()
            _write(fresh / _ACCOUNT, made)
            for path in sorted(
                fresh.iterdir(), key=lambda path: path.name in (DATABASE, TOKEN_KEY)
            ):
                path.rename(place / path.name)
    except OSError as error:
        raise StoreError(f"cannot be written: {error.strerror}", where=str(place)) from error


def _make(store: Store) -> dict[str, Any]:
    account = store.create_org(_USER)
    # The collections belong to somebody else, so that the account's grants are all that counts.
    owner = store.create_org("dev-owner")
    ids: dict[str, str] = {}
    for key, title, can_read, can_write in _COLLECTIONS:
        made = store.create_collection(Kind.PLAIN, title, owner_org=owner.id)
        ids[key] = made.id
        if can_read or can_write:
            store.set_grant(made.id, account.id, can_read=can_read, can_write=can_write)
    issued = store.create_token(account.id, name="dev")
    return {"user": _USER, "token": issued.secret, "collections": ids}


def _write(path: Path, account: dict[str, Any]) -> None:
    partial = path.with_name(path.name + ".partial")
    descriptor = os.open(partial, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(json.dumps(account).encode())
        file.flush()
        os.fsync(file.fileno())
    partial.rename(path)
