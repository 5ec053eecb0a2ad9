"""`stillwatch hub token`: API tokens. A token's text is shown once and kept nowhere."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any, Final

import click

from hub.cli.hub_data import (
    data_option,
    find_org,
    json_option,
    moment,
    opened,
    refuse_existing,
    show,
)
from hub.errors import StoreError
from hub.store.records import NewToken, Token

_DAY: Final = 86_400


@click.group()
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
        _write_secret(out, issued.secret)
        lines = [f"Wrote {out}."]
    show(document, lines, as_json=as_json)
    click.echo(
        f"Token {issued.token.id}; expires: {moment(issued.token.expires)}. "
        f"{'It is shown this once. ' if out is None else 'The hub keeps no copy of it. '}"
        "Use it as Basic password (any user name) or as Bearer.",
        err=True,
    )


def _write_secret(out: Path, secret: str) -> None:
    try:
        descriptor = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(f"{secret}\n")
    except OSError as error:
        raise StoreError(f"cannot be written: {error.strerror}", where=str(out)) from error


@token.command()
@data_option
@click.argument("org")
@click.option("--name", default="", help="What it is for; shown in the list.")
@click.option("--days", type=click.IntRange(1), help="Let it expire after so many days.")
@click.option("--read-only", is_flag=True, help="Good for reading only.")
@_out_option
@json_option
def issue(
    data: Path,
    org: str,
    name: str,
    days: int | None,
    read_only: bool,
    out: Path | None,
    as_json: bool,
) -> None:
    """Issue a token to an organisation and print it, this once."""
    # Before the token is made: one that cannot be written would be lost.
    refuse_existing(out)
    scopes = frozenset({"read"} if read_only else {"read", "write"})
    expires = None if days is None else int(time.time()) + days * _DAY
    with opened(data) as store:
        owner = find_org(store, org)
        issued = store.create_token(owner.id, name=name, scopes=scopes, expires=expires)
        store.audit("token.issue", org_id=owner.id, token_id=issued.token.id)
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
        found = store.tokens(owner)
    lines = [
        f"{one.id}  {one.prefix}…  {','.join(sorted(one.scopes))}  "
        f"{_state(one, int(time.time()))}  {names.get(one.org_id, one.org_id)}  {one.name}".rstrip()
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
@_out_option
@json_option
def rotate(data: Path, token_id: str, overlap_hours: int, out: Path | None, as_json: bool) -> None:
    """Issue a token's successor and print it; the old one works on for the overlap."""
    refuse_existing(out)
    with opened(data) as store:
        issued = store.rotate_token(token_id, overlap=overlap_hours * 3600, now=int(time.time()))
        store.audit("token.rotate", org_id=issued.token.org_id, token_id=issued.token.id)
    _show_new(issued, out, as_json=as_json)


@token.command()
@data_option
@click.argument("token_id")
@json_option
def revoke(data: Path, token_id: str, as_json: bool) -> None:
    """End a token at once."""
    with opened(data) as store:
        store.revoke_token(token_id, now=int(time.time()))
        store.audit("token.revoke", token_id=token_id)
    show({"revoked": token_id}, [f"Token {token_id} is revoked."], as_json=as_json)
