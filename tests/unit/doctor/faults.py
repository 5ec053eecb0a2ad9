"""Servers with one fault each, and the client that meets it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from hub.doctor.clients import PROFILES
from hub.doctor.diagnosis import Case, Diagnosis, examine
from hub.doctor.findings import Severity
from hub.doctor.line import Credential
from hub.doctor.wire import Answer, Request, Trouble, UnansweredError
from hub.errors import InputError
from hub.taxii.times import to_micros, to_text
from tests.unit.doctor.scripted import (
    COLLECTION,
    NOW,
    OTHER,
    ROOT,
    SECRET,
    USER,
    Params,
    Row,
    Server,
    chosen,
    collection_of,
    told,
)

OBJECTS = f"/root/collections/{COLLECTION}/objects/"


def seen(
    server: Server,
    *names: str,
    url: str = ROOT,
    credential: Credential | None = None,
    **more: Any,
) -> Diagnosis:
    """What the named clients, or all, meet."""
    case = Case(
        url=url,
        profiles=[PROFILES[name] for name in names or PROFILES],
        credential=credential or Credential(USER, SECRET),
        **more,
    )
    return examine(case, server, lambda: NOW, lambda _: None)


def met(diagnosis: Diagnosis, who: str) -> dict[str, Severity]:
    """Codes of a client, each with its worst severity."""
    found: dict[str, Severity] = {}
    for one in diagnosis.of(who).findings:
        found[one.code] = max(one.severity, found.get(one.code, Severity.WORKS))
    return found


def full(**more: Any) -> Server:
    """A good server with twenty objects, seven a page."""
    members: dict[str, Any] = {"rows": collection_of(20), "page": 7} | more
    return Server(**members)


def on(path: str, change: Callable[[Request, Answer], Answer]) -> Callable[..., Answer]:
    """Bend the answers below one path only."""

    def bend(request: Request, answer: Answer) -> Answer:
        return change(request, answer) if request.target.startswith(path) else answer

    return bend


def headed(answer: Answer, **headers: str) -> Answer:
    """The answer with other headers; underscores stand for hyphens."""
    renamed = {name.replace("_", "-"): text for name, text in headers.items()}
    return dataclasses.replace(answer, headers={**answer.headers, **renamed})


def fails(trouble: Trouble, path: str) -> Callable[[Request, Answer], Answer]:
    """No answer below a path."""

    def bend(request: Request, answer: Answer) -> Answer:
        raise UnansweredError(trouble, "planted")

    return on(path, bend)


def no_next(body: dict[str, Any], _: Params) -> dict[str, Any]:
    """`more` without `next`."""
    return {name: value for name, value in body.items() if name != "next"}


def no_more(body: dict[str, Any], _: Params) -> dict[str, Any]:
    """`next` without `more`."""
    return {name: value for name, value in body.items() if name != "more"}


def inclusive(rows: list[Row], params: Params) -> list[Row]:
    """added_after gives its own moment too."""
    after = params.get("added_after")
    return rows if after is None else [row for row in rows if row[0] >= to_micros(after)]


def only_for(agent: str, change: Callable[[Request, Answer], Answer]) -> Callable[..., Answer]:
    """Bend what one client gets: the careful reader reads on."""

    def bend(request: Request, answer: Answer) -> Answer:
        return change(request, answer) if agent in request.headers["User-Agent"] else answer

    return bend


def empty_second(body: dict[str, Any], params: Params) -> dict[str, Any]:
    """The page at position 7 is empty, and the next is not."""
    if params.get("next") == "n7" and params.get("limit") != "500":
        return {"more": True, "next": "n7x"}
    return body


def restart(text: str, _: Params) -> int:
    """`next` of the empty page goes on at 7."""
    return int(text[1:].rstrip("x"))


def stuck(text: str, _: Params) -> int:
    """Every `next` leads to the first page."""
    return 0


def lossy(text: str, params: Params) -> int:
    """`next` skips a row, but not for the careful reader."""
    at = int(text[1:])
    return at if params.get("limit") in ("500", None) and "added_after" not in params else at + 1


def overlapping(text: str, params: Params) -> int:
    """`next` gives the last row again."""
    return int(text[1:]) - 1


def needs_after(text: str, params: Params) -> int | None:
    """`next` without added_after is refused, but not to the careful reader."""
    return int(text[1:]) if params.get("limit") == "500" or "added_after" in params else None


def same_stamps() -> list[Row]:
    """Twenty objects, four of each stamp."""
    return [(at - at % 4_000, one) for at, one in collection_of(20)]


def redirected(request: Request, answer: Answer) -> Answer:
    """To the same address with one parameter more."""
    if "moved" in request.target:
        return answer
    return headed(told(301, {}), location=f"{request.url.partition('?')[0]}?moved=1")


def bad_status(body: dict[str, Any]) -> dict[str, Any]:
    """Counts that do not add up."""
    return body | {"success_count": 2}


def failed_status(body: dict[str, Any]) -> dict[str, Any]:
    """The object failed."""
    return body | {"success_count": 0, "failure_count": 1}


def in_resource(path: str, **members: Any) -> Callable[[str, Any], Any]:
    """Change members of one resource."""
    return lambda at, body: body | members if at == path else body


def posts_get(status: int) -> Callable[[Request, Answer], Answer]:
    """What a POST gets."""
    return lambda request, answer: told(status, {}) if request.method == "POST" else answer


def text_after(refused: int) -> Callable[[list[Row], Params], list[Row]]:
    """Fractions of that many digits bring a failure."""

    def select(rows: list[Row], params: Params) -> list[Row]:
        after = params.get("added_after", "")
        if "." in after and len(after.partition(".")[2]) - 1 == refused:
            raise InputError("refused")
        return chosen(rows, params)

    return select


class Forgetful(Server):
    """Each `next` is good once."""

    used: set[str]

    def __call__(self, request: Request) -> Answer:
        used = self.__dict__.setdefault("used", set())
        name = request.target.partition("next=")[2]
        if name and "limit=6" in request.target:
            if request.target in used:
                return told(400, {})
            used.add(request.target)
        return super().__call__(request)


def ids(body: Any, **changes: Any) -> Any:
    """A list of collections, ours changed."""
    first, *rest = body["collections"]
    return {"collections": [*rest, first | changes]}


def listed(**changes: Any) -> Callable[[str, Any], Any]:
    """Change our collection in the list, and put it last."""
    return lambda at, body: ids(body, **changes) if at.endswith("/collections/") else body


S, D, L, F = Severity.WORKS, Severity.DUPLICATES, Severity.LOSES, Severity.FAILS
FEED, AGENT, VIEW = "opencti/feed", "elastic/agent", "misp/view"
CONNECTOR, XSOAR, LIBRARY = "opencti/connector", "xsoar/feed", "taxii2-client/library"

READING: dict[str, tuple[Server, str, str, Severity]] = {
    "406": (
        full(bend=only_for("CakePHP", lambda *_: told(406, {}))), VIEW, "not-acceptable", F),
    "401 to one": (full(bend=only_for("axios", lambda *_: told(401, {}))), FEED, "auth-refused", F),
    "429": (full(bend=only_for("axios", lambda *_: told(429, {}))), FEED, "rate-limited", F),
    "500": (full(bend=only_for("axios", lambda *_: told(500, {}))), FEED,
            "added-after-refused", F),
    "500 for all parameters": (
        full(bend=only_for("CakePHP", lambda *_: told(500, {}))), VIEW, "bad-status", F),
    "404": (full(bend=only_for("CakePHP", lambda *_: told(404, {}))), VIEW, "not-found", F),
    "late": (
        full(bend=only_for("axios", lambda _, a: dataclasses.replace(a, seconds=31.0))),
        FEED, "timeout", F),
    "no connection": (
        full(bend=only_for("axios", fails(Trouble.UNREACHABLE, "/"))), FEED, "unreachable", F),
    "bad certificate": (full(bend=only_for("axios", fails(Trouble.TLS, "/"))), FEED, "tls", F),
    "huge": (
        full(bend=only_for("axios", fails(Trouble.TOO_LARGE, "/"))), FEED, "too-large", F),
    "broken": (full(bend=only_for("axios", fails(Trouble.BROKEN, "/"))), FEED, "broken", F),
    "redirect": (full(bend=only_for("CakePHP", redirected)), VIEW, "redirect", F),
    "redirect followed": (full(bend=only_for("axios", redirected)), FEED, "redirect", S),
    "redirect elsewhere": (
        full(bend=only_for("axios", lambda *_: headed(told(301, {}), location="https://b.example/"))),
        FEED, "redirect-elsewhere", F),
    "redirect loop": (
        full(bend=only_for("axios", lambda r, _: headed(told(302, {}), location=r.url))),
        FEED, "redirect-loop", F),
    "other media type": (
        full(bend=only_for("taxii2", lambda _, a: headed(a, content_type="application/json"))),
        XSOAR, "content-type", F),
    "quoted version": (
        full(bend=only_for("taxii2", lambda _, a: headed(
            a, content_type='application/taxii+json; version="2.1"'))),
        LIBRARY, "content-type", F),
    "other media type to the lax": (
        full(bend=only_for("axios", lambda _, a: headed(a, content_type="text/html"))),
        FEED, "content-type", S),
    "no JSON": (
        full(bend=only_for("axios", lambda _, a: dataclasses.replace(a, body=b"<html>"))),
        FEED, "unreadable", F),
    "deep JSON": (
        full(bend=only_for("axios", lambda _, a: dataclasses.replace(
            a, body=b'{"a":' * 100_000 + b"1" + b"}" * 100_000))),
        FEED, "unreadable", F),
    "objects of another form": (
        full(bend=only_for("axios", lambda *_: told(200, {"objects": [1]}))),
        FEED, "unreadable", F),
    "no roots": (full(resource=in_resource("/taxii2/", api_roots=[])), XSOAR, "no-roots", F),
    "another root": (
        full(resource=in_resource("/taxii2/", api_roots=["/other/"])), XSOAR, "root-not-listed", F),
    "root behind a proxy": (
        full(resource=in_resource("/taxii2/", api_roots=["http://localhost:8080/root/"])),
        CONNECTOR, "root-elsewhere", F),
    "not listed": (
        full(resource=listed(id=OTHER)), VIEW, "collection-missing", F),
    "same titles": (full(resource=listed(title="Another"), title="Another"), XSOAR,
                    "title-ambiguous", F),
    "dots": (full(title="v1.2"), CONNECTOR, "title-dot", F),
    "no uuid": (full(id="circle"), "sentinel/connector", "id-form", F),
    "uuid of another version": (
        full(id="0b033949-836d-1c23-bcaa-0f9fe1b97046"), "sentinel/connector", "id-form", F),
    "not readable": (full(can_read=False), FEED, "not-readable", F),
    "limit ignored": (
        full(bend=on(f"{OBJECTS}?limit=50", lambda *_: told(
            200, {"objects": [one for _, one in collection_of(60)]}))),
        VIEW, "limit-ignored", S),
    "no next for those who stop": (full(envelope=no_next), VIEW, "more-without-next", L),
    "no next for those who repeat": (full(envelope=no_next), XSOAR, "more-without-next", F),
    "no next for those who hang": (full(envelope=no_next), CONNECTOR, "more-without-next", F),
    "no next for those with a cursor": (full(envelope=no_next), FEED, "more-without-next", S),
    "no next, equal stamps": (
        full(envelope=no_next, rows=same_stamps()), FEED, "lost-equal-stamps", L),
    "no next for the library": (full(envelope=no_next), LIBRARY, "loops", F),
    "no more": (full(envelope=no_more), AGENT, "next-without-more", D),
    "next refused": (full(start=needs_after), CONNECTOR, "next-refused", F),
    "next for ever": (full(start=stuck), FEED, "loops", F),
    "next refused to MISP": (full(start=needs_after), VIEW, "next-refused", F),
    "empty page": (full(envelope=empty_second, start=restart), FEED, "empty-page", L),
    "nothing new": (full(), AGENT, "empty-envelope", S),
    "skips": (full(start=lossy), XSOAR, "lost-objects", L),
    "overlaps": (full(start=overlapping), XSOAR, "duplicates", D),
    "equal stamps": (full(rows=same_stamps()), AGENT, "resume-loses", L),
    "no date header": (full(last=lambda *_: None), FEED, "date-header-missing", L),
    "no date header for Elastic": (full(last=lambda *_: None), AGENT, "date-header-missing", D),
    "date of another form": (
        full(last=lambda *_: "Thu Feb 20 2020 22:10:20 GMT"), FEED, "date-header-form", D),
    "date of another form, sent back": (
        full(last=lambda *_: "Thu Feb 20 2020 22:10:20 GMT"), AGENT, "date-header-form", F),
    "wrong date": (full(last=lambda rows, _: to_text(rows[-1][0])), AGENT, "resume-loses", L),
    "inclusive": (full(select=inclusive), AGENT, "added-after-inclusive", D),
    "ignored": (full(select=lambda rows, _: rows), AGENT, "added-after-ignored", D),
    "milliseconds refused": (
        full(select=text_after(3)), FEED, "added-after-refused", F),
    "cut to milliseconds": (full(), FEED, "reads-again", S),
    "future": (
        full(rows=collection_of(20, modified="2099-01-01T00:00:00.000Z")), XSOAR,
        "modified-ahead", L),
    "clock": (full(date=NOW - 60), CONNECTOR, "clock-skew", L),
    "no spec_version": (
        full(rows=[(at, {k: v for k, v in one.items() if k != "spec_version"})
                   for at, one in collection_of(20)]),
        CONNECTOR, "no-spec-version", F),
    "library refused": (
        full(bend=only_for("taxii2", on(OBJECTS, lambda *_: told(200, {"objects": 7})))),
        LIBRARY, "library-error", F),
    "max_content_length": (
        full(content_length="much"), "misp/push", "max-content-length", F),
}  # fmt: skip

OF_SERVER: dict[str, tuple[Server, str, Severity]] = {
    "order": (full(rows=[*collection_of(20)[10:], *collection_of(20)[:10]]), "order", L),
    "equal stamps": (full(rows=same_stamps()), "equal-stamps", S),
    "once": (Forgetful(rows=collection_of(20), page=7), "next-not-repeatable", L),
    "wrong date": (full(last=lambda rows, _: to_text(rows[-1][0])), "date-header-wrong", L),
    "hidden": (
        full(envelope=lambda body, _: body | {"objects": body.get("objects", [])[1:]}),
        "hidden", L),
    "no manifest": (
        full(bend=on(OBJECTS.replace("objects", "manifest"), lambda *_: told(404, {}))),
        "manifest", S),
    "empty": (full(rows=[]), "nothing-to-read", S),
    "inclusive": (full(select=inclusive), "added-after-inclusive", D),
}  # fmt: skip

WRITING: dict[str, tuple[Server, str, str]] = {
    "not writable": (full(can_write=False), "misp/push", "not-writable"),
    "too small": (full(content_length=50), "misp/push", "too-small"),
    "refused": (full(bend=posts_get(500)), "misp/push", "write-refused"),
    "object refused": (full(status=failed_status), "splunk/reporting", "object-refused"),
    "status broken": (full(status=bad_status), LIBRARY, "status-broken"),
    "status gone": (
        full(bend=on("/root/status/", lambda *_: told(404, {}))),
        "misp/push",
        "status-missing",
    ),
    "not stored": (full(store=lambda _: False), "misp/push", "written-missing"),
}
