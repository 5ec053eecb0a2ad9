"""`stillwatch channel`: the life of a channel; its larger commands have their own modules."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import click

from hub.channel.card import fingerprint_text, fingerprint_words
from hub.cli.account_options import Login, account_of, account_options
from hub.cli.channel_account import account_command
from hub.cli.channel_admission import approve_command, remove_command, revoke_command
from hub.cli.channel_audit import audit_command
from hub.cli.channel_custodians import custodians_command
from hub.cli.channel_forget import forget_command
from hub.cli.channel_leave import leave_command
from hub.cli.channel_log import log_command
from hub.cli.channel_owners import (
    owner_command,
    policy_command,
    re_enrol_command,
    threshold_command,
)
from hub.cli.channel_proposals import proposals_command, propose_command, sign_command
from hub.cli.channel_reads import reads_command
from hub.cli.channel_renew import renew_command
from hub.cli.channel_repost import repost_command
from hub.cli.channel_requests import refuse_command, requests_command
from hub.cli.channel_succeed import succeed_command
from hub.cli.groups import ToldGroup
from hub.cli.hub_data import refuse_existing
from hub.cli.init import words_text
from hub.cli.names import channel_names
from hub.cli.options import (
    desk_of,
    home_options,
    iso,
    json_option,
    load_home,
    print_json,
    utc,
)
from hub.cli.policy_options import policy_of, policy_options
from hub.client.keyring import write_private
from hub.client.log_pin import LogChoice
from hub.client.membership import ROLE_SETS, create, invite
from hub.client.naming import member_names
from hub.client.succession import succeeded
from hub.client.transport import discover
from hub.model.codec import Json


@click.group("channel", cls=ToldGroup)
def command() -> None:
    """Create, invite, approve, list, remove, renew; and what several owners decide."""


@command.command("create")
@click.argument("name")
@click.option(
    "--hub", "api_root", required=True, help="URL of the hub's API root, or of its discovery."
)
@click.option("--collection", required=True, help="Id or title of an empty collection on the hub.")
@policy_options
@click.option("--no-log", is_flag=True, help="Do not require the log that the hub keeps.")
@click.option(
    "--witness",
    "witnesses",
    multiple=True,
    metavar="KEY",
    help="Verifier key of a witness that must cosign the log's checkpoints.",
)
@click.option(
    "--quorum",
    type=click.IntRange(1, 32),
    help="How many witnesses must cosign; more than half of them without it.",
)
@account_options
@home_options
@json_option
def create_command(
    name: str,
    api_root: str,
    collection: str,
    no_log: bool,
    witnesses: tuple[str, ...],
    quorum: int | None,
    login: Login,
    home: Path,
    passphrase_file: Path | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Open a channel in an empty collection of a hub; you become its owner."""
    policy = policy_of(**options)
    with load_home(home, passphrase_file) as opened:
        account = account_of(opened, api_root, login)
        account = dataclasses.replace(account, api_root=discover(account, opened.settings))
        log = LogChoice(not no_log, witnesses, quorum)
        made = create(desk_of(opened), name, account, collection, policy, log)
        root = opened.keyring.root_id
        if as_json:
            print_json(
                {
                    "channel": made.name,
                    "channel_id": made.channel_id,
                    "collection": made.collection_id,
                    "inbox": made.inbox_id,
                    "words": list(fingerprint_words(root)),
                    "fingerprint": fingerprint_text(root),
                }
            )
            return
        click.echo(f"Opened channel {made.name} ({made.channel_id[:16]}…).")
        if made.inbox_id is None:
            click.echo("This server has no join inbox: join requests travel as files.")
        click.echo("Your words, for those whom you invite:")
        click.echo(words_text(fingerprint_words(root)))


