"""The port to what a hub offers beside TAXII: many objects at once, and news.

A stock TAXII server has neither; then `snapshot` gives None, and `events` raises `NoEventsError`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Final, Protocol

import requests

from hub.client.answers import wrapped
from hub.client.events import Event, NoEventsError, read_events
from hub.client.session import GuardedSession
from hub.errors import TransportError
from hub.settings import ClientSettings

_PIECE: Final = 4 * 1024 * 1024
_ABSENT: Final = frozenset({404, 405, 406, 501})


class Bulk(Protocol):
    """Snapshot and events of one collection."""

    def snapshot(self) -> bytes | None:
        """The signed manifest as it came; None where there is no snapshot."""
        ...

    def piece(self, name: str, start: int, size: int) -> bytes | None:
        """Bytes of a frame from `start`, at least one, up to its `size`; None: it is gone."""
        ...

    def events(self, last: str | None) -> contextlib.AbstractContextManager[Iterator[Event]]:
        """Follow the collection, after the event with the id `last`.

        Raises:
            NoEventsError: the server has no events for this account.
            TransportError: it cannot be reached, or broke off.
        """
        ...


class HttpBulk:
    """`Bulk` over HTTP.

    Args:
        session: reaches the hub.
        url: `{api_root}collections/{id}/`.
        settings: time-outs.
    """

    def __init__(self, session: GuardedSession, url: str, settings: ClientSettings) -> None:
        self._session = session
        self._url = url
        self._settings = settings

    def snapshot(self) -> bytes | None:
        """See `Bulk.snapshot`."""
        url = f"{self._url}snapshot/"
        with wrapped(url):
            response = self._session.get(url, headers={"Accept": "application/json"})
            if response.status_code in _ABSENT:
                return None
            response.raise_for_status()
            return bytes(response.content)

    def piece(self, name: str, start: int, size: int) -> bytes | None:
        """See `Bulk.piece`; what is fetched at once is bounded, and each piece tried again."""
        url = f"{self._url}snapshot/{name}/"
        end = min(start + _PIECE, size) - 1
        sent = {"Accept": "application/zstd", "Accept-Encoding": "identity"}
        with wrapped(url):
            response = self._session.get(url, headers={**sent, "Range": f"bytes={start}-{end}"})
            if response.status_code == 404:
                return None
            response.raise_for_status()
        body = bytes(response.content)
        begins = f"bytes {start}-{end}/{size}"
        if response.status_code == 200 and len(body) == size:
            return body[start:]
        if response.headers.get("Content-Range") != begins or len(body) != end - start + 1:
            raise TransportError("the hub gave another part of the frame", where=url)
        return body

    @contextlib.contextmanager
    def events(self, last: str | None) -> Iterator[Iterator[Event]]:
        """See `Bulk.events`; over a connection of its own, which lives as long as the block."""
        url = f"{self._url}events/"
        sent = {"Accept": "text/event-stream", "Accept-Encoding": "identity"}
        if last is not None:
            sent["Last-Event-ID"] = last
        with requests.Session() as own, wrapped(url):
            own.auth, own.cert = self._session.auth, self._session.cert
            response = own.get(
                url,
                headers=sent,
                stream=True,
                allow_redirects=False,
                # Named here, because REQUESTS_CA_BUNDLE would win over the session's own.
                verify=self._session.verify,
                timeout=(self._settings.connect_timeout_s, self._settings.events_timeout_s),
            )
            with contextlib.closing(response):
                kind = response.headers.get("Content-Type", "").partition(";")[0].strip()
                if response.status_code in _ABSENT or (response.ok and kind != "text/event-stream"):
                    raise NoEventsError("the server has no events for this account", where=url)
                response.raise_for_status()
                yield read_events(response.iter_content(None), where=url)
