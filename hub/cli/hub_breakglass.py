"""`stillwatch hub break-glass`: two administrators let one of them read what neither may."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import click

from hub.cli.groups import ToldGroup
from hub.cli.hub_actor import actor_option, credential_in, person_option
from hub.cli.hub_data import (
    data_option,
    find_collection,
    find_org,
    json_option,
    moment,
    opened,
    show,
)
from hub.errors import AccessError
from hub.store.interface import BREAK_GLASS_SECONDS, Store
from hub.store.records import BreakGlass, Role

_HOURS: Final = BREAK_GLASS_SECONDS // 3600


@click.group("break-glass", cls=ToldGroup)
def break_glass() -> None:
    """Ask to read what administrators may not, approve, list and end it.

    It takes two people with the role admin, each with an API token of her own that was issued
    before the request, and by neither of them to the other. Every organisation that publishes there
    is told.
    """


def _document(glass: BreakGlass, names: Mapping[str, str], now: int) -> dict[str, Any]:
    return {
        "id": glass.id,
        "account": names.get(glass.account_id, glass.account_id),
        "approver": None if glass.approver is None else names.get(glass.approver, glass.approver),
        "collections": sorted(glass.collections),
        "reason": glass.reason,
        "hours": glass.seconds / 3600,
        "created": glass.created,
        "opened": glass.opened,
        "until": glass.until,
        "ended": glass.ended,
        "open": glass.open_at(now),
    }


def _line(glass: BreakGlass, names: Mapping[str, str], now: int) -> str:
    who = names.get(glass.account_id, glass.account_id)
    if glass.ended is not None:
        state = f"ended {moment(glass.ended)}"
    elif glass.open_at(now):
        state = f"open until {moment(glass.until)}"
    else:
        state = "waits for approval" if glass.opened is None else f"over {moment(glass.until)}"
    many = f"{len(glass.collections)} collection{'s' if len(glass.collections) != 1 else ''}"
    return f"{glass.id}  {who}  {many}  {state}  {glass.reason}"


def _names(store: Store) -> dict[str, str]:
    orgs = {one.id: one.name for one in store.orgs()}
    return {one.id: f"{orgs[one.org_id]}/{one.name}" for one in store.accounts()}


def _concerned(store: Store, glass: BreakGlass) -> dict[str, frozenset[str]]:
    """Who publishes in each of the collections."""
    from hub.server.admission import Admission
    from hub.server.oversight import publishers

    admission = Admission(store, now=lambda: int(time.time()))
    return {
        one: publishers(store, admission, find_collection(store, one)) for one in glass.collections
    }


def _shown(store: Store, glass: BreakGlass, *more: str, as_json: bool) -> None:
    names, now = _names(store), int(time.time())
    show(_document(glass, names, now), [_line(glass, names, now), *more], as_json=as_json)


@break_glass.command()
@data_option
@click.option("--collection", "collections", multiple=True, help="What to read; repeatable.")
@click.option("--org", "orgs", multiple=True, help="All collections of this organisation.")
@click.option("--reason", required=True, help="Why; publishers are shown it.")
@click.option(
    "--hours",
    type=click.FloatRange(min=0, max=_HOURS, min_open=True),
    default=1.0,
    show_default=True,
    help=f"How long from its approval, at most {_HOURS}.",
)
@person_option
@json_option
def request(
    data: Path,
    collections: tuple[str, ...],
    orgs: tuple[str, ...],
    reason: str,
    hours: float,
    token_file: Path,
    as_json: bool,
) -> None:
    """Ask to read collections; another administrator approves it."""
    with opened(data) as store:
        credential = credential_in(store, token_file)
        wanted = {find_collection(store, one).id for one in collections}
        for one in orgs:
            owner = find_org(store, one).id
            wanted |= {found.id for found in store.collections() if found.owner_org == owner}
        made = store.request_glass(
            credential, frozenset(wanted), reason=reason, seconds=max(1, int(hours * 3600))
        )
        following = (
            "Next, another administrator: stillwatch hub break-glass approve "
            f"--data {data} {made.id} --token-file FILE"
        )
        _shown(store, made, following, as_json=as_json)


@break_glass.command()
@data_option
@click.argument("glass_id", metavar="ID")
@person_option
@json_option
def approve(data: Path, glass_id: str, token_file: Path, as_json: bool) -> None:
    """Approve the request of another administrator: it is open from now."""
    with opened(data) as store:
        credential = credential_in(store, token_file)
        asked = next((one for one in store.glasses() if one.id == glass_id), None)
        concerns = {} if asked is None else _concerned(store, asked)
        now = int(time.time())
        opened_now = store.approve_glass(glass_id, credential, now=now, concerns=concerns)
        _shown(store, opened_now, as_json=as_json)


@break_glass.command("list")
@data_option
@json_option
def list_(data: Path, as_json: bool) -> None:
    """List requests and what became of them, oldest first."""
    now = int(time.time())
    with opened(data) as store:
        names = _names(store)
        found = store.glasses()
    documents = [_document(one, names, now) for one in found]
    lines = [_line(one, names, now) for one in found]
    show(documents, lines or ["Nobody asked."], as_json=as_json)


@break_glass.command()
@data_option
@click.argument("glass_id", metavar="ID")
@actor_option
@json_option
def end(data: Path, glass_id: str, token_file: Path | None, as_json: bool) -> None:
    """Close it at once, or refuse the request."""
    with opened(data) as store:
        credential = None if token_file is None else credential_in(store, token_file)
        if credential is not None and Role.ADMIN not in credential.roles:
            raise AccessError("only an administrator, or the machine's operator, ends it")
        asked = next((one for one in store.glasses() if one.id == glass_id), None)
        concerns = {} if asked is None else _concerned(store, asked)
        ended = store.end_glass(glass_id, credential, now=int(time.time()), concerns=concerns)
        _shown(store, ended, as_json=as_json)
