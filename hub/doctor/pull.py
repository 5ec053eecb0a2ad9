"""Read a collection as a client does, page by page, with its own habits."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from hub.doctor.envelope import Item, Key, Page, page_of
from hub.doctor.findings import GivesUpError, OutOfRequestsError, Severity
from hub.doctor.line import Line
from hub.doctor.profile import Form, GoesOn, Paging, Without
from hub.errors import InputError
from hub.taxii.times import to_micros, to_text

_BARREN: Final = 4
"""Pages in a row that bring nothing new before a pull is called endless."""
WINDOW: Final = 946_684_800_123_456
"""Where a first poll's window starts: 2000-01-01T00:00:00.123456Z, before every object."""


class End(StrEnum):
    """How a pull came to its end."""

    WHOLE = "the client came to an end"
    ENDLESS = "the client would never end"
    REFUSED = "the server refused to go on"
    CUT = "the bound on requests or pages ended it"


@dataclass
class Pull:
    """What one pull brought."""

    items: list[Item] = field(default_factory=list)
    pages: list[Page] = field(default_factory=list)
    end: End = End.WHOLE
    last_next: str | None = None

    @property
    def keys(self) -> list[Key]:
        """In the order of their coming."""
        return [item.key for item in self.items]

    @property
    def ids(self) -> set[str]:
        """The objects, whatever their version."""
        return {item.key.id for item in self.items}

    @property
    def cursor(self) -> str | None:
        """X-TAXII-Date-Added-Last of the last page that held objects."""
        return next((page.last for page in reversed(self.pages) if page.items), None)

    @property
    def said(self) -> tuple[str, ...]:
        """First and last exchange, for evidence."""
        said = [page.said for page in self.pages]
        return tuple(dict.fromkeys([*said[:1], *said[-1:]]))


@dataclass(frozen=True)
class Asked:
    """Where a pull starts.

    Args:
        limit: None sends none.
        after: `added_after` of the first request.
        stale: a `next` from an earlier pull.
        pages: stop after so many.
    """

    limit: int | None = None
    after: str | None = None
    stale: str | None = None
    pages: int | None = None

    @property
    def params(self) -> dict[str, str]:
        """The first request's parameters."""
        params = {} if self.limit is None else {"limit": str(self.limit)}
        if self.after is not None:
            params["added_after"] = self.after
        if self.stale is not None:
            params["next"] = self.stale
        return params


def pull(line: Line, paging: Paging, url: str, asked: Asked) -> Pull:
    """Read until the client would stop.

    Faults that the client meets are noted on the line; a refused continuation too, as then the
    client keeps what it has.

    Raises:
        GivesUpError: already the first page is of no use to the client.
    """
    pulled, params = Pull(), asked.params
    known: set[Key] = set()
    barren = 0
    while True:
        try:
            page = page_of(line, url, params)
        except OutOfRequestsError:
            line.note("budget", Severity.WORKS)
            pulled.end = End.CUT
            return pulled
        except GivesUpError as error:
            if not pulled.pages:
                raise
            code = error.finding.code
            refused = code in ("bad-status", "not-found", "auth-refused")
            before = pulled.pages[-1].said
            line.note(
                "next-refused" if refused else code,
                Severity.FAILS,
                before,
                *error.finding.evidence,
            )
            pulled.end = End.REFUSED
            return pulled
        pulled.pages.append(page)
        pulled.items += page.items
        _judge(line, paging, page, asked.limit)
        fresh = {item.key for item in page.items} - known
        barren = 0 if fresh else barren + 1
        known |= fresh
        following = _following(line, paging, pulled, asked, params)
        if following is None or pulled.end is not End.WHOLE:
            return pulled
        if barren >= _BARREN or (barren and following == params):
            line.note("loops", Severity.FAILS, *pulled.said)
            pulled.end = End.ENDLESS
            return pulled
        if asked.pages is not None and len(pulled.pages) >= asked.pages:
            pulled.end = End.CUT
            return pulled
        params = following


def _judge(line: Line, paging: Paging, page: Page, limit: int | None) -> None:
    if limit is not None and len(page.items) > limit:
        line.note("limit-ignored", Severity.WORKS, page.said)
    if paging.fails_on_empty and not page.items:
        line.note("empty-envelope", Severity.WORKS, page.said)
    if not line.client.assumes_21 and page.items and not page.items[0].has_spec:
        line.note("no-spec-version", Severity.FAILS, page.said)


def _following(
    line: Line, paging: Paging, pulled: Pull, asked: Asked, params: dict[str, str]
) -> dict[str, str] | None:
    """Parameters of the next request; None when the client ends here."""
    page = pulled.pages[-1]
    if page.next is not None and not page.more:
        severity = Severity.DUPLICATES if paging.goes_on is GoesOn.NEXT else Severity.WORKS
        line.note("next-without-more", severity, page.said)
    wants = {
        GoesOn.MORE: page.more,
        GoesOn.NEXT: page.next is not None or page.more,
        GoesOn.BOTH: page.more,
    }
    if not wants[paging.goes_on]:
        return None
    if paging.stops_on_empty and not page.items:
        line.note("empty-page", Severity.LOSES, page.said)
        return None
    if page.next is None:
        return _without_next(line, paging, pulled, asked, params)
    pulled.last_next = page.next
    kept = {name: value for name, value in asked.params.items() if name in paging.carries}
    return {**kept, "next": page.next}


def _without_next(
    line: Line, paging: Paging, pulled: Pull, asked: Asked, params: dict[str, str]
) -> dict[str, str] | None:
    page = pulled.pages[-1]
    match paging.without_next:
        case Without.STOPS:
            line.note("more-without-next", Severity.LOSES, page.said)
            return None
        case Without.HANGS:
            line.note("more-without-next", Severity.FAILS, page.said)
            pulled.end = End.ENDLESS
            return None
        case Without.REPEATS:
            line.note("more-without-next", Severity.FAILS, page.said)
            return params
        case Without.CURSOR:
            cursor = written(page.last, paging.form)
            line.note("more-without-next", Severity.WORKS, page.said)
            if cursor is None:
                line.note("date-header-missing", Severity.LOSES, page.said)
                return None
            return {**Asked(limit=asked.limit).params, "added_after": cursor}


def written(moment: str | None, form: Form) -> str | None:
    """A time as a client writes it into `added_after`; None when it is no time of RFC 3339."""
    if moment is None:
        return None
    if form is Form.VERBATIM:
        return moment
    try:
        return in_form(to_micros(moment), form)
    except InputError:
        return None


def in_form(micros: int, form: Form) -> str:
    """Microseconds since the epoch as a client writes them."""
    text = to_text(micros)
    match form:
        case Form.MILLISECONDS:
            return f"{text[:23]}Z"
        case Form.SECONDS:
            return f"{text[:19]}Z"
        case _:
            return text


def again(items: Iterable[Item]) -> list[Key]:
    """Keys that came more than once."""
    seen: set[Key] = set()
    twice: dict[Key, None] = {}
    for item in items:
        if item.key in seen:
            twice[item.key] = None
        seen.add(item.key)
    return list(twice)
