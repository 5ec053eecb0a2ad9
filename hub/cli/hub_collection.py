"""`stillwatch hub collection`: collections and grants."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import click

from hub.cli.groups import ToldGroup
from hub.cli.hub_actor import acting, actor_option
from hub.cli.hub_data import data_option, find_collection, find_org, json_option, opened, show
from hub.cli.hub_partition import partition
from hub.cli.progress import progress
from hub.errors import ConflictError, InputError
from hub.model.markings import TLP
from hub.store.ceiling import beneath
from hub.store.interface import Store
from hub.store.records import Collection, Grant, Kind


@click.group(cls=ToldGroup)
def collection() -> None:
    """Add, list and grant collections."""


def _document(found: Collection, grants: list[Grant]) -> dict[str, Any]:
    return {
        "id": found.id,
        "kind": found.kind.value,
        "title": found.title,
        "description": found.description,
        "alias": found.alias,
        "owner": found.owner_org,
        "channel": found.channel_id,
        "inbox_of": found.inbox_of,
        "grants": [
            {
                "org": one.org_id,
                "can_read": one.can_read,
                "can_write": one.can_write,
                "clearance": _label(one.clearance),
            }
            for one in grants
        ],
        "ceiling": _label(found.ceiling),
        "government": found.government,
    }


def _label(level: TLP | None) -> str | None:
    return None if level is None else level.value_name


def _add_inbox(store: Store, channel: Collection) -> Collection:
    return store.create_collection(
        Kind.INBOX,
        f"{channel.title} (join requests)",
        owner_org=channel.owner_org,
        description=f"Join requests for the channel in collection {channel.id}",
        inbox_of=channel.id,
    )


@collection.command()
@data_option
@click.argument("title")
@click.option("--owner", required=True, help="Organisation (id or name) that owns it.")
@click.option(
    "--kind",
    type=click.Choice([Kind.PLAIN.value, Kind.CHANNEL.value]),
    default=Kind.CHANNEL.value,
    show_default=True,
    help="channel: sealed messages of members, with an inbox beside it; plain: any STIX.",
)
@click.option("--description")
@click.option("--alias", help="A short name for URLs.")
@json_option
def add(
    data: Path,
    title: str,
    owner: str,
    kind: str,
    description: str | None,
    alias: str | None,
    as_json: bool,
) -> None:
    """Add a collection. Its owner may read and write a plain one at once."""
    with opened(data) as store:
        org = find_org(store, owner)
        if any(one.title == title for one in store.collections()):
            click.echo(
                f"stillwatch: warning: another collection is called {title}; members then name "
                "them by id",
                err=True,
            )
        made = store.create_collection(
            Kind(kind), title, owner_org=org.id, description=description, alias=alias
        )
        inbox = _add_inbox(store, made) if made.kind is Kind.CHANNEL else None
        if made.kind is Kind.PLAIN:
            store.set_grant(made.id, org.id, can_read=True, can_write=True)
        store.audit("collection.add", org_id=org.id, collection_id=made.id)
        document = _document(made, store.grants(made.id))
    lines = [f"Added {made.kind.value} collection {made.id}, owned by {org.name}."]
    if inbox is not None:
        document["inbox"] = inbox.id
        lines.append(f"Its inbox for join requests: {inbox.id}")
    show(document, lines, as_json=as_json)


@collection.command("list")
@data_option
@json_option
def list_(data: Path, as_json: bool) -> None:
    """List collections, oldest first."""
    with opened(data) as store:
        names = {one.id: one.name for one in store.orgs()}
        documents = []
        lines = []
        for found in store.collections():
            documents.append(
                {**_document(found, store.grants(found.id)), "objects": store.count(found.id)}
            )
            lines.append(
                f"{found.id}  {found.kind.value:7}  {store.count(found.id):>8} objects  "
                f"{names.get(found.owner_org, found.owner_org)}  {found.title}"
            )
            if found.ceiling is not None:
                lines.append(f"    holds up to {found.ceiling.label}")
            if found.government:
                lines.append("    opened to governments")
            lines += [
                f"    {names.get(one.org_id, one.org_id)} may {_may(one)}"
                for one in store.grants(found.id)
            ]
    show(documents, lines or ["No collections."], as_json=as_json)


def _may(grant: Grant) -> str:
    allowed = (("read", grant.can_read), ("write", grant.can_write))
    reach = "" if grant.clearance is None else f", up to {grant.clearance.label}"
    return (" and ".join(word for word, on in allowed if on) or "do nothing") + reach


_tlp: Final = click.Choice([level.value_name for level in TLP])


@collection.command()
@data_option
@click.argument("collection_id")
@click.argument("org")
@click.option("--read/--no-read", default=False)
@click.option("--write/--no-write", default=False)
@click.option(
    "--clearance", type=_tlp, help="It reads only while the collection's ceiling is not above that."
)
@actor_option
@json_option
def grant(
    data: Path,
    collection_id: str,
    org: str,
    read: bool,
    write: bool,
    clearance: str | None,
    token_file: Path | None,
    as_json: bool,
) -> None:
    """Set what an organisation may do in a plain collection; neither takes the grant away.

    Channels are not granted: their members are whom the signed manifest names.
    """
    with opened(data) as store:
        actor = acting(store, token_file)
        found = _plain(store, collection_id, "granted")
        actor.manage(found.owner_org)
        target = find_org(store, org)
        store.set_grant(
            found.id, target.id, can_read=read, can_write=write, clearance=_level(clearance)
        )
        detail = {"read": str(read), "write": str(write), "clearance": clearance or "any"}
        actor.audit(
            "collection.grant",
            target.id,
            collection_id=found.id,
            detail=detail,
            concerns=frozenset({found.owner_org}),
        )
        document = _document(found, store.grants(found.id))
    granted = " and ".join(word for word, on in (("read", read), ("write", write)) if on)
    show(
        document,
        [f"{target.name} may {granted or 'do nothing'} in {found.title}."],
        as_json=as_json,
    )


@collection.command()
@data_option
@click.argument("collection_id")
@click.argument("tlp", type=click.Choice([*_tlp.choices, "any"]))
@actor_option
@json_option
def ceiling(
    data: Path, collection_id: str, tlp: str, token_file: Path | None, as_json: bool
) -> None:
    """Set the highest TLP marking that a plain collection holds.

    What is marked higher is refused from then on; without a marking it counts as amber. A
    collection that holds something higher already keeps the ceiling that it has.
    """
    wanted = None if tlp == "any" else _level(tlp)
    with opened(data) as store:
        actor = acting(store, token_file)
        found = _plain(store, collection_id, "given a ceiling")
        actor.manage(found.owner_org)
        # Looked through before it is set: readers are let in by it. What comes meanwhile is looked
        # through as it is set.
        seen, above = store.head(found.id), 0
        if wanted is not None:
            with progress("Looking through the collection"):
                above = sum(not beneath(raw, wanted) for raw in store.raw_messages(found.id))
        if above:
            raise ConflictError(
                f"{above} objects in it are marked higher",
                where=collection_id,
                hint="delete them first, or choose a higher ceiling",
            )
        store.set_ceiling(found.id, wanted, seen=seen)
        actor.audit(
            "collection.ceiling", found.owner_org, collection_id=found.id, detail={"tlp": tlp}
        )
        document = _document(find_collection(store, found.id), store.grants(found.id))
    show(document, [f"{found.title} holds up to {tlp}."], as_json=as_json)


@collection.command()
@data_option
@click.argument("collection_id")
@click.option("--open/--closed", "opened_up", required=True)
@actor_option
@json_option
def government(
    data: Path, collection_id: str, opened_up: bool, token_file: Path | None, as_json: bool
) -> None:
    """Open a plain collection to the governments that were granted to read it, or close it.

    Each of their reads is in the audit log and shown to the owner. In channels the signed manifest
    decides alone.
    """
    with opened(data) as store:
        actor = acting(store, token_file)
        found = _plain(store, collection_id, "opened")
        actor.manage(found.owner_org)
        store.open_to_government(found.id, opened=opened_up)
        detail = {"open": str(opened_up)}
        actor.audit("collection.government", found.owner_org, collection_id=found.id, detail=detail)
        document = _document(find_collection(store, found.id), store.grants(found.id))
    state = "opened to governments" if opened_up else "closed to governments"
    show(document, [f"{found.title} is {state}."], as_json=as_json)


def _plain(store: Store, collection_id: str, done: str) -> Collection:
    found = find_collection(store, collection_id)
    if found.kind is not Kind.PLAIN:
        raise InputError(
            f"a {found.kind.value} collection is not {done}",
            where=collection_id,
            hint="invite the organisation to the channel: stillwatch channel invite",
        )
    return found


def _level(label: str | None) -> TLP | None:
    return None if label is None else TLP.from_label(label)


collection.add_command(partition)
