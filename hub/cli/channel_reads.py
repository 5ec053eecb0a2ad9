"""`stillwatch channel reads`: who read what you published, as far as the hub tells."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Final

import click

from hub.cli.names import channel_names
from hub.cli.options import desk_of, home_options, iso, json_option, load_home, print_json, utc
from hub.client.home import Home
from hub.client.reads import ReadsSeen, ask
from hub.client.reads_port import Line
from hub.client.work import Desk
from hub.errors import StillwatchError
from hub.model.codec import Json

_WORDS: Final = {
    "government.read": "read, as a government,",
    "break-glass.request": "asks to read behind broken glass",
    "break-glass.open": "may read behind broken glass",
    "break-glass.read": "read behind broken glass",
    "break-glass.end": "reads no more behind broken glass",
}
_SAID: Final = ("what", "objects", "first", "last", "reason", "account", "approver", "ids")


@dataclasses.dataclass
class _Found:
    """What one hub told.

    Attributes:
        rows: the lines to show.
        told: whether it tells anything at all.
        more: whether it has more after them.
    """

    api_root: str
    rows: list[Line] = dataclasses.field(default_factory=list)
    told: bool = True
    more: bool = False
    error: StillwatchError | None = None


@click.command("reads")
@click.argument("name", required=False, shell_complete=channel_names)
@click.option("--all", "everything", is_flag=True, help="From the beginning, not only what is new.")
@home_options
@json_option
def reads_command(
    name: str | None, everything: bool, home: Path, passphrase_file: Path | None, as_json: bool
) -> None:
    """Show who read what you published, as the hubs tell: in channel NAME, or everywhere.

    A hub tells of governments that fetch detail, and of administrators who read behind broken
    glass, before it answers them. It cannot tell of copies that were made elsewhere.

    What was shown is not new any more; with NAME only while nothing else is new at that hub.
    """
    with load_home(home, passphrase_file) as opened:
        desk = desk_of(opened)
        channel = None if name is None else opened.state.channel(name)
        roots = [row.api_root for row in opened.state.hubs()]
        wanted = None if channel is None else {channel.collection_id, channel.inbox_id}
        found = [
            _ask(desk, root, wanted, everything=everything)
            for root in ([channel.api_root] if channel is not None else roots)
        ]
        names = _names(opened)
    if as_json:
        print_json({"hubs": [_document(each, names) for each in found]})
    else:
        _show(found, names)
    failed = next((each.error for each in found if each.error is not None), None)
    if failed is not None:
        raise failed


def _ask(desk: Desk, api_root: str, wanted: set[str | None] | None, *, everything: bool) -> _Found:
    seen = ReadsSeen(desk.home.state)
    made = _Found(api_root)
    before = seen.of(api_root)
    try:
        told = ask(desk, api_root, 0 if everything else before.seen)
    except StillwatchError as error:
        made.error = error
        return made
    if told is None:
        made.told = False
        return made
    reads = [each for each in told.rows if each.is_read]
    made.rows = [each for each in reads if wanted is None or each.collection in wanted]
    made.more = told.more
    if told.rows and len(made.rows) == len(reads):
        shown = sum(each.seq > before.seen for each in reads)
        seen.look(api_root, told.rows[-1].seq, shown, desk.clock())
    return made


def _names(home: Home) -> dict[str, str]:
    """Channels by their collections."""
    found = {}
    for each in home.state.channels():
        found[each.collection_id] = each.name
        if each.inbox_id is not None:
            found[each.inbox_id] = f"{each.name} (join requests)"
    return found


def _document(found: _Found, names: dict[str, str]) -> Json:
    return {
        "api_root": found.api_root,
        "told": found.told,
        "more": found.more,
        "problem": None if found.error is None else str(found.error),
        "reads": [
            dataclasses.asdict(each)
            | {"time": iso(each.time), "channel": names.get(each.collection or "")}
            for each in found.rows
        ],
    }


def _show(found: list[_Found], names: dict[str, str]) -> None:
    for each in found:
        if each.error is not None:
            continue
        if not each.told:
            click.echo(f"{each.api_root}: tells nothing of reads")
            continue
        if not each.rows:
            click.echo(f"{each.api_root}: nothing new")
        for row in each.rows:
            click.echo(_sentence(row, names))
        if each.more:
            click.echo(f"{each.api_root}: there is more: run the command again")
    if not found:
        click.echo("No hubs: join a channel, or create one.")


def _sentence(row: Line, names: dict[str, str]) -> str:
    place = names.get(row.collection or "") or row.collection or "the hub"
    said = "; ".join(f"{name} {row.detail[name]}" for name in _SAID if name in row.detail)
    who = row.organization or "the hub's operator"
    verb = _WORDS.get(row.event, row.event)
    return f"{utc(row.time)}  {place}: {who} {verb}{': ' if said else ''}{said}"
