"""`stillwatch hub org`: the organisations that have an account."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from hub.cli.groups import ToldGroup
from hub.cli.hub_actor import acting, actor_option
from hub.cli.hub_data import data_option, find_org, json_option, moment, opened, show
from hub.store.records import Binding, Org


@click.group(cls=ToldGroup)
def org() -> None:
    """Add, list, bar, let in and unbind organisations."""


def _document(org: Org, bindings: list[Binding]) -> dict[str, Any]:
    return {
        "id": org.id,
        "name": org.name,
        "created": org.created,
        "disabled": org.disabled,
        "government": org.government,
        "members": [{"member": one.member, "root": one.root_id} for one in bindings],
    }


@org.command()
@data_option
@click.argument("name")
@click.option("--government", is_flag=True, help="It reads only what owners opened to governments.")
@actor_option
@json_option
def add(data: Path, name: str, government: bool, token_file: Path | None, as_json: bool) -> None:
    """Add an organisation; it can do nothing before it is issued a token."""
    with opened(data) as store:
        actor = acting(store, token_file)
        actor.operate()
        made = store.create_org(name, government=government)
        actor.audit("org.add", made.id, detail={"government": str(government)})
    show(
        _document(made, []),
        [
            f"Added {made.name} ({made.id}).",
            f"Next: stillwatch hub token issue --data {data} {made.id}",
        ],
        as_json=as_json,
    )


@org.command("list")
@data_option
@json_option
def list_(data: Path, as_json: bool) -> None:
    """List the organisations, oldest first."""
    with opened(data) as store:
        documents = [_document(one, store.bindings(one.id)) for one in store.orgs()]
    lines = [
        f"{one['id']}  {moment(one['created'])}  {'barred  ' if one['disabled'] else ''}"
        f"{'government  ' if one['government'] else ''}"
        f"{one['name']}" + (f"  ({len(one['members'])} channel members)" if one["members"] else "")
        for one in documents
    ]
    show(documents, lines or ["No organisations."], as_json=as_json)


@org.command()
@data_option
@click.argument("name")
@actor_option
@json_option
def bar(data: Path, name: str, token_file: Path | None, as_json: bool) -> None:
    """Bar an organisation: its tokens stop working at once."""
    _set(data, name, token_file, disabled=True, as_json=as_json)


@org.command()
@data_option
@click.argument("name")
@actor_option
@json_option
def admit(data: Path, name: str, token_file: Path | None, as_json: bool) -> None:
    """Let a barred organisation in again."""
    _set(data, name, token_file, disabled=False, as_json=as_json)


@org.command()
@data_option
@click.argument("name")
@click.argument("kind", type=click.Choice(["ordinary", "government"]))
@actor_option
@json_option
def kind(data: Path, name: str, kind: str, token_file: Path | None, as_json: bool) -> None:
    """Say whether an organisation is a government's, which then reads what was opened to it."""
    with opened(data) as store:
        actor = acting(store, token_file)
        actor.operate()
        found = find_org(store, name)
        store.set_government(found.id, government=kind == "government")
        actor.audit("org.kind", found.id, detail={"kind": kind})
    show(
        {"id": found.id, "name": found.name, "government": kind == "government"},
        [f"{found.name}: {kind}."],
        as_json=as_json,
    )


@org.command()
@data_option
@click.argument("name")
@json_option
def unbind(data: Path, name: str, as_json: bool) -> None:
    """Forget which channel members an organisation's account proved to be.

    For an account that a member used by mistake: the key is then free for the right one. An account
    that is unbound proves itself again at its next `join` or `channel account`.
    """
    with opened(data) as store:
        found = find_org(store, name)
        members = [one.member for one in store.bindings(found.id)]
        store.unbind_members(found.id)
        store.audit("org.unbind", org_id=found.id, detail={"members": str(len(members))})
    show(
        {"id": found.id, "name": found.name, "unbound": members},
        [f"{found.name} is bound to no channel member; it was to {len(members)}."],
        as_json=as_json,
    )


def _set(data: Path, name: str, token_file: Path | None, *, disabled: bool, as_json: bool) -> None:
    with opened(data) as store:
        actor = acting(store, token_file)
        actor.operate()
        found = find_org(store, name)
        store.disable_org(found.id, disabled=disabled)
        actor.audit("org.bar" if disabled else "org.admit", found.id)
    document = {"id": found.id, "name": found.name, "disabled": disabled}
    show(document, [f"{found.name} is {'barred' if disabled else 'let in'}."], as_json=as_json)
