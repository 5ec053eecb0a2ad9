"""`stillwatch doctor`: what the clients that people have would meet at a server."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

import click

from hub.cli.exits import ATTENTION, SICK
from hub.cli.options import json_option, print_json, read_secret
from hub.cli.progress import progress
from hub.client.transport import checked_url
from hub.doctor.clients import PROFILES
from hub.doctor.diagnosis import Case, Diagnosis, Visited, examine
from hub.doctor.findings import Finding, Severity
from hub.doctor.http import HttpAsk
from hub.doctor.line import Credential
from hub.doctor.profile import Profile, Step
from hub.doctor.write import marked
from hub.errors import InputError

_ALL = "all"
_FILE = click.Path(path_type=Path, dir_okay=False, allow_dash=True)
_THERE = click.Path(path_type=Path, dir_okay=False, exists=True)


@click.command("doctor")
@click.argument("url", required=False)
@click.option(
    "--as",
    "names",
    type=click.Choice([*PROFILES, _ALL]),
    multiple=True,
    default=(_ALL,),
    show_default=True,
    help="Client to ask as; may be repeated.",
)
@click.option("--collection", help="Id or title; default: the first that can be read.")
@click.option("--user", help="Account name, for Basic.")
@click.option("--password-file", type=_FILE, help="File holding its password, - for stdin.")
@click.option("--token-file", type=_FILE, help="File holding a token, for Bearer or Token.")
@click.option("--api-key-file", type=_FILE, help="File holding a key for a header of its own.")
@click.option(
    "--api-key-header",
    "header_name",
    default="X-API-Key",
    show_default=True,
    help="The name of that header.",
)
@click.option("--ca-file", type=_THERE, help="Certificates to trust in place of the system's.")
@click.option("--client-cert", type=_THERE, help="PEM file with certificate and key.")
@click.option("--allow-plain-http", is_flag=True, help="Take http: to another machine.")
@click.option("--write", metavar="COLLECTION", help="Post marked objects there as well.")
@click.option(
    "--dry-run", is_flag=True, help="With --write: show what would be posted; ask nothing."
)
@click.option("--habits", is_flag=True, help="Show what each client does and how it is known.")
@click.option(
    "--max-requests",
    type=click.IntRange(1, 100_000),
    default=200,
    show_default=True,
    help="Most requests of each client.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(0.1, 600),
    default=30.0,
    show_default=True,
    help="Seconds for an answer, where the client itself would wait longer.",
)
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    url: str | None,
    names: tuple[str, ...],
    collection: str | None,
    user: str | None,
    password_file: Path | None,
    token_file: Path | None,
    api_key_file: Path | None,
    header_name: str,
    ca_file: Path | None,
    client_cert: Path | None,
    allow_plain_http: bool,
    write: str | None,
    dry_run: bool,
    habits: bool,
    max_requests: int,
    timeout: float,
    as_json: bool,
) -> None:
    """Ask the TAXII 2.1 server at URL as other people's clients ask, and say what would go wrong.

    URL is a server, its discovery, an API root or a collection. Nothing is written there unless
    --write names a collection. A collection of several pages shows most. The exit code is 10 when a
    client would read objects again and again, 13 when one would lose objects or fail.
    """
    chosen = [PROFILES[name] for name in PROFILES if name in names or _ALL in names]
    if habits:
        _show_habits(chosen, as_json=as_json)
        return
    if dry_run and write is None:
        raise InputError("--dry-run shows what --write would post", hint="--write COLLECTION")
    if url is None:
        raise InputError("no URL to examine", hint="stillwatch doctor https://taxii.example/root/")
    address = checked_url(url, allow_plain_http=allow_plain_http)
    if dry_run:
        _show_posts(chosen, str(write), as_json=as_json)
        return
    case = Case(
        url=address,
        profiles=chosen,
        credential=_credential(user, password_file, token_file, api_key_file, header_name),
        collection=collection,
        write=write,
        max_requests=max_requests,
        timeout_s=timeout,
    )
    ask = HttpAsk(ca_file=ca_file, client_cert=client_cert)
    programs = sum(len(each.clients) for each in chosen)
    try:
        with progress("Asking", programs + 1) as advance:
            diagnosis = examine(case, ask, time.time, lambda _: advance(1))
    finally:
        ask.close()
    if as_json:
        print_json(diagnosis.document())
    else:
        _show(diagnosis)
    ctx.exit(_EXITS[diagnosis.severity])


_EXITS = {
    Severity.WORKS: 0,
    Severity.DUPLICATES: ATTENTION,
    Severity.LOSES: SICK,
    Severity.FAILS: SICK,
}


def _credential(
    user: str | None,
    password_file: Path | None,
    token_file: Path | None,
    api_key_file: Path | None,
    header_name: str,
) -> Credential:
    files = [one for one in (password_file, token_file, api_key_file) if one is not None]
    if len(files) > 1:
        raise InputError("give one of --password-file, --token-file and --api-key-file")
    if not files:
        if user is not None:
            raise InputError("--user wants a secret", hint="--password-file FILE")
        return Credential()
    if password_file is not None and user is None:
        raise InputError("--password-file wants a user name", hint="--user NAME")
    secret = read_secret(files[0]).decode("utf-8", "replace")
    if not secret.isprintable():
        raise InputError("the secret is not printable text", where=str(files[0]))
    header = header_name if api_key_file is not None else None
    return Credential(user=user, secret=secret, token=token_file is not None, header=header)


def _show(diagnosis: Diagnosis) -> None:
    if diagnosis.site is not None:
        held = diagnosis.site.truth
        parts = "" if held.whole else ", not all"
        click.echo(f"{diagnosis.place}: {len(held.items):,} objects read{parts}.")
    wide = max(len(one.who) for one in diagnosis.visited)
    for one in diagnosis.visited:
        click.echo(f"{one.who:{wide}}  {one.severity.word:10}  {_summary(one)}")
    for one in diagnosis.visited:
        for finding in one.findings:
            _show_finding(finding)


def _summary(one: Visited) -> str:
    codes = ", ".join(dict.fromkeys(finding.code for finding in one.findings))
    return f"{one.title}; {one.requests} requests" + (f"; {codes}" if codes else "")


def _show_finding(finding: Finding) -> None:
    click.echo(f"\n{finding.who}: {finding.severity.word}: {finding.code}: {finding.says}")
    for line in finding.evidence:
        click.echo(f"    {line}")
    click.echo(f"  change: {finding.remedy}")


def _show_habits(profiles: list[Profile], *, as_json: bool) -> None:
    if as_json:
        rows = [
            {"client": one.name, "does": habit.does, "basis": habit.basis, "source": habit.source}
            for one in profiles
            for habit in one.habits
        ]
        print_json({"habits": rows})
        return
    for one in profiles:
        click.echo(f"{one.title} ({one.name})")
        for habit in one.habits:
            click.echo(f"  - {habit.does}\n      {habit.basis}: {habit.source}")


def _show_posts(profiles: list[Profile], collection: str, *, as_json: bool) -> None:
    moment = datetime.now(UTC)
    posts = [
        {"client": name, "collection": collection, "object": marked(name, moment)}
        for each in profiles
        for client in each.clients
        if Step.WRITE in client.steps
        for name in [f"{each.name}/{client.name}"]
    ]
    if as_json:
        print_json({"posts": posts})
        return
    for post in posts:
        click.echo(f"{post['client']} would post to {collection}:")
        click.echo(f"  {post['object']}")
    if not posts:
        click.echo("None of these clients posts.")