@command.command("invite")
@click.argument("name", shell_complete=channel_names)
@click.option("--organisation", required=True, help="Whom the invitation is for.")
@click.option(
    "--role",
    type=click.Choice(sorted(ROLE_SETS)),
    required=True,
    help="publish: also reads; report: also reads; read; liaison: aggregates only.",
)
@click.option("--days", type=click.IntRange(1, 90), default=7, show_default=True)
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the invitation to a file of mode 0600 instead of the screen.",
)
@home_options
@json_option
def invite_command(
    name: str,
    organisation: str,
    role: str,
    days: int,
    out: Path | None,
    home: Path,
    passphrase_file: Path | None,
    as_json: bool,
) -> None:
    """Make an invitation for one organisation; it serves once.

    Hand it over by a way that the hub's operator does not control.
    """
    with load_home(home, passphrase_file) as opened:
        # The invitation in that file would stay good, and nobody would have it.
        refuse_existing(out)
        made = invite(desk_of(opened), name, organisation, role, lifetime_s=days * 86_400)
        if out is not None:
            write_private(out, made.text.encode() + b"\n")
        if as_json:
            document = {
                "invitation_id": made.id,
                "organisation": organisation,
                "role": role,
                "expires": iso(made.expires),
                "file": str(out) if out else None,
            }
            print_json(document if out else document | {"invitation": made.text})
            return
        if out is None:
            click.echo(made.text)
        click.echo(
            f"For {organisation} ({role}), until {utc(made.expires)}; it serves once.", err=True
        )


@command.command("members")
@click.argument("name", shell_complete=channel_names)
@home_options
@json_option
def members_command(name: str, home: Path, passphrase_file: Path | None, as_json: bool) -> None:
    """List the members of a channel, their roles and their cards."""
    with load_home(home, passphrase_file) as opened:
        channel = opened.state.channel(name)
        trusted = opened.trusted(channel)
        names = member_names(opened, channel)
        rows: list[Json] = []
        for member in trusted.manifest.members:
            card = trusted.cards.get(member.member)
            rows.append(
                {
                    "member": member.member,
                    "name": names.get(member.member),
                    "owner": member.root in trusted.manifest.owners,
                    "roles": sorted(str(role) for role in member.roles),
                    "fingerprint": fingerprint_text(member.root),
                    "words": list(fingerprint_words(member.root)),
                    "card": card.number if card else None,
                    "card_expires": iso(card.not_after) if card else None,
                    "last_message": (trusted.last(card.sign_id) or (0, ""))[0] if card else None,
                }
            )
        if as_json:
            print_json(
                {
                    "channel": channel.name,
                    "version": trusted.manifest.version,
                    "threshold": trusted.manifest.threshold,
                    "owners": len(trusted.manifest.owners),
                    "succeeds": succeeded(opened, channel),
                    "members": rows,
                }
            )
            return
        for row in rows:
            roles = ", ".join((["owner"] if row["owner"] else []) + row["roles"])
            click.echo(f"{row['name'] or 'name not told'}: {roles}")
            click.echo(f"  {row['member']}")
            said = f", {row['last_message']} messages" if row["last_message"] else ""
            click.echo(f"  card {row['card']}, until {row['card_expires']}{said}")
        manifest = trusted.manifest
        click.echo(f"{manifest.threshold} of {len(manifest.owners)} owners sign a change.")
        link = succeeded(opened, channel)
        if link is not None:
            click.echo(link["text"])


command.add_command(account_command)
command.add_command(approve_command)
command.add_command(audit_command)
command.add_command(custodians_command)
command.add_command(forget_command)
command.add_command(log_command)
command.add_command(leave_command)
command.add_command(owner_command)
command.add_command(policy_command)
command.add_command(propose_command)
command.add_command(proposals_command)
command.add_command(reads_command)
command.add_command(re_enrol_command)
command.add_command(refuse_command)
command.add_command(remove_command)
command.add_command(renew_command)
command.add_command(repost_command)
command.add_command(requests_command)
command.add_command(revoke_command)
command.add_command(sign_command)
command.add_command(succeed_command)
command.add_command(threshold_command)
