"""What the commands of owners share: showing a change, comparing words, telling the outcome."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, TypeVar

import click

from hub.channel.card import fingerprint_words
from hub.channel.changes import Change, changes
from hub.channel.proposal import Proposal
from hub.cli.init import words_text
from hub.cli.options import print_json
from hub.client.home import Home
from hub.client.naming import member_names
from hub.client.proposals import Outcome
from hub.client.rows import ChannelRow
from hub.errors import AccessError, InputError, VerificationError
from hub.model.codec import Json

F = TypeVar("F", bound=Callable[..., Any])


def words_options(command: F) -> F:
    """`--words` and `--yes-words-match`: what `compare` needs."""
    told = click.option(
        "--words",
        multiple=True,
        help="The words that the organisation read out to you; once for each of several.",
    )
    flag = click.option(
        "--yes-words-match",
        is_flag=True,
        help="Do not ask: you have compared the words with the organisation already.",
    )
    return told(flag(command))


def show_changes(found: Sequence[Change]) -> None:
    """Print what changes, one line each."""
    for each in found:
        click.echo(f"  {each.text}")


def changes_of(proposal: Proposal) -> list[Change]:
    """What a proposal changes, with the names that its proposer gives."""
    return changes(proposal.before, proposal.after, proposal.names)


def compare(roots: Mapping[str, str] | Sequence[str], words: Collection[str], *, yes: bool) -> None:
    """Require that somebody heard the words of every root.

    Args:
        roots: root ids; with the name of each organisation where it is known.

    Raises:
        VerificationError: the words that were heard are another root's.
        AccessError: nobody confirmed them.
    """
    names = roots if isinstance(roots, Mapping) else {}
    said = [tuple(re.findall(r"[a-z]+", each.lower())) for each in words]
    for root in roots:
        expected = tuple(each.lower() for each in fingerprint_words(root))
        if yes or expected in said:
            continue
        if said:
            raise VerificationError(
                "the words do not match: somebody may be in the middle",
                where=names.get(root, root[:16]),
                hint="do not sign; compare once more by telephone",
            )
        who = names.get(root, "the organisation")
        click.echo(f"Words that {who} must read out to you:", err=True)
        click.echo(words_text(fingerprint_words(root)), err=True)
        if not sys.stdin.isatty():
            raise AccessError(
                "the words are not confirmed",
                hint='--words "..." as read out, or --yes-words-match',
            )
        if not click.confirm("Did the organisation read out exactly these words?", err=True):
            raise AccessError("not signed: the words were not confirmed")


def confirm(question: str, *, yes: bool) -> None:
    """Ask before something that cannot be taken back.

    Raises:
        AccessError: the answer is no, or nobody is there to ask.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise AccessError("not confirmed", hint="--yes")
    if not click.confirm(question, err=True):
        raise AccessError("not done")


def member_of(home: Home, channel: ChannelRow, wanted: str) -> str:
    """A member's id by its name or id.

    Raises:
        InputError: two members are called so.
    """
    names = member_names(home, channel)
    found = [key for key, value in names.items() if wanted in (key, value)]
    if len(found) > 1:
        raise InputError(
            f"{len(found)} members are called so", where=wanted, hint="give the member's id"
        )
    return found[0] if found else wanted


def proposal_json(proposal: Proposal) -> Json:
    """A proposal for JSON documents."""
    return {
        "proposal": proposal.id,
        "version": proposal.after.version,
        "reason": proposal.reason,
        "proposer": proposal.names.get(proposal.proposer.member, proposal.proposer.member),
        "missing": max(proposal.missing),
        "signed_by": sorted(proposal.signatures),
        "changes": [
            {"kind": each.kind, "text": each.text, "member": each.member, "root": each.root}
            for each in changes_of(proposal)
        ],
    }


def show_outcome(outcome: Outcome, name: str, done: str, *, as_json: bool, **more: object) -> None:
    """Tell what became of a change.

    Args:
        done: what to say when it is in force.
        more: further fields of the JSON document.
    """
    proposal = outcome.proposal
    if as_json:
        state = {"in_force": outcome.in_force, "sent": outcome.sent, "why_not": outcome.why_not}
        print_json({"channel": name, **more, **state, **proposal_json(proposal)})
        return
    if outcome.in_force:
        click.echo(done)
        return
    short = proposal.id[:16]
    lacking = max(proposal.missing)
    if lacking:
        click.echo(f"Proposed as {short}: {lacking} more owner{'s' * (lacking > 1)} must sign it.")
    if outcome.sent:
        click.echo(
            f"The others see it with their next pull: stillwatch channel sign {name} {short}"
        )
        return
    click.echo(f"Hand it on as a file: {outcome.why_not}.")
    click.echo(f"  stillwatch channel proposals {name} {short} --out FILE")
