"""`stillwatch hub role`: what accounts are for."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from hub.cli.groups import ToldGroup
from hub.cli.hub_actor import acting, actor_option, find_account
from hub.cli.hub_data import data_option, json_option, opened, show
from hub.store.records import Role

ABOUT: Final = {
    Role.PUBLISHER: "reads and writes where its organisation may",
    Role.SUBSCRIBER: "reads; posts to channels and inboxes, not to plain collections",
    Role.LIAISON: "reads only",
    Role.STEWARD: "manages its organisation's accounts, tokens and grants; reads no contents",
    Role.WITNESS: "checkpoints and proofs of channels' logs, nothing else",
    Role.ADMIN: "operates the hub; reads contents behind broken glass only",
}


@click.group(cls=ToldGroup)
def role() -> None:
    """Show what the roles are, and give them to accounts."""


@role.command("list")
@json_option
def list_(as_json: bool) -> None:
    """Say what each role may do."""
    show(
        {one.value: text for one, text in ABOUT.items()},
        [f"{one.value:10}  {text}" for one, text in ABOUT.items()],
        as_json=as_json,
    )


@role.command("set")
@data_option
@click.argument("account_id", metavar="ACCOUNT")
@click.argument("roles", nargs=-1, required=True, type=click.Choice([one.value for one in Role]))
@actor_option
@json_option
def set_(
    data: Path, account_id: str, roles: tuple[str, ...], token_file: Path | None, as_json: bool
) -> None:
    """Give an account these ROLES in place of those that it has."""
    chosen = frozenset(map(Role, roles))
    with opened(data) as store:
        actor = acting(store, token_file)
        found = find_account(store, account_id)
        actor.manage(found.org_id, found.roles | chosen)
        store.set_roles(found.id, chosen)
        detail = {
            "account": found.id,
            "before": " ".join(sorted(found.roles)),
            "roles": " ".join(sorted(chosen)),
        }
        actor.audit("account.roles", found.org_id, detail=detail)
    show(
        {"id": found.id, "roles": sorted(chosen)},
        [f"{found.name}: {', '.join(sorted(chosen))}."],
        as_json=as_json,
    )
