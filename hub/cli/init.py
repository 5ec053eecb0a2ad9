"""`stillwatch init`: make this organisation's keys and local state."""

from __future__ import annotations

import time
from pathlib import Path

import click

from hub.channel.card import fingerprint_text, fingerprint_words
from hub.cli.options import home_option, json_option, new_unlock, print_json
from hub.client.home import Home


@click.command("init")
@home_option
@click.option("--organisation", required=True, help="The organisation's name, as members see it.")
@click.option(
    "--key-file",
    is_flag=True,
    help="Unlock by a key file in the home, for machines that run unattended.",
)
@click.option(
    "--passphrase-file",
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    envvar="STILLWATCH_PASSPHRASE_FILE",
    help="File holding the passphrase; else you are asked.",
)
@click.option(
    "--member",
    default=None,
    help="The member id that this organisation had: after the loss of its root, with "
    "an invitation from `channel re-enrol`.",
)
@json_option
def command(
    home: Path,
    organisation: str,
    key_file: bool,
    passphrase_file: Path | None,
    member: str | None,
    as_json: bool,
) -> None:
    """Make this organisation's keys and local state.

    The folder's back-up is the only way back after a loss: the root key in it is the
    organisation's identity in every channel.
    """
    unlock = new_unlock(key_file=key_file, passphrase_file=passphrase_file)
    with Home.create(home, organisation, unlock, now=int(time.time()), member=member) as made:
        root = made.keyring.root_id
        if as_json:
            print_json(
                {
                    "home": str(home),
                    "organisation": made.organisation,
                    "member": made.member_id,
                    "fingerprint": fingerprint_text(root),
                    "words": list(fingerprint_words(root)),
                }
            )
            return
        click.echo(f"Made {home} for {made.organisation}.")
        click.echo(f"Member id:   {made.member_id}")
        click.echo(f"Fingerprint: {fingerprint_text(root)}")
        click.echo("In words:")
        click.echo(words_text(fingerprint_words(root)))
        click.echo(
            "\nBack up now: stillwatch backup export FILE. A lost home cannot be made again."
        )
        click.echo("Next: stillwatch join --invitation-file FILE --token-file FILE")
        click.echo("  or: stillwatch channel create NAME --hub URL --collection ID")


def words_text(words: tuple[str, ...]) -> str:
    """Words in lines of four, to be read out."""
    lines = [words[start : start + 4] for start in range(0, len(words), 4)]
    return "\n".join("  " + "  ".join(f"{word:<12}" for word in line).rstrip() for line in lines)
