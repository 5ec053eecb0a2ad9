"""`stillwatch hunt add`: logs into the event store."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import click

from hub.cli.hunt_options import store_option, store_path
from hub.cli.mapping import log_mapping
from hub.cli.match_inputs import LogFile, expand
from hub.cli.match_progress import Show, byte_progress
from hub.cli.match_words import counted, plain
from hub.cli.options import home_option, json_option, print_json
from hub.cli.pass_options import LOG_EPILOG, log_options
from hub.errors import ConflictError, InputError
from hub.hunt.store import DAYS, MAX_DAYS, EventStore
from hub.traffic.formats import open_log
from hub.traffic.reader import LogReader


@click.command("add", epilog=LOG_EPILOG)
@log_options
@click.option(
    "--days",
    type=click.IntRange(1, MAX_DAYS),
    default=None,
    show_default=f"as before, at first {DAYS}",
    help="How long exchanges are kept.",
)
@click.option(
    "--keep-prompts",
    is_flag=True,
    help="Make a store that keeps prompts as text, so that phrases can be hunted as well.",
)
@store_option
@home_option
@json_option
def command(
    files: tuple[str, ...],
    log_format: str,
    maps: tuple[str, ...],
    days: int | None,
    keep_prompts: bool,
    store: Path | None,
    home: Path,
    as_json: bool,
) -> None:
    """Add logs to the event store; the first time makes it.

    FILE is a log, a folder of logs or a glob, as for `stillwatch match`. A log that was added
    before adds only what is new in it, also when it was renamed or packed since: run it every day.
    A run that is killed has added the files that it had finished.
    """
    path = store_path(store, home)
    logs = [log for log in expand(files, without={}) if not _inside(log.path, path)]
    opened, unread = _opened(logs, log_format, log_mapping(maps))
    events = _store(path, days, keep_prompts=keep_prompts)
    now = datetime.now(UTC)
    added: list[dict[str, Any]] = []
    with events.locked(), byte_progress(sum(r.bytes_total for _, r in opened)) as progress:
        if days is not None and days != events.catalogue.days:
            events.keep_days(days)
        dropped = events.expire(now)
        done = 0
        for log, reader in opened:
            show = partial(_progress, progress, plain(log.source), done)
            one = events.add(reader, log.source, now=now, progress=show)
            done += reader.bytes_total
            added.append(
                {
                    "source": log.source,
                    "format": reader.format_name,
                    "added": one.rows,
                    "known": one.known,
                    "expired": one.expired,
                    "rejected_lines": reader.rejects.count,
                    "damaged": reader.damage,
                }
            )
    document = {
        "format": "stillwatch-hunt-add/1",
        "store": str(path),
        "days": events.catalogue.days,
        "dropped": dropped,
        "exchanges": sum(part.rows for part in events.catalogue.parts),
        "logs": added,
        "unread_files": [{"source": name, "reason": reason} for name, reason in unread],
    }
    if as_json:
        print_json(document)
    else:
        _show(document)
    damaged = [str(one["source"]) for one in added if one["damaged"]]
    if damaged:
        raise InputError("damaged: only a part was added", where=", ".join(map(plain, damaged)))


def _progress(show: Show, label: str, before: int, read: int) -> None:
    show(label, before + read)


def _inside(path: Path, folder: Path) -> bool:
    return path.resolve().is_relative_to(folder.resolve())


def _opened(
    logs: list[LogFile], log_format: str, mapping: dict[str, str]
) -> tuple[list[tuple[LogFile, LogReader]], list[tuple[str, str]]]:
    opened: list[tuple[LogFile, LogReader]] = []
    unread: list[tuple[str, str]] = []
    for log in logs:
        try:
            opened.append((log, open_log(log.path, format=log_format, mapping=mapping)))
        except InputError as error:
            if log.named:
                raise
            unread.append((log.source, error.message))
    if not opened:
        raise InputError("none of the files is a log of a known format")
    return opened, unread


def _store(path: Path, days: int | None, *, keep_prompts: bool) -> EventStore:
    if not EventStore.exists(path):
        return EventStore.create(path, days=days or DAYS, texts=keep_prompts)
    events = EventStore.open(path)
    if keep_prompts and not events.catalogue.texts:
        raise ConflictError(
            "this event store was made without prompts",
            where=str(path),
            hint="another --store, or remove this one and add the logs again",
        )
    return events


def _show(document: dict[str, Any]) -> None:
    for one in document["logs"]:
        parts = [f"{one['added']:,} added"]
        parts += [f"{one['known']:,} known before"] if one["known"] else []
        parts += [f"{one['expired']:,} too old"] if one["expired"] else []
        if one["rejected_lines"]:
            parts.append(f"{counted(one['rejected_lines'], 'line')} left out")
        click.echo(f"{plain(one['source'])} ({one['format']}): {', '.join(parts)}")
    for one in document["unread_files"]:
        click.echo(f"not read: {plain(one['source'])}: {plain(one['reason'])}")
    click.echo(
        f"{counted(document['exchanges'], 'exchange')} kept for {document['days']:,} days in "
        f"{document['store']}"
    )
    if document["dropped"]:
        click.echo(f"{counted(document['dropped'], 'exchange')} dropped as too old")
