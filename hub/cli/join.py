"""`stillwatch join`: accept an invitation to a channel."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from hub.channel.card import fingerprint_text
from hub.channel.invite import parse_invitation
from hub.cli.account_options import Login, account_of, account_options
from hub.cli.init import words_text
from hub.cli.options import (
    desk_of,
    home_options,
    json_option,
    load_home,
    print_json,
    read_secret,
)
from hub.client.joining import Joining, join
from hub.client.keyring import write_private
from hub.client.transport import checked_url
from hub.errors import AccessError, InputError, VerificationError


@click.command("join")
@home_options
@account_options
@click.option(
    "--invitation-file",
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    help="File holding the invitation, - for standard input; else you are asked.",
)
@click.option("--name", default="", help="What to call the channel here.")
@click.option(
    "--hub",
    "expected",
    default=None,
    help="URL of the hub, as its operator gave it: refuse an invitation to another one.",
)
@click.option(
    "--request-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the join request to a file for the owner, for servers without a join inbox.",
)
@json_option
def command(
    home: Path,
    passphrase_file: Path | None,
    login: Login,
    invitation_file: Path | None,
    name: str,
    expected: str | None,
    request_file: Path | None,
    as_json: bool,
) -> None:
    """Accept an invitation to a channel.

    The invitation holds a secret: it is read from a file or typed, never given as an argument.
    """
    text = _invitation(invitation_file)
    invitation = parse_invitation(text)
    # The token goes where the invitation says: whoever reads this can still stop.
    click.echo(f"Joining over {invitation.api_root}", err=True)
    if expected is not None and checked_url(expected, allow_plain_http=True) != checked_url(
        invitation.api_root, allow_plain_http=True
    ):
        raise VerificationError(
            f"the invitation leads to {invitation.api_root}, not to {expected}",
            where="invitation",
            hint="ask the inviting organisation; the token was not sent",
        )
    with load_home(home, passphrase_file) as opened:
        if opened.organisation.casefold() != invitation.organisation.casefold():
            click.echo(
                f"stillwatch: warning: the invitation is for {invitation.organisation}, this home "
                f"is that of {opened.organisation}",
                err=True,
            )
        account = account_of(opened, invitation.api_root, login)
        if invitation.inbox is None and request_file is None:
            raise InputError("this server has no join inbox", hint="--request-file FILE")
        done = join(desk_of(opened), text, account, name, by_file=request_file is not None)
        if name and done.channel.name != name:
            click.echo(
                f"stillwatch: warning: the channel is called {done.channel.name} here already",
                err=True,
            )
        if request_file is not None:
            write_private(request_file, done.request)
        _show(done, request_file, as_json=as_json)


def _invitation(path: Path | None) -> str:
    if path is not None:
        return read_secret(path).decode("utf-8", "replace").strip()
    if not sys.stdin.isatty():
        raise AccessError("no invitation was given", hint="--invitation-file FILE")
    return str(click.prompt("Invitation", hide_input=True, err=True)).strip()


def _show(done: Joining, request_file: Path | None, *, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "channel": done.channel.name,
                "channel_id": done.channel.channel_id,
                "organisation": done.invitation.organisation,
                "invited_by": fingerprint_text(done.invitation.sponsor),
                "roles": sorted(str(each) for each in done.invitation.roles),
                "words": list(done.own_words),
                "owner_words": [list(each) for each in done.owner_words],
                "sent": done.sent,
                "request_file": str(request_file) if request_file else None,
            }
        )
        return
    roles = ", ".join(sorted(str(each) for each in done.invitation.roles))
    click.echo(f"{done.invitation.organisation} asks to join {done.channel.name} as: {roles}.")
    if request_file is not None:
        click.echo(
            f"Hand {request_file} to the owner: channel approve --request {request_file.name}"
        )
    click.echo("\nYour words; the owner sees the same and must hear them from you:")
    click.echo(words_text(done.own_words))
    for words in done.owner_words:
        click.echo("\nThe owner's words; hear them from the owner:")
        click.echo(words_text(words))
    click.echo("\nAfter the owner has approved: stillwatch pull")
