"""A TAXII 2.1 server in memory that does all as it should, unless it is told otherwise."""

from __future__ import annotations

import base64
import email.utils
import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from hub.doctor.profile import TAXII_21
from hub.doctor.wire import Answer, Request
from hub.errors import InputError
from hub.taxii.times import to_micros, to_text

BASE = "https://taxii.example"
ROOT = f"{BASE}/root/"
COLLECTION = "0b033949-836d-4c23-bcaa-0f9fe1b97046"
OTHER = "2f6d1a52-6c1f-4c9e-9d55-9e3a6d1c7b10"
USER, SECRET = "partner", "s3cret"
NOW = 1_790_000_000.0
FIRST = 1_780_000_000_123_456
"""date_added of the first object, microseconds."""

Params = dict[str, str]
Row = tuple[int, dict[str, Any]]


def indicator(number: int, **more: Any) -> dict[str, Any]:
    """A small object."""
    return {
        "type": "indicator",
        "spec_version": "2.1",
        "id": f"indicator--{uuid.uuid5(uuid.NAMESPACE_OID, str(number))}",
        "created": "2026-01-01T00:00:00.000Z",
        "modified": "2026-01-01T00:00:00.000Z",
        "pattern": "[ipv4-addr:value = '192.0.2.7']",
        "pattern_type": "stix",
        "valid_from": "2026-01-01T00:00:00Z",
        **more,
    }


@dataclass
class Server:
    """`wire.Ask`. Each field that is a function may be replaced to plant a fault.

    Args:
        page: rows of a page without limit.
        bend: changes the answer to a request before it goes out.
        select: the rows that a query names, before paging.
        envelope: the body of a page, from rows, whether there are more, and where the next starts.
        start: index, among all rows, of the first one of a page, from its `next`.
    """

    rows: list[Row] = field(default_factory=list)
    page: int = 1000
    title: str = "Circle"
    id: str = COLLECTION
    secret: str | None = SECRET
    can_read: bool = True
    can_write: bool = True
    content_length: Any = 1_000_000
    asked: list[Request] = field(default_factory=list)
    bend: Callable[[Request, Answer], Answer] = lambda _, answer: answer
    resource: Callable[[str, Any], Any] = lambda _, body: body
    select: Callable[[list[Row], Params], list[Row]] = lambda rows, params: chosen(rows, params)
    envelope: Callable[[dict[str, Any], Params], dict[str, Any]] = lambda body, _: body
    last: Callable[[list[Row], int], str | None] = lambda rows, end: to_text(rows[end - 1][0])
    start: Callable[[str, Params], int | None] = lambda text, _: int(text[1:])
    status: Callable[[dict[str, Any]], dict[str, Any]] = lambda body: body
    store: Callable[[dict[str, Any]], bool] = lambda _: True
    date: float = NOW

    def __call__(self, request: Request) -> Answer:
        self.asked.append(request)
        try:
            answer = self._answer(request)
        except InputError:
            answer = told(400, {"title": "what?"}, self.date)
        return self.bend(request, answer)

    def _answer(self, request: Request) -> Answer:
        if self.secret is not None and not _let_in(request.headers, self.secret):
            return told(401, {"title": "who?"}, self.date)
        parts = urlsplit(request.url)
        params = dict(parse_qsl(parts.query))
        if request.method == "POST":
            return self._post(request)
        path = parts.path
        home = f"/root/collections/{self.id}/"
        if path.startswith(f"{home}objects/") and path != f"{home}objects/":
            wanted = path.split("/")[-2]
            found = [one for _, one in self.rows if one["id"] == wanted]
            return told(200 if found else 404, {"objects": found} if found else {}, self.date)
        if path in (f"{home}objects/", f"{home}manifest/"):
            return self._page(params, manifest=path.endswith("manifest/"))
        body = self._resources().get(path)
        if path.startswith("/root/status/"):
            body = self.status(_status(1))
        if body is None:
            return told(404, {"title": "not there"}, self.date)
        return told(200, self.resource(path, body), self.date)

    def _resources(self) -> dict[str, Any]:
        ours = {
            "id": self.id,
            "title": self.title,
            "can_read": self.can_read,
            "can_write": self.can_write,
            "media_types": ["application/stix+json;version=2.1"],
        }
        other = ours | {"id": OTHER, "title": "Another"}
        return {
            "/taxii2/": {"title": "Scripted", "default": ROOT, "api_roots": [ROOT]},
            "/root/": {
                "title": "Root",
                "versions": [TAXII_21],
                "max_content_length": self.content_length,
            },
            "/root/collections/": {"collections": [ours, other]},
            f"/root/collections/{self.id}/": ours,
        }

    def _page(self, params: Params, *, manifest: bool) -> Answer:
        begin = 0
        if "next" in params:
            found = self.start(params["next"], params)
            if found is None:
                return told(400, {"title": "next?"}, self.date)
            begin = found
        place = {id(row): at for at, row in enumerate(self.rows)}
        rows = [row for row in self.select(self.rows, params) if place[id(row)] >= begin]
        part = rows[: min(int(params.get("limit", self.page)), self.page)]
        body: dict[str, Any] = {}
        if len(part) < len(rows):
            body |= {"more": True, "next": f"n{place[id(part[-1])] + 1}"}
        if part:
            body["objects"] = [_record(*row) if manifest else row[1] for row in part]
        headers = {}
        if part and (last := self.last(rows, len(part))) is not None:
            headers = {
                "x-taxii-date-added-first": to_text(part[0][0]),
                "x-taxii-date-added-last": last,
            }
        return told(200, body if manifest else self.envelope(body, params), self.date, headers)

    def _post(self, request: Request) -> Answer:
        (one,) = json.loads(request.body or b"")["objects"]
        if self.store(one):
            self.rows.append((self.rows[-1][0] + 1 if self.rows else FIRST, one))
        return told(202, self.status(_status(1)), self.date)


def collection_of(count: int, *, apart: int = 1_000, **more: Any) -> list[Row]:
    """Rows whose date_added lie `apart` microseconds."""
    return [(FIRST + number * apart, indicator(number, **more)) for number in range(count)]


def chosen(rows: list[Row], params: Params) -> list[Row]:
    """Rows after `added_after`."""
    after = params.get("added_after")
    return rows if after is None else [row for row in rows if row[0] > to_micros(after)]


def told(
    status: int, body: Any, date: float = NOW, headers: Mapping[str, str] | None = None
) -> Answer:
    """A TAXII answer."""
    return Answer(
        status,
        {
            "content-type": TAXII_21,
            "date": email.utils.formatdate(date, usegmt=True),
            **(headers or {}),
        },
        json.dumps(body).encode(),
        0.01,
    )


def _record(added: int, one: dict[str, Any]) -> dict[str, Any]:
    return {"id": one["id"], "date_added": to_text(added), "version": one["modified"]}


def _status(count: int) -> dict[str, Any]:
    return {
        "id": "6ab1b4a0-2f3c-4d53-9f5f-0a9a3f5b6c11",
        "status": "complete",
        "total_count": count,
        "success_count": count,
        "failure_count": 0,
        "pending_count": 0,
    }


def _let_in(headers: Mapping[str, str], secret: str) -> bool:
    if headers.get("X-API-Key") == secret:
        return True
    scheme, _, value = headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "basic":
        return base64.b64decode(value).decode().partition(":")[2] == secret
    return scheme in ("Bearer", "Token") and value == secret
