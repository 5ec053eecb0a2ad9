"""The whole examination: survey the server, then let each client visit it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

from hub.doctor.findings import Finding, GivesUpError, OutOfRequestsError, Severity
from hub.doctor.line import Budget, Credential, Line
from hub.doctor.probes import probe, skew
from hub.doctor.profile import Auth, Basis, Client, Profile
from hub.doctor.survey import READER, SERVER, Site, careful, judge_truth, survey
from hub.doctor.visit import Scene, can_write, visit
from hub.doctor.wire import Ask
from hub.model.codec import Json

_MANNERS: Final = 20
"""What the careful reader asks besides pages."""


@dataclass(frozen=True)
class Case:
    """What is to be examined.

    Args:
        url: of a server, its discovery, an API root, or a collection.
        collection: id or title; None takes the first that can be read.
        write: id or title of a collection that may be posted to; None posts nothing.
        max_requests: of each client; the careful reader may take as many for the objects, and as
            many for the manifest.
        timeout_s: for one answer, where the client itself would wait longer.
    """

    url: str
    profiles: Sequence[Profile]
    credential: Credential = field(default_factory=Credential)
    collection: str | None = None
    write: str | None = None
    max_requests: int = 200
    timeout_s: float = 30.0


@dataclass(frozen=True)
class Visited:
    """One client's result; the server's own stands under its own name."""

    who: str
    title: str
    findings: tuple[Finding, ...]
    requests: int

    @property
    def severity(self) -> Severity:
        """The worst."""
        return max((one.severity for one in self.findings), default=Severity.WORKS)

    def document(self) -> Json:
        """For JSON."""
        return {
            "client": self.who,
            "title": self.title,
            "verdict": self.severity.word,
            "requests": self.requests,
            "findings": [
                {
                    "code": one.code,
                    "severity": one.severity.word,
                    "says": one.says,
                    "evidence": list(one.evidence),
                    "remedy": one.remedy,
                }
                for one in self.findings
            ],
        }


@dataclass(frozen=True)
class Diagnosis:
    """What was found.

    Args:
        site: None when the server could not be read at all.
        place: the collection's address, fit to be shown.
    """

    site: Site | None
    visited: tuple[Visited, ...]
    place: str = ""

    @property
    def severity(self) -> Severity:
        """The worst of all."""
        return max((one.severity for one in self.visited), default=Severity.WORKS)

    def of(self, who: str) -> Visited:
        """One client's result, or `server`."""
        return next(one for one in self.visited if one.who == who)

    def document(self) -> Json:
        """For JSON."""
        site: dict[str, Any] | None = None
        if self.site is not None:
            site = {
                "collection": self.place,
                "objects": len(self.site.truth.items),
                "whole": self.site.truth.whole,
            }
        return {
            "verdict": self.severity.word,
            "read": site,
            "clients": [one.document() for one in self.visited],
        }


def examine(
    case: Case, ask: Ask, now: Callable[[], float], tell: Callable[[str], None]
) -> Diagnosis:
    """Survey, then visit as each client of each profile.

    Args:
        now: this machine's clock, seconds since the epoch.
        tell: is called with the name of whoever comes next.
    """
    tell(SERVER)
    line, budget, site = _surveyed(case, ask)
    if site is None:
        return Diagnosis(None, (_visited(line, "the careful reader", budget),))
    try:
        writes = None if case.write is None else survey_for_write(line, case, site)
        skew_s = skew(line, site.collections_url, now())
    except GivesUpError as error:
        line.findings.append(error.finding)
        return Diagnosis(None, (_visited(line, "the careful reader", budget),))
    judge_truth(line, site.truth)
    scene = Scene(site, now(), skew_s, writes, _existence(line, site))
    server = _server(case, line, budget, site)
    visits = [_Visit(case, ask, each, one) for each in case.profiles for one in each.clients]
    for one in visits:
        tell(one.line.who)
        visit(one.line, scene)
    for one in visits:
        if can_write(one.line):
            visit(one.line, scene, writing=True)
    place = line.shown.text(site.collection_url)
    return Diagnosis(site, (server, *(one.result() for one in visits)), place)


def survey_for_write(line: Line, case: Case, site: Site) -> Site:
    """The collection that may be posted to, without reading what it holds."""
    if case.write in (site.collection.id, site.collection.title):
        return site
    return survey(line, site.root, case.write, pages=0)


def _surveyed(case: Case, ask: Ask) -> tuple[Line, Budget, Site | None]:
    """Survey with the credential in each form that it has, until one is let in."""
    forms: list[Auth | None] = [one for one in case.credential.forms if one in READER.auth]
    for form in forms or [None]:
        budget = Budget(2 * case.max_requests + _MANNERS, case.timeout_s)
        line = careful(ask, case.credential, budget, form)
        try:
            return line, budget, survey(line, case.url, case.collection, pages=case.max_requests)
        except GivesUpError as error:
            line.findings.append(error.finding)
            if error.finding.code != "auth-refused":
                break
        except OutOfRequestsError:
            line.note("budget", Severity.FAILS)
            break
    return line, budget, None


def _visited(line: Line, title: str, budget: Budget) -> Visited:
    ordered = sorted(line.findings, key=lambda one: -one.severity)
    return Visited(line.who, title, tuple(ordered), budget.sent)


def _server(case: Case, line: Line, budget: Budget, site: Site) -> Visited:
    budget.requests = budget.sent + case.max_requests
    try:
        probe(line, site)
    except OutOfRequestsError:
        line.note("budget", Severity.WORKS)
    return _visited(line, "the careful reader", budget)


class _Visit:
    """One client's line and budget."""

    def __init__(self, case: Case, ask: Ask, profile: Profile, client: Client) -> None:
        self._budget = Budget(case.max_requests, case.timeout_s)
        guessed = client.paging and any(one.basis is Basis.ASSUMED for one in profile.habits)
        known = " (closed code: its paging is assumed)" if guessed else ""
        self._title = f"{profile.title}, {client.title}{known}"
        who = f"{profile.name}/{client.name}"
        self.line = Line(ask, client, who, case.credential, self._budget)

    def result(self) -> Visited:
        return _visited(self.line, self._title, self._budget)


def _existence(line: Line, site: Site) -> Callable[[str], bool]:
    """Whether an object is still there; when that cannot be told, it is taken to be."""

    def exists(object_id: str) -> bool:
        try:
            return line.send("GET", f"{site.objects_url}{quote(object_id)}/").status != 404
        except (GivesUpError, OutOfRequestsError):
            return True

    return exists
