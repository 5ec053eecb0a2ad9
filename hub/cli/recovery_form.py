"""The recovery form: what is printed, filled in and put into a safe."""

from __future__ import annotations

from pathlib import Path

import click

from hub.channel.card import fingerprint_text, fingerprint_words
from hub.channel.recovery import LINES, join_lines, key_of, parse_line, recovery_lines
from hub.cli.init import words_text
from hub.cli.options import read_secret, utc
from hub.client.backup import Exported
from hub.errors import AccessError, InputError

_PAGE = """\
RECOVERY FORM                                                     Stillwatch
============================================================================

Print this page, put it where the back-up is not, and keep no file of it.
Whoever holds this page and the back-up holds the organisation's identity.

Organisation   {organisation}
Member id      {member}
Made           {made}
File           {name}
SHA-256        {sha256}
               ({size:,} bytes)

Root fingerprint
  {fingerprint}
{words}
{root}

Recovery key: nine lines of words
{lines}

Where the back-up lies    ________________________________________________

Where this page lies      ________________________________________________

Checked by, on            ________________________________________________
                          (stillwatch backup verify FILE)

To restore, on a machine without this organisation's home:
  stillwatch backup import FILE --home DIR
  stillwatch pull
  stillwatch channel renew NAME        for each channel: a new card
Never use the old machine's home again after that.
"""


def form(exported: Exported, name: str, *, root_here: bool) -> str:
    """The page as plain text.

    Args:
        exported: what was written.
        name: of the file.
        root_here: whether the root's private half is in the back-up.
    """
    root = "  The root key is in the back-up."
    if not root_here:
        root = (
            "  The root key is NOT in the back-up: it lies in the file that\n"
            "  `stillwatch root export` wrote. Keep that one, too."
        )
    lines = enumerate(recovery_lines(exported.key), 1)
    return _PAGE.format(
        organisation=exported.index.organisation,
        member=exported.index.member,
        made=utc(exported.index.made),
        name=name,
        sha256=exported.sha256,
        size=exported.size,
        fingerprint=fingerprint_text(exported.index.root),
        words=words_text(fingerprint_words(exported.index.root)),
        root=root,
        lines="\n".join(
            f"  {number}.  " + "  ".join(f"{word:<10}" for word in line).rstrip()
            for number, line in lines
        ),
    )


def recovery_key(path: Path | None, *, interactive: bool) -> bytes:
    """The key from a file with the words, else typed line by line without echo.

    Raises:
        InputError: names the line and, where it can, the word that is wrong.
        AccessError: nobody is there to type it.
    """
    if path is not None:
        try:
            return key_of(read_secret(path, most=64 * 1024).decode("utf-8"))
        except UnicodeDecodeError:
            raise InputError("is not UTF-8", where=str(path)) from None
    if not interactive:
        raise AccessError(
            "the back-up opens with its recovery key, and there is no terminal to ask at",
            hint="--recovery-file FILE, - for standard input",
        )
    click.echo("The recovery key, line by line; what you type is not shown.", err=True)
    while True:
        try:
            return join_lines([_typed(number) for number in range(1, LINES + 1)])
        except InputError as error:
            click.echo(f"  {error}; once more from the first line", err=True)


def _typed(number: int) -> bytes:
    while True:
        text = click.prompt(f"Line {number} of {LINES}", hide_input=True, err=True)
        try:
            return parse_line(number, str(text))
        except InputError as error:
            click.echo(f"  {error}; type this line again", err=True)
