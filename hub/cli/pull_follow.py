"""`stillwatch pull --follow`: stay, show what arrives, and run what is to be run on it."""

from __future__ import annotations

import json
import logging
import shlex
import signal
import subprocess
from collections.abc import Callable, Sequence
from types import FrameType

import click

from hub.client.follow import Round, Waking, follow
from hub.client.pulled import Pulled
from hub.client.reads import count_news
from hub.client.work import Desk
from hub.errors import InputError

Show = Callable[[Sequence[Pulled]], None]


def follow_channels(
    desk: Desk,
    channels: tuple[str, ...],
    interval: float,
    then: str | None,
    show: Show,
    *,
    snapshot: bool,
    as_json: bool,
) -> None:
    """Pull until told to end.

    Raises:
        InputError: the command cannot be read or is not there.
    """
    command = _command(then)
    waking = ended_by_signals()

    def take(found: Round) -> None:
        if not found.woken:
            # Not between an arrival and what is run on it.
            count_news(desk, found.results)
        results = [each for each in found.results if _worth_saying(each)]
        if not results:
            return
        line = json.dumps({"channels": [each.to_json() for each in results]}, ensure_ascii=False)
        if as_json:
            click.echo(line)
        show(results)
        if command is not None and any(each.messages for each in results):
            _run(command, line)

    follow(desk, channels, interval, waking, take, snapshots=snapshot)


def ended_by_signals() -> Waking:
    """What a command that stays follows with: SIGTERM and Ctrl-C end it, warnings go to people."""
    waking = Waking()

    def end(number: int, frame: FrameType | None) -> None:
        del number, frame
        waking.end()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    logging.getLogger("hub.client.follow").addFilter(_to_people)
    click.echo("Following; end with Ctrl-C.", err=True)
    return waking


def _to_people(record: logging.LogRecord) -> bool:
    """Say warnings as commands say them; what a thread mentions is for the log."""
    if record.levelno >= logging.WARNING:
        click.echo(record.getMessage(), err=True)
        return False
    return True


def _worth_saying(result: Pulled) -> bool:
    return bool(result.messages or result.alarms or result.problem or result.refused)


def _command(text: str | None) -> list[str] | None:
    if text is None:
        return None
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise InputError("the command cannot be read", where="--exec") from error
    if not words:
        raise InputError("the command is empty", where="--exec")
    return words


def _run(command: Sequence[str], line: str) -> None:
    """Run the command to its end; what goes wrong with it is told, and following goes on."""
    try:
        done = subprocess.run(command, input=line + "\n", text=True, check=False)
    except OSError as error:
        click.echo(f"stillwatch: {command[0]}: cannot be run ({error.strerror})", err=True)
        return
    if done.returncode:
        click.echo(f"stillwatch: {command[0]} ended with {done.returncode}", err=True)
