"""`stillwatch agent`: hold what opens the keys, so that a passphrase is typed once."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Final, NoReturn

import click

from hub.cli.durations import duration, in_words
from hub.cli.groups import ToldGroup
from hub.cli.options import given_passphrase, home_options, json_option, print_json
from hub.client import agent_link, agent_wire
from hub.client.agent import Agent
from hub.client.hardening import protect_process
from hub.client.home import Home
from hub.client.keyring import stretched
from hub.client.unlock import BY_KEY_FILE
from hub.errors import InputError, StoreError, TransportError

_PATIENCE_S: Final = 20.0
_PASSED_ON: Final = ("HOME", "LANG", "PATH", "PYTHONPATH", "PYTHONWARNINGS", "XDG_RUNTIME_DIR")


@click.group("agent", cls=ToldGroup)
def command() -> None:
    """Hold what opens your keys, so that you type it once.

    The agent is a process of your account. It holds neither passphrase nor keys, but what the
    passphrase becomes after stretching; that opens this home's keyring and nothing else.
    """


@command.command("start")
@click.option(
    "--timeout",
    metavar="DURATION",
    callback=duration(agent_wire.MAX_SECONDS),
    default="8h",
    show_default=True,
    help="Forget after so long: 30m, 8h, 2d.",
)
@click.option(
    "--foreground",
    is_flag=True,
    help="Serve in this process, for a service manager; homes are added by `agent start`.",
)
@click.option("--detached", is_flag=True, hidden=True)
@home_options
def start_command(
    timeout: int, foreground: bool, detached: bool, home: Path, passphrase_file: Path | None
) -> None:
    """Ask for the passphrase once; start an agent where none runs, and let it hold the home.

    Run it again for each further home.
    """
    if foreground:
        _serve(timeout, detached=detached)
        return
    if Home.opens_with(home) == BY_KEY_FILE:
        raise InputError(
            "this home opens by its key file: no agent is needed",
            where=str(home),
            hint="stillwatch passphrase change, to put it under a passphrase",
        )
    secret = stretched(home, given_passphrase(passphrase_file))
    if not agent_link.running():
        _launch(timeout)
    agent_link.hold(home, secret, timeout)
    click.echo(f"The agent opens {home} for {in_words(timeout)}.")
    click.echo("Sooner: stillwatch agent lock")


@command.command("lock")
def lock_command() -> None:
    """Forget every home at once; the agent goes on."""
    agent_link.lock()
    click.echo("Forgotten.")


@command.command("stop")
def stop_command() -> None:
    """Forget every home and end the agent."""
    agent_link.stop()
    click.echo("Stopped.")


@command.command("status")
@json_option
def status_command(as_json: bool) -> None:
    """Say whether an agent runs, what it opens and for how long."""
    try:
        status = agent_link.status()
    except TransportError:
        if as_json:
            print_json({"running": False, "homes": []})
        else:
            click.echo("No agent is running.")
        return
    if as_json:
        print_json({"running": True, **status})
        return
    click.echo(f"An agent is running (process {status['pid']}).")
    for each in status["homes"]:
        note = "" if each["locked_memory"] else "; this system did not lock its memory"
        click.echo(f"  {each['home']}: {in_words(each['left_s'])} left{note}")
    if not status["homes"]:
        click.echo("  It opens nothing: stillwatch agent start")
    if not status["protected"]:
        click.echo("  This system may write its memory to a core dump.")
    if status["refused"]:
        click.echo(f"  {status['refused']} requests were refused.")


def _serve(timeout: int, *, detached: bool) -> None:
    protect_process()
    agent = Agent(agent_wire.folder(), timeout)
    for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(each, _end)
    try:
        agent.listen()
        if detached:
            os.setsid()
            os.chdir("/")
        else:
            click.echo(f"Serving in {agent.folder}; add a home: stillwatch agent start", err=True)
        agent.serve()
    finally:
        for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(each, signal.SIG_IGN)
        agent.close()


def _end(number: int, frame: FrameType | None) -> NoReturn:
    raise SystemExit(0)


def _launch(timeout: int) -> None:
    """Start an agent: a new program, so that nothing of this process's memory is in it.

    Raises:
        StoreError: it does not come up.
    """
    environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    null = os.devnull
    words = ["-m", "hub.cli", "agent", "start", "--foreground", "--detached"]
    process = os.posix_spawn(
        sys.executable,
        [sys.executable, *words, "--timeout", f"{timeout}s"],
        environment,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, null, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, null, os.O_WRONLY, 0),
            (os.POSIX_SPAWN_OPEN, 2, null, os.O_WRONLY, 0),
        ],
    )
    deadline = time.monotonic() + _PATIENCE_S
    while not agent_link.running():
        ended, _ = os.waitpid(process, os.WNOHANG)
        if ended or time.monotonic() > deadline:
            if agent_link.running():
                return
            raise StoreError(
                "the agent did not start",
                where=str(agent_wire.folder()),
                hint="stillwatch agent start --foreground says why",
            )
        time.sleep(0.05)
