"""`stillwatch channel requests` and `refuse`: who asks to join."""

from __future__ import annotations

from pathlib import Path

import click

from hub.cli.channel_admission import choose
from hub.cli.init import words_text
from hub.cli.names import channel_names
from hub.cli.options import desk_of, home_options, iso, json_option, load_home, print_json, utc
from hub.client.requests import candidates, refuse
from hub.errors import InputError


@click.command("requests")
@click.argument("name", shell_complete=channel_names)
@home_options
@json_option
def requests_command(name: str, home: Path, passphrase_file: Path | None, as_json: bool) -> None:
    """List the join requests that wait, each with its words."""
    with load_home(home, passphrase_file) as opened:
        found, passed = candidates(desk_of(opened), name)
    if as_json:
        print_json(
            {
                "channel": name,
                "requests": [
                    {
                        "id": each.object_id,
                        "organisation": each.invitation.organisation,
                        "roles": list(each.invitation.roles),
                        "member": each.request.member,
                        "created": iso(each.request.created),
                        "fingerprint": each.fingerprint,
                        "words": list(each.words),
                    }
                    for each in found
                ],
                "passed_over": [{"id": each.object_id, "reason": each.reason} for each in passed],
            }
        )
        return
    if not found:
        click.echo("No join request waits.")
    for each in found:
        roles = ", ".join(each.invitation.roles)
        click.echo(f"{each.invitation.organisation} ({roles}), asked {utc(each.request.created)}")
        click.echo(f"  {each.object_id}")
        click.echo(words_text(each.words))
    for other in passed:
        click.echo(f"Passed over: {other.object_id}: {other.reason}")


@click.command("refuse")
@click.argument("name", shell_complete=channel_names)
@click.argument("request_id", required=False)
@click.option("--organisation", default=None, help="Whose request, when it is the only one.")
@click.option("--words", default=None, help="The words of the request to delete.")
@home_options
@json_option
def refuse_command(
    name: str,
    request_id: str | None,
    organisation: str | None,
    words: str | None,
    home: Path,
    passphrase_file: Path | None,
    as_json: bool,
) -> None:
    """Delete a join request, by REQUEST_ID as `channel requests` shows it, or by its words.

    The invitation stays good: the organisation that it was meant for can still answer it.
    """
    if request_id is None and organisation is None and words is None:
        raise InputError(
            "say which request", hint=f"its id, as stillwatch channel requests {name} shows it"
        )
    with load_home(home, passphrase_file) as opened:
        desk = desk_of(opened)
        found, passed = candidates(desk, name)
        if request_id is None:
            request_id = choose(found, name, organisation, words).object_id or ""
        known = {each.object_id for each in found} | {each.object_id for each in passed}
        if request_id not in known:
            raise InputError(
                "no such request", where=request_id, hint=f"stillwatch channel requests {name}"
            )
        refuse(desk, name, [request_id])
    if as_json:
        print_json({"channel": name, "refused": request_id})
        return
    click.echo(f"Deleted {request_id}.")
