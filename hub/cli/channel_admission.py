"""`stillwatch channel approve` and `remove`: who is in."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Final

import click

from hub.cli.init import words_text
from hub.cli.names import channel_names
from hub.cli.options import desk_of, home_options, json_option, load_home
from hub.cli.proposal_view import confirm, member_of, show_outcome
from hub.client.membership import approve, remove
from hub.client.naming import member_names
from hub.client.requests import Candidate, PassedOver, candidates, refuse
from hub.client.work import Desk
from hub.errors import AccessError, ConflictError, InputError, VerificationError

_MAX_REQUEST: Final = 4 * 1024 * 1024
_AFTER_REMOVAL: Final = (
    "Publish account files again: tokens under the former key stay readable to it."
)


@click.command("approve")
@click.argument("name", shell_complete=channel_names)
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
        found, passed = candidates(desk, name, content)
        if not found:
            _tell(passed)
        chosen = choose(found, name, organisation, words)
        roles = ", ".join(chosen.invitation.roles)
        if not as_json:
            click.echo(f"{chosen.invitation.organisation} asks to join {name} as: {roles}")
            click.echo(f"Fingerprint: {chosen.fingerprint}")
            click.echo("Words that the organisation must read out to you:")
            click.echo(words_text(chosen.words))
        _confirm(chosen, words, yes=yes_words_match)
        outcome = approve(desk, name, chosen)
        if chosen.object_id is not None:
            _clear(desk, name)
        show_outcome(
            outcome,
            name,
            f"{chosen.invitation.organisation} is a member now.",
            as_json=as_json,
            organisation=chosen.invitation.organisation,
            member=chosen.request.member,
            roles=list(chosen.invitation.roles),
            fingerprint=chosen.fingerprint,
            words=list(chosen.words),
        )


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_REQUEST + 1)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=str(path)) from error
    if len(content) > _MAX_REQUEST:
        raise InputError("too long for a join request", where=str(path))
    return content


def _tell(passed: list[PassedOver]) -> None:
    for each in passed:
        click.echo(f"stillwatch: passed over: {each.reason}", err=True)


def _clear(desk: Desk, name: str) -> None:
    """Delete what can never be approved: requests whose invitation was used, or has expired."""
    _, passed = candidates(desk, name)
    spent = [each for each in passed if each.spent]
    for each in spent:
        click.echo(f"stillwatch: deleted a request: {each.reason}", err=True)
    if spent:
        refuse(desk, name, [each.object_id for each in spent])


def choose(
    found: list[Candidate], channel: str, organisation: str | None, words: str | None
) -> Candidate:
    """The one request that is meant.

    Raises:
        ConflictError: none waits.
        InputError: several do, and neither name nor words tell them apart.
    """
    if not found:
        raise ConflictError(
            "no join request waits",
            where=channel,
            hint="the organisation runs stillwatch join first; "
            f"stillwatch channel requests {channel} shows what else lies in the inbox",
        )
    fitting = found
    if organisation is not None:
        fitting = [each for each in found if each.invitation.organisation == organisation]
        if not fitting:
            names = ", ".join(sorted({each.invitation.organisation for each in found}))
            raise InputError(f"no request by {organisation}; waiting: {names}", where=channel)
    if words is not None and len(fitting) > 1:
        # Whoever stole an invitation asks under the same name; the words tell them apart.
        fitting = [each for each in fitting if agree(each, words)]
        if not fitting:
            raise VerificationError(
                "no waiting request has these words: somebody may be in the middle",
                where=channel,
                hint="do not approve; compare once more by telephone",
            )
    if len(fitting) > 1:
        listed = "\n".join(
            f"  {each.invitation.organisation}: {' '.join(each.words)}" for each in fitting
        )
        raise InputError(
            f"several requests wait:\n{listed}",
            where=channel,
            hint='--words "..." as the organisation reads them to you; '
            f"stillwatch channel refuse {channel} deletes another",
        )
    return fitting[0]


def agree(candidate: Candidate, words: str) -> bool:
    """Whether these are the words of a request."""
    said = tuple(re.findall(r"[a-z]+", words.lower()))
    return said == tuple(each.lower() for each in candidate.words)


def _confirm(chosen: Candidate, words: str | None, *, yes: bool) -> None:
    if words is not None:
        if not agree(chosen, words):
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
@click.argument("name", shell_complete=channel_names)
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
        wanted = member_of(opened, channel, member)
        called = member_names(opened, channel).get(wanted, wanted)
        confirm(f"Remove {called} from {name}?", yes=yes)
        outcome = remove(desk_of(opened), name, wanted)
        done = f"Removed {called}; the keys are changed."
        show_outcome(outcome, name, done, as_json=as_json, removed=wanted)
        if outcome.in_force and not as_json:
            click.echo(_AFTER_REMOVAL, err=True)


@click.command("revoke")
@click.argument("name", shell_complete=channel_names)
@click.argument("member")
@click.option(
    "--after",
    type=click.IntRange(0),
    default=None,
    help="Position of the last message of its key that counts, as `channel members` shows it.",
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@home_options
@json_option
def revoke_command(
    name: str,
    member: str,
    after: int | None,
    yes: bool,
    home: Path,
    passphrase_file: Path | None,
    as_json: bool,
) -> None:
    """End a member's card at once, because its keys were stolen.

    With --after, what the thief said since is disowned: whoever took it sees an alarm. The member
    comes back with a new card of its root: `channel invite`, `join`, `channel approve`. If the
    root was stolen too: `channel re-enrol`.
    """
    with load_home(home, passphrase_file) as opened:
        channel = opened.state.channel(name)
        wanted = member_of(opened, channel, member)
        called = member_names(opened, channel).get(wanted, wanted)
        confirm(f"End the card of {called} in {name}?", yes=yes)
        reason = f"the card of {called[:200]} was stolen"
        outcome = remove(desk_of(opened), name, wanted, after=after, reason=reason)
        done = f"The card of {called} counts no more; the keys are changed."
        show_outcome(outcome, name, done, as_json=as_json, revoked=wanted)
        if outcome.in_force and not as_json:
            click.echo(_AFTER_REMOVAL, err=True)
            click.echo(f"Next: stillwatch channel invite {name} --organisation ...", err=True)
