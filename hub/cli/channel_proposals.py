"""`stillwatch channel proposals`, `propose` and `sign`: changes that several owners decide."""

from __future__ import annotations

from pathlib import Path

import click

from hub.channel.proposal import MAX_PROPOSAL, Proposal, parse_proposal
from hub.cli.hub_data import refuse_existing
from hub.cli.names import channel_names
from hub.cli.options import (
    desk_of,
    home_options,
    json_option,
    load_home,
    print_json,
    read_secret,
    typed_passphrase,
    utc,
)
from hub.cli.proposal_view import (
    changes_of,
    compare,
    confirm,
    proposal_json,
    show_changes,
    show_outcome,
    words_options,
)
from hub.client.home import Home
from hub.client.keyring import write_private
from hub.client.leaving import asking
from hub.client.naming import member_names
from hub.client.proposals import (
    Standing,
    check_stands,
    drop,
    find,
    propose_again,
    sign,
    sign_offline,
    standings,
    take,
)
from hub.client.root_file import read_root_file
from hub.client.rows import ChannelRow
from hub.errors import InputError

_OUT = click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the proposal, with the signatures so far, to a file to hand on.",
)


@click.command("proposals")
@click.argument("name", shell_complete=channel_names)
@click.argument("proposal_id", required=False)
@_OUT
@click.option(
    "--drop",
    "dropped",
    is_flag=True,
    help="Count it no more here, so that you may propose or sign something else.",
)
@home_options
@json_option
def proposals_command(
    name: str,
    proposal_id: str | None,
    out: Path | None,
    dropped: bool,
    home: Path,
    passphrase_file: Path | None,
    as_json: bool,
) -> None:
    """List the proposals that wait for owners' signatures, or show one."""
    if proposal_id is None and (out or dropped):
        raise InputError("say which proposal", hint=f"stillwatch channel proposals {name}")
    with load_home(home, passphrase_file) as opened:
        desk = desk_of(opened)
        channel, now = opened.state.channel(name), desk.clock()
        if proposal_id is None:
            _list(opened, channel, standings(opened, channel, now), as_json=as_json)
            return
        found = find(opened, channel, proposal_id, now)
        if out is not None:
            refuse_existing(out)
            write_private(out, found.proposal.raw)
        if dropped:
            with opened.locked():
                drop(opened, channel, found.proposal, now)
        if as_json:
            print_json(_row(found) | {"file": str(out) if out else None, "dropped": dropped})
            return
        _show(found)
        if out is not None:
            click.echo(f"Wrote {out}.")
        if dropped:
            click.echo(
                "Dropped here; who holds enough signatures can still put it in force. Tell the "
                "other owners not to sign it."
            )


@click.command("propose")
@click.argument("name", shell_complete=channel_names)
@click.argument("proposal_id")
@words_options
@home_options
@json_option
def propose_command(
    name: str,
    proposal_id: str,
    words: tuple[str, ...],
    yes_words_match: bool,
    home: Path,
    passphrase_file: Path | None,
    as_json: bool,
) -> None:
    """Make a stale proposal anew, on top of the manifest in force; the owners sign again.

    Words of new roots are compared by who did not sign it before.
    """
    with load_home(home, passphrase_file) as opened:
        desk = desk_of(opened)
        channel = opened.state.channel(name)
        old = find(opened, channel, proposal_id, desk.clock())
        if not old.signed:
            compare(_roots(old.proposal), words, yes=yes_words_match)
        outcome = propose_again(desk, channel, old.proposal)
        if not as_json:
            show_changes(changes_of(outcome.proposal))
        show_outcome(outcome, name, "It is in force now.", as_json=as_json)


@click.command("sign")
@click.argument("what", nargs=-1, required=True, metavar="[NAME] ID|FILE")
@words_options
@click.option("--yes", is_flag=True, help="Do not ask before signing.")
@click.option("--dry-run", is_flag=True, help="Show what changes; sign nothing.")
@click.option("--despite-other", is_flag=True, help="Although you signed another draft before.")
@click.option(
    "--root-file",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="Sign with this root file, without a home: give the proposal's FILE, and --out.",
)
@click.option(
    "--root-passphrase-file",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="File holding the passphrase of the root file; else you are asked.",
)
@_OUT
@home_options
@json_option
def sign_command(
    what: tuple[str, ...],
    words: tuple[str, ...],
    yes_words_match: bool,
    yes: bool,
    dry_run: bool,
    despite_other: bool,
    root_file: Path | None,
    root_passphrase_file: Path | None,
    out: Path | None,
    home: Path,
    passphrase_file: Path | None,
    as_json: bool,
) -> None:
    """Sign a proposal as an owner; whoever is the last puts it in force.

    You see what changes before you sign, and hear the words of every new root yourself. The
    proposal comes through the channel (its ID) or as a FILE.
    """
    if root_file is not None:
        raw = _read(Path(what[-1]))
        proposal = parse_proposal(raw)
        _consider(proposal, words, yes_words_match, yes=yes, dry_run=dry_run, as_json=as_json)
        if not dry_run:
            _sign_offline(proposal, root_file, root_passphrase_file, out, as_json=as_json)
        return
    if len(what) != 2:
        raise InputError("a channel and a proposal are wanted", hint="channel sign NAME ID")
    name, wanted = what
    with load_home(home, passphrase_file) as opened:
        desk = desk_of(opened)
        channel, now = opened.state.channel(name), desk.clock()
        if Path(wanted).is_file():
            with opened.locked():
                found = take(opened, channel, _read(Path(wanted)), now)
        else:
            found = find(opened, channel, wanted, now)
        if not dry_run:
            check_stands(found, channel)
        proposal = found.proposal
        if found.may_sign:
            own = opened.keyring.root_id
            _consider(
                proposal,
                words,
                yes_words_match,
                yes=yes,
                dry_run=dry_run,
                as_json=as_json,
                own=own,
            )
        if dry_run:
            return
        outcome = sign(desk, channel, proposal, despite=despite_other)
        if out is not None:
            refuse_existing(out)
            write_private(out, outcome.proposal.raw)
        show_outcome(outcome, name, "Signed by enough owners: it is in force.", as_json=as_json)


