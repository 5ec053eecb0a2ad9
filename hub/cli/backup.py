"""`stillwatch backup`: write, check and restore a back-up of keys and state."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import click

from hub.channel.card import fingerprint_text
from hub.channel.recovery import recovery_lines
from hub.cli.groups import ToldGroup
from hub.cli.hub_data import refuse_existing
from hub.cli.options import (
    count_of,
    home_option,
    home_options,
    iso,
    json_option,
    load_home,
    new_unlock,
    print_json,
    utc,
)
from hub.cli.recovery_form import form, recovery_key
from hub.client import backup
from hub.client.backup_file import Index
from hub.client.hardening import protect_process
from hub.client.unlock import write_private
from hub.model.codec import Json

recovery_option = click.option(
    "--recovery-file",
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    help="File holding the recovery key's lines, - for standard input; else you are asked.",
)
file_argument = click.argument(
    "file", type=click.Path(path_type=Path, dir_okay=False, exists=True, readable=True)
)


@click.group("backup", cls=ToldGroup)
def command() -> None:
    """Write, check and restore a back-up of keys and state.

    The back-up opens with a recovery key that is made for it and printed once.
    """


@command.command("export")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--form",
    "form_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the recovery form to a file of mode 0600 instead of the screen.",
)
@home_options
@json_option
def export_command(
    file: Path, form_file: Path | None, home: Path, passphrase_file: Path | None, as_json: bool
) -> None:
    """Write keyring, state and proofs to FILE, and print the recovery form.

    FILE is encrypted under a fresh recovery key; the form is the only place where that key
    stands. Without the form nobody can open FILE.
    """
    with load_home(home, passphrase_file) as opened:
        refuse_existing(form_file)
        made = backup.export(opened, file, now=int(time.time()))
        page = form(made, file.name, root_here=opened.keyring.root is not None)
    if form_file is not None:
        write_private(form_file, page.encode())
    if as_json:
        document: Json = {
            **_document(made.index),
            "file": str(file),
            "sha256": made.sha256,
            "bytes": made.size,
            "form": None if form_file is None else str(form_file),
        }
        if form_file is None:
            document["recovery"] = [list(line) for line in recovery_lines(made.key)]
        print_json(document)
        return
    if form_file is None:
        click.echo(page)
    click.echo(f"Wrote {file} ({made.size:,} bytes).", err=True)
    if form_file is not None:
        click.echo(f"Print {form_file}, then remove it.", err=True)
    click.echo(f"Try it now: stillwatch backup verify {file}", err=True)


@command.command("verify")
@file_argument
@recovery_option
@json_option
def verify_command(file: Path, recovery_file: Path | None, as_json: bool) -> None:
    """Check that FILE opens with the recovery key and is whole; nothing is written."""
    protect_process()
    key = recovery_key(recovery_file, interactive=sys.stdin.isatty())
    index = backup.verify(file, key)
    if as_json:
        print_json({"file": str(file), **_document(index)})
        return
    click.echo(f"{file} is whole: {index.organisation}, made {utc(index.made)}.")
    click.echo(f"Member id:   {index.member}")
    click.echo(f"Fingerprint: {fingerprint_text(index.root)}")


@command.command("import")
@file_argument
@recovery_option
@click.option("--key-file", is_flag=True, help="Unlock the new home by a key file in it.")
@click.option(
    "--passphrase-file",
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    envvar="STILLWATCH_PASSPHRASE_FILE",
    help="File holding the new home's passphrase; else you are asked.",
)
@home_option
@json_option
def import_command(
    file: Path,
    recovery_file: Path | None,
    key_file: bool,
    passphrase_file: Path | None,
    home: Path,
    as_json: bool,
) -> None:
    """Make a home of FILE, in a folder that is empty or not there.

    What was sealed after the back-up was made is not in it. So the new home seals nothing before
    it has pulled, drops what the old outbox held, and continues with a new card: run
    `stillwatch channel renew` for each channel. The old home must never be used again.
    """
    protect_process()
    key = recovery_key(recovery_file, interactive=sys.stdin.isatty())
    # Before a passphrase is asked for.
    backup.check_target(home)
    unlock = new_unlock(
        key_file=key_file, passphrase_file=passphrase_file, text="Passphrase of the new home"
    )
    made = backup.restore(file, key, home, unlock, now=int(time.time()))
    if as_json:
        print_json(
            {
                "home": str(home),
                **_document(made.index),
                "channels": list(made.channels),
                "dropped": made.dropped,
            }
        )
        return
    click.echo(f"Made {home} for {made.index.organisation}, as of {utc(made.index.made)}.")
    if made.dropped:
        click.echo(
            f"{count_of(made.dropped, 'message')} of its outbox will not be sent: "
            "publish your files again."
        )
    click.echo("Next: stillwatch pull")
    for name in made.channels:
        click.echo(f"Then: stillwatch channel renew {name}")
    click.echo("Never use the old home again: both together would fork the message chain.")


def _document(index: Index) -> Json:
    return {
        "organisation": index.organisation,
        "member": index.member,
        "made": iso(index.made),
        "fingerprint": fingerprint_text(index.root),
        "files": [each.name for each in index.files],
    }
