"""The real taxii2-client over the doctor's port, so that its bounds hold for the library too."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any, Final

import requests
import requests.adapters
from taxii2client.common import _HTTPConnection
from taxii2client.exceptions import TAXIIServiceException
from taxii2client.v21 import Collection, Server, as_pages
from urllib3.response import HTTPResponse

from hub.doctor.envelope import Item, Key
from hub.doctor.findings import OutOfRequestsError, Severity
from hub.doctor.line import Line
from hub.doctor.pull import End, Pull
from hub.doctor.survey import Site
from hub.doctor.wire import Answer

_PAGE: Final = 100
_FEW_PAGES: Final = 4


class _Adapter(requests.adapters.BaseAdapter):
    """Hands a prepared request to the line's port."""

    def __init__(self, line: Line) -> None:
        super().__init__()
        self._line = line

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        """One exchange; the line counts it and keeps its evidence."""
        answer = self._line.send(
            str(request.method), str(request.url), _bytes(request.body), dict(request.headers)
        )
        response = requests.Response()
        response.status_code = answer.status
        response.headers.update(_undecoded(answer.headers))
        response.raw = HTTPResponse(body=io.BytesIO(answer.body), preload_content=False)
        response.request = request
        response.url = str(request.url)
        return response

    def close(self) -> None:
        """Nothing is held open."""


def _bytes(body: object) -> bytes | None:
    return body if isinstance(body, bytes) else None


def _undecoded(headers: Mapping[str, str]) -> dict[str, str]:
    """The body was decompressed already."""
    return {name: text for name, text in headers.items() if name != "content-encoding"}


def connection(line: Line) -> Any:
    """The library's connection, over the line."""
    made = _HTTPConnection(version="2.1")
    made.session.close()
    for scheme in ("http://", "https://"):
        made.session.mount(scheme, _Adapter(line))
    made.session.trust_env = False
    return made


def read_with_library(line: Line, site: Site) -> Pull:
    """Discover as the library does, and read the collection with its pager.

    Raises:
        GivesUpError: the library cannot use the server.
        OutOfRequestsError: before the first page.
    """
    conn = connection(line)
    try:
        roots = Server(site.discovery, conn=conn).api_roots
        if not any(root.url == site.root for root in roots):
            line.note("root-not-listed", Severity.WORKS, line.last)
        collection = Collection(site.collection_url, conn=conn)
        if not collection.can_read:
            raise line.ended("not-readable", line.last)
        return _pages(line, collection, min(_PAGE, -(-len(site.truth.items) // _FEW_PAGES) or 1))
    except requests.HTTPError as error:
        status = error.response.status_code
        raise line.refusal(Answer(status=status, headers={}, body=b"")) from error
    except TAXIIServiceException as error:
        code = "content-type" if "Content-Type" in str(error) else "library-error"
        raise line.ended(code, line.last, type(error).__name__) from error
    except (requests.RequestException, LookupError, TypeError, ValueError) as error:
        raise line.ended("library-error", line.last, type(error).__name__) from error


def _pages(line: Line, collection: Any, limit: int) -> Pull:
    pulled = Pull()
    known: set[Key] = set()
    barren = 0
    pages = as_pages(collection.get_objects, per_request=limit)
    while True:
        try:
            envelope = next(pages, None)
        except OutOfRequestsError:
            if not pulled.items:
                raise
            pulled.end = End.CUT
            return pulled
        if envelope is None:
            return pulled
        items = [_item(one) for one in envelope.get("objects", [])]
        pulled.items += items
        fresh = {item.key for item in items} - known
        known |= fresh
        barren = 0 if fresh else barren + 1
        if barren >= _FEW_PAGES:
            line.note("loops", Severity.FAILS, line.last)
            pulled.end = End.ENDLESS
            return pulled


def _item(one: Mapping[str, Any]) -> Item:
    modified = str(one.get("modified", ""))
    return Item(Key(str(one.get("id", "")), modified or str(one.get("created", ""))), modified)
