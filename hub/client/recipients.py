"""Who may read what is released directly, as the operator says it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from hub.client import guards
from hub.client.direct import Terms
from hub.client.home import Home
from hub.client.naming import member_names
from hub.client.rows import ChannelRow
from hub.errors import InputError

MAX_BASIS: Final = 256


def terms(
    home: Home,
    channel: ChannelRow,
    names: Sequence[str],
    basis: str,
    valid_until: int | None,
    *,
    now: int,
) -> Terms:
    """Read what the operator said about a direct release.

    Args:
        names: member ids, or names as `channel members` shows them.
    Raises:
        InputError: nobody or somebody unknown is named, no basis, or it ends before it begins.
    """
    text = basis.strip()
    if not 1 <= len(text) <= MAX_BASIS or not text.isprintable():
        raise InputError(f"a legal basis of 1 to {MAX_BASIS} characters is wanted", where="--basis")
    if fault := guards.free_text(text):
        raise InputError(f"the basis {fault}", where="--basis", hint="describe, do not name")
    if valid_until is not None and valid_until <= now:
        raise InputError("lies in the past", where="--valid-until")
    recipients = {resolve(home, channel, each) for each in names}
    if home.member_id in recipients:
        raise InputError("this organisation itself need not be named", where="--to")
    if not recipients:
        raise InputError("name the members who may read", where="--to")
    return Terms(tuple(sorted(recipients)), text, valid_until)


def resolve(home: Home, channel: ChannelRow, name: str) -> str:
    """The member that a name or an id means.

    Raises:
        InputError: none or several.
    """
    manifest = home.trusted(channel).manifest
    if manifest.member(name) is not None:
        return name
    names = member_names(home, channel)
    known = {each.member: names.get(each.member, each.member) for each in manifest.members}
    found = [each for each, text in known.items() if text == name]
    found = found or [each for each, text in known.items() if text.casefold() == name.casefold()]
    if len(found) != 1:
        listed = ", ".join(sorted(known.values()))
        raise InputError(
            "several members have this name" if found else f"no such member; known: {listed}",
            where=name[:100],
            hint=f"stillwatch channel members {channel.name} shows their ids",
        )
    return found[0]
