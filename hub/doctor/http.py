"""Requests over sockets, with bounds on time and size that a hostile server cannot stretch."""

from __future__ import annotations

import queue
import threading
import time
from pathlib import Path
from typing import Final

import requests

from hub.doctor.wire import Answer, Request, Trouble, UnansweredError

_CHUNK: Final = 16 * 1024
_BUSY: Final = frozenset({429, 503})
_PATIENCE_S: Final = 5.0
"""Retry-After is honoured up to here."""
_ATTEMPTS: Final = 3


class HttpAsk:
    """`wire.Ask` over requests; one for a run.

    Each exchange runs in a thread of its own, which is given up at the deadline: time-outs of
    sockets count from byte to byte, and a server that drips never lets them ring.

    Args:
        max_bytes: greatest body of an answer, decompressed.
        ca_file: certificates to trust in place of the system's.
        client_cert: PEM file with certificate and key.
    """

    def __init__(
        self,
        *,
        max_bytes: int = 64 * 1024 * 1024,
        ca_file: Path | None = None,
        client_cert: Path | None = None,
    ) -> None:
        self._max_bytes = max_bytes
        self._session = requests.Session()
        # Else a ~/.netrc would put its own credential in.
        self._session.auth = _as_given
        self._session.cert = None if client_cert is None else str(client_cert)
        self._verify: bool | str = True if ca_file is None else str(ca_file)

    def __call__(self, request: Request) -> Answer:
        """Send; wait and send again when the server is busy and says for how short a time."""
        for attempt in range(_ATTEMPTS):
            answer = self._bounded(request)
            wait = _seconds(answer.headers.get("retry-after"))
            if answer.status not in _BUSY or wait is None or attempt + 1 == _ATTEMPTS:
                break
            time.sleep(wait)
        return answer

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def _bounded(self, request: Request) -> Answer:
        box: queue.SimpleQueue[Answer | UnansweredError] = queue.SimpleQueue()
        thread = threading.Thread(
            target=self._into, args=(request, box), name="doctor-request", daemon=True
        )
        thread.start()
        try:
            # The thread's own time-outs come first where they can.
            got = box.get(timeout=request.timeout_s + 1.0)
        except queue.Empty:
            raise _late(request) from None
        if isinstance(got, UnansweredError):
            raise got
        return got

    def _into(self, request: Request, box: queue.SimpleQueue[Answer | UnansweredError]) -> None:
        try:
            box.put(self._exchange(request))
        except UnansweredError as error:
            box.put(error)

    def _exchange(self, request: Request) -> Answer:
        begun = time.monotonic()
        try:
            with self._session.request(
                request.method,
                request.url,
                headers=dict(request.headers),
                data=request.body,
                timeout=request.timeout_s,
                allow_redirects=False,
                stream=True,
                verify=self._verify,
            ) as response:
                body = self._body(response, request, begun)
                headers = {name.lower(): text for name, text in response.headers.items()}
                status = response.status_code
        except requests.exceptions.SSLError as error:
            raise UnansweredError(Trouble.TLS, "the certificate was refused") from error
        except requests.exceptions.Timeout as error:
            raise _late(request) from error
        except requests.exceptions.ConnectionError as error:
            raise UnansweredError(Trouble.UNREACHABLE, "no connection, or it broke off") from error
        except (requests.exceptions.RequestException, ValueError) as error:
            raise UnansweredError(Trouble.BROKEN, "the answer breaks HTTP or its coding") from error
        return Answer(status, headers, body, time.monotonic() - begun)

    def _body(self, response: requests.Response, request: Request, begun: float) -> bytes:
        body = bytearray()
        for chunk in response.iter_content(_CHUNK):
            body += chunk
            if len(body) > self._max_bytes:
                raise UnansweredError(Trouble.TOO_LARGE, f"more than {self._max_bytes} bytes")
            if time.monotonic() - begun > request.timeout_s:
                raise _late(request)
        return bytes(body)


def _late(request: Request) -> UnansweredError:
    return UnansweredError(Trouble.TIMEOUT, f"not whole after {request.timeout_s:g} s")


def _seconds(retry_after: str | None) -> float | None:
    """A wait that is short enough to be kept."""
    if retry_after is None or not retry_after.strip().isdigit():
        return None
    seconds = float(retry_after.strip()[:6])
    return seconds if seconds <= _PATIENCE_S else None


def _as_given(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request
