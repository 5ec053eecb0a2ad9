"""Questions put to the server for their own sake: what each client silently relies on."""

from __future__ import annotations

import email.utils
from typing import Final

from hub.doctor.envelope import page_of
from hub.doctor.findings import GivesUpError, Severity
from hub.doctor.line import Line
from hub.doctor.survey import Site, micros

SKEW_SECONDS: Final = 5.0
"""A Date header is cut to whole seconds, and answers take a while."""


def probe(line: Line, site: Site) -> None:
    """Ask; findings go to the line. A refused question is a finding too.

    Raises:
        OutOfRequestsError: the budget is spent.
    """
    if len(site.truth.items) < 3:
        return
    for question in (_repeat, _after):
        try:
            question(line, site)
        except GivesUpError as error:
            line.findings.append(error.finding)


def _repeat(line: Line, site: Site) -> None:
    limit = str(max(1, len(site.truth.items) // 3))
    first = page_of(line, site.objects_url, {"limit": limit})
    if first.next is None:
        return
    params = {"limit": limit, "next": first.next}
    once = page_of(line, site.objects_url, params)
    try:
        twice = page_of(line, site.objects_url, params)
    except GivesUpError as error:
        line.note("next-not-repeatable", Severity.LOSES, once.said, *error.finding.evidence)
        return
    if [item.key for item in once.items] != [item.key for item in twice.items]:
        line.note("next-not-repeatable", Severity.LOSES, once.said, twice.said)


def _after(line: Line, site: Site) -> None:
    """What `added_after` of a page's last object brings, and whether the header names that."""
    limit = max(1, len(site.truth.items) // 2)
    page = page_of(line, site.objects_url, {"limit": str(limit)})
    if page.last is None or not page.items:
        line.note("date-header-missing", Severity.WORKS, page.said)
        return
    cut = micros(page.last)
    if cut is None:
        line.note("date-header-form", Severity.WORKS, page.said)
        return
    added = site.truth.added
    stamps = [added[item.key] for item in page.items if item.key in added]
    if stamps and cut > max(stamps):
        line.note("date-header-wrong", Severity.LOSES, page.said)
    got = page_of(line, site.objects_url, {"added_after": page.last})
    early = [at for item in got.items if (at := added.get(item.key)) is not None and at <= cut]
    if any(at < cut for at in early):
        line.note("added-after-ignored", Severity.DUPLICATES, got.said)
    elif early:
        line.note("added-after-inclusive", Severity.DUPLICATES, got.said)


def skew(line: Line, url: str, now_s: float) -> float | None:
    """How far this machine's clock is ahead of the server's, in seconds; None when not told."""
    answer = line.send("GET", url)
    told = answer.headers.get("date")
    if told is None:
        return None
    try:
        moment = email.utils.parsedate_to_datetime(told)
    except ValueError:
        return None
    return now_s - moment.timestamp()
