"""`stillwatch hub token`: API tokens. A token's text is shown once and kept nowhere."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Final

import click

from hub.cli.groups import ToldGroup
from hub.cli.hub_actor import Actor, acting, actor_option, find_account, write_secret
from hub.cli.hub_data import (
    data_option,
    find_org,
    json_option,
    moment,
    opened,
    refuse_existing,
    show,
)
from hub.errors import InputError
from hub.store.records import Account, NewToken, Role, Token

_DAY: Final = 86_400


@click.group(cls=ToldGroup)
def token() -> None:
    """Issue, list, rotate and revoke API tokens."""


def _document(token: Token) -> dict[str, Any]:
    return {
        "id": token.id,
        "org": token.org_id,
        "name": token.name,
        "prefix": token.prefix,
        "scopes": sorted(token.scopes),
        "created": token.created,
        "expires": token.expires,
        "successor": token.successor,
        "revoked": token.revoked,
        "account": token.account_id,
    }


_out_option = click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the token to a new file of mode 0600 instead of the screen.",
)


def _show_new(issued: NewToken, out: Path | None, *, as_json: bool) -> None:
    # The token stands alone on standard output, so that a script can take it from there.
    document = _document(issued.token)
    lines = []
    if out is None:
        document["token"] = issued.secret
        lines = [issued.secret]
    else:
        write_secret(out, issued)
        lines = [f"Wrote {out}."]
    show(document, lines, as_json=as_json)
    click.echo(
        f"Token {issued.token.id}; expires: {moment(issued.token.expires)}. "
        f"{'It is shown this once. ' if out is None else 'The hub keeps no copy of it. '}"
        "Use it as Basic password (any user name) or as Bearer.",
        err=True,
    )


@token.command()
@data_option
@click.argument("org")
@click.option("--name", default="", help="What it is for; shown in the list.")
@click.option("--days", type=click.IntRange(1), help="Let it expire after so many days.")
@click.option("--read-only", is_flag=True, help="Good for reading only.")
@click.option(
    "--account",
    "account_id",
    help="The account that it is for: its id, or its name in the organisation.",
)
@actor_option
@_out_option
@json_option
def issue(
    data: Path,
    org: str,
    name: str,
    days: int | None,
    read_only: bool,
    account_id: str | None,
    token_file: Path | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """Issue a token to an organisation and print it, this once.

    Without --account it stands for a service with the roles publisher and subscriber.
    """
    # Before the token is made: one that cannot be written would be lost.
    refuse_existing(out)
    scopes = frozenset({"read"} if read_only else {"read", "write"})
    expires = None if days is None else int(time.time()) + days * _DAY
    with opened(data) as store:
        actor = acting(store, token_file)
        owner = find_org(store, org)
        holder = None if account_id is None else find_account(store, account_id, org_id=owner.id)
        actor.manage(owner.id, _roles(holder))
        issued = store.create_token(
            owner.id,
            name=name,
            scopes=scopes,
            expires=expires,
            account_id=None if holder is None else holder.id,
        )
        detail = {} if holder is None else {"account": holder.id}
        actor.audit("token.issue", owner.id, token_id=issued.token.id, detail=detail)
    _show_new(issued, out, as_json=as_json)


@token.command("list")
@data_option
@click.argument("org", required=False)
@json_option
def list_(data: Path, org: str | None, as_json: bool) -> None:
    """List tokens of one or all organisations, without their text."""
    with opened(data) as store:
        owner = None if org is None else find_org(store, org).id
        names = {one.id: one.name for one in store.orgs()}
        accounts = {one.id: f"/{one.name}" for one in store.accounts(owner)}
        found = store.tokens(owner)
    lines = [
        f"{one.id}  {one.prefix}…  {','.join(sorted(one.scopes))}  "
        f"{_state(one, int(time.time()))}  {names.get(one.org_id, one.org_id)}"
        f"{accounts.get(one.account_id or '', '')}  {one.name}".rstrip()
        for one in found
    ]
    show([_document(one) for one in found], lines or ["No tokens."], as_json=as_json)


def _state(token: Token, now: int) -> str:
    if token.revoked is not None:
        return "revoked"
    if token.successor is not None:
        end = token.expires or now
        return f"replaced by {token.successor}, {'ended' if end <= now else 'until'} {moment(end)}"
    if token.expires is not None and token.expires <= now:
        return "expired"
    return "valid" if token.expires is None else f"until {moment(token.expires)}"


@token.command()
@data_option
@click.argument("token_id")
@click.option(
    "--overlap-hours",
    type=click.IntRange(0),
    default=24,
    show_default=True,
    help="How long the old token still works.",
)
@actor_option
@_out_option
@json_option
def rotate(
    data: Path,
    token_id: str,
    overlap_hours: int,
    token_file: Path | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """Issue a token's successor and print it; the old one works on for the overlap."""
    refuse_existing(out)
    with opened(data) as store:
        actor = acting(store, token_file)
        org_id = _allow(actor, token_id)
        issued = store.rotate_token(token_id, overlap=overlap_hours * 3600, now=int(time.time()))
        actor.audit("token.rotate", org_id, token_id=issued.token.id, detail={"of": token_id})
    _show_new(issued, out, as_json=as_json)


@token.command()
@data_option
@click.argument("token_id")
@actor_option
@json_option
def revoke(data: Path, token_id: str, token_file: Path | None, as_json: bool) -> None:
    """End a token at once."""
    with opened(data) as store:
        actor = acting(store, token_file)
        org_id = _allow(actor, token_id)
        store.revoke_token(token_id, now=int(time.time()))
        actor.audit("token.revoke", org_id, token_id=token_id)
    show({"revoked": token_id}, [f"Token {token_id} is revoked."], as_json=as_json)


def _roles(holder: Account | None) -> frozenset[Role]:
    return frozenset() if holder is None else holder.roles


def _allow(actor: Actor, token_id: str) -> str:
    """Let the actor change a token; returns its organisation. Raises InputError, AccessError."""
    found = next((one for one in actor.store.tokens() if one.id == token_id), None)
    if found is None:
        raise InputError("there is no such token", where=token_id, hint="stillwatch hub token list")
    account_id = found.account_id
    holder = None if account_id is None else actor.store.account(account_id)
    actor.manage(found.org_id, _roles(holder))
    return found.org_id
