"""`stillwatch hub account`: people and services of organisations, and what they log in with."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Final

import click

from hub.cli.groups import ToldGroup
from hub.cli.hub_actor import acting, actor_option, find_account
from hub.cli.hub_data import data_option, find_org, json_option, moment, opened, show
from hub.errors import InputError
from hub.store.interface import Store
from hub.store.records import Account, AccountKind, Login, LoginKind, Role

_DAY: Final = 86_400
_FILE: Final = click.Path(path_type=Path, dir_okay=False, exists=True)

roles_option: Final = click.option(
    "--role",
    "roles",
    multiple=True,
    type=click.Choice([one.value for one in Role]),
    help="What it is for; repeatable. Default: publisher and subscriber.",
)


@click.group(cls=ToldGroup)
def account() -> None:
    """Add, list, bar and let in accounts, and bind certificates and OAuth clients to them."""


def _document(found: Account, logins: list[Login]) -> dict[str, Any]:
    return {
        "id": found.id,
        "org": found.org_id,
        "name": found.name,
        "kind": found.kind.value,
        "roles": sorted(found.roles),
        "created": found.created,
        "disabled": found.disabled,
        "logins": [_login(one) for one in logins],
    }


def _login(login: Login) -> dict[str, Any]:
    return {
        "id": login.id,
        "account": login.account_id,
        "kind": login.kind.value,
        "issuer": login.issuer or None,
        "subject": login.subject,
        "name": login.name,
        "scopes": sorted(login.scopes),
        "created": login.created,
        "expires": login.expires,
    }


@account.command()
@data_option
@click.argument("org")
@click.argument("name")
@click.option("--person", is_flag=True, help="A person; else it is a service.")
@roles_option
@actor_option
@json_option
def add(
    data: Path,
    org: str,
    name: str,
    person: bool,
    roles: tuple[str, ...],
    token_file: Path | None,
    as_json: bool,
) -> None:
    """Add an account NAME to an organisation; it can do nothing before it has a credential."""
    chosen = frozenset(map(Role, roles)) or frozenset({Role.PUBLISHER, Role.SUBSCRIBER})
    kind = AccountKind.PERSON if person else AccountKind.SERVICE
    with opened(data) as store:
        actor = acting(store, token_file)
        owner = find_org(store, org)
        actor.manage(owner.id, chosen)
        made = store.create_account(owner.id, name, kind, chosen)
        actor.audit("account.add", owner.id, detail=_about(made))
    show(
        _document(made, []),
        [
            (
                f"Added {made.kind.value} {owner.name}/{made.name} ({made.id}): "
                f"{', '.join(sorted(made.roles))}."
            ),
            f"Next: stillwatch hub token issue --data {data} {owner.id} --account {made.id}",
        ],
        as_json=as_json,
    )


def _about(found: Account) -> dict[str, str]:
    return {"account": found.id, "kind": found.kind.value, "roles": " ".join(sorted(found.roles))}


@account.command("list")
@data_option
@click.argument("org", required=False)
@json_option
def list_(data: Path, org: str | None, as_json: bool) -> None:
    """List accounts of one or all organisations, with what they log in with besides tokens."""
    with opened(data) as store:
        owner = None if org is None else find_org(store, org).id
        names = {one.id: one.name for one in store.orgs()}
        found = [(one, store.logins(one.id)) for one in store.accounts(owner)]
    lines = []
    for one, logins in found:
        barred = "  barred" if one.disabled else ""
        lines.append(
            f"{one.id}  {one.kind.value:7}  {names[one.org_id]}/{one.name}  "
            f"{','.join(sorted(one.roles))}{barred}"
        )
        lines += [f"    {_line(login)}" for login in logins]
    documents = [_document(one, logins) for one, logins in found]
    show(documents, lines or ["No accounts."], as_json=as_json)


def _line(login: Login) -> str:
    issuer = f" of {login.issuer}" if login.issuer else ""
    until = "" if login.expires is None else f", until {moment(login.expires)}"
    return f"{login.id}  {login.kind.value} {login.subject}{issuer}{until}"


@account.command()
@data_option
@click.argument("account_id", metavar="ACCOUNT")
@actor_option
@json_option
def bar(data: Path, account_id: str, token_file: Path | None, as_json: bool) -> None:
    """Bar an account: nothing that it logs in with works any more."""
    _set(data, account_id, token_file, disabled=True, as_json=as_json)


@account.command()
@data_option
@click.argument("account_id", metavar="ACCOUNT")
@actor_option
@json_option
def admit(data: Path, account_id: str, token_file: Path | None, as_json: bool) -> None:
    """Let a barred account in again."""
    _set(data, account_id, token_file, disabled=False, as_json=as_json)


def _set(
    data: Path, account_id: str, token_file: Path | None, *, disabled: bool, as_json: bool
) -> None:
    with opened(data) as store:
        actor = acting(store, token_file)
        found = find_account(store, account_id)
        actor.manage(found.org_id, found.roles)
        store.disable_account(found.id, disabled=disabled)
        event = "account.bar" if disabled else "account.admit"
        actor.audit(event, found.org_id, detail={"account": found.id})
    show(
        {"id": found.id, "name": found.name, "disabled": disabled},
        [f"{found.name} is {'barred' if disabled else 'let in'}."],
        as_json=as_json,
    )


_scope_option = click.option("--read-only", is_flag=True, help="Good for reading only.")
_days_option = click.option(
    "--days", type=click.IntRange(1), help="Let the binding expire after so many days."
)


@account.command("bind-certificate")
@data_option
@click.argument("account_id", metavar="ACCOUNT")
@click.argument("certificate", type=_FILE)
@click.option(
    "--this-one-only",
    is_flag=True,
    help="Bind the certificate, not its key: a renewal is then bound anew.",
)
@_days_option
@_scope_option
@actor_option
@json_option
def bind_certificate(
    data: Path,
    account_id: str,
    certificate: Path,
    this_one_only: bool,
    days: int | None,
    read_only: bool,
    token_file: Path | None,
    as_json: bool,
) -> None:
    """Bind a client CERTIFICATE (PEM) to an account, by the hash of its key.

    The hub takes it from the reverse proxy that ends TLS: see --client-cert-header of hub serve.
    """
    from hub.channel.primitives.certificate import read_pem

    try:
        shown = read_pem(certificate.read_bytes())
    except OSError as error:
        raise InputError("cannot be read", where=str(certificate)) from error
    except InputError as error:
        raise InputError(
            error.message,
            where=str(certificate),
            hint="give the client's own certificate alone, without its chain and key",
        ) from error
    if shown.not_after <= time.time() or not shown.for_clients:
        raise InputError("expired, or not for clients", where=str(certificate))
    kind = LoginKind.CERTIFICATE if this_one_only else LoginKind.KEY
    subject = shown.fingerprint if this_one_only else shown.key
    _bind(data, account_id, kind, subject, "", days, read_only, token_file, as_json)


@account.command("bind-oauth")
@data_option
@click.argument("account_id", metavar="ACCOUNT")
@click.option("--issuer", required=True, help="Identifier of the authorisation server.")
@click.option("--client-id", help="Tokens that this client got for itself.")
@click.option("--subject", help="Tokens with this `sub`, whichever client got them.")
@_days_option
@_scope_option
@actor_option
@json_option
def bind_oauth(
    data: Path,
    account_id: str,
    issuer: str,
    client_id: str | None,
    subject: str | None,
    days: int | None,
    read_only: bool,
    token_file: Path | None,
    as_json: bool,
) -> None:
    """Bind a client or subject of an authorisation server to an account."""
    if (client_id is None) == (subject is None):
        raise click.UsageError("Give either --client-id or --subject.")
    kind = LoginKind.SUBJECT if client_id is None else LoginKind.CLIENT
    name = subject if client_id is None else client_id
    _bind(data, account_id, kind, name or "", issuer, days, read_only, token_file, as_json)


def _bind(
    data: Path,
    account_id: str,
    kind: LoginKind,
    subject: str,
    issuer: str,
    days: int | None,
    read_only: bool,
    token_file: Path | None,
    as_json: bool,
) -> None:
    expires = None if days is None else int(time.time()) + days * _DAY
    scopes = frozenset({"read"} if read_only else {"read", "write"})
    with opened(data) as store:
        actor = acting(store, token_file)
        found = find_account(store, account_id)
        actor.manage(found.org_id, found.roles)
        made = store.add_login(
            found.id, kind, subject, issuer=issuer, scopes=scopes, expires=expires
        )
        detail = {"account": found.id, "login": made.id, "kind": kind.value, "subject": subject}
        actor.audit("account.bind", found.org_id, detail=detail)
    show(_login(made), [f"{found.name} logs in with {_line(made)}"], as_json=as_json)


@account.command()
@data_option
@click.argument("login_id", metavar="LOGIN")
@actor_option
@json_option
def unbind(data: Path, login_id: str, token_file: Path | None, as_json: bool) -> None:
    """Unbind a certificate or OAuth client at once."""
    with opened(data) as store:
        actor = acting(store, token_file)
        found = _account_of(store, login_id)
        actor.manage(found.org_id, found.roles)
        store.remove_login(login_id)
        detail = {"account": found.id, "login": login_id}
        actor.audit("account.unbind", found.org_id, detail=detail)
    show({"unbound": login_id}, [f"Login {login_id} is unbound."], as_json=as_json)


def _account_of(store: Store, login_id: str) -> Account:
    for one in store.logins():
        if one.id == login_id:
            return find_account(store, one.account_id)
    raise InputError("there is no such login", where=login_id, hint="stillwatch hub account list")
