"""The polls after the first: what a client keeps between them, and what that costs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from hub.doctor.envelope import Item
from hub.doctor.findings import GivesUpError, Severity
from hub.doctor.line import Line
from hub.doctor.probes import SKEW_SECONDS
from hub.doctor.profile import Cursor, Form, NoHeader, Paging
from hub.doctor.pull import Asked, End, Pull, pull, written
from hub.doctor.survey import Site, micros

_MOST_POLLS: Final = 50


@dataclass(frozen=True)
class Stand:
    """Where a client stands after its first pull.

    Args:
        now_s: the client's clock, seconds since the epoch.
        skew_s: how far it is ahead of the server's; None when not told.
    """

    line: Line
    paging: Paging
    site: Site
    now_s: float
    skew_s: float | None


def poll_again(stand: Stand, first: Pull) -> None:
    """Note what the next poll would lose or read again."""
    if not first.items:
        return
    match stand.paging.cursor:
        case Cursor.DATE_ADDED_LAST:
            _by_header(stand, first)
        case Cursor.MODIFIED:
            _by_modified(stand, first)
        case Cursor.CLOCK:
            _by_clock(stand, first)
        case Cursor.NONE:
            return


def _by_header(stand: Stand, first: Pull) -> None:
    line, form = stand.line, stand.paging.form
    header = first.cursor
    if header is None:
        loses = stand.paging.no_header is NoHeader.NOW
        severity = Severity.LOSES if loses else Severity.DUPLICATES
        line.note("date-header-missing", severity, first.pages[-1].said)
        return
    if micros(header) is None:
        severity = Severity.FAILS if form is Form.VERBATIM else Severity.DUPLICATES
        line.note("date-header-form", severity, first.pages[-1].said)
        return
    cursor = written(header, form)
    if cursor is None:
        return
    second = _second(stand, Asked(limit=stand.paging.limit, after=cursor))
    if second is None:
        return
    repeated = first.ids & second.ids
    if not repeated:
        return
    said = f"{len(repeated)} of {len(first.ids)} again"
    severity = Severity.DUPLICATES
    code = _why_again(stand, second, cursor, everything=repeated == first.ids)
    if code == "reads-again" or (code is None and cursor != header):
        code, severity = "reads-again", Severity.WORKS
    line.note(code or "added-after-inclusive", severity, said, *second.said)


def _why_again(stand: Stand, second: Pull, cursor: str, *, everything: bool) -> str | None:
    """Which fault brings objects again; None when the manifest does not tell."""
    added, cut = stand.site.truth.added, micros(cursor)
    stamps = [added[key] for key in second.keys if key in added]
    if not stamps or cut is None:
        return "added-after-ignored" if everything and len(second.ids) > 1 else None
    if min(stamps) < cut:
        return "added-after-ignored"
    return "added-after-inclusive" if min(stamps) == cut else "reads-again"


def _by_modified(stand: Stand, first: Pull) -> None:
    line = stand.line
    cursor = latest_modified(first.items)
    if cursor is None:
        return
    newest = max(stand.site.truth.added.values(), default=None)
    at = micros(cursor)
    if at is not None and newest is not None and at > max(newest, int(stand.now_s * 1_000_000)):
        line.note("modified-ahead", Severity.LOSES, f"latest modified {line.shown.text(cursor)}")
    second = _second(stand, Asked(limit=stand.paging.limit, after=cursor))
    if second is not None and (repeated := len(first.ids & second.ids)):
        line.note("reads-again", Severity.WORKS, f"{repeated} again", *second.said)


def _by_clock(stand: Stand, first: Pull) -> None:
    line = stand.line
    if stand.skew_s is not None and stand.skew_s > SKEW_SECONDS:
        line.note("clock-skew", Severity.LOSES, f"{stand.skew_s:.0f} s ahead of the Date header")
    moment = datetime.fromtimestamp(int(stand.now_s), UTC)
    cursor = moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    stale = first.last_next if stand.paging.keeps_next else None
    second = _second(stand, Asked(limit=stand.paging.limit, after=cursor, stale=stale))
    if second is not None and (repeated := len(first.ids & second.ids)):
        line.note("reads-again", Severity.WORKS, f"{repeated} again", *second.said)


def _second(stand: Stand, asked: Asked) -> Pull | None:
    try:
        return pull(stand.line, stand.paging, stand.site.objects_url, asked)
    except GivesUpError as error:
        code = "stale-next" if asked.stale is not None else "added-after-refused"
        if error.finding.code != "bad-status":
            raise
        stand.line.note(code, Severity.FAILS, *error.finding.evidence)
        return None


def resume(stand: Stand, first: Pull) -> None:
    """A client that goes on from its cursor after one page: does that bring the rest?

    So does one that is restarted in the midst of a pull, and one whose `next` is refused.
    """
    line, paging, url = stand.line, stand.paging, stand.site.objects_url
    part = Pull(items=list(first.pages[0].items), pages=first.pages[:1])
    limit = len(part.items) if first.end is End.WHOLE else paging.limit
    for _ in range(_MOST_POLLS):
        kept = latest_modified(part.items) if paging.cursor is Cursor.MODIFIED else part.cursor
        cursor = written(kept, paging.form)
        if cursor is None or micros(cursor) is None:
            return
        rest = pull(line, paging, url, Asked(limit=limit, after=cursor))
        new = rest.ids - part.ids
        part.items += rest.items
        part.pages += rest.pages
        if rest.end in (End.CUT, End.ENDLESS):
            return
        if rest.end is End.WHOLE or not new:
            break
    truth = {item.key.id for item in stand.site.truth.items}
    lost = truth - part.ids
    if lost:
        said = f"{len(lost)} of {len(truth)}, such as {line.shown.text(min(lost))}"
        line.note("resume-loses", Severity.LOSES, said, *part.said)


def latest_modified(items: list[Item]) -> str | None:
    """The latest `modified`, in its own spelling."""
    known = [(at, item.modified) for item in items if (at := micros(item.modified)) is not None]
    return max(known)[1] if known else None
