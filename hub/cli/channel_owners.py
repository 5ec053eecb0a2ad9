"""`stillwatch channel owner`, `threshold`, `policy` and `re-enrol`: what owners decide."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from hub.cli.groups import ToldGroup
from hub.cli.hub_data import refuse_existing
from hub.cli.names import channel_names
from hub.cli.options import desk_of, home_options, iso, json_option, load_home, print_json, utc
from hub.cli.policy_options import field_text, given_fields, policy_options
from hub.cli.proposal_view import (
    compare,
    confirm,
    member_of,
    show_changes,
    show_outcome,
    words_options,
)
from hub.client.governance import (
    add_owner,
    change_policy,
    preview_policy,
    re_enrol,
    remove_owner,
    set_threshold,
)
from hub.client.keyring import write_private
from hub.client.naming import member_names
from hub.errors import InputError

_THRESHOLD = click.option(
    "--threshold",
    type=click.IntRange(1, 32),
    default=None,
    help="How many owners sign from then on; as before without it.",
)
_YES = click.option("--yes", is_flag=True, help="Do not ask.")


@click.group("owner", cls=ToldGroup)
def owner_command() -> None:
    """Add and remove owners."""


@owner_command.command("add")
@click.argument("name", shell_complete=channel_names)
@click.argument("member")
@_THRESHOLD
@words_options
@home_options
@json_option
def add_command(
    name: str,
    member: str,
    threshold: int | None,
    words: tuple[str, ...],
    yes_words_match: bool,
    home: Path,
    passphrase_file: Path | None,
    as_json: bool,
) -> None:
    """Make a MEMBER an owner, by its id or name, after it read its words to you."""
    with load_home(home, passphrase_file) as opened:
        channel = opened.state.channel(name)
        wanted = member_of(opened, channel, member)
        row = opened.trusted(channel).manifest.member(wanted)
        if row is None:
            raise InputError("no such member", where=member, hint=f"channel members {name}")
        called = member_names(opened, channel).get(wanted, member)
        compare({row.root: called}, words, yes=yes_words_match)
        outcome = add_owner(desk_of(opened), name, wanted, threshold=threshold)
        show_outcome(outcome, name, f"{member} is an owner now.", as_json=as_json)


@owner_command.command("remove")
@click.argument("name", shell_complete=channel_names)
@click.argument("member")
@_THRESHOLD
@_YES
@home_options
@json_option
def remove_command(
    name: str,
    member: str,
    threshold: int | None,
    yes: bool,
    home: Path,
    passphrase_file: Path | None,
    as_json: bool,
) -> None:
    """Let an owner go on as a mere member; it has to post a new card first.

    An owner that leaves altogether, or lost its root: `channel remove`, `channel re-enrol`.
    """
    with load_home(home, passphrase_file) as opened:
        wanted = member_of(opened, opened.state.channel(name), member)
        confirm(f"Take ownership of {name} from {member}?", yes=yes)
        outcome = remove_owner(desk_of(opened), name, wanted, threshold=threshold)
        show_outcome(outcome, name, f"{member} is an owner no more.", as_json=as_json)


@click.command("threshold")
@click.argument("name", shell_complete=channel_names)
@click.argument("number", type=click.IntRange(1, 32))
@_YES
@home_options
@json_option
def threshold_command(
    name: str, number: int, yes: bool, home: Path, passphrase_file: Path | None, as_json: bool
) -> None:
    """Say how many owners must sign a change; the old and the new number of them sign this."""
    with load_home(home, passphrase_file) as opened:
        owners = len(opened.trusted(opened.state.channel(name)).manifest.owners)
        if number == owners > 1:
            click.echo(
                f"stillwatch: warning: with {number} of {owners} the loss of one root ends the "
                "channel",
                err=True,
            )
        confirm(f"{number} of {owners} owners sign from then on?", yes=yes)
        outcome = set_threshold(desk_of(opened), name, number)
        done = f"{number} of {owners} owners sign from now on."
        show_outcome(outcome, name, done, as_json=as_json)


@click.command("policy")
@click.argument("name", shell_complete=channel_names)
@policy_options
@click.option("--dry-run", is_flag=True, help="Show what would change; change nothing.")
@_YES
@home_options
@json_option
def policy_command(
    name: str,
    dry_run: bool,
    yes: bool,
    home: Path,
    passphrase_file: Path | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Show the channel's policy, or change fields of it."""
    fields = given_fields(**options)
    with load_home(home, passphrase_file) as opened:
        channel = opened.state.channel(name)
        if not fields:
            policy = opened.trusted(channel).manifest.policy.to_json()
            if as_json:
                print_json({"channel": channel.name, "policy": policy})
                return
            for field, value in policy.items():
                click.echo(f"{field}: {field_text(field, value)}")
            return
        found = preview_policy(opened, channel, fields)
        if dry_run:
            if as_json:
                print_json({"channel": channel.name, "changes": [each.text for each in found]})
                return
            show_changes(found)
            return
        if not as_json:
            show_changes(found)
        confirm(f"Change the policy of {name}?", yes=yes)
        outcome = change_policy(desk_of(opened), name, fields)
        show_outcome(outcome, name, "It is in force now.", as_json=as_json)


@click.command("re-enrol")
@click.argument("name", shell_complete=channel_names)
@click.argument("member")
@click.option("--days", type=click.IntRange(1, 90), default=7, show_default=True)
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the invitation to a file of mode 0600 instead of the screen.",
)
@home_options
@json_option
def re_enrol_command(
    name: str,
    member: str,
    days: int,
    out: Path | None,
    home: Path,
    passphrase_file: Path | None,
    as_json: bool,
) -> None:
    """Invite a MEMBER that lost its root to come back under its id with a new one.

    It makes a new home with `stillwatch init --member ID` and joins with the invitation;
    `channel approve` then compares the words, ends its old key and changes the fingerprint key.
    """
    with load_home(home, passphrase_file) as opened:
        refuse_existing(out)
        wanted = member_of(opened, opened.state.channel(name), member)
        made = re_enrol(desk_of(opened), name, wanted, lifetime_s=days * 86_400)
        if out is not None:
            write_private(out, made.text.encode() + b"\n")
        if as_json:
            document = {
                "invitation_id": made.id,
                "organisation": made.organisation,
                "member": wanted,
                "expires": iso(made.expires),
                "file": str(out) if out else None,
            }
            print_json(document if out else document | {"invitation": made.text})
            return
        if out is None:
            click.echo(made.text)
        click.echo(f"For {made.organisation}, until {utc(made.expires)}; it serves once.", err=True)
        click.echo(f"There: stillwatch init --organisation NAME --member {wanted}", err=True)
