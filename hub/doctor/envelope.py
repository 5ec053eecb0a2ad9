"""Pages of objects and of manifest records, read without trust."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from hub.doctor.line import Line
from hub.doctor.shown import LONGEST
from hub.model.codec import Json


class Key(NamedTuple):
    """One version of one object."""

    id: str
    version: str


@dataclass(frozen=True, slots=True)
class Item:
    """What of an object matters to a pull.

    Args:
        modified: empty where it has none.
        date_added: from the manifest, empty where it is not known.
    """

    key: Key
    modified: str = ""
    date_added: str = ""
    has_spec: bool = True


@dataclass(frozen=True, slots=True)
class Page:
    """One envelope with the headers of its answer.

    Args:
        has_objects: whether `objects` was there at all.
        last: X-TAXII-Date-Added-Last, None when missing.
        said: the exchange, for evidence.
    """

    items: tuple[Item, ...]
    has_objects: bool
    more: bool
    next: str | None
    last: str | None
    said: str


def page_of(line: Line, url: str, params: Mapping[str, str]) -> Page:
    """Ask for one page and read it.

    Raises:
        GivesUpError: the client cannot use the answer.
        OutOfRequestsError: the budget is spent.
    """
    body, answer = line.json(url, params)
    objects = body.get("objects", [])
    if not isinstance(objects, list) or not all(isinstance(one, dict) for one in objects):
        raise line.ended("unreadable", line.last, "`objects` is no list of objects")
    items = tuple(_item(one) for one in objects)
    next_ = body.get("next")
    more = body.get("more") is True
    last = answer.headers.get("x-taxii-date-added-last")
    words = [f"{len(items)} objects"]
    words += ["more"] if more else []
    words += ["next"] if next_ else []
    words += [f"Last {line.shown.text(last, 40)}"] if last is not None else ["no Last"]
    return Page(
        items=items,
        has_objects="objects" in body,
        more=more,
        next=str(next_) if isinstance(next_, str | int) and next_ != "" else None,
        last=last,
        said=line.shown.text(f"{line.last}: {', '.join(words)}", 2 * LONGEST),
    )


def _item(one: Json) -> Item:
    modified = _text(one, "modified")
    version = _text(one, "version") or modified or _text(one, "created")
    return Item(
        key=Key(_text(one, "id"), version),
        modified=modified,
        date_added=_text(one, "date_added"),
        has_spec="spec_version" in one or "date_added" in one,
    )


def _text(one: Json, name: str) -> str:
    value = one.get(name)
    return value if isinstance(value, str) else ""
