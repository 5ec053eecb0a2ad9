"""`stillwatch channel approve` and `remove`: who is in."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import click

from hub.cli.init import words_text
from hub.cli.options import desk_of, home_options, json_option, load_home, print_json
from hub.client.membership import Candidate, approve, candidates, member_names, remove
from hub.errors import AccessError, ConflictError, InputError, VerificationError

_MAX_REQUEST: int = 4 * 1024 * 1024


@click.command("approve")
@click.argument("name")
@click.option("--organisation", default=None, help="Which request, when there are several.")
@click.option(
    "--request",
    "request_file",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="A join request that came as a file.",
)
@click.option("--words", default=None, help="The words that the organisation read out to you.")
@click.option(
    "--yes-words-match",
    is_flag=True,
    help="Do not ask: you have compared the words with the organisation already.",
)
@home_options
@json_option
def approve_command(
    name: str,
    organisation: str | None,
    request_file: Path | None,
    words: str | None,
    yes_words_match: bool,
    home: Path,
    passphrase_file: Path | None,
    as_json: bool,
) -> None:
    """Admit an organisation whose words you have compared out of band."""
    with load_home(home, passphrase_file) as opened:
        desk = desk_of(opened)
        content = _read(request_file) if request_file else None
        found, problems = candidates(desk, name, content)
        for problem in problems:
            click.echo(f"stillwatch: passed over: {problem}", err=True)
        chosen = _choose(found, organisation, words)
        roles = ", ".join(chosen.invitation.roles)
        if not as_json:
            click.echo(f"{chosen.invitation.organisation} asks to join {name} as: {roles}")
            click.echo(f"Fingerprint: {chosen.fingerprint}")
            click.echo("Words that the organisation must read out to you:")
            click.echo(words_text(chosen.words))
        _confirm(chosen, words, yes=yes_words_match)
        approve(desk, name, chosen)
        if as_json:
            print_json(
                {
                    "channel": name,
                    "organisation": chosen.invitation.organisation,
                    "member": chosen.request.member,
                    "roles": list(chosen.invitation.roles),
                    "fingerprint": chosen.fingerprint,
                    "words": list(chosen.words),
                }
            )
            return
        click.echo(f"{chosen.invitation.organisation} is a member now.")


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_REQUEST + 1)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=str(path)) from error
    if len(content) > _MAX_REQUEST:
        raise InputError("too long for a join request", where=str(path))
    return content


def _choose(found: list[Candidate], organisation: str | None, words: str | None) -> Candidate:
    if organisation is not None:
        found = [each for each in found if each.invitation.organisation == organisation]
    if words is not None and len(found) > 1:
        # Whoever stole an invitation asks under the same name; the words tell them apart.
        found = [each for each in found if _agree(each, words)] or found
    if not found:
        raise ConflictError(
            "no join request waits", hint="the organisation runs stillwatch join first"
        )
    if len(found) > 1:
        names = ", ".join(sorted(each.invitation.organisation for each in found))
        raise InputError(
            f"several requests wait: {names}", hint='--organisation NAME, or --words "..."'
        )
    return found[0]


def _agree(candidate: Candidate, words: str) -> bool:
    said = tuple(re.findall(r"[a-z]+", words.lower()))
    return said == tuple(each.lower() for each in candidate.words)


def _confirm(chosen: Candidate, words: str | None, *, yes: bool) -> None:
    if words is not None:
        if not _agree(chosen, words):
            raise VerificationError(
                "the words do not match: somebody may be in the middle",
                where=chosen.invitation.organisation,
                hint="do not approve; compare once more by telephone",
            )
        return
    if yes:
        return
    if not sys.stdin.isatty():
        raise AccessError(
            "the words are not confirmed", hint='--words "..." as read out, or --yes-words-match'
        )
    if not click.confirm("Did the organisation read out exactly these words?", err=True):
        raise AccessError("not approved: the words were not confirmed")


@click.command("remove")
@click.argument("name")
@click.argument("member")
@click.option("--yes", is_flag=True, help="Do not ask.")
@home_options
@json_option
def remove_command(
    name: str,
    member: str,
    yes: bool,
    home: Path,
    passphrase_file: Path | None,
    as_json: bool,
) -> None:
    """Remove a member, by its id or name: it reads nothing published from now on."""
    with load_home(home, passphrase_file) as opened:
        channel = opened.state.channel(name)
        names = member_names(opened, channel)
        fitting = [key for key, value in names.items() if member in (key, value)]
        wanted = fitting[0] if len(fitting) == 1 else member
        if not yes:
            if not sys.stdin.isatty():
                raise AccessError("not confirmed", hint="--yes")
            if not click.confirm(f"Remove {names.get(wanted, wanted)} from {name}?", err=True):
                raise AccessError("not removed")
        remove(desk_of(opened), name, wanted)
        if as_json:
            print_json({"channel": name, "removed": wanted})
            return
        click.echo(f"Removed {names.get(wanted, wanted)}; the keys are changed.")
        click.echo(
            "Publish account files again: tokens under the former key stay readable to it.",
            err=True,
        )
