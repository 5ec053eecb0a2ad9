"""`stillwatch witness log` and `stillwatch witness key`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from hub.channel.log.note import KeyType, VerifierKey
from hub.cli.groups import ToldGroup
from hub.cli.hub_data import json_option, moment, show
from hub.cli.witness_data import data_option, opened
from hub.errors import InputError
from hub.witness.state import Log, State


@click.command()
@data_option
@json_option
def key(data: Path, as_json: bool) -> None:
    """Show the verifier key that manifests name this witness by."""
    with opened(data) as (state, private):
        text = VerifierKey(state.name, KeyType.WITNESS, private.public).text
    show({"verifier_key": text}, [text], as_json=as_json)


@click.group(cls=ToldGroup)
def log() -> None:
    """Add, list and remove the logs that this witness cosigns."""


def _document(state: State, found: Log) -> dict[str, Any]:
    return {
        "origin": found.origin,
        "verifier_key": found.verifier_key,
        "active": found.active,
        "size": found.size,
        "root": found.root.hex(),
        "cosigned": found.cosigned,
        "refused": len(state.refused(found.origin)),
    }


@log.command()
@data_option
@click.argument("verifier_key")
@json_option
def add(data: Path, verifier_key: str, as_json: bool) -> None:
    """Cosign the log with this VERIFIER_KEY; also while the witness serves.

    `stillwatch hub log` shows it, and so does the channel's manifest. A log that was removed goes
    on where it was.
    """
    with opened(data) as (state, _):
        found = state.add_log(verifier_key)
        document = _document(state, found)
    show(document, [f"Cosigning {found.origin} from size {found.size}."], as_json=as_json)


@log.command("list")
@data_option
@json_option
def list_(data: Path, as_json: bool) -> None:
    """List logs, how far each was cosigned, and how many contradictions its key has signed."""
    with opened(data) as (state, _):
        documents = [_document(state, one) for one in state.logs()]
    lines = []
    for one in documents:
        removed = "" if one["active"] else "  removed"
        lines.append(f"{one['origin']}{removed}")
        lines.append(f"    size {one['size']}, cosigned {moment(one['cosigned'])}")
        if one["refused"]:
            lines.append(
                f"    {one['refused']} contradicting checkpoints: stillwatch witness log show"
            )
    show(documents, lines or ["No logs."], as_json=as_json)


@log.command("show")
@data_option
@click.argument("origin")
def show_(data: Path, origin: str) -> None:
    """Print the checkpoint of ORIGIN that was cosigned last, then those that contradict it."""
    with opened(data) as (state, _):
        found = next((one for one in state.logs() if one.origin == origin), None)
        if found is None:
            raise InputError("no such log", where=origin, hint="stillwatch witness log list")
        last = [] if found.checkpoint is None else [found.checkpoint]
        notes = [*last, *state.refused(origin)]
    if not notes:
        click.echo(f"stillwatch: {origin}: nothing is cosigned yet", err=True)
    click.echo("\n".join(notes), nl=False)


@log.command()
@data_option
@click.argument("origin")
@json_option
def remove(data: Path, origin: str, as_json: bool) -> None:
    """Cosign no more checkpoints of ORIGIN; what was cosigned stays remembered."""
    with opened(data) as (state, _):
        state.remove_log(origin)
    show({"removed": origin}, [f"Not cosigning {origin} any more."], as_json=as_json)
