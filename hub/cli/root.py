"""`stillwatch root`: keep the root key on another machine than the rest of the home."""

from __future__ import annotations

from pathlib import Path

import click

from hub.channel.card import fingerprint_text
from hub.cli.groups import ToldGroup
from hub.cli.options import (
    home_options,
    json_option,
    load_home,
    new_unlock,
    print_json,
    read_secret,
    typed_passphrase,
)
from hub.client.root_file import RootFile, attach_root, detach_root, export_root, read_root_file

_OUT = click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="The file to write; it must not be there yet.",
)
_ROOT_PASSPHRASE = click.option(
    "--root-passphrase-file",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    default=None,
    help="File holding the passphrase of the root file; else you are asked.",
)


@click.group("root", cls=ToldGroup)
def command() -> None:
    """Export, detach and attach the root key.

    The root signs cards and, for owners, manifests: a few times a year. Detached, it cannot be
    stolen with the machine that publishes and pulls.
    """


@command.command("export")
@_OUT
@_ROOT_PASSPHRASE
@home_options
@json_option
def export_command(
    out: Path,
    root_passphrase_file: Path | None,
    home: Path,
    passphrase_file: Path | None,
    as_json: bool,
) -> None:
    """Copy the root key to an encrypted file; it stays in the home too."""
    with load_home(home, passphrase_file) as opened:
        made = export_root(opened, out, _new_passphrase(root_passphrase_file))
    _show(made, out, as_json=as_json, text="The root key is in both places now.")


@command.command("detach")
@_OUT
@_ROOT_PASSPHRASE
@home_options
@json_option
def detach_command(
    out: Path,
    root_passphrase_file: Path | None,
    home: Path,
    passphrase_file: Path | None,
    as_json: bool,
) -> None:
    """Move the root key to an encrypted file; the home goes on without it.

    Publishing and pulling need no root. New cards do, and an owner's changes of a channel: sign
    them where the file lies, with `stillwatch channel sign --root-file FILE PROPOSAL`.
    """
    with load_home(home, passphrase_file) as opened:
        made = detach_root(opened, out, _new_passphrase(root_passphrase_file))
    text = "The home holds it no more: without this file and its passphrase it is lost."
    _show(made, out, as_json=as_json, text=text)


@command.command("attach")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@_ROOT_PASSPHRASE
@home_options
@json_option
def attach_command(
    file: Path,
    root_passphrase_file: Path | None,
    home: Path,
    passphrase_file: Path | None,
    as_json: bool,
) -> None:
    """Put the root key back into the home."""
    found = read_root_file(file)
    with load_home(home, passphrase_file) as opened:
        attach_root(opened, found, root_passphrase(root_passphrase_file))
    _show(found, file, as_json=as_json, text="The root key is in the home again.")


def root_passphrase(path: Path | None) -> bytes:
    """The passphrase of a root file, from a file or typed."""
    return typed_passphrase("Passphrase of the root file") if path is None else read_secret(path)


def _new_passphrase(path: Path | None) -> bytes:
    secret = new_unlock(key_file=False, passphrase_file=path).secret
    assert secret is not None
    return secret


def _show(file: RootFile, path: Path, *, as_json: bool, text: str) -> None:
    if as_json:
        print_json(
            {
                "file": str(path),
                "member": file.member,
                "organisation": file.organisation,
                "fingerprint": fingerprint_text(file.root_id),
            }
        )
        return
    click.echo(f"{file.organisation}: {fingerprint_text(file.root_id)}")
    click.echo(f"{path}: {text}")
