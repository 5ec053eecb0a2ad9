"""An HTTP session with time-outs, retries and a cap on what it reads."""

from __future__ import annotations

import contextlib
import datetime
import email.utils
import logging
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import requests

from hub.errors import TransportError
from hub.settings import ClientSettings

_RETRIED_STATUS: Final = frozenset({429, 502, 503, 504})
_LOG: Final = logging.getLogger(__name__)
_CHUNK: Final = 256 * 1024
_RANDOM: Final = random.SystemRandom()


class GuardedSession(requests.Session):
    """A `requests.Session` for one hub.

    Connection errors, time-outs and the answers 429, 502, 503 and 504 are retried with full
    jitter; `Retry-After` is honoured up to the cap. Redirects are not followed: a hub has one
    address, and its token goes nowhere else.

    Args:
        settings: time-outs, attempts, caps.
        sleep: waits; given by tests.
        jitter: a number in [0, 1); given by tests.
    """

    def __init__(
        self,
        settings: ClientSettings,
        *,
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = _RANDOM.random,
    ) -> None:
        super().__init__()
        self._settings = settings
        self._sleep = sleep
        self._jitter = jitter
        self.last_headers: Mapping[str, str] = {}

    def request(  # type: ignore[override]  # the parent's 16 keywords pass through unchanged
        self, method: str | bytes, url: str | bytes, **options: Any
    ) -> requests.Response:
        """Send, retry, and read the whole body up to the cap."""
        options["timeout"] = (self._settings.connect_timeout_s, self._settings.read_timeout_s)
        options["stream"] = True
        options["allow_redirects"] = False
        # Named here, because REQUESTS_CA_BUNDLE would otherwise win over the operator's choice.
        options["verify"] = self.verify
        begun = time.monotonic()
        for attempt in range(self._settings.attempts):
            last = attempt + 1 == self._settings.attempts
            try:
                with self._notice(str(url)):
                    response = super().request(method, url, **options)
                    self._read(response)
            except (
                requests.exceptions.SSLError,
                requests.exceptions.InvalidURL,
                requests.exceptions.InvalidSchema,
            ):
                raise
            except (
                requests.exceptions.ConnectionError,
                requests.exceptions.Timeout,
                requests.exceptions.ChunkedEncodingError,
            ):
                if last or time.monotonic() - begun > self._settings.patience_s:
                    raise
                self._sleep(self._pause(attempt, None))
                continue
            if response.is_redirect:
                raise TransportError(
                    "the server redirects elsewhere",
                    where=response.url,
                    hint="give the address of the API root itself",
                )
            if response.status_code not in _RETRIED_STATUS or last:
                break
            self._sleep(self._pause(attempt, response.headers.get("Retry-After")))
        self.last_headers = response.headers
        return response

    @contextlib.contextmanager
    def _notice(self, url: str) -> Iterator[None]:
        """Say so when a hub is silent for long: nobody should wonder what is happening."""
        after = self._settings.notice_s
        text = "stillwatch: no answer for %d s, waiting on: %s"
        timer = threading.Timer(after, _LOG.warning, (text, after, url.partition("?")[0]))
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _read(self, response: requests.Response) -> None:
        body = bytearray()
        try:
            for chunk in response.iter_content(_CHUNK):
                body += chunk
                if len(body) > self._settings.max_response_bytes:
                    raise TransportError(
                        f"the answer exceeds {self._settings.max_response_bytes} bytes",
                        where=response.url.partition("?")[0],
                    )
        finally:
            response.close()
        # What requests itself sets after reading a body at once.
        response._content = bytes(body)

    def _pause(self, attempt: int, retry_after: str | None) -> float:
        cap = self._settings.backoff_cap_s
        asked = _seconds(retry_after)
        if asked is not None:
            return min(asked, cap)
        bound: float = min(self._settings.backoff_base_s * 2**attempt, cap)
        return bound * self._jitter()


def _seconds(retry_after: str | None) -> float | None:
    """`Retry-After` as seconds from now; None when absent or unreadable (RFC 9110, 10.2.3)."""
    if retry_after is None:
        return None
    if retry_after.strip().isdigit():
        return float(retry_after.strip()[:9])
    try:
        moment = email.utils.parsedate_to_datetime(retry_after)
    except ValueError:
        return None
    if moment.tzinfo is None:
        return None
    wait: float = (moment - datetime.datetime.now(datetime.UTC)).total_seconds()
    return max(0.0, wait)