def _consider(
    proposal: Proposal,
    words: tuple[str, ...],
    yes_words_match: bool,
    *,
    yes: bool,
    dry_run: bool,
    as_json: bool,
    own: str | None = None,
) -> None:
    """Show what changes, and have the words of every new root compared."""
    found = changes_of(proposal)
    if dry_run and as_json:
        print_json(proposal_json(proposal))
        return
    click.echo(f"Proposal {proposal.id[:16]}: {proposal.reason}", err=as_json)
    for each in found:
        click.echo(f"  {each.text}", err=as_json)
    if dry_run:
        return
    roots = _roots(proposal, own)
    compare(roots, words, yes=yes_words_match)
    if not roots:
        confirm("Sign this?", yes=yes)


def _roots(proposal: Proposal, own: str | None = None) -> dict[str, str]:
    """The roots that people compare by voice, and whose they are; nobody asks for one's own."""
    return {
        each.root: proposal.names.get(each.member or "", "the organisation")
        for each in changes_of(proposal)
        if each.root is not None and each.root != own
    }


def _sign_offline(
    proposal: Proposal, root_file: Path, secret: Path | None, out: Path | None, *, as_json: bool
) -> None:
    if out is None:
        raise InputError("say where to write the signed proposal", hint="--out FILE")
    refuse_existing(out)
    file = read_root_file(root_file)
    typed = (
        typed_passphrase("Passphrase of the root file") if secret is None else read_secret(secret)
    )
    signed = sign_offline(proposal, file.open(typed))
    write_private(out, signed.raw)
    if as_json:
        print_json(proposal_json(signed) | {"file": str(out)})
        return
    click.echo(f"Signed for {file.organisation}; wrote {out}.")
    click.echo(f"Back at the home: stillwatch channel sign NAME {out.name}")


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_PROPOSAL + 1)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=str(path)) from error
    if len(content) > MAX_PROPOSAL:
        raise InputError("too long for a proposal", where=str(path))
    try:
        parse_proposal(content)
    except InputError as error:
        if b'"stillwatch root"' in content:
            raise InputError(
                "a root file, and no proposal", where=str(path), hint=f"--root-file {path}"
            ) from error
        raise InputError(f"not a proposal: {error}", where=str(path)) from error
    return content


def _row(found: Standing) -> dict[str, object]:
    return {
        **proposal_json(found.proposal),
        "stale": found.stale,
        "waits": found.waits,
        "signed": found.signed,
        "may_sign": found.may_sign,
    }


def _list(home: Home, channel: ChannelRow, found: list[Standing], *, as_json: bool) -> None:
    leaving = asking(home, channel)
    if as_json:
        rows = [_row(each) for each in found]
        print_json({"channel": channel.name, "proposals": rows, "leaving": leaving})
        return
    if not found and not leaving:
        click.echo("No proposal waits.")
    for each in found:
        _show(each)
    names = member_names(home, channel)
    for member in leaving:
        click.echo(
            f"{names.get(member, member)} asks to leave: stillwatch channel remove "
            f"{channel.name} {member}"
        )


def _show(found: Standing) -> None:
    proposal = found.proposal
    by = proposal.names.get(proposal.proposer.member, proposal.proposer.member)
    click.echo(f"{proposal.id[:16]}: version {proposal.after.version}, {utc(proposal.created)}")
    click.echo(f"  {proposal.reason} (by {by})")
    for each in changes_of(proposal):
        click.echo(f"  - {each.text}")
    if found.stale is not None:
        click.echo(f"  stale: {found.stale}; stillwatch channel propose NAME {proposal.id[:16]}")
        return
    if found.waits is not None:
        click.echo(f"  waits: {found.waits}")
    lacking = max(proposal.missing)
    mine = "you signed" if found.signed else "you may sign" if found.may_sign else ""
    click.echo(f"  {lacking} more to sign{', ' + mine if mine else ''}")
