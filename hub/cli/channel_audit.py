"""`stillwatch channel audit`: check everything once more, and check proof files of others."""

from __future__ import annotations

import time
from pathlib import Path

import click

from hub.channel.evidence.finding import Finding
from hub.cli.exits import ALARM, ATTENTION, OK, exit_code
from hub.cli.names import channel_names
from hub.cli.options import count_of, home_options, json_option, load_home, print_json, utc
from hub.cli.progress import progress
from hub.client import audit as auditing
from hub.client import evidence
from hub.client.audit import Audit
from hub.errors import InputError, StillwatchError, VerificationError
from hub.model.codec import Json


@click.command("audit")
@click.argument("names", nargs=-1, metavar="NAME | --verify FILE...", shell_complete=channel_names)
@click.option("--verify", is_flag=True, help="Check proof files; needs no home and no network.")
@click.option("--channel", "channel_id", help="With --verify: the id that the files must be of.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Copy the proof files to this folder.",
)
@home_options
@json_option
@click.pass_context
def audit_command(
    ctx: click.Context,
    names: tuple[str, ...],
    verify: bool,
    channel_id: str | None,
    out: Path | None,
    home: Path,
    passphrase_file: Path | None,
    as_json: bool,
) -> None:
    """Check all that is held of a channel once more, and list the proofs of what is wrong.

    With --verify the arguments are proof files, from anybody. The reader compares the channel id
    with the one that it knows; nothing else is needed.

    Exit codes: 0 nothing is wrong, or every file proves what it says; 3 a file proves nothing; 10
    something lags, or a file rests on its maker's word; 12 something is wrong.
    """
    if verify:
        if not names or out is not None:
            raise InputError("--verify takes proof files, and no --out")
        ctx.exit(_verify(names, channel_id, as_json=as_json))
    if len(names) != 1 or channel_id is not None:
        raise InputError("one channel is expected", hint="stillwatch status lists them")
    with load_home(home, passphrase_file) as opened, opened.locked():
        channel = opened.state.channel(names[0])
        with progress("Checking") as advance:
            found = auditing.audit(opened, channel, int(time.time()), advance=advance)
        copied = [] if out is None else auditing.export(opened, channel, out)
    if as_json:
        print_json(found.to_json() | {"copied": [str(path) for path in copied]})
    else:
        _show(found, copied)
    levels = {each.level for each in found.problems}
    ctx.exit(ALARM if auditing.ALARM in levels else ATTENTION if levels else OK)


def _verify(names: tuple[str, ...], channel_id: str | None, *, as_json: bool) -> int:
    codes, documents = [], []
    for name in names:
        try:
            finding = evidence.check(Path(name), int(time.time()))
            if channel_id is not None and finding.channel != channel_id:
                raise VerificationError("is of another channel", where=name)
        except StillwatchError as error:
            click.echo(f"stillwatch: {error}", err=True)
            codes.append(exit_code(error))
            documents.append({"file": name, "problem": str(error)})
            continue
        codes.append(OK if finding.conclusive else ATTENTION)
        documents.append({"file": name} | finding.to_json())
        if not as_json:
            _show_finding(name, finding)
    if as_json:
        print_json({"files": documents})
    # A file that proves nothing weighs more than one that rests on somebody's word.
    return next((code for code in codes if code not in (OK, ATTENTION)), max(codes))


def _show_finding(name: str, finding: Finding) -> None:
    word = "proven" if finding.conclusive else "not proven: it rests on its maker's word"
    click.echo(f"{name}: {finding.kind}, {word}")
    click.echo(f"  channel {finding.channel} (compare it with yours)")
    click.echo(f"  against {finding.against}")
    for text in finding.proven:
        click.echo(f"  signed: {text}")
    for text in finding.claimed:
        click.echo(f"  claimed only: {text}")
    click.echo(f"  its maker says, dated {utc(finding.made)}: {finding.statement}")


def _show(found: Audit, copied: list[Path]) -> None:
    click.echo(f"{found.channel} ({found.channel_id})")
    log = "no log" if found.log is None else f"log of {found.entries:,} at {found.log}"
    click.echo(
        f"  manifest {found.manifest}; {count_of(found.messages, 'message')} verified; {log}"
    )
    for each in found.problems:
        click.echo(f"  {each.level}: {each.kind}: {each.text}")
    if not found.problems:
        click.echo("  nothing is wrong")
    for row in found.proofs:
        click.echo(f"  proof: {row['file']} ({_word(row)})")
    for path in copied:
        click.echo(f"  copied: {path}")


def _word(row: Json) -> str:
    if row["problem"]:
        return str(row["problem"])
    return f"{row['kind']}, {'proven' if row['conclusive'] else 'on our word'}"
